package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/edge"
	"fitvault/shared/fault"
	"fitvault/shared/intake"
	"fitvault/shared/objects"
	"fitvault/shared/recording"
	"fitvault/shared/strictxml"
)

// entry is a recording in answers; the object's id stays inside. Start and end
// are absent where nothing in the document says when it was.
type entry struct {
	ID          string               `json:"id"`
	Sport       string               `json:"sport"`
	Start       *time.Time           `json:"start,omitempty"`
	End         *time.Time           `json:"end,omitempty"`
	Trackpoints int                  `json:"trackpoints"`
	Size        int                  `json:"size"`
	MediaType   string               `json:"media_type"`
	Arrived     time.Time            `json:"arrived"`
	Forgiven    []strictxml.Forgiven `json:"forgiven,omitempty"`
}

func newEntry(e intake.Entry) entry {
	shown := entry{ID: e.ID, Sport: e.Sport, Trackpoints: e.Trackpoints, Size: e.Size, MediaType: e.MediaType, Arrived: e.Arrived, Forgiven: e.Forgiven}
	if e.Timed {
		shown.Start, shown.End = &e.Start, &e.End
	}
	return shown
}

// maxEntries bounds the entries that one request opens, each with a private-key
// operation: nobody has as many recordings, and who floods an account with them
// shall not keep its reader busy.
var maxEntries = 20_000

// index gathers one page of the newest entries, and one more where there is one,
// which says that the page is not the last. No more are held than it needs.
type index struct {
	size  int
	after *recordingPlace
	found []intake.Entry
}

// recordingPlace is where a recording stands in the list: newest first by start,
// or by arrival where nothing says when it was; of the same by id.
type recordingPlace struct {
	At time.Time `json:"at"`
	ID string    `json:"id"`
}

func placeOf(e intake.Entry) recordingPlace {
	if e.Timed {
		return recordingPlace{e.Start, e.ID}
	}
	return recordingPlace{e.Arrived, e.ID}
}

func (p recordingPlace) compare(o recordingPlace) int {
	return cmp.Or(o.At.Compare(p.At), strings.Compare(o.ID, p.ID))
}

func (x *index) add(e intake.Entry) {
	if x.after != nil && placeOf(e).compare(*x.after) <= 0 {
		return
	}
	if x.found = append(x.found, e); len(x.found) > 4*x.size {
		x.cut()
	}
}

func (x *index) cut() {
	slices.SortFunc(x.found, func(a, b intake.Entry) int { return placeOf(a).compare(placeOf(b)) })
	if len(x.found) > x.size+1 {
		clear(x.found[x.size+1:])
		x.found = x.found[:x.size+1]
	}
}

// listRecordings answers index entries, newest first. A key that said when would
// tell the database, so all of the index is opened, as far as it is new enough.
func (h handler) listRecordings(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	var since time.Time
	if err := queryTime(c.Query(), "since", &since); err != nil {
		return err
	}
	var from struct {
		After *recordingPlace `json:"after,omitempty"`
		AsOf  time.Time       `json:"as_of"`
	}
	from.AsOf = h.asOf()
	size, tokens, _, err := c.Page(r.Context(), h.keys, &from, "recordings")
	if err != nil {
		return err
	}
	if err := c.Audit(r.Context(), auditlog.Event{}); err != nil {
		return err
	}
	page := index{size: size, after: from.After}
	if err := h.openEntries(r.Context(), c, since, page.add); err != nil {
		return err
	}
	page.cut()
	var next string
	if len(page.found) > size {
		page.found = page.found[:size]
		last := placeOf(page.found[size-1])
		from.After = &last
		if next, err = tokens.Make(from); err != nil {
			return err
		}
	}
	items := make([]json.RawMessage, len(page.found))
	for i, e := range page.found {
		if items[i], err = json.Marshal(newEntry(e)); err != nil {
			return fault.Wrap(fault.Internal, "answer cannot be encoded", err)
		}
	}
	return writePage(w, items, next, from.AsOf)
}

// openEntries calls f with the owner's entries that arrived since a time. What
// the table says of that spares opening; what counts is sealed.
func (h handler) openEntries(ctx context.Context, c *edge.Call, since time.Time, f func(intake.Entry)) error {
	open := h.opener(c)
	prefix, opened := intake.RecordItem(""), 0
	for sealed, err := range h.blocks.Between(ctx, open.owner, prefix, prefix+"~") {
		if err != nil {
			return fault.Wrap(fault.Unavailable, "recordings cannot be read", err)
		}
		if !sealed.Arrived.IsZero() && sealed.Arrived.Before(since) {
			continue
		}
		if opened++; opened > maxEntries {
			return fault.New(fault.TooLarge, "more recordings than one list may open")
		}
		e, err := h.openEntry(ctx, open, sealed.Blob, sealed.Item[len(prefix):])
		if err != nil {
			return err
		}
		if !e.Arrived.Before(since) {
			f(e)
		}
	}
	return nil
}

func (h handler) openEntry(ctx context.Context, open *opener, sealed []byte, id string) (intake.Entry, error) {
	plain, err := open.Open(ctx, sealed, intake.IndexPlace(h.deployment, open.owner, id))
	if err != nil {
		return intake.Entry{}, err
	}
	return intake.DecodeEntry(plain)
}

// getRecording answers one recording: as JSON its entry and a page of its
// trackpoints, or the original, byte for byte.
func (h handler) getRecording(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	accept := r.Header.Get("Accept")
	if _, err := edge.Negotiate(accept, append([]string{"application/json"}, intake.RecordingTypes...)...); err != nil {
		return err
	}
	var from struct {
		Index int `json:"index"`
	}
	size, tokens, _, err := c.Page(r.Context(), h.keys, &from, "recording", c.Param("id"))
	if err != nil {
		return err
	}
	id := c.Param("id")
	if _, err := access.ParseUserID(id); err != nil { // ids have one form; other words of the caller's do not go into the trail
		return err
	}
	if err := c.Audit(r.Context(), auditlog.Event{Recording: id}); err != nil {
		return err
	}

	open := h.opener(c)
	sealed, found, err := h.blocks.Get(r.Context(), open.owner, intake.RecordItem(id))
	if err != nil {
		return fault.Wrap(fault.Unavailable, "recording cannot be read", err)
	}
	if !found {
		return fault.New(fault.NotFound, "no such recording")
	}
	e, err := h.openEntry(r.Context(), open, sealed, id)
	if err != nil {
		return err
	}
	media, err := edge.Negotiate(accept, "application/json", e.MediaType)
	if err != nil {
		return err
	}
	sealed, err = h.documents.Get(r.Context(), e.Document)
	if errors.Is(err, objects.ErrNotFound) {
		return open.Broken(r.Context())
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, "document cannot be read", err)
	}
	original, err := open.Open(r.Context(), sealed, intake.DocumentPlace(h.deployment, open.owner, e.Document))
	if err != nil {
		return err
	}
	w.Header().Set("Vary", "Accept")
	if media == e.MediaType {
		w.Header().Set("Content-Type", e.MediaType)
		_, err = w.Write(original)
		return err
	}

	document := intake.Document{Body: original, MediaType: e.MediaType}
	format, err := document.Format()
	if err != nil {
		return err
	}
	page := recording.Page{From: min(from.Index, e.Trackpoints), Size: size}
	parsed, more, err := format.Read(document.Open, recording.DefaultLimits, len(e.Forgiven) > 0, page)
	if err != nil {
		return fault.Wrap(fault.Internal, "a stored document is not readable", err)
	}
	points := make([]json.RawMessage, len(parsed))
	for i, p := range parsed {
		points[i] = p.AppendJSON(nil)
	}
	var next string
	if more {
		from.Index = page.From + len(points)
		if next, err = tokens.Make(from); err != nil {
			return err
		}
	}
	// A page of trackpoints stands where the entry says how many there are.
	answer := struct {
		entry
		Count  int               `json:"trackpoint_count"`
		Points []json.RawMessage `json:"trackpoints"`
		Next   string            `json:"next_page_token,omitempty"`
	}{newEntry(e), e.Trackpoints, points, next}
	return edge.WriteJSON(w, http.StatusOK, answer)
}
