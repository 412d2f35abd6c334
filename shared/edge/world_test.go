package edge_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
)

const (
	readings   = "/users/{user}/readings"
	recording  = "/users/{user}/recordings/{id}"
	consents   = "/users/{user}/consents/{purpose}"
	tcx        = "application/vnd.garmin.tcx+xml"
	maxBody    = 1000
	okBody     = `{"ok":true}`
	jsonType   = "application/json"
	writeScope = "fitvault/readings.write"
	readScope  = "fitvault/readings.read"
)

// world is a function with four routes whose handler can be replaced.
type world struct {
	*edgetest.World
	guard  *edge.Guard
	handle edge.Handler
	calls  []*edge.Call // that reached the handler
}

func newWorld(t testing.TB) *world {
	w := &world{World: edgetest.New(t), handle: good}
	handle := func(rw http.ResponseWriter, r *http.Request, c *edge.Call) error {
		w.calls = append(w.calls, c)
		return w.handle(rw, r, c)
	}
	w.guard = edge.New(w.Config("test"),
		edge.Route{
			Method: "POST", Resource: readings, Scope: writeScope, Action: access.ReadingsWrite,
			Types: []string{jsonType, tcx}, MaxBody: maxBody, Handle: handle,
		},
		edge.Route{
			Method: "GET", Resource: readings, Scope: readScope, Action: access.ReadingsRead,
			Query: []edge.Parameter{{Name: "type", Repeat: true}, {Name: "from"}}, Handle: handle,
		},
		edge.Route{Method: "GET", Resource: recording, Scope: readScope, Action: access.RecordingsRead, Handle: handle},
		edge.Route{
			Method: "PUT", Resource: consents, Scope: "fitvault/sharing.manage", Action: access.ConsentsWrite,
			Types: []string{jsonType}, MaxBody: maxBody, Handle: handle,
		},
	)
	return w
}

// good is a handler that does what it must.
func good(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	if err := c.Audit(r.Context(), auditlog.Event{Records: 1}); err != nil {
		return err
	}
	w.Header().Set("Content-Type", jsonType)
	_, err := w.Write([]byte(okBody))
	return err
}

// get and post are requests of Ada about herself that are allowed.
func (w *world) get() events.APIGatewayProxyRequest {
	return w.Event("ada", "GET", readings, map[string]string{"user": "me"})
}

func (w *world) post() events.APIGatewayProxyRequest {
	e := w.Event("ada", "POST", readings, map[string]string{"user": "me"})
	edgetest.SetBody(&e, jsonType, `[]`)
	return e
}

func (w *world) put(subject string) events.APIGatewayProxyRequest {
	e := w.Event(subject, "PUT", consents, map[string]string{"user": "me", "purpose": "collection"})
	edgetest.SetBody(&e, jsonType, `{}`)
	return e
}

func (w *world) do(t require.TestingT, e events.APIGatewayProxyRequest) events.APIGatewayProxyResponse {
	answer, err := w.guard.Handle(context.Background(), e)
	require.NoError(t, err)
	h := http.Header(answer.MultiValueHeaders)
	require.Equal(t, "no-store", h.Get("Cache-Control"))
	require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
	require.NotEmpty(t, h.Get("Strict-Transport-Security"))
	require.Regexp(t, `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`, h.Get("X-Request-Id"))
	return answer
}

// refused requires a problem of a kind, a log record, and that no handler ran.
func (w *world) refused(t require.TestingT, e events.APIGatewayProxyRequest, kind fault.Kind) {
	w.calls, w.handle = nil, good
	w.Log.Reset()
	requireProblem(t, w.do(t, e), kind)
	require.Empty(t, w.calls)
	require.Equal(t, string(kind), w.record(t)["kind"])
}

func (w *world) allowed(t require.TestingT, e events.APIGatewayProxyRequest) *edge.Call {
	w.calls = nil
	answer := w.do(t, e)
	require.Equal(t, 200, answer.StatusCode, answer.Body)
	require.Equal(t, okBody, answer.Body)
	require.Len(t, w.calls, 1)
	return w.calls[0]
}

// record is the one log record since the last reset.
func (w *world) record(t require.TestingT) map[string]any {
	var record map[string]any
	require.NoError(t, json.Unmarshal(w.Log.Bytes(), &record), "one record")
	return record
}

func (w *world) lastEvent(t require.TestingT) auditlog.Event {
	all := w.Audit.Events()
	require.NotEmpty(t, all)
	return all[len(all)-1]
}

func requireProblem(t require.TestingT, answer events.APIGatewayProxyResponse, kind fault.Kind) {
	require.Equal(t, kind.Status(), answer.StatusCode, answer.Body)
	h := http.Header(answer.MultiValueHeaders)
	require.Equal(t, "application/problem+json", h.Get("Content-Type"))
	var problem struct {
		Type, Title, Instance string
		Status                int
		Errors                []fault.Item
	}
	require.NoError(t, json.Unmarshal([]byte(answer.Body), &problem))
	require.Equal(t, "https://fitvault.example/problems/"+string(kind), problem.Type)
	require.Equal(t, kind.Title(), problem.Title)
	require.Equal(t, kind.Status(), problem.Status)
	require.Equal(t, h.Get("X-Request-Id"), problem.Instance)
	require.Equal(t, kind == fault.TooMany || kind == fault.Unavailable, h.Get("Retry-After") != "")
}
