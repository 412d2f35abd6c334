package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/guard/contract"
	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/edge/uploads"
	"fitvault/shared/fault"
	"fitvault/shared/intake"
	"fitvault/shared/intake/intaketest"
	"fitvault/shared/keyring"
	"fitvault/shared/keyring/keyringtest"
	"fitvault/shared/openmhealth"
	"fitvault/shared/reading"
)

// world is ingest over fakes, in the world of edgetest.
type world struct {
	*edgetest.World
	guard     *edge.Guard
	keys      *keyringtest.Service
	manifests intaketest.Manifests
	blocks    intaketest.Blocks
	documents intaketest.Documents
	counters  intaketest.Counters
}

func newWorld(t testing.TB) *world {
	w := &world{World: edgetest.New(t)}
	w.keys = keyringtest.NewService(t, "fitvault", w.Time)
	w.keys.Enrol(t, w.Ada.String(), "key-of-ada", w.Time, nil)
	w.manifests.Now = w.Now
	h := handler{intake: &intake.Intake{Deployment: "fitvault", Manifests: &w.manifests, Blocks: &w.blocks, Documents: &w.documents, Counters: &w.counters,
		Keys: w.keys.Ring(t, w.Now), Now: w.Now, Rand: rand.Reader}}
	w.guard = edge.New(w.Config("ingest"), h.routes()...)
	return w
}

const (
	readings   = "/users/{user}/readings"
	recordings = "/users/{user}/recordings"
)

// post is a request of Ada's about herself; headers come in pairs.
func (w *world) post(resource, body string, headers ...string) events.APIGatewayProxyRequest {
	e := w.Event("ada", http.MethodPost, resource, map[string]string{"user": "me"})
	media := "application/json"
	if resource == recordings {
		media = intake.MediaTCX
	}
	edgetest.SetBody(&e, media, body)
	for i := 0; i < len(headers); i += 2 {
		edgetest.SetHeader(&e, headers[i], headers[i+1])
	}
	return e
}

func (w *world) do(t require.TestingT, e events.APIGatewayProxyRequest) events.APIGatewayProxyResponse {
	answer, err := w.guard.Handle(context.Background(), e)
	require.NoError(t, err)
	return answer
}

// refused requires a problem of a kind, and returns its items.
func (w *world) refused(t *testing.T, e events.APIGatewayProxyRequest, kind fault.Kind) []fault.Item {
	t.Helper()
	return edgetest.RequireProblem(t, w.do(t, e), kind)
}

// requireNothing requires that nothing is stored.
func (w *world) requireNothing(t *testing.T) {
	t.Helper()
	require.Empty(t, w.manifests.All())
	require.Empty(t, w.blocks.Of(w.Ada.String()))
	require.Empty(t, w.documents.IDs())
}

// point is a heart rate; unit makes it good or bad.
func point(id, unit string) string {
	return `{"header":{"uuid":"` + id + `","schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"},` +
		`"source_creation_date_time":"2026-05-04T07:25:00+02:00","modality":"sensed"},` +
		`"body":{"heart_rate":{"value":71.236548917,"unit":"` + unit + `"},"effective_time_frame":{"date_time":"2026-05-04T07:25:00+02:00"}}}`
}

const (
	one = "3c1f8f0e-6f5b-4a55-9f0e-2f6f7a1f4f10"
	two = "3c1f8f0e-6f5b-4a55-9f0e-2f6f7a1f4f11"
)

const run = `<?xml version="1.0" encoding="UTF-8"?>
<TrainingCenterDatabase xmlns="http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2"><Activities><Activity Sport="Running">
<Id>2026-05-04T05:25:00Z</Id><Lap StartTime="2026-05-04T05:25:00Z"><TotalTimeSeconds>60</TotalTimeSeconds><DistanceMeters>200</DistanceMeters>
<Calories>10</Calories><Intensity>Active</Intensity><TriggerMethod>Manual</TriggerMethod><Track>
<Trackpoint><Time>2026-05-04T05:25:00Z</Time><HeartRateBpm><Value>71</Value></HeartRateBpm></Trackpoint>
<Trackpoint><Time>2026-05-04T05:26:00Z</Time><HeartRateBpm><Value>92</Value></HeartRateBpm></Trackpoint>
</Track></Lap></Activity></Activities></TrainingCenterDatabase>`

func TestRoutes(t *testing.T) {
	want, err := contract.Belonging("../..", "ingest")
	require.NoError(t, err)
	require.Empty(t, contract.DifferInDetail("openapi.yaml", want, "ingest", contract.OfHandlers(handler{}.routes())))
}

func TestRecordedEvents(t *testing.T) {
	w := newWorld(t)
	recorded, err := contract.Recorded("../..", "ingest", map[string]string{
		"token.ada": edgetest.Sign(w.Claims("ada")), "key.app": edgetest.APIKey, "user.ada": w.Ada.String()})
	require.NoError(t, err)
	for name, status := range map[string]int{"ingest-post-readings.json": 200, "ingest-post-recordings.json": 201} {
		answer := w.do(t, recorded[name])
		require.Equal(t, status, answer.StatusCode, "%s: %s", name, answer.Body)
		delete(recorded, name)
	}
	require.Empty(t, recorded, "an event that no test knows")
}

func TestPostReadings(t *testing.T) {
	w := newWorld(t)
	answer := w.do(t, w.post(readings, "["+point(one, "beats/min")+","+point(two, "bpm")+",1]"))
	require.Equal(t, 200, answer.StatusCode, answer.Body)
	require.Equal(t, "application/json", http.Header(answer.MultiValueHeaders).Get("Content-Type"))
	require.JSONEq(t, `{"results": [{"index": 0, "status": "accepted", "id": "`+one+`"},
		{"index": 1, "status": "invalid", "pointer": "/body/heart_rate/unit", "rule": "enum"},
		{"index": 2, "status": "invalid", "pointer": "", "rule": "type"}]}`, answer.Body)
	require.Len(t, w.blocks.Of(w.Ada.String()), 1)

	e := w.Audit.Events()
	require.Len(t, e, 1)
	require.Equal(t, w.manifests.All()[0].Key, e[0].Manifest)
	require.Equal(t, [2]int{1, 2}, [2]int{e[0].Records, e[0].Rejected})
	require.Equal(t, auditlog.Allowed, e[0].Outcome)
	require.Equal(t, string(access.ReadingsWrite), e[0].Action)
	require.Equal(t, [3]string{w.Ada.String(), w.Ada.String(), edgetest.Client}, [3]string{e[0].Owner, e[0].Caller, e[0].Client})
	require.NotContains(t, w.Log.String(), "71.236548917")
	require.NotContains(t, w.Log.String(), one)

	t.Run("one data point", func(t *testing.T) {
		answer := w.do(t, w.post(readings, point(two, "beats/min")))
		require.JSONEq(t, `{"results": [{"index": 0, "status": "accepted", "id": "`+two+`"}]}`, answer.Body)
	})
	t.Run("as base64, and with the owner's id in the path", func(t *testing.T) {
		e := w.post(readings, base64.StdEncoding.EncodeToString([]byte(point(two, "beats/min"))))
		e.IsBase64Encoded, e.PathParameters["user"] = true, w.Ada.String()
		require.Equal(t, 200, w.do(t, e).StatusCode)
	})
}

func TestRetries(t *testing.T) {
	w := newWorld(t)
	good, other := "["+point(one, "beats/min")+"]", "["+point(two, "beats/min")+"]"
	first := w.do(t, w.post(readings, good, "Idempotency-Key", "monday"))
	require.Equal(t, 200, first.StatusCode)
	again := w.do(t, w.post(readings, good, "Idempotency-Key", "monday"))
	require.Equal(t, first.Body, again.Body)
	w.refused(t, w.post(readings, other, "Idempotency-Key", "monday"), fault.KeyReused)
	require.Equal(t, 200, w.do(t, w.post(readings, other, "Idempotency-Key", "tuesday")).StatusCode)
	require.Equal(t, 200, w.do(t, w.post(readings, good)).StatusCode, "without a key it is another request")
	require.Len(t, w.manifests.All(), 3)

	t.Run("a key belongs to its client", func(t *testing.T) {
		const partner, partnersKey = "8partner", "partner-key-0123456789"
		digest := sha256.Sum256([]byte(partnersKey))
		app, err := access.DecodeApp(partner, "active", "own", []string{uploads.Scope}, []string{hex.EncodeToString(digest[:])})
		require.NoError(t, err)
		w.Accounts.Put(access.Documents{App: &app})
		claims := w.Claims("ada")
		claims["client_id"], claims["origin_jti"] = partner, "session-of-partner"
		e := w.post(readings, other, "Idempotency-Key", "monday", "Authorization", "Bearer "+edgetest.Sign(claims), "x-api-key", partnersKey)
		require.Equal(t, 200, w.do(t, e).StatusCode)
		require.Len(t, w.manifests.All(), 4)
	})

	firstRun := w.do(t, w.post(recordings, run, "Idempotency-Key", "monday"))
	require.Equal(t, 201, firstRun.StatusCode)
	againRun := w.do(t, w.post(recordings, run, "Idempotency-Key", "monday"))
	require.Equal(t, firstRun.Body, againRun.Body)
	require.Equal(t, firstRun.MultiValueHeaders["Location"], againRun.MultiValueHeaders["Location"])
	require.Len(t, w.documents.IDs(), 1)
}

func TestIdempotencyKeys(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		name, key string
		ok        bool
	}{
		{"one character", "k", true},
		{"255 characters", strings.Repeat("k", 255), true},
		{"every printable one", ` !"#$%&'()*+,-./09:;<=>?@AZ[\]^_` + "`az{|}~", true},
		{"none", "", false},
		{"256 characters", strings.Repeat("k", 256), false},
		{"more than a header may have", strings.Repeat("k", 2000), false},
		{"a control character", "k\x00", false},
		{"a line end", "k\r\nX-Other: 1", false},
		{"delete", "k\x7f", false},
		{"not ASCII", "schlüssel", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, e := range []events.APIGatewayProxyRequest{w.post(readings, point(one, "beats/min"), "Idempotency-Key", test.key), w.post(recordings, run, "Idempotency-Key", test.key)} {
				if test.ok {
					require.Less(t, w.do(t, e).StatusCode, 300)
					continue
				}
				w.refused(t, e, fault.BadRequest)
			}
		})
	}
	t.Run("twice", func(t *testing.T) {
		e := w.post(readings, point(one, "beats/min"))
		e.MultiValueHeaders["Idempotency-Key"] = []string{"a", "b"}
		w.refused(t, e, fault.BadRequest)
	})
}

func TestPostRecording(t *testing.T) {
	w := newWorld(t)
	for name, e := range map[string]events.APIGatewayProxyRequest{
		"as text": w.post(recordings, run, "Idempotency-Key", "a"),
		"as base64, which the gateway makes of it": func() events.APIGatewayProxyRequest {
			e := w.post(recordings, base64.StdEncoding.EncodeToString([]byte(run)), "Idempotency-Key", "b")
			e.IsBase64Encoded = true
			return e
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			answer := w.do(t, e)
			require.Equal(t, 201, answer.StatusCode, answer.Body)
			var created struct {
				ID, Sport, Start, End string
				Trackpoints           int
			}
			require.NoError(t, json.Unmarshal([]byte(answer.Body), &created))
			require.Regexp(t, "^[a-z2-7]{26}$", created.ID)
			require.Equal(t, "Running", created.Sport)
			require.Equal(t, "2026-05-04T05:25:00Z", created.Start)
			require.Equal(t, "2026-05-04T05:26:00Z", created.End)
			require.Equal(t, 2, created.Trackpoints)
			require.Equal(t, "/v1/users/"+w.Ada.String()+"/recordings/"+created.ID, http.Header(answer.MultiValueHeaders).Get("Location"))
			_, found, err := w.blocks.Get(t.Context(), w.Ada.String(), intake.RecordItem(created.ID))
			require.NoError(t, err)
			require.True(t, found)
		})
	}
	require.Len(t, w.documents.IDs(), 2)
}

// compressed is a body for an event: gzip, in base64.
func compressed(t testing.TB, text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func (w *world) postCompressed(t testing.TB, resource, text, media string) events.APIGatewayProxyRequest {
	e := w.post(resource, compressed(t, text), "Content-Type", media+"+gzip")
	e.IsBase64Encoded = true
	return e
}

func TestCompressed(t *testing.T) {
	w := newWorld(t)
	body := "[" + point(one, "beats/min") + "]"
	answer := w.do(t, w.postCompressed(t, readings, body, "application/json"))
	require.Equal(t, 200, answer.StatusCode, answer.Body)
	require.Equal(t, answer.Body, w.do(t, w.post(readings, body)).Body)
	require.Len(t, w.manifests.All(), 1, "a retry in the other form is a retry")

	answer = w.do(t, w.postCompressed(t, recordings, run, intake.MediaTCX))
	require.Equal(t, 201, answer.StatusCode, answer.Body)
	require.Equal(t, answer.Body, w.do(t, w.post(recordings, run)).Body)
	require.Len(t, w.manifests.All(), 2)

	w.refused(t, w.postCompressed(t, readings, strings.Repeat(" ", openmhealth.Intake.Bytes+1), "application/json"), fault.TooLarge)
	w.refused(t, w.post(readings, body, "Content-Type", "application/json+gzip"), fault.BadRequest)
	w.refused(t, w.postCompressed(t, recordings, "{}", intake.MediaGPX), fault.BadRequest)
	w.refused(t, w.postCompressed(t, recordings, run, "application/json"), fault.UnsupportedType)
}

func TestProfile(t *testing.T) {
	w := newWorld(t)
	post := func(body, profile string) events.APIGatewayProxyRequest {
		e := w.post(recordings, body)
		e.MultiValueQueryStringParameters = map[string][]string{"profile": {profile}}
		return e
	}
	odd := strings.NewReplacer("Running", "Rowing", "<Value>71", "<Value>0").Replace(run)
	w.refused(t, w.post(recordings, odd), fault.Invalid)
	for _, profile := range []string{"", "Lenient", "strict"} {
		w.refused(t, post(odd, profile), fault.BadRequest)
	}
	w.requireNothing(t)
	answer := w.do(t, post(odd, "lenient"))
	require.Equal(t, 201, answer.StatusCode, answer.Body)
	var created map[string]any
	require.NoError(t, json.Unmarshal([]byte(answer.Body), &created))
	require.Equal(t, "Other", created["sport"])
	const inPoint = "/TrainingCenterDatabase/Activities/Activity/Lap/Track/Trackpoint/HeartRateBpm/Value"
	require.Equal(t, []any{
		map[string]any{"pointer": "/TrainingCenterDatabase/Activities/Activity", "rule": "sport-name", "count": 1.0},
		map[string]any{"pointer": inPoint, "rule": "out-of-range", "count": 1.0},
		map[string]any{"pointer": inPoint, "rule": "missing-element", "count": 1.0},
	}, created["forgiven"])
	answer = w.do(t, post(run, "lenient"))
	require.Equal(t, 201, answer.StatusCode)
	require.NotContains(t, answer.Body, "forgiven", "what is valid is forgiven nothing")

	e := post(`<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1" creator="a"><trk><trkseg><trkpt lat="1" lon="2"/></trkseg></trk></gpx>`, "lenient")
	edgetest.SetHeader(&e, "Content-Type", intake.MediaGPX)
	answer = w.do(t, e)
	require.Equal(t, 201, answer.StatusCode, answer.Body)
	require.NotContains(t, answer.Body, "start", "nothing says when it was")
}

func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		name  string
		event func(*world) events.APIGatewayProxyRequest
		kind  fault.Kind
	}{
		{"readings that are not JSON", func(w *world) events.APIGatewayProxyRequest { return w.post(readings, "[") }, fault.BadRequest},
		{"no body", func(w *world) events.APIGatewayProxyRequest { return w.post(readings, "") }, fault.BadRequest},
		{"readings that are not acceptable", func(w *world) events.APIGatewayProxyRequest { return w.post(readings, "["+point(one, "bpm")+"]") }, fault.Invalid},
		{"no readings", func(w *world) events.APIGatewayProxyRequest { return w.post(readings, "[]") }, fault.Invalid},
		{"too many bytes of readings", func(w *world) events.APIGatewayProxyRequest {
			return w.post(readings, strings.Repeat(" ", openmhealth.Intake.Bytes+1))
		}, fault.TooLarge},
		{"too many readings", func(w *world) events.APIGatewayProxyRequest {
			return w.post(readings, "["+strings.Repeat("0,", 1000)+"0]")
		}, fault.TooLarge},
		{"XML as readings", func(w *world) events.APIGatewayProxyRequest {
			return w.post(readings, run, "Content-Type", intake.MediaTCX)
		}, fault.UnsupportedType},
		{"JSON as a recording", func(w *world) events.APIGatewayProxyRequest {
			return w.post(recordings, "{}", "Content-Type", "application/json")
		}, fault.UnsupportedType},
		{"a recording that is not XML", func(w *world) events.APIGatewayProxyRequest { return w.post(recordings, "{}") }, fault.BadRequest},
		{"a recording with a DTD", func(w *world) events.APIGatewayProxyRequest {
			return w.post(recordings, strings.Replace(run, "<Training", "<!DOCTYPE x><Training", 1))
		}, fault.BadRequest},
		{"a recording against its schema", func(w *world) events.APIGatewayProxyRequest {
			return w.post(recordings, strings.Replace(run, "Running", "Flying", 1))
		}, fault.Invalid},
		{"too large a recording", func(w *world) events.APIGatewayProxyRequest {
			return w.post(recordings, run+strings.Repeat(" ", intake.MaxDocument))
		}, fault.TooLarge},
		{"a query", func(w *world) events.APIGatewayProxyRequest {
			e := w.post(readings, point(one, "beats/min"))
			e.MultiValueQueryStringParameters = map[string][]string{"x": {"1"}}
			return e
		}, fault.BadRequest},
		{"another owner", func(w *world) events.APIGatewayProxyRequest {
			e := w.post(readings, point(one, "beats/min"))
			e.PathParameters["user"] = w.Ben.String()
			return e
		}, fault.NotFound},
		{"nobody's account", func(w *world) events.APIGatewayProxyRequest {
			e := w.post(recordings, run)
			edgetest.SetHeader(&e, "Authorization", "Bearer "+edgetest.Sign(w.Claims("eve")))
			return e
		}, fault.ConsentRequired},
		{"consent withdrawn", func(w *world) events.APIGatewayProxyRequest {
			w.Accounts.Put(access.Documents{Owner: &access.Owner{User: w.Ada, State: access.Active, DataKey: "key-of-ada",
				Consents: map[access.Purpose]access.Consent{access.Collection: {Version: "1"}}}})
			return w.post(readings, point(one, "beats/min"))
		}, fault.ConsentRequired},
		{"a token without the scope", func(w *world) events.APIGatewayProxyRequest {
			claims := w.Claims("ada")
			claims["scope"] = "fitvault/readings.read"
			e := w.post(readings, point(one, "beats/min"))
			edgetest.SetHeader(&e, "Authorization", "Bearer "+edgetest.Sign(claims))
			return e
		}, fault.Forbidden},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.refused(t, test.event(w), test.kind)
			w.requireNothing(t)
			require.Len(t, w.Audit.Events(), 1)
			require.Equal(t, auditlog.Refused, w.Audit.Events()[0].Outcome)
			require.Equal(t, string(test.kind), w.Audit.Events()[0].Kind)
		})
	}
	t.Run("with the items that say why", func(t *testing.T) {
		w := newWorld(t)
		items := w.refused(t, w.post(readings, "["+point(one, "bpm")+"]"), fault.Invalid)
		require.Equal(t, []fault.Item{{Pointer: "/0/body/heart_rate/unit", Rule: "enum"}}, items)
	})
}

// TestNothingIsStoredUnaudited: with an audit log that refuses, a write is 503,
// and no block and no document is stored.
func TestNothingIsStoredUnaudited(t *testing.T) {
	for _, e := range []func(*world) events.APIGatewayProxyRequest{
		func(w *world) events.APIGatewayProxyRequest { return w.post(readings, point(one, "beats/min")) },
		func(w *world) events.APIGatewayProxyRequest { return w.post(recordings, run) },
	} {
		w := newWorld(t)
		w.Audit.Fail(errors.New("audit log is down"))
		w.refused(t, e(w), fault.Unavailable)
		require.Empty(t, w.blocks.Of(w.Ada.String()))
		require.Empty(t, w.documents.IDs())

		w.Audit.Fail(nil)
		require.Less(t, w.do(t, e(w)).StatusCode, 300, "a retry goes on")
		require.Len(t, w.manifests.All(), 1)
		require.Len(t, w.blocks.Of(w.Ada.String()), 1)
	}
}

// TestStoresFail: whatever store fails, it is 503, and a retry goes on.
func TestStoresFail(t *testing.T) {
	for name, fail := range map[string]func(w *world, err error){
		"manifests": func(w *world, err error) { w.manifests.Hook = func(string, bool) error { return err } },
		"blocks":    func(w *world, err error) { w.blocks.Hook = func(string, bool) error { return err } },
		"documents": func(w *world, err error) { w.documents.Hook = func(string, bool) error { return err } },
		"keys":      func(w *world, err error) { w.keys.Store.Hook = func(string) error { return err } },
		"KMS":       func(w *world, err error) { w.keys.KMS.Hook = func(string) error { return err } },
		"accounts": func(w *world, err error) {
			if w.Accounts.Err = nil; err != nil {
				w.Accounts.Err = fault.Wrap(fault.Unavailable, "down", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			fail(w, errors.New("down"))
			w.refused(t, w.post(recordings, run), fault.Unavailable)
			if name != "documents" {
				w.refused(t, w.post(readings, point(one, "beats/min")), fault.Unavailable)
			}
			fail(w, nil)
			require.Equal(t, 201, w.do(t, w.post(recordings, run)).StatusCode)
			require.Equal(t, 200, w.do(t, w.post(readings, point(one, "beats/min"))).StatusCode)
			require.Len(t, w.manifests.All(), 2)
			require.Len(t, w.blocks.Of(w.Ada.String()), 2)
			require.Len(t, w.documents.IDs(), 1)
		})
	}
}

// TestSwappedKey: a public key that enrol did not sign is not sealed to, and
// somebody should look who has written it.
func TestSwappedKey(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, w *world, e *keyring.Enrolled){
		"swapped": func(t *testing.T, w *world, e *keyring.Enrolled) {
			var err error
			e.Statement.Public, _, err = w.keys.KMS.NewPair(t.Context(), keyring.PurposeData, nil)
			require.NoError(t, err)
		},
		"another owner's": func(t *testing.T, w *world, e *keyring.Enrolled) {
			e.Statement.Owner = w.Ben.String()
			e.Signature = w.keys.Sign(t, e.Statement)
		},
	} {
		t.Run(name, func(t *testing.T) {
			for resource, body := range map[string]string{readings: point(one, "beats/min"), recordings: run} {
				w := newWorld(t)
				w.keys.Enrol(t, w.Ada.String(), "key-of-ada", w.Time, func(e *keyring.Enrolled) { spoil(t, w, e) })
				w.refused(t, w.post(resource, body), fault.Internal)
				require.Empty(t, w.blocks.Of(w.Ada.String()))
				require.Empty(t, w.documents.IDs())
				last := w.Audit.Events()[len(w.Audit.Events())-1]
				require.Equal(t, auditlog.Alarm, last.Outcome)
				require.Equal(t, auditlog.KeyAltered, last.Kind)
				require.Contains(t, w.Log.String(), `"alarm":true`)
			}
		})
	}
	t.Run("a service key that was exchanged", func(t *testing.T) {
		for resource, body := range map[string]string{readings: point(one, "beats/min"), recordings: run} {
			w := newWorld(t)
			w.keys.Store = keyringtest.Store{}
			w.keys.Make(t, keyring.RequestsKeyName, keyring.PurposeRequests, keyring.Context("fitvault", "another", keyring.PurposeRequests))
			w.refused(t, w.post(resource, body), fault.Internal)
			w.requireNothing(t)
			require.Len(t, w.Audit.Events(), 1)
			require.Equal(t, auditlog.Alarm, w.Audit.Events()[0].Outcome)
		}
	})
	t.Run("with an audit log that refuses the alarm it is 503", func(t *testing.T) {
		w := newWorld(t)
		w.keys.Enrol(t, w.Ada.String(), "key-of-ada", w.Time, func(e *keyring.Enrolled) { e.Signature = nil })
		w.keys.Store.Hook = func(call string) error {
			if call == "owner key" { // the event of the write is there by now
				w.Audit.Fail(errors.New("audit log is down"))
			}
			return nil
		}
		w.refused(t, w.post(readings, point(one, "beats/min")), fault.Unavailable)
	})
}

// TestSealedIsDemanded: what an account takes only sealed is refused in the clear,
// and nothing that a request can say makes a difference.
func TestSealedIsDemanded(t *testing.T) {
	w := newWorld(t)
	w.Accounts.Put(access.Documents{Owner: &access.Owner{User: w.Ada, State: access.Active, DataKey: "key-of-ada",
		Settings: access.Settings{Sealed: []reading.Type{access.Recording, {Namespace: "omh", Name: "heart-rate"}}},
		Consents: map[access.Purpose]access.Consent{access.Collection: {Version: "1", Given: true, Time: w.Time}}}})
	for _, headers := range [][]string{nil, {"Idempotency-Key", "k"}, {"X-Sealed", "true"}, {"Sealed-Required", "false"}, {"Content-Encoding-Sealed", "1"}} {
		require.Equal(t, []fault.Item{{Pointer: "/0/header/schema_id", Rule: "sealed-required"}},
			w.refused(t, w.post(readings, "["+point(one, "beats/min")+"]", headers...), fault.Invalid))
		require.Equal(t, []fault.Item{{Rule: "sealed-required"}}, w.refused(t, w.post(recordings, run, headers...), fault.Invalid))
	}
	for name, refused := range map[string]func(e *events.APIGatewayProxyRequest) fault.Kind{
		"the media type of sealed uploads": func(e *events.APIGatewayProxyRequest) fault.Kind {
			edgetest.SetHeader(e, "Content-Type", "application/jose")
			return fault.UnsupportedType
		},
		"a query": func(e *events.APIGatewayProxyRequest) fault.Kind {
			e.QueryStringParameters = map[string]string{"sealed": "true"}
			return fault.BadRequest
		},
		"the other route's path": func(e *events.APIGatewayProxyRequest) fault.Kind {
			e.Resource += "/sealed"
			return fault.NotFound
		},
	} {
		t.Run(name, func(t *testing.T) {
			for resource, body := range map[string]string{readings: point(one, "beats/min"), recordings: run} {
				e := w.post(resource, body)
				kind := refused(&e)
				w.refused(t, e, kind)
			}
		})
	}
	lenient := w.post(recordings, run)
	lenient.QueryStringParameters = map[string]string{"profile": "lenient"}
	w.refused(t, lenient, fault.Invalid)
	w.requireNothing(t)
}
