package edge_test

import (
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
