package contract

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"fitvault/shared/edge"
)

// OfHandlers is what handlers serve, as the contract would say it. Every route
// behind the edge needs an API key.
func OfHandlers(handlers []edge.Route) Routes {
	routes := Routes{}
	for _, h := range handlers {
		r := Route{Scope: h.Scope, Staff: h.Staff, Action: string(h.Action), Key: true, Types: slices.Sorted(slices.Values(h.Types)), MaxBytes: h.MaxBody}
		for _, q := range h.Query {
			name := q.Name
			if q.Repeat {
				name += "…"
			}
			r.Query = append(r.Query, name)
		}
		slices.Sort(r.Query)
		routes[h.Method+" "+h.Resource] = r
	}
	return routes
}

// Belonging returns the routes of the contract that the template gives to a
// function: those which its handlers must serve, and no others.
func Belonging(root, function string) (Routes, error) {
	all, err := ReadContract(root)
	if err != nil {
		return nil, err
	}
	tpl, err := ReadTemplate(root)
	if err != nil {
		return nil, err
	}
	routes := Routes{}
	for name := range tpl.Routes().Of(function) {
		r, ok := all[name]
		if !ok {
			return nil, fmt.Errorf("%s is in the template, not in the contract", name)
		}
		routes[name] = r
	}
	return routes, nil
}

// Recorded returns the events of a function in the folder events, by file name,
// with the placeholders ${token.USER}, ${key.CLIENT} and ${user.USER} filled in.
func Recorded(root, function string, fill map[string]string) (map[string]events.APIGatewayProxyRequest, error) {
	files, err := filepath.Glob(filepath.Join(root, "events", function+"-*.json"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("there is no event of %s", function)
	}
	var places []string
	for place, value := range fill {
		places = append(places, "${"+place+"}", value)
	}
	recorded := map[string]events.APIGatewayProxyRequest{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		filled := strings.NewReplacer(places...).Replace(string(text))
		if strings.Contains(filled, "${") {
			return nil, fmt.Errorf("%s has a placeholder that is not filled", filepath.Base(file))
		}
		var event events.APIGatewayProxyRequest
		if err := json.Unmarshal([]byte(filled), &event); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
		recorded[filepath.Base(file)] = event
	}
	return recorded, nil
}
