// Package sentinel tests the sentinel on the deployed stack: attacks through the gateway
// are found by way of the stream, slow down who makes them, and stand in the log.
package sentinel

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/auditlog"
	"fitvault/shared/dynamo"
)

// factor is the deployment's, on a stack for tests (SentinelFactor, docs/local.md).
const factor = 20

// attack does something, two at a time, until limits refuse it, which they do by the
// sentinel's word only: those of the stack are higher. It returns how often it was let,
// and the wait. The gateway's own refusals, of a usage plan, ask for a second's patience.
func attack(t *testing.T, most int, step func() (stack.Answer, error)) (let, wait int) {
	t.Helper()
	var n, held atomic.Int64
	var group sync.WaitGroup
	until := time.Now().Add(8 * time.Minute)
	for range 2 {
		group.Go(func() {
			for held.Load() == 0 && time.Now().Before(until) {
				a, err := step()
				switch after, _ := strconv.ParseInt(a.Header.Get("Retry-After"), 10, 64); {
				case err != nil:
					t.Error(err)
					return
				case a.Status != http.StatusTooManyRequests:
					n.Add(1)
				case after > 10:
					held.Store(after)
				default:
					time.Sleep(50 * time.Millisecond)
				}
			}
		})
	}
	group.Wait()
	require.NotZero(t, held.Load(), "not found after %d", n.Load())
	require.GreaterOrEqual(t, int(n.Load()), most, "too early")
	t.Logf("held after %d, for %d s", n.Load(), held.Load())
	return int(n.Load()), int(held.Load())
}

// finding waits until a person's access log has a finding of a kind.
func finding(t *testing.T, s *stack.Stack, p *stack.Person, kind string) {
	t.Helper()
	s.TakeUntil(t, func() bool {
		a := p.Do(t, http.MethodGet, "/users/me/access-log", nil)
		require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
		var log struct {
			Items []struct {
				Event struct{ Function, Action, Kind, Outcome string }
			}
		}
		a.JSON(t, &log)
		found := 0
		for _, i := range log.Items {
			if i.Event.Action == "sentinel.find" && i.Event.Kind == kind {
				require.Equal(t, "sentinel alarm", i.Event.Function+" "+i.Event.Outcome)
				found++
			}
		}
		require.LessOrEqual(t, found, 1, "one finding is one event")
		return found == 1
	})
}

// TestGuesses: somebody tries codes of invitations.
func TestGuesses(t *testing.T) {
	s := stack.Open(t)
	guesser := s.Newcomer(t)
	var i atomic.Int64
	_, wait := attack(t, 8*factor, func() (stack.Answer, error) {
		return guesser.Try(t, http.MethodPost, fmt.Sprintf("/invitations/AAAAAAAAAAAAAAAAAAAAAA%022d/accept", i.Add(1)), []byte(`{}`), "Content-Type", "application/json")
	})
	require.InDelta(t, 300, wait, 60)
	other := guesser.By(t, "app") // the same person, another sign-in
	require.Equal(t, http.StatusOK, other.Do(t, http.MethodGet, "/users/me/consents", nil).Status, "his other devices go on")
	finding(t, s, other, "guesses")
}

// TestBulkReading: an app that a person let in reads all of it. A thousand requests: `make attack` only.
func TestBulkReading(t *testing.T) {
	if !stack.Whole {
		t.Skip("ATTACK=whole only")
	}
	s := stack.Open(t)
	owner := s.Newcomer(t)
	consent := owner.Do(t, http.MethodPut, "/users/me/consents/sharing", []byte(`{"version":"1","given":true}`), "Content-Type", "application/json")
	require.Equal(t, http.StatusOK, consent.Status, "%s", consent.Body)
	client := register(t, s)
	permit := `{"types":["omh:step-count"],"access":["read"],"purpose":"family","until":"` + time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339) + `"}`
	permitted := owner.Do(t, http.MethodPut, "/users/me/apps/"+client, []byte(permit), "Content-Type", "application/json")
	require.Equal(t, http.StatusOK, permitted.Status, "%s", permitted.Body)
	app := s.As(t, s.Clients["partner"].APIKey, map[string]any{"sub": owner.Subject(t), "client_id": client})
	attack(t, 50*factor, func() (stack.Answer, error) { return app.Try(t, http.MethodGet, "/users/me/readings", nil) })
	require.Equal(t, http.StatusOK, owner.Do(t, http.MethodGet, "/users/me/readings", nil).Status, "the owner goes on")
	finding(t, s, owner, "bulk-reading")
}

// TestGap: somebody takes events away before they are in the log. Whom it was about sees
// that, though not what they were.
func TestGap(t *testing.T) {
	s := stack.Open(t)
	owner := s.Newcomer(t)
	tables := dynamo.Tables{Client: dynamodb.NewFromConfig(s.AWS()), AuditEvents: s.Output(t, "AuditEventsTable")}
	for range factor {
		now := time.Now()
		id, err := auditlog.NewID(now, rand.Reader)
		require.NoError(t, err)
		require.NoError(t, tables.Write(t.Context(), auditlog.Event{ID: id, Time: now, Function: "readings", Action: "readings.read", Outcome: auditlog.Allowed, Owner: owner.ID}))
		_, err = tables.Client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String(tables.AuditEvents), Key: map[string]types.AttributeValue{
			"shard": &types.AttributeValueMemberS{Value: auditlog.Shard(id, now)}, "id": &types.AttributeValueMemberS{Value: id}}})
		require.NoError(t, err)
	}
	finding(t, s, owner, "log-gaps")
}

// register makes an app of others, with the API key of the client partner, which the gateway knows.
func register(t *testing.T, s *stack.Stack) string {
	t.Helper()
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	client, digest := strings.ToLower(rand.Text()), sha256.Sum256([]byte(s.Clients["partner"].APIKey))
	_, err := dynamodb.NewFromConfig(s.AWS()).PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(s.Output(t, "AccountsTable")),
		Item: map[string]types.AttributeValue{"id": text("app#" + client), "document": text("app"), "state": text("active"), "kind": text("third-party"),
			"scopes":   &types.AttributeValueMemberSS{Value: []string{"fitvault/readings.read"}},
			"api_keys": &types.AttributeValueMemberSS{Value: []string{hex.EncodeToString(digest[:])}}}})
	require.NoError(t, err)
	return client
}
