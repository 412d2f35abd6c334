package main

import (
	"encoding/json"
	"os"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"fitvault/shared/redact"
)

// owner is whom the demo acts for.
const owner = "ada"

// stack is the part of .local/stack.json that the demo needs: how to reach the
// local stack as ada, with her token, and as the operator.
type stack struct {
	redact.Mark
	API    string `json:"api"` // base URL, with /v1
	APIKey string `json:"api_key"`
	Users  map[string]struct {
		Name  string `json:"name"` // in the user pool
		Token string `json:"access_token"`
	} `json:"users"`
	Endpoints struct {
		AWS string `json:"aws"`
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
	if json.Unmarshal(b, &s) != nil || s.API == "" || s.Endpoints.AWS == "" || s.Users[owner].Token == "" || s.Outputs.Readings == "" || s.Outputs.AuditEvents == "" {
		return stack{}, advice{file + " is not what make up writes", "make up writes it again", nil}
	}
	return s, nil
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
