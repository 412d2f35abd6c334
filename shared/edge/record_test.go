package edge_test

import (
	"bytes"
	"flag"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/auditlog"
	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The records of some requests, as the log holds them.
func TestRecords(t *testing.T) {
	w := newWorld(t)
	var all bytes.Buffer
	run := func(handle edge.Handler, edit func() (e edgeEvent)) {
		w.handle = handle
		w.Log.Reset()
		w.do(t, edit())
		all.Write(w.Log.Bytes())
	}
	slow := func(rw http.ResponseWriter, r *http.Request, c *edge.Call) error {
		w.Time = w.Time.Add(12*time.Millisecond + 900*time.Microsecond)
		return good(rw, r, c)
	}
	run(slow, w.post)
	run(good, w.get)
	traced := func(parent string) func() edgeEvent {
		return func() edgeEvent { e := w.get(); edgetest.SetHeader(&e, "traceparent", parent); return e }
	}
	run(good, traced("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
	run(good, traced("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01")) // not as the standard writes it: not kept
	run(good, func() edgeEvent { e := w.get(); without(&e, "Authorization"); return e })
	run(good, func() edgeEvent { e := w.get(); edgetest.SetHeader(&e, "x-api-key", "wrong"); return e })
	run(good, func() edgeEvent { e := w.get(); e.Resource = canary; return e })
	run(func(http.ResponseWriter, *http.Request, *edge.Call) error {
		return fault.Wrap(fault.Unavailable, "blocks not read", apiError{})
	}, w.get)
	run(func(http.ResponseWriter, *http.Request, *edge.Call) error {
		return fault.Wrap(fault.Unavailable, "key not unwrapped", kmsError{})
	}, w.get)
	run(func(http.ResponseWriter, *http.Request, *edge.Call) error {
		return fault.New(fault.TooMany, "too fast")
	}, w.get)
	run(func(_ http.ResponseWriter, r *http.Request, c *edge.Call) error {
		_ = c.Audit(r.Context(), auditlog.Event{Outcome: auditlog.Alarm})
		return fault.New(fault.Internal, "block does not open")
	}, w.get)

	const golden = "testdata/records.golden"
	if *update {
		require.NoError(t, os.WriteFile(golden, all.Bytes(), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), all.String())
}

type apiError struct{}

func (apiError) Error() string     { return canary }
func (apiError) ErrorCode() string { return "ThrottlingException" }

type kmsError struct{ apiError }

func (kmsError) Service() string { return "KMS" }
