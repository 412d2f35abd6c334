package guard

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"fitvault/guard/contract"
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
	var openapi struct {
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
	require.NoError(t, yaml.Unmarshal(text, &openapi))
	var want []string
	for _, kind := range fault.Kinds() {
		want = append(want, edge.ProblemTypes+string(kind))
	}
	require.Equal(t, want, openapi.Components.Schemas.Problem.Properties.Type.Enum)
}

var problemRow = regexp.MustCompile("(?m)^\\| (\\d{3}) \\| `([^`]+)` \\| ([^|]+) \\|")

// TestEveryProblemIsOnThePage: docs/rules.md has each kind of error with its status
// and title, in the order of the one table (shared/fault/kinds.go), and no other.
func TestEveryProblemIsOnThePage(t *testing.T) {
	page, err := os.ReadFile("../docs/rules.md")
	require.NoError(t, err)
	var want, got []string
	for _, kind := range fault.Kinds() {
		want = append(want, fmt.Sprint(kind.Status(), " ", string(kind), " ", kind.Title()))
	}
	for _, m := range problemRow.FindAllStringSubmatch(string(page), -1) {
		got = append(got, strings.Join(m[1:], " "))
	}
	require.Equal(t, want, got)
}

// otherProblems returns the gateway's responses that no function would give.
func otherProblems(tpl contract.Template) (wrong []string) {
	for id, r := range tpl.Resources {
		for name, response := range object(r.Properties["GatewayResponses"]) {
			var problem struct {
				Type, Title, Instance string
				Status                int
			}
			template := fmt.Sprint(object(object(response)["ResponseTemplates"])["application/json"])
			if err := json.Unmarshal([]byte(template), &problem); err != nil {
				wrong = append(wrong, fmt.Sprintf("%s.%s is no problem", id, name))
				continue
			}
			kind := fault.Kind(strings.TrimPrefix(problem.Type, edge.ProblemTypes))
			headers := object(object(object(response)["ResponseParameters"])["Headers"])
			_, waits := headers["Retry-After"]
			if !slices.Contains(fault.Kinds(), kind) || problem.Status != kind.Status() || problem.Title != kind.Title() ||
				fmt.Sprint(object(response)["StatusCode"]) != fmt.Sprint(kind.Status()) || problem.Instance != "$context.requestId" ||
				headers["Content-Type"] != "'application/problem+json'" || waits != (kind == fault.TooMany || kind == fault.Unavailable) {
				wrong = append(wrong, fmt.Sprintf("%s.%s is not as the functions say it", id, name))
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

// TestTheGatewaysProblems: what the gateway refuses by itself looks as if a function had.
func TestTheGatewaysProblems(t *testing.T) {
	require.Empty(t, otherProblems(readTemplate(t)))
	planted, err := contract.ParseTemplate([]byte(`
Resources:
  Api:
    Properties:
      GatewayResponses:
        A: {StatusCode: 403, ResponseTemplates: {application/json: 'Forbidden'}}
        B: {StatusCode: 403, ResponseParameters: {Headers: {Content-Type: "'application/problem+json'"}},
          ResponseTemplates: {application/json: '{"type":"https://fitvault.example/problems/forbidden","title":"No","status":403,"instance":"$context.requestId"}'}}
        C: {StatusCode: 429, ResponseParameters: {Headers: {Content-Type: "'application/problem+json'"}},
          ResponseTemplates: {application/json: '{"type":"https://fitvault.example/problems/too-many-requests","title":"Too many requests","status":429,"instance":"$context.requestId"}'}}
`))
	require.NoError(t, err)
	require.Equal(t, []string{"Api.A is no problem", "Api.B is not as the functions say it", "Api.C is not as the functions say it"}, otherProblems(planted))
}

// TestProblemsAreMadeInOnePlace: an error becomes an answer in shared/edge/problem.go alone.
func TestProblemsAreMadeInOnePlace(t *testing.T) {
	var makers []string
	for _, folder := range []string{"../shared", "../functions"} {
		require.NoError(t, filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "edgetest") {
				return err
			}
			text, err := os.ReadFile(path)
			if strings.Contains(string(text), "problem+json") {
				makers = append(makers, path)
			}
			return err
		}))
	}
	require.Equal(t, []string{"../shared/edge/problem.go"}, makers)
}
