package segment

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"fitvault/shared/reading"
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
			if digits[i]-'0' > 9 {
				return decimal{}, false
			}
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

// parseMoment takes the text of a time apart.
func parseMoment(text string) (m moment, ok bool) {
	parsed, ok := reading.ParseMoment(text)
	if !ok || text[10] != 'T' || text[len(text)-1] == 'z' {
		return m, false
	}
	m = moment{seconds: parsed.Seconds, nanos: int64(parsed.Nanos), digits: int64(parsed.Digits), zone: zoneUTC + int64(parsed.Offset)}
	switch {
	case text[len(text)-1] == 'Z':
		m.zone = zoneZ
	case parsed.Offset == 0 && text[len(text)-len("+00:00")] == '-':
		m.zone = zoneUnknown
	}
	return m, m.seconds >= minSeconds && m.seconds <= maxSeconds
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

// parseUUID appends the 16 bytes of a lower-case UUID to b.
func parseUUID(b []byte, text string) ([]byte, bool) {
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return b, false
	}
	n := len(b)
	for _, at := range [...]struct{ from, to int }{{0, 8}, {9, 13}, {14, 18}, {19, 23}, {24, 36}} {
		for i := at.from; i < at.to; i += 2 {
			high, low := nibble[text[i]], nibble[text[i+1]]
			if high|low > 15 {
				return b[:n], false
			}
			b = append(b, high<<4|low)
		}
	}
	return b, true
}

// nibble is the value of a lower-case hexadecimal digit, or 255.
var nibble = func() (values [256]byte) {
	for i := range values {
		values[i] = 255
	}
	for i, c := range "0123456789abcdef" {
		values[c] = byte(i)
	}
	return values
}()

func appendUUID(b, uuid []byte) []byte {
	b = hex.AppendEncode(b, uuid[:4])
	for _, at := range [...]struct{ from, to int }{{4, 6}, {6, 8}, {8, 10}, {10, 16}} {
		b = append(b, '-')
		b = hex.AppendEncode(b, uuid[at.from:at.to])
	}
	return b
}

// appendPadded writes n, which has at most width digits, with leading zeros.
func appendPadded(b []byte, n int64, width int) []byte {
	for p := width - 1; p >= 0; p-- {
		b = append(b, byte('0'+n/pow10[p]%10))
	}
	return b
}
