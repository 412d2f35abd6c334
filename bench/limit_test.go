package bench

import (
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/dynamo"
	"fitvault/shared/limit"
)

// dated is a DynamoDB that lives in the time of the benchmark.
type dated struct {
	next aws.HTTPClient
	now  func() time.Time
}

func (d dated) Do(r *http.Request) (*http.Response, error) {
	answer, err := d.next.Do(r)
	if err == nil {
		answer.Header.Set("Date", d.now().Format(http.TimeFormat))
	}
	return answer, err
}

// BenchmarkLimiter: write units that the limiter takes a request, on the local stack's
// table, by 8 containers that get requests as they come. "synced" is people whose two
// devices send three requests one after the other now and then; "eager" is one who
// asks twice as often as he may, and does not wait.
func BenchmarkLimiter(b *testing.B) {
	s := stack.Open(b)
	for _, test := range []struct {
		name           string
		people, rounds int
		pause          time.Duration // between a person's rounds of three requests
	}{
		{"synced", 20, 5, 15 * time.Minute},
		{"eager", 1, 400, 300 * time.Millisecond},
	} {
		b.Run(test.name, func(b *testing.B) {
			var meter Meter
			now := noon
			own := func() time.Time { return now }
			config := s.AWS()
			config.HTTPClient = dated{config.HTTPClient, own}
			client := meter.Client(config)
			containers := make([]*dynamo.Limiter, 8)
			for i := range containers {
				clock := &dynamo.Clock{Own: own}
				tables := dynamo.Tables{Client: dynamodb.New(client.Options(), clock.Listen), Requests: s.Output(b, "RequestsTable")}
				containers[i] = &dynamo.Limiter{Tables: tables, Clock: clock}
			}
			random := mathrand.New(mathrand.NewPCG(1, 2)) //nolint:gosec // the same run each time
			requests, admitted, run := 0, 0, rand.Text()
			for range test.rounds {
				for person := range test.people {
					device := fmt.Sprint("device-", random.IntN(2))
					for range 3 {
						now = now.Add(50 * time.Millisecond)
						v, err := containers[random.IntN(len(containers))].Take(b.Context(), limit.Charge{Key: fmt.Sprint(run, person), Cost: 1,
							Lines: []limit.Line{{Name: "user", ID: "user", Rate: 300}, {Name: "device", ID: device, Rate: 60}}})
						require.NoError(b, err)
						if requests++; v.Admitted {
							admitted++
						}
					}
				}
				now = now.Add(test.pause)
			}
			units := 0.0
			for _, call := range meter.Calls() {
				if call.Operation == "UpdateItem" {
					units += call.Units
				}
			}
			Report(b, map[string]float64{"units": units / float64(requests), "admitted": float64(admitted) / float64(requests)})
		})
	}
}
