package edge_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
)

type edgeEvent = events.APIGatewayProxyRequest

// secret fits every grammar there is for names, so that it gets as far as
// anything can.
const secret = "cAnArY71236548917"

// places is where a caller can put something, by name.
var places = map[string]func(e *edgeEvent, w *world, value string){
	"method":       func(e *edgeEvent, _ *world, v string) { e.HTTPMethod = v },
	"resource":     func(e *edgeEvent, _ *world, v string) { e.Resource = v },
	"path":         func(e *edgeEvent, _ *world, v string) { e.Path = v },
	"user":         func(e *edgeEvent, _ *world, v string) { e.PathParameters["user"] = v },
	"id":           func(e *edgeEvent, _ *world, v string) { e.PathParameters["id"] = v },
	"parameter":    func(e *edgeEvent, _ *world, v string) { e.PathParameters[v] = v },
	"query name":   func(e *edgeEvent, _ *world, v string) { e.MultiValueQueryStringParameters[v] = []string{v} },
	"query value":  func(e *edgeEvent, _ *world, v string) { e.MultiValueQueryStringParameters["type"] = []string{v} },
	"query single": func(e *edgeEvent, _ *world, v string) { e.QueryStringParameters = map[string]string{v: v, "type": v} },
	"body":         func(e *edgeEvent, _ *world, v string) { e.Body = v },
	"base64 flag":  func(e *edgeEvent, _ *world, v string) { e.Body, e.IsBase64Encoded = v, true },
	"header name":  func(e *edgeEvent, _ *world, v string) { edgetest.SetHeader(e, v, v) },
	"headers": func(e *edgeEvent, _ *world, v string) {
		for _, name := range []string{
			"Accept", "Content-Type", "Idempotency-Key", "User-Agent", "Referer", "Cookie", "Host", "Origin",
			"traceparent", "X-Request-Id", "X-Amzn-Trace-Id", "X-Forwarded-For", "If-None-Match", "Range",
		} {
			edgetest.SetHeader(e, name, v)
		}
	},
	"idempotency key": func(e *edgeEvent, _ *world, v string) { edgetest.SetHeader(e, "Idempotency-Key", v) },
	"accept":          func(e *edgeEvent, _ *world, v string) { edgetest.SetHeader(e, "Accept", "application/"+v) },
	"content type":    func(e *edgeEvent, _ *world, v string) { edgetest.SetHeader(e, "Content-Type", "application/"+v) },
	"authorization":   func(e *edgeEvent, _ *world, v string) { edgetest.SetHeader(e, "Authorization", v) },
	"bearer":          func(e *edgeEvent, _ *world, v string) { edgetest.SetHeader(e, "Authorization", "Bearer "+v) },
	"token": func(e *edgeEvent, _ *world, v string) {
		edgetest.SetHeader(e, "Authorization", "Bearer "+signed(`{"alg":`+quote(v)+`,"kid":`+quote(v)+`}`, `{"sub":`+quote(v)+`}`))
	},
	"API key": func(e *edgeEvent, _ *world, v string) { edgetest.SetHeader(e, "x-api-key", v) },
	"claims": func(e *edgeEvent, w *world, v string) {
		c := w.Claims("ada")
		c["username"], c["jti"], c["scope"], c[v] = v, v, edgetest.Scopes+" "+v, v
		edgetest.SetHeader(e, "Authorization", "Bearer "+edgetest.Sign(c))
	},
	"subject": func(e *edgeEvent, w *world, v string) { w.tokenWith(e, "sub", v) },
	"client":  func(e *edgeEvent, w *world, v string) { w.tokenWith(e, "client_id", v) },
	"issuer":  func(e *edgeEvent, w *world, v string) { w.tokenWith(e, "iss", v) },
	"scope":   func(e *edgeEvent, w *world, v string) { w.tokenWith(e, "scope", v) },
	"key id": func(e *edgeEvent, w *world, v string) {
		edgetest.SetHeader(e, "Authorization", "Bearer "+signed(`{"alg":"RS256","kid":`+quote(v)+`}`, `{}`))
	},
	"context": func(e *edgeEvent, _ *world, v string) {
		e.RequestContext = events.APIGatewayProxyRequestContext{
			AccountID: v, ResourceID: v, OperationName: v, Stage: v, DomainName: v, DomainPrefix: v, RequestID: v,
			ExtendedRequestID: v, Protocol: v, ResourcePath: v, Path: v, HTTPMethod: v, RequestTime: v, APIID: v,
			Authorizer: map[string]any{"claims": map[string]any{"sub": v}, v: v},
			Identity:   events.APIGatewayRequestIdentity{SourceIP: v, APIKey: v, APIKeyID: v, UserAgent: v, User: v, Caller: v},
		}
		e.StageVariables = map[string]string{v: v}
	},
}

func quote(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}

// spellings of a value as an error text might show it.
func spellings(s string) []string {
	return []string{
		s, strings.ToLower(s), strings.ToUpper(s), s[2:], s[:len(s)-2], hex.EncodeToString([]byte(s)), url.QueryEscape(s),
		base64.StdEncoding.EncodeToString([]byte(s))[4:16], base64.StdEncoding.EncodeToString([]byte("x" + s))[4:16],
		base64.StdEncoding.EncodeToString([]byte("xx" + s))[4:16],
	}
}

// Whatever a caller puts wherever, neither the answer nor the log repeats it.
func TestNothingOfTheRequestShows(t *testing.T) {
	names := slices.Sorted(maps.Keys(places))
	forms := []string{
		secret, `"` + secret + `"`, `{"` + secret + `":"` + secret + `"}`, secret + "\n", "\x00" + secret, "%" + secret,
		url.QueryEscape("ä" + secret), "\xff" + secret, strings.Repeat(secret+" ", 100), secret + "/" + secret, "<" + secret + ">",
		base64.StdEncoding.EncodeToString([]byte(secret)),
	}
	handlers := []edge.Handler{
		good,
		func(_ http.ResponseWriter, r *http.Request, c *edge.Call) error {
			return fmt.Errorf("%s %v: %w", r.URL, c, fault.Wrap(fault.Invalid, "schema", fmt.Errorf("%s %s", c.Body(), r.Header)))
		},
		func(_ http.ResponseWriter, r *http.Request, c *edge.Call) error {
			panic(fmt.Sprint(r.URL, r.Header, string(c.Body()), c.Query()))
		},
		func(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
			if _, err := edge.Negotiate(r.Header.Get("Accept"), jsonType); err != nil {
				return err
			}
			if err := json.Unmarshal(c.Body(), &struct{ A int }{}); err != nil {
				return err
			}
			return good(w, r, c)
		},
	}
	w := newWorld(t)
	// What the libraries print by themselves is not in the one record.
	log.SetOutput(&w.Log)
	stdout, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
	require.NoError(t, err)
	before := os.Stdout
	os.Stdout = stdout
	t.Cleanup(func() {
		os.Stdout = before
		log.SetOutput(os.Stderr)
		require.NoError(t, stdout.Close())
		printed, err := os.ReadFile(stdout.Name())
		require.NoError(t, err)
		require.Empty(t, printed)
	})
	check := func(t require.TestingT, handle edge.Handler, resource, form string, chosen []string) {
		w.handle = handle
		w.Log.Reset()
		method := "GET"
		if resource == readings {
			method = "POST"
		}
		e := w.Event("ada", method, resource, map[string]string{"user": "me", "id": "a"})
		if method == "POST" {
			edgetest.SetBody(&e, jsonType, "[]")
		}
		e.MultiValueQueryStringParameters = map[string][]string{}
		for _, place := range chosen {
			places[place](&e, w, form)
		}
		answer := w.do(t, e)
		shown := answer.Body + fmt.Sprint(answer.MultiValueHeaders, answer.Headers) + w.Log.String()
		for _, spelling := range spellings(secret) {
			require.NotContains(t, shown, spelling, "%q %q", chosen, form)
		}
		require.NotEmpty(t, w.record(t))
	}
	t.Run("everything alone", func(t *testing.T) {
		for _, handle := range handlers {
			for _, resource := range []string{readings, recording} {
				for _, name := range names {
					for _, form := range forms {
						check(t, handle, resource, form, []string{name})
					}
				}
			}
		}
	})
	t.Run("everything together", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			check(t, rapid.SampledFrom(handlers).Draw(t, "handler"),
				rapid.SampledFrom([]string{readings, recording}).Draw(t, "resource"),
				rapid.SampledFrom(forms).Draw(t, "form"),
				rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 6, rapid.ID[string]).Draw(t, "places"))
		})
	})
	t.Run("a planted one is found", func(t *testing.T) {
		w.handle = func(rw http.ResponseWriter, r *http.Request, c *edge.Call) error {
			rw.Header().Set("X-Echo", r.Header.Get("Idempotency-Key"))
			return good(rw, r, c)
		}
		e := w.post()
		edgetest.SetHeader(&e, "Idempotency-Key", secret)
		require.Contains(t, fmt.Sprint(w.do(t, e).MultiValueHeaders), secret)
	})
}
