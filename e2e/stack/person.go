package stack

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Person calls the API with a token and a key.
type Person struct {
	Token, Key string
	ID         string // fitvault's user id
	stack      *Stack
	client     *http.Client
}

// Answer is what the API answered.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// JSON reads the body into v, or fails the test.
func (a Answer) JSON(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal(a.Body, v); err != nil {
		t.Fatalf("status %d, not the JSON that was expected: %v", a.Status, err)
	}
}

// Newcomer is a person whom nobody has seen before, with a token of the people
// pool's own key for the client app, after consent to collect. So a test has an
// account for itself.
func (s *Stack) Newcomer(t testing.TB) *Person {
	t.Helper()
	p := s.Stranger(t)
	a := p.Do(t, http.MethodPut, "/users/me/consents/collection", []byte(`{"version":"1","given":true}`), "Content-Type", "application/json")
	var consent struct{ User string }
	a.JSON(t, &consent)
	if p.ID = consent.User; p.ID == "" {
		t.Fatalf("consent was answered with %d", a.Status)
	}
	return p
}

// Stranger is a newcomer who has not consented: no account.
func (s *Stack) Stranger(t testing.TB) *Person {
	t.Helper()
	return s.person(t, rand.Text(), "app")
}

// By is the same person by another client app, as stack.json names it.
func (p *Person) By(t testing.TB, client string) *Person {
	t.Helper()
	other := p.stack.person(t, p.Subject(t), client)
	other.ID = p.ID
	return other
}

func (s *Stack) person(t testing.TB, subject, client string) *Person {
	t.Helper()
	return s.As(t, s.Clients[client].APIKey, map[string]any{"sub": subject, "client_id": s.Clients[client].ID})
}

// As is who has a token with these claims, of a sign-in of its own, and a key.
func (s *Stack) As(t testing.TB, key string, claims map[string]any) *Person {
	t.Helper()
	claims["origin_jti"] = rand.Text() // a session belongs to one app
	return s.System(t, key, claims)
}

// System is who has a token with these claims and a key; a claim of null is left out.
func (s *Stack) System(t testing.TB, key string, claims map[string]any) *Person {
	t.Helper()
	text, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return &Person{Token: s.Forged(t, "--claims", string(text)), Key: key, stack: s, client: s.Client()}
}

// Do calls the API; headers come in pairs. A request that gets no answer fails
// the test.
func (p *Person) Do(t testing.TB, method, path string, body []byte, headers ...string) Answer {
	t.Helper()
	a, err := p.Try(t, method, path, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Try is Do for tests that call from several goroutines.
func (p *Person) Try(t testing.TB, method, path string, body []byte, headers ...string) (Answer, error) {
	request, err := http.NewRequestWithContext(t.Context(), method, p.stack.API+path, bytes.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	request.Header.Set("Authorization", "Bearer "+p.Token)
	request.Header.Set("x-api-key", p.Key)
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := p.client.Do(request)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return Answer{response.StatusCode, response.Header, text}, err
}

// Caller calls the API with a token and a key, whoever's they are.
func (s *Stack) Caller(token, key string) *Person {
	return &Person{Token: token, Key: key, stack: s, client: s.Client()}
}

// Subject is the pool's name for whom a token was made.
func (p *Person) Subject(t testing.TB) string {
	t.Helper()
	var claims struct{ Sub string }
	parts := strings.Split(p.Token, ".")
	text, err := base64.RawURLEncoding.DecodeString(parts[min(1, len(parts)-1)])
	if err != nil || json.Unmarshal(text, &claims) != nil {
		t.Fatal("not a token")
	}
	return claims.Sub
}
