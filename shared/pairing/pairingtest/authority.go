package pairingtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Authority is an offline root, and the signing key of a service under it.
type Authority struct {
	Root    *x509.Certificate
	RootKey *ecdsa.PrivateKey
	Key     *ecdsa.PrivateKey // the service's
	Leaf    []byte            // its certificate, DER
}

// Template is the service's certificate before it is signed.
func Template(deployment string, now time.Time) *x509.Certificate {
	return &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "fitvault pairing", Organization: []string{deployment}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(365 * 24 * time.Hour), BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature}
}

// NewAuthority makes a root and a service's key, good around now.
func NewAuthority(t testing.TB, deployment string, now time.Time) *Authority {
	t.Helper()
	a := &Authority{RootKey: key(t), Key: key(t)}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fitvault pairing root"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(20 * 365 * 24 * time.Hour), IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, root, root, &a.RootKey.PublicKey, a.RootKey)
	require.NoError(t, err)
	a.Root, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	a.Leaf = a.Issue(t, Template(deployment, now), &a.Key.PublicKey)
	return a
}

func key(t testing.TB) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return k
}

// Issue signs a certificate.
func (a *Authority) Issue(t testing.TB, template *x509.Certificate, public any) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, a.Root, public, a.RootKey)
	require.NoError(t, err)
	return der
}

// Sign implements pairing.Signer.
func (a *Authority) Sign(ctx context.Context, message []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	digest := sha256.Sum256(message)
	return ecdsa.SignASN1(rand.Reader, a.Key, digest[:])
}

// Certificate is pairing.Service's.
func (a *Authority) Certificate(context.Context) ([]byte, error) { return a.Leaf, nil }
