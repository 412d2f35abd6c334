package dynamo_test

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	"fitvault/shared/auditlog"
	"fitvault/shared/auditlog/auditlogtest"
	"fitvault/shared/auditlog/sequence"
	"fitvault/shared/auditlog/sequence/sequencetest"
	"fitvault/shared/dynamo"
)

// own makes a table of a test's own, like one of template.yaml: the deployed log
// has one head, which is no test's.
func own(t *testing.T, client *dynamodb.Client, hash, key string) string {
	t.Helper()
	name := "test-" + strings.ToLower(rand.Text())
	_, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{TableName: aws.String(name), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String(hash), AttributeType: "S"}, {AttributeName: aws.String(key), AttributeType: "S"}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String(hash), KeyType: "HASH"}, {AttributeName: aws.String(key), KeyType: "RANGE"}}})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := client.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: aws.String(name)})
		require.NoError(t, err)
	})
	return name
}

func TestAuditStateContract(t *testing.T) {
	tables := deployed(t)
	tables.AuditState = own(t, tables.Client, "id", "document")
	state := dynamo.AuditState{Tables: tables}
	sequencetest.HeadsContract(t, state)
	sequencetest.SubjectsContract(t, state)
	sequencetest.PlacesContract(t, state)
	sequencetest.ComparedContract(t, state)
}

func TestKeyIDsContract(t *testing.T) {
	tables := deployed(t)
	tables.Keys = own(t, tables.Client, "owner", "key")
	sequencetest.OwnersContract(t, tables, func(owner, id string) {
		put(t, tables, tables.Keys, map[string]any{"owner": owner, "key": id, "wrapped": "canary"})
	})
}

// TestKeyIDs: it asks for names alone, which is all that its role lets it see.
func TestKeyIDs(t *testing.T) {
	s := &script{answers: map[string][]answer{"Query": {
		ok(`{"Items": [{"owner": {"S": "o"}, "key": {"S": "a"}}], "LastEvaluatedKey": {"owner": {"S": "o"}, "key": {"S": "a"}}}`),
		ok(`{"Items": [{"owner": {"S": "o"}, "key": {"S": "b"}}]}`),
	}}}
	found, err := scripted(s).KeyIDs(t.Context(), []string{"o"})
	require.NoError(t, err)
	require.Equal(t, map[string][]string{"o": {"a", "b"}}, found)
	require.Contains(t, s.asked[0], `"ProjectionExpression":"#o, #k"`)
	require.Contains(t, s.asked[0], `"Select":"SPECIFIC_ATTRIBUTES"`)
	_, err = stubbed(answer{status: 400, body: throttled}).KeyIDs(t.Context(), []string{"o", "p"})
	require.Error(t, err)
}

func TestCompared(t *testing.T) {
	s := &script{answers: map[string][]answer{"GetItem": {ok(`{"Item": {"compared": {"N": "1777872300"}}}`), ok(`{}`), ok(`{"Item": {"compared": {"S": "canary"}}}`)}, "PutItem": {ok(`{}`)}}}
	state, at := dynamo.AuditState{Tables: scripted(s)}, time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC)
	upTo, err := state.Compared(t.Context())
	require.NoError(t, err)
	require.Equal(t, at, upTo)
	upTo, err = state.Compared(t.Context())
	require.NoError(t, err)
	require.Zero(t, upTo)
	_, err = state.Compared(t.Context())
	require.Error(t, err, "of another shape")
	require.NoError(t, state.KeepCompared(t.Context(), at))
	require.Contains(t, s.asked[3], `"compared":{"N":"1777872300"}`)
	down := dynamo.AuditState{Tables: stubbed(answer{status: 400, body: throttled})}
	_, err = down.Compared(t.Context())
	require.Error(t, err)
	require.Error(t, down.KeepCompared(t.Context(), at))
}

func TestStoredEventsContract(t *testing.T) {
	tables := deployed(t)
	tables.AuditEvents = own(t, tables.Client, "shard", "id")
	stored := dynamo.StoredEvents{Tables: tables, Now: time.Now}
	sequencetest.EventsContract(t, stored, tables)

	t.Run("what is no event", func(t *testing.T) {
		e := auditlogtest.Event(t)
		for name, item := range map[string]map[string]any{
			"one of another form":      {"shard": auditlog.Shard(e.ID, e.Time), "id": e.ID},
			"one in another's place":   {"shard": auditlog.Shard(e.ID, e.Time.Add(-24*time.Hour)), "id": e.ID, "outcome": "allowed"},
			"one of no known encoding": {"shard": auditlog.Shard(e.ID, e.Time), "id": e.ID, "event": "canary"},
		} {
			put(t, tables, tables.AuditEvents, item)
			var all []sequence.Stored
			for s, err := range stored.Between(t.Context(), e.Time, e.Time.Add(time.Millisecond)) {
				require.NoError(t, err)
				all = append(all, s)
			}
			if strings.Contains(name, "place") { // of another day's partition nothing is looked for
				continue
			}
			require.Len(t, all, 1, name)
			require.True(t, all[0].Strange, name)
			require.Equal(t, [2]string{e.ID, sequence.EventAltered}, [2]string{all[0].Event.ID, all[0].Event.Kind})
		}
	})
	t.Run("an item without room for a mark", func(t *testing.T) {
		e := auditlogtest.Event(t)
		key := sequence.Key{Shard: auditlog.Shard(e.ID, e.Time), ID: e.ID}
		put(t, tables, tables.AuditEvents, map[string]any{"shard": key.Shard, "id": key.ID, "outcome": "allowed", "junk": strings.Repeat("x", 409_500)})
		mark := sequence.Mark{Key: key, Index: 1, Mac: make([]byte, 32)}
		require.NoError(t, stored.Mark(t.Context(), []sequence.Mark{mark}))
		for s, err := range stored.Between(t.Context(), e.Time, e.Time.Add(time.Millisecond)) {
			require.NoError(t, err)
			if s.ID == e.ID { // others are of the same time
				require.Equal(t, &mark, s.Mark)
				require.True(t, s.Strange, "nothing but the mark is kept")
			}
		}
	})
}
