package main

import (
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
	"fitvault/shared/tcx"
)

// entry is a recording in answers; the object's id stays inside.
type entry struct {
	ID          string    `json:"id"`
	Sport       string    `json:"sport"`
	Start       time.Time `json:"start"`
	End         time.Time `json:"end"`
	Trackpoints int       `json:"trackpoints"`
	Size        int       `json:"size"`
	MediaType   string    `json:"media_type"`
}

func newEntry(e intake.Entry) entry {
	return entry{e.ID, e.Sport, e.Start, e.End, e.Trackpoints, e.Size, e.MediaType}
}

// listRecordings answers index entries, newest first. The index is small, so
// all of it is opened and sorted: a key that said when would tell the database.
func (h handler) listRecordings(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	size, err := edge.PageSize(c.Query())
	if err != nil {
		return err
	}
	tokens, err := c.PageTokens(r.Context(), h.keys, "recordings")
	if err != nil {
		return err
	}
	var after struct {
		Start time.Time `json:"start"`
		ID    string    `json:"id"`
		AsOf  time.Time `json:"as_of"`
	}
	after.AsOf = h.asOf()
	some, err := tokens.Read(c.Query(), &after)
	if err != nil {
		return err
	}
	if err := c.Audit(r.Context(), auditlog.Event{}); err != nil {
		return err
	}
	open := h.opener(c)
	var entries []intake.Entry
	prefix := intake.RecordItem("")
	for sealed, err := range h.blocks.Between(r.Context(), open.owner, prefix, prefix+"~") {
		if err != nil {
			return fault.Wrap(fault.Unavailable, "recordings cannot be read", err)
		}
		id := sealed.Item[len(prefix):]
		plain, err := open.Open(r.Context(), sealed.Blob, intake.IndexPlace(h.deployment, open.owner, id))
		if err != nil {
			return err
		}
		e, err := intake.DecodeEntry(plain)
		if err != nil {
			return err
		}
		entries = append(entries, e)
	}
	newestFirst := func(a, b intake.Entry) int {
		if byStart := b.Start.Compare(a.Start); byStart != 0 {
			return byStart
		}
		return strings.Compare(b.ID, a.ID)
	}
	slices.SortFunc(entries, newestFirst)
	if some {
		last := intake.Entry{Start: after.Start, ID: after.ID}
		entries = slices.DeleteFunc(entries, func(e intake.Entry) bool { return newestFirst(e, last) <= 0 })
	}
	var next string
	if len(entries) > size {
		entries = entries[:size]
		after.Start, after.ID = entries[size-1].Start, entries[size-1].ID
		if next, err = tokens.Make(after); err != nil {
			return err
		}
	}
	items := make([]json.RawMessage, len(entries))
	for i, e := range entries {
		if items[i], err = json.Marshal(newEntry(e)); err != nil {
			return fault.Wrap(fault.Internal, "answer cannot be encoded", err)
		}
	}
	return writePage(w, items, next, after.AsOf)
}

// getRecording answers one recording: as JSON its entry and a page of its
// trackpoints, or the original, byte for byte.
func (h handler) getRecording(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	media, err := edge.Negotiate(r.Header.Get("Accept"), "application/json", intake.MediaTCX)
	if err != nil {
		return err
	}
	size, err := edge.PageSize(c.Query())
	if err != nil {
		return err
	}
	tokens, err := c.PageTokens(r.Context(), h.keys, "recording", c.Param("id"))
	if err != nil {
		return err
	}
	var from struct {
		Index int `json:"index"`
	}
	if _, err := tokens.Read(c.Query(), &from); err != nil {
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
	plain, err := open.Open(r.Context(), sealed, intake.IndexPlace(h.deployment, open.owner, id))
	if err != nil {
		return err
	}
	e, err := intake.DecodeEntry(plain)
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

	parsed, err := tcx.Read(original, tcx.DefaultLimits)
	if err != nil {
		return fault.Wrap(fault.Internal, "a stored document is not readable", err)
	}
	start := min(from.Index, len(parsed.Trackpoints))
	end := min(start+size, len(parsed.Trackpoints))
	points := make([]json.RawMessage, 0, end-start)
	for _, p := range parsed.Trackpoints[start:end] {
		points = append(points, p.AppendJSON(nil))
	}
	var next string
	if end < len(parsed.Trackpoints) {
		from.Index = end
		if next, err = tokens.Make(from); err != nil {
			return err
		}
	}
	// A page of trackpoints stands where the entry says how many there are.
	answer := struct {
		ID        string            `json:"id"`
		Sport     string            `json:"sport"`
		Start     time.Time         `json:"start"`
		End       time.Time         `json:"end"`
		Size      int               `json:"size"`
		MediaType string            `json:"media_type"`
		Count     int               `json:"trackpoint_count"`
		Points    []json.RawMessage `json:"trackpoints"`
		Next      string            `json:"next_page_token,omitempty"`
	}{e.ID, e.Sport, e.Start, e.End, e.Size, e.MediaType, e.Trackpoints, points, next}
	return edge.WriteJSON(w, http.StatusOK, answer)
}
