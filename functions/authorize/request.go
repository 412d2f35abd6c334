package main

import (
	"context"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/apps"
	"fitvault/shared/edge"
	"fitvault/shared/fault"
	"fitvault/shared/openmhealth"
	"fitvault/shared/reading"
	"fitvault/shared/sharing"
)

const (
	scopeRead  = "fitvault/readings.read"
	scopeWrite = "fitvault/readings.write"

	maxState = 512
	day      = 24 * time.Hour
)

var (
	stateGrammar     = regexp.MustCompile(`^[ -~]+$`) // RFC 6749, appendix A.5; to maxState
	challengeGrammar = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
	daysGrammar      = regexp.MustCompile(`^[1-9][0-9]{0,2}$`)
)

// registry knows the apps that administrators have registered.
type registry interface {
	// Apps is the apps of these clients, by client; those that are not there are left out.
	Apps(ctx context.Context, clients []string) ([]apps.App, error)
}

// inquiry judges what an app asks for. The page believes nothing that it has not said.
type inquiry struct {
	apps   registry
	signIn string
	now    func() time.Time
}

// wanted is an app's request: its OAuth parameters (RFC 6749, 4.1.1; RFC 7636, 4.3),
// and what its owner is asked for beyond them.
type wanted struct {
	client, redirect, state, challenge string
	scopes                             []string // in the order of the request
	types                              []reading.Type
	use                                access.Use
	days                               int
}

// asked is the request as the page shows it. Where the person goes next is made here,
// of what was checked.
type asked struct {
	Client  string     `json:"client"`
	Name    string     `json:"name"`
	Host    string     `json:"host"` // where the app lives: the pool leads there after a yes, the page after a no
	Types   []kind     `json:"types"`
	Access  []string   `json:"access"`
	Purpose access.Use `json:"purpose"`
	Until   string     `json:"until"`
	Accept  string     `json:"accept"` // the pool's page that gives the app its code
	Refuse  string     `json:"refuse"` // the app's own, with access_denied
}

type kind struct {
	Type  string `json:"type"`
	Label string `json:"label"`
}

func (i inquiry) route() edge.Inquiry {
	return edge.Inquiry{Resource: resource + "/request", Answer: func(ctx context.Context, query map[string][]string) (any, error) {
		return i.judge(ctx, query)
	}}
}

func (i inquiry) judge(ctx context.Context, query map[string][]string) (*asked, error) {
	w, err := parse(query)
	if err != nil {
		return nil, err
	}
	found, err := i.apps.Apps(ctx, []string{w.client})
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, "apps were not read", err)
	}
	// One answer for all: a redirect address that is not the app's is nobody's, and
	// nobody is ever sent there.
	if len(found) != 1 || found[0].Client != w.client || found[0].Kind != access.ThirdPartyApp || found[0].State != access.Active ||
		!apps.ValidRedirectURI(w.redirect) || !slices.Contains(found[0].RedirectURIs, w.redirect) {
		return nil, fault.New(fault.NotFound, "no such app at this address")
	}
	for _, s := range w.scopes {
		if !slices.Contains(found[0].Scopes, s) {
			return nil, wrong("scope", "within-registration")
		}
	}
	return i.shown(w, found[0]), nil
}

func (i inquiry) shown(w wanted, app apps.App) *asked {
	out := &asked{Client: w.client, Name: app.Name, Purpose: w.use, Until: i.now().Add(time.Duration(w.days) * day).UTC().Format(time.RFC3339)}
	if out.Name == "" {
		out.Name = w.client
	}
	if u, err := url.Parse(w.redirect); err == nil { // it has the grammar of a registered one
		out.Host = u.Host
	}
	for _, t := range w.types {
		out.Types = append(out.Types, kind{t.String(), label(t)})
	}
	if slices.Contains(w.scopes, scopeRead) {
		out.Access = append(out.Access, "read")
	}
	if slices.Contains(w.scopes, scopeWrite) {
		out.Access = append(out.Access, "write")
	}
	out.Accept = i.signIn + "/oauth2/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {w.client}, "redirect_uri": {w.redirect}, "scope": {strings.Join(w.scopes, " ")},
		"state": {w.state}, "code_challenge": {w.challenge}, "code_challenge_method": {"S256"}}.Encode()
	out.Refuse = w.redirect + "?" + url.Values{"error": {"access_denied"}, "state": {w.state}}.Encode()
	return out
}

// label is a type in words. The namespace tells apart what two standards name alike.
func label(t reading.Type) string {
	if t == access.Recording {
		return "recordings of activities, with the places where they were"
	}
	namespace, name, _ := strings.Cut(t.String(), ":")
	return strings.ReplaceAll(name, "-", " ") + " (" + namespace + ")"
}

// parse reads the query. A parameter that is not known is passed over (RFC 6749, 3.1)
// and not passed on.
func parse(query map[string][]string) (w wanted, err error) {
	value := map[string]string{}
	for _, name := range []string{"client_id", "redirect_uri", "response_type", "scope", "state", "code_challenge", "code_challenge_method", "types", "purpose", "days"} {
		switch given := query[name]; {
		case len(given) == 0 || given[0] == "":
			return wanted{}, wrong(name, "required")
		case len(given) > 1:
			return wanted{}, wrong(name, "unique")
		default:
			value[name] = given[0]
		}
	}
	w = wanted{client: value["client_id"], redirect: value["redirect_uri"], state: value["state"], challenge: value["code_challenge"], use: access.Use(value["purpose"])}
	switch {
	case !access.ValidClient(w.client):
		return wanted{}, wrong("client_id", "pattern")
	case value["response_type"] != "code":
		return wanted{}, wrong("response_type", "enum")
	case len(w.state) > maxState || !stateGrammar.MatchString(w.state):
		return wanted{}, wrong("state", "pattern")
	case value["code_challenge_method"] != "S256":
		return wanted{}, wrong("code_challenge_method", "enum")
	case !challengeGrammar.MatchString(w.challenge):
		return wanted{}, wrong("code_challenge", "pattern")
	case !slices.Contains(access.Uses, w.use):
		return wanted{}, wrong("purpose", "enum")
	}
	if w.scopes, err = list(value["scope"], "scope", len(apps.Scopes)); err != nil {
		return wanted{}, err
	}
	if !slices.Contains(w.scopes, scopeRead) && !slices.Contains(w.scopes, scopeWrite) {
		return wanted{}, wrong("scope", "required") // what is left asks for nothing of a person
	}
	names, err := list(value["types"], "types", access.MaxTypes)
	if err != nil {
		return wanted{}, err
	}
	for _, name := range names {
		t, err := reading.ParseType(name)
		if err != nil || !known(t) {
			return wanted{}, wrong("types", "known-type")
		}
		w.types = append(w.types, t)
	}
	slices.SortFunc(w.types, access.CompareTypes)
	if daysGrammar.MatchString(value["days"]) {
		w.days, _ = strconv.Atoi(value["days"]) // three digits
	}
	if w.days < 1 || time.Duration(w.days)*day > sharing.MaxPermit {
		return wanted{}, wrong("days", "within-366-days")
	}
	return w, nil
}

// list reads names with a space between, each once (RFC 6749, 3.3).
func list(text, parameter string, most int) ([]string, error) {
	if strings.Count(text, " ") >= most {
		return nil, wrong(parameter, "count")
	}
	names := strings.Split(text, " ")
	if len(slices.Compact(slices.Sorted(slices.Values(names)))) != len(names) {
		return nil, wrong(parameter, "unique")
	}
	return names, nil
}

func known(t reading.Type) bool {
	return t == access.Recording || slices.ContainsFunc(openmhealth.Served, func(s openmhealth.Schema) bool { return s.Type == t })
}

func wrong(parameter, rule string) error {
	return &fault.Error{Kind: fault.Invalid, Text: "a parameter against its rule", Items: []fault.Item{{Pointer: "/" + parameter, Rule: rule}}}
}
