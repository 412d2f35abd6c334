package main

import (
	"net/http"

	"fitvault/shared/access"
	"fitvault/shared/edge"
	"fitvault/shared/edge/uploads"
	"fitvault/shared/intake"
	"fitvault/shared/openmhealth"
)

type handler struct{ intake *intake.Intake }

func (h handler) routes() []edge.Route {
	return []edge.Route{
		{Method: http.MethodPost, Resource: "/users/{user}/readings", Scope: uploads.Scope, Action: access.ReadingsWrite,
			Types: uploads.ReadingTypes, MaxBody: openmhealth.Intake.Bytes, FailOpen: true, Handle: h.postReadings},
		{Method: http.MethodPost, Resource: "/users/{user}/recordings", Scope: uploads.Scope, Action: access.RecordingsWrite,
			Query: uploads.RecordingQuery, Types: intake.RecordingTypes, MaxBody: intake.MaxDocument, Cost: 2, FailOpen: true, Handle: h.postRecording},
	}
}

func (h handler) postReadings(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	request, err := uploads.Request(r, c, false)
	if err != nil {
		return err
	}
	return uploads.Readings(w, r, c, h.intake, request)
}

func (h handler) postRecording(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	request, err := uploads.Request(r, c, true)
	if err != nil {
		return err
	}
	return uploads.Recording(w, r, c, h.intake, request)
}
