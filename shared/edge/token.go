package edge

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"

	"fitvault/shared/access"
	"fitvault/shared/fault"
)

const (
	maxToken   = 8 << 10     // bytes; Cognito's are about 1 KB
	maxSubject = 255         // bytes
	clockSkew  = time.Minute // that a pool's clock may be ahead when it says "issued at"
)

var subjectGrammar = regexp.MustCompile(`^[!-~]+$`) // to maxSubject

// claims are those of a Cognito access token.
type claims struct {
	jwt.RegisteredClaims
	TokenUse  string           `json:"token_use"`
	ClientID  string           `json:"client_id"`
	Scope     string           `json:"scope"`
	Username  string           `json:"username"`   // of a person; not in a token by client credentials
	OriginJTI string           `json:"origin_jti"` // of the sign-in that a person's token comes from, also by refreshing
	AuthTime  *jwt.NumericDate `json:"auth_time"`  // of that sign-in
}

// UnmarshalJSON reads names exactly as they are spelt and refuses a claim that
// comes twice; encoding/json does neither.
func (c *claims) UnmarshalJSON(b []byte) error {
	type plain claims
	return json.Unmarshal(b, (*plain)(c))
}

// pool is one user pool: its tokens, and the keys that sign them.
type pool struct {
	tokens *jwt.Parser
	keys   TokenKeys
}

// newTokenParser makes a parser for signed access tokens of one issuer. RS256
// is the only algorithm: "none" and a public key used as an HMAC secret fail
// before a key is looked up.
func newTokenParser(issuer string, now func() time.Time) *jwt.Parser {
	return jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}),
		jwt.WithStrictDecoding(),
		jwt.WithIssuer(issuer),
		jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(now),
	)
}

// authenticate takes the principal from the token in Authorization, which must
// be one of the route's pool.
func (c *Call) authenticate(ctx context.Context, h headers) error {
	header, _ := h.single("Authorization")
	scheme, text, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") || len(text) > maxToken {
		return fault.New(fault.Unauthenticated, "no bearer token, several, or one too long")
	}
	var found claims
	var keyError error
	_, err := c.route.pool.tokens.ParseWithClaims(text, &found, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		if _, critical := t.Header["crit"]; critical {
			return nil, ErrUnknownKey // RFC 7515, section 4.1.11: an extension that is not understood
		}
		key, err := c.route.pool.keys.Key(ctx, kid)
		if err == nil && key == nil {
			err = ErrUnknownKey
		}
		keyError = err
		return key, err
	})
	if keyError != nil && !errors.Is(keyError, ErrUnknownKey) {
		return fault.Wrap(fault.Unavailable, "token keys not available", keyError)
	}
	if err != nil {
		return fault.Wrap(fault.Unauthenticated, tokenFault(err), err)
	}
	if found.TokenUse != "access" || found.IssuedAt == nil ||
		found.IssuedAt.After(c.guard.config.Now().Add(clockSkew)) ||
		len(found.Subject) > maxSubject || !subjectGrammar.MatchString(found.Subject) || !access.ValidClient(found.ClientID) {
		return fault.New(fault.Unauthenticated, "not an access token with all its claims")
	}
	system := found.Username == ""
	switch {
	case system && (c.route.Staff || found.Subject != found.ClientID):
		return fault.New(fault.Unauthenticated, "neither a person's token nor a system's")
	case !system && (found.Subject == found.ClientID || len(found.OriginJTI) > maxSubject || !subjectGrammar.MatchString(found.OriginJTI) || found.AuthTime == nil):
		// A client whose tokens cannot be revoked: its sessions could not be ended.
		return fault.New(fault.Unauthenticated, "person's token without its session")
	}
	c.known = true
	c.Principal = access.Principal{
		Issuer: found.Issuer, Subject: found.Subject, Client: found.ClientID, System: system, Staff: c.route.Staff,
		Scopes: strings.Fields(found.Scope),
	}
	if !system { // MiniStack's systems have an origin_jti, of nothing
		c.Principal.Session, c.Principal.AuthTime = found.OriginJTI, found.AuthTime.UTC()
	}
	return nil
}

// tokenFault says in constant words why a token was refused, for the log: the
// library's own words may repeat the token.
func tokenFault(err error) string {
	for _, known := range []struct {
		err  error
		text string
	}{
		{ErrUnknownKey, "token of an unknown key"},
		{jwt.ErrTokenExpired, "token expired"},
		{jwt.ErrTokenNotValidYet, "token not valid yet"},
		{jwt.ErrTokenInvalidIssuer, "token of another issuer"},
		{jwt.ErrTokenRequiredClaimMissing, "token without a required claim"},
		{jwt.ErrTokenSignatureInvalid, "token's signature or algorithm"},
		{jwt.ErrTokenMalformed, "token malformed"},
	} {
		if errors.Is(err, known.err) {
			return known.text
		}
	}
	return "token refused"
}
