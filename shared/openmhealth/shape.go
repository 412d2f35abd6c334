package openmhealth

import (
	"strings"
	"time"
	"unicode/utf8"

	"fitvault/shared/reading"
	"fitvault/shared/segment"
)

// shape is the text of an accepted record, or of a part of a series, without its
// leaves: numbers, and strings that no enumeration lists. A text of the same
// shape, whose leaves pass the leaves' own checks, is accepted too, because no rule
// could tell the two apart (learn.go says why). So most records cost a comparison
// with one that came before.
type shape struct {
	key      string   // all that a text must have to be of this shape
	literals []string // what stands around the leaves: one more than these
	leaves   []leaf
	part     part
	depth    int    // of containers within one another
	schema   Schema // of the body

	// Of records and bodies:
	id, created int // leaves of the header, unless in a series
	start       startRule
	from, to    int // leaves that the start is made of
	document    *segment.Shape
}

// part is what a shape is of.
type part byte

const (
	wholePoint part = iota
	bodyInSeries
	headerOfSeries
)

// leaf is what may stand in one place of a shape.
type leaf struct {
	kind   leafKind
	checks []func(string) bool // of any kind of text
}

type leafKind byte

const (
	leafNumber  leafKind = iota
	leafInteger          // a number without a fraction
	leafTime             // of format date-time
	leafUUID             // of format uuid
	leafText             // any other text, or what the checks say
	leafUser             // the owner's id
)

// startRule says how a record's start is had; see reading.FromPoint.
type startRule byte

const (
	startCreated  startRule = iota // no time frame: the header's creation
	startAt                        // at from
	startInterval                  // from or to, whichever is earlier
	startOther                     // as FromPoint says
)

// maxLeaf is the longest leaf that is looked at. A record may be held against
// hundreds of shapes, each of which would look at the same leaf again; one with a
// longer leaf is parsed, once.
const maxLeaf = 256

// match reads a text of the shape at the front of text, appends its leaves to
// holes, and returns how long it is; or false, if text begins with no such.
func (s *shape) match(text, owner string, holes []string) (int, []string, bool) {
	at := 0
	for i := range s.leaves {
		literal := s.literals[i]
		if !strings.HasPrefix(text[at:], literal) {
			return 0, holes, false
		}
		at += len(literal)
		l := &s.leaves[i]
		rest := text[at:min(len(text), at+maxLeaf+1)]
		var n int
		var ok bool
		if l.kind <= leafInteger {
			n, ok = canonicalPrefix(rest, l.kind == leafInteger)
		} else {
			n = strings.IndexByte(rest, '"')
			ok = n >= 0 && l.allows(text[at:at+n], owner)
		}
		if !ok {
			return 0, holes, false
		}
		holes = append(holes, text[at:at+n])
		at += n
	}
	last := s.literals[len(s.leaves)]
	return at + len(last), holes, strings.HasPrefix(text[at:], last)
}

// allows says whether a string without quotes, as it stands in JSON, is one that
// the leaf may be.
func (l *leaf) allows(s, owner string) bool {
	switch l.kind {
	case leafTime:
		_, ok := reading.ParseMoment(s)
		return ok
	case leafUUID:
		return isUUID(s)
	case leafUser:
		return s == owner && plainText(s)
	}
	if !plainText(s) {
		return false
	}
	for _, check := range l.checks {
		if !check(s) {
			return false
		}
	}
	return true
}

// plainText says whether a JSON string's text is the string itself: UTF-8 without
// escapes and control characters.
func plainText(s string) bool {
	ascii := true
	for i := range len(s) {
		if s[i] < ' ' || s[i] == '\\' {
			return false
		}
		ascii = ascii && s[i] < utf8.RuneSelf
	}
	return ascii || utf8.ValidString(s)
}

// isUUID is format uuid, as package jsonschema has it: 8-4-4-4-12 hexadecimal digits.
func isUUID(s string) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	digits := 0
	for i := range len(s) {
		digits += int(hexDigit[s[i]])
	}
	return digits == 32
}

var hexDigit = func() (is [256]byte) {
	for _, c := range "0123456789abcdefABCDEF" {
		is[c] = 1
	}
	return is
}()

// canonicalPrefix is the length of the number at the front of s, if it is a JSON
// number that is written as reading.Canonical writes it.
func canonicalPrefix(s string, integer bool) (int, bool) {
	i := 0
	if i < len(s) && s[i] == '-' {
		i++
	}
	whole := i
	for i < len(s) && s[i]-'0' <= 9 {
		i++
	}
	digits := i - whole
	if digits == 0 || s[whole] == '0' && digits > 1 {
		return 0, false
	}
	switch {
	case i < len(s) && s[i] == '.':
		i++
		fraction := i
		for i < len(s) && s[i]-'0' <= 9 {
			i++
		}
		if integer || i == fraction || s[i-1] == '0' {
			return 0, false
		}
		digits += i - fraction
		if s[whole] == '0' {
			digits--
		}
	case s[whole] == '0' && whole > 0: // -0
		return 0, false
	}
	if digits > reading.MaxDigits || i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		return 0, false
	}
	return i, true
}

// Years 1 to 9999 of UTC, in seconds since 1970.
var (
	firstSecond = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	lastSecond  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix()
)

// begin is the start of a record with these leaves, in a shape that says it
// itself, if it is one that a record may have.
func (s *shape) begin(holes []string) (time.Time, bool) {
	from := s.from
	if s.start == startCreated {
		from = s.created
	}
	m, ok := reading.ParseMoment(holes[from])
	if ok && s.start == startInterval {
		var to reading.Moment
		if to, ok = reading.ParseMoment(holes[s.to]); to.Seconds < m.Seconds || to.Seconds == m.Seconds && to.Nanos < m.Nanos {
			m = to // a reversed interval
		}
	}
	return time.Unix(m.Seconds, int64(m.Nanos)).UTC(), ok && m.Seconds >= firstSecond && m.Seconds <= lastSecond
}
