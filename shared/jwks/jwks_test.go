package jwks_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
	"fitvault/shared/jwks"
)

// TestSet: go-jose reads the keys that were published, and names them the same.
func TestSet(t *testing.T) {
	encryption, err := rsa.GenerateKey(rand.Reader, 3072)
	require.NoError(t, err)
	want := []struct {
		public   any
		use, alg string
	}{{&encryption.PublicKey, "enc", "RSA-OAEP-256"}}
	for range 64 { // some have coordinates that begin with a zero
		signing, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		want = append(want, struct {
			public   any
			use, alg string
		}{&signing.PublicKey, "sig", "ES256"})
	}
	var keys []jwks.Key
	for _, w := range want {
		k, err := jwks.Of(w.public)
		require.NoError(t, err)
		keys = append(keys, k)
	}
	text, err := jwks.Set(keys...)
	require.NoError(t, err)

	var read jose.JSONWebKeySet
	require.NoError(t, json.Unmarshal(text, &read))
	require.Len(t, read.Keys, len(want))
	for i, k := range read.Keys {
		require.True(t, k.Valid())
		require.True(t, k.IsPublic())
		require.Equal(t, [2]string{want[i].use, want[i].alg}, [2]string{k.Use, k.Algorithm})
		require.Equal(t, want[i].public, k.Key)
		thumbprint, err := k.Thumbprint(crypto.SHA256)
		require.NoError(t, err)
		require.Equal(t, base64.RawURLEncoding.EncodeToString(thumbprint), k.KeyID)
	}
}

func TestAnEmptySetIsAList(t *testing.T) {
	text, err := jwks.Set()
	require.NoError(t, err)
	require.JSONEq(t, `{"keys": []}`, string(text))
}

func TestOtherKeysAreNotPublished(t *testing.T) {
	short, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	for _, key := range []any{nil, "key", &short.PublicKey, &p384.PublicKey, private, ed} {
		_, err := jwks.Of(key)
		require.Equal(t, fault.Internal, fault.KindOf(err))
	}
}
