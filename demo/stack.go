package main

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"fitvault/shared/access"
	"fitvault/shared/redact"
)

// Whom the demo acts for, and the apps that it acts as, by their names in the file.
const (
	owner         = "ada"
	caregiver     = "ben"
	administrator = "sam"
	maker         = "max"

	ownApp      = "app"
	anotherApp  = "thirdparty"
	staffClient = "staff"
)

// stack is the part of .local/stack.json that the demo needs: how to reach the
// local stack as its people, with their tokens, and as the operator.
type stack struct {
	redact.Mark
	API    string `json:"api"` // base URL, with /v1
	APIKey string `json:"api_key"`
	Users  map[string]struct {
		Name     string `json:"name"` // in the user pool
		Pool     string `json:"pool"`
		Subject  string `json:"subject"`
		Password string `json:"password"`
		Token    string `json:"access_token"`
	} `json:"users"`
	Clients map[string]struct {
		ID       string   `json:"id"`
		APIKey   string   `json:"api_key"`
		Secret   string   `json:"secret"`
		Callback string   `json:"callback"`
		Scopes   []string `json:"scopes"`
	} `json:"clients"`
	Pools map[string]struct {
		Issuer string `json:"issuer"`
	} `json:"pools"`
	PairingRoot string `json:"pairing_root"` // the file with the root that trackers are made with
	Endpoints   struct {
		AWS     string `json:"aws"`
		Cognito string `json:"cognito"`
	} `json:"endpoints"`
	Region      string `json:"region"`
	Credentials struct {
		ID     string `json:"access_key_id"`
		Secret string `json:"secret_access_key"`
	} `json:"credentials"`
	Outputs struct { // of the deployed template
		Readings    string `json:"ReadingsTable"`
		AuditEvents string `json:"AuditEventsTable"`
	} `json:"outputs"`
}

func readStack(file string) (stack, error) {
	b, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return stack{}, advice{"the local stack is not up: there is no " + file, "make up starts it (make run does both)", nil}
	}
	if err != nil {
		return stack{}, advice{"the local stack cannot be looked up", "make up writes the file, for its own user only", err}
	}
	var s stack
	if json.Unmarshal(b, &s) != nil || !s.whole() {
		return stack{}, advice{file + " is not what make up writes", "make up writes it again", nil}
	}
	return s, nil
}

// whole reports whether everything is there that the demo needs.
func (s stack) whole() bool {
	for _, name := range []string{owner, caregiver, administrator, maker} {
		if u := s.Users[name]; u.Token == "" || u.Subject == "" || s.Pools[u.Pool].Issuer == "" {
			return false
		}
	}
	for _, name := range []string{ownApp, anotherApp, staffClient} {
		if c := s.Clients[name]; c.ID == "" || c.APIKey == "" || c.Callback == "" {
			return false
		}
	}
	return s.API != "" && s.Endpoints.AWS != "" && s.Endpoints.Cognito != "" && s.PairingRoot != "" && s.Outputs.Readings != "" && s.Outputs.AuditEvents != ""
}

// root is the certificate that trackers of this stack are made with.
func (s stack) root() (*x509.Certificate, error) {
	wrong := advice{"the root for trackers cannot be read", "make up makes one", nil}
	text, err := os.ReadFile(s.PairingRoot)
	if err != nil {
		return nil, wrong
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, wrong
	}
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, wrong
	}
	return root, nil
}

// names says who a caller of an audit event is, by the id that stands there: a user's
// once there is an account, before it and for the staff that of the identity.
func (s stack) names() map[string]string {
	all := map[string]string{}
	for name, u := range s.Users {
		all[access.IdentityKey(s.Pools[u.Pool].Issuer, u.Subject)] = name
	}
	return all
}

// tokenLife is how long ada's access token is good for. The token is not
// verified here: that is the API's business.
func (s stack) tokenLife(now time.Time) (time.Duration, error) {
	var claims jwt.RegisteredClaims
	_, _, err := jwt.NewParser().ParseUnverified(s.Users[owner].Token, &claims)
	if err != nil || claims.ExpiresAt == nil {
		return 0, advice{owner + "'s access token is not one", "make up signs her in again", nil}
	}
	left := claims.ExpiresAt.Sub(now)
	if left <= 0 {
		return 0, advice{owner + "'s access token has run out", "make up signs her in again", nil}
	}
	return left, nil
}
