// Package retry sends the same batch many times at once through the deployed
// API: every record is stored exactly once, and every answer is the same.
package retry

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/openmhealth/generate"
	"fitvault/shared/reading"
)

const connections = 16

func TestSameBatchSixteenTimesAtOnce(t *testing.T) {
	s := stack.Open(t)
	p := s.Newcomer(t)
	rng := rand.New(rand.NewPCG(16, 0))
	sent, days := map[string]int{}, map[string]int{}
	rounds := 40
	if stack.Whole {
		rounds = 100
	}
	for round := range rounds {
		batch := generate.Batch(rng, 1+rng.IntN(4), p.ID)
		body := generate.JSON(batch)
		headers := []string{"Content-Type", "application/json"}
		if round%2 == 0 { // else the key is derived from the body
			headers = append(headers, "Idempotency-Key", "round "+strings.Repeat("x", round))
		}
		today := map[string]bool{}
		for _, point := range batch {
			r, err := reading.FromPoint(point)
			require.NoError(t, err)
			sent[r.Day()+r.ID] = 1 // the generator may use an id again: the same record, if it is on the same day
			today[r.Day()] = true
		}
		for day := range today {
			days[day]++
		}
		answers := make([]stack.Answer, connections)
		errs := make([]error, connections)
		var wait sync.WaitGroup
		for i := range connections {
			wait.Go(func() { answers[i], errs[i] = p.Try(t, http.MethodPost, "/users/me/readings", body, headers...) })
		}
		wait.Wait()
		for i, a := range answers {
			require.NoError(t, errs[i])
			require.Equal(t, http.StatusOK, a.Status, string(a.Body))
			require.Equal(t, string(answers[0].Body), string(a.Body))
		}
	}
	require.GreaterOrEqual(t, len(processes(t)), 2, "only one process has seen them")

	// Exactly the records that were sent, once.
	read := map[string]int{}
	token := ""
	for range 1000 {
		a := p.Do(t, http.MethodGet, "/users/me/readings?page_size=1000"+token, nil)
		require.Equal(t, http.StatusOK, a.Status, string(a.Body))
		var page struct {
			Items []json.RawMessage
			Next  string `json:"next_page_token"`
		}
		a.JSON(t, &page)
		for _, item := range page.Items {
			point, err := reading.Decode(jsontext.NewDecoder(bytes.NewReader(item)), 64)
			require.NoError(t, err)
			r, err := reading.FromPoint(point)
			require.NoError(t, err)
			read[r.Day()+r.ID]++
		}
		if page.Next == "" {
			break
		}
		token = "&page_token=" + page.Next
	}
	require.Equal(t, sent, read)
	// Exactly the manifests' blocks: one a day for each batch.
	require.Equal(t, days, blocks(t, s, p.ID))
}

func TestSameKeyAnotherBody(t *testing.T) {
	p := stack.Open(t).Newcomer(t)
	post := func(day, key string) stack.Answer {
		body := strings.ReplaceAll(`{"header":{"uuid":"3c1f8f0e-6f5b-4a55-9f0e-2f6f7a1f4f10","schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"},
			"source_creation_date_time":"DAY"},"body":{"heart_rate":{"value":71,"unit":"beats/min"},"effective_time_frame":{"date_time":"DAY"}}}`, "DAY", day)
		return p.Do(t, http.MethodPost, "/users/me/readings", []byte(body), "Content-Type", "application/json", "Idempotency-Key", key)
	}
	require.Equal(t, http.StatusOK, post("2026-05-04T07:25:00+02:00", "one").Status)
	require.Equal(t, http.StatusOK, post("2026-05-04T07:25:00+02:00", "one").Status)
	for _, other := range []string{"2026-05-04T07:25:01+02:00", "2026-06-04T07:25:00+02:00"} {
		a := post(other, "one")
		require.Equal(t, http.StatusUnprocessableEntity, a.Status)
		var problem struct{ Type string }
		a.JSON(t, &problem)
		require.Equal(t, "https://fitvault.example/problems/idempotency-key-reused", problem.Type)
	}
	require.Equal(t, http.StatusOK, post("2026-05-04T07:25:01+02:00", "two").Status)
}

func TestSameRecordingSixteenTimesAtOnce(t *testing.T) {
	p := stack.Open(t).Newcomer(t)
	document, err := os.ReadFile("../../testdata/tcx/saf-pool_swim-activity_1.tcx")
	require.NoError(t, err)
	answers := make([]stack.Answer, connections)
	errs := make([]error, connections)
	var wait sync.WaitGroup
	for i := range connections {
		wait.Go(func() {
			answers[i], errs[i] = p.Try(t, http.MethodPost, "/users/me/recordings", document, "Content-Type", "application/vnd.garmin.tcx+xml")
		})
	}
	wait.Wait()
	for i, a := range answers {
		require.NoError(t, errs[i])
		require.Equal(t, http.StatusCreated, a.Status, string(a.Body))
		require.True(t, bytes.Equal(answers[0].Body, a.Body))
	}
	a := p.Do(t, http.MethodGet, "/users/me/recordings", nil)
	var page struct{ Items []json.RawMessage }
	a.JSON(t, &page)
	require.Len(t, page.Items, 1)
}

// blocks counts an owner's blocks by day.
func blocks(t *testing.T, s *stack.Stack, owner string) map[string]int {
	t.Helper()
	days := map[string]int{}
	pages := dynamodb.NewQueryPaginator(dynamodb.NewFromConfig(s.AWS()), &dynamodb.QueryInput{
		TableName: aws.String(s.Output(t, "ReadingsTable")), ConsistentRead: aws.Bool(true),
		KeyConditionExpression: aws.String("#o = :o"), ExpressionAttributeNames: map[string]string{"#o": "owner"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":o": &types.AttributeValueMemberS{Value: owner}}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		for _, item := range page.Items {
			day, _, _ := strings.Cut(item["item"].(*types.AttributeValueMemberS).Value, "#")
			days[day]++
		}
	}
	return days
}

// processes returns the log of each process of ingest that has answered a
// request: the local AWS keeps one file for each.
func processes(t *testing.T) (logs []string) {
	t.Helper()
	files, err := filepath.Glob("../../.local/logs/functions/*.log")
	require.NoError(t, err)
	for _, f := range files {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		if bytes.Contains(text, []byte(`"function":"ingest"`)) {
			logs = append(logs, f)
		}
	}
	return logs
}
