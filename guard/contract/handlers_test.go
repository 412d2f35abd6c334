package contract_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/guard/contract"
	"fitvault/shared/edge"
)

// TestHandlersFindPlantedViolations: a handler that differs from the contract in
// any way is found.
func TestHandlersFindPlantedViolations(t *testing.T) {
	served := func(change func(r *edge.Route)) contract.Routes {
		routes := []edge.Route{
			{Method: "POST", Resource: "/a", Scope: "s/a", Types: []string{"text/x", "application/json"}, MaxBody: 10},
			{Method: "GET", Resource: "/a", Scope: "s/b", Query: []edge.Parameter{{Name: "type", Repeat: true}, {Name: "from"}}},
		}
		if change != nil {
			change(&routes[0])
		}
		return contract.OfHandlers(routes)
	}
	agreed := contract.Routes{
		"POST /a": {Scope: "s/a", Key: true, Types: []string{"application/json", "text/x"}, MaxBytes: 10},
		"GET /a":  {Scope: "s/b", Key: true, Query: []string{"from", "type…"}},
	}
	require.Empty(t, contract.DifferInDetail("contract", agreed, "handlers", served(nil)))

	const detail = "POST /a takes other bodies, limits or queries in contract than in handlers"
	for name, test := range map[string]struct {
		change func(r *edge.Route)
		want   []string
	}{
		"scope":  {func(r *edge.Route) { r.Scope = "s/b" }, []string{"POST /a has other credentials in contract than in handlers"}},
		"types":  {func(r *edge.Route) { r.Types = r.Types[1:] }, []string{detail}},
		"action": {func(r *edge.Route) { r.Action = "b" }, []string{"POST /a is decided as another action in contract than in handlers"}},
		"limit":  {func(r *edge.Route) { r.MaxBody++ }, []string{detail}},
		"query":  {func(r *edge.Route) { r.Query = []edge.Parameter{{Name: "x"}} }, []string{detail}},
		"path":   {func(r *edge.Route) { r.Resource = "/b" }, []string{"POST /a is in contract, not in handlers", "POST /b is in handlers, not in contract"}},
		"method": {func(r *edge.Route) { r.Method = "PUT" }, []string{"POST /a is in contract, not in handlers", "PUT /a is in handlers, not in contract"}},
	} {
		require.Equal(t, test.want, contract.DifferInDetail("contract", agreed, "handlers", served(test.change)), name)
	}
	repeat := contract.OfHandlers([]edge.Route{{Method: "GET", Resource: "/a", Scope: "s/b", Query: []edge.Parameter{{Name: "type"}, {Name: "from"}}}})
	require.NotEmpty(t, contract.DifferInDetail("contract", contract.Routes{"GET /a": agreed["GET /a"]}, "handlers", repeat), "a parameter that may not be repeated")
}

func TestBelonging(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o600))
	}
	_, err := contract.Belonging(root, "a")
	require.Error(t, err, "no contract")
	write("openapi.yaml", `{paths: {/a: {get: {security: [{token: [s/a], key: []}]}}, /b: {get: {}}}}`)
	_, err = contract.Belonging(root, "a")
	require.Error(t, err, "no template")
	const template = `{Resources: {A: {Type: AWS::Serverless::Function, Properties: {CodeUri: functions/a, Events: {E: {Type: Api, Properties: {Path: /PATH, Method: get}}}}}}}`
	write("template.yaml", strings.Replace(template, "PATH", "a", 1))
	routes, err := contract.Belonging(root, "a")
	require.NoError(t, err)
	require.Equal(t, contract.Routes{"GET /a": {Scope: "s/a", Key: true}}, routes)
	write("template.yaml", template)
	_, err = contract.Belonging(root, "a")
	require.EqualError(t, err, "GET /PATH is in the template, not in the contract")
}

func TestRecorded(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "events"), 0o700))
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(root, "events", name), []byte(text), 0o600))
	}
	_, err := contract.Recorded(root, "a", nil)
	require.Error(t, err, "no event")

	write("a-get.json", `{"httpMethod": "GET", "headers": {"x-api-key": "${key.app}"}}`)
	write("b-get.json", `not JSON`)
	found, err := contract.Recorded(root, "a", map[string]string{"key.app": "k"})
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, "k", found["a-get.json"].Headers["x-api-key"])

	_, err = contract.Recorded(root, "a", nil)
	require.EqualError(t, err, "a-get.json has a placeholder that is not filled")
	_, err = contract.Recorded(root, "b", nil)
	require.ErrorContains(t, err, "b-get.json")
}
