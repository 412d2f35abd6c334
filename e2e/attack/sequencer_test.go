package attack

import (
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/attack/bootstrap"
	"fitvault/e2e/stack"
	"fitvault/shared/auditlog"
	"fitvault/shared/auditlog/verify"
	"fitvault/shared/dynamo"
)

// TestSequencersKilled: two of the deployed sequencers at once, beside the schedule's,
// each killed (-9) again and again before or after a write of its, while events are
// stored: none is lost, none is twice in the log, and every checkpoint that was ever
// seen is of the one tree that a copy of the bucket verifies as.
func TestSequencersKilled(t *testing.T) {
	if !whole {
		t.Skip("it takes too long for make test, which kills sequencers in the process at each write: make attack")
	}
	s := stack.Open(t)
	table := dynamo.Tables{Client: dynamodb.NewFromConfig(s.AWS()), AuditEvents: s.Output(t, "AuditEventsTable")}
	code := bootstrap.Deployed(t, s, s.Output(t, "SequencerFunction"))
	log := s.LogVerifier(t)

	const events = 10_000
	stored := make([]string, events) // ids
	var count atomic.Int64
	var all sync.WaitGroup
	const writers = 4
	for w := range writers {
		all.Go(func() {
			for n := w; n < events; n += writers {
				now := time.Now()
				id, err := auditlog.NewID(now, rand.Reader)
				if err == nil {
					err = table.Write(t.Context(), auditlog.Event{ID: id, Time: now, Request: newUUID(30, n), Function: "attack", Action: "readings.read",
						Caller: fmt.Sprint("nobody-", n%10), Client: "attack", Outcome: auditlog.Allowed})
				}
				if err != nil {
					t.Error("an event could not be stored")
					return
				}
				stored[n] = id
				count.Add(1)
			}
		})
	}
	var kills atomic.Int64
	var mu sync.Mutex
	var kept []verify.Kept
	for range 2 {
		all.Go(func() {
			m := newMortal(t, s)
			for done := false; !done && !t.Failed(); {
				done = int(count.Load()) == events
				p, err := code.Start(t, m.URL)
				if err != nil {
					t.Error("a sequencer does not start")
					return
				}
				m.aim(p, boundary{write: mathrand.IntN(40), after: mathrand.IntN(2) == 0}) //nolint:gosec // no secret
				if _, err := p.InvokeRaw([]byte(`{"task":"take"}`), 4*time.Minute); errors.Is(err, bootstrap.ErrEnded) {
					kills.Add(1)
				}
				m.aim(nil, boundary{})
				p.Kill()
				signed, err := s.Checkpoint(t.Context())
				if err != nil {
					t.Error("there is no checkpoint")
					return
				}
				mu.Lock()
				kept = append(kept, verify.Kept{Name: fmt.Sprint("seen ", len(kept)), Signed: signed})
				mu.Unlock()
			}
		})
	}
	all.Wait()
	require.False(t, t.Failed())
	require.Positive(t, kills.Load())

	mark := func(id string) string {
		at, _ := auditlog.TimeOf(id)
		out, err := table.Client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(table.AuditEvents), ConsistentRead: aws.Bool(true),
			Key: map[string]types.AttributeValue{"shard": &types.AttributeValueMemberS{Value: auditlog.Shard(id, at)}, "id": &types.AttributeValueMemberS{Value: id}}})
		require.NoError(t, err)
		leaf, ok := out.Item["leaf"].(*types.AttributeValueMemberN)
		if !ok {
			return ""
		}
		return leaf.Value
	}
	p, err := code.Start(t, s.Endpoints.AWS)
	require.NoError(t, err)
	defer p.Kill()
	leaves := map[string]bool{}
	for until := time.Now().Add(4 * time.Minute); len(leaves) < events; {
		answer, err := p.InvokeRaw([]byte(`{"task":"take"}`), 4*time.Minute)
		require.NoError(t, err, "%s: %s", answer, p.Output())
		clear(leaves)
		for _, id := range stored {
			if leaf := mark(id); leaf != "" {
				require.False(t, leaves[leaf], "one leaf for two events")
				leaves[leaf] = true
			}
		}
		require.True(t, len(leaves) == events || time.Now().Before(until), "%d of %d events are in the log", len(leaves), events)
	}

	report, err := verify.Log(os.DirFS(s.CopyLog(t)), log, kept...)
	require.NoError(t, err)
	for _, f := range report.Findings {
		require.Equal(t, "is beyond the newest checkpoint", f.What, "%s", f)
	}
	t.Logf("%d events, %d kills, %d checkpoints seen", events, kills.Load(), len(kept))
}
