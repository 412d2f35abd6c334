package strictxml

import (
	"bytes"
	"regexp"
	"strconv"
	"sync"
	"unicode/utf8"
)

// Unescape appends text with its references replaced: characters and the five
// entities that XML predefines. It returns false where it meets anything else.
func Unescape(dst, text []byte) ([]byte, bool) {
	for {
		i := bytes.IndexByte(text, '&')
		if i < 0 {
			return append(dst, text...), true
		}
		dst, text = append(dst, text[:i]...), text[i+1:]
		end := bytes.IndexByte(text, ';')
		if end < 0 {
			return dst, false
		}
		reference := text[:end]
		text = text[end+1:]
		if c, ok := predefined[string(reference)]; ok {
			dst = append(dst, c)
			continue
		}
		digits, ok := bytes.CutPrefix(reference, []byte("#"))
		if !ok {
			return dst, false
		}
		base := 10
		if hex, ok := bytes.CutPrefix(digits, []byte("x")); ok {
			digits, base = hex, 16
		}
		r, err := strconv.ParseUint(string(digits), base, 32)
		if err != nil || !utf8.ValidRune(rune(r)) {
			return dst, false
		}
		dst = utf8.AppendRune(dst, rune(r))
	}
}

var predefined = map[string]byte{"lt": '<', "gt": '>', "amp": '&', "quot": '"', "apos": '\''}

// uriReference is URI-reference of RFC 3986, which Namespaces in XML 1.0 asks
// of a namespace name, in libxml2's reading: a port has a digit, and a fragment
// may have brackets.
// Nearly no document needs it, so it is compiled for the first that does.
var uriReference = sync.OnceValue(func() *regexp.Regexp {
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
})

// plainURI spares the namespaces that nearly all documents have the expression above.
var plainURI = map[string]bool{
	"http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2": true,
	"http://www.garmin.com/xmlschemas/ActivityExtension/v2":      true,
	"http://www.garmin.com/xmlschemas/TrackPointExtension/v1":    true,
	"http://www.garmin.com/xmlschemas/TrackPointExtension/v2":    true,
	"http://www.garmin.com/xmlschemas/GpxExtensions/v3":          true,
	"http://www.topografix.com/GPX/1/1":                          true,
	Instance:                                                     true,
}
