package main

import (
	"net/http"

	"fitvault/shared/access"
	"fitvault/shared/edge"
	"fitvault/shared/edge/uploads"
	"fitvault/shared/intake"
	"fitvault/shared/openmhealth"
	"fitvault/shared/sealedupload"
)

type handler struct {
	intake *intake.Intake
	opener sealedupload.Opener
}

// What a JWE is sent to, as its audience says.
const (
	ofReadings   = "readings"
	ofRecordings = "recordings"
)

func (h handler) routes() []edge.Route {
	types := []string{sealedupload.MediaType}
	// Each costs a call of KMS, so none goes on uncounted.
	return []edge.Route{
		{Method: http.MethodPost, Resource: "/users/{user}/readings/sealed", Scope: uploads.Scope, Action: access.ReadingsWrite,
			Types: types, MaxBody: sealedupload.Size(openmhealth.Intake.Bytes), Cost: 2, Handle: h.postReadings},
		{Method: http.MethodPost, Resource: "/users/{user}/recordings/sealed", Scope: uploads.Scope, Action: access.RecordingsWrite,
			Query: uploads.RecordingQuery, Types: types, MaxBody: intake.MaxDocument, Cost: 3, Handle: h.postRecording},
	}
}

func (h handler) postReadings(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	request, err := h.request(r, c, ofReadings, uploads.ReadingTypes)
	if err != nil {
		return err
	}
	return uploads.Readings(w, r, c, h.intake, request)
}

func (h handler) postRecording(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	request, err := h.request(r, c, ofRecordings, intake.RecordingTypes)
	if err != nil {
		return err
	}
	return uploads.Recording(w, r, c, h.intake, request)
}

// request is what the call asks of intake, with the body that was sealed in its own.
func (h handler) request(r *http.Request, c *edge.Call, what string, types []string) (uploads.Upload, error) {
	request, err := uploads.Request(r, c, what == ofRecordings)
	if err != nil {
		return uploads.Upload{}, err
	}
	request.Sealed = true
	request.Body, request.MediaType, err = h.opener.Open(r.Context(), request.Body, sealedupload.Binding{
		Audience: sealedupload.Audience(h.intake.Deployment, what), Owner: request.Owner, Client: request.Client, Types: types})
	return request, err
}
