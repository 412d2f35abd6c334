// Package uploads is what functions that take readings and recordings in have in
// common: how an upload is asked for, and how it is answered. What is behind it
// is shared/intake.
package uploads

import (
	"context"
	"errors"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/block"
	"fitvault/shared/edge"
	"fitvault/shared/fault"
	"fitvault/shared/gzipbody"
	"fitvault/shared/intake"
	"fitvault/shared/keyring"
	"fitvault/shared/openmhealth"
	"fitvault/shared/pairing"
	"fitvault/shared/reading"
	"fitvault/shared/signedpayload"
	"fitvault/shared/strictxml"
)

// Scope is what an upload needs.
const Scope = "fitvault/readings.write"

const signatureHeader = "Tracker-Signature"

// Media types of readings; those of recordings are intake's.
const (
	mediaJSON   = "application/json"
	mediaJSONGz = mediaJSON + gzipbody.Suffix
)

// ReadingTypes are all media types of readings, in both forms.
var ReadingTypes = []string{mediaJSON, mediaJSONGz}

// RecordingQuery is what the query of a recording may hold.
var RecordingQuery = []edge.Parameter{{Name: "profile"}}

// Upload is what a call asks of intake, and who has signed it, if anybody has.
type Upload struct {
	intake.Request
	word *word
}

// Request is the upload of the call, of readings or, unsigned, a recording, with the call's own body; Record writes
// its audit event. What can be refused by the request's head is refused here, before
// a body is decrypted or unpacked.
func Request(r *http.Request, c *edge.Call, recording bool) (Upload, error) {
	key, err := idempotencyKey(r.Header)
	if err != nil {
		return Upload{}, err
	}
	if recording && len(r.Header.Values(signatureHeader)) > 0 { // nobody shall think that it was checked
		return Upload{}, fault.New(fault.BadRequest, "recordings are not signed")
	}
	if c.Owner.Settings.Signed && len(r.Header.Values(signatureHeader)) == 0 {
		return Upload{}, fault.New(fault.SignatureRequired, "the account takes signed uploads only")
	}
	word, err := signer(r.Header, c.Owner)
	if err != nil {
		return Upload{}, err
	}
	lenient := c.Query().Has("profile")
	if lenient && c.Query().Get("profile") != "lenient" {
		return Upload{}, fault.New(fault.BadRequest, "profile is not one that there is")
	}
	rank, permits := block.RankOwner, (func(reading.Type) bool)(nil)
	if c.Decision.Bounded { // somebody else, or an app that is not ours
		rank, permits = block.RankApp, c.Decision.Permits
	}
	by := ""
	if c.Principal.User != c.Owner.User {
		by = c.Principal.User.String() // "" of a system, whose client is nobody else's
	}
	return Upload{word: word, Request: intake.Request{
		Lenient: lenient, By: by, Owner: c.Owner.User.String(), DataKey: c.Owner.DataKey, Client: c.Principal.Client, Rank: rank, IdempotencyKey: key,
		SealedOnly: c.Owner.Settings.Sealed, Permits: permits, Body: c.Body(), MediaType: c.ContentType,
		Record: func(ctx context.Context, manifest string, accepted, rejected int) error {
			return c.Audit(ctx, auditlog.Event{Manifest: manifest, Records: accepted, Rejected: rejected})
		},
	}}, nil
}

// idempotencyKey is a text of 1 to 255 characters; "" where there is none. The
// edge has seen to it that there is one at most, in printable ASCII.
func idempotencyKey(h http.Header) (string, error) {
	values := h.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	if values[0] == "" || len(values[0]) > 255 {
		return "", fault.New(fault.BadRequest, "idempotency key is empty or too long")
	}
	return values[0], nil
}

// Readings takes request in, whose MediaType is one of ReadingTypes, and answers.
func Readings(w http.ResponseWriter, r *http.Request, c *edge.Call, in *intake.Intake, request Upload) (err error) {
	if request.MediaType == mediaJSONGz {
		if request.Body, err = gzipbody.Decompress(request.Body, openmhealth.Intake.Bytes); err != nil {
			return err
		}
	}
	if request.word != nil {
		by, err := request.word.of(request.Body)
		if err != nil {
			return err
		}
		request.Signed = by // and the event says whose word it is
		request.Record = func(ctx context.Context, manifest string, accepted, rejected int) error {
			return c.Audit(ctx, auditlog.Event{Manifest: manifest, Records: accepted, Rejected: rejected, Device: by.Device, Pairing: by.Pairing})
		}
	}
	results, err := in.Readings(r.Context(), request.Request)
	if err != nil {
		return alarmed(r.Context(), c, err)
	}
	return edge.WriteText(w, http.StatusOK, appendResults(nil, results))
}

// word is a tracker's signature, and the key that it must be of.
type word struct {
	signedpayload.Signature
	key pairing.Key
}

// signer reads a tracker's signature, and whose key it must be of; nil where there is
// none. A tracker of somebody else, one that is unpaired or lost, an earlier pairing's:
// they are all the same refusal as another key's.
func signer(h http.Header, owner access.Owner) (*word, error) {
	values := h.Values(signatureHeader)
	if len(values) == 0 {
		return nil, nil
	}
	s, err := signedpayload.Parse(values[0])
	if err != nil {
		return nil, err
	}
	tracker, paired := owner.Trackers[s.Device.String()]
	if !paired || tracker.State != access.Active || tracker.Pairing != s.Pairing.String() {
		return nil, signedpayload.Refused()
	}
	key, err := pairing.ParseKey(tracker.Key)
	if err != nil {
		return nil, fault.New(fault.Internal, "owner document: tracker's key")
	}
	return &word{s, key}, nil
}

// of checks that it is the word for body, as it was before compression.
func (w word) of(body []byte) (*intake.Signed, error) {
	if !w.Verify(w.key, body) {
		return nil, signedpayload.Refused()
	}
	return &intake.Signed{Device: w.Device.String(), Pairing: w.Pairing.String(), Counter: w.Counter, Text: w.Text}, nil
}

// appendResults writes what a batch is answered with. There are up to a thousand
// records, and encoding/json takes as long for their results as sealing takes.
// An invalid record's pointer is there even if it is "": the record itself.
func appendResults(b []byte, results []openmhealth.Result) []byte {
	b = slices.Grow(b, 80*len(results)+16)
	var id string
	var quoted []byte // id: in a series it is the same for all
	b = append(b, `{"results":[`...)
	for i, r := range results {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(append(b, `{"index":`...), int64(r.Index), 10)
		if r.Accepted {
			if r.ID != id || quoted == nil {
				id, quoted = r.ID, appendQuoted(quoted[:0], r.ID)
			}
			b = append(append(b, `,"status":"accepted","id":`...), quoted...)
		} else {
			b = appendQuoted(append(b, `,"status":"invalid","pointer":`...), r.Pointer)
			b = appendQuoted(append(b, `,"rule":`...), r.Rule)
		}
		b = append(b, '}')
	}
	return append(b, "]}"...)
}

// appendQuoted never fails: an id has been read as UTF-8.
func appendQuoted(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

// softLimit is what the Go runtime tries to keep to while it takes a document in,
// in bytes; beyond it the garbage collector works harder, and nothing fails. With
// it a document of 32 MiB needs less memory than that: the event (a body of 2.3 MB
// makes 3.1 MB), the sealed copy, and what is passing through. By itself the
// collector would let the heap double first, which is cheaper for readings.
const softLimit = 16 << 20

// Recording takes request in, whose MediaType is one of intake.RecordingTypes, and answers.
func Recording(w http.ResponseWriter, r *http.Request, c *edge.Call, in *intake.Intake, request Upload) error {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(softLimit)) // a process serves one request at a time
	e, err := in.Recording(r.Context(), request.Request)
	if err != nil {
		return alarmed(r.Context(), c, err)
	}
	created := struct {
		ID          string               `json:"id"`
		Sport       string               `json:"sport"`
		Start       *time.Time           `json:"start,omitempty"`
		End         *time.Time           `json:"end,omitempty"`
		Trackpoints int                  `json:"trackpoints"`
		Forgiven    []strictxml.Forgiven `json:"forgiven,omitempty"`
	}{ID: e.ID, Sport: e.Sport, Trackpoints: e.Trackpoints, Forgiven: e.Forgiven}
	if e.Timed { // otherwise nothing in the document says when it was
		created.Start, created.End = &e.Start, &e.End
	}
	w.Header().Set("Location", "/v1/users/"+c.Owner.User.String()+"/recordings/"+e.ID)
	return edge.WriteJSON(w, http.StatusCreated, created)
}

// alarmed writes an alarm event where a stored key is not the one that was
// stored: somebody else has written the Keys table.
func alarmed(ctx context.Context, c *edge.Call, err error) error {
	if errors.Is(err, keyring.ErrAltered) {
		if failed := c.Audit(ctx, auditlog.Event{Outcome: auditlog.Alarm, Kind: auditlog.KeyAltered}); failed != nil {
			return failed
		}
	}
	return err
}
