// Package xmlcases holds a format of package strictxml against libxml2, on
// documents that differ from a base in every way that we could think of. Each
// format's tests bring the base and name the differences that stay.
package xmlcases

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/e2e/oracle"
	"fitvault/shared/fault"
)

// Format is what is held against libxml2.
type Format struct {
	Name       string // of the oracle's schemas: "tcx", "gpx"
	Parse      func(document []byte) (trackpoints int, err error)
	Exceptions []Exception
}

// Exception is a difference from libxml2 that stays, and its reason.
type Exception struct {
	Reason  string
	Applies func(m Mutation, ours error, theirs oracle.Document) bool
}

// Expected is the refusal that follows from libxml2's opinion by wire.md, "" for none.
func Expected(o oracle.Document) fault.Kind {
	switch {
	case !o.WellFormed:
		return fault.BadRequest
	case !o.Valid:
		return fault.Invalid
	}
	return ""
}

// Difference says how a verdict differs from libxml2's, "" if it does not.
func (f Format) Difference(document []byte, theirs oracle.Document) (string, error) {
	trackpoints, err := f.Parse(document)
	var kind fault.Kind
	if err != nil {
		kind = fault.KindOf(err)
	}
	switch {
	case kind != Expected(theirs):
		return fmt.Sprintf("ours %q %v, theirs %q: %s", kind, fault.ItemsOf(err), Expected(theirs), theirs.Why), err
	case err == nil && theirs.Trackpoints >= 0 && trackpoints != theirs.Trackpoints:
		return fmt.Sprintf("ours %d trackpoints, theirs %d", trackpoints, theirs.Trackpoints), err
	}
	return "", err
}

// Compare holds the verdicts on a list against libxml2's and returns the exceptions met.
func (f Format) Compare(t *testing.T, list []Mutation) map[string]bool {
	t.Helper()
	documents := make([][]byte, len(list))
	for i, m := range list {
		documents[i] = m.Document
	}
	met := map[string]bool{}
	for i, theirs := range oracle.Documents(t, f.Name, documents) {
		differs, ours := f.Difference(documents[i], theirs)
		if differs == "" {
			continue
		}
		at := slices.IndexFunc(f.Exceptions, func(e Exception) bool { return e.Applies(list[i], ours, theirs) })
		if at < 0 {
			t.Errorf("%s: %s", list[i].What, differs)
			continue
		}
		met[f.Exceptions[at].Reason] = true
	}
	return met
}

// RefusedBy reports whether a refusal names only this rule.
func RefusedBy(ours error, rule string) bool {
	items := fault.ItemsOf(ours)
	return len(items) > 0 && !slices.ContainsFunc(items, func(i fault.Item) bool { return i.Rule != rule })
}

// Absent fails in CI, where nothing may be left out, and skips elsewhere.
func Absent(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		require.FailNowf(t, "left out in CI", format, args...)
	}
	t.Skipf(format, args...)
}

// Noise changes bytes anywhere, n times, mostly in the first of the bases.
func Noise(bases [][]byte, n int) []Mutation {
	random := rand.New(rand.NewPCG(3, 3))
	var list []Mutation
	for i := range n {
		base := bases[0]
		if i%2 == 0 {
			base = bases[random.IntN(len(bases))]
		}
		from := random.IntN(len(base))
		if i%5 == 0 {
			from = len(base) - 1 - random.IntN(40)
		}
		to := min(len(base), from+random.IntN(4))
		with := noise[random.IntN(len(noise))]
		switch random.IntN(8) {
		case 0:
			to = len(base)
		case 1:
			other := random.IntN(len(base))
			with = string(base[other:min(len(base), other+random.IntN(100))])
		}
		list = append(list, Mutation{fmt.Sprintf("%d: [%d, %d) is %q", i, from, to, with), Splice(base, from, to, with)})
	}
	return list
}

var noise = append([]string{
	"", "", "", "<", ">", "&", ";", "'", `"`, "/", "=", "!", "?", "-", "]", " ", "\t", "\r", "\n", "\r\n", "a", "x", ":", "0", ".", "Z", "\x00", "\x0b", "\x7f", "\x80", "\xc3", "\xff", "\ufeff", "\U0001F600", "\xed\xa0\x80", "\u0085", "\u2028",
	"<!--", "-->", "--", "<![CDATA[", "<?", "?>", "<?a:b c?>", "<?XML x?>", "<?xml-stylesheet href='x'?>", "<?xml version='1.0'?>", "</", "<a:b:c/>", "<:a/>", "<a:/>", "<a b:c='d'/>", "<x/ >", "< x/>", "</ x>", "<x\n/>", "<!>", "<!-", "<![INCLUDE[", "<!ELEMENT a ANY>",
	"&amp", "&#x41;", "&#65;", "&#0;", "&#x110000;", "&#xD800;", "&#;", "&#x;", "&#x1F600;", "xmlns=", "xmlns:", " xmlns:q='%'", " xmlns:q='a b'", " xmlns:q='q:\u00e4'", " xmlns:q='q:'",
}, inserted...)

// Around changes what stands before and behind the root element. The document
// begins with an XML declaration in a line of its own.
func Around(document string) []Mutation {
	_, body, _ := strings.Cut(document, "?>\n")
	var list []Mutation
	for _, before := range []string{
		"", "\ufeff", " ", "\ufeff ", "\ufeff\ufeff", "x", "&amp;", "&#32;", "<![CDATA[ ]]>", "<!-- c -->", "<!-- -- -->", "<!--->-->", "<!---->", "<?pi?>", "<?pi x?>", "<?xMl x?>", "<?p:i?>",
		`<?xml version="1.0"?>`, `<?xml version = '1.0' ?>`, ` <?xml version="1.0"?>`, "\ufeff" + `<?xml version="1.0"?>`, `<?xml version="1.0"?><?xml version="1.0"?>`, `<?xml version="2.0"?>`, `<?xml version=""?>`, `<?xml?>`, `<?XML version="1.0"?>`, `<?xml version="1.0">`, `<?xml version=1.0?>`, `<?xml version="1.0" foo="1"?>`, `<?xml encoding="UTF-8"?>`,
		`<?xml version="1.0" encoding="utf-8"?>`, `<?xml version="1.0" encoding = "Utf-8" ?>`, `<?xml version="1.0" encoding="UTF8"?>`, `<?xml version="1.0" encoding=" UTF-8"?>`, `<?xml version="1.0" encoding=""?>`, `<?xml version="1.0" encoding="nope"?>`, `<?xml version="1.0"encoding="UTF-8"?>`, `<?xml version="1.0" encoding="UTF-8'?>`,
		`<?xml version="1.0" standalone="yes"?>`, `<?xml version="1.0" standalone="YES"?>`, `<?xml version="1.0" standalone="yes" encoding="UTF-8"?>`,
	} {
		list = append(list, Mutation{fmt.Sprintf("%q before", before), []byte(before + body)})
	}
	for _, after := range []string{
		" ", "\r", "<!-- c -->", "<?pi x?>", "x", "&amp;", "&#32;", "<![CDATA[]]>", "<a/>", "<a>", "</a>", "<", "</", "</a", "<!", "<!-", "<!--", "<!-- -", "<?", "<?a", "<?a ?", "&", "&#", "]]>", "\x00", "\ufeff", "\xff", "<?xml version='1.0'?>", "<a", "<a ", "<a b", "<a b=", "<a b='",
	} {
		list = append(list, Mutation{fmt.Sprintf("%q after", after), []byte(document + after)})
	}
	return list
}
