package access

import (
	"embed"
	"slices"
	"sync"
	"time"

	"github.com/cedar-policy/cedar-go"

	"fitvault/shared/consent"
	"fitvault/shared/reading"
)

//go:embed policies/*.cedar
var policyFiles embed.FS

// statement is all that policies are told of a question, in the words of
// policies/schema.cedarschema: who is what to whom, and what was offered, but no name,
// no type and no time. So there are only so many, and Cedar judges each once.
type statement struct {
	action    Action
	app       AppKind
	principal cedar.EntityType // User, Newcomer, System or Staff
	roles     uint             // of Staff: bits, in the order of Roles
	resource  cedar.EntityType // Account, Vacancy or Service
	own       bool             // the Account is the principal's
	active    bool             // so is the Account
	consents  uint             // of its owner: bits, in the order of consent.Purposes
	permit    offer            // the owner's to the app
	grant     offer            // the one that is asked about, which the principal has
	member    bool             // that he has as a member of an organisation
}

// offer is what policies are told of a permit. That it covers what is asked for is seen to
// by candidates already; policies demand it too.
type offer struct {
	made, covers, read, write, current bool
	use                                Use
}

func (p Permit) offer(asked []reading.Type, now time.Time) offer {
	covers := !slices.ContainsFunc(asked, func(t reading.Type) bool { return !slices.Contains(p.Types, t) })
	current := p.From.Unix() <= now.Unix() && now.Unix() < p.Until.Unix()
	return offer{made: true, covers: covers, read: p.Read, write: p.Write, current: current, use: p.Use}
}

// statement is what is to be said of a question, but for permits.
func (q Question) statement() statement {
	p, owner := q.Principal, q.Owner
	s := statement{action: q.Action, app: q.App}
	switch {
	case p.Staff:
		s.principal = "Staff"
		for i, role := range Roles {
			if slices.Contains(p.Roles, role) {
				s.roles |= 1 << i
			}
		}
	case p.System:
		s.principal = "System"
	case !p.User.IsZero():
		s.principal = "User"
	default:
		s.principal = "Newcomer"
	}
	switch {
	case p.Staff:
		s.resource = "Service"
	case owner.User.IsZero():
		s.resource = "Vacancy"
	default:
		s.resource = "Account"
		s.own = s.principal == "User" && owner.User == p.User
		s.active = owner.State == Active
		for i, purpose := range consent.Purposes {
			if s.active && owner.Consented(purpose, q.Now) {
				s.consents |= 1 << i
			}
		}
	}
	return s
}

var (
	policies = load()
	kept     = verdicts{most: 4096, of: map[statement]Decision{}}
)

func judge(s statement) Decision { return kept.judge(s, policies) }

// verdicts is what the policies say of statements that were met. A service meets a few
// hundred. Permits can be combined to more, so it begins anew when it is full.
type verdicts struct {
	mu   sync.Mutex
	most int
	of   map[statement]Decision
}

func (v *verdicts) judge(s statement, policies *cedar.PolicySet) Decision {
	v.mu.Lock()
	defer v.mu.Unlock()
	d, ok := v.of[s]
	if !ok {
		if len(v.of) == v.most {
			clear(v.of)
		}
		d = s.judged(policies)
		v.of[s] = d
	}
	return d
}

// judged is what policies say of a statement, as Allowed, Error and Reasons.
func (s statement) judged(policies *cedar.PolicySet) Decision {
	entities, request := s.terms()
	return answer(policies, entities, request)
}

// answer evaluates the policies. Cedar goes on past a policy that fails; here one
// failure denies, because what it would have said is not known.
func answer(policies *cedar.PolicySet, entities cedar.EntityMap, request cedar.Request) Decision {
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
	return d
}

// terms puts a statement into the terms of policies/schema.cedarschema, where who asks
// is always "principal", and what for "resource".
func (s statement) terms() (cedar.EntityMap, cedar.Request) {
	principal := cedar.Entity{UID: cedar.NewEntityUID(s.principal, "principal")}
	resource := cedar.Entity{UID: cedar.NewEntityUID(s.resource, "resource")}
	organisation := cedar.NewEntityUID("Organisation", "organisation")
	if s.principal == "Staff" {
		principal.Attributes = cedar.NewRecord(cedar.RecordMap{"roles": chosen(Roles, s.roles)})
	}
	if s.member {
		principal.Parents = cedar.NewEntityUIDSet(organisation)
	}
	switch s.resource {
	case "Account":
		owner := cedar.NewEntityUID("User", "owner")
		if s.own {
			owner = principal.UID
		}
		state := cedar.String("")
		if s.active {
			state = cedar.String(Active)
		}
		resource.Parents = cedar.NewEntityUIDSet(owner)
		resource.Attributes = cedar.NewRecord(cedar.RecordMap{"state": state, "consents": chosen(consent.Purposes, s.consents)})
	case "Vacancy":
		resource.Attributes = cedar.NewRecord(cedar.RecordMap{"seeker": cedar.NewEntityUID("Newcomer", "principal")})
	}
	app := cedar.RecordMap{"kind": cedar.String(s.app)}
	if s.permit.made {
		app["permit"] = cedar.NewRecord(s.permit.terms())
	}
	context := cedar.RecordMap{"app": cedar.NewRecord(app)}
	if s.grant.made {
		grant := s.grant.terms()
		if s.member {
			grant["organisation"] = organisation
		} else {
			grant["person"] = principal.UID
		}
		context["grant"] = cedar.NewRecord(grant)
	}
	return cedar.EntityMap{principal.UID: principal, resource.UID: resource}, cedar.Request{
		Principal: principal.UID,
		Action:    cedar.NewEntityUID("Action", cedar.String(s.action)),
		Resource:  resource.UID,
		Context:   cedar.NewRecord(context),
	}
}

func (o offer) terms() cedar.RecordMap {
	return cedar.RecordMap{
		"covers":  cedar.Boolean(o.covers),
		"read":    cedar.Boolean(o.read),
		"write":   cedar.Boolean(o.write),
		"use":     cedar.String(o.use),
		"current": cedar.Boolean(o.current),
	}
}

// chosen is those of all whose bits are set.
func chosen[S ~string](all []S, bits uint) cedar.Set {
	var values []cedar.Value
	for i, s := range all {
		if bits&(1<<i) != 0 {
			values = append(values, cedar.String(s))
		}
	}
	return cedar.NewSet(values...)
}

// load compiles the policies in the binary. Each has an @id, which audit
// events repeat; a mistake stops the function before it serves anything.
func load() *cedar.PolicySet {
	set := cedar.NewPolicySet()
	files, err := policyFiles.ReadDir("policies")
	if err != nil {
		panic(err)
	}
	for _, file := range files {
		text, err := policyFiles.ReadFile("policies/" + file.Name())
		if err != nil {
			panic(err)
		}
		list, err := cedar.NewPolicyListFromBytes(file.Name(), text)
		if err != nil {
			panic(err)
		}
		for _, policy := range list {
			id := policy.Annotations()["id"]
			if id == "" || !set.Add(cedar.PolicyID(id), policy) {
				panic("policy without an id of its own in " + file.Name())
			}
		}
	}
	return set
}
