package dynamo_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/auditlog/sequence"
	"fitvault/shared/auditlog/sequence/sequencetest"
	"fitvault/shared/dynamo"
	"fitvault/shared/intake"
)

func TestChangesContract(t *testing.T) {
	tables := deployed(t)
	tables.Readings = own(t, tables.Client, "owner", "item")
	_, err := tables.Client.UpdateTable(t.Context(), &dynamodb.UpdateTableInput{TableName: aws.String(tables.Readings),
		StreamSpecification: &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeKeysOnly}})
	require.NoError(t, err)
	out, err := tables.Client.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String(tables.Readings)})
	require.NoError(t, err)
	changes := dynamo.Changes{Client: dynamodbstreams.NewFromConfig(stack.Open(t).AWS()), ARN: aws.ToString(out.Table.LatestStreamArn)}
	key := func(owner, item string) map[string]types.AttributeValue {
		return map[string]types.AttributeValue{"owner": &types.AttributeValueMemberS{Value: owner}, "item": &types.AttributeValueMemberS{Value: item}}
	}
	form := 0
	sequencetest.ChangesContract(t, changes, func(owner, item string) {
		form++
		put(t, tables, tables.Readings, map[string]any{"owner": owner, "item": item, "form": form})
	}, func(owner, item string) {
		_, err := tables.Client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String(tables.Readings), Key: key(owner, item)})
		require.NoError(t, err)
	})
}

func TestItemsContract(t *testing.T) {
	tables := deployed(t)
	n := 0
	sequencetest.ItemsContract(t, tables, func(key string) []string {
		m, items := manifest(key, n)
		n++
		_, err := dynamo.Manifests{Tables: tables, Now: time.Now}.Claim(t.Context(), m)
		require.NoError(t, err)
		return items
	})
}

// manifest is of readings, or every other one of a recording, with what it lets be stored.
func manifest(key string, n int) (intake.Manifest, []string) {
	m := intake.Manifest{Key: key, Body: []byte{1}, Expires: time.Now().Add(time.Hour)}
	if n%2 == 0 {
		m.Recording = &intake.Recording{ID: "r", Document: "d"}
		return m, []string{"recording#r"}
	}
	m.Blocks = []intake.Block{{Day: "2026-05-03", ID: "a"}, {Day: "2026-05-04", ID: "b"}}
	return m, []string{"2026-05-03#a", "2026-05-04#b"}
}

// script answers requests by their operation, each with its next answer, and keeps
// what was asked.
type script struct {
	answers map[string][]answer
	asked   []string
}

func (s *script) Do(r *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	s.asked = append(s.asked, operation+" "+string(bytes.TrimSpace(body)))
	if len(s.answers[operation]) == 0 {
		return nil, errors.New("nobody expects this")
	}
	a := s.answers[operation][0]
	if s.answers[operation] = s.answers[operation][1:]; len(s.answers[operation]) == 0 {
		s.answers[operation] = []answer{a}
	}
	return a.Do(r)
}

func streamed(answers map[string][]answer) (dynamo.Changes, *script) {
	s := &script{answers: answers}
	return dynamo.Changes{ARN: "arn", Client: dynamodbstreams.New(dynamodbstreams.Options{Region: "eu-central-1", HTTPClient: s, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("an id", "a secret of some length", "")})}, s
}

func ok(body string) answer { return answer{status: 200, body: body} }

// told is a record of the stream.
func told(event, number, keys string) string {
	return `{"eventName": "` + event + `", "dynamodb": {"SequenceNumber": "` + number + `", "ApproximateCreationDateTime": 1777872300, "Keys": ` + keys + `}}`
}

const (
	oneKey  = `{"owner": {"S": "ada"}, "item": {"S": "i"}}`
	missing = `{"__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", "message": "canary"}`
	trimmed = `{"__type": "com.amazonaws.dynamodb.v20120810#TrimmedDataAccessException", "message": "canary"}`
)

func TestShards(t *testing.T) {
	c, s := streamed(map[string][]answer{"DescribeStream": {
		ok(`{"StreamDescription": {"StreamStatus": "ENABLED", "Shards": [{"ShardId": "a", "SequenceNumberRange": {"StartingSequenceNumber": "1", "EndingSequenceNumber": "2"}}, {"ShardId": "b"}], "LastEvaluatedShardId": "b"}}`),
		ok(`{"StreamDescription": {"StreamStatus": "ENABLED", "Shards": [{"ShardId": "c", "SequenceNumberRange": {"StartingSequenceNumber": "3"}}]}}`)}})
	shards, err := c.Shards(t.Context())
	require.NoError(t, err)
	require.Equal(t, []sequence.Shard{{Name: "a", Closed: true}, {Name: "b"}, {Name: "c"}}, shards)
	require.Len(t, s.asked, 2)
	require.Contains(t, s.asked[1], `"ExclusiveStartShardId":"b"`)

	for body, want := range map[string]error{
		`{"StreamDescription": {"StreamStatus": "DISABLED", "Shards": [{"ShardId": "a"}]}}`: sequence.ErrNotFound,
		`{"StreamDescription": {"StreamStatus": "DISABLING"}}`:                              sequence.ErrNotFound,
		`{}`: nil,
	} {
		c, _ := streamed(map[string][]answer{"DescribeStream": {ok(body)}})
		_, err := c.Shards(t.Context())
		require.Error(t, err, body)
		require.Equal(t, want != nil, errors.Is(err, sequence.ErrNotFound), body)
	}
	c, _ = streamed(map[string][]answer{"DescribeStream": {{status: 400, body: missing}}})
	_, err = c.Shards(t.Context())
	require.Equal(t, sequence.ErrNotFound, err)
	c, _ = streamed(map[string][]answer{"DescribeStream": {{status: 400, body: throttled}}})
	_, err = c.Shards(t.Context())
	require.Error(t, err)
	require.NotErrorIs(t, err, sequence.ErrNotFound)
}

func TestSince(t *testing.T) {
	begun := []answer{ok(`{"ShardIterator": "one"}`)}
	page := func(next string, records ...string) answer {
		if next != "" {
			next = `, "NextShardIterator": "` + next + `"`
		}
		return ok(`{"Records": [` + strings.Join(records, ", ") + `]` + next + `}`)
	}
	open, closed := sequence.Shard{Name: "shard"}, sequence.Shard{Name: "shard", Closed: true}
	of := open
	since := func(position string, limit int, pages ...answer) (positions string, ended bool, s *script) {
		t.Helper()
		c, s := streamed(map[string][]answer{"GetShardIterator": begun, "GetRecords": pages})
		changes, ended, err := c.Since(t.Context(), of, position, limit)
		require.NoError(t, err)
		for _, change := range changes {
			positions += change.Position
		}
		return positions, ended, s
	}
	t.Run("what a record says", func(t *testing.T) {
		c, _ := streamed(map[string][]answer{"GetShardIterator": begun, "GetRecords": {page("", told("INSERT", "1", oneKey), told("MODIFY", "2", oneKey),
			told("REMOVE", "3", oneKey), told("INSERT", "4", `{"owner": {"N": "1"}}`))}})
		changes, ended, err := c.Since(t.Context(), closed, "", 10)
		require.NoError(t, err)
		require.True(t, ended)
		at := time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC)
		require.Equal(t, []sequence.Change{{Owner: "ada", Item: "i", Time: at, Stored: true, Position: "1"}, {Owner: "ada", Item: "i", Time: at, Position: "2"},
			{Owner: "ada", Item: "i", Time: at, Position: "3"}, {Time: at, Stored: true, Position: "4"}}, changes)
	})
	t.Run("from the beginning, and from a position", func(t *testing.T) {
		_, _, s := since("", 10, page(""))
		require.Contains(t, s.asked[0], `"ShardIteratorType":"TRIM_HORIZON"`)
		_, _, s = since("7", 10, page(""))
		require.Contains(t, s.asked[0], `"SequenceNumber":"7"`)
		require.Contains(t, s.asked[0], `"ShardIteratorType":"AFTER_SEQUENCE_NUMBER"`)
	})
	t.Run("empty answers among others", func(t *testing.T) {
		positions, ended, s := since("", 10, page("b"), page("c"), page("d"), page("e"), page("f", told("INSERT", "1", oneKey)), page("g"), page("h", told("INSERT", "2", oneKey)), page(""))
		require.Equal(t, "12", positions)
		require.True(t, ended)
		require.Contains(t, s.asked[len(s.asked)-1], `"ShardIterator":"h"`)
	})
	t.Run("an open shard", func(t *testing.T) {
		positions, ended, s := since("", 10, page("b", told("INSERT", "1", oneKey)), page("c"))
		require.Equal(t, "1", positions)
		require.False(t, ended)
		require.Len(t, s.asked, 7)
	})
	t.Run("a closed shard, to its end", func(t *testing.T) {
		of = closed
		defer func() { of = open }()
		positions, ended, _ := since("", 10, page("b"), page("c"), page("d"), page("e"), page("f"), page("g"), page("h", told("INSERT", "1", oneKey)), page(""))
		require.Equal(t, "1", positions)
		require.True(t, ended)
		_, ended, s := since("", 10, page("b"))
		require.False(t, ended)
		require.Len(t, s.asked, 1001)
	})
	t.Run("no more than asked for", func(t *testing.T) {
		positions, ended, s := since("", 2, page("b", told("INSERT", "1", oneKey)), page("c", told("INSERT", "2", oneKey)))
		require.Equal(t, "12", positions)
		require.False(t, ended)
		require.Contains(t, s.asked[1], `"Limit":2`)
		require.Contains(t, s.asked[2], `"Limit":1`)
		_, _, s = since("", 5000, page(""))
		require.Contains(t, s.asked[1], `"Limit":1000`)
	})
	for name, c := range map[string]struct {
		iterator, records answer
		gone              bool
	}{
		"a shard that is gone":     {iterator: answer{status: 400, body: missing}, gone: true},
		"a position that is gone":  {iterator: answer{status: 400, body: trimmed}, gone: true},
		"gone while it is read":    {iterator: begun[0], records: answer{status: 400, body: trimmed}, gone: true},
		"no iterator":              {iterator: answer{err: errors.New("no connection")}},
		"no records":               {iterator: begun[0], records: answer{status: 500, body: throttled}},
		"a record without a place": {iterator: begun[0], records: ok(`{"Records": [{"eventName": "INSERT", "dynamodb": {}}]}`)},
		"a record of nothing":      {iterator: begun[0], records: ok(`{"Records": [{}]}`)},
	} {
		t.Run(name, func(t *testing.T) {
			changes, _ := streamed(map[string][]answer{"GetShardIterator": {c.iterator}, "GetRecords": {c.records}})
			_, _, err := changes.Since(t.Context(), open, "7", 10)
			require.Error(t, err)
			require.Equal(t, c.gone, errors.Is(err, sequence.ErrNotFound))
		})
	}
}

// TestItems: it asks for the manifest alone, which is all that its role lets it see;
// one that is none lets nothing be stored.
func TestItems(t *testing.T) {
	encoded := func(n int) string {
		m, _ := manifest("k", n)
		b, err := json.Marshal(m)
		require.NoError(t, err)
		quoted, err := json.Marshal(string(b))
		require.NoError(t, err)
		return `{"Item": {"manifest": {"S": ` + string(quoted) + `}}}`
	}
	for body, want := range map[string]map[string][]string{
		encoded(0): {"k": {"recording#r"}},
		encoded(1): {"k": {"2026-05-03#a", "2026-05-04#b"}},
		`{"Item": {"manifest": {"S": "canary"}}}`: {},
		`{"Item": {"manifest": {"N": "1"}}}`:      {},
		`{}`:                                      {},
	} {
		s := &script{answers: map[string][]answer{"GetItem": {ok(body)}}}
		items, err := scripted(s).Items(t.Context(), []string{"k"})
		require.NoError(t, err)
		require.Equal(t, want, items, body)
		require.Contains(t, s.asked[0], `"ProjectionExpression":"#m"`)
		require.Contains(t, s.asked[0], `{"#m":"manifest"}`)
	}
	_, err := stubbed(answer{status: 400, body: throttled}).Items(t.Context(), []string{"k", "l"})
	require.Error(t, err)
}

func TestPlaces(t *testing.T) {
	s := &script{answers: map[string][]answer{"GetItem": {ok(`{"Item": {"shards": {"M": {"a": {"S": "1777872300 7"}, "b": {"S": "1777872300 "}, "c": {"S": "ended"}}}}}`), ok(`{}`), ok(`{"Item": {"shards": {"S": "x"}}}`), ok(`{"Item": {"shards": {"M": {"a": {"S": "7"}, "b": {"S": "canary"}}}}}`)}, "PutItem": {ok(`{}`)}}}
	state := dynamo.AuditState{Tables: scripted(s)}
	seen := time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC)
	want := map[string]sequence.Place{"a": {After: "7", Seen: seen}, "b": {Seen: seen}, "c": {Ended: true}}
	places, err := state.Places(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, places)
	places, err = state.Places(t.Context())
	require.NoError(t, err)
	require.Empty(t, places)
	for range 2 {
		_, err = state.Places(t.Context())
		require.Error(t, err, "of another shape")
	}
	require.NoError(t, state.Keep(t.Context(), want))
	for _, place := range []string{`"a":{"S":"1777872300 7"}`, `"b":{"S":"1777872300 "}`, `"c":{"S":"ended"}`} {
		require.Contains(t, s.asked[4], place)
	}
	down := dynamo.AuditState{Tables: stubbed(answer{status: 400, body: throttled})}
	_, err = down.Places(t.Context())
	require.Error(t, err)
	require.Error(t, down.Keep(t.Context(), want))
}

func scripted(s *script) dynamo.Tables {
	return dynamo.Tables{Requests: "requests", AuditState: "state", Keys: "keys", Client: dynamodb.New(dynamodb.Options{Region: "eu-central-1", HTTPClient: s, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("an id", "a secret of some length", "")})}
}
