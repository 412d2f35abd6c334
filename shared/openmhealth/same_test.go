package openmhealth_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
	"fitvault/shared/openmhealth"
	"fitvault/shared/openmhealth/generate"
	"fitvault/shared/reading"
	"fitvault/shared/segment"
)

// same requires the same of a body with shapes as without: the same results, the
// same fault, and of accepted records the same id, start and, when they have been
// packed and unpacked, the same data point. It returns how many had a shape.
func same(t testing.TB, shapes *openmhealth.Shapes, body []byte, limits openmhealth.Limits) (byShape int) {
	t.Helper()
	want, wanted := openmhealth.DecodeWith(body, owner, limits, nil)
	got, err := openmhealth.DecodeWith(body, owner, limits, shapes)
	require.Equal(t, wanted, err, "%s", body)
	require.Equal(t, len(want.Results), len(got.Results), "%s", body)
	for i := range want.Results { // as a whole they take testify long
		if want.Results[i] != got.Results[i] {
			require.Equal(t, want.Results[i], got.Results[i], "%s", body)
		}
	}
	require.Equal(t, want.Series, got.Series, "%s", body)
	require.Equal(t, len(want.Records), len(got.Records), "%s", body)
	if len(want.Records) == 0 {
		return 0
	}
	require.Equal(t, want.Shared, got.Shared, "%s", body)
	documents := make([]*segment.Document, len(got.Records))
	for i := range documents {
		documents[i] = &got.Records[i].Point
	}
	block, err := segment.EncodeDocuments(documents)
	require.NoError(t, err, "%s", body)
	unpacked, err := segment.Decode(block, segment.DefaultLimits)
	require.NoError(t, err, "%s", body)
	for i, w := range want.Records {
		g := got.Records[i]
		if w.ID != g.ID || !w.Start.Equal(g.Start) || w.Start.Location() != g.Start.Location() || g.Size < w.Size ||
			!w.Point.Whole.Equal(unpacked[i]) || !w.Point.Whole.Equal(g.Point.Value()) {
			require.Fail(t, "a record is not the same", "%d of %s: %s", i, body, unpacked[i].AppendJSON(nil))
		}
		if g.Point.Shape != nil {
			byShape++
		}
	}
	return byShape
}

func join(texts ...string) []byte { return []byte("[" + strings.Join(texts, ",") + "]") }

// halves takes a data point's text, as AppendJSON writes it, apart.
func halves(t testing.TB, point reading.Value) (header, body string) {
	t.Helper()
	h, _ := point.Get("header")
	b, _ := point.Get("body")
	return string(h.AppendJSON(nil)), string(b.AppendJSON(nil))
}

func TestGeneratedBatchesByShape(t *testing.T) {
	var shapes openmhealth.Shapes
	byShape := 0
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(5, seed))
		body := generate.JSON(generate.Batch(rng, 1+rng.IntN(60), owner))
		for range 2 {
			byShape += same(t, &shapes, body, openmhealth.Intake)
		}
		series, _ := generate.Series(rng, openmhealth.Served[int(seed)%len(openmhealth.Served)], 1+rng.IntN(60), owner)
		for range 2 {
			byShape += same(t, &shapes, series.AppendJSON(nil), openmhealth.Intake)
		}
	}
	require.Greater(t, byShape, 1000)
}

// Every change of package generate, and every published body, beside the points
// whose shapes are known: changed places must not pass for the unchanged. As in
// TestPythonAgrees all have been tried, and a run takes some.
func TestMutationsByShape(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 0))
	points, _ := corpus(t)
	for _, s := range openmhealth.Served {
		for range 2 {
			points = append(points, generate.Point(rng, s, owner))
		}
	}
	cases, byShape := 0, 0
	for _, p := range points {
		var shapes openmhealth.Shapes
		header, body := halves(t, p)
		point := string(p.AppendJSON(nil))
		byShape += same(t, &shapes, join(point, point), openmhealth.Intake)
		same(t, &shapes, []byte(`{"header":`+header+`,"body":[`+body+`]}`), openmhealth.Intake)
		sent, bodies := []string{point}, []string{body}
		for _, changed := range generate.Mutations(p, owner) {
			if rng.IntN(2*oneIn) > 0 {
				continue
			}
			sent = append(sent, string(changed.AppendJSON(nil)))
			if changed.Kind() == reading.Object {
				h, b := halves(t, changed)
				bodies = append(bodies, b)
				if h != header {
					same(t, &shapes, []byte(`{"header":`+h+`,"body":[`+body+`]}`), openmhealth.Intake)
				}
			}
			cases++
		}
		byShape += same(t, &shapes, join(append(sent, point)...), openmhealth.Intake)
		byShape += same(t, &shapes, []byte(`{"header":`+header+`,"body":[`+strings.Join(append(bodies, body), ",")+`]}`), openmhealth.Intake)
	}
	t.Logf("%d changes, %d records by shape", cases, byShape)
	require.Greater(t, byShape, 1000)
}

// leaves are put in the place of every number and string, as they stand in JSON:
// what a check of a leaf might take for what its schema asks for.
var leaves = []string{
	`null`, `true`, `0`, `-0`, `00`, `01`, `1.`, `.5`, `1.0`, `-0.0`, `0.5`, `-0.5`, `-`, `+1`, `1e2`, `1E2`, `1e-2`, `1e999`, `1-2`, `0x1`, `NaN`, `7.5`, `3`,
	`1234567890123456789012345678901234`, `12345678901234567890123456789012345`, `0.1234567890123456789012345678901234`, `0.12345678901234567890123456789012345`,
	`12.34567890123456789012345678901234`, `12.345678901234567890123456789012345`, `-1234567890123456789012345678901234`, `100000000000000000000000000000000000`,
	`""`, `"a"`, `" "`, `"a\u0000"`, `"\u0041"`, `"\ud83d\ude00"`, `"\ud800"`, `"a\\b"`, `"a\/b"`, `"a\"b"`, "\"\x00\"", "\"\x1f\"", "\"\n\"", "\"\x7f\"", "\"\xff\"", "\"\xc3\"", "\"\xed\xa0\x80\"", `"é"`, `"😀"`, "\"\u0085\"", `"a`, `a"`, `"a""b"`,
	`"beats/min"`, `"beats\/min"`, `"kg"`, `"sensed"`, `"\u0073ensed"`, `"ieee"`, `"1.0"`,
	`"2026-05-04T07:25:00Z"`, `"2026-05-04t07:25:00z"`, `"2026-05-04T07:25:00+02:00"`, `"2026-05-04T07:25:00-00:00"`, `"2026-05-04T07:25:00.123456789Z"`, `"2026-05-04T07:25:00.1234567890Z"`,
	`"2026-05-04T07:25:60Z"`, `"2026-05-04T24:00:00Z"`, `"2026-02-30T07:25:00Z"`, `"2024-02-29T07:25:00Z"`, `"2023-02-29T07:25:00Z"`, `"0000-01-01T00:00:00Z"`, `"0001-01-01T00:00:00+00:01"`, `"9999-12-31T23:59:59-00:01"`,
	`"2026-05-04T07:25:00"`, `"2026-05-04 07:25:00Z"`, `"2026-05-04T07:25:00Z "`, `"2026-05-04T07:25:00+24:00"`, `"2026-05-04"`, `"2026-02-30"`, `"2026-5-4"`, "\"2026-05-04\\n\"",
	`"0b3c6f0e-5a5b-4c8e-9d2f-0a1b2c3d4e5f"`, `"0B3C6F0E-5A5B-4C8E-9D2F-0A1B2C3D4E5F"`, `"0b3c6f0e-5a5b-4c8e-9d2f-0a1b2c3d4e5"`, `"0b3c6f0e5a5b-4c8e-9d2f-0a1b2c3d4e5f0"`, `"0b3c6f0e-5a5b-4c8e-9d2f-0a1b2c3d4e5g"`, `"g-3c6f0e-5a5b-4c8e-9d2f-0a1b2c3d4e5f"`,
	`"urn:a"`, `"urn:é"`, `"a b"`, `"http://a/%zz"`, `"` + owner + `"`, `"` + owner + ` "`, `"` + strings.Repeat("a", 256) + `"`, `"` + strings.Repeat("a", 257) + `"`, `"` + strings.Repeat("é", 256) + `"`, `"` + strings.Repeat("é", 257) + `"`,
	`[]`, `{}`, ``, `1 `, ` 1`, `1,1`, `"a" `,
}

// A shape that was learned with one value must not let in another that the
// schemas, or our rules, refuse: every leaf, unit, enumeration, pattern and time of
// every served type, with each of the leaves above. (All 277,000 have been tried, and
// a run takes some.)
func TestNoLeafPassesForAnother(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 0))
	cases, byShape, accepted := 0, 0, 0
	for _, s := range openmhealth.Served {
		for range 3 {
			p := generate.Point(rng, s, owner)
			header, body := halves(t, p)
			text := string(p.AppendJSON(nil))
			var shapes openmhealth.Shapes
			same(t, &shapes, join(text), openmhealth.Intake)
			same(t, &shapes, []byte(`{"header":`+header+`,"body":[`+body+`]}`), openmhealth.Intake)
			try := func(sent string) {
				_, err := openmhealth.DecodeWith([]byte(sent), owner, openmhealth.Intake, nil)
				if err == nil {
					accepted++
				}
				byShape += same(t, &shapes, []byte(sent), openmhealth.Intake)
				cases++
			}
			for _, at := range scalars(t, text) {
				for _, leaf := range leaves {
					if rng.IntN(oneIn/3) == 0 {
						try("[" + text[:at[0]] + leaf + text[at[1]:] + "]")
					}
				}
			}
			for _, at := range scalars(t, header) {
				for _, leaf := range leaves {
					if rng.IntN(oneIn/3) == 0 {
						try(`{"header":` + header[:at[0]] + leaf + header[at[1]:] + `,"body":[` + body + `]}`)
					}
				}
			}
			for _, at := range scalars(t, body) {
				for _, leaf := range leaves {
					if rng.IntN(oneIn/3) == 0 {
						try(`{"header":` + header + `,"body":[` + body[:at[0]] + leaf + body[at[1]:] + `]}`)
					}
				}
			}
		}
	}
	t.Logf("%d cases, %d accepted, %d of them by shape", cases, accepted, byShape)
	require.Greater(t, byShape, accepted/2)
	require.Less(t, accepted, cases/2)
}

// scalars is where the numbers and strings of a JSON text stand, names not.
func scalars(t testing.TB, text string) (spans [][2]int) {
	t.Helper()
	dec := jsontext.NewDecoder(strings.NewReader(text))
	for {
		kind := dec.PeekKind()
		_, length := dec.StackIndex(dec.StackDepth())
		parent, _ := dec.StackIndex(dec.StackDepth())
		if (kind == jsontext.KindString || kind == jsontext.KindNumber) && !(parent == jsontext.KindBeginObject && length%2 == 0) {
			raw, err := dec.ReadValue()
			require.NoError(t, err)
			end := int(dec.InputOffset())
			spans = append(spans, [2]int{end - len(raw), end})
			continue
		}
		if _, err := dec.ReadToken(); err != nil {
			return spans
		}
	}
}

// Any byte of a body changed, dropped, put in or repeated.
func TestDamagedBodiesByShape(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 0))
	for _, s := range openmhealth.Served[:6] {
		p, q := generate.Point(rng, s, owner), generate.Point(rng, s, owner)
		header, body := halves(t, p)
		var shapes openmhealth.Shapes
		for _, sent := range []string{
			" [" + string(p.AppendJSON(nil)) + " ,\n" + string(q.AppendJSON(nil)) + "]\n", string(p.AppendJSON(nil)),
			` { "header" : ` + header + ` , "body" : [ ` + body + ` , ` + body + ` ] } `,
			`{"body":[` + body + `],"header":` + header + `}`,
		} {
			same(t, &shapes, []byte(sent), openmhealth.Intake)
			for range 500 {
				damaged := []byte(sent)
				at := rng.IntN(len(damaged))
				switch other := "\"\\{}[]:,.-0123456789eEtTzZ \n\x00\xff"[rng.IntN(30)]; rng.IntN(4) {
				case 0:
					damaged[at] = other
				case 1:
					damaged = slices.Delete(damaged, at, min(len(damaged), at+1+rng.IntN(3)))
				case 2:
					damaged = slices.Insert(damaged, at, other)
				case 3:
					damaged = slices.Insert(damaged, at, damaged[at:min(len(damaged), at+rng.IntN(200))]...)
				}
				same(t, &shapes, damaged, openmhealth.Intake)
			}
		}
	}
}

func TestJSONTestSuiteByShape(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 0))
	p := generate.Point(rng, openmhealth.Served[10], owner)
	point := string(p.AppendJSON(nil))
	header, body := halves(t, p)
	var shapes openmhealth.Shapes
	files, err := filepath.Glob(filepath.Join(openmhealth.Data(t, "jsontestsuite"), "*.json"))
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, sent := range []string{
			string(text), "[" + point + "," + string(text) + "," + point + "]", point + string(text), strings.Replace(point, `"body":`, `"body":`+string(text)+`,"body":`, 1),
			`{"header":` + header + `,"body":[` + body + `,` + string(text) + `,` + body + `]}`, `{"header":` + string(text) + `,"body":[` + body + `]}`, `{"header":` + header + `,"body":[` + body + `]` + string(text) + `}`, `{"body":[` + body + `]` + string(text) + `,"header":` + header + `}`,
			`{"body":[` + body + `,` + string(text) + `],"header":` + header + `}`, `{"body":[` + body + `],"header":` + string(text) + `}`, `{"body":[` + body + `],"header":` + header + string(text) + `}`,
		} {
			if len(sent) < 100_000 {
				same(t, &shapes, []byte(sent), openmhealth.Intake)
			}
		}
	}
}

// Limits hold by shape as without: each at its edge and one beyond.
func TestLimitsByShape(t *testing.T) {
	p := generate.Point(rand.New(rand.NewPCG(10, 0)), openmhealth.Served[10], owner)
	header, body := halves(t, p)
	point := string(p.AppendJSON(nil))
	var shapes openmhealth.Shapes
	series := func(n int, space string) []byte {
		return []byte(`{"header":` + header + `,"body":[` + strings.TrimSuffix(strings.Repeat(space+body+",", n), ",") + `]}`)
	}
	points := func(n int, space string) []byte {
		return []byte("[" + strings.TrimSuffix(strings.Repeat(space+point+",", n), ",") + "]")
	}
	same(t, &shapes, points(1, ""), openmhealth.Intake)
	same(t, &shapes, series(1, ""), openmhealth.Intake)
	bodyFirst := func(n int, space string) []byte {
		return []byte(`{"body":[` + strings.TrimSuffix(strings.Repeat(space+body+",", n), ",") + `],"header":` + header + `}`)
	}
	require.Equal(t, 2, same(t, &shapes, bodyFirst(2, ""), openmhealth.Intake))
	limits := openmhealth.Limits{Bytes: 20_000, Records: 4, Depth: 8, RecordBytes: len(point) + 100}
	for n := range 7 {
		same(t, &shapes, points(n, ""), limits)
		same(t, &shapes, series(n, ""), limits)
		same(t, &shapes, bodyFirst(n, ""), limits)
	}
	for space := 90; space < 150; space++ {
		same(t, &shapes, points(2, strings.Repeat(" ", space)), limits)
		same(t, &shapes, series(2, strings.Repeat(" ", space)), limits)
		same(t, &shapes, bodyFirst(2, strings.Repeat(" ", space)), limits)
	}
	for depth := range 9 {
		limits.Depth = depth
		same(t, &shapes, points(2, ""), limits)
		same(t, &shapes, series(2, ""), limits)
		same(t, &shapes, bodyFirst(2, ""), limits)
		same(t, &shapes, []byte(point), limits)
	}
	limits.Bytes = len(point) + 1
	same(t, &shapes, points(1, ""), limits)
	for _, pad := range []int{16<<10 - 300, 16<<10 + 300} {
		long := strings.Replace(header, "{", "{"+strings.Repeat(" ", pad), 1)
		same(t, &shapes, []byte(`{"header":`+long+`,"body":[`+body+`,`+body+`]}`), openmhealth.Intake)
	}
}

// What is remembered is bounded, and is nobody's: no text of a record but what the
// schemas themselves say.
func TestWhatIsRemembered(t *testing.T) {
	var shapes openmhealth.Shapes
	for seed := range uint64(120) {
		batch := generate.Batch(rand.New(rand.NewPCG(11, seed)), 40, owner)
		before := shapes.Len()
		_, err := openmhealth.DecodeWith(generate.JSON(batch), owner, openmhealth.Intake, &shapes)
		require.NoError(t, err)
		require.LessOrEqual(t, shapes.Len()-before, openmhealth.MaxLearned, "points have no shapes of headers")
	}
	require.Equal(t, openmhealth.MaxShapes, shapes.Len())

	shapes = openmhealth.Shapes{}
	const canary = "canary-7f3a"
	good := `{"header":{"id":"%s","creation_date_time":"2026-05-04T07:25:00Z","schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0","url":"urn:%s"},` +
		`"user_id":"` + owner + `","acquisition_provenance":{"source_name":"%s","source_data_point_id":"%s"}},` +
		`"body":{"heart_rate":{"value":71.236548917,"unit":"beats/min"},"effective_time_frame":{"date_time":"2026-05-04T07:25:00Z"}}}`
	for _, text := range []string{canary, canary + `\u0041`, `\n` + canary} {
		for _, id := range []string{canary, "a"} {
			body := []byte("[" + fmt.Sprintf(good, id, canary, text, text) + "]")
			same(t, &shapes, body, openmhealth.Intake)
			same(t, &shapes, []byte(strings.Replace(string(body), "heart_rate", "heart_rat\\u0065", 1)), openmhealth.Intake)
		}
	}
	header, _, _ := strings.Cut(strings.TrimPrefix(fmt.Sprintf(good, "a", "a", "a", "a"), `{"header":`), `,"body":`)
	for _, h := range []string{header, strings.Replace(header, "heart-rate", canary, 1), strings.Replace(header, "2.0", canary, 1)} {
		same(t, &shapes, []byte(`{"header":`+h+`,"body":[{"heart_rate":{"value":71.236548917,"unit":"beats/min"}}]}`), openmhealth.Intake)
	}
	require.Equal(t, 3, shapes.Len(), "a point in two spellings, and one header")
	for _, literal := range shapes.Literals() {
		for _, value := range []string{canary, "71.23", owner, "2026", "07:25"} {
			require.NotContains(t, literal, value)
		}
	}
}

// Clients that write alike get by with few shapes, whoever's readings they send.
func TestShapesAreShared(t *testing.T) {
	var shapes openmhealth.Shapes
	point := func(i int) string {
		return fmt.Sprintf(`{ "header": {"id": "n-%d", "creation_date_time": "2026-05-04T07:%02d:00Z", "schema_id": {"namespace": "omh", "name": "step-count", "version": "3.0"}},`+
			` "body": {"step_count": {"value": %d, "unit": "steps"}, "effective_time_frame": {"time_interval": {"start_date_time": "2026-05-04T07:%02d:00+02:00", "end_date_time": "2026-05-04T08:00:00+02:00"}}}}`, i, i, i*7, i)
	}
	require.Equal(t, 1, same(t, &shapes, join(point(0)), openmhealth.Intake))
	require.Equal(t, 1, shapes.Len())
	var points []string
	for i := range 60 {
		points = append(points, point(i))
	}
	require.Equal(t, 60, same(t, &shapes, join(points...), openmhealth.Intake))
	require.Equal(t, 1, same(t, &shapes, []byte(point(7)), openmhealth.Intake), "one data point alone")
	require.Equal(t, 1, shapes.Len())
}

func TestShapesAtOnce(t *testing.T) {
	var shapes openmhealth.Shapes
	var bodies [][]byte
	for seed := range uint64(16) {
		bodies = append(bodies, generate.JSON(generate.Batch(rand.New(rand.NewPCG(12, seed)), 20, owner)))
	}
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range bodies {
				batch, err := openmhealth.DecodeWith(bodies[(i+j)%len(bodies)], owner, openmhealth.Intake, &shapes)
				if err != nil || len(batch.Records) != 20 {
					t.Error("a good batch was refused", err)
				}
			}
		})
	}
	group.Wait()
	for _, body := range bodies {
		same(t, &shapes, body, openmhealth.Intake)
	}
}

func FuzzShapes(f *testing.F) {
	rng := rand.New(rand.NewPCG(13, 0))
	var shapes openmhealth.Shapes
	for _, s := range []openmhealth.Schema{openmhealth.Served[11], openmhealth.Served[16], openmhealth.Served[22], openmhealth.Served[26], openmhealth.Served[31]} {
		p := generate.Point(rng, s, owner)
		header, body := halves(f, p)
		point := string(p.AppendJSON(nil))
		for _, sent := range []string{point, "[" + point + "]", "[" + point + " , " + point + "]", `{"header":` + header + `,"body":[` + body + `,` + body + `]}`, ` { "body" : [` + body + `] , "header":` + header + `}`} {
			f.Add([]byte(sent))
			same(f, &shapes, []byte(sent), openmhealth.Intake)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		limits := openmhealth.Limits{Bytes: 4096, Records: 4, Depth: 8, RecordBytes: 2048}
		sent := bytes.Clone(body)
		for range 2 {
			same(t, &shapes, body, limits)
		}
		require.Equal(t, sent, body, "a body is not changed")
	})
}

// A refused body is looked at once, and told as without shapes.
func TestRefusedByShape(t *testing.T) {
	var shapes openmhealth.Shapes
	p := generate.Point(rand.New(rand.NewPCG(14, 0)), openmhealth.Served[10], owner)
	point := string(p.AppendJSON(nil))
	same(t, &shapes, join(point), openmhealth.Intake)
	bad := strings.Replace(point, "beats/min", "bpm", 1)
	require.NotEqual(t, point, bad)
	for _, sent := range []string{"[" + bad + "]", bad, "[" + bad + "," + bad + "]", "[]", "{}", "7", ""} {
		_, err := openmhealth.DecodeWith([]byte(sent), owner, openmhealth.Intake, &shapes)
		require.Contains(t, []fault.Kind{fault.Invalid, fault.BadRequest}, fault.KindOf(err))
		same(t, &shapes, []byte(sent), openmhealth.Intake)
	}
}
