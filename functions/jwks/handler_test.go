package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"fitvault/guard/contract"
	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/sealedupload/sealeduploadtest"
)

// keys are public keys by name.
type keys map[string]any

func (k keys) AnyPublicKey(_ context.Context, name string) (any, error) {
	if key := k[name]; key != nil {
		return key, nil
	}
	return nil, errors.New("no such key")
}

func TestRoutes(t *testing.T) {
	want, err := contract.Belonging("../..", "jwks")
	require.NoError(t, err)
	served, err := documents(t.Context(), keys{}, nil)
	require.NoError(t, err)
	got := contract.Routes{}
	for _, d := range served {
		got["GET "+d.Resource] = contract.Route{} // no credentials
	}
	require.Equal(t, want, got)
}

// TestKeys runs the recorded event: all keys are published, in order, and may be
// kept for an hour.
func TestKeys(t *testing.T) {
	signing, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	served, err := documents(t.Context(), keys{"upload": sealeduploadtest.Public(), "receipts": &signing.PublicKey}, []string{"upload", "receipts"})
	require.NoError(t, err)
	w := edgetest.New(t)
	config := w.Config("jwks")
	public := edge.Public{Function: "jwks", Documents: served, Log: config.Log, Now: time.Now, Rand: rand.Reader}
	recorded, err := contract.Recorded("../..", "jwks", nil)
	require.NoError(t, err)
	require.Len(t, recorded, 1)
	answer, err := public.Handle(t.Context(), recorded["jwks-get-keys.json"])
	require.NoError(t, err)
	require.Equal(t, 200, answer.StatusCode)
	require.Equal(t, []string{"public, max-age=3600"}, answer.MultiValueHeaders["Cache-Control"])

	var set jose.JSONWebKeySet
	require.NoError(t, json.Unmarshal([]byte(answer.Body), &set))
	require.Len(t, set.Keys, 2)
	require.Equal(t, sealeduploadtest.Public(), set.Keys[0].Key)
	require.Equal(t, sealeduploadtest.KeyID(), set.Keys[0].KeyID)
	require.Equal(t, [2]string{"enc", "sig"}, [2]string{set.Keys[0].Use, set.Keys[1].Use})
}

func TestWithoutAllKeysNothingIsPublished(t *testing.T) {
	for name, k := range map[string]keys{"one that is missing": {}, "one of another kind": {"upload": "key"}} {
		served, err := documents(t.Context(), k, []string{"upload"})
		require.Error(t, err, name)
		require.Nil(t, served)
	}
}
