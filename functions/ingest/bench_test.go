package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/stretchr/testify/require"

	"fitvault/bench"
	"fitvault/shared/edge"
	"fitvault/shared/intake"
)

// BenchmarkHandler: the whole warm handler from event to answer, storage faked,
// against encoding/json of the body into plain structs. Signatures (the token's,
// enrol's) and the decision are checked as in any request.
func BenchmarkHandler(b *testing.B) {
	for _, input := range bench.Inputs() {
		b.Run(input.Name, func(b *testing.B) {
			guard, event := warm(b, input)
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
			guard, event := warm(b, input)
			text, err := json.Marshal(event)
			require.NoError(b, err)
			function := lambda.NewHandler(guard.Handle)
			answer, err := function.Invoke(b.Context(), bytes.Clone(text))
			require.NoError(b, err)
			require.Contains(b, string(answer), `"statusCode":200`)
			bench.CompareCPU(b,
				func() { _, _ = function.Invoke(context.Background(), bytes.Clone(text)) }, // each event is its own
				func() { _ = json.Unmarshal(input.Body, input.Plain()) })
		})
	}
}

// warm is ingest, after one request that was answered well, and that request.
func warm(b *testing.B, input bench.Input) (*edge.Guard, events.APIGatewayProxyRequest) {
	w := newWorld(b)
	h := handler{intake: &intake.Intake{Deployment: "fitvault", Manifests: bench.Sink{}, Blocks: bench.Sink{}, Documents: bench.Sink{},
		Keys: w.keys.Ring(b, w.Now), Now: w.Now, Rand: rand.Reader}}
	config := w.Config("ingest")
	config.Audit, config.Log = bench.Sink{}, slog.New(slog.NewJSONHandler(io.Discard, nil))
	guard := edge.New(config, h.routes()...)
	event := w.post(readings, base64.StdEncoding.EncodeToString(input.Body))
	event.IsBase64Encoded = true // as the gateway sends it
	answer, err := guard.Handle(b.Context(), event)
	require.NoError(b, err)
	if answer.StatusCode != 200 {
		b.Skip("not taken in yet")
	}
	return guard, event
}
