package boot_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/boot"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge"
	"fitvault/shared/keyring"
	"fitvault/shared/kmskeys"
	"fitvault/shared/limit"
)

// child, in the environment, makes the test's own process the one that ends.
const child = "FITVAULT_BOOT_TEST"

// ends runs what a child does in a process of its own, and returns its last
// words; it must end with 1.
func ends(t *testing.T, what string) (record struct{ Level, Msg, Deployment, Error string }) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	command := exec.Command(self, "-test.run=^TestChild$")
	command.Env = append(os.Environ(), child+"="+what)
	var exit *exec.ExitError
	_, err = command.Output()
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 1, exit.ExitCode())
	require.NoError(t, json.Unmarshal(exit.Stderr, &record), "one JSON record on standard error")
	return record
}

func TestChild(*testing.T) {
	switch os.Getenv(child) {
	case "env":
		boot.Env("READINGS_TABLE")
	case "number":
		boot.Load(context.Background()).Edge("readings", dynamo.Tables{})
	case "fail":
		boot.Fail(errors.New("no keys"))
	}
}

// TestWithoutASettingNothingStarts: and the log names the setting.
func TestWithoutASettingNothingStarts(t *testing.T) {
	t.Setenv("READINGS_TABLE", "")
	t.Setenv("DEPLOYMENT", "ours")
	require.Equal(t, struct{ Level, Msg, Deployment, Error string }{"ERROR", "cannot start", "ours", "setting READINGS_TABLE is empty"}, ends(t, "env"))
	require.Equal(t, struct{ Level, Msg, Deployment, Error string }{"ERROR", "cannot start", "ours", "no keys"}, ends(t, "fail"))
	for name, value := range map[string]string{"AWS_REGION": "eu-central-1", "USER_LIMIT": "many"} {
		t.Setenv(name, value)
	}
	require.Equal(t, struct{ Level, Msg, Deployment, Error string }{"ERROR", "cannot start", "ours", "setting USER_LIMIT is no number"}, ends(t, "number"))
	t.Setenv("READINGS_TABLE", "readings")
	require.Equal(t, "readings", boot.Env("READINGS_TABLE"))
}

// TestWiring: what is put together is complete, as far as it can be seen
// without AWS.
func TestWiring(t *testing.T) {
	for name, value := range map[string]string{"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "a secret of some length",
		"TOKEN_ISSUER": "https://issuer", "TOKEN_KEYS_PARAMETER": "/fitvault/token-keys", "REQUESTS_TABLE": "requests",
		"USER_LIMIT": "300", "DEVICE_LIMIT": "60", "ADDRESS_LIMIT": "50", "CLIENT_LIMIT": "36000", "ADDRESS_KEY_PARAMETER": "/fitvault/address-key"} {
		t.Setenv(name, value)
	}
	aws := boot.Load(t.Context())
	tables := aws.Tables(dynamo.Tables{Keys: "keys"})
	require.NotNil(t, tables.Client)
	require.Equal(t, "keys", tables.Keys)
	require.Empty(t, tables.Readings, "a function uses the tables that it names")

	config := aws.Edge("readings", tables)
	require.NotPanics(t, func() { edge.New(config) })
	require.Equal(t, [2]string{"readings", "https://issuer"}, [2]string{config.Function, config.Issuer})
	require.Nil(t, config.StaffKeys)
	require.Equal(t, limit.Limits{User: 300, Device: 60, Address: 50, Client: 36000}, config.Limits)
	require.Equal(t, "requests", config.Limiter.(*dynamo.Limiter).Requests, "limits have their table even where a function names none")
	require.Empty(t, tables.Requests)
	require.Empty(t, config.Origins)
	t.Setenv("WEB_ORIGINS", "https://app.example,https://b.example:8443")
	require.Equal(t, []string{"https://app.example", "https://b.example:8443"}, aws.Edge("readings", tables).Origins)

	t.Setenv("STAFF_TOKEN_ISSUER", "https://staff")
	t.Setenv("STAFF_TOKEN_KEYS_PARAMETER", "/fitvault/staff-token-keys")
	config = aws.Edge("devices", tables)
	require.Equal(t, [2]string{"https://issuer", "https://staff"}, [2]string{config.Issuer, config.StaffIssuer})
	require.NotNil(t, config.StaffKeys)
	t.Setenv("TOKEN_ISSUER", "")
	config = aws.Edge("admin", tables)
	require.Equal(t, [2]string{"", "https://staff"}, [2]string{config.Issuer, config.StaffIssuer})
	require.Nil(t, config.Keys, "no people's tokens where no route takes them")

	keys := aws.Keys(map[string]string{"data": "arn"})
	require.IsType(t, kmskeys.Keys{}, keys)
	ring := boot.Ring("fitvault", tables, keys, time.Minute)
	require.Equal(t, [2]any{"fitvault", time.Minute}, [2]any{ring.Deployment, ring.Hold})
	require.Implements(t, (*keyring.Store)(nil), ring.Store)
	require.Nil(t, ring.Verify, "only intake seals")

	require.False(t, aws.Bucket("documents", 1).Client.Options().UsePathStyle)
	require.Equal(t, "/p", aws.Parameter("/p").Name)
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	require.True(t, boot.Load(t.Context()).Bucket("documents", 1).Client.Options().UsePathStyle, "a local S3 has no host names")
}
