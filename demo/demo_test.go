package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ran runs the demo against the fake and returns what it printed.
func ran(t *testing.T, f *fake) (string, error) { return f.run(t.Context(), t) }

func (f *fake) run(ctx context.Context, t *testing.T) (string, error) {
	folder := t.TempDir()
	stack, recording := filepath.Join(folder, "stack.json"), filepath.Join(folder, "small.tcx")
	require.NoError(t, os.WriteFile(stack, f.stackJSON(time.Now().Add(time.Hour)), 0o600))
	require.NoError(t, os.WriteFile(recording, []byte("<TrainingCenterDatabase/>"), 0o600))
	var out bytes.Buffer
	err := run(ctx, []string{"--stack", stack, "--recording", recording}, &screen{out: &out, now: time.Now})
	return out.String(), err
}

func TestRunShowsBothSides(t *testing.T) {
	f := newFake(t)
	out, err := ran(t, f)
	require.NoError(t, err)
	for _, part := range []string{
		"✓ signed in            ada@example.com, by code + PKCE; token good for 59 min",
		"✓ consent              to collect, given; account " + testUser,
		"✓ recording sent       25 bytes of TCX, 3 trackpoints",
		"✓ data points sent     34 in one batch, all accepted",
		"✓ data points read     34 on 2 pages, each equal to what was sent",
		"✓ recording read       original byte for byte; trackpoints on 2 pages",
		"Data points of 16 July 2022",
		"07:00:11 +02:00   omh:heart-rate   52      beats/min",
		"… and 22 more",
		"2022-07-16 16:08:25 UTC",
		"56m0s",
		"beats/min",
		"2022-07-16#cccc, 1,022 bytes",
		"recording#" + testRecording + ", 1,022 bytes",
		"00000000  01 01 08 64 61 74 61 2d",
		"✓ consents             ada's to share, given; ben has an account",
		"✓ left over            nothing of an earlier run",
		"✓ maker's namespace    demo- is given to max by sam, an administrator",
		"by max: its key, hash of its code",
		"████",
		"✓ paired               tracker and service each checked the other's signature",
		"✓ signed upload        steps and sleep, accepted, and read back as sent",
		"✓ altered upload       9,214 for 3,214 steps: refused, 403 signature-refused",
		"✓ before               ben asks for her steps: 404 not-found",
		"✓ invited              for steps, reading, an hour; ben accepts with the code",
		"✓ sees steps           11 counts, equal to what ada sent",
		"✓ not sleep            sleep: 403 forbidden",
		"✓ signed in            ada at thirdparty; code without verifier: refused",
		"✓ before               it asks for her steps with her token: 403 forbidden",
		"✓ grant withdrawn      ben asks for steps again: 404 not-found",
		"✓ app withdrawn        it asks for steps again: 403 forbidden",
		"✓ app's session ended  its token, not expired yet: 401 unauthenticated",
		"✓ tracker unpaired     its next signed upload: refused, 403 signature-refused",
		"07:25:00.500   consents.write   allowed   ada   3",
		"07:25:00.500   readings.read    allowed   ada",
		"All of it took",
	} {
		require.Contains(t, out, part)
	}
	require.NotContains(t, out, "\x1b", "colours only on terminals")
	for _, secret := range []string{"app-key", "third-key", "staff-key", "thirdparty-secret", "a password", "a-code"} {
		require.NotContains(t, out, secret)
	}
	f.requireShut(t)
	require.Equal(t, len(f.requests), strings.Count(out, "   allowed   "), "one event a request, and nobody else's")
}

func TestRunAgainSendsTheSame(t *testing.T) {
	f := newFake(t)
	_, err := ran(t, f)
	require.NoError(t, err)
	first := f.points
	out, err := ran(t, f)
	require.NoError(t, err)
	require.Contains(t, out, "demo- is max's already")
	require.Equal(t, first, f.points)
	require.Equal(t, idempotencyKey(morning), idempotencyKey(bytes.Clone(morning)))
	require.NotEqual(t, idempotencyKey(morning), idempotencyKey([]byte("[]")))
}

// Each step that fails ends the run with an error that says what to do next,
// and that repeats nothing that the answer said of ada.
func TestRunFails(t *testing.T) {
	const secret = "71.236548917"
	const consents, recordings, readings = "PUT /users/me/consents/collection", "POST /users/me/recordings", "POST /users/me/readings"
	const list, one, read = "GET /users/me/recordings", "GET /users/me/recordings/" + testRecording, "GET /users/me/readings"
	const original = one + " original"
	for name, c := range map[string]struct {
		request string
		answer  answer
		want    []string
	}{
		"token refused":         {consents, answer{401, `{"title": "Not authenticated", "status": 401}`}, []string{"PUT /users/me/consents/collection was answered 401 Not authenticated", "make up renews"}},
		"forbidden":             {readings, answer{403, `{"title": "Forbidden"}`}, []string{"403 Forbidden", "make up renews"}},
		"no such route":         {readings, answer{404, `{"title": "Not found"}`}, []string{"404 Not found", "make up deploys it again"}},
		"throttled":             {readings, answer{429, `{"title": "Too many requests"}`}, []string{"run it again in a second"}},
		"failed":                {read, answer{500, `{"title": "Internal error", "instance": "abc"}`}, []string{"GET /users/me/readings was answered 500", "request abc is in .local/logs/functions"}},
		"not a problem":         {read, answer{502, "<html>" + secret}, []string{"answered 502", "make status"}},
		"consent not kept":      {consents, answer{200, `{"given": false}`}, []string{"consent was not kept"}},
		"consent unreadable":    {consents, answer{200, secret}, []string{"consent was not kept"}},
		"recording not taken":   {recordings, answer{503, `{"title": "Unavailable", "instance": "abc"}`}, []string{"POST /users/me/recordings was answered 503"}},
		"no recording id":       {recordings, answer{201, `{}`}, []string{"a recording without an id"}},
		"batch refused":         {readings, answer{422, `{"title": "Invalid", "instance": "abc", "errors": [{"pointer": "/0/body", "rule": "type"}, {}, {}, {}, {}]}`}, []string{`at "/0/body": rule type`, "… and 2 more", "openapi.yaml says"}},
		"too few results":       {readings, answer{200, `{"results": []}`}, []string{"not a result for each"}},
		"page without items":    {read, answer{200, `{"note": "` + secret + `"}`}, []string{"a page without items"}},
		"page not JSON":         {read, answer{200, secret + "}"}, []string{"a page that is not JSON"}},
		"items unreadable":      {read, answer{200, `{"items": [` + secret + `]}`}, []string{"data points that cannot be read"}},
		"item with two names":   {read, answer{200, `{"items": [{"a": 1, "a": 2}]}`}, []string{"data points that cannot be read"}},
		"item without header":   {read, answer{200, `{"items": [{"note": "` + secret + `"}]}`}, []string{"data points that cannot be read"}},
		"point missing":         {read, answer{200, `{"items": []}`}, []string{"a data point that was sent is missing"}},
		"not in the list":       {list, answer{200, `{"items": []}`}, []string{"the recording is not in the list"}},
		"list unreadable":       {list, answer{200, `{"items": 1}`}, []string{"a page without items"}},
		"document refused":      {original, answer{406, `{"title": "Not acceptable", "instance": "abc"}`}, []string{"406 Not acceptable"}},
		"document differs":      {original, answer{200, secret}, []string{"the original is not what was sent"}},
		"recording refused":     {one, answer{503, `{"title": "Unavailable", "instance": "abc"}`}, []string{"503 Unavailable"}},
		"trackpoint unreadable": {one, answer{200, `{"trackpoints": ["` + secret + `"]}`}, []string{"trackpoints that cannot be read"}},
		"too few trackpoints":   {one, answer{200, `{"trackpoints": []}`}, []string{"not as many trackpoints"}},
		"too large":             {read, answer{200, strings.Repeat(" ", maxAnswer+1)}, []string{"larger than the API's answers are"}},
		"table cannot be read":  {"Query", answer{400, `{"__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", "message": "` + secret + `"}`}, []string{"cannot read the table Readings", "make up"}},
		"no block":              {"Query", answer{200, `{"Items": []}`}, []string{"no block of 2022-07-16"}},
		"index cannot be read":  {"GetItem", answer{400, `{}`}, []string{"cannot read the table Readings"}},
		"no index entry":        {"GetItem", answer{200, `{}`}, []string{"no index entry"}},
		"another form":          {"Query", answer{200, `{"Items": [{"item": {"S": "2022-07-16#a"}, "sealed": {"B": "/////w=="}}]}`}, []string{"a form that is not known here"}},
		"events cannot be read": {"Scan", answer{400, `{}`}, []string{"cannot read the table AuditEvents"}},
		"no events":             {"Scan", answer{200, `{"Items": []}`}, []string{"this run has left no audit events"}},
		"event unreadable":      {"Scan", answer{200, `{"Items": [{"event": {"S": "` + secret + `}"}}]}`}, []string{"an audit event has a form"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.change[c.request] = c.answer
			out, err := ran(t, f)
			require.Error(t, err)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			require.NotContains(t, err.Error()+out, secret)
			if name != "another form" { // found while it is shown, after the steps
				require.Contains(t, out, "✗", "the step that failed is marked")
			}
		})
	}
}

func TestReadBackMustEqualWhatWasSent(t *testing.T) {
	f := newFake(t)
	altered := bytes.Replace(morning, []byte(`"value": 52,`), []byte(`"value": 53,`), 1)
	f.change["GET /users/me/readings"] = answer{200, `{"items": ` + string(altered) + `}`}
	_, err := ran(t, f)
	require.ErrorContains(t, err, "a data point is not what was sent")
}

func TestInvalidDataPointIsNamedByRule(t *testing.T) {
	f := newFake(t)
	results := strings.Repeat(`{"status": "accepted"},`, 33) + `{"status": "invalid", "pointer": "/body/step_count", "rule": "type"}`
	f.change["POST /users/me/readings"] = answer{200, `{"results": [` + results + `]}`}
	_, err := ran(t, f)
	require.ErrorContains(t, err, `data point 33 breaks rule type at "/body/step_count"`)
}

func TestStackNotUp(t *testing.T) {
	valid := newFake(t)
	for name, c := range map[string]struct {
		file []byte // nil: there is none
		want []string
	}{
		"no file":       {nil, []string{"the local stack is not up", "make up"}},
		"not JSON":      {[]byte("{"), []string{"is not what make up writes", "make up"}},
		"half of it":    {[]byte(`{"api": "http://127.0.0.1:1/v1"}`), []string{"is not what make up writes"}},
		"token too old": {valid.stackJSON(time.Now().Add(-time.Second)), []string{"has run out", "make up"}},
		"no token":      {bytes.ReplaceAll(valid.stackJSON(time.Now()), []byte("eyJ"), []byte("...")), []string{"access token is not one", "make up"}},
		"no caregiver":  {bytes.Replace(valid.stackJSON(time.Now()), []byte(`"ben"`), []byte(`"bob"`), 1), []string{"is not what make up writes"}},
		"no other app":  {bytes.Replace(valid.stackJSON(time.Now()), []byte(`"thirdparty"`), []byte(`"other"`), 1), []string{"is not what make up writes"}},
		"no root":       {bytes.Replace(valid.stackJSON(time.Now()), []byte(`pairing_root`), []byte(`root`), 1), []string{"is not what make up writes"}},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			stack, recording := filepath.Join(folder, "stack.json"), filepath.Join(folder, "small.tcx")
			require.NoError(t, os.WriteFile(recording, nil, 0o600))
			if c.file != nil {
				require.NoError(t, os.WriteFile(stack, c.file, 0o600))
			}
			err := run(t.Context(), []string{"--stack", stack, "--recording", recording}, &screen{out: &bytes.Buffer{}, now: time.Now})
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

func TestStackFileCannotBeRead(t *testing.T) {
	_, err := readStack(t.TempDir())
	require.ErrorContains(t, err, "the local stack cannot be looked up")
}

func TestNothingAnswers(t *testing.T) {
	f := newFake(t)
	f.server.Close()
	_, err := ran(t, f)
	require.ErrorContains(t, err, "the API cannot be reached (connect: connection refused)")
	require.ErrorContains(t, err, "make up starts what is not")
}

func TestSlowAnswer(t *testing.T) {
	f := newFake(t)
	a := newAPI(stack{API: f.server.URL})
	a.http.Timeout = time.Nanosecond
	_, err := a.call(t.Context(), "GET", "/users/me/recordings", nil, nil)
	require.ErrorContains(t, err, "the API did not answer within")
}

func TestAnswerBreaksOff(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("71.236548917"))
	}))
	defer server.Close()
	_, err := newAPI(stack{API: server.URL}).call(t.Context(), "GET", "/users/me/recordings", nil, nil)
	require.ErrorContains(t, err, "the API cannot be reached\n  make status")
}

func TestStopped(t *testing.T) {
	f := newFake(t)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_, err := newAPI(stack{API: f.server.URL}).call(ctx, "GET", "/users/me/recordings", nil, nil)
	require.EqualError(t, err, "stopped")
	require.EqualError(t, unreadable(ctx, "Readings"), "stopped")
}

func TestAddressThatIsNone(t *testing.T) {
	_, err := newAPI(stack{API: "http://[::1"}).call(t.Context(), "GET", "/", nil, nil)
	require.ErrorContains(t, err, "the API's address is not one")
}

func TestArguments(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out, now: time.Now}
	require.NoError(t, run(t.Context(), []string{"--help"}, s))
	require.Contains(t, out.String(), "what the database holds")
	require.Contains(t, out.String(), "-recording")
	require.ErrorContains(t, run(t.Context(), []string{"--nonsense"}, s), "--help says what there is")
	require.ErrorContains(t, run(t.Context(), []string{"nonsense"}, s), "--help says what there is")

	stack := filepath.Join(t.TempDir(), "stack.json")
	require.NoError(t, os.WriteFile(stack, newFake(t).stackJSON(time.Now().Add(time.Hour)), 0o600))
	err := run(t.Context(), []string{"--stack", stack, "--recording", filepath.Join(t.TempDir(), "none.tcx")}, s)
	require.ErrorContains(t, err, "the recording cannot be read")
	require.ErrorContains(t, err, "run it from the checkout's root")
}
