package intake_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/fault"
	"fitvault/shared/intake"
	"fitvault/shared/openmhealth"
	"fitvault/shared/reading"
)

var heart = reading.Type{Namespace: "omh", Name: "heart-rate"}

// steps is a data point of another type.
func steps(id int) string {
	s := strings.Replace(heartRate(id, monday, ""), `"name":"heart-rate","version":"2.0"`, `"name":"step-count","version":"2.0"`, 1)
	at := strings.Index(s, `"body":`)
	return s[:at] + `"body":{"step_count":100,"effective_time_frame":{"time_interval":{"start_date_time":"` + monday + `","duration":{"value":60,"unit":"sec"}}}}}`
}

func sealedRequired(i int) openmhealth.Result {
	return openmhealth.Result{Index: i, Pointer: "/header/schema_id", Rule: openmhealth.RuleSealed}
}

// TestSealedIsDemanded: of a type that the owner or the deployment lets in only
// sealed, what comes in the clear is refused, record by record.
func TestSealedIsDemanded(t *testing.T) {
	mixed := body(heartRate(0, monday, ""), steps(1), bad(2, monday), heartRate(3, tuesday, ""))
	for name, demand := range map[string]func(w *world, r *intake.Request){
		"by the owner":      func(_ *world, r *intake.Request) { r.SealedOnly = []reading.Type{access.Recording, heart} },
		"by the deployment": func(w *world, _ *intake.Request) { w.SealedOnly = []reading.Type{heart} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			r := w.request("key", mixed)
			demand(w, &r)
			for range 2 { // and the retry is answered the same
				results, err := w.Readings(t.Context(), r)
				require.NoError(t, err)
				require.Equal(t, []openmhealth.Result{sealedRequired(0), accepted(1, 1), invalid(2), sealedRequired(3)}, results)
				require.Equal(t, []string{steps(1)}, all(w.stored(t)))
			}

			r.Sealed = true // under the same key
			results, err := w.Readings(t.Context(), r)
			require.NoError(t, err)
			require.Equal(t, []openmhealth.Result{accepted(0, 0), accepted(1, 1), invalid(2), accepted(3, 3)}, results)
			require.Len(t, w.manifests.All(), 2)
		})
	}

	t.Run("nothing else is in it", func(t *testing.T) {
		w := newWorld(t)
		for _, sent := range []struct {
			body    string
			pointer string
		}{
			{heartRate(0, monday, ""), "/header/schema_id"},
			{"[" + heartRate(0, monday, "") + "]", "/0/header/schema_id"},
			{string(seriesOf("", monday, tuesday)), "/header/schema_id"},
		} {
			r := w.request("", []byte(sent.body))
			r.SealedOnly = []reading.Type{heart}
			_, err := w.Readings(t.Context(), r)
			require.Equal(t, fault.Invalid, fault.KindOf(err))
			require.Equal(t, fault.Item{Pointer: sent.pointer, Rule: openmhealth.RuleSealed}, fault.ItemsOf(err)[0])
			require.Empty(t, w.manifests.All())
			require.Empty(t, w.blocks.Of(w.owner))
		}
	})
	t.Run("other types are not concerned", func(t *testing.T) {
		w := newWorld(t)
		r := w.request("", body(steps(0)))
		r.SealedOnly = []reading.Type{heart, {Namespace: "ieee", Name: "step-count"}, access.Recording}
		_, err := w.Readings(t.Context(), r)
		require.NoError(t, err)
	})
	t.Run("what was accepted before the demand is still answered, and finished", func(t *testing.T) {
		w := newWorld(t)
		sent := body(heartRate(0, monday, ""), heartRate(1, tuesday, ""))
		w.fail = func(i int, _ string, done bool) error { return failAt(2, false, i, done) }
		_, err := w.Readings(t.Context(), w.request("key", sent))
		require.Equal(t, fault.Unavailable, fault.KindOf(err))
		w.reset()
		r := w.request("key", sent)
		r.SealedOnly = []reading.Type{heart}
		results, err := w.Readings(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, []openmhealth.Result{accepted(0, 0), accepted(1, 1)}, results)
		require.Len(t, all(w.stored(t)), 2)

		r.IdempotencyKey = "another"
		_, err = w.Readings(t.Context(), r)
		require.Equal(t, fault.Invalid, fault.KindOf(err))
	})
}

func TestRecordingsSealedIsDemanded(t *testing.T) {
	w := newWorld(t)
	before := w.recording("before", []byte(run))
	entry, err := w.Recording(t.Context(), before)
	require.NoError(t, err)

	w.SealedOnly = []reading.Type{access.Recording}
	again, err := w.Recording(t.Context(), before)
	require.NoError(t, err, "accepted before the demand")
	require.Equal(t, entry, again)

	r := w.recording("key", []byte(run))
	_, err = w.Recording(t.Context(), r)
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	require.Equal(t, []fault.Item{{Rule: openmhealth.RuleSealed}}, fault.ItemsOf(err))
	require.Len(t, w.manifests.All(), 1)

	r.Sealed = true
	sealed, err := w.Recording(t.Context(), r)
	require.NoError(t, err)
	require.NotEqual(t, entry.ID, sealed.ID)

	w.SealedOnly = nil
	r.Sealed, r.SealedOnly = false, []reading.Type{heart}
	_, err = w.Recording(t.Context(), r)
	require.NoError(t, err, "readings' types do not concern recordings")
}

func TestParseSealedOnly(t *testing.T) {
	for list, want := range map[string][]reading.Type{
		"":                                      nil,
		"omh:heart-rate":                        {heart},
		"ieee:sleep-episode,fitvault:recording": {{Namespace: "ieee", Name: "sleep-episode"}, access.Recording},
	} {
		got, err := intake.ParseSealedOnly(list)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, list := range []string{",", "omh:heart-rate,", " omh:heart-rate", "omh:heart-rate, fitvault:recording", "heart-rate", "omh:hart-rate", "fitvault:trackpoint", "omh:heart-rate:2.0", "*"} {
		_, err := intake.ParseSealedOnly(list)
		require.ErrorIs(t, err, reading.ErrType, list)
	}
}
