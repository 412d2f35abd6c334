package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	mathrand "math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/dynamo"
	"fitvault/shared/keyring"
	"fitvault/shared/kmskeys"
	"fitvault/shared/postgres"
	"fitvault/shared/stream"
)

// deployed is a projector on the local stack's DynamoDB, KMS and PostgreSQL, beside
// the one that is deployed there and does the same work at the same time.
func deployed(t *testing.T, s *stack.Stack) *projector {
	tables := dynamo.Tables{Client: dynamodb.NewFromConfig(s.AWS()), Accounts: s.Output(t, "AccountsTable"), Keys: s.Output(t, "KeysTable"),
		Readings: s.Output(t, "ReadingsTable"), AuditEvents: s.Output(t, "AuditEventsTable")}
	wrapping := kmskeys.Keys{Client: kms.NewFromConfig(s.AWS()), ARNs: map[string]string{keyring.PurposeData: s.Output(t, "DataKey"),
		keyring.PurposeWriter: s.Output(t, "WriterKey"), keyring.PurposeEnrolment: s.Output(t, "EnrolmentKey")}}
	verify, err := wrapping.PublicKey(t.Context(), keyring.PurposeEnrolment)
	require.NoError(t, err)
	db, err := postgres.Open(s.DatabaseConfig(t, "fitvault_project"))
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return &projector{deployment: "fitvault", accounts: tables, blocks: tables, parts: db, failures: &bucket{},
		keys: func() keys {
			return &keyring.Ring{Deployment: "fitvault", Store: tables, KMS: wrapping, Verify: verify, Hold: time.Hour, Now: time.Now}
		},
		audit: tables, log: slog.New(slog.DiscardHandler), now: time.Now, rand: rand.Reader}
}

const (
	deliveries = 10_000
	people     = 4
	workers    = 4
	batchSize  = 250
)

// TestDeliveries: 10,000 records, duplicated and out of order, by several workers
// and the deployed function at once, while more readings come in: in the end each
// day is what the readings themselves give.
func TestDeliveries(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	s := stack.Open(t)
	rng := mathrand.New(mathrand.NewPCG(10, 4))
	var owners []*stack.Person
	want := map[string]map[string]string{} // owner → day → count and sum
	counts, sums := map[string]int{}, map[string]int{}
	var records []string
	send := func(p *stack.Person, n int) {
		var points []string
		for range n {
			at := time.Date(2026, 5, 1+rng.IntN(5), rng.IntN(24), rng.IntN(60), 0, 0, time.FixedZone("", 2*3600))
			value := 40 + rng.IntN(100)
			day := p.ID + " " + at.Format(time.DateOnly)
			counts[day], sums[day] = counts[day]+1, sums[day]+value
			points = append(points, point(rand.Text(), at.Format(time.RFC3339), fmt.Sprint(value)))
			records = append(records, record(0, p.ID, at.UTC().Format(time.DateOnly)+"#x"))
		}
		a, err := p.Try(t, http.MethodPost, "/users/me/readings", []byte("["+strings.Join(points, ",")+"]"), "Content-Type", "application/json")
		if err != nil || a.Status != http.StatusOK {
			t.Error("readings were not taken in: ", a.Status, err)
		}
	}
	p := deployed(t, s)
	aside := p.failures.(*bucket)
	for range people {
		owners = append(owners, s.Newcomer(t))
		send(owners[len(owners)-1], 40)
	}
	known := append([]string{}, records...)
	var todo atomic.Int64
	var again atomic.Int64
	todo.Store(deliveries)
	var all sync.WaitGroup
	for worker := range workers {
		rng := mathrand.New(mathrand.NewPCG(uint64(worker), 11))
		all.Go(func() {
			for todo.Add(-batchSize) >= 0 {
				var batch []string
				for i := range batchSize {
					r := known[rng.IntN(len(known))]
					batch = append(batch, strings.Replace(r, `"SequenceNumber":"0"`, fmt.Sprintf(`"SequenceNumber":"%d"`, 1000+i), 1))
				}
				answer, err := p.handle(t.Context(), event(batch...))
				if err != nil {
					t.Error(err)
					return
				}
				again.Add(int64(len(answer.(stream.Answer).Failures)))
			}
		})
	}
	for range 10 { // meanwhile
		send(owners[rng.IntN(people)], 10)
	}
	all.Wait()
	t.Logf("%d deliveries, %d of them to be tried again", deliveries, again.Load())
	// The deployed function alone would make the days right, too.
	require.Empty(t, aside.objects)
	require.Less(t, again.Load(), int64(deliveries))

	for day, n := range counts {
		id, date, _ := strings.Cut(day, " ")
		if want[id] == nil {
			want[id] = map[string]string{}
		}
		want[id][date] = fmt.Sprint(n, " ", sums[day])
	}
	for _, owner := range owners {
		deadline := time.Now().Add(2 * time.Minute) // the stream tells the deployed function of the last readings
		for {
			a := owner.Do(t, http.MethodGet, "/users/me/days?from=2026-04-29&to=2026-05-09", nil)
			require.Equal(t, http.StatusOK, a.Status, string(a.Body))
			var page struct {
				Items []struct {
					Day   string
					Count int
					Sum   json.Number
				}
			}
			a.JSON(t, &page)
			got := map[string]string{}
			for _, i := range page.Items {
				got[i.Day] = fmt.Sprint(i.Count, " ", i.Sum)
			}
			if maps.Equal(want[owner.ID], got) {
				break
			}
			if time.Now().After(deadline) {
				require.Equal(t, want[owner.ID], got)
			}
			time.Sleep(time.Second / 2)
		}
	}
}
