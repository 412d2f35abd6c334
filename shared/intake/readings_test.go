package intake_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
	"fitvault/shared/intake"
	"fitvault/shared/intake/intaketest"
	"fitvault/shared/keyring"
	"fitvault/shared/openmhealth"
)

const (
	monday    = "2026-05-04T07:25:00+02:00"
	mondayUTC = "2026-05-04"
	tuesday   = "2026-05-05T07:25:00+02:00"
)

// threeBlocks is a batch of five records, one of them bad, over three days.
func threeBlocks() ([]byte, []openmhealth.Result) {
	return body(heartRate(0, monday, ""), heartRate(1, tuesday, ""), bad(2, monday), heartRate(3, monday, ""), heartRate(4, "2026-05-06T07:25:00Z", "")),
		[]openmhealth.Result{accepted(0, 0), accepted(1, 1), invalid(2), accepted(3, 3), accepted(4, 4)}
}

func TestReadings(t *testing.T) {
	w := newWorld(t)
	sent, want := threeBlocks()
	var manifest string
	var count int
	r := w.request("key", sent)
	r.Record = func(_ context.Context, m string, n, _ int) error { manifest, count = m, n; return nil }
	results, err := w.Readings(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, want, results)

	m := w.manifests.All()[0]
	require.Equal(t, manifest, m.Key, "the event names the manifest")
	require.Equal(t, 4, count, "and the number of accepted records")
	require.Equal(t, keyring.RequestsKeyName, m.RequestsKey)
	require.Equal(t, intake.Rules, m.Rules)
	require.Equal(t, 5, m.Count)
	require.Equal(t, w.now.Add(intake.Keep), m.Expires)
	require.Equal(t, []intake.Rejected{{Index: 2, Pointer: "/body/heart_rate/unit", Rule: "enum"}}, m.Rejected)
	require.Len(t, m.Blocks, 3)
	require.Regexp(t, "^[0-9a-f]{64}$", m.Key)
	for _, value := range []string{w.owner, client, `"key"`, "id-0", "id-2", "beats/min", "bpm"} {
		require.NotContains(t, asJSON(t, m), value, "a manifest holds no value of a request")
	}

	require.Equal(t, map[string][]string{
		mondayUTC + "#" + m.Blocks[0].ID:    {heartRate(0, monday, ""), heartRate(3, monday, "")},
		"2026-05-05" + "#" + m.Blocks[1].ID: {heartRate(1, tuesday, "")},
		"2026-05-06" + "#" + m.Blocks[2].ID: {heartRate(4, "2026-05-06T07:25:00Z", "")},
	}, w.stored(t))
}

// TestOrder is the promise: manifest, audit event, blocks, answer. Whatever
// fails, nothing after it happens.
func TestOrder(t *testing.T) {
	sent, _ := threeBlocks()
	order := []string{"claim", "record", "block", "block", "block"}

	t.Run("nothing fails", func(t *testing.T) {
		w := newWorld(t)
		_, err := w.Readings(t.Context(), w.request("key", sent))
		require.NoError(t, err)
		require.Equal(t, order, w.calls)
	})
	for n, step := range order {
		t.Run(fmt.Sprintf("%s (%d) fails", step, n), func(t *testing.T) {
			w := newWorld(t)
			w.fail = func(i int, _ string, done bool) error { return failAt(n, false, i, done) }
			results, err := w.Readings(t.Context(), w.request("key", sent))
			require.Equal(t, fault.Unavailable, fault.KindOf(err))
			require.Nil(t, results)
			require.Equal(t, order[:min(n, 2)], append([]string{}, w.calls[:min(n, 2)]...))
			require.LessOrEqual(t, len(w.blocks.Of(w.owner)), max(0, len(order)-3), "blocks are stored at the same time: others may be there")
			require.Len(t, w.calls, min(n, 2)+len(w.blocks.Of(w.owner)))
		})
	}
}

// failAt lets call n fail: before it has its effect, or, with lost, after that.
func failAt(n int, lost bool, i int, done bool) error {
	if i == n && done == lost {
		return intaketest.ErrDown
	}
	return nil
}

// TestRetry: after a failure at any write, before it happened or after, a retry
// ends with exactly the sent records once, and answers as if nothing had been.
func TestRetry(t *testing.T) {
	sent, want := threeBlocks()
	for n, step := range []string{"claim", "record", "block", "block", "block"} {
		for _, lost := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s (%d), done: %v", step, n, lost), func(t *testing.T) {
				w := newWorld(t)
				w.fail = func(i int, _ string, done bool) error { return failAt(n, lost, i, done) }
				_, err := w.Readings(t.Context(), w.request("key", sent))
				require.Equal(t, fault.Unavailable, fault.KindOf(err))

				for range 2 { // the second retry finds all of it done
					w.reset()
					w.Intake = w.process(t)
					results, err := w.Readings(t.Context(), w.request("key", sent))
					require.NoError(t, err)
					require.Equal(t, want, results)
					require.Equal(t, []string{"claim", "record", "block", "block", "block"}, w.calls)
					require.Len(t, w.manifests.All(), 1)
					requireBlocksOf(t, w, w.manifests.All()[0])
					require.Equal(t, sorted(heartRate(0, monday, ""), heartRate(1, tuesday, ""), heartRate(3, monday, ""),
						heartRate(4, "2026-05-06T07:25:00Z", "")), all(w.stored(t)))
				}
			})
		}
	}
}

// requireBlocksOf requires exactly a manifest's blocks in the store.
func requireBlocksOf(t *testing.T, w *world, m intake.Manifest) {
	t.Helper()
	var want, got []string
	for _, b := range m.Blocks {
		want = append(want, intake.BlockItem(b.Day, b.ID))
	}
	for _, p := range w.blocks.Of(w.owner) {
		got = append(got, p.Item)
	}
	require.ElementsMatch(t, want, got)
}

// TestKeysFail: without the keys nothing is decided; without a sealer nothing is stored.
func TestKeysFail(t *testing.T) {
	sent, _ := threeBlocks()
	t.Run("no requests key", func(t *testing.T) {
		w := newWorld(t)
		w.keys.KMS.Hook = func(string) error { return errKeyring }
		_, err := w.Readings(t.Context(), w.request("key", sent))
		require.Equal(t, fault.Unavailable, fault.KindOf(err))
		require.Empty(t, w.calls)
	})
	t.Run("no owner key", func(t *testing.T) {
		w := newWorld(t)
		r := w.request("key", sent)
		r.DataKey = "another"
		_, err := w.Readings(t.Context(), r)
		require.ErrorIs(t, err, keyring.ErrAltered, "the owner's policy names it")
		require.Equal(t, []string{"claim", "record"}, w.calls)
	})
	t.Run("an owner key that enrol did not sign", func(t *testing.T) {
		w := newWorld(t)
		stranger, _, err := w.keys.KMS.NewPair(t.Context(), keyring.PurposeData, nil)
		require.NoError(t, err)
		w.keys.Enrol(t, w.owner, w.dataKey, w.now, func(e *keyring.Enrolled) { e.Statement.Public = stranger })
		_, err = w.Readings(t.Context(), w.request("key", sent))
		require.Equal(t, fault.Internal, fault.KindOf(err))
		require.ErrorIs(t, err, keyring.ErrAltered)
		require.Equal(t, []string{"claim", "record"}, w.calls)
		require.Empty(t, w.blocks.Of(w.owner))
	})
	t.Run("no randomness", func(t *testing.T) {
		w := newWorld(t)
		w.Rand = iotest.ErrReader(errors.New("no entropy"))
		_, err := w.Readings(t.Context(), w.request("key", sent))
		require.Equal(t, fault.Internal, fault.KindOf(err))
		require.Empty(t, w.calls)
	})
}

var errKeyring = errors.New("KMS is down")

// TestRefused: what no rules accept leaves nothing behind but the look whether
// older rules had accepted it.
func TestRefused(t *testing.T) {
	for _, test := range []struct {
		name, body string
		kind       fault.Kind
		calls      []string
	}{
		{"not JSON", `[`, fault.BadRequest, nil},
		{"no text", ``, fault.BadRequest, nil},
		{"too large", strings.Repeat(" ", openmhealth.Intake.Bytes+1), fault.TooLarge, nil},
		{"no records", `[]`, fault.Invalid, []string{"find"}},
		{"none acceptable", string(body(bad(0, monday))), fault.Invalid, []string{"find"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			_, err := w.Readings(t.Context(), w.request("key", []byte(test.body)))
			require.Equal(t, test.kind, fault.KindOf(err))
			require.Equal(t, test.calls, w.calls)
			require.Empty(t, w.manifests.All())
		})
	}
	t.Run("with the items that say why", func(t *testing.T) {
		w := newWorld(t)
		_, err := w.Readings(t.Context(), w.request("key", body(bad(0, monday), `1`)))
		require.Equal(t, []fault.Item{{Pointer: "/0/body/heart_rate/unit", Rule: "enum"}, {Pointer: "/1", Rule: "type"}}, fault.ItemsOf(err))
	})
	t.Run("and a store that cannot say is unavailable", func(t *testing.T) {
		w := newWorld(t)
		w.fail = func(_ int, call string, _ bool) error { return intaketest.ErrDown }
		_, err := w.Readings(t.Context(), w.request("key", body(bad(0, monday))))
		require.Equal(t, fault.Unavailable, fault.KindOf(err))
	})
}

// TestIdempotencyKeys: one request for each owner, client, route and key.
func TestIdempotencyKeys(t *testing.T) {
	w := newWorld(t)
	one, two := body(heartRate(1, monday, "")), body(heartRate(2, monday, ""))
	ada, ben := w.owner, ""
	ben, benKey := w.enrol(t)
	send := func(change func(*intake.Request)) error {
		r := w.request("key", one)
		change(&r)
		_, err := w.Readings(t.Context(), r)
		return err
	}
	require.NoError(t, send(func(*intake.Request) {}))

	t.Run("another body with the same key is refused, and stores nothing", func(t *testing.T) {
		w.reset()
		before := all(w.stored(t))
		err := send(func(r *intake.Request) { r.Body = two })
		require.Equal(t, fault.KeyReused, fault.KindOf(err))
		require.Equal(t, []string{"claim"}, w.calls)
		require.Equal(t, before, all(w.stored(t)))
	})
	t.Run("also one that says the same in other words", func(t *testing.T) {
		err := send(func(r *intake.Request) { r.Body = append([]byte(" "), one...) })
		require.Equal(t, fault.KeyReused, fault.KindOf(err))
	})
	t.Run("also one that no rules accept", func(t *testing.T) {
		err := send(func(r *intake.Request) { r.Body = body(bad(0, monday)) })
		require.Equal(t, fault.KeyReused, fault.KindOf(err))
	})
	for _, test := range []struct {
		name   string
		change func(*intake.Request)
	}{
		{"another key", func(r *intake.Request) { r.IdempotencyKey = "other" }},
		{"another client", func(r *intake.Request) { r.Client = "partner" }},
		{"another owner", func(r *intake.Request) { r.Owner, r.DataKey = ben, benKey }},
		{"no key", func(r *intake.Request) { r.IdempotencyKey = "" }},
		{"no key, another body", func(r *intake.Request) { r.IdempotencyKey, r.Body = "", two }},
		{"a key that is the body of a request without a key", func(r *intake.Request) { r.IdempotencyKey = string(two) }},
		{"a client and a key that run together to the same text", func(r *intake.Request) { r.Client, r.IdempotencyKey = client+"k", "ey" }},
	} {
		t.Run(test.name+" is another request", func(t *testing.T) {
			before := len(w.manifests.All())
			require.NoError(t, send(test.change))
			require.Len(t, w.manifests.All(), before+1)
			require.NoError(t, send(test.change))
			require.Len(t, w.manifests.All(), before+1, "and a retry of it none more")
		})
	}
	t.Run("the same key on the other route is another request", func(t *testing.T) {
		before := len(w.manifests.All())
		_, err := w.Recording(t.Context(), w.recording("key", []byte(run)))
		require.NoError(t, err)
		require.Len(t, w.manifests.All(), before+1)
	})
	t.Run("the day after it is still the same key, after 35 days a free one", func(t *testing.T) {
		begin := w.now
		defer func() { w.now = begin }()
		w.now = begin.Add(intake.Keep - time.Second)
		require.Equal(t, fault.KeyReused, fault.KindOf(send(func(r *intake.Request) { r.Body = two })))
		w.now = begin.Add(intake.Keep)
		require.NoError(t, send(func(r *intake.Request) { r.Body = two }))
	})
	require.NotEqual(t, ada, ben)
}

// TestConcurrent: the same request 16 times at once, seen by two processes.
func TestConcurrent(t *testing.T) {
	w := newWorld(t)
	sent, want := threeBlocks()
	processes := []*intake.Intake{w.process(t), w.process(t)}
	results, errs := make([][]openmhealth.Result, 16), make([]error, 16)
	parallel(16, func(i int) { results[i], errs[i] = processes[i%2].Readings(t.Context(), w.request("key", sent)) })
	for i := range 16 {
		require.NoError(t, errs[i])
		require.Equal(t, want, results[i])
	}
	require.Len(t, w.manifests.All(), 1)
	requireBlocksOf(t, w, w.manifests.All()[0])
	require.Len(t, all(w.stored(t)), 4)
}

// TestConcurrentBodies: of two bodies under one key one is taken, the other refused.
func TestConcurrentBodies(t *testing.T) {
	w := newWorld(t)
	bodies := [][]byte{body(heartRate(1, monday, "")), body(heartRate(2, tuesday, ""))}
	errs := make([]error, 16)
	parallel(16, func(i int) { _, errs[i] = w.Readings(t.Context(), w.request("key", bodies[i%2])) })
	for i, err := range errs {
		if errs[i%2] == nil {
			require.NoError(t, err)
		} else {
			require.Equal(t, fault.KeyReused, fault.KindOf(err))
		}
	}
	require.NotEqual(t, errs[0] == nil, errs[1] == nil)
	require.Len(t, all(w.stored(t)), 1)
}
