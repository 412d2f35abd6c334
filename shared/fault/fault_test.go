package fault_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
)

// The table of wire.md, "errors", written out by hand.
func TestStatuses(t *testing.T) {
	want := map[fault.Kind]int{
		fault.BadRequest: 400, fault.BadPageToken: 400, fault.Unauthenticated: 401,
		fault.Forbidden: 403, fault.ConsentRequired: 403, fault.SignatureRequired: 403, fault.SignatureRefused: 403, fault.NotFound: 404,
		fault.NotAcceptable: 406, fault.Conflict: 409, fault.TooLarge: 413,
		fault.UnsupportedType: 415, fault.Invalid: 422, fault.KeyReused: 422,
		fault.TooMany: 429, fault.Internal: 500, fault.Unavailable: 503,
	}
	require.Len(t, fault.Kinds(), len(want))
	for _, kind := range fault.Kinds() {
		require.Equal(t, want[kind], kind.Status(), kind)
		require.NotEmpty(t, kind.Title())
	}
	require.Equal(t, "Consent required", fault.ConsentRequired.Title())
	require.Equal(t, 500, fault.Kind("made up").Status())
	require.Equal(t, fault.Internal.Title(), fault.Kind("made up").Title())
}

// A kind that is declared but not in the table would be answered as 500.
func TestEveryDeclaredKindIsInTheTable(t *testing.T) {
	source, err := os.ReadFile("fault.go")
	require.NoError(t, err)
	require.Equal(t, strings.Count(string(source), "Kind = \""), len(fault.Kinds()))
}

func TestKindOf(t *testing.T) {
	inner := fault.New(fault.NotFound, "inner")
	outer := fault.Wrap(fault.Unavailable, "outer", inner)
	require.Equal(t, fault.Unavailable, fault.KindOf(outer), "the outermost says what is told")
	require.Equal(t, fault.Unavailable, fault.KindOf(fmt.Errorf("x: %w", outer)))
	require.Equal(t, fault.NotFound, fault.KindOf(errors.Join(errors.New("x"), inner)))
	require.Equal(t, fault.Internal, fault.KindOf(errors.New("x")))
	require.Equal(t, fault.Internal, fault.KindOf(nil))
	require.ErrorIs(t, outer, inner)
	require.EqualError(t, outer, "unavailable: outer")
}

func TestItemsOf(t *testing.T) {
	items := []fault.Item{{Pointer: "/0/body", Rule: "type"}}
	require.Equal(t, items, fault.ItemsOf(fmt.Errorf("x: %w", &fault.Error{Kind: fault.Invalid, Items: items})))
	require.Nil(t, fault.ItemsOf(errors.New("x")))
}

// apiError is an AWS error: its text repeats what was sent.
type apiError struct{ code, text string }

func (e apiError) Error() string     { return e.code + ": " + e.text }
func (e apiError) ErrorCode() string { return e.code }

// call is what the SDK wraps an error of a call in.
type call struct{ service, operation string }

func (c *call) Error() string     { return "71.236548917" }
func (c *call) Service() string   { return c.service }
func (c *call) Operation() string { return c.operation }

func TestService(t *testing.T) {
	require.Equal(t, "KMS", fault.Service(fault.Wrap(fault.Unavailable, "text", &call{"KMS", "Decrypt"})))
	require.Empty(t, fault.Service(errors.New("KMS")))
	require.Empty(t, fault.Service(nil))
}

func TestTrace(t *testing.T) {
	const canary = "71.236548917"
	tests := []struct {
		name string
		err  error
		want []string
	}{
		{"nothing", nil, nil},
		{"a fault", fault.New(fault.NotFound, "no such recording"), []string{"not-found: no such recording"}},
		{"any error: its type only", errors.New(canary), []string{"*errors.errorString"}},
		{"a wrapped text", fmt.Errorf(canary+": %w", context.DeadlineExceeded), []string{"*fmt.wrapError", "context.deadlineExceededError"}},
		{"an AWS error: its code", apiError{"ConditionalCheckFailedException", canary}, []string{"fault_test.apiError: ConditionalCheckFailedException"}},
		{"the longest code", apiError{strings.Repeat("a", 64), canary}, []string{"fault_test.apiError: " + strings.Repeat("a", 64)}},
		{"a code too long", apiError{strings.Repeat("a", 65), canary}, []string{"fault_test.apiError: unreadable code"}},
		{"a failed call: service and operation", &call{"API Gateway", "CreateApiKey"}, []string{"*fault_test.call: API Gateway CreateApiKey"}},
		{"a call that is none", &call{"KMS", canary}, []string{"*fault_test.call: unreadable call"}},
		{"a call too long", &call{"KMS", strings.Repeat("a", 61)}, []string{"*fault_test.call: unreadable call"}},
		{"no code", apiError{"", canary}, []string{"fault_test.apiError: unreadable code"}},
		{"a code that is none", apiError{canary + " ", ""}, []string{"fault_test.apiError: unreadable code"}},
		{
			"a fault with its causes",
			fault.Wrap(fault.Unavailable, "not read", errors.Join(errors.New(canary), apiError{"Throttling", canary})),
			[]string{"unavailable: not read", "*errors.joinError", "*errors.errorString", "fault_test.apiError: Throttling"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, fault.Trace(test.err))
			require.NotContains(t, fault.Trace(test.err), canary)
		})
	}
}

// TestOfService: the code stays, the message is nowhere in the chain.
func TestOfService(t *testing.T) {
	err := fault.OfService("key cannot be made", fmt.Errorf("operation: %w", apiError{"Throttling", "canary"}))
	require.Equal(t, fault.Unavailable, err.Kind)
	require.Equal(t, []string{"unavailable: key cannot be made", "fault.serviceCode: Throttling"}, fault.Trace(err))
	for cause := error(err); cause != nil; cause = errors.Unwrap(cause) {
		require.NotContains(t, cause.Error(), "canary")
	}
	require.EqualError(t, err.Cause, "Throttling")
	require.ErrorIs(t, fault.OfService("no answer", context.DeadlineExceeded), context.DeadlineExceeded, "of no service: as it is")
}

func TestTraceIsBounded(t *testing.T) {
	err := errors.New("x")
	for range 1000 {
		err = errors.Join(err, err)
	}
	require.Len(t, fault.Trace(err), 16)
}

// TestRecovered: a panic is an Internal fault that says where, and not what.
func TestRecovered(t *testing.T) {
	require.NoError(t, fault.Recovered(func() error { return nil }))
	refused := fault.New(fault.Invalid, "text")
	require.Equal(t, refused, fault.Recovered(func() error { return refused }))
	err := fault.Recovered(func() error { panic(errors.New("canary")) })
	require.Equal(t, fault.Internal, fault.KindOf(err))
	require.Contains(t, err.Error(), "panic of *errors.errorString in fitvault/shared/fault_test.TestRecovered")
	require.NotContains(t, err.Error(), "canary")
}
