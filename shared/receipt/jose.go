package receipt

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"math/big"

	"fitvault/shared/fault"
)

// size is that of a P-256 coordinate, and of each half of a signature, in bytes.
const size = 32

// Raw makes the JWS form of an ECDSA P-256 signature, R and S of 32 bytes each
// (RFC 7518, section 3.4), of the ASN.1 form that KMS gives (RFC 3279, section
// 2.2.3). Anything but the one DER form of two numbers from 1 to 2^256-1 is
// fault.Internal.
func Raw(der []byte) ([]byte, error) {
	var found struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(der, &found)
	if err != nil || len(rest) > 0 || !fits(found.R) || !fits(found.S) {
		return nil, fault.New(fault.Internal, "not the signature of a P-256 key")
	}
	// What encoding/asn1 reads leniently is not written so by it.
	if again, err := asn1.Marshal(found); err != nil || string(again) != string(der) {
		return nil, fault.New(fault.Internal, "not the signature of a P-256 key")
	}
	raw := make([]byte, 2*size)
	found.R.FillBytes(raw[:size])
	found.S.FillBytes(raw[size:])
	return raw, nil
}

func fits(n *big.Int) bool { return n.Sign() > 0 && n.BitLen() <= 8*size }

// Thumbprint is the key id of a P-256 key: the base64url SHA-256 of its JWK with
// the members that must be there, in the order of their names (RFC 7638).
func Thumbprint(key *ecdsa.PublicKey) (string, error) {
	point, err := key.Bytes() // 4, X, Y (SEC 1, section 2.3.3)
	if err != nil || len(point) != 1+2*size {
		return "", fault.New(fault.Internal, "not a P-256 key")
	}
	x, y := point[1:1+size], point[1+size:]
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + base64.RawURLEncoding.EncodeToString(x) +
		`","y":"` + base64.RawURLEncoding.EncodeToString(y) + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}
