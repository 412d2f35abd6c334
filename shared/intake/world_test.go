package intake_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/block"
	"fitvault/shared/fault"
	"fitvault/shared/intake"
	"fitvault/shared/intake/intaketest"
	"fitvault/shared/keyring"
	"fitvault/shared/keyring/keyringtest"
	"fitvault/shared/openmhealth"
	"fitvault/shared/reading"
	"fitvault/shared/segment"
	"fitvault/shared/vault"
)

const (
	deployment = "fitvault"
	client     = "app"
)

// world is an intake over fakes that tell a recorder what they are asked, and
// keys as keykeeper and enrol make them.
type world struct {
	*intake.Intake
	manifests intaketest.Manifests
	blocks    intaketest.Blocks
	documents intaketest.Documents
	counters  intaketest.Counters
	keys      *keyringtest.Service
	now       time.Time
	owner     string
	dataKey   string

	mu    sync.Mutex
	calls []string // that had an effect, in order
	begun int
	fail  func(n int, call string, done bool) error // of the n-th call that begins, or of the n-th that is done
}

func newWorld(t testing.TB) *world {
	w := &world{now: time.Date(2026, 5, 10, 12, 0, 0, 0, time.UTC)}
	w.keys = keyringtest.NewService(t, deployment, w.now)
	w.manifests.Now, w.manifests.Hook = w.clock, w.hook
	w.blocks.Hook, w.documents.Hook, w.counters.Hook = w.hook, w.hook, w.hook
	w.owner, w.dataKey = w.enrol(t)
	w.Intake = w.process(t)
	return w
}

func (w *world) clock() time.Time { return w.now }

// later is a time at which a manifest of now has expired.
func (w *world) later() time.Time { return w.now.Add(intake.Keep) }

// process is an intake as another process would have it: the same stores, its own keyring.
func (w *world) process(t testing.TB) *intake.Intake {
	return &intake.Intake{Deployment: deployment, Manifests: &w.manifests, Blocks: &w.blocks, Documents: &w.documents, Counters: &w.counters,
		Keys: w.ring(t), Now: w.clock, Rand: rand.Reader}
}

func (w *world) ring(t testing.TB) *keyring.Ring { return w.keys.Ring(t, w.clock) }

// enrol makes an owner and his key pair.
func (w *world) enrol(t testing.TB) (owner, keyID string) {
	user, err := access.NewUserID(rand.Reader)
	require.NoError(t, err)
	owner, keyID = user.String(), "key-of-"+user.String()
	w.keys.Enrol(t, owner, keyID, w.now, nil)
	return owner, keyID
}

func (w *world) hook(call string, done bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.begun
	if done {
		n, w.calls = len(w.calls), append(w.calls, call)
	} else {
		w.begun++
	}
	if w.fail != nil {
		return w.fail(n, call, done)
	}
	return nil
}

// request is one of the owner's, whose audit event the recorder sees too.
func (w *world) request(key string, body []byte) intake.Request {
	return intake.Request{Owner: w.owner, DataKey: w.dataKey, Client: client, Rank: block.RankOwner, IdempotencyKey: key, Body: body,
		Record: func(_ context.Context, _ string, accepted, _ int) error {
			if err := w.hook("record", false); err != nil {
				return fault.Wrap(fault.Unavailable, "audit event not written", err)
			}
			if err := w.hook("record", true); err != nil {
				return fault.Wrap(fault.Unavailable, "audit event not written", err)
			}
			return nil
		}}
}

// reset forgets the calls so far, and what should fail.
func (w *world) reset() { w.calls, w.begun, w.fail = nil, 0, nil }

// opener opens what is stored, as a reader would.
func (w *world) opener(t testing.TB, sealed []byte) *vault.Opener {
	header, err := vault.Inspect(sealed)
	require.NoError(t, err)
	private, err := w.ring(t).Private(t.Context(), w.owner, header.KeyID)
	require.NoError(t, err)
	writer, err := w.ring(t).Writer(t.Context(), header.WriterKeyID)
	require.NoError(t, err)
	return vault.NewOpener([]vault.PrivateKey{private}, []vault.WriterKey{writer})
}

// opened is a stored block of the owner's.
func (w *world) opened(t testing.TB, item string, sealed []byte) block.Block {
	day, id, ok := strings.Cut(item, "#")
	require.True(t, ok)
	plain, err := w.opener(t, sealed).Open(sealed, intake.BlockPlace(deployment, w.owner, day, id))
	require.NoError(t, err)
	opened, err := block.Decode(plain, segment.DefaultLimits)
	require.NoError(t, err)
	return opened
}

// stored is what the owner's blocks hold, by item.
func (w *world) stored(t testing.TB) map[string][]string {
	found := map[string][]string{}
	for _, p := range w.blocks.Of(w.owner) {
		for _, point := range w.opened(t, p.Item, p.Blob).Points {
			found[p.Item] = append(found[p.Item], string(point.AppendJSON(nil)))
		}
	}
	return found
}

// all is every stored record, sorted.
func all(stored map[string][]string) []string {
	var records []string
	for _, block := range stored {
		records = append(records, block...)
	}
	slices.Sort(records)
	return records
}

// heartRate is a data point as intake writes it, so that texts can be compared.
// pad is free text that makes it larger.
func heartRate(id int, start, pad string) string {
	text := fmt.Sprintf(`{"header":{"id":"id-%d","creation_date_time":"2026-05-10T00:00:00Z",`+
		`"schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"},"acquisition_provenance":{"source_name":"%s"}},`+
		`"body":{"heart_rate":{"value":%d,"unit":"beats/min"},"effective_time_frame":{"date_time":"%s"}}}`, id, pad+"x", 60+id%100, start)
	return text
}

// bad is a data point that the rules refuse.
func bad(id int, start string) string {
	return strings.Replace(heartRate(id, start, ""), "beats/min", "bpm", 1)
}

func body(records ...string) []byte { return []byte("[" + strings.Join(records, ",") + "]") }

func sorted(records ...string) []string { slices.Sort(records); return records }

// accepted and invalid are results.
func accepted(i, id int) openmhealth.Result {
	return openmhealth.Result{Index: i, Accepted: true, ID: fmt.Sprint("id-", id)}
}

func invalid(i int) openmhealth.Result {
	return openmhealth.Result{Index: i, Pointer: "/body/heart_rate/unit", Rule: "enum"}
}

func values(t testing.TB, b []byte) []reading.Value {
	v, err := reading.Decode(jsontext.NewDecoder(strings.NewReader(string(b))), 64)
	require.NoError(t, err)
	return v.List()
}

// parallel calls f with 0 to n-1 at once, and waits.
func parallel(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}

func asJSON(t testing.TB, v any) string {
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}
