package corpus

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/e2e/oracle"
	"fitvault/e2e/stack"
)

const (
	tcx = "application/vnd.garmin.tcx+xml"
	gpx = "application/gpx+xml"
)

// formats are the formats of recordings, by the name that data, schemas and files have.
var formats = map[string]struct{ media, trackpoint string }{"tcx": {tcx, "Trackpoint"}, "gpx": {gpx, "trkpt"}}

type forgiven struct {
	Pointer, Rule string
	Count         int
}

type created struct {
	ID          string
	Trackpoints int
	Forgiven    []forgiven
}

// TestRecordings: each real file is taken or refused as shared/tcx and gpx are
// held against libxml2 for; what is taken, in either form, comes back byte for
// byte, and its trackpoints are counted by another parser.
func TestRecordings(t *testing.T) {
	for name, format := range formats {
		t.Run(name, func(t *testing.T) {
			p := stack.Open(t).Newcomer(t)
			files, documents := recordings(t, name)
			verdicts := oracle.Documents(t, name, documents)
			kept := 0
			for i, f := range files {
				for _, compressed := range []bool{false, true} {
					body, media := documents[i], format.media
					if compressed && i%3 != 0 && !stack.Whole {
						continue
					}
					if compressed {
						body, media = compress(t, body), media+"+gzip"
					}
					a := p.Do(t, http.MethodPost, "/users/me/recordings", body, "Content-Type", media, "Idempotency-Key", f+media)
					if !verdicts[i].Valid || strings.HasSuffix(f, "saf-test.gpx") { // our own rule: it says nowhere when it was
						require.Contains(t, []int{400, 422}, a.Status, "%s: %s", f, a.Body)
						continue
					}
					require.Equal(t, http.StatusCreated, a.Status, "%s: %s", f, a.Body)
					kept++
					var c created
					a.JSON(t, &c)
					require.Empty(t, c.Forgiven)
					require.Equal(t, "/v1/users/"+p.ID+"/recordings/"+c.ID, a.Header.Get("Location"))
					require.Equal(t, count(t, documents[i], format.trackpoint), c.Trackpoints, f)
					comesBack(t, p, c, body, media)
				}
			}
			require.Positive(t, kept)
			entries := list(t, p, "/users/me/recordings")
			require.Len(t, entries, kept)
			last := "9999"
			for _, e := range entries {
				var entry struct{ Start string }
				require.NoError(t, json.Unmarshal(e, &entry))
				require.LessOrEqual(t, entry.Start, last, "newest first")
				last = entry.Start
			}
		})
	}
}

// Files that not even the lenient profile takes: what is broken on purpose, and
// a document whose prefix xsi is declared nowhere.
var beyondRepair = []string{"rowingdata-invalidchar.tcx", "rowingdata-recover.tcx", "saf-broken1.gpx"}

// TestLenient: the real files come in, with a list of what was forgiven, which
// the entry keeps; what is valid is forgiven nothing.
func TestLenient(t *testing.T) {
	for name, format := range formats {
		t.Run(name, func(t *testing.T) {
			p := stack.Open(t).Newcomer(t)
			files, documents := recordings(t, name)
			verdicts := oracle.Documents(t, name, documents)
			for i, f := range files {
				a := p.Do(t, http.MethodPost, "/users/me/recordings?profile=lenient", documents[i], "Content-Type", format.media)
				if contains(beyondRepair, f) {
					require.Contains(t, []int{400, 422}, a.Status, "%s: %s", f, a.Body)
					continue
				}
				require.Equal(t, http.StatusCreated, a.Status, "%s: %s", f, a.Body)
				var c created
				a.JSON(t, &c)
				require.Equal(t, verdicts[i].Valid && !strings.HasSuffix(f, "saf-test.gpx"), len(c.Forgiven) == 0, f)
				require.Equal(t, verdicts[i].Trackpoints, c.Trackpoints, f)
				comesBack(t, p, c, documents[i], format.media)
			}
		})
	}
	t.Run("another profile", func(t *testing.T) {
		p := stack.Open(t).Newcomer(t)
		a := p.Do(t, http.MethodPost, "/users/me/recordings?profile=any", []byte("<a/>"), "Content-Type", tcx)
		require.Equal(t, http.StatusBadRequest, a.Status)
	})
}

// comesBack requires that a recording is read as it was sent, and its trackpoints and what was forgiven.
func comesBack(t *testing.T, p *stack.Person, c created, original []byte, media string) {
	t.Helper()
	a := p.Do(t, http.MethodGet, "/users/me/recordings/"+c.ID, nil, "Accept", media)
	require.Equal(t, http.StatusOK, a.Status)
	require.Equal(t, media, a.Header.Get("Content-Type"))
	require.True(t, bytes.Equal(original, a.Body))

	read, token := 0, ""
	for range 1000 {
		a = p.Do(t, http.MethodGet, "/users/me/recordings/"+c.ID+"?page_size=1000"+token, nil, "Accept", "application/json")
		require.Equal(t, http.StatusOK, a.Status, string(a.Body))
		var pg struct {
			Trackpoints []json.RawMessage
			Forgiven    []forgiven
			Count       int    `json:"trackpoint_count"`
			Next        string `json:"next_page_token"`
		}
		a.JSON(t, &pg)
		require.Equal(t, c.Trackpoints, pg.Count)
		require.Equal(t, c.Forgiven, pg.Forgiven)
		if read += len(pg.Trackpoints); pg.Next == "" {
			break
		}
		token = "&page_token=" + pg.Next
	}
	require.Equal(t, c.Trackpoints, read)
}

// TestEitherForm: a retry in the other form is a retry; readings may come compressed too.
func TestEitherForm(t *testing.T) {
	p := stack.Open(t).Newcomer(t)
	_, documents := recordings(t, "gpx")
	document := documents[len(documents)-2] // saf-riderx3
	first := p.Do(t, http.MethodPost, "/users/me/recordings", document, "Content-Type", gpx)
	require.Equal(t, http.StatusCreated, first.Status, string(first.Body))
	again := p.Do(t, http.MethodPost, "/users/me/recordings", compress(t, document), "Content-Type", gpx+"+gzip")
	require.Equal(t, string(first.Body), string(again.Body))
	require.Len(t, list(t, p, "/users/me/recordings"), 1)
	lists := p.Do(t, http.MethodGet, "/users/me/recordings", nil)
	var page struct {
		AsOf string `json:"as_of"`
	}
	lists.JSON(t, &page)
	require.Len(t, list(t, p, "/users/me/recordings?since="+url.QueryEscape(page.AsOf)), 1, "within the margin")
	require.Empty(t, list(t, p, "/users/me/recordings?since=2999-01-01T00:00:00Z"))

	body := []byte(`[{"header":{"uuid":"3c1f8f0e-6f5b-4a55-9f0e-2f6f7a1f4f10","schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"},` +
		`"source_creation_date_time":"2026-05-04T07:25:00+02:00","modality":"sensed"},` +
		`"body":{"heart_rate":{"value":71,"unit":"beats/min"},"effective_time_frame":{"date_time":"2026-05-04T07:25:00+02:00"}}}]`)
	first = p.Do(t, http.MethodPost, "/users/me/readings", compress(t, body), "Content-Type", "application/json+gzip")
	require.Equal(t, http.StatusOK, first.Status, string(first.Body))
	again = p.Do(t, http.MethodPost, "/users/me/readings", body, "Content-Type", "application/json")
	require.Equal(t, string(first.Body), string(again.Body))
	require.Len(t, list(t, p, "/users/me/readings"), 1)
}

// TestHostileForms: each is refused with its status, a bomb of 1 GiB too.
func TestHostileForms(t *testing.T) {
	p := stack.Open(t).Newcomer(t)
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	_, err := io.CopyN(w, zeros{}, 1<<30)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	text := compress(t, []byte("<gpx/>"))
	for name, c := range map[string]struct {
		body   []byte
		status int
	}{
		"bomb": {bomb.Bytes(), 413}, "not gzip": {[]byte("<gpx/>"), 400}, "cut off": {text[:len(text)-1], 400}, "two members": {append(text, text...), 400},
		"empty": {nil, 400}, "gzip in gzip": {compress(t, text), 400},
	} {
		for _, media := range []string{tcx, gpx} {
			a := p.Do(t, http.MethodPost, "/users/me/recordings", c.body, "Content-Type", media+"+gzip")
			require.Equal(t, c.status, a.Status, "%s: %s", name, a.Body)
		}
		a := p.Do(t, http.MethodPost, "/users/me/readings", c.body, "Content-Type", "application/json+gzip")
		require.Equal(t, c.status, a.Status, "%s: %s", name, a.Body)
	}
	require.Empty(t, list(t, p, "/users/me/recordings"))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// recordings returns the real files of a format, in order of their names.
func recordings(t *testing.T, format string) (files []string, documents [][]byte) {
	files, err := filepath.Glob(filepath.Join(data(t, format), "*."+format))
	require.NoError(t, err)
	for _, f := range files {
		document, err := os.ReadFile(f)
		require.NoError(t, err)
		documents = append(documents, document)
	}
	require.NotEmpty(t, documents)
	return files, documents
}

func contains(names []string, file string) bool {
	for _, n := range names {
		if strings.HasSuffix(file, n) {
			return true
		}
	}
	return false
}

func compress(t *testing.T, text []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

// count counts elements with encoding/xml, which no part of intake uses.
func count(t *testing.T, document []byte, name string) (n int) {
	d := xml.NewDecoder(bytes.NewReader(document))
	for {
		token, err := d.Token()
		if token == nil {
			return n
		}
		require.NoError(t, err)
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == name {
			n++
		}
	}
}
