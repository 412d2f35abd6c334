package sharing

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"io"
	"strings"

	"fitvault/shared/fault"
	"fitvault/shared/redact"
)

// An invitation code is a selector of 80 random bits, by which the invitation is
// found, and a verifier of 128, of which only the SHA-256 is stored: whoever reads
// the table cannot accept an invitation. Lower-case base32, 16 and 26 characters.
const (
	selectorBytes, selectorLength = 10, 16
	verifierBytes, verifierLength = 16, 26

	// CodeLength is that of a code, in characters.
	CodeLength = selectorLength + verifierLength
)

// nowhere is the selector of what is no code: no invitation has it, because "0" is
// not in the alphabet. It is looked up as any other, so that a wrong form costs the same.
var nowhere = strings.Repeat("0", selectorLength)

var alphabet = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Code is an invitation code. It prints as [redacted]; Text is for the one answer
// that shows it.
type Code struct {
	redact.Mark
	selector, verifier string
}

// NewCode makes a code from 26 bytes of rand.
func NewCode(rand io.Reader) (Code, error) {
	var b [selectorBytes + verifierBytes]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return Code{}, fault.Wrap(fault.Internal, "no randomness for an invitation code", err)
	}
	return Code{selector: alphabet.EncodeToString(b[:selectorBytes]), verifier: alphabet.EncodeToString(b[selectorBytes:])}, nil
}

// ParseCode reads what Text gives. What is no code becomes one that finds nothing:
// there is no error that could be told apart from a code that does not exist.
func ParseCode(s string) Code {
	if len(s) == CodeLength {
		selector, verifier := s[:selectorLength], s[selectorLength:]
		if canonical(selector) && canonical(verifier) {
			return Code{selector: selector, verifier: verifier}
		}
	}
	return Code{selector: nowhere, verifier: s}
}

// canonical refuses a second spelling of the same bits.
func canonical(s string) bool {
	b, err := alphabet.DecodeString(s)
	return err == nil && alphabet.EncodeToString(b) == s
}

// Text is the code itself.
func (c Code) Text() string { return c.selector + c.verifier }

// Selector is the part by which an invitation is found.
func (c Code) Selector() string { return c.selector }

// Hash is what is stored of the verifier. With 128 random bits in it a fast hash is enough.
func (c Code) Hash() [sha256.Size]byte { return sha256.Sum256([]byte(c.verifier)) }

// Matches compares the verifier with a stored hash, in constant time.
func (c Code) Matches(stored [sha256.Size]byte) bool {
	sent := c.Hash()
	return subtle.ConstantTimeCompare(sent[:], stored[:]) == 1
}

// NewID makes the id of a grant, from 10 bytes of rand. It is no secret; it is short
// because the owner's document is read with every request.
func NewID(rand io.Reader) (string, error) {
	var b [selectorBytes]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return "", fault.Wrap(fault.Internal, "no randomness for the id of a grant", err)
	}
	return alphabet.EncodeToString(b[:]), nil
}
