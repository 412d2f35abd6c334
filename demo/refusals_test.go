package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
)

// requireShut: nothing is let in any more.
func (f *fake) requireShut(t *testing.T) {
	t.Helper()
	require.Empty(t, f.store.Trackers(f.user()))
	require.Empty(t, f.grants)
	require.False(t, f.appIn)
}

// Each step with others that fails ends the run, and what was let in is taken back.
// A door that is open where it had to be shut is such a failure.
func TestRunFailsWithOthers(t *testing.T) {
	const bens, own = "GET /users/" + testUser + "/readings", "GET /users/me/readings"
	const sent, token, page = "POST /users/me/readings", "POST /oauth2/token", "GET /oauth2/authorize"
	open, down := answer{200, `{}`}, answer{503, `{"title": "Unavailable", "instance": "abc"}`}
	const letIn = "was let in, and had to be refused"
	for name, c := range map[string]struct {
		request string
		answer  answer
		want    string
	}{
		"no consent to share":        {"PUT /users/me/consents/sharing", answer{200, `{"given": false}`}, "consent was not kept"},
		"sharing cannot be agreed":   {"PUT /users/me/consents/sharing", down, "503 Unavailable"},
		"no account of his":          {"ben PUT /users/me/consents/collection", answer{200, `{"given": true}`}, "consent was not kept"},
		"his consent is refused":     {"ben PUT /users/me/consents/collection", down, "503 Unavailable"},
		"trackers cannot be listed":  {"GET /users/me/devices", down, "GET /users/me/devices was answered 503"},
		"grants cannot be listed":    {"GET /users/me/grants", down, "GET /users/me/grants was answered 503"},
		"apps cannot be listed":      {"GET /users/me/apps", down, "GET /users/me/apps was answered 503"},
		"list that is none":          {"GET /users/me/apps", answer{200, `[]`}, "not the JSON of /users/me/apps"},
		"roles cannot be read":       {"GET /identities/max/roles", answer{401, `{"title": "Not authenticated"}`}, "make up renews"},
		"roles cannot be given":      {"PUT /identities/max/roles", down, "PUT /identities/max/roles was answered 503"},
		"registration refused":       {"POST /devices", answer{409, `{"title": "Conflict", "instance": "abc"}`}, "POST /devices was answered 409"},
		"pairing refused":            {"POST /pairings", answer{404, `{"title": "Not found"}`}, "POST /pairings was answered 404"},
		"pairing unreadable":         {"POST /pairings", answer{201, `{"message": "*"}`}, "a pairing that is not base64url"},
		"an impostor of the service": {"POST /pairings", answer{201, `{"message": "AAAA", "signature": "AAAA", "certificate": "AAAA"}`}, "the tracker does not trust the service"},
		"confirmation refused":       {"POST confirm", down, "answered 503"},
		"another tracker":            {"POST confirm", answer{200, `{"id": "demo-1", "state": "active"}`}, "another tracker was paired"},
		"signed upload refused":      {sent + " 2", answer{403, `{"title": "Signature refused"}`}, "403 Signature refused"},
		"signed upload is invalid":   {sent + " 2", answer{200, `{"results": [{"status": "invalid", "pointer": "/body", "rule": "type"}, {}]}`}, "data point 0 breaks rule type"},
		"signed points not there":    {own + " 3", answer{200, `{"items": []}`}, "a data point that was sent is missing"},
		"altered upload is taken":    {sent + " 3", open, sent + " " + letIn + " (403 signature-refused)"},
		"altered for another reason": {sent + " 3", answer{403, `{"type": "https://fitvault.example/problems/forbidden", "title": "Forbidden"}`}, "403 Forbidden"},
		"altered, no connection":     {sent + " 3", answer{200, strings.Repeat(" ", maxAnswer+1)}, "larger than"},
		"steps before the grant":     {bens + " 1", open, bens + " " + letIn + " (404 not-found)"},
		"invitation cannot be made":  {"POST /users/me/grants", answer{403, `{"title": "Consent required"}`}, "403 Consent required"},
		"invitation is refused":      {"POST /invitations/a-code/accept", answer{404, `{"title": "Not found"}`}, "POST /invitations/{code}/accept was answered 404"},
		"another grant":              {"POST /invitations/a-code/accept", answer{200, `{"id": "a-grant"}`}, "another grant was accepted"},
		"steps not seen":             {bens + " 2", answer{200, `{"items": []}`}, "a data point that was sent is missing"},
		"sleep seen":                 {bens + " 3", open, letIn + " (403 forbidden)"},
		"no sign-in page":            {page, answer{500, `<form action="/login">`}, "the hosted sign-in page was not shown"},
		"page without a form":        {page, answer{200, `hello`}, "the hosted sign-in page was not shown"},
		"page of somebody else":      {page, answer{200, `<form action="http://127.0.0.2/login">`}, "the hosted sign-in page was not shown"},
		"another state":              {page, answer{200, `<form action="/login">`}, "the app was sent no code"},
		"password refused":           {"POST /login", answer{200, `wrong`}, "did not let ada in"},
		"code without its verifier":  {token + " 1", answer{200, `access_token=x`}, "the code was not refused"},
		"code not exchanged":         {token + " 2", answer{400, `{"error": "invalid_grant"}`}, "the code was not exchanged"},
		"app before ada's word":      {own + " 4", open, letIn + " (403 forbidden)"},
		"app not let in":             {"PUT /users/me/apps/thirdparty", down, "answered 503"},
		"app sees nothing":           {own + " 5", answer{200, `{"items": []}`}, "a data point that was sent is missing"},
		"app sees sleep":             {own + " 6", open, letIn + " (403 forbidden)"},
		"grant stands":               {bens + " 4", open, letIn + " (404 not-found)"},
		"app stands":                 {own + " 7", open, letIn + " (403 forbidden)"},
		"sessions cannot be listed":  {"GET /users/me/sessions", down, "answered 503"},
		"session cannot be ended":    {"DELETE /users/me/sessions/app-session", down, "answered 503"},
		"session stands":             {own + " 8", open, letIn + " (401 unauthenticated)"},
		"tracker stands":             {sent + " 4", open, letIn + " (403 signature-refused)"},
		"stays: grant":               {"DELETE /users/me/grants/a-grant", down, "DELETE /users/me/grants/a-grant was answered 503"},
		"stays: app":                 {"DELETE /users/me/apps/thirdparty", down, "answered 503"},
		"stays: tracker":             {"DELETE device", down, "answered 503"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.change[c.request] = c.answer
			out, err := ran(t, f)
			require.ErrorContains(t, err, c.want)
			require.Contains(t, err.Error(), "\n  ", "it says what to do next")
			require.Contains(t, out, "✗", "the step that failed is marked")
			require.NotContains(t, err.Error()+out, "a-code")
			if !strings.HasPrefix(name, "stays: ") {
				f.requireShut(t)
				return
			}
			require.Contains(t, out, "Not everything that was let in could be taken back")
			f.change = map[string]answer{}
			out, err = ran(t, f)
			require.NoError(t, err)
			require.Regexp(t, `left over            [1-3] of an earlier run, taken back`, out)
			f.requireShut(t)
		})
	}
}

// A step that fails does not say what was to come of it.
func TestNothingIsClaimedThatFailed(t *testing.T) {
	f := newFake(t)
	f.change["GET /users/"+testUser+"/readings 3"] = answer{200, `{}`}
	out, err := ran(t, f)
	require.Error(t, err)
	require.Regexp(t, `✗ not sleep +\d`, out)
}

func TestRootThatIsNone(t *testing.T) {
	folder := t.TempDir()
	_, err := stack{PairingRoot: filepath.Join(folder, "none.pem")}.root()
	require.ErrorContains(t, err, "the root for trackers cannot be read\n  make up")
	for name, text := range map[string][]byte{"no PEM": []byte("x"), "no certificate": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})} {
		file := filepath.Join(folder, "root.pem")
		require.NoError(t, os.WriteFile(file, text, 0o600))
		_, err := (&demo{stack: stack{PairingRoot: file}, rand: rand.Reader}).registerTracker(t.Context())
		require.ErrorContains(t, err, "the root for trackers cannot be read", name)
	}
}

func TestNoRandomness(t *testing.T) {
	f := newFake(t)
	none := iotest.ErrReader(errors.New("no entropy"))
	for name, c := range map[string]struct {
		rand io.Reader
		want string
	}{
		"for the serial number": {none, "there is no randomness"},
		"for the code":          {io.MultiReader(bytes.NewReader(make([]byte, 6)), none), "a tracker cannot be made"},
	} {
		d := demo{stack: stack{PairingRoot: f.rootFile}, rand: c.rand, now: time.Now}
		_, err := d.registerTracker(t.Context())
		require.ErrorContains(t, err, c.want, name)
	}
}

func TestSignInThatCannotBe(t *testing.T) {
	for endpoint, want := range map[string]string{"http://[::1": "address of the sign-in page is not one", "http://127.0.0.1:1": "cannot be reached"} {
		d := demo{rand: rand.Reader}
		d.stack.Endpoints.Cognito = endpoint
		_, err := d.signInWithApp(t.Context())
		require.ErrorContains(t, err, want)
	}
}

// Stopped in the middle: it says so, and takes back what it had let in.
func TestStoppedInTheMiddle(t *testing.T) {
	for _, at := range []string{"GET /oauth2/authorize", "POST /oauth2/token", "PUT /users/me/apps/thirdparty", "POST confirm"} {
		f := newFake(t)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		f.at = map[string]func(){at: stop}
		_, err := f.run(ctx, t)
		require.EqualError(t, err, "stopped", at)
		f.requireShut(t)
	}
}

func TestRequestThatCannotBeWritten(t *testing.T) {
	err := newAPI(stack{}).send(t.Context(), "POST", "/devices", func() {}, nil)
	require.ErrorContains(t, err, "a request that cannot be written")
	err = newAPI(stack{API: "http://127.0.0.1:1"}).mustRefuse(t.Context(), fault.NotFound, "GET", "/", nil, nil)
	require.ErrorContains(t, err, "cannot be reached")
}
