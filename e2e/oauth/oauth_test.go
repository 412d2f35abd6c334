// Package oauth has golang.org/x/oauth2, as an app would use it, sign in at the
// local user pools. More of the flows and the attacks on them is in
// localstack/tests/test_oauth.py, with authlib.
package oauth

import (
	"context"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"fitvault/e2e/stack"
)

// known is what stack.json says of clients and users beyond stack.Stack.
type known struct {
	Clients map[string]struct {
		ID, Secret, Callback string
		APIKey               string `json:"api_key"`
		Scopes               []string
	}
	Users map[string]struct{ Name, Password string }
}

type world struct {
	*stack.Stack
	known
}

func open(t *testing.T) world {
	w := world{Stack: stack.Open(t)}
	text, err := os.ReadFile("../../.local/stack.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &w.known))
	return w
}

func (w world) endpoint() oauth2.Endpoint {
	return oauth2.Endpoint{AuthURL: w.Endpoints.Cognito + "/oauth2/authorize", TokenURL: w.Endpoints.Cognito + "/oauth2/token"}
}

func (w world) app(name string) *oauth2.Config {
	c := w.known.Clients[name]
	return &oauth2.Config{ClientID: c.ID, ClientSecret: c.Secret, RedirectURL: c.Callback, Scopes: c.Scopes, Endpoint: w.endpoint()}
}

// context has the library speak to the stack straight, without a proxy.
func (w world) context(t *testing.T) context.Context {
	return context.WithValue(t.Context(), oauth2.HTTPClient, w.Client())
}

var input = regexp.MustCompile(`<input[^>]*>`)

func attribute(tag, name string) string {
	found := regexp.MustCompile(` ` + name + `="([^"]*)"`).FindStringSubmatch(tag)
	if found == nil {
		return ""
	}
	return html.UnescapeString(found[1])
}

// signIn is a person at the hosted pages; it returns what the app is told.
func (w world) signIn(t *testing.T, address, user string) url.Values {
	return w.arrive(t, address, user).Query()
}

// arrive is a person at the hosted pages; it returns where these lead.
func (w world) arrive(t *testing.T, address, user string) *url.URL {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	browser := w.Client()
	browser.Jar = jar
	page, err := browser.Get(address)
	require.NoError(t, err)
	defer func() { _ = page.Body.Close() }()
	require.Equal(t, 200, page.StatusCode)
	text, err := io.ReadAll(page.Body)
	require.NoError(t, err)
	form := url.Values{}
	for _, field := range input.FindAllString(string(text), -1) {
		form.Set(attribute(field, "name"), attribute(field, "value"))
	}
	form.Set("username", w.Users[user].Name)
	form.Set("password", w.Users[user].Password)
	answer, err := browser.PostForm(w.Endpoints.Cognito+"/login", form)
	require.NoError(t, err)
	_ = answer.Body.Close()
	require.Equal(t, http.StatusFound, answer.StatusCode)
	back, err := answer.Location()
	require.NoError(t, err)
	return back
}

// get asks for a person's readings with whatever client presents the token.
func (w world) get(t *testing.T, client *http.Client, key, path string) int {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.API+path, nil)
	require.NoError(t, err)
	request.Header.Set("x-api-key", key)
	answer, err := client.Do(request)
	require.NoError(t, err)
	_ = answer.Body.Close()
	return answer.StatusCode
}

// refused requires that the token endpoint said no, and why.
func refused(t *testing.T, err error, code string) {
	t.Helper()
	var said *oauth2.RetrieveError
	require.ErrorAs(t, err, &said)
	require.Equal(t, code, said.ErrorCode)
}

func TestCodeAndPKCE(t *testing.T) {
	w := open(t)
	ctx := w.context(t)
	for _, name := range []string{"app", "thirdparty"} {
		t.Run(name, func(t *testing.T) {
			app, verifier := w.app(name), oauth2.GenerateVerifier()
			back := w.signIn(t, app.AuthCodeURL("a-state", oauth2.S256ChallengeOption(verifier)), "ben")
			require.Equal(t, "a-state", back.Get("state"))

			_, err := app.Exchange(ctx, back.Get("code"))
			refused(t, err, "invalid_grant")
			_, err = app.Exchange(ctx, back.Get("code"), oauth2.VerifierOption(oauth2.GenerateVerifier()))
			refused(t, err, "invalid_grant")
			_, err = w.app("partner").Exchange(ctx, back.Get("code"), oauth2.VerifierOption(verifier))
			refused(t, err, "invalid_grant")
			token, err := app.Exchange(ctx, back.Get("code"), oauth2.VerifierOption(verifier))
			require.NoError(t, err)
			_, err = app.Exchange(ctx, back.Get("code"), oauth2.VerifierOption(verifier))
			refused(t, err, "invalid_grant")
			require.NotEqual(t, http.StatusUnauthorized, w.get(t, app.Client(ctx, token), w.known.Clients[name].APIKey, "/users/me/readings"))

			old := token.RefreshToken
			fresh, err := app.TokenSource(ctx, &oauth2.Token{RefreshToken: old}).Token()
			require.NoError(t, err)
			require.NotEqual(t, old, fresh.RefreshToken, "the library keeps the rotated one")
			_, err = app.TokenSource(ctx, &oauth2.Token{RefreshToken: old}).Token()
			refused(t, err, "invalid_grant")
			_, err = app.TokenSource(ctx, fresh).Token()
			require.NoError(t, err)
		})
	}
}

func TestClientCredentials(t *testing.T) {
	w := open(t)
	ctx := w.context(t)
	system := w.known.Clients["system"]
	config := clientcredentials.Config{ClientID: system.ID, ClientSecret: system.Secret, TokenURL: w.endpoint().TokenURL, Scopes: system.Scopes}
	for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams} {
		config.AuthStyle = style
		token, err := config.Token(ctx)
		require.NoError(t, err)
		require.Empty(t, token.RefreshToken)
	}
	status := w.get(t, config.Client(ctx), system.APIKey, "/users/4hweumqxs4434hfymc4rwpyfee/readings")
	require.Equal(t, http.StatusNotFound, status, "known, and nobody's data without an owner's word")

	config.ClientSecret = "wrong"
	_, err := config.Token(ctx)
	refused(t, err, "invalid_client")
	config.ClientSecret, config.Scopes = system.Secret, []string{"fitvault/sharing.manage"}
	_, err = config.Token(ctx)
	refused(t, err, "invalid_grant")
}
