package edgetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/edge"
	"fitvault/shared/fault"
	"fitvault/shared/reading"
)

// Documents is the contract of edge.Documents: the fake and the real adapter
// pass it. put stores every document that is not nil, a caller's under issuer
// and subject, and replaces what was there.
func Documents(t *testing.T, d edge.Documents, put func(t *testing.T, issuer, subject string, documents access.Documents)) {
	user, err := access.NewUserID(rand.Reader)
	require.NoError(t, err)
	var random [8]byte
	_, _ = rand.Read(random[:])
	issuer, subject, client := "https://issuer", hex.EncodeToString(random[:]), "client"+hex.EncodeToString(random[:])
	all := access.Keys{Issuer: issuer, Subject: subject, User: user, Client: client}

	t.Run("what does not exist is nil, not an error", func(t *testing.T) {
		found, err := d.Read(t.Context(), all)
		require.NoError(t, err)
		require.Equal(t, access.Documents{}, found)
	})

	app, err := access.DecodeApp(client, "active", "third-party", []string{"fitvault/readings.read", "fitvault/readings.write"},
		[]string{hex.EncodeToString(make([]byte, 32))})
	require.NoError(t, err)
	at := time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC)
	permit, err := access.NewPermit(access.Permit{Types: []reading.Type{{Namespace: "omh", Name: "heart-rate"}, access.Recording},
		Read: true, Use: access.Care, From: at, Until: at.Add(time.Hour)})
	require.NoError(t, err)
	stored := access.Documents{
		Caller: &access.Caller{User: user, Roles: []access.Role{access.Administrator, access.Maker}, Organisations: []string{"clinic", "team"}},
		Owner: &access.Owner{
			User: user, State: access.Active, DataKey: "a-data-key",
			Consents: map[access.Purpose]access.Consent{
				access.Collection: {Version: "1", Given: true, Time: time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC), Locale: "de", How: "a-client"},
				"sharing":         {Version: "2", Given: false, Time: time.Date(2026, 5, 5, 5, 25, 0, 0, time.UTC)},
			},
			Grants:   map[string]access.Grant{"g1": {To: user.String(), Permit: permit}, "g2": {Permit: permit}},
			Apps:     map[string]access.Permit{"client": permit},
			Trackers: map[string]access.Tracker{"acme-1": {Pairing: "p", Key: make([]byte, 33), Name: "wrist", State: access.Active, Since: at}},
			Settings: access.Settings{Signed: true, Sealed: []reading.Type{access.Recording}},
		},
		App: &app,
	}

	t.Run("what is stored is found, member for member", func(t *testing.T) {
		put(t, issuer, subject, stored)
		found, err := d.Read(t.Context(), all)
		require.NoError(t, err)
		require.Equal(t, stored.Caller, found.Caller)
		require.NotNil(t, found.Owner)
		for purpose, consent := range found.Owner.Consents {
			consent.Time = consent.Time.UTC()
			found.Owner.Consents[purpose] = consent
		}
		require.Equal(t, stored.Owner, found.Owner)
		require.NotNil(t, found.App)
		require.ElementsMatch(t, stored.App.Scopes, found.App.Scopes)
		found.App.Scopes = stored.App.Scopes
		require.Equal(t, stored.App, found.App)
	})
	t.Run("a zero member is not read", func(t *testing.T) {
		for _, test := range []struct {
			keys               access.Keys
			caller, owner, app bool
		}{
			{access.Keys{}, false, false, false},
			{access.Keys{Issuer: issuer, Subject: subject}, true, false, false},
			{access.Keys{User: user}, false, true, false},
			{access.Keys{Client: client}, false, false, true},
			{access.Keys{Issuer: issuer, Subject: subject, Client: client}, true, false, true},
		} {
			found, err := d.Read(t.Context(), test.keys)
			require.NoError(t, err)
			require.Equal(t, test.caller, found.Caller != nil)
			require.Equal(t, test.owner, found.Owner != nil)
			require.Equal(t, test.app, found.App != nil)
		}
	})
	t.Run("what is withdrawn is withdrawn at the next read", func(t *testing.T) {
		off := app
		off.State = access.Off
		put(t, issuer, subject, access.Documents{App: &off})
		found, err := d.Read(t.Context(), all)
		require.NoError(t, err)
		require.Equal(t, access.Off, found.App.State)
	})
	t.Run("a store that does not answer is unavailable", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := d.Read(ctx, all)
		require.Equal(t, fault.Unavailable, fault.KindOf(err))
	})
}

// Sessions is the contract of edge.Sessions, and of edge.Documents for sessions. put
// stores a session, and replaces what was there.
func Sessions(t *testing.T, d interface {
	edge.Documents
	edge.Sessions
}, put func(t *testing.T, issuer, subject, name string, s access.Session)) {
	var random [8]byte
	_, _ = rand.Read(random[:])
	issuer, subject := "https://issuer", hex.EncodeToString(random[:])
	at := time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC)
	name := access.SessionName(subject)
	first := access.Session{Client: "a", State: access.Active, SignedIn: at, Expires: at.Add(time.Hour)}
	const writers = 8
	var begun [writers]access.Session
	var errs [writers]error
	var all sync.WaitGroup
	for i := range writers {
		s := first
		s.Client = string(rune('a' + i))
		all.Go(func() { begun[i], errs[i] = d.BeginSession(t.Context(), issuer, subject, name, s) })
	}
	all.Wait()
	for i := range writers {
		require.NoError(t, errs[i])
		require.Equal(t, begun[0], begun[i], "all have the one that was first")
	}
	keys := access.Keys{Issuer: issuer, Subject: subject, Session: name}
	found, err := d.Read(t.Context(), keys)
	require.NoError(t, err)
	require.Equal(t, &begun[0], found.Session)
	ended := begun[0]
	ended.State = access.Ended
	put(t, issuer, subject, name, ended)
	again, err := d.BeginSession(t.Context(), issuer, subject, name, first)
	require.NoError(t, err)
	require.Equal(t, ended, again, "an ended one does not begin again")
}
