package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/guard/contract"
	"fitvault/shared/access"
	"fitvault/shared/apps"
	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
)

const (
	partner  = "7partnerclient"
	callback = "https://partner.example/callback"
	signIn   = "https://pool.example"
)

// registered is a registry of some apps, or one that fails.
type registered struct {
	apps []apps.App
	err  error
}

func (r registered) Apps(_ context.Context, clients []string) (found []apps.App, err error) {
	for _, a := range r.apps {
		if len(clients) == 1 && a.Client == clients[0] {
			found = append(found, a)
		}
	}
	return found, r.err
}

func app() apps.App {
	return apps.App{Client: partner, Name: "Partner & Co", Kind: access.ThirdPartyApp, State: access.Active,
		Scopes: []string{"fitvault/firmware.read", scopeRead}, RedirectURIs: []string{"https://other.example/", callback}}
}

type world struct {
	*edgetest.World
	registry *registered
	public   edge.Public
}

func newWorld(t testing.TB) world {
	w := world{World: edgetest.New(t), registry: &registered{apps: []apps.App{app()}}}
	served, err := page{Client: "pageclient", Key: "page-key", SignIn: signIn}.documents()
	require.NoError(t, err)
	config := w.Config("authorize")
	i := inquiry{apps: w.registry, signIn: signIn, now: w.Now}
	w.public = edge.Public{Function: "authorize", Documents: served, Inquiries: []edge.Inquiry{i.route()}, Log: config.Log, Now: w.Now, Rand: config.Rand}
	return w
}

// recorded is the recorded request of an app.
func recorded(t testing.TB) events.APIGatewayProxyRequest {
	all, err := contract.Recorded("../..", "authorize", nil)
	require.NoError(t, err)
	return all["authorize-get-request.json"]
}

func (w world) judge(t *testing.T, e events.APIGatewayProxyRequest) events.APIGatewayProxyResponse {
	answer, err := w.public.Handle(t.Context(), e)
	require.NoError(t, err)
	for name, values := range e.MultiValueQueryStringParameters {
		for _, value := range values {
			require.False(t, len(value) > 6 && strings.Contains(w.Log.String(), value), "%s in the log", name)
		}
	}
	return answer
}

func TestRoutes(t *testing.T) {
	want, err := contract.Belonging("../..", "authorize")
	require.NoError(t, err)
	got := contract.Routes{}
	for _, d := range newWorld(t).public.Documents {
		got["GET "+d.Resource] = contract.Route{} // no credentials
	}
	got["GET /authorize/request"] = contract.Route{Query: want["GET /authorize/request"].Query}
	require.Equal(t, want, got)

	var all []string
	for name := range recorded(t).QueryStringParameters {
		all = append(all, name)
	}
	require.ElementsMatch(t, want["GET /authorize/request"].Query, all)
}

func TestRecordedEvents(t *testing.T) {
	w := newWorld(t)
	all, err := contract.Recorded("../..", "authorize", nil)
	require.NoError(t, err)
	require.Len(t, all, 4)
	for name, e := range all {
		require.Equal(t, 200, w.judge(t, e).StatusCode, name)
	}
}

func TestWhatIsAsked(t *testing.T) {
	w := newWorld(t)
	e := recorded(t)
	e.MultiValueQueryStringParameters["types"] = []string{"omh:step-count fitvault:recording omh:heart-rate"}
	e.MultiValueQueryStringParameters["state"] = []string{`a "state" & more=#`}
	e.MultiValueQueryStringParameters["nonce"] = []string{"not known, not passed on"}
	answer := w.judge(t, e)
	var got asked
	require.NoError(t, json.Unmarshal([]byte(answer.Body), &got))
	accept, err := url.Parse(got.Accept)
	require.NoError(t, err)
	require.Equal(t, url.Values{"response_type": {"code"}, "client_id": {partner}, "redirect_uri": {callback}, "scope": {scopeRead}, "state": {`a "state" & more=#`},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"}}, accept.Query())
	require.True(t, strings.HasPrefix(got.Accept, signIn+"/oauth2/authorize?"))
	refuse, err := url.Parse(got.Refuse)
	require.NoError(t, err)
	require.Equal(t, url.Values{"error": {"access_denied"}, "state": {`a "state" & more=#`}}, refuse.Query())
	require.True(t, strings.HasPrefix(got.Refuse, callback+"?"))
	got.Accept, got.Refuse = "", ""
	require.Equal(t, asked{Client: partner, Name: "Partner & Co", Host: "partner.example", Access: []string{"read"}, Purpose: access.Training,
		Until: w.Time.Add(90 * day).UTC().Format(time.RFC3339),
		Types: []kind{{"fitvault:recording", "recordings of activities, with the places where they were"},
			{"omh:heart-rate", "heart rate (omh)"}, {"omh:step-count", "step count (omh)"}}}, got)

	t.Run("an app without a name is its id", func(t *testing.T) {
		w.registry.apps[0].Name = ""
		require.NoError(t, json.Unmarshal([]byte(w.judge(t, recorded(t)).Body), &got))
		require.Equal(t, partner, got.Name)
	})
	t.Run("to read and to write", func(t *testing.T) {
		w.registry.apps[0].Scopes = apps.Scopes
		e := recorded(t)
		e.MultiValueQueryStringParameters["scope"] = []string{"fitvault/readings.write fitvault/firmware.read fitvault/readings.read"}
		require.NoError(t, json.Unmarshal([]byte(w.judge(t, e).Body), &got))
		require.Equal(t, []string{"read", "write"}, got.Access)
	})
}

// TestUnknownApps: whatever is wrong with the app or its address, the answer is the same.
func TestUnknownApps(t *testing.T) {
	for name, change := range map[string]func(a *apps.App, query map[string][]string){
		"not there":   func(a *apps.App, _ map[string][]string) { a.Client = "another" },
		"off":         func(a *apps.App, _ map[string][]string) { a.State = access.Off },
		"ours":        func(a *apps.App, _ map[string][]string) { a.Kind = access.OwnApp },
		"the staff's": func(a *apps.App, _ map[string][]string) { a.Kind = access.StaffApp },
		"a system":    func(a *apps.App, _ map[string][]string) { a.Kind = access.SystemApp },
		"at another address": func(_ *apps.App, q map[string][]string) {
			q["redirect_uri"] = []string{"https://evil.example/callback"}
		},
		"an address with more": func(_ *apps.App, q map[string][]string) { q["redirect_uri"] = []string{callback + "/"} },
		"an address in capitals": func(_ *apps.App, q map[string][]string) {
			q["redirect_uri"] = []string{"https://PARTNER.example/callback"}
		},
		"without addresses": func(a *apps.App, _ map[string][]string) { a.RedirectURIs = nil },
		"a script in the registry": func(a *apps.App, q map[string][]string) {
			a.RedirectURIs = []string{"javascript:alert(1)"}
			q["redirect_uri"] = a.RedirectURIs
		},
		"a fragment in the registry": func(a *apps.App, q map[string][]string) {
			a.RedirectURIs = []string{callback + "#x"}
			q["redirect_uri"] = a.RedirectURIs
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, e := newWorld(t), recorded(t)
			change(&w.registry.apps[0], e.MultiValueQueryStringParameters)
			edgetest.RequireProblem(t, w.judge(t, e), fault.NotFound)
		})
	}
	t.Run("while apps cannot be read", func(t *testing.T) {
		w := newWorld(t)
		w.registry.err = errors.New("no answer")
		edgetest.RequireProblem(t, w.judge(t, recorded(t)), fault.Unavailable)
	})
}

func TestRefusals(t *testing.T) {
	long := strings.Repeat("a", maxState+1)
	for _, test := range []struct{ parameter, value, rule string }{
		{"client_id", "<script>", "pattern"}, {"client_id", strings.Repeat("a", 500), "pattern"},
		{"response_type", "token", "enum"}, {"response_type", "code id_token", "enum"},
		{"state", long, "pattern"}, {"state", "a\r\nb", "pattern"}, {"state", "ä", "pattern"},
		{"code_challenge_method", "plain", "enum"}, {"code_challenge", "short", "pattern"}, {"code_challenge", strings.Repeat("=", 43), "pattern"},
		{"purpose", "profit", "enum"},
		{"scope", "fitvault/readings.write fitvault/readings.read", "within-registration"}, {"scope", "fitvault/sharing.manage fitvault/readings.read", "within-registration"},
		{"scope", "openid fitvault/readings.read", "within-registration"}, {"scope", "fitvault/readings.read ", "within-registration"},
		{"scope", "fitvault/firmware.read", "required"}, {"scope", "fitvault/readings.read fitvault/readings.read", "unique"}, {"scope", "a b c d", "count"},
		{"types", "omh:nothing", "known-type"}, {"types", "heart-rate", "known-type"}, {"types", "fitvault:trackpoint", "known-type"},
		{"types", "omh:step-count  omh:heart-rate", "known-type"}, {"types", "omh:step-count omh:step-count", "unique"},
		{"types", strings.TrimSpace(strings.Repeat("omh:step-count ", access.MaxTypes+1)), "count"},
		{"days", "0", "within-366-days"}, {"days", "367", "within-366-days"}, {"days", "-1", "within-366-days"}, {"days", "1e2", "within-366-days"},
		{"days", "01", "within-366-days"}, {"days", "99999999999999999999", "within-366-days"},
	} {
		t.Run(test.parameter+" "+test.rule, func(t *testing.T) {
			w, e := newWorld(t), recorded(t)
			e.MultiValueQueryStringParameters[test.parameter] = []string{test.value}
			require.Equal(t, []fault.Item{{Pointer: "/" + test.parameter, Rule: test.rule}}, edgetest.RequireProblem(t, w.judge(t, e), fault.Invalid))
		})
	}
	for parameter := range recorded(t).MultiValueQueryStringParameters {
		for rule, values := range map[string][]string{"required": nil, "unique": {"a", "a"}} {
			t.Run(parameter+" "+rule, func(t *testing.T) {
				w, e := newWorld(t), recorded(t)
				if rule == "unique" {
					first := e.MultiValueQueryStringParameters[parameter][0]
					values = []string{first, first}
				}
				e.MultiValueQueryStringParameters[parameter] = values
				require.Equal(t, []fault.Item{{Pointer: "/" + parameter, Rule: rule}}, edgetest.RequireProblem(t, w.judge(t, e), fault.Invalid))
			})
		}
	}
}

// FuzzParse: no query takes the function down, and what is taken is bounded and stays
// what it was in the addresses that are made of it.
func FuzzParse(f *testing.F) {
	event := recorded(f)
	seed := url.Values(event.MultiValueQueryStringParameters)
	f.Add(seed.Encode())
	f.Add(strings.Replace(seed.Encode(), "state=a-state", "state=%23%26%3D%22", 1))
	f.Add("client_id=a&client_id=b")
	f.Add("scope=+&types=%20%20&days=00")
	i := inquiry{signIn: signIn, now: time.Now}
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		w, err := parse(values)
		if err != nil {
			require.Equal(t, fault.Invalid, fault.KindOf(err))
			return
		}
		require.True(t, access.ValidClient(w.client) && len(w.state) <= maxState && w.days >= 1 && w.days <= 366)
		require.NotEmpty(t, w.types)
		w.redirect = callback // no other comes so far
		said := i.shown(w, app())
		accept, err := url.Parse(said.Accept)
		require.NoError(t, err)
		refuse, err := url.Parse(said.Refuse)
		require.NoError(t, err)
		require.Equal(t, []string{"pool.example", "partner.example", w.state, w.state}, []string{accept.Host, refuse.Host, accept.Query().Get("state"), refuse.Query().Get("state")})
		require.Equal(t, w.client, accept.Query().Get("client_id"))
	})
}
