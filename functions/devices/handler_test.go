package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/guard/contract"
	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
	"fitvault/shared/pairing"
	"fitvault/shared/pairing/pairingtest"
	"fitvault/shared/pairing/tracker"
)

// world is devices over fakes, in the world of edgetest. Its owners' documents show
// what the fake store has paired.
type world struct {
	*edgetest.World
	guard     *edge.Guard
	store     pairingtest.Store
	authority *pairingtest.Authority
	trackers  trackers
}

func (w *world) Read(ctx context.Context, keys access.Keys) (access.Documents, error) {
	docs, err := w.Accounts.Read(ctx, keys)
	if docs.Owner != nil {
		owner := *docs.Owner
		owner.Trackers = w.store.Trackers(owner.User)
		docs.Owner = &owner
	}
	return docs, err
}

func newWorld(t testing.TB) *world {
	w := &world{World: edgetest.New(t)}
	w.authority = pairingtest.NewAuthority(t, "fitvault", w.Time)
	w.trackers = &w.store
	w.Accounts.Put(access.Documents{App: &access.App{Client: staffClient, State: access.Active, Kind: access.StaffApp, Scopes: []string{scopeRegister},
		APIKeys: [][sha256.Size]byte{sha256.Sum256([]byte(staffKey))}}})
	w.Accounts.PutCaller(edgetest.StaffIssuer, "maker", access.Caller{Roles: []access.Role{access.Maker}, Organisations: []string{"acme"}})
	w.start()
	return w
}

func (w *world) start() {
	config := w.Config("devices")
	config.Documents = w
	h := handler{trackers: w.trackers, pairing: &pairing.Service{Deployment: "fitvault", Store: &w.store, Signer: w.authority,
		Certificate: w.authority.Certificate, Now: w.Now, Rand: rand.Reader}}
	w.guard = edge.New(config, h.routes()...)
}

func (w *world) event(subject, method, resource string, parameters map[string]string, body string) events.APIGatewayProxyRequest {
	e := w.Event(subject, method, resource, parameters)
	if resource == "/devices" {
		edgetest.SetHeader(&e, "Authorization", "Bearer "+w.staffToken(subject))
		edgetest.SetHeader(&e, "x-api-key", staffKey)
	}
	if body != "" {
		edgetest.SetBody(&e, "application/json", body)
	}
	return e
}

func (w *world) staffToken(subject string) string {
	claims := w.StaffClaims(subject)
	claims["scope"], claims["client_id"] = scopeRegister, staffClient
	return edgetest.SignStaff(claims)
}

const (
	staffClient = "8staff"
	staffKey    = "staff-key-0123456789abcdef"

	all = "/users/{user}/devices"
	one = "/users/{user}/devices/{device}"
)

var me = map[string]string{"user": "me"}

func mine(device string) map[string]string { return map[string]string{"user": "me", "device": device} }

func (w *world) do(e events.APIGatewayProxyRequest) events.APIGatewayProxyResponse {
	answer, _ := w.guard.Handle(context.Background(), e)
	return answer
}

// said requires a status and reads the answer.
func said[T any](t *testing.T, w *world, e events.APIGatewayProxyRequest, status int) (out T) {
	t.Helper()
	answer := w.do(e)
	require.Equal(t, status, answer.StatusCode, answer.Body)
	require.NoError(t, json.Unmarshal([]byte(answer.Body), &out))
	return out
}

func (w *world) refused(t *testing.T, e events.APIGatewayProxyRequest, kind fault.Kind) []fault.Item {
	t.Helper()
	return edgetest.RequireProblem(t, w.do(e), kind)
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// made is a tracker that its maker has registered.
func (w *world) made(t *testing.T, serial string) *tracker.Tracker {
	t.Helper()
	tr, err := tracker.New("acme-"+serial, "fitvault", w.authority.Root, w.Now, rand.Reader)
	require.NoError(t, err)
	require.Equal(t, 201, w.do(w.event("maker", http.MethodPost, "/devices", nil, registered(tr))).StatusCode)
	return tr
}

func registered(tr *tracker.Tracker) string {
	return text(map[string]string{"id": tr.ID, "model": "band-2", "public_key": b64(tr.PublicKey()), "code_hash": b64(tr.CodeHash())})
}

// asked is what a phone posts.
func asked(t *testing.T, tr *tracker.Tracker) map[string]any {
	p, err := tr.Press()
	require.NoError(t, err)
	in := map[string]any{"device": p.ID, "nonce": b64(p.Nonce), "code": p.Code}
	if i := p.Introduction; i != nil {
		in["reset"] = map[string]string{"public_key": b64(i.Key), "code_hash": b64(i.CodeHash), "signature": b64(i.Signature)}
	}
	return in
}

type begun struct {
	Pairing                         string
	Message, Signature, Certificate string
}

func (w *world) begin(t *testing.T, subject string, tr *tracker.Tracker) begun {
	t.Helper()
	return said[begun](t, w, w.event(subject, http.MethodPost, "/pairings", nil, text(asked(t, tr))), 201)
}

func answered(t *testing.T, tr *tracker.Tracker, b begun) string {
	t.Helper()
	bytes := func(s string) []byte {
		d, err := base64.RawURLEncoding.DecodeString(s)
		require.NoError(t, err)
		return d
	}
	signature, err := tr.Answer(bytes(b.Message), bytes(b.Signature), bytes(b.Certificate))
	require.NoError(t, err)
	return text(map[string]string{"signature": b64(signature)})
}

func (w *world) confirmation(subject string, b begun, body string) events.APIGatewayProxyRequest {
	return w.event(subject, http.MethodPost, "/pairings/{id}/confirm", map[string]string{"id": b.Pairing}, body)
}

func (w *world) pair(t *testing.T, subject, serial string) (*tracker.Tracker, device) {
	t.Helper()
	tr := w.made(t, serial)
	b := w.begin(t, subject, tr)
	return tr, said[device](t, w, w.confirmation(subject, b, answered(t, tr, b)), 200)
}

func TestRoutes(t *testing.T) {
	want, err := contract.Belonging("../..", "devices")
	require.NoError(t, err)
	require.Empty(t, contract.DifferInDetail("openapi.yaml", want, "devices", contract.OfHandlers(handler{}.routes())))
}

func TestRecordedEvents(t *testing.T) {
	w := newWorld(t)
	recorded, err := contract.Recorded("../..", "devices", map[string]string{
		"token.ada": edgetest.Sign(w.Claims("ada")), "key.app": edgetest.APIKey, "user.ada": w.Ada.String(), "token.max": w.staffToken("maker"), "key.staff": staffKey})
	require.NoError(t, err)
	for name, status := range map[string]int{"devices-post-device.json": 201, "devices-post-pairing.json": 404, "devices-confirm-pairing.json": 404,
		"devices-get-devices.json": 200, "devices-patch-device.json": 404, "devices-delete-device.json": 404} {
		require.Equal(t, status, w.do(recorded[name]).StatusCode, name)
		delete(recorded, name)
	}
	require.Empty(t, recorded, "an event that no test knows")
}

// TestALife: from the maker to an owner, and on to the next.
func TestALife(t *testing.T) {
	w := newWorld(t)
	tr, d := w.pair(t, "ada", "1")
	require.Equal(t, device{"acme-1", "acme-1", access.Active, d.Pairing, w.Time}, d)
	list := func(subject string) []device {
		return said[struct{ Items []device }](t, w, w.event(subject, http.MethodGet, all, me, ""), 200).Items
	}
	require.Equal(t, []device{d}, list("ada"))
	require.Equal(t, []device{}, list("ben"))

	d.Name = "Zoë's band"
	require.Equal(t, d, said[device](t, w, w.event("ada", http.MethodPatch, one, mine("acme-1"), `{"name": "Zoe\u0308's band"}`), 200))
	d.State = access.Lost
	require.Equal(t, d, said[device](t, w, w.event("ada", http.MethodPatch, one, mine("acme-1"), `{"state": "lost"}`), 200))
	require.Equal(t, []device{d}, list("ada"))
	require.NoError(t, tr.Done(d.Pairing))
	require.NoError(t, tr.Reset())
	w.refused(t, w.event("ben", http.MethodPost, "/pairings", nil, text(asked(t, tr))), fault.NotFound) // it is still Ada's
	gone := w.do(w.event("ada", http.MethodDelete, one, mine("acme-1"), ""))
	require.Equal(t, [2]any{204, ""}, [2]any{gone.StatusCode, gone.Body})
	require.Empty(t, list("ada"))
	w.refused(t, w.event("ada", http.MethodDelete, one, mine("acme-1"), ""), fault.NotFound)

	b := w.begin(t, "ben", tr)
	require.Equal(t, "acme-1", said[device](t, w, w.confirmation("ben", b, answered(t, tr, b)), 200).ID)
	require.Len(t, list("ben"), 1)

	var actions []string
	for _, e := range w.Audit.Events() {
		if e.Outcome == auditlog.Allowed && e.Action == string(access.DevicesWrite) {
			actions = append(actions, e.Device+" "+e.Pairing)
		}
	}
	require.Equal(t, []string{"acme-1 " + d.Pairing, "acme-1 " + d.Pairing, "acme-1 " + d.Pairing, "acme-1 " + d.Pairing, "acme-1 " + d.Pairing,
		"acme-1 " + b.Pairing, "acme-1 " + b.Pairing}, actions)
}

func TestRegister(t *testing.T) {
	w := newWorld(t)
	tr := w.made(t, "1")
	require.JSONEq(t, registered(tr), w.do(w.event("maker", http.MethodPost, "/devices", nil, registered(tr))).Body, "the same once more")
	other, err := tracker.New("acme-1", "fitvault", w.authority.Root, w.Now, rand.Reader)
	require.NoError(t, err)
	w.refused(t, w.event("maker", http.MethodPost, "/devices", nil, registered(other)), fault.Conflict)
	w.refused(t, w.event("ada", http.MethodPost, "/devices", nil, registered(other)), fault.Forbidden)
	other.ID = "bolt-1"
	w.refused(t, w.event("maker", http.MethodPost, "/devices", nil, registered(other)), fault.Forbidden)
	b := w.begin(t, "ada", tr)
	require.Equal(t, 200, w.do(w.confirmation("ada", b, answered(t, tr, b))).StatusCode)
	w.refused(t, w.event("maker", http.MethodPost, "/devices", nil, registered(tr)), fault.Conflict)

	for pointer, change := range map[string]map[string]string{
		"/id": {"id": "acme"}, "/model": {"model": ""}, "/public_key": {"public_key": "AA"}, "/code_hash": {"code_hash": "AA"},
	} {
		var in map[string]string
		require.NoError(t, json.Unmarshal([]byte(registered(tr)), &in))
		for name, value := range change {
			in[name] = value
		}
		items := w.refused(t, w.event("maker", http.MethodPost, "/devices", nil, text(in)), fault.Invalid)
		require.Equal(t, pointer, items[0].Pointer)
	}
}

// TestNoOneLearns: whatever is wrong with a tracker, the answer is the same, byte
// for byte.
func TestNoOneLearns(t *testing.T) {
	w := newWorld(t)
	paired, _ := w.pair(t, "ada", "1")
	free := w.made(t, "2")
	wrongCode := asked(t, free)
	wrongCode["code"] = strings.Repeat("a", 26)
	unknown := asked(t, free)
	unknown["device"] = "acme-3"
	foreign := asked(t, free)
	foreign["device"] = "bolt-1"
	reset := asked(t, free)
	reset["reset"] = map[string]string{"public_key": b64(free.PublicKey()), "code_hash": b64(free.CodeHash()), "signature": "AAAA"}
	var bodies []string
	for _, in := range []map[string]any{wrongCode, unknown, foreign, reset, asked(t, paired)} {
		answer := w.do(w.event("ben", http.MethodPost, "/pairings", nil, text(in)))
		require.Equal(t, 404, answer.StatusCode)
		bodies = append(bodies, answer.Body)
	}
	b := w.begin(t, "ada", free)
	good := answered(t, free, b)
	for _, e := range []events.APIGatewayProxyRequest{
		w.confirmation("ben", b, good),
		w.confirmation("ben", begun{Pairing: strings.Repeat("a", 26)}, good),
		w.confirmation("ben", begun{Pairing: "x"}, good),
		w.confirmation("ada", b, `{"signature": "AAAA"}`),
		w.event("ben", http.MethodPatch, one, mine("acme-1"), `{"name": "mine"}`),
		w.event("ben", http.MethodPatch, one, mine("acme-9"), `{"name": "mine"}`),
		w.event("ben", http.MethodPatch, one, mine("9"), `{"name": "mine"}`),
		w.event("ben", http.MethodDelete, one, mine("acme-1"), ""),
		w.event("ben", http.MethodDelete, one, map[string]string{"user": w.Ada.String(), "device": "acme-1"}, ""),
		w.event("ben", http.MethodGet, all, map[string]string{"user": w.Ada.String()}, ""),
	} {
		answer := w.do(e)
		require.Equal(t, 404, answer.StatusCode)
		bodies = append(bodies, answer.Body)
	}
	for _, body := range bodies {
		require.Equal(t, bodies[0], body)
	}
	require.Equal(t, 200, w.do(w.confirmation("ada", b, good)).StatusCode)
}

func TestRefusedBodies(t *testing.T) {
	w := newWorld(t)
	tr, _ := w.pair(t, "ada", "1")
	free := w.made(t, "2")
	good := asked(t, free)
	with := func(name string, value any) string {
		in := map[string]any{}
		for n, v := range good {
			in[n] = v
		}
		in[name] = value
		return text(in)
	}
	reset := map[string]string{"public_key": b64(tr.PublicKey()), "code_hash": b64(tr.CodeHash()), "signature": "AAAA"}
	without := func(name, value string) map[string]string {
		in := map[string]string{}
		for n, v := range reset {
			in[n] = v
		}
		in[name] = value
		return in
	}
	for body, pointer := range map[string]string{
		with("device", "acme"): "/device", with("nonce", "AAAA"): "/nonce", with("code", "a"): "/code",
		with("reset", without("public_key", "AA")): "/reset/public_key", with("reset", without("code_hash", "AA")): "/reset/code_hash",
	} {
		items := w.refused(t, w.event("ada", http.MethodPost, "/pairings", nil, body), fault.Invalid)
		require.Equal(t, pointer, items[0].Pointer)
	}
	w.refused(t, w.event("ada", http.MethodPost, "/pairings", nil, with("more", 1)), fault.Invalid)
	w.refused(t, w.event("ada", http.MethodPost, "/pairings", nil, with("nonce", "A\n"+strings.Repeat("A", 42))), fault.Invalid)
	w.refused(t, w.event("ada", http.MethodPost, "/pairings", nil, `[]`), fault.Invalid)
	w.refused(t, w.event("ada", http.MethodPost, "/pairings", nil, `{`), fault.BadRequest)
	w.refused(t, w.confirmation("ada", begun{Pairing: strings.Repeat("a", 26)}, `{"signature": "="}`), fault.Invalid)
	for body, pointer := range map[string]string{
		`{}`: "", `{"name": "a\u202eb"}`: "/name", `{"name": ""}`: "/name", `{"state": "off"}`: "/state", `{"state": ""}`: "/state",
	} {
		items := w.refused(t, w.event("ada", http.MethodPatch, one, mine("acme-1"), body), fault.Invalid)
		require.Equal(t, pointer, items[0].Pointer)
	}
	w.refused(t, w.event("ada", http.MethodPatch, one, mine("acme-1"), `{`), fault.BadRequest)
	w.refused(t, w.event("maker", http.MethodPost, "/devices", nil, `{`), fault.BadRequest)
	w.refused(t, w.event("ada", http.MethodPost, "/pairings", nil, text(strings.Repeat("a", maxBody))), fault.TooLarge)
	w.refused(t, w.event("eve", http.MethodPost, "/pairings", nil, text(good)), fault.ConsentRequired) // without an account
}

func TestMostTrackers(t *testing.T) {
	w := newWorld(t)
	for i := range access.MaxTrackers {
		w.pair(t, "ada", string(rune('a'+i)))
	}
	w.refused(t, w.event("ada", http.MethodPost, "/pairings", nil, text(asked(t, w.made(t, "z")))), fault.Conflict)
}

// TestFailures: what fails is said, and nothing is half done.
func TestFailures(t *testing.T) {
	failing := func(w *world, call string) {
		w.store.Hook = func(c string) error {
			if c == call {
				return pairingtest.ErrDown
			}
			return nil
		}
	}
	w := newWorld(t)
	tr, d := w.pair(t, "ada", "1")
	for call, e := range map[string]events.APIGatewayProxyRequest{
		"register":  w.event("maker", http.MethodPost, "/devices", nil, registered(tr)),
		"device":    w.event("maker", http.MethodPost, "/devices", nil, registered(tr)),
		"change":    w.event("ada", http.MethodPatch, one, mine("acme-1"), `{"name": "a"}`),
		"unpair":    w.event("ada", http.MethodDelete, one, mine("acme-1"), ""),
		"count try": w.event("ada", http.MethodPost, "/pairings", nil, text(asked(t, tr))),
		"attempt":   w.confirmation("ada", begun{Pairing: d.Pairing}, `{"signature": "AAAA"}`),
	} {
		failing(w, call)
		w.refused(t, e, fault.Unavailable)
	}
	w.store.Hook = nil
	w.Audit.Fail(errors.New("down"))
	for _, e := range []events.APIGatewayProxyRequest{
		w.event("maker", http.MethodPost, "/devices", nil, registered(tr)),
		w.event("ada", http.MethodGet, all, me, ""),
		w.event("ada", http.MethodPatch, one, mine("acme-1"), `{"name": "a"}`),
		w.event("ada", http.MethodDelete, one, mine("acme-1"), ""),
	} {
		w.refused(t, e, fault.Unavailable)
	}
	w.Audit.Fail(nil)
	require.Equal(t, d.Name, w.store.Trackers(w.Ada)["acme-1"].Name)

	t.Run("what has changed since the decision", func(t *testing.T) {
		for _, e := range []events.APIGatewayProxyRequest{w.event("ada", http.MethodPatch, one, mine("acme-1"), `{"name": "a"}`), w.event("ada", http.MethodDelete, one, mine("acme-1"), "")} {
			w := newWorld(t)
			w.pair(t, "ada", "1")
			w.trackers = late{w.trackers}
			w.start()
			e.Headers["Authorization"] = "Bearer " + edgetest.Sign(w.Claims("ada"))
			e.MultiValueHeaders["Authorization"] = []string{e.Headers["Authorization"]}
			w.refused(t, e, fault.NotFound)
		}
	})
}

// late is a store in which somebody else was first.
type late struct{ trackers }

func (late) Change(context.Context, access.UserID, pairing.DeviceID, access.Tracker) (access.Tracker, bool, error) {
	return access.Tracker{}, false, nil
}

// TestLostStaysLost: a tracker that is said to be lost while it is given another name
// is lost, whoever comes last.
func TestLostStaysLost(t *testing.T) {
	w := newWorld(t)
	w.pair(t, "ada", "1")
	w.trackers = lost{w.trackers}
	w.start()
	d := said[device](t, w, w.event("ada", http.MethodPatch, one, mine("acme-1"), `{"name": "left wrist"}`), 200)
	require.Equal(t, [2]any{"left wrist", access.Lost}, [2]any{d.Name, d.State})
	require.Equal(t, access.Lost, w.store.Trackers(w.Ada)["acme-1"].State)
	events := w.Audit.Events()
	require.Equal(t, []string{"name"}, events[len(events)-1].Changes)
}

// lost is a store in which the tracker is lost between the decision and the change.
type lost struct{ trackers }

func (l lost) Change(ctx context.Context, owner access.UserID, id pairing.DeviceID, t access.Tracker) (access.Tracker, bool, error) {
	if _, done, err := l.trackers.Change(ctx, owner, id, access.Tracker{Pairing: t.Pairing, State: access.Lost}); !done {
		return access.Tracker{}, false, err
	}
	return l.trackers.Change(ctx, owner, id, t)
}

func (late) Unpair(context.Context, access.UserID, pairing.DeviceID, pairing.ID) (bool, error) {
	return false, nil
}

func TestCertificateParameter(t *testing.T) {
	w := newWorld(t)
	good := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.authority.Leaf}))
	der, err := fromPEM(good)
	require.NoError(t, err)
	require.Equal(t, w.authority.Leaf, der)
	for _, text := range []string{"", "x", good + good, strings.ReplaceAll(good, "CERTIFICATE", "PRIVATE KEY")} {
		_, err := fromPEM(text)
		require.Equal(t, fault.Unavailable, fault.KindOf(err))
	}
}

// FuzzDecode: no body takes devices down, and what is read has each member once.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{"device": "acme-1", "nonce": "AA", "code": "a"}`, `{"nonce": "AA\n"}`, `[]`, `{`, `null`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var in registration
		if err := edge.DecodeJSON(body, &in); err != nil {
			require.Contains(t, []fault.Kind{fault.BadRequest, fault.Invalid}, fault.KindOf(err))
			return
		}
		if d, err := in.device(); err == nil {
			require.Equal(t, in.ID, d.ID.String())
			require.Equal(t, []byte(in.Key), d.Key.Bytes())
		}
	})
}
