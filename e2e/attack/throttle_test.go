package attack

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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
	"fitvault/shared/fault"
)

// The plan of the app that bursts, and how it does: each of so many at once.
const (
	ratePerSecond = 1
	burst         = 10
	bursters      = 16
	maxEach       = 1000 // requests
)

// TestThrottle: an app that goes beyond its usage plan gets 429 and is told when
// to come back; another app notices nothing.
func TestThrottle(t *testing.T) {
	s := stack.Open(t)
	other := s.Newcomer(t)
	client, key := "attack"+strings.ToLower(rand.Text()), rand.Text()+rand.Text()
	bursting := s.As(t, key, map[string]any{"sub": rand.Text(), "client_id": client}) // nobody's session but its own
	letIn(t, s, client, key)

	began := time.Now()
	var done atomic.Bool
	answers, errs := make([][]stack.Answer, bursters), make([]error, bursters)
	var wait sync.WaitGroup
	for i := range bursters {
		wait.Go(func() {
			for n := 0; n < maxEach && errs[i] == nil && (n == 0 || !done.Load()); n++ {
				var a stack.Answer
				a, errs[i] = bursting.Try(t, http.MethodGet, "/users/me/consents/collection", nil)
				answers[i] = append(answers[i], a)
			}
		})
	}
	var others []stack.Answer
	for range size(10, 100) {
		a, err := other.Try(t, http.MethodGet, "/users/me/consents/collection", nil)
		require.NoError(t, err)
		others = append(others, a)
	}
	done.Store(true)
	wait.Wait()
	plan := burst + 1 + int(time.Since(began).Seconds()*ratePerSecond)

	passed, throttled := 0, 0
	for i := range answers {
		require.NoError(t, errs[i])
		for _, a := range answers[i] {
			if a.Status == http.StatusOK {
				passed++
				continue
			}
			throttled++
			a.RequireProblem(t, fault.TooMany, client, key)
			after, err := strconv.Atoi(a.Header.Get("Retry-After"))
			require.NoError(t, err)
			require.Positive(t, after)
		}
	}
	t.Logf("%d passed, %d were throttled, while %d of another app were answered", passed, throttled, len(others))
	require.Positive(t, passed)
	require.LessOrEqual(t, passed, plan)
	require.Positive(t, throttled)
	for _, a := range others {
		require.Equal(t, http.StatusOK, a.Status, "another app")
	}
}

// letIn makes an app with a small usage plan of its own, as `make deploy-app`
// makes one with a plan of the template, and takes it away in the end.
func letIn(t *testing.T, s *stack.Stack, client, key string) {
	t.Helper()
	make := func(path string, in any) (id string) {
		body, err := json.Marshal(in)
		require.NoError(t, err)
		_, answer := s.Request(t, http.MethodPost, "apigateway", path, "", body)
		var made struct{ ID string }
		require.NoError(t, json.Unmarshal(answer, &made), "%s", answer)
		return made.ID
	}
	type members = map[string]any
	keyID := make("/apikeys", members{"name": client, "value": key, "enabled": true})
	t.Cleanup(func() { s.Request(t, http.MethodDelete, "apigateway", "/apikeys/"+keyID, "", nil) })
	plan := make("/usageplans", members{"name": client, "apiStages": []members{{"apiId": s.Output(t, "ApiId"), "stage": "v1"}},
		"throttle": members{"rateLimit": ratePerSecond, "burstLimit": burst}})
	t.Cleanup(func() { s.Request(t, http.MethodDelete, "apigateway", "/usageplans/"+plan, "", nil) })
	make("/usageplans/"+plan+"/keys", members{"keyId": keyID, "keyType": "API_KEY"})

	db, table := dynamodb.NewFromConfig(s.AWS()), aws.String(s.Output(t, "AccountsTable"))
	digest := sha256.Sum256([]byte(key))
	text := func(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }
	name := map[string]types.AttributeValue{"id": text("app#" + client), "document": text("app")}
	_, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: table, Item: map[string]types.AttributeValue{
		"id": name["id"], "document": name["document"], "state": text("active"), "kind": text("own"),
		"scopes":   &types.AttributeValueMemberSS{Value: []string{"fitvault/sharing.manage"}},
		"api_keys": &types.AttributeValueMemberSS{Value: []string{hex.EncodeToString(digest[:])}}}})
	require.NoError(t, err)
}
