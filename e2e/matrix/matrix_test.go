// Package matrix walks the table of docs/matrix.md on the deployed API: people and
// staff with tokens of their pools, apps that an administrator has registered.
package matrix

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/guard/contract"
	"fitvault/guard/matrix"
	"fitvault/shared/access"
	"fitvault/shared/apps"
	"fitvault/shared/auditlog"
	"fitvault/shared/dynamo"
)

const staffScopes = "fitvault/insights.read fitvault/firmware.publish fitvault/devices.register fitvault/audit.read fitvault/admin"

// staff is who of stack.json has which role.
var staff = map[string]string{"administrator": "sam", "auditor": "ina", "analyst": "ann", "firmware-manager": "fay", "maker": "max"}

// registered is the answer about an app.
type registered struct {
	Client string
	APIKey string `json:"api_key"`
	Keys   []struct{ ID, State string }
	State  string
}

// world is who asks on the deployed API.
type world struct {
	*stack.Stack
	administrator *stack.Person
	second        *stack.Person // another administrator
	member        *stack.Person
	caregiver     *stack.Person
	stranger      *stack.Person
	newcomer      *stack.Person
	thirdParty    registered
	system        registered
}

func newWorld(t *testing.T) world {
	s := stack.Open(t)
	w := world{Stack: s, member: s.Newcomer(t), caregiver: s.Newcomer(t), stranger: s.Newcomer(t), newcomer: s.Stranger(t)}
	w.administrator = s.Caller(s.Forged(t, "--user", "sam"), s.Clients["staff"].APIKey)
	w.second = w.anotherAdministrator(t)
	scopes, err := json.Marshal(apps.Scopes)
	require.NoError(t, err)
	w.thirdParty = w.register(t, `{"name": "Matrix", "kind": "third-party", "redirect_uris": ["https://matrix.example/callback"], "plan": "partner", "scopes": `+string(scopes)+`}`)
	w.system = w.register(t, `{"name": "Matrix", "kind": "system", "plan": "partner", "scopes": `+string(scopes)+`}`)
	for _, p := range []*stack.Person{w.member, w.caregiver, w.stranger} {
		w.share(t, p)
	}
	w.organisations(t, w.administrator, http.StatusAccepted, w.member, `["clinic"]`)
	w.organisations(t, w.second, http.StatusOK, w.member, `["clinic"]`)
	return w
}

func (w world) register(t *testing.T, body string) (a registered) {
	t.Helper()
	answer := w.administrator.Do(t, http.MethodPost, "/apps", []byte(body), "Content-Type", "application/json", "Idempotency-Key", fmt.Sprint(time.Now().UnixNano()))
	require.Equal(t, http.StatusCreated, answer.Status, "%s", problem(answer))
	answer.JSON(t, &a)
	return a
}

// problem is what an answer says, where it is a problem: anything else may hold a secret.
func problem(a stack.Answer) string {
	if a.Status < 300 {
		return ""
	}
	return string(a.Body)
}

func (w world) patch(t *testing.T, client, body string) (a registered) {
	t.Helper()
	answer := w.administrator.Do(t, http.MethodPatch, "/apps/"+client, []byte(body), "Content-Type", "application/json")
	require.Equal(t, http.StatusOK, answer.Status, problem(answer))
	answer.JSON(t, &a)
	return a
}

// anotherAdministrator has the role as the operator gives it: by a document.
func (w world) anotherAdministrator(t *testing.T) *stack.Person {
	t.Helper()
	claims, err := json.Marshal(map[string]string{"sub": rand.Text(), "origin_jti": rand.Text()})
	require.NoError(t, err)
	p := w.Caller(w.Forged(t, "--user", "sam", "--claims", string(claims)), w.Clients["staff"].APIKey)
	var who jwt.RegisteredClaims
	_, _, err = jwt.NewParser().ParseUnverified(p.Token, &who)
	require.NoError(t, err)
	key := map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: access.IdentityKey(who.Issuer, who.Subject)},
		"document": &types.AttributeValueMemberS{Value: access.CallerDocument}}
	client, table := dynamodb.NewFromConfig(w.AWS()), aws.String(w.Output(t, "AccountsTable"))
	document := maps.Clone(key)
	document["roles"] = &types.AttributeValueMemberSS{Value: []string{string(access.Administrator)}}
	_, err = client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: table, Item: document})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := client.DeleteItem(context.WithoutCancel(t.Context()), &dynamodb.DeleteItemInput{TableName: table, Key: key})
		require.NoError(t, err)
	})
	return p
}

func (w world) organisations(t *testing.T, by *stack.Person, status int, p *stack.Person, list string) {
	t.Helper()
	path := "/identities/" + p.Subject(t) + "/roles"
	var seen struct{ Version string }
	by.Do(t, http.MethodGet, path+"?pool=people", nil).JSON(t, &seen)
	answer := by.Do(t, http.MethodPut, path, []byte(`{"pool": "people", "roles": [], "version": "`+seen.Version+`", "organisations": `+list+`}`), "Content-Type", "application/json")
	require.Equal(t, status, answer.Status, problem(answer))
}

// by is a person's token by an app that was registered here.
func (w world) by(t *testing.T, p *stack.Person, app registered) *stack.Person {
	t.Helper()
	claims, err := json.Marshal(map[string]any{"sub": p.Subject(t), "client_id": app.Client, "scope": strings.Join(apps.Scopes, " "), "origin_jti": p.Subject(t) + app.Client})
	require.NoError(t, err)
	return w.Caller(w.Forged(t, "--claims", string(claims)), app.APIKey)
}

// program is a system's token, as the pool makes it by client credentials.
func (w world) program(t *testing.T, app registered) *stack.Person {
	t.Helper()
	claims, err := json.Marshal(map[string]any{"sub": app.Client, "client_id": app.Client, "scope": strings.Join(apps.Scopes, " "), "username": nil, "origin_jti": nil})
	require.NoError(t, err)
	return w.Caller(w.Forged(t, "--claims", string(claims)), app.APIKey)
}

func (w world) consent(t *testing.T, p *stack.Person, purpose string, given bool) {
	t.Helper()
	answer := p.Do(t, http.MethodPut, "/users/me/consents/"+purpose, []byte(fmt.Sprintf(`{"version": "1", "given": %v}`, given)), "Content-Type", "application/json")
	require.Equal(t, http.StatusOK, answer.Status, problem(answer))
}

func (w world) share(t *testing.T, p *stack.Person) { t.Helper(); w.consent(t, p, "sharing", true) }

// account is an owner who has given what a relation says.
func (w world) account(t *testing.T, relation matrix.Relation) *stack.Person {
	t.Helper()
	owner := w.Newcomer(t)
	w.share(t, owner)
	of, until := []string{"omh:heart-rate", "fitvault:recording"}, time.Now().Add(time.Hour)
	switch relation {
	case matrix.OtherType:
		of = []string{"omh:step-count"}
	case matrix.Expired:
		until = time.Now().Add(-time.Second)
	case matrix.NoSharing:
		w.consent(t, owner, "sharing", false)
	case matrix.NoCollection:
		w.consent(t, owner, "collection", false)
	}
	permit := func(to string) types.AttributeValue {
		m := map[string]types.AttributeValue{"types": &types.AttributeValueMemberSS{Value: of}, "read": &types.AttributeValueMemberBOOL{Value: true},
			"write": &types.AttributeValueMemberBOOL{Value: true}, "use": &types.AttributeValueMemberS{Value: "care"},
			"from":  &types.AttributeValueMemberN{Value: fmt.Sprint(time.Now().Add(-time.Hour).Unix())},
			"until": &types.AttributeValueMemberN{Value: fmt.Sprint(until.Unix())}}
		if to != "" {
			m["to"] = &types.AttributeValueMemberS{Value: to}
		}
		return &types.AttributeValueMemberM{Value: m}
	}
	user, err := access.ParseUserID(owner.ID)
	require.NoError(t, err)
	give := func(grants, apps map[string]types.AttributeValue) {
		_, err = dynamodb.NewFromConfig(w.AWS()).UpdateItem(t.Context(), &dynamodb.UpdateItemInput{TableName: aws.String(w.Output(t, "AccountsTable")),
			Key:                       map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: access.OwnerKey(user)}, "document": &types.AttributeValueMemberS{Value: access.OwnerDocument}},
			UpdateExpression:          aws.String("SET grants = :g, apps = :a"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":g": &types.AttributeValueMemberM{Value: grants}, ":a": &types.AttributeValueMemberM{Value: apps}}})
		require.NoError(t, err)
	}
	if relation == matrix.Own {
		return owner
	}
	give(map[string]types.AttributeValue{"g1": permit(w.caregiver.ID), "g2": permit(access.OrganisationPrefix + "clinic")},
		map[string]types.AttributeValue{w.thirdParty.Client: permit(""), w.system.Client: permit("")})
	if relation == matrix.Withdrawn {
		a := w.caregiver.Do(t, http.MethodGet, "/users/"+owner.ID+"/recordings", nil)
		require.Equal(t, http.StatusOK, a.Status, "before it is withdrawn: %s", problem(a))
		give(map[string]types.AttributeValue{}, map[string]types.AttributeValue{})
	}
	return owner
}

// asked is one request of the walk.
type asked struct {
	what, cell string
	status     int
}

// TestMatrix walks the whole table. What was let in is told from a 404 of the policy
// by its audit event: that names the policy.
func TestMatrix(t *testing.T) {
	w := newWorld(t)
	routes, err := contract.ReadContract("../..")
	require.NoError(t, err)
	committed, err := matrix.Read("../..")
	require.NoError(t, err)

	callers := map[string]*stack.Person{"caregiver": w.caregiver, "member": w.member, "app of caregiver": w.by(t, w.caregiver, w.thirdParty),
		"system": w.program(t, w.system), "stranger": w.stranger, "newcomer": w.newcomer}
	for role, name := range staff {
		claims, err := json.Marshal(map[string]string{"scope": staffScopes})
		require.NoError(t, err)
		callers[role] = w.Caller(w.Forged(t, "--user", name, "--claims", string(claims)), w.Clients["staff"].APIKey)
	}
	const signOut = "DELETE /users/{user}/sessions" // after which the owner is nobody
	names := slices.DeleteFunc(slices.Collect(maps.Keys(routes)), func(name string) bool { return name == signOut })
	require.Len(t, names, len(routes)-1)
	names = append(names, signOut)
	sent, requests := 0, map[string]asked{} // by request id, which the gateway's own answers have not
	var wrong []string
	for _, relation := range matrix.Relations {
		if !stack.Whole && relation != matrix.Own && relation != matrix.Granted && relation != matrix.Withdrawn {
			continue // guard/matrix asks them all
		}
		owner := w.account(t, relation)
		callers["owner"], callers["app of owner"] = owner, w.by(t, owner, w.thirdParty)
		walked := map[string]bool{} // with this relation, by one of the action's routes
		for _, name := range names {
			r := routes[name]
			if !stack.Whole && relation != matrix.Own {
				if walked[r.Action] {
					continue // its decision is the same; guard/matrix asks them all
				}
				walked[r.Action] = true
			}
			for i, role := range matrix.Roles {
				if !tells(committed, name, relation, i) {
					continue
				}
				user := owner.ID
				if role == "newcomer" {
					user = "me"
				}
				a := send(t, callers[role], name, r, user)
				what := fmt.Sprintf("%s, %s, %s", name, relation, role)
				cell := committed[name][relation][role]
				sent++
				requests[a.Header.Get("X-Request-Id")] = asked{what, cell, a.Status}
				if !as(cell, a.Status, name) {
					wrong = append(wrong, fmt.Sprintf("%s: %s in the table, answered %d", what, cell, a.Status))
				}
			}
		}
	}
	require.Greater(t, sent, len(routes)*len(matrix.Roles))
	wrong = append(wrong, w.misjudged(t, requests)...)
	slices.Sort(wrong)
	require.Empty(t, strings.Join(wrong, "\n"))
	t.Logf("%d requests", sent)
}

// tells reports whether a relation can make a difference: a request takes long here,
// and guard/matrix asks them all. It makes none to newcomers and the staff, nor on
// routes whose rows are all the same, which are asked twice.
func tells(t matrix.Table, route string, relation matrix.Relation, role int) bool {
	if relation == matrix.Own {
		return true
	}
	if !strings.Contains(route, "{user}") || role >= slices.Index(matrix.Roles, "newcomer") {
		return false
	}
	for _, other := range matrix.Relations {
		if !maps.Equal(t[route][matrix.Own], t[route][other]) {
			return true
		}
	}
	return relation == matrix.Granted
}

// as reports whether a status is what a cell says.
func as(cell string, status int, route string) bool {
	other := strings.Contains(strings.ReplaceAll(route, "{user}", ""), "{")
	switch cell {
	case matrix.Admitted:
		return status != 401 && status != 403 && status < 500 && (status != 404 || other)
	case matrix.Scope:
		return status == 401
	}
	return fmt.Sprint(status) == cell
}

// misjudged is the requests whose audit event says otherwise than the table who decided.
func (w world) misjudged(t *testing.T, requests map[string]asked) (wrong []string) {
	t.Helper()
	reasons := map[string]bool{}
	for _, i := range w.Items(t, w.Output(t, "AuditEventsTable"), "", "") {
		e, err := dynamo.DecodeEvent(i)
		require.NoError(t, err)
		if e.Outcome != auditlog.Alarm {
			reasons[e.Request] = reasons[e.Request] || len(e.Reasons) > 0
		}
	}
	for id, a := range requests {
		permitted, audited := reasons[id]
		if a.status == 404 && audited && permitted != (a.cell == matrix.Admitted) {
			wrong = append(wrong, a.what+": 404, and the policy said otherwise")
		}
		if a.status == 404 && !audited {
			wrong = append(wrong, a.what+": 404 without an event")
		}
	}
	return wrong
}

// send waits where a usage plan asks for that.
func send(t *testing.T, p *stack.Person, name string, r contract.Route, user string) stack.Answer {
	t.Helper()
	method, _, _ := strings.Cut(name, " ")
	path, body, headers := matrix.Path(name, user), []byte(nil), []string(nil)
	if slices.Contains(r.Query, "type…") {
		path += "?type=omh:heart-rate"
		if strings.HasSuffix(path, "/days?type=omh:heart-rate") {
			path += "&from=2026-05-04&to=2026-05-05"
		}
	}
	if slices.Contains(r.Query, "pool") {
		path += "?pool=neither"
	}
	if len(r.Types) > 0 {
		body, headers = []byte("x"), []string{"Content-Type", r.Types[0]}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for tick := time.NewTicker(time.Second); ; <-tick.C {
		a := p.Do(t, method, path, body, headers...)
		if a.Status != http.StatusTooManyRequests {
			return a
		}
		require.NoError(t, ctx.Err(), "throttled for a minute")
	}
}

// TestAppIsShutOut: by its kill switch and by a key that is retired, from the first
// request after the answer; while keys are exchanged both are good.
func TestAppIsShutOut(t *testing.T) {
	w := newWorld(t)
	owner := w.account(t, matrix.Granted)
	app := w.by(t, owner, w.thirdParty)
	status := func(key string) int {
		return w.Caller(app.Token, key).Do(t, http.MethodGet, "/users/me/recordings", nil).Status
	}
	first := w.thirdParty.APIKey
	require.Equal(t, 200, status(first))
	w.patch(t, w.thirdParty.Client, `{"state": "off"}`)
	require.Equal(t, 401, status(first))
	w.patch(t, w.thirdParty.Client, `{"state": "active"}`)
	require.Equal(t, 200, status(first))

	rotated := w.patch(t, w.thirdParty.Client, `{"rotate_key": true}`)
	require.Len(t, rotated.Keys, 2)
	require.Equal(t, [2]int{200, 200}, [2]int{status(first), status(rotated.APIKey)})
	left := w.patch(t, w.thirdParty.Client, `{"retire_key": "`+w.thirdParty.Keys[0].ID+`"}`)
	require.Len(t, left.Keys, 1)
	require.Equal(t, [2]int{403, 200}, [2]int{status(first), status(rotated.APIKey)})
	require.Equal(t, 403, status(w.system.APIKey), "another app's key")

	t.Run("nobody is a member on the word of one", func(t *testing.T) {
		w.organisations(t, w.administrator, http.StatusAccepted, w.stranger, `["clinic"]`)
		w.organisations(t, w.administrator, http.StatusAccepted, w.stranger, `["clinic"]`)
		require.Equal(t, 404, w.stranger.Do(t, http.MethodGet, "/users/"+owner.ID+"/recordings", nil).Status)
		w.organisations(t, w.second, http.StatusOK, w.stranger, `["clinic"]`)
		require.Equal(t, 200, w.stranger.Do(t, http.MethodGet, "/users/"+owner.ID+"/recordings", nil).Status)
	})
	t.Run("a member who is none any more", func(t *testing.T) {
		require.Equal(t, 200, w.member.Do(t, http.MethodGet, "/users/"+owner.ID+"/recordings", nil).Status)
		w.organisations(t, w.administrator, http.StatusOK, w.member, `[]`)
		require.Equal(t, 404, w.member.Do(t, http.MethodGet, "/users/"+owner.ID+"/recordings", nil).Status)
	})
}
