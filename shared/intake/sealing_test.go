package intake_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
	"fitvault/shared/intake"
	"fitvault/shared/vault"
)

// askedKeys is keys whose sealer does something first.
type askedKeys struct {
	intake.Keys
	before func() error
	asked  atomic.Int32
	done   atomic.Int32
}

func (k *askedKeys) Sealer(ctx context.Context, owner, keyID string) (*vault.Sealer, error) {
	k.asked.Add(1)
	defer k.done.Add(1)
	if err := k.before(); err != nil {
		return nil, err
	}
	return k.Keys.Sealer(ctx, owner, keyID)
}

// TestSealerMeanwhile: the owner's key is read while manifest and audit event are
// written, only for what is good, and never after the answer; nothing is stored
// before it is there.
func TestSealerMeanwhile(t *testing.T) {
	sent := map[string]func(w *world, r intake.Request) error{
		"readings": func(w *world, r intake.Request) error {
			r.Body = body(heartRate(1, "2026-05-04T07:25:00Z", ""))
			_, err := w.Readings(t.Context(), r)
			return err
		},
		"a recording": func(w *world, r intake.Request) error {
			r.Body, r.MediaType = []byte(run), intake.MediaTCX
			_, err := w.Recording(t.Context(), r)
			return err
		},
	}
	with := func(t *testing.T, before func() error) (*world, *askedKeys) {
		w := newWorld(t)
		keys := &askedKeys{Keys: w.Keys, before: before}
		w.Keys = keys
		return w, keys
	}
	never := func() error { return nil }
	for name, send := range sent {
		t.Run(name+", before the audit event is written", func(t *testing.T) {
			recording := make(chan struct{})
			w, _ := with(t, func() error {
				select {
				case <-recording:
					return nil
				case <-time.After(10 * time.Second):
					return errors.New("the event waits for the key")
				}
			})
			r := w.request("key", nil)
			record := r.Record
			r.Record = func(ctx context.Context, manifest string, accepted, rejected int) error {
				close(recording)
				return record(ctx, manifest, accepted, rejected)
			}
			require.NoError(t, send(w, r))
			require.Equal(t, "record", w.calls[1], "manifest, audit event, then what is sealed")
		})
		t.Run(name+", which cannot be sealed", func(t *testing.T) {
			refused := fault.New(fault.Internal, "altered")
			w, _ := with(t, func() error { return refused })
			require.ErrorIs(t, send(w, w.request("key", nil)), refused)
			require.Len(t, w.calls, 2, "the attempt is in the trail, and nothing is stored")
		})
		t.Run(name+", where the key ring panics", func(t *testing.T) {
			w, _ := with(t, func() error { panic("canary") })
			err := send(w, w.request("key", nil))
			require.Equal(t, fault.Internal, fault.KindOf(err))
			require.NotContains(t, err.Error(), "canary")
			require.Len(t, w.calls, 2)
		})
		t.Run(name+", whose manifest cannot be written", func(t *testing.T) {
			w, keys := with(t, never)
			w.fail = func(int, string, bool) error { return errors.New("throttled") }
			require.Equal(t, fault.Unavailable, fault.KindOf(send(w, w.request("key", nil))))
			require.Equal(t, keys.asked.Load(), keys.done.Load(), "nothing goes on after the answer")
		})
	}
	t.Run("what is refused costs no key", func(t *testing.T) {
		w, keys := with(t, never)
		for _, b := range []string{"[", "[1", `{"header": {}, "body": []}`} {
			_, err := w.Readings(t.Context(), w.request("", []byte(b)))
			require.Error(t, err)
		}
		r := w.request("", []byte("<TrainingCenterDatabase/>"))
		r.MediaType = intake.MediaTCX
		_, err := w.Recording(t.Context(), r)
		require.Error(t, err)
		require.Zero(t, keys.asked.Load())
	})
}
