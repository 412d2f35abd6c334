// Package stack is how Go tests reach the local stack that `make up` has
// deployed: they read .local/stack.json, as the operator and as its people.
// A test that opens it is left out where the stack is not up, and fails where
// it must be: with CI=true.
package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"fitvault/shared/redact"
)

// Whole says that attacks are to be made at full size: make attack.
var Whole = os.Getenv("ATTACK") == "whole"

// patience bounds what a test waits for one answer of the stack.
const patience = 30 * time.Second

// Stack is .local/stack.json. Secrets are in it, so it prints as [redacted].
type Stack struct {
	redact.Mark
	API     string `json:"api"`     // base URL, with /v1
	APIKey  string `json:"api_key"` // of the client app
	Clients map[string]struct {
		ID     string `json:"id"`
		APIKey string `json:"api_key"`
	} `json:"clients"`
	Endpoints struct {
		AWS     string `json:"aws"`
		Cognito string `json:"cognito"`
	} `json:"endpoints"`
	UserPool    string `json:"user_pool"`
	Region      string `json:"region"`
	Credentials struct {
		ID     string `json:"access_key_id"`
		Secret string `json:"secret_access_key"`
	} `json:"credentials"`
	Database struct {
		Host      string            `json:"host"`
		Port      uint16            `json:"port"`
		Name      string            `json:"name"`
		CAFile    string            `json:"ca_file"`
		Passwords map[string]string `json:"passwords"` // by role
	} `json:"database"`
	PairingRoot string            `json:"pairing_root"` // file: the certificate that trackers are made with
	Outputs     map[string]string `json:"outputs"`      // of the deployed template

	root string
}

// Open returns the stack that is up, or ends the test.
func Open(t testing.TB) *Stack {
	t.Helper()
	s, err := read(root(t))
	if err == nil {
		return s
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("the local stack is not up: %v", err)
	}
	t.Skipf("the local stack is not up: %s left out (make up starts it): %v", t.Name(), err)
	return nil
}

// root is the checkout that the test runs in.
func root(t testing.TB) string {
	t.Helper()
	folder, err := checkout()
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

func checkout() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder, nil
		}
		up := filepath.Dir(folder)
		if up == folder {
			return "", errors.New("the test does not run in a checkout")
		}
		folder = up
	}
}

// read reads stack.json and looks whether what it speaks of is there: the file
// outlives its stack. Its errors say nothing of what is in it.
func read(root string) (*Stack, error) {
	text, err := os.ReadFile(filepath.Join(root, ".local", "stack.json"))
	if err != nil {
		return nil, errors.New("there is no .local/stack.json")
	}
	s := Stack{root: root}
	if json.Unmarshal(text, &s) != nil || s.API == "" || s.Outputs["ReadingsTable"] == "" {
		return nil, errors.New(".local/stack.json is not what make up writes")
	}
	for _, endpoint := range []string{s.Endpoints.AWS, s.Endpoints.Cognito} {
		u, err := url.Parse(endpoint)
		if err != nil {
			return nil, errors.New(".local/stack.json is not what make up writes")
		}
		c, err := net.DialTimeout("tcp", u.Host, time.Second)
		if err != nil {
			return nil, fmt.Errorf("nobody listens at %s", u.Host)
		}
		_ = c.Close()
	}
	health, err := s.Client().Get(s.API + "/health")
	if err != nil {
		return nil, errors.New("its API does not answer")
	}
	_ = health.Body.Close()
	if health.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("its API is not deployed: /health is %d", health.StatusCode)
	}
	return &s, nil
}

// Output is an output of the deployed template; without it the test fails.
func (s *Stack) Output(t testing.TB, name string) string {
	t.Helper()
	value, ok := s.Outputs[name]
	if !ok {
		t.Fatalf("the deployed template has no output %s", name)
	}
	return value
}

// AWS is the configuration of an SDK client with the operator's credentials.
func (s *Stack) AWS() aws.Config {
	return aws.Config{
		Region:       s.Region,
		BaseEndpoint: aws.String(s.Endpoints.AWS),
		Credentials:  credentials.NewStaticCredentialsProvider(s.Credentials.ID, s.Credentials.Secret, ""),
		HTTPClient:   s.Client(),
	}
}

// Client speaks HTTP to the stack: straight, without a proxy, and follows no redirect.
func (s *Stack) Client() *http.Client {
	return &http.Client{
		Timeout:       patience,
		Transport:     noting{s.API, &http.Transport{MaxIdleConnsPerHost: 64}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Token signs a user in anew, by the names that stack.json has for user and
// client, and returns the access token; with options such as "--pool", "other".
func (s *Stack) Token(t testing.TB, user, client string, options ...string) string {
	t.Helper()
	return s.run(t, append([]string{"token", user, client}, options...)...)
}

// Forged returns a token that no pool would issue; options as `localstack/stack
// forge --help` says.
func (s *Stack) Forged(t testing.TB, options ...string) string {
	t.Helper()
	return s.run(t, append([]string{"forge"}, options...)...)
}

func (s *Stack) run(t testing.TB, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	command := exec.CommandContext(ctx, filepath.Join(s.root, "localstack", "stack"), arguments...)
	var errs strings.Builder
	command.Stderr = &errs
	out, err := command.Output()
	if err != nil {
		t.Fatalf("localstack/stack %s: %v\n%s", arguments[0], err, errs.String())
	}
	return strings.TrimSpace(string(out))
}
