// Package record is an audit event as the log keeps it: with pseudonyms in place
// of people, sealed under a key that dies with the person whom it concerns, and a
// commitment that says nothing without what is sealed.
package record

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"io"

	"fitvault/shared/fault"
	"fitvault/shared/redact"
)

// ErrOpen is the one error for what does not open: altered, or under another key.
var ErrOpen = errors.New("an event of the log does not open")

// ErrKey is returned for what is no key.
var ErrKey = errors.New("not a usable key of the audit log")

const keySize = 32

// secret hides a key from fmt, which can print only the address of a function.
type secret func() []byte

// ServiceKey wraps subjects' keys, and vouches for marks. KMS keeps it wrapped;
// the functions that write and that show the log may unwrap it.
type ServiceKey struct {
	redact.Mark
	wrap, mark secret
}

// NewServiceKey takes 32 random bytes.
func NewServiceKey(key []byte) (ServiceKey, error) {
	if len(key) != keySize {
		return ServiceKey{}, ErrKey
	}
	return ServiceKey{wrap: derive(key, "fitvault/v1/audit-wrap"), mark: derive(key, "fitvault/v1/audit-mark")}, nil
}

func derive(key []byte, label string) secret {
	derived, err := hkdf.Key(sha256.New, key, nil, label, keySize)
	if err != nil {
		panic("hkdf of a constant length failed") // only a wrong length fails
	}
	return func() []byte { return derived }
}

func gcm(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("a key of 32 bytes is none") // it is made here
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("AES has another block size") // it has not
	}
	return aead
}

// Pseudonym is a subject's name in the log: 128 random bits, kept beside his key
// and destroyed with it.
type Pseudonym [16]byte

var pseudonyms = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func (p Pseudonym) String() string { return "p-" + pseudonyms.EncodeToString(p[:]) }

// ParsePseudonym accepts exactly what String makes.
func ParsePseudonym(s string) (p Pseudonym, err error) {
	if len(s) > 2 && s[:2] == "p-" {
		if b, err := pseudonyms.DecodeString(s[2:]); err == nil && len(b) == len(p) {
			if p = Pseudonym(b); p.String() == s {
				return p, nil
			}
		}
	}
	return Pseudonym{}, fault.New(fault.NotFound, "not a pseudonym")
}

// Subject is somebody whom events are about: an account's owner; of an event
// that is about no account its caller.
type Subject struct {
	redact.Mark
	Pseudonym Pseudonym
	key       secret
}

// NewSubject makes a pseudonym and a key, and wraps the key for a name: the id of
// a user, or of an identity's document.
func (k ServiceKey) NewSubject(name string, rand io.Reader) (Subject, []byte, error) {
	var b [len(Pseudonym{}) + keySize]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return Subject{}, nil, fault.Wrap(fault.Internal, "no randomness for a subject's key", err)
	}
	s := Subject{Pseudonym: Pseudonym(b[:16]), key: func() []byte { return b[16:] }}
	return s, gcm(k.wrap()).Seal(nil, nil, s.key(), place(name, s.Pseudonym)), nil
}

// Subject unwraps a key. One that was put in another's place does not open.
func (k ServiceKey) Subject(name string, p Pseudonym, wrapped []byte) (Subject, error) {
	key, err := gcm(k.wrap()).Open(nil, nil, wrapped, place(name, p))
	if err != nil || len(key) != keySize {
		return Subject{}, ErrOpen
	}
	return Subject{Pseudonym: p, key: func() []byte { return key }}, nil
}

func place(name string, p Pseudonym) []byte { return append(p[:], name...) }

// Vouch says that an event as it is stored stands in the log at an index: who
// can only write the table can neither hide an event as one that was taken, nor
// alter one that was.
func (k ServiceKey) Vouch(index int64, event []byte) []byte {
	mac := hmac.New(sha256.New, k.mark())
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(index)))
	mac.Write(event)
	return mac.Sum(nil)
}
