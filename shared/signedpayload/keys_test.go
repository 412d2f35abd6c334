package signedpayload_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/pairing"
	"fitvault/shared/pairing/tracker"
)

func newPair(t testing.TB) (*ecdsa.PrivateKey, pairing.Key) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	key, err := pairing.NewKey(&private.PublicKey)
	require.NoError(t, err)
	return private, key
}

// public is a tracker's key as another's library wants it.
func public(t testing.TB, tr *tracker.Tracker) *ecdsa.PublicKey {
	x, y := elliptic.UnmarshalCompressed(elliptic.P256(), tr.PublicKey())
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x.FillBytes(make([]byte, 32))...), y.FillBytes(make([]byte, 32))...))
	require.NoError(t, err)
	return key
}
