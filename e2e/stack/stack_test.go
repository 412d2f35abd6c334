package stack

import (
	"fmt"
	"net"
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
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	alive := listener.Addr().String()
	stack := func(endpoint string) string {
		return fmt.Sprintf(`{"api": "http://x/v1", "api_key": "canary", "outputs": {"ReadingsTable": "t"},
			"endpoints": {"aws": "http://%s", "cognito": "http://%s"}}`, endpoint, endpoint)
	}
	for _, test := range []struct{ name, text, want string }{
		{"not JSON", "canary", "is not what make up writes"},
		{"another JSON", `{"canary": 1}`, "is not what make up writes"},
		{"no addresses", `{"api": "x", "outputs": {"ReadingsTable": "canary"}}`, "nobody listens"},
		{"an address that is none", stack(":canary:"), "is not what make up writes"},
		{"nobody there", stack("127.0.0.1:1"), "nobody listens at 127.0.0.1:1"},
		{"up", stack(alive), ""},
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
	require.NoError(t, listener.Close())
	_, err = read(t.TempDir())
	require.ErrorContains(t, err, "there is no .local/stack.json")
}
