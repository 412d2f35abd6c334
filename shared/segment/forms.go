package segment

import (
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"time"
)

// Each form below has a parse and an append that are inverse: parse accepts a
// text only where append gives that very text back.

var pow10 = [...]int64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

const maxScale = 9

// A decimal is units / 10^scale, with scale as small as it can be.
type decimal struct {
	units int64 // below 10^18
	scale int   // 0 to 9
}

// maxUnits bounds a decimal at any scale of a column.
const maxUnits = 1e18

// parseDecimal takes a canonical number (reading.Canonical) apart.
func parseDecimal(text string) (decimal, bool) {
	unsigned := strings.TrimPrefix(text, "-")
	whole, fraction, _ := strings.Cut(unsigned, ".")
	if whole == "" || len(whole) > maxScale || len(fraction) > maxScale {
		return decimal{}, false
	}
	units := int64(0)
	for _, digits := range [...]string{whole, fraction} {
		for i := range len(digits) {
			units = units*10 + int64(digits[i]-'0')
		}
	}
	if len(unsigned) < len(text) {
		units = -units
	}
	return decimal{units, len(fraction)}, true
}

// appendDecimal writes units / 10^scale canonically.
func appendDecimal(b []byte, units int64, scale int) []byte {
	for scale > 0 && units%10 == 0 {
		units, scale = units/10, scale-1
	}
	if units < 0 {
		b, units = append(b, '-'), -units
	}
	b = strconv.AppendInt(b, units/pow10[scale], 10)
	if scale > 0 {
		b = append(b, '.')
		b = appendPadded(b, units%pow10[scale], scale)
	}
	return b
}

// A moment is an RFC 3339 time: an instant and how it is written.
type moment struct {
	seconds int64 // since 1970
	nanos   int64
	digits  int64 // of the fraction
	zone    int64 // zoneZ, zoneUnknown, or zoneUTC plus minutes
}

const (
	zoneZ       = 0    // Z
	zoneUnknown = 1    // -00:00: the offset is not known (RFC 3339, 4.3)
	zoneUTC     = 1441 // +00:00
	maxOffset   = 23*60 + 59
)

// Between these, nanoseconds since 1970 fit into 64 bits, whatever the offset.
var (
	minSeconds = time.Date(1700, 1, 2, 0, 0, 0, 0, time.UTC).Unix()
	maxSeconds = time.Date(2249, 12, 31, 0, 0, 0, 0, time.UTC).Unix()
)

// offset returns a zone's minutes east of UTC.
func offset(zone int64) (minutes int64, ok bool) {
	switch {
	case zone == zoneZ || zone == zoneUnknown:
		return 0, true
	case zone >= zoneUTC-maxOffset && zone <= zoneUTC+maxOffset:
		return zone - zoneUTC, true
	}
	return 0, false
}

// parseMoment takes the text of a time apart; most text fails at its length or
// first letters.
func parseMoment(text string) (moment, bool) {
	const least = len("2006-01-02T15:04:05Z")
	if len(text) < least || len(text) > least+len(".123456789+00:0") || text[4] != '-' || text[10] != 'T' {
		return moment{}, false
	}
	var fields [6]int64
	for i, at := range [...]struct{ from, to int }{{0, 4}, {5, 7}, {8, 10}, {11, 13}, {14, 16}, {17, 19}} {
		var ok bool
		if fields[i], ok = parseDigits(text[at.from:at.to]); !ok {
			return moment{}, false
		}
	}
	var m moment
	rest := text[19:]
	if rest[0] == '.' {
		n := 1
		for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
			n++
		}
		m.digits = int64(n - 1)
		if m.digits == 0 || m.digits > maxScale {
			return moment{}, false
		}
		m.nanos, _ = parseDigits(rest[1:n])
		m.nanos *= pow10[maxScale-m.digits]
		rest = rest[n:]
	}
	var minutes int64
	switch {
	case rest == "Z":
		m.zone = zoneZ
	case rest == "-00:00":
		m.zone = zoneUnknown
	case len(rest) == len("+00:00"):
		hours, ok1 := parseDigits(rest[1:3])
		mins, ok2 := parseDigits(rest[4:6])
		if !ok1 || !ok2 {
			return moment{}, false
		}
		minutes = hours*60 + mins
		if rest[0] == '-' {
			minutes = -minutes
		}
		m.zone = zoneUTC + minutes
	default:
		return moment{}, false
	}
	local := time.Date(int(fields[0]), time.Month(fields[1]), int(fields[2]), int(fields[3]), int(fields[4]), int(fields[5]), 0, time.UTC)
	m.seconds = local.Unix() - minutes*60
	if !m.valid() {
		return moment{}, false
	}
	// 30 February, 24:00, :60, +24:00, +01:99 and odd punctuation come out as other text.
	var buffer [40]byte
	return m, string(m.append(buffer[:0])) == text
}

// valid reports whether m is one that append can write.
func (m moment) valid() bool {
	_, ok := offset(m.zone)
	return ok && m.seconds >= minSeconds && m.seconds <= maxSeconds &&
		m.nanos >= 0 && m.digits >= 0 && m.digits <= maxScale && m.nanos%pow10[maxScale-m.digits] == 0
}

func (m moment) append(b []byte) []byte {
	minutes, _ := offset(m.zone)
	local := time.Unix(m.seconds+minutes*60, 0).UTC()
	year, month, day := local.Date()
	hour, minute, second := local.Clock()
	b = append(appendPadded(b, int64(year), 4), '-')
	b = append(appendPadded(b, int64(month), 2), '-')
	b = append(appendPadded(b, int64(day), 2), 'T')
	b = append(appendPadded(b, int64(hour), 2), ':')
	b = append(appendPadded(b, int64(minute), 2), ':')
	b = appendPadded(b, int64(second), 2)
	if m.digits > 0 {
		b = append(b, '.')
		b = appendPadded(b, m.nanos/pow10[maxScale-m.digits], int(m.digits))
	}
	switch {
	case m.zone == zoneZ:
		return append(b, 'Z')
	case m.zone == zoneUnknown:
		return append(b, "-00:00"...)
	case minutes < 0:
		b, minutes = append(b, '-'), -minutes
	default:
		b = append(b, '+')
	}
	b = append(appendPadded(b, minutes/60, 2), ':')
	return appendPadded(b, minutes%60, 2)
}

// scale is the least at which scaled is exact: 12:46:39.500 has 3 digits and 1.
func (m moment) scale() int {
	if m.nanos == 0 {
		return 0
	}
	scale := maxScale
	for n := m.nanos; n%10 == 0; n /= 10 {
		scale--
	}
	return scale
}

// scaled is the instant in units of 10^-scale seconds.
func (m moment) scaled(scale int) int64 {
	return m.seconds*pow10[scale] + m.nanos/pow10[maxScale-scale]
}

// instant is the inverse of scaled.
func instant(units int64, scale int) (seconds, nanos int64) {
	seconds, units = units/pow10[scale], units%pow10[scale]
	if units < 0 {
		seconds, units = seconds-1, units+pow10[scale]
	}
	return seconds, units * pow10[maxScale-scale]
}

func isUUID(text string) bool {
	var buffer [16]byte
	_, ok := parseUUID(buffer[:0], text)
	return ok
}

// parseUUID appends the 16 bytes of a lower-case UUID to b.
func parseUUID(b []byte, text string) ([]byte, bool) {
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return b, false
	}
	n := len(b)
	for _, at := range [...]struct{ from, to int }{{0, 8}, {9, 13}, {14, 18}, {19, 23}, {24, 36}} {
		for i := at.from; i < at.to; i += 2 {
			high, low := nibble(text[i]), nibble(text[i+1])
			if high|low > 15 {
				return b[:n], false
			}
			b = append(b, high<<4|low)
		}
	}
	return b, true
}

// nibble returns the value of a lower-case hexadecimal digit, or 16 and more.
func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return math.MaxUint8
}

func appendUUID(b, uuid []byte) []byte {
	b = hex.AppendEncode(b, uuid[:4])
	for _, at := range [...]struct{ from, to int }{{4, 6}, {6, 8}, {8, 10}, {10, 16}} {
		b = append(b, '-')
		b = hex.AppendEncode(b, uuid[at.from:at.to])
	}
	return b
}

func parseDigits(text string) (n int64, ok bool) {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(text[i]-'0')
	}
	return n, true
}

// appendPadded writes n, which has at most width digits, with leading zeros.
func appendPadded(b []byte, n int64, width int) []byte {
	for p := width - 1; p >= 0; p-- {
		b = append(b, byte('0'+n/pow10[p]%10))
	}
	return b
}
