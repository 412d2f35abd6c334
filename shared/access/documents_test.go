package access_test

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/fault"
)

func digest(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

func TestKeys(t *testing.T) {
	require.Equal(t, "identity#xDqK74N14nzYw5i8T1b-KpPXWfmZ1UxSLEmltlcODHU", access.IdentityKey("issuer", "subject"),
		"a stored key: it must never change")
	require.NotEqual(t, access.IdentityKey("ab", "c"), access.IdentityKey("a", "bc"))
	require.NotEqual(t, access.IdentityKey("a", ""), access.IdentityKey("", "a"))
	id, err := access.ParseUserID("gaytemzugu3doobzmfrggzdfmy")
	require.NoError(t, err)
	require.Equal(t, "user#gaytemzugu3doobzmfrggzdfmy", access.OwnerKey(id))
	require.Equal(t, "app#abc", access.AppKey("abc"))
}

func TestDecodeApp(t *testing.T) {
	app, err := access.DecodeApp("client_1", "active", "own", []string{"fitvault/readings.read"}, []string{digest("one"), digest("two")})
	require.NoError(t, err)
	require.Equal(t, access.Active, app.State)
	require.Equal(t, []string{"fitvault/readings.read"}, app.Scopes)
	require.Equal(t, [][32]byte{sha256.Sum256([]byte("one")), sha256.Sum256([]byte("two"))}, app.APIKeys)

	off, err := access.DecodeApp("client", "off", "third-party", nil, nil)
	require.NoError(t, err)
	require.Equal(t, access.Off, off.State)
}

func TestLongestNames(t *testing.T) {
	longest := strings.Repeat("a", 128)
	app, err := access.DecodeApp(longest, "active", "own", []string{longest}, nil)
	require.NoError(t, err)
	require.Equal(t, longest, app.Client)
	require.True(t, access.ValidClient(longest))
	require.False(t, access.ValidClient(longest+"a"))
	require.False(t, access.ValidClient(""))
}

func TestDecodeAppRefuses(t *testing.T) {
	good := digest("one")
	tests := []struct {
		name, client, state string
		scopes, keys        []string
		kind                string
	}{
		{"no client", "", "active", nil, nil, ""},
		{"a client with a slash", "a/b", "active", nil, nil, ""},
		{"a long client", strings.Repeat("a", 129), "active", nil, nil, ""},
		{"no state", "a", "", nil, nil, ""},
		{"a made-up state", "a", "Active", nil, nil, ""},
		{"a scope with a space", "a", "active", []string{"x y"}, nil, ""},
		{"a long scope", "a", "active", []string{strings.Repeat("x", 129)}, nil, ""},
		{"an empty scope", "a", "active", []string{""}, nil, ""},
		{"a key in clear", "a", "active", nil, []string{"one"}, ""},
		{"an empty key", "a", "active", nil, []string{""}, ""},
		{"a short digest", "a", "active", nil, []string{good[:62]}, ""},
		{"a long digest", "a", "active", nil, []string{good + "00"}, ""},
		{"a digest that is not hex", "a", "active", nil, []string{"g" + good[1:]}, ""},
		{"a digest in capitals", "a", "active", nil, []string{strings.ToUpper(good)}, ""},
		{"a made-up kind", "a", "active", nil, nil, "mine"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			app, err := access.DecodeApp(test.client, test.state, cmp.Or(test.kind, "own"), test.scopes, test.keys)
			require.Error(t, err)
			require.Equal(t, fault.Internal, fault.KindOf(err))
			require.Zero(t, app)
		})
	}
}

func TestHasAPIKey(t *testing.T) {
	app, err := access.DecodeApp("a", "active", "own", nil, []string{digest("one"), digest("two")})
	require.NoError(t, err)
	require.True(t, app.HasAPIKey("one"))
	require.True(t, app.HasAPIKey("two"), "two keys while they are exchanged")
	for _, wrong := range []string{"", "three", "ONE", "one ", digest("one")} {
		require.False(t, app.HasAPIKey(wrong))
	}
	require.False(t, access.App{}.HasAPIKey(""), "an app without keys is opened by none")
	require.False(t, access.App{APIKeys: [][32]byte{{}}}.HasAPIKey(""))

	twice, err := access.DecodeApp("a", "active", "own", nil, []string{digest("one"), digest("one")})
	require.NoError(t, err)
	require.True(t, twice.HasAPIKey("one"), "stored twice by mistake")
}

func TestDocumentsPrintNothing(t *testing.T) {
	id, err := access.ParseUserID("gaytemzugu3doobzmfrggzdfmy")
	require.NoError(t, err)
	for _, value := range []any{
		access.Caller{User: id}, access.Owner{User: id, DataKey: "k"}, access.App{Client: "c"},
		access.Keys{Issuer: "i", User: id}, access.Principal{Subject: "s", User: id},
	} {
		require.Equal(t, "[redacted]", fmt.Sprintf("%+v", value))
	}
}
