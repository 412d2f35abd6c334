// Package matrix is the table of who gets what answer: every route of the contract,
// every role, every relation to the account in the path. It stands in docs/matrix.md.
// A test here makes it anew of openapi.yaml, the door and the policies; one in
// e2e/matrix walks it on the deployed API.
package matrix

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fitvault/guard/contract"
)

// Roles are the columns: who asks.
var Roles = []string{"owner", "caregiver", "member", "app of owner", "app of caregiver", "system", "stranger", "newcomer",
	"analyst", "firmware-manager", "administrator", "auditor", "maker"}

// FirstOfStaff is the first column of the staff.
const FirstOfStaff = "analyst"

// Relation is what the account's owner has given caregiver, organisation and apps.
type Relation string

const (
	Own          Relation = "nothing given"
	Granted      Relation = "granted"
	Expired      Relation = "expired"
	OtherType    Relation = "other type"
	Withdrawn    Relation = "withdrawn"
	NoSharing    Relation = "no sharing consent"
	NoCollection Relation = "no collection consent"
)

// Relations is all of them.
var Relations = []Relation{Own, Granted, Expired, OtherType, Withdrawn, NoSharing, NoCollection}

// What a cell says.
const (
	Admitted = "✓"
	Scope    = "scope"
)

// Table is the cells by route ("GET /apps"), relation and role.
type Table map[string]map[Relation]map[string]string

// Set sets a cell.
func (t Table) Set(route string, relation Relation, role, cell string) {
	if t[route] == nil {
		t[route] = map[Relation]map[string]string{}
	}
	if t[route][relation] == nil {
		t[route][relation] = map[string]string{}
	}
	t[route][relation][role] = cell
}

// Path is a route's path with a user and something for each other parameter.
func Path(route, user string) string {
	_, path, _ := strings.Cut(route, " ")
	path = strings.ReplaceAll(path, "{user}", user)
	for {
		before, after, there := strings.Cut(path, "{")
		if !there {
			return path
		}
		name, rest, _ := strings.Cut(after, "}")
		path = before + Parameter(name) + rest
	}
}

// Parameter is a value for a path parameter other than the user.
func Parameter(name string) string {
	if name == "purpose" {
		return "collection"
	}
	return "nothing-of-this-name"
}

const head = `# Who gets what answer

Every route of openapi.yaml, every role, every relation. ` + "`make generate`" + ` makes this page of the contract, the door
(shared/edge) and the policies (shared/access/policies); read its diff as a reviewer of access would. guard/matrix compares it,
and e2e/matrix walks it on the deployed API.

A cell is the status of the answer:

- ` + "`✓`" + `: let in. The tests send an empty or invalid body, so the answer is then whatever the handler says to that; a 404 is
  the policy's where the audit event names no policy, and the handler's where it does.
- ` + "`scope`" + `: the app may not ask for this. 401 at the gateway, 403 of a function that is called past it.
- ` + "`401`" + `: a token of the other pool. ` + "`403`" + `: known, and may not. ` + "`404`" + `: not to know that there is anything.

Who asks: *owner*, *caregiver* and *member* (of an organisation) by our own app; *app of owner* and *app of caregiver* are the
same two people by an app of others; *system* has client credentials. *stranger* has an account and no grant; *newcomer* has none,
and asks for ` + "`me`" + `, all others for the owner's account. Routes without ` + "`{user}`" + ` are on the caller's own account, or on none. The
staff's five have their one role each.

What the owner has given caregiver, organisation, app and system: *nothing given*; *granted* to read and write heart rate and
recordings; the same, but *expired*; the *other type* is steps (a write is let in then, and each record refused); *withdrawn*; and
*granted* *no sharing consent*, *no collection consent*. Otherwise both consents stand.

`

// Markdown is the page.
func (t Table) Markdown() string {
	var b strings.Builder
	b.WriteString(head)
	b.WriteString("| route | given | " + strings.Join(Roles, " | ") + " |\n|---|---|" + strings.Repeat("---|", len(Roles)) + "\n")
	var routes []string
	for route := range t {
		routes = append(routes, route)
	}
	slices.SortFunc(routes, func(a, b string) int {
		_, x, _ := strings.Cut(a, " ")
		_, y, _ := strings.Cut(b, " ")
		return strings.Compare(x+" "+a, y+" "+b)
	})
	for _, route := range routes {
		var lines []string // of cells, in the order of their first relation
		same := map[string][]string{}
		for _, relation := range Relations {
			var cells []string
			for _, role := range Roles {
				cells = append(cells, t[route][relation][role])
			}
			line := strings.Join(cells, " | ")
			if same[line] == nil {
				lines = append(lines, line)
			}
			same[line] = append(same[line], string(relation))
		}
		for _, line := range lines {
			given := strings.Join(same[line], ", ")
			if len(lines) == 1 {
				given = "any"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", route, given, line)
		}
	}
	return b.String()
}

// Parse reads the page's table.
func Parse(page string) (Table, error) {
	t := Table{}
	for line := range strings.Lines(page) {
		fields := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		if !strings.HasPrefix(fields[0], "`") || len(fields) == 1 {
			continue
		}
		if len(fields) != 2+len(Roles) {
			return nil, fmt.Errorf("a row of %s does not have a cell for each role", fields[0])
		}
		relations := Relations
		if fields[1] != "any" {
			relations = nil
			for _, name := range strings.Split(fields[1], ", ") {
				if !slices.Contains(Relations, Relation(name)) {
					return nil, fmt.Errorf("%s: there is no relation %q", fields[0], name)
				}
				relations = append(relations, Relation(name))
			}
		}
		for _, relation := range relations {
			for i, role := range Roles {
				t.Set(strings.Trim(fields[0], "`"), relation, role, fields[2+i])
			}
		}
	}
	return t, nil
}

// Read reads docs/matrix.md of the repository at root.
func Read(root string) (Table, error) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "matrix.md"))
	if err != nil {
		return nil, err
	}
	return Parse(string(page))
}

// Differ is each way in which a table differs from another, and from the contract.
func Differ(routes contract.Routes, made, committed Table) (wrong []string) {
	for route := range routes {
		if committed[route] == nil {
			wrong = append(wrong, route+" is in the contract, not in the table")
		}
	}
	for route, relations := range committed {
		if _, ok := routes[route]; !ok {
			wrong = append(wrong, route+" is in the table, not in the contract")
		}
		for _, relation := range Relations {
			for _, role := range Roles {
				if want, got := relations[relation][role], made[route][relation][role]; want != got && made[route] != nil {
					wrong = append(wrong, fmt.Sprintf("%s, %s, %s: %q in the table, and is %q", route, relation, role, want, got))
				}
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}
