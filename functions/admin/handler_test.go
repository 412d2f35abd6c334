package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/guard/contract"
	"fitvault/shared/access"
	"fitvault/shared/apps"
	"fitvault/shared/apps/appstest"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
)

// world is admin over fakes: Sam and Sue are administrators.
type world struct {
	*edgetest.World
	handler handler
	guard   *edge.Guard
	store   appstest.Store
	clients appstest.Clients
	keys    appstest.Keys
	people  memory
}

const (
	staffClient = "staffclient"
	staffKey    = "staff-key-0123456789abcdef"
)

// memory is a fake of memberships on the world's accounts.
type memory struct {
	*edgetest.Accounts
	mu        sync.Mutex
	err       error
	meanwhile func() // between what a request reads and what it writes
}

func (m *memory) Read(ctx context.Context, k access.Keys) (access.Documents, error) {
	if m.err != nil {
		return access.Documents{}, m.err
	}
	return m.Accounts.Read(ctx, k)
}

func (m *memory) PutMemberships(ctx context.Context, issuer, subject string, before, after access.Caller) error {
	if happens := m.meanwhile; happens != nil {
		m.meanwhile = nil
		happens()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	d, err := m.Read(ctx, access.Keys{Issuer: issuer, Subject: subject})
	if err != nil {
		return err
	}
	var held access.Caller
	if d.Caller != nil {
		held = *d.Caller
	}
	if !alike(held, before) {
		return dynamo.ErrConflict
	}
	if after.SessionsFrom.Before(held.SessionsFrom) {
		return dynamo.ErrConflict
	}
	after.User = held.User // no part of what is written
	m.PutCaller(issuer, subject, after)
	return nil
}

func (m *memory) EndSessions(ctx context.Context, issuer, subject string, until time.Time) error {
	if happens := m.meanwhile; happens != nil {
		m.meanwhile = nil
		happens()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	d, err := m.Read(ctx, access.Keys{Issuer: issuer, Subject: subject})
	if err != nil {
		return err
	}
	if d.Caller == nil || d.Caller.SessionsFrom.After(until) {
		return dynamo.ErrConflict
	}
	d.Caller.SessionsFrom = until
	m.PutCaller(issuer, subject, *d.Caller)
	return nil
}

func alike(a, b access.Caller) bool {
	p, q := a.Proposal, b.Proposal
	return (a.User == b.User || b.User.IsZero()) && slices.Equal(a.Roles, b.Roles) && slices.Equal(a.Organisations, b.Organisations) && (p == nil) == (q == nil) &&
		(p == nil || p.By == q.By && p.Until.Equal(q.Until) && slices.Equal(p.Roles, q.Roles) && slices.Equal(p.Organisations, q.Organisations))
}

func newWorld(t testing.TB) *world {
	w := &world{World: edgetest.New(t)}
	w.people.Accounts = &w.Accounts
	w.Accounts.Put(access.Documents{App: &access.App{Client: staffClient, State: access.Active, Kind: access.StaffApp, Scopes: []string{scopeAdmin},
		APIKeys: [][32]byte{apps.Digest(staffKey)}}})
	for _, name := range []string{"sam", "sue"} {
		w.Accounts.PutCaller(edgetest.StaffIssuer, name, access.Caller{Roles: []access.Role{access.Administrator}})
	}
	w.handler = handler{people: edgetest.Issuer, staff: edgetest.StaffIssuer, apps: &w.store, clients: &w.clients, keys: &w.keys,
		memberships: &w.people, now: w.Now, rand: rand.Reader}
	w.start()
	return w
}

func (w *world) start() { w.guard = edge.New(w.Config("admin"), w.handler.routes()...) }

func (w *world) token(subject string) string {
	claims := w.StaffClaims(subject)
	claims["client_id"], claims["scope"] = staffClient, scopeAdmin
	return edgetest.SignStaff(claims)
}

// event is a request of a member of the staff.
func (w *world) event(subject, method, resource string, parameters map[string]string, body string) events.APIGatewayProxyRequest {
	e := w.Event(subject, method, resource, parameters)
	edgetest.SetHeader(&e, "Authorization", "Bearer "+w.token(subject))
	edgetest.SetHeader(&e, "x-api-key", staffKey)
	if body != "" {
		edgetest.SetBody(&e, "application/json", body)
	}
	return e
}

func (w *world) do(e events.APIGatewayProxyRequest) events.APIGatewayProxyResponse {
	answer, _ := w.guard.Handle(context.Background(), e)
	return answer
}

const (
	thirdParty = `{"name": "Läufe & Co", "kind": "third-party", "redirect_uris": ["https://a.example/b"], "scopes": ["fitvault/readings.read"], "plan": "partner"}`
	system     = `{"name": "Klinik", "kind": "system", "redirect_uris": [], "scopes": ["fitvault/readings.read", "fitvault/readings.write"], "plan": "partner"}`
)

func (w *world) post(body string) events.APIGatewayProxyRequest {
	return w.event("sam", http.MethodPost, "/apps", nil, body)
}

func (w *world) patch(client, body string) events.APIGatewayProxyRequest {
	return w.event("sam", http.MethodPatch, "/apps/{client}", map[string]string{"client": client}, body)
}

func (w *world) list(t *testing.T) []app {
	t.Helper()
	answer := w.do(w.event("sam", http.MethodGet, "/apps", nil, ""))
	require.Equal(t, 200, answer.StatusCode, answer.Body)
	var out struct{ Items []app }
	require.NoError(t, json.Unmarshal([]byte(answer.Body), &out))
	return out.Items
}

func (w *world) said(t *testing.T, status int, e events.APIGatewayProxyRequest) (a app) {
	t.Helper()
	answer := w.do(e)
	require.Equal(t, status, answer.StatusCode, answer.Body)
	require.NoError(t, json.Unmarshal([]byte(answer.Body), &a))
	return a
}

func (w *world) refused(t *testing.T, e events.APIGatewayProxyRequest, kind fault.Kind, items ...fault.Item) {
	t.Helper()
	require.Equal(t, items, edgetest.RequireProblem(t, w.do(e), kind))
}

// requireNothing requires that no client, no key and no app is there.
func (w *world) requireNothing(t *testing.T) {
	t.Helper()
	require.Empty(t, w.clients.All())
	require.Empty(t, w.keys.All())
	require.Empty(t, w.list(t))
}

func TestRoutes(t *testing.T) {
	want, err := contract.Belonging("../..", "admin")
	require.NoError(t, err)
	require.Empty(t, contract.DifferInDetail("openapi.yaml", want, "admin", contract.OfHandlers(handler{}.routes())))
}

func TestRecordedEvents(t *testing.T) {
	w := newWorld(t)
	made := w.said(t, 201, w.post(thirdParty))
	recorded, err := contract.Recorded("../..", "admin", map[string]string{"token.sam": w.token("sam"), "key.staff": staffKey})
	require.NoError(t, err)
	for name, status := range map[string]int{"admin-post-app.json": 201, "admin-list-apps.json": 200, "admin-patch-app.json": 404,
		"admin-get-roles.json": 200, "admin-put-roles.json": 202, "admin-delete-sessions.json": 404} {
		answer := w.do(recorded[name])
		require.Equal(t, status, answer.StatusCode, "%s: %s", name, answer.Body)
		delete(recorded, name)
	}
	require.Empty(t, recorded, "an event that no test knows")
	require.Equal(t, access.Active, made.State)
}

// TestAdministratorsOnly: whoever else of the staff, and everybody of the people.
func TestAdministratorsOnly(t *testing.T) {
	w := newWorld(t)
	all := []events.APIGatewayProxyRequest{w.post(thirdParty), w.event("sam", "GET", "/apps", nil, ""), w.patch("c", `{"state": "off"}`),
		w.event("sam", "GET", "/identities/{subject}/roles", map[string]string{"subject": "ina"}, ""),
		w.event("sam", "PUT", "/identities/{subject}/roles", map[string]string{"subject": "ina"}, `{}`), w.ends("ina")}
	for _, e := range all {
		for _, role := range slices.DeleteFunc(slices.Clone(access.Roles), func(r access.Role) bool { return r == access.Administrator }) {
			w.Accounts.PutCaller(edgetest.StaffIssuer, "sam", access.Caller{Roles: []access.Role{role}})
			w.refused(t, e, fault.Forbidden)
		}
		w.Accounts.Delete(access.IdentityKey(edgetest.StaffIssuer, "sam"))
		w.refused(t, e, fault.Forbidden)
		edgetest.SetHeader(&e, "Authorization", "Bearer "+edgetest.Sign(w.Claims("ada")))
		w.refused(t, e, fault.Unauthenticated)
	}
	require.Empty(t, w.clients.All())
}

func TestRegister(t *testing.T) {
	w := newWorld(t)
	a := w.said(t, 201, w.post(thirdParty))
	require.Equal(t, app{Client: a.Client, Name: "Läufe & Co", Kind: access.ThirdPartyApp, State: access.Active, Scopes: []string{"fitvault/readings.read"},
		RedirectURIs: []string{"https://a.example/b"}, Keys: []key{{a.Keys[0].ID, "active"}}, Registered: "2026-05-04T05:25:00Z", APIKey: a.APIKey}, a)
	require.Equal(t, map[string]string{a.Keys[0].ID: a.APIKey}, w.keys.All())
	require.Len(t, a.APIKey, 43)
	s := w.said(t, 201, w.post(system))
	require.NotEmpty(t, s.ClientSecret)
	require.Equal(t, []string{}, s.RedirectURIs)

	listed := w.list(t)
	require.Len(t, listed, 2)
	text, err := json.Marshal(listed)
	require.NoError(t, err)
	for _, secret := range []string{a.APIKey, s.APIKey, s.ClientSecret} {
		require.NotContains(t, string(text), secret)
		require.NotContains(t, w.Log.String(), secret)
	}
	e := w.Audit.Events()
	require.Equal(t, [3]string{"third-party-" + e[0].About[12:], a.Client, string(access.AppsManage)}, [3]string{e[0].About, e[1].About, e[1].Action})
	require.Equal(t, []string{"kind=third-party", "state=active", "scope=fitvault/readings.read", "key=" + a.Keys[0].ID}, e[1].Changes)
	require.Equal(t, access.IdentityKey(edgetest.StaffIssuer, "sam"), e[0].Caller)
	require.Equal(t, []string{"administrator"}, e[0].Reasons)
}

// TestRegisterAgain: the same registration is done once; its answer is not kept.
func TestRegisterAgain(t *testing.T) {
	w := newWorld(t)
	w.said(t, 201, w.post(thirdParty))
	w.refused(t, w.post(thirdParty), fault.Conflict)
	keyed := func(body string) events.APIGatewayProxyRequest {
		e := w.post(body)
		edgetest.SetHeader(&e, "Idempotency-Key", "one")
		return e
	}
	w.said(t, 201, keyed(thirdParty))
	w.refused(t, keyed(thirdParty), fault.Conflict)
	w.refused(t, keyed(system), fault.KeyReused)
	require.Len(t, w.clients.All(), 2)
	require.Len(t, w.keys.All(), 2)
}

func TestWhatIsNoRegistration(t *testing.T) {
	w := newWorld(t)
	for name, test := range map[string]struct {
		body  string
		kind  fault.Kind
		items []fault.Item
	}{
		"not JSON":          {`{`, fault.BadRequest, nil},
		"a member twice":    {`{"name": "a", "name": "b"}`, fault.BadRequest, nil},
		"another member":    {strings.Replace(thirdParty, `"plan"`, `"state": "off", "plan"`, 1), fault.Invalid, nil},
		"a list":            {`[]`, fault.Invalid, nil},
		"a name of control": {strings.Replace(thirdParty, "Läufe", `L\u0007`, 1), fault.Invalid, []fault.Item{{Pointer: "/name", Rule: "name"}}},
		"a scope too many":  {strings.Replace(thirdParty, "readings.read", "sharing.manage", 1), fault.Invalid, []fault.Item{{Pointer: "/scopes", Rule: "enum"}}},
		"an open redirect":  {strings.Replace(thirdParty, "a.example", "*.example", 1), fault.Invalid, []fault.Item{{Pointer: "/redirect_uris", Rule: "https-exact"}}},
	} {
		t.Run(name, func(t *testing.T) { w.refused(t, w.post(test.body), test.kind, test.items...) })
	}
	w.requireNothing(t)
}

func TestTooManyApps(t *testing.T) {
	w := newWorld(t)
	for range apps.MaxApps {
		id := rand.Text()
		require.NoError(t, w.store.Register(t.Context(), apps.Request{ID: id}, apps.App{Client: id, Kind: access.SystemApp}))
	}
	w.refused(t, w.post(thirdParty), fault.Conflict)
	require.Empty(t, w.clients.All())
}

// TestRegisterFails: at each step, before and after it was done: nothing usable stays,
// and the next try succeeds. What stays where taking back fails too has no document.
func TestRegisterFails(t *testing.T) {
	down := fault.New(fault.Unavailable, "down")
	for _, call := range []string{"requests", "create client", "create key", "register", "audit"} {
		for _, done := range []bool{false, true} {
			for _, stuck := range []bool{false, true} {
				w := newWorld(t)
				failed := false
				fails := func(asked string) (bool, error) {
					if asked == call {
						failed = true
						return done, down
					}
					if stuck && strings.HasPrefix(asked, "delete") {
						return false, down
					}
					return true, nil
				}
				w.store.Fails, w.clients.Fails, w.keys.Fails = fails, fails, fails
				if call == "audit" {
					w.Audit.Fail(errors.New("down"))
					failed = true
				}
				w.refused(t, w.post(thirdParty), fault.Unavailable)
				require.True(t, failed, call)
				w.store.Fails, w.clients.Fails, w.keys.Fails = nil, nil, nil
				w.Audit.Fail(nil)
				if done && call == "register" {
					// It was stored, and nobody heard of it: an app without a client and without a key at the gateway.
					require.Len(t, w.list(t), 1)
					e := w.post(thirdParty)
					edgetest.SetHeader(&e, "Idempotency-Key", "again")
					w.said(t, 201, e)
					continue
				}
				require.Empty(t, w.list(t))
				if !stuck && !done {
					require.Empty(t, w.clients.All())
					require.Empty(t, w.keys.All())
				}
				w.said(t, 201, w.post(thirdParty))
			}
		}
	}
	t.Run("no randomness", func(t *testing.T) {
		w := newWorld(t)
		w.handler.rand = iotest.ErrReader(errors.New("none"))
		w.start()
		w.refused(t, w.post(thirdParty), fault.Internal)
		w.requireNothing(t)
	})
	t.Run("another was first", func(t *testing.T) {
		w := newWorld(t)
		w.store.Fails = func(call string) (bool, error) {
			if call == "register" {
				return false, apps.ErrConflict
			}
			return true, nil
		}
		w.refused(t, w.post(thirdParty), fault.Conflict)
		w.requireNothing(t)
	})
	t.Run("the second event", func(t *testing.T) {
		w := newWorld(t)
		w.keys.Fails = func(string) (bool, error) { w.Audit.Fail(errors.New("down")); return true, nil }
		w.refused(t, w.post(thirdParty), fault.Unavailable)
		w.keys.Fails = nil
		w.Audit.Fail(nil)
		w.requireNothing(t)
	})
	t.Run("the list", func(t *testing.T) {
		for _, call := range []string{"requests", "apps"} {
			w := newWorld(t)
			w.said(t, 201, w.post(thirdParty))
			w.store.Fails = failAt(call)
			w.refused(t, w.event("sam", "GET", "/apps", nil, ""), fault.Unavailable)
		}
	})
}

func failAt(call string) appstest.Fails {
	return func(asked string) (bool, error) {
		if asked == call {
			return false, fault.New(fault.Unavailable, "down")
		}
		return true, nil
	}
}

func TestKillSwitch(t *testing.T) {
	w := newWorld(t)
	a := w.said(t, 201, w.post(thirdParty))
	for _, state := range []access.State{access.Off, access.Off, access.Active} {
		a.State, a.APIKey = state, ""
		require.Equal(t, a, w.said(t, 200, w.patch(a.Client, `{"state": "`+string(state)+`"}`)))
		require.Equal(t, []string{"state=" + string(state)}, w.Audit.Events()[len(w.Audit.Events())-1].Changes)
	}
	w.store.Put(apps.App{Client: "own", Kind: access.OwnApp, State: access.Active})
	w.store.Put(apps.App{Client: "staff", Kind: access.StaffApp, State: access.Active})
	for _, client := range []string{"own", "staff", "nobody"} {
		w.refused(t, w.patch(client, `{"state": "off"}`), fault.NotFound)
	}
	w.store.Fails = failAt("set state")
	w.refused(t, w.patch(a.Client, `{"state": "off"}`), fault.Unavailable)
	w.store.Fails = func(call string) (bool, error) {
		if call == "set state" {
			return false, apps.ErrConflict
		}
		return true, nil
	}
	w.refused(t, w.patch(a.Client, `{"state": "off"}`), fault.Conflict)
	w.store.Fails = failAt("apps")
	w.refused(t, w.patch(a.Client, `{"state": "off"}`), fault.Unavailable)
	w.store.Fails = nil
	w.Audit.Fail(errors.New("down"))
	w.refused(t, w.patch(a.Client, `{"state": "off"}`), fault.Unavailable)
	w.Audit.Fail(nil)
	require.Equal(t, access.Active, w.list(t)[0].State)
}

func TestWhatIsNoChange(t *testing.T) {
	w := newWorld(t)
	a := w.said(t, 201, w.post(thirdParty))
	for body, items := range map[string][]fault.Item{
		`{}`:                                   nil,
		`{"state": "off", "rotate_key": true}`: nil,
		`{"name": "b"}`:                        nil,
		`{"state": "gone"}`:                    {{Pointer: "/state", Rule: "enum"}},
		`{"rotate_key": false}`:                {{Pointer: "/rotate_key", Rule: "const"}},
		`{"retire_key": "nokey"}`:              {{Pointer: "/retire_key", Rule: "known"}},
		`{"retire_key": null, "state": "off"}`: nil,
	} {
		w.refused(t, w.patch(a.Client, body), fault.Invalid, items...)
	}
	w.refused(t, w.patch(a.Client, `{`), fault.BadRequest)
}

func TestRotate(t *testing.T) {
	w := newWorld(t)
	a := w.said(t, 201, w.post(thirdParty))
	w.refused(t, w.patch(a.Client, `{"retire_key": "`+a.Keys[0].ID+`"}`), fault.Conflict)
	b := w.said(t, 200, w.patch(a.Client, `{"rotate_key": true}`))
	require.Len(t, b.Keys, 2)
	require.NotEqual(t, a.APIKey, b.APIKey)
	require.Len(t, w.keys.All(), 2, "both work")
	w.refused(t, w.patch(a.Client, `{"rotate_key": true}`), fault.Conflict)
	c := w.said(t, 200, w.patch(a.Client, `{"retire_key": "`+a.Keys[0].ID+`"}`))
	require.Len(t, c.Keys, 1)
	require.NotEqual(t, a.Keys[0].ID, c.Keys[0].ID)
	require.Equal(t, map[string]string{c.Keys[0].ID: b.APIKey}, w.keys.All())
	w.store.Put(apps.App{Client: "operators", Kind: access.ThirdPartyApp, State: access.Active})
	w.refused(t, w.patch("operators", `{"rotate_key": true}`), fault.Conflict)

	t.Run("a key that cannot be made or stored", func(t *testing.T) {
		before := w.keys.All()
		w.keys.Fails = failAt("create key")
		w.refused(t, w.patch(a.Client, `{"rotate_key": true}`), fault.Unavailable)
		w.keys.Fails, w.store.Fails = nil, failAt("add key")
		w.refused(t, w.patch(a.Client, `{"rotate_key": true}`), fault.Unavailable)
		w.store.Fails = nil
		w.Audit.Fail(errors.New("down"))
		w.refused(t, w.patch(a.Client, `{"rotate_key": true}`), fault.Unavailable)
		w.Audit.Fail(nil)
		require.Equal(t, before, w.keys.All())
	})
	t.Run("a retirement that is interrupted is done again", func(t *testing.T) {
		w.said(t, 200, w.patch(a.Client, `{"rotate_key": true}`))
		retire := w.patch(a.Client, `{"retire_key": "`+c.Keys[0].ID+`"}`)
		w.Audit.Fail(errors.New("down"))
		w.refused(t, retire, fault.Unavailable)
		w.Audit.Fail(nil)
		w.store.Fails = failAt("retire key")
		w.refused(t, retire, fault.Unavailable)
		require.Len(t, w.keys.All(), 2)
		w.store.Fails, w.keys.Fails = nil, failAt("delete key")
		w.refused(t, retire, fault.Unavailable)
		i := slices.IndexFunc(w.list(t)[0].Keys, func(k key) bool { return k.ID == c.Keys[0].ID })
		require.Equal(t, "retired", w.list(t)[0].Keys[i].State, "it opens nothing any more")
		w.keys.Fails, w.store.Fails = nil, failAt("forget key")
		w.refused(t, retire, fault.Unavailable)
		w.store.Fails = nil
		require.Len(t, w.said(t, 200, retire).Keys, 1)
	})
}
