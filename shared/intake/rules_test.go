package intake_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
	"fitvault/shared/intake"
	"fitvault/shared/openmhealth"
)

// decided leaves a request behind as other rules decided it: its manifest, and
// nothing stored. Today's rules accept records 0 and 2 of the body, and not 1.
func decided(t *testing.T, w *world, rules string, sent []byte, rejected []intake.Rejected, blocks []intake.Block) {
	t.Helper()
	// A first request under today's rules shows the manifest's key and MAC.
	_, err := w.Readings(t.Context(), w.request("key", sent))
	if err != nil { // today's rules refuse all of it: the key is that of any body
		require.Equal(t, fault.Invalid, fault.KindOf(err))
		keys, err := w.ring(t).Requests(t.Context())
		require.NoError(t, err)
		id := keys.ManifestID(w.owner, client, "readings", "key", "key")
		w.manifests.Put(intake.Manifest{Key: id, Body: keys.BodyMAC(id, digestOf(sent)), Expires: w.later(), RequestsKey: keys.ID()})
	}
	m := w.manifests.All()[0]
	m.Rules, m.Count, m.Rejected, m.Blocks = rules, 3, rejected, blocks
	w.manifests.Put(m)
	for _, p := range w.blocks.Of(w.owner) {
		w.blocks.Put(w.owner, p.Item, nil)
	}
	w.reset()
}

// TestOlderRules: a retry is answered as the first request was, although the
// rules have changed since.
func TestOlderRules(t *testing.T) {
	mixed := body(heartRate(0, monday, ""), bad(1, monday), heartRate(2, tuesday, ""))
	refused := body(bad(0, monday), bad(1, monday), bad(2, tuesday))
	older := func(i int) intake.Rejected { return intake.Rejected{Index: i, Pointer: "/body", Rule: "older"} }
	answered := func(i int) openmhealth.Result { return openmhealth.Result{Index: i, Pointer: "/body", Rule: "older"} }

	for _, test := range []struct {
		name     string
		body     []byte
		rejected []intake.Rejected
		blocks   []intake.Block
		want     []openmhealth.Result
		stored   map[string][]string
	}{
		{
			"they rejected what today's accept", mixed,
			[]intake.Rejected{older(0), older(1)}, []intake.Block{{Day: "2026-05-05", ID: "a", Records: []intake.Range{{2, 2}}}},
			[]openmhealth.Result{answered(0), answered(1), accepted(2, 2)},
			map[string][]string{"2026-05-05#a": {heartRate(2, tuesday, "")}},
		},
		{
			"they accepted what today's refuse", mixed,
			[]intake.Rejected{older(0)}, []intake.Block{{Day: mondayUTC, ID: "a", Records: []intake.Range{{1, 2}}}},
			[]openmhealth.Result{answered(0), accepted(1, 1), accepted(2, 2)},
			map[string][]string{mondayUTC + "#a": {bad(1, monday), heartRate(2, tuesday, "")}},
		},
		{
			"they cut otherwise", mixed,
			[]intake.Rejected{older(1)}, []intake.Block{{Day: "2026-05-05", ID: "b", Records: []intake.Range{{2, 2}}}, {Day: "2026-05-01", ID: "a", Records: []intake.Range{{0, 0}}}},
			[]openmhealth.Result{accepted(0, 0), answered(1), accepted(2, 2)},
			map[string][]string{"2026-05-05#b": {heartRate(2, tuesday, "")}, "2026-05-01#a": {heartRate(0, monday, "")}},
		},
		{
			"today's refuse all", refused,
			[]intake.Rejected{older(1)}, []intake.Block{{Day: mondayUTC, ID: "a", Records: []intake.Range{{0, 0}, {2, 2}}}},
			[]openmhealth.Result{accepted(0, 0), answered(1), accepted(2, 2)},
			map[string][]string{mondayUTC + "#a": {bad(0, monday), bad(2, tuesday)}},
		},
	} {
		for _, rules := range []string{"0", "1", "2"} {
			t.Run(test.name+", rules "+rules, func(t *testing.T) {
				w := newWorld(t)
				decided(t, w, rules, test.body, test.rejected, test.blocks)
				for range 2 {
					results, err := w.Readings(t.Context(), w.request("key", test.body))
					require.NoError(t, err)
					require.Equal(t, test.want, results)
					require.Equal(t, test.stored, w.stored(t))
				}
				require.Equal(t, rules, w.manifests.All()[0].Rules, "the manifest stays")

				for _, other := range [][]byte{body(heartRate(7, monday, "")), body(bad(7, monday))} {
					_, err := w.Readings(t.Context(), w.request("key", other))
					require.Equal(t, fault.KeyReused, fault.KindOf(err))
				}
			})
		}
	}

	for _, count := range []int{-1, openmhealth.Intake.Records + 1, 1 << 40} {
		t.Run(fmt.Sprint("a manifest of ", count, " records"), func(t *testing.T) {
			w := newWorld(t)
			decided(t, w, "1", mixed, nil, nil)
			m := w.manifests.All()[0]
			m.Count = count
			w.manifests.Put(m)
			_, err := w.Readings(t.Context(), w.request("key", mixed))
			require.Equal(t, fault.Internal, fault.KindOf(err))
		})
	}
	t.Run("until it expires", func(t *testing.T) {
		w := newWorld(t)
		decided(t, w, "1", refused, nil, []intake.Block{{Day: mondayUTC, ID: "a", Records: []intake.Range{{0, 2}}}})
		w.now = w.later()
		_, err := w.Readings(t.Context(), w.request("key", refused))
		require.Equal(t, fault.Invalid, fault.KindOf(err))
		require.Empty(t, w.stored(t))
	})
}

// TestManifestAgainstItsBody: a manifest that its body does not bear out, which
// only a fault or a hand in the table can make, stores nothing that it names.
func TestManifestAgainstItsBody(t *testing.T) {
	for _, test := range []struct {
		name     string
		rejected []intake.Rejected
		blocks   []intake.Block
		stored   int
	}{
		{"a block of a record that is not there", nil, []intake.Block{{Day: mondayUTC, ID: "a", Records: []intake.Range{{0, 3}}}}, 0},
		{"a block of more records than there can be", nil, []intake.Block{{Day: mondayUTC, ID: "a", Records: []intake.Range{{0, 1 << 60}}}}, 0},
		{"a block of a negative record", nil, []intake.Block{{Day: mondayUTC, ID: "a", Records: []intake.Range{{-1, 0}}}}, 0},
		{"a rejected record that is not there", []intake.Rejected{{Index: 3}}, nil, 0},
		{"a negative rejected record", []intake.Rejected{{Index: -1}}, nil, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			sent := body(heartRate(0, monday, ""), bad(1, monday), heartRate(2, tuesday, ""))
			decided(t, w, "1", sent, test.rejected, test.blocks)
			_, err := w.Readings(t.Context(), w.request("key", sent))
			require.Equal(t, fault.Internal, fault.KindOf(err))
			require.Len(t, w.stored(t), test.stored)
		})
	}
}
