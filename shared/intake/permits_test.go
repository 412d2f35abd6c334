package intake_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
	"fitvault/shared/openmhealth"
	"fitvault/shared/reading"
)

func only(types ...reading.Type) func(reading.Type) bool {
	return func(t reading.Type) bool {
		for _, permitted := range types {
			if t == permitted {
				return true
			}
		}
		return false
	}
}

func notPermitted(i int) openmhealth.Result {
	return openmhealth.Result{Index: i, Pointer: "/header/schema_id", Rule: openmhealth.RuleNotPermitted}
}

// TestPermits: who may write some types writes these, record by record, and stores
// nothing of the others.
func TestPermits(t *testing.T) {
	mixed := body(heartRate(0, monday, ""), steps(1), bad(2, monday))
	w := newWorld(t)
	r := w.request("key", mixed)
	r.Permits = only(heart)
	for range 2 {
		results, err := w.Readings(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, []openmhealth.Result{accepted(0, 0), notPermitted(1), invalid(2)}, results)
		require.Equal(t, []string{heartRate(0, monday, "")}, all(w.stored(t)))
	}
	t.Run("nothing of it", func(t *testing.T) {
		w := newWorld(t)
		r := w.request("key", body(steps(1)))
		r.Permits = only(heart)
		_, err := w.Readings(t.Context(), r)
		require.Equal(t, fault.Invalid, fault.KindOf(err))
		require.Empty(t, w.manifests.All())
		require.Empty(t, w.blocks.Of(w.owner))
	})
	t.Run("nor what was accepted, and not stored, before it was withdrawn", func(t *testing.T) {
		for name, permits := range map[string]func(reading.Type) bool{"some": only(heart), "all": only()} {
			w := newWorld(t)
			r := w.request("key", mixed)
			r.Permits = only(heart, reading.Type{Namespace: "omh", Name: "step-count"})
			w.fail = func(i int, _ string, done bool) error { return failAt(2, false, i, done) }
			_, err := w.Readings(t.Context(), r)
			require.Equal(t, fault.Unavailable, fault.KindOf(err), name)
			require.Len(t, w.manifests.All(), 1, name)
			w.reset()
			r.Permits = permits
			_, err = w.Readings(t.Context(), r)
			require.Equal(t, fault.Forbidden, fault.KindOf(err), name)
			require.NotContains(t, w.calls, "record", name)
			require.Empty(t, w.blocks.Of(w.owner), name)
		}
	})
}

// TestKeysOfAGrantee: by the same app, a grantee's idempotency keys are not the
// owner's: he can neither use one up nor learn that it was used.
func TestKeysOfAGrantee(t *testing.T) {
	w := newWorld(t)
	his := w.request("key", body(heartRate(0, monday, "")))
	his.By, his.Permits = "grantee", only(heart)
	_, err := w.Readings(t.Context(), his)
	require.NoError(t, err)

	own := w.request("key", body(heartRate(1, tuesday, "")))
	_, err = w.Readings(t.Context(), own)
	require.NoError(t, err)
	require.Len(t, w.manifests.All(), 2)

	his.Body = own.Body
	_, err = w.Readings(t.Context(), his)
	require.Equal(t, fault.KeyReused, fault.KindOf(err), "his own key")
	another := his
	another.By = "another"
	_, err = w.Readings(t.Context(), another)
	require.NoError(t, err)
}
