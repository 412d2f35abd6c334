package search

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/hex"
	"io"
)

const (
	minRun      = 8       // characters in base64 or hexadecimal that are worth decoding
	minInflated = 5       // bytes
	maxInflated = 4 << 20 // bytes
)

// decodeRuns calls found for all runs of base64 and of hexadecimal digits. Where
// other characters of the alphabet precede what was encoded, it begins at any of
// the first characters of the run.
func decodeRuns(piece []byte, found func(how string, at int, decoded []byte)) {
	for _, r := range runs(piece, isHex) {
		for shift := range 2 {
			digits := piece[r[0]+shift : r[1]]
			decoded := make([]byte, len(digits)/2)
			_, _ = hex.Decode(decoded, digits[:len(digits)/2*2])
			found("hexadecimal", r[0]+shift, decoded)
		}
	}
	for _, r := range runs(piece, isBase64) {
		for shift := range 4 {
			characters := bytes.Map(standard, piece[r[0]+shift:r[1]])
			if len(characters)%4 == 1 {
				characters = characters[:len(characters)-1]
			}
			decoded := make([]byte, base64.RawStdEncoding.DecodedLen(len(characters)))
			n, _ := base64.RawStdEncoding.Decode(decoded, characters)
			found("base64", r[0]+shift, decoded[:n])
		}
	}
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

func isBase64(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '+' || c == '/' || c == '-' || c == '_'
}

// standard turns base64url into base64.
func standard(r rune) rune {
	switch r {
	case '-':
		return '+'
	case '_':
		return '/'
	}
	return r
}

// runs are the places, first and end, of at least minRun bytes in an alphabet.
func runs(piece []byte, in func(byte) bool) [][2]int {
	var all [][2]int
	first := 0
	for i := 0; i <= len(piece); i++ {
		if i < len(piece) && in(piece[i]) {
			continue
		}
		if i-first >= minRun {
			all = append(all, [2]int{first, i})
		}
		first = i + 1
	}
	return all
}

// inflater keeps the decompressor, which is dear to make.
type inflater struct {
	raw io.ReadCloser
	out bytes.Buffer
}

// each calls found for what inflates: from the marks of gzip and zlib anywhere,
// and from each of the first places without a mark.
func (in *inflater) each(piece []byte, first int, found func(how string, at int, decoded []byte)) {
	try := func(how string, at int, open func(io.Reader) (io.Reader, error)) {
		r, err := open(bytes.NewReader(piece[at:]))
		if err != nil {
			return
		}
		in.out.Reset()
		_, _ = io.Copy(&in.out, io.LimitReader(r, maxInflated)) // what came before an error counts
		if in.out.Len() >= minInflated {
			found(how, at, bytes.Clone(in.out.Bytes()))
		}
	}
	for at := range piece {
		rest := piece[at:]
		if len(rest) > 2 && rest[0] == 0x1f && rest[1] == 0x8b && rest[2] == 8 { // RFC 1952
			try("gunzipped", at, func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) })
		}
		if len(rest) > 1 && rest[0]&0x0f == 8 && rest[0] < 0x80 && (int(rest[0])<<8|int(rest[1]))%31 == 0 { // RFC 1950
			try("inflated (zlib)", at, func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) })
		}
		if at < first {
			try("inflated", at, in.deflate)
		}
	}
}

// deflate is RFC 1951.
func (in *inflater) deflate(r io.Reader) (io.Reader, error) {
	if in.raw == nil {
		in.raw = flate.NewReader(r)
		return in.raw, nil
	}
	return in.raw, in.raw.(flate.Resetter).Reset(r, nil)
}
