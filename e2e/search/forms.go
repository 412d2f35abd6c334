package search

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// Text is a canary that is a text: of at least 8 bytes, or it is found by chance.
func Text(name, text string) Canary {
	if len(text) < 8 {
		panic("search: a canary this short is found by chance")
	}
	return Canary{name, written("", text)}
}

// Number is a canary that is a decimal fraction such as 71.236548917: 11 to 18
// digits, the first not zero. It is looked for as it is written, without its
// point, with an exponent, as a float, as the integer of its digits, and as that
// integer's varint, zigzag or not.
func Number(name, decimal string) Canary {
	digits := strings.Replace(decimal, ".", "", 1)
	scaled, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || len(digits) == len(decimal) || len(digits) < 11 || len(digits) > 18 || digits[0] < '1' {
		panic("search: not a decimal fraction of 11 to 18 digits")
	}
	value, err := strconv.ParseFloat(decimal, 64)
	if err != nil {
		panic("search: not a decimal number")
	}
	forms := written("", decimal)
	forms = append(forms, written("digits as ", digits)...)
	forms = append(forms, written("exponent as ", digits[:1]+"."+strings.TrimRight(digits[1:], "0"))...)

	add := func(name string, b []byte) { forms = append(forms, form{name, b}) }
	for name, order := range map[string]binary.AppendByteOrder{"little-endian": binary.LittleEndian, "big-endian": binary.BigEndian} {
		add("float64 "+name, order.AppendUint64(nil, math.Float64bits(value)))
		add("float32 "+name, order.AppendUint32(nil, math.Float32bits(float32(value))))
	}
	integer := big.NewInt(scaled).Bytes()
	add("integer big-endian", integer)
	add("integer little-endian", reversed(integer))
	add("varint", binary.AppendUvarint(nil, uint64(scaled)))
	add("zigzag varint", binary.AppendVarint(nil, scaled))
	add("negative zigzag varint", binary.AppendVarint(nil, -scaled))
	return Canary{name, forms}
}

func reversed(b []byte) []byte {
	r := bytes.Clone(b)
	slices.Reverse(r)
	return r
}

// written is a text in its characters, in base64 and in hexadecimal digits.
func written(kind, text string) []form {
	forms := []form{
		{kind + "text", []byte(text)},
		{kind + "hexadecimal", []byte(hex.EncodeToString([]byte(text)))},
		{kind + "HEXADECIMAL", []byte(strings.ToUpper(hex.EncodeToString([]byte(text))))},
	}
	for name, order := range map[string]binary.AppendByteOrder{"UTF-16LE": binary.LittleEndian, "UTF-16BE": binary.BigEndian} {
		var b []byte
		for _, unit := range utf16.Encode([]rune(text)) {
			b = order.AppendUint16(b, unit)
		}
		forms = append(forms, form{kind + name, b})
	}
	for offset := range 3 {
		name := kind + "base64 at offset " + strconv.Itoa(offset)
		forms = append(forms, form{name, inBase64(base64.RawStdEncoding, text, offset)})
		if url := inBase64(base64.RawURLEncoding, text, offset); string(url) != string(forms[len(forms)-1].text) {
			forms = append(forms, form{kind + "base64url at offset " + strconv.Itoa(offset), url})
		}
	}
	return forms
}

// inBase64 is the characters that a text gives wherever it begins at such an
// offset within three bytes, whatever stands before and after it.
func inBase64(encoding *base64.Encoding, text string, offset int) []byte {
	all := encoding.EncodeToString(append(make([]byte, offset), text...))
	first := (offset*8 + 5) / 6
	last := (offset + len(text)) * 8 / 6
	return []byte(all[first:last])
}
