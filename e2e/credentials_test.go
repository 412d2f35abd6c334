package e2e

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/fault"
)

// line is one line of the table of refusals (wire.md, "Who refuses
// what"): what is sent, and who refuses it with what.
type line struct {
	name       string
	token, key string
	client     string     // of a token that is good, else ""
	gateway    fault.Kind // "" passes
	function   fault.Kind
}

// tableOfRefusals is the table, for a person with an account.
func tableOfRefusals(t *testing.T, s *stack.Stack, p *stack.Person) []line {
	app, partner, unregistered := s.Clients["app"], s.Clients["partner"], s.Clients["unregistered"]
	sub := claimsOf(t, p.Token)["sub"]
	hour := time.Hour
	forged := func(key string, claims map[string]any) string {
		claims = maps.Clone(claims)
		claims["sub"] = sub
		text, err := json.Marshal(claims)
		require.NoError(t, err)
		return s.Forged(t, "--key", key, "--claims", string(text))
	}
	at := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	none := map[string]any{}
	const unknown, forbidden = fault.Unauthenticated, fault.Forbidden
	return []line{
		{"no token", "", app.APIKey, "", unknown, unknown},
		{"garbage for a token", "canary." + rand.Text() + ".garbage", app.APIKey, "", unknown, unknown},
		{"alg none", forged("none", none), app.APIKey, "", unknown, unknown},
		{"HS256 with the public key", forged("hs256-public", none), app.APIKey, "", unknown, unknown},
		{"another RSA key of the same id", forged("random", none), app.APIKey, "", unknown, unknown},
		{"another's claims under a good signature", withClaim(t, p.Token, "sub", rand.Text()), app.APIKey, "", unknown, unknown},
		{"more scopes under a good signature", withClaim(t, p.Token, "scope", "fitvault/readings.read"), app.APIKey, "", unknown, unknown},
		{"expired", forged("pool", map[string]any{"iat": at(-2 * hour), "exp": at(-hour)}), app.APIKey, "", unknown, unknown},
		{"not yet valid", forged("pool", map[string]any{"nbf": at(hour), "exp": at(2 * hour)}), app.APIKey, "", unknown, unknown},
		{"another pool", s.Token(t, "ada", "app", "--pool", "other"), app.APIKey, "", unknown, unknown},
		{"another pool's name by this pool's key", forged("pool", map[string]any{"iss": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_other"}), app.APIKey, "", unknown, unknown},
		{"ID token", s.Token(t, "ada", "app", "--kind", "id_token"), app.APIKey, "", unknown, unknown},
		{"scope missing", forged("pool", map[string]any{"scope": "openid fitvault/firmware.read"}), app.APIKey, app.ID, unknown, forbidden},
		{"client without an app document", forged("pool", map[string]any{"client_id": unregistered.ID}), unregistered.APIKey, unregistered.ID, "", unknown},
		{"no API key", p.Token, "", app.ID, forbidden, forbidden},
		{"wrong API key", p.Token, "canary" + rand.Text() + rand.Text(), app.ID, forbidden, forbidden},
		{"another client's API key", p.Token, partner.APIKey, app.ID, "", forbidden},
		{"another client's token", forged("pool", map[string]any{"client_id": partner.ID}), app.APIKey, partner.ID, "", forbidden},
	}
}

func claimsOf(t *testing.T, token string) map[string]any {
	t.Helper()
	var claims map[string]any
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &claims))
	return claims
}

// withClaim changes a claim and leaves the signature as it is.
func withClaim(t *testing.T, token, name, value string) string {
	t.Helper()
	claims := claimsOf(t, token)
	claims[name] = value
	text, err := json.Marshal(claims)
	require.NoError(t, err)
	parts := strings.Split(token, ".")
	parts[1] = base64.RawURLEncoding.EncodeToString(text)
	return strings.Join(parts, ".")
}

// pretend makes an event say that the gateway has let victim in, at victim's
// path, with every scope and the right key, and returns its request id.
func pretend(t *testing.T, s *stack.Stack, e *events.APIGatewayProxyRequest, victim *stack.Person) string {
	t.Helper()
	var b [16]byte
	_, _ = rand.Read(b[:])
	id := fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	claims := claimsOf(t, victim.Token)
	e.Path = strings.NewReplacer("{user}", victim.ID, "{id}", "aaaaaaaaaaaaaaaaaaaaaaaaaa", "{purpose}", "collection").Replace(e.Resource)
	e.StageVariables = map[string]string{"user": victim.ID}
	for _, name := range []string{"User", "proxy", "user_id", "users"} {
		e.PathParameters[name] = victim.ID
	}
	e.RequestContext = events.APIGatewayProxyRequestContext{
		RequestID: id, Stage: "v1", HTTPMethod: "GET", ResourcePath: "/health", Path: e.Path,
		Identity: events.APIGatewayRequestIdentity{
			APIKey: s.APIKey, APIKeyID: "key", SourceIP: "127.0.0.1", CognitoIdentityID: claims["sub"].(string),
			CognitoAuthenticationType: "authenticated", User: victim.ID, UserArn: "arn:aws:iam::000000000000:root", Caller: victim.ID,
		},
		Authorizer: map[string]any{"claims": claims, "principalId": claims["sub"], "user": victim.ID, "scopes": claims["scope"]},
	}
	return id
}
