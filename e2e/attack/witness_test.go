package attack

import (
	"net/http"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
)

// TestTheWitnessNotices what TestFaults and TestOverload are about: planted violations.
func TestTheWitnessNotices(t *testing.T) {
	w := &witness{acknowledged: map[string]float64{"a": 60}, abandoned: map[string]float64{"b": 61},
		rides: map[string]string{"at six": "x"}, lostRides: map[string]bool{"at seven": true}}
	require.NoError(t, w.whole(map[string]int{"a": 1}))
	require.NoError(t, w.whole(map[string]int{"a": 1, "b": 1}))
	for name, count := range map[string]map[string]int{
		"lost": {"b": 1}, "doubled": {"a": 2}, "doubled, and not acknowledged": {"a": 1, "b": 2}, "nobody's": {"a": 1, "c": 1},
	} {
		require.Error(t, w.whole(count), name)
	}

	list := func(items string) stack.Answer { return stack.Answer{Body: []byte(`{"items":[` + items + `]}`)} }
	const six, seven = `{"id":"x","start":"at six"}`, `{"id":"y","start":"at seven"}`
	require.NoError(t, w.ridesIn(list(six)))
	require.NoError(t, w.ridesIn(list(six+","+seven)))
	for name, items := range map[string]string{
		"lost": seven, "doubled": six + "," + six, "doubled, and not acknowledged": six + "," + seven + "," + seven, "under another id": `{"id":"z","start":"at six"}`,
		"nobody's": six + `,{"id":"z","start":"at eight"}`,
	} {
		require.Error(t, w.ridesIn(list(items)), name)
	}

	e := events.APIGatewayProxyRequest{RequestContext: events.APIGatewayProxyRequestContext{RequestID: "r"}}
	good := func() stack.Answer {
		return stack.Answer{Status: http.StatusServiceUnavailable, Header: http.Header{"Content-Type": {"application/problem+json"}, "Retry-After": {"3"}},
			Body: []byte(`{"type":"https://fitvault.example/problems/unavailable","title":"Unavailable","status":503,"instance":"r"}`)}
	}
	require.NoError(t, refusal(good(), e))
	require.Empty(t, unlikeARefusal(good()))
	for name, change := range map[string]func(a *stack.Answer){
		"no time to come back": func(a *stack.Answer) { a.Header.Del("Retry-After") },
		"no number":            func(a *stack.Answer) { a.Header.Set("Retry-After", "soon") },
		"another type":         func(a *stack.Answer) { a.Header.Set("Content-Type", "text/plain") },
		"internals":            func(a *stack.Answer) { a.Body = []byte(`{"message":"dial tcp: connection refused"}`) },
	} {
		a := good()
		change(&a)
		require.Error(t, refusal(a, e), name)
		require.NotEmpty(t, unlikeARefusal(a), name)
	}
	a := good()
	a.Status = http.StatusInternalServerError
	require.NotEmpty(t, unlikeARefusal(a))

	require.InDelta(t, 0.5, growth(map[int]int64{1: 100, 2: 7}, map[int]int64{1: 150, 3: 1000}), 1e-9, "of those that were there all the time")
	require.Zero(t, growth(nil, nil))
}
