// Package contract reads openapi.yaml and template.yaml for tests, so that each
// function can hold its handlers against both.
package contract

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"gopkg.in/yaml.v3"
)

// Route is what the contract says of one operation, or the template of one
// event, or a handler of one route.
type Route struct {
	Scope    string   // "" for public ones
	Staff    bool     // for tokens of the staff's pool; others are for people's
	Action   string   // x-action: what is decided; "" for public ones and in the template
	Key      bool     // an API key is required
	Types    []string // media types of the body, sorted
	MaxBytes int      // of the body
	Query    []string // parameters, sorted; repeatable ones with "…"
	Function string   // folder; "" in the contract and for mock integrations
}

// Routes is by "METHOD /path".
type Routes map[string]Route

// Template is template.yaml as far as tests read it. CloudFormation's short
// tags (!Ref X, !GetAtt X.Arn) come as their plain arguments.
type Template struct {
	Parameters map[string]any      `yaml:"Parameters"`
	Conditions map[string]any      `yaml:"Conditions"`
	Resources  map[string]Resource `yaml:"Resources"`
}

// Resource is one resource.
type Resource struct {
	Type       string         `yaml:"Type"`
	Condition  string         `yaml:"Condition"`
	Properties map[string]any `yaml:"Properties"`
}

// ReadTemplate reads template.yaml of the repository at root.
func ReadTemplate(root string) (Template, error) {
	text, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		return Template{}, err
	}
	return ParseTemplate(text)
}

// ParseTemplate reads a template's text.
func ParseTemplate(text []byte) (Template, error) {
	var node yaml.Node
	var tpl Template
	if err := yaml.Unmarshal(text, &node); err != nil {
		return tpl, err
	}
	untag(&node)
	err := node.Decode(&tpl)
	return tpl, err
}

func untag(n *yaml.Node) {
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		n.Tag = ""
	}
	for _, c := range n.Content {
		untag(c)
	}
}

// Functions returns the folder of each function with its logical id.
func (t Template) Functions() map[string]string {
	found := map[string]string{}
	for id, r := range t.Resources {
		if r.Type == "AWS::Serverless::Function" {
			found[strings.TrimPrefix(fmt.Sprint(r.Properties["CodeUri"]), "functions/")] = id
		}
	}
	return found
}

// Preflights returns the paths that answer a browser's question.
func (t Template) Preflights() (paths []string) {
	for _, r := range t.Resources {
		for path, methods := range table(table(r.Properties["DefinitionBody"])["paths"]) {
			if table(methods)["options"] != nil {
				paths = append(paths, path)
			}
		}
	}
	sort.Strings(paths)
	return paths
}

// Routes returns the API events of the functions and the mock integrations.
func (t Template) Routes() Routes {
	routes := Routes{}
	for folder, id := range t.Functions() {
		for _, e := range table(t.Resources[id].Properties["Events"]) {
			event := table(e)
			if event["Type"] != "Api" {
				continue
			}
			p := table(event["Properties"])
			auth := table(p["Auth"])
			scope := ""
			if auth["Authorizer"] != nil {
				scope = join(auth["AuthorizationScopes"])
			}
			routes[strings.ToUpper(fmt.Sprint(p["Method"]))+" "+fmt.Sprint(p["Path"])] =
				Route{Scope: scope, Staff: auth["Authorizer"] == "Staff", Key: auth["ApiKeyRequired"] == true, Function: folder}
		}
	}
	for _, r := range t.Resources {
		if r.Type != "AWS::Serverless::Api" {
			continue
		}
		for path, methods := range table(table(r.Properties["DefinitionBody"])["paths"]) {
			for method := range table(methods) {
				if method == "options" {
					continue // a browser's question before a request
				}
				routes[strings.ToUpper(method)+" "+path] = Route{}
			}
		}
	}
	return routes
}

// ReadContract reads the routes of openapi.yaml of the repository at root.
func ReadContract(root string) (Routes, error) {
	text, err := os.ReadFile(filepath.Join(root, "openapi.yaml"))
	if err != nil {
		return nil, err
	}
	return ParseContract(text)
}

// ParseContract reads a contract's text.
func ParseContract(text []byte) (Routes, error) {
	var doc map[string]any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	shared := table(table(doc["components"])["parameters"])
	routes := Routes{}
	for path, p := range table(doc["paths"]) {
		for method, o := range table(p) {
			if method == "parameters" {
				continue
			}
			op, r := table(o), Route{}
			r.Action, _ = op["x-action"].(string)
			for _, s := range list(op["security"]) {
				_, r.Key = table(s)["key"]
				r.Scope = join(table(s)["token"])
				if staff, ok := table(s)["staff"]; ok {
					r.Scope, r.Staff = join(staff), true
				}
			}
			body := table(op["requestBody"])
			for media := range table(body["content"]) {
				r.Types = append(r.Types, media)
			}
			sort.Strings(r.Types)
			r.MaxBytes, _ = body["x-max-bytes"].(int)
			for _, q := range list(op["parameters"]) {
				parameter := table(q)
				if ref, ok := parameter["$ref"].(string); ok {
					parameter = table(shared[ref[strings.LastIndex(ref, "/")+1:]])
				}
				if parameter["in"] != "query" {
					continue
				}
				name := fmt.Sprint(parameter["name"])
				if table(parameter["schema"])["type"] == "array" {
					name += "…"
				}
				r.Query = append(r.Query, name)
			}
			sort.Strings(r.Query)
			routes[strings.ToUpper(method)+" "+path] = r
		}
	}
	return routes, nil
}

// Of returns the routes of one function.
func (r Routes) Of(function string) Routes {
	of := Routes{}
	for name, route := range r {
		if route.Function == function {
			of[name] = route
		}
	}
	return of
}

// Differ returns each way in which two sets of routes differ in what both know:
// scopes and keys always; types, limits and queries where both have them.
func Differ(aName string, a Routes, bName string, b Routes) (wrong []string) {
	for name, x := range a {
		y, ok := b[name]
		if !ok {
			wrong = append(wrong, name+" is in "+aName+", not in "+bName)
			continue
		}
		if x.Scope != y.Scope || x.Key != y.Key || x.Staff != y.Staff {
			wrong = append(wrong, name+" has other credentials in "+aName+" than in "+bName)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			wrong = append(wrong, name+" is in "+bName+", not in "+aName)
		}
	}
	sort.Strings(wrong)
	return wrong
}

// DifferInDetail is Differ, and also compares actions, types, limits and queries.
func DifferInDetail(aName string, a Routes, bName string, b Routes) []string {
	wrong := Differ(aName, a, bName, b)
	for name, x := range a {
		y, ok := b[name]
		if ok && x.Action != y.Action {
			wrong = append(wrong, name+" is decided as another action in "+aName+" than in "+bName)
		}
		if ok && (!slices.Equal(x.Types, y.Types) || x.MaxBytes != y.MaxBytes || !slices.Equal(x.Query, y.Query)) {
			wrong = append(wrong, name+" takes other bodies, limits or queries in "+aName+" than in "+bName)
		}
	}
	sort.Strings(wrong)
	return wrong
}

func table(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

func join(v any) string {
	var parts []string
	for _, s := range list(v) {
		parts = append(parts, fmt.Sprint(s))
	}
	return strings.Join(parts, " ")
}
