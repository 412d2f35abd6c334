package reading

import (
	"errors"
	"math/big"
	"strings"
	"time"
)

// ErrTime is returned for text that is not a point in time as ParseTime reads it.
var ErrTime = errors.New("not an RFC 3339 date-time with offset and at most nanoseconds")

// ParseTime reads an RFC 3339 date-time: offset required (up to ±23:59), up to
// nine fraction digits, years 0001 to 9999, lower-case t and z allowed. A leap
// second is refused, because no instant of time.Time equals it.
// time.Parse is not strict enough: it takes a comma and any number of digits.
func ParseTime(s string) (time.Time, error) {
	if len(s) < len("2006-01-02T15:04:05Z") || s[10]|0x20 != 't' || s[13] != ':' || s[16] != ':' {
		return time.Time{}, ErrTime
	}
	day, err := parseDate(s[:10], time.UTC)
	hour, ok1 := number(s[11:13], 23)
	minute, ok2 := number(s[14:16], 59)
	second, ok3 := number(s[17:19], 59)
	nanos, zone, ok4 := fraction(s[19:])
	location, ok5 := offset(zone)
	if err != nil || !ok1 || !ok2 || !ok3 || !ok4 || !ok5 {
		return time.Time{}, ErrTime
	}
	return time.Date(day.Year(), day.Month(), day.Day(), hour, minute, second, nanos, location), nil
}

// parseDate reads YYYY-MM-DD, a day of the calendar, as its 00:00 at location.
func parseDate(s string, location *time.Location) (time.Time, error) {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' {
		return time.Time{}, ErrTime
	}
	year, ok1 := number(s[:4], 9999)
	month, ok2 := number(s[5:7], 12)
	day, ok3 := number(s[8:], 31)
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, location)
	if !ok1 || !ok2 || !ok3 || year == 0 || t.Month() != time.Month(month) || t.Day() != day {
		return time.Time{}, ErrTime // time.Date has made 30 February the 2 March
	}
	return t, nil
}

func number(s string, most int) (int, bool) {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, n <= most
}

// fraction reads ".5" off the front of s as nanoseconds; no fraction is 0.
func fraction(s string) (nanos int, rest string, ok bool) {
	if s == "" || s[0] != '.' {
		return 0, s, true
	}
	rest = strings.TrimLeft(s[1:], "0123456789")
	text := s[1 : len(s)-len(rest)]
	if text == "" || len(text) > 9 {
		return 0, "", false
	}
	nanos, ok = number((text + "00000000")[:9], 999_999_999)
	return nanos, rest, ok
}

func offset(s string) (*time.Location, bool) {
	if s == "Z" || s == "z" {
		return time.UTC, true
	}
	if len(s) != len("+00:00") || s[0] != '+' && s[0] != '-' || s[3] != ':' {
		return nil, false
	}
	hours, ok1 := number(s[1:3], 23)
	minutes, ok2 := number(s[4:], 59)
	seconds := (hours*60 + minutes) * 60
	if s[0] == '-' {
		seconds = -seconds
	}
	return time.FixedZone("", seconds), ok1 && ok2
}

// nanoseconds is the length of a duration unit of the schemas
// (duration-unit-value), by UCUM: a year has 365.25 days, a month a twelfth of it.
var nanoseconds = map[string]string{
	"ps":  "0.001",
	"ns":  "1",
	"us":  "1000",
	"ms":  "1000000",
	"sec": "1000000000",
	"min": "60000000000",
	"h":   "3600000000000",
	"d":   "86400000000000",
	"wk":  "604800000000000",
	"Mo":  "2629800000000000",
	"yr":  "31557600000000000",
}

// shift returns t plus a duration {value, unit} (minus, if sign is -1),
// computed exactly, then rounded down to a nanosecond. A result further than
// 10,000 years away is cut to that: it is out of range then for whoever looks
// at it, and harmless where the other end of the interval counts. It returns
// false if duration is not one.
func shift(t time.Time, duration Value, sign int64) (time.Time, bool) {
	value, _ := duration.Get("value")
	unit, _ := duration.Get("unit")
	length, ok1 := new(big.Rat).SetString(nanoseconds[unit.Text()])
	amount, ok2 := new(big.Rat).SetString(value.Text())
	if !ok1 || !ok2 || value.Kind() != Number {
		return t, false
	}
	amount.Mul(amount, length).Mul(amount, big.NewRat(sign, 1))
	nanos := new(big.Int).Div(amount.Num(), amount.Denom()) // Euclidean: rounds down
	seconds, rest := nanos.DivMod(nanos, big.NewInt(1e9), new(big.Int))
	const furthest = 10_000 * 366 * 86_400
	if seconds.CmpAbs(big.NewInt(furthest)) > 0 {
		seconds.SetInt64(int64(seconds.Sign()) * furthest)
	}
	return time.Unix(t.Unix()+seconds.Int64(), int64(t.Nanosecond())+rest.Int64()).In(t.Location()), true
}
