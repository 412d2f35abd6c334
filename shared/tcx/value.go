package tcx

import (
	"math"
	"strconv"
	"strings"
	"time"

	"fitvault/shared/reading"
)

const whitespace = " \t\r\n" // XML's; schema types collapse it

// number returns a valid xs:double or xs:integer literal as JSON number text,
// or "" if it is no finite number.
func number(literal string) string {
	literal = strings.Trim(literal, whitespace)
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return ""
	}
	if text, err := reading.Canonical(asJSON(literal)); err == nil {
		return text
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// asJSON drops what xs:double allows and JSON does not: a plus sign, leading
// zeros, a point without digits on both sides.
func asJSON(literal string) string {
	sign := ""
	switch literal[0] {
	case '+':
		literal = literal[1:]
	case '-':
		sign, literal = "-", literal[1:]
	}
	mantissa, exponent := literal, ""
	if i := strings.IndexAny(literal, "eE"); i >= 0 {
		mantissa, exponent = literal[:i], literal[i:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if whole = strings.TrimLeft(whole, "0"); whole == "" {
		whole = "0"
	}
	if fraction = strings.TrimRight(fraction, "0"); fraction != "" {
		fraction = "." + fraction
	}
	return sign + whole + fraction + exponent
}

// moment returns a valid xs:dateTime as a time and as RFC 3339 text: as sent
// where RFC 3339 allows that. It returns false for what RFC 3339 cannot write.
func moment(literal string) (time.Time, string, bool) {
	stamp := strings.Trim(literal, whitespace)
	day, clock, _ := strings.Cut(stamp, "T")
	if !strings.ContainsAny(clock, "Z+-") {
		stamp += "Z"
	}
	midnight := strings.HasPrefix(clock, "24:")
	if midnight {
		stamp = day + "T00" + strings.TrimPrefix(stamp, day+"T24")
	}
	t, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		return time.Time{}, "", false
	}
	if midnight {
		t = t.AddDate(0, 0, 1)
	}
	if !writable(t) || !writable(t.UTC()) {
		return time.Time{}, "", false
	}
	if midnight || len(fraction(clock)) > 9 {
		stamp = t.Format(time.RFC3339Nano)
	}
	return t, stamp, true
}

// writable reports whether RFC 3339 has a text for the year of t.
func writable(t time.Time) bool { return 1 <= t.Year() && t.Year() <= 9999 }

// fraction returns the digits after the seconds' point.
func fraction(clock string) string {
	_, after, _ := strings.Cut(clock, ".")
	if i := strings.IndexAny(after, "Z+-"); i >= 0 {
		after = after[:i]
	}
	return after
}
