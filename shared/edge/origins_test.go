package edge_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
)

// TestOrigins: an answer, also a refusal, can be read in a browser by a page of
// a registered origin, spelt exactly so, and by no other.
func TestOrigins(t *testing.T) {
	w := newWorld(t)
	config := w.Config("test")
	config.Origins = []string{"https://app.example", "https://b.example:8443"}
	w.guard = edge.New(config, edge.Route{Method: "GET", Resource: readings, Scope: readScope, Action: "readings.read", Handle: good})
	answered := func(origins []string, token bool) http.Header {
		e := w.get()
		if origins != nil {
			e.MultiValueHeaders["Origin"] = origins
		}
		if !token {
			edgetest.SetHeader(&e, "Authorization", "Bearer x")
		}
		return http.Header(w.do(t, e).MultiValueHeaders)
	}
	for _, origin := range config.Origins {
		for _, token := range []bool{true, false} {
			h := answered([]string{origin}, token)
			require.Equal(t, []string{origin}, h["Access-Control-Allow-Origin"])
			require.Equal(t, []string{"Origin"}, h["Vary"])
			require.Contains(t, h.Get("Access-Control-Expose-Headers"), "Retry-After")
			require.Empty(t, h["Access-Control-Allow-Credentials"])
		}
	}
	for name, origins := range map[string][]string{
		"none": nil, "empty": {""}, "null": {"null"}, "any": {"*"}, "another": {"https://evil.example"}, "in capitals": {"https://APP.example"},
		"another scheme": {"http://app.example"}, "another port": {"https://app.example:8443"}, "a slash": {"https://app.example/"},
		"a longer one": {"https://app.example.evil.example"}, "two": {"https://app.example,https://b.example:8443"},
		"two values": {"https://app.example", "https://b.example:8443"},
	} {
		h := answered(origins, true)
		require.Empty(t, h["Access-Control-Allow-Origin"], name)
		require.Equal(t, []string{"Origin"}, h["Vary"], name)
	}

	config.Origins = nil
	w.guard = edge.New(config, edge.Route{Method: "GET", Resource: readings, Scope: readScope, Action: "readings.read", Handle: good})
	h := answered([]string{"https://app.example"}, true)
	require.Empty(t, h["Access-Control-Allow-Origin"])
	require.Empty(t, h["Vary"])
}
