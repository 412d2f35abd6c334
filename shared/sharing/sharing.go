// Package sharing is how an owner lets others in and shuts them out: grants, which
// somebody accepts by an invitation code, apps, sessions, and what he demands of
// uploads (requirements R5, R23). It says what the store promises; what a grant then
// opens is decided by package access, at each request anew.
package sharing

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/redact"
)

const (
	// MaxTries is how often a code of an invitation may be tried, the right one too.
	MaxTries = 5
	// InvitationLife is how long an invitation can be accepted.
	InvitationLife = 7 * 24 * time.Hour
	// MaxPermit is how long from now somebody may be let in.
	MaxPermit = 366 * 24 * time.Hour
	// MaxShared bounds what is listed of what others share with one, MaxSessions the sessions.
	MaxShared, MaxSessions = 500, 100
)

var (
	// ErrNone: there is nothing that could be changed, or not any more.
	ErrNone = errors.New("no such thing, or not in this state")
	// ErrFull: the account has as many as it may have.
	ErrFull = errors.New("the account has as many as it may have, or is not active")
)

// Invitation waits for somebody who has its code.
type Invitation struct {
	redact.Mark
	Owner    access.UserID
	Grant    string // what is accepted by it
	Verifier [sha256.Size]byte
	Expires  time.Time // in whole seconds
}

// Shared names a grant that somebody has accepted: an entry of his list. It is no
// permission; the owner's document is.
type Shared struct {
	redact.Mark
	Owner access.UserID
	Grant string
}

// SessionEntry is a session with its name.
type SessionEntry struct {
	redact.Mark
	Name string
	access.Session
}

// Store keeps all of it. Each change is one step: whole or not at all, and on what is
// stored then, not on what was read before; of several at once none undoes another.
// What was answered is seen by the next strongly consistent read. Errors other than
// ErrNone and ErrFull mean that nobody knows whether it happened.
type Store interface {
	// AddGrant adds a grant that nobody has accepted, and its invitation; ErrFull where
	// there are access.MaxGrants, or the account is not active. The very same again, of
	// which nobody has heard yet, is no error: its first answer was lost.
	AddGrant(ctx context.Context, id string, g access.Grant, selector string, i Invitation) error
	// RemoveGrant removes a grant, accepted or not, and the entry of who has it: its
	// invitation opens nothing then. ErrNone where there is none.
	RemoveGrant(ctx context.Context, owner access.UserID, id string) error
	// Try takes one of the tries of an invitation that can still be accepted, and
	// returns it; ErrNone of all others. For each it is one call of the same form.
	Try(ctx context.Context, selector string, now time.Time) (Invitation, error)
	// Accept uses an invitation up and makes its grant somebody's; ErrNone where either
	// is not there any more, the grant has ended, or the account is not active. Until is
	// the grant's: so long it is in his list. Whether the owner consents to share is asked
	// each time that something is to be opened, and not here.
	Accept(ctx context.Context, selector string, i Invitation, to string, until, now time.Time) error
	// SharedWith is what somebody, as Grant.To names him, has accepted that has neither
	// been withdrawn nor ended: at most most.
	SharedWith(ctx context.Context, to string, most int, now time.Time) ([]Shared, error)
	// Owners are the documents of accounts that exist, by id, strongly consistent.
	Owners(ctx context.Context, ids []access.UserID) (map[access.UserID]access.Owner, error)

	// PutApp lets an app in, or changes what it may; ErrFull where there are access.MaxApps others, or the account is not active.
	PutApp(ctx context.Context, owner access.UserID, client string, p access.Permit) error
	// RemoveApp shuts an app out; ErrNone where it was not let in.
	RemoveApp(ctx context.Context, owner access.UserID, client string) error
	// App is the document of an app; nil where there is none.
	App(ctx context.Context, client string) (*access.App, error)

	// Sessions are an identity's sessions that have not ended, the latest sign-in first: at most MaxSessions.
	Sessions(ctx context.Context, issuer, subject string, now time.Time) ([]SessionEntry, error)
	// EndSession ends one, for good; ErrNone where there is none.
	EndSession(ctx context.Context, issuer, subject, name string) error

	// PutSettings replaces an active account's settings; ErrNone where it is not active.
	PutSettings(ctx context.Context, owner access.UserID, s access.Settings) error
}

// InvitationKey is the `id` of an invitation's item in the Accounts table.
func InvitationKey(selector string) string { return "invitation#" + selector }

// SharedKey is the `id` of the entries of somebody's list, as Grant.To names him; their
// `document` is the owner's id and the grant's. They stand apart from owners' documents,
// so that who may remove the one cannot remove the other.
func SharedKey(to string) string { return "shared#" + to }

// SortSessions puts the latest sign-in first.
func SortSessions(all []SessionEntry) {
	slices.SortFunc(all, func(a, b SessionEntry) int {
		return cmp.Or(b.SignedIn.Compare(a.SignedIn), cmp.Compare(a.Name, b.Name))
	})
}
