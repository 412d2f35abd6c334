package e2e

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
)

const functionsPath = "/2015-03-31/functions"

// copyOf deploys a second copy of a function with other settings, until the test
// ends, and returns its name.
func copyOf(t *testing.T, s *stack.Stack, output string, settings map[string]string) string {
	t.Helper()
	var original struct {
		Code          struct{ Location string }
		Configuration struct {
			Runtime, Role, Handler string
			Timeout, MemorySize    int
			Environment            struct{ Variables map[string]string }
		}
	}
	_, answer := request(t, s, http.MethodGet, "lambda", functionsPath+"/"+s.Output(t, output), "", nil)
	require.NoError(t, json.Unmarshal(answer, &original))
	response, err := client(s).Get(original.Code.Location)
	require.NoError(t, err)
	code, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())

	config := original.Configuration
	for name := range settings {
		require.Contains(t, config.Environment.Variables, name)
	}
	maps.Copy(config.Environment.Variables, settings)
	name := "fitvault-e2e-" + strings.ToLower(rand.Text())
	made, err := json.Marshal(map[string]any{"FunctionName": name, "Runtime": config.Runtime, "Role": config.Role, "Handler": config.Handler,
		"Timeout": config.Timeout, "MemorySize": config.MemorySize, "Environment": config.Environment, "Code": map[string][]byte{"ZipFile": code}})
	require.NoError(t, err)
	request(t, s, http.MethodPost, "lambda", functionsPath, "", made)
	t.Cleanup(func() { request(t, s, http.MethodDelete, "lambda", functionsPath+"/"+name, "", nil) })
	for range 2000 {
		var now struct{ State string }
		_, answer := request(t, s, http.MethodGet, "lambda", functionsPath+"/"+name+"/configuration", "", nil)
		require.NoError(t, json.Unmarshal(answer, &now))
		if now.State != "Pending" {
			require.Equal(t, "Active", now.State)
			return name
		}
	}
	require.Fail(t, "the copy does not become active")
	return ""
}
