package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/netip"
	"regexp"
	"strings"

	"fitvault/shared/access"
	"fitvault/shared/edge"
	"fitvault/shared/sentinel"
)

// pools is what is needed to read what user pools log: whose log it is, and the key that
// addresses are named by everywhere else.
type pools struct {
	issuers map[string]string // of a pool's tokens, by the last part of its log group's name; "" where its events are not kept
	key     edge.AddressKey
}

// ids are of a user and of a pool, as Cognito makes them; names are bounded as there.
var (
	subject = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
	poolID  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,55}$`)
)

const maxName = 512 // bytes: 128 characters

// decodeActivity reads one event of a user pool, of which it takes what detectors need.
// ok is false of what has another form. Without an attempt it is of no interest.
//
// The form is that of "Exporting threat protection user activity logs" (Amazon Cognito
// Developer Guide, "Exporting logs from Amazon Cognito user pools"), version 1: all
// members of message but challenges are text, and any may be null. Words that
// AdminListUserAuthEvents has in one case are taken in any: the one example of the guide has not
// all of them.
func decodeActivity(text []byte, issuer string, key []byte) (e sentinel.Event, ok bool) {
	var activity struct {
		EventSource string `json:"eventSource"`
		Message     struct {
			Version     string `json:"version"`
			EventType   string `json:"eventType"` // SignIn, SignUp, ForgotPassword, PasswordChange, ResendCode
			UserSub     string `json:"userSub"`
			UserName    string `json:"userName"`
			UserPoolID  string `json:"userPoolId"`
			Response    string `json:"eventResponse"` // Pass, Fail, InProgress: another step is asked for
			RiskLevel   string `json:"riskLevel"`     // Low, Medium, High; empty: none was seen
			Compromised string `json:"compromisedCredentialDetected"`
			IPAddress   string `json:"ipAddress"`
		} `json:"message"`
	}
	if json.Unmarshal(text, &activity) != nil {
		return e, false
	}
	m := activity.Message
	if activity.EventSource != "USER_ACTIVITY" || m.Version != "1" || !poolID.MatchString(m.UserPoolID) || !strings.HasSuffix(issuer, "/"+m.UserPoolID) {
		return e, false
	}
	var known bool
	if e.Attempt, known = attempted(m.EventType, m.Response, m.RiskLevel, m.Compromised); !known || e.Attempt == "" {
		return e, known
	}
	switch {
	case subject.MatchString(m.UserSub):
		e.Caller = access.IdentityKey(issuer, m.UserSub)
		e.Charged.Key = e.Caller
	case m.UserSub == "" && m.UserName != "" && len(m.UserName) <= maxName:
		// What somebody typed who is nobody there, perhaps an e-mail address: by the day's
		// key nobody can tell which.
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte("fitvault name\x00"))
		mac.Write([]byte(strings.ToLower(m.UserName)))
		e.Caller = "name#" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
	default: // nobody, as far as the pool knew
		return sentinel.Event{}, m.UserSub == "" && m.UserName == ""
	}
	if _, err := netip.ParseAddr(m.IPAddress); err == nil {
		e.Charged.Address = edge.NameAddress(key, m.IPAddress)
	}
	return e, true
}

// attempted is what an event counts as, "" of no interest. A leaked password by itself is
// its owner's bad habit as a rule; with any other sign that it is not he, it is not.
func attempted(kind, response, risk, compromised string) (a sentinel.Attempt, ok bool) {
	switch strings.ToLower(response) {
	case "fail":
		return sentinel.Refused, true
	case "pass", "inprogress":
	default:
		return "", false
	}
	doubt := false
	switch strings.ToLower(risk) {
	case "high":
		doubt = true
	case "low", "medium":
		doubt = strings.EqualFold(compromised, "true")
	}
	switch {
	case kind == "ForgotPassword":
		return sentinel.Forgotten, true
	case kind == "SignIn" && strings.EqualFold(response, "pass") && doubt:
		return sentinel.Doubtful, true
	}
	return "", true
}
