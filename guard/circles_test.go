package guard

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/guard/contract"
)

var substitution = regexp.MustCompile(`\$\{([A-Za-z0-9]+)`)

// circles returns each function behind the API that needs something which needs the
// API: SAM's API needs its functions, so CloudFormation could make neither first.
func circles(tpl contract.Template) (wrong []string) {
	for id, r := range tpl.Resources {
		if r.Type != "AWS::Serverless::Function" {
			continue
		}
		seen := map[string]bool{}
		for todo := references(tpl, r.Properties); len(todo) > 0; todo = todo[1:] {
			if seen[todo[0]] {
				continue
			}
			seen[todo[0]] = true
			todo = append(todo, references(tpl, tpl.Resources[todo[0]].Properties)...)
		}
		for other := range seen {
			if tpl.Resources[other].Type == "AWS::Serverless::Api" {
				wrong = append(wrong, id+" needs the API that needs it")
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

// references is the resources that a value names. Events say which API calls the
// function, and are not what it needs.
func references(tpl contract.Template, v any) (names []string) {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if name != "Events" {
				names = append(names, references(tpl, member)...)
			}
		}
	case []any:
		for _, member := range v {
			names = append(names, references(tpl, member)...)
		}
	case string:
		name, _, _ := strings.Cut(v, ".") // !Ref X and !GetAtt X.Arn come as their arguments
		found := []string{name}
		for _, match := range substitution.FindAllStringSubmatch(v, -1) {
			found = append(found, match[1])
		}
		for _, name := range found {
			if _, there := tpl.Resources[name]; there {
				names = append(names, name)
			}
		}
	}
	return names
}

func TestNothingGoesRoundInACircle(t *testing.T) {
	require.Empty(t, circles(readTemplate(t)))
	planted, err := contract.ParseTemplate([]byte(`
Resources:
  Api: {Type: AWS::Serverless::Api}
  Plan: {Type: AWS::ApiGateway::UsagePlan, Properties: {ApiStages: [{ApiId: !Ref Api, Stage: v1}]}}
  Role: {Type: AWS::IAM::Role, Properties: {Resource: !Sub 'arn:${AWS::Region}:${Plan}/keys'}}
  A: {Type: AWS::Serverless::Function, Properties: {Role: !GetAtt Role.Arn, Events: {E: {RestApiId: !Ref Api}}}}
  B: {Type: AWS::Serverless::Function, Properties: {Environment: {Variables: {PLAN: !Ref Plan}}}}
  C: {Type: AWS::Serverless::Function, Properties: {Events: {E: {RestApiId: !Ref Api}}}}
`))
	require.NoError(t, err)
	require.Equal(t, []string{"A needs the API that needs it", "B needs the API that needs it"}, circles(planted))
}
