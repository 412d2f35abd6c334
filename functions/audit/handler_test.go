package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"fitvault/guard/contract"
	"fitvault/shared/access"
	"fitvault/shared/apps"
	"fitvault/shared/auditlog"
	"fitvault/shared/auditlog/record"
	"fitvault/shared/auditlog/sequence"
	"fitvault/shared/auditlog/sequence/sequencetest"
	"fitvault/shared/auditlog/tiles"
	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
	"fitvault/shared/keyring"
	"fitvault/shared/vault"
)

const (
	staffClient = "staffclient"
	staffKey    = "staff-key-0123456789abcdef"
)

// world is audit over a log of Ada's and Ben's events; Ina is auditor.
type world struct {
	*edgetest.World
	log   *sequencetest.Log
	guard *edge.Guard
	fails struct{ objects, subjects, keys error }
}

func newWorld(t testing.TB) *world {
	w := &world{World: edgetest.New(t), log: sequencetest.NewLog(t, 0)}
	for n := range 300 {
		w.log.Store(t, []string{w.Ada.String(), w.Ben.String()}[n%2])
	}
	w.log.Run(t)
	w.Accounts.Put(access.Documents{App: &access.App{Client: staffClient, State: access.Active, Kind: access.StaffApp, Scopes: []string{scopeAudit},
		APIKeys: [][32]byte{apps.Digest(staffKey)}}})
	w.Accounts.Put(access.Documents{App: &access.App{Client: edgetest.Client, State: access.Active, Kind: access.OwnApp, Scopes: []string{scopePrivacy},
		APIKeys: [][32]byte{apps.Digest(edgetest.APIKey)}}})
	w.Accounts.PutCaller(edgetest.StaffIssuer, "ina", access.Caller{Roles: []access.Role{access.Auditor}})
	h := handler{objects: w, subjects: w, keys: w, log: w.log.Verifier, vkey: w.log.VKey}
	w.guard = edge.New(w.Config("audit"), h.routes()...)
	return w
}

// The world is what the handler uses, and fails where it is told to.
func (w *world) Get(ctx context.Context, path string) ([]byte, error) {
	if w.fails.objects != nil {
		return nil, w.fails.objects
	}
	return w.log.Get(ctx, path)
}

func (w *world) Pseudonym(ctx context.Context, name string) (record.Pseudonym, error) {
	if w.fails.subjects != nil {
		return record.Pseudonym{}, w.fails.subjects
	}
	return w.log.Pseudonym(ctx, name)
}

func (w *world) Key(ctx context.Context, p record.Pseudonym) (string, []byte, error) {
	if w.fails.subjects != nil {
		return "", nil, w.fails.subjects
	}
	return w.log.Key(ctx, p)
}

func (w *world) Leaves(ctx context.Context, p record.Pseudonym, before int64, limit int) ([]int64, error) {
	return w.log.Leaves(ctx, p, before, limit)
}

func (w *world) Audit(context.Context) (record.ServiceKey, error) {
	return w.log.Service, w.fails.keys
}

func (w *world) Pages(context.Context) (vault.PagesKey, error) {
	k, err := vault.NewPagesKey(make([]byte, 32))
	return k, errors.Join(err, w.fails.keys)
}

func (w *world) staff(subject, resource string, parameters map[string]string, query ...string) events.APIGatewayProxyRequest {
	e := w.Event(subject, "GET", resource, parameters)
	claims := w.StaffClaims(subject)
	claims["client_id"], claims["scope"] = staffClient, scopeAudit
	edgetest.SetHeader(&e, "Authorization", "Bearer "+edgetest.SignStaff(claims))
	edgetest.SetHeader(&e, "x-api-key", staffKey)
	return asking(e, query...)
}

func asking(e events.APIGatewayProxyRequest, query ...string) events.APIGatewayProxyRequest {
	e.MultiValueQueryStringParameters = map[string][]string{}
	for i := 0; i < len(query); i += 2 {
		e.MultiValueQueryStringParameters[query[i]] = []string{query[i+1]}
	}
	return e
}

func (w *world) owner(subject string, query ...string) events.APIGatewayProxyRequest {
	e := w.Event(subject, "GET", "/users/{user}/access-log", map[string]string{"user": "me"})
	claims := w.Claims(subject)
	claims["scope"] = scopePrivacy
	edgetest.SetHeader(&e, "Authorization", "Bearer "+edgetest.Sign(claims))
	return asking(e, query...)
}

func (w *world) answer(e events.APIGatewayProxyRequest) events.APIGatewayProxyResponse {
	answer, _ := w.guard.Handle(context.Background(), e)
	return answer
}

func said[T any](t *testing.T, w *world, e events.APIGatewayProxyRequest) (v T) {
	t.Helper()
	answer := w.answer(e)
	require.Equal(t, 200, answer.StatusCode, answer.Body)
	require.NoError(t, json.Unmarshal([]byte(answer.Body), &v))
	return v
}

func (w *world) refused(t *testing.T, e events.APIGatewayProxyRequest, kind fault.Kind) {
	t.Helper()
	edgetest.RequireProblem(t, w.answer(e), kind)
}

func (w *world) last(t *testing.T) auditlog.Event {
	all := w.World.Audit.Events()
	require.NotEmpty(t, all)
	return all[len(all)-1]
}

func TestRoutes(t *testing.T) {
	want, err := contract.Belonging("../..", "audit")
	require.NoError(t, err)
	require.Empty(t, contract.DifferInDetail("openapi.yaml", want, "audit", contract.OfHandlers(handler{}.routes())))
}

func TestRecordedEvents(t *testing.T) {
	w := newWorld(t)
	ada := w.owner("ada").MultiValueHeaders["Authorization"][0]
	ina := w.staff("ina", "/audit/checkpoint", nil).MultiValueHeaders["Authorization"][0]
	recorded, err := contract.Recorded("../..", "audit", map[string]string{"token.ina": strings.TrimPrefix(ina, "Bearer "), "key.staff": staffKey,
		"token.ada": strings.TrimPrefix(ada, "Bearer "), "key.app": edgetest.APIKey})
	require.NoError(t, err)
	for name, status := range map[string]int{"audit-get-checkpoint.json": 200, "audit-list-entries.json": 200, "audit-get-inclusion.json": 200,
		"audit-get-consistency.json": 200, "audit-get-pseudonym.json": 404, "audit-get-access-log.json": 200} {
		answer := w.answer(recorded[name])
		require.Equal(t, status, answer.StatusCode, "%s: %s", name, answer.Body)
		delete(recorded, name)
	}
	require.Empty(t, recorded, "an event that no test knows")
}

// TestWhoMayAsk: auditors alone, of the log; of an access log its owner alone.
func TestWhoMayAsk(t *testing.T) {
	w := newWorld(t)
	routes := []events.APIGatewayProxyRequest{w.staff("ina", "/audit/checkpoint", nil), w.staff("ina", "/audit/entries", nil, "from", "0", "to", "1"),
		w.staff("ina", "/audit/proofs/inclusion", nil, "index", "0", "size", "1"), w.staff("ina", "/audit/proofs/consistency", nil, "from", "1", "to", "2"),
		w.staff("ina", "/audit/pseudonyms/{pseudonym}", map[string]string{"pseudonym": record.Pseudonym{}.String()})}
	for _, role := range access.Roles {
		if role != access.Auditor {
			w.Accounts.PutCaller(edgetest.StaffIssuer, "ina", access.Caller{Roles: []access.Role{role}})
			for _, e := range routes {
				w.refused(t, e, fault.Forbidden)
			}
		}
	}
	e := w.owner("ada")
	e.PathParameters = map[string]string{"user": w.Ben.String()}
	w.refused(t, e, fault.NotFound)
}

func TestCheckpoint(t *testing.T) {
	w := newWorld(t)
	got := said[struct {
		Checkpoint, Key string
		Size            int64
	}](t, w, w.staff("ina", "/audit/checkpoint", nil))
	require.Equal(t, string(w.log.Objects()[tiles.CheckpointPath]), got.Checkpoint)
	require.Equal(t, w.log.VKey, got.Key)
	require.EqualValues(t, 300, got.Size)
	require.Equal(t, "audit.read", w.last(t).Action)

	w.log.SetObject(tiles.CheckpointPath, []byte("another"))
	w.refused(t, w.staff("ina", "/audit/checkpoint", nil), fault.Internal)
	w.fails.objects = errors.New("down")
	w.refused(t, w.staff("ina", "/audit/checkpoint", nil), fault.Unavailable)
}

type entries struct {
	Size  int64
	Items []struct {
		Index         int64
		Entry, Sealed []byte
		Event         map[string]any
	}
}

func TestListEntries(t *testing.T) {
	w := newWorld(t)
	ask := func(from, to string) events.APIGatewayProxyRequest {
		return w.staff("ina", "/audit/entries", nil, "from", from, "to", to)
	}
	got := said[entries](t, w, ask("250", "260"))
	require.Len(t, got.Items, 10)
	for i, e := range got.Items {
		require.EqualValues(t, 250+i, e.Index)
		require.True(t, tiles.Beside(e.Entry, e.Sealed))
		require.Equal(t, "readings.read", e.Event["action"])
		require.Regexp(t, "^p-[a-z2-7]{26}$", e.Event["owner"])
	}
	require.Equal(t, 10, w.last(t).Records)
	answer := w.answer(ask("0", "256"))
	require.NotContains(t, answer.Body, w.Ada.String())
	require.Len(t, said[entries](t, w, ask("299", "400")).Items, 1, "what is not there yet is left out")
	require.Empty(t, said[entries](t, w, ask("500", "501")).Items)
	for _, bad := range [][2]string{{"", "1"}, {"1", ""}, {"-1", "1"}, {"2", "1"}, {"0", "257"}, {"0x1", "2"}, {"1e3", "1001"}, {"9223372036854775808", "0"}} {
		w.refused(t, ask(bad[0], bad[1]), fault.BadRequest)
	}

	ada, err := w.log.Pseudonym(t.Context(), w.Ada.String())
	require.NoError(t, err)
	hers, erased := 0, 0
	for _, e := range got.Items {
		if e.Event["owner"] == ada.String() {
			hers++
		}
	}
	w.log.Erase(w.Ada.String())
	for _, e := range said[entries](t, w, ask("250", "260")).Items {
		if e.Event == nil {
			erased++
		}
	}
	require.Equal(t, hers, erased, "the entries stand, the events are gone")

	w.fails.subjects = errors.New("down")
	w.refused(t, ask("0", "1"), fault.Unavailable)
	w.fails.subjects, w.fails.keys = nil, fault.New(fault.Unavailable, "down")
	w.refused(t, ask("0", "1"), fault.Unavailable)
	w.fails.keys = nil
	w.log.SetObject("tile/entries/000", []byte{1})
	w.refused(t, ask("0", "1"), fault.Internal)
	w.log.SetObject("tile/entries/000", nil)
	w.refused(t, ask("0", "1"), fault.Unavailable)
}

func decoded(t *testing.T, hashes ...string) (all [][]byte) {
	for _, h := range hashes {
		b, err := base64.StdEncoding.DecodeString(h)
		require.NoError(t, err)
		all = append(all, b)
	}
	return all
}

func (w *world) checkpoint(t *testing.T) tiles.Checkpoint {
	c, err := tiles.OpenCheckpoint(w.log.Objects()[tiles.CheckpointPath], w.log.Verifier)
	require.NoError(t, err)
	return c
}

// TestProofs: another implementation takes them.
func TestProofs(t *testing.T) {
	w := newWorld(t)
	root := w.checkpoint(t).Root
	included := func(p inclusion) error {
		return proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(p.Index), uint64(p.Size), decoded(t, p.Leaf)[0], decoded(t, p.Hashes...), root[:]) //nolint:gosec // not negative
	}
	p := said[inclusion](t, w, w.staff("ina", "/audit/proofs/inclusion", nil, "index", "7", "size", "300"))
	require.NoError(t, included(p))
	p.Index++
	require.Error(t, included(p))
	smaller := said[inclusion](t, w, w.staff("ina", "/audit/proofs/inclusion", nil, "index", "7", "size", "8"))
	require.Len(t, smaller.Hashes, 3)

	w.log.Store(t, w.Ada.String())
	w.log.Run(t)
	grown := w.checkpoint(t).Root
	c := said[struct {
		From, To uint64
		Hashes   []string
	}](t, w, w.staff("ina", "/audit/proofs/consistency", nil, "from", "300", "to", "301"))
	require.NoError(t, proof.VerifyConsistency(rfc6962.DefaultHasher, c.From, c.To, decoded(t, c.Hashes...), root[:], grown[:]))

	for _, bad := range [][2]string{{"301", "301"}, {"0", "302"}, {"0", "0"}} {
		w.refused(t, w.staff("ina", "/audit/proofs/inclusion", nil, "index", bad[0], "size", bad[1]), fault.NotFound)
	}
	for _, bad := range [][2]string{{"0", "1"}, {"2", "1"}, {"1", "302"}} {
		w.refused(t, w.staff("ina", "/audit/proofs/consistency", nil, "from", bad[0], "to", bad[1]), fault.NotFound)
	}
	w.refused(t, w.staff("ina", "/audit/proofs/inclusion", nil, "index", "a", "size", "1"), fault.BadRequest)
	w.refused(t, w.staff("ina", "/audit/proofs/consistency", nil, "from", "1"), fault.BadRequest)
	w.log.SetObject("tile/0/000", make([]byte, 8192))
	require.GreaterOrEqual(t, w.answer(w.staff("ina", "/audit/proofs/inclusion", nil, "index", "7", "size", "300")).StatusCode, 500)
	require.GreaterOrEqual(t, w.answer(w.staff("ina", "/audit/proofs/consistency", nil, "from", "7", "to", "300")).StatusCode, 500)
}

// TestAlteredLogIsAnAlarm: who comes upon something that is not the log's is told no more than
// 500, and somebody is told to look.
func TestAlteredLogIsAnAlarm(t *testing.T) {
	entries := func(w *world) events.APIGatewayProxyRequest {
		return w.staff("ina", "/audit/entries", nil, "from", "0", "to", "1")
	}
	inclusion := func(w *world) events.APIGatewayProxyRequest {
		return w.staff("ina", "/audit/proofs/inclusion", nil, "index", "0", "size", "300")
	}
	own := func(w *world) events.APIGatewayProxyRequest { return w.owner("ada", "page_size", "40") }
	for name, test := range map[string]struct {
		path string
		ask  func(*world) events.APIGatewayProxyRequest
	}{
		"a tile":       {"tile/0/000", inclusion},
		"an entry":     {"tile/entries/000", entries},
		"an event":     {"events/000", entries},
		"his event":    {"events/001.p/44", own},
		"a checkpoint": {tiles.CheckpointPath, own},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			require.Contains(t, w.log.Objects(), test.path)
			w.log.SetObject(test.path, []byte("x"))
			w.refused(t, test.ask(w), fault.Internal)
			require.Equal(t, [2]string{string(auditlog.Alarm), sequence.LogAltered}, [2]string{string(w.last(t).Outcome), w.last(t).Kind})
			w.log.SetObject(test.path, nil)
			w.fails.objects = errors.New("down")
			w.refused(t, test.ask(w), fault.Unavailable)
			require.Equal(t, auditlog.Allowed, w.last(t).Outcome)
			w.World.Audit.Fail(errors.New("down"))
			w.refused(t, test.ask(w), fault.Unavailable)
		})
	}
}

// TestPseudonyms: who one is can be asked, and the person sees that it was.
func TestPseudonyms(t *testing.T) {
	w := newWorld(t)
	p, err := w.log.Pseudonym(t.Context(), w.Ada.String())
	require.NoError(t, err)
	ask := func(p string) events.APIGatewayProxyRequest {
		return w.staff("ina", "/audit/pseudonyms/{pseudonym}", map[string]string{"pseudonym": p})
	}
	got := said[map[string]string](t, w, ask(p.String()))
	require.Equal(t, map[string]string{"name": w.Ada.String()}, got)
	require.Equal(t, [2]string{"audit.resolve", w.Ada.String()}, [2]string{w.last(t).Action, w.last(t).Owner})
	w.refused(t, ask("p-x"), fault.NotFound)
	w.refused(t, ask(record.Pseudonym{1}.String()), fault.NotFound)
	w.World.Audit.Fail(errors.New("down"))
	w.refused(t, ask(p.String()), fault.Unavailable)
	w.World.Audit.Fail(nil)
	w.fails.subjects = errors.New("down")
	w.refused(t, ask(p.String()), fault.Unavailable)
	w.fails.subjects = nil
	w.log.Erase(w.Ada.String())
	w.refused(t, ask(p.String()), fault.NotFound)
}

type accesses struct {
	Checkpoint string
	Items      []struct {
		Event map[string]any
		Entry []byte
		Mine  bool
		Proof inclusion
	}
	Next string `json:"next_page_token"`
}

// TestAccessLog: all of an owner's events, none of others', each once, with a proof
// that holds.
func TestAccessLog(t *testing.T) {
	w := newWorld(t)
	w.log.Store(t, w.Ada.String())
	w.log.Run(t)
	seen, query := map[any]bool{}, []string{"page_size", "40"}
	for pages := 0; ; pages++ {
		page := said[accesses](t, w, w.owner("ada", query...))
		c, err := tiles.OpenCheckpoint([]byte(page.Checkpoint), w.log.Verifier)
		require.NoError(t, err)
		for _, item := range page.Items {
			require.False(t, seen[item.Event["id"]])
			seen[item.Event["id"]] = true
			require.True(t, item.Mine)
			leaf := rfc6962.DefaultHasher.HashLeaf(item.Entry)
			require.NoError(t, proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(item.Proof.Index), uint64(item.Proof.Size), leaf, decoded(t, item.Proof.Hashes...), c.Root[:])) //nolint:gosec // not negative
		}
		if page.Next == "" {
			require.Equal(t, 3, pages)
			break
		}
		query = []string{"page_size", "40", "page_token", page.Next}
	}
	require.Len(t, seen, 151)

	w.refused(t, w.owner("ada", "page_size", "0"), fault.BadRequest)
	w.refused(t, w.owner("ada", "page_token", "x"), fault.BadPageToken)
	w.fails.subjects = errors.New("down")
	w.refused(t, w.owner("ada"), fault.Unavailable)
	w.fails.subjects, w.fails.objects = nil, errors.New("down")
	w.refused(t, w.owner("ada"), fault.Unavailable)
	w.fails.objects, w.fails.keys = nil, keyring.ErrAltered
	w.refused(t, w.owner("ada"), fault.Internal)
	w.fails.keys = nil
	w.log.Erase(w.Ben.String())
	require.Empty(t, said[accesses](t, w, w.owner("ben")).Items, "of whom nothing was taken, or is any more, nothing is shown")
}
