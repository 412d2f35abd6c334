package guard

import (
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

var update = flag.Bool("update", false, "write generated text instead of comparing it")

// mockLine is the line of template.yaml that holds the body of GET /openapi.json.
var mockLine = regexp.MustCompile(`(?m)^      Template: .*$`)

// TestMock holds the contract that the API itself answers with against
// openapi.yaml. `make generate` writes it.
func TestMock(t *testing.T) {
	text, err := os.ReadFile("../openapi.yaml")
	require.NoError(t, err)
	var contract any
	require.NoError(t, yaml.Unmarshal(text, &contract))
	body, err := json.Marshal(contract)
	require.NoError(t, err)
	require.NotContains(t, string(body), "##", "a comment in a mapping template")
	// In a mapping template `$ref` would be a variable; `${d}ref` prints `$ref`.
	mock := `#set($d = "$")` + strings.ReplaceAll(string(body), "$", "${d}")
	want := "      Template: '" + strings.ReplaceAll(mock, "'", "''") + "'"

	template, err := os.ReadFile("../template.yaml")
	require.NoError(t, err)
	if *update {
		template = mockLine.ReplaceAllLiteral(template, []byte(want))
		require.NoError(t, os.WriteFile("../template.yaml", template, 0o644))
	}
	require.Equal(t, want, string(mockLine.Find(template)), "run `make generate`")
}
