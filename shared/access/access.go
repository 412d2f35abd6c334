// Package access decides who may do what: principals, the documents that hold
// what can be withdrawn, and the Cedar policies under policies/. It is pure:
// documents come in, a decision goes out, nothing is cached (requirements R1,
// R5, R23). What no policy permits is denied.
package access

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cedar-policy/cedar-go"

	"fitvault/shared/consent"
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
	return decide(prepare, q)
}

func decide(policies func(shape) prepared, q Question) Decision {
	d := q.ask(policies)
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

// candidate is one question in Cedar's terms, the policies that may say yes to it, and
// what a yes permits.
type candidate struct {
	policies cedar.PolicyIterator
	request  cedar.Request
	bounded  bool // to types
	types    []reading.Type
}

// ask puts every candidate: what any of them permits is permitted.
func (q Question) ask(policies func(shape) prepared) Decision {
	var all Decision
	entities, request := q.terms()
	for _, c := range q.candidates(policies, request) {
		d := answer(c.policies, entities, c.request)
		if d.Allowed && c.bounded {
			d.Bounded, d.Types = true, c.types
		}
		all = all.or(d)
	}
	return all
}

// candidates is one question where no permit counts, and else one for each permit
// that the principal may have: the owner's for the app, or his grants. Of its context
// there is what its policies look at, because to make that is half of what it costs.
func (q Question) candidates(policies func(shape) prepared, request cedar.Request) (all []candidate) {
	theApp, authorised := q.Owner.Apps[q.Principal.Client]
	bounded := q.App != OwnApp
	authorised = authorised && bounded
	add := func(bounded bool, types []reading.Type, grant *Grant, to grantee) {
		p := policies(shape{q.Action, q.App, authorised, to.is})
		terms := make(cedar.RecordMap, 4)
		if p.looksAt("now") {
			terms["now"] = cedar.Long(q.Now.Unix())
		}
		set := typeSet(types)
		if p.looksAt("types") {
			terms["types"] = set
		}
		// permitted is a permit in Cedar's terms; of its types those that the action is about.
		permitted := func(permit Permit) cedar.RecordMap {
			if about := q.asked(permit.Types); len(about) > len(types) { // else they are the same
				return p.terms(permit, typeSet(about))
			}
			return p.terms(permit, set)
		}
		if p.looksAt("app") {
			app := cedar.RecordMap{}
			if p.looksAt("kind") {
				app["kind"] = cedar.String(q.App)
			}
			if authorised {
				app["permit"] = cedar.NewRecord(permitted(theApp))
			}
			terms["app"] = cedar.NewRecord(app)
		}
		if grant != nil {
			given := permitted(grant.Permit)
			given[to.is] = to.who
			terms["grant"] = cedar.NewRecord(given)
		}
		request.Context = cedar.NewRecord(terms)
		all = append(all, candidate{p.policies, request, bounded, types})
	}
	switch {
	case !onData[q.Action], q.Principal.Staff, !bounded && q.Owner.User == q.Principal.User:
		add(false, nil, nil, grantee{})
	case q.Principal.System, q.Owner.User == q.Principal.User:
		// A permit for something else is none.
		if types := q.asked(theApp.Types); len(types) > 0 || !authorised {
			add(true, types, nil, grantee{})
		}
	default:
		ids := slices.AppendSeq(make([]string, 0, len(q.Owner.Grants)), maps.Keys(q.Owner.Grants))
		slices.Sort(ids)
		for _, id := range ids {
			grant := q.Owner.Grants[id]
			to, his := grant.grantee(q.Principal)
			if !his {
				continue
			}
			types := q.asked(grant.Types)
			if bounded {
				types = slices.DeleteFunc(types, func(t reading.Type) bool { return !slices.Contains(theApp.Types, t) })
			}
			if len(types) > 0 {
				add(true, types, &grant, to)
			}
		}
		if len(all) == 0 {
			add(true, nil, nil, grantee{}) // no grant of his: that this opens nothing is the policies' to say, too
		}
	}
	return all
}

// grantee is as whom a principal has a grant, in the terms of the schema's Grant.
type grantee struct {
	is  cedar.String // "person" or "organisation"; "" of no grant
	who cedar.EntityUID
}

// grantee reports whether a principal has a grant himself or as a member.
func (g Grant) grantee(p Principal) (grantee, bool) {
	switch name, organisation := strings.CutPrefix(g.To, OrganisationPrefix); {
	case organisation && slices.Contains(p.Organisations, name):
		return grantee{"organisation", cedar.NewEntityUID("Organisation", cedar.String(name))}, true
	case !organisation && g.To != "" && g.To == p.User.String():
		return grantee{"person", cedar.NewEntityUID("User", cedar.String(g.To))}, true
	}
	return grantee{}, false
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

// or is what either of two decisions permits. One that failed denies all.
func (d Decision) or(o Decision) Decision {
	switch {
	case d.Error || o.Error:
		return Decision{Error: true}
	case !o.Allowed:
		return d
	case !d.Allowed:
		return o
	}
	for _, t := range o.Types {
		if !slices.Contains(d.Types, t) {
			d.Types = append(d.Types, t)
		}
	}
	d.Reasons = append(d.Reasons, o.Reasons...)
	slices.Sort(d.Reasons)
	d.Reasons = slices.Compact(d.Reasons)
	return d
}

// terms puts a permit into the terms of policies/schema.cedarschema.
func (p prepared) terms(permit Permit, types cedar.Set) cedar.RecordMap {
	terms := make(cedar.RecordMap, 8)
	if p.looksAt("types") {
		terms["types"] = types
	}
	if p.looksAt("read") {
		terms["read"] = cedar.Boolean(permit.Read)
	}
	if p.looksAt("write") {
		terms["write"] = cedar.Boolean(permit.Write)
	}
	if p.looksAt("use") {
		terms["use"] = cedar.String(permit.Use)
	}
	if p.looksAt("from") {
		terms["from"] = cedar.Long(permit.From.Unix())
	}
	if p.looksAt("until") {
		terms["until"] = cedar.Long(permit.Until.Unix())
	}
	return terms
}

func typeSet(types []reading.Type) cedar.Set {
	if len(types) == 0 {
		return cedar.Set{}
	}
	values := make([]cedar.Value, len(types))
	for i, t := range types {
		values[i] = cedar.String(t.String())
	}
	return cedar.NewSet(values...)
}

// pair is all that a question is about: who asks, and what for.
type pair struct{ principal, resource cedar.Entity }

func (p *pair) Get(uid cedar.EntityUID) (cedar.Entity, bool) {
	switch uid {
	case p.principal.UID:
		return p.principal, true
	case p.resource.UID:
		return p.resource, true
	}
	return cedar.Entity{}, false
}

// terms puts who asks about what into the terms of policies/schema.cedarschema.
func (q Question) terms() (*pair, cedar.Request) {
	p, owner := q.Principal, q.Owner
	identity := func() cedar.String { return cedar.String(IdentityKey(p.Issuer, p.Subject)) } // a hash: only where it is asked for
	var about pair
	switch principal := &about.principal; {
	case p.Staff:
		var roles []cedar.Value
		for _, r := range p.Roles {
			roles = append(roles, cedar.String(r))
		}
		principal.UID = cedar.NewEntityUID("Staff", identity())
		principal.Attributes = cedar.NewRecord(cedar.RecordMap{"roles": cedar.NewSet(roles...)})
	case p.System:
		principal.UID = cedar.NewEntityUID("System", cedar.String(p.Client))
	case !p.User.IsZero():
		principal.UID = cedar.NewEntityUID("User", cedar.String(p.User.String()))
		var organisations []cedar.EntityUID
		for _, name := range p.Organisations {
			organisations = append(organisations, cedar.NewEntityUID("Organisation", cedar.String(name)))
		}
		if len(organisations) > 0 {
			principal.Parents = cedar.NewEntityUIDSet(organisations...)
		}
	default:
		principal.UID = cedar.NewEntityUID("Newcomer", identity())
	}
	switch resource := &about.resource; {
	case p.Staff:
		resource.UID = cedar.NewEntityUID("Service", "fitvault")
	case !owner.User.IsZero():
		var given int
		for i, purpose := range consent.Purposes {
			if owner.Consented(purpose, q.Now) {
				given |= 1 << i
			}
		}
		id := cedar.String(owner.User.String())
		resource.UID = cedar.NewEntityUID("Account", id)
		resource.Parents = cedar.NewEntityUIDSet(cedar.NewEntityUID("User", id))
		resource.Attributes = accounts[given]
		if owner.State != Active {
			resource.Attributes = noAccount
		}
	default:
		seeker := cedar.NewEntityUID("Newcomer", identity())
		resource.UID = cedar.NewEntityUID("Vacancy", seeker.ID)
		resource.Attributes = cedar.NewRecord(cedar.RecordMap{"seeker": seeker})
	}
	return &about, cedar.Request{
		Principal: about.principal.UID,
		Action:    cedar.NewEntityUID("Action", cedar.String(q.Action)),
		Resource:  about.resource.UID,
	}
}

// accounts is what policies know of an active account, by the bits of the purposes
// consented to; noAccount of any other. To make a record and a set costs as much
// as to evaluate the policies, so these are made once.
var (
	accounts  = accountTerms()
	noAccount = cedar.NewRecord(cedar.RecordMap{"state": cedar.String(""), "consents": cedar.NewSet()})
)

func accountTerms() []cedar.Record {
	all := make([]cedar.Record, 1<<len(consent.Purposes))
	for bits := range all {
		var given []cedar.Value
		for i, purpose := range consent.Purposes {
			if bits&(1<<i) != 0 {
				given = append(given, cedar.String(purpose))
			}
		}
		all[bits] = cedar.NewRecord(cedar.RecordMap{"state": cedar.String(Active), "consents": cedar.NewSet(given...)})
	}
	return all
}

// answer evaluates the policies. Cedar goes on past a policy that fails; here
// one failure denies, because what it would have said is not known.
func answer(policies cedar.PolicyIterator, entities cedar.EntityGetter, request cedar.Request) Decision {
	allowed, diagnostic := cedar.Authorize(policies, entities, request)
	if len(diagnostic.Errors) > 0 {
		return Decision{Error: true}
	}
	if allowed != cedar.Allow {
		return Decision{}
	}
	d := Decision{Allowed: true}
	for _, reason := range diagnostic.Reasons {
		d.Reasons = append(d.Reasons, string(reason.PolicyID))
	}
	slices.Sort(d.Reasons)
	return d
}
