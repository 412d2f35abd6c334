package edge_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
)

// parameter is a ParameterStore that counts.
type parameter struct {
	text  string
	err   error
	reads int
}

func (p *parameter) Value(context.Context) (string, error) {
	p.reads++
	return p.text, p.err
}

func TestStoredKeys(t *testing.T) {
	one, two := edgetest.JWKS("one", &edgetest.Key().PublicKey), edgetest.JWKS("two", &edgetest.Key().PublicKey)
	store := &parameter{text: one}
	now := time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)
	keys := edge.NewStoredKeys(store, func() time.Time { return now })
	require.Zero(t, store.reads, "nothing is read before it is needed")

	known := func(kid string) {
		t.Helper()
		key, err := keys.Key(t.Context(), kid)
		require.NoError(t, err)
		require.True(t, key.Equal(&edgetest.Key().PublicKey))
	}
	fails := func(kid string, want error) error {
		t.Helper()
		key, err := keys.Key(t.Context(), kid)
		require.ErrorIs(t, err, want)
		require.Nil(t, key)
		return err
	}

	known("one")
	for range 100 {
		fails("two", edge.ErrUnknownKey)
	}
	require.Equal(t, 1, store.reads, "an unknown key id reads nothing")

	store.text = two
	now = now.Add(5*time.Minute - 1)
	known("one")
	now = now.Add(1)
	known("two")
	fails("one", edge.ErrUnknownKey)
	require.Equal(t, 2, store.reads, "read again after five minutes")

	store.err = errors.New("down")
	read := now
	now = now.Add(5 * time.Minute)
	for range 100 {
		known("two")
	}
	require.Equal(t, 3, store.reads, "one try in five seconds")
	now = now.Add(5 * time.Second)
	known("two")
	require.Equal(t, 4, store.reads)

	store.err, store.text = nil, "no JWKS any more"
	now = read.Add(time.Hour - 1)
	known("two")
	now = read.Add(time.Hour + 5*time.Second)
	fails("two", edge.ErrNoKeys)
	fails("one", edge.ErrNoKeys)

	store.text = one
	now = now.Add(5 * time.Second)
	known("one")
}

func TestStoredKeysFromACold(t *testing.T) {
	cause := errors.New("down")
	store := &parameter{err: cause}
	now := time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)
	keys := edge.NewStoredKeys(store, func() time.Time { return now })
	for range 3 {
		_, err := keys.Key(t.Context(), "one")
		require.ErrorIs(t, err, edge.ErrNoKeys)
		require.ErrorIs(t, err, cause, "for the log")
	}
	require.Equal(t, 1, store.reads)
	store.err, store.text = nil, edgetest.JWKS("one", &edgetest.Key().PublicKey)
	now = now.Add(5 * time.Second)
	_, err := keys.Key(t.Context(), "one")
	require.NoError(t, err)
}

// jwk is one key with some members replaced; "" removes one.
func jwk(t *testing.T, replace map[string]string) map[string]string {
	var set struct{ Keys []map[string]string }
	require.NoError(t, json.Unmarshal([]byte(edgetest.JWKS("one", &edgetest.Key().PublicKey)), &set))
	for name, value := range replace {
		set.Keys[0][name] = value
		if value == "" {
			delete(set.Keys[0], name)
		}
	}
	return set.Keys[0]
}

func jwks(t *testing.T, keys ...map[string]string) string {
	text, err := json.Marshal(map[string]any{"keys": keys})
	require.NoError(t, err)
	return string(text)
}

func bits(n int) string {
	number := new(big.Int).Lsh(big.NewInt(1), uint(n-1))
	return base64.RawURLEncoding.EncodeToString(number.SetBit(number, 0, 1).Bytes())
}

func exponent(e int64) string { return base64.RawURLEncoding.EncodeToString(big.NewInt(e).Bytes()) }

func TestParseJWKS(t *testing.T) {
	good := jwk(t, nil)
	second := jwk(t, map[string]string{"kid": "two"})
	other := []map[string]string{
		jwk(t, map[string]string{"kid": "e", "kty": "EC"}),
		jwk(t, map[string]string{"kid": "c", "use": "enc"}),
		jwk(t, map[string]string{"kid": "u", "use": ""}),
		jwk(t, map[string]string{"kid": "5", "alg": "RS512"}),
		jwk(t, map[string]string{"kid": "a", "alg": ""}),
	}
	many := make([]map[string]string, 32)
	for i := range many {
		many[i] = other[0]
	}

	accepted := map[string]struct {
		text string
		kids []string
	}{
		"one":                       {jwks(t, good), []string{"one"}},
		"two":                       {jwks(t, good, second), []string{"one", "two"}},
		"others passed over":        {jwks(t, append(other, good)...), []string{"one"}},
		"32 keys":                   {jwks(t, append(many[:31:31], good)...), []string{"one"}},
		"4096 bits":                 {jwks(t, jwk(t, map[string]string{"n": bits(4096)})), []string{"one"}},
		"the largest exponent":      {jwks(t, jwk(t, map[string]string{"e": exponent(1<<31 - 1)})), []string{"one"}},
		"the longest key id":        {jwks(t, jwk(t, map[string]string{"kid": strings.Repeat("a", 128)})), []string{strings.Repeat("a", 128)}},
		"unknown members":           {strings.Replace(jwks(t, good), `"kid"`, `"x5c":["a"],"kid"`, 1), []string{"one"}},
		"as MiniStack and RFC 7517": {" \n" + jwks(t, good) + "\n", []string{"one"}},
	}
	for name, test := range accepted {
		t.Run(name, func(t *testing.T) {
			keys, err := edge.ParseJWKS(test.text)
			require.NoError(t, err)
			require.Len(t, keys, len(test.kids))
			for _, kid := range test.kids {
				require.NotNil(t, keys[kid])
			}
		})
	}

	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err == nil { // refused outright where only FIPS keys are made
		t.Run("a real key of 1024 bits", func(t *testing.T) {
			_, err := edge.ParseJWKS(edgetest.JWKS("one", &small.PublicKey))
			require.Error(t, err)
		})
	}
	refused := map[string]string{
		"nothing":              "",
		"not JSON":             "none yet",
		"null":                 "null",
		"a list":               jwks(t, good)[8:],
		"no keys":              `{"keys":[]}`,
		"no member":            `{}`,
		"member in capitals":   strings.Replace(jwks(t, good), `"keys"`, `"Keys"`, 1),
		"keys twice":           strings.Replace(jwks(t, good), `{"keys"`, `{"keys":[],"keys"`, 1),
		"a member twice":       strings.Replace(jwks(t, good), `"kid"`, `"kid":"x","kid"`, 1),
		"two documents":        jwks(t, good) + jwks(t, good),
		"only others":          jwks(t, other...),
		"a key id twice":       jwks(t, good, good),
		"no key id":            jwks(t, jwk(t, map[string]string{"kid": ""})),
		"a key id with space":  jwks(t, jwk(t, map[string]string{"kid": "a b"})),
		"a long key id":        jwks(t, jwk(t, map[string]string{"kid": strings.Repeat("a", 129)})),
		"no modulus":           jwks(t, jwk(t, map[string]string{"n": ""})),
		"modulus not base64":   jwks(t, jwk(t, map[string]string{"n": "%"})),
		"modulus padded":       jwks(t, jwk(t, map[string]string{"n": good["n"] + "=="})),
		"modulus of 2047 bits": jwks(t, jwk(t, map[string]string{"n": bits(2047)})),
		"modulus of 4097 bits": jwks(t, jwk(t, map[string]string{"n": bits(4097)})),
		"modulus even":         jwks(t, jwk(t, map[string]string{"n": base64.RawURLEncoding.EncodeToString(new(big.Int).Lsh(big.NewInt(1), 2047).Bytes())})),
		"no exponent":          jwks(t, jwk(t, map[string]string{"e": ""})),
		"exponent 0":           jwks(t, jwk(t, map[string]string{"e": "AA"})),
		"exponent 1":           jwks(t, jwk(t, map[string]string{"e": exponent(1)})),
		"exponent 3":           jwks(t, jwk(t, map[string]string{"e": exponent(3)})),
		"exponent even":        jwks(t, jwk(t, map[string]string{"e": exponent(65538)})),
		"exponent of 32 bits":  jwks(t, jwk(t, map[string]string{"e": exponent(1<<32 - 1)})),
		"exponent of 9 bytes":  jwks(t, jwk(t, map[string]string{"e": base64.RawURLEncoding.EncodeToString(new(big.Int).Lsh(big.NewInt(1), 64).Bytes())})),
		"exponent not base64":  jwks(t, jwk(t, map[string]string{"e": "%"})),
		"one good, one broken": jwks(t, good, jwk(t, map[string]string{"kid": "two", "e": ""})),
		"33 keys":              jwks(t, append(many, good)...),
		"too long":             jwks(t, good) + strings.Repeat(" ", 64<<10),
		"n a number":           strings.Replace(jwks(t, good), `"kty":"RSA"`, `"kty":1`, 1),
		"deep":                 strings.Repeat(`{"keys":[`, 2000),
		"not UTF-8":            strings.Replace(jwks(t, good), `"kid":"one"`, "\"kid\":\"\xff\"", 1),
	}
	for name, text := range refused {
		t.Run(name, func(t *testing.T) {
			keys, err := edge.ParseJWKS(text)
			require.Error(t, err)
			require.Nil(t, keys)
		})
	}
}

func FuzzParseJWKS(f *testing.F) {
	f.Add(edgetest.JWKS("one", &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 2047, 1), E: 65537}))
	f.Add(`{"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":"a","n":"AQ","e":"AQAB"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := edge.ParseJWKS(text)
		if err != nil {
			require.Nil(t, keys)
			return
		}
		require.NotEmpty(t, keys)
		for _, key := range keys {
			require.True(t, key.N.BitLen() >= 2048 && key.N.BitLen() <= 4096 && key.N.Bit(0) == 1)
			require.True(t, key.E >= 65537 && key.E%2 == 1)
		}
	})
}
