package tcx

import (
	"bytes"
	"encoding/xml"
	"io"
	"regexp"
	"strings"

	"fitvault/shared/fault"
)

// decoder reads a document a second time. Offsets count from behind a byte
// order mark, which encoding/xml would take for text.
type decoder struct {
	*xml.Decoder
	raw  []byte
	from int64 // where the last token starts
	open int   // how many elements are open
}

func newDecoder(document []byte) *decoder {
	raw := withoutMark(document)
	d := &decoder{Decoder: xml.NewDecoder(&asciiReader{rest: raw}), raw: raw}
	// Reached for "UTF8", which the validator takes for UTF-8 as libxml2 does.
	d.CharsetReader = func(_ string, input io.Reader) (io.Reader, error) { return input, nil }
	return d
}

func withoutMark(document []byte) []byte { return bytes.TrimPrefix(document, []byte("\xef\xbb\xbf")) }

// next returns the next token, io.EOF, or a fault. It refuses what the
// validator lets pass although it is not well-formed: a character reference
// beside the root element, and what Namespaces in XML forbids, a namespace name
// that is no URI reference and a colon in the target of a processing instruction.
func (d *decoder) next() (xml.Token, error) {
	d.from = d.InputOffset()
	token, err := d.Token()
	if err == io.EOF {
		return nil, io.EOF
	}
	if err != nil {
		return nil, errNotWellFormed
	}
	text := d.raw[d.from:d.InputOffset()]
	switch token := token.(type) {
	case xml.StartElement:
		d.open++
		for i, a := range rawAttributes(text) {
			if a.declares(text) && (!ascii(text[a.value:a.end]) || !uriReference.MatchString(token.Attr[i].Value)) {
				return nil, errNotWellFormed
			}
		}
	case xml.EndElement:
		d.open--
	case xml.ProcInst:
		if strings.Contains(token.Target, ":") {
			return nil, errNotWellFormed
		}
	case xml.CharData:
		if d.open == 0 && len(bytes.Trim(text, whitespace)) > 0 {
			return nil, errNotWellFormed
		}
	}
	return token, nil
}

var errNotWellFormed = fault.New(fault.BadRequest, "document is not well-formed XML")

// rawAttribute is where an attribute stands in a start tag: its name begins at
// name, its value at value, and the closing quote is at end.
type rawAttribute struct{ name, value, end int }

// declares reports whether the attribute declares a namespace.
func (a rawAttribute) declares(tag []byte) bool {
	rest, ok := bytes.CutPrefix(tag[a.name:a.value], []byte("xmlns"))
	return ok && strings.IndexByte(":="+whitespace, rest[0]) >= 0
}

// rawAttributes finds the attributes of a well-formed start tag, in the order
// of xml.StartElement.
func rawAttributes(tag []byte) []rawAttribute {
	var list []rawAttribute
	at := bytes.IndexAny(tag, whitespace)
	for at >= 0 {
		name := at + len(tag[at:]) - len(bytes.TrimLeft(tag[at:], whitespace))
		quote := bytes.IndexAny(tag[name:], `"'`)
		if quote < 0 {
			break
		}
		value := name + quote + 1
		end := value + bytes.IndexByte(tag[value:], tag[value-1])
		list = append(list, rawAttribute{name, value, end})
		at = end + 1
	}
	return list
}

func ascii(b []byte) bool {
	return !bytes.ContainsFunc(b, func(r rune) bool { return r >= 0x80 })
}

// uriReference is URI-reference of RFC 3986, which Namespaces in XML 1.0 asks
// of a namespace name, in libxml2's reading: a port has a digit, and a fragment
// may have brackets.
var uriReference = func() *regexp.Regexp {
	const (
		escaped   = `%[0-9A-Fa-f]{2}`
		plain     = `[A-Za-z0-9._~!$&'()*+,;=-]|` + escaped // neither ':' nor '@'
		char      = `(?:[:@]|` + plain + `)`
		first     = `(?:@|` + plain + `)` // of a path without a scheme
		segments  = `(?:/` + char + `*)*`
		authority = `//(?:(?::|` + plain + `)*@)?(?:\[[0-9A-Za-z:.]*\]|(?:` + plain + `)*)(?::[0-9]+)?` + segments
		absolute  = `/(?:` + char + `+` + segments + `)?`
		tail      = `[/?]|` + char
	)
	return regexp.MustCompile(`^(?:[A-Za-z][A-Za-z0-9+.-]*:(?:` + authority + `|` + absolute + `|` + char + `+` + segments + `|)` +
		`|` + authority + `|` + absolute + `|` + first + `+` + segments + `|)` +
		`(?:\?(?:` + tail + `)*)?(?:#(?:[][]|` + tail + `)*)?$`)
}()

// asciiReader gives 'Q' for each byte that is not ASCII. encoding/xml knows the
// names of XML 1.0's fourth edition only and would refuse others of the fifth,
// in extensions of makers; nothing that this package collects can hold such a
// byte, and no name or namespace of the schemas holds "QQ", so no other name
// turns into one of theirs.
type asciiReader struct{ rest []byte }

func (r *asciiReader) ReadByte() (byte, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	if b >= 0x80 {
		b = 'Q'
	}
	return b, nil
}

// Read makes an io.Reader; encoding/xml prefers ReadByte.
func (r *asciiReader) Read(p []byte) (int, error) {
	for i := range p {
		b, err := r.ReadByte()
		if err != nil {
			return i, err
		}
		p[i] = b
	}
	return len(p), nil
}
