package recording

import (
	"math"
	"strconv"
	"strings"
	"time"

	"fitvault/shared/reading"
)

const whitespace = " \t\r\n" // XML's; schema types collapse it

// Number returns a valid xs:double, xs:decimal or xs:integer literal as JSON
// number text, or "" if it is no finite number.
func Number(literal string) string {
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

// Moment returns a valid xs:dateTime as a time and as RFC 3339 text: as sent
// where RFC 3339 allows that. It returns false for what RFC 3339 cannot write.
func Moment(literal string) (time.Time, string, bool) {
	stamp := strings.Trim(literal, whitespace)
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
// returns false for anything else.
func plainMoment(s string) (time.Time, bool) {
	zone := time.UTC
	clock := len(s) - 1
	if clock >= 19 && s[clock] != 'Z' {
		if clock -= 5; clock < 19 || s[clock] != '+' && s[clock] != '-' || s[clock+3] != ':' {
			return time.Time{}, false
		}
		hours, minutes := digits(s[clock+1:clock+3]), digits(s[clock+4:])
		if hours < 0 || hours > 13 || minutes < 0 || minutes > 59 {
			return time.Time{}, false
		}
		if seconds := hours*3600 + minutes*60; s[clock] == '-' {
			zone = time.FixedZone("", -seconds)
		} else if seconds > 0 {
			zone = time.FixedZone("", seconds)
		}
	}
	if clock < 19 || clock > 29 || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return time.Time{}, false
	}
	year, month, day := digits(s[:4]), digits(s[5:7]), digits(s[8:10])
	hour, minute, second := digits(s[11:13]), digits(s[14:16]), digits(s[17:19])
	nanos := 0
	if clock > 19 {
		if nanos = digits(s[20:clock]); s[19] != '.' || clock == 20 || nanos < 0 {
			return time.Time{}, false
		}
		for i := clock - 20; i < 9; i++ {
			nanos *= 10
		}
	}
	// The edges of what RFC 3339 can write are for the slow way.
	if year < 2 || year > 9998 || month < 1 || month > 12 || day < 1 || day > 28 && day > daysIn(year, month) ||
		hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 {
		return time.Time{}, false
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, nanos, zone), true
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// digits is the number that s writes in digits only; negative for anything else.
func digits(s string) int {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return -1
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}

// PlainTime reports whether b is a time in the form that nearly all documents
// have, so that it is an xs:dateTime beyond doubt.
func PlainTime(b []byte) bool {
	_, ok := plainMoment(string(b))
	return ok
}
