package oauth

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"fitvault/e2e/browser"
	"fitvault/e2e/stack"
)

// name is an app's, of characters that would be markup in a page that was made of text.
const name = `<img src=x onerror="alert(1)"> & 'Co'`

// partner is an app of others, as its own program knows it.
type partner struct {
	*oauth2.Config
	key             string
	state, verifier string
	administrator   *stack.Person
}

// register has an administrator register an app that may read.
func (w world) register(t *testing.T) *partner {
	p := &partner{state: rand.Text(), verifier: oauth2.GenerateVerifier(), administrator: w.Caller(w.Forged(t, "--user", "sam"), w.known.Clients["staff"].APIKey)}
	body, err := json.Marshal(map[string]any{"name": name, "kind": "third-party", "plan": "partner", "scopes": []string{"fitvault/readings.read"},
		"redirect_uris": []string{"https://partner.example/callback"}})
	require.NoError(t, err)
	answer := p.administrator.Do(t, http.MethodPost, "/apps", body, "Content-Type", "application/json", "Idempotency-Key", rand.Text())
	require.Equal(t, http.StatusCreated, answer.Status)
	var made struct {
		Client string
		APIKey string `json:"api_key"`
	}
	answer.JSON(t, &made)
	p.key = made.APIKey
	p.Config = &oauth2.Config{ClientID: made.Client, RedirectURL: "https://partner.example/callback", Scopes: []string{"fitvault/readings.read"},
		Endpoint: oauth2.Endpoint{AuthURL: w.API + "/authorize", TokenURL: w.endpoint().TokenURL}}
	return p
}

// address is where the app sends its person; change replaces parameters, or takes them away.
func (p *partner) address(t *testing.T, change map[string]string) string {
	u, err := url.Parse(p.AuthCodeURL(p.state, oauth2.S256ChallengeOption(p.verifier), oauth2.SetAuthURLParam("types", "omh:heart-rate omh:step-count fitvault:recording"),
		oauth2.SetAuthURLParam("purpose", "training"), oauth2.SetAuthURLParam("days", "90")))
	require.NoError(t, err)
	query := u.Query()
	for parameter, value := range change {
		query.Set(parameter, value)
	}
	u.RawQuery = query.Encode()
	return u.String()
}

func (p *partner) turn(t *testing.T, state string) {
	answer := p.administrator.Do(t, http.MethodPatch, "/apps/"+p.ClientID, []byte(`{"state": "`+state+`"}`), "Content-Type", "application/json")
	require.Equal(t, http.StatusOK, answer.Status)
}

// owner is a person of the pool who has agreed to collection and, or not, to sharing.
func (w world) owner(t *testing.T, user string, shares bool) *stack.Person {
	p := w.Caller(w.Token(t, user, "app"), w.known.Clients["app"].APIKey)
	w.consent(t, p, "collection", true)
	w.consent(t, p, "sharing", shares)
	return p
}

func (w world) consent(t *testing.T, p *stack.Person, purpose string, given bool) {
	body, err := json.Marshal(map[string]any{"version": "1", "given": given})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, p.Do(t, http.MethodPut, "/users/me/consents/"+purpose, body, "Content-Type", "application/json").Status)
}

// decide brings a tab to the question: from the app over the page and the sign-in back to it.
func (w world) decide(t *testing.T, tab *browser.Tab, p *partner, user string) {
	tab.Open(p.address(t, nil))
	require.True(t, strings.HasPrefix(tab.Next, w.Endpoints.Cognito+"/oauth2/authorize?"), "the page leads to the sign-in: %s", tab.Text("message"))
	tab.Open(w.arrive(t, tab.Next, user).String())
	require.False(t, tab.Hidden("question"), tab.Text("message"))
}

// authorised is what an owner lets an app do; 404 where he does not.
func authorised(t *testing.T, owner *stack.Person, client string) (found struct {
	Types, Access []string
	Purpose       string
	Until         time.Time
}) {
	answer := owner.Do(t, http.MethodGet, "/users/me/apps/"+client, nil)
	require.Equal(t, http.StatusOK, answer.Status)
	answer.JSON(t, &struct{ Authorisation any }{&found})
	return found
}

// TestConsentPage: an app sends its person to the page, as any OAuth client would, and
// after a yes has a code of the pool whose token opens what was left of its wishes.
func TestConsentPage(t *testing.T) {
	w := open(t)
	began := time.Now()
	ctx := w.context(t)
	p, ada := w.register(t), w.owner(t, "ada", true)
	defer ada.Do(t, http.MethodDelete, "/users/me/apps/"+p.ClientID, nil)

	straight := *p.Config
	straight.Endpoint = w.endpoint()
	exchange := func(back url.Values) *http.Client {
		require.Equal(t, p.state, back.Get("state"))
		token, err := straight.Exchange(ctx, back.Get("code"), oauth2.VerifierOption(p.verifier))
		require.NoError(t, err)
		return straight.Client(ctx, token)
	}
	steps, heart := "/users/me/readings?type=omh:step-count", "/users/me/readings?type=omh:heart-rate"
	past := exchange(w.signIn(t, straight.AuthCodeURL(p.state, oauth2.S256ChallengeOption(p.verifier)), "ada"))
	require.Equal(t, http.StatusForbidden, w.get(t, past, p.key, heart), "a token alone opens nothing")

	tab := browser.New(t, w.Client())
	w.decide(t, tab, p, "ada")
	require.Equal(t, w.API+"/authorize", tab.Address, "neither code nor request stay in the address")
	require.Equal(t, []string{name, p.ClientID, "partner.example", "read", "training", w.Users["ada"].Name},
		[]string{tab.Text("name"), tab.Text("client"), tab.Text("host"), tab.Text("access"), tab.Text("purpose"), tab.Text("who")})
	require.Equal(t, []string{"fitvault:recording", "omh:heart-rate", "omh:step-count"}, tab.Boxes("types"))
	require.Equal(t, "map["+w.API[:strings.Index(w.API, "/_aws")]+":map[]]", tab.Stored(), "no token, and nothing of the request any more")
	require.Empty(t, authorised(t, ada, p.ClientID).Types, "to be asked is not to have said yes")

	for _, of := range []string{"omh:step-count", "fitvault:recording"} {
		tab.Tick("types", of)
	}
	tab.Click("yes")
	given := authorised(t, ada, p.ClientID)
	require.Equal(t, []any{[]string{"omh:heart-rate"}, []string{"read"}, "training"}, []any{given.Types, given.Access, given.Purpose})
	require.WithinDuration(t, time.Now().Add(90*24*time.Hour), given.Until, 10*time.Minute)

	reader := exchange(w.signIn(t, tab.Next, "ada"))
	require.Equal(t, http.StatusOK, w.get(t, reader, p.key, heart))
	require.Equal(t, http.StatusForbidden, w.get(t, reader, p.key, steps), "what she took away")

	for place, text := range w.Everything(t, began, nil) {
		if strings.HasPrefix(place, "log group") || strings.HasPrefix(place, "file") {
			for _, canary := range []string{p.state, p.verifier, "partner.example"} {
				require.False(t, bytes.Contains(text, []byte(canary)), place)
			}
		}
	}
}

func TestConsentPageNo(t *testing.T) {
	w := open(t)
	p, ben := w.register(t), w.owner(t, "ben", true)
	tab := browser.New(t, w.Client())
	w.decide(t, tab, p, "ben")
	tab.Click("no")
	require.Equal(t, "https://partner.example/callback?error=access_denied&state="+p.state, tab.Next)
	require.Empty(t, authorised(t, ben, p.ClientID).Types)
	require.Len(t, tab.Fetched, 1, "only the code was exchanged")

	t.Run("nor by who does not share", func(t *testing.T) {
		w.owner(t, "ben", false)
		defer w.owner(t, "ben", true)
		tab := browser.New(t, w.Client())
		w.decide(t, tab, p, "ben")
		tab.Click("yes")
		require.Empty(t, tab.Next)
		require.Contains(t, tab.Text("message"), "First agree")
	})
	require.Empty(t, authorised(t, ben, p.ClientID).Types)
}

// TestConsentPageLeadsNowhere: whatever is wrong with a request, nobody is sent anywhere.
func TestConsentPageLeadsNowhere(t *testing.T) {
	w := open(t)
	p := w.register(t)
	refused := func(t *testing.T, says string, change map[string]string) {
		tab := browser.New(t, w.Client())
		tab.Open(p.address(t, change))
		require.Empty(t, tab.Next)
		require.Contains(t, tab.Text("message"), says)
		require.True(t, tab.Hidden("question"))
		require.Equal(t, "map[]", tab.Stored())
	}
	const unknown, wrong = "not known", "has not asked as it should"
	for name, test := range map[string]struct {
		says   string
		change map[string]string
	}{
		"an address of another":       {unknown, map[string]string{"redirect_uri": "https://evil.example/callback"}},
		"an address below its own":    {unknown, map[string]string{"redirect_uri": "https://partner.example/callback/x"}},
		"its address with a query":    {unknown, map[string]string{"redirect_uri": "https://partner.example/callback?x=y"}},
		"a script as an address":      {unknown, map[string]string{"redirect_uri": "javascript:alert(1)"}},
		"a client that is not there":  {unknown, map[string]string{"client_id": "nobody"}},
		"our own app":                 {unknown, map[string]string{"client_id": w.known.Clients["app"].ID, "redirect_uri": w.known.Clients["app"].Callback}},
		"the page itself":             {unknown, map[string]string{"client_id": w.known.Clients["consent"].ID, "redirect_uri": w.known.Clients["consent"].Callback}},
		"a system":                    {unknown, map[string]string{"client_id": w.known.Clients["system"].ID}},
		"more than it is registered":  {wrong, map[string]string{"scope": "fitvault/readings.read fitvault/readings.write"}},
		"a scope of ours":             {wrong, map[string]string{"scope": "fitvault/sharing.manage"}},
		"a type that there is not":    {wrong, map[string]string{"types": "omh:nothing"}},
		"no verifier":                 {wrong, map[string]string{"code_challenge": ""}},
		"a verifier as it is":         {wrong, map[string]string{"code_challenge_method": "plain"}},
		"a token instead of a code":   {wrong, map[string]string{"response_type": "token"}},
		"markup as a state's client":  {wrong, map[string]string{"client_id": "<script>alert(1)</script>"}},
		"longer than may be":          {wrong, map[string]string{"days": "367"}},
		"another purpose than are":    {wrong, map[string]string{"purpose": "profit"}},
		"a state with a line's end":   {wrong, map[string]string{"state": "a\r\nLocation: https://evil.example"}},
		"nothing of what it asks for": {wrong, map[string]string{"types": ""}},
	} {
		t.Run(name, func(t *testing.T) { refused(t, test.says, test.change) })
	}
	t.Run("an app that is switched off", func(t *testing.T) {
		p.turn(t, "off")
		refused(t, unknown, nil)
		p.turn(t, "active")
	})
}

// TestConsentPageTakesOnlyItsOwnSignIn: a code or a state of somebody else does nothing.
func TestConsentPageTakesOnlyItsOwnSignIn(t *testing.T) {
	w := open(t)
	p := w.register(t)
	begin := func() *browser.Tab {
		tab := browser.New(t, w.Client())
		tab.Open(p.address(t, nil))
		return tab
	}
	nothing := func(t *testing.T, tab *browser.Tab, address string, fetches int) {
		tab.Open(address)
		require.Contains(t, tab.Text("message"), "did not belong")
		require.True(t, tab.Hidden("question"))
		require.Empty(t, tab.Next)
		require.Len(t, tab.Fetched, fetches)
	}
	victim, attacker := begin(), begin()
	his := w.arrive(t, attacker.Next, "ben") // he signs in as himself, and stops here
	hers, err := url.Parse(victim.Next)
	require.NoError(t, err)

	t.Run("a sign-in of another tab", func(t *testing.T) { nothing(t, begin(), his.String(), 0) })
	t.Run("in a tab that has begun none", func(t *testing.T) { nothing(t, browser.New(t, w.Client()), his.String(), 0) })
	t.Run("his code with her state", func(t *testing.T) {
		query := url.Values{"code": his.Query()["code"], "state": hers.Query()["state"]}
		nothing(t, victim, w.API+"/authorize?"+query.Encode(), 1) // the pool refuses it without his verifier
	})
	t.Run("a second time", func(t *testing.T) {
		tab := begin()
		back := w.arrive(t, tab.Next, "ada").String()
		tab.Open(back)
		require.False(t, tab.Hidden("question"))
		nothing(t, tab, back, 0)
	})
	t.Run("a refusal of the pool", func(t *testing.T) {
		tab := begin()
		next, err := url.Parse(tab.Next)
		require.NoError(t, err)
		query := url.Values{"error": {"access_denied"}, "state": next.Query()["state"]}
		nothing(t, tab, w.API+"/authorize?"+query.Encode(), 0)
	})
}

// TestConsentPageIsClosed: no frame, no script but its own, nothing kept; and what its
// own client may do is to share.
func TestConsentPageIsClosed(t *testing.T) {
	w := open(t)
	tab := browser.New(t, w.Client())
	tab.Open(w.API + "/authorize")
	require.Contains(t, tab.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
	require.NotContains(t, tab.Header.Get("Content-Security-Policy"), "unsafe")
	require.Equal(t, []string{"DENY", "no-referrer", "no-store", "nosniff"}, []string{tab.Header.Get("X-Frame-Options"), tab.Header.Get("Referrer-Policy"),
		tab.Header.Get("Cache-Control"), tab.Header.Get("X-Content-Type-Options")})

	page := w.known.Clients["consent"]
	ben := w.Caller(w.Token(t, "ben", "consent"), page.APIKey)
	require.Equal(t, http.StatusUnauthorized, ben.Do(t, http.MethodGet, "/users/me/readings", nil).Status)
	require.NotEqual(t, http.StatusUnauthorized, ben.Do(t, http.MethodGet, "/users/me/apps", nil).Status)
	require.Equal(t, http.StatusForbidden, w.Caller(w.Token(t, "ben", "app"), page.APIKey).Do(t, http.MethodGet, "/users/me/apps", nil).Status,
		"its key, which anybody can read, opens nothing for another client")
}
