// Package e2e holds what the issue promises of the deployed stack as a whole:
// who is refused, that nothing stands in the clear, that whatever is altered is
// noticed, and that nothing happens without an audit event.
package e2e

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/fault"
)

const tcxType = "application/vnd.garmin.tcx+xml"

// route is one route of wire.md with a request that it accepts.
type route struct {
	method, resource string
	function         string // output of the template
	scope, action    string
	contentType      string
	body             string
}

// allRoutes is every route that asks for a token.
var allRoutes = []route{
	{"GET", "/users/{user}/readings", "ReadingsFunction", "fitvault/readings.read", "readings.read", "", ""},
	{"GET", "/users/{user}/recordings", "ReadingsFunction", "fitvault/readings.read", "recordings.read", "", ""},
	{"GET", "/users/{user}/recordings/{id}", "ReadingsFunction", "fitvault/readings.read", "recordings.read", "", ""},
	{"POST", "/users/{user}/readings", "IngestFunction", "fitvault/readings.write", "readings.write", "application/json", heartRate("2026-05-04T07:25:00+02:00", "71")},
	{"POST", "/users/{user}/recordings", "IngestFunction", "fitvault/readings.write", "recordings.write", tcxType, recording("2026-05-04T07:25:00Z", "48.1")},
	{"GET", "/users/{user}/consents/{purpose}", "EnrolFunction", "fitvault/sharing.manage", "consents.read", "", ""},
	{"PUT", "/users/{user}/consents/{purpose}", "EnrolFunction", "fitvault/sharing.manage", "consents.write", "application/json", `{"version":"1","given":true}`},
	{"GET", "/users/{user}/consents", "EnrolFunction", "fitvault/sharing.manage", "consents.read", "", ""},
	{"GET", "/users/{user}/grants", "SharingFunction", "fitvault/sharing.manage", "sharing.read", "", ""},
	{"GET", "/users/{user}/sessions", "SharingFunction", "fitvault/sharing.manage", "sharing.read", "", ""},
	{"GET", "/users/{user}/settings", "SharingFunction", "fitvault/sharing.manage", "settings.read", "", ""},
}

func (r route) String() string { return r.method + " " + r.resource }

// heartRate is one data point, whose id is derived from nothing else than its time.
func heartRate(time, value string) string {
	return `[{"header":{"uuid":"3c1f8f0e-6f5b-4a55-9f0e-2f6f7a1f4f10","schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"},` +
		`"source_creation_date_time":"` + time + `","modality":"sensed"},"body":{"heart_rate":{"value":` + value +
		`,"unit":"beats/min"},"effective_time_frame":{"date_time":"` + time + `"}}}]`
}

// recording is a TCX document of one trackpoint.
func recording(time, latitude string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>
<TrainingCenterDatabase xmlns="http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2"><Activities><Activity Sport="Running"><Id>` + time + `</Id>
<Lap StartTime="` + time + `"><TotalTimeSeconds>1</TotalTimeSeconds><DistanceMeters>1</DistanceMeters><Calories>1</Calories><Intensity>Active</Intensity><TriggerMethod>Manual</TriggerMethod>
<Track><Trackpoint><Time>` + time + `</Time><Position><LatitudeDegrees>` + latitude + `</LatitudeDegrees><LongitudeDegrees>11.5</LongitudeDegrees></Position></Trackpoint></Track></Lap></Activity></Activities></TrainingCenterDatabase>`
}

// call is one request, which can go through the gateway or past it.
type call struct {
	route
	user, id string // in the path
	query    url.Values
	header   http.Header
}

// newCall is a call with a token and a key; "" leaves one out.
func newCall(r route, user, id, token, key string) call {
	c := call{route: r, user: user, id: id, header: http.Header{}}
	if token != "" {
		c.header.Set("Authorization", "Bearer "+token)
	}
	if key != "" {
		c.header.Set("x-api-key", key)
	}
	if r.contentType != "" {
		c.header.Set("Content-Type", r.contentType)
	}
	return c
}

func (c call) path() string {
	return strings.NewReplacer("{user}", c.user, "{id}", c.id, "{purpose}", "collection").Replace(c.resource)
}

// send calls the API.
func (c call) send(t testing.TB, s *stack.Stack) stack.Answer {
	t.Helper()
	address := s.API + c.path()
	if len(c.query) > 0 {
		address += "?" + c.query.Encode()
	}
	r, err := http.NewRequestWithContext(t.Context(), c.method, address, strings.NewReader(c.body))
	require.NoError(t, err)
	r.Header = c.header
	response, err := client(s).Do(r)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return stack.Answer{Status: response.StatusCode, Header: response.Header, Body: body}
}

var shared *http.Client

// client is one client for all tests, which run one after the other.
func client(s *stack.Stack) *http.Client {
	if shared == nil {
		shared = s.Client()
	}
	return shared
}

// event is what the gateway would make of the call.
func (c call) event() events.APIGatewayProxyRequest {
	e := events.APIGatewayProxyRequest{
		Resource: c.resource, Path: c.path(), HTTPMethod: c.method,
		Headers: map[string]string{}, MultiValueHeaders: c.header,
		PathParameters:                  map[string]string{"user": c.user},
		MultiValueQueryStringParameters: c.query,
		Body:                            c.body,
	}
	if strings.Contains(c.resource, "{id}") {
		e.PathParameters["id"] = c.id
	}
	if strings.Contains(c.resource, "{purpose}") {
		e.PathParameters["purpose"] = "collection"
	}
	for name, values := range c.header {
		e.Headers[name] = values[len(values)-1]
	}
	if c.contentType == tcxType {
		e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte(c.body)), true
	}
	return e
}

// isProblem asserts the one form of every refusal and returns the request id.
func isProblem(t testing.TB, kind fault.Kind, a stack.Answer, input ...string) string {
	t.Helper()
	return a.RequireProblem(t, kind, input...)
}
