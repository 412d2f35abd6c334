package access

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"fitvault/shared/consent"
	"fitvault/shared/fault"
	"fitvault/shared/reading"
)

func user(t require.TestingT, seed byte) UserID {
	id, err := NewUserID(bytes.NewReader(bytes.Repeat([]byte{seed}, 16)))
	require.NoError(t, err)
	return id
}

func agreed(given bool) map[Purpose]Consent {
	return map[Purpose]Consent{Collection: {Version: "1", Given: given}}
}

var (
	writes   = []Action{ReadingsWrite, RecordingsWrite}
	reads    = []Action{ReadingsRead, RecordingsRead, DaysRead}
	consents = []Action{ConsentsRead, ConsentsWrite}
	manages  = []Action{SharingRead, SharingWithdraw, InvitationsAccept, SettingsRead, SettingsWrite, DevicesRead, DevicesWrite}
	staffs   = []Action{AppsManage, RolesManage, DevicesRegister, AuditRead, AuditResolve}
)

var today = time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC)

// ask is a question by way of an app of ours.
func ask(p Principal, action Action, owner Owner) Question {
	return Question{Principal: p, App: OwnApp, Action: action, Owner: owner, Now: today}
}

func TestDecide(t *testing.T) {
	ada, ben := user(t, 1), user(t, 2)
	newcomer := Principal{Issuer: "i", Subject: "new", Client: "app"}
	owner := Principal{User: ada, Issuer: "i", Subject: "ada", Client: "app"}
	allow := func(id string) Decision { return Decision{Allowed: true, Reasons: []string{id}} }
	deny := func(kind fault.Kind) Decision { return Decision{Kind: kind} }

	tests := []struct {
		name                    string
		principal               Principal
		account                 Owner
		write, read, ofConsents Decision
	}{
		{
			"the owner with consent", owner, Owner{User: ada, State: Active, Consents: agreed(true)},
			allow("owner-writes-with-consent"), allow("owner-reads"), allow("owner-consents"),
		},
		{
			"the owner after withdrawal", owner, Owner{User: ada, State: Active, Consents: agreed(false)},
			deny(fault.ConsentRequired), allow("owner-reads"), allow("owner-consents"),
		},
		{
			"the owner with another consent only", owner,
			Owner{User: ada, State: Active, Consents: map[Purpose]Consent{"sharing": {Given: true}}},
			deny(fault.ConsentRequired), allow("owner-reads"), allow("owner-consents"),
		},
		{
			"the owner of an account that is not active", owner, Owner{User: ada, State: "closing", Consents: agreed(true)},
			deny(fault.Forbidden), deny(fault.Forbidden), deny(fault.Forbidden),
		},
		{
			"the owner whose document is missing", owner, Owner{User: ada},
			deny(fault.Forbidden), deny(fault.Forbidden), deny(fault.Forbidden),
		},
		{
			"a newcomer on `me`", newcomer, Owner{},
			deny(fault.ConsentRequired), deny(fault.ConsentRequired), allow("newcomer-consents"),
		},
		{
			"a newcomer on an account", newcomer, Owner{User: ada, State: Active, Consents: agreed(true)},
			deny(fault.NotFound), deny(fault.NotFound), deny(fault.NotFound),
		},
		{
			"a stranger", Principal{User: ben, Issuer: "i", Subject: "ben", Client: "app"},
			Owner{User: ada, State: Active, Consents: agreed(true)},
			deny(fault.NotFound), deny(fault.NotFound), deny(fault.NotFound),
		},
		{
			"a stranger on an id that does not exist", owner, Owner{User: ben},
			deny(fault.NotFound), deny(fault.NotFound), deny(fault.NotFound),
		},
		{
			"somebody with an account on no account", owner, Owner{},
			deny(fault.NotFound), deny(fault.NotFound), deny(fault.NotFound),
		},
		{
			"nobody at all", Principal{}, Owner{User: ada, State: Active, Consents: agreed(true)},
			deny(fault.NotFound), deny(fault.NotFound), deny(fault.NotFound),
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, actions := range []struct {
				list []Action
				want Decision
			}{{writes, test.write}, {reads, test.read}, {consents, test.ofConsents}} {
				for _, action := range actions.list {
					require.Equal(t, actions.want, Decide(ask(test.principal, action, test.account)), action)
				}
			}
		})
	}
}

// TestOnlyTextsThatCount: consent to a text that is not accepted now is none.
func TestOnlyTextsThatCount(t *testing.T) {
	ada := user(t, 1)
	for _, test := range []struct {
		version string
		at      time.Time
		want    bool
	}{{"1", today, true}, {"", today, false}, {"0", today, false}, {"9999", today, false}, {"1", today.AddDate(-1, 0, 0), false}} {
		for _, purpose := range []Purpose{Collection, Sharing, Research} {
			owner := Owner{User: ada, State: Active, Consents: map[Purpose]Consent{purpose: {Version: test.version, Given: true}}}
			require.Equal(t, test.want, owner.Consented(purpose, test.at))
			want := Decision{Kind: fault.ConsentRequired}
			if test.want && purpose == Collection {
				want = Decision{Allowed: true, Reasons: []string{"owner-writes-with-consent"}}
			}
			require.Equal(t, want, Decide(Question{Principal: Principal{User: ada}, App: OwnApp, Action: ReadingsWrite, Owner: owner, Now: test.at}))
		}
	}
}

func TestAnActionThatNoPolicyNamesIsDenied(t *testing.T) {
	ada := user(t, 1)
	for _, action := range []Action{"", "readings.delete", "readings", "Readings.read", "*"} {
		got := Decide(ask(Principal{User: ada}, action, Owner{User: ada, State: Active, Consents: agreed(true)}))
		require.Equal(t, Decision{Kind: fault.Forbidden}, got)
	}
}

// Whatever the documents say, only the owner of an active account passes, and
// nobody else hears anything but 404.
func TestOnlyTheOwnerPasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := []UserID{{}, user(t, 1), user(t, 2)}
		p := Principal{
			User:    rapid.SampledFrom(ids).Draw(t, "caller"),
			Issuer:  rapid.SampledFrom([]string{"", "i"}).Draw(t, "issuer"),
			Subject: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "subject"),
			Scopes:  []string{"fitvault/readings.read"},
		}
		owner := Owner{
			User:     rapid.SampledFrom(ids).Draw(t, "owner"),
			State:    State(rapid.SampledFrom([]string{"", "active", "Active", "off"}).Draw(t, "state")),
			Consents: agreed(rapid.Bool().Draw(t, "given")),
		}
		action := rapid.SampledFrom(Actions).Draw(t, "action")
		d := Decide(ask(p, action, owner))
		if d.Allowed {
			require.Equal(t, p.User, owner.User)
			require.True(t, owner.State == Active || p.User.IsZero() && slices.Contains(consents, action))
			require.True(t, owner.Consented(Collection, today) || !slices.Contains(writes, action))
			require.NotEmpty(t, d.Reasons)
			require.Empty(t, d.Kind)
		} else if p.User != owner.User {
			require.Equal(t, fault.NotFound, d.Kind)
		} else {
			require.Contains(t, []fault.Kind{fault.ConsentRequired, fault.Forbidden}, d.Kind)
		}
		require.False(t, d.Error)
	})
}

// without is a record and all the ways of taking one member out of it, at any depth.
func without(r cedar.Record) (poorer []cedar.Record, names []string) {
	for name, value := range r.All() {
		rest := maps.Collect(r.All())
		delete(rest, name)
		poorer, names = append(poorer, cedar.NewRecord(cedar.RecordMap(rest))), append(names, string(name))
		if inner, ok := value.(cedar.Record); ok {
			less, inside := without(inner)
			for i := range less {
				rest := maps.Collect(r.All())
				rest[name] = less[i]
				poorer, names = append(poorer, cedar.NewRecord(cedar.RecordMap(rest))), append(names, string(name)+"."+inside[i])
			}
		}
	}
	return poorer, names
}

// unneeded is what a decision does not rest on: it stays as it was without it.
// Everything else is needed, and without it is a denial.
func unneeded(q Question, attribute string) bool {
	data, own := onData[q.Action], q.App == OwnApp
	writes := slices.Contains(writes, q.Action)
	granted := data && !q.Principal.System && q.Owner.User != q.Principal.User
	switch attribute {
	case "context.app.permit.write", "context.grant.write":
		return !writes
	case "context.app.permit.read", "context.grant.read":
		return writes
	case "resource's owner":
		return q.Principal.System || q.Principal.Staff || granted || q.Principal.User.IsZero()
	case "resource.consents":
		return own && !granted && !writes && q.Action != SharingGive
	}
	return false
}

// TestRemovedAttributesDeny: of everything that is permitted, every attribute and
// every entity is removed in turn.
func TestRemovedAttributesDeny(t *testing.T) {
	removed := 0
	for _, q := range permitted(t) {
		for _, c := range candidates(q) {
			entities, request := c.statement.terms()
			require.True(t, answer(policies, entities, request).Allowed)
			check := func(attribute string, entities cedar.EntityMap, request cedar.Request) {
				removed++
				name := fmt.Sprint(q.App, " ", q.Action, " without ", attribute)
				require.Equal(t, unneeded(q, attribute), answer(policies, entities, request).Allowed, name)
			}
			poorer, names := without(request.Context)
			for i := range poorer {
				less := request
				less.Context = poorer[i]
				check("context."+names[i], entities, less)
			}
			for role, uid := range map[string]cedar.EntityUID{"resource": request.Resource, "principal": request.Principal} {
				poorer, names := without(entities[uid].Attributes)
				for i := range poorer {
					less := maps.Clone(entities)
					less[uid] = cedar.Entity{UID: uid, Parents: entities[uid].Parents, Attributes: poorer[i]}
					check(role+"."+names[i], less, request)
				}
			}
			nobodys := maps.Clone(entities)
			nobodys[request.Resource] = cedar.Entity{UID: request.Resource, Attributes: entities[request.Resource].Attributes}
			check("resource's owner", nobodys, request)
			if !q.Principal.Staff {
				gone := maps.Clone(entities)
				delete(gone, request.Resource)
				require.False(t, answer(policies, gone, request).Allowed)
			}
			if len(q.Principal.Organisations) > 0 || q.Principal.Staff {
				gone := maps.Clone(entities)
				delete(gone, request.Principal)
				require.False(t, answer(policies, gone, request).Allowed)
			}
			require.False(t, answer(policies, entities, cedar.Request{Principal: request.Principal, Action: request.Action, Resource: request.Resource}).Allowed)
		}
	}
	require.Greater(t, removed, 300)
}

func candidates(q Question) (all []candidate) {
	q.candidates(func(c candidate) { all = append(all, c) })
	return all
}

// by is what decides by a set of policies.
func by(policies *cedar.PolicySet) func(statement) Decision {
	return func(s statement) Decision { return s.judged(policies) }
}

func policySet(t *testing.T, text string) *cedar.PolicySet {
	set, err := cedar.NewPolicySetFromBytes("test.cedar", []byte(text))
	require.NoError(t, err)
	return set
}

func TestAPolicyErrorDenies(t *testing.T) {
	const everything = `permit (principal, action, resource);`
	const failing = everything + ` permit (principal, action, resource) when { resource.missing };`
	ada := user(t, 1)
	own := Owner{User: ada, State: Active, Consents: agreed(true)}

	require.True(t, decide(by(policySet(t, everything)), ask(Principal{User: ada}, ReadingsRead, own)).Allowed)
	require.Equal(t, Decision{Kind: fault.Internal, Error: true},
		decide(by(policySet(t, failing)), ask(Principal{User: ada}, ReadingsRead, own)), "one policy permits, one fails")
	require.Equal(t, Decision{Kind: fault.NotFound, Error: true},
		decide(by(policySet(t, failing)), ask(Principal{User: user(t, 2)}, ReadingsRead, own)), "a stranger hears nothing of it")
	require.Equal(t, Decision{Error: true, Kind: fault.Internal},
		decide(by(policySet(t, everything+`forbid (principal, action, resource) when { resource.missing };`)),
			ask(Principal{User: ada}, ReadingsRead, own)), "Cedar skips a forbid that fails")
	require.Equal(t, Decision{Kind: fault.Forbidden},
		decide(by(cedar.NewPolicySet()), ask(Principal{User: ada}, ReadingsRead, own)), "no policies: default deny")
}

// model is the rules in plain words: whether a question gets a yes, and for which types
// where it is bounded.
func model(q Question) (allowed bool, types []reading.Type) {
	p, o := q.Principal, q.Owner
	writing := slices.Contains(writes, q.Action)
	active := o.State == Active && !o.User.IsZero()
	agreed := func(purpose Purpose) bool { return o.Consented(purpose, q.Now) }
	holds := func(permit Permit) bool {
		return (writing && permit.Write || !writing && permit.Read) && !q.Now.Before(permit.From) && q.Now.Before(permit.Until) &&
			slices.Contains(Uses, permit.Use) && (permit.Use != Study || agreed(Research))
	}
	about := func(t reading.Type) bool {
		return q.Action == DaysRead || (t == Recording) == strings.HasPrefix(string(q.Action), "recordings.")
	}
	own := !p.System && !p.User.IsZero() && p.User == o.User
	theApp, authorised := o.Apps[p.Client]
	switch {
	case p.Staff:
		role, is := roleFor[q.Action]
		return is && q.App == StaffApp && slices.Contains(p.Roles, role), nil
	case !onData[q.Action]:
		if q.App != OwnApp || p.System || slices.Contains(staffs, q.Action) || !slices.Contains(Actions, q.Action) {
			return false, nil
		}
		if p.User.IsZero() {
			return o.User.IsZero() && slices.Contains(consents, q.Action), nil
		}
		return own && active && (q.Action != SharingGive || agreed(Sharing)), nil
	case own && q.App == OwnApp:
		return active && (!writing || agreed(Collection)), nil
	case !active || !agreed(Sharing) || writing && !agreed(Collection):
		return false, nil
	}
	kind := ThirdPartyApp
	if p.System {
		kind = SystemApp
	}
	byApp := q.App == kind && authorised && holds(theApp)
	for _, t := range append(named(o), Recording) {
		inApp := byApp && slices.Contains(theApp.Types, t)
		yes := (p.System || own) && inApp
		for _, g := range o.Grants {
			his := g.To != "" && !p.User.IsZero() && g.To == p.User.String() ||
				strings.HasPrefix(g.To, OrganisationPrefix) && slices.Contains(p.Organisations, strings.TrimPrefix(g.To, OrganisationPrefix))
			yes = yes || !p.System && !own && his && !p.User.IsZero() && holds(g.Permit) && slices.Contains(g.Types, t) && (q.App == OwnApp || inApp)
		}
		if yes && about(t) && !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	return len(types) > 0, types
}

// named is every type that an owner's permits name.
func named(o Owner) (all []reading.Type) {
	for _, g := range o.Grants {
		all = append(all, g.Types...)
	}
	for _, p := range o.Apps {
		all = append(all, p.Types...)
	}
	return all
}

// TestDecisionsAreTheModels: whatever is asked, the decision is what the rules come to
// when they are written for names, types and times. Asked twice, it is the same. Most
// questions are those that get a yes, with a part or two spoiled: of what is drawn at
// random hardly one would get as far as a permit.
func TestDecisionsAreTheModels(t *testing.T) {
	questions := permitted(t)
	yes := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		spoiled := func(what string) bool { return rapid.IntRange(0, 11).Draw(t, what) == 0 }
		for range 50 {
			q := rapid.SampledFrom(questions).Draw(t, "question")
			other := rapid.SampledFrom(questions).Draw(t, "other")
			if spoiled("action") {
				q.Action = rapid.SampledFrom(append(Actions, "", "readings")).Draw(t, "other action")
			}
			if spoiled("kind") {
				q.App = rapid.SampledFrom([]AppKind{OwnApp, ThirdPartyApp, SystemApp, StaffApp, "", "Own"}).Draw(t, "other kind")
			}
			if spoiled("principal") {
				q.Principal = other.Principal
			}
			if spoiled("client") {
				q.Principal.Client = other.Principal.Client
			}
			if spoiled("owner") {
				q.Owner = other.Owner
			}
			if q.Principal.Staff && rapid.Bool().Draw(t, "other roles") {
				q.Principal.Roles = rapid.SliceOfN(rapid.SampledFrom(append(Roles, "root")), 0, 3).Draw(t, "roles")
			}
			if !q.Owner.User.IsZero() {
				fresh := sharing(t)
				q.Owner.Consents, q.Owner.Grants, q.Owner.Apps = fresh.Consents, fresh.Grants, fresh.Apps
			}
			if spoiled("state") {
				q.Owner.State = rapid.SampledFrom([]State{"", "closing"}).Draw(t, "other state")
			}
			for p := range q.Owner.Consents {
				if spoiled("consent") {
					delete(q.Owner.Consents, p)
				}
			}
			change := func(p Permit) Permit {
				if spoiled("access") {
					p.Read, p.Write = rapid.Bool().Draw(t, "read"), rapid.Bool().Draw(t, "write")
				}
				p.Use = rapid.SampledFrom(Uses).Draw(t, "use")
				if spoiled("use") {
					p.Use = "marketing"
				}
				p.From = today.Add(time.Duration(rapid.IntRange(-1, 0).Draw(t, "from")) * time.Second)
				p.Until = today.Add(time.Second)
				if spoiled("time") {
					p.From, p.Until = p.From.Add(time.Second), p.Until.Add(time.Second)
				}
				if spoiled("past") {
					p.Until = today
				}
				if spoiled("types") {
					p.Types = rapid.SampledFrom([][]reading.Type{{heartRate}, {Recording}, {sleep, steps}, {heartRate, Recording}}).Draw(t, "other types")
				}
				return p
			}
			for id, g := range q.Owner.Grants {
				g.Permit = change(g.Permit)
				if spoiled("to") {
					g.To = rapid.SampledFrom([]string{"", "clinic", "organisation", OrganisationPrefix, OrganisationPrefix + user(t, 2).String()}).Draw(t, "other to")
				}
				q.Owner.Grants[id] = g
			}
			for id, p := range q.Owner.Apps {
				q.Owner.Apps[id] = change(p)
			}
			allowed, types := model(q)
			for range 2 {
				d := Decide(q)
				require.Equal(t, allowed, d.Allowed)
				require.ElementsMatch(t, types, d.Types)
				require.Equal(t, len(types) > 0, d.Bounded)
				for _, id := range d.Reasons {
					yes[id]++
				}
			}
		}
	})
	for id := range load().All() {
		require.NotZero(t, yes[string(id)], "%s was never met", id)
	}
}

// TestEachPartOfAStatementIsNeeded: of each statement that gets a yes, for each use,
// each part is another one in turn, and what was allowed by it is denied.
func TestEachPartOfAStatementIsNeeded(t *testing.T) {
	tried := 0
	for _, q := range permitted(t) {
		for _, c := range candidates(q) {
			for _, use := range Uses {
				s := c.statement
				offers := map[string]func(*statement) *offer{}
				if s.permit.made {
					s.permit.use, offers["permit"] = use, func(s *statement) *offer { return &s.permit }
				}
				if s.grant.made {
					s.grant.use, offers["grant"] = use, func(s *statement) *offer { return &s.grant }
				}
				require.True(t, judge(s).Allowed)
				writing := slices.Contains(writes, s.action)
				denied := func(what string, change func(s *statement)) {
					tried++
					spoiled := s
					change(&spoiled)
					require.False(t, judge(spoiled).Allowed, "%s %s %s: %s", q.App, q.Action, use, what)
				}
				for of, offered := range offers {
					denied(of+" covers", func(s *statement) { offered(s).covers = false })
					denied(of+" is current", func(s *statement) { offered(s).current = false })
					denied(of+" has a use", func(s *statement) { offered(s).use = "marketing" })
					denied(of+" is made", func(s *statement) { *offered(s) = offer{} })
					if writing {
						denied(of+" writes", func(s *statement) { offered(s).write = false })
					} else {
						denied(of+" reads", func(s *statement) { offered(s).read = false })
					}
				}
				for _, kind := range []AppKind{OwnApp, ThirdPartyApp, SystemApp, StaffApp, ""} {
					if kind != s.app && (s.app != ThirdPartyApp || kind != OwnApp) { // ours may do what others may
						denied("app", func(s *statement) { s.app = kind })
					}
				}
				if s.principal == "Staff" {
					denied("role", func(s *statement) { s.roles ^= 1<<len(Roles) - 1 })
				}
				if s.resource != "Account" {
					continue
				}
				shared := len(offers) > 0
				denied("active", func(s *statement) { s.active = false })
				if s.own {
					denied("own", func(s *statement) { s.own = false })
				}
				for i, purpose := range consent.Purposes {
					if purpose == Collection && writing || purpose == Sharing && (shared || s.action == SharingGive) || purpose == Research && shared && use == Study {
						denied("consent", func(s *statement) { s.consents &^= 1 << i })
					}
				}
			}
		}
	}
	require.Greater(t, tried, 1000)
}

// TestVerdictsAreKept: each statement is judged once, until there are too many.
func TestVerdictsAreKept(t *testing.T) {
	v := verdicts{most: 2, of: map[statement]Decision{}}
	first := candidates(ask(Principal{User: user(t, 1)}, ReadingsRead, sharing(t)))[0].statement
	require.True(t, v.judge(first, policies).Allowed)
	require.True(t, v.judge(first, cedar.NewPolicySet()).Allowed, "it was judged already")
	for _, action := range []Action{ConsentsRead, SettingsRead, "no action", ConsentsRead} {
		s := first
		s.action = action
		require.Equal(t, action != "no action", v.judge(s, policies).Allowed)
		require.LessOrEqual(t, len(v.of), 2)
	}
}

func TestReasonsAreSorted(t *testing.T) {
	ada := user(t, 1)
	set := cedar.NewPolicySet()
	for _, id := range []cedar.PolicyID{"c", "a", "b"} {
		var p cedar.Policy
		require.NoError(t, p.UnmarshalCedar([]byte(`permit (principal, action, resource);`)))
		set.Add(id, &p)
	}
	require.Equal(t, []string{"a", "b", "c"}, decide(by(set), ask(Principal{User: ada}, ReadingsRead, Owner{User: ada})).Reasons)
}

// The policies, and what the code asks them, agree with the schema.
func TestSchema(t *testing.T) {
	text, err := os.ReadFile("policies/schema.cedarschema")
	require.NoError(t, err)
	var s schema.Schema
	require.NoError(t, s.UnmarshalCedar(text))
	resolved, err := s.Resolve()
	require.NoError(t, err)
	v := validate.New(resolved)

	for id, policy := range load().All() {
		require.NoError(t, v.Policy(string(id), (*ast.Policy)(policy.AST())))
	}
	require.Len(t, resolved.Actions, len(Actions))
	ada, ben := user(t, 1), user(t, 2)
	questions := permitted(t)
	for _, p := range []Principal{{User: ada}, {Issuer: "i", Subject: "s"}, {System: true, Client: "c"}} {
		for _, owner := range []Owner{{}, {User: ada}, {User: ben, State: Active, Consents: agreed(true)}} {
			for _, action := range Actions {
				if !slices.Contains(staffs, action) {
					questions = append(questions, ask(p, action, owner))
				}
			}
		}
	}
	for _, q := range questions {
		for _, c := range candidates(q) {
			entities, request := c.statement.terms()
			require.NoError(t, v.Entities(entities))
			require.NoError(t, v.Request(request))
		}
	}

	var wrong cedar.Policy
	require.NoError(t, wrong.UnmarshalCedar([]byte(`permit (principal is User, action, resource is Account) when { resource.stat == "active" };`)))
	require.Error(t, v.Policy("planted", (*ast.Policy)(wrong.AST())), "the check finds a planted mistake")
}
