package edge_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
)

// hostile is what somebody might put where a name belongs.
var hostile = map[string]string{
	"nothing":               "",
	"a space":               " ",
	"a slash":               "a/b",
	"an encoded slash":      "a%2Fb",
	"a slash encoded twice": "a%252Fb",
	"a backslash":           `a\b`,
	"a dot":                 ".",
	"two dots":              "..",
	"encoded dots":          "%2e%2e",
	"a path":                "../../keys",
	"an encoded path":       "..%2F..%2Fkeys",
	"NUL":                   "me\x00",
	"encoded NUL":           "me%00",
	"a line end":            "me\n",
	"an encoded line end":   "me%0A",
	"half an escape":        "me%",
	"a bad escape":          "%zz",
	"a plus":                "a+b",
	"a hash":                "owner#a",
	"an encoded hash":       "owner%23a",
	"a question mark":       "me?user=x",
	"an ampersand":          "me&user=x",
	"a semicolon":           "me;a=b",
	"a colon":               "a:b",
	"a star":                "*",
	"braces":                "{user}",
	"an apostrophe":         "a'b",
	"not UTF-8":             "me\xff",
	"a full-width letter":   "ｍe",
	"an emoji":              "😀",
	"65 letters":            strings.Repeat("a", 65),
	"a megabyte":            strings.Repeat("a", 1<<20),
	"escapes, a megabyte":   strings.Repeat("%61", 1<<18),
}

func TestHostilePathParameters(t *testing.T) {
	w := newWorld(t)
	for name, value := range hostile {
		t.Run(name, func(t *testing.T) {
			e := w.Event("ada", "GET", recording, map[string]string{"user": value, "id": "a"})
			w.refused(t, e, fault.NotFound)
			require.Empty(t, w.lastEvent(t).Owner)
			require.True(t, w.Accounts.Reads[len(w.Accounts.Reads)-1].User.IsZero())

			e.PathParameters = map[string]string{"user": "me", "id": value}
			w.refused(t, e, fault.NotFound)

			e = w.put("cara") // for whom no account is not the same as any account
			e.PathParameters = map[string]string{"user": value, "purpose": "collection"}
			w.refused(t, e, fault.NotFound)
		})
	}
	for _, user := range []string{"ME", "Me", "me ", " me", "mе" /* a Cyrillic e */} {
		e := w.Event("ada", "GET", recording, map[string]string{"user": user, "id": "a"})
		w.refused(t, e, fault.NotFound)
	}
	t.Run("missing", func(t *testing.T) {
		w.refused(t, w.Event("ada", "GET", recording, nil), fault.NotFound)
		w.refused(t, w.Event("ada", "GET", recording, map[string]string{"user": "me"}), fault.NotFound)
		w.refused(t, w.Event("ada", "GET", recording, map[string]string{"id": "a"}), fault.NotFound)
	})
	t.Run("good", func(t *testing.T) {
		for value, want := range map[string]string{"a": "a", "A-z_09": "A-z_09", "%61": "a", strings.Repeat("a", 64): strings.Repeat("a", 64)} {
			call := w.allowed(t, w.Event("ada", "GET", recording, map[string]string{"user": "me", "id": value, "other": "x"}))
			require.Equal(t, want, call.Param("id"))
			require.Panics(t, func() { call.Param("other") })
		}
	})
}

func TestQuery(t *testing.T) {
	w := newWorld(t)
	many := make([]string, 65)
	for i := range many {
		many[i] = fmt.Sprint("omh:", i)
	}
	for name, query := range map[string]map[string][]string{
		"unknown":                {"owner": {"x"}},
		"unknown in capitals":    {"Type": {"x"}},
		"an empty name":          {"": {"x"}},
		"unknown and known":      {"type": {"x"}, "debug": {"1"}},
		"several of a single":    {"from": {"a", "b"}},
		"none of a single":       {"from": {}},
		"the same several":       {"from": {"a", "a"}},
		"too many":               {"type": many},
		"too long":               {"from": {strings.Repeat("a", 4097)}},
		"a control character":    {"from": {"a\x00"}},
		"a line end":             {"from": {"a\n"}},
		"a C1 control":           {"from": {"a\u0085"}},
		"not UTF-8":              {"from": {"\xff"}},
		"the token in the query": {"access_token": {"x"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := w.get()
			e.MultiValueQueryStringParameters = query
			w.refused(t, e, fault.BadRequest)
		})
	}
	t.Run("several in the single place", func(t *testing.T) {
		e := w.get()
		e.QueryStringParameters = map[string]string{"from": "a", "debug": "1"}
		w.refused(t, e, fault.BadRequest)
	})
	t.Run("a route without any", func(t *testing.T) {
		e := w.post()
		e.MultiValueQueryStringParameters = map[string][]string{"type": {"x"}}
		w.refused(t, e, fault.BadRequest)
	})
	t.Run("good", func(t *testing.T) {
		var seen string
		w.handle = func(rw http.ResponseWriter, r *http.Request, c *edge.Call) error {
			seen = r.URL.Query().Get("from")
			return good(rw, r, c)
		}
		e := w.get()
		e.MultiValueQueryStringParameters = map[string][]string{"type": many[:63], "from": {"2026-05-04T07:25:00+02:00 &=%ä"}}
		call := w.allowed(t, e)
		require.Equal(t, many[:63], call.Query()["type"])
		require.Equal(t, "2026-05-04T07:25:00+02:00 &=%ä", call.Query().Get("from"))
		require.Equal(t, call.Query().Get("from"), seen)

		e.MultiValueQueryStringParameters, e.QueryStringParameters = nil, map[string]string{"type": "omh:heart-rate"}
		require.Equal(t, "omh:heart-rate", w.allowed(t, e).Query().Get("type"))
		require.Empty(t, w.allowed(t, w.get()).Query())
	})
}

func TestBody(t *testing.T) {
	w := newWorld(t)
	var read []byte
	w.handle = func(rw http.ResponseWriter, r *http.Request, c *edge.Call) error {
		read, _ = io.ReadAll(r.Body)
		require.EqualValues(t, len(read), r.ContentLength)
		return good(rw, r, c)
	}
	handle := w.handle
	tests := []struct {
		name, body string
		base64     bool
		kind       fault.Kind // "" for accepted
		want       string
	}{
		{"text", `["ä"]`, false, "", `["ä"]`},
		{"nothing", "", false, "", ""},
		{"all that is allowed", strings.Repeat("a", maxBody), false, "", strings.Repeat("a", maxBody)},
		{"a byte more", strings.Repeat("a", maxBody+1), false, fault.TooLarge, ""},
		{"megabytes", strings.Repeat("a", 6<<20), false, fault.TooLarge, ""},
		{"base64", base64.StdEncoding.EncodeToString([]byte("\xff\x00")), true, "", "\xff\x00"},
		{"base64, nothing", "", true, "", ""},
		{"base64, all that is allowed", base64.StdEncoding.EncodeToString(make([]byte, maxBody)), true, "", string(make([]byte, maxBody))},
		{"base64, a byte more", base64.StdEncoding.EncodeToString(make([]byte, maxBody+1)), true, fault.TooLarge, ""},
		{"base64, two bytes more", base64.StdEncoding.EncodeToString(make([]byte, maxBody+2)), true, fault.TooLarge, ""},
		{"base64, megabytes", strings.Repeat("a", 6<<20), true, fault.TooLarge, ""},
		{"base64, line ends beyond the limit", strings.Repeat("\n", 6<<20), true, fault.TooLarge, ""},
		{"not base64", "{}", true, fault.BadRequest, ""},
		{"base64url", "_-8=", true, fault.BadRequest, ""},
		{"base64 without padding", "YQ", true, fault.BadRequest, ""},
		{"base64 with spare bits", "YR==", true, fault.BadRequest, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := w.post()
			e.Body, e.IsBase64Encoded = test.body, test.base64
			if test.kind != "" {
				w.refused(t, e, test.kind)
				w.handle = handle
				return
			}
			call := w.allowed(t, e)
			require.Equal(t, test.want, string(call.Body()))
			require.Equal(t, test.want, string(read))
		})
	}
	t.Run("a body where there is none", func(t *testing.T) {
		e := w.get()
		e.Body = "a"
		w.refused(t, e, fault.TooLarge)
		e.Body, e.IsBase64Encoded = "YQ==", true
		w.refused(t, e, fault.TooLarge)
	})
}

func TestContentType(t *testing.T) {
	w := newWorld(t)
	for _, sent := range []string{
		"", " ", "text/plain", "application", "application/", "application/*", "*/*", "application/json2",
		"application/json, text/plain", "application/json; charset=utf-16", "application/json; charset=iso-8859-1",
		"application/json; charset", "application/json; boundary=x", "application/json; charset=utf-8; charset=utf-16",
		"application/json+gzip", "application/xml", "application/gpx+xml", "multipart/form-data; boundary=x",
		"application/json\x00", strings.Repeat("a", 1000),
	} {
		e := w.post()
		edgetest.SetHeader(&e, "Content-Type", sent)
		if strings.Contains(sent, "\x00") {
			w.refused(t, e, fault.BadRequest)
			continue
		}
		w.refused(t, e, fault.UnsupportedType)
	}
	for name, edit := range map[string]func(h map[string][]string){
		"missing":             func(h map[string][]string) { delete(h, "Content-Type") },
		"content encoding":    func(h map[string][]string) { h["content-encoding"] = []string{"gzip"} },
		"identity is one too": func(h map[string][]string) { h["Content-Encoding"] = []string{"identity"} },
	} {
		t.Run(name, func(t *testing.T) {
			e := w.post()
			e.Headers = nil
			edit(e.MultiValueHeaders)
			w.refused(t, e, fault.UnsupportedType)
		})
	}
	for sent, want := range map[string]string{
		"application/json":                  jsonType,
		"Application/JSON":                  jsonType,
		"application/json;charset=UTF-8":    jsonType,
		`application/json; charset="utf-8"`: jsonType,
		tcx:                                 tcx,
	} {
		e := w.post()
		edgetest.SetHeader(&e, "Content-Type", sent)
		require.Equal(t, want, w.allowed(t, e).ContentType)
	}
	t.Run("a route without a body has none", func(t *testing.T) {
		e := w.get()
		edgetest.SetHeader(&e, "Content-Type", "text/plain")
		require.Empty(t, w.allowed(t, e).ContentType)
	})
}

func TestHeadersThatHandlersSee(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"Accept", "Content-Type", "Idempotency-Key"} {
		for _, value := range []string{strings.Repeat("a", 1025), "a\n", "a\x00", "ä", "a\x7f", "\xff"} {
			e := w.post()
			edgetest.SetHeader(&e, name, value)
			w.refused(t, e, fault.BadRequest)
		}
	}
	for _, name := range []string{"Content-Type", "Idempotency-Key"} {
		e := w.post()
		e.Headers = nil
		e.MultiValueHeaders[name] = []string{jsonType, "other"}
		w.refused(t, e, fault.BadRequest)
		e.MultiValueHeaders[name] = []string{jsonType, jsonType}
		w.refused(t, e, fault.BadRequest)
	}
	var seen http.Header
	w.handle = func(rw http.ResponseWriter, r *http.Request, c *edge.Call) error {
		seen = r.Header
		return good(rw, r, c)
	}
	e := w.post()
	edgetest.SetHeader(&e, "idempotency-key", "a b")
	edgetest.SetHeader(&e, "ACCEPT", "x/y")
	w.allowed(t, e)
	require.Equal(t, http.Header{"Accept": {"x/y"}, "Content-Type": {jsonType}, "Idempotency-Key": {"a b"}}, seen,
		"neither token nor API key")
}

// The order of the checks: each request is wrong in everything after the one
// that answers.
func TestOrderOfChecks(t *testing.T) {
	w := newWorld(t)
	e := w.Event("ada", "GET", "/nothing", map[string]string{"user": w.Ben.String()})
	edgetest.SetHeader(&e, "Authorization", "x")
	edgetest.SetHeader(&e, "x-api-key", "x")
	e.MultiValueQueryStringParameters = map[string][]string{"x": {"x"}}
	e.Body = strings.Repeat("a", maxBody+1)
	w.refused(t, e, fault.NotFound)
	e.HTTPMethod, e.Resource = "POST", readings
	w.refused(t, e, fault.Unauthenticated)
	w.tokenWith(&e, "scope", "x")
	w.refused(t, e, fault.Forbidden)
	edgetest.SetHeader(&e, "x-api-key", edgetest.APIKey)
	w.refused(t, e, fault.Forbidden)
	w.tokenWith(&e, "scope", edgetest.Scopes)
	w.refused(t, e, fault.NotFound)
	e.PathParameters = map[string]string{"user": "me"}
	w.refused(t, e, fault.BadRequest)
	e.MultiValueQueryStringParameters = nil
	w.refused(t, e, fault.TooLarge)
	e.Body = "x"
	w.refused(t, e, fault.UnsupportedType)
	edgetest.SetHeader(&e, "Content-Type", jsonType)
	w.allowed(t, e)
}
