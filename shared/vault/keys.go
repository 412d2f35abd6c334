package vault

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hpke"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"time"

	"fitvault/shared/redact"
)

// ErrKey is returned where a key, its id or its encoding is not what it must be.
// It says nothing of the key.
var ErrKey = errors.New("vault: not a usable key")

// ErrNotEnrolled is returned for a public key that enrol has not signed as it
// stands. A caller must not seal to it, and should raise an alarm: somebody
// else has written the key table.
var ErrNotEnrolled = errors.New("vault: public key is not enrolled")

// keySize is the size in bytes of every symmetric key here: AES-256 keys, and
// HKDF and HMAC-SHA-256 keys of the hash's own length.
const keySize = 32

// secret is a key behind a function, because the one thing that fmt can print of
// a function is its address: a key in an unexported field of somebody's struct,
// where redact.Mark's methods cannot be called, stays hidden too.
type secret func() []byte

// hide takes ownership of a key.
func hide(key []byte) secret { return func() []byte { return key } }

// Statement is what enrol says when it makes an owner's data key pair: this
// public key is that owner's, from this time on. It is signed by a KMS key that
// only enrol may use, and stored beside the public key.
type Statement struct {
	Deployment string
	Owner      string
	KeyID      string    // random; 1 to 64 of A-Z a-z 0-9 . _ # -
	Public     []byte    // P-256, SubjectPublicKeyInfo in DER (RFC 5480), as KMS returns it
	At         time.Time // told in whole seconds
}

// Bytes is the message that enrol signs by ECDSA on P-256 with SHA-256 (KMS:
// ECDSA_SHA_256, MessageType RAW). The label keeps a signature made for another
// purpose from being one for this.
//
//	lp("fitvault/v1/enrolment") lp(deployment) lp(owner) lp(key id) lp(public)
//	lp(seconds since 1970, 8 bytes big-endian)
func (s Statement) Bytes() []byte {
	return lengthPrefixed([]byte("fitvault/v1/enrolment"),
		[]byte(s.Deployment), []byte(s.Owner), []byte(s.KeyID), s.Public,
		binary.BigEndian.AppendUint64(nil, uint64(s.At.Unix())))
}

// DataKey is an owner's public key that enrol has vouched for. Only [Enrolled]
// makes one, so nothing can be sealed to a key that somebody slipped in.
type DataKey struct {
	redact.Mark
	deployment, owner, id string
	public                hpke.PublicKey
}

// Enrolled checks a statement against its signature (ASN.1 DER, as KMS returns
// it) and the key of enrol, taken from KMS and never from a table. It returns
// [ErrNotEnrolled] where the signature is not for exactly this statement, and
// [ErrKey] where what was signed is no usable key.
//
// It does not check freshness: an owner's earlier enrolled key is still that
// owner's, and only that owner's pieces can be sealed to it.
func Enrolled(s Statement, signature []byte, verify *ecdsa.PublicKey) (DataKey, error) {
	if verify == nil || verify.Curve != elliptic.P256() {
		return DataKey{}, ErrKey
	}
	digest := sha256.Sum256(s.Bytes())
	if !ecdsa.VerifyASN1(verify, digest[:], signature) {
		return DataKey{}, ErrNotEnrolled
	}
	if s.Deployment == "" || s.Owner == "" || !validID(s.KeyID) {
		return DataKey{}, ErrKey
	}
	parsed, err := x509.ParsePKIXPublicKey(s.Public)
	if err != nil {
		return DataKey{}, ErrKey
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return DataKey{}, ErrKey
	}
	dh := must(key.ECDH()) // a parsed key is on its curve
	return DataKey{deployment: s.Deployment, owner: s.Owner, id: s.KeyID, public: must(hpke.NewDHKEMPublicKey(dh))}, nil
}

// WriterKey is a month's secret that goes into every piece's key beside the
// HPKE secret. Intake and readers may unwrap it; the store and whoever writes
// it may not.
type WriterKey struct {
	redact.Mark
	id  string
	key secret
}

// NewWriterKey takes an id (the grammar of [Statement]'s KeyID) and 32 random bytes.
func NewWriterKey(id string, key []byte) (WriterKey, error) {
	if !validID(id) || len(key) != keySize {
		return WriterKey{}, ErrKey
	}
	return WriterKey{id: id, key: hide(bytes.Clone(key))}, nil
}

// PrivateKey is an owner's private data key, unwrapped. Its holder can open,
// with the writer keys, everything that was ever sealed to it.
type PrivateKey struct {
	redact.Mark
	id  string
	key hpke.PrivateKey
}

// ParsePrivateKey takes the id of the key pair and the private key as KMS
// Decrypt gives it back: PKCS #8 DER (RFC 5958) with a P-256 key (RFC 5915).
func ParsePrivateKey(id string, pkcs8 []byte) (PrivateKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(pkcs8)
	if err != nil || !validID(id) {
		return PrivateKey{}, ErrKey
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return PrivateKey{}, ErrKey
	}
	dh := must(key.ECDH()) // a parsed key is in its range
	return PrivateKey{id: id, key: must(hpke.NewDHKEMPrivateKey(dh))}, nil
}

// must is for calls that fail only where this package is wrong: the sizes,
// curves and hashes that they check are constants here.
func must[T any](value T, err error) T {
	if err != nil {
		panic("vault: a primitive refused constant parameters")
	}
	return value
}
