package stack

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/edge"
	"fitvault/shared/fault"
)

// RequireProblem asserts the one form of every refusal, RFC 9457 with a kind's own
// type, title and status and nothing of the input, and returns the request id.
// Only what is invalid is told where and by which rule.
func (a Answer) RequireProblem(t testing.TB, kind fault.Kind, input ...string) string {
	t.Helper()
	require.Equal(t, kind.Status(), a.Status, "%s", a.Body)
	require.Equal(t, "application/problem+json", a.Header.Get("Content-Type"))
	require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	require.Equal(t, "nosniff", a.Header.Get("X-Content-Type-Options"))
	var p struct {
		Type, Title, Instance string
		Status                int
		Errors                []struct{ Pointer, Rule string }
	}
	strict := json.NewDecoder(bytes.NewReader(a.Body))
	strict.DisallowUnknownFields()
	require.NoError(t, strict.Decode(&p), "%s", a.Body)
	require.Equal(t, edge.ProblemTypes+string(kind), p.Type)
	require.Equal(t, kind.Title(), p.Title)
	require.Equal(t, kind.Status(), p.Status)
	if kind != fault.Invalid {
		require.Empty(t, p.Errors)
	}
	require.Regexp(t, `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`, p.Instance)
	if id := a.Header.Get("X-Request-Id"); id != "" { // a function's answer
		require.Equal(t, id, p.Instance)
	}
	for _, text := range input {
		if text == "" {
			continue
		}
		require.NotContains(t, string(a.Body), text)
		for name, values := range a.Header {
			require.NotContains(t, strings.Join(values, " "), text, name)
		}
	}
	return p.Instance
}
