// Package attack does to the deployed stack what an attacker, a crash or a bad
// day would, and holds what then must hold: README.md lists all of it. `make
// test` runs it with small numbers, `make attack` with the issue's.
package attack

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
)

// whole says that this is `make attack`.
var whole = stack.Whole

// size is how many of something there are: few in the short form.
func size(short, long int) int {
	if whole {
		return long
	}
	return short
}

const (
	readings   = "/users/{user}/readings"
	recordings = "/users/{user}/recordings"
	recorded   = "/users/{user}/recordings/{id}"
	days       = "/users/{user}/days"
	consents   = "/users/{user}/consents/{purpose}"
	standing   = "/users/{user}/consents"

	mediaJSON = "application/json"
	mediaTCX  = "application/vnd.garmin.tcx+xml"
	mediaGPX  = "application/gpx+xml"
)

// functions are the outputs of the template that name a route's function.
var functions = map[string]string{
	"POST " + readings: "IngestFunction", "POST " + recordings: "IngestFunction",
	"GET " + readings: "ReadingsFunction", "GET " + recordings: "ReadingsFunction", "GET " + recorded: "ReadingsFunction",
	"GET " + days: "HistoryFunction", "GET " + consents: "EnrolFunction", "PUT " + consents: "EnrolFunction",
	"GET " + standing: "EnrolFunction",
}

// request is one request, which can go through the gateway or past it.
type request struct {
	method, resource string
	user, id         string // in the path, percent-encoded; "" is me, and an id that nothing has
	query            string // percent-encoded
	media            string
	header           map[string]string
	body             []byte
}

func post(resource, media string, body []byte) request {
	return request{method: http.MethodPost, resource: resource, media: media, body: body}
}

func get(resource, query string) request {
	return request{method: http.MethodGet, resource: resource, query: query}
}

// with is the request with one more header.
func (r request) with(name, value string) request {
	h := maps.Clone(r.header)
	if h == nil {
		h = map[string]string{}
	}
	h[name] = value
	r.header = h
	return r
}

func (r request) function() string { return functions[r.method+" "+r.resource] }

// path is the path and query as they are sent.
func (r request) path() string {
	user, id := r.user, r.id
	if user == "" {
		user = "me"
	}
	if id == "" {
		id = strings.Repeat("b", 26)
	}
	path := strings.NewReplacer("{user}", user, "{id}", id, "{purpose}", "collection").Replace(r.resource)
	if r.query != "" {
		path += "?" + r.query
	}
	return path
}

// headers are the request's, in pairs. An empty media type is sent as none.
func (r request) headers() (pairs []string) {
	if r.media != "" {
		pairs = append(pairs, "Content-Type", r.media)
	}
	for name, value := range r.header {
		pairs = append(pairs, name, value)
	}
	return pairs
}

// send goes through the gateway.
func (r request) send(t testing.TB, p *stack.Person) stack.Answer {
	t.Helper()
	return p.Do(t, r.method, r.path(), r.body, r.headers()...)
}

// event is what the gateway would make of the request.
func (r request) event(p *stack.Person) events.APIGatewayProxyRequest {
	path, query, _ := strings.Cut(r.path(), "?")
	e := events.APIGatewayProxyRequest{
		Resource: r.resource, Path: path, HTTPMethod: r.method,
		Headers: map[string]string{}, MultiValueHeaders: map[string][]string{}, PathParameters: map[string]string{"user": "me"},
	}
	if r.user != "" {
		e.PathParameters["user"] = r.user
	}
	if strings.Contains(r.resource, "{id}") {
		if e.PathParameters["id"] = r.id; r.id == "" {
			e.PathParameters["id"] = strings.Repeat("b", 26)
		}
	}
	if strings.Contains(r.resource, "{purpose}") {
		e.PathParameters["purpose"] = "collection"
	}
	e.MultiValueQueryStringParameters = parsed(query)
	set := func(name, value string) {
		e.Headers[name] = value
		e.MultiValueHeaders[textproto.CanonicalMIMEHeaderKey(name)] = []string{value}
	}
	set("Authorization", "Bearer "+p.Token)
	set("x-api-key", p.Key)
	pairs := r.headers()
	for i := 0; i < len(pairs); i += 2 {
		set(pairs[i], pairs[i+1])
	}
	if len(r.body) > 0 {
		e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString(r.body), true
	}
	return e
}

// parsed is a query as the gateway reads it: whatever it holds is a parameter.
func parsed(query string) map[string][]string {
	all := map[string][]string{}
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		if name, value = unescaped(name), unescaped(value); name != "" {
			all[name] = append(all[name], value)
		}
	}
	return all
}

func unescaped(s string) string {
	if decoded, err := url.QueryUnescape(s); err == nil {
		return decoded
	}
	return s
}

// newUUID is a name for a data point that n alone decides: a test that fails can
// be run again.
func newUUID(series, n int) string { return fmt.Sprintf("5eed%04x-0000-4000-8000-%012x", series, n) }

// heartRate is one data point.
func heartRate(uuid string, at time.Time, value, unit string) string {
	stamp := at.Format(time.RFC3339)
	return `{"header":{"uuid":"` + uuid + `","schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"},` +
		`"source_creation_date_time":"` + stamp + `","modality":"sensed"},"body":{"heart_rate":{"value":` + value +
		`,"unit":"` + unit + `"},"effective_time_frame":{"date_time":"` + stamp + `"}}}`
}

func batch(points ...string) []byte { return []byte("[" + strings.Join(points, ",") + "]") }

// series is a data series of points that have one header: the first's is theirs.
func series(points ...string) []byte {
	header := ""
	bodies := make([]string, len(points))
	for i, p := range points {
		before, body, _ := strings.Cut(p, `,"body":`)
		if bodies[i] = strings.TrimSuffix(body, "}"); i == 0 {
			header = before
		}
	}
	return []byte(header + `,"body":[` + strings.Join(bodies, ",") + "]}")
}

// ride is a TCX document of one trackpoint; inner goes into its activity.
func ride(at time.Time, sport, inner string) []byte {
	stamp := at.Format(time.RFC3339)
	return []byte(`<?xml version="1.0" encoding="UTF-8"?>
<TrainingCenterDatabase xmlns="http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2"><Activities><Activity Sport="` + sport + `"><Id>` + stamp + `</Id>
<Lap StartTime="` + stamp + `"><TotalTimeSeconds>1</TotalTimeSeconds><DistanceMeters>1</DistanceMeters><Calories>1</Calories><Intensity>Active</Intensity><TriggerMethod>Manual</TriggerMethod>
<Track><Trackpoint><Time>` + stamp + `</Time><HeartRateBpm><Value>71</Value></HeartRateBpm></Trackpoint></Track></Lap>` + inner + `</Activity></Activities></TrainingCenterDatabase>`)
}

// spring is the first of the days that the tests' readings are of.
var spring = time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC)

func day(n int) time.Time { return spring.AddDate(0, 0, n) }

// readBack is all data points that a person has from a day, to another; "" for
// all. It returns how often each id is there, and each heart rate by id.
func readBack(t testing.TB, p *stack.Person, query string) (count map[string]int, value map[string]float64) {
	t.Helper()
	count, value = map[string]int{}, map[string]float64{}
	next := ""
	for range 1000 {
		a := p.Do(t, http.MethodGet, "/users/me/readings?page_size=1000"+query+next, nil)
		require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
		var page struct {
			Items []struct {
				Header struct{ UUID, ID string }
				Body   struct {
					HeartRate struct{ Value json.Number } `json:"heart_rate"`
				}
			}
			Next string `json:"next_page_token"`
		}
		a.JSON(t, &page)
		for _, item := range page.Items {
			id := item.Header.UUID + item.Header.ID
			count[id]++
			value[id], _ = item.Body.HeartRate.Value.Float64()
		}
		if page.Next == "" {
			return count, value
		}
		next = "&page_token=" + page.Next
	}
	t.Fatal("the pages do not end")
	return nil, nil
}

// between is the query for the readings from day a on, before day b.
func between(a, b int) string {
	return "&from=" + day(a).Format(time.DateOnly) + "T00:00:00Z&to=" + day(b).Format(time.DateOnly) + "T00:00:00Z"
}
