// Package usertext takes text that people write for people: names of things. It
// comes back in lists, and in front of others whom the owner has let in, so what
// could make it look like other text, or break out of where it is shown, is refused.
package usertext

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"fitvault/shared/fault"
)

// MaxName is the most characters that a name has.
const MaxName = 64

// Name is a short text on one line, in NFC: 1 to MaxName characters. The zero Name
// is none.
type Name struct{ text string }

// String is the name's text.
func (n Name) String() string { return n.text }

// ParseName normalises s to NFC, without the spaces around it. A fault.Invalid
// where it is empty or too long, not UTF-8, or has a character that is not shown
// as itself.
func ParseName(s string) (Name, error) {
	refused := fault.New(fault.Invalid, "name is empty, too long, or has characters that it may not have")
	if len(s) > 8*utf8.UTFMax*MaxName || !utf8.ValidString(s) { // before any work; NFC at most shortens what is kept
		return Name{}, refused
	}
	s = strings.TrimSpace(norm.NFC.String(s))
	shown := false
	for _, r := range s {
		if !permitted(r) {
			return Name{}, refused
		}
		shown = shown || unicode.IsOneOf([]*unicode.RangeTable{unicode.L, unicode.N, unicode.P, unicode.S}, r)
	}
	if !shown || utf8.RuneCountInString(s) > MaxName {
		return Name{}, refused
	}
	return Name{s}, nil
}

// brailleBlank is a symbol that shows nothing, as the letters that Unicode calls fillers.
const brailleBlank = '\u2800'

// The joiners of scripts and emoji. All other characters of format are refused:
// they turn the direction of text, or are not seen.
const (
	zeroWidthNonJoiner = '\u200c'
	zeroWidthJoiner    = '\u200d'
)

// permitted reports whether r is a letter, mark, number, punctuation, symbol or
// space: no control character, no override of direction, no end of line, nothing
// that is private, or not assigned.
func permitted(r rune) bool {
	switch r {
	case zeroWidthJoiner, zeroWidthNonJoiner:
		return true
	case utf8.RuneError, brailleBlank:
		return false
	}
	if unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) { // fillers, and joiners that join nothing
		return false
	}
	return unicode.IsOneOf([]*unicode.RangeTable{unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Zs}, r)
}
