package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"fitvault/guard/contract"
	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/block"
	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
	"fitvault/shared/intake/intaketest"
	"fitvault/shared/keyring"
	"fitvault/shared/keyring/keyringtest"
	"fitvault/shared/openmhealth/generate"
	"fitvault/shared/reading"
)

func TestRoutes(t *testing.T) {
	want, err := contract.Belonging("../..", "readings")
	require.NoError(t, err)
	require.Empty(t, contract.DifferInDetail("openapi.yaml", want, "readings", contract.OfHandlers(handler{}.routes())))
}

func TestRecordedEvents(t *testing.T) {
	w := newWorld(t)
	w.send(t, point("a", "2026-05-04T07:25:00+02:00"))
	w.record(t, run("2026-05-04T05:25:00Z", "2026-05-04T05:26:00Z"))
	recorded, err := contract.Recorded("../..", "readings", map[string]string{
		"token.ada": edgetest.Sign(w.Claims("ada")), "key.app": edgetest.APIKey, "user.ada": w.Ada.String()})
	require.NoError(t, err)
	require.Len(t, w.page(t, recorded["readings-get-readings.json"]).Items, 1)
	require.Len(t, w.page(t, recorded["readings-list-recordings.json"]).Items, 1)
	w.Log.Reset()
	require.Equal(t, 404, w.do(t, recorded["readings-get-recording.json"]).StatusCode, "the recording that it names does not exist")
	require.Len(t, recorded, 3, "an event that no test knows")
}

func TestGetReadings(t *testing.T) {
	w := newWorld(t)
	asOf := w.Time.Add(-asOfMargin)
	require.Equal(t, page{Items: []json.RawMessage{}, AsOf: asOf}, w.page(t, w.listReadings()), "nothing is there")

	sent := point("a", "2026-05-04T07:25:00+02:00")
	w.send(t, sent)
	p := w.page(t, w.listReadings())
	require.Equal(t, page{Items: []json.RawMessage{json.RawMessage(sent)}, AsOf: asOf}, p, "no token: it is the last page")
	byID := w.listReadings()
	byID.PathParameters["user"] = w.Ada.String()
	require.Equal(t, p, w.page(t, byID), "also by id")

	e := w.lastEvent(t)
	require.Equal(t, [4]string{string(access.ReadingsRead), w.Ada.String(), w.Ada.String(), string(auditlog.Allowed)},
		[4]string{e.Action, e.Owner, e.Caller, string(e.Outcome)})
	require.NotContains(t, w.Log.String(), "71")

	t.Run("without consent what was collected is still shown", func(t *testing.T) {
		w.Accounts.Put(access.Documents{Owner: &access.Owner{User: w.Ada, State: access.Active, DataKey: "key-of-ada",
			Consents: map[access.Purpose]access.Consent{access.Collection: {Version: "1"}}}})
		require.Equal(t, p, w.page(t, w.listReadings()))
	})
}

// TestEquality: what the schemas allow is read back as it was sent, whatever
// characters it has.
func TestEquality(t *testing.T) {
	w := newWorld(t)
	odd := pointOf("heart-rate", `<a>&\u2028\"`, "2026-05-04T07:25:00+02:00", `\\\"</script>😀`)
	texts := []string{odd}
	for _, p := range generate.Batch(rand.New(rand.NewPCG(5, 6)), 200, w.Ada.String()) {
		texts = append(texts, string(p.AppendJSON(nil)))
	}
	w.send(t, texts...)
	got := slices.Concat(w.walk(t, w.listReadings, "page_size", "50")...)
	i := slices.IndexFunc(got, func(text string) bool { return strings.Contains(text, "</script>") })
	require.JSONEq(t, odd, got[i])
	require.ElementsMatch(t, texts[1:], slices.Delete(got, i, i+1))
}

// TestOrderAndTies: by start, then id; what has both in common comes once for
// each time that it was sent.
func TestOrderAndTies(t *testing.T) {
	const noon = "2026-05-04T12:00:00Z"
	w := newWorld(t)
	w.send(t, point("b", noon), point("c", "2026-05-04T11:59:59.999999999Z"), point("z", "2026-05-03T23:00:00-02:00"))
	w.send(t, point("a1", "2026-05-04T12:00:00.000000001Z"), point("A", "2026-05-05T00:00:00Z"))
	// Bodies of a series have one id; these begin at one instant, differently told.
	series := block.Header{Client: "app", Rank: block.RankOwner, Arrived: w.Now(), Series: true}
	w.sealFrom(t, series, "2026-05-04", "one", point("a", noon), point("a", "2026-05-04T14:00:00+02:00"))
	w.sealFrom(t, series, "2026-05-04", "two", point("a", "2026-05-04T13:00:00+01:00"), point("a", "2026-05-04T12:00:00+00:00"))
	want := []string{
		point("z", "2026-05-03T23:00:00-02:00"), // 01:00 of the next UTC day
		point("c", "2026-05-04T11:59:59.999999999Z"),
		point("a", noon), point("a", "2026-05-04T14:00:00+02:00"), point("a", "2026-05-04T13:00:00+01:00"), point("a", "2026-05-04T12:00:00+00:00"),
		point("b", noon),
		point("a1", "2026-05-04T12:00:00.000000001Z"),
		point("A", "2026-05-05T00:00:00Z"),
	}
	for size := 1; size <= len(want)+1; size++ {
		pages := w.walk(t, w.listReadings, "page_size", fmt.Sprint(size))
		var got []string
		for i, p := range pages {
			require.True(t, len(p) == size || i == len(pages)-1 && len(p) <= size && len(p) > 0, "full pages, and no empty one at the end")
			got = append(got, p...)
		}
		require.Equal(t, want, got, size)
	}
}

// TestAnyPages: whatever is stored, a walk in pages of any size shows the last
// copy of each reading of a day once, in order.
func TestAnyPages(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		last := map[string]string{}
		for range rapid.IntRange(1, 4).Draw(rt, "batches") {
			w.Time = w.Time.Add(time.Millisecond)
			batch := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) string {
				return point(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "id"), rapid.SampledFrom([]string{
					"2026-05-04T23:59:59Z", "2026-05-05T00:00:00Z", "2026-05-05T02:00:00+02:00", "2026-05-05T12:00:00Z", "2026-05-06T00:30:00+01:00", "2026-06-01T00:00:00Z",
				}).Draw(rt, "start"))
			}), 1, 8).Draw(rt, "batch")
			w.send(rt, batch...)
			for _, p := range batch {
				at, id := startAndID(rt, p)
				last[at.UTC().Format(time.DateOnly)+id] = p
			}
		}
		want := slices.Collect(maps.Values(last))
		size := rapid.IntRange(1, 10).Draw(rt, "size")
		got := slices.Concat(w.walk(rt, w.listReadings, "page_size", fmt.Sprint(size))...)
		require.ElementsMatch(rt, want, got)
		require.True(rt, slices.IsSortedFunc(got, func(a, b string) int { return compare(rt, a, b) }))
	})
}

// compare compares by start, then id.
func compare(t require.TestingT, a, b string) int {
	at, aID := startAndID(t, a)
	bt, bID := startAndID(t, b)
	if c := at.Compare(bt); c != 0 {
		return c
	}
	return strings.Compare(aID, bID)
}

func startAndID(t require.TestingT, text string) (time.Time, string) {
	var p struct {
		Header struct{ ID string }
		Body   struct {
			Frame struct {
				At time.Time `json:"date_time"`
			} `json:"effective_time_frame"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(text), &p))
	return p.Body.Frame.At, p.Header.ID
}

func TestFilters(t *testing.T) {
	w := newWorld(t)
	w.send(t, point("first", "0001-01-01T00:00:00Z"), point("before", "2026-05-04T09:59:59.999999999Z"), point("at", "2026-05-04T10:00:00Z"),
		pointOf("body-weight", "weight", "2026-05-04T10:00:00Z", ""), point("after", "2026-05-04T10:00:00.000000001Z"),
		point("next", "2026-05-05T00:00:00Z"), point("last", "9999-12-31T23:59:59.999999999Z"))
	for _, test := range []struct {
		name  string
		query []string
		want  []string
	}{
		{"everything", nil, []string{"first", "before", "at", "weight", "after", "next", "last"}},
		{"a type", []string{"type", "omh:body-weight"}, []string{"weight"}},
		{"a type that nobody sent", []string{"type", "omh:step-count"}, nil},
		{"two types", []string{"type", "omh:body-weight", "type", "omh:heart-rate"}, []string{"first", "before", "at", "weight", "after", "next", "last"}},
		{"a type of the same name in another namespace", []string{"type", "ieee:body-weight"}, nil},
		{"from is in it", []string{"from", "2026-05-04T10:00:00Z"}, []string{"at", "weight", "after", "next", "last"}},
		{"to is not", []string{"to", "2026-05-04T10:00:00Z"}, []string{"first", "before"}},
		{"to a nanosecond later", []string{"to", "2026-05-04T10:00:00.000000001Z"}, []string{"first", "before", "at", "weight"}},
		{"in another offset", []string{"from", "2026-05-04T12:00:00+02:00", "to", "2026-05-04T12:00:00.000000002+02:00"}, []string{"at", "weight", "after"}},
		{"a range over midnight", []string{"from", "2026-05-04T10:00:00.000000001Z", "to", "2026-05-05T00:00:00.1Z"}, []string{"after", "next"}},
		{"to midnight", []string{"from", "2026-05-04T10:00:00.000000001Z", "to", "2026-05-05T00:00:00Z"}, []string{"after"}},
		{"with a type", []string{"type", "omh:heart-rate", "from", "2026-05-04T10:00:00Z", "to", "2026-05-05T00:00:00Z"}, []string{"at", "after"}},
		{"nothing", []string{"from", "2026-05-04T10:00:00Z", "to", "2026-05-04T10:00:00Z"}, nil},
		{"from after to", []string{"from", "2026-05-06T00:00:00Z", "to", "2026-05-04T00:00:00Z"}, nil},
		{"from the first instant", []string{"from", "0001-01-01T00:00:00Z"}, []string{"first", "before", "at", "weight", "after", "next", "last"}},
		{"to the first instant", []string{"to", "0001-01-01T00:00:00Z"}, nil},
		{"from before the first instant", []string{"from", "0001-01-01T00:00:00+14:00", "to", "0001-01-02T00:00:00Z"}, []string{"first"}},
		{"to after the last instant", []string{"from", "2026-05-05T00:00:00Z", "to", "9999-12-31T23:59:59-14:00"}, []string{"next", "last"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, size := range []string{"1", "1000"} {
				var want []string
				for _, id := range test.want {
					want = append(want, `"id":"`+id+`"`)
				}
				got := slices.Concat(w.walk(t, w.listReadings, append(slices.Clone(test.query), "page_size", size)...)...)
				require.Len(t, got, len(want))
				for i := range want {
					require.Contains(t, got[i], want[i])
				}
			}
		})
	}
}

func TestBadQueries(t *testing.T) {
	w := newWorld(t)
	w.send(t, point("a", "2026-05-04T10:00:00Z"))
	entry := w.record(t, run("2026-05-04T05:25:00Z", "2026-05-04T05:26:00Z"))
	sizes := [][]string{{"page_size", "0"}, {"page_size", "-1"}, {"page_size", "1001"}, {"page_size", "1e2"}, {"page_size", ""}, {"page_size", "99999999999999999999"},
		{"page_size", "1", "page_size", "1"}, {"page_token", "", "page_token", ""}, {"unknown", "1"}, {"since", "yesterday"}}
	for _, query := range sizes {
		w.refused(t, w.listReadings(query...), fault.BadRequest)
		w.refused(t, w.listRecordings(query...), fault.BadRequest)
		w.refused(t, w.getRecording(entry.ID, query...), fault.BadRequest)
	}
	for _, query := range [][]string{
		{"type", ""}, {"type", "heart-rate"}, {"type", "omh:heart-rate:2.0"}, {"type", "omh:made-up"}, {"type", "OMH:heart-rate"}, {"type", "omh:heart-rate", "type", "x"},
		{"from", ""}, {"from", "2026-05-04"}, {"from", "2026-05-04T10:00:00"}, {"to", "2026-05-04 10:00:00Z"}, {"to", "now"},
		{"from", "2026-05-04T10:00:00Z", "from", "2026-05-04T10:00:00Z"}, {"to", "2026-02-30T00:00:00Z"}, {"from", "2026-05-04T10:00:00.0000000001Z"},
	} {
		w.refused(t, w.listReadings(query...), fault.BadRequest)
	}
	require.Len(t, w.page(t, w.listReadings("page_size", "1000")).Items, 1)
	require.Equal(t, auditlog.Allowed, w.lastEvent(t).Outcome)
}

// TestDefaultPage: a hundred, and no token where exactly that many are there.
func TestDefaultPage(t *testing.T) {
	w := newWorld(t)
	var points []string
	for i := range 100 {
		points = append(points, point(fmt.Sprintf("%03d", i), "2026-05-04T10:00:00Z"))
	}
	w.send(t, points...)
	require.Equal(t, [][]string{points}, w.walk(t, w.listReadings))
	w.send(t, point("100", "2026-05-04T10:00:00Z"))
	require.Equal(t, [][]string{points, {point("100", "2026-05-04T10:00:00Z")}}, w.walk(t, w.listReadings))
}

// TestChangesBetweenPages: what is written while somebody turns pages comes in
// its place, or not at all where that is behind him; nothing comes twice.
func TestChangesBetweenPages(t *testing.T) {
	w := newWorld(t)
	w.send(t, point("b", "2026-05-04T10:00:00Z"), point("d", "2026-05-04T12:00:00Z"), point("f", "2026-05-06T10:00:00Z"))
	first := w.page(t, w.listReadings("page_size", "2"))
	w.send(t, point("a", "2026-05-04T09:00:00Z"), point("c", "2026-05-04T11:00:00Z"), point("e", "2026-05-05T10:00:00Z"), point("g", "2026-05-07T10:00:00Z"))
	second := w.page(t, w.listReadings("page_size", "10", "page_token", first.Next))
	require.Equal(t, []json.RawMessage{json.RawMessage(point("e", "2026-05-05T10:00:00Z")), json.RawMessage(point("f", "2026-05-06T10:00:00Z")),
		json.RawMessage(point("g", "2026-05-07T10:00:00Z"))}, second.Items)
	require.Empty(t, second.Next)
}

// noise is text that does not compress.
func noise(n int, seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n)
	for i := range b {
		b[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[r.IntN(64)]
	}
	return string(b)
}

// TestMuchToOpen: a request opens so much, whole days at a time, and then gives
// a token; its page may be short, or empty.
func TestMuchToOpen(t *testing.T) {
	start := time.Date(2000, 1, 1, 10, 0, 0, 0, time.UTC)
	day := func(i int) time.Time { return start.AddDate(0, 0, i) }
	rate := func(i int, pad string) string {
		return pointOf("heart-rate", fmt.Sprint(i), day(i).Format(time.RFC3339), pad)
	}
	weight := pointOf("body-weight", "w", "2026-12-01T10:00:00Z", "")

	for _, test := range []struct {
		name string
		days int                  // that one request opens
		of   func(i int) []string // a block of them
	}{
		{"many blocks", maxOpened/(blockCost+1) + 1, func(i int) []string { return []string{rate(i, "")} }},
		{"many readings", maxOpened/(blockCost+1000) + 1, func(i int) []string { return slices.Repeat([]string{rate(i, "")}, 1000) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			for i := range test.days + 1 {
				w.seal(t, day(i).Format(time.DateOnly), "a", test.of(i)...)
			}
			w.send(t, weight)
			require.Equal(t, [][]string{{}, {weight}}, w.walk(t, w.listReadings, "type", "omh:body-weight"))
		})
	}
	t.Run("much text", func(t *testing.T) {
		w := newWorld(t)
		const days = 120
		cost := 0
		for i := range days { // of some 240 KB, sealed
			w.seal(t, day(i).Format(time.DateOnly), "a", rate(i, noise(310<<10, uint64(i))))
		}
		for _, p := range w.blocks.Of(w.Ada.String()) {
			cost += blockCost + 1 + len(p.Blob)/textCost
		}
		require.Greater(t, cost, maxOpened+maxOpened/8)
		w.send(t, weight)
		require.Equal(t, [][]string{{}, {weight}}, w.walk(t, w.listReadings, "type", "omh:body-weight"))

		t.Run("of which a page shows so much", func(t *testing.T) {
			seen := 0
			for _, p := range w.walk(t, w.listReadings, "type", "omh:heart-rate", "page_size", "1000") {
				size := 0
				for _, text := range p {
					require.Contains(t, text, fmt.Sprintf(`"id":"%d"`, seen))
					seen, size = seen+1, size+len(text)
				}
				require.LessOrEqual(t, size, edge.MaxPageText)
			}
			require.Equal(t, days, seen)
		})
	})
}

// TestADayOfMuch: one day may hold more than a page, in any order.
func TestADayOfMuch(t *testing.T) {
	w := newWorld(t)
	const n = 60
	for i := range n / 2 { // blocks whose readings lie across one another
		at := func(i int) string { return time.Date(2026, 5, 4, 0, i, 0, 0, time.UTC).Format(time.RFC3339) }
		w.seal(t, "2026-05-04", fmt.Sprintf("block%d", i*7%(n/2)),
			pointOf("heart-rate", fmt.Sprint(i), at(i), strings.Repeat("p", 200<<10)),
			pointOf("heart-rate", fmt.Sprint(n-1-i), at(n-1-i), strings.Repeat("p", 100<<10)))
	}
	for _, size := range []string{"1000", "3"} {
		seen := 0
		for _, p := range w.walk(t, w.listReadings, "page_size", size) {
			require.NotEmpty(t, p)
			for _, text := range p {
				require.Contains(t, text, fmt.Sprintf(`"id":"%d"`, seen))
				seen++
			}
		}
		require.Equal(t, n, seen)
	}
}

// TestADayOfTooMuch: what memory cannot hold is not shown in part.
func TestADayOfTooMuch(t *testing.T) {
	w := newWorld(t)
	w.send(t, point("a", "2026-05-04T10:00:00Z"))
	for name, limit := range map[string]*int{"work": &maxDay, "bytes": &maxDayBytes} {
		t.Run(name, func(t *testing.T) {
			was := *limit
			defer func() { *limit = was }()
			*limit = 10
			w.refused(t, w.listReadings(), fault.TooLarge)
		})
	}
}

// TestAnswersFitLambda: a function answers at most 6 MB, as the JSON of its
// event; a page of text that grows most in that fits too.
func TestAnswersFitLambda(t *testing.T) {
	for name, pad := range map[string]string{"quotes": `\"`, "back slashes": `\\`, "angles": `<`, "control characters": `\u0001`, "separators": "\u2028", "letters": "p"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for i := range 40 {
				w.seal(t, "2026-05-04", fmt.Sprint(i), pointOf("heart-rate", fmt.Sprint(i), "2026-05-04T10:00:00Z", strings.Repeat(pad, 250<<10/len(pad))))
			}
			answer := w.do(t, w.listReadings("page_size", "1000"))
			require.Equal(t, 200, answer.StatusCode)
			var event bytes.Buffer
			encoder := json.NewEncoder(&event)
			encoder.SetEscapeHTML(false) // as the Lambda library does
			require.NoError(t, encoder.Encode(answer))
			require.Less(t, event.Len(), 6<<20)
		})
	}
}

// TestAltered: a block that was altered, or put where it does not belong, gives
// 500 and an alarm, and nothing of it or of its neighbours; what does not touch
// it is not affected.
func TestAltered(t *testing.T) {
	fill := func(t *testing.T) (w *world, item string, sealed []byte) {
		w = newWorld(t)
		w.send(t, point("a", "2026-05-04T10:00:00Z"))
		w.send(t, point("b", "2026-05-05T10:00:00Z"))
		first := w.blocks.Of(w.Ada.String())[0]
		return w, first.Item, first.Blob
	}
	requireOthers := func(t *testing.T, w *world) {
		p := w.page(t, w.listReadings("from", "2026-05-05T00:00:00Z", "to", "2026-05-06T00:00:00Z"))
		require.Equal(t, []json.RawMessage{json.RawMessage(point("b", "2026-05-05T10:00:00Z"))}, p.Items)
	}
	t.Run("a bit of any byte", func(t *testing.T) {
		w, item, sealed := fill(t)
		for i := range sealed {
			flipped := bytes.Clone(sealed)
			flipped[i] ^= 1 << (i % 8)
			w.blocks.Put(w.Ada.String(), item, flipped)
			w.alarmed(t, w.listReadings())
		}
		requireOthers(t, w)
		w.blocks.Put(w.Ada.String(), item, sealed)
		require.Len(t, w.page(t, w.listReadings()).Items, 2)
	})
	for name, put := range map[string]func(w *world, item string, sealed []byte){
		"cut off":          func(w *world, item string, sealed []byte) { w.blocks.Put(w.Ada.String(), item, sealed[:len(sealed)-1]) },
		"longer":           func(w *world, item string, sealed []byte) { w.blocks.Put(w.Ada.String(), item, append(sealed, 0)) },
		"empty":            func(w *world, item string, _ []byte) { w.blocks.Put(w.Ada.String(), item, []byte{}) },
		"under another id": func(w *world, _ string, sealed []byte) { w.blocks.Put(w.Ada.String(), "2026-05-04#other", sealed) },
		"under another day": func(w *world, item string, sealed []byte) {
			w.blocks.Put(w.Ada.String(), "2026-05-03"+item[10:], sealed)
		},
		"under no day": func(w *world, _ string, sealed []byte) { w.blocks.Put(w.Ada.String(), "2026-05-04", sealed) },
		"of another owner": func(w *world, item string, _ []byte) {
			_, err := w.intake.Readings(context.Background(), w.request(w.Ben, "["+point("x", "2026-05-04T10:00:00Z")+"]"))
			if err != nil {
				panic(err)
			}
			w.blocks.Put(w.Ada.String(), item, w.blocks.Of(w.Ben.String())[0].Blob)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, item, sealed := fill(t)
			put(w, item, sealed)
			w.alarmed(t, w.listReadings())
			requireOthers(t, w)
		})
	}
	t.Run("a block that opens and holds no readings", func(t *testing.T) {
		w, _, _ := fill(t)
		w.sealText(t, "2026-05-04", "b", []byte("not a segment"))
		w.alarmed(t, w.listReadings())
		requireOthers(t, w)
	})
	t.Run("a block that opens and holds something else", func(t *testing.T) {
		w, _, _ := fill(t)
		w.seal(t, "2026-05-04", "b", `{"header":{},"body":{}}`)
		w.alarmed(t, w.listReadings())
		requireOthers(t, w)
	})
	t.Run("an alarm that cannot be written is 503", func(t *testing.T) {
		w, item, sealed := fill(t)
		w.blocks.Put(w.Ada.String(), item, sealed[1:])
		w.blocks.Hook = func(call string, _ bool) error {
			if call == "piece" { // the event of the read is there by now
				w.Audit.Fail(errors.New("down"))
			}
			return nil
		}
		w.refused(t, w.listReadings(), fault.Unavailable)
	})
}

// TestAlteredKeys: a key that somebody else has put into the Keys table is no
// outage.
func TestAlteredKeys(t *testing.T) {
	w := newWorld(t)
	w.send(t, point("a", "2026-05-04T10:00:00Z"))
	entry := w.record(t, monday)
	all := []eventOf{w.listReadings(), w.listRecordings(), w.getRecording(entry.ID)}
	good, err := w.keys.Store.OwnerKey(t.Context(), w.Ada.String(), "key-of-ada")
	require.NoError(t, err)
	bens, err := w.keys.Store.OwnerKey(t.Context(), w.Ben.String(), "key-of-ben")
	require.NoError(t, err)

	t.Run("an owner's", func(t *testing.T) {
		w.start(t)
		w.keys.Store.SetOwnerKey(w.Ada.String(), "key-of-ada", keyring.Enrolled{Statement: good.Statement, Signature: good.Signature, Wrapped: bens.Wrapped})
		for _, e := range all {
			w.alarmed(t, e)
		}
		w.keys.Store.SetOwnerKey(w.Ada.String(), "key-of-ada", good)
		for _, e := range all {
			require.Equal(t, 200, w.do(t, e).StatusCode)
		}
	})
	t.Run("the page tokens'", func(t *testing.T) {
		w.keys.Store = keyringtest.Store{}
		w.keys.Make(t, keyring.PagesKeyName, keyring.PurposePages, keyring.Context(deployment, "another", keyring.PurposePages))
		w.start(t)
		for _, e := range all {
			w.alarmed(t, e)
		}
	})
	t.Run("that keykeeper has not made yet is an outage", func(t *testing.T) {
		w.keys.Store = keyringtest.Store{}
		w.start(t)
		for _, e := range all {
			w.refused(t, e, fault.Unavailable)
		}
	})
}

// TestRefused: who may not read gets nothing, and is written down.
func TestRefused(t *testing.T) {
	w := newWorld(t)
	w.send(t, point("a", "2026-05-04T10:00:00Z"))
	entry := w.record(t, run("2026-05-04T05:25:00Z", "2026-05-04T05:26:00Z"))
	lists := map[string]func() eventOf{
		"readings":   func() eventOf { return w.listReadings() },
		"recordings": func() eventOf { return w.listRecordings() },
		"recording":  func() eventOf { return w.getRecording(entry.ID) },
	}
	for name, list := range lists {
		t.Run(name, func(t *testing.T) {
			e := list()
			edgetest.SetHeader(&e, "Authorization", "Bearer "+edgetest.Sign(w.Claims("ben")))
			e.PathParameters["user"] = w.Ada.String()
			w.refused(t, e, fault.NotFound)

			e = list()
			edgetest.SetHeader(&e, "Authorization", "Bearer "+edgetest.Sign(w.Claims("eve")))
			w.refused(t, e, fault.ConsentRequired)

			e = list()
			claims := w.Claims("ada")
			claims["scope"] = "fitvault/readings.write"
			edgetest.SetHeader(&e, "Authorization", "Bearer "+edgetest.Sign(claims))
			w.refused(t, e, fault.Forbidden)
			require.Equal(t, auditlog.Refused, w.lastEvent(t).Outcome)

			e = list()
			e.PathParameters["user"] = "nobody"
			w.refused(t, e, fault.NotFound)
		})
	}
	t.Run("ben's own is empty, and not ada's", func(t *testing.T) {
		for _, list := range []func() eventOf{lists["readings"], lists["recordings"]} {
			e := list()
			edgetest.SetHeader(&e, "Authorization", "Bearer "+edgetest.Sign(w.Claims("ben")))
			require.Empty(t, w.page(t, e).Items)
		}
		e := w.getRecording(entry.ID)
		edgetest.SetHeader(&e, "Authorization", "Bearer "+edgetest.Sign(w.Claims("ben")))
		w.refused(t, e, fault.NotFound)
	})
}

// TestFailures: whatever store fails, it is 503, and nothing is shown; not even
// what was opened before.
func TestFailures(t *testing.T) {
	down := func(wanted string) intaketest.Hook {
		return func(call string, _ bool) error {
			if call == wanted {
				return intaketest.ErrDown
			}
			return nil
		}
	}
	all := []string{"readings", "recordings", "recording"}
	for _, test := range []struct {
		name   string
		fail   func(w *world)
		routes []string // that need what fails
	}{
		{"the audit log", func(w *world) { w.Audit.Fail(errors.New("down")) }, all},
		{"KMS", func(w *world) { w.keys.KMS.Hook = func(string) error { return errors.New("down") } }, all},
		{"the keys' table", func(w *world) { w.keys.Store.Hook = func(string) error { return errors.New("down") } }, all},
		{"the owner's key", func(w *world) {
			w.keys.Store.Hook = func(call string) error {
				if call == "owner key" {
					return errors.New("down")
				}
				return nil
			}
		}, all},
		{"the blocks", func(w *world) { w.blocks.Hook = down("query") }, []string{"readings", "recordings"}},
		{"the blocks, in the middle", func(w *world) {
			seen := 0
			w.blocks.Hook = func(call string, done bool) error {
				if call == "piece" && done {
					if seen++; seen == 2 {
						return intaketest.ErrDown
					}
				}
				return nil
			}
		}, []string{"readings", "recordings"}},
		{"a piece", func(w *world) { w.blocks.Hook = down("get") }, []string{"recording"}},
		{"a document", func(w *world) { w.documents.Hook = down("get document") }, []string{"recording"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.send(t, point("a", "2026-05-04T10:00:00Z"), point("b", "2026-05-05T10:00:00Z"))
			w.record(t, run("2026-05-03T05:25:00Z", "2026-05-03T05:26:00Z"))
			entry := w.record(t, run("2026-05-04T05:25:00Z", "2026-05-04T05:26:00Z"))
			for route, e := range map[string]eventOf{"readings": w.listReadings(), "recordings": w.listRecordings(), "recording": w.getRecording(entry.ID)} {
				w.start(t)
				test.fail(w)
				if slices.Contains(test.routes, route) {
					w.refused(t, e, fault.Unavailable)
				} else {
					require.Equal(t, 200, w.do(t, e).StatusCode, route)
				}
				w.Audit.Fail(nil)
				w.blocks.Hook, w.documents.Hook, w.keys.KMS.Hook, w.keys.Store.Hook = nil, nil, nil, nil
				require.Equal(t, 200, w.do(t, e).StatusCode, "it was that")
			}
		})
	}
}

// FuzzFilter: no query takes a reader down, and its range is what it says.
func FuzzFilter(f *testing.F) {
	f.Add("omh:heart-rate", "2026-05-04T10:00:00Z", "2026-05-05T10:00:00+02:00")
	f.Add("omh:made-up", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999999-23:59")
	f.Add("", "", "")
	f.Fuzz(func(t *testing.T, name, from, to string) {
		filter, err := newFilter(url.Values{"type": {name}, "from": {from}, "to": {to}})
		if err != nil {
			require.Equal(t, fault.BadRequest, fault.KindOf(err))
			return
		}
		first, end := filter.days()
		for _, start := range []time.Time{filter.from, filter.from.Add(time.Hour), filter.to.Add(-1)} {
			r := reading.Reading{Start: start}
			for r.Type = range filter.types {
			}
			if year := start.UTC().Year(); year < 1 || year > 9999 || !filter.keep(r) {
				continue
			}
			item := r.Day() + "#id"
			require.True(t, first <= item && item < end, "a reading that is kept, and not looked for: %s of %s to %s", item, first, end)
		}
	})
}
