// Package jwks publishes public keys as a JSON Web Key Set (RFC 7517).
package jwks

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"

	"fitvault/shared/fault"
)

// Key is a public key, with what it may be used for.
type Key struct {
	Kty string `json:"kty"`
	Use string `json:"use"` // enc or sig
	Alg string `json:"alg"`
	Kid string `json:"kid"` // RFC 7638 thumbprint with SHA-256
	N   string `json:"n,omitempty"`
	E   string `json:"e,omitempty"`
	Crv string `json:"crv,omitempty"`
	X   string `json:"x,omitempty"`
	Y   string `json:"y,omitempty"`
}

// Of describes a public key: RSA of 3072 bits is for encrypting to the service
// (RSA-OAEP-256), ECDSA on P-256 for what the service signs (ES256). There are no
// others: a key of another kind is fault.Internal.
func Of(public any) (Key, error) {
	switch public := public.(type) {
	case *rsa.PublicKey:
		if public.N.BitLen() == 3072 {
			k := Key{Kty: "RSA", Use: "enc", Alg: "RSA-OAEP-256", N: encode(public.N.Bytes()), E: encode(big.NewInt(int64(public.E)).Bytes())}
			k.Kid = thumbprint(`{"e":"` + k.E + `","kty":"RSA","n":"` + k.N + `"}`)
			return k, nil
		}
	case *ecdsa.PublicKey:
		if point, err := public.Bytes(); err == nil && public.Curve == elliptic.P256() { // 4, x, y
			k := Key{Kty: "EC", Use: "sig", Alg: "ES256", Crv: "P-256", X: encode(point[1:33]), Y: encode(point[33:])}
			k.Kid = thumbprint(`{"crv":"P-256","kty":"EC","x":"` + k.X + `","y":"` + k.Y + `"}`)
			return k, nil
		}
	}
	return Key{}, fault.New(fault.Internal, "public key is of no kind that is published")
}

// Set is the text of a key set.
func Set(keys ...Key) ([]byte, error) {
	return json.Marshal(struct {
		Keys []Key `json:"keys"`
	}{append([]Key{}, keys...)})
}

// thumbprint is of a key's required members, by name and without space (RFC 7638, section 3).
func thumbprint(members string) string {
	digest := sha256.Sum256([]byte(members))
	return encode(digest[:])
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
