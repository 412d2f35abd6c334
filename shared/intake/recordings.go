package intake

import (
	"context"
	"encoding/json"
	"time"

	"fitvault/shared/fault"
	"fitvault/shared/redact"
	"fitvault/shared/tcx"
)

// MediaTCX is the media type of Garmin's Training Center XML, version 2.
const MediaTCX = "application/vnd.garmin.tcx+xml"

// Entry is what the list of recordings shows of one; it is sealed as an item of
// its own, so that a list opens no document.
type Entry struct {
	redact.Mark
	ID          string
	Sport       string
	Start, End  time.Time
	Trackpoints int
	Size        int    // bytes of the original
	MediaType   string // of the original
	Document    string // object id of the original; not for callers
}

// entryJSON is the sealed form. Times are RFC 3339 with nanoseconds, in the offset of the document.
type entryJSON struct {
	ID          string    `json:"id"`
	Sport       string    `json:"sport"`
	Start       time.Time `json:"start"`
	End         time.Time `json:"end"`
	Trackpoints int       `json:"trackpoints"`
	Size        int       `json:"size"`
	MediaType   string    `json:"media_type"`
	Document    string    `json:"document"`
}

// Encode and DecodeEntry are the entry's sealed form.
func (e Entry) Encode() ([]byte, error) {
	return json.Marshal(entryJSON{e.ID, e.Sport, e.Start, e.End, e.Trackpoints, e.Size, e.MediaType, e.Document})
}

func DecodeEntry(b []byte) (Entry, error) {
	var j entryJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return Entry{}, fault.New(fault.Internal, "recording's entry is not readable")
	}
	return Entry{ID: j.ID, Sport: j.Sport, Start: j.Start, End: j.End, Trackpoints: j.Trackpoints,
		Size: j.Size, MediaType: j.MediaType, Document: j.Document}, nil
}

// Recording takes in one TCX document and returns its entry. The original is
// sealed as it came. Errors: the fault kinds of tcx.Parse; KeyReused,
// Unavailable, Internal.
func (in *Intake) Recording(ctx context.Context, r Request) (Entry, error) {
	keys, err := in.Keys.Requests(ctx)
	if err != nil {
		return Entry{}, err
	}
	m := in.propose(keys, "recordings", r)
	parsed, refused := tcx.Parse(r.Body, tcx.DefaultLimits)
	switch {
	case refused == nil:
		m.Count = 1
		m.Recording = &Recording{}
		if m.Recording.ID, err = in.newID(); err != nil {
			return Entry{}, err
		}
		if m.Recording.Document, err = in.newID(); err != nil {
			return Entry{}, err
		}
		if m, err = in.claim(ctx, m); err != nil {
			return Entry{}, err
		}
	case fault.KindOf(refused) == fault.Invalid:
		if m, err = in.find(ctx, m, refused); err != nil {
			return Entry{}, err
		}
		if parsed, err = tcx.Read(r.Body, tcx.DefaultLimits); err != nil {
			return Entry{}, err
		}
	default:
		return Entry{}, refused
	}
	if m.Recording == nil {
		return Entry{}, fault.New(fault.Internal, "manifest is not of a recording")
	}
	if err := r.Record(ctx, m.Key, 1); err != nil {
		return Entry{}, err
	}

	entry := Entry{ID: m.Recording.ID, Document: m.Recording.Document, Sport: parsed.Sport, Start: parsed.Start, End: parsed.End,
		Trackpoints: len(parsed.Trackpoints), Size: len(r.Body), MediaType: MediaTCX}
	index, err := entry.Encode()
	if err != nil {
		return Entry{}, fault.Wrap(fault.Internal, "entry cannot be encoded", err)
	}
	sealer, err := in.Keys.Sealer(ctx, r.Owner, r.DataKey)
	if err != nil {
		return Entry{}, err
	}
	original, err := sealer.Seal(DocumentPlace(in.Deployment, r.Owner, entry.Document), r.Body)
	if err != nil {
		return Entry{}, fault.Wrap(fault.Internal, "document cannot be sealed", err)
	}
	sealedIndex, err := sealer.Seal(IndexPlace(in.Deployment, r.Owner, entry.ID), index)
	if err != nil {
		return Entry{}, fault.Wrap(fault.Internal, "entry cannot be sealed", err)
	}
	// The entry comes last: what the list shows can be fetched.
	if err := in.Documents.Put(ctx, entry.Document, original); err != nil {
		return Entry{}, fault.Wrap(fault.Unavailable, "document cannot be stored", err)
	}
	if err := in.Blocks.PutOnce(ctx, r.Owner, RecordItem(entry.ID), sealedIndex, in.Now()); err != nil {
		return Entry{}, fault.Wrap(fault.Unavailable, "entry cannot be stored", err)
	}
	return entry, nil
}
