package edge_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
)

// TestPublic: a document is the same for everybody, and what is beside it is not found.
func TestPublic(t *testing.T) {
	w := edgetest.New(t)
	config := w.Config("jwks")
	p := edge.Public{Function: "jwks", Log: config.Log, Now: w.Now, Rand: config.Rand,
		Documents: []edge.Document{{Resource: "/.well-known/jwks.json", Body: []byte(`{"keys":[]}`), MaxAge: time.Hour}}}

	for name, change := range map[string]func(e *events.APIGatewayProxyRequest){
		"by anybody":           func(e *events.APIGatewayProxyRequest) { e.Headers, e.MultiValueHeaders = nil, nil },
		"with credentials":     func(*events.APIGatewayProxyRequest) {},
		"with bad credentials": func(e *events.APIGatewayProxyRequest) { edgetest.SetHeader(e, "Authorization", "Bearer x") },
		"with a body and a query": func(e *events.APIGatewayProxyRequest) {
			edgetest.SetBody(e, "text/canary", "canary")
			e.QueryStringParameters = map[string]string{"canary": "canary"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w.Log.Reset()
			e := w.Event("ada", http.MethodGet, "/.well-known/jwks.json", nil)
			change(&e)
			answer, err := p.Handle(t.Context(), e)
			require.NoError(t, err)
			require.Equal(t, 200, answer.StatusCode)
			require.Equal(t, `{"keys":[]}`, answer.Body)
			require.Equal(t, map[string][]string{
				"Cache-Control": {"public, max-age=3600"}, "Content-Type": {"application/json"}, "X-Request-Id": {edgetest.RequestID},
				"Strict-Transport-Security": {"max-age=31536000"}, "X-Content-Type-Options": {"nosniff"},
			}, answer.MultiValueHeaders)
			require.Equal(t, 1, strings.Count(w.Log.String(), "\n"))
			require.Contains(t, w.Log.String(), `"resource":"/.well-known/jwks.json","status":200`)
			require.NotContains(t, w.Log.String(), "canary")
		})
	}
	require.Empty(t, w.Accounts.Reads)
	require.Empty(t, w.Audit.Events())

	for name, e := range map[string]events.APIGatewayProxyRequest{
		"another method":   w.Event("ada", http.MethodPost, "/.well-known/jwks.json", nil),
		"another resource": w.Event("ada", http.MethodGet, "/users/{user}/readings", map[string]string{"user": "me"}),
		"nothing":          {},
	} {
		t.Run(name, func(t *testing.T) {
			answer, err := p.Handle(t.Context(), e)
			require.NoError(t, err)
			edgetest.RequireProblem(t, answer, fault.NotFound)
			require.Equal(t, []string{"no-store"}, answer.MultiValueHeaders["Cache-Control"])
		})
	}
}

// TestDocumentsOfOtherTypes: a document's own headers, and no keeping where nobody asks for it.
func TestDocumentsOfOtherTypes(t *testing.T) {
	w := edgetest.New(t)
	config := w.Config("authorize")
	p := edge.Public{Function: "authorize", Log: config.Log, Now: w.Now, Rand: config.Rand,
		Documents: []edge.Document{{Resource: "/authorize", Body: []byte(`<p>`), Type: "text/html", Headers: map[string]string{"X-Frame-Options": "DENY"}}}}
	answer, err := p.Handle(t.Context(), w.Event("ada", http.MethodGet, "/authorize", nil))
	require.NoError(t, err)
	require.Equal(t, "<p>", answer.Body)
	require.Equal(t, map[string][]string{
		"Cache-Control": {"no-store"}, "Content-Type": {"text/html"}, "X-Request-Id": {edgetest.RequestID}, "X-Frame-Options": {"DENY"},
		"Strict-Transport-Security": {"max-age=31536000"}, "X-Content-Type-Options": {"nosniff"},
	}, answer.MultiValueHeaders)
}

// TestInquiries: the query goes in, and comes out in no log; a failure is a problem.
func TestInquiries(t *testing.T) {
	w := edgetest.New(t)
	config := w.Config("authorize")
	inquiry := func(answer func(map[string][]string) (any, error)) edge.Public {
		return edge.Public{Function: "authorize", Log: config.Log, Now: w.Now, Rand: config.Rand, Inquiries: []edge.Inquiry{
			{Resource: "/authorize/request", Answer: func(_ context.Context, query map[string][]string) (any, error) { return answer(query) }}}}
	}
	e := w.Event("ada", http.MethodGet, "/authorize/request", nil)
	e.MultiValueQueryStringParameters = map[string][]string{"state": {"canary"}}

	answer, err := inquiry(func(query map[string][]string) (any, error) { return query["state"], nil }).Handle(t.Context(), e)
	require.NoError(t, err)
	require.Equal(t, `["canary"]`, answer.Body)
	require.Equal(t, [][]string{{"no-store"}, {"application/json"}}, [][]string{answer.MultiValueHeaders["Cache-Control"], answer.MultiValueHeaders["Content-Type"]})

	for kind, fails := range map[fault.Kind]func(map[string][]string) (any, error){
		fault.Invalid:  func(map[string][]string) (any, error) { return nil, fault.New(fault.Invalid, "a parameter") },
		fault.Internal: func(query map[string][]string) (any, error) { panic(query["state"][0]) },
	} {
		answer, err := inquiry(fails).Handle(t.Context(), e)
		require.NoError(t, err)
		edgetest.RequireProblem(t, answer, kind)
	}
	answer, err = inquiry(func(map[string][]string) (any, error) { return func() {}, nil }).Handle(t.Context(), e)
	require.NoError(t, err)
	edgetest.RequireProblem(t, answer, fault.Internal)
	require.Equal(t, 4, strings.Count(w.Log.String(), `"resource":"/authorize/request"`))
	require.NotContains(t, w.Log.String(), "canary")

	e.HTTPMethod = http.MethodPost
	answer, err = inquiry(func(map[string][]string) (any, error) { return nil, nil }).Handle(t.Context(), e)
	require.NoError(t, err)
	edgetest.RequireProblem(t, answer, fault.NotFound)
}
