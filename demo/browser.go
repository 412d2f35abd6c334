package main

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"

	"golang.org/x/oauth2"
)

const maxSignInPage = 1 << 20 // bytes

// signInWithApp is what another company's app does: it sends ada to the hosted
// sign-in page with a challenge, and exchanges the code that it gets back (RFC 6749,
// 4.1; RFC 7636). The code alone is worth nothing, which is tried too.
func (d *demo) signInWithApp(ctx context.Context) (string, error) {
	c := d.stack.Clients[anotherApp]
	app := oauth2.Config{ClientID: c.ID, ClientSecret: c.Secret, RedirectURL: c.Callback, Scopes: c.Scopes,
		Endpoint: oauth2.Endpoint{AuthURL: d.stack.Endpoints.Cognito + "/oauth2/authorize", TokenURL: d.stack.Endpoints.Cognito + "/oauth2/token",
			AuthStyle: oauth2.AuthStyleInHeader}}
	verifier, state := oauth2.GenerateVerifier(), oauth2.GenerateVerifier()
	back, err := d.signInPage(ctx, app.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier)))
	if err != nil {
		return "", err
	}
	if back.Get("state") != state || back.Get("code") == "" {
		return "", notSignedIn(ctx, "the app was sent no code")
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, d.api.http)
	_, err = app.Exchange(ctx, back.Get("code"), oauth2.VerifierOption(oauth2.GenerateVerifier()))
	if refusal := (*oauth2.RetrieveError)(nil); !errors.As(err, &refusal) || refusal.ErrorCode != "invalid_grant" {
		return "", notSignedIn(ctx, "the code was not refused to who does not have the verifier")
	}
	token, err := app.Exchange(ctx, back.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		return "", notSignedIn(ctx, "the code was not exchanged for a token") // without the library's text: it repeats the answer
	}
	d.app = d.api.as(token.AccessToken, c.APIKey)
	return fmt.Sprintf("%s at %s; code without verifier: refused", owner, anotherApp), nil
}

var (
	form  = regexp.MustCompile(`<form[^>]*>`)
	input = regexp.MustCompile(`<input[^>]*>`)
)

// attribute is one of a tag's, "" where it has none.
func attribute(tag, name string) string {
	found := regexp.MustCompile(` ` + name + `="([^"]*)"`).FindStringSubmatch(tag)
	if found == nil {
		return ""
	}
	return html.UnescapeString(found[1])
}

// signInPage is ada at the hosted page: it fills in the form and sends it where the
// page says. It returns what the page sends the app, to which nobody goes.
func (d *demo) signInPage(ctx context.Context, address string) (url.Values, error) {
	jar, _ := cookiejar.New(nil) // it fails for no options that are none
	browser := http.Client{Timeout: patience, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	page, err := visit(ctx, &browser, address, nil)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(page.Body, maxSignInPage))
	_ = page.Body.Close()
	where := attribute(form.FindString(string(text)), "action")
	action, actionErr := page.Request.URL.Parse(where)
	if err != nil || where == "" || actionErr != nil || page.StatusCode != http.StatusOK || action.Host != page.Request.URL.Host {
		return nil, notSignedIn(ctx, "the hosted sign-in page was not shown")
	}
	filled := url.Values{}
	for _, field := range input.FindAllString(string(text), -1) {
		filled.Set(attribute(field, "name"), attribute(field, "value"))
	}
	filled.Set("username", d.stack.Users[owner].Name)
	filled.Set("password", d.stack.Users[owner].Password)
	answer, err := visit(ctx, &browser, action.String(), filled)
	if err != nil {
		return nil, err
	}
	_ = answer.Body.Close()
	back, err := answer.Location()
	if err != nil {
		return nil, notSignedIn(ctx, "the hosted sign-in page did not let "+owner+" in")
	}
	return back.Query(), nil
}

// visit gets a page, or sends a form where there is one.
func visit(ctx context.Context, browser *http.Client, address string, filled url.Values) (*http.Response, error) {
	method, body := http.MethodGet, io.Reader(nil)
	if filled != nil {
		method, body = http.MethodPost, strings.NewReader(filled.Encode())
	}
	request, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, notSignedIn(ctx, "the address of the sign-in page is not one")
	}
	if filled != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := browser.Do(request)
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	return answer, nil
}

func notSignedIn(ctx context.Context, what string) error {
	if ctx.Err() != nil {
		return advice{"stopped", "", nil}
	}
	return advice{what, "make status says whether the user pools are up; make up brings them back", nil}
}
