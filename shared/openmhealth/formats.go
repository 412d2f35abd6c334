package openmhealth

import (
	"errors"
	"net/netip"
	"regexp"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"fitvault/shared/reading"
)

// formats are asserted, in every draft, in place of package jsonschema's own:
// its uri and iri let spaces pass, its date-time leap seconds and any number
// of digits. (uuid is its own: 8-4-4-4-12 hexadecimal digits.)
var formats = []*jsonschema.Format{
	{Name: "date-time", Validate: text(func(s string) bool { _, err := reading.ParseTime(s); return err == nil })},
	{Name: "uri", Validate: text(uri.match)},
	{Name: "iri", Validate: text(iri.match)},
}

var errFormat = errors.New("not of the format")

// text makes a format of a predicate on strings; other kinds are of any format.
func text(ok func(string) bool) func(any) error {
	return func(v any) error {
		if s, isText := v.(string); isText && !ok(s) {
			return errFormat
		}
		return nil
	}
}

// identifier is the grammar of RFC 3986 (URI) or RFC 3987 (IRI), absolute or
// with a fragment; it captures what stands between brackets in the host.
type identifier struct{ *regexp.Regexp }

var (
	uri = newIdentifier("", "")
	iri = newIdentifier(
		`\x{A0}-\x{D7FF}\x{F900}-\x{FDCF}\x{FDF0}-\x{FFEF}\x{10000}-\x{1FFFD}\x{20000}-\x{2FFFD}\x{30000}-\x{3FFFD}`+
			`\x{40000}-\x{4FFFD}\x{50000}-\x{5FFFD}\x{60000}-\x{6FFFD}\x{70000}-\x{7FFFD}\x{80000}-\x{8FFFD}`+
			`\x{90000}-\x{9FFFD}\x{A0000}-\x{AFFFD}\x{B0000}-\x{BFFFD}\x{C0000}-\x{CFFFD}\x{D0000}-\x{DFFFD}\x{E1000}-\x{EFFFD}`,
		`\x{E000}-\x{F8FF}\x{F0000}-\x{FFFFD}\x{100000}-\x{10FFFD}`)
)

// newIdentifier takes the ranges that an IRI adds to a URI's characters: to all
// parts (ucschar), and to its query (iprivate).
func newIdentifier(all, query string) identifier {
	unreserved := `A-Za-z0-9\-._~!$&'()*+,;=` + all // with the sub-delimiters
	set := func(more string) string { return `(?:[` + unreserved + more + `]|%[0-9A-Fa-f]{2})` }
	segment := set(":@")
	authority := `//(?:` + set(":") + `*@)?(?:\[([^\]]*)\]|` + set("") + `*)(?::[0-9]*)?`
	return identifier{regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.\-]*:` +
		`(?:` + authority + `(?:/` + segment + `*)*|/?(?:` + segment + `+(?:/` + segment + `*)*)?)` +
		`(?:\?` + set(":@/?"+query) + `*)?(?:#` + set(":@/?") + `*)?$`)}
}

var futureAddress = regexp.MustCompile(`^[vV][0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+$`)

func (i identifier) match(s string) bool {
	m := i.FindStringSubmatch(s)
	if m == nil {
		return false
	}
	address := m[1]
	if address == "" {
		return !strings.Contains(s, "[") // the grammar allows brackets nowhere else
	}
	ip, err := netip.ParseAddr(address)
	return err == nil && ip.Is6() && ip.Zone() == "" || futureAddress.MatchString(address)
}
