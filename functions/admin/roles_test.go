package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
)

const rolesResource = "/identities/{subject}/roles"

func (w *world) get(subject, pool string) events.APIGatewayProxyRequest {
	e := w.event("sam", "GET", rolesResource, map[string]string{"subject": subject}, "")
	e.QueryStringParameters = map[string]string{"pool": pool}
	e.MultiValueQueryStringParameters = map[string][]string{"pool": {pool}}
	return e
}

func (w *world) put(subject, body string) events.APIGatewayProxyRequest {
	return w.putBy("sam", subject, body)
}

// putBy says of what is there now.
func (w *world) putBy(administrator, subject, body string) events.APIGatewayProxyRequest {
	var in struct{ Pool string }
	_ = json.Unmarshal([]byte(body), &in) // a test's own, also what is no JSON
	var held access.Caller
	if d, err := w.Accounts.Read(context.Background(), access.Keys{Issuer: map[string]string{"people": edgetest.Issuer, "staff": edgetest.StaffIssuer}[in.Pool], Subject: subject}); err == nil && d.Caller != nil {
		held = *d.Caller
	}
	return w.putOf(administrator, subject, body, held.Version(w.Time))
}

// putOf says of which version.
func (w *world) putOf(administrator, subject, body, version string) events.APIGatewayProxyRequest {
	if len(body) > 2 {
		body = strings.TrimSuffix(body, "}") + `, "version": "` + version + `"}`
	}
	return w.event(administrator, "PUT", rolesResource, map[string]string{"subject": subject}, body)
}

func (w *world) roles(t *testing.T, e events.APIGatewayProxyRequest) roles {
	t.Helper()
	return w.answered(t, 200, e)
}

func (w *world) answered(t *testing.T, status int, e events.APIGatewayProxyRequest) (r roles) {
	t.Helper()
	answer := w.do(e)
	require.Equal(t, status, answer.StatusCode, answer.Body)
	require.NoError(t, json.Unmarshal([]byte(answer.Body), &r))
	require.Regexp(t, `^[A-Za-z0-9_-]{43}$`, r.Version)
	r.Version = ""
	return r
}

// version is the one that is shown.
func (w *world) version(t *testing.T, subject, pool string) string {
	t.Helper()
	var r roles
	require.NoError(t, json.Unmarshal([]byte(w.do(w.get(subject, pool)).Body), &r))
	return r.Version
}

// both is what holds once Sam has asked for something, and Sue for the same.
func (w *world) both(t *testing.T, subject, body string) roles {
	t.Helper()
	w.answered(t, 202, w.put(subject, body))
	return w.roles(t, w.putBy("sue", subject, body))
}

// changes is what the last event says.
func (w *world) changes() []string {
	e := w.Audit.Events()
	return e[len(e)-1].Changes
}

func TestRolesOfStaff(t *testing.T) {
	w := newWorld(t)
	none := roles{"ina", "staff", []access.Role{}, []string{}, nil, ""}
	require.Equal(t, none, w.roles(t, w.get("ina", "staff")))
	want := roles{"ina", "staff", []access.Role{access.Analyst, access.Maker}, []string{"acme"}, nil, ""}
	require.Equal(t, want, w.both(t, "ina", `{"pool": "staff", "roles": ["maker", "analyst", "maker"], "organisations": ["acme"]}`))
	require.Equal(t, want, w.roles(t, w.get("ina", "staff")))
	e := w.Audit.Events()
	require.Equal(t, []string{"pool=staff", "organisation=acme", "proposed-role=analyst", "proposed-role=maker"}, e[1].Changes)
	require.Equal(t, []string{"pool=staff", "role=analyst", "role=maker", "organisation=acme", "confirmed-role=analyst", "confirmed-role=maker"}, e[2].Changes)
	require.Equal(t, [2]string{string(access.RolesManage), access.IdentityKey(edgetest.StaffIssuer, "ina")}, [2]string{e[1].Action, e[1].About})

	want.Roles, want.Organisations = []access.Role{access.Auditor}, []string{}
	require.Equal(t, want, w.both(t, "ina", `{"pool": "staff", "roles": ["auditor"], "organisations": []}`))
	for _, apart := range []string{"administrator", "firmware-manager"} {
		w.refused(t, w.put("ina", `{"pool": "staff", "roles": ["auditor", "`+apart+`"], "organisations": []}`), fault.Conflict)
	}
	require.Equal(t, want, w.roles(t, w.get("ina", "staff")))
	require.Equal(t, none, w.roles(t, w.put("ina", `{"pool": "staff", "roles": [], "organisations": []}`)))

	t.Run("it holds from the next request", func(t *testing.T) {
		w.Time = w.Time.Add(time.Second) // she has lost roles before
		list := w.later(t, "ina")
		w.refused(t, list, fault.Forbidden)
		w.both(t, "ina", `{"pool": "staff", "roles": ["administrator"], "organisations": []}`)
		require.Equal(t, 200, w.do(list).StatusCode)
		w.answered(t, 202, w.put("ina", `{"pool": "staff", "roles": ["analyst"], "organisations": []}`))
		w.refused(t, list, fault.Unauthenticated)
		w.Time = w.Time.Add(time.Second)
		w.refused(t, w.later(t, "ina"), fault.Forbidden)
	})
	t.Run("a maker's namespace is given by one", func(t *testing.T) {
		require.Equal(t, []string{"acme"}, w.roles(t, w.put("max", `{"pool": "staff", "roles": [], "organisations": ["acme"]}`)).Organisations)
	})
}

const clinic = `{"pool": "people", "roles": [], "organisations": ["clinic"]}`

// TestFourEyes: nobody alone lets anybody in, himself least of all.
func TestFourEyes(t *testing.T) {
	nothing := roles{"ada", "people", []access.Role{}, []string{}, nil, ""}
	in := nothing
	in.Organisations = []string{"clinic"}
	waits := func(until string, yours bool) roles {
		r := nothing
		r.Proposed = &proposed{[]access.Role{}, []string{"clinic"}, until, yours}
		return r
	}
	const week = "2026-05-11T05:25:00Z"

	t.Run("one alone changes nothing, however often", func(t *testing.T) {
		w := newWorld(t)
		for range 3 {
			require.Equal(t, waits(week, true), w.answered(t, 202, w.put("ada", clinic)))
			w.Time = w.Time.Add(24 * time.Hour)
		}
		require.Equal(t, waits(week, true), w.roles(t, w.get("ada", "people")), "nor does it wait longer")
		found, err := w.people.Read(t.Context(), access.Keys{Issuer: edgetest.Issuer, Subject: "ada"})
		require.NoError(t, err)
		require.Empty(t, found.Caller.Organisations)
	})
	t.Run("another one adds", func(t *testing.T) {
		w := newWorld(t)
		w.answered(t, 202, w.put("ada", clinic))
		e := w.get("ada", "people")
		edgetest.SetHeader(&e, "Authorization", "Bearer "+w.token("sue"))
		answer := w.do(e)
		require.NotContains(t, answer.Body, "identity#", "who asked is the audit log's to say")
		require.Equal(t, waits(week, false), w.roles(t, e))
		require.Equal(t, in, w.roles(t, w.putBy("sue", "ada", clinic)))
		require.Equal(t, []string{"pool=people", "organisation=clinic", "confirmed-organisation=clinic"}, w.changes())
		require.Equal(t, in, w.roles(t, w.get("ada", "people")))
		require.Equal(t, in, w.roles(t, w.put("ada", clinic)), "it holds: nothing is added")
	})
	t.Run("an administrator is not the second for himself", func(t *testing.T) {
		w := newWorld(t)
		maker := `{"pool": "staff", "roles": ["administrator", "maker"], "organisations": []}`
		w.answered(t, 202, w.put("sue", maker))
		w.refused(t, w.putBy("sue", "sue", maker), fault.Forbidden)
		require.Equal(t, []access.Role{access.Administrator}, w.roles(t, w.get("sue", "staff")).Roles)
	})
	t.Run("nor is who is none any more", func(t *testing.T) {
		w := newWorld(t)
		w.answered(t, 202, w.put("ada", clinic))
		w.roles(t, w.put("sue", `{"pool": "staff", "roles": [], "organisations": []}`))
		w.refused(t, w.putBy("sue", "ada", clinic), fault.Unauthenticated)
		require.Empty(t, w.roles(t, w.get("ada", "people")).Organisations)
	})
	t.Run("a week later it is forgotten", func(t *testing.T) {
		w := newWorld(t)
		w.answered(t, 202, w.put("ada", clinic))
		w.Time = w.Time.Add(access.ProposalLasts)
		require.Equal(t, nothing, w.roles(t, w.get("ada", "people")))
		require.Equal(t, waits("2026-05-18T05:25:00Z", true), w.answered(t, 202, w.putBy("sue", "ada", clinic)), "now she is the first")
		require.Equal(t, []string{"pool=people", "proposed-organisation=clinic"}, w.changes())
		require.Equal(t, in, w.roles(t, w.put("ada", clinic)))
	})
	t.Run("another proposal takes its place", func(t *testing.T) {
		w := newWorld(t)
		w.answered(t, 202, w.put("ada", clinic))
		for _, more := range []string{`["clinic", "team"]`, `["team"]`} {
			w.answered(t, 202, w.putBy("sue", "ada", `{"pool": "people", "roles": [], "organisations": `+more+`}`))
		}
		require.Equal(t, []string{"pool=people", "proposed-organisation=team", "dropped-organisation=clinic", "dropped-organisation=team"}, w.changes())
		require.Equal(t, waits(week, true), w.answered(t, 202, w.put("ada", clinic)), "she has not asked for this one")
	})
	t.Run("what is taken away goes at once, and a proposal with it", func(t *testing.T) {
		w := newWorld(t)
		w.both(t, "ada", clinic)
		both := `{"pool": "people", "roles": [], "organisations": ["clinic", "team"]}`
		require.Equal(t, []string{"clinic"}, w.answered(t, 202, w.put("ada", both)).Organisations)
		require.Equal(t, nothing, w.roles(t, w.putBy("sue", "ada", `{"pool": "people", "roles": [], "organisations": []}`)))
		require.Equal(t, []string{"pool=people", "dropped-organisation=team"}, w.changes())
		require.Equal(t, nothing, w.roles(t, w.get("ada", "people")))
		require.Equal(t, []string{"clinic", "team"}, w.answered(t, 202, w.putBy("sue", "ada", both)).Proposed.Organisations, "not the second: what the first one saw is gone")
	})
	t.Run("what is given and taken in one: the one waits, the other does not", func(t *testing.T) {
		w := newWorld(t)
		w.both(t, "ada", clinic)
		team := `{"pool": "people", "roles": [], "organisations": ["team"]}`
		require.Empty(t, w.answered(t, 202, w.put("ada", team)).Organisations)
		require.Equal(t, []string{"team"}, w.roles(t, w.putBy("sue", "ada", team)).Organisations)
	})
	t.Run("who watches does not act, at the second word either", func(t *testing.T) {
		w := newWorld(t)
		w.answered(t, 202, w.put("ina", `{"pool": "staff", "roles": ["administrator"], "organisations": []}`))
		p := w.roles(t, w.get("ina", "staff")).Proposed
		require.Equal(t, []access.Role{access.Administrator}, p.Roles)
		found, err := w.people.Read(t.Context(), access.Keys{Issuer: edgetest.StaffIssuer, Subject: "ina"})
		require.NoError(t, err)
		found.Caller.Roles = []access.Role{access.Auditor} // by the operator, meanwhile
		w.Accounts.PutCaller(edgetest.StaffIssuer, "ina", *found.Caller)
		w.refused(t, w.putBy("sue", "ina", `{"pool": "staff", "roles": ["administrator", "auditor"], "organisations": []}`), fault.Conflict)
		require.Equal(t, []access.Role{access.Auditor}, w.roles(t, w.get("ina", "staff")).Roles)
		require.Equal(t, []access.Role{access.Administrator}, w.roles(t, w.putBy("sue", "ina", `{"pool": "staff", "roles": ["administrator"], "organisations": []}`)).Roles,
			"one or the other")
	})
}

// TestRolesChangeMeanwhile: what was decided on something that is not so any more does
// not happen.
func TestRolesChangeMeanwhile(t *testing.T) {
	const none = `{"pool": "people", "roles": [], "organisations": []}`
	for name, c := range map[string]struct{ first, late, meanwhile string }{
		"two propose":                             {"", clinic, clinic},
		"one confirms, one drops it":              {clinic, none, clinic},
		"one drops it, one confirms":              {clinic, clinic, none},
		"one confirms, one proposes another":      {clinic, `{"pool": "people", "roles": [], "organisations": ["team"]}`, clinic},
		"one proposes another, one confirms this": {clinic, clinic, `{"pool": "people", "roles": [], "organisations": ["team"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Accounts.PutCaller(edgetest.StaffIssuer, "tom", access.Caller{Roles: []access.Role{access.Administrator}})
			if c.first != "" {
				w.answered(t, 202, w.put("ada", c.first))
			}
			var held roles
			w.people.meanwhile = func() {
				require.Less(t, w.do(w.putBy("tom", "ada", c.meanwhile)).StatusCode, 300)
				held = w.roles(t, w.get("ada", "people"))
			}
			w.refused(t, w.putBy("sue", "ada", c.late), fault.Conflict)
			require.Equal(t, held, w.roles(t, w.get("ada", "people")))
		})
	}
	t.Run("two confirm at once, and it holds once", func(t *testing.T) {
		w := newWorld(t)
		w.Accounts.PutCaller(edgetest.StaffIssuer, "tom", access.Caller{Roles: []access.Role{access.Administrator}})
		w.answered(t, 202, w.put("ada", clinic))
		w.people.meanwhile = func() { w.roles(t, w.putBy("tom", "ada", clinic)) }
		w.refused(t, w.putBy("sue", "ada", clinic), fault.Conflict)
		require.Equal(t, []string{"clinic"}, w.roles(t, w.get("ada", "people")).Organisations)
	})
}

// TestRolesNotAsSeen: of two administrators who look at the same, the later one does not
// take back what the first one has done, and is told so.
func TestRolesNotAsSeen(t *testing.T) {
	w := newWorld(t)
	w.both(t, "ada", clinic)
	seen := w.version(t, "ada", "people")
	const both = `{"pool": "people", "roles": [], "organisations": ["clinic", "team"]}`
	w.answered(t, 202, w.putOf("sue", "ada", both, seen))
	proposed := w.version(t, "ada", "people")
	require.NotEqual(t, seen, proposed)
	w.refused(t, w.putOf("sam", "ada", clinic, seen), fault.Conflict) // would drop the proposal, unseen
	w.refused(t, w.putOf("sam", "ada", both, seen), fault.Conflict)   // would confirm it, unseen
	require.Equal(t, proposed, w.version(t, "ada", "people"))
	require.Equal(t, []string{"clinic", "team"}, w.roles(t, w.putOf("sam", "ada", both, proposed)).Organisations)
	for _, old := range []string{seen, proposed, "", "x"} {
		w.refused(t, w.putOf("sam", "ada", clinic, old), fault.Conflict)
	}
	t.Run("a proposal that is over is not there", func(t *testing.T) {
		w := newWorld(t)
		seen := w.version(t, "ada", "people")
		w.answered(t, 202, w.put("ada", clinic))
		w.Time = w.Time.Add(access.ProposalLasts)
		require.Equal(t, seen, w.version(t, "ada", "people"))
	})
}

func (w *world) ends(subject string) events.APIGatewayProxyRequest {
	return w.event("sam", "DELETE", "/identities/{subject}/sessions", map[string]string{"subject": subject}, "")
}

// later signs somebody in a while later.
func (w *world) later(t *testing.T, subject string) events.APIGatewayProxyRequest {
	t.Helper()
	claims := w.StaffClaims(subject)
	claims["client_id"], claims["scope"], claims["auth_time"], claims["origin_jti"] = staffClient, scopeAdmin, w.Time.Unix(), "later-session-of-"+subject
	e := w.event(subject, "GET", "/apps", nil, "")
	edgetest.SetHeader(&e, "Authorization", "Bearer "+edgetest.SignStaff(claims))
	return e
}

// TestSessionsOfStaff: they end at the next request, whether or not they have been used,
// and a new sign-in is good.
func TestSessionsOfStaff(t *testing.T) {
	w := newWorld(t)
	list := w.event("sue", "GET", "/apps", nil, "")
	require.Equal(t, 200, w.do(list).StatusCode)
	answer := w.do(w.ends("sue"))
	require.Equal(t, 204, answer.StatusCode, answer.Body)
	e := w.Audit.Events()
	require.Equal(t, []string{"pool=staff", "sessions=ended"}, e[len(e)-1].Changes)
	require.Equal(t, access.IdentityKey(edgetest.StaffIssuer, "sue"), e[len(e)-1].About)
	w.refused(t, list, fault.Unauthenticated)
	w.refused(t, w.later(t, "sue"), fault.Unauthenticated) // of the same second: nobody knows which was first
	w.Time = w.Time.Add(time.Second)
	w.refused(t, list, fault.Unauthenticated)
	again := w.later(t, "sue")
	require.Equal(t, 200, w.do(again).StatusCode)
	require.Equal(t, 200, w.do(w.event("sam", "GET", "/apps", nil, "")).StatusCode, "others stay")

	t.Run("one's own", func(t *testing.T) {
		mine := w.ends("sam")
		require.Equal(t, 204, w.do(mine).StatusCode)
		w.refused(t, mine, fault.Unauthenticated)
	})
	t.Run("who loses a role loses his sessions, also if he has it again", func(t *testing.T) {
		w := newWorld(t)
		list := w.event("sue", "GET", "/apps", nil, "")
		require.Equal(t, 200, w.do(list).StatusCode)
		w.roles(t, w.put("sue", `{"pool": "staff", "roles": [], "organisations": []}`))
		w.refused(t, list, fault.Unauthenticated)
		w.Accounts.PutCaller(edgetest.StaffIssuer, "tom", access.Caller{Roles: []access.Role{access.Administrator}})
		back := `{"pool": "staff", "roles": ["administrator"], "organisations": []}`
		w.answered(t, 202, w.put("sue", back))
		w.roles(t, w.putBy("tom", "sue", back))
		w.refused(t, list, fault.Unauthenticated)
		w.Time = w.Time.Add(time.Second)
		require.Equal(t, 200, w.do(w.later(t, "sue")).StatusCode)
	})
	t.Run("who gets one more keeps them", func(t *testing.T) {
		w := newWorld(t)
		w.Accounts.PutCaller(edgetest.StaffIssuer, "tom", access.Caller{Roles: []access.Role{access.Administrator}})
		list := w.event("sue", "GET", "/apps", nil, "")
		more := `{"pool": "staff", "roles": ["administrator", "maker"], "organisations": ["acme"]}`
		w.answered(t, 202, w.put("sue", more))
		w.roles(t, w.putBy("tom", "sue", more))
		require.Equal(t, 200, w.do(list).StatusCode)
	})
	t.Run("people end theirs themselves", func(t *testing.T) {
		w := newWorld(t)
		w.refused(t, w.ends("ada"), fault.NotFound)
		w.refused(t, w.ends("nobody"), fault.NotFound)
	})
	t.Run("failures", func(t *testing.T) {
		w := newWorld(t)
		w.people.err = fault.New(fault.Unavailable, "down")
		w.refused(t, w.ends("sue"), fault.Unavailable)
		w.people.err = nil
		w.people.meanwhile = func() { w.people.err = fault.New(fault.Unavailable, "down") }
		w.refused(t, w.ends("sue"), fault.Unavailable)
		w.people.err = nil
		w.people.meanwhile = func() {
			c := access.Caller{Roles: []access.Role{access.Administrator}, SessionsFrom: w.Time.Add(time.Minute)}
			w.Accounts.PutCaller(edgetest.StaffIssuer, "sue", c)
		}
		require.Equal(t, 204, w.do(w.ends("sue")).StatusCode, "somebody else has ended more")
		w.Audit.Fail(errors.New("down"))
		w.refused(t, w.ends("sue"), fault.Unavailable)
	})
}

func TestMembershipsContract(t *testing.T) {
	w := newWorld(t)
	edgetest.Memberships(t, &w.people, dynamo.ErrConflict, func(_ *testing.T, issuer, subject string, c access.Caller) { w.Accounts.PutCaller(issuer, subject, c) })
}

func TestNobodyChangesHisOwn(t *testing.T) {
	w := newWorld(t)
	w.refused(t, w.put("sam", `{"pool": "staff", "roles": ["administrator", "maker"], "organisations": []}`), fault.Forbidden)
	require.Equal(t, []access.Role{access.Administrator}, w.roles(t, w.get("sam", "staff")).Roles)
	w.refused(t, w.put("sam", `{"pool": "people", "roles": [], "organisations": ["clinic"]}`), fault.NotFound) // of that name, another identity
}

func TestOrganisationsOfPeople(t *testing.T) {
	w := newWorld(t)
	want := roles{"ada", "people", []access.Role{}, []string{"clinic"}, nil, ""}
	require.Equal(t, want, w.both(t, "ada", clinic))
	require.Equal(t, want, w.roles(t, w.get("ada", "people")))
	answer := w.do(w.get("ada", "people"))
	require.NotContains(t, answer.Body, w.Ada.String(), "whose account it is stays the person's")
	w.refused(t, w.put("ada", `{"pool": "people", "roles": ["analyst"], "organisations": []}`), fault.Invalid, fault.Item{Pointer: "/roles", Rule: "staff-only"})
	w.refused(t, w.put("eve", `{"pool": "people", "roles": [], "organisations": ["clinic"]}`), fault.NotFound)
	w.refused(t, w.get("eve", "people"), fault.NotFound)
	w.refused(t, w.get("ada", "other"), fault.BadRequest)
}

func TestWhatAreNoRoles(t *testing.T) {
	w := newWorld(t)
	for body, items := range map[string][]fault.Item{
		`{}`:                                     nil,
		`{"pool": "staff", "roles": ["maker"]}`:  nil,
		`{"pool": "staff", "organisations": []}`: nil,
		`{"pool": "staff", "roles": null, "organisations": []}`:                                                     nil,
		`{"pool": "staff", "roles": [], "organisations": [], "user": "x"}`:                                          nil,
		`{"pool": "other", "roles": [], "organisations": []}`:                                                       {{Pointer: "/pool", Rule: "enum"}},
		`{"pool": "staff", "roles": ["owner"], "organisations": []}`:                                                {{Pointer: "/roles", Rule: "enum"}},
		`{"pool": "staff", "roles": [], "organisations": ["A b"]}`:                                                  {{Pointer: "/organisations", Rule: "name"}},
		`{"pool": "staff", "roles": [], "organisations": ["o0","o1","o2","o3","o4","o5","o6","o7","o8","o9","oa"]}`: {{Pointer: "/organisations", Rule: "name"}},
	} {
		w.refused(t, w.put("ina", body), fault.Invalid, items...)
	}
	w.refused(t, w.put("ina", `{`), fault.BadRequest)
	w.refused(t, w.event("sam", "PUT", rolesResource, map[string]string{"subject": "ina"}, `{"pool": "staff", "roles": [], "organisations": []}`), fault.Invalid)
}

func TestRolesFail(t *testing.T) {
	w := newWorld(t)
	good := `{"pool": "staff", "roles": [], "organisations": []}`
	w.people.err = fault.New(fault.Unavailable, "down")
	w.refused(t, w.put("ina", good), fault.Unavailable)
	w.refused(t, w.get("ina", "staff"), fault.Unavailable)
	w.people.err = nil
	w.people.meanwhile = func() { w.people.err = fault.New(fault.Unavailable, "down") }
	w.refused(t, w.put("ina", good), fault.Unavailable)
	w.people.err = nil
	w.Audit.Fail(errors.New("down"))
	w.refused(t, w.put("ina", good), fault.Unavailable)
	w.refused(t, w.get("ina", "staff"), fault.Unavailable)
}
