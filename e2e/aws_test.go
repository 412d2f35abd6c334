package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/auditlog"
)

// request signs and sends one request to the local AWS as the operator: for the
// services whose client is no dependency of fitvault. It serves cleaning up, too.
func request(t testing.TB, s *stack.Stack, method, service, path, target string, body []byte) (http.Header, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, s.Endpoints.AWS+path, bytes.NewReader(body))
	require.NoError(t, err)
	if target != "" {
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("X-Amz-Target", target)
	}
	operator, err := s.AWS().Credentials.Retrieve(t.Context())
	require.NoError(t, err)
	digest := sha256.Sum256(body)
	require.NoError(t, v4.NewSigner().SignHTTP(t.Context(), operator, r, hex.EncodeToString(digest[:]), service, s.Region, time.Now()))
	response, err := s.Client().Do(r)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Less(t, response.StatusCode, 300, "%s %s%s: %s", method, service, path, answer)
	return response.Header, answer
}

// operation is request for the services that speak JSON by X-Amz-Target.
func operation[Out any](t testing.TB, s *stack.Stack, service, target string, in any) (out Out) {
	t.Helper()
	body, err := json.Marshal(in)
	require.NoError(t, err)
	_, answer := request(t, s, http.MethodPost, service, "/", target, body)
	if len(answer) > 0 {
		require.NoError(t, json.Unmarshal(answer, &out))
	}
	return out
}

// items is all items of a table, or of one partition where key is not "".
func items(t testing.TB, s *stack.Stack, table, key, value string) []map[string]types.AttributeValue {
	t.Helper()
	client := dynamodb.NewFromConfig(s.AWS())
	in := &dynamodb.ScanInput{TableName: aws.String(table), ConsistentRead: aws.Bool(true)}
	if key != "" {
		in.FilterExpression = aws.String("#k = :v")
		in.ExpressionAttributeNames = map[string]string{"#k": key}
		in.ExpressionAttributeValues = map[string]types.AttributeValue{":v": &types.AttributeValueMemberS{Value: value}}
	}
	var all []map[string]types.AttributeValue
	for pages := dynamodb.NewScanPaginator(client, in); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		all = append(all, page.Items...)
	}
	return all
}

// event is an audit event as the table holds it.
type event struct {
	ID                                                        string
	Time                                                      time.Time
	Request, Function, Action, Caller, Client, Owner, Outcome string
	Kind                                                      string
	Reasons                                                   []string
	Records                                                   int
	Manifest, Recording                                       string
	Consent                                                   *auditlog.Consent
}

// leastBits makes the least id of a time.
type leastBits struct{}

func (leastBits) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// eventsSince is the audit events since a time by request id, each list in order.
func eventsSince(t testing.TB, s *stack.Stack, began time.Time) map[string][]event {
	t.Helper()
	least, err := auditlog.NewID(began, leastBits{})
	require.NoError(t, err)
	found := map[string][]event{}
	pages := dynamodb.NewScanPaginator(dynamodb.NewFromConfig(s.AWS()), &dynamodb.ScanInput{
		TableName: aws.String(s.Output(t, "AuditEventsTable")), ConsistentRead: aws.Bool(true),
		FilterExpression: aws.String("#i >= :least"), ExpressionAttributeNames: map[string]string{"#i": "id"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":least": &types.AttributeValueMemberS{Value: least}}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		for _, i := range page.Items {
			var e event
			require.NoError(t, json.Unmarshal([]byte(i["event"].(*types.AttributeValueMemberS).Value), &e))
			found[e.Request] = append(found[e.Request], e)
		}
	}
	for _, list := range found {
		slices.SortFunc(list, func(a, b event) int { return bytes.Compare([]byte(a.ID), []byte(b.ID)) })
	}
	return found
}
