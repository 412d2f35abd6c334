package intake_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"fitvault/shared/fault"
	"fitvault/shared/intake"
	"fitvault/shared/openmhealth"
	"fitvault/shared/openmhealth/generate"
	"fitvault/shared/reading"
)

// cut sends a batch and returns its blocks, without ids, with the records of each.
func cut(t *testing.T, records ...string) (blocks []intake.Block) {
	w := newWorld(t)
	_, err := w.Readings(t.Context(), w.request("", body(records...)))
	require.NoError(t, err)
	ids := map[string]bool{}
	for _, b := range w.manifests.All()[0].Blocks {
		require.Regexp(t, `^[a-z2-7]{26}$`, b.ID)
		require.False(t, ids[b.ID], "an id of its own")
		ids[b.ID], b.ID = true, ""
		blocks = append(blocks, b)
	}
	return blocks
}

func TestCut(t *testing.T) {
	third := strings.Repeat("x", intake.MaxBlock/3)
	at := func(start string) string { return heartRate(1, start, "") }
	for _, test := range []struct {
		name    string
		records []string
		want    []intake.Block
	}{
		{"one", []string{at(monday)}, []intake.Block{{Day: mondayUTC, Records: []intake.Range{{0, 0}}}}},
		{"days are UTC's", []string{at("2026-05-05T01:59:59.999999999+02:00"), at("2026-05-05T02:00:00+02:00"), at("2026-05-04T20:00:00-04:00")}, []intake.Block{
			{Day: "2026-05-04", Records: []intake.Range{{0, 0}}}, {Day: "2026-05-05", Records: []intake.Range{{1, 2}}}}},
		{"the order of a day is the order they came in", []string{at(tuesday), at(monday), at(tuesday), at(monday)}, []intake.Block{
			{Day: "2026-05-05", Records: []intake.Range{{0, 0}, {2, 2}}}, {Day: "2026-05-04", Records: []intake.Range{{1, 1}, {3, 3}}}}},
		{"what is refused leaves gaps", []string{bad(0, monday), at(monday), at(monday), bad(0, monday), at(monday), bad(0, monday)}, []intake.Block{
			{Day: mondayUTC, Records: []intake.Range{{1, 2}, {4, 4}}}}},
		{"a block is bounded", []string{heartRate(0, monday, third), heartRate(1, monday, third), heartRate(2, monday, third)}, []intake.Block{
			{Day: mondayUTC, Records: []intake.Range{{0, 1}}}, {Day: mondayUTC, Records: []intake.Range{{2, 2}}}}},
		{"each day's for itself", []string{heartRate(0, monday, third), heartRate(1, tuesday, third), heartRate(2, monday, third), heartRate(3, tuesday, third), heartRate(4, monday, third)}, []intake.Block{
			{Day: "2026-05-04", Records: []intake.Range{{0, 0}, {2, 2}}}, {Day: "2026-05-05", Records: []intake.Range{{1, 1}, {3, 3}}}, {Day: "2026-05-04", Records: []intake.Range{{4, 4}}}}},
	} {
		t.Run(test.name, func(t *testing.T) { require.Equal(t, test.want, cut(t, test.records...)) })
	}
}

// TestBlocksFitTheTable: the largest record that is taken, whose text does not
// compress, is sealed into what an item of DynamoDB holds.
func TestBlocksFitTheTable(t *testing.T) {
	w := newWorld(t)
	noise := rand.New(rand.NewPCG(1, 2))
	letters := []rune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_éüßñ日本語中文字한국어")
	var records []string
	for i := range 3 { // in one day: two records of 150 KB make a block, the third another
		pad := strings.Builder{}
		for pad.Len() < 150<<10 {
			pad.WriteRune(letters[noise.IntN(len(letters))])
		}
		records = append(records, heartRate(i, monday, pad.String()))
	}
	_, err := w.Readings(t.Context(), w.request("", body(records...)))
	require.NoError(t, err)
	pieces := w.blocks.Of(w.owner)
	require.Len(t, pieces, 2)
	for _, p := range pieces {
		require.Less(t, len(p.Blob)+len(w.owner)+len(p.Item), 400_000)
	}
	require.Equal(t, sorted(records...), all(w.stored(t)))
}

// TestAnyPartition: whatever is accepted of whatever batch, the blocks hold
// exactly that, each record once, in order, by the day of its start.
func TestAnyPartition(t *testing.T) {
	days := []string{"0001-01-01", "1969-12-31", "1970-01-01", "2026-05-04", "2026-05-05", "9999-12-31"}
	rapid.Check(t, func(rt *rapid.T) {
		type record struct {
			good bool
			day  string
			pad  int
		}
		drawn := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) record {
			return record{rapid.Bool().Draw(rt, "good"), rapid.SampledFrom(days).Draw(rt, "day"),
				rapid.SampledFrom([]int{0, 10, 20_000, intake.MaxBlock / 3}).Draw(rt, "pad")}
		}), 1, 24).Draw(rt, "records")
		var records []string
		good, size := 0, 0
		for i, r := range drawn {
			text := heartRate(i, r.day+"T12:00:00Z", strings.Repeat("p", r.pad))
			if !r.good {
				text = strings.Replace(text, "beats/min", "bpm", 1)
			} else {
				good++
			}
			records, size = append(records, text), size+len(text)+2
		}
		if size > 1<<20 {
			rt.Skip("more than a body may have")
		}
		w := newWorld(t)
		results, err := w.Readings(t.Context(), w.request("", body(records...)))
		if good == 0 {
			require.Equal(rt, fault.Invalid, fault.KindOf(err))
			return
		}
		require.NoError(rt, err)

		held := map[int]int{} // record → times that a block names it
		stored := w.stored(t)
		for _, b := range w.manifests.All()[0].Blocks {
			var want []string
			total := 0
			for i, r := range b.Records {
				require.LessOrEqual(rt, r[0], r[1])
				require.True(rt, i == 0 || b.Records[i-1][1]+1 < r[0], "ranges that touch are one")
				for n := r[0]; n <= r[1]; n++ {
					held[n]++
					require.Equal(rt, drawn[n].day, b.Day)
					want, total = append(want, records[n]), total+len(records[n])
				}
			}
			require.LessOrEqual(rt, total, intake.MaxBlock)
			require.Equal(rt, want, stored[intake.BlockItem(b.Day, b.ID)])
		}
		require.Len(rt, stored, len(w.manifests.All()[0].Blocks))
		for i, r := range drawn {
			require.Equal(rt, r.good, held[i] == 1)
			require.Equal(rt, r.good, results[i].Accepted)
		}
		require.Len(rt, held, good)
	})
}

// TestGeneratedBatches: what the schemas allow comes back as it was sent.
func TestGeneratedBatches(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{1, 7, 100, 300} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			w := newWorld(t)
			sent := generate.JSON(generate.Batch(random, n, w.owner))
			results, err := w.Readings(t.Context(), w.request("", sent))
			require.NoError(t, err)
			require.Len(t, results, n)
			var want []string
			for i, v := range values(t, sent) {
				want = append(want, string(v.AppendJSON(nil)))
				r, err := reading.FromPoint(v)
				require.NoError(t, err)
				require.Equal(t, r.ID, results[i].ID)
			}
			slices.Sort(want)
			require.Equal(t, want, all(w.stored(t)))
		})
	}
}

// seriesOf is a data series of heartRate's bodies.
func seriesOf(pad string, starts ...string) []byte {
	var header string
	var bodies []string
	for i, start := range starts {
		header, _, _ = strings.Cut(strings.TrimPrefix(heartRate(0, start, pad), `{"header":`), `,"body":`)
		_, b, _ := strings.Cut(heartRate(i, start, pad), `,"body":`)
		bodies = append(bodies, strings.TrimSuffix(b, "}"))
	}
	return []byte(`{"header":` + header + `,"body":[` + strings.Join(bodies, ",") + `]}`)
}

// TestSeries: a series is stored as data points, in blocks that say so. Its
// header is stored once in a block, and counts for a tenth with each reading.
func TestSeries(t *testing.T) {
	for _, test := range []struct {
		pad    int
		starts []string
		blocks int
	}{
		{0, []string{monday, tuesday, monday}, 2},
		{15 << 10, slices.Repeat([]string{monday}, 180), 1},
		{15 << 10, slices.Repeat([]string{monday}, 400), 3},
	} {
		w := newWorld(t)
		sent := seriesOf(strings.Repeat("x", test.pad), test.starts...)
		results, err := w.Readings(t.Context(), w.request("", sent))
		require.NoError(t, err)
		require.Equal(t, accepted(1, 0), results[1], "each has the header's id")
		require.Len(t, w.blocks.Of(w.owner), test.blocks)
		for _, p := range w.blocks.Of(w.owner) {
			require.True(t, w.opened(t, p.Item, p.Blob).Series)
		}
		points, err := openmhealth.Points(sent, openmhealth.Intake)
		require.NoError(t, err)
		var want []string
		for _, p := range points {
			want = append(want, string(p.AppendJSON(nil)))
		}
		require.Equal(t, sorted(want...), all(w.stored(t)))
		again, err := w.Readings(t.Context(), w.request("", sent))
		require.NoError(t, err)
		require.Equal(t, results, again)
	}
	w := newWorld(t)
	_, err := w.Readings(t.Context(), w.request("", body(heartRate(0, monday, ""))))
	require.NoError(t, err)
	p := w.blocks.Of(w.owner)[0]
	require.False(t, w.opened(t, p.Item, p.Blob).Series)
}

func TestPlacesDiffer(t *testing.T) {
	places := []any{
		intake.BlockPlace("d", "o", "2026-05-04", "a"), intake.BlockPlace("d", "o", "2026-05-05", "a"), intake.BlockPlace("d", "o", "2026-05-04", "b"),
		intake.BlockPlace("d", "p", "2026-05-04", "a"), intake.BlockPlace("e", "o", "2026-05-04", "a"),
		intake.IndexPlace("d", "o", "a"), intake.IndexPlace("d", "o", "b"), intake.IndexPlace("d", "p", "a"), intake.IndexPlace("e", "o", "a"),
		intake.DocumentPlace("d", "o", "a"), intake.DocumentPlace("d", "o", "b"), intake.DocumentPlace("d", "p", "a"), intake.DocumentPlace("e", "o", "a"),
		intake.DocumentPlace("d", "o", intake.RecordItem("a")),
	}
	seen := map[any]bool{}
	for _, p := range places {
		require.False(t, seen[p])
		seen[p] = true
	}
}

func TestKeep(t *testing.T) { require.Equal(t, 35*24*time.Hour, intake.Keep) }
