package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"fitvault/shared/fault"
)

const (
	patience  = 30 * time.Second // for one answer; the gateway itself gives up after 29
	maxAnswer = 8 << 20          // bytes
)

// api is fitvault's API as somebody calls it: by a token, through an app with its key.
type api struct {
	base, token, key string
	http             *http.Client
	requests         map[string]bool // ids of the requests so far, as the API gave them
}

func newAPI(s stack) *api {
	return &api{
		base:     strings.TrimSuffix(s.API, "/"),
		token:    s.Users[owner].Token,
		key:      s.APIKey,
		http:     &http.Client{Timeout: patience},
		requests: map[string]bool{},
	}
}

// as is the same API for another caller.
func (a *api) as(token, key string) *api {
	other := *a
	other.token, other.key = token, key
	return &other
}

// call sends one request and returns the answer's body. path is below the base
// URL; header may be nil. An answer that is not 2xx is an error with advice.
func (a *api) call(ctx context.Context, method, path string, header map[string]string, body []byte) ([]byte, error) {
	status, answer, err := a.try(ctx, method, path, header, body)
	if err == nil && status/100 != 2 {
		err = refused(method, path, status, answer)
	}
	return answer, err
}

// send is call with in as a JSON body, and the answer read into out where that is not nil.
func (a *api) send(ctx context.Context, method, path string, in, out any) error {
	var header map[string]string
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return advice{"a request that cannot be written", "", nil}
		}
		header = map[string]string{"Content-Type": "application/json"}
	}
	answer, err := a.call(ctx, method, path, header, body)
	if err == nil && out != nil && json.Unmarshal(answer, out) != nil {
		return unexpected("not the JSON of " + shownPath(path))
	}
	return err
}

// mustRefuse sends a request that has to be refused in one way. It is an error where
// the door is open, and where it is shut for another reason.
func (a *api) mustRefuse(ctx context.Context, kind fault.Kind, method, path string, header map[string]string, body []byte) error {
	status, answer, err := a.try(ctx, method, path, header, body)
	if err != nil {
		return err
	}
	var p struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(answer, &p) // what is no problem document is no refusal of that kind
	switch {
	case status/100 == 2:
		return advice{fmt.Sprintf("%s %s was let in, and had to be refused (%d %s)", method, shownPath(path), kind.Status(), kind), deployAgain, nil}
	case status != kind.Status() || !strings.HasSuffix(p.Type, "/"+string(kind)):
		return refused(method, path, status, answer)
	}
	return nil
}

// try sends one request, and returns status and body of whatever is answered.
func (a *api) try(ctx context.Context, method, path string, header map[string]string, body []byte) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, advice{"the API's address is not one", "make up writes it again", nil}
	}
	request.Header.Set("Authorization", "Bearer "+a.token)
	request.Header.Set("x-api-key", a.key)
	request.Header.Set("Accept", "application/json")
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := a.http.Do(request)
	if err != nil {
		return 0, nil, unreachable(ctx, err)
	}
	defer response.Body.Close()
	if id := response.Header.Get("X-Request-Id"); id != "" {
		a.requests[id] = true
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return 0, nil, unreachable(ctx, err)
	}
	if len(answer) > maxAnswer {
		return 0, nil, unexpected("larger than the API's answers are")
	}
	return response.StatusCode, answer, nil
}

// shownPath is a path as it may be shown: without its query, and without the code of
// an invitation, which lets in whoever has it.
func shownPath(path string) string {
	path, _, _ = strings.Cut(path, "?")
	if strings.HasPrefix(path, "/invitations/") {
		return "/invitations/{code}/accept"
	}
	return path
}

func unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return advice{"stopped", "", nil}
	}
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		return advice{fmt.Sprintf("the API did not answer within %s", patience), "make status says what is up; .local/logs has the logs", nil}
	}
	// The socket's own words only: url.Error repeats the address.
	var cause error
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		cause = op.Err
	}
	return advice{"the API cannot be reached", "make status says what is up; make up starts what is not", cause}
}

// unexpected is the error for a 2xx answer that is not what openapi.yaml says.
func unexpected(what string) error {
	return advice{"an answer is not what was expected: " + what, deployAgain, nil}
}

// refused tells an answer that is a problem (RFC 9457): its title, where in the
// request it is, and the request id to look for in the logs.
func refused(method, path string, status int, body []byte) error {
	var p struct {
		Title    string `json:"title"`
		Instance string `json:"instance"`
		Errors   []struct {
			Pointer string `json:"pointer"`
			Rule    string `json:"rule"`
		} `json:"errors"`
	}
	_ = json.Unmarshal(body, &p) // what is no problem document has a status at least
	what := fmt.Sprintf("%s %s was answered %d %s", method, shownPath(path), status, p.Title)
	what = strings.TrimSpace(what)
	for i, e := range p.Errors {
		if i == 3 {
			what += fmt.Sprintf("\n  … and %d more", len(p.Errors)-i)
			break
		}
		what += fmt.Sprintf("\n  at %q: rule %s", e.Pointer, e.Rule)
	}
	next := "request " + p.Instance + " is in .local/logs/functions"
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		next = "make up renews the token and the app's key"
	case status == http.StatusNotFound:
		next = deployAgain
	case status == http.StatusTooManyRequests:
		next = "other requests are using up the app's plan; run it again in a second"
	case status == http.StatusBadRequest || status == http.StatusRequestEntityTooLarge || status == http.StatusUnsupportedMediaType ||
		status == http.StatusUnprocessableEntity:
		next = "openapi.yaml says what this route takes"
	case p.Instance == "":
		next = "make status says what is up; .local/logs has the logs"
	}
	return advice{what, next, nil}
}

// pages reads a list to its end and returns how many pages it had. each reads
// one page's body, apart from the token of the next.
func (a *api) pages(ctx context.Context, path string, query url.Values, each func(page []byte) error) (int, error) {
	for n := 1; ; n++ {
		page, err := a.call(ctx, http.MethodGet, path+"?"+query.Encode(), nil, nil)
		if err != nil {
			return n, err
		}
		var next struct {
			Token string `json:"next_page_token"`
		}
		if json.Unmarshal(page, &next) != nil {
			return n, unexpected("a page that is not JSON")
		}
		if err := each(page); err != nil || next.Token == "" {
			return n, err
		}
		query.Set("page_token", next.Token)
	}
}
