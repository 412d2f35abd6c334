package opening_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
	"fitvault/shared/keyring"
	"fitvault/shared/keyring/keyringtest"
	"fitvault/shared/opening"
	"fitvault/shared/vault"
)

var now = time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC)

// world is two owners' keys, and an opener for one of them.
type world struct {
	keys   *keyringtest.Service
	opener *opening.Opener
	alarms int
	down   error // of the audit log
}

func newWorld(t *testing.T) *world {
	w := &world{keys: keyringtest.NewService(t, "fitvault", now)}
	w.keys.Enrol(t, "ada", "key-1", now, nil)
	w.keys.Enrol(t, "ada", "key-2", now, nil)
	w.keys.Enrol(t, "ben", "key-1", now, nil)
	w.opener = opening.New(w.ring(t), "ada", func(context.Context) error {
		w.alarms++
		return w.down
	})
	return w
}

func (w *world) ring(t *testing.T) *keyring.Ring {
	return w.keys.Ring(t, func() time.Time { return now })
}

func place(owner, id string) vault.Place {
	return vault.Place{Deployment: "fitvault", Table: "readings", Owner: owner, ID: id}
}

func (w *world) seal(t *testing.T, owner, key, id string) []byte {
	sealer, err := w.ring(t).Sealer(t.Context(), owner, key)
	require.NoError(t, err)
	sealed, err := sealer.Seal(place(owner, id), []byte("canary"))
	require.NoError(t, err)
	return sealed
}

func TestOpen(t *testing.T) {
	w := newWorld(t)
	unwraps := 0
	w.keys.KMS.Hook = func(call string) error {
		if call == "unwrap" {
			unwraps++
		}
		return nil
	}
	sealed := map[string][]byte{"a": w.seal(t, "ada", "key-1", "a"), "b": w.seal(t, "ada", "key-1", "b"), "c": w.seal(t, "ada", "key-2", "c")}
	unwraps = 0
	for id, piece := range sealed {
		plain, err := w.opener.Open(t.Context(), piece, place("ada", id))
		require.NoError(t, err)
		require.Equal(t, "canary", string(plain))
	}
	require.Equal(t, 3, unwraps, "two private keys and a writer key, once each")
	require.Zero(t, w.alarms)
}

func TestWhatDoesNotOpenIsAnAlarm(t *testing.T) {
	w := newWorld(t)
	sealed := w.seal(t, "ada", "key-1", "a")
	altered := append([]byte{}, sealed...)
	altered[len(altered)-1]++
	w.keys.Enrol(t, "ada", "key-3", now, func(e *keyring.Enrolled) { e.Wrapped = []byte("canary") })
	unknown := w.seal(t, "ada", "key-2", "a")
	unknown[7]++ // in the key's name
	for name, piece := range map[string][]byte{
		"altered":                      altered,
		"of another place":             w.seal(t, "ada", "key-1", "b"),
		"of another owner":             w.seal(t, "ben", "key-1", "a"),
		"no sealed piece":              []byte("canary"),
		"nothing":                      nil,
		"of a key that does not exist": unknown,
		"of a key that was altered":    w.seal(t, "ada", "key-3", "a"),
	} {
		before := w.alarms
		plain, err := w.opener.Open(t.Context(), piece, place("ada", "a"))
		require.Equal(t, fault.Internal, fault.KindOf(err), name)
		require.Nil(t, plain)
		require.Equal(t, before+1, w.alarms, name)
		require.NotContains(t, err.Error(), "canary")
	}
	w.down = fault.New(fault.Unavailable, "down")
	_, err := w.opener.Open(t.Context(), altered, place("ada", "a"))
	require.Equal(t, w.down, err, "an alarm that cannot be written is no alarm yet")
}

func TestKeysThatCannotBeHad(t *testing.T) {
	for _, failing := range []string{"unwrap", "owner key", "service key"} {
		w := newWorld(t)
		sealed := w.seal(t, "ada", "key-1", "a")
		hook := func(call string) error {
			if call == failing {
				return errors.New("down")
			}
			return nil
		}
		w.keys.KMS.Hook, w.keys.Store.Hook = hook, hook
		_, err := w.opener.Open(t.Context(), sealed, place("ada", "a"))
		require.Equal(t, fault.Unavailable, fault.KindOf(err), failing)
		require.Zero(t, w.alarms)
		w.keys.KMS.Hook, w.keys.Store.Hook = nil, nil
		_, err = w.opener.Open(t.Context(), sealed, place("ada", "a"))
		require.NoError(t, err, "it is tried again")
	}
}
