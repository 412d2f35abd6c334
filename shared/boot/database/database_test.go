package database_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/boot"
	"fitvault/shared/boot/database"
)

// settings is the environment of a function on AWS.
func settings(t *testing.T, change ...string) {
	all := map[string]string{"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "a secret of some length",
		"DATABASE_HOST": "cluster.example", "DATABASE_PORT": "5432", "DATABASE_NAME": "fitvault", "DATABASE_USER": "fitvault_project",
		"DATABASE_CA_PARAMETER": "/fitvault/database-ca", "DATABASE_SIGN_IN": "iam"}
	for i := 0; i+1 < len(change); i += 2 {
		all[change[i]] = change[i+1]
	}
	for name, value := range all {
		t.Setenv(name, value)
	}
}

// TestSignInByIAM: the password is a request to connect as that user to that
// host, signed by the function's role, for 15 minutes.
func TestSignInByIAM(t *testing.T) {
	settings(t)
	c := database.Config(boot.Load(t.Context()))
	require.Equal(t, []any{"cluster.example", uint16(5432), "fitvault", "fitvault_project"}, []any{c.Host, c.Port, c.Database, c.User})
	token, err := c.Password(t.Context())
	require.NoError(t, err)
	u, err := url.Parse("https://" + token)
	require.NoError(t, err)
	q := u.Query()
	require.Equal(t, "cluster.example:5432", u.Host)
	require.Equal(t, []string{"connect", "fitvault_project", "900"}, []string{q.Get("Action"), q.Get("DBUser"), q.Get("X-Amz-Expires")})
	require.Contains(t, q.Get("X-Amz-Credential"), "/eu-central-1/rds-db/")
	require.NotNil(t, database.Open(boot.Load(t.Context())), "and nothing has been connected")
}

// TestSignInLocally: the password and the certificates are read each time.
func TestSignInLocally(t *testing.T) {
	var asked []string
	ssm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Name           string
			WithDecryption bool
		}
		if json.NewDecoder(r.Body).Decode(&in) != nil || !in.WithDecryption {
			t.Error("a SecureString comes only to who asks for it decrypted")
		}
		asked = append(asked, in.Name)
		_ = json.NewEncoder(w).Encode(map[string]any{"Parameter": map[string]string{"Value": "text of " + in.Name}})
	}))
	defer ssm.Close()
	settings(t, "DATABASE_SIGN_IN", "/fitvault/database/fitvault_project", "AWS_ENDPOINT_URL", ssm.URL)
	c := database.Config(boot.Load(t.Context()))
	require.Empty(t, asked)
	password, err := c.Password(t.Context())
	require.NoError(t, err)
	ca, err := c.CA(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"text of /fitvault/database/fitvault_project", "text of /fitvault/database-ca"}, []string{password, ca})
	_, err = c.Password(t.Context())
	require.NoError(t, err)
	require.Len(t, asked, 3)
}

// TestWithoutAPortNothingStarts in a process of its own.
func TestWithoutAPortNothingStarts(t *testing.T) {
	if os.Getenv("FITVAULT_DATABASE_TEST") != "" {
		database.Config(boot.Load(t.Context()))
		return
	}
	settings(t, "DATABASE_PORT", "70000", "FITVAULT_DATABASE_TEST", "child")
	self, err := os.Executable()
	require.NoError(t, err)
	command := exec.Command(self, "-test.run=^TestWithoutAPortNothingStarts$")
	var text strings.Builder
	command.Stderr = &text
	var exit *exec.ExitError
	require.ErrorAs(t, command.Run(), &exit)
	require.Contains(t, text.String(), "setting DATABASE_PORT is no port")
}
