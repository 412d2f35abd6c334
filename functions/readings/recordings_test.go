package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
	"fitvault/shared/intake"
	"fitvault/shared/recording"
	"fitvault/shared/tcx"
	"fitvault/shared/vault"
)

// monday is a recording for tests that need just one.
var monday = run("2026-05-04T05:25:00Z", "2026-05-04T05:26:00Z")

func TestListRecordings(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, page{Items: []json.RawMessage{}, AsOf: w.Time.Add(-asOfMargin)}, w.page(t, w.listRecordings()))

	w.send(t, point("a", "2026-05-04T07:25:00+02:00")) // readings are not in it
	e := w.record(t, monday)
	p := w.page(t, w.listRecordings())
	require.Empty(t, p.Next)
	require.Len(t, p.Items, 1)
	require.JSONEq(t, fmt.Sprintf(`{"id": %q, "sport": "Running", "start": "2026-05-04T05:25:00Z", "end": "2026-05-04T05:26:00Z",
		"trackpoints": 2, "size": %d, "media_type": "application/vnd.garmin.tcx+xml", "arrived": "2026-05-04T05:25:00Z"}`, e.ID, len(monday)), string(p.Items[0]))
	require.NotContains(t, string(p.Items[0]), e.Document, "the object's id stays inside")
	require.Equal(t, string(access.RecordingsRead), w.lastEvent(t).Action)
	require.Len(t, w.page(t, w.listReadings()).Items, 1, "and recordings are not in the readings")
}

// TestNewestFirst: by start, newest first; of the same start by id.
func TestNewestFirst(t *testing.T) {
	w := newWorld(t)
	entries := []intake.Entry{}
	for _, start := range []string{"2026-05-04T05:25:00Z", "2026-05-06T05:25:00Z", "2026-05-06T07:25:00+02:00", "2026-05-05T23:00:00-04:00", "2025-12-31T00:00:00Z"} {
		entries = append(entries, w.record(t, run(start, "2026-12-31T00:00:00Z")))
	}
	slices.SortFunc(entries, func(a, b intake.Entry) int {
		if c := b.Start.Compare(a.Start); c != 0 {
			return c
		}
		return strings.Compare(b.ID, a.ID)
	})
	for size := 1; size <= len(entries)+1; size++ {
		var got []string
		pages := w.walk(t, w.listRecordings, "page_size", fmt.Sprint(size))
		for i, p := range pages {
			require.True(t, len(p) == size || i == len(pages)-1 && len(p) > 0)
			got = append(got, p...)
		}
		require.Len(t, got, len(entries))
		for i, e := range entries {
			require.Contains(t, got[i], e.ID, size)
		}
	}
	require.Contains(t, w.walk(t, w.listRecordings)[0][2], "-04:00", "times are shown as they were sent")

	t.Run("one that comes between two pages is not shown twice", func(t *testing.T) {
		first := w.page(t, w.listRecordings("page_size", "2"))
		w.record(t, run("2026-05-07T00:00:00Z", "2026-12-31T00:00:00Z"))
		second := w.page(t, w.listRecordings("page_token", first.Next))
		require.Len(t, second.Items, 3)
	})
}

// answered is the JSON of one recording.
type answered struct {
	ID, Sport, Start, End string
	Size                  int
	MediaType             string `json:"media_type"`
	Count                 int    `json:"trackpoint_count"`
	Trackpoints           []json.RawMessage
	Next                  string `json:"next_page_token"`
}

func (w *world) recording(t *testing.T, e eventOf) (a answered) {
	t.Helper()
	answer := w.do(t, e)
	require.Equal(t, 200, answer.StatusCode, answer.Body)
	require.Equal(t, "application/json", http.Header(answer.MultiValueHeaders).Get("Content-Type"))
	require.Equal(t, "Accept", http.Header(answer.MultiValueHeaders).Get("Vary"))
	require.NoError(t, json.Unmarshal([]byte(answer.Body), &a))
	return a
}

func TestGetRecording(t *testing.T) {
	w := newWorld(t)
	e := w.record(t, monday)
	a := w.recording(t, w.getRecording(e.ID))
	require.Equal(t, answered{ID: e.ID, Sport: "Running", Start: "2026-05-04T05:25:00Z", End: "2026-05-04T05:26:00Z", Size: len(monday), MediaType: intake.MediaTCX,
		Count: 2, Trackpoints: []json.RawMessage{[]byte(`{"time":"2026-05-04T05:25:00Z","heart_rate":71}`), []byte(`{"time":"2026-05-04T05:26:00Z","heart_rate":92}`)}}, a)
	event := w.lastEvent(t)
	require.Equal(t, [3]string{string(access.RecordingsRead), e.ID, string(auditlog.Allowed)}, [3]string{event.Action, event.Recording, string(event.Outcome)})
	require.NotContains(t, w.Log.String(), e.ID)

	t.Run("one that does not exist", func(t *testing.T) {
		w.refused(t, w.getRecording("aaaaaaaaaaaaaaaaaaaaaaaaaa"), fault.NotFound)
		w.refused(t, w.getRecording(e.Document), fault.NotFound)
	})
	t.Run("a name that is none", func(t *testing.T) {
		for _, id := range []string{"", "..", "a/b", "a#b", "a%23b", strings.Repeat("a", 65), "somebody-s-own-words", strings.Repeat("b", 26)} {
			w.refused(t, w.getRecording(id), fault.NotFound)
			event := w.lastEvent(t) // the trail does not take the caller's word for an id
			require.Equal(t, [2]string{"", string(auditlog.Refused)}, [2]string{event.Recording, string(event.Outcome)})
		}
	})
	t.Run("another owner's of that id", func(t *testing.T) {
		request := w.request(w.Ben, monday)
		request.MediaType = intake.MediaTCX
		theirs, err := w.intake.Recording(context.Background(), request)
		require.NoError(t, err)
		w.refused(t, w.getRecording(theirs.ID), fault.NotFound)
	})
}

// TestTrackpointPages: the pages together are the document's trackpoints.
func TestTrackpointPages(t *testing.T) {
	document, err := os.ReadFile(largest(t))
	require.NoError(t, err)
	trackpoints, _, err := tcx.Format.Read(intake.Document{Body: document, MediaType: intake.MediaTCX}.Open, recording.DefaultLimits, false,
		recording.Page{Size: 1000})
	require.NoError(t, err)
	n := len(trackpoints)
	require.Greater(t, n, 300)
	w := newWorld(t)
	e := w.record(t, string(document))
	for _, size := range []int{100, n - 1, n, min(n+1, 1000)} {
		next, got := "", 0
		for {
			query := []string{"page_size", fmt.Sprint(size)}
			if next != "" {
				query = append(query, "page_token", next)
			}
			a := w.recording(t, w.getRecording(e.ID, query...))
			require.Equal(t, n, a.Count)
			for _, p := range a.Trackpoints {
				require.JSONEq(t, string(trackpoints[got].AppendJSON(nil)), string(p))
				got++
			}
			require.True(t, len(a.Trackpoints) == size || a.Next == "")
			if next = a.Next; next == "" {
				break
			}
		}
		require.Equal(t, n, got)
	}
	require.Len(t, w.recording(t, w.getRecording(e.ID)).Trackpoints, 100, "a hundred by default")
}

// largest is the largest document of the corpus with at most 1,000 trackpoints.
func largest(t *testing.T) (file string) {
	files, err := filepath.Glob("../../testdata/tcx/*.tcx")
	require.NoError(t, err)
	most := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		r, err := tcx.Format.Parse(intake.Document{Body: b, MediaType: intake.MediaTCX}.Open, recording.DefaultLimits, false)
		if err == nil && r.Trackpoints > most && r.Trackpoints <= 1000 {
			file, most = f, r.Trackpoints
		}
	}
	require.NotEmpty(t, file)
	return file
}

func TestAccept(t *testing.T) {
	w := newWorld(t)
	// Bytes that a parser would not give back: line ends, space, characters in references.
	original := strings.ReplaceAll(monday, "\n", "\r\n") + "\r\n<!-- größe 😀 &amp; -->\r\n\r\n"
	e := w.record(t, original)
	const (
		asJSON     = "application/json"
		asOriginal = intake.MediaTCX
		neither    = ""
	)
	for _, test := range []struct{ accept, want string }{
		{"", asJSON},
		{"*/*", asJSON},
		{"application/*", asJSON},
		{"application/json", asJSON},
		{"text/html, application/json;q=0.1", asJSON},
		{"application/json, application/vnd.garmin.tcx+xml;q=0.9", asJSON},
		{"application/vnd.garmin.tcx+xml", asOriginal},
		{"Application/VND.garmin.TCX+xml", asOriginal},
		{"application/vnd.garmin.tcx+xml, application/json;q=0.5", asOriginal},
		{"application/vnd.garmin.tcx+xml;q=0.1, text/html", asOriginal},
		{"application/vnd.garmin.tcx+xml;q=0.1, */*", asJSON},
		{"application/json;q=0.1, application/vnd.garmin.tcx+xml", neither}, // the gateway decodes for the first type only
		{"application/vnd.garmin.tcx+xml;q=0", neither},
		{"text/html", neither},
		{"application/gpx+xml", neither},
		{"not a media type", neither},
	} {
		t.Run(test.accept, func(t *testing.T) {
			event := w.getRecording(e.ID)
			if test.accept != "" {
				edgetest.SetHeader(&event, "Accept", test.accept)
			}
			switch test.want {
			case asJSON:
				require.Equal(t, e.ID, w.recording(t, event).ID)
			case asOriginal:
				answer := w.do(t, event)
				require.Equal(t, 200, answer.StatusCode, answer.Body)
				h := http.Header(answer.MultiValueHeaders)
				require.Equal(t, [2]string{intake.MediaTCX, "Accept"}, [2]string{h.Get("Content-Type"), h.Get("Vary")})
				require.True(t, answer.IsBase64Encoded)
				body, err := base64.StdEncoding.DecodeString(answer.Body)
				require.NoError(t, err)
				require.Equal(t, original, string(body), "byte for byte")
			default:
				w.refused(t, event, fault.NotAcceptable)
			}
		})
	}
	t.Run("the lists are JSON whatever is asked for", func(t *testing.T) {
		event := w.listRecordings()
		edgetest.SetHeader(&event, "Accept", intake.MediaTCX)
		require.Len(t, w.page(t, event).Items, 1)
	})
}

// Each form goes out as it came in, and in no other.
func TestForms(t *testing.T) {
	w := newWorld(t)
	const track = `<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1" creator="a"><trk><type>run</type><trkseg><trkpt lat="1.5" lon="2"><time>2026-05-04T05:25:00Z</time></trkpt>` +
		`<trkpt lat="1" lon="2"/></trkseg></trk></gpx>`
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte(track))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	for media, document := range map[string]string{intake.MediaGPX: track, intake.MediaGPX + "+gzip": packed.String()} {
		e := w.recordAs(t, document, media, false)
		a := w.recording(t, w.getRecording(e.ID))
		require.Equal(t, answered{ID: e.ID, Sport: "Running", Start: "2026-05-04T05:25:00Z", End: "2026-05-04T05:25:00Z", Size: len(document), MediaType: media, Count: 2,
			Trackpoints: []json.RawMessage{[]byte(`{"time":"2026-05-04T05:25:00Z","position":{"latitude":1.5,"longitude":2}}`), []byte(`{"position":{"latitude":1,"longitude":2}}`)}}, a)
		for _, accept := range intake.RecordingTypes {
			event := w.getRecording(e.ID)
			edgetest.SetHeader(&event, "Accept", accept)
			if accept != media {
				w.refused(t, event, fault.NotAcceptable)
				continue
			}
			answer := w.do(t, event)
			require.Equal(t, media, http.Header(answer.MultiValueHeaders).Get("Content-Type"))
			body, err := base64.StdEncoding.DecodeString(answer.Body)
			require.NoError(t, err)
			require.Equal(t, document, string(body))
		}
	}
}

// What was read leniently is read so again, and says what was forgiven.
func TestForgiven(t *testing.T) {
	w := newWorld(t)
	odd := strings.NewReplacer("Running", "Rowing", "<Value>71", "<Value>71.4").Replace(monday)
	e := w.recordAs(t, odd, intake.MediaTCX, true)
	answer := w.do(t, w.getRecording(e.ID))
	require.Contains(t, answer.Body, `"forgiven":[{"pointer":"/TrainingCenterDatabase/Activities/Activity","rule":"sport-name","count":1},`)
	require.Contains(t, answer.Body, `{"time":"2026-05-04T05:25:00Z","heart_rate":71}`)
	require.Contains(t, string(w.page(t, w.listRecordings()).Items[0]), `"rule":"fraction"`)
	require.Empty(t, w.recording(t, w.getRecording(e.ID, "page_size", "2")).Next)
	require.NotEmpty(t, w.recording(t, w.getRecording(e.ID, "page_size", "1")).Next)
}

// A recording that does not say when it was stands where it arrived.
func TestWithoutATime(t *testing.T) {
	w := newWorld(t)
	plan := w.recordAs(t, `<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1" creator="a"><trk><trkseg><trkpt lat="1" lon="2"/></trkseg></trk></gpx>`, intake.MediaGPX, true)
	w.record(t, run("2026-05-04T05:24:59Z", "2026-05-04T05:26:00Z"))
	w.record(t, run("2026-05-04T05:25:01Z", "2026-05-04T05:26:00Z"))
	for _, size := range []string{"1", "2", "3"} {
		var all []string
		for _, p := range w.walk(t, w.listRecordings, "page_size", size) {
			all = append(all, p...)
		}
		require.Len(t, all, 3)
		require.Contains(t, all[1], plan.ID)
		require.NotContains(t, all[1], "start")
	}
}

// TestRecordingsSince: what has arrived since then, by the sealed time, and
// as_of is what to give next.
func TestRecordingsSince(t *testing.T) {
	w := newWorld(t)
	first := w.record(t, monday)
	w.Time = w.Time.Add(10 * time.Minute)
	second := w.record(t, run("2020-01-01T00:00:00Z", "2020-01-01T00:01:00Z"))
	ids := func(since string) (list []string) {
		for _, item := range w.page(t, w.listRecordings("since", since)).Items {
			var e struct{ ID string }
			require.NoError(t, json.Unmarshal(item, &e))
			list = append(list, e.ID)
		}
		return list
	}
	require.Equal(t, []string{first.ID, second.ID}, ids("2026-05-04T05:25:00Z"))
	require.Equal(t, []string{second.ID}, ids("2026-05-04T05:25:00.001Z"))
	require.Equal(t, []string{second.ID}, ids("2026-05-04T07:35:00+02:00"))
	require.Empty(t, ids("2026-05-04T05:35:00.001Z"))
	w.refused(t, w.listRecordings("since", "yesterday"), fault.BadRequest)

	asOf := w.page(t, w.listRecordings("page_size", "1")).AsOf
	require.Equal(t, w.Time.Add(-asOfMargin), asOf)
	next := w.page(t, w.listRecordings("page_size", "1")).Next
	w.Time = w.Time.Add(time.Minute)
	require.Equal(t, asOf, w.page(t, w.listRecordings("page_size", "1", "page_token", next)).AsOf, "of the first page")
}

// TestEntriesAreBounded: one request opens no more than so many.
func TestEntriesAreBounded(t *testing.T) {
	w := newWorld(t)
	most := maxEntries
	maxEntries = 2
	t.Cleanup(func() { maxEntries = most })
	w.record(t, run("2026-05-01T00:00:00Z", "2026-05-01T00:01:00Z"))
	w.record(t, run("2026-05-02T00:00:00Z", "2026-05-02T00:01:00Z"))
	require.Len(t, w.page(t, w.listRecordings()).Items, 2)
	w.Time = w.Time.Add(time.Minute)
	w.record(t, run("2026-05-03T00:00:00Z", "2026-05-03T00:01:00Z"))
	w.refused(t, w.listRecordings(), fault.TooLarge)
	require.Len(t, w.page(t, w.listRecordings("since", w.Time.Format(time.RFC3339))).Items, 1, "what need not be opened does not count")
}

// TestTheLargestOriginalFitsLambda: 4.5 MB, as base64 in the answer's event.
func TestTheLargestOriginalFitsLambda(t *testing.T) {
	w := newWorld(t)
	comments := strings.Repeat("<!--"+strings.Repeat(" ", 1000)+"-->", (intake.MaxDocument-len(monday))/1007)
	e := w.record(t, monday+comments+strings.Repeat(" ", intake.MaxDocument-len(monday)-len(comments)))
	require.Equal(t, intake.MaxDocument, e.Size)
	event := w.getRecording(e.ID)
	edgetest.SetHeader(&event, "Accept", intake.MediaTCX)
	answer := w.do(t, event)
	require.Equal(t, 200, answer.StatusCode)
	text, err := json.Marshal(answer)
	require.NoError(t, err)
	require.Less(t, len(text), 6<<20)
}

// TestAlteredRecordings: an entry or a document that was altered, exchanged or
// lost gives 500 and an alarm; the other recordings are not affected.
func TestAlteredRecordings(t *testing.T) {
	fill := func(t *testing.T) (w *world, spoilt, good intake.Entry) {
		w = newWorld(t)
		return w, w.record(t, monday), w.record(t, run("2026-05-05T05:25:00Z", "2026-05-05T05:26:00Z"))
	}
	original := func(w *world, e intake.Entry) eventOf {
		event := w.getRecording(e.ID)
		edgetest.SetHeader(&event, "Accept", intake.MediaTCX)
		return event
	}
	entry := func(t *testing.T, w *world, e intake.Entry) []byte {
		sealed, found, err := w.blocks.Get(t.Context(), w.Ada.String(), intake.RecordItem(e.ID))
		require.NoError(t, err)
		require.True(t, found)
		return sealed
	}
	document := func(t *testing.T, w *world, e intake.Entry) []byte {
		sealed, err := w.documents.Get(t.Context(), e.Document)
		require.NoError(t, err)
		return sealed
	}
	sealer := func(t *testing.T, w *world) *vault.Sealer {
		s, err := w.keys.Ring(t, w.Now).Sealer(t.Context(), w.Ada.String(), "key-of-ada")
		require.NoError(t, err)
		return s
	}

	t.Run("a bit of any byte of an entry", func(t *testing.T) {
		w, spoilt, good := fill(t)
		sealed := entry(t, w, spoilt)
		for i := range sealed {
			flipped := bytes.Clone(sealed)
			flipped[i] ^= 1 << (i % 8)
			w.blocks.Put(w.Ada.String(), intake.RecordItem(spoilt.ID), flipped)
			w.alarmed(t, w.getRecording(spoilt.ID))
		}
		w.alarmed(t, w.listRecordings())
		w.recording(t, w.getRecording(good.ID))
	})
	t.Run("a bit of any byte of a document's seal", func(t *testing.T) {
		w, spoilt, good := fill(t)
		sealed := document(t, w, spoilt)
		for i := 0; i < len(sealed); i += 1 + i/200 {
			flipped := bytes.Clone(sealed)
			flipped[i] ^= 1 << (i % 8)
			w.documents.Replace(spoilt.Document, flipped)
			w.alarmed(t, w.getRecording(spoilt.ID))
			w.alarmed(t, original(w, spoilt))
		}
		w.recording(t, w.getRecording(good.ID))
		require.Len(t, w.page(t, w.listRecordings()).Items, 2, "the list opens no document")
	})
	t.Run("entries exchanged", func(t *testing.T) {
		w, spoilt, good := fill(t)
		w.blocks.Put(w.Ada.String(), intake.RecordItem(spoilt.ID), entry(t, w, good))
		w.alarmed(t, w.getRecording(spoilt.ID))
		w.alarmed(t, w.listRecordings())
		w.recording(t, w.getRecording(good.ID))
	})
	t.Run("documents exchanged", func(t *testing.T) {
		w, spoilt, good := fill(t)
		w.documents.Replace(spoilt.Document, document(t, w, good))
		w.alarmed(t, w.getRecording(spoilt.ID))
		w.alarmed(t, original(w, spoilt))
		w.recording(t, w.getRecording(good.ID))
	})
	t.Run("a document lost", func(t *testing.T) {
		w, spoilt, good := fill(t)
		w.documents.Replace(spoilt.Document, nil)
		w.alarmed(t, w.getRecording(spoilt.ID))
		w.alarmed(t, original(w, spoilt))
		w.recording(t, w.getRecording(good.ID))
		require.Len(t, w.page(t, w.listRecordings()).Items, 2)
	})
	t.Run("a block in an entry's place", func(t *testing.T) {
		w, spoilt, _ := fill(t)
		w.send(t, point("a", "2026-05-04T10:00:00Z"))
		w.blocks.Put(w.Ada.String(), intake.RecordItem(spoilt.ID), w.blocks.Of(w.Ada.String())[0].Blob)
		w.alarmed(t, w.getRecording(spoilt.ID))
	})
	t.Run("an entry that opens and is none", func(t *testing.T) {
		w, spoilt, _ := fill(t)
		sealed, err := sealer(t, w).Seal(intake.IndexPlace(deployment, w.Ada.String(), spoilt.ID), []byte("{"))
		require.NoError(t, err)
		w.blocks.Put(w.Ada.String(), intake.RecordItem(spoilt.ID), sealed)
		w.refused(t, w.getRecording(spoilt.ID), fault.Internal)
		w.refused(t, w.listRecordings(), fault.Internal)
	})
	t.Run("a document that opens, and that the rules of its time had accepted, is none of these", func(t *testing.T) {
		w, older, _ := fill(t)
		sealed, err := sealer(t, w).Seal(intake.DocumentPlace(deployment, w.Ada.String(), older.Document), []byte(strings.Replace(monday, "Running", "Flying", 1)))
		require.NoError(t, err)
		w.documents.Replace(older.Document, sealed)
		require.Len(t, w.recording(t, w.getRecording(older.ID)).Trackpoints, 2)
	})
	t.Run("a document that opens and is none", func(t *testing.T) {
		w, spoilt, _ := fill(t)
		sealed, err := sealer(t, w).Seal(intake.DocumentPlace(deployment, w.Ada.String(), spoilt.Document), []byte("not XML"))
		require.NoError(t, err)
		w.documents.Replace(spoilt.Document, sealed)
		w.refused(t, w.getRecording(spoilt.ID), fault.Internal)
	})
}
