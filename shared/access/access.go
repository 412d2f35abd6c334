// Package access decides who may do what: principals, the documents that hold
// what can be withdrawn, and the Cedar policies under policies/. It is pure:
// documents come in, a decision goes out, nothing is cached (requirements R1,
// R5, R23). What no policy permits is denied.
package access

import (
	"embed"
	"slices"

	"github.com/cedar-policy/cedar-go"

	"fitvault/shared/fault"
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
	ConsentsRead    Action = "consents.read"
	ConsentsWrite   Action = "consents.write"
	DevicesRead     Action = "devices.read"
	DevicesWrite    Action = "devices.write"

	DevicesRegister Action = "devices.register" // the staff's
)

// Actions is every action that a policy may name.
var Actions = []Action{ReadingsWrite, ReadingsRead, RecordingsWrite, RecordingsRead, DaysRead, ConsentsRead, ConsentsWrite, DevicesRead, DevicesWrite, DevicesRegister}

// Principal is who asks: a person by way of an app, both proved by one token.
type Principal struct {
	redact.Mark
	User            UserID // nobody before enrolment
	Issuer, Subject string
	Client          string
	Scopes          []string // those of the token that the app's document has too
	Staff           bool     // of the staff's pool
	Roles           []Role
	Organisations   []string
}

// Decision is the answer to one question.
type Decision struct {
	Allowed bool
	Kind    fault.Kind // why not; "" where allowed
	Reasons []string   // ids of the policies that permit, sorted; none where denied
	Error   bool       // a policy failed to evaluate: a denial, and an alarm to raise
}

// Decide decides whether p may do action on the account owner. For `me` before
// enrolment the account is the zero Owner; for an id without a stored document
// it is Owner{User: id}.
//
// A denial is NotFound for anybody but the owner, whatever the reason, so that
// nobody learns which accounts exist.
func Decide(p Principal, action Action, owner Owner) Decision {
	return decide(policies, p, action, owner)
}

func decide(policies cedar.PolicyIterator, p Principal, action Action, owner Owner) Decision {
	entities, request := question(p, action, owner)
	d := answer(policies, entities, request)
	switch {
	case d.Allowed:
	case p.Staff:
		d.Kind = fault.Forbidden
	case owner.User != p.User:
		d.Kind = fault.NotFound
	case d.Error:
		d.Kind = fault.Internal
	case p.User.IsZero(), owner.State == Active && !owner.Consented(Collection):
		d.Kind = fault.ConsentRequired
	default:
		d.Kind = fault.Forbidden
	}
	return d
}

// question puts a request into the terms of policies/schema.cedarschema.
func question(p Principal, action Action, owner Owner) (cedar.EntityMap, cedar.Request) {
	newcomer := cedar.NewEntityUID("Newcomer", cedar.String(IdentityKey(p.Issuer, p.Subject)))
	principal := cedar.Entity{UID: newcomer}
	if !p.User.IsZero() {
		principal.UID = cedar.NewEntityUID("User", cedar.String(p.User.String()))
	}
	if p.Staff {
		var roles []cedar.Value
		for _, r := range p.Roles {
			roles = append(roles, cedar.String(r))
		}
		principal = cedar.Entity{UID: cedar.NewEntityUID("Staff", newcomer.ID), Attributes: cedar.NewRecord(cedar.RecordMap{"roles": cedar.NewSet(roles...)})}
		service := cedar.Entity{UID: cedar.NewEntityUID("Service", "fitvault")}
		return cedar.EntityMap{principal.UID: principal, service.UID: service}, cedar.Request{
			Principal: principal.UID, Action: cedar.NewEntityUID("Action", cedar.String(action)), Resource: service.UID}
	}
	resource := cedar.Entity{
		UID:        cedar.NewEntityUID("Vacancy", newcomer.ID),
		Attributes: cedar.NewRecord(cedar.RecordMap{"seeker": newcomer}),
	}
	if !owner.User.IsZero() {
		var given []cedar.Value
		for purpose := range owner.Consents {
			if owner.Consented(purpose) {
				given = append(given, cedar.String(purpose))
			}
		}
		id := cedar.String(owner.User.String())
		resource = cedar.Entity{
			UID: cedar.NewEntityUID("Account", id),
			Attributes: cedar.NewRecord(cedar.RecordMap{
				"owner":    cedar.NewEntityUID("User", id),
				"state":    cedar.String(owner.State),
				"consents": cedar.NewSet(given...),
			}),
		}
	}
	return cedar.EntityMap{principal.UID: principal, resource.UID: resource}, cedar.Request{
		Principal: principal.UID,
		Action:    cedar.NewEntityUID("Action", cedar.String(action)),
		Resource:  resource.UID,
	}
}

// answer evaluates the policies. Cedar goes on past a policy that fails; here
// one failure denies, because what it would have said is not known.
func answer(policies cedar.PolicyIterator, entities cedar.EntityMap, request cedar.Request) Decision {
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

//go:embed policies/*.cedar
var policyFiles embed.FS

var policies = load()

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
