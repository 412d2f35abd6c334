package reading

import (
	"errors"
	"math/big"
	"time"
)

// ErrTime is returned for text that is not a point in time as ParseTime reads it.
var ErrTime = errors.New("not an RFC 3339 date-time with offset and at most nanoseconds")

// Moment is an RFC 3339 date-time taken apart.
type Moment struct {
	Seconds int64 // since 1970-01-01T00:00:00Z
	Nanos   int32
	Digits  int8  // of the fraction, 0 to 9
	Offset  int16 // minutes east of UTC
}

// ParseMoment reads an RFC 3339 date-time: offset required (up to ±23:59), up to
// nine fraction digits, years 0001 to 9999, lower-case t and z allowed. A leap
// second is refused, because no instant of time.Time equals it.
// time.Parse is not strict enough: it takes a comma and any number of digits.
func ParseMoment(s string) (m Moment, ok bool) {
	if len(s) < len("2006-01-02T15:04:05Z") || s[4] != '-' || s[7] != '-' || s[10]|0x20 != 't' || s[13] != ':' || s[16] != ':' {
		return m, false
	}
	century, year := two(s, 0), two(s, 2)
	month, day := two(s, 5), two(s, 8)
	hour, minute, second := two(s, 11), two(s, 14), two(s, 17)
	if century > 99 || year > 99 || hour > 23 || minute > 59 || second > 59 {
		return m, false
	}
	if year += century * 100; year == 0 || month-1 > 11 || day-1 >= daysIn(year, month) { // 0 - 1 is large
		return m, false
	}
	rest := 19
	if s[rest] == '.' {
		for rest++; rest < len(s) && s[rest]-'0' <= 9; rest++ {
			if m.Digits++; m.Digits > 9 {
				return m, false
			}
			m.Nanos = m.Nanos*10 + int32(s[rest]-'0')
		}
		if m.Digits == 0 {
			return m, false
		}
		for range 9 - m.Digits {
			m.Nanos *= 10
		}
	}
	switch {
	case len(s) == rest+1 && s[rest]|0x20 == 'z':
	case len(s) == rest+len("+00:00") && (s[rest] == '+' || s[rest] == '-') && s[rest+3] == ':':
		hours, minutes := two(s, rest+1), two(s, rest+4)
		if hours > 23 || minutes > 59 {
			return m, false
		}
		m.Offset = int16(hours*60 + minutes)
		if s[rest] == '-' {
			m.Offset = -m.Offset
		}
	default:
		return m, false
	}
	m.Seconds = (days(year, month, day)*24+int64(hour))*3600 + (int64(minute)-int64(m.Offset))*60 + int64(second)
	return m, true
}

// two reads two digits of s; anything else is more than 99.
func two(s string, at int) uint {
	tens, ones := uint(s[at]-'0'), uint(s[at+1]-'0') // below '0' wraps
	if tens > 9 || ones > 9 {
		return 100
	}
	return tens*10 + ones
}

func daysIn(year, month uint) uint {
	if month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0) {
		return 29
	}
	return [...]uint{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[month-1]
}

// days is a date's days since 1970-01-01: years begin in March here, so that the
// leap day is their last.
func days(year, month, day uint) int64 {
	y, m := year, month-3
	if month < 3 {
		y, m = year-1, month+9
	}
	const march0To1970 = 719468
	return int64(y*365+y/4-y/100+y/400+(153*m+2)/5+day-1) - march0To1970
}

// ParseTime reads what ParseMoment reads.
func ParseTime(s string) (time.Time, error) {
	m, ok := ParseMoment(s)
	if !ok {
		return time.Time{}, ErrTime
	}
	location := time.UTC
	if s[len(s)-1]|0x20 != 'z' {
		location = time.FixedZone("", int(m.Offset)*60)
	}
	return time.Unix(m.Seconds, int64(m.Nanos)).In(location), nil
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
