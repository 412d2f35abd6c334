package main

import (
	"context"
	"errors"
	"net/http"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/block"
	"fitvault/shared/edge"
	"fitvault/shared/fault"
	"fitvault/shared/intake"
	"fitvault/shared/keyring"
	"fitvault/shared/openmhealth"
)

const scopeWrite = "fitvault/readings.write"

type handler struct{ intake *intake.Intake }

func (h handler) routes() []edge.Route {
	return []edge.Route{
		{Method: http.MethodPost, Resource: "/users/{user}/readings", Scope: scopeWrite, Action: access.ReadingsWrite,
			Types: []string{"application/json"}, MaxBody: openmhealth.Intake.Bytes, Handle: h.postReadings},
		{Method: http.MethodPost, Resource: "/users/{user}/recordings", Scope: scopeWrite, Action: access.RecordingsWrite,
			Types: []string{intake.MediaTCX}, MaxBody: intake.MaxDocument, Handle: h.postRecording},
	}
}

func (h handler) postReadings(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	request, err := newRequest(r, c)
	if err != nil {
		return err
	}
	results, err := h.intake.Readings(r.Context(), request)
	if err != nil {
		return alarmed(r.Context(), c, err)
	}
	answer := struct {
		Results []result `json:"results"`
	}{make([]result, len(results))}
	for i, v := range results {
		answer.Results[i] = result{Index: v.Index, Status: "accepted", ID: v.ID}
		if !v.Accepted {
			answer.Results[i] = result{Index: v.Index, Status: "invalid", Pointer: &v.Pointer, Rule: v.Rule}
		}
	}
	return edge.WriteJSON(w, http.StatusOK, answer)
}

// result is one record's verdict on the wire. Pointer is present, even if it is
// "" (the record itself), on every invalid one.
type result struct {
	Index   int     `json:"index"`
	Status  string  `json:"status"`
	ID      string  `json:"id,omitempty"`
	Pointer *string `json:"pointer,omitempty"`
	Rule    string  `json:"rule,omitempty"`
}

func (h handler) postRecording(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	request, err := newRequest(r, c)
	if err != nil {
		return err
	}
	e, err := h.intake.Recording(r.Context(), request)
	if err != nil {
		return alarmed(r.Context(), c, err)
	}
	w.Header().Set("Location", "/v1/users/"+c.Owner.User.String()+"/recordings/"+e.ID)
	return edge.WriteJSON(w, http.StatusCreated, map[string]any{
		"id": e.ID, "sport": e.Sport, "start": e.Start, "end": e.End, "trackpoints": e.Trackpoints})
}

// alarmed writes an alarm event where a stored key is not the one that was
// stored: somebody else has written the Keys table.
func alarmed(ctx context.Context, c *edge.Call, err error) error {
	if errors.Is(err, keyring.ErrAltered) {
		if failed := c.Audit(ctx, auditlog.Event{Outcome: auditlog.Alarm, Kind: "stored-key-altered"}); failed != nil {
			return failed
		}
	}
	return err
}

func newRequest(r *http.Request, c *edge.Call) (intake.Request, error) {
	key, err := idempotencyKey(r.Header)
	if err != nil {
		return intake.Request{}, err
	}
	return intake.Request{
		Owner: c.Owner.User.String(), DataKey: c.Owner.DataKey, Client: c.Principal.Client, Rank: block.RankOwner, IdempotencyKey: key, Body: c.Body(),
		Record: func(ctx context.Context, manifest string, records int) error {
			return c.Audit(ctx, auditlog.Event{Manifest: manifest, Records: records})
		},
	}, nil
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
