package edge_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/auditlog"
	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
)

const canary = "canary-71.236548917"

// show is what a handler would show if it could.
func show(w http.ResponseWriter) {
	w.Header().Set("Content-Type", jsonType)
	w.Header().Set("X-Secret", canary)
	w.WriteHeader(200)
	_, _ = io.WriteString(w, canary)
}

func TestWhatEndsInAProblem(t *testing.T) {
	audit := func(r *http.Request, c *edge.Call) { _ = c.Audit(r.Context(), auditlog.Event{}) }
	var nothing map[string]int
	items := []fault.Item{{Pointer: "/0/body/heart_rate/unit", Rule: "enum"}}
	tests := []struct {
		name   string
		handle edge.Handler
		kind   fault.Kind
		events []auditlog.Outcome
	}{
		{"a refusal before the event", func(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
			show(w)
			return &fault.Error{Kind: fault.Invalid, Text: "schema", Items: items}
		}, fault.Invalid, []auditlog.Outcome{auditlog.Refused}},
		{"a refusal after the event", func(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
			audit(r, c)
			show(w)
			return fault.New(fault.NotFound, "no such recording")
		}, fault.NotFound, []auditlog.Outcome{auditlog.Allowed}},
		{"a fault wrapped by others", func(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
			return fmt.Errorf("%s: %w", canary, fault.Wrap(fault.TooMany, "slow down", errors.New(canary)))
		}, fault.TooMany, []auditlog.Outcome{auditlog.Refused}},
		{"an error without a kind", func(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
			audit(r, c)
			show(w)
			return errors.New(canary)
		}, fault.Internal, []auditlog.Outcome{auditlog.Allowed}},
		{"an error without a kind or an event", func(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
			return errors.New(canary)
		}, fault.Internal, nil},
		{"a kind that is none", func(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
			return fault.New("made-up", "x")
		}, fault.Internal, nil},
		{"a panic", func(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
			audit(r, c)
			show(w)
			panic(canary)
		}, fault.Internal, []auditlog.Outcome{auditlog.Allowed}},
		{"a panic with an error", func(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
			panic(errors.New(canary))
		}, fault.Internal, nil},
		{"a panic of the runtime", func(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
			nothing[canary] = 1
			return nil
		}, fault.Internal, nil},
		{"a panic that aborts", func(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
			panic(http.ErrAbortHandler)
		}, fault.Internal, nil},
		{"an answer without an event", func(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
			show(w)
			return nil
		}, fault.Internal, []auditlog.Outcome{auditlog.Alarm}},
		{"an answer with an alarm only", func(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
			_ = c.Audit(r.Context(), auditlog.Event{Outcome: auditlog.Alarm})
			show(w)
			return nil
		}, fault.Internal, []auditlog.Outcome{auditlog.Alarm, auditlog.Alarm}},
		{"an answer with a refusal only", func(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
			_ = c.Audit(r.Context(), auditlog.Event{Outcome: auditlog.Refused})
			show(w)
			return nil
		}, fault.Internal, []auditlog.Outcome{auditlog.Refused, auditlog.Alarm}},
		{"an alarm and a fault", func(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
			audit(r, c)
			_ = c.Audit(r.Context(), auditlog.Event{Outcome: auditlog.Alarm, Reasons: []string{"block-does-not-open"}})
			return fault.New(fault.Internal, "block does not open")
		}, fault.Internal, []auditlog.Outcome{auditlog.Allowed, auditlog.Alarm}},
		{"no answer", func(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
			audit(r, c)
			return nil
		}, fault.Internal, []auditlog.Outcome{auditlog.Allowed}},
		{"a status of the handler's own", func(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
			audit(r, c)
			http.Error(w, canary, http.StatusTeapot)
			return nil
		}, fault.Internal, []auditlog.Outcome{auditlog.Allowed}},
		{"a redirect", func(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
			audit(r, c)
			http.Redirect(w, r, "https://attacker.example/", http.StatusFound)
			return nil
		}, fault.Internal, []auditlog.Outcome{auditlog.Allowed}},
		{"a parameter that does not exist", func(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
			audit(r, c)
			_, err := io.WriteString(w, c.Param("user"))
			return err
		}, fault.Internal, []auditlog.Outcome{auditlog.Allowed}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.handle = test.handle
			answer := w.do(t, w.get())
			requireProblem(t, answer, test.kind)
			out := answer.Body + fmt.Sprint(answer.MultiValueHeaders, answer.Headers) + w.Log.String()
			require.NotContains(t, out, "canary")
			require.NotContains(t, out, "attacker")
			if test.kind == fault.Invalid {
				require.Contains(t, answer.Body, `"errors":[{"pointer":"/0/body/heart_rate/unit","rule":"enum"}]`)
			} else {
				require.NotContains(t, answer.Body, "errors")
			}

			var outcomes []auditlog.Outcome
			alarm := false
			for _, event := range w.Audit.Events() {
				outcomes = append(outcomes, event.Outcome)
				alarm = alarm || event.Outcome == auditlog.Alarm
			}
			require.Equal(t, test.events, outcomes)
			record := w.record(t)
			require.Equal(t, alarm, record["alarm"] == true)
			require.Equal(t, test.kind.Status() >= 500, record["level"] == "ERROR")

			w.handle = good
			w.allowed(t, w.get()) // the next request is served
		})
	}
}

func TestAPanicIsFoundInTheLog(t *testing.T) {
	w := newWorld(t)
	w.handle = func(http.ResponseWriter, *http.Request, *edge.Call) error { panic(canary) }
	w.do(t, w.get())
	text := fmt.Sprint(w.record(t)["error"])
	require.Contains(t, text, "internal: panic of string in fitvault/shared/edge_test.TestAPanicIsFoundInTheLog.func1:")
	require.NotContains(t, text, ".go", "no paths of the machine that built it")
}

func TestPanicsOutsideTheHandler(t *testing.T) {
	w := newWorld(t)
	config := w.Config("test")
	route := edge.Route{Method: "GET", Resource: readings, Scope: readScope, Action: "readings.read", Handle: good}
	config.Documents = nilDocuments{}
	w.guard = edge.New(config, route)
	w.refused(t, w.get(), fault.Internal)

	config = w.Config("test")
	config.Audit = nilWriter{}
	w.guard = edge.New(config, route)
	w.handle = good
	requireProblem(t, w.do(t, w.get()), fault.Internal)
	e := w.get()
	without(&e, "x-api-key") // the event of a refusal
	requireProblem(t, w.do(t, e), fault.Internal)
}

// nilDocuments and nilWriter panic when they are used.
type nilDocuments struct{ edge.Documents }
type nilWriter struct{ auditlog.Writer }

func TestNothingIsShownWithoutItsEvent(t *testing.T) {
	down := fault.New(fault.Unavailable, "throttled")
	for name, handle := range map[string]edge.Handler{
		"the handler stops": good,
		"the handler goes on": func(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
			require.Equal(t, fault.Unavailable, fault.KindOf(c.Audit(r.Context(), auditlog.Event{})))
			show(w)
			return nil
		},
		"the handler says something else": func(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
			_ = c.Audit(r.Context(), auditlog.Event{})
			return fault.New(fault.NotFound, "x")
		},
		"the handler panics": func(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
			_ = c.Audit(r.Context(), auditlog.Event{})
			panic(canary)
		},
		"the handler cannot raise its alarm": func(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
			_ = c.Audit(r.Context(), auditlog.Event{Outcome: auditlog.Alarm})
			return fault.New(fault.Internal, "block does not open")
		},
		"the handler forgets the event": func(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
			show(w)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, err := range []error{down, errors.New(canary)} {
				w := newWorld(t)
				w.handle = handle
				w.Audit.Fail(err)
				answer := w.do(t, w.post())
				requireProblem(t, answer, fault.Unavailable)
				require.NotContains(t, answer.Body+fmt.Sprint(answer.MultiValueHeaders)+w.Log.String(), "canary")
				require.Empty(t, w.Audit.Events())
			}
		})
	}
	t.Run("no randomness for the event's id", func(t *testing.T) {
		w := newWorld(t)
		config := w.Config("test")
		config.Rand = strings.NewReader("")
		w.guard = edge.New(config, edge.Route{Method: "GET", Resource: readings, Scope: readScope, Action: "readings.read", Handle: good})
		requireProblem(t, w.do(t, w.get()), fault.Unavailable)
	})
	t.Run("a first failure counts, even if a second event is written", func(t *testing.T) {
		w := newWorld(t)
		w.handle = func(rw http.ResponseWriter, r *http.Request, c *edge.Call) error {
			w.Audit.Fail(down)
			require.Error(t, c.Audit(r.Context(), auditlog.Event{}))
			w.Audit.Fail(nil)
			return good(rw, r, c)
		}
		requireProblem(t, w.do(t, w.get()), fault.Unavailable)
	})
}

func TestAnswers(t *testing.T) {
	w := newWorld(t)
	answer := func(t *testing.T, mediaType string, status int, body, accept string) (int, http.Header, string, bool) {
		w.handle = func(rw http.ResponseWriter, r *http.Request, c *edge.Call) error {
			if err := c.Audit(r.Context(), auditlog.Event{}); err != nil {
				return err
			}
			rw.Header().Set("Content-Type", mediaType)
			rw.Header().Set("Location", "/users/me/recordings/a")
			rw.Header().Set("Cache-Control", "public")
			rw.WriteHeader(status)
			_, err := io.WriteString(rw, body)
			return err
		}
		e := w.get()
		if accept != "" {
			edgetest.SetHeader(&e, "Accept", accept)
		}
		got := w.do(t, e)
		return got.StatusCode, http.Header(got.MultiValueHeaders), got.Body, got.IsBase64Encoded
	}
	t.Run("text", func(t *testing.T) {
		status, h, body, encoded := answer(t, jsonType, 201, `{"ä":1}`, "")
		require.Equal(t, 201, status)
		require.Equal(t, `{"ä":1}`, body)
		require.False(t, encoded)
		require.Equal(t, jsonType, h.Get("Content-Type"))
		require.Equal(t, "/users/me/recordings/a", h.Get("Location"))
		require.Equal(t, edgetest.RequestID, h.Get("X-Request-Id"))
	})
	t.Run("no content", func(t *testing.T) {
		status, _, body, _ := answer(t, jsonType, 204, "", "")
		require.Equal(t, 204, status)
		require.Empty(t, body)
	})
	for _, accept := range []string{tcx, tcx + ", */*;q=0.1", "Application/VND.garmin.tcx+xml;q=0.5"} {
		t.Run("a document as base64, Accept "+accept, func(t *testing.T) {
			for _, document := range []string{"<a/>", "<ä/>", "\xff\xfe<\x00"} {
				status, h, body, encoded := answer(t, tcx, 200, document, accept)
				require.Equal(t, 200, status)
				require.True(t, encoded)
				decoded, err := base64.StdEncoding.DecodeString(body)
				require.NoError(t, err)
				require.Equal(t, document, string(decoded))
				require.Equal(t, tcx, h.Get("Content-Type"))
			}
		})
	}
	for _, accept := range []string{"", "*/*", "application/json, " + tcx, "application/*"} {
		t.Run("a document that the gateway would leave as base64, Accept "+accept, func(t *testing.T) {
			status, h, body, encoded := answer(t, tcx, 200, canary, accept)
			require.Equal(t, 406, status)
			require.Equal(t, "application/problem+json", h.Get("Content-Type"))
			require.NotContains(t, body, "canary")
			require.False(t, encoded)
		})
	}
}

func TestRequestID(t *testing.T) {
	w := newWorld(t)
	for _, given := range []string{
		"", "x", strings.ToUpper(edgetest.RequestID), edgetest.RequestID + "0", edgetest.RequestID + "\n",
		"c6af9ac6-7b61-11e6-9a41-93e8deadbee", "c6af9ac6x7b61-11e6-9a41-93e8deadbeef", strings.Repeat("a", 1<<20), canary,
	} {
		e := w.get()
		e.RequestContext.RequestID = given
		call := w.allowed(t, e)
		require.NotEqual(t, given, call.RequestID)
		require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, call.RequestID)
		require.Equal(t, call.RequestID, w.lastEvent(t).Request)
	}
}
