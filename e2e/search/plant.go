package search

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
)

// Plant is a piece that holds a canary: a control for a search, which must find
// it. Form is the form's name in a Hit; Name also says what was done to it.
type Plant struct {
	Name, Form string
	Piece      []byte
}

// Plants are pieces that hold a text or a decimal fraction (see [Text], [Number])
// in every form, as such and after everything that [Deep] looks through.
func Plants(text, decimal string) []Plant {
	digits := strings.Replace(decimal, ".", "", 1)
	scaled, _ := strconv.ParseInt(digits, 10, 64)
	value, _ := strconv.ParseFloat(decimal, 64)
	var wide, wideBE []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		wide = binary.LittleEndian.AppendUint16(wide, unit)
		wideBE = binary.BigEndian.AppendUint16(wideBE, unit)
	}
	var plants []Plant
	for _, p := range []struct {
		form  string
		piece []byte
	}{
		{"text", []byte(text)},
		{"UTF-16LE", wide},
		{"UTF-16BE", wideBE},
		{"hexadecimal", []byte(hex.EncodeToString([]byte(text)))},
		{"HEXADECIMAL", []byte(strings.ToUpper(hex.EncodeToString([]byte(text))))},
		{"base64 at offset 0", []byte(base64.StdEncoding.EncodeToString([]byte(text + " and more")))},
		{"base64 at offset 1", []byte(base64.StdEncoding.EncodeToString([]byte("?" + text + " and more")))},
		{"base64 at offset 2", []byte(base64.RawURLEncoding.EncodeToString([]byte("??" + text)))},
		{"text", []byte(`{"value":` + decimal + `}`)},
		{"digits as text", []byte(digits + "e-9")},
		{"exponent as text", []byte(digits[:1] + "." + digits[1:] + "E+1")},
		{"hexadecimal", []byte(hex.EncodeToString([]byte(decimal)))},
		{"base64 at offset 1", []byte(base64.URLEncoding.EncodeToString([]byte(":" + decimal)))},
		{"float64 little-endian", binary.LittleEndian.AppendUint64(nil, math.Float64bits(value))},
		{"float64 big-endian", binary.BigEndian.AppendUint64(nil, math.Float64bits(value))},
		{"integer little-endian", binary.LittleEndian.AppendUint64(nil, uint64(scaled))},
		{"integer big-endian", binary.BigEndian.AppendUint64(nil, uint64(scaled))},
		{"varint", binary.AppendUvarint(nil, uint64(scaled))},
		{"zigzag varint", binary.AppendVarint(nil, scaled)},
		{"negative zigzag varint", binary.AppendVarint(nil, -scaled)},
	} {
		plants = append(plants, Plant{p.form, p.form, p.piece})
		inside := []byte("some text before it, " + string(p.piece) + " and after it")
		for _, w := range ways {
			plants = append(plants, Plant{p.form + " in " + w.name, p.form, w.to(inside)})
		}
	}
	return plants
}

// ways are what programs do to a piece before they write it.
var ways = []struct {
	name string
	to   func([]byte) []byte
}{
	{"gzip", func(b []byte) []byte {
		return compressed(b, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	}},
	{"zlib", func(b []byte) []byte {
		return compressed(b, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
	}},
	{"deflate", rawDeflate},
	{"base64", inStandard},
	{"base64url", func(b []byte) []byte { return []byte(base64.RawURLEncoding.EncodeToString(b)) }},
	{"hexadecimal", func(b []byte) []byte { return []byte(hex.EncodeToString(b)) }},
	{"base64 of deflate", func(b []byte) []byte { return inStandard(rawDeflate(b)) }},
	{"deflate of base64", func(b []byte) []byte { return rawDeflate(inStandard(b)) }},
}

func inStandard(b []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(b)) }

func rawDeflate(b []byte) []byte {
	return compressed(b, func(w io.Writer) io.WriteCloser {
		f, _ := flate.NewWriter(w, flate.BestCompression) // the level is a known one
		return f
	})
}

func compressed(b []byte, open func(io.Writer) io.WriteCloser) []byte {
	var out bytes.Buffer
	w := open(&out)
	_, _ = w.Write(b) // into memory
	_ = w.Close()
	return out.Bytes()
}
