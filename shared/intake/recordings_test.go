package intake_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
	"fitvault/shared/intake"
	"fitvault/shared/intake/intaketest"
	"fitvault/shared/keyring"
	"fitvault/shared/redact"
	"fitvault/shared/strictxml"
)

// run is a recording of two trackpoints.
const run = `<?xml version="1.0" encoding="UTF-8"?>
<TrainingCenterDatabase xmlns="http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2"><Activities><Activity Sport="Running">
<Id>2026-05-04T05:25:00Z</Id><Lap StartTime="2026-05-04T05:25:00Z"><TotalTimeSeconds>60</TotalTimeSeconds><DistanceMeters>200</DistanceMeters>
<Calories>10</Calories><Intensity>Active</Intensity><TriggerMethod>Manual</TriggerMethod><Track>
<Trackpoint><Time>2026-05-04T05:25:00Z</Time><HeartRateBpm><Value>71</Value></HeartRateBpm></Trackpoint>
<Trackpoint><Time>2026-05-04T05:26:00Z</Time><HeartRateBpm><Value>92</Value></HeartRateBpm></Trackpoint>
</Track></Lap></Activity></Activities></TrainingCenterDatabase>`

func TestRecording(t *testing.T) {
	w := newWorld(t)
	var manifest string
	r := w.recording("key", []byte(run))
	r.Record = func(_ context.Context, m string, _, _ int) error { manifest = m; return nil }
	e, err := w.Recording(t.Context(), r)
	require.NoError(t, err)

	m := w.manifests.All()[0]
	require.Equal(t, manifest, m.Key)
	require.Equal(t, 1, m.Count)
	require.Equal(t, &intake.Recording{ID: e.ID, Document: e.Document}, m.Recording)
	require.Regexp(t, `^[a-z2-7]{26}$`, e.ID)
	require.Regexp(t, `^[a-z2-7]{26}$`, e.Document)
	require.NotEqual(t, e.ID, e.Document)
	require.Equal(t, intake.Entry{ID: e.ID, Document: e.Document, Sport: "Running", Trackpoints: 2, Size: len(run), MediaType: intake.MediaTCX,
		Timed: true, Days: map[string]int{"2026-05-04": 2}, Arrived: w.now,
		Start: time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC), End: time.Date(2026, 5, 4, 5, 26, 0, 0, time.UTC)}, e)
	requireRecording(t, w, m)
}

func digestOf(body []byte) []byte {
	digest := sha256.Sum256(body)
	return digest[:]
}

// recording is a request of the owner's to take a document in.
func (w *world) recording(key string, document []byte) intake.Request {
	r := w.request(key, document)
	r.MediaType = intake.MediaTCX
	return r
}

// requireRecording requires exactly the pieces that a manifest names: the
// original, byte for byte, and an entry that says where it is.
func requireRecording(t *testing.T, w *world, m intake.Manifest) {
	t.Helper()
	require.Equal(t, []string{m.Recording.Document}, w.documents.IDs())
	sealed, err := w.documents.Get(t.Context(), m.Recording.Document)
	require.NoError(t, err)
	original, err := w.opener(t, sealed).Open(sealed, intake.DocumentPlace(deployment, w.owner, m.Recording.Document))
	require.NoError(t, err)
	require.Equal(t, run, string(original))

	pieces := w.blocks.Of(w.owner)
	require.Len(t, pieces, 1)
	require.Equal(t, intake.RecordItem(m.Recording.ID), pieces[0].Item)
	entry, err := w.opener(t, pieces[0].Blob).Open(pieces[0].Blob, intake.IndexPlace(deployment, w.owner, m.Recording.ID))
	require.NoError(t, err)
	e, err := intake.DecodeEntry(entry)
	require.NoError(t, err)
	require.Equal(t, m.Recording.Document, e.Document)
	require.Equal(t, 2, e.Trackpoints)
}

// TestRecordingOrder: manifest, audit event, original, entry; what the list
// shows can be fetched.
func TestRecordingOrder(t *testing.T) {
	order := []string{"claim", "record", "document", "block"}
	w := newWorld(t)
	_, err := w.Recording(t.Context(), w.recording("key", []byte(run)))
	require.NoError(t, err)
	require.Equal(t, order, w.calls)

	for n, step := range order {
		for _, lost := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s fails, done: %v", step, lost), func(t *testing.T) {
				w := newWorld(t)
				w.fail = func(i int, _ string, done bool) error { return failAt(n, lost, i, done) }
				_, err := w.Recording(t.Context(), w.recording("key", []byte(run)))
				require.Equal(t, fault.Unavailable, fault.KindOf(err))
				happened := order[:n]
				if lost {
					happened = order[:n+1]
				}
				require.Equal(t, happened, append([]string{}, w.calls...))

				var first intake.Entry
				for i := range 2 {
					w.reset()
					w.Intake = w.process(t)
					e, err := w.Recording(t.Context(), w.recording("key", []byte(run)))
					require.NoError(t, err)
					require.Equal(t, order, w.calls)
					require.Len(t, w.manifests.All(), 1)
					requireRecording(t, w, w.manifests.All()[0])
					if i == 0 {
						first = e
					}
					require.Equal(t, first, e)
				}
			})
		}
	}
}

func TestRecordingRefused(t *testing.T) {
	for _, test := range []struct {
		name, body string
		kind       fault.Kind
		calls      []string // the look whether older rules had accepted it
	}{
		{"not XML", `{}`, fault.BadRequest, nil},
		{"against the schema", strings.Replace(run, "Running", "Flying", 1), fault.Invalid, []string{"find"}},
		{"too large", run + strings.Repeat(" ", intake.MaxDocument), fault.TooLarge, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			_, err := w.Recording(t.Context(), w.recording("key", []byte(test.body)))
			require.Equal(t, test.kind, fault.KindOf(err))
			require.Equal(t, test.calls, w.calls)
			require.Empty(t, w.manifests.All())
		})
	}
	t.Run("a store that cannot say whether it was accepted once", func(t *testing.T) {
		w := newWorld(t)
		w.fail = func(int, string, bool) error { return intaketest.ErrDown }
		_, err := w.Recording(t.Context(), w.recording("key", []byte(strings.Replace(run, "Running", "Flying", 1))))
		require.Equal(t, fault.Unavailable, fault.KindOf(err))
	})
}

// TestRecordingOfOlderRules: a retry of what is refused today goes on where the
// rules of its time had accepted it.
func TestRecordingOfOlderRules(t *testing.T) {
	w := newWorld(t)
	refused := []byte(strings.Replace(run, "Running", "Flying", 1))
	keys, err := w.ring(t).Requests(t.Context())
	require.NoError(t, err)
	id := keys.ManifestID(w.owner, client, "recordings", "key", "key")
	w.manifests.Put(intake.Manifest{Key: id, Body: keys.BodyMAC(id, digestOf(refused)), Expires: w.later(), RequestsKey: keys.ID(), Rules: "0", Count: 1,
		Recording: &intake.Recording{ID: "r", Document: "d"}})

	for range 2 {
		w.reset()
		e, err := w.Recording(t.Context(), w.recording("key", refused))
		require.NoError(t, err)
		require.Equal(t, []string{"find", "record", "document", "block"}, w.calls)
		require.Equal(t, [2]string{"r", "d"}, [2]string{e.ID, e.Document})
		require.Equal(t, 2, e.Trackpoints)
		sealed, err := w.documents.Get(t.Context(), "d")
		require.NoError(t, err)
		original, err := w.opener(t, sealed).Open(sealed, intake.DocumentPlace(deployment, w.owner, "d"))
		require.NoError(t, err)
		require.Equal(t, string(refused), string(original))
	}
	for _, other := range []string{run, strings.Replace(run, "Running", "Gliding", 1)} {
		_, err = w.Recording(t.Context(), w.recording("key", []byte(other)))
		require.Equal(t, fault.KeyReused, fault.KindOf(err))
	}
	w.now = w.later()
	_, err = w.Recording(t.Context(), w.recording("key", refused))
	require.Equal(t, fault.Invalid, fault.KindOf(err), "until it expires")
}

func TestRecordingKeys(t *testing.T) {
	other := []byte(strings.Replace(run, "92", "93", 1))
	t.Run("the same key with another document", func(t *testing.T) {
		w := newWorld(t)
		_, err := w.Recording(t.Context(), w.recording("key", []byte(run)))
		require.NoError(t, err)
		_, err = w.Recording(t.Context(), w.recording("key", other))
		require.Equal(t, fault.KeyReused, fault.KindOf(err))
		requireRecording(t, w, w.manifests.All()[0])
	})
	t.Run("without a key the document is its own", func(t *testing.T) {
		w := newWorld(t)
		ids := map[string]bool{}
		for _, body := range [][]byte{[]byte(run), other, []byte(run), other} {
			e, err := w.Recording(t.Context(), w.recording("", body))
			require.NoError(t, err)
			ids[e.ID] = true
		}
		require.Len(t, ids, 2)
		require.Len(t, w.documents.IDs(), 2)
	})
	t.Run("16 at once, seen by two processes", func(t *testing.T) {
		w := newWorld(t)
		processes := []*intake.Intake{w.process(t), w.process(t)}
		entries, errs := make([]intake.Entry, 16), make([]error, 16)
		parallel(16, func(i int) {
			entries[i], errs[i] = processes[i%2].Recording(t.Context(), w.recording("key", []byte(run)))
		})
		for i := range 16 {
			require.NoError(t, errs[i])
			require.Equal(t, entries[0], entries[i])
		}
		requireRecording(t, w, w.manifests.All()[0])
	})
	t.Run("no keys, no randomness", func(t *testing.T) {
		w := newWorld(t)
		w.Rand = iotest.ErrReader(errors.New("no entropy"))
		_, err := w.Recording(t.Context(), w.recording("key", []byte(run)))
		require.Equal(t, fault.Internal, fault.KindOf(err))
		w.Rand = bytes.NewReader(make([]byte, 16)) // enough for one of the two ids
		_, err = w.Recording(t.Context(), w.recording("key", []byte(run)))
		require.Equal(t, fault.Internal, fault.KindOf(err))
		w = newWorld(t)
		w.keys.KMS.Hook = func(string) error { return errKeyring }
		_, err = w.Recording(t.Context(), w.recording("key", []byte(run)))
		require.Equal(t, fault.Unavailable, fault.KindOf(err))
		require.Empty(t, w.calls)
		w = newWorld(t)
		r := w.recording("key", []byte(run))
		r.DataKey = "another"
		_, err = w.Recording(t.Context(), r)
		require.ErrorIs(t, err, keyring.ErrAltered, "the owner's policy names it")
		require.Equal(t, []string{"claim", "record"}, w.calls)
	})
	t.Run("a manifest that is not of a recording", func(t *testing.T) {
		w := newWorld(t)
		_, err := w.Recording(t.Context(), w.recording("key", []byte(run)))
		require.NoError(t, err)
		m := w.manifests.All()[0]
		m.Recording = nil
		w.manifests.Put(m)
		_, err = w.Recording(t.Context(), w.recording("key", []byte(run)))
		require.Equal(t, fault.Internal, fault.KindOf(err))
	})
}

func compressed(t testing.TB, text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

// as is a request for a document of a media type.
func (w *world) as(key string, document []byte, media string, lenient bool) intake.Request {
	r := w.recording(key, document)
	r.MediaType, r.Lenient = media, lenient
	return r
}

// kept is the original of an entry as it is stored, and the stored entry.
func (w *world) kept(t testing.TB, id string) ([]byte, intake.Entry) {
	sealed, found, err := w.blocks.Get(t.Context(), w.owner, intake.RecordItem(id))
	require.NoError(t, err)
	require.True(t, found)
	plain, err := w.opener(t, sealed).Open(sealed, intake.IndexPlace(deployment, w.owner, id))
	require.NoError(t, err)
	e, err := intake.DecodeEntry(plain)
	require.NoError(t, err)
	sealed, err = w.documents.Get(t.Context(), e.Document)
	require.NoError(t, err)
	original, err := w.opener(t, sealed).Open(sealed, intake.DocumentPlace(deployment, w.owner, e.Document))
	require.NoError(t, err)
	return original, e
}

// TestForms: a document is kept in the form it came in; a retry in the other
// form is a retry, also where the first try got stuck behind its document.
func TestForms(t *testing.T) {
	packed := compressed(t, run)
	t.Run("compressed", func(t *testing.T) {
		w := newWorld(t)
		e, err := w.Recording(t.Context(), w.as("", packed, intake.MediaTCX+"+gzip", false))
		require.NoError(t, err)
		require.Equal(t, 2, e.Trackpoints)
		original, stored := w.kept(t, e.ID)
		require.Equal(t, packed, original)
		require.Equal(t, e, stored)
		require.Equal(t, [2]any{intake.MediaTCX + "+gzip", len(packed)}, [2]any{stored.MediaType, stored.Size})
		again, err := w.Recording(t.Context(), w.as("", []byte(run), intake.MediaTCX, false))
		require.NoError(t, err)
		require.Equal(t, e.ID, again.ID)
		original, _ = w.kept(t, e.ID)
		require.Equal(t, packed, original, "what was there stays")
	})
	for _, key := range []string{"", "key"} {
		w := newWorld(t)
		w.fail = func(n int, call string, done bool) error {
			if call == "block" && !done {
				return intaketest.ErrDown
			}
			return nil
		}
		_, err := w.Recording(t.Context(), w.as(key, []byte(run), intake.MediaTCX, false))
		require.Equal(t, fault.Unavailable, fault.KindOf(err))
		w.reset()
		e, err := w.Recording(t.Context(), w.as(key, packed, intake.MediaTCX+"+gzip", false))
		require.NoError(t, err)
		original, stored := w.kept(t, e.ID)
		require.Equal(t, packed, original)
		require.Equal(t, intake.MediaTCX+"+gzip", stored.MediaType)
		require.Len(t, w.manifests.All(), 1)
	}
	t.Run("broken, or too large", func(t *testing.T) {
		w := newWorld(t)
		for name, body := range map[string][]byte{"cut": packed[:len(packed)-1], "not compressed": []byte(run), "twice": append(bytes.Clone(packed), packed...),
			"broken behind what is invalid": compressed(t, strings.Replace(run, "Running", "Flying", 1))[:200]} {
			_, err := w.Recording(t.Context(), w.as("", body, intake.MediaTCX+"+gzip", false))
			require.Equal(t, fault.BadRequest, fault.KindOf(err), name)
		}
		_, err := w.Recording(t.Context(), w.as("", compressed(t, run+strings.Repeat(strings.Repeat(" ", 1000)+"<!---->", 40_000)), intake.MediaTCX+"+gzip", false))
		require.Equal(t, fault.TooLarge, fault.KindOf(err))
		require.Empty(t, w.manifests.All())
	})
}

// TestLenient: strictly and leniently are two questions, though the body is the same.
func TestLenient(t *testing.T) {
	odd := []byte(strings.Replace(run, "Running", "Rowing", 1))
	w := newWorld(t)
	_, err := w.Recording(t.Context(), w.as("", odd, intake.MediaTCX, false))
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	e, err := w.Recording(t.Context(), w.as("", odd, intake.MediaTCX, true))
	require.NoError(t, err)
	require.Equal(t, []strictxml.Forgiven{{Pointer: "/TrainingCenterDatabase/Activities/Activity", Rule: strictxml.ForgiveSport, Count: 1}}, e.Forgiven)
	_, stored := w.kept(t, e.ID)
	require.Equal(t, e, stored)
	again, err := w.Recording(t.Context(), w.as("", compressed(t, string(odd)), intake.MediaTCX+"+gzip", true))
	require.NoError(t, err)
	require.Equal(t, [2]any{e.ID, e.Forgiven}, [2]any{again.ID, again.Forgiven})
	_, err = w.Recording(t.Context(), w.as("", odd, intake.MediaTCX, false))
	require.Equal(t, fault.Invalid, fault.KindOf(err), "still refused strictly")

	_, err = w.Recording(t.Context(), w.as("key", []byte(run), intake.MediaTCX, false))
	require.NoError(t, err)
	_, err = w.Recording(t.Context(), w.as("key", []byte(run), intake.MediaTCX, true))
	require.Equal(t, fault.KeyReused, fault.KindOf(err))
}

// TestGPX: the other format, and a document that says nowhere when it was.
func TestGPX(t *testing.T) {
	w := newWorld(t)
	const track = `<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1" creator="a"><trk><trkseg><trkpt lat="1" lon="2"><time>2026-05-04T23:59:00-02:00</time></trkpt></trkseg></trk></gpx>`
	e, err := w.Recording(t.Context(), w.as("", []byte(track), intake.MediaGPX, false))
	require.NoError(t, err)
	require.Equal(t, map[string]int{"2026-05-04": 1}, e.Days, "the day of the time's own offset")
	_, err = w.Recording(t.Context(), w.as("", []byte(track), intake.MediaTCX, false))
	require.Equal(t, fault.Invalid, fault.KindOf(err), "it is no TCX")
	_, err = w.Recording(t.Context(), w.as("", []byte(track), "text/xml", false))
	require.Equal(t, fault.Internal, fault.KindOf(err), "the edge lets no other type in")

	plan := strings.Replace(track, "<time>2026-05-04T23:59:00-02:00</time>", "", 1)
	_, err = w.Recording(t.Context(), w.as("", []byte(plan), intake.MediaGPX, false))
	require.Equal(t, []fault.Item{{Rule: "no-time"}}, fault.ItemsOf(err))
	e, err = w.Recording(t.Context(), w.as("", []byte(plan), intake.MediaGPX, true))
	require.NoError(t, err)
	_, stored := w.kept(t, e.ID)
	require.False(t, stored.Timed)
	require.Equal(t, 1, stored.Trackpoints)
	require.Empty(t, stored.Days)
}

func TestEntry(t *testing.T) {
	e := intake.Entry{ID: "a", Sport: "Running", Timed: true, Days: map[string]int{"2026-05-04": 2},
		Forgiven: []strictxml.Forgiven{{Pointer: "/a", Rule: "r", Count: 2}}, Arrived: time.UnixMilli(1).UTC(), Start: time.Date(2026, 5, 4, 7, 25, 0, 1, time.FixedZone("", 7200)),
		End: time.Date(2026, 5, 4, 8, 25, 0, 0, time.UTC), Trackpoints: 2, Size: 3, MediaType: intake.MediaTCX, Document: "b"}
	b, err := e.Encode()
	require.NoError(t, err)
	again, err := intake.DecodeEntry(b)
	require.NoError(t, err)
	require.True(t, e.Start.Equal(again.Start))
	require.Equal(t, e.Start.Format(time.RFC3339Nano), again.Start.Format(time.RFC3339Nano), "the offset is kept")
	again.Start = e.Start
	require.Equal(t, e, again)
	require.Equal(t, redact.Text, fmt.Sprintf("%+v", e))

	for _, bad := range []string{"{", `{"start":"2026-05-04T07:25:00Z"}`} {
		_, err = intake.DecodeEntry([]byte(bad))
		require.Equal(t, fault.Internal, fault.KindOf(err))
	}
	b, err = intake.Entry{ID: "a"}.Encode()
	require.NoError(t, err)
	require.NotContains(t, string(b), "start")
}

// FuzzDecodeEntry: an entry comes out of the vault, but a fault in what wrote it
// must not take a reader down.
func FuzzDecodeEntry(f *testing.F) {
	f.Add([]byte(`{"id":"a","sport":"Running","start":"2026-05-04T07:25:00.000000001+02:00","end":"2026-05-04T05:26:00Z","trackpoints":2,"size":3,"media_type":"m","document":"b"}`))
	f.Add([]byte(`{"start":"9999-12-31T23:59:59.999999999-23:59","trackpoints":-1}`))
	f.Add([]byte(`{"start":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := intake.DecodeEntry(b)
		if err != nil {
			require.Equal(t, fault.Internal, fault.KindOf(err))
			return
		}
		encoded, err := e.Encode()
		require.NoError(t, err)
		again, err := intake.DecodeEntry(encoded)
		require.NoError(t, err)
		require.True(t, e.Start.Equal(again.Start) && e.End.Equal(again.End))
		again.Start, again.End = e.Start, e.End
		require.Equal(t, e, again)
	})
}

// TestCorpus: every recording of the corpus comes back as it went in.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("../../testdata/tcx/*.tcx")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		document, err := os.ReadFile(file)
		require.NoError(t, err)
		w := newWorld(t)
		e, err := w.Recording(t.Context(), w.recording("", document))
		if err != nil {
			require.NotEqual(t, fault.Internal, fault.KindOf(err), file)
			continue
		}
		sealed, err := w.documents.Get(t.Context(), e.Document)
		require.NoError(t, err)
		require.LessOrEqual(t, len(sealed), len(document)+1<<10, "what a reader's bucket allows for a seal")
		original, err := w.opener(t, sealed).Open(sealed, intake.DocumentPlace(deployment, w.owner, e.Document))
		require.NoError(t, err)
		require.True(t, bytes.Equal(document, original), file)
	}
}
