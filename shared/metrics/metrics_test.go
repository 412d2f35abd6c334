package metrics_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
	"fitvault/shared/metrics"
)

// TestAttributes: the record is what CloudWatch's specification of the embedded
// metric format asks for, with the members that it names beside it.
func TestAttributes(t *testing.T) {
	var text bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&text, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	now := time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC)
	log.LogAttrs(t.Context(), slog.LevelInfo, "done", metrics.Attributes(now,
		metrics.Requests.Of(1), metrics.Succeeded.Of(1), metrics.Duration.Of(12))...)
	require.JSONEq(t, `{"level":"INFO","msg":"done","requests":1,"succeeded":1,"duration_ms":12,"_aws":{"Timestamp":1777872300000,"CloudWatchMetrics":[
		{"Namespace":"fitvault","Dimensions":[["deployment"]],"Metrics":[{"Name":"requests"},{"Name":"duration_ms","Unit":"Milliseconds"}]},
		{"Namespace":"fitvault","Dimensions":[["deployment","function"]],"Metrics":[{"Name":"succeeded"}]}]}}`, text.String())
	require.Empty(t, metrics.Attributes(now), "a record that counts nothing is like any other")
}

func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range metrics.All() {
		require.Regexp(t, regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`), m.Name)
		require.False(t, seen[m.Name], m.Name)
		seen[m.Name] = true
	}
}

// database is an error as shared/postgres makes them.
type database struct{}

func (database) Error() string   { return "canary" }
func (database) Service() string { return fault.Database }

func TestFailureOf(t *testing.T) {
	sdk := func(service string) error {
		return fault.Wrap(fault.Unavailable, "text", fmt.Errorf("x: %w", &smithy.OperationError{ServiceID: service, OperationName: "Decrypt", Err: errors.New("canary")}))
	}
	require.Equal(t, []metrics.Value{metrics.KMSFailures.Of(1)}, metrics.FailureOf(sdk("KMS")))
	require.Equal(t, []metrics.Value{metrics.DatabaseFailures.Of(1)}, metrics.FailureOf(fault.Wrap(fault.Unavailable, "text", database{})))
	for _, err := range []error{nil, errors.New("x"), fault.New(fault.Internal, "text"), sdk("DynamoDB"), sdk("")} {
		require.Empty(t, metrics.FailureOf(err))
	}
}
