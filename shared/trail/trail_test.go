package trail_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/auditlog/sequence"
	"fitvault/shared/auditlog/sequence/sequencetest"
	"fitvault/shared/trail"
)

const key = "arn:aws:kms:eu-central-1:111122223333:key/mrk-1"

// service answers as CloudTrail does, and keeps what it was asked.
type service struct {
	status int
	answer string
	asked  map[string]any
}

func (s *service) Do(r *http.Request) (*http.Response, error) {
	s.asked = nil
	if err := json.NewDecoder(r.Body).Decode(&s.asked); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: s.status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}}, Body: io.NopCloser(strings.NewReader(s.answer)), Request: r}, nil
}

func history(s *service, pause func(context.Context, time.Duration) error) trail.History {
	return trail.History{Key: key, Pause: pause, Client: cloudtrail.New(cloudtrail.Options{Region: "eu-central-1", HTTPClient: s, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("an id", "a secret of some length", "")})}
}

func TestPage(t *testing.T) {
	from := time.Date(2026, 5, 4, 5, 20, 0, 0, time.UTC)
	inner := `{"eventID":"a","eventSource":"kms.amazonaws.com","eventName":"Decrypt","eventTime":"2026-05-04T05:25:00Z"}`
	answer, err := json.Marshal(map[string]any{"NextToken": "more", "Events": []any{
		map[string]any{"EventId": "a", "EventTime": 1777872300, "CloudTrailEvent": inner},
		map[string]any{"EventId": "b", "EventTime": 1777872300, "CloudTrailEvent": "canary"},
	}})
	require.NoError(t, err)
	s := &service{status: http.StatusOK, answer: string(answer)}
	var paused time.Duration
	h := history(s, func(_ context.Context, d time.Duration) error {
		paused += d
		return nil
	})
	uses, next, err := h.Page(t.Context(), from, from.Add(10*time.Minute), "")
	require.NoError(t, err)
	require.Equal(t, "more", next)
	require.Equal(t, []sequence.Use{{ID: "a", Time: from.Add(5 * time.Minute), Operation: "Decrypt"}, {ID: "b", Time: from.Add(5 * time.Minute), Strange: true}}, uses)
	require.Equal(t, map[string]any{"MaxResults": 50., "StartTime": float64(from.Unix()), "EndTime": float64(from.Unix() + 599),
		"LookupAttributes": []any{map[string]any{"AttributeKey": "ResourceName", "AttributeValue": key}}}, s.asked)
	require.GreaterOrEqual(t, paused, 500*time.Millisecond, "two a second may be asked for")

	s.answer = `{}`
	uses, next, err = h.Page(t.Context(), from, from.Add(10*time.Minute), "more")
	require.NoError(t, err)
	require.Empty(t, next)
	require.Empty(t, uses)
	require.Equal(t, "more", s.asked["NextToken"])

	s.status, s.answer = http.StatusBadRequest, `{"__type":"ThrottlingException","message":"canary"}`
	_, _, err = h.Page(t.Context(), from, from.Add(10*time.Minute), "")
	require.Error(t, err)

	ended := errors.New("no time left")
	_, _, err = history(s, func(context.Context, time.Duration) error { return ended }).Page(t.Context(), from, from.Add(time.Minute), "")
	require.ErrorIs(t, err, ended)
}

// TestUsesContract uses a key of its own on the local stack.
func TestUsesContract(t *testing.T) {
	config := stack.Open(t).AWS()
	client := kms.NewFromConfig(config)
	made, err := client.CreateKey(t.Context(), &kms.CreateKeyInput{})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := client.ScheduleKeyDeletion(context.Background(), &kms.ScheduleKeyDeletionInput{KeyId: made.KeyMetadata.KeyId, PendingWindowInDays: aws.Int32(7)})
		require.NoError(t, err)
	})
	h := trail.History{Client: cloudtrail.NewFromConfig(config), Key: aws.ToString(made.KeyMetadata.Arn), Pause: func(context.Context, time.Duration) error { return nil }}
	sequencetest.UsesContract(t, h, func(times int) (keys []string) {
		for n := range times {
			keys = append(keys, fmt.Sprint("key-", n))
			_, err := client.GenerateDataKeyWithoutPlaintext(t.Context(), &kms.GenerateDataKeyWithoutPlaintextInput{KeyId: made.KeyMetadata.Arn, KeySpec: types.DataKeySpecAes256,
				EncryptionContext: map[string]string{"deployment": "test", "key": keys[n], "purpose": "data"}})
			require.NoError(t, err)
		}
		return keys
	})
}
