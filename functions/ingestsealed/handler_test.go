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
	"os"
	"strings"
	"testing"
	"time"

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
	"fitvault/shared/keyring/keyringtest"
	"fitvault/shared/reading"
	"fitvault/shared/sealedupload"
	"fitvault/shared/sealedupload/sealeduploadtest"
)

// world is ingestsealed over fakes, in the world of edgetest.
type world struct {
	*edgetest.World
	guard     *edge.Guard
	intake    *intake.Intake
	key       sealeduploadtest.Key
	manifests intaketest.Manifests
	blocks    intaketest.Blocks
	documents intaketest.Documents
}

func newWorld(t testing.TB) *world {
	w := &world{World: edgetest.New(t)}
	keys := keyringtest.NewService(t, "fitvault", w.Time)
	keys.Enrol(t, w.Ada.String(), "key-of-ada", w.Time, nil)
	keys.Enrol(t, w.Ben.String(), "key-of-ben", w.Time, nil)
	w.manifests.Now = w.Now
	w.intake = &intake.Intake{Deployment: "fitvault", Manifests: &w.manifests, Blocks: &w.blocks, Documents: &w.documents,
		Keys: keys.Ring(t, w.Now), Now: w.Now, Rand: rand.Reader}
	h := handler{w.intake, sealedupload.Opener{KeyID: sealeduploadtest.KeyID(), Key: &w.key, Now: w.Now, Rand: rand.Reader}}
	w.guard = edge.New(w.Config("ingestsealed"), h.routes()...)
	return w
}

const (
	readings   = "/users/{user}/readings/sealed"
	recordings = "/users/{user}/recordings/sealed"
)

// header is that of a good upload of Ada's.
func (w *world) header(resource string) map[string]any {
	what, media := "readings", "application/json"
	if resource == recordings {
		what, media = "recordings", intake.MediaTCX
	}
	return sealeduploadtest.Header(sealeduploadtest.Public(), "fitvault/"+what, w.Ada.String(), edgetest.Client, media, w.Time)
}

func seal(header map[string]any, body string) string {
	return sealeduploadtest.Seal(sealeduploadtest.Public(), header, []byte(body))
}

// post is a request of Ada's about herself.
func (w *world) post(resource, compact string) events.APIGatewayProxyRequest {
	e := w.Event("ada", http.MethodPost, resource, map[string]string{"user": "me"})
	edgetest.SetBody(&e, sealedupload.MediaType, compact)
	return e
}

func (w *world) do(t require.TestingT, e events.APIGatewayProxyRequest) events.APIGatewayProxyResponse {
	answer, err := w.guard.Handle(context.Background(), e)
	require.NoError(t, err)
	return answer
}

// refused requires the problem of a kind, after so many calls of KMS since the
// last, and that nothing is stored.
func (w *world) refused(t *testing.T, e events.APIGatewayProxyRequest, kind fault.Kind, calls int64) string {
	t.Helper()
	before := w.key.Calls.Load()
	answer := w.do(t, e)
	edgetest.RequireProblem(t, answer, kind)
	require.Equal(t, calls, w.key.Calls.Load()-before, "calls of KMS")
	require.Empty(t, w.manifests.All())
	require.Empty(t, w.blocks.Of(w.Ada.String()))
	require.Empty(t, w.blocks.Of(w.Ben.String()))
	require.Empty(t, w.documents.IDs())
	return answer.Body
}

const (
	one   = "3c1f8f0e-6f5b-4a55-9f0e-2f6f7a1f4f10"
	point = `{"header":{"uuid":"` + one + `","schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"},` +
		`"source_creation_date_time":"2026-05-04T07:25:00+02:00","modality":"sensed"},` +
		`"body":{"heart_rate":{"value":71.236548917,"unit":"beats/min"},"effective_time_frame":{"date_time":"2026-05-04T07:25:00+02:00"}}}`
)

// run is the recording that the recorded event of ingest holds.
func run(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../../events/ingest-post-recordings.json")
	require.NoError(t, err)
	var event events.APIGatewayProxyRequest
	require.NoError(t, json.Unmarshal(text, &event))
	if !event.IsBase64Encoded {
		return event.Body
	}
	body, err := base64.StdEncoding.DecodeString(event.Body)
	require.NoError(t, err)
	return string(body)
}

func TestRoutes(t *testing.T) {
	want, err := contract.Belonging("../..", "ingestsealed")
	require.NoError(t, err)
	require.Empty(t, contract.DifferInDetail("openapi.yaml", want, "ingestsealed", contract.OfHandlers(handler{}.routes())))
}

func TestRecordedEvents(t *testing.T) {
	w := newWorld(t)
	recorded, err := contract.Recorded("../..", "ingestsealed", map[string]string{
		"token.ada": edgetest.Sign(w.Claims("ada")), "key.app": edgetest.APIKey, "user.ada": w.Ada.String(),
		"sealed.ada.readings": seal(w.header(readings), point), "sealed.ada.recordings": seal(w.header(recordings), run(t))})
	require.NoError(t, err)
	for name, status := range map[string]int{"ingestsealed-post-readings.json": 200, "ingestsealed-post-recordings.json": 201} {
		answer := w.do(t, recorded[name])
		require.Equal(t, status, answer.StatusCode, "%s: %s", name, answer.Body)
		delete(recorded, name)
	}
	require.Empty(t, recorded, "an event that no test knows")
}

func compressed(t testing.TB, text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.String()
}

func TestPostReadings(t *testing.T) {
	w := newWorld(t)
	w.Accounts.Put(access.Documents{Owner: w.demanding(access.Recording, reading.Type{Namespace: "omh", Name: "heart-rate"})})
	answer := w.do(t, w.post(readings, seal(w.header(readings), "["+point+",1]")))
	require.Equal(t, 200, answer.StatusCode, answer.Body)
	require.JSONEq(t, `{"results": [{"index": 0, "status": "accepted", "id": "`+one+`"}, {"index": 1, "status": "invalid", "pointer": "", "rule": "type"}]}`, answer.Body)
	require.Len(t, w.blocks.Of(w.Ada.String()), 1)

	e := w.Audit.Events()
	require.Len(t, e, 1)
	require.Equal(t, auditlog.Allowed, e[0].Outcome)
	require.Equal(t, [3]string{"ingestsealed", string(access.ReadingsWrite), w.manifests.All()[0].Key}, [3]string{e[0].Function, e[0].Action, e[0].Manifest})
	require.NotContains(t, w.Log.String(), "71.236548917")

	t.Run("again, sealed anew and compressed: a retry", func(t *testing.T) {
		h := w.header(readings)
		h["cty"] = "application/json+gzip"
		again := w.do(t, w.post(readings, seal(h, compressed(t, "["+point+",1]"))))
		require.Equal(t, answer.Body, again.Body)
		require.Len(t, w.manifests.All(), 1)
	})
	t.Run("by the owner's id, and as base64", func(t *testing.T) {
		e := w.post(readings, base64.StdEncoding.EncodeToString([]byte(seal(w.header(readings), point))))
		e.PathParameters["user"], e.IsBase64Encoded = w.Ada.String(), true
		require.Equal(t, 200, w.do(t, e).StatusCode)
	})
}

func (w *world) demanding(types ...reading.Type) *access.Owner {
	return &access.Owner{User: w.Ada, State: access.Active, DataKey: "key-of-ada", Settings: access.Settings{Sealed: types},
		Consents: map[access.Purpose]access.Consent{access.Collection: {Version: "1", Given: true, Time: w.Time}}}
}

func TestPostRecording(t *testing.T) {
	w := newWorld(t)
	w.Accounts.Put(access.Documents{Owner: w.demanding(access.Recording)})
	text := run(t)
	h := w.header(recordings)
	h["cty"] = intake.MediaTCX + "+gzip"
	answer := w.do(t, w.post(recordings, seal(h, compressed(t, text))))
	require.Equal(t, 201, answer.StatusCode, answer.Body)
	require.Regexp(t, "^/v1/users/"+w.Ada.String()+"/recordings/[a-z2-7]{26}$", http.Header(answer.MultiValueHeaders).Get("Location"))
	again := w.do(t, w.post(recordings, seal(w.header(recordings), text)))
	require.Equal(t, answer.Body, again.Body, "a retry in the other form")

	e := w.post(recordings, seal(w.header(recordings), text))
	e.QueryStringParameters = map[string]string{"profile": "lenient"}
	require.Equal(t, 201, w.do(t, e).StatusCode)
	e.QueryStringParameters = map[string]string{"profile": "kind"}
	require.Equal(t, 400, w.do(t, e).StatusCode)
}

// TestWhatIsInItIsJudged: a sealed upload is taken no more kindly than one in the clear.
func TestWhatIsInItIsJudged(t *testing.T) {
	w := newWorld(t)
	h := w.header(readings)
	h["cty"] = "application/json+gzip"
	for name, test := range map[string]struct {
		resource, compact string
		kind              fault.Kind
	}{
		"not JSON":           {readings, seal(w.header(readings), "{"), fault.BadRequest},
		"nothing":            {readings, seal(w.header(readings), ""), fault.BadRequest},
		"no record is good":  {readings, seal(w.header(readings), "[1]"), fault.Invalid},
		"too much JSON":      {readings, seal(w.header(readings), strings.Repeat(" ", 1<<20-1)+"[]"), fault.TooLarge},
		"a bomb":             {readings, seal(h, compressed(t, strings.Repeat(" ", 2<<20))), fault.TooLarge},
		"not gzip":           {readings, seal(h, point), fault.BadRequest},
		"not XML":            {recordings, seal(w.header(recordings), "{}"), fault.BadRequest},
		"against the schema": {recordings, seal(w.header(recordings), strings.Replace(run(t), "<Id>", "<Ix>", 1)), fault.BadRequest},
	} {
		t.Run(name, func(t *testing.T) { w.refused(t, w.post(test.resource, test.compact), test.kind, 1) })
	}
}

// TestRefused: the same answer for each, and KMS is called for none that says
// itself that it is not for this request.
func TestRefused(t *testing.T) {
	w := newWorld(t)
	const partner, partnersKey = "8partner", "partner-key-0123456789"
	digest := sha256.Sum256([]byte(partnersKey))
	app, err := access.DecodeApp(partner, "active", "own", []string{uploads.Scope}, []string{hex.EncodeToString(digest[:])})
	require.NoError(t, err)
	w.Accounts.Put(access.Documents{App: &app})
	good := seal(w.header(readings), point)
	with := func(name string, value any) string {
		h := w.header(readings)
		h[name] = value
		return seal(h, point)
	}
	want := w.refused(t, w.post(readings, "x"), fault.BadRequest, 0)
	for name, test := range map[string]struct {
		event events.APIGatewayProxyRequest
		calls int64
	}{
		"another owner's": {func() events.APIGatewayProxyRequest {
			e := w.Event("ben", http.MethodPost, readings, map[string]string{"user": "me"})
			edgetest.SetBody(&e, sealedupload.MediaType, good)
			return e
		}(), 0},
		"another client's": {func() events.APIGatewayProxyRequest {
			e := w.post(readings, good)
			claims := w.Claims("ada")
			claims["client_id"], claims["origin_jti"] = partner, "session-of-partner"
			edgetest.SetHeader(&e, "Authorization", "Bearer "+edgetest.Sign(claims))
			edgetest.SetHeader(&e, "x-api-key", partnersKey)
			return e
		}(), 0},
		"of readings, as a recording":  {w.post(recordings, good), 0},
		"a recording's, as readings":   {w.post(readings, seal(w.header(recordings), run(t))), 0},
		"for me":                       {w.post(readings, with("sub", "me")), 0},
		"of another deployment":        {w.post(readings, with("aud", "other/readings")), 0},
		"expired":                      {w.post(readings, with("exp", w.Time.Unix())), 0},
		"for too long":                 {w.post(readings, with("exp", w.Time.Add(time.Hour).Unix())), 0},
		"compressed by the JWE":        {w.post(readings, with("zip", "DEF")), 0},
		"by another algorithm":         {w.post(readings, with("alg", "RSA-OAEP")), 0},
		"a form that is not taken":     {w.post(readings, with("cty", "text/csv")), 0},
		"an oversize key":              {w.post(readings, strings.Replace(good, ".", "."+strings.Repeat("A", 1<<19), 1)), 0},
		"an altered tag":               {w.post(readings, good[:len(good)-4]+"AAAA"), 1},
		"an altered key":               {w.post(readings, strings.Replace(good, ".", ".AAAA", 1)[:len(strings.SplitN(good, ".", 2)[0])+5]+good[len(strings.SplitN(good, ".", 2)[0])+5:]), 1},
		"the inner form, in the clear": {w.post(readings, point), 0},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, want, w.refused(t, test.event, fault.BadRequest, test.calls))
		})
	}
	require.NotContains(t, w.Log.String(), "71.236548917")

	t.Run("what the edge refuses never gets here", func(t *testing.T) {
		for _, media := range []string{"application/json", "application/jose+gzip", "application/jose; cty=json"} {
			e := w.post(readings, good)
			edgetest.SetHeader(&e, "Content-Type", media)
			w.refused(t, e, fault.UnsupportedType, 0)
		}
		w.refused(t, w.post(readings, strings.Repeat("a", sealedupload.Size(1<<20)+1)), fault.TooLarge, 0)
		w.refused(t, w.post(recordings, strings.Repeat("a", intake.MaxDocument+1)), fault.TooLarge, 0)
		e := w.post(readings, good)
		e.PathParameters["user"] = w.Ben.String()
		w.refused(t, e, fault.NotFound, 0)
		edgetest.SetHeader(&e, "Authorization", "")
		w.refused(t, e, fault.Unauthenticated, 0)
		long := w.post(readings, good)
		edgetest.SetHeader(&long, "Idempotency-Key", strings.Repeat("k", 256))
		w.refused(t, long, fault.BadRequest, 0)
	})
	t.Run("what the head shows to be refused never gets to KMS", func(t *testing.T) {
		e := w.post(recordings, good)
		e.MultiValueQueryStringParameters = map[string][]string{"profile": {"strict"}}
		w.refused(t, e, fault.BadRequest, 0)
		e = w.post(recordings, good)
		edgetest.SetHeader(&e, "Tracker-Signature", "x")
		w.refused(t, e, fault.BadRequest, 0)
		e = w.post(readings, good)
		edgetest.SetHeader(&e, "Tracker-Signature", "x")
		w.refused(t, e, fault.SignatureRefused, 0)
		d, err := w.Accounts.Read(t.Context(), access.Keys{User: w.Ada})
		require.NoError(t, err)
		before := *d.Owner
		d.Owner.Settings.Signed = true
		w.Accounts.Put(access.Documents{Owner: d.Owner})
		defer w.Accounts.Put(access.Documents{Owner: &before})
		w.refused(t, w.post(readings, good), fault.SignatureRequired, 0)
		w.refused(t, w.post(recordings, good), fault.SignatureRequired, 0)
	})
	t.Run("KMS is down", func(t *testing.T) {
		w.key.Err = errors.New("KMS is down")
		w.refused(t, w.post(readings, good), fault.Unavailable, 1)
	})
}
