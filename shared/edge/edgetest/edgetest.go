// Package edgetest is a world for tests of handlers: a user pool that signs
// tokens, accounts, an audit log, a clock, and events as API Gateway sends
// them.
package edgetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/edge"
	"fitvault/shared/fault"
	"fitvault/shared/limit"
)

// One of each: the pool and its app, which has every scope, and its API key.
const (
	Issuer = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_people"
	Kid    = "kid-1="
	Client = "7appclient"
	APIKey = "app-key-0123456789abcdef"
	Scopes = "fitvault/readings.write fitvault/readings.read fitvault/devices.manage fitvault/sharing.manage"
)

// AddressKey is the day's key that addresses are named by.
const AddressKey = "2026-05-04 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

// RequestID is the one that Event gives.
const RequestID = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"

// StaffIssuer and StaffKid are the staff's pool and its key.
const (
	StaffIssuer = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_staff"
	StaffKid    = "kid-2="
)

// Key is the pool's private key, StaffKey the staff's: made once a test run, stored nowhere.
var (
	Key      = sync.OnceValue(newKey)
	StaffKey = sync.OnceValue(newKey)
)

func newKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

// JWKS is a key set in the form that Cognito publishes.
func JWKS(kid string, key *rsa.PublicKey) string {
	text, err := json.Marshal(map[string]any{"keys": []map[string]string{{
		"alg": "RS256", "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
		"kid": kid, "kty": "RSA", "n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "use": "sig",
	}}})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// World is everything around a guard. Its members may be changed by a test
// between requests.
type World struct {
	Time      time.Time
	Keys      edge.TokenKeys
	StaffKeys edge.TokenKeys
	Accounts  Accounts
	Audit     auditlog.Memory
	Limiter   limit.Limiter
	Limits    limit.Limits
	Log       bytes.Buffer // JSON lines

	Ada, Ben access.UserID // owners who have given consent
}

// New makes a world at a fixed time with the app, Ada and Ben.
func New(t testing.TB) *World {
	t.Helper()
	w := &World{Time: time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC)}
	w.Keys = edge.NewStoredKeys(Stored(JWKS(Kid, &Key().PublicKey)), w.Now)
	w.StaffKeys = edge.NewStoredKeys(Stored(JWKS(StaffKid, &StaffKey().PublicKey)), w.Now)
	latest := w.Time // a test may set its clock back; the time of limits, which is DynamoDB's, never goes back
	w.Limiter = &limit.Memory{Now: func() time.Time {
		if w.Time.After(latest) {
			latest = w.Time
		}
		return latest
	}}
	w.Limits = limit.Limits{User: limit.MaxRate, Device: limit.MaxRate, Address: limit.MaxRate, Client: limit.MaxRate}
	w.Ada, w.Ben = w.enrol(t, "ada"), w.enrol(t, "ben")
	digest := sha256.Sum256([]byte(APIKey))
	app, err := access.DecodeApp(Client, "active", "own",
		[]string{"fitvault/readings.write", "fitvault/readings.read", "fitvault/devices.manage", "fitvault/devices.register", "fitvault/sharing.manage"},
		[]string{hex.EncodeToString(digest[:])})
	require.NoError(t, err)
	w.Accounts.Put(access.Documents{App: &app})
	return w
}

func (w *World) enrol(t testing.TB, subject string) access.UserID {
	id, err := access.NewUserID(rand.Reader)
	require.NoError(t, err)
	w.Accounts.PutCaller(Issuer, subject, access.Caller{User: id})
	w.Accounts.Put(access.Documents{Owner: &access.Owner{
		User: id, State: access.Active, DataKey: "key-of-" + subject,
		Consents: map[access.Purpose]access.Consent{access.Collection: {Version: "1", Given: true, Time: w.Time}},
	}})
	return id
}

// Now is the world's clock.
func (w *World) Now() time.Time { return w.Time }

// Config is a guard's config in this world.
func (w *World) Config(function string) edge.Config {
	return edge.Config{
		Function: function, Issuer: Issuer, Keys: w.Keys, StaffIssuer: StaffIssuer, StaffKeys: w.StaffKeys, Documents: &w.Accounts, Sessions: &w.Accounts, Audit: &w.Audit,
		Limiter: w.Limiter, Limits: w.Limits, AddressKey: edge.NewStoredAddressKey(Stored(AddressKey), w.Now),
		Log: slog.New(slog.NewJSONHandler(&w.Log, &slog.HandlerOptions{
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			},
		})),
		Now: w.Now, Rand: rand.Reader,
	}
}

// Claims are those of a good access token of the app for a subject ("ada",
// "ben", or anybody else, who then has no account).
func (w *World) Claims(subject string) jwt.MapClaims {
	return jwt.MapClaims{
		"iss": Issuer, "sub": subject, "client_id": Client, "token_use": "access", "scope": Scopes,
		"iat": w.Time.Add(-time.Minute).Unix(), "exp": w.Time.Add(time.Hour).Unix(),
		"version": 2, "jti": "a", "username": subject, "origin_jti": "session-of-" + subject, "auth_time": w.Time.Add(-time.Hour).Unix(),
	}
}

// StaffClaims are those of a good access token of the staff's pool for a subject.
func (w *World) StaffClaims(subject string) jwt.MapClaims {
	claims := w.Claims(subject)
	claims["iss"] = StaffIssuer
	return claims
}

// SystemClaims are those of a good access token by client credentials of a client.
func (w *World) SystemClaims(client string) jwt.MapClaims {
	claims := w.Claims(client)
	claims["client_id"] = client
	delete(claims, "username")
	delete(claims, "origin_jti")
	return claims
}

// Sign makes a token of claims as the pool does.
func Sign(claims jwt.Claims) string { return sign(claims, Kid, Key()) }

// SignStaff makes a token of claims as the staff's pool does.
func SignStaff(claims jwt.Claims) string { return sign(claims, StaffKid, StaffKey()) }

func sign(claims jwt.Claims, kid string, key *rsa.PrivateKey) string {
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	token.Header["kid"] = kid
	text, err := token.SignedString(key)
	if err != nil {
		panic(err)
	}
	return text
}

// Event is an event as the gateway sends it, with good credentials of a subject.
func (w *World) Event(subject, method, resource string, parameters map[string]string) events.APIGatewayProxyRequest {
	e := events.APIGatewayProxyRequest{
		Resource: resource, Path: resource, HTTPMethod: method, PathParameters: parameters,
		Headers: map[string]string{}, MultiValueHeaders: map[string][]string{},
		RequestContext: events.APIGatewayProxyRequestContext{RequestID: RequestID, HTTPMethod: method},
	}
	SetHeader(&e, "Authorization", "Bearer "+Sign(w.Claims(subject)))
	SetHeader(&e, "x-api-key", APIKey)
	return e
}

// SetHeader sets a header in both places where the gateway puts it.
func SetHeader(e *events.APIGatewayProxyRequest, name, value string) {
	e.Headers[name] = value
	e.MultiValueHeaders[name] = []string{value}
}

// SetBody sets a body and its media type.
func SetBody(e *events.APIGatewayProxyRequest, mediaType, body string) {
	SetHeader(e, "Content-Type", mediaType)
	e.Body = body
}

// Stored is a parameter that never changes.
type Stored string

func (s Stored) Value(context.Context) (string, error) { return string(s), nil }

// Accounts is a fake of edge.Documents.
type Accounts struct {
	Err   error         // what Read fails with, where set
	Reads []access.Keys // what was asked for

	mu        sync.Mutex // owners may be read at once
	documents map[string]any
}

// Put stores an owner's or an app's document.
func (a *Accounts) Put(d access.Documents) {
	if d.Owner != nil {
		a.set(access.OwnerKey(d.Owner.User), *d.Owner)
	}
	if d.App != nil {
		a.set(access.AppKey(d.App.Client), *d.App)
	}
}

// PutCaller stores a caller's document.
func (a *Accounts) PutCaller(issuer, subject string, c access.Caller) {
	a.set(access.IdentityKey(issuer, subject), c)
}

// BeginSession implements edge.Sessions.
func (a *Accounts) BeginSession(_ context.Context, issuer, subject, name string, s access.Session) (access.Session, error) {
	if a.Err != nil {
		return access.Session{}, a.Err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	key := access.SessionsKey(issuer, subject) + " " + name
	if found, ok := a.documents[key].(access.Session); ok {
		return found, nil
	}
	a.setLocked(key, s)
	return s, nil
}

// PutSession stores a session.
func (a *Accounts) PutSession(issuer, subject, name string, s access.Session) {
	a.set(access.SessionsKey(issuer, subject)+" "+name, s)
}

// Delete removes a document by its `id`.
func (a *Accounts) Delete(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.documents, id)
}

func (a *Accounts) set(id string, document any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.setLocked(id, document)
}

func (a *Accounts) setLocked(id string, document any) {
	if a.documents == nil {
		a.documents = map[string]any{}
	}
	a.documents[id] = document
}

func (a *Accounts) Read(ctx context.Context, k access.Keys) (access.Documents, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.Reads = append(a.Reads, k)
	if a.Err != nil {
		return access.Documents{}, a.Err
	}
	if ctx.Err() != nil {
		return access.Documents{}, fault.Wrap(fault.Unavailable, "no time left to read", ctx.Err())
	}
	var d access.Documents
	if c, ok := a.documents[access.IdentityKey(k.Issuer, k.Subject)].(access.Caller); ok {
		d.Caller = &c
	}
	if s, ok := a.documents[access.SessionsKey(k.Issuer, k.Subject)+" "+k.Session].(access.Session); ok {
		d.Session = &s
	}
	if o, ok := a.documents[access.OwnerKey(k.User)].(access.Owner); ok {
		d.Owner = &o
	}
	if app, ok := a.documents[access.AppKey(k.Client)].(access.App); ok {
		d.App = &app
	}
	return d, nil
}

// RequireProblem requires that an answer is a problem of a kind, and returns its items.
func RequireProblem(t *testing.T, answer events.APIGatewayProxyResponse, kind fault.Kind) []fault.Item {
	t.Helper()
	require.Equal(t, kind.Status(), answer.StatusCode, answer.Body)
	var problem struct {
		Type   string
		Errors []fault.Item
	}
	require.NoError(t, json.Unmarshal([]byte(answer.Body), &problem))
	require.Equal(t, edge.ProblemTypes+string(kind), problem.Type)
	return problem.Errors
}
