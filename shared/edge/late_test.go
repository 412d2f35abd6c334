package edge_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
)

// TestThereIsTimeForAnAnswer: a service that does not answer is waited for until a second
// before Lambda would end the process, and then the caller is told when to come back.
func TestThereIsTimeForAnAnswer(t *testing.T) {
	for name, failure := range map[string]func(error) error{
		"an error without a kind":   func(err error) error { return errors.Join(errors.New("operation error"), err) },
		"an error that has its own": func(err error) error { return fault.Wrap(fault.Unavailable, "blocks cannot be read", err) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.handle = func(_ http.ResponseWriter, r *http.Request, _ *edge.Call) error {
				<-r.Context().Done()
				return failure(r.Context().Err())
			}
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
				defer cancel()
				answer, err := w.guard.Handle(ctx, w.get())
				require.NoError(t, err)
				requireProblem(t, answer, fault.Unavailable)
				require.Equal(t, 14*time.Second, time.Since(began))
				require.NoError(t, ctx.Err())
			})
		})
	}
}

// TestInquiriesAreInTimeToo: they have a guard of their own.
func TestInquiriesAreInTimeToo(t *testing.T) {
	w := edgetest.New(t)
	config := w.Config("authorize")
	p := edge.Public{Function: "authorize", Log: config.Log, Now: w.Now, Rand: config.Rand,
		Inquiries: []edge.Inquiry{{Resource: "/authorize/request", Answer: func(ctx context.Context, _ map[string][]string) (any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}}}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		answer, err := p.Handle(ctx, w.Event("ada", http.MethodGet, "/authorize/request", nil))
		require.NoError(t, err)
		requireProblem(t, answer, fault.Unavailable)
		require.NoError(t, ctx.Err())
	})
}

// TestCallersDoNotComeBackTogether: the time to wait is short, and differs.
func TestCallersDoNotComeBackTogether(t *testing.T) {
	w := newWorld(t)
	w.handle = func(http.ResponseWriter, *http.Request, *edge.Call) error {
		return fault.New(fault.Unavailable, "down")
	}
	told := map[string]bool{}
	for range 100 {
		after := header(w.do(t, w.get()), "Retry-After")
		require.Regexp(t, `^[2-9]$`, after)
		told[after] = true
	}
	require.Greater(t, len(told), 4)
}
