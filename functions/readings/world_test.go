package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/block"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
	"fitvault/shared/intake"
	"fitvault/shared/intake/intaketest"
	"fitvault/shared/keyring/keyringtest"
	"fitvault/shared/objects"
	"fitvault/shared/reading"
	"fitvault/shared/segment"
)

const (
	deployment = "fitvault"

	readings      = "/users/{user}/readings"
	allRecordings = "/users/{user}/recordings"
	oneRecording  = "/users/{user}/recordings/{id}"
)

// world is readings over fakes, in the world of edgetest, and an intake that
// fills them.
type world struct {
	*edgetest.World
	guard     *edge.Guard
	intake    *intake.Intake
	keys      *keyringtest.Service
	blocks    intaketest.Blocks
	documents intaketest.Documents
}

func newWorld(t testing.TB) *world {
	w := &world{World: edgetest.New(t)}
	w.keys = keyringtest.NewService(t, deployment, w.Time)
	w.keys.Enrol(t, w.Ada.String(), "key-of-ada", w.Time, nil)
	w.keys.Enrol(t, w.Ben.String(), "key-of-ben", w.Time, nil)
	w.intake = &intake.Intake{Deployment: deployment, Manifests: &intaketest.Manifests{Now: w.Now}, Blocks: &w.blocks, Documents: &w.documents,
		Keys: w.keys.Ring(t, w.Now), Now: w.Now, Rand: rand.Reader}
	w.start(t)
	return w
}

// start makes a function that holds no key yet.
func (w *world) start(t testing.TB) {
	h := handler{deployment: deployment, blocks: stored{&w.blocks}, documents: originals{&w.documents}, keys: w.keys.Ring(t, w.Now), now: w.Now}
	w.guard = edge.New(w.Config("readings"), h.routes()...)
}

// eventOf is an event of the gateway.
type eventOf = events.APIGatewayProxyRequest

// stored and originals are the fakes in the adapters' terms.
type stored struct{ *intaketest.Blocks }

func (s stored) Between(ctx context.Context, owner, first, end string) iter.Seq2[dynamo.Sealed, error] {
	return func(yield func(dynamo.Sealed, error) bool) {
		for p, err := range s.Blocks.Between(ctx, owner, first, end) {
			if !yield(dynamo.Sealed(p), err) {
				return
			}
		}
	}
}

type originals struct{ *intaketest.Documents }

func (o originals) Get(ctx context.Context, id string) ([]byte, error) {
	sealed, err := o.Documents.Get(ctx, id)
	if errors.Is(err, intaketest.ErrNotFound) {
		err = objects.ErrNotFound
	}
	return sealed, err
}

// send takes data points in for Ada, in one batch.
func (w *world) send(t require.TestingT, points ...string) {
	_, err := w.intake.Readings(context.Background(), w.request(w.Ada, "["+strings.Join(points, ",")+"]"))
	require.NoError(t, err)
}

// record takes a recording in for Ada.
func (w *world) record(t require.TestingT, document string) intake.Entry {
	return w.recordAs(t, document, intake.MediaTCX, false)
}

func (w *world) recordAs(t require.TestingT, document, media string, lenient bool) intake.Entry {
	r := w.request(w.Ada, document)
	r.MediaType, r.Lenient = media, lenient
	e, err := w.intake.Recording(context.Background(), r)
	require.NoError(t, err)
	return e
}

func (w *world) request(owner access.UserID, body string) intake.Request {
	key := "key-of-ada"
	if owner == w.Ben {
		key = "key-of-ben"
	}
	return intake.Request{Owner: owner.String(), DataKey: key, Client: edgetest.Client, Rank: block.RankOwner, IdempotencyKey: rand.Text(), Body: []byte(body),
		Record: func(context.Context, string, int, int) error { return nil }}
}

// seal puts a block into the table that intake did not make.
func (w *world) seal(t testing.TB, day, id string, points ...string) {
	w.sealFrom(t, block.Header{Client: edgetest.Client, Rank: block.RankOwner, Arrived: w.Now()}, day, id, points...)
}

func (w *world) sealFrom(t testing.TB, h block.Header, day, id string, points ...string) {
	var batch []reading.Value
	for _, p := range points {
		v, err := reading.Decode(jsontext.NewDecoder(strings.NewReader(p)), 64)
		require.NoError(t, err)
		batch = append(batch, v)
	}
	packed, err := segment.Encode(batch)
	require.NoError(t, err)
	plain, err := block.Encode(h, packed)
	require.NoError(t, err)
	w.sealText(t, day, id, plain)
}

func (w *world) sealText(t testing.TB, day, id string, plaintext []byte) {
	owner := w.Ada.String()
	w.blocks.Put(owner, intake.BlockItem(day, id), w.keys.Seal(t, w.Now, owner, "key-of-ada", intake.BlockPlace(deployment, owner, day, id), plaintext))
}

// get is a request of Ada's about herself; the query comes in pairs.
func (w *world) get(resource string, query ...string) eventOf {
	e := w.Event("ada", http.MethodGet, resource, map[string]string{"user": "me"})
	e.MultiValueQueryStringParameters = map[string][]string{}
	for i := 0; i < len(query); i += 2 {
		e.MultiValueQueryStringParameters[query[i]] = append(e.MultiValueQueryStringParameters[query[i]], query[i+1])
	}
	return e
}

// getRecording is a request for one of Ada's recordings.
func (w *world) getRecording(id string, query ...string) eventOf {
	e := w.get(oneRecording, query...)
	e.PathParameters["id"] = id
	return e
}

func (w *world) do(t require.TestingT, e eventOf) events.APIGatewayProxyResponse {
	answer, err := w.guard.Handle(context.Background(), e)
	require.NoError(t, err)
	return answer
}

// page is the answer of both lists.
type page struct {
	Items []json.RawMessage
	AsOf  time.Time `json:"as_of"`
	Next  string    `json:"next_page_token"`
}

// page requires 200 and returns the answer.
func (w *world) page(t require.TestingT, e eventOf) (p page) {
	answer := w.do(t, e)
	require.Equal(t, 200, answer.StatusCode, answer.Body)
	require.Equal(t, "application/json", http.Header(answer.MultiValueHeaders).Get("Content-Type"))
	require.NoError(t, json.Unmarshal([]byte(answer.Body), &p))
	require.NotNil(t, p.Items, "an empty page is an empty list")
	return p
}

// walk follows a list to its end, and returns the pages' texts.
func (w *world) walk(t require.TestingT, list func(query ...string) eventOf, query ...string) (pages [][]string) {
	next := ""
	for {
		q := query
		if next != "" {
			q = append(slices.Clone(query), "page_token", next)
		}
		p := w.page(t, list(q...))
		texts := []string{}
		for _, i := range p.Items {
			texts = append(texts, string(i))
		}
		if pages, next = append(pages, texts), p.Next; next == "" {
			return pages
		}
		require.Less(t, len(pages), 2000, "a list that does not end")
	}
}

func (w *world) listReadings(query ...string) eventOf {
	return w.get(readings, query...)
}

func (w *world) listRecordings(query ...string) eventOf {
	return w.get(allRecordings, query...)
}

// refused requires a problem of a kind and nothing else in the answer.
func (w *world) refused(t testing.TB, e eventOf, kind fault.Kind) {
	t.Helper()
	answer := w.do(t, e)
	require.Equal(t, kind.Status(), answer.StatusCode, answer.Body)
	require.JSONEq(t, fmt.Sprintf(`{"type": %q, "title": %q, "status": %d, "instance": %q}`,
		edge.ProblemTypes+string(kind), kind.Title(), kind.Status(), edgetest.RequestID), answer.Body)
	require.False(t, answer.IsBase64Encoded)
}

// alarmed requires 500 without data, and an alarm event.
func (w *world) alarmed(t testing.TB, e eventOf) {
	t.Helper()
	w.Log.Reset()
	w.refused(t, e, fault.Internal)
	last := w.lastEvent(t)
	require.Equal(t, auditlog.Alarm, last.Outcome)
	require.Equal(t, auditlog.PieceAltered, last.Kind)
	require.Equal(t, w.Ada.String(), last.Owner)
	require.Contains(t, w.Log.String(), `"alarm":true`)
}

func (w *world) lastEvent(t require.TestingT) auditlog.Event {
	all := w.Audit.Events()
	require.NotEmpty(t, all)
	return all[len(all)-1]
}

// point is a data point, as it is read back.
func point(id, start string) string { return pointOf("heart-rate", id, start, "") }

// pointOf is one of a type; pad is free text that makes it larger.
func pointOf(name, id, start, pad string) string {
	value := map[string]string{
		"heart-rate":  `"heart_rate":{"value":71,"unit":"beats/min"}`,
		"body-weight": `"body_weight":{"value":71,"unit":"kg"}`,
	}[name]
	return fmt.Sprintf(`{"header":{"id":"%s","creation_date_time":"2026-05-04T07:25:00+02:00","schema_id":{"namespace":"omh","name":"%s","version":"2.0"},`+
		`"acquisition_provenance":{"source_name":"x%s"}},"body":{%s,"effective_time_frame":{"date_time":"%s"}}}`, id, name, pad, value, start)
}

// run is a recording that starts and ends at given times, of two trackpoints.
func run(start, end string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>
<TrainingCenterDatabase xmlns="http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2"><Activities><Activity Sport="Running">
<Id>` + start + `</Id><Lap StartTime="` + start + `"><TotalTimeSeconds>60</TotalTimeSeconds><DistanceMeters>200</DistanceMeters>
<Calories>10</Calories><Intensity>Active</Intensity><TriggerMethod>Manual</TriggerMethod><Track>
<Trackpoint><Time>` + start + `</Time><HeartRateBpm><Value>71</Value></HeartRateBpm></Trackpoint>
<Trackpoint><Time>` + end + `</Time><HeartRateBpm><Value>92</Value></HeartRateBpm></Trackpoint>
</Track></Lap></Activity></Activities></TrainingCenterDatabase>`
}
