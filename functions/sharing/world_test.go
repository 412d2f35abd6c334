package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
	"fitvault/shared/reading"
	"fitvault/shared/sharing/sharingtest"
)

const partner = "7partnerclient"

// world is sharing over fakes, in the world of edgetest. Ada and Ben share; the
// partner's app may read.
type world struct {
	*edgetest.World
	store   sharingtest.Store
	handler handler
	guard   *edge.Guard
}

func newWorld(t testing.TB) *world {
	w := &world{World: edgetest.New(t)}
	for subject, user := range map[string]access.UserID{"ada": w.Ada, "ben": w.Ben} {
		known, err := w.Accounts.Read(t.Context(), access.Keys{Issuer: edgetest.Issuer, Subject: subject, User: user, Client: edgetest.Client})
		require.NoError(t, err)
		known.Owner.Consents = map[access.Purpose]access.Consent{access.Collection: {Version: "1", Given: true, Time: w.Time}, access.Sharing: {Version: "1", Given: true, Time: w.Time}}
		if subject == "ben" {
			known.Caller.Organisations = []string{"clinic", "team"}
		}
		w.store.Put(edgetest.Issuer, subject, known)
	}
	w.app(t, partner, "active", "third-party", "fitvault/readings.read")
	w.handler = handler{store: &w.store, now: w.Now, rand: rand.Reader}
	w.start()
	return w
}

// app registers an app.
func (w *world) app(t testing.TB, client, state, kind string, scopes ...string) {
	app, err := access.DecodeApp(client, state, kind, scopes, nil)
	require.NoError(t, err)
	app.Name = "Partner's app"
	w.store.Put("", "", access.Documents{App: &app})
}

// start makes the guard of a handler that a test may have changed.
func (w *world) start() {
	config := w.Config("sharing")
	config.Documents, config.Sessions = &w.store, &w.store
	w.guard = edge.New(config, w.handler.routes()...)
}

// owner changes an owner's document.
func (w *world) owner(user access.UserID, change func(*access.Owner)) {
	o := w.store.Owner(user)
	o.Consents, o.Grants, o.Apps = maps.Clone(o.Consents), maps.Clone(o.Grants), maps.Clone(o.Apps)
	change(&o)
	w.store.Put("", "", access.Documents{Owner: &o})
}

// call is a request of a subject; parameters come in pairs, {user} is `me`.
func (w *world) call(subject, method, resource, body string, parameters ...string) events.APIGatewayProxyRequest {
	in := map[string]string{"user": "me"}
	for i := 0; i < len(parameters); i += 2 {
		in[parameters[i]] = parameters[i+1]
	}
	e := w.Event(subject, method, resource, in)
	if body != "" {
		edgetest.SetBody(&e, mediaType, body)
	}
	return e
}

func (w *world) do(t require.TestingT, e events.APIGatewayProxyRequest) events.APIGatewayProxyResponse {
	answer, err := w.guard.Handle(context.Background(), e)
	require.NoError(t, err)
	return answer
}

// said requires a status and reads the answer into v.
func (w *world) said(t *testing.T, e events.APIGatewayProxyRequest, status int, v any) {
	t.Helper()
	answer := w.do(t, e)
	require.Equal(t, status, answer.StatusCode, answer.Body)
	if v == nil {
		require.Empty(t, answer.Body)
		return
	}
	reflect.ValueOf(v).Elem().SetZero() // nothing of an answer before
	require.NoError(t, json.Unmarshal([]byte(answer.Body), v))
}

func (w *world) refused(t *testing.T, e events.APIGatewayProxyRequest, kind fault.Kind) []fault.Item {
	t.Helper()
	return edgetest.RequireProblem(t, w.do(t, e), kind)
}

const (
	steps  = `{"types": ["omh:step-count"], "access": ["read"], "purpose": "family", "until": "2026-06-04T07:25:00+02:00"}`
	thing  = `{"types": ["fitvault:recording", "omh:heart-rate"], "access": ["write", "read"], "purpose": "care", "from": "2026-05-05T00:00:00Z", "until": "2027-05-04T00:00:00Z"}`
	nobody = `{}`
)

// invite makes a grant of Ada's and returns its id and code.
func (w *world) invite(t *testing.T) (id, code string) {
	t.Helper()
	var g grant
	w.said(t, w.call("ada", http.MethodPost, grants, steps), 201, &g)
	require.NotEmpty(t, g.Code)
	return g.ID, g.Code
}

// accepts lets a subject accept a code.
func (w *world) accepts(subject, code string) events.APIGatewayProxyRequest {
	return w.call(subject, http.MethodPost, accept, nobody, "code", code)
}

// decides asks what Ben may read of Ada's now.
func (w *world) decides(user access.UserID) access.Decision {
	return access.Decide(access.Question{Principal: access.Principal{User: user, Client: edgetest.Client}, App: access.OwnApp,
		Action: access.ReadingsRead, Owner: w.store.Owner(w.Ada), Now: w.Time})
}

var stepCount = reading.Type{Namespace: "omh", Name: "step-count"}

func (w *world) later(d time.Duration) { w.Time = w.Time.Add(d) }
