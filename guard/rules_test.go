package guard

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"fitvault/shared/edge"
	"fitvault/shared/fault"
)

var (
	// A rule is a constant whose name begins with Rule.
	ruleConstant = regexp.MustCompile(`(?m)^(?:const|\t)\s*Rule[A-Z]\w*\s*=\s*"([^"]+)"`)
	ruleRow      = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")
)

// distinct returns the first group of each match, once, in order.
func distinct(pattern *regexp.Regexp, text string) (names []string) {
	for _, match := range pattern.FindAllStringSubmatch(text, -1) {
		names = append(names, match[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// TestEveryRuleIsOnThePage: docs/rules.md has each rule of the code once, and no other.
func TestEveryRuleIsOnThePage(t *testing.T) {
	var code strings.Builder
	require.NoError(t, filepath.WalkDir("../shared", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		code.Write(text)
		return err
	}))
	page, err := os.ReadFile("../docs/rules.md")
	require.NoError(t, err)
	rules := distinct(ruleConstant, code.String())
	require.Greater(t, len(rules), 20)
	require.Equal(t, rules, distinct(ruleRow, string(page)))
	require.Len(t, ruleRow.FindAllString(string(page), -1), len(rules), "each once")
	require.Equal(t, []string{"a", "b"}, distinct(ruleConstant, "\tRuleB   = \"b\" // why\nconst RuleA = \"a\"\nconst Rules = \"2\"\n"), "a planted one is found")
}

// TestEveryProblemTypeIsInTheContract: openapi.yaml lists the type of each kind of error.
func TestEveryProblemTypeIsInTheContract(t *testing.T) {
	text, err := os.ReadFile("../openapi.yaml")
	require.NoError(t, err)
	var contract struct {
		Components struct {
			Schemas struct {
				Problem struct {
					Properties struct {
						Type struct {
							Enum []string `yaml:"enum"`
						} `yaml:"type"`
					} `yaml:"properties"`
				} `yaml:"Problem"`
			} `yaml:"schemas"`
		} `yaml:"components"`
	}
	require.NoError(t, yaml.Unmarshal(text, &contract))
	var want []string
	for _, kind := range fault.Kinds() {
		want = append(want, edge.ProblemTypes+string(kind))
	}
	require.Equal(t, want, contract.Components.Schemas.Problem.Properties.Type.Enum)
}
