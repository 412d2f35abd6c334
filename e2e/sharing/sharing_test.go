// Package sharing holds what the issue promises of grants, apps and sessions, on the
// deployed stack: what is let in reads what it may, and what is shut out is shut out
// from the first request that starts after the answer.
package sharing

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/fault"
)

const clients = 16

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

// consent says what an owner says on a purpose.
func consent(t *testing.T, p *stack.Person, purpose string, given bool) {
	t.Helper()
	send(t, p, http.MethodPut, "/users/me/consents/"+purpose, fmt.Sprintf(`{"version":"1","given":%t}`, given), 200, nil)
}

// register makes an app of a kind, with the API key of the client partner, which the gateway knows.
func register(t *testing.T, s *stack.Stack, kind string, scopes ...string) string {
	t.Helper()
	client := strings.ToLower(rand.Text())
	digest := sha256.Sum256([]byte(s.Clients["partner"].APIKey))
	_, err := dynamodb.NewFromConfig(s.AWS()).PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(s.Output(t, "AccountsTable")),
		Item: map[string]types.AttributeValue{"id": text("app#" + client), "document": text("app"), "state": text("active"), "kind": text(kind),
			"scopes":   &types.AttributeValueMemberSS{Value: scopes},
			"api_keys": &types.AttributeValueMemberSS{Value: []string{hex.EncodeToString(digest[:])}}}})
	require.NoError(t, err)
	return client
}

// sharer is a newcomer who shares, with steps and sleep.
func sharer(t *testing.T, s *stack.Stack) *stack.Person {
	t.Helper()
	p := s.Newcomer(t)
	consent(t, p, "sharing", true)
	point := func(name, value string) string {
		return `{"header":{"id":"` + strings.ToLower(rand.Text()) + `","creation_date_time":"2026-05-04T08:00:00Z","schema_id":{"namespace":"omh","name":"` + name + `","version":"2.0"}},` +
			`"body":{` + value + `,"effective_time_frame":{"time_interval":{"start_date_time":"2026-05-04T00:00:00Z","end_date_time":"2026-05-04T07:00:00Z"}}}}`
	}
	a := p.Do(t, http.MethodPost, "/users/me/readings", []byte("["+point("step-count", `"step_count":812`)+","+point("sleep-duration", `"sleep_duration":{"value":7,"unit":"h"}`)+"]"), "Content-Type", "application/json")
	require.Equal(t, 200, a.Status, string(a.Body))
	require.NotContains(t, string(a.Body), "invalid")
	return p
}

func send(t *testing.T, p *stack.Person, method, path, body string, status int, v any) {
	t.Helper()
	var a stack.Answer
	if body == "" {
		a = p.Do(t, method, path, nil)
	} else {
		a = p.Do(t, method, path, []byte(body), "Content-Type", "application/json")
	}
	require.Equal(t, status, a.Status, "%s %s", method, path)
	if v != nil {
		a.JSON(t, v)
	}
}

func permit(of string) string {
	return `{"types":["` + of + `"],"access":["read"],"purpose":"family","until":"` + time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339) + `"}`
}

type item struct{ ID, Code, Owner, User, Organisation string }

type items struct{ Items []item }

// granted lets a newcomer have steps of an owner.
func granted(t *testing.T, s *stack.Stack, owner *stack.Person) (caregiver *stack.Person, grant string) {
	t.Helper()
	var made, got item
	send(t, owner, http.MethodPost, "/users/me/grants", permit("omh:step-count"), 201, &made)
	caregiver = s.Newcomer(t)
	send(t, caregiver, http.MethodPost, "/invitations/"+made.Code+"/accept", "{}", 200, &got)
	require.Equal(t, [2]string{owner.ID, made.ID}, [2]string{got.Owner, got.ID})
	return caregiver, made.ID
}

func readings(p *stack.Person, of string) string {
	return "/users/" + p.ID + "/readings?type=omh:" + of
}

// TestCaregiver: steps, but not sleep, and as long as it is granted.
func TestCaregiver(t *testing.T) {
	s := stack.Open(t)
	owner := sharer(t, s)
	caregiver, grant := granted(t, s, owner)
	var read struct{ Items []json.RawMessage }
	send(t, caregiver, http.MethodGet, readings(owner, "step-count"), "", 200, &read)
	require.Len(t, read.Items, 1)
	require.Contains(t, string(read.Items[0]), "812")
	caregiver.Do(t, http.MethodGet, readings(owner, "sleep-duration"), nil).RequireProblem(t, fault.Forbidden)
	send(t, caregiver, http.MethodGet, "/users/"+owner.ID+"/readings", "", 200, &read)
	require.Len(t, read.Items, 1, "all that is permitted, and no more")
	caregiver.Do(t, http.MethodGet, "/users/"+owner.ID+"/recordings", nil).RequireProblem(t, fault.NotFound)
	caregiver.Do(t, http.MethodGet, "/users/"+owner.ID+"/grants", nil).RequireProblem(t, fault.NotFound)
	s.Newcomer(t).Do(t, http.MethodGet, readings(owner, "step-count"), nil).RequireProblem(t, fault.NotFound)

	var lists items
	send(t, caregiver, http.MethodGet, "/users/me/shared-with-me", "", 200, &lists)
	require.Equal(t, []item{{ID: grant, Owner: owner.ID}}, lists.Items)
	lists = items{}
	send(t, owner, http.MethodGet, "/users/me/grants", "", 200, &lists)
	require.Equal(t, []item{{ID: grant, User: caregiver.ID}}, lists.Items)

	consent(t, owner, "sharing", false)
	caregiver.Do(t, http.MethodGet, readings(owner, "step-count"), nil).RequireProblem(t, fault.NotFound)
	lists = items{}
	send(t, caregiver, http.MethodGet, "/users/me/shared-with-me", "", 200, &lists)
	require.Empty(t, lists.Items)
	owner.Do(t, http.MethodPost, "/users/me/grants", []byte(permit("omh:step-count")), "Content-Type", "application/json").RequireProblem(t, fault.ConsentRequired)
	send(t, owner, http.MethodDelete, "/users/me/grants/"+grant, "", 204, nil)
}

// closes requires that what answers 200 before shut is refused by every request that
// starts after shut has returned, by 16 clients in parallel.
func closes(t *testing.T, s *stack.Stack, reader *stack.Person, path string, refused int, shut func()) {
	t.Helper()
	var closed, opened atomic.Int64
	var all sync.WaitGroup
	var mu sync.Mutex
	var wrong []string
	for range clients {
		all.Go(func() {
			for after := 0; after < 3; {
				was := closed.Load() > 0 // before the request starts
				a, err := reader.Try(t, http.MethodGet, path, nil)
				switch {
				case err == nil && a.Status == 503 && a.Header.Get("Retry-After") != "": // 16 at once on one bucket: says nothing, opens nothing
					continue
				case err != nil || a.Status != 200 && a.Status != refused || was && a.Status != refused:
					mu.Lock()
					wrong = append(wrong, fmt.Sprint(was, a.Status, err))
					mu.Unlock()
					return
				case a.Status == 200:
					opened.Add(1)
				}
				if was {
					after++
				}
			}
		})
	}
	deadline := time.Now().Add(time.Minute)
	for opened.Load() < clients && time.Now().Before(deadline) {
		time.Sleep(5 * time.Millisecond)
	}
	shut()
	closed.Store(1)
	all.Wait()
	require.Empty(t, wrong)
	require.GreaterOrEqual(t, opened.Load(), int64(clients), "it was open before")
}

// TestWithdrawal: of a grant, an app, a system, a consent, a session.
func TestWithdrawal(t *testing.T) {
	s := stack.Open(t)
	owner := sharer(t, s)
	steps := readings(owner, "step-count")
	t.Run("a grant", func(t *testing.T) {
		caregiver, grant := granted(t, s, owner)
		closes(t, s, caregiver, steps, 404, func() { send(t, owner, http.MethodDelete, "/users/me/grants/"+grant, "", 204, nil) })
	})
	t.Run("an app", func(t *testing.T) {
		client := register(t, s, "third-party", "fitvault/readings.read")
		app := s.As(t, s.Clients["partner"].APIKey, map[string]any{"sub": owner.Subject(t), "client_id": client})
		app.ID = owner.ID
		app.Do(t, http.MethodGet, steps, nil).RequireProblem(t, fault.Forbidden)
		send(t, owner, http.MethodPut, "/users/me/apps/"+client, permit("omh:step-count"), 200, nil)
		app.Do(t, http.MethodGet, readings(owner, "sleep-duration"), nil).RequireProblem(t, fault.Forbidden)
		closes(t, s, app, steps, 403, func() { send(t, owner, http.MethodDelete, "/users/me/apps/"+client, "", 204, nil) })
	})
	t.Run("a system", func(t *testing.T) {
		client := register(t, s, "system", "fitvault/readings.read")
		claims := map[string]any{"sub": client, "client_id": client, "username": nil, "auth_time": nil, "origin_jti": nil}
		system := s.System(t, s.Clients["partner"].APIKey, claims)
		system.Do(t, http.MethodGet, steps, nil).RequireProblem(t, fault.NotFound)
		send(t, owner, http.MethodPut, "/users/me/apps/"+client, permit("omh:step-count"), 200, nil)
		closes(t, s, system, steps, 404, func() { send(t, owner, http.MethodDelete, "/users/me/apps/"+client, "", 204, nil) })
	})
	t.Run("a consent", func(t *testing.T) {
		caregiver, _ := granted(t, s, owner)
		closes(t, s, caregiver, steps, 404, func() { consent(t, owner, "sharing", false) })
		consent(t, owner, "sharing", true)
	})
	t.Run("a session", func(t *testing.T) {
		other := s.As(t, owner.Key, map[string]any{"sub": owner.Subject(t), "client_id": s.Clients["app"].ID})
		var lists struct {
			Items []struct {
				ID      string
				Current bool
			}
		}
		send(t, other, http.MethodGet, "/users/me/sessions", "", 200, &lists)
		i := slices.IndexFunc(lists.Items, func(i struct {
			ID      string
			Current bool
		}) bool {
			return i.Current
		})
		require.GreaterOrEqual(t, i, 0)
		closes(t, s, other, steps, 401, func() { send(t, owner, http.MethodDelete, "/users/me/sessions/"+lists.Items[i].ID, "", 204, nil) })
		send(t, owner, http.MethodGet, steps, "", 200, nil)
	})
	t.Run("all sessions", func(t *testing.T) {
		other := s.As(t, owner.Key, map[string]any{"sub": owner.Subject(t), "client_id": s.Clients["app"].ID})
		other.ID = owner.ID
		closes(t, s, other, steps, 401, func() { send(t, owner, http.MethodDelete, "/users/me/sessions", "", 204, nil) })
		owner.Do(t, http.MethodGet, steps, nil).RequireProblem(t, fault.Unauthenticated)
	})
}

// TestOneOfMany: of 16 who accept at once one does, and the others learn nothing.
func TestOneOfMany(t *testing.T) {
	s := stack.Open(t)
	owner := sharer(t, s)
	var made item
	send(t, owner, http.MethodPost, "/users/me/grants", permit("omh:step-count"), 201, &made)
	people := []*stack.Person{s.Newcomer(t), s.Newcomer(t), s.Newcomer(t), s.Newcomer(t)}
	var all sync.WaitGroup
	var statuses [4]int
	for n, p := range people {
		all.Go(func() {
			a, err := p.Try(t, http.MethodPost, "/invitations/"+made.Code+"/accept", []byte("{}"), "Content-Type", "application/json")
			if err == nil {
				statuses[n] = a.Status
			}
		})
	}
	all.Wait()
	won := 0
	for n, p := range people {
		a := p.Do(t, http.MethodGet, readings(owner, "step-count"), nil)
		switch statuses[n] {
		case 200:
			won++
			require.Equal(t, 200, a.Status)
		case 404, 503: // 503: another transaction was under way
			require.Equal(t, 404, a.Status)
		default:
			t.Fatalf("status %d", statuses[n])
		}
	}
	require.LessOrEqual(t, won, 1)
}

// TestCodesTellNothing: status, body, headers and size are the same for codes of no
// invitation, wrong, used and withdrawn ones; and in full (make attack) the time, too.
func TestCodesTellNothing(t *testing.T) {
	s := stack.Open(t)
	owner := sharer(t, s)
	invite := func() (string, string) {
		var made item
		send(t, owner, http.MethodPost, "/users/me/grants", permit("omh:step-count"), 201, &made)
		return made.ID, made.Code
	}
	_, open := invite()
	wrong := open[:41] + map[bool]string{true: "e", false: "a"}[open[41] == 'a']
	_, used := invite()
	send(t, s.Newcomer(t), http.MethodPost, "/invitations/"+used+"/accept", "{}", 200, nil)
	id, withdrawn := invite()
	send(t, owner, http.MethodDelete, "/users/me/grants/"+id, "", 204, nil)
	codes := map[string]string{"none": strings.Repeat("a", 42), "no form": "x", "long": strings.Repeat("Z", 64), "wrong": wrong, "used": used, "withdrawn": withdrawn}

	requests := map[string]func(*stack.Person) stack.Answer{}
	for name, code := range codes {
		requests[name] = func(p *stack.Person) stack.Answer {
			return p.Do(t, http.MethodPost, "/invitations/"+code+"/accept", []byte("{}"), "Content-Type", "application/json")
		}
	}
	stack.RequireAlike(t, true, func() *stack.Person { return s.Newcomer(t) }, "none", requests)
}

// TestPersonsTellNothing: nobody learns of an account that he may not see, whether there
// is one, in what state it is, and whether it shares with others.
func TestPersonsTellNothing(t *testing.T) {
	s := stack.Open(t)
	shares, silent, withdrawn := sharer(t, s), s.Newcomer(t), s.Newcomer(t)
	granted(t, s, shares)
	consent(t, withdrawn, "collection", false)
	nobody := strings.ToLower(rand.Text()) // 26 letters and digits of base32
	accounts := map[string]string{"nobody": nobody[:25] + "a", "no form": "x", "shares": shares.ID, "shares nothing": silent.ID, "withdrawn": withdrawn.ID}
	for _, path := range []string{"/readings", "/recordings/" + strings.Repeat("a", 26), "/days?type=omh:step-count&from=2026-05-04&to=2026-05-04", "/grants", "/devices", "/consents/collection"} {
		t.Run(path, func(t *testing.T) {
			requests := map[string]func(*stack.Person) stack.Answer{}
			for name, id := range accounts {
				requests[name] = func(p *stack.Person) stack.Answer { return p.Do(t, http.MethodGet, "/users/"+id+path, nil) }
			}
			// The times of one stand for all: what differs comes after the decision.
			stack.RequireAlike(t, path == "/readings", func() *stack.Person { return s.Newcomer(t) }, "nobody", requests)
		})
	}
}
