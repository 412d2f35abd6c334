package recording

import (
	"math"
	"strconv"
	"strings"
	"time"

	"fitvault/shared/reading"
	"fitvault/shared/strictxml"
)

// Number returns a valid xs:double, xs:decimal or xs:integer literal as JSON
// number text, or "" if it is no finite number.
func Number(literal string) string {
	literal = strings.Trim(literal, strictxml.Whitespace)
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

// Moment returns a valid xs:dateTime as a time and as RFC 3339 text: as sent
// where RFC 3339 allows that. It returns false for what RFC 3339 cannot write.
func Moment(literal string) (time.Time, string, bool) {
	stamp := strings.Trim(literal, strictxml.Whitespace)
	if t, ok := plainMoment(stamp); ok {
		return t, stamp, true
	}
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
	if !Writable(t) {
		return time.Time{}, "", false
	}
	if midnight || len(fraction(clock)) > 9 {
		stamp = t.Format(time.RFC3339Nano)
	}
	return t, stamp, true
}

// Writable reports whether RFC 3339 has a text for t, in its own offset and in UTC.
func Writable(t time.Time) bool {
	return 1 <= t.Year() && t.Year() <= 9999 && 1 <= t.UTC().Year() && t.UTC().Year() <= 9999
}

// fraction returns the digits after the seconds' point.
func fraction(clock string) string {
	_, after, _ := strings.Cut(clock, ".")
	if i := strings.IndexAny(after, "Z+-"); i >= 0 {
		after = after[:i]
	}
	return after
}

// plainMoment reads what nearly all documents have: 2026-05-04T05:25:00Z, or
// with up to 9 digits of a fraction, or with an offset below 14 hours. It
// returns false for anything else, also at the edges of what RFC 3339 can write:
// those are for the slow way.
func plainMoment(s string) (time.Time, bool) {
	m, ok := reading.ParseMoment(s)
	if !ok || s[10] != 'T' || s[len(s)-1] == 'z' || m.Offset <= -14*60 || m.Offset >= 14*60 || m.Seconds < plainFirst || m.Seconds > plainLast {
		return time.Time{}, false
	}
	zone := time.UTC
	if m.Offset != 0 {
		zone = time.FixedZone("", int(m.Offset)*60)
	}
	return time.Unix(m.Seconds, int64(m.Nanos)).In(zone), true
}

var (
	plainFirst = time.Date(2, 1, 2, 0, 0, 0, 0, time.UTC).Unix()
	plainLast  = time.Date(9998, 12, 30, 0, 0, 0, 0, time.UTC).Unix()
)

// PlainTime reports whether b is a time in the form that nearly all documents
// have, so that it is an xs:dateTime beyond doubt.
func PlainTime(b []byte) bool {
	_, ok := plainMoment(string(b))
	return ok
}

// Plain values of trackpoints: far from the edges of their types in all formats.
var (
	PlainLatitude  = strictxml.Within(90)
	PlainLongitude = strictxml.Within(180)
	PlainHeartRate = strictxml.Whole(1, 255)
	PlainCadence   = strictxml.Whole(0, 254)
)
