package main

import (
	"context"
	"iter"
	"net/http"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge"
	"fitvault/shared/opening"
)

const scopeRead = "fitvault/readings.read"

// blocks reads an owner's sealed pieces, strongly consistent: Between yields
// those with first ≤ item < end in order; Get returns one, or false.
type blocks interface {
	Between(ctx context.Context, owner, first, end string) iter.Seq2[dynamo.Sealed, error]
	Get(ctx context.Context, owner, item string) ([]byte, bool, error)
}

// documents reads sealed originals by object id.
type documents interface {
	Get(ctx context.Context, id string) ([]byte, error)
}

// keys hands out what readers may use.
type keys interface {
	opening.Keys
	edge.PagesKey
}

type handler struct {
	deployment string
	blocks     blocks
	documents  documents
	keys       keys
	now        func() time.Time
}

func (h handler) routes() []edge.Route {
	page := []edge.Parameter{{Name: "page_size"}, {Name: "page_token"}}
	return []edge.Route{
		{Method: http.MethodGet, Resource: "/users/{user}/readings", Scope: scopeRead, Action: access.ReadingsRead,
			Query: append([]edge.Parameter{{Name: "type", Repeat: true}, {Name: "from"}, {Name: "to"}, {Name: "since"}}, page...), Cost: 2, Handle: h.getReadings},
		{Method: http.MethodGet, Resource: "/users/{user}/recordings", Scope: scopeRead, Action: access.RecordingsRead,
			Query: append([]edge.Parameter{{Name: "since"}}, page...), Handle: h.listRecordings},
		{Method: http.MethodGet, Resource: "/users/{user}/recordings/{id}", Scope: scopeRead, Action: access.RecordingsRead,
			Query: page, Cost: 2, Handle: h.getRecording},
	}
}
