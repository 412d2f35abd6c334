package intake

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"hash"
	"io"
	"slices"
	"strings"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/fault"
	"fitvault/shared/gpx"
	"fitvault/shared/gzipbody"
	"fitvault/shared/recording"
	"fitvault/shared/redact"
	"fitvault/shared/strictxml"
	"fitvault/shared/tcx"
)

// Media types of recordings: Garmin's Training Center XML, version 2, and GPX
// 1.1. Each may come compressed, with gzipbody.Suffix.
const (
	MediaTCX = "application/vnd.garmin.tcx+xml"
	MediaGPX = "application/gpx+xml"
)

// RecordingTypes are all media types of recordings, in both forms.
var RecordingTypes = []string{MediaTCX, MediaTCX + gzipbody.Suffix, MediaGPX, MediaGPX + gzipbody.Suffix}

// Document is an original in the form that it came in.
type Document struct {
	Body      []byte
	MediaType string // one of RecordingTypes
}

// Format is the format of a document's media type.
func (d Document) Format() (recording.Format, error) {
	switch strings.TrimSuffix(d.MediaType, gzipbody.Suffix) {
	case MediaTCX:
		return tcx.Format, nil
	case MediaGPX:
		return gpx.Format, nil
	}
	return recording.Format{}, fault.New(fault.Internal, "document of an unknown media type")
}

func (d Document) compressed() bool { return strings.HasSuffix(d.MediaType, gzipbody.Suffix) }

// Open reads the document's text, decompressed.
func (d Document) Open() io.Reader {
	if d.compressed() {
		return gzipbody.NewReader(d.Body, recording.DefaultLimits.Bytes)
	}
	return bytes.NewReader(d.Body)
}

// Entry is what the list of recordings shows of one; it is sealed as an item of
// its own, so that a list opens no document.
type Entry struct {
	redact.Mark
	ID          string
	Sport       string
	Start, End  time.Time
	Timed       bool // false: nothing in the document says when it was
	Trackpoints int
	Days        map[string]int       // civil day, in the times' own offset, → trackpoints
	Size        int                  // bytes of the original, in the form it came in
	MediaType   string               // of the original, in the form it came in
	Forgiven    []strictxml.Forgiven // not empty: it must be read leniently again
	Arrived     time.Time            // when it was stored, in whole milliseconds
	Document    string               // object id of the original; not for callers
}

// entryJSON is the sealed form. Start and End are RFC 3339 with nanoseconds, in
// the offset of the document.
type entryJSON struct {
	ID          string               `json:"id"`
	Sport       string               `json:"sport"`
	Start       *time.Time           `json:"start,omitempty"`
	End         *time.Time           `json:"end,omitempty"`
	Trackpoints int                  `json:"trackpoints"`
	Days        map[string]int       `json:"days,omitempty"`
	Size        int                  `json:"size"`
	MediaType   string               `json:"media_type"`
	Forgiven    []strictxml.Forgiven `json:"forgiven,omitempty"`
	Arrived     int64                `json:"arrived"` // ms since 1970
	Document    string               `json:"document"`
}

// Encode and DecodeEntry are the entry's sealed form.
func (e Entry) Encode() ([]byte, error) {
	j := entryJSON{ID: e.ID, Sport: e.Sport, Trackpoints: e.Trackpoints, Days: e.Days, Size: e.Size, MediaType: e.MediaType,
		Forgiven: e.Forgiven, Arrived: e.Arrived.UnixMilli(), Document: e.Document}
	if e.Timed {
		j.Start, j.End = &e.Start, &e.End
	}
	return json.Marshal(j)
}

func DecodeEntry(b []byte) (Entry, error) {
	var j entryJSON
	if err := json.Unmarshal(b, &j); err != nil || (j.Start == nil) != (j.End == nil) {
		return Entry{}, fault.New(fault.Internal, "recording's entry is not readable")
	}
	e := Entry{ID: j.ID, Sport: j.Sport, Trackpoints: j.Trackpoints, Days: j.Days, Size: j.Size, MediaType: j.MediaType,
		Forgiven: j.Forgiven, Arrived: time.UnixMilli(j.Arrived).UTC(), Document: j.Document}
	if j.Start != nil {
		e.Start, e.End, e.Timed = *j.Start, *j.End, true
	}
	return e, nil
}

// Recording takes in one document and returns its entry. The original is sealed
// as it came; its text is read in a stream, and never held whole. Errors: the
// fault kinds of strictxml; KeyReused, Unavailable, Internal.
func (in *Intake) Recording(ctx context.Context, r Request) (Entry, error) {
	keys, err := in.Keys.Requests(ctx)
	if err != nil {
		return Entry{}, err
	}
	document := Document{r.Body, r.MediaType}
	format, err := document.Format()
	if err != nil {
		return Entry{}, err
	}
	text := digesting{open: document.Open}
	parsed, refused := format.Parse(text.Open, recording.DefaultLimits, r.Lenient)
	if refused != nil && fault.KindOf(refused) != fault.Invalid {
		return Entry{}, refused
	}
	if refuses := in.refuses(r); refused == nil && refuses != nil {
		if rule := refuses(access.Recording); rule != "" {
			refused = &fault.Error{Kind: fault.Invalid, Text: "recordings are not taken so", Items: []fault.Item{{Rule: rule}}}
		}
	}
	digest, err := text.sum()
	if err != nil {
		return Entry{}, err
	}
	if r.Lenient { // what was asked is another question, though the body is the same
		digest = sha256.Sum256(append(digest[:], "lenient"...))
	}
	m := in.propose(keys, "recordings", r, digest)
	var sealer sealing
	defer sealer.wait()
	if refused == nil {
		m.Count = 1
		m.Recording = &Recording{Forgiven: parsed.Forgiven}
		if m.Recording.ID, err = in.newID(); err != nil {
			return Entry{}, err
		}
		if m.Recording.Document, err = in.newID(); err != nil {
			return Entry{}, err
		}
		sealer.begin(ctx, in.Keys, r)
		m, err = in.claim(ctx, m)
	} else if m, err = in.find(ctx, m, refused); err == nil {
		parsed, err = format.Summary(document.Open, recording.DefaultLimits, m.Recording != nil && len(m.Recording.Forgiven) > 0)
	}
	if err != nil {
		return Entry{}, err
	}
	if m.Recording == nil {
		return Entry{}, fault.New(fault.Internal, "manifest is not of a recording")
	}
	if refused != nil {
		sealer.begin(ctx, in.Keys, r)
	}
	if err := r.Record(ctx, m.Key, 1, 0); err != nil {
		return Entry{}, err
	}

	entry := Entry{ID: m.Recording.ID, Document: m.Recording.object(document), Sport: parsed.Sport, Start: parsed.Start, End: parsed.End,
		Timed: parsed.Timed, Trackpoints: parsed.Trackpoints, Days: parsed.Days, Size: len(r.Body), MediaType: r.MediaType,
		Forgiven: slices.Clone(m.Recording.Forgiven), Arrived: in.Now().UTC().Truncate(time.Millisecond)}
	return entry, in.storeRecording(ctx, r, &sealer, entry)
}

// object is the id of the object that holds the original. Forms have objects of
// their own: of two tries in different forms each entry names what it put.
func (r Recording) object(d Document) string {
	if d.compressed() {
		return r.Document + ".gz"
	}
	return r.Document
}

func (in *Intake) storeRecording(ctx context.Context, r Request, s *sealing, entry Entry) error {
	index, err := entry.Encode()
	if err != nil {
		return fault.Wrap(fault.Internal, "entry cannot be encoded", err)
	}
	sealer, err := s.wait()
	if err != nil {
		return err
	}
	original, err := sealer.Seal(DocumentPlace(in.Deployment, r.Owner, entry.Document), r.Body)
	if err != nil {
		return fault.Wrap(fault.Internal, "document cannot be sealed", err)
	}
	sealedIndex, err := sealer.Seal(IndexPlace(in.Deployment, r.Owner, entry.ID), index)
	if err != nil {
		return fault.Wrap(fault.Internal, "entry cannot be sealed", err)
	}
	// The entry comes last: what the list shows can be fetched.
	if err := in.Documents.Put(ctx, entry.Document, original); err != nil {
		return fault.Wrap(fault.Unavailable, "document cannot be stored", err)
	}
	if err := in.Blocks.PutOnce(ctx, r.Owner, RecordItem(entry.ID), sealedIndex, entry.Arrived); err != nil {
		return fault.Wrap(fault.Unavailable, "entry cannot be stored", err)
	}
	return nil
}

// digesting takes the SHA-256 of a document while it is read for the first time.
type digesting struct {
	open  strictxml.Open
	hash  hash.Hash
	first io.Reader
}

func (d *digesting) Open() io.Reader {
	if d.hash != nil {
		return d.open()
	}
	d.hash = sha256.New()
	d.first = io.TeeReader(d.open(), d.hash)
	return d.first
}

// sum reads what the first reader has left, and returns the digest of all.
func (d *digesting) sum() (digest [sha256.Size]byte, err error) {
	_, err = io.Copy(io.Discard, d.first)
	d.hash.Sum(digest[:0])
	return digest, err
}
