package pairing

import (
	"crypto/sha256"
	"encoding/base32"
	"io"
	"regexp"
	"strings"

	"fitvault/shared/fault"
	"fitvault/shared/redact"
)

// DeviceID is the name of a tracker: its maker's namespace, "-", and a serial
// that the maker gives once. At most 64 characters, and one path segment. The
// zero DeviceID is none.
type DeviceID struct{ text string }

var (
	deviceGrammar = regexp.MustCompile(`^[a-z][a-z0-9]{1,15}-[A-Za-z0-9_-]{1,47}$`)
	modelGrammar  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$`)
)

// ParseDeviceID takes exactly the grammar.
func ParseDeviceID(s string) (DeviceID, error) {
	if !deviceGrammar.MatchString(s) {
		return DeviceID{}, fault.New(fault.Invalid, "not a device id")
	}
	return DeviceID{s}, nil
}

// String is the id's text.
func (d DeviceID) String() string { return d.text }

// Maker is the namespace of the one who made the tracker; a namespace has no "-".
func (d DeviceID) Maker() string {
	maker, _, _ := strings.Cut(d.text, "-")
	return maker
}

// Model is a maker's name of a kind of tracker. The zero Model is none.
type Model struct{ text string }

// ParseModel takes 1 to 32 letters, digits, dots, hyphens and underscores.
func ParseModel(s string) (Model, error) {
	if !modelGrammar.MatchString(s) {
		return Model{}, fault.New(fault.Invalid, "not a model")
	}
	return Model{s}, nil
}

// String is the model's text.
func (m Model) String() string { return m.text }

// words is how 16 bytes are written where people or paths have them.
var words = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const (
	wordBytes  = 16
	wordLength = 26
)

// parseWord takes one spelling only: the two bits too many are zero.
func parseWord(s string) (b [wordBytes]byte, ok bool) {
	if len(s) != wordLength {
		return b, false
	}
	decoded, err := words.DecodeString(s)
	if err != nil || words.EncodeToString(decoded) != s {
		return b, false
	}
	return [wordBytes]byte(decoded), true
}

// ID is the name of one pairing: 128 random bits, so that it says nothing about
// the tracker or its owner. The zero ID is none.
type ID struct{ text string }

// ParseID takes exactly what NewID makes.
func ParseID(s string) (ID, error) {
	if _, ok := parseWord(s); !ok {
		return ID{}, fault.New(fault.NotFound, "not a pairing's id")
	}
	return ID{s}, nil
}

// NewID makes an id from 16 bytes of rand.
func NewID(rand io.Reader) (ID, error) {
	var b [wordBytes]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return ID{}, fault.Wrap(fault.Internal, "no randomness for a pairing's id", err)
	}
	return ID{words.EncodeToString(b[:])}, nil
}

// String is the id's text.
func (i ID) String() string { return i.text }

// Code is a tracker's one-time code: 128 random bits, which the service knows by
// their hash only. It prints as [redacted].
type Code struct {
	redact.Mark
	bytes [wordBytes]byte
}

// ParseCode takes the 26 characters of Text.
func ParseCode(s string) (Code, error) {
	b, ok := parseWord(s)
	if !ok {
		return Code{}, fault.New(fault.Invalid, "not a one-time code")
	}
	return Code{bytes: b}, nil
}

// NewCode makes a code from 16 bytes of rand.
func NewCode(rand io.Reader) (Code, error) {
	var c Code
	if _, err := io.ReadFull(rand, c.bytes[:]); err != nil {
		return Code{}, fault.Wrap(fault.Internal, "no randomness for a code", err)
	}
	return c, nil
}

// Text is the code as it stands in a QR code.
func (c Code) Text() string { return words.EncodeToString(c.bytes[:]) }

// Hash is what the maker registers. A code has too many bits to be guessed, so
// one SHA-256 is enough.
func (c Code) Hash() [sha256.Size]byte { return sha256.Sum256(c.bytes[:]) }
