package auditlog

import (
	"crypto/rand"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/auditlog/sequence"
)

// TestDataWithoutEvent: whoever can write Readings puts something in. No event tells of
// it, so the reconciler does, and of nothing that was sent.
func TestDataWithoutEvent(t *testing.T) {
	if !stack.Whole {
		t.Skip("it takes too long for make test, whose unit tests plant pieces in every way: make attack")
	}
	s := stack.Open(t)
	began := time.Now().Add(-time.Second)
	client, table := dynamodb.NewFromConfig(s.AWS()), aws.String(s.Output(t, "ReadingsTable"))
	text := func(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }
	id := func() string { return strings.ToLower(rand.Text()[:25]) + "a" } // of the form of a user's, and of nobody's

	owner := s.Newcomer(t)
	answer := owner.Do(t, http.MethodPost, "/users/me/readings", []byte(`{"header":{"uuid":"00000000-0000-4000-8000-000000000001",
		"schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"},"source_creation_date_time":"2026-05-04T12:00:00Z"},
		"body":{"heart_rate":{"value":60,"unit":"beats/min"},"effective_time_frame":{"date_time":"2026-05-04T10:00:00Z"}}}`), "Content-Type", "application/json")
	require.Equal(t, http.StatusOK, answer.Status, "%s", answer.Body)
	require.Len(t, s.Items(t, *table, "owner", owner.ID), 1)

	planted := map[string]bool{}
	for until := time.Now().Add(5 * time.Minute); ; {
		require.True(t, time.Now().Before(until), "not found within five minutes")
		// Of many findings at once only some are named, and other tests plant too: so one more.
		victim, item := id(), "2026-05-04#"+id()
		planted[victim+" "+item] = true
		_, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: table, Item: map[string]types.AttributeValue{
			"owner": text(victim), "item": text(item), "sealed": &types.AttributeValueMemberB{Value: []byte("not sealed")}, "arrived": &types.AttributeValueMemberN{Value: "1"}}})
		require.NoError(t, err)
		s.Reconcile(t)
		events, err := s.EventsSince(t.Context(), began)
		require.NoError(t, err)
		found := false
		for _, e := range events {
			if e.Kind == sequence.DataUnlogged {
				require.NotEqual(t, owner.ID, e.Owner, "what was sent has its event")
				found = found || planted[e.Owner+" "+e.About]
			}
		}
		if found {
			return
		}
	}
}
