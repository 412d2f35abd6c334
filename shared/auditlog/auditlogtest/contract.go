// Package auditlogtest holds the contract of auditlog.Writer: the fake and the
// real adapter pass the same tests.
package auditlogtest

import (
	"context"
	"crypto/rand"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/auditlog"
	"fitvault/shared/fault"
)

// Event is an event with every member set and an id of its own.
func Event(t *testing.T) auditlog.Event {
	t.Helper()
	at := time.Date(2026, 5, 4, 5, 25, 0, 123_000_000, time.UTC)
	id, err := auditlog.NewID(at, rand.Reader)
	require.NoError(t, err)
	return auditlog.Event{
		ID: id, Time: at, Request: "0f4e2a3c-6a77-4b6e-9a0e-2f6d5c1b7e11", Function: "readings",
		Action: "readings.read", Caller: "caller", Client: "app", Owner: "owner",
		Outcome: auditlog.Allowed, Kind: "kind", Reasons: []string{"one", "two"},
		Records: 3, Manifest: "manifest", Recording: "recording", Device: "device", Pairing: "pairing",
		Consent: &auditlog.Consent{Purpose: "collection", Version: "1", Given: true, Locale: "de", How: "client", Before: "0"},
		About:   "client", Changes: []string{"state=off"},
		Sharing: &auditlog.Sharing{Grant: "grant", Grantee: "grantee", App: "app", Session: "session", Permit: "permit", Demands: "demands"},
	}
}

// Writer runs the contract. find returns the stored events of an id.
func Writer(t *testing.T, w auditlog.Writer, find func(t *testing.T, id string, at time.Time) []auditlog.Event) {
	t.Run("what is written is found, member for member", func(t *testing.T) {
		e := Event(t)
		e.Rejected, e.Charged = 7, auditlog.Charged{Key: "identity#a", Device: "device", Address: "address"}
		require.NoError(t, w.Write(t.Context(), e))
		found := find(t, e.ID, e.Time)
		require.Len(t, found, 1)
		require.True(t, e.Time.Equal(found[0].Time))
		found[0].Time = e.Time
		require.Equal(t, e, found[0])
	})
	t.Run("an event is not overwritten, and writing it again is no error", func(t *testing.T) {
		e := Event(t)
		require.NoError(t, w.Write(t.Context(), e))
		changed := e
		changed.Outcome = auditlog.Refused
		require.NoError(t, w.Write(t.Context(), e))
		_ = w.Write(t.Context(), changed) // may fail, must not change anything
		found := find(t, e.ID, e.Time)
		require.Len(t, found, 1)
		require.Equal(t, auditlog.Allowed, found[0].Outcome)
	})
	t.Run("concurrent writers lose nothing", func(t *testing.T) {
		var all [16]auditlog.Event
		var done sync.WaitGroup
		for i := range all {
			all[i] = Event(t)
			done.Go(func() { _ = w.Write(t.Context(), all[i]) })
		}
		done.Wait()
		for _, e := range all {
			require.Len(t, find(t, e.ID, e.Time), 1)
		}
	})
	t.Run("an event that cannot be written is an error", func(t *testing.T) {
		e := Event(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := w.Write(ctx, e)
		require.Error(t, err)
		require.Equal(t, fault.Unavailable, fault.KindOf(err))
		require.Empty(t, find(t, e.ID, e.Time))
	})
}
