package access

import (
	"bytes"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"fitvault/shared/fault"
)

func user(t require.TestingT, seed byte) UserID {
	id, err := NewUserID(bytes.NewReader(bytes.Repeat([]byte{seed}, 16)))
	require.NoError(t, err)
	return id
}

func consent(given bool) map[Purpose]Consent {
	return map[Purpose]Consent{Collection: {Version: "1", Given: given}}
}

var (
	writes   = []Action{ReadingsWrite, RecordingsWrite}
	reads    = []Action{ReadingsRead, RecordingsRead, DaysRead}
	consents = []Action{ConsentsRead, ConsentsWrite}
)

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
			"the owner with consent", owner, Owner{User: ada, State: Active, Consents: consent(true)},
			allow("owner-writes-with-consent"), allow("owner-reads"), allow("owner-consents"),
		},
		{
			"the owner after withdrawal", owner, Owner{User: ada, State: Active, Consents: consent(false)},
			deny(fault.ConsentRequired), allow("owner-reads"), allow("owner-consents"),
		},
		{
			"the owner with another consent only", owner,
			Owner{User: ada, State: Active, Consents: map[Purpose]Consent{"sharing": {Given: true}}},
			deny(fault.ConsentRequired), allow("owner-reads"), allow("owner-consents"),
		},
		{
			"the owner of an account that is not active", owner, Owner{User: ada, State: "closing", Consents: consent(true)},
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
			"a newcomer on an account", newcomer, Owner{User: ada, State: Active, Consents: consent(true)},
			deny(fault.NotFound), deny(fault.NotFound), deny(fault.NotFound),
		},
		{
			"a stranger", Principal{User: ben, Issuer: "i", Subject: "ben", Client: "app"},
			Owner{User: ada, State: Active, Consents: consent(true)},
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
			"nobody at all", Principal{}, Owner{User: ada, State: Active, Consents: consent(true)},
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
					require.Equal(t, actions.want, Decide(test.principal, action, test.account), action)
				}
			}
		})
	}
}

func TestAnActionThatNoPolicyNamesIsDenied(t *testing.T) {
	ada := user(t, 1)
	for _, action := range []Action{"", "readings.delete", "readings", "Readings.read", "*"} {
		got := Decide(Principal{User: ada}, action, Owner{User: ada, State: Active, Consents: consent(true)})
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
			Consents: consent(rapid.Bool().Draw(t, "given")),
		}
		action := rapid.SampledFrom(Actions).Draw(t, "action")
		d := Decide(p, action, owner)
		if d.Allowed {
			require.Equal(t, p.User, owner.User)
			require.True(t, owner.State == Active || p.User.IsZero() && slices.Contains(consents, action))
			require.True(t, owner.Consented(Collection) || !slices.Contains(writes, action))
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

// Every attribute and every entity removed in turn: never more is allowed, and
// where something was allowed that needed it, that is a denial and an error.
func TestRemovedAttributesDeny(t *testing.T) {
	ada := user(t, 1)
	questions := map[string]struct {
		principal Principal
		account   Owner
	}{
		"owner":    {Principal{User: ada}, Owner{User: ada, State: Active, Consents: consent(true)}},
		"newcomer": {Principal{Issuer: "i", Subject: "s"}, Owner{}},
	}
	needs := map[string][]Action{
		"Account owner": ofAccounts, "Account state": ofAccounts, "Account consents": writes,
		"Vacancy seeker": consents,
	}
	removed := 0
	for name, q := range questions {
		for _, action := range ofAccounts {
			entities, request := question(q.principal, action, q.account)
			before := answer(policies, entities, request)
			resource := entities[request.Resource]
			for attribute := range resource.Attributes.All() {
				t.Run(name+" "+string(action)+" without "+string(attribute), func(t *testing.T) {
					removed++
					rest := maps.Collect(resource.Attributes.All())
					delete(rest, attribute)
					poorer := maps.Clone(entities)
					poorer[request.Resource] = cedar.Entity{UID: resource.UID, Attributes: cedar.NewRecord(cedar.RecordMap(rest))}
					got := answer(policies, poorer, request)
					if slices.Contains(needs[string(resource.UID.Type)+" "+string(attribute)], action) {
						require.Equal(t, Decision{Error: true}, got)
					} else {
						require.Equal(t, before, got)
					}
				})
			}
			gone := maps.Clone(entities)
			delete(gone, request.Resource)
			require.False(t, answer(policies, gone, request).Allowed)
			require.False(t, answer(policies, nil, request).Allowed)
		}
	}
	require.Equal(t, 9*3+9*1, removed)

	maker := Principal{Issuer: "i", Subject: "s", Staff: true, Roles: []Role{Maker}}
	require.True(t, Decide(maker, DevicesRegister, Owner{}).Allowed)
	entities, request := question(maker, DevicesRegister, Owner{})
	entities[request.Principal] = cedar.Entity{UID: request.Principal}
	require.Equal(t, Decision{Error: true}, answer(policies, entities, request))
}

// ofAccounts is every action on an account.
var ofAccounts = slices.DeleteFunc(slices.Clone(Actions), func(a Action) bool { return a == DevicesRegister })

func TestMakers(t *testing.T) {
	ada := user(t, 1)
	own := Owner{User: ada, State: Active, Consents: consent(true)}
	for _, p := range []Principal{{User: ada}, {User: ada, Roles: []Role{Maker}}, {Staff: true}, {Staff: true, Roles: []Role{"makers"}}} {
		d := Decide(p, DevicesRegister, own)
		require.False(t, d.Allowed)
		require.Equal(t, fault.Forbidden, d.Kind)
	}
	for _, action := range ofAccounts {
		require.Equal(t, Decision{Kind: fault.Forbidden}, Decide(Principal{User: ada, Staff: true, Roles: []Role{Maker}}, action, own), action)
	}
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
	own := Owner{User: ada, State: Active, Consents: consent(true)}

	require.True(t, decide(policySet(t, everything), Principal{User: ada}, ReadingsRead, own).Allowed)
	require.Equal(t, Decision{Kind: fault.Internal, Error: true},
		decide(policySet(t, failing), Principal{User: ada}, ReadingsRead, own), "one policy permits, one fails")
	require.Equal(t, Decision{Kind: fault.NotFound, Error: true},
		decide(policySet(t, failing), Principal{User: user(t, 2)}, ReadingsRead, own), "a stranger hears nothing of it")
	require.Equal(t, Decision{Error: true, Kind: fault.Internal},
		decide(policySet(t, everything+`forbid (principal, action, resource) when { resource.missing };`),
			Principal{User: ada}, ReadingsRead, own), "Cedar skips a forbid that fails")
	require.Equal(t, Decision{Kind: fault.Forbidden},
		decide(cedar.NewPolicySet(), Principal{User: ada}, ReadingsRead, own), "no policies: default deny")
}

func TestReasonsAreSorted(t *testing.T) {
	ada := user(t, 1)
	set := cedar.NewPolicySet()
	for _, id := range []cedar.PolicyID{"c", "a", "b"} {
		var p cedar.Policy
		require.NoError(t, p.UnmarshalCedar([]byte(`permit (principal, action, resource);`)))
		set.Add(id, &p)
	}
	require.Equal(t, []string{"a", "b", "c"}, decide(set, Principal{User: ada}, ReadingsRead, Owner{User: ada}).Reasons)
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

	for id, policy := range policies.All() {
		require.NoError(t, v.Policy(string(id), (*ast.Policy)(policy.AST())))
	}
	require.Len(t, resolved.Actions, len(Actions))
	ada, ben := user(t, 1), user(t, 2)
	for _, p := range []Principal{{User: ada}, {Issuer: "i", Subject: "s"}} {
		for _, owner := range []Owner{{}, {User: ada}, {User: ben, State: Active, Consents: consent(true)}} {
			for _, action := range ofAccounts {
				entities, request := question(p, action, owner)
				require.NoError(t, v.Entities(entities))
				require.NoError(t, v.Request(request))
			}
		}
	}

	var wrong cedar.Policy
	require.NoError(t, wrong.UnmarshalCedar([]byte(`permit (principal is User, action, resource is Account) when { resource.stat == "active" };`)))
	require.Error(t, v.Policy("planted", (*ast.Policy)(wrong.AST())), "the check finds a planted mistake")
}
