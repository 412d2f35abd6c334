package attack

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/e2e/attack/bootstrap"
	"fitvault/e2e/stack"
	"fitvault/shared/fault"
)

// onlyInPaths are tricks that a query cannot have or may have.
var onlyInPaths = map[string]string{
	"raw dots":        "..",
	"raw dots, twice": "../..",
	"a dot":           ".",
	"nothing":         "",
	"a bad escape":    "%",
	"another":         "%zz",
	"a star":          "*",
	"upper case":      "ME",
	"capital me":      "%4d%45",
	"me and dots":     "me/..",
}

// TestPathTricks: what is no user id and no recording's id is 404 and nothing
// else, however it is spelt, through the gateway as bytes on a socket and past it.
func TestPathTricks(t *testing.T) {
	s := stack.Open(t)
	s.UseDatabase(t)
	p, victim := s.Newcomer(t), s.Newcomer(t)
	own := map[string]*bootstrap.Process{}
	for _, function := range []string{"IngestFunction", "ReadingsFunction", "HistoryFunction", "EnrolFunction"} {
		var err error
		own[function], err = bootstrap.Deployed(t, s, s.Output(t, function)).Start(t, s.Endpoints.AWS)
		require.NoError(t, err)
	}
	places := []struct {
		method, resource string
		inID             bool
	}{
		{http.MethodGet, recorded, true}, {http.MethodGet, recorded, false}, {http.MethodGet, readings, false}, {http.MethodGet, recordings, false}, {http.MethodGet, days, false},
		{http.MethodPost, readings, false}, {http.MethodPost, recordings, false}, {http.MethodGet, consents, false}, {http.MethodGet, standing, false}, {http.MethodPut, consents, false},
	}
	for n, place := range places {
		values := map[string]string{"another's id, upper case": strings.ToUpper(victim.ID), "another's id and NUL": victim.ID + "%00", "another's id by dots": "me%2f..%2f" + victim.ID}
		for _, name := range tricksFor(n, len(places)) {
			values[name] = tricks[name]
		}
		for i, name := range slices.Sorted(maps.Keys(onlyInPaths)) {
			if whole || (i+n)%2 == 0 {
				values[name] = onlyInPaths[name]
			}
		}
		for name, value := range values {
			r := request{method: place.method, resource: place.resource, user: value}
			if place.inID {
				r.user, r.id = "me", value
			}
			if r.method != http.MethodGet {
				r.media, r.body = mediaJSON, []byte(`{"`+marker+`":1}`)
			}
			t.Run(fmt.Sprintf("%s %s, %v, %s", place.method, place.resource, place.inID, name), func(t *testing.T) {
				if value != "" || !place.inID { // nothing, for the gateway, is another route
					raw(t, s, p, r).RequireProblem(t, fault.NotFound, marker, victim.ID)
				}

				e := r.event(p) // as it is written, and decoded
				for _, decoded := range []string{value, unescaped(value)} {
					if e.PathParameters["user"] = decoded; place.inID {
						e.PathParameters["user"], e.PathParameters["id"] = "me", decoded
					}
					process := own[r.function()]
					answer, err := process.Invoke(e, patience)
					require.NoError(t, err, "%s", process.Output())
					answer.RequireProblem(t, fault.NotFound, marker, victim.ID)
				}
			})
		}
	}
	for _, process := range own {
		require.NotContains(t, process.Output(), marker)
		require.NotContains(t, process.Output(), victim.ID)
	}
}

// raw sends a request whose path goes out as it is written.
func raw(t *testing.T, s *stack.Stack, p *stack.Person, r request) stack.Answer {
	t.Helper()
	api, err := url.Parse(s.API)
	require.NoError(t, err)
	connection, err := net.DialTimeout("tcp", api.Host, patience)
	require.NoError(t, err)
	defer func() { _ = connection.Close() }()
	require.NoError(t, connection.SetDeadline(time.Now().Add(patience)))
	user, id := r.user, r.id
	path := api.Path + strings.NewReplacer("{user}", user, "{id}", id, "{purpose}", "collection").Replace(r.resource)
	_, err = fmt.Fprintf(connection, "%s %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nx-api-key: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		r.method, path, api.Host, p.Token, p.Key, r.media, len(r.body), r.body)
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return stack.Answer{Status: response.StatusCode, Header: response.Header, Body: body}
}
