package edge

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/fault"
)

// A policy that fails to evaluate denies, and somebody hears of it. The
// policies in the binary do not fail, so the decision is planted.
func TestAPolicyErrorIsAnAlarm(t *testing.T) {
	for _, kind := range []fault.Kind{fault.NotFound, fault.Internal} {
		var audit auditlog.Memory
		c := &Call{
			RequestID: "id", known: true, route: &route{Route: Route{Action: access.ReadingsRead}},
			Decision: access.Decision{Error: true, Kind: kind},
			guard:    &Guard{config: Config{Function: "test", Audit: &audit, Now: time.Now, Rand: rand.Reader}},
		}
		denied := fault.New(kind, "denied by policy")
		require.Equal(t, denied, c.settle(t.Context(), denied))
		require.True(t, c.alarm)
		require.Len(t, audit.Events(), 1)
		require.Equal(t, auditlog.Alarm, audit.Events()[0].Outcome)
		require.Equal(t, string(kind), audit.Events()[0].Kind)
		require.Equal(t, []string{"policy-error"}, audit.Events()[0].Reasons)

		audit.Fail(fault.New(fault.Unavailable, "down"))
		require.Equal(t, fault.Unavailable, fault.KindOf(c.settle(t.Context(), denied)))
	}
}
