package edge_test

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
)

// Random events: always an answer, never a 2xx one, never a panic.
func FuzzEvent(f *testing.F) {
	for _, seed := range []string{
		`{}`,
		`{"httpMethod":"GET","resource":"/users/{user}/readings","pathParameters":{"user":"me"},"headers":{"Authorization":"Bearer a.b.c","x-api-key":"k"},"requestContext":{"requestId":"` + edgetest.RequestID + `"}}`,
		`{"httpMethod":"POST","resource":"/users/{user}/readings","multiValueHeaders":{"authorization":["Bearer eyJhbGciOiJub25lIn0.e30."]},"body":"W10=","isBase64Encoded":true}`,
		`{"httpMethod":"GET","resource":"/users/{user}/recordings/{id}","headers":{"Authorization":"Bearer eyJhbGciOiJIUzI1NiIsImtpZCI6ImtpZC0xPSJ9.e30.AAAA"}}`,
	} {
		f.Add([]byte(seed))
	}
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		var e edgeEvent
		if json.Unmarshal(data, &e) != nil {
			return
		}
		w.Log.Reset()
		answer := w.do(t, e)
		require.GreaterOrEqual(t, answer.StatusCode, 400)
		require.NotEqual(t, 500, answer.StatusCode)
		requireProblem(t, answer, fault.Kind(w.record(t)["kind"].(string)))
		require.Empty(t, w.calls)
		require.Empty(t, w.Audit.Events())
	})
}

// Random text in place of a token.
func FuzzToken(f *testing.F) {
	for _, seed := range []string{
		"", "Bearer", "Bearer a.b.c", "Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6ImtpZC0xPSJ9.e30.AAAA",
		"Bearer eyJhbGciOiJub25lIn0.e30.", "Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6ImtpZC0xPSJ9.eyJleHAiOjFlOTk5fQ.AAAA",
	} {
		f.Add(seed)
	}
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, authorization string) {
		e := edgeEvent{HTTPMethod: "GET", Resource: readings, Headers: map[string]string{"Authorization": authorization}}
		requireProblem(t, w.do(t, e), fault.Unauthenticated)
		require.Empty(t, w.calls)
	})
}

// A known caller who sends anything: never a 5xx answer, and nobody's account
// but his own.
func FuzzAdmitted(f *testing.F) {
	f.Add("me", "", "type", "omh:heart-rate", "[]", jsonType, "", false)
	f.Add("%6De", "a", "from", "\x00", "W10=", "application/json; charset=utf-8", "*/*", true)
	f.Add("..%2f", "%", "", "", "\xff", "a/b;c", "q=", false)
	signed := newWorld(f).Event("ben", "", readings, nil)
	f.Fuzz(func(t *testing.T, user, id, name, value, body, mediaType, accept string, isBase64 bool) {
		w := newWorld(t)
		for _, method := range []string{"GET", "POST"} {
			e := signed
			e.HTTPMethod, e.Headers, e.MultiValueHeaders = method, nil, maps.Clone(signed.MultiValueHeaders)
			e.PathParameters = map[string]string{"user": user, "id": id}
			e.MultiValueQueryStringParameters = map[string][]string{name: {value}}
			if name == "" {
				e.MultiValueQueryStringParameters = nil
			}
			e.Body, e.IsBase64Encoded = body, isBase64
			e.MultiValueHeaders["Content-Type"], e.MultiValueHeaders["Accept"] = []string{mediaType}, []string{accept}
			answer := w.do(t, e)
			require.Less(t, answer.StatusCode, 500)
			for _, call := range w.calls {
				require.Equal(t, w.Ben, call.Owner.User)
			}
		}
	})
}
