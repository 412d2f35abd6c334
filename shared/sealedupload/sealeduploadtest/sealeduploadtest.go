// Package sealeduploadtest is a fake of sealedupload.Unwrapper, its contract, and a
// client that seals uploads, also wrongly.
package sealeduploadtest

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/jwks"
	"fitvault/shared/sealedupload"
)

// private is made once a test run, stored nowhere.
var private = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		panic(err)
	}
	return key
})

// Key is an upload key in memory.
type Key struct {
	Calls atomic.Int64
	Err   error // what it fails with, where set
}

func (k *Key) UnwrapContentKey(_ context.Context, encrypted []byte) ([]byte, error) {
	k.Calls.Add(1)
	if k.Err != nil {
		return nil, k.Err
	}
	key, err := rsa.DecryptOAEP(sha256.New(), nil, private(), encrypted, nil)
	if err != nil {
		return nil, sealedupload.ErrNotWrapped
	}
	return key, nil
}

// Public is the public half of every Key.
func Public() *rsa.PublicKey { return &private().PublicKey }

// KeyID is its id.
func KeyID() string {
	k, err := jwks.Of(Public())
	if err != nil {
		panic(err)
	}
	return k.Kid
}

// Header is the header of a good upload, whose members may be changed.
func Header(public *rsa.PublicKey, audience, owner, client, mediaType string, at time.Time) map[string]any {
	k, err := jwks.Of(public)
	if err != nil {
		panic(err)
	}
	return map[string]any{"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": k.Kid, "cty": mediaType, "aud": audience, "sub": owner,
		"client_id": client, "iat": at.Unix(), "exp": at.Add(5 * time.Minute).Unix()}
}

// Seal encrypts a body under a header.
func Seal(public *rsa.PublicKey, header map[string]any, body []byte) string {
	text, err := json.Marshal(header)
	if err != nil {
		panic(err)
	}
	return SealText(public, string(text), body)
}

// SealText encrypts under a header that is text, whatever it says.
func SealText(public *rsa.PublicKey, header string, body []byte) string {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, key, nil)
	if err != nil {
		panic(err)
	}
	return Assemble(key, wrapped, header, body)
}

// Assemble is a JWE of a content key that is known and one that is wrapped, of any
// length.
func Assemble(key, wrapped []byte, header string, body []byte) string {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	protected := encode([]byte(header))
	sealed := aead.Seal(nil, nil, body, []byte(protected))
	n := len(sealed) - 16
	return strings.Join([]string{protected, encode(wrapped), encode(sealed[:12]), encode(sealed[12:n]), encode(sealed[n:])}, ".")
}

// UnwrapperContract is the contract of sealedupload.Unwrapper for a key whose
// public half is given.
func UnwrapperContract(t *testing.T, unwrapper sealedupload.Unwrapper, public *rsa.PublicKey) {
	require.Equal(t, 3072, public.N.BitLen())
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	wrap := func(t *testing.T, to *rsa.PublicKey, label []byte) []byte {
		wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, to, key, label)
		require.NoError(t, err)
		return wrapped
	}
	t.Run("what was wrapped comes back", func(t *testing.T) {
		got, err := unwrapper.UnwrapContentKey(t.Context(), wrap(t, public, nil))
		require.NoError(t, err)
		require.Equal(t, key, got)
	})
	other, err := rsa.GenerateKey(rand.Reader, 3072)
	require.NoError(t, err)
	altered := wrap(t, public, nil)
	altered[100] ^= 1
	for name, encrypted := range map[string][]byte{
		"altered":        altered,
		"to another key": wrap(t, &other.PublicKey, nil),
		"with a label":   wrap(t, public, []byte("label")),
		"zeros":          make([]byte, 384),
	} {
		t.Run(name+" is ErrNotWrapped", func(t *testing.T) {
			got, err := unwrapper.UnwrapContentKey(t.Context(), encrypted)
			require.ErrorIs(t, err, sealedupload.ErrNotWrapped)
			require.Empty(t, got)
		})
	}
	t.Run("a call that has been given up is another failure", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, fake := unwrapper.(*Key); fake {
			t.Skip("the fake calls nobody")
		}
		_, err := unwrapper.UnwrapContentKey(ctx, wrap(t, public, nil))
		require.Error(t, err)
		require.NotErrorIs(t, err, sealedupload.ErrNotWrapped)
	})
}
