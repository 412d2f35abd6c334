// Package tracker is a tracker in software: for tests, and to show what one does.
// It is written from wire.md alone and shares no code with the service's side, so
// that each is a check of the other. A real tracker keeps its key in a secure
// element and asks for a press where this one is told to go on.
package tracker

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"time"
)

// Errors of Answer: why the tracker does not trust who speaks to it.
var (
	ErrCertificate = errors.New("tracker: the service's certificate is not good")
	ErrSignature   = errors.New("tracker: not signed by the service")
	ErrMessage     = errors.New("tracker: not a T1")
	ErrNotMine     = errors.New("tracker: T1 is for another tracker, key, deployment or nonce")
	ErrExpired     = errors.New("tracker: T1 has expired, or is good for too long")
)

const life = 10 * time.Minute

// Tracker is one tracker. It belongs to one goroutine.
type Tracker struct {
	ID         string
	Deployment string // that it was made for
	Root       *x509.Certificate
	Now        func() time.Time
	Rand       io.Reader

	key     *ecdsa.PrivateKey
	code    [16]byte
	nonce   []byte // given out, and not used yet
	pairing string
	counter int64

	introduced *Introduction // since the last reset
	former     *ecdsa.PrivateKey
	answered   map[string]*ecdsa.PrivateKey // by pairing: with which key, until one is known to hold
}

// Introduction is what a reset tracker says of itself, signed by its former key.
type Introduction struct{ Key, CodeHash, Signature []byte }

// Pressed is what the tracker gives to a phone after a press.
type Pressed struct {
	ID           string
	Nonce        []byte
	Code         string // 26 characters, as in its QR code
	Introduction *Introduction
}

// New makes a tracker as its maker does: with a key and a one-time code of its own.
func New(id, deployment string, root *x509.Certificate, now func() time.Time, rand io.Reader) (*Tracker, error) {
	t := &Tracker{ID: id, Deployment: deployment, Root: root, Now: now, Rand: rand}
	return t, t.renew()
}

func (t *Tracker) renew() (err error) {
	if t.key, err = ecdsa.GenerateKey(elliptic.P256(), t.Rand); err != nil {
		return err
	}
	_, err = io.ReadFull(t.Rand, t.code[:])
	return err
}

// PublicKey is the compressed point, 33 bytes, that the maker registers.
func (t *Tracker) PublicKey() []byte { return compressed(&t.key.PublicKey) }

func compressed(p *ecdsa.PublicKey) []byte {
	point, err := p.Bytes() // 4, x, y
	if err != nil {
		panic(err) // of a key that was just made: cannot happen
	}
	return append([]byte{2 + point[64]&1}, point[1:33]...)
}

// CodeHash is the hash of the one-time code, which the maker registers.
func (t *Tracker) CodeHash() []byte { h := sha256.Sum256(t.code[:]); return h[:] }

// Label is what its QR code says.
func (t *Tracker) Label() string {
	hash := sha256.Sum256(t.PublicKey())
	return "fitvault-pair:1:" + t.ID + ":" + base64.RawURLEncoding.EncodeToString(hash[:]) + ":" + t.codeText()
}

func (t *Tracker) codeText() string {
	return base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding).EncodeToString(t.code[:])
}

// Press makes a fresh nonce: the one before is forgotten.
func (t *Tracker) Press() (Pressed, error) {
	t.nonce = make([]byte, 32)
	if _, err := io.ReadFull(t.Rand, t.nonce); err != nil {
		t.nonce = nil
		return Pressed{}, err
	}
	return Pressed{ID: t.ID, Nonce: t.nonce, Code: t.codeText(), Introduction: t.introduced}, nil
}

// Answer checks T1 and, after a press that is taken for given, signs it: an ASN.1
// ECDSA signature of the SHA-256 of (label, T1). The nonce is used up by a T1 that
// is good; others leave it.
func (t *Tracker) Answer(message, signature, certificate []byte) ([]byte, error) {
	leaf, err := t.check(certificate)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(message)
	if !ecdsa.VerifyASN1(leaf, digest[:], signature) {
		return nil, ErrSignature
	}
	f, ok := split(message, 8)
	if !ok || string(f[0]) != "fitvault pairing T1 v1" || len(f[4]) != 32 || len(f[5]) != 32 || len(f[6]) != 26 || len(f[7]) != 8 {
		return nil, ErrMessage
	}
	own := sha256.Sum256(t.PublicKey())
	if string(f[1]) != t.Deployment || string(f[2]) != t.ID || !bytes.Equal(f[3], own[:]) || t.nonce == nil || !bytes.Equal(f[4], t.nonce) {
		return nil, ErrNotMine
	}
	expires := time.Unix(int64(binary.BigEndian.Uint64(f[7])), 0)
	if now := t.Now(); !now.Before(expires) || expires.After(now.Add(life)) {
		return nil, ErrExpired
	}
	t.nonce = nil
	t.pairing, t.counter = string(f[6]), 0
	if t.answered == nil {
		t.answered = map[string]*ecdsa.PrivateKey{}
	}
	t.answered[t.pairing] = t.key
	return t.sign(join([]byte("fitvault pairing answer v1"), message))
}

// check holds a certificate against the root: chain, validity, and that it was
// made for nothing else but this deployment's pairings.
func (t *Tracker) check(certificate []byte) (*ecdsa.PublicKey, error) {
	leaf, err := x509.ParseCertificate(certificate)
	if err != nil || !bytes.Equal(leaf.Raw, certificate) {
		return nil, ErrCertificate
	}
	roots := x509.NewCertPool()
	roots.AddCert(t.Root)
	_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: t.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	key, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	if err != nil || !ok || key.Curve != elliptic.P256() || leaf.IsCA || !leaf.BasicConstraintsValid || leaf.KeyUsage != x509.KeyUsageDigitalSignature ||
		leaf.Subject.CommonName != "fitvault pairing" || len(leaf.Subject.Organization) != 1 || leaf.Subject.Organization[0] != t.Deployment ||
		len(leaf.ExtKeyUsage) > 0 || len(leaf.UnknownExtKeyUsage) > 0 {
		return nil, ErrCertificate
	}
	return key, nil
}

func (t *Tracker) sign(message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	return ecdsa.SignASN1(t.Rand, t.key, digest[:])
}

// Sign signs a payload that it has, once, with the next number: a detached JWS
// (RFC 7515, appendix F).
func (t *Tracker) Sign(payload []byte) (string, error) {
	t.counter++
	return t.SignWith(map[string]any{"alg": "ES256", "kid": t.ID, "pairing": t.pairing, "counter": t.counter}, payload)
}

// SignWith signs under any header: what no good tracker does.
func (t *Tracker) SignWith(header map[string]any, payload []byte) (string, error) {
	text, err := json.Marshal(header)
	if err != nil {
		return "", err
	}
	protected := base64.RawURLEncoding.EncodeToString(text)
	digest := sha256.Sum256([]byte(protected + "." + base64.RawURLEncoding.EncodeToString(payload)))
	r, s, err := ecdsa.Sign(t.Rand, t.key, digest[:])
	if err != nil {
		return "", err
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return protected + ".." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// Pairing is the pairing that it has answered last; "" where none.
func (t *Tracker) Pairing() string { return t.pairing }

// Reset forgets the pairing, and makes a new key and a new code. The key that the
// service knows signs both, and goes when another pairing is Done.
func (t *Tracker) Reset() error {
	if t.former == nil {
		t.former = t.key
	}
	if err := t.renew(); err != nil {
		return err
	}
	t.pairing, t.nonce = "", nil
	return t.introduce()
}

func (t *Tracker) introduce() error {
	old := sha256.Sum256(compressed(&t.former.PublicKey))
	statement := sha256.Sum256(join([]byte("fitvault tracker reset v1"), []byte(t.Deployment), []byte(t.ID), old[:], t.PublicKey(), t.CodeHash()))
	signature, err := ecdsa.SignASN1(t.Rand, t.former, statement[:])
	t.introduced = &Introduction{Key: t.PublicKey(), CodeHash: t.CodeHash(), Signature: signature}
	return err
}

// Done is the phone's word that a pairing holds: its key is the one that the service
// knows. It may come after a reset. A false one hurts only who has the tracker in
// his hands: it could not be introduced once more.
func (t *Tracker) Done(pairing string) error {
	key := t.answered[pairing]
	if key == nil {
		return nil
	}
	t.answered = nil
	if key == t.key {
		t.former, t.introduced = nil, nil
		return nil
	}
	t.former = key
	return t.introduce()
}

// split takes n fields apart that each have their length before them, and nothing else.
func split(b []byte, n int) (fields [][]byte, ok bool) {
	for range n {
		if len(b) < 4 {
			return nil, false
		}
		length := binary.BigEndian.Uint32(b)
		if b = b[4:]; uint64(length) > uint64(len(b)) {
			return nil, false
		}
		fields, b = append(fields, b[:length]), b[length:]
	}
	return fields, len(b) == 0
}

func join(fields ...[]byte) (b []byte) {
	for _, f := range fields {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(f))), f...)
	}
	return b
}
