package vault_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"fitvault/shared/fault"
	"fitvault/shared/vault"
)

func TestGoldenServiceKeys(t *testing.T) {
	g := readGolden(t)
	requests, err := vault.NewRequestsKey("requests-1", g.ServiceKey)
	require.NoError(t, err)
	require.Equal(t, "requests-1", requests.ID())
	require.Equal(t, g.ManifestID, requests.ManifestID(g.ManifestParts...))
	require.Equal(t, []byte(g.BodyMAC), requests.BodyMAC(g.ManifestID, g.Body))

	pages, err := vault.NewPagesKey(g.ServiceKey)
	require.NoError(t, err)
	opened, err := pages.Open(g.PageToken, g.PageContext)
	require.NoError(t, err)
	require.Equal(t, []byte(g.PagePlaintext), opened)
}

func TestManifestIDTellsPartsApart(t *testing.T) {
	key, err := vault.NewRequestsKey("requests-1", random(32))
	require.NoError(t, err)
	other, err := vault.NewRequestsKey("requests-1", random(32))
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, parts := range [][]string{nil, {""}, {"", ""}, {"ab"}, {"a", "b"}, {"", "ab"}, {"ab", ""}, {"b", "a"}, {"a\x00b"}} {
		id := key.ManifestID(parts...)
		require.Regexp(t, "^[0-9a-f]{64}$", id)
		require.False(t, seen[id])
		seen[id] = true
		require.Equal(t, id, key.ManifestID(parts...))
		require.NotEqual(t, id, other.ManifestID(parts...))
	}
}

func TestBodyMACDependsOnManifestAndBody(t *testing.T) {
	key, err := vault.NewRequestsKey("requests-1", random(32))
	require.NoError(t, err)
	mac := key.BodyMAC("m", []byte("[]"))
	require.Len(t, mac, 32)
	require.Equal(t, mac, key.BodyMAC("m", []byte("[]")))
	require.NotEqual(t, mac, key.BodyMAC("n", []byte("[]")))
	require.NotEqual(t, mac, key.BodyMAC("m", []byte("[ ]")))
	require.NotEqual(t, mac, key.BodyMAC("m[", []byte("]")))
}

func TestPageTokenRoundTrip(t *testing.T) {
	key, err := vault.NewPagesKey(random(32))
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		plaintext := rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(t, "plaintext")
		context := rapid.SliceOf(rapid.Byte()).Draw(t, "context")
		token := key.Seal(plaintext, context)
		require.Regexp(t, "^[A-Za-z0-9_-]+$", token)
		opened, err := key.Open(token, context)
		require.NoError(t, err)
		require.True(t, bytes.Equal(plaintext, opened))
	})
}

func TestPageTokenRefused(t *testing.T) {
	key, err := vault.NewPagesKey(random(32))
	require.NoError(t, err)
	other, err := vault.NewPagesKey(random(32))
	require.NoError(t, err)
	context := []byte("route, owner, caller")
	token := key.Seal([]byte("2026-05-04"), context)
	require.NotEqual(t, token, key.Seal([]byte("2026-05-04"), context), "random nonce")

	for name, test := range map[string]struct {
		key     vault.PagesKey
		token   string
		context []byte
	}{
		"another key":      {other, token, context},
		"another context":  {key, token, []byte("route, other, caller")},
		"no context":       {key, token, nil},
		"nothing":          {key, "", context},
		"cut":              {key, token[:len(token)-1], context},
		"extended":         {key, token + "AAAA", context},
		"padded":           {key, token + "==", context},
		"line end":         {key, token + "\n", context},
		"carriage return":  {key, "\r" + token, context},
		"not base64":       {key, "!" + token[1:], context},
		"standard base64":  {key, "+" + token[1:], context},
		"too long":         {key, strings.Repeat("A", 4097), context},
		"short of a nonce": {key, base64.RawURLEncoding.EncodeToString(make([]byte, 27)), context},
	} {
		t.Run(name, func(t *testing.T) {
			opened, err := test.key.Open(test.token, test.context)
			require.ErrorIs(t, err, vault.ErrPageToken)
			require.Equal(t, fault.BadPageToken, fault.KindOf(err))
			require.Nil(t, opened)
		})
	}
}

func TestPageTokenEverySingleBitFlipFails(t *testing.T) {
	key, err := vault.NewPagesKey(random(32))
	require.NoError(t, err)
	context := []byte("context")
	box, err := base64.RawURLEncoding.DecodeString(key.Seal([]byte("2026-05-04"), context))
	require.NoError(t, err)
	for i := range len(box) * 8 {
		flipped := bytes.Clone(box)
		flipped[i/8] ^= 1 << (i % 8)
		_, err := key.Open(base64.RawURLEncoding.EncodeToString(flipped), context)
		require.ErrorIs(t, err, vault.ErrPageToken, "bit %d", i)
	}
}

// One token has one spelling, so that a token can be compared or counted as text.
func TestPageTokenHasOneSpelling(t *testing.T) {
	key, err := vault.NewPagesKey(random(32))
	require.NoError(t, err)
	token := key.Seal([]byte("1"), nil) // 29 bytes: the last character has spare bits
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	opens := 0
	for _, last := range alphabet {
		if _, err := key.Open(token[:len(token)-1]+string(last), nil); err == nil {
			opens++
		}
	}
	require.Equal(t, 1, opens)
}

func FuzzPageToken(f *testing.F) {
	g := readGolden(f)
	key, err := vault.NewPagesKey(g.ServiceKey)
	require.NoError(f, err)
	f.Add(g.PageToken)
	f.Fuzz(func(t *testing.T, token string) {
		opened, err := key.Open(token, g.PageContext)
		if token == g.PageToken {
			require.NoError(t, err)
			require.Equal(t, []byte(g.PagePlaintext), opened)
		} else {
			require.ErrorIs(t, err, vault.ErrPageToken)
		}
	})
}
