package main

import (
	"crypto/rand"
	"encoding/base64"
	"io"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/bench"
	"fitvault/e2e/stack"
	"fitvault/shared/access"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge"
	"fitvault/shared/intake"
)

// BenchmarkStored: what one request leaves in the tables of the local stack, and
// the write capacity that it took, as DynamoDB says.
func BenchmarkStored(b *testing.B) {
	s := stack.Open(b)
	for _, input := range bench.Inputs() {
		b.Run(input.Name, func(b *testing.B) {
			var meter bench.Meter
			tables := dynamo.Tables{Client: meter.Client(s.AWS()), Readings: s.Output(b, "ReadingsTable"),
				Requests: s.Output(b, "RequestsTable"), AuditEvents: s.Output(b, "AuditEventsTable")}
			w := newWorld(b)
			keyID := rand.Text() // as long as those that enrol makes: it is in every block
			w.keys.Enrol(b, w.Ada.String(), keyID, w.Time, nil)
			w.Accounts.Put(access.Documents{Owner: &access.Owner{User: w.Ada, State: access.Active, DataKey: keyID,
				Consents: map[access.Purpose]access.Consent{access.Collection: {Version: "1", Given: true, Time: w.Time}}}})
			h := handler{intake: &intake.Intake{Deployment: "fitvault", Manifests: dynamo.Manifests{Tables: tables, Now: w.Now}, Blocks: tables,
				Documents: bench.Sink{}, Keys: w.keys.Ring(b, w.Now), Now: w.Now, Rand: rand.Reader}}
			config := w.Config("ingest")
			config.Audit, config.Log = tables, slog.New(slog.NewJSONHandler(io.Discard, nil))
			event := w.post(readings, base64.StdEncoding.EncodeToString(input.Body))
			event.IsBase64Encoded = true
			answer, err := edge.New(config, h.routes()...).Handle(b.Context(), event)
			require.NoError(b, err)
			if answer.StatusCode != 200 {
				b.Skip("not taken in yet")
			}
			figures := map[string]float64{"readings": float64(len(input.Records))}
			for _, call := range meter.Calls() {
				name := map[string]string{tables.Requests: "manifest", tables.AuditEvents: "event", tables.Readings: "blocks"}[call.Table]
				require.Equal(b, "PutItem", call.Operation)
				require.NotEmpty(b, name)
				figures[name+"-B"] += float64(call.Bytes + bench.ItemOverhead)
				figures[name+"-units"] += call.Units
				figures["units"] += call.Units
			}
			bench.Report(b, figures)
		})
	}
}
