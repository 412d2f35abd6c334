package main

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/bench"
	"fitvault/e2e/stack"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge"
	"fitvault/shared/intake"
)

// BenchmarkDay: one day of 1,440 points of three types, read back through the
// API's pages of 1,000: how many queries, and the read capacity that they took.
// The day came in every quarter of an hour, or in two requests at night.
func BenchmarkDay(b *testing.B) {
	s := stack.Open(b)
	quarters := bench.Day()
	for name, batches := range map[string][]bench.Input{"96-syncs": quarters, "2-batches": {bench.Join(quarters[:48]), bench.Join(quarters[48:])}} {
		b.Run(name, func(b *testing.B) {
			var meter bench.Meter
			tables := dynamo.Tables{Client: meter.Client(s.AWS()), Readings: s.Output(b, "ReadingsTable")}
			w := newWorld(b)
			w.intake = &intake.Intake{Deployment: deployment, Manifests: bench.Sink{}, Blocks: tables, Documents: bench.Sink{},
				Keys: w.keys.Ring(b, w.Now), Now: w.Now, Rand: rand.Reader}
			for _, batch := range batches {
				_, err := w.intake.Readings(b.Context(), w.request(w.Ada, string(batch.Body)))
				require.NoError(b, err)
			}
			blocks := len(meter.Calls())
			h := handler{deployment: deployment, blocks: tables, documents: originals{&w.documents}, keys: w.keys.Ring(b, w.Now), now: w.Now}
			w.guard = edge.New(w.Config("readings"), h.routes()...)

			var points, pages int
			var token string
			for {
				query := map[string][]string{"from": {"2018-08-10T00:00:00Z"}, "to": {"2018-08-11T00:00:00Z"}, "page_size": {"1000"}}
				if token != "" {
					query["page_token"] = []string{token}
				}
				e := w.Event("ada", http.MethodGet, readings, map[string]string{"user": "me"})
				e.MultiValueQueryStringParameters = query
				answer := w.do(b, e)
				require.Equal(b, 200, answer.StatusCode, answer.Body)
				var page struct {
					Items []json.RawMessage
					Next  string `json:"next_page_token"`
				}
				require.NoError(b, json.Unmarshal([]byte(answer.Body), &page))
				points, pages, token = points+len(page.Items), pages+1, page.Next
				if token == "" {
					break
				}
			}
			require.Equal(b, 1440, points)
			figures := map[string]float64{"points": 1440, "blocks": float64(blocks), "pages": float64(pages)}
			for _, call := range meter.Calls() {
				require.Equal(b, "Query", call.Operation)
				figures["queries"]++
				figures["read-units"] += call.Units
			}
			bench.Report(b, figures)
		})
	}
}
