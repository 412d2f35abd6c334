// Package corpus sends the published and real-world test data through the
// deployed API and reads back what was accepted.
package corpus

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/oracle"
	"fitvault/e2e/stack"
	"fitvault/shared/openmhealth"
	"fitvault/shared/openmhealth/generate"
	"fitvault/shared/reading"
)

// data is a folder of ../shared/data, or of the small copy in testdata.
func data(t *testing.T, set string) string {
	for _, root := range []string{"../../../shared/data", "../../testdata"} {
		folder := filepath.Join(root, set)
		if _, err := os.Stat(folder); err == nil {
			if root == "../../testdata" {
				t.Logf("shared data absent: only the copy of %s in testdata is run", set)
			}
			return folder
		}
	}
	t.Fatalf("no data for %s", set)
	return ""
}

type results struct {
	Results []struct {
		Index         int
		Status, ID    string
		Pointer, Rule string
	}
}

type page struct {
	Items []json.RawMessage
	Next  string `json:"next_page_token"`
}

// point wraps a body in an IEEE header of its own.
func point(schema openmhealth.Schema, n int, body string) string {
	return fmt.Sprintf(`{"header":{"uuid":"00000000-0000-4000-8000-%012d","schema_id":{"namespace":%q,"name":%q,"version":%q},`+
		`"source_creation_date_time":"2026-05-04T07:25:00+02:00"},"body":%s}`, n, schema.Namespace, schema.Name, schema.Version, body)
}

func post(t *testing.T, p *stack.Person, points []string) results {
	var all results
	for chunk := range slices.Chunk(points, 500) {
		a := p.Do(t, http.MethodPost, "/users/me/readings", []byte("["+strings.Join(chunk, ",")+"]"), "Content-Type", "application/json")
		var r results
		if a.Status == http.StatusOK {
			a.JSON(t, &r)
		} else {
			require.Equal(t, http.StatusUnprocessableEntity, a.Status, string(a.Body))
			r.Results = make([]struct {
				Index         int
				Status, ID    string
				Pointer, Rule string
			}, len(chunk))
		}
		require.Len(t, r.Results, len(chunk))
		all.Results = append(all.Results, r.Results...)
	}
	return all
}

// list reads everything back, page by page.
func list(t *testing.T, p *stack.Person, path string) []json.RawMessage {
	var items []json.RawMessage
	token := ""
	for range 1000 {
		separator := "?"
		if strings.Contains(path, "?") {
			separator = "&"
		}
		next := ""
		if token != "" {
			next = "&page_token=" + token
		}
		a := p.Do(t, http.MethodGet, path+separator+"page_size=1000"+next, nil)
		require.Equal(t, http.StatusOK, a.Status, string(a.Body))
		var pg page
		a.JSON(t, &pg)
		items = append(items, pg.Items...)
		if token = pg.Next; token == "" {
			return items
		}
	}
	t.Fatal("the list does not end")
	return nil
}

func value(t *testing.T, text []byte) reading.Value {
	v, err := reading.Decode(jsontext.NewDecoder(bytes.NewBuffer(text)), 64)
	require.NoError(t, err)
	return v
}

// requireSame: what is read back is what was sent, by wire.md's equality.
func requireSame(t *testing.T, sent map[string]reading.Value, read []json.RawMessage) {
	require.Len(t, read, len(sent))
	for _, text := range read {
		v := value(t, text)
		r, err := reading.FromPoint(v)
		require.NoError(t, err)
		want, ok := sent[r.ID]
		require.True(t, ok, "something was read that was not sent")
		require.True(t, want.Equal(v), "a reading has changed: %s", r.Type)
	}
}

func TestPublishedBodies(t *testing.T) {
	p := stack.Open(t).Newcomer(t)
	var points, names []string
	var good []bool
	for _, schema := range openmhealth.Served {
		for _, verdict := range []string{"shouldPass", "shouldFail"} {
			files, err := filepath.Glob(filepath.Join(data(t, "omh-test-data"), schema.Name, schema.Version, verdict, "*.json"))
			require.NoError(t, err)
			for _, f := range files {
				if schema.Namespace != "omh" {
					continue
				}
				body, err := os.ReadFile(f)
				require.NoError(t, err)
				points, names, good = append(points, point(schema, len(points), string(body))), append(names, f), append(good, verdict == "shouldPass")
			}
		}
	}
	require.Greater(t, len(points), 100)
	sent := map[string]reading.Value{}
	for i, r := range post(t, p, points).Results {
		require.Equal(t, good[i], r.Status == "accepted", "%s: %s %s", names[i], r.Pointer, r.Rule)
		if good[i] {
			v := value(t, []byte(points[i]))
			sent[r.ID] = v
		}
	}
	requireSame(t, sent, list(t, p, "/users/me/readings"))
}

// TestGeneratedPoints sends every type and version with its optional members.
func TestGeneratedPoints(t *testing.T) {
	p := stack.Open(t).Newcomer(t)
	rng := rand.New(rand.NewPCG(3, 0))
	sent := map[string]reading.Value{}
	types := map[string]int{}
	var points []string
	for _, v := range generate.Batch(rng, 1000, p.ID) {
		r, err := reading.FromPoint(v)
		require.NoError(t, err)
		if _, taken := sent[r.ID]; taken {
			continue
		}
		sent[r.ID] = v
		types[r.Type.String()]++
		points = append(points, string(v.AppendJSON(nil)))
	}
	for i, r := range post(t, p, points).Results {
		require.Equal(t, "accepted", r.Status, "%d: %s %s", i, r.Pointer, r.Rule)
	}
	items := list(t, p, "/users/me/readings")
	requireSame(t, sent, items)
	var last reading.Reading
	for _, text := range items {
		r, err := reading.FromPoint(value(t, text))
		require.NoError(t, err)
		require.True(t, last.Start.Before(r.Start) || last.Start.Equal(r.Start) && last.ID <= r.ID, "not in order")
		last = r
	}
	for name, n := range types {
		require.Len(t, list(t, p, "/users/me/readings?type="+name), n, name)
	}
}

// TestMutatedPoints: points with one change each get the verdict of Python's
// jsonschema and our documented extra rules. (shared/openmhealth compares many
// more, rule by rule, without the API.)
func TestMutatedPoints(t *testing.T) {
	p := stack.Open(t).Newcomer(t)
	rng := rand.New(rand.NewPCG(4, 0))
	var points []string
	for _, schema := range openmhealth.Served {
		for _, changed := range generate.Mutations(generate.Point(rng, schema, p.ID), p.ID) {
			if rng.IntN(40) == 0 {
				points = append(points, string(changed.AppendJSON(nil)))
			}
		}
	}
	require.Greater(t, len(points), 300)
	verdicts := oracle.Points(t, p.ID, points)
	accepted := 0
	for i, r := range post(t, p, points).Results {
		require.Equal(t, verdicts[i].Rule == "", r.Status == "accepted", "%s: %s %s, Python says %s", points[i], r.Pointer, r.Rule, verdicts[i].Rule)
		if r.Status == "accepted" {
			require.Equal(t, verdicts[i].ID, r.ID)
			accepted++
		}
	}
	require.Positive(t, accepted)
}

// TestSeries: a data series comes back as the data points that it stands for.
func TestSeries(t *testing.T) {
	p := stack.Open(t).Newcomer(t)
	header := `{"uuid":"00000000-0000-4000-8000-000000000001","schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"},` +
		`"source_creation_date_time":"2026-05-04T07:25:00+02:00"}`
	var bodies, want []string
	for i := range 100 {
		body := fmt.Sprintf(`{"heart_rate":{"value":%d,"unit":"beats/min"},"effective_time_frame":{"date_time":"2026-05-%02dT07:%02d:00+02:00"}}`, 60+i, 4+i/60, i%60)
		bodies, want = append(bodies, body), append(want, `{"header":`+header+`,"body":`+body+`}`)
	}
	bodies = append(bodies, strings.Replace(bodies[0], "beats/min", "bpm", 1))
	a := p.Do(t, http.MethodPost, "/users/me/readings", []byte(`{"header":`+header+`,"body":[`+strings.Join(bodies, ",")+`]}`), "Content-Type", "application/json")
	require.Equal(t, http.StatusOK, a.Status, string(a.Body))
	var r results
	a.JSON(t, &r)
	require.Len(t, r.Results, len(bodies))
	for i, result := range r.Results[:len(want)] {
		require.Equal(t, "accepted", result.Status)
		require.Equal(t, i, result.Index)
		require.Equal(t, "00000000-0000-4000-8000-000000000001", result.ID)
	}
	require.Equal(t, "/body/heart_rate/unit", r.Results[len(want)].Pointer)
	read := list(t, p, "/users/me/readings")
	require.Len(t, read, len(want))
	for i, text := range read { // by start: the order in which they were made
		require.True(t, value(t, []byte(want[i])).Equal(value(t, text)), "%s", text)
	}

	a = p.Do(t, http.MethodPost, "/users/me/readings", []byte(`{"header":`+header+`,"body":[`+bodies[len(want)]+`]}`), "Content-Type", "application/json")
	require.Equal(t, http.StatusUnprocessableEntity, a.Status)
	require.Contains(t, string(a.Body), `"/body/0/heart_rate/unit"`)
}

// TestJSONTestSuite: whatever is sent, it is the caller's fault, not ours. Of every fourth
// file where ATTACK is not whole: functions and parsers have all of them in their own tests.
func TestJSONTestSuite(t *testing.T) {
	p := stack.Open(t).Newcomer(t)
	files, err := filepath.Glob(filepath.Join(data(t, "jsontestsuite"), "*.json"))
	require.NoError(t, err)
	require.Greater(t, len(files), 300)
	for i, f := range files {
		if i%4 != 0 && !stack.Whole {
			continue
		}
		body, err := os.ReadFile(f)
		require.NoError(t, err)
		a := p.Do(t, http.MethodPost, "/users/me/readings", body, "Content-Type", "application/json")
		require.Contains(t, []int{400, 413, 422}, a.Status, f)
		require.Equal(t, "application/problem+json", a.Header.Get("Content-Type"), f)
	}
	require.Empty(t, list(t, p, "/users/me/readings"))
}

// TestNotUTF8: what is not UTF-8 arrives as it is and is refused; a gateway that
// mended it would have something stored that nobody sent.
func TestNotUTF8(t *testing.T) {
	p := stack.Open(t).Newcomer(t)
	good := point(openmhealth.Served[0], 1, `{}`)
	for name, body := range map[string]string{
		"a byte of no character": strings.Replace(good, "0000", "\xff000", 1),
		"a lone surrogate":       strings.Replace(good, "0000", "\xed\xa0\x80", 1),
		"an overlong form":       strings.Replace(good, "0000", "\xc0\xaf", 1),
		"a byte order mark":      "\xef\xbb\xbf" + good,
		"UTF-16":                 "\xff\xfe[\x00]\x00",
		"UTF-7":                  "+AFs-+AF0-",
	} {
		a := p.Do(t, http.MethodPost, "/users/me/readings", []byte(body), "Content-Type", "application/json")
		require.Equal(t, http.StatusBadRequest, a.Status, name)
	}
}
