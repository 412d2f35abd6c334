package main

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
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
	return w.event("sam", "PUT", rolesResource, map[string]string{"subject": subject}, body)
}

func (w *world) roles(t *testing.T, e events.APIGatewayProxyRequest) (r roles) {
	t.Helper()
	answer := w.do(e)
	require.Equal(t, 200, answer.StatusCode, answer.Body)
	require.NoError(t, json.Unmarshal([]byte(answer.Body), &r))
	return r
}

func TestRolesOfStaff(t *testing.T) {
	w := newWorld(t)
	none := roles{"ina", "staff", []access.Role{}, []string{}}
	require.Equal(t, none, w.roles(t, w.get("ina", "staff")))
	want := roles{"ina", "staff", []access.Role{access.Analyst, access.Maker}, []string{"acme"}}
	require.Equal(t, want, w.roles(t, w.put("ina", `{"pool": "staff", "roles": ["maker", "analyst", "maker"], "organisations": ["acme"]}`)))
	require.Equal(t, want, w.roles(t, w.get("ina", "staff")))
	e := w.Audit.Events()
	require.Equal(t, []string{"pool=staff", "role=analyst", "role=maker", "organisation=acme"}, e[1].Changes)
	require.Equal(t, [2]string{string(access.RolesManage), access.IdentityKey(edgetest.StaffIssuer, "ina")}, [2]string{e[1].Action, e[1].About})

	want.Roles, want.Organisations = []access.Role{access.Auditor}, []string{}
	require.Equal(t, want, w.roles(t, w.put("ina", `{"pool": "staff", "roles": ["auditor"], "organisations": []}`)))
	for _, apart := range []string{"administrator", "firmware-manager"} {
		w.refused(t, w.put("ina", `{"pool": "staff", "roles": ["auditor", "`+apart+`"], "organisations": []}`), fault.Conflict)
	}
	require.Equal(t, want, w.roles(t, w.get("ina", "staff")))
	require.Equal(t, none, w.roles(t, w.put("ina", `{"pool": "staff", "roles": [], "organisations": []}`)))

	t.Run("it holds from the next request", func(t *testing.T) {
		list := w.event("ina", "GET", "/apps", nil, "")
		w.refused(t, list, fault.Forbidden)
		w.roles(t, w.put("ina", `{"pool": "staff", "roles": ["administrator"], "organisations": []}`))
		require.Equal(t, 200, w.do(list).StatusCode)
		w.roles(t, w.put("ina", `{"pool": "staff", "roles": ["analyst"], "organisations": []}`))
		w.refused(t, list, fault.Forbidden)
	})
}

func TestNobodyChangesHisOwn(t *testing.T) {
	w := newWorld(t)
	w.refused(t, w.put("sam", `{"pool": "staff", "roles": ["administrator", "maker"], "organisations": []}`), fault.Forbidden)
	require.Equal(t, []access.Role{access.Administrator}, w.roles(t, w.get("sam", "staff")).Roles)
	w.refused(t, w.put("sam", `{"pool": "people", "roles": [], "organisations": ["clinic"]}`), fault.NotFound) // of that name, another identity
}

func TestOrganisationsOfPeople(t *testing.T) {
	w := newWorld(t)
	want := roles{"ada", "people", []access.Role{}, []string{"clinic"}}
	require.Equal(t, want, w.roles(t, w.put("ada", `{"pool": "people", "roles": [], "organisations": ["clinic"]}`)))
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
}

func TestRolesFail(t *testing.T) {
	w := newWorld(t)
	good := `{"pool": "staff", "roles": [], "organisations": []}`
	w.people.err = fault.New(fault.Unavailable, "down")
	w.refused(t, w.put("ina", good), fault.Unavailable)
	w.refused(t, w.get("ina", "staff"), fault.Unavailable)
	w.people.err = nil
	w.Audit.Fail(errors.New("down"))
	w.refused(t, w.put("ina", good), fault.Unavailable)
	w.refused(t, w.get("ina", "staff"), fault.Unavailable)
}
