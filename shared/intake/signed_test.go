package intake_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/block"
	"fitvault/shared/fault"
	"fitvault/shared/intake"
	"fitvault/shared/segment"
)

// signed is a request that a tracker has signed, with a counter.
func (w *world) signed(key, id string, n int64) intake.Request {
	r := w.request(key, []byte(`[`+string(point(id))+`]`))
	r.Signed = &intake.Signed{Pairing: "pairing", Counter: n, Text: "jws of " + id}
	return r
}

func point(id string) []byte {
	return []byte(`{"header": {"uuid": "` + id + `", "schema_id": {"namespace": "omh", "name": "heart-rate", "version": "2.0"}, ` +
		`"source_creation_date_time": "2026-05-04T07:25:00+02:00", "modality": "sensed"}, ` +
		`"body": {"heart_rate": {"value": 71, "unit": "beats/min"}, "effective_time_frame": {"date_time": "2026-05-04T07:25:00+02:00"}}}`)
}

const (
	first  = "0b3c8a0e-6f5b-4a55-9f0e-2f6f7a1f4f10"
	second = "0b3c8a0e-6f5b-4a55-9f0e-2f6f7a1f4f11"
)

// TestCounters: a counter is for one payload, and an old payload does not come back;
// but a retry is answered as before, however old.
func TestCounters(t *testing.T) {
	w := newWorld(t)
	taken := func(r intake.Request) {
		t.Helper()
		results, err := w.Readings(t.Context(), r)
		require.NoError(t, err)
		require.True(t, results[0].Accepted)
	}
	refused := func(r intake.Request, kind fault.Kind) {
		t.Helper()
		_, err := w.Readings(t.Context(), r)
		require.Equal(t, kind, fault.KindOf(err))
	}
	taken(w.signed("", first, 5))
	taken(w.signed("", first, 5))
	refused(w.signed("", second, 5), fault.SignatureRefused) // repeated
	refused(w.signed("", second, 4), fault.SignatureRefused) // lowered
	taken(w.signed("", second, 6))
	taken(w.signed("", first, 5))                                 // a late retry: its manifest answers
	refused(w.signed("other", first, 5), fault.SignatureRefused)  // replayed as another request
	refused(w.signed("other", second, 6), fault.SignatureRefused) // the last one too
	refused(w.signed("other", first, 6), fault.SignatureRefused)
	taken(w.signed("other", "0b3c8a0e-6f5b-4a55-9f0e-2f6f7a1f4f12", 7))
	refused(w.signed("other", first, 8), fault.KeyReused)          // and takes no counter
	taken(w.signed("", "0b3c8a0e-6f5b-4a55-9f0e-2f6f7a1f4f13", 8)) // which is free
	another := w.signed("", second, 1)
	another.Signed.Pairing = "another"
	taken(another)

	t.Run("without a signature it is another request", func(t *testing.T) {
		before := len(w.calls)
		taken(w.request("", w.signed("", first, 5).Body))
		require.Contains(t, w.calls[before:], "block")
	})
}

// TestReplayOfTheLast: neither by others nor after the manifest is the payload with
// the last counter taken in as a new request.
func TestReplayOfTheLast(t *testing.T) {
	for name, change := range map[string]func(w *world, r *intake.Request){
		"under another key":             func(_ *world, r *intake.Request) { r.IdempotencyKey = "another" },
		"without a key":                 func(_ *world, r *intake.Request) { r.IdempotencyKey = "" },
		"by another app":                func(_ *world, r *intake.Request) { r.Client = "another" },
		"by another person":             func(_ *world, r *intake.Request) { r.By = "another" },
		"sealed":                        func(_ *world, r *intake.Request) { r.Sealed = true },
		"when its manifest is over":     func(w *world, _ *intake.Request) { w.now = w.now.Add(intake.Keep) },
		"much later, under another key": func(w *world, r *intake.Request) { w.now, r.IdempotencyKey = w.now.Add(3*intake.Keep), "another" },
	} {
		t.Run(name, func(t *testing.T) {
			for _, lost := range []string{"", "claim", "record", "block"} { // whether the first was finished or not
				w := newWorld(t)
				w.fail = func(_ int, c string, _ bool) error {
					if c == lost {
						return errors.New("down")
					}
					return nil
				}
				_, err := w.Readings(t.Context(), w.signed("key", first, 5))
				require.Equal(t, lost == "", err == nil)
				w.fail = nil
				r := w.signed("key", first, 5)
				change(w, &r)
				before := len(w.calls)
				_, err = w.Readings(t.Context(), r)
				require.Equal(t, fault.SignatureRefused, fault.KindOf(err))
				require.Equal(t, []string{"find", "advance"}, w.calls[before:])
			}
		})
	}
}

// TestSignatureIsSealedWithTheBatch: at the rank of a tracker.
func TestSignatureIsSealedWithTheBatch(t *testing.T) {
	w := newWorld(t)
	r := w.signed("", first, 1)
	_, err := w.Readings(t.Context(), r)
	require.NoError(t, err)
	n := 0
	for piece, err := range w.blocks.Between(t.Context(), w.owner, "2026-05-04#", "2026-05-04$") {
		require.NoError(t, err)
		plain, err := w.opener(t, piece.Blob).Open(piece.Blob, intake.BlockPlace(deployment, w.owner, "2026-05-04", piece.Item[len("2026-05-04#"):]))
		require.NoError(t, err)
		b, err := block.Decode(plain, segment.DefaultLimits)
		require.NoError(t, err)
		require.Equal(t, [3]any{block.RankTracker, r.Signed.Text, client}, [3]any{b.Rank, b.Signature, b.Client})
		n++
	}
	require.Equal(t, 1, n)
}

// TestInterruptedAfterTheCounter: whoever fails after it took his counter goes on
// with it.
func TestInterruptedAfterTheCounter(t *testing.T) {
	for _, call := range []string{"find", "advance", "claim", "record", "block"} {
		for _, late := range []bool{false, true} {
			w := newWorld(t)
			w.fail = func(_ int, c string, done bool) error {
				if c == call && done == late {
					return errors.New("down")
				}
				return nil
			}
			_, err := w.Readings(t.Context(), w.signed("", first, 5))
			require.Equal(t, fault.Unavailable, fault.KindOf(err), call)
			w.fail = nil
			results, err := w.Readings(t.Context(), w.signed("", first, 5))
			require.NoError(t, err, call)
			require.True(t, results[0].Accepted)
		}
	}
}
