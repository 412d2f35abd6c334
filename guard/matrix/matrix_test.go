package matrix_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/guard/contract"
	"fitvault/guard/matrix"
	"fitvault/shared/access"
	"fitvault/shared/apps"
	"fitvault/shared/auditlog"
	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/reading"
)

var update = flag.Bool("update", false, "write docs/matrix.md")

const page = "../../docs/matrix.md"

func TestMatrix(t *testing.T) {
	routes, err := contract.ReadContract("../..")
	require.NoError(t, err)
	made := table(t, routes)
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(made.Markdown()), 0o644)) //nolint:gosec // a public page
	}
	committed, err := matrix.Read("../..")
	require.NoError(t, err)
	require.Empty(t, matrix.Differ(routes, made, committed), "if the change is meant, run `make generate` and read its diff")
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Equal(t, made.Markdown(), string(text))
}

// TestMatrixFindsPlantedViolations: a route that is missing, one too many, a cell that
// is otherwise, and a route that says no action.
func TestMatrixFindsPlantedViolations(t *testing.T) {
	routes, err := contract.ReadContract("../..")
	require.NoError(t, err)
	made := table(t, routes)
	committed, err := matrix.Parse(made.Markdown())
	require.NoError(t, err)
	require.Equal(t, made, committed)

	delete(committed, "GET /apps")
	committed.Set("GET /planted", matrix.Own, "owner", "404")
	committed["GET /users/{user}/readings"][matrix.Expired]["caregiver"] = matrix.Admitted
	require.Equal(t, []string{"GET /apps is in the contract, not in the table", "GET /planted is in the table, not in the contract",
		`GET /users/{user}/readings, expired, caregiver: "✓" in the table, and is "404"`}, matrix.Differ(routes, made, committed))
	for _, row := range []string{"| `GET /a` | any | 401 |", "| `GET /a` | nobody | " + strings.Repeat("401 | ", len(matrix.Roles))} {
		_, err := matrix.Parse(row)
		require.Error(t, err)
	}
	require.Equal(t, "/users/me/consents/collection", matrix.Path("GET /users/{user}/consents/{purpose}", "me"))
	require.Equal(t, "/apps/nothing-of-this-name/x", matrix.Path("GET /apps/{client}/x", "me"))
}

// TestNoStaffOnData: whatever roles somebody of the staff has, no reading is his to see.
func TestNoStaffOnData(t *testing.T) {
	committed, err := matrix.Read("../..")
	require.NoError(t, err)
	staff := matrix.Roles[slices.Index(matrix.Roles, matrix.FirstOfStaff):]
	for route, relations := range committed {
		if !strings.Contains(route, "{user}") {
			continue
		}
		for _, cells := range relations {
			for _, role := range staff {
				require.Equal(t, "401", cells[role], "%s of %s", route, role)
			}
		}
	}
}

// caller is who a column is.
type caller struct {
	subject, client string
	token           string
	scopes          []string
}

const (
	thirdParty = "thirdpartyapp"
	system     = "systemapp"
	staff      = "staffapp"
)

// made is the table of the contract, once a run.
var made matrix.Table

// table makes the table of the contract, with the door and the policies that are in
// the functions, and a handler that lets everything through but other types.
func table(t *testing.T, routes contract.Routes) matrix.Table {
	t.Helper()
	if made != nil {
		return made
	}
	w := edgetest.New(t)
	scopes := map[bool][]string{}
	var served []edge.Route
	for name, r := range routes {
		if r.Scope == "" {
			continue
		}
		require.Contains(t, access.Actions, access.Action(r.Action), "x-action of %s", name)
		if !slices.Contains(scopes[r.Staff], r.Scope) {
			scopes[r.Staff] = append(scopes[r.Staff], r.Scope)
		}
		method, resource, _ := strings.Cut(name, " ")
		of := edge.Route{Method: method, Resource: resource, Scope: r.Scope, Staff: r.Staff, Action: access.Action(r.Action),
			Types: r.Types, MaxBody: r.MaxBytes, Handle: admit}
		for _, q := range r.Query {
			q, repeat := strings.CutSuffix(q, "…")
			of.Query = append(of.Query, edge.Parameter{Name: q, Repeat: repeat})
		}
		served = append(served, of)
	}
	guard := edge.New(w.Config("matrix"), served...)
	callers := people(t, w, scopes)

	made = matrix.Table{}
	for _, relation := range matrix.Relations {
		w.Accounts.Put(access.Documents{Owner: owner(t, w, relation)})
		for name, r := range routes {
			for _, role := range matrix.Roles {
				if r.Scope == "" {
					made.Set(name, relation, role, matrix.Admitted)
					continue
				}
				answer, err := guard.Handle(context.Background(), request(w, name, r, role, callers[role]))
				require.NoError(t, err)
				cell := fmt.Sprint(answer.StatusCode)
				switch {
				case answer.StatusCode == http.StatusNoContent:
					cell = matrix.Admitted
				case answer.StatusCode == http.StatusForbidden && !slices.Contains(callers[role].scopes, r.Scope):
					cell = matrix.Scope
				}
				require.Contains(t, []string{matrix.Admitted, matrix.Scope, "401", "403", "404"}, cell, "%s, %s, %s: %s", name, relation, role, answer.Body)
				made.Set(name, relation, role, cell)
			}
		}
	}
	return made
}

var heartRate, steps = reading.Type{Namespace: "omh", Name: "heart-rate"}, reading.Type{Namespace: "omh", Name: "step-count"}

// admit does what every handler does that answers readings by type, and no more.
func admit(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	if _, byType := c.Query()["type"]; byType {
		if _, err := c.Decision.Restrict(map[reading.Type]bool{heartRate: true}); err != nil {
			return err
		}
	}
	if err := c.Audit(r.Context(), auditlog.Event{}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// people lets everybody in who asks.
func people(t *testing.T, w *edgetest.World, scopes map[bool][]string) map[string]caller {
	t.Helper()
	for client, kind := range map[string]access.AppKind{edgetest.Client: access.OwnApp, thirdParty: access.ThirdPartyApp, system: access.SystemApp, staff: access.StaffApp} {
		may := scopes[kind == access.StaffApp]
		if kind == access.ThirdPartyApp || kind == access.SystemApp {
			may = apps.Scopes
		}
		w.Accounts.Put(access.Documents{App: &access.App{Client: client, State: access.Active, Kind: kind, Scopes: may, APIKeys: [][32]byte{sha256.Sum256([]byte(edgetest.APIKey))}}})
	}
	for _, subject := range []string{"mia", "eve"} {
		id, err := access.NewUserID(rand.Reader)
		require.NoError(t, err)
		caller := access.Caller{User: id}
		if subject == "mia" {
			caller.Organisations = []string{"clinic"}
		}
		w.Accounts.PutCaller(edgetest.Issuer, subject, caller)
		w.Accounts.Put(access.Documents{Owner: &access.Owner{User: id, State: access.Active, DataKey: "k", Consents: consents(w, access.Collection, access.Sharing)}})
	}
	w.Accounts.Put(access.Documents{Owner: &access.Owner{User: w.Ben, State: access.Active, DataKey: "k", Consents: consents(w, access.Collection, access.Sharing)}})

	person := func(subject, client string) caller {
		may := scopes[false]
		if client == thirdParty {
			may = apps.Scopes
		}
		claims := w.Claims(subject)
		claims["client_id"], claims["scope"], claims["origin_jti"] = client, strings.Join(may, " "), subject+client
		return caller{subject, client, edgetest.Sign(claims), may}
	}
	program := w.SystemClaims(system)
	program["scope"] = strings.Join(apps.Scopes, " ")
	all := map[string]caller{
		"owner": person("ada", edgetest.Client), "caregiver": person("ben", edgetest.Client), "member": person("mia", edgetest.Client),
		"app of owner": person("ada", thirdParty), "app of caregiver": person("ben", thirdParty),
		"system": {system, system, edgetest.Sign(program), apps.Scopes}, "stranger": person("eve", edgetest.Client), "newcomer": person("nia", edgetest.Client),
	}
	for _, role := range access.Roles {
		w.Accounts.PutCaller(edgetest.StaffIssuer, string(role), access.Caller{Roles: []access.Role{role}})
		claims := w.StaffClaims(string(role))
		claims["client_id"], claims["scope"] = staff, strings.Join(scopes[true], " ")
		all[string(role)] = caller{string(role), staff, edgetest.SignStaff(claims), scopes[true]}
	}
	require.Len(t, all, len(matrix.Roles))
	return all
}

func consents(w *edgetest.World, given ...access.Purpose) map[access.Purpose]access.Consent {
	all := map[access.Purpose]access.Consent{}
	for _, purpose := range given {
		all[purpose] = access.Consent{Version: "1", Given: true, Time: w.Time}
	}
	return all
}

// owner is Ada, and what she has given.
func owner(t *testing.T, w *edgetest.World, relation matrix.Relation) *access.Owner {
	t.Helper()
	given := []access.Purpose{access.Collection, access.Sharing}
	types, until := []reading.Type{heartRate, access.Recording}, w.Time.Add(time.Hour)
	switch relation {
	case matrix.OtherType:
		types = []reading.Type{steps}
	case matrix.Expired:
		until = w.Time
	case matrix.NoSharing:
		given = given[:1]
	case matrix.NoCollection:
		given = given[1:]
	}
	o := &access.Owner{User: w.Ada, State: access.Active, DataKey: "k", Consents: consents(w, given...)}
	if relation == matrix.Own || relation == matrix.Withdrawn {
		return o
	}
	permit, err := access.NewPermit(access.Permit{Types: types, Read: true, Write: true, Use: access.Care, From: w.Time.Add(-time.Hour), Until: until})
	require.NoError(t, err)
	o.Grants = map[string]access.Grant{"g1": {Permit: permit, To: w.Ben.String()}, "g2": {Permit: permit, To: access.OrganisationPrefix + "clinic"}}
	o.Apps = map[string]access.Permit{thirdParty: permit, system: permit}
	return o
}

func request(w *edgetest.World, name string, r contract.Route, role string, c caller) events.APIGatewayProxyRequest {
	method, resource, _ := strings.Cut(name, " ")
	user := w.Ada.String()
	if role == "newcomer" {
		user = "me"
	}
	parameters := map[string]string{"user": user}
	for part := range strings.SplitSeq(resource, "/") {
		if parameter := strings.Trim(part, "{}"); parameter != part && parameter != "user" {
			parameters[parameter] = matrix.Parameter(parameter)
		}
	}
	e := w.Event(c.subject, method, resource, parameters)
	edgetest.SetHeader(&e, "Authorization", "Bearer "+c.token)
	if len(r.Types) > 0 {
		edgetest.SetBody(&e, r.Types[0], "x")
	}
	if slices.Contains(r.Query, "type…") {
		e.MultiValueQueryStringParameters = map[string][]string{"type": {heartRate.String()}}
	}
	return e
}
