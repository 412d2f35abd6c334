package vault_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/vault"
)

// world is one owner with keys as KMS would have made them.
type world struct {
	enrol     *ecdsa.PrivateKey
	statement vault.Statement
	signature []byte
	data      vault.DataKey
	private   vault.PrivateKey
	writer    vault.WriterKey
}

var place = vault.Place{Deployment: "fitvault", Table: "Readings", Owner: "ada", Day: "2026-05-04", ID: "block-1"}

func newWorld(t testing.TB) world {
	t.Helper()
	owner, enrol := newKey(t, elliptic.P256()), newKey(t, elliptic.P256())
	w := world{enrol: enrol, statement: vault.Statement{
		Deployment: place.Deployment, Owner: place.Owner, KeyID: "key-1",
		Public: publicDER(t, &owner.PublicKey), At: time.Unix(1777872300, 0),
	}}
	w.signature = sign(t, enrol, w.statement.Bytes())
	var err error
	w.data, err = vault.Enrolled(w.statement, w.signature, &enrol.PublicKey)
	require.NoError(t, err)
	w.private, err = vault.ParsePrivateKey("key-1", privateDER(t, owner))
	require.NoError(t, err)
	w.writer = newWriter(t, "writer-1")
	return w
}

func (w world) sealer(t testing.TB) *vault.Sealer {
	t.Helper()
	s, err := vault.NewSealer(w.data, w.writer)
	require.NoError(t, err)
	return s
}

func (w world) opener() *vault.Opener {
	return vault.NewOpener([]vault.PrivateKey{w.private}, []vault.WriterKey{w.writer})
}

func newWriter(t testing.TB, id string) vault.WriterKey {
	t.Helper()
	w, err := vault.NewWriterKey(id, random(32))
	require.NoError(t, err)
	return w
}

func newKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	return key
}

func publicDER(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	require.NoError(t, err)
	return der
}

func privateDER(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return der
}

func sign(t testing.TB, key *ecdsa.PrivateKey, message []byte) []byte {
	t.Helper()
	digest := sha256.Sum256(message)
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	require.NoError(t, err)
	return signature
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// golden is testdata/golden.json.
type golden struct {
	KeyID          string   `json:"key_id"`
	PrivateKey     hexBytes `json:"private_key"`
	PublicKey      hexBytes `json:"public_key"`
	WriterKeyID    string   `json:"writer_key_id"`
	WriterKey      hexBytes `json:"writer_key"`
	EnrolPublicKey hexBytes `json:"enrol_public_key"`
	Statement      hexBytes `json:"statement"`
	Signature      hexBytes `json:"signature"`
	At             int64    `json:"at"`
	Pieces         []struct {
		Place     vault.Place `json:"place"`
		Plaintext hexBytes    `json:"plaintext"`
		Sealed    hexBytes    `json:"sealed"`
	} `json:"pieces"`
	ServiceKey    hexBytes `json:"service_key"`
	ManifestParts []string `json:"manifest_parts"`
	ManifestID    string   `json:"manifest_id"`
	Body          hexBytes `json:"body"`
	BodyMAC       hexBytes `json:"body_mac"`
	PageContext   hexBytes `json:"page_context"`
	PagePlaintext hexBytes `json:"page_plaintext"`
	PageToken     string   `json:"page_token"`
}

type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

func readGolden(t testing.TB) golden {
	t.Helper()
	b, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	var g golden
	require.NoError(t, json.Unmarshal(b, &g))
	require.NotEmpty(t, g.Pieces)
	return g
}

func (g golden) opener(t testing.TB) *vault.Opener {
	t.Helper()
	private, err := vault.ParsePrivateKey(g.KeyID, g.PrivateKey)
	require.NoError(t, err)
	writer, err := vault.NewWriterKey(g.WriterKeyID, g.WriterKey)
	require.NoError(t, err)
	return vault.NewOpener([]vault.PrivateKey{private}, []vault.WriterKey{writer})
}
