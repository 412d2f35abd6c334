package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/browser"
)

// site is the page at an address of its own, beside a pool and an API that answer
// as a test has them answer.
type site struct {
	world
	tab       *browser.Tab
	page      string
	exchanged url.Values // what the pool was sent
	token     string     // what it answers with
	status    int        // of the API's answer
	put       string     // what the API was sent
}

func open(t *testing.T) *site {
	claims := base64.RawURLEncoding.EncodeToString([]byte(`{"email": "ada@example.com"}`))
	s := &site{world: newWorld(t), status: 200, token: `{"access_token": "the-token", "refresh_token": "another", "id_token": "e30.` + claims + `.x"}`}
	pool := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		s.exchanged = r.PostForm
		w.Header().Set("Access-Control-Allow-Origin", "*")
		if s.token == "" {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = io.WriteString(w, s.token)
	}))
	t.Cleanup(pool.Close)
	var err error
	s.public.Documents, err = page{Client: "pageclient", Key: "page-key", SignIn: pool.URL}.documents()
	require.NoError(t, err)
	own := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(r.URL.Path, "/v1")
		if r.Method == http.MethodPut {
			body, _ := io.ReadAll(r.Body)
			s.put = path + " " + r.Header.Get("Authorization") + " " + r.Header.Get("x-api-key") + " " + string(body)
			w.WriteHeader(s.status)
			return
		}
		answer, _ := s.public.Handle(r.Context(), events.APIGatewayProxyRequest{HTTPMethod: r.Method, Resource: path, MultiValueQueryStringParameters: r.URL.Query()})
		for name, values := range answer.MultiValueHeaders {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.StatusCode)
		_, _ = io.WriteString(w, answer.Body)
	}))
	t.Cleanup(own.Close)
	s.page = own.URL + "/v1/authorize"
	s.tab = browser.New(t, own.Client())
	return s
}

// begin is an app that sends its person.
func (s *site) begin(t *testing.T) url.Values {
	s.tab.Open(s.page + "?" + url.Values(recorded(t).MultiValueQueryStringParameters).Encode())
	next, err := url.Parse(s.tab.Next)
	require.NoError(t, err)
	return next.Query()
}

// decide is the same person, back from the sign-in.
func (s *site) decide(t *testing.T) url.Values {
	sent := s.begin(t)
	s.tab.Open(s.page + "?" + url.Values{"code": {"a-code"}, "state": sent["state"]}.Encode())
	return sent
}

func TestYes(t *testing.T) {
	s := open(t)
	sent := s.decide(t)
	require.Equal(t, []string{"code", "pageclient", s.page, "openid email fitvault/sharing.manage", "S256"},
		[]string{sent.Get("response_type"), sent.Get("client_id"), sent.Get("redirect_uri"), sent.Get("scope"), sent.Get("code_challenge_method")})
	require.Len(t, sent.Get("state"), 43)
	require.NotEqual(t, sent.Get("state"), open(t).begin(t).Get("state"))
	require.Equal(t, []string{"authorization_code", "pageclient", s.page, "a-code"},
		[]string{s.exchanged.Get("grant_type"), s.exchanged.Get("client_id"), s.exchanged.Get("redirect_uri"), s.exchanged.Get("code")})
	require.Equal(t, sent.Get("code_challenge"), challenge(s.exchanged.Get("code_verifier")))

	require.False(t, s.tab.Hidden("question"))
	require.Equal(t, []string{"Partner & Co", "ada@example.com", "read", "training"}, []string{s.tab.Text("name"), s.tab.Text("who"), s.tab.Text("access"), s.tab.Text("purpose")})
	require.NotContains(t, s.tab.Stored(), "the-token")
	require.NotContains(t, s.tab.Stored(), sent.Get("state"), "each sign-in counts once")
	require.Equal(t, s.page, s.tab.Address, "no code stays in the address")
	require.Empty(t, s.put, "nothing without a yes")

	s.tab.Tick("types", "omh:heart-rate")
	s.tab.Tick("types", "omh:step-count")
	s.tab.Click("yes")
	require.Contains(t, s.tab.Text("message"), "at least one")
	require.Empty(t, s.put, "nothing of nothing")
	s.tab.Tick("types", "omh:step-count")
	s.tab.Click("yes")
	before, body, _ := strings.Cut(s.put, "page-key ")
	require.Equal(t, "/users/me/apps/7partnerclient Bearer the-token ", before)
	var permit map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &permit))
	require.Equal(t, map[string]any{"types": []any{"omh:step-count"}, "access": []any{"read"}, "purpose": "training", "until": s.Time.Add(90 * day).UTC().Format("2006-01-02T15:04:05Z")}, permit)
	require.Contains(t, s.tab.Next, "/oauth2/authorize?client_id=7partnerclient&")

	s.put = ""
	s.tab.Click("yes")
	s.tab.Click("no")
	require.Empty(t, s.put, "an answer is given once")
}

func TestNo(t *testing.T) {
	s := open(t)
	s.decide(t)
	s.tab.Click("no")
	require.Equal(t, callback+"?error=access_denied&state=a-state", s.tab.Next)
	require.Empty(t, s.put)
	s.tab.Click("yes")
	require.Empty(t, s.put)
}

// TestNothingIsGiven: each way in which something can fail, and what the person is told.
func TestNothingIsGiven(t *testing.T) {
	again := func(s *site, query url.Values) { s.tab.Open(s.page + "?" + query.Encode()) }
	for name, test := range map[string]struct {
		says string
		do   func(t *testing.T, s *site)
	}{
		"opened by hand":             {"did not belong", func(_ *testing.T, s *site) { again(s, nil) }},
		"a state of another":         {"did not belong", func(t *testing.T, s *site) { s.begin(t); again(s, url.Values{"code": {"c"}, "state": {"another"}}) }},
		"no state":                   {"did not belong", func(t *testing.T, s *site) { s.begin(t); again(s, url.Values{"code": {"c"}}) }},
		"no code":                    {"did not belong", func(t *testing.T, s *site) { again(s, url.Values{"state": s.begin(t)["state"]}) }},
		"a code that is not good":    {"did not belong", func(t *testing.T, s *site) { s.token = ""; s.decide(t) }},
		"a token nobody can read":    {"did not work", func(t *testing.T, s *site) { s.token = `{"access_token": "t", "id_token": "x"}`; s.decide(t) }},
		"an app that is not known":   {"not known", func(t *testing.T, s *site) { s.registry.apps = nil; s.begin(t) }},
		"a request that is wrong":    {"has not asked", func(_ *testing.T, s *site) { again(s, url.Values{"client_id": {partner}}) }},
		"apps that cannot be read":   {"did not work", func(t *testing.T, s *site) { s.registry.err = io.EOF; s.begin(t) }},
		"an account without consent": {"First agree", func(t *testing.T, s *site) { s.status = 403; s.decide(t); s.tab.Click("yes") }},
		"an API that fails":          {"did not work", func(t *testing.T, s *site) { s.status = 503; s.decide(t); s.tab.Click("yes") }},
		"an API that leads away":     {"did not work", func(t *testing.T, s *site) { s.status = 302; s.decide(t); s.tab.Click("yes") }},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			test.do(t, s)
			require.Contains(t, s.tab.Text("message"), test.says)
			require.True(t, s.tab.Hidden("question"))
			require.Empty(t, s.tab.Next)
		})
	}
}

// TestThePageIsTheSameForEverybody: nothing of a request is in it, and a pool's address
// that is more than an origin does not get into the policy.
func TestThePageIsTheSameForEverybody(t *testing.T) {
	w := newWorld(t)
	all := map[string]bool{}
	for _, query := range []map[string][]string{nil, {"client_id": {"<script>canary</script>"}}} {
		answer, err := w.public.Handle(t.Context(), events.APIGatewayProxyRequest{HTTPMethod: "GET", Resource: resource, MultiValueQueryStringParameters: query})
		require.NoError(t, err)
		all[answer.Body] = true
		require.Equal(t, []string{"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' https://pool.example; " +
			"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"}, answer.MultiValueHeaders["Content-Security-Policy"])
	}
	require.Len(t, all, 1)
	for _, bad := range []string{"", "pool.example", "https://pool.example/", "https://pool.example; script-src *", "https://", "https://a@b", "%"} {
		_, err := page{Client: "c", Key: "k", SignIn: bad}.documents()
		require.Error(t, err, bad)
	}
	served, err := page{Client: `"><script>`, Key: `"`, SignIn: signIn}.documents()
	require.NoError(t, err)
	require.NotContains(t, string(served[0].Body), `"><script>`)
}

// challenge is a verifier's, as RFC 7636 says it.
func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
