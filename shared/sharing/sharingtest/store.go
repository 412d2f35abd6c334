// Package sharingtest is sharing.Store in memory, and the contract that it and the
// real one keep.
package sharingtest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/fault"
	"fitvault/shared/sharing"
)

// Store is the Accounts table in memory, with what the edge reads of it too. It is
// safe for concurrent use.
type Store struct {
	// Hook is asked before each call, by its name; what it returns is the call's error.
	Hook func(call string) error

	mu          sync.Mutex
	calls       []string
	callers     map[string]access.Caller
	owners      map[access.UserID]access.Owner
	apps        map[string]access.App
	sessions    map[string]map[string]access.Session
	invitations map[string]*invitation
	shared      map[string][]entry
}

type entry struct {
	sharing.Shared
	until time.Time
}

type invitation struct {
	sharing.Invitation
	tries int
	used  bool
}

var _ sharing.Store = (*Store)(nil)

// begin locks the store for one call.
func (s *Store) begin(ctx context.Context, call string) (func(), error) {
	if err := ctx.Err(); err != nil {
		return func() {}, err
	}
	if s.Hook != nil {
		if err := s.Hook(call); err != nil {
			return func() {}, err
		}
	}
	s.mu.Lock()
	s.calls = append(s.calls, call)
	return s.mu.Unlock, nil
}

// Calls returns the calls since the last time, in order.
func (s *Store) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// Put stores documents; a caller's under issuer and subject.
func (s *Store) Put(issuer, subject string, d access.Documents) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.Caller != nil {
		set(&s.callers, access.IdentityKey(issuer, subject), *d.Caller)
	}
	if d.Owner != nil {
		set(&s.owners, d.Owner.User, *d.Owner)
	}
	if d.App != nil {
		set(&s.apps, d.App.Client, *d.App)
	}
}

func set[K comparable, V any](m *map[K]V, key K, value V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[key] = value
}

// Owner is an owner's document.
func (s *Store) Owner(user access.UserID) access.Owner {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owners[user]
}

// Read implements edge.Documents.
func (s *Store) Read(ctx context.Context, k access.Keys) (d access.Documents, err error) {
	done, err := s.begin(ctx, "read")
	defer done()
	if err != nil {
		return d, fault.Wrap(fault.Unavailable, "documents cannot be read", err)
	}
	if c, ok := s.callers[access.IdentityKey(k.Issuer, k.Subject)]; ok && k.Subject != "" {
		d.Caller = &c
	}
	if o, ok := s.owners[k.User]; ok {
		d.Owner = &o
	}
	if a, ok := s.apps[k.Client]; ok {
		d.App = &a
	}
	if session, ok := s.sessions[access.SessionsKey(k.Issuer, k.Subject)][k.Session]; ok {
		d.Session = &session
	}
	return d, nil
}

// BeginSession implements edge.Sessions.
func (s *Store) BeginSession(ctx context.Context, issuer, subject, name string, session access.Session) (access.Session, error) {
	done, err := s.begin(ctx, "begin session")
	defer done()
	if err != nil {
		return access.Session{}, err
	}
	key := access.SessionsKey(issuer, subject)
	if found, ok := s.sessions[key][name]; ok {
		return found, nil
	}
	of := maps.Clone(s.sessions[key])
	set(&of, name, session)
	set(&s.sessions, key, of)
	return session, nil
}

// change replaces an owner's document by a changed copy: who has read it keeps what he read.
func (s *Store) change(user access.UserID, lost error, may func(access.Owner) bool, change func(*access.Owner)) error {
	owner, ok := s.owners[user]
	if !ok || !may(owner) {
		return lost
	}
	owner.Grants, owner.Apps = maps.Clone(owner.Grants), maps.Clone(owner.Apps)
	change(&owner)
	s.owners[user] = owner
	return nil
}

func (s *Store) AddGrant(ctx context.Context, id string, g access.Grant, selector string, i sharing.Invitation) error {
	done, err := s.begin(ctx, "add grant")
	defer done()
	if err != nil {
		return err
	}
	if same := s.invitations[selector]; same != nil {
		if _, held := s.owners[i.Owner].Grants[id]; held && same.Invitation == i && same.tries == 0 {
			return nil
		}
		return sharing.ErrFull
	}
	err = s.change(i.Owner, sharing.ErrFull, func(o access.Owner) bool {
		_, taken := o.Grants[id]
		return o.State == access.Active && len(o.Grants) < access.MaxGrants && !taken
	}, func(o *access.Owner) { set(&o.Grants, id, access.Grant{Permit: g.Permit, Invitation: i.Expires}) })
	if err == nil {
		set(&s.invitations, selector, &invitation{Invitation: i})
	}
	return err
}

func (s *Store) RemoveGrant(ctx context.Context, owner access.UserID, id string) error {
	done, err := s.begin(ctx, "remove grant")
	defer done()
	if err != nil {
		return err
	}
	return s.change(owner, sharing.ErrNone, func(o access.Owner) bool { _, ok := o.Grants[id]; return ok }, func(o *access.Owner) {
		if to := o.Grants[id].To; to != "" {
			set(&s.shared, to, slices.DeleteFunc(slices.Clone(s.shared[to]), func(e entry) bool { return e.Shared == sharing.Shared{Owner: owner, Grant: id} }))
		}
		delete(o.Grants, id)
	})
}

func (s *Store) Try(ctx context.Context, selector string, now time.Time) (sharing.Invitation, error) {
	done, err := s.begin(ctx, "try")
	defer done()
	if err != nil {
		return sharing.Invitation{}, err
	}
	i := s.invitations[selector]
	if i == nil || i.tries >= sharing.MaxTries || i.Expires.Unix() <= now.Unix() || i.used {
		return sharing.Invitation{}, sharing.ErrNone
	}
	i.tries++
	return i.Invitation, nil
}

func (s *Store) Accept(ctx context.Context, selector string, i sharing.Invitation, to string, until, now time.Time) error {
	done, err := s.begin(ctx, "accept")
	defer done()
	if err != nil {
		return err
	}
	stored := s.invitations[selector]
	if stored == nil || stored.used {
		return sharing.ErrNone
	}
	err = s.change(i.Owner, sharing.ErrNone, func(o access.Owner) bool {
		g, ok := o.Grants[i.Grant]
		return ok && g.To == "" && o.State == access.Active && g.Until.Unix() > now.Unix()
	}, func(o *access.Owner) { o.Grants[i.Grant] = access.Grant{Permit: o.Grants[i.Grant].Permit, To: to} })
	if err == nil {
		stored.used = true
		set(&s.shared, to, append(slices.Clone(s.shared[to]), entry{sharing.Shared{Owner: i.Owner, Grant: i.Grant}, until}))
	}
	return err
}

func (s *Store) SharedWith(ctx context.Context, to string, most int, now time.Time) (all []sharing.Shared, err error) {
	done, err := s.begin(ctx, "shared with")
	defer done()
	for _, e := range s.shared[to] {
		if e.until.Unix() > now.Unix() {
			all = append(all, e.Shared)
		}
	}
	return all[:min(most, len(all))], err
}

func (s *Store) Owners(ctx context.Context, ids []access.UserID) (map[access.UserID]access.Owner, error) {
	done, err := s.begin(ctx, "owners")
	defer done()
	found := map[access.UserID]access.Owner{}
	for _, id := range ids {
		if o, ok := s.owners[id]; ok {
			found[id] = o
		}
	}
	return found, err
}

func (s *Store) PutApp(ctx context.Context, owner access.UserID, client string, p access.Permit) error {
	done, err := s.begin(ctx, "put app")
	defer done()
	if err != nil {
		return err
	}
	return s.change(owner, sharing.ErrFull, func(o access.Owner) bool {
		_, there := o.Apps[client]
		return o.State == access.Active && (there || len(o.Apps) < access.MaxApps)
	}, func(o *access.Owner) { set(&o.Apps, client, p) })
}

func (s *Store) RemoveApp(ctx context.Context, owner access.UserID, client string) error {
	done, err := s.begin(ctx, "remove app")
	defer done()
	if err != nil {
		return err
	}
	return s.change(owner, sharing.ErrNone, func(o access.Owner) bool { _, ok := o.Apps[client]; return ok }, func(o *access.Owner) { delete(o.Apps, client) })
}

func (s *Store) App(ctx context.Context, client string) (*access.App, error) {
	done, err := s.begin(ctx, "app")
	defer done()
	if app, ok := s.apps[client]; ok && err == nil {
		return &app, nil
	}
	return nil, err
}

func (s *Store) Sessions(ctx context.Context, issuer, subject string, now time.Time) (all []sharing.SessionEntry, err error) {
	done, err := s.begin(ctx, "sessions")
	defer done()
	for name, session := range s.sessions[access.SessionsKey(issuer, subject)] {
		if session.State == access.Active && session.Expires.After(now) {
			all = append(all, sharing.SessionEntry{Name: name, Session: session})
		}
	}
	sharing.SortSessions(all)
	return all[:min(sharing.MaxSessions, len(all))], err
}

func (s *Store) EndSession(ctx context.Context, issuer, subject, name string) error {
	done, err := s.begin(ctx, "end session")
	defer done()
	if err != nil {
		return err
	}
	key := access.SessionsKey(issuer, subject)
	session, ok := s.sessions[key][name]
	if !ok {
		return sharing.ErrNone
	}
	session.State = access.Ended
	s.sessions[key] = maps.Clone(s.sessions[key])
	s.sessions[key][name] = session
	return nil
}

func (s *Store) PutSettings(ctx context.Context, owner access.UserID, settings access.Settings) error {
	done, err := s.begin(ctx, "put settings")
	defer done()
	if err != nil {
		return err
	}
	return s.change(owner, sharing.ErrNone, func(o access.Owner) bool { return o.State == access.Active }, func(o *access.Owner) { o.Settings = settings })
}
