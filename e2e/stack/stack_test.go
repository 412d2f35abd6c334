package stack

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

func TestOpen(t *testing.T) {
	s := Open(t)
	require.NotEmpty(t, s.Output(t, "IngestFunction"))
	tables, err := dynamodb.NewFromConfig(s.AWS()).ListTables(t.Context(), nil)
	require.NoError(t, err)
	require.Contains(t, tables.TableNames, s.Output(t, "ReadingsTable"))
	answer, err := s.Client().Get(s.API + "/health")
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, 200, answer.StatusCode)
	require.NotContains(t, fmt.Sprintf("%v %+v", s, *s), s.APIKey)
}

func TestToken(t *testing.T) {
	s := Open(t)
	first, second := s.Token(t, "ada", "app"), s.Token(t, "ben", "partner")
	for token, client := range map[string]string{first: "app", second: "partner"} {
		var claims jwt.MapClaims
		_, _, err := jwt.NewParser().ParseUnverified(token, &claims)
		require.NoError(t, err)
		require.Equal(t, s.Clients[client].ID, claims["client_id"])
	}
}

// TestRead: whatever is wrong is said, and nothing of the file.
func TestRead(t *testing.T) {
	deployed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/health" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(deployed.Close)
	alive := deployed.Listener.Addr().String()
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() {
		for {
			c, err := mute.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = mute.Close() })
	stack := func(endpoint, stage string) string {
		return fmt.Sprintf(`{"api": "http://%[1]s/%[2]s", "api_key": "canary", "outputs": {"ReadingsTable": "t"},
			"endpoints": {"aws": "http://%[1]s", "cognito": "http://%[1]s"}}`, endpoint, stage)
	}
	for _, test := range []struct{ name, text, want string }{
		{"not JSON", "canary", "is not what make up writes"},
		{"another JSON", `{"canary": 1}`, "is not what make up writes"},
		{"no addresses", `{"api": "x", "outputs": {"ReadingsTable": "canary"}}`, "nobody listens"},
		{"an address that is none", stack(":canary:", "v1"), "is not what make up writes"},
		{"nobody there", stack("127.0.0.1:1", "v1"), "nobody listens at 127.0.0.1:1"},
		{"no API there", stack(mute.Addr().String(), "v1"), "its API does not answer"},
		{"another API there", stack(alive, "canary"), "its API is not deployed: /health is 404"},
		{"up", stack(alive, "v1"), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			require.NoError(t, os.Mkdir(filepath.Join(root, ".local"), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(root, ".local", "stack.json"), []byte(test.text), 0o600))
			_, err := read(root)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), "canary")
		})
	}
	_, err = read(t.TempDir())
	require.ErrorContains(t, err, "there is no .local/stack.json")
}
