package edgetest

import (
	"context"
	"crypto/rand"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
)

// Memberships is the contract of who keeps roles, organisations and proposals: the fake
// of functions/admin and the real adapter pass it. put stores a caller's document.
func Memberships(t *testing.T, d interface {
	Read(ctx context.Context, keys access.Keys) (access.Documents, error)
	PutMemberships(ctx context.Context, issuer, subject string, before, after access.Caller) error
	EndSessions(ctx context.Context, issuer, subject string, until time.Time) error
}, conflict error, put func(t *testing.T, issuer, subject string, c access.Caller)) {
	const issuer = "https://issuer"
	caller := func(t *testing.T, subject string) access.Caller {
		t.Helper()
		found, err := d.Read(t.Context(), access.Keys{Issuer: issuer, Subject: subject})
		require.NoError(t, err)
		require.NotNil(t, found.Caller)
		return *found.Caller
	}
	user, err := access.NewUserID(rand.Reader)
	require.NoError(t, err)
	until := time.Date(2026, 5, 11, 5, 25, 0, 0, time.UTC)
	a := &access.Proposal{Organisations: []string{"clinic", "team"}, By: "identity#a", Until: until}
	b := &access.Proposal{Organisations: []string{"clinic", "team"}, By: "identity#b", Until: until}
	role := &access.Proposal{Roles: []access.Role{access.Administrator, access.Maker}, By: "identity#a", Until: until}

	t.Run("what was there is replaced whole, a person's", func(t *testing.T) {
		person := rand.Text()
		before := access.Caller{User: user}
		put(t, issuer, person, before)
		for _, after := range []access.Caller{{Proposal: a}, {Organisations: []string{"clinic", "team"}}, {Organisations: []string{"team"}, Proposal: b}, {}, {Proposal: b}, {Proposal: a}} {
			after.User = user
			require.NoError(t, d.PutMemberships(t.Context(), issuer, person, before, after))
			require.Equal(t, after, caller(t, person))
			before = after
		}
	})
	t.Run("and of the staff, who needs no document before", func(t *testing.T) {
		staff, before := rand.Text(), access.Caller{}
		for _, after := range []access.Caller{{Proposal: role}, {Roles: []access.Role{access.Administrator, access.Maker}, Organisations: []string{"acme"}},
			{Roles: []access.Role{access.Auditor}, Organisations: []string{"acme"}}, {}, {}, {Roles: []access.Role{access.Analyst}}} {
			require.NoError(t, d.PutMemberships(t.Context(), issuer, staff, before, after))
			require.Equal(t, after, caller(t, staff))
			before = after
		}
	})
	t.Run("who decided on something else is told so, and changes nothing", func(t *testing.T) {
		held := access.Caller{User: user, Organisations: []string{"team"}, Proposal: a}
		person := rand.Text()
		put(t, issuer, person, held)
		later, fewer := *a, *a
		later.Until, fewer.Organisations = until.Add(time.Second), []string{"clinic"}
		for name, before := range map[string]access.Caller{
			"nobody":                 {},
			"no organisation":        {User: user, Proposal: a},
			"another one":            {User: user, Organisations: []string{"clinic"}, Proposal: a},
			"one more":               {User: user, Organisations: []string{"clinic", "team"}, Proposal: a},
			"a role":                 {User: user, Roles: []access.Role{access.Maker}, Organisations: held.Organisations, Proposal: a},
			"no proposal":            {User: user, Organisations: held.Organisations},
			"another one's proposal": {User: user, Organisations: held.Organisations, Proposal: b},
			"one of another time":    {User: user, Organisations: held.Organisations, Proposal: &later},
			"of something else":      {User: user, Organisations: held.Organisations, Proposal: &fewer},
		} {
			require.ErrorIs(t, d.PutMemberships(t.Context(), issuer, person, before, access.Caller{User: before.User, Organisations: []string{"clinic", "team"}}), conflict, name)
			require.Equal(t, held, caller(t, person), name)
		}
		nobody := rand.Text()
		require.ErrorIs(t, d.PutMemberships(t.Context(), issuer, nobody, access.Caller{User: user}, access.Caller{User: user}), conflict)
		found, err := d.Read(t.Context(), access.Keys{Issuer: issuer, Subject: nobody})
		require.NoError(t, err)
		require.Nil(t, found.Caller)
	})
	t.Run("whose account it is stays", func(t *testing.T) {
		person := rand.Text()
		put(t, issuer, person, access.Caller{User: user})
		other, err := access.NewUserID(rand.Reader)
		require.NoError(t, err)
		require.NoError(t, d.PutMemberships(t.Context(), issuer, person, access.Caller{User: user}, access.Caller{User: other, Organisations: []string{"clinic"}}))
		require.Equal(t, access.Caller{User: user, Organisations: []string{"clinic"}}, caller(t, person))
	})
	t.Run("all sessions end, and none comes back", func(t *testing.T) {
		staff, at := rand.Text(), until
		require.ErrorIs(t, d.EndSessions(t.Context(), issuer, staff, at), conflict)
		found, err := d.Read(t.Context(), access.Keys{Issuer: issuer, Subject: staff})
		require.NoError(t, err)
		require.Nil(t, found.Caller, "who has no document gets none")
		held := access.Caller{Roles: []access.Role{access.Maker}}
		require.NoError(t, d.PutMemberships(t.Context(), issuer, staff, access.Caller{}, held))
		for _, then := range []time.Time{at, at, at.Add(time.Second)} {
			held.SessionsFrom = then
			require.NoError(t, d.EndSessions(t.Context(), issuer, staff, then))
			require.Equal(t, held, caller(t, staff))
		}
		require.ErrorIs(t, d.EndSessions(t.Context(), issuer, staff, at), conflict)
		require.Equal(t, held, caller(t, staff))

		after := held
		after.Roles = nil
		require.NoError(t, d.PutMemberships(t.Context(), issuer, staff, held, after))
		require.Equal(t, after, caller(t, staff), "other changes leave it")
		before := after
		after.SessionsFrom = at.Add(time.Hour)
		require.NoError(t, d.PutMemberships(t.Context(), issuer, staff, before, after))
		require.Equal(t, after, caller(t, staff), "a role that is taken may end them")
		before.SessionsFrom = time.Time{}
		late := access.Caller{SessionsFrom: at}
		require.ErrorIs(t, d.PutMemberships(t.Context(), issuer, staff, before, late), conflict)
		require.Equal(t, after, caller(t, staff))
	})
	t.Run("of many at once one is first", func(t *testing.T) {
		staff := rand.Text()
		errs := make([]error, 8)
		var all sync.WaitGroup
		for i := range errs {
			p := *role
			p.By += string(rune('a' + i))
			all.Go(func() {
				errs[i] = d.PutMemberships(t.Context(), issuer, staff, access.Caller{}, access.Caller{Proposal: &p})
			})
		}
		all.Wait()
		first := 0
		for i, err := range errs {
			if err == nil {
				first++
				require.Equal(t, role.By+string(rune('a'+i)), caller(t, staff).Proposal.By)
			} else {
				require.ErrorIs(t, err, conflict)
			}
		}
		require.Equal(t, 1, first)
	})
}
