// Package reading says what a measurement is: a JSON document whose members,
// text and numbers are kept exactly (wire.md, "equality"), its type, and when
// it starts. It knows no wire format and no storage.
package reading

import (
	"errors"
	"strconv"
	"strings"

	"fitvault/shared/redact"
)

// Kind is the JSON kind of a Value.
type Kind uint8

const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

// Value is an immutable JSON value that holds health data, so it prints as
// [redacted]; AppendJSON is the one way to its text.
type Value struct {
	redact.Mark
	kind  Kind
	text  string   // String: the text; Number: canonical plain decimal; Bool: "true" or "false"
	list  []Value  // Array: the elements; Object: the members' values
	names []string // Object: the members' names, in the order of list
}

// NullValue, BoolValue, StringValue, ArrayValue and ObjectValue build values;
// they take ownership of slices. Names of an object must be distinct and as
// many as values: the caller has checked (decoders refuse duplicates).
func NullValue() Value              { return Value{kind: Null} }
func BoolValue(b bool) Value        { return Value{kind: Bool, text: strconv.FormatBool(b)} }
func StringValue(s string) Value    { return Value{kind: String, text: s} }
func ArrayValue(list []Value) Value { return Value{kind: Array, list: list} }
func ObjectValue(names []string, values []Value) Value {
	return Value{kind: Object, names: names, list: values}
}

// NumberValue builds a number from a JSON number literal.
// It returns ErrNumber for what Canonical refuses.
func NumberValue(literal string) (Value, error) {
	text, err := Canonical(literal)
	return Value{kind: Number, text: text}, err
}

func (v Value) Kind() Kind { return v.kind }

// Text is the text of a String, the canonical decimal of a Number, "true" or
// "false" of a Bool, and "" of anything else.
func (v Value) Text() string { return v.text }

// List is the elements of an Array or the member values of an Object; not to be changed.
func (v Value) List() []Value { return v.list }

// Names is the member names of an Object, parallel to List; not to be changed.
func (v Value) Names() []string { return v.names }

// Get returns an object's member, or false.
func (v Value) Get(name string) (Value, bool) {
	for i, n := range v.names {
		if n == name {
			return v.list[i], true
		}
	}
	return Value{}, false
}

// At follows member names from v, or returns false.
func (v Value) At(path ...string) (Value, bool) {
	for _, name := range path {
		var ok bool
		if v, ok = v.Get(name); !ok {
			return Value{}, false
		}
	}
	return v, true
}

// Equal reports whether two values are the same by wire.md's equality: members
// by name whatever their order, strings by code point, numbers by exact value.
// (Times are strings here, so they are compared more strictly than asked.)
func (v Value) Equal(o Value) bool {
	if v.kind != o.kind || v.text != o.text || len(v.list) != len(o.list) {
		return false
	}
	for i, x := range v.list {
		y := o.list[i]
		if v.kind == Object {
			var ok bool
			if y, ok = o.Get(v.names[i]); !ok {
				return false
			}
		}
		if !x.Equal(y) {
			return false
		}
	}
	return true
}

// MaxDigits is how many digits a number may have when it is written out
// without an exponent (wire.md, "equality"; the width of IEEE 754 decimal128).
const MaxDigits = 34

// ErrNumber is returned for a number that fitvault cannot keep exactly.
var ErrNumber = errors.New("number is not a JSON number of at most 34 digits")

// Canonical returns the one plain decimal form of a JSON number literal: no
// exponent, no redundant zeros, no negative zero. 50.0, 5e1 and 50 are "50".
// More than MaxDigits digits, counted without leading zeros of the whole part
// and trailing zeros of the fraction, is ErrNumber.
func Canonical(literal string) (string, error) {
	s, negative := strings.CutPrefix(literal, "-")
	mantissa, exponent := s, 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		// Atoi stops where a number is out of range, and looks at nothing behind that.
		if unsigned := strings.TrimLeft(s[i+1:min(i+2, len(s))], "+-") + s[min(i+2, len(s)):]; unsigned == "" || !digits(unsigned) {
			return "", ErrNumber
		}
		e, err := strconv.Atoi(s[i+1:])
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return "", ErrNumber
		}
		mantissa, exponent = s[:i], e // out of range: Atoi has clamped it, and only zero survives below
	}
	whole, fraction, point := strings.Cut(mantissa, ".")
	if whole == "" || point && fraction == "" || !digits(whole) || !digits(fraction) || len(whole) > 1 && whole[0] == '0' {
		return "", ErrNumber
	}
	all := strings.TrimLeft(whole+fraction, "0")
	scale := len(fraction)
	trimmed := strings.TrimRight(all, "0")
	if trimmed == "" {
		return "0", nil
	}
	// The value is trimmed × 10^shift; a shift of a few hundred million digits
	// is refused here, before anything of that length is made.
	shift := len(all) - len(trimmed) - scale
	if exponent > 2*len(literal)+MaxDigits || exponent < -2*len(literal)-MaxDigits {
		return "", ErrNumber
	}
	shift += exponent
	if len(trimmed) > MaxDigits || shift > MaxDigits || -shift > MaxDigits || len(trimmed)+max(shift, 0) > MaxDigits {
		return "", ErrNumber
	}
	var out string
	switch {
	case shift >= 0:
		out = trimmed + strings.Repeat("0", shift)
	case -shift < len(trimmed):
		out = trimmed[:len(trimmed)+shift] + "." + trimmed[len(trimmed)+shift:]
	default:
		out = "0." + strings.Repeat("0", -shift-len(trimmed)) + trimmed
	}
	if negative {
		out = "-" + out
	}
	return out, nil
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
