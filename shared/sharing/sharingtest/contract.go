package sharingtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/reading"
	"fitvault/shared/sharing"
)

// Accounts is what the contract reads of the same table: what the edge reads.
type Accounts interface {
	sharing.Store
	Read(context.Context, access.Keys) (access.Documents, error)
	BeginSession(ctx context.Context, issuer, subject, name string, s access.Session) (access.Session, error)
}

const writers = 16

// party is the contract's owners and their grants.
type party struct {
	*testing.T
	Accounts
	now time.Time
	put func(t *testing.T, o access.Owner)
}

func (p party) owner(change ...func(*access.Owner)) access.UserID {
	p.Helper()
	user, err := access.NewUserID(rand.Reader)
	require.NoError(p, err)
	o := access.Owner{User: user, State: access.Active, DataKey: "k", Consents: map[access.Purpose]access.Consent{
		access.Sharing: {Version: "1", Given: true, Time: p.now}}}
	for _, c := range change {
		c(&o)
	}
	p.put(p.T, o)
	return user
}

func (p party) read(user access.UserID) access.Owner {
	p.Helper()
	d, err := p.Read(p.Context(), access.Keys{User: user})
	require.NoError(p, err)
	require.NotNil(p, d.Owner)
	return *d.Owner
}

func (p party) permit() access.Permit {
	permit, err := access.NewPermit(access.Permit{Types: []reading.Type{{Namespace: "omh", Name: "step-count"}, access.Recording}, Read: true,
		Use: access.Family, From: p.now, Until: p.now.Add(time.Hour)})
	require.NoError(p, err)
	return permit
}

// invite adds a grant.
func (p party) invite(owner access.UserID) (string, sharing.Code, sharing.Invitation) {
	p.Helper()
	id, code, i := p.invitation(owner)
	require.NoError(p, p.AddGrant(p.Context(), id, access.Grant{Permit: p.permit()}, code.Selector(), i))
	return id, code, i
}

func (p party) invitation(owner access.UserID) (string, sharing.Code, sharing.Invitation) {
	id, err := sharing.NewID(rand.Reader)
	require.NoError(p, err)
	code, err := sharing.NewCode(rand.Reader)
	require.NoError(p, err)
	return id, code, sharing.Invitation{Owner: owner, Grant: id, Verifier: code.Hash(), Expires: p.now.Add(sharing.InvitationLife)}
}

func (p party) shared(to string, now time.Time) []sharing.Shared {
	p.Helper()
	all, err := p.SharedWith(p.Context(), to, 10, now)
	require.NoError(p, err)
	return all
}

// together calls f at once by many, and counts how often it returned each error.
func together(t *testing.T, f func(n int) error) map[error]int {
	t.Helper()
	var errs [writers]error
	var all sync.WaitGroup
	for n := range writers {
		all.Go(func() { errs[n] = f(n) })
	}
	all.Wait()
	count := map[error]int{}
	for _, err := range errs {
		if err == sharing.ErrNone || err == sharing.ErrFull || err == nil { //nolint:errorlint // the contract: these and no others
			count[err]++
		} else {
			count[errUnknown]++
		}
	}
	return count
}

// errUnknown stands for all errors that say nothing of what happened.
var errUnknown = fmt.Errorf("unknown")

// Contract is what every sharing.Store keeps. put stores an owner's document, and
// replaces what was there.
func Contract(t *testing.T, accounts Accounts, put func(t *testing.T, o access.Owner)) {
	run := func(name string, test func(p party)) {
		t.Run(name, func(t *testing.T) {
			test(party{T: t, Accounts: accounts, now: time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC), put: put})
		})
	}
	run("a grant is added, accepted once, and removed", func(p party) {
		owner, other := p.owner(), p.owner()
		id, code, i := p.invite(owner)
		require.Equal(p, map[string]access.Grant{id: {Permit: p.permit(), Invitation: i.Expires}}, p.read(owner).Grants)

		found, err := p.Try(p.Context(), code.Selector(), p.now)
		require.NoError(p, err)
		require.True(p, code.Matches(found.Verifier))
		require.Equal(p, i, found)
		require.NoError(p, p.Accept(p.Context(), code.Selector(), found, other.String(), p.permit().Until, p.now))
		require.Equal(p, map[string]access.Grant{id: {Permit: p.permit(), To: other.String()}}, p.read(owner).Grants)
		shared, err := p.SharedWith(p.Context(), other.String(), 10, p.now)
		require.NoError(p, err)
		require.Equal(p, []sharing.Shared{{Owner: owner, Grant: id}}, shared)

		_, err = p.Try(p.Context(), code.Selector(), p.now)
		require.Equal(p, sharing.ErrNone, err, "it is used up")
		require.Equal(p, sharing.ErrNone, p.Accept(p.Context(), code.Selector(), found, owner.String(), p.permit().Until, p.now))

		require.NoError(p, p.RemoveGrant(p.Context(), owner, id))
		require.Empty(p, p.read(owner).Grants)
		require.Equal(p, sharing.ErrNone, p.RemoveGrant(p.Context(), owner, id))
		require.Empty(p, p.shared(other.String(), p.now), "and from his list")
	})
	run("what has ended is in no list", func(p party) {
		owner, other := p.owner(), p.owner()
		_, code, i := p.invite(owner)
		require.NoError(p, p.Accept(p.Context(), code.Selector(), i, other.String(), p.permit().Until, p.now))
		require.Len(p, p.shared(other.String(), p.permit().Until.Add(-time.Second)), 1)
		require.Empty(p, p.shared(other.String(), p.permit().Until))
	})
	run("what is withdrawn while it is accepted is in no list, and nobody has it", func(p party) {
		for range 8 {
			owner, other := p.owner(), p.owner()
			id, code, i := p.invite(owner)
			require.LessOrEqual(p, together(p.T, func(n int) error {
				if n == 0 {
					return p.RemoveGrant(p.Context(), owner, id)
				}
				return p.Accept(p.Context(), code.Selector(), i, other.String(), p.permit().Until, p.now)
			})[nil], 2)
			if _, there := p.read(owner).Grants[id]; there { // it met another on the way
				require.NoError(p, p.RemoveGrant(p.Context(), owner, id))
			}
			require.Empty(p, p.shared(other.String(), p.now))
		}
	})
	run("a full account gets no invitation either", func(p party) {
		owner := p.owner()
		for range access.MaxGrants {
			p.invite(owner)
		}
		id, code, i := p.invitation(owner)
		require.Equal(p, sharing.ErrFull, p.AddGrant(p.Context(), id, access.Grant{Permit: p.permit()}, code.Selector(), i))
		_, err := p.Try(p.Context(), code.Selector(), p.now)
		require.Equal(p, sharing.ErrNone, err)
	})
	run("an organisation has a list of its own", func(p party) {
		owner := p.owner()
		name := access.OrganisationPrefix + "clinic-" + hex.EncodeToString([]byte(owner.String()[:8]))
		id, code, i := p.invite(owner)
		require.NoError(p, p.Accept(p.Context(), code.Selector(), i, name, p.permit().Until, p.now))
		require.Equal(p, name, p.read(owner).Grants[id].To)
		shared, err := p.SharedWith(p.Context(), name, 10, p.now)
		require.NoError(p, err)
		require.Equal(p, []sharing.Shared{{Owner: owner, Grant: id}}, shared)
	})
	run("what is not there is not tried", func(p party) {
		_, code, i := p.invite(p.owner())
		for name, at := range map[string]time.Time{"expired": i.Expires, "long expired": i.Expires.Add(time.Hour)} {
			_, err := p.Try(p.Context(), code.Selector(), at)
			require.Equal(p, sharing.ErrNone, err, name)
		}
		_, err := p.Try(p.Context(), sharing.ParseCode("x").Selector(), p.now)
		require.Equal(p, sharing.ErrNone, err)
		_, err = p.Try(p.Context(), sharing.ParseCode("x").Selector(), p.now)
		require.Equal(p, sharing.ErrNone, err, "a try makes nothing")
		_, err = p.Try(p.Context(), code.Selector(), i.Expires.Add(-time.Second))
		require.NoError(p, err)
	})
	run("many tries at once are five", func(p party) {
		_, code, _ := p.invite(p.owner())
		require.Equal(p, map[error]int{nil: sharing.MaxTries, sharing.ErrNone: writers - sharing.MaxTries}, together(p.T, func(int) error {
			_, err := p.Try(p.Context(), code.Selector(), p.now)
			return err
		}))
	})
	run("of many who accept at once one does", func(p party) {
		owner := p.owner()
		id, code, i := p.invite(owner)
		var others [writers]access.UserID
		for n := range others {
			others[n], _ = access.NewUserID(rand.Reader)
		}
		count := together(p.T, func(n int) error {
			return p.Accept(p.Context(), code.Selector(), i, others[n].String(), p.permit().Until, p.now)
		})
		require.LessOrEqual(p, count[nil], 1)
		if count[nil] == 0 { // each met another on the way: then it is still to be had
			require.NoError(p, p.Accept(p.Context(), code.Selector(), i, others[0].String(), p.permit().Until, p.now))
		}
		lists := 0
		for _, other := range others {
			shared, err := p.SharedWith(p.Context(), other.String(), 10, p.now)
			require.NoError(p, err)
			if lists += len(shared); len(shared) > 0 {
				require.Equal(p, other.String(), p.read(owner).Grants[id].To)
			}
		}
		require.Equal(p, 1, lists)
	})
	run("what must not be accepted is not", func(p party) {
		for name, change := range map[string]func(o *access.Owner, id string){
			"a grant that was withdrawn": func(o *access.Owner, id string) { delete(o.Grants, id) },
			"a grant that somebody has": func(o *access.Owner, id string) {
				g := o.Grants[id]
				g.To, g.Invitation = o.User.String(), time.Time{}
				o.Grants[id] = g
			},
			"a grant of an account that is not active": func(o *access.Owner, _ string) { o.State = "closing" },
		} {
			user := p.owner()
			id, code, i := p.invite(user)
			o := p.read(user)
			change(&o, id)
			p.put(p.T, o)
			require.Equal(p, sharing.ErrNone, p.Accept(p.Context(), code.Selector(), i, user.String(), p.permit().Until, p.now), name)
			shared, err := p.SharedWith(p.Context(), user.String(), 10, p.now)
			require.NoError(p, err)
			require.Empty(p, shared, name)
		}
		user := p.owner()
		_, code, i := p.invite(user)
		require.Equal(p, sharing.ErrNone, p.Accept(p.Context(), code.Selector(), i, user.String(), p.permit().Until, p.permit().Until), "a grant that has ended")
		require.Equal(p, sharing.ErrNone, p.Accept(p.Context(), sharing.ParseCode("x").Selector(), i, user.String(), p.permit().Until, p.now), "an invitation that there is not")
		require.NoError(p, p.Accept(p.Context(), code.Selector(), i, user.String(), p.permit().Until, p.now), "what failed has used nothing up")
	})
	run("many grants at once are as many as there may be", func(p party) {
		owner := p.owner()
		for range access.MaxGrants - 3 {
			p.invite(owner)
		}
		count := together(p.T, func(int) error {
			id, code, i := p.invitation(owner)
			return p.AddGrant(p.Context(), id, access.Grant{Permit: p.permit()}, code.Selector(), i)
		})
		require.Equal(p, map[error]int{nil: 3, sharing.ErrFull: writers - 3}, count)
		require.Len(p, p.read(owner).Grants, access.MaxGrants)
	})
	run("a grant whose answer was lost is made once, and the next answer says so", func(p party) {
		owner := p.owner()
		id, code, i := p.invitation(owner)
		for range 2 {
			require.NoError(p, p.AddGrant(p.Context(), id, access.Grant{Permit: p.permit()}, code.Selector(), i))
		}
		require.Len(p, p.read(owner).Grants, 1)
		other := i
		other.Verifier[0]++
		require.Equal(p, sharing.ErrFull, p.AddGrant(p.Context(), id, access.Grant{Permit: p.permit()}, code.Selector(), other), "another one under the same names")
		_, err := p.Try(p.Context(), code.Selector(), p.now)
		require.NoError(p, err)
		require.Equal(p, sharing.ErrFull, p.AddGrant(p.Context(), id, access.Grant{Permit: p.permit()}, code.Selector(), i), "somebody has heard of it")
	})
	run("changes at once do not undo each other", func(p party) {
		owner := p.owner()
		gone, _, _ := p.invite(owner)
		require.NoError(p, p.PutApp(p.Context(), owner, "old", p.permit()))
		require.Equal(p, map[error]int{nil: writers}, together(p.T, func(n int) error {
			switch n {
			case 0:
				return p.RemoveGrant(p.Context(), owner, gone)
			case 1:
				return p.RemoveApp(p.Context(), owner, "old")
			case 2:
				return p.PutSettings(p.Context(), owner, access.Settings{Signed: true, Sealed: p.permit().Types})
			}
			if n%2 == 0 {
				return p.PutApp(p.Context(), owner, fmt.Sprint("app", n), p.permit())
			}
			id, code, i := p.invitation(owner)
			return p.AddGrant(p.Context(), id, access.Grant{Permit: p.permit()}, code.Selector(), i)
		}))
		o := p.read(owner)
		require.Len(p, o.Grants, 7)
		require.NotContains(p, o.Grants, gone)
		require.Len(p, o.Apps, 6)
		require.NotContains(p, o.Apps, "old")
		require.Equal(p, access.Settings{Signed: true, Sealed: p.permit().Types}, o.Settings)
	})
	run("apps: as many as there may be, and each can be changed", func(p party) {
		owner := p.owner()
		require.Equal(p, map[error]int{nil: access.MaxApps, sharing.ErrFull: writers - access.MaxApps}, together(p.T, func(n int) error {
			return p.PutApp(p.Context(), owner, fmt.Sprint("app", n), p.permit())
		}))
		other := p.permit()
		other.Write = true
		var client string
		for client = range p.read(owner).Apps {
			break
		}
		require.NoError(p, p.PutApp(p.Context(), owner, client, other))
		require.Equal(p, other, p.read(owner).Apps[client])
		require.NoError(p, p.RemoveApp(p.Context(), owner, client))
		require.Equal(p, sharing.ErrNone, p.RemoveApp(p.Context(), owner, client))
	})
	run("settings replace what was there", func(p party) {
		owner := p.owner()
		for _, s := range []access.Settings{{Signed: true}, {Sealed: p.permit().Types}, {}} {
			require.NoError(p, p.PutSettings(p.Context(), owner, s))
			require.Equal(p, s, p.read(owner).Settings)
		}
	})
	run("an account that is not active, or that there is not, does not change", func(p party) {
		closing := p.owner(func(o *access.Owner) { o.State = "closing" })
		nobody, err := access.NewUserID(rand.Reader)
		require.NoError(p, err)
		for _, user := range []access.UserID{closing, nobody} {
			id, code, i := p.invitation(user)
			require.Equal(p, sharing.ErrFull, p.AddGrant(p.Context(), id, access.Grant{Permit: p.permit()}, code.Selector(), i))
			require.Equal(p, sharing.ErrFull, p.PutApp(p.Context(), user, "app", p.permit()))
			require.Equal(p, sharing.ErrNone, p.PutSettings(p.Context(), user, access.Settings{Signed: true}))
			require.Equal(p, sharing.ErrNone, p.RemoveGrant(p.Context(), user, id))
			require.Equal(p, sharing.ErrNone, p.RemoveApp(p.Context(), user, "app"))
		}
		found, err := p.Read(p.Context(), access.Keys{User: nobody})
		require.NoError(p, err)
		require.Nil(p, found.Owner)
		require.Empty(p, p.read(closing).Apps)
	})
	run("owners are found, those that there are", func(p party) {
		one, two := p.owner(), p.owner()
		nobody, err := access.NewUserID(rand.Reader)
		require.NoError(p, err)
		found, err := p.Owners(p.Context(), []access.UserID{one, nobody, two})
		require.NoError(p, err)
		require.Len(p, found, 2)
		require.Equal(p, p.read(one), found[one])
		none, err := p.Owners(p.Context(), nil)
		require.NoError(p, err)
		require.Empty(p, none)
	})
	run("lists are bounded", func(p party) {
		owner, other := p.owner(), p.owner()
		for range 3 {
			_, code, i := p.invite(owner)
			require.NoError(p, p.Accept(p.Context(), code.Selector(), i, other.String(), p.permit().Until, p.now))
		}
		shared, err := p.SharedWith(p.Context(), other.String(), 2, p.now)
		require.NoError(p, err)
		require.Len(p, shared, 2)
	})
	run("sessions are listed, and end", func(p party) {
		issuer, subject := "https://issuer", rand.Text()
		at := func(n int) access.Session {
			return access.Session{Client: "c", State: access.Active, SignedIn: p.now.Add(time.Duration(n) * time.Minute), Expires: p.now.Add(time.Duration(n+1) * time.Hour)}
		}
		for n, name := range []string{"a", "b", "c"} {
			_, err := p.BeginSession(p.Context(), issuer, subject, name, at(n))
			require.NoError(p, err)
		}
		names := func(now time.Time) (names []string) {
			all, err := p.Sessions(p.Context(), issuer, subject, now)
			require.NoError(p, err)
			for _, s := range all {
				names = append(names, s.Name)
			}
			return names
		}
		require.Equal(p, []string{"c", "b", "a"}, names(p.now))
		require.Equal(p, []string{"c", "b"}, names(p.now.Add(time.Hour)), "one whose tokens are all too old is none")
		require.Equal(p, map[error]int{nil: writers}, together(p.T, func(int) error { return p.EndSession(p.Context(), issuer, subject, "b") }), "ending twice is ending")
		require.Equal(p, []string{"c", "a"}, names(p.now))
		found, err := p.Read(p.Context(), access.Keys{Issuer: issuer, Subject: subject, Session: "b"})
		require.NoError(p, err)
		require.Equal(p, access.Ended, found.Session.State)
		require.Equal(p, sharing.ErrNone, p.EndSession(p.Context(), issuer, subject, "d"))
		require.Equal(p, sharing.ErrNone, p.EndSession(p.Context(), issuer, "another", "a"))
		require.Equal(p, []string{"c", "a"}, names(p.now), "an end makes no session")
	})
	run("an app that there is not is nil", func(p party) {
		app, err := p.App(p.Context(), "no-such-client")
		require.NoError(p, err)
		require.Nil(p, app)
	})
}
