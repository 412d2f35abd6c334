// Package access decides who may do what: principals, the documents that hold
// what can be withdrawn, and the Cedar policies under policies/. It is pure:
// documents come in, a decision goes out, and none of either is kept (requirements R1,
// R5, R23). What no policy permits is denied.
package access

import (
	"maps"
	"slices"
	"strings"
	"time"

	"fitvault/shared/fault"
	"fitvault/shared/reading"
	"fitvault/shared/redact"
)

// Action is what a caller wants to do with an account; one per kind of route.
type Action string

const (
	ReadingsWrite   Action = "readings.write"
	ReadingsRead    Action = "readings.read"
	RecordingsWrite Action = "recordings.write"
	RecordingsRead  Action = "recordings.read"
	DaysRead        Action = "days.read"

	ConsentsRead      Action = "consents.read"
	ConsentsWrite     Action = "consents.write"
	SharingRead       Action = "sharing.read"     // see grants, apps, sessions, and what is shared with oneself
	SharingGive       Action = "sharing.give"     // let somebody in
	SharingWithdraw   Action = "sharing.withdraw" // shut somebody out
	InvitationsAccept Action = "invitations.accept"
	SettingsRead      Action = "settings.read"
	SettingsWrite     Action = "settings.write"
	DevicesRead       Action = "devices.read"
	DevicesWrite      Action = "devices.write"
	AccessLogRead     Action = "access-log.read" // who did what with one's account

	AppsManage      Action = "apps.manage"
	RolesManage     Action = "roles.manage"
	DevicesRegister Action = "devices.register"
	AuditRead       Action = "audit.read"
	AuditResolve    Action = "audit.resolve" // learn who a pseudonym of the audit log is
)

// Actions is every action that a policy may name.
var Actions = []Action{ReadingsWrite, ReadingsRead, RecordingsWrite, RecordingsRead, DaysRead,
	ConsentsRead, ConsentsWrite, SharingRead, SharingGive, SharingWithdraw, InvitationsAccept, SettingsRead, SettingsWrite,
	DevicesRead, DevicesWrite, AccessLogRead, AppsManage, RolesManage, DevicesRegister, AuditRead, AuditResolve}

// onData is the actions on an account's data: what permits are about.
var onData = map[Action]bool{ReadingsWrite: true, ReadingsRead: true, RecordingsWrite: true, RecordingsRead: true, DaysRead: true}

// Principal is who asks: a person by way of an app, a member of the staff, or a
// system by itself; proved by one token.
type Principal struct {
	redact.Mark
	User            UserID // nobody before enrolment, and of a system
	Issuer, Subject string
	Client          string
	Scopes          []string // those of the token that the app's document has too
	System          bool     // client credentials: Subject is Client, nobody is signed in
	Staff           bool     // of the staff's pool
	Roles           []Role
	Organisations   []string
	Session         string    // origin_jti: the sign-in that the token comes from, kept over refreshing; "" of a system
	AuthTime        time.Time // of that sign-in, as the pool says
}

// Question is one question: may Principal, by way of an app of this kind, do
// Action on the account Owner? For `me` before enrolment Owner is zero; for an id
// without a stored document it is Owner{User: id}; a staff action is on no account.
type Question struct {
	Principal Principal
	App       AppKind
	Action    Action
	Owner     Owner
	Now       time.Time
}

// Decision is the answer to one question.
type Decision struct {
	Allowed bool
	// Types is the types of data that are permitted, where Bounded; otherwise all are.
	Bounded bool
	Types   []reading.Type
	Kind    fault.Kind // why not; "" where allowed
	Reasons []string   // ids of the policies that permit, sorted; none where denied
	Error   bool       // a policy failed to evaluate: a denial, and an alarm to raise
}

// Permits reports whether a decision lets data of a type be read or written.
func (d Decision) Permits(t reading.Type) bool {
	return d.Allowed && (!d.Bounded || slices.Contains(d.Types, PermittedAs(t)))
}

// Restrict is those of the types that are asked for that may be read: none asked
// for are all that are permitted, and none permitted by name where all are. One that
// is not permitted is Forbidden: who may read something knows that there is an account.
func (d Decision) Restrict(asked map[reading.Type]bool) (map[reading.Type]bool, error) {
	if !d.Bounded {
		return asked, nil
	}
	if len(asked) == 0 {
		all := map[reading.Type]bool{}
		for _, t := range d.Types {
			all[t] = true
			if t == Recording {
				all[trackpoint] = true
			}
		}
		if len(all) == 0 { // must not come out as all
			return nil, fault.New(fault.Forbidden, "nothing is permitted")
		}
		return all, nil
	}
	for t := range asked {
		if !d.Permits(t) {
			return nil, fault.New(fault.Forbidden, "a type that is not permitted")
		}
	}
	return asked, nil
}

// Decide decides a question.
//
// A denial is NotFound for anybody but the owner, whatever the reason, so that
// nobody learns which accounts exist.
func Decide(q Question) Decision {
	return decide(judge, q)
}

func decide(judge func(statement) Decision, q Question) Decision {
	d := q.ask(judge)
	owner := q.Owner
	switch {
	case d.Allowed:
	case q.Principal.Staff:
		d.Kind = fault.Forbidden
	case q.Principal.System || owner.User != q.Principal.User:
		d.Kind = fault.NotFound
	case d.Error:
		d.Kind = fault.Internal
	case q.App != OwnApp:
		d.Kind = fault.Forbidden
	case q.Principal.User.IsZero(), owner.State == Active && q.lacksConsent():
		d.Kind = fault.ConsentRequired
	default:
		d.Kind = fault.Forbidden
	}
	return d
}

// lacksConsent reports whether the owner himself is denied for want of a consent.
func (q Question) lacksConsent() bool {
	switch q.Action {
	case ReadingsWrite, RecordingsWrite:
		return !q.Owner.Consented(Collection, q.Now)
	case SharingGive:
		return !q.Owner.Consented(Sharing, q.Now)
	}
	return false
}

// candidate is what is asked of the policies, and what a yes permits.
type candidate struct {
	statement statement
	bounded   bool // to types
	types     []reading.Type
}

// ask puts every candidate: what any of them permits is permitted. If a policy fails on
// one, all is denied.
func (q Question) ask(judge func(statement) Decision) (all Decision) {
	q.candidates(func(c candidate) {
		d := judge(c.statement)
		all.Error = all.Error || d.Error
		if !d.Allowed {
			return
		}
		all.Allowed, all.Bounded = true, c.bounded
		for _, t := range c.types {
			if !slices.Contains(all.Types, t) {
				all.Types = append(all.Types, t)
			}
		}
		for _, id := range d.Reasons {
			if !slices.Contains(all.Reasons, id) {
				all.Reasons = append(all.Reasons, id)
			}
		}
	})
	if all.Error {
		return Decision{Error: true}
	}
	slices.Sort(all.Reasons)
	return all
}

// candidates puts one question where no permit counts, and else one for each permit
// that the principal may have: the owner's for the app, or his grants.
func (q Question) candidates(put func(candidate)) {
	theApp, authorised := q.Owner.Apps[q.Principal.Client]
	bounded := q.App != OwnApp
	authorised = authorised && bounded && onData[q.Action]
	base := q.statement()
	of := func(types []reading.Type) candidate {
		c := candidate{base, true, types}
		if authorised {
			c.statement.permit = theApp.offer(types, q.Now)
		}
		return c
	}
	switch {
	case !onData[q.Action], q.Principal.Staff, !bounded && q.Owner.User == q.Principal.User:
		put(candidate{statement: base})
		return
	case q.Principal.System, q.Owner.User == q.Principal.User:
		// A permit for something else is none.
		if types := q.asked(theApp.Types); len(types) > 0 || !authorised {
			put(of(types))
		}
		return
	}
	has := false
	for _, id := range slices.Sorted(maps.Keys(q.Owner.Grants)) {
		grant := q.Owner.Grants[id]
		held, member := grant.heldBy(q.Principal)
		if !held {
			continue
		}
		types := q.asked(grant.Types)
		if bounded {
			types = slices.DeleteFunc(types, func(t reading.Type) bool { return !slices.Contains(theApp.Types, t) })
		}
		if len(types) == 0 {
			continue
		}
		has = true
		c := of(types)
		c.statement.grant, c.statement.member = grant.offer(types, q.Now), member
		put(c)
	}
	if !has {
		put(of(nil)) // that no grant opens nothing is the policies' to say, too
	}
}

// heldBy reports whether a person has a grant, himself or as a member of an organisation.
func (g Grant) heldBy(p Principal) (held, member bool) {
	if p.User.IsZero() {
		return false, false
	}
	if name, is := strings.CutPrefix(g.To, OrganisationPrefix); is {
		return slices.Contains(p.Organisations, name), true
	}
	return g.To == p.User.String(), false
}

// asked is those of a permit's types that the action is about, a copy.
func (q Question) asked(types []reading.Type) []reading.Type {
	recordings := q.Action == RecordingsRead || q.Action == RecordingsWrite
	return slices.DeleteFunc(append([]reading.Type{}, types...), func(t reading.Type) bool {
		if q.Action == DaysRead { // days count both
			return false
		}
		return (t == Recording) != recordings
	})
}
