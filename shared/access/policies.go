package access

import (
	"embed"
	"slices"
	"sync"
	"sync/atomic"
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
	grant     offer            // the one that is asked about
	to        string           // as whom the principal has that: "person" or "organisation"
}

// offer is what policies are told of a permit.
type offer struct {
	there, covers, read, write bool
	use                        Use
	begun, over                bool
}

func (p Permit) offer(asked []reading.Type, now time.Time) offer {
	covers := !slices.ContainsFunc(asked, func(t reading.Type) bool { return !slices.Contains(p.Types, t) })
	return offer{true, covers, p.Read, p.Write, p.Use, !now.Before(p.From), !now.Before(p.Until)}
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

// verdict is what the policies say.
type verdict struct {
	allowed, failed bool
	reasons         []string // sorted; not to be written to
}

// maxVerdicts bounds memory. A service meets a few hundred statements; what is beyond is
// judged at each question.
const maxVerdicts = 4096

var (
	policies = load()
	verdicts sync.Map // by statement
	counted  atomic.Int64
)

func judge(s statement) verdict {
	if v, ok := verdicts.Load(s); ok {
		return v.(verdict)
	}
	v := s.judged(policies)
	if counted.Add(1) <= maxVerdicts {
		verdicts.Store(s, v)
	}
	return v
}

func (s statement) judged(policies *cedar.PolicySet) verdict {
	entities, request := s.terms()
	return answer(policies, entities, request)
}

// answer evaluates the policies. Cedar goes on past a policy that fails; here one
// failure denies, because what it would have said is not known.
func answer(policies *cedar.PolicySet, entities cedar.EntityMap, request cedar.Request) verdict {
	allowed, diagnostic := cedar.Authorize(policies, entities, request)
	if len(diagnostic.Errors) > 0 {
		return verdict{failed: true}
	}
	if allowed != cedar.Allow {
		return verdict{}
	}
	v := verdict{allowed: true}
	for _, reason := range diagnostic.Reasons {
		v.reasons = append(v.reasons, string(reason.PolicyID))
	}
	slices.Sort(v.reasons)
	v.reasons = slices.Clip(v.reasons)
	return v
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
	if s.to == "organisation" {
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
	if s.permit.there {
		app["permit"] = cedar.NewRecord(s.permit.terms())
	}
	context := cedar.RecordMap{"app": cedar.NewRecord(app)}
	if s.grant.there {
		grant := s.grant.terms()
		grant[cedar.String(s.to)] = map[string]cedar.EntityUID{"person": principal.UID, "organisation": organisation}[s.to]
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
		"covers": cedar.Boolean(o.covers),
		"read":   cedar.Boolean(o.read),
		"write":  cedar.Boolean(o.write),
		"use":    cedar.String(o.use),
		"begun":  cedar.Boolean(o.begun),
		"over":   cedar.Boolean(o.over),
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
