package e2e

import (
	"bytes"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/auditlog"
	"fitvault/shared/dynamo"
)

// request, operation and the like are stack's, under the short names that
// these tests use.
func request(t testing.TB, s *stack.Stack, method, service, path, target string, body []byte) (http.Header, []byte) {
	t.Helper()
	return s.Request(t, method, service, path, target, body)
}

func operation[Out any](t testing.TB, s *stack.Stack, service, target string, in any) Out {
	t.Helper()
	return stack.Operation[Out](t, s, service, target, in)
}

func bucketsOf(s *stack.Stack) *s3.Client { return s.Buckets() }

func invoke(t testing.TB, s *stack.Stack, function string, e events.APIGatewayProxyRequest) stack.Answer {
	t.Helper()
	return s.Invoke(t, function, e)
}

// event is an audit event as the table holds it.
type event = auditlog.Event

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
			e, err := dynamo.DecodeEvent(i)
			require.NoError(t, err)
			found[e.Request] = append(found[e.Request], e)
		}
	}
	for _, list := range found {
		slices.SortFunc(list, func(a, b event) int { return bytes.Compare([]byte(a.ID), []byte(b.ID)) })
	}
	return found
}
