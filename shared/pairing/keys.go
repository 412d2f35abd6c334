package pairing

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"io"
	"math/big"

	"fitvault/shared/fault"
)

// KeySize is the length of a compressed P-256 point (SEC 1, section 2.3.3).
const KeySize = 33

// Key is a P-256 public key. The zero Key is none, and verifies nothing.
type Key struct{ compressed [KeySize]byte }

// ParseKey takes the compressed form of a point on the curve.
func ParseKey(compressed []byte) (Key, error) {
	if len(compressed) != KeySize {
		return Key{}, fault.New(fault.Invalid, "not a compressed P-256 key")
	}
	k := Key{[KeySize]byte(compressed)}
	if k.public() == nil {
		return Key{}, fault.New(fault.Invalid, "not a compressed P-256 key")
	}
	return k, nil
}

// keyOf takes what crypto/x509 makes of a key.
func keyOf(public any) (Key, error) {
	p, ok := public.(*ecdsa.PublicKey)
	if !ok || p.Curve != elliptic.P256() {
		return Key{}, fault.New(fault.Invalid, "not a P-256 key")
	}
	point, err := p.Bytes()
	if err != nil {
		return Key{}, fault.Wrap(fault.Invalid, "not a P-256 key", err)
	}
	var k Key
	k.compressed[0] = 2 | point[len(point)-1]&1
	copy(k.compressed[1:], point[1:KeySize])
	return k, nil
}

func newKeyPair(rand io.Reader) (Key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand)
	if err != nil {
		return Key{}, err
	}
	return keyOf(&private.PublicKey)
}

// NewKey takes an ECDSA P-256 public key.
func NewKey(public *ecdsa.PublicKey) (Key, error) { return keyOf(public) }

// Bytes is the compressed form.
func (k Key) Bytes() []byte { return k.compressed[:] }

// Hash is the SHA-256 of the compressed form: how T1 and QR codes name a key.
func (k Key) Hash() [sha256.Size]byte { return sha256.Sum256(k.compressed[:]) }

func (k Key) public() *ecdsa.PublicKey {
	x, y := elliptic.UnmarshalCompressed(elliptic.P256(), k.compressed[:])
	if x == nil {
		return nil
	}
	point := make([]byte, 2*(KeySize-1)+1)
	point[0] = 4
	x.FillBytes(point[1:KeySize])
	y.FillBytes(point[KeySize:])
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil
	}
	return public
}

// verify checks an ASN.1 ECDSA signature of the SHA-256 of message.
func (k Key) verify(message, signature []byte) bool {
	public, digest := k.public(), sha256.Sum256(message)
	return public != nil && ecdsa.VerifyASN1(public, digest[:], signature)
}

// VerifyRaw checks a signature of JWS's ES256 (RFC 7518, section 3.4) by its digest:
// r and s of 32 bytes each.
func (k Key) VerifyRaw(digest [sha256.Size]byte, signature []byte) bool {
	public := k.public()
	if public == nil || len(signature) != 64 {
		return false
	}
	return ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
}
