package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/stretchr/testify/require"

	"fitvault/bench"
	"fitvault/shared/auditlog"
	"fitvault/shared/edge"
	"fitvault/shared/intake"
)

// BenchmarkHandler: the whole warm handler from event to answer, storage faked,
// against encoding/json of the body into plain structs. Signatures (the token's,
// enrol's) and the decision are checked as in any request.
func BenchmarkHandler(b *testing.B) {
	for _, input := range bench.Inputs() {
		b.Run(input.Name, func(b *testing.B) {
			guard, _, event := warm(b, input)
			bench.CompareCPU(b,
				func() { _, _ = guard.Handle(context.Background(), event) },
				func() { _ = json.Unmarshal(input.Body, input.Plain()) })
		})
	}
}

// BenchmarkInvocation is the same with what the Lambda library does around it:
// the event out of JSON, the answer into JSON.
func BenchmarkInvocation(b *testing.B) {
	for _, input := range bench.Inputs() {
		b.Run(input.Name, func(b *testing.B) {
			guard, _, event := warm(b, input)
			text, err := json.Marshal(event)
			require.NoError(b, err)
			function := lambda.NewHandler(guard)
			answer, err := function.Invoke(b.Context(), bytes.Clone(text))
			require.NoError(b, err)
			require.Contains(b, string(answer), `"statusCode":200`)
			bench.CompareCPU(b,
				func() { _, _ = function.Invoke(context.Background(), bytes.Clone(text)) }, // each event is its own
				func() { _ = json.Unmarshal(input.Body, input.Plain()) })
		})
	}
}

// BenchmarkChecks: all that is checked before anything is done, of the whole handler:
// token, API key, documents (stored in memory), decision; with the adapter and the
// audit event, which a handler cannot be had without.
func BenchmarkChecks(b *testing.B) {
	for _, input := range bench.Inputs() {
		b.Run(input.Name, func(b *testing.B) {
			guard, checks, event := warm(b, input)
			empty := event // a body is not among what is checked here
			empty.Body, empty.IsBase64Encoded = "[]", false
			answer, err := checks.Handle(b.Context(), empty)
			require.NoError(b, err)
			require.Equal(b, http.StatusNoContent, answer.StatusCode)
			bench.CompareCPU(b,
				func() { _, _ = checks.Handle(context.Background(), empty) },
				func() { _, _ = guard.Handle(context.Background(), event) })
		})
	}
}

// warm is ingest, after one request that was answered well; the same without what its
// handlers do, but for the audit event; and that request.
func warm(b *testing.B, input bench.Input) (whole, checks *edge.Guard, event events.APIGatewayProxyRequest) {
	w := newWorld(b)
	h := handler{intake: &intake.Intake{Deployment: "fitvault", Manifests: bench.Sink{}, Blocks: bench.Sink{}, Documents: bench.Sink{},
		Keys: w.keys.Ring(b, w.Now), Now: w.Now, Rand: rand.Reader}}
	config := w.Config("ingest")
	config.Audit, config.Log = bench.Sink{}, slog.New(slog.NewJSONHandler(io.Discard, nil))
	whole = edge.New(config, h.routes()...)
	idle := h.routes()
	for i := range idle {
		idle[i].Handle = func(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
			w.WriteHeader(http.StatusNoContent)
			return c.Audit(r.Context(), auditlog.Event{})
		}
	}
	event = w.post(readings, base64.StdEncoding.EncodeToString(input.Body))
	event.IsBase64Encoded = true // as the gateway sends it
	answer, err := whole.Handle(b.Context(), event)
	require.NoError(b, err)
	require.Equal(b, http.StatusOK, answer.StatusCode)
	return whole, edge.New(config, idle...), event
}
