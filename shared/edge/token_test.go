package edge_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
	"fitvault/shared/reading"
)

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// signed is a token of any header and payload with the pool's own signature.
func signed(header, payload string) string {
	text := b64(header) + "." + b64(payload)
	digest := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(nil, edgetest.Key(), crypto.SHA256, digest[:])
	if err != nil {
		panic(err)
	}
	return text + "." + b64(string(signature))
}

// signedBy signs claims with any method and key, under the pool's key id.
func signedBy(claims jwt.Claims, method jwt.SigningMethod, key any, header map[string]any) string {
	token := jwt.NewWithClaims(method, claims)
	token.Header["kid"] = edgetest.Kid
	for name, value := range header {
		token.Header[name] = value
	}
	text, err := token.SignedString(key)
	if err != nil {
		panic(err)
	}
	return text
}

func hs256(header, payload string, secret []byte) string {
	text := b64(header) + "." + b64(payload)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + b64(string(mac.Sum(nil)))
}

func TestTokens(t *testing.T) {
	w := newWorld(t)
	now := w.Time
	const header = `{"kid":"` + edgetest.Kid + `","alg":"RS256"}`
	claims := func(edit func(c jwt.MapClaims)) jwt.MapClaims {
		c := w.Claims("ada")
		if edit != nil {
			edit(c)
		}
		return c
	}
	with := func(name string, value any) string {
		return edgetest.Sign(claims(func(c jwt.MapClaims) { c[name] = value }))
	}
	without := func(name string) string {
		return edgetest.Sign(claims(func(c jwt.MapClaims) { delete(c, name) }))
	}
	payload := func() string {
		text, err := json.Marshal(claims(nil))
		require.NoError(t, err)
		return string(text)
	}()
	good := edgetest.Sign(claims(nil))
	parts := strings.Split(good, ".")
	lastBits := func(s string) string { // the same bytes, spelt otherwise
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		i := strings.IndexByte(alphabet, s[len(s)-1])
		return s[:len(s)-1] + string(alphabet[i^1])
	}

	foreign, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(&edgetest.Key().PublicKey)
	require.NoError(t, err)
	pkcs1 := x509.MarshalPKCS1PublicKey(&edgetest.Key().PublicKey)
	pemText := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	const hsHeader = `{"kid":"` + edgetest.Kid + `","alg":"HS256"}`

	bad := map[string]string{
		"no token":                       "",
		"scheme only":                    "Bearer",
		"scheme and space":               "Bearer ",
		"no scheme":                      good,
		"another scheme":                 "Basic " + good,
		"two spaces":                     "Bearer  " + good,
		"a space after":                  "Bearer " + good + " ",
		"two tokens in one value":        "Bearer " + good + ", Bearer " + good,
		"garbage":                        "Bearer x",
		"two dots":                       "Bearer ..",
		"four parts":                     "Bearer " + good + ".x",
		"five parts, as a JWE":           "Bearer " + good + ".x.y",
		"8 KB and a byte":                "Bearer " + strings.Repeat("a", 8<<10+1),
		"a megabyte":                     "Bearer " + strings.Repeat("a.", 1<<19),
		"huge but well signed":           "Bearer " + with("scope", strings.Repeat("a ", 4<<10)),
		"alg none":                       "Bearer " + b64(`{"kid":"`+edgetest.Kid+`","alg":"none"}`) + "." + parts[1] + ".",
		"alg None":                       "Bearer " + b64(`{"kid":"`+edgetest.Kid+`","alg":"None"}`) + "." + parts[1] + ".",
		"alg none with a signature":      "Bearer " + b64(`{"kid":"`+edgetest.Kid+`","alg":"none"}`) + "." + parts[1] + "." + parts[2],
		"alg none, well signed":          "Bearer " + signed(`{"kid":"`+edgetest.Kid+`","alg":"none"}`, payload),
		"alg empty":                      "Bearer " + signed(`{"kid":"`+edgetest.Kid+`","alg":""}`, payload),
		"alg missing":                    "Bearer " + signed(`{"kid":"`+edgetest.Kid+`"}`, payload),
		"alg a list":                     "Bearer " + signed(`{"kid":"`+edgetest.Kid+`","alg":["RS256"]}`, payload),
		"alg in capitals of another":     "Bearer " + signed(`{"kid":"`+edgetest.Kid+`","alg":"rs256"}`, payload),
		"HS256, public key as PEM":       "Bearer " + hs256(hsHeader, payload, pemText),
		"HS256, public key as DER":       "Bearer " + hs256(hsHeader, payload, der),
		"HS256, public key as PKCS #1":   "Bearer " + hs256(hsHeader, payload, pkcs1),
		"HS256, modulus":                 "Bearer " + hs256(hsHeader, payload, edgetest.Key().N.Bytes()),
		"HS256, JWKS":                    "Bearer " + hs256(hsHeader, payload, []byte(edgetest.JWKS(edgetest.Kid, &edgetest.Key().PublicKey))),
		"HMAC under RS256's name":        "Bearer " + hs256(header, payload, pemText),
		"RS384 of the right key":         "Bearer " + signedBy(claims(nil), jwt.SigningMethodRS384, edgetest.Key(), nil),
		"RS512 of the right key":         "Bearer " + signedBy(claims(nil), jwt.SigningMethodRS512, edgetest.Key(), nil),
		"PS256 of the right key":         "Bearer " + signedBy(claims(nil), jwt.SigningMethodPS256, edgetest.Key(), nil),
		"ES256":                          "Bearer " + signedBy(claims(nil), jwt.SigningMethodES256, curve, nil),
		"forged: another key":            "Bearer " + signedBy(claims(nil), jwt.SigningMethodRS256, foreign, nil),
		"forged: own key in the header":  "Bearer " + signedBy(claims(nil), jwt.SigningMethodRS256, foreign, map[string]any{"jwk": map[string]string{"kty": "RSA"}, "jku": "https://attacker.example/jwks"}),
		"forged: claims changed":         "Bearer " + parts[0] + "." + b64(strings.Replace(payload, `"ada"`, `"ben"`, 1)) + "." + parts[2],
		"forged: header changed":         "Bearer " + b64(`{"alg":"RS256","kid":"`+edgetest.Kid+`","x":1}`) + "." + parts[1] + "." + parts[2],
		"signature missing":              "Bearer " + parts[0] + "." + parts[1] + ".",
		"signature cut":                  "Bearer " + good[:len(good)-4],
		"signature of zeros":             "Bearer " + parts[0] + "." + parts[1] + "." + b64(strings.Repeat("\x00", 256)),
		"signature with spare bits":      "Bearer " + parts[0] + "." + parts[1] + "." + lastBits(parts[2]),
		"padding":                        "Bearer " + parts[0] + "=." + parts[1] + "." + parts[2],
		"unknown key id":                 "Bearer " + signedBy(claims(nil), jwt.SigningMethodRS256, edgetest.Key(), map[string]any{"kid": "other"}),
		"no key id":                      "Bearer " + signed(`{"alg":"RS256"}`, payload),
		"empty key id":                   "Bearer " + signedBy(claims(nil), jwt.SigningMethodRS256, edgetest.Key(), map[string]any{"kid": ""}),
		"key id a number":                "Bearer " + signedBy(claims(nil), jwt.SigningMethodRS256, edgetest.Key(), map[string]any{"kid": 1}),
		"key id a path":                  "Bearer " + signedBy(claims(nil), jwt.SigningMethodRS256, edgetest.Key(), map[string]any{"kid": "../../dev/null"}),
		"critical extension":             "Bearer " + signedBy(claims(nil), jwt.SigningMethodRS256, edgetest.Key(), map[string]any{"crit": []string{"b64"}, "b64": false}),
		"header not JSON":                "Bearer " + signed(`x`, payload),
		"payload not JSON":               "Bearer " + signed(header, `x`),
		"payload a list":                 "Bearer " + signed(header, `[]`),
		"payload null":                   "Bearer " + signed(header, `null`),
		"payload empty":                  "Bearer " + signed(header, ``),
		"payload not UTF-8":              "Bearer " + signed(header, strings.Replace(payload, `"ada"`, "\"\xff\"", 1)),
		"a claim twice":                  "Bearer " + signed(header, `{"sub":"ben",`+payload[1:]),
		"claims in capitals":             "Bearer " + signed(header, strings.Replace(payload, `"client_id"`, `"Client_ID"`, 1)),
		"expired now":                    "Bearer " + with("exp", now.Unix()),
		"expired a second ago":           "Bearer " + with("exp", now.Add(-time.Second).Unix()),
		"expired long ago":               "Bearer " + with("exp", 0),
		"expires at a negative time":     "Bearer " + with("exp", -1),
		"expires at a text":              "Bearer " + with("exp", "2100-01-01"),
		"expires at no number":           "Bearer " + signed(header, strings.Replace(payload, `"exp":`, `"exp":1e999,"x":`, 1)),
		"no expiry":                      "Bearer " + without("exp"),
		"expiry null":                    "Bearer " + with("exp", nil),
		"not valid yet":                  "Bearer " + with("nbf", now.Add(time.Second).Unix()),
		"issued in the future":           "Bearer " + with("iat", now.Add(61*time.Second).Unix()),
		"no issue time":                  "Bearer " + without("iat"),
		"another issuer":                 "Bearer " + with("iss", "https://attacker.example/"),
		"another pool":                   "Bearer " + with("iss", strings.Replace(edgetest.Issuer, "people", "other", 1)),
		"issuer and a slash":             "Bearer " + with("iss", edgetest.Issuer+"/"),
		"issuer in capitals":             "Bearer " + with("iss", strings.ToUpper(edgetest.Issuer)),
		"issuer a list":                  "Bearer " + with("iss", []string{edgetest.Issuer}),
		"no issuer":                      "Bearer " + without("iss"),
		"ID token":                       "Bearer " + edgetest.Sign(claims(func(c jwt.MapClaims) { c["token_use"], c["aud"] = "id", edgetest.Client; delete(c, "client_id") })),
		"ID token with a client id":      "Bearer " + with("token_use", "id"),
		"refresh token":                  "Bearer " + with("token_use", "refresh"),
		"no token_use":                   "Bearer " + without("token_use"),
		"token_use in capitals":          "Bearer " + with("token_use", "Access"),
		"no client":                      "Bearer " + without("client_id"),
		"client empty":                   "Bearer " + with("client_id", ""),
		"client with a slash":            "Bearer " + with("client_id", "a/b"),
		"client with another document's": "Bearer " + with("client_id", "x#app"),
		"no subject":                     "Bearer " + without("sub"),
		"subject empty":                  "Bearer " + with("sub", ""),
		"subject with a space":           "Bearer " + with("sub", "a b"),
		"subject with NUL":               "Bearer " + with("sub", "a\x00"),
		"subject a number":               "Bearer " + with("sub", 1),
		"subject too long":               "Bearer " + with("sub", strings.Repeat("a", 256)),
		"scope a list":                   "Bearer " + with("scope", []string{writeScope}),
		"of the staff's pool":            "Bearer " + edgetest.SignStaff(w.StaffClaims("ada")),
		"staff's key, people's issuer":   "Bearer " + edgetest.SignStaff(claims(nil)),
		"staff's issuer, people's key":   "Bearer " + edgetest.Sign(w.StaffClaims("ada")),
		"a person without a session":     "Bearer " + without("origin_jti"),
		"session empty":                  "Bearer " + with("origin_jti", ""),
		"session with a space":           "Bearer " + with("origin_jti", "a b"),
		"session too long":               "Bearer " + with("origin_jti", strings.Repeat("a", 256)),
		"session a number":               "Bearer " + with("origin_jti", 1),
		"no time of sign-in":             "Bearer " + without("auth_time"),
		"time of sign-in a text":         "Bearer " + with("auth_time", "now"),
		"no user name":                   "Bearer " + without("username"),
		"no user name and no session":    "Bearer " + edgetest.Sign(claims(func(c jwt.MapClaims) { delete(c, "username"); delete(c, "origin_jti") })),
		"a person named as the client":   "Bearer " + with("sub", edgetest.Client),
	}
	for name, authorization := range bad {
		t.Run(name, func(t *testing.T) {
			e := w.post()
			if authorization == "" {
				delete(e.Headers, "Authorization")
				delete(e.MultiValueHeaders, "Authorization")
			} else {
				edgetest.SetHeader(&e, "Authorization", authorization)
			}
			w.Accounts.Reads = nil
			w.refused(t, e, fault.Unauthenticated)
			require.Empty(t, w.Accounts.Reads, "nothing is read for a caller who is not known")
			require.Empty(t, w.Audit.Events(), "nor written")
		})
	}

	for name, authorization := range map[string]string{
		"good":                          "Bearer " + good,
		"scheme in lower case":          "bearer " + good,
		"expires in a second":           "Bearer " + with("exp", now.Add(time.Second).Unix()),
		"valid from now":                "Bearer " + with("nbf", now.Unix()),
		"the pool's clock runs ahead":   "Bearer " + with("iat", now.Add(time.Minute).Unix()),
		"with an audience":              "Bearer " + with("aud", "resource"),
		"header with a type":            "Bearer " + signed(`{"typ":"JWT","kid":"`+edgetest.Kid+`","alg":"RS256"}`, payload),
		"a fraction of a second":        "Bearer " + with("exp", float64(now.Unix())+1.5),
		"an extension that is harmless": "Bearer " + signed(`{"x":1,"kid":"`+edgetest.Kid+`","alg":"RS256"}`, payload),
	} {
		t.Run(name, func(t *testing.T) {
			e := w.post()
			edgetest.SetHeader(&e, "Authorization", authorization)
			call := w.allowed(t, e)
			require.Equal(t, "ada", call.Principal.Subject)
			require.Equal(t, w.Ada, call.Principal.User)
			require.Equal(t, edgetest.Client, call.Principal.Client)
		})
	}
}

// TestPools: each route takes the tokens of one pool, and of the staff's no system.
func TestPools(t *testing.T) {
	w := newWorld(t)
	w.guard = edge.New(w.Config("test"),
		edge.Route{Method: "GET", Resource: "/apps", Scope: readScope, Action: access.AppsManage, Staff: true, Handle: func(rw http.ResponseWriter, r *http.Request, c *edge.Call) error {
			w.calls = append(w.calls, c)
			return good(rw, r, c)
		}})
	w.Accounts.PutCaller(edgetest.StaffIssuer, "ada", access.Caller{User: w.Ada, Roles: []access.Role{access.Administrator}})
	w.appOf(t, access.StaffApp)
	with := func(token string) events.APIGatewayProxyRequest {
		e := w.Event("ada", "GET", "/apps", nil)
		edgetest.SetHeader(&e, "Authorization", "Bearer "+token)
		return e
	}
	call := w.allowed(t, with(edgetest.SignStaff(w.StaffClaims("ada"))))
	require.Equal(t, edgetest.StaffIssuer, call.Principal.Issuer)
	require.True(t, call.Principal.Staff)
	require.True(t, call.Principal.User.IsZero(), "the staff has no accounts")
	require.False(t, call.Principal.System)

	system := w.SystemClaims(edgetest.Client)
	system["iss"] = edgetest.StaffIssuer
	for name, token := range map[string]string{
		"of the people's pool":         edgetest.Sign(w.Claims("ada")),
		"people's key, staff's issuer": edgetest.Sign(w.StaffClaims("ada")),
		"staff's key, people's issuer": edgetest.SignStaff(w.Claims("ada")),
		"a system":                     edgetest.SignStaff(system),
	} {
		t.Run(name, func(t *testing.T) { w.refused(t, with(token), fault.Unauthenticated) })
	}
	t.Run("without the role", func(t *testing.T) {
		w.Accounts.PutCaller(edgetest.StaffIssuer, "ada", access.Caller{User: w.Ada, Roles: []access.Role{access.Auditor}})
		w.refused(t, with(edgetest.SignStaff(w.StaffClaims("ada"))), fault.Forbidden)
	})
	t.Run("without a record of ours, whatever the token's groups say", func(t *testing.T) {
		claims := w.StaffClaims("eve")
		claims["cognito:groups"] = []string{"administrator"}
		w.refused(t, with(edgetest.SignStaff(claims)), fault.Forbidden)
	})
}

// TestWhoATokenNames: a person with a session, or a system without one.
func TestWhoATokenNames(t *testing.T) {
	w := newWorld(t)
	person := w.allowed(t, w.get()).Principal
	require.False(t, person.System)
	require.Equal(t, "session-of-ada", person.Session)
	require.Equal(t, w.Time.Add(-time.Hour), person.AuthTime)

	w.Accounts.PutCaller(edgetest.Issuer, edgetest.Client, access.Caller{User: w.Ada})
	e := w.get()
	edgetest.SetHeader(&e, "Authorization", "Bearer "+edgetest.Sign(w.SystemClaims(edgetest.Client)))
	w.refused(t, e, fault.Unauthenticated) // no system's app
	w.appOf(t, access.SystemApp)
	w.refused(t, e, fault.NotFound)
	e.PathParameters["user"] = w.Ada.String()
	w.refused(t, e, fault.NotFound)
	permit, err := access.NewPermit(access.Permit{Types: []reading.Type{{Namespace: "omh", Name: "heart-rate"}}, Read: true, Use: access.Care,
		From: w.Time, Until: w.Time.Add(time.Hour)})
	require.NoError(t, err)
	owner := access.Owner{User: w.Ada, State: access.Active, Apps: map[string]access.Permit{edgetest.Client: permit},
		Consents: map[access.Purpose]access.Consent{access.Sharing: {Version: "1", Given: true}}}
	w.Accounts.Put(access.Documents{Owner: &owner})
	call := w.allowed(t, e)
	require.True(t, call.Principal.System)
	require.True(t, call.Principal.User.IsZero(), "a caller document of that name is not its own")
	require.Equal(t, permit.Types, call.Decision.Types)
	w.refused(t, w.get(), fault.Unauthenticated) // a person by way of a system's app
	for _, session := range []any{nil, "of nothing"} {
		claims := w.SystemClaims(edgetest.Client)
		if session != nil {
			claims["origin_jti"] = session
		}
		e := w.get()
		edgetest.SetHeader(&e, "Authorization", "Bearer "+edgetest.Sign(claims))
		w.Accounts.Reads = nil
		require.NotEqual(t, http.StatusUnauthorized, w.do(t, e).StatusCode) // whether it may is for the policies to say
		require.Equal(t, edgetest.Client, w.Accounts.Reads[0].Client)
	}
}

// TestSessions: one is stored at its first use, and an ended one is refused at the next request.
func TestSessions(t *testing.T) {
	w := newWorld(t)
	name := access.SessionName("session-of-ada")
	stored := func() *access.Session {
		d, err := w.Accounts.Read(t.Context(), access.Keys{Issuer: edgetest.Issuer, Subject: "ada", Session: name})
		require.NoError(t, err)
		return d.Session
	}
	require.Nil(t, stored())
	w.allowed(t, w.get())
	signedIn := w.Time.Add(-time.Hour)
	want := access.Session{Client: edgetest.Client, State: access.Active, SignedIn: signedIn, Expires: signedIn.Add(31 * 24 * time.Hour)}
	require.Equal(t, &want, stored())
	w.allowed(t, w.get())
	require.Equal(t, &want, stored())

	want.State = access.Ended
	w.Accounts.PutSession(edgetest.Issuer, "ada", name, want)
	w.refused(t, w.get(), fault.Unauthenticated)
	e := w.get()
	w.tokenWith(&e, "origin_jti", "another")
	w.allowed(t, e)
	want.State, want.Client = access.Active, "other"
	w.Accounts.PutSession(edgetest.Issuer, "ada", name, want)
	w.refused(t, w.get(), fault.Unauthenticated)

	t.Run("not longer than it is kept that it has ended", func(t *testing.T) {
		w := newWorld(t)
		for age, allowed := range map[time.Duration]bool{31*24*time.Hour - time.Second: true, 31 * 24 * time.Hour: false, 400 * 24 * time.Hour: false} {
			e := w.get()
			claims := w.Claims("ada")
			claims["auth_time"], claims["origin_jti"] = w.Time.Add(-age).Unix(), age.String()
			edgetest.SetHeader(&e, "Authorization", "Bearer "+edgetest.Sign(claims))
			if allowed {
				w.allowed(t, e)
				continue
			}
			w.refused(t, e, fault.Unauthenticated)
			d, err := w.Accounts.Read(t.Context(), access.Keys{Issuer: edgetest.Issuer, Subject: "ada", Session: access.SessionName(age.String())})
			require.NoError(t, err)
			require.Nil(t, d.Session)
		}
	})
	t.Run("no app of ours, no session", func(t *testing.T) {
		w := newWorld(t)
		e := w.get()
		edgetest.SetHeader(&e, "x-api-key", "wrong")
		w.refused(t, e, fault.Forbidden)
		d, err := w.Accounts.Read(t.Context(), access.Keys{Issuer: edgetest.Issuer, Subject: "ada", Session: name})
		require.NoError(t, err)
		require.Nil(t, d.Session)
	})
	t.Run("one that cannot be stored", func(t *testing.T) {
		w := newWorld(t)
		config := w.Config("test")
		config.Sessions = noSessions{}
		w.guard = edge.New(config, edge.Route{Method: "GET", Resource: readings, Scope: readScope, Action: access.ReadingsRead, Handle: good})
		w.refused(t, w.get(), fault.Unavailable)
	})
}

type noSessions struct{}

func (noSessions) BeginSession(context.Context, string, string, string, access.Session) (access.Session, error) {
	return access.Session{}, errors.New("down")
}

// TestRouteWithoutAnAccount: it is on the caller's own.
func TestRouteWithoutAnAccount(t *testing.T) {
	w := newWorld(t)
	w.guard = edge.New(w.Config("test"), edge.Route{Method: "POST", Resource: "/pairings", Scope: readScope, Action: access.DevicesWrite, Handle: func(rw http.ResponseWriter, r *http.Request, c *edge.Call) error {
		w.calls = append(w.calls, c)
		return good(rw, r, c)
	}})
	call := w.allowed(t, w.Event("ada", "POST", "/pairings", nil))
	require.Equal(t, w.Ada, call.Owner.User)
	e := w.Event("ada", "POST", "/pairings", map[string]string{"user": w.Ben.String()})
	require.Equal(t, w.Ada, w.allowed(t, e).Owner.User, "whatever else is named")
	w.refused(t, w.Event("cara", "POST", "/pairings", nil), fault.ConsentRequired)
}

// TestLongestSubject: the longest that is a subject is one, though nobody is
// enrolled under it.
func TestLongestSubject(t *testing.T) {
	w := newWorld(t)
	c := w.Claims("ada")
	c["sub"] = strings.Repeat("a", 255)
	e := w.post()
	edgetest.SetHeader(&e, "Authorization", "Bearer "+edgetest.Sign(c))
	answer, err := w.guard.Handle(t.Context(), e)
	require.NoError(t, err)
	require.NotEqual(t, 401, answer.StatusCode)
}

func TestAuthorizationGivenTwice(t *testing.T) {
	w := newWorld(t)
	ada := "Bearer " + edgetest.Sign(w.Claims("ada"))
	ben := "Bearer " + edgetest.Sign(w.Claims("ben"))
	tests := map[string]struct {
		single map[string]string
		multi  map[string][]string
	}{
		"two values":                     {nil, map[string][]string{"Authorization": {ada, ben}}},
		"the same twice":                 {nil, map[string][]string{"Authorization": {ada, ada}}},
		"two spellings of the name":      {nil, map[string][]string{"Authorization": {ada}, "authorization": {ben}}},
		"two spellings, single":          {map[string]string{"Authorization": ada, "AUTHORIZATION": ben}, nil},
		"one in each place, different":   {map[string]string{"Authorization": ben}, map[string][]string{"Authorization": {ada}}},
		"one in each place, other names": {map[string]string{"authorization": ben}, map[string][]string{"Authorization": {ada}}},
		"nothing in a list":              {nil, map[string][]string{"Authorization": {}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := w.get()
			e.Headers, e.MultiValueHeaders = test.single, test.multi
			w.refused(t, e, fault.Unauthenticated)
		})
	}
	t.Run("once, in any spelling and either place", func(t *testing.T) {
		for _, name := range []string{"authorization", "AUTHORIZATION", "Authorization"} {
			e := w.get()
			e.MultiValueHeaders = nil
			e.Headers = map[string]string{name: ada, "X-API-KEY": edgetest.APIKey}
			w.allowed(t, e)
			e.Headers, e.MultiValueHeaders = nil, map[string][]string{name: {ada}, "X-Api-Key": {edgetest.APIKey}}
			w.allowed(t, e)
		}
	})
}

func TestWithoutTokenKeys(t *testing.T) {
	w := newWorld(t)
	store := &parameter{text: "none yet"}
	config := w.Config("test")
	config.Keys = edge.NewStoredKeys(store, w.Now)
	w.guard = edge.New(config, edge.Route{Method: "GET", Resource: readings, Scope: readScope, Action: "readings.read", Handle: good})
	w.refused(t, w.get(), fault.Unavailable)
	require.Empty(t, w.Audit.Events())

	e := w.get()
	edgetest.SetHeader(&e, "Authorization", "Bearer x")
	w.refused(t, e, fault.Unauthenticated)

	config.Keys = noKey{}
	w.guard = edge.New(config, edge.Route{Method: "GET", Resource: readings, Scope: readScope, Action: "readings.read", Handle: good})
	w.refused(t, w.get(), fault.Unauthenticated)
}

// noKey is a broken TokenKeys: no key and no error.
type noKey struct{}

func (noKey) Key(context.Context, string) (*rsa.PublicKey, error) { return nil, nil }
