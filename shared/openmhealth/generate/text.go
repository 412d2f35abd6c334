package generate

import (
	"fmt"
	"strings"
	"time"

	"fitvault/shared/reading"
)

// number makes a decimal of at most digits behind the point, and of at most
// reading.MaxDigits in all; most are short, as measurements are.
func (m maker) number(digits int) reading.Value {
	whole, fraction := 1+m.IntN(4), m.IntN(3)
	if m.IntN(8) == 0 {
		whole = 1 + m.IntN(reading.MaxDigits)
		fraction = m.IntN(reading.MaxDigits - whole + 1)
	}
	fraction = min(fraction, digits)
	var b strings.Builder
	if m.IntN(5) == 0 {
		b.WriteByte('-')
	}
	b.WriteString(strings.TrimLeft(m.digits(whole), "0"))
	if strings.TrimPrefix(b.String(), "-") == "" {
		b.WriteByte('0')
	}
	if fraction > 0 {
		b.WriteString("." + m.digits(fraction))
	}
	v, err := reading.NumberValue(b.String())
	if err != nil {
		panic(err)
	}
	return v
}

func (m maker) digits(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('0' + m.IntN(10))
	}
	return string(b)
}

// alphabets go from what apps send to what breaks careless code: escapes,
// controls, combining and right-to-left marks, astral planes.
var alphabets = []string{
	"abcdefghijklmnopqrstuvwxyz -.",
	"ÀÉîõüßЖλ中文日本語한국어",
	"😀🏃🏽‍♀️𝒳𐍈🇩🇪\U0010fffd",
	"\"\\/\b\f\n\r\t\x00\x1f\x7f<>&'",
	"e\u0301\u0308\u200d\u202e\u2028\u2029\ufeff\ufffd\uffff",
}

func (m maker) text() string {
	var b strings.Builder
	for range m.IntN(4) {
		alphabet := []rune(alphabets[m.IntN(len(alphabets))])
		for range 1 + m.IntN(8) {
			b.WriteRune(alphabet[m.IntN(len(alphabet))])
		}
	}
	return b.String()
}

// id makes the id of an Open mHealth header: any text, or often a UUID.
func (m maker) id() string {
	if m.IntN(2) == 0 {
		return m.uuid()
	}
	return m.digits(1) + strings.Map(func(r rune) rune {
		if r < ' ' || r == '\x7f' {
			return -1
		}
		return r
	}, m.text())
}

func (m maker) uuid() string {
	id := fmt.Sprintf("%016x%016x", m.Uint64(), m.Uint64())
	id = id[:8] + "-" + id[8:12] + "-4" + id[13:16] + "-a" + id[17:20] + "-" + id[20:]
	if m.IntN(4) == 0 {
		id = strings.ToUpper(id)
	}
	return id
}

func (m maker) format(name string) string {
	switch name {
	case "date-time":
		return m.dateTime()
	case "uuid":
		return m.uuid()
	case "uri":
		return "https://example.org/schemas/" + m.digits(3) + "?v=1#s"
	case "iri":
		return "https://example.org/资料/" + m.digits(3)
	}
	panic("generate: a format that no served schema had: " + name)
}

// day is the day of a time, mostly in this century, else anywhere in the
// calendar but at its ends, so that no offset leaves it.
func (m maker) day() time.Time {
	if m.IntN(10) == 0 {
		return time.Date(2, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, m.IntN(9996*365))
	}
	return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, m.IntN(30*365))
}

func (m maker) date() string { return m.day().Format(time.DateOnly) }

// dateTime makes any RFC 3339 form: Z or an offset of quarter hours up to
// ±14:00 (-00:00 too), no fraction or up to nine digits, capitals or not.
func (m maker) dateTime() string {
	text := m.day().Add(time.Duration(m.IntN(86_400)) * time.Second).Format("2006-01-02T15:04:05")
	if digits := m.IntN(10); m.IntN(2) == 0 && digits > 0 {
		text += "." + m.digits(digits)
	}
	if m.IntN(3) == 0 {
		text += "Z"
	} else {
		quarters := m.IntN(14*4 + 1)
		text += string("+-"[m.IntN(2)]) + fmt.Sprintf("%02d:%02d", quarters/4, quarters%4*15)
	}
	if m.IntN(20) == 0 {
		text = strings.ToLower(text)
	}
	return text
}
