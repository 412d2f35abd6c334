package guard

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/guard/contract"
)

// TestContractAndTemplate: both name the same routes, scopes and keys. Each
// function's own test holds its handlers against the contract.
func TestContractAndTemplate(t *testing.T) {
	routes, err := contract.ReadContract("..")
	require.NoError(t, err)
	require.Empty(t, contract.Differ("openapi.yaml", routes, "template.yaml", readTemplate(t).Routes()))
}

func TestContractFindsPlantedViolations(t *testing.T) {
	text, err := os.ReadFile("../openapi.yaml")
	require.NoError(t, err)
	routes := readTemplate(t).Routes()
	for planted, want := range map[string][]string{
		strings.Replace(string(text), "/users/{user}/recordings:", "/users/{user}/tracks:", 1): {
			"GET /users/{user}/recordings is in template, not in openapi", "GET /users/{user}/tracks is in openapi, not in template",
			"POST /users/{user}/recordings is in template, not in openapi", "POST /users/{user}/tracks is in openapi, not in template"},
		strings.Replace(string(text), "token: [fitvault/readings.write], key", "token: [fitvault/readings.read], key", 1): {
			"POST /users/{user}/readings has other credentials in openapi than in template"},
		strings.Replace(string(text), "token: [fitvault/readings.read], key: []", "token: [fitvault/readings.read]", 1): {
			"GET /users/{user}/readings has other credentials in openapi than in template"},
	} {
		contractRoutes, err := contract.ParseContract([]byte(planted))
		require.NoError(t, err)
		require.Equal(t, want, contract.Differ("openapi", contractRoutes, "template", routes))
	}
}

// orphans returns event files that no route or trigger of the template has.
// A file is named FUNCTION-anything.json.
func orphans(tpl contract.Template, files map[string][]byte) (wrong []string) {
	routes := tpl.Routes()
	for name, text := range files {
		function, _, _ := strings.Cut(name, "-")
		if tpl.Functions()[function] == "" {
			wrong = append(wrong, name+" is of no function")
			continue
		}
		var event struct{ HTTPMethod, Resource string }
		if err := json.Unmarshal(text, &event); err != nil {
			wrong = append(wrong, name+" is not JSON")
			continue
		}
		triggered := event.HTTPMethod == "" && len(routes.Of(function)) == 0 // by a schedule, a stream, a hand
		if route, ok := routes[event.HTTPMethod+" "+event.Resource]; !triggered && (!ok || route.Function != function) {
			wrong = append(wrong, name+" is of no route or trigger")
		}
	}
	return wrong
}

func TestEvents(t *testing.T) {
	paths, err := filepath.Glob("../events/*.json")
	require.NoError(t, err)
	files, covered := map[string][]byte{}, map[string]bool{}
	for _, p := range paths {
		text, err := os.ReadFile(p)
		require.NoError(t, err)
		files[filepath.Base(p)] = text
		var event struct{ HTTPMethod, Resource string }
		require.NoError(t, json.Unmarshal(text, &event), p)
		covered[event.HTTPMethod+" "+event.Resource] = true
	}
	tpl := readTemplate(t)
	require.Empty(t, orphans(tpl, files))
	for name, route := range tpl.Routes() {
		require.True(t, route.Function == "" || covered[name], "no event for %s", name)
	}
	require.Equal(t, []string{"planted-x.json is of no function"}, orphans(tpl, map[string][]byte{"planted-x.json": []byte("{}")}))
	require.Equal(t, []string{"ingest-x.json is of no route or trigger"}, orphans(tpl, map[string][]byte{"ingest-x.json": []byte(`{"httpMethod":"GET","resource":"/users/{user}/readings"}`)}))
}
