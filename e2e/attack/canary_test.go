package attack

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/attack/bootstrap"
	"fitvault/e2e/search"
	"fitvault/e2e/stack"
	"fitvault/shared/openmhealth"
	"fitvault/shared/openmhealth/generate"
	"fitvault/shared/reading"
)

// brand is a text and a number that nobody has sent before, and a source of
// requests that hold them.
type brand struct {
	text, number string
	owner        string
	rng          *mathrand.Rand
	n            int // of the next request
}

// mark is v with the brand at its n-th place, names and values counted, and, if
// more, at others by chance. It says how many places there are.
func (b *brand) mark(v reading.Value, n int, more bool) (reading.Value, int) {
	at := 0
	here := func() bool { at++; return at-1 == n || more && b.rng.IntN(6) == 0 }
	var walk func(v reading.Value) reading.Value
	walk = func(v reading.Value) reading.Value {
		switch v.Kind() {
		case reading.Object, reading.Array:
			names, list := slices.Clone(v.Names()), slices.Clone(v.List())
			for i := range list {
				if v.Kind() == reading.Object && here() {
					names[i] = fmt.Sprint(b.text, i)
				}
				list[i] = walk(list[i])
			}
			if v.Kind() == reading.Object {
				return reading.ObjectValue(names, list)
			}
			return reading.ArrayValue(list)
		case reading.Number:
			if here() {
				number, err := reading.NumberValue(b.number)
				if err != nil {
					panic(err) // the brand is a number
				}
				return number
			}
		default:
			if here() {
				return reading.StringValue(b.text)
			}
		}
		return v
	}
	return walk(v), at
}

// places in the other requests that take the brand: NOTE, and NUMBER.
var templates = []request{
	post(recordings, mediaTCX, []byte(`<?xml version="1.0" encoding="UTF-8"?><!-- NOTE --><?NOTE NOTE?>
<TrainingCenterDatabase xmlns="http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2" NOTE="NOTE"><Activities><Activity Sport="NOTE"><Id>NOTE</Id><Lap StartTime="NOTE"><NOTE>NUMBER</NOTE><Notes>NOTE</Notes></Lap></Activity></Activities></TrainingCenterDatabase>`)),
	post(recordings, mediaTCX, []byte(`<!DOCTYPE NOTE [<!ENTITY NOTE "NOTE">]><NOTE xmlns:NOTE="urn:NOTE"><![CDATA[NOTE]]>&NOTE;</NOTE>`)),
	post(recordings, mediaTCX, []byte(`<NOTE xmlns="urn:NOTE" NOTE='NUMBER'><NOTE:NOTE/></NOTE>`)),
	post(recordings, "application/NOTE", []byte("NOTE")),
	post(readings, mediaJSON, []byte(`{"NOTE":"NOTE","NOTE":NUMBER}`)),
	post(readings, mediaJSON, []byte(`[{"header":"NOTE","body":["NOTE",NUMBER,{"NOTE":{"NOTE":null}}]},"NOTE",NUMBER`)),
	post(readings, mediaJSON, []byte("NOTE")),
	post(readings, mediaJSON+"; charset=NOTE", []byte(`["NOTE"]`)),
	post(readings, mediaJSON, []byte(`["NOTE"]`)).with("Idempotency-Key", "NOTE NUMBER"),
	post(readings, mediaJSON, []byte(`["NOTE"]`)).with("Content-Encoding", "NOTE"),
	{method: http.MethodPut, resource: consents, media: mediaJSON, body: []byte(`{"version":"NOTE","given":"NOTE","NOTE":NUMBER}`)},
	{method: http.MethodPut, resource: consents, media: mediaJSON, body: []byte(`{"version":"NOTE","given":true}`)},
	get(readings, "NOTE=NOTE&from=NOTE"), get(readings, "from=NOTE"), get(readings, "to=NUMBER"), get(readings, "type=NOTE:NOTE"), get(readings, "page_token=NOTE"), get(readings, "page_size=NUMBER"),
	get(days, "from=NOTE&to=NUMBER"), get(days, "from=2026-03-01&to=2026-03-02&type=NOTE&NOTE=NOTE"), get(recordings, "page_token=NOTE"), get(recorded, "page_size=NOTE"),
	{method: http.MethodGet, resource: recorded, id: "NOTE"},
	{method: http.MethodGet, resource: recorded, id: "NOTE%2f..%2fNOTE"},
	{method: http.MethodGet, resource: readings, user: "NOTE"},
	{method: http.MethodPost, resource: recordings, user: "NOTE%00", media: mediaTCX, body: []byte("NOTE")},
	get(readings, "").with("Authorization", "Bearer NOTE"), get(readings, "").with("Authorization", "NOTE NOTE.NOTE.NOTE"), get(readings, "").with("x-api-key", "NOTE"),
	get(consents, "").with("Cookie", "NOTE=NOTE"), get(recorded, "").with("Accept", "NOTE/NOTE"),
}

// next is another hostile request. Two of three are data points of the served
// schemas, each with the brand in another place.
func (b *brand) next() request {
	b.n++
	var r request
	if b.n%3 > 0 {
		schema := openmhealth.Served[b.n%len(openmhealth.Served)]
		point := generate.Point(b.rng, schema, b.owner)
		_, places := b.mark(point, -1, false)
		marked, _ := b.mark(point, b.rng.IntN(places), b.n%2 == 0)
		r = post(readings, mediaJSON, marked.AppendJSON(nil))
		if b.n%7 == 0 { // or not even JSON
			r.body = r.body[:b.rng.IntN(len(r.body))]
		}
	} else {
		r = templates[b.n/3%len(templates)]
		fill := strings.NewReplacer("NOTE", b.text, "NUMBER", b.number)
		r.query, r.user, r.id, r.media = fill.Replace(r.query), fill.Replace(r.user), fill.Replace(r.id), fill.Replace(r.media)
		r.body = []byte(fill.Replace(string(r.body)))
		r.header = maps.Clone(r.header)
		for name, value := range r.header {
			r.header[name] = fill.Replace(value)
		}
	}
	for _, name := range []string{"User-Agent", "traceparent", "X-Request-Id", "X-" + b.text} {
		r = r.with(name, b.text)
	}
	return r
}

// brandEvent puts the brand wherever an event past the gateway can hold it.
func (b *brand) brandEvent(e *events.APIGatewayProxyRequest) {
	e.Path, e.StageVariables = b.text, map[string]string{b.text: b.text}
	c := &e.RequestContext
	c.AccountID, c.ResourceID, c.Stage, c.DomainName, c.RequestID, c.ResourcePath, c.APIID, c.Protocol = b.text, b.text, b.text, b.text, b.text, b.text, b.text, b.text
	c.Identity = events.APIGatewayRequestIdentity{SourceIP: b.text, UserAgent: b.text, APIKey: b.text, APIKeyID: b.text, Caller: b.text, User: b.text, CognitoIdentityID: b.text}
	c.Authorizer = map[string]any{"claims": map[string]string{b.text: b.text, "sub": b.text}}
}

// TestCanaries sends hostile requests with a brand in every member, name and
// value that a request has, and then finds it nowhere: in no answer, no table, no
// object, no log.
func TestCanaries(t *testing.T) {
	s := stack.Open(t)
	s.UseDatabase(t)
	p := s.Newcomer(t)
	code := bootstrap.Deployed(t, s, s.Output(t, "IngestFunction"))
	began := time.Now()
	before := s.Everything(t, began, nil)

	b := &brand{text: "canary" + rand.Text(), number: fmt.Sprintf("71.%011d7", mathrand.Int64N(1e11)), owner: p.ID, rng: mathrand.New(mathrand.NewPCG(10_000, 0))}
	sought := []search.Canary{search.Text("text", b.text), search.Number("number", b.number)}
	var mu sync.Mutex // of b and statuses
	statuses := map[int]int{}
	total, errs := size(160, 10_000), make([]error, 16)
	var wait sync.WaitGroup
	for worker := range errs {
		wait.Go(func() {
			var process *bootstrap.Process // one of four workers goes past the gateway
			if worker%4 == 0 {
				if process, errs[worker] = code.Start(t, s.Endpoints.AWS); errs[worker] != nil {
					return
				}
				defer func() {
					if hits := search.Plain([]byte(process.Output()), sought...); len(hits) > 0 && errs[worker] == nil {
						errs[worker] = fmt.Errorf("in a function's log: %v", hits)
					}
				}()
			}
			for {
				mu.Lock()
				if b.n == total {
					mu.Unlock()
					return
				}
				r := b.next()
				var answer stack.Answer
				var err error
				past := process != nil && r.function() == "IngestFunction"
				e := r.event(p)
				b.brandEvent(&e)
				mu.Unlock()
				if past {
					answer, err = process.Invoke(e, patience)
				} else {
					answer, err = p.Try(t, r.method, r.path(), r.body, r.headers()...)
				}
				if err == nil {
					err = clean(answer, sought)
				}
				if err != nil {
					errs[worker] = fmt.Errorf("%s %s: %w", r.method, r.resource, err)
					return
				}
				mu.Lock()
				statuses[answer.Status]++
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	t.Logf("%d requests: %v", total, statuses)
	for _, status := range []int{200, 400, 401, 403, 404, 415, 422} {
		require.NotZero(t, statuses[status], "no request was answered with %d", status)
	}
	for status := range statuses {
		require.Less(t, status, 500)
		require.NotEqual(t, http.StatusTooManyRequests, status)
	}

	const control = "attack-control.log"
	file := filepath.Join("..", "..", ".local", "logs", control)
	require.NoError(t, os.WriteFile(file, []byte("control "+b.text+" "+b.number), 0o600))
	t.Cleanup(func() { require.NoError(t, os.Remove(file)) })
	fresh := stack.Added(before, s.Everything(t, began, before))
	kinds := map[string]int{}
	for _, place := range slices.Sorted(maps.Keys(fresh)) {
		kind := strings.Join(strings.Fields(place)[:2], " ")
		kinds[kind]++
		if place == "file localstack.log" {
			fresh[place] = withoutRequests(fresh[place])
		}
		hits := search.Plain(fresh[place], sought...)
		if kinds[kind] <= size(50, 200) { // decoded and inflated as well, which takes longer
			hits = search.Deep(fresh[place][:min(len(fresh[place]), 256<<10)], sought...)
		}
		if place == "file "+control {
			require.Len(t, hits, 2)
			continue
		}
		require.Empty(t, hits, "%s", place)
	}
	for _, kind := range []string{"file " + control, "file localstack.log", "table " + s.Output(t, "AuditEventsTable") + ",", "table " + s.Output(t, "RequestsTable") + ",", "table " + s.Output(t, "ReadingsTable") + ","} {
		require.NotZero(t, kinds[kind], "the search has not looked into %s of %v", kind, kinds)
	}
}

// withoutRequests is LocalStack's log without its line for each HTTP request, which
// has the path. What API Gateway keeps on AWS is the template's AccessLogSetting:
// the resource's template, never the path.
func withoutRequests(log []byte) []byte {
	var rest []byte
	for line := range bytes.Lines(log) {
		if !bytes.Contains(line, []byte(" localstack.request.http ")) {
			rest = append(rest, line...)
		}
	}
	return rest
}

// clean says whether an answer is without the brand. What an accepted record
// calls itself is told to who sent it.
func clean(a stack.Answer, sought []search.Canary) error {
	body := a.Body
	if a.Status == http.StatusOK {
		var answer struct{ Results []map[string]any }
		if err := json.Unmarshal(body, &answer); err != nil {
			return err
		}
		for _, r := range answer.Results {
			if r["status"] == "accepted" {
				delete(r, "id")
			}
		}
		if answer.Results != nil {
			body, _ = json.Marshal(answer) // it was JSON
		}
	}
	var header bytes.Buffer
	if err := a.Header.Write(&header); err != nil {
		return err
	}
	if hits := search.Plain(append(header.Bytes(), body...), sought...); len(hits) > 0 {
		return fmt.Errorf("in an answer of status %d: %v", a.Status, hits)
	}
	return nil
}
