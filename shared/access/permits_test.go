package access

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
	"fitvault/shared/reading"
)

var (
	heartRate = reading.Type{Namespace: "omh", Name: "heart-rate"}
	steps     = reading.Type{Namespace: "omh", Name: "step-count"}
	sleep     = reading.Type{Namespace: "omh", Name: "sleep-duration"}
)

// permit is one for an hour around today, to read and to write.
func permit(types ...reading.Type) Permit {
	return Permit{Types: types, Read: true, Write: true, Use: Care, From: today.Add(-time.Hour), Until: today.Add(time.Hour)}
}

// sharing is Ada's account: everything consented to, Ben's grant of heart rates
// and recordings, the clinic's of sleep, and two apps that may have heart rates.
func sharing(t require.TestingT) Owner {
	yes := Consent{Version: "1", Given: true, Time: today}
	return Owner{
		User: user(t, 1), State: Active, Consents: map[Purpose]Consent{Collection: yes, Sharing: yes, Research: yes},
		Grants: map[string]Grant{
			"a": {To: user(t, 2).String(), Permit: permit(heartRate, Recording)},
			"b": {To: OrganisationPrefix + "clinic", Permit: permit(sleep)},
			"c": {Permit: permit(steps)}, // nobody has accepted it
		},
		Apps: map[string]Permit{"third": permit(heartRate, sleep, Recording), "system": permit(heartRate, Recording)},
	}
}

// permitted is a question of each kind that gets a yes.
func permitted(t require.TestingT) (all []Question) {
	ada, ben := Principal{User: user(t, 1), Client: "own"}, Principal{User: user(t, 2), Client: "own"}
	doctor := Principal{User: user(t, 3), Client: "own", Organisations: []string{"clinic"}}
	add := func(p Principal, kind AppKind, client string, owner Owner, actions ...Action) {
		p.Client = client
		for _, action := range actions {
			all = append(all, Question{Principal: p, App: kind, Action: action, Owner: owner, Now: today})
		}
	}
	data := []Action{ReadingsWrite, ReadingsRead, RecordingsWrite, RecordingsRead, DaysRead}
	add(ada, OwnApp, "own", sharing(t), data...)
	add(ada, OwnApp, "own", sharing(t), consents...)
	add(ada, OwnApp, "own", sharing(t), manages...)
	add(ada, OwnApp, "own", sharing(t), SharingGive, AccessLogRead)
	add(ada, ThirdPartyApp, "third", sharing(t), data...)
	add(Principal{System: true}, SystemApp, "system", sharing(t), data...)
	add(ben, OwnApp, "own", sharing(t), data...)
	add(ben, ThirdPartyApp, "third", sharing(t), data...)
	add(doctor, OwnApp, "own", sharing(t), ReadingsWrite, ReadingsRead, DaysRead)
	add(doctor, ThirdPartyApp, "third", sharing(t), ReadingsWrite, ReadingsRead, DaysRead)
	add(Principal{Issuer: "i", Subject: "s"}, OwnApp, "own", Owner{}, consents...)
	staff := Principal{Issuer: "staff", Subject: "sam", Staff: true}
	staff.Roles = []Role{Administrator}
	add(staff, StaffApp, "staff", Owner{}, AppsManage, RolesManage)
	staff.Roles = []Role{Maker}
	add(staff, StaffApp, "staff", Owner{}, DevicesRegister)
	staff.Roles = []Role{Auditor}
	add(staff, StaffApp, "staff", Owner{}, AuditRead, AuditResolve)
	return all
}

// TestPermitted: what is allowed is bounded to what was granted, and named.
func TestPermitted(t *testing.T) {
	for _, q := range permitted(t) {
		d := Decide(q)
		require.True(t, d.Allowed, "%s %s", q.App, q.Action)
		require.NotEmpty(t, d.Reasons)
		ownersOwn := q.App == OwnApp && q.Owner.User == q.Principal.User || q.Principal.Staff
		require.Equal(t, !ownersOwn && onData[q.Action], d.Bounded, "%s %s", q.App, q.Action)
		if d.Bounded {
			require.False(t, d.Permits(steps))
			require.NotEmpty(t, d.Types)
		} else {
			require.True(t, d.Permits(steps))
		}
	}
}

func TestTypesThatArePermitted(t *testing.T) {
	ben := Principal{User: user(t, 2), Client: "own"}
	owner := sharing(t)
	q := ask(ben, ReadingsRead, owner)
	require.Equal(t, []reading.Type{heartRate}, Decide(q).Types)
	q.Action = RecordingsRead
	require.Equal(t, []reading.Type{Recording}, Decide(q).Types)
	q.Action = DaysRead
	require.True(t, Decide(q).Permits(reading.Type{Namespace: "fitvault", Name: "trackpoint"}), "recordings' trackpoints count in days")
	require.False(t, Decide(q).Permits(sleep))

	q.Principal.Organisations = []string{"clinic"}
	q.Action = ReadingsRead
	d := Decide(q)
	require.Equal(t, []reading.Type{heartRate, sleep}, d.Types, "two grants")
	require.Equal(t, []string{"caregiver-reads", "member-reads"}, d.Reasons)

	q.App, q.Principal.Client = ThirdPartyApp, "third"
	owner.Apps["third"] = permit(sleep, steps)
	require.Equal(t, []reading.Type{sleep}, Decide(q).Types, "only what both have")
	require.False(t, Decide(Question{}).Permits(heartRate), "a denial permits nothing")
}

// TestPermitsThatDoNotHold: each way in which a permit does not hold is a denial:
// 404 to somebody else, 403 to the owner by way of an app.
func TestPermitsThatDoNotHold(t *testing.T) {
	ada, ben := Principal{User: user(t, 1), Client: "third"}, Principal{User: user(t, 2), Client: "own"}
	for name, change := range map[string]func(p *Permit, o *Owner){
		"expired":                     func(p *Permit, _ *Owner) { p.Until = today },
		"not yet":                     func(p *Permit, _ *Owner) { p.From = today.Add(time.Second) },
		"for writing only":            func(p *Permit, _ *Owner) { p.Read = false },
		"for another type":            func(p *Permit, _ *Owner) { p.Types = []reading.Type{Recording} },
		"for no use that there is":    func(p *Permit, _ *Owner) { p.Use = "marketing" },
		"for research, not consented": func(p *Permit, o *Owner) { p.Use = Study; delete(o.Consents, Research) },
		"not consented to share":      func(_ *Permit, o *Owner) { o.Consents[Sharing] = Consent{Version: "1"} },
		"account closing":             func(_ *Permit, o *Owner) { o.State = "closing" },
		"withdrawn":                   func(_ *Permit, o *Owner) { o.Grants, o.Apps = nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			for _, q := range []Question{
				{Principal: ben, App: OwnApp}, {Principal: ada, App: ThirdPartyApp}, {Principal: ben, App: ThirdPartyApp},
				{Principal: Principal{System: true, Client: "system"}, App: SystemApp},
			} {
				q.Action, q.Now, q.Owner = ReadingsRead, today, sharing(t)
				if q.App == ThirdPartyApp {
					q.Principal.Client = "third"
				}
				require.True(t, Decide(q).Allowed)
				grant, app := q.Owner.Grants["a"], q.Owner.Apps[q.Principal.Client]
				change(&grant.Permit, &q.Owner)
				change(&app, &q.Owner)
				if q.Owner.Grants != nil {
					q.Owner.Grants["a"], q.Owner.Apps[q.Principal.Client] = grant, app
				}
				want := fault.NotFound
				if q.Owner.User == q.Principal.User {
					want = fault.Forbidden
				}
				require.Equal(t, Decision{Kind: want}, Decide(q), "%s", q.App)
			}
		})
	}
}

func TestWithoutAConsentTheOwnerIsAskedForIt(t *testing.T) {
	owner := sharing(t)
	ada := Principal{User: owner.User, Client: "own"}
	delete(owner.Consents, Sharing)
	require.Equal(t, Decision{Kind: fault.ConsentRequired}, Decide(ask(ada, SharingGive, owner)))
	require.True(t, Decide(ask(ada, SharingWithdraw, owner)).Allowed, "to shut somebody out needs none")
	delete(owner.Consents, Collection)
	require.Equal(t, Decision{Kind: fault.ConsentRequired}, Decide(ask(ada, ReadingsWrite, owner)))
}

// TestNobodyElseManages: what is not data is the owner's alone, by an app of ours.
func TestNobodyElseManages(t *testing.T) {
	owner := sharing(t)
	for _, action := range append(append([]Action{SharingGive}, manages...), consents...) {
		for _, q := range []Question{
			{Principal: Principal{User: user(t, 2), Client: "own"}, App: OwnApp},
			{Principal: Principal{User: user(t, 3), Client: "own", Organisations: []string{"clinic"}}, App: OwnApp},
			{Principal: Principal{User: user(t, 1), Client: "third"}, App: ThirdPartyApp},
			{Principal: Principal{Client: "system", System: true}, App: SystemApp},
			{Principal: Principal{Staff: true, Roles: Roles, Subject: "sam"}, App: StaffApp},
		} {
			q.Action, q.Owner, q.Now = action, owner, today
			require.False(t, Decide(q).Allowed, "%s by %s", action, q.App)
		}
	}
}

// roleFor is the one role that each staff action is.
var roleFor = map[Action]Role{AppsManage: Administrator, RolesManage: Administrator, DevicesRegister: Maker, AuditRead: Auditor, AuditResolve: Auditor}

// TestRoles: each staff action is one role's, by an app of the staff's.
func TestRoles(t *testing.T) {
	for _, action := range staffs {
		for _, role := range Roles {
			q := Question{Principal: Principal{Issuer: "s", Subject: "sam", Staff: true, Roles: []Role{role}}, App: StaffApp, Action: action, Now: today}
			require.Equal(t, roleFor[action] == role, Decide(q).Allowed, "%s %s", action, role)
			q.App = OwnApp
			require.Equal(t, Decision{Kind: fault.Forbidden}, Decide(q))
		}
	}
	require.NoError(t, CheckRoles([]Role{Administrator, FirmwareManager, Maker, Analyst}))
	require.NoError(t, CheckRoles([]Role{Auditor, Analyst}))
	require.Equal(t, fault.Conflict, fault.KindOf(CheckRoles([]Role{Administrator, Auditor})))
	require.Equal(t, fault.Conflict, fault.KindOf(CheckRoles([]Role{Auditor, FirmwareManager})))
	require.Equal(t, fault.Invalid, fault.KindOf(CheckRoles([]Role{"owner"})))
}

func TestNewPermit(t *testing.T) {
	p, err := NewPermit(permit(steps, heartRate, steps))
	require.NoError(t, err)
	require.Equal(t, []reading.Type{heartRate, steps}, p.Types)
	for member, change := range map[string]func(*Permit){
		"/types":   func(p *Permit) { p.Types = nil },
		"/access":  func(p *Permit) { p.Read, p.Write = false, false },
		"/purpose": func(p *Permit) { p.Use = "marketing" },
		"/until":   func(p *Permit) { p.Until = p.From },
	} {
		wrong := permit(steps)
		change(&wrong)
		_, err := NewPermit(wrong)
		require.Equal(t, fault.Invalid, fault.KindOf(err))
		require.Equal(t, member, fault.ItemsOf(err)[0].Pointer)
	}
	many := permit()
	for i := range MaxTypes + 1 {
		many.Types = append(many.Types, reading.Type{Namespace: "omh", Name: string(rune('a' + i))})
	}
	_, err = NewPermit(many)
	require.Equal(t, "/types", fault.ItemsOf(err)[0].Pointer)
	require.True(t, ValidOrganisation("clinic-1"))
	for _, s := range []string{"", "a", "Clinic", "-clinic", "a#b"} {
		require.False(t, ValidOrganisation(s))
	}
}
