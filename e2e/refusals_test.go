package e2e

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/access"
	"fitvault/shared/fault"
)

var people [2]*stack.Person

// residents are two people with accounts, the same for all tests of refusals:
// none of these changes what another asks about.
func residents(t *testing.T, s *stack.Stack) (ada, ben *stack.Person) {
	t.Helper()
	for i := range people {
		if people[i] == nil {
			people[i] = s.Newcomer(t)
		}
	}
	return people[0], people[1]
}

// TestWhoRefusesWhat is the table for every route, at the gateway and past it.
func TestWhoRefusesWhat(t *testing.T) {
	s := stack.Open(t)
	began := time.Now()
	ada, ben := residents(t, s)
	expected := map[string]*event{} // by request id; nil: none
	for _, line := range tableOfRefusals(t, s, ada) {
		t.Run(line.name, func(t *testing.T) {
			input := []string{line.token, line.key, ada.ID, ben.ID}
			for _, r := range allRoutes {
				c := newCall(r, "me", "bbbbbbbbbbbbbbbbbbbbbbbbbb", line.token, line.key)
				refusal := &event{Function: functionName(r), Action: r.action, Caller: ada.ID, Client: line.client, Owner: ada.ID,
					Outcome: "refused", Kind: string(line.function)}
				if line.client == "" {
					refusal = nil
				}

				answer := c.send(t, s)
				if line.gateway != "" {
					id := isProblem(t, line.gateway, answer, input...)
					require.Empty(t, answer.Header.Get("X-Request-Id"), "%s: a function has answered", r)
					if line.gateway == fault.Unauthenticated {
						require.Equal(t, "Bearer", answer.Header.Get("WWW-Authenticate"))
					}
					expected[id] = nil
				} else {
					id := isProblem(t, line.function, answer, input...)
					require.NotEmpty(t, answer.Header.Get("X-Request-Id"), "%s: the gateway has answered", r)
					expected[id] = refusal
				}

				e := c.event()
				sent := pretend(t, s, &e, ben)
				id := isProblem(t, line.function, invoke(t, s, s.Output(t, r.function), e), input...)
				require.Equal(t, sent, id)
				expected[id] = refusal
			}
		})
	}
	found := eventsSince(t, s, began)
	for id, want := range expected {
		if want == nil {
			require.Empty(t, found[id])
			continue
		}
		isOneEvent(t, *want, id, found)
	}
}

// functionName is a function's name in logs and events.
func functionName(r route) string {
	return strings.ToLower(strings.TrimSuffix(r.function, "Function"))
}

// isOneEvent asserts that a request has left exactly the event that is wanted,
// apart from ids and time.
func isOneEvent(t *testing.T, want event, request string, found map[string][]event) {
	t.Helper()
	require.Len(t, found[request], 1, "%+v", want)
	got := found[request][0]
	require.NotEmpty(t, got.ID)
	require.WithinDuration(t, time.Now(), got.Time, 15*time.Minute)
	want.ID, want.Time, want.Request = got.ID, got.Time, request
	want.Charged, want.Rejected = got.Charged, got.Rejected // gone as soon as the log has the event
	require.Equal(t, want, got)
}

// TestCredentialsThatDiffer: a direct invocation may show two values of one
// header, or a key where only the gateway looks. None of it counts.
func TestCredentialsThatDiffer(t *testing.T) {
	s := stack.Open(t)
	ada, ben := residents(t, s)
	for _, r := range allRoutes {
		good := func() events.APIGatewayProxyRequest {
			return newCall(r, "me", "bbbbbbbbbbbbbbbbbbbbbbbbbb", ada.Token, ada.Key).event()
		}
		for _, test := range []struct {
			name string
			kind fault.Kind
			make func(e *events.APIGatewayProxyRequest)
		}{
			{"two tokens", fault.Unauthenticated, func(e *events.APIGatewayProxyRequest) {
				e.MultiValueHeaders["Authorization"] = append(e.MultiValueHeaders["Authorization"], "Bearer "+ben.Token)
			}},
			{"one token in each kind of headers", fault.Unauthenticated, func(e *events.APIGatewayProxyRequest) {
				e.Headers["Authorization"] = "Bearer " + ben.Token
			}},
			{"one token in each spelling", fault.Unauthenticated, func(e *events.APIGatewayProxyRequest) {
				e.Headers["AUTHORIZATION"] = "Bearer " + ben.Token
			}},
			{"the token in the query and the path only", fault.Unauthenticated, func(e *events.APIGatewayProxyRequest) {
				delete(e.MultiValueHeaders, "Authorization")
				delete(e.Headers, "Authorization")
				e.MultiValueQueryStringParameters = map[string][]string{"access_token": {ada.Token}, "Authorization": {"Bearer " + ada.Token}}
				e.PathParameters["Authorization"] = "Bearer " + ada.Token
			}},
			{"two keys", fault.Forbidden, func(e *events.APIGatewayProxyRequest) {
				e.Headers["x-api-key"] = s.Clients["partner"].APIKey
			}},
			{"the key where the gateway writes it", fault.Forbidden, func(e *events.APIGatewayProxyRequest) {
				delete(e.MultiValueHeaders, "X-Api-Key")
				delete(e.Headers, "X-Api-Key")
				e.RequestContext.Identity.APIKey = ada.Key
				e.MultiValueQueryStringParameters = map[string][]string{"x-api-key": {ada.Key}}
			}},
		} {
			t.Run(test.name+": "+r.String(), func(t *testing.T) {
				e := good()
				test.make(&e)
				isProblem(t, test.kind, invoke(t, s, s.Output(t, r.function), e), ada.Token, ben.Token, ada.Key, ada.ID, ben.ID)
			})
		}
	}
}

// TestForgedContext: with one's own good token and another's name in all the
// places that the gateway fills, one gets one's own data.
func TestForgedContext(t *testing.T) {
	s := stack.Open(t)
	began := time.Now()
	ada, ben := residents(t, s)
	at := "2026-05-04T07:25:00Z"
	for _, p := range []*stack.Person{ada, ben} {
		value := map[*stack.Person]string{ada: "61", ben: "62"}[p]
		answer := p.Do(t, http.MethodPost, "/users/me/readings", []byte(heartRate(at, value)), "Content-Type", "application/json")
		require.Equal(t, http.StatusOK, answer.Status, "%s", answer.Body)
	}
	expected := map[string]event{}
	for _, r := range allRoutes {
		if strings.Contains(r.resource, "{id}") {
			continue // a recording that does not exist: TestAnothersData
		}
		e := newCall(r, "me", "", ada.Token, ada.Key).event()
		id := pretend(t, s, &e, ben)
		answer := invoke(t, s, s.Output(t, r.function), e)
		require.Contains(t, []int{http.StatusOK, http.StatusCreated}, answer.Status, "%s: %s", r, answer.Body)
		require.NotContains(t, string(answer.Body), ben.ID)
		if r.action == "readings.read" {
			require.Contains(t, string(answer.Body), `"value":61`)
			require.NotContains(t, string(answer.Body), `"value":62`)
		}
		if strings.HasPrefix(r.action, "consents.") {
			require.Contains(t, string(answer.Body), ada.ID)
		}
		expected[id] = event{Function: functionName(r), Action: r.action, Caller: ada.ID, Client: s.Clients["app"].ID, Owner: ada.ID, Outcome: "allowed"}
	}
	found := eventsSince(t, s, began)
	for id, want := range expected {
		require.Len(t, found[id], 1)
		got := found[id][0] // TestEventOfEveryEffect says what stands here
		want.Records, want.Manifest, want.Reasons, want.Consent = got.Records, got.Manifest, got.Reasons, got.Consent
		isOneEvent(t, want, id, found)
	}
}

// TestAnothersData: 404 on every route, and the same answer in every respect
// whether the account or the recording exists or not.
func TestAnothersData(t *testing.T) {
	s := stack.Open(t)
	began := time.Now()
	ada, ben := residents(t, s)
	stranger := s.Stranger(t)
	post := func(r route) stack.Answer {
		answer := newCall(r, "me", "", ben.Token, ben.Key).send(t, s)
		require.Less(t, answer.Status, 300, "%s", answer.Body)
		return answer
	}
	post(allRoutes[3])
	var bens struct{ ID string }
	post(allRoutes[4]).JSON(t, &bens)
	nobody, err := access.NewUserID(rand.Reader)
	require.NoError(t, err)
	random := nobody.String()

	expected := map[string]event{}
	for _, who := range []struct {
		name   string
		person *stack.Person
		caller string
	}{
		{"an owner", ada, ada.ID},
		{"somebody without an account", stranger, access.IdentityKey(claimsOf(t, stranger.Token)["iss"].(string), claimsOf(t, stranger.Token)["sub"].(string))},
	} {
		for _, r := range allRoutes {
			t.Run(who.name+": "+r.String(), func(t *testing.T) {
				var over, past []string
				for _, path := range [][2]string{{ben.ID, bens.ID}, {ben.ID, random}, {random, bens.ID}, {random, random}} {
					c := newCall(r, path[0], path[1], who.person.Token, who.person.Key)
					owner := path[0]
					want := event{Function: functionName(r), Action: r.action, Caller: who.caller, Client: s.Clients["app"].ID, Owner: owner,
						Outcome: "refused", Kind: string(fault.NotFound)}
					answer := c.send(t, s)
					id := isProblem(t, fault.NotFound, answer, path[:]...)
					expected[id] = want
					over = append(over, whole(answer, id))

					e := c.event()
					id = pretend(t, s, &e, ben)
					answer = invoke(t, s, s.Output(t, r.function), e)
					require.Equal(t, id, isProblem(t, fault.NotFound, answer, path[:]...))
					expected[id] = want
					past = append(past, whole(answer, id))
				}
				for i := range over {
					require.Equal(t, over[0], over[i])
					require.Equal(t, past[0], past[i])
				}
			})
		}
	}
	t.Run("another's recording under one's own name", func(t *testing.T) {
		var same []string
		for _, id := range []string{bens.ID, random} {
			answer := newCall(allRoutes[2], "me", id, ada.Token, ada.Key).send(t, s)
			same = append(same, whole(answer, isProblem(t, fault.NotFound, answer, id)))
		}
		require.Equal(t, same[0], same[1])
	})
	found := eventsSince(t, s, began)
	for id, want := range expected {
		isOneEvent(t, want, id, found)
	}
}

// whole is a whole answer but for its request id and what the server adds
// in transit.
func whole(a stack.Answer, id string) string {
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(a.Header)) {
		if name == "Date" || strings.HasPrefix(name, "X-Amz") {
			continue
		}
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(a.Header[name], ", "))
	}
	return fmt.Sprintf("%d\n%s\n%s", a.Status, strings.ReplaceAll(b.String(), id, "ID"), strings.ReplaceAll(string(a.Body), id, "ID"))
}

// TestPathsThatAreNone: what is no user id, however it is spelt, is 404, with
// the same answer; and so is a route that the function does not have.
func TestPathsThatAreNone(t *testing.T) {
	s := stack.Open(t)
	ada, ben := residents(t, s)
	for _, r := range allRoutes {
		t.Run(r.String(), func(t *testing.T) {
			for _, user := range []string{"", ".", "..", "me/../" + ben.ID, "me%00", "ME", "m%65%00", strings.ToUpper(ben.ID), ben.ID + "=", "%2e%2e", "me ", "canary", strings.Repeat("m", 5000)} {
				e := newCall(r, user, "bbbbbbbbbbbbbbbbbbbbbbbbbb", ada.Token, ada.Key).event()
				pretend(t, s, &e, ben)
				isProblem(t, fault.NotFound, invoke(t, s, s.Output(t, r.function), e), ben.ID, "canary")
			}
			e := newCall(r, "me", "", ada.Token, ada.Key).event()
			delete(e.PathParameters, "user")
			isProblem(t, fault.NotFound, invoke(t, s, s.Output(t, r.function), e))
			for _, change := range []func(*events.APIGatewayProxyRequest){
				func(e *events.APIGatewayProxyRequest) { e.HTTPMethod = "TRACE" },
				func(e *events.APIGatewayProxyRequest) { e.HTTPMethod = "" },
				func(e *events.APIGatewayProxyRequest) { e.HTTPMethod = strings.ToLower(r.method) },
				func(e *events.APIGatewayProxyRequest) { e.Resource = "" },
				func(e *events.APIGatewayProxyRequest) { e.Resource = "/{proxy+}" },
				func(e *events.APIGatewayProxyRequest) { e.Resource = "/v1" + r.resource },
				func(e *events.APIGatewayProxyRequest) { e.Resource = r.resource + "/" },
				func(e *events.APIGatewayProxyRequest) { *e = events.APIGatewayProxyRequest{} },
			} {
				e := newCall(r, "me", "", ada.Token, ada.Key).event()
				change(&e)
				isProblem(t, fault.NotFound, invoke(t, s, s.Output(t, r.function), e), ada.ID)
			}
		})
	}
	t.Run("at the gateway", func(t *testing.T) {
		for _, path := range []string{"/", "/users", "/users/me", "/users/me/canary", "/canary", "/users/me/readings/canary", "/users/" + ben.ID + "/recordings/x/y"} {
			answer := ada.Do(t, http.MethodGet, path, nil)
			isProblem(t, fault.NotFound, answer, "canary", ben.ID)
		}
		for _, method := range []string{http.MethodDelete, http.MethodPatch, http.MethodPut} {
			isProblem(t, fault.NotFound, ada.Do(t, method, "/users/me/readings", nil), ada.ID)
		}
	})
}

// TestBeforeEnrolment: without an account there is consent and nothing else.
func TestBeforeEnrolment(t *testing.T) {
	s := stack.Open(t)
	stranger := s.Stranger(t)
	for _, r := range allRoutes {
		if r.action == "consents.write" {
			continue
		}
		answer := newCall(r, "me", "bbbbbbbbbbbbbbbbbbbbbbbbbb", stranger.Token, stranger.Key).send(t, s)
		if r.action == "consents.read" {
			nothingGiven(t, answer)
			continue
		}
		isProblem(t, fault.ConsentRequired, answer, stranger.Token)
	}
}

// TestNothingIsEchoed: whatever is wrong with a request, no part of it comes back.
func TestNothingIsEchoed(t *testing.T) {
	s := stack.Open(t)
	ada, _ := residents(t, s)
	canary := "canary" + rand.Text()
	point := heartRate("2026-05-04T07:25:00Z", "71")
	readings, recordings, consents := allRoutes[3], allRoutes[4], allRoutes[6]
	bad := func(r route, kind fault.Kind, body string) {
		r.body = body
		answer := newCall(r, "me", "", ada.Token, ada.Key).send(t, s)
		require.Equal(t, kind.Status(), answer.Status, "%s", answer.Body)
		require.NotContains(t, string(answer.Body), canary)
	}
	bad(readings, fault.BadRequest, canary)
	bad(readings, fault.BadRequest, `{"`+canary+`":`)
	bad(readings, fault.BadRequest, `{"`+canary+`":1,"`+canary+`":2}`)
	bad(readings, fault.Invalid, `{"`+canary+`":1}`)
	bad(readings, fault.Invalid, strings.Replace(point, `"modality"`, `"`+canary+`":1,"modality"`, 1))
	bad(readings, fault.Invalid, strings.Replace(point, `"sensed"`, `"`+canary+`"`, 1))
	bad(readings, fault.Invalid, strings.Replace(point, `"heart-rate"`, `"`+canary+`"`, 1))
	bad(readings, fault.Invalid, strings.Replace(point, `"beats/min"`, `"`+canary+`"`, 1))
	bad(readings, fault.Invalid, strings.Replace(point, `71`, `"`+canary+`"`, 1))
	bad(recordings, fault.BadRequest, "<"+canary+">")
	bad(recordings, fault.BadRequest, `<!DOCTYPE x [<!ENTITY e "`+canary+`">]><x>&e;</x>`)
	bad(recordings, fault.Invalid, "<"+canary+"/>")
	bad(recordings, fault.Invalid, strings.Replace(recordings.body, "48.1", canary, 1))
	bad(consents, fault.BadRequest, canary)
	bad(consents, fault.Invalid, `{"version":"1","given":true,"`+canary+`":1}`)
	bad(consents, fault.Invalid, `{"version":"`+canary+`","given":true}`)

	for _, r := range allRoutes {
		c := newCall(r, "me", canary, ada.Token, ada.Key)
		c.query = url.Values{canary: {canary}}
		isProblem(t, fault.BadRequest, c.send(t, s), canary)
		c.query = url.Values{"page_token": {canary}, "from": {canary}, "type": {canary}}
		isBad(t, c.send(t, s), canary)
		c.query = nil
		if r.contentType != "" {
			c.header.Set("Content-Type", "application/"+canary)
			isProblem(t, fault.UnsupportedType, c.send(t, s), canary)
		}
	}
}

// isBad asserts a 400, of whatever kind.
func isBad(t *testing.T, a stack.Answer, input string) {
	t.Helper()
	require.Equal(t, http.StatusBadRequest, a.Status, "%s", a.Body)
	require.NotContains(t, string(a.Body), input)
}
