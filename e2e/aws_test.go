package e2e

import (
	"cmp"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/auditlog"
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

// eventsSince is the audit events since a time by request id, each list in order.
func eventsSince(t testing.TB, s *stack.Stack, began time.Time) map[string][]event {
	t.Helper()
	all, err := s.EventsSince(t.Context(), began)
	require.NoError(t, err)
	slices.SortFunc(all, func(a, b stack.StoredEvent) int { return cmp.Compare(a.ID, b.ID) })
	found := map[string][]event{}
	for _, e := range all {
		found[e.Request] = append(found[e.Request], e.Event)
	}
	return found
}
