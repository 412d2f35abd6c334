package strictxml

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Element is what a format knows of an element of its schemas, for the lenient
// reading: as much as repairs need. What it does not know is left as it is, and
// the schemas judge it.
type Element struct {
	Name     string
	Space    string // where it differs from its parent's
	Kind     ElementKind
	Required bool
	Many     bool
	Missing  string // text that stands in for a required element; "" where nothing can

	Attributes []Attribute
	Children   []*Element // in the order of the schema
	Value      Value      // of an element with text
	Unique     bool       // its text is a key
	Bare       string     // the child that text without an element around it means
	NotEmpty   bool       // a container that must have a child of the last kind
	// Hidden are elements that do not belong here but are known to be written
	// here: the collector sees them, the schemas do not.
	Hidden []*Element
	// Probe is a document in which a description is tried, at {here}; {spaces} are
	// the namespace declarations in scope, and its own prefix is _.
	Probe string
}

// ElementKind says how an element is read.
type ElementKind uint8

const (
	Small       ElementKind = iota // read whole, put where it belongs among its siblings
	Container                      // of any size: its children are read one by one
	Each                           // of any number: read whole, passed on at once
	Description                    // nothing in it is read; if it breaks its schema it is left out
	Extension                      // holds elements of other namespaces: Children are those that are known
	Untouched                      // passed on as it is
)

// Attribute is one that an element may have.
type Attribute struct {
	Name     string
	Required bool
	Missing  string // value that stands in, "" where nothing can
	Rule     string // said where Missing stands in
	Value    Value
}

// Value checks a text and repairs it: it returns the text to use and the rule
// that was needed, or false where nothing was measured and the rule says so. A
// text that is neither right nor known to be wrong comes back as it is.
type Value func(text string) (use string, rule string, keep bool)

// Rules of the lenient reading (docs/lenient.md says which devices need them).
const (
	ForgiveOrder       = "element-order"
	ForgiveUnknown     = "unknown-element"
	ForgiveRepeated    = "repeated-element"
	ForgiveMissing     = "missing-element"
	ForgiveAttribute   = "unknown-attribute"
	ForgiveNoAttribute = "missing-attribute"
	ForgiveEmptyTrack  = "empty-track"
	ForgiveDescription = "description"
	ForgiveExtension   = "unqualified-extension"
	ForgiveBare        = "bare-value"
	ForgiveNoValue     = "no-value"
	ForgiveRange       = "out-of-range"
	ForgiveFraction    = "fraction"
	ForgiveComma       = "decimal-comma"
	ForgiveExponent    = "exponent"
	ForgiveTime        = "time-format"
	ForgiveWord        = "unknown-word"
	ForgiveKey         = "activity-id"
	ForgiveLapStart    = "lap-start"
	ForgiveSport       = "sport-name"
	ForgiveOthers      = "others" // more kinds than a list has room for
)

// nothing are the words by which devices and apps say that nothing was measured.
var nothing = []string{"", "-", "--", "---", "undefined", "null", "(null)", "nil", "none", "nan", "-nan", "nan(ind)", "-nan(ind)", "n/a", "na", "unknown", "inf", "-inf", "infinity", "-infinity", "false"}

var (
	plainNumber    = regexp.MustCompile(`^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)$`)
	numberOrPower  = regexp.MustCompile(`^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$`)
	numberWithUnit = regexp.MustCompile(`^[+-]?[0-9]+,[0-9]+$`)
)

// Number is an xs:double or, where not exact, an xs:decimal, between two bounds.
// The upper one may be excluded.
func Number(double bool, least, most float64, below bool) Value {
	return func(text string) (string, string, bool) {
		t, rule := strings.Trim(text, Whitespace), ""
		if slices.Contains(nothing, strings.ToLower(t)) && !(double && (t == "NaN" || t == "INF" || t == "-INF")) {
			return "", ForgiveNoValue, false
		}
		if numberWithUnit.MatchString(t) {
			t, rule = strings.Replace(t, ",", ".", 1), ForgiveComma
		}
		if !numberOrPower.MatchString(t) {
			return text, "", true
		}
		f, err := strconv.ParseFloat(t, 64)
		if f < least || f > most || below && f == most {
			return "", ForgiveRange, false
		}
		if !double && !plainNumber.MatchString(t) {
			if err != nil || f > 1e15 || f < -1e15 {
				return "", ForgiveRange, false
			}
			t, rule = strconv.FormatFloat(f, 'f', -1, 64), ForgiveExponent
		}
		if rule == "" {
			return text, "", true
		}
		return t, rule, true
	}
}

// Integer is a whole number between two bounds. One with a fraction is rounded.
func Integer(least, most int) Value {
	return func(text string) (string, string, bool) {
		t, rule := strings.Trim(text, Whitespace), ""
		if slices.Contains(nothing, strings.ToLower(t)) {
			return "", ForgiveNoValue, false
		}
		if numberWithUnit.MatchString(t) {
			t = strings.Replace(t, ",", ".", 1)
		}
		if !numberOrPower.MatchString(t) {
			return text, "", true
		}
		f, _ := strconv.ParseFloat(t, 64)
		if strings.ContainsAny(t, ".eE") {
			if f < 0 {
				f -= 0.5
			} else {
				f += 0.5
			}
			rule = ForgiveFraction
		}
		if f < float64(least) || f >= float64(most)+1 {
			return "", ForgiveRange, false
		}
		if rule == "" {
			return text, "", true
		}
		return strconv.Itoa(int(f)), rule, true
	}
}

// Word is one of some words. Any other is read as the one that stands in, or,
// where that is "", as nothing.
func Word(instead, rule string, words ...string) Value {
	return func(text string) (string, string, bool) {
		t := strings.Trim(text, Whitespace)
		for _, w := range words {
			if t == w {
				return text, "", true
			}
			if strings.EqualFold(t, w) {
				return w, rule, true
			}
		}
		return instead, rule, instead != ""
	}
}

// almostTime is a time in a form that devices write though XML Schema has another.
var almostTime = regexp.MustCompile(`^([0-9]{4})[-/.]?([0-9]{1,2})[-/.]?([0-9]{1,2})(?:[Tt]| +)([0-9]{1,2}):?([0-9]{2})(?::?([0-9]{2})(?:[.,]([0-9]+))?)? *(?:([Zz]|UTC|GMT)|([+-])([0-9]{2}):?([0-9]{2})?)?$`)

var exactTime = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})?$`)

// Time is an xs:dateTime.
func Time(text string) (string, string, bool) {
	t := strings.Trim(text, Whitespace)
	if slices.Contains(nothing, strings.ToLower(t)) {
		return "", ForgiveNoValue, false
	}
	m := almostTime.FindStringSubmatch(t)
	if exactTime.MatchString(t) || m == nil {
		return text, "", true
	}
	two := func(s string) string {
		if s == "" {
			return "00"
		}
		return strings.Repeat("0", 2-len(s)) + s
	}
	fixed := m[1] + "-" + two(m[2]) + "-" + two(m[3]) + "T" + two(m[4]) + ":" + m[5] + ":" + two(m[6])
	if m[7] != "" {
		fixed += "." + m[7]
	}
	if m[9] != "" {
		fixed += m[9] + m[10] + ":" + two(m[11])
	} else {
		fixed += "Z"
	}
	if _, err := time.Parse(time.RFC3339Nano, fixed); err != nil {
		return text, "", true
	}
	return fixed, ForgiveTime, true
}

// child returns the child of a name, and its place in the order.
func (e *Element) child(name Name, space string) (int, *Element) {
	for i, c := range e.Children {
		if c.Name == name.Local && c.space(space) == name.Space {
			return i, c
		}
	}
	return -1, nil
}

func (e *Element) space(parents string) string {
	if e.Space != "" {
		return e.Space
	}
	return parents
}
