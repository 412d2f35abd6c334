package access

import (
	"encoding/base32"
	"fmt"
	"io"

	"fitvault/shared/fault"
)

// UserID is the service's own random name of a person: 128 random bits in
// lower-case base32, 26 characters. It is mapped from issuer and subject, so
// a lost user pool can be replaced (design.md, "Sealing"). The zero UserID is
// nobody: a caller before enrolment.
type UserID struct{ text string }

var userIDs = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const (
	userIDBytes  = 16
	userIDLength = 26
)

// ParseUserID accepts exactly what NewUserID makes: the two bits that 26
// characters have too many must be zero, so that nobody has two names.
func ParseUserID(s string) (UserID, error) {
	if len(s) == userIDLength {
		if b, err := userIDs.DecodeString(s); err == nil && userIDs.EncodeToString(b) == s {
			return UserID{s}, nil
		}
	}
	return UserID{}, fault.New(fault.NotFound, "not a user id")
}

// NewUserID makes a user id from 16 bytes of rand.
func NewUserID(rand io.Reader) (UserID, error) {
	var b [userIDBytes]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return UserID{}, fault.Wrap(fault.Internal, "no randomness for a user id", err)
	}
	return UserID{userIDs.EncodeToString(b[:])}, nil
}

// String is the id's text, "" of nobody.
func (u UserID) String() string { return u.text }

// IsZero reports whether u is nobody.
func (u UserID) IsZero() bool { return u.text == "" }

// NewPseudonym makes a pseudonym from 16 bytes of rand.
func NewPseudonym(rand io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return "", fault.Wrap(fault.Internal, "no randomness for a pseudonym", err)
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}
