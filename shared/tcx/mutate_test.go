package tcx_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/e2e/oracle"
	"fitvault/shared/fault"
	"fitvault/shared/tcx"
)

// exception is a difference from libxml2 that stays, and its reason.
type exception struct {
	reason  string
	applies func(m mutation, ours error, theirs oracle.Document) bool
}

// exceptions are all known ones; the tests below find each at least once.
var exceptions = []exception{
	{"our rule: a document without an activity is no recording", func(_ mutation, ours error, theirs oracle.Document) bool {
		return theirs.Valid && refusedBy(ours, tcx.RuleNoActivity)
	}},
	{"our rule: RFC 3339 cannot write the time", func(_ mutation, ours error, theirs oracle.Document) bool {
		return theirs.Valid && refusedBy(ours, tcx.RuleTimeRange)
	}},
	{"XML Schema collapses white space around dates (datatypes 4.3.6); libxml2 does not", func(_ mutation, ours error, theirs oracle.Document) bool {
		return ours == nil && spacedDate.MatchString(theirs.Why)
	}},
	{"XML Schema collapses white space around a QName, so in xsi:type; libxml2 not behind it", func(_ mutation, ours error, theirs oracle.Document) bool {
		return ours == nil && spacedType.MatchString(theirs.Why)
	}},
	{"a namespace name that ends in * is no wildcard; libxml2 takes it for one", func(_ mutation, ours error, theirs oracle.Document) bool {
		return ours == nil && starred.MatchString(theirs.Why)
	}},
	{"1e is no xs:double: digits must follow (datatypes 3.2.5.1); libxml2 takes it", func(m mutation, ours error, theirs oracle.Document) bool {
		return theirs.Valid && refusedBy(ours, tcx.RuleValue) && strings.HasSuffix(m.what, `text is "1e"`)
	}},
	{"NaN is not greater than 0 (datatypes 3.2.5); libxml2 takes it for minExclusive", func(m mutation, ours error, theirs oracle.Document) bool {
		return theirs.Valid && refusedBy(ours, tcx.RuleValue) && strings.Contains(m.what, "InMetersPerSecond") && strings.HasSuffix(m.what, `text is "NaN"`)
	}},
}

var (
	spacedDate = regexp.MustCompile(`(?s)'(\s.*|.*\s)' is not a valid value of the atomic type 'xs:date(Time)?'`)
	starred    = regexp.MustCompile(`^Element '\{[^}]*\*\}\w+': This element is not expected`)
	spacedType = regexp.MustCompile(`(?s)\s' of the xsi:type attribute does not resolve`)
)

// refusedBy reports whether a refusal names only this rule.
func refusedBy(ours error, rule string) bool {
	items := fault.ItemsOf(ours)
	return len(items) > 0 && !slices.ContainsFunc(items, func(i fault.Item) bool { return i.Rule != rule })
}

// compare holds our verdicts against libxml2's and returns the exceptions met.
func compare(t *testing.T, list []mutation) map[string]bool {
	t.Helper()
	documents := make([][]byte, len(list))
	for i, m := range list {
		documents[i] = m.document
	}
	met := map[string]bool{}
	for i, theirs := range oracle.Documents(t, documents) {
		differs := difference(documents[i], theirs)
		if differs == "" {
			continue
		}
		_, ours := tcx.Parse(documents[i], tcx.DefaultLimits)
		at := slices.IndexFunc(exceptions, func(e exception) bool { return e.applies(list[i], ours, theirs) })
		if at < 0 {
			t.Errorf("%s: %s", list[i].what, differs)
			continue
		}
		met[exceptions[at].reason] = true
	}
	return met
}

// One change at a time: a fixed part of all, the rest costs minutes. (All 86,101
// were run when this was written, with the exceptions above and no other.)
func TestMutationsAgainstOracle(t *testing.T) {
	var some []mutation
	i := 0
	for m := range mutations(t, []byte(full(t))) {
		if i++; i%37 == 0 || strings.HasSuffix(m.what, `"NaN"`) || strings.HasSuffix(m.what, `"1e"`) {
			some = append(some, m)
		}
	}
	met := compare(t, append(some, whole(t)...))
	for _, e := range exceptions {
		require.True(t, met[e.reason], "no longer an exception: %s", e.reason)
	}
}

// Bytes changed anywhere, in the full document and in real ones (cut to a few
// trackpoints), some of which were invalid before.
func TestNoiseAgainstOracle(t *testing.T) {
	bases := [][]byte{[]byte(full(t))}
	for _, c := range corpus {
		if document, ok := recordings(t)[c.file]; ok {
			points := bytes.SplitAfter(document, []byte("</Trackpoint>"))
			bases = append(bases, bytes.Join(append(points[:min(3, len(points)-1)], points[len(points)-1]), nil))
		}
	}
	random := rand.New(rand.NewPCG(3, 3))
	var list []mutation
	for i := range 4000 {
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
		list = append(list, mutation{fmt.Sprintf("%d: [%d, %d) is %q", i, from, to, with), splice(base, from, to, with)})
	}
	compare(t, list)
}

var noise = append([]string{
	"", "", "", "<", ">", "&", ";", "'", `"`, "/", "=", "!", "?", "-", "]", " ", "\t", "\r", "\n", "\r\n", "a", "x", ":", "0", ".", "Z", "\x00", "\x0b", "\x7f", "\x80", "\xc3", "\xff", "\ufeff", "\U0001F600", "\xed\xa0\x80", "\u0085", "\u2028",
	"<!--", "-->", "--", "<![CDATA[", "<?", "?>", "<?a:b c?>", "<?XML x?>", "<?xml-stylesheet href='x'?>", "<?xml version='1.0'?>", "</", "<a:b:c/>", "<:a/>", "<a:/>", "<a b:c='d'/>", "<x/ >", "< x/>", "</ x>", "<x\n/>", "<!>", "<!-", "<![INCLUDE[", "<!ELEMENT a ANY>",
	"&amp", "&#x41;", "&#65;", "&#0;", "&#x110000;", "&#xD800;", "&#;", "&#x;", "&#x1F600;", "xmlns=", "xmlns:", " xmlns:q='%'", " xmlns:q='a b'", " xmlns:q='q:\u00e4'", " xmlns:q='q:'",
}, inserted...)

// whole changes what is true of a whole document.
func whole(t *testing.T) []mutation {
	document := full(t)
	_, body, _ := strings.Cut(document, "?>\n")
	var list []mutation
	for _, before := range []string{
		"", "\ufeff", " ", "\ufeff ", "\ufeff\ufeff", "x", "&amp;", "&#32;", "<![CDATA[ ]]>", "<!-- c -->", "<!-- -- -->", "<!--->-->", "<!---->", "<?pi?>", "<?pi x?>", "<?xMl x?>", "<?p:i?>",
		`<?xml version="1.0"?>`, `<?xml version = '1.0' ?>`, ` <?xml version="1.0"?>`, "\ufeff" + `<?xml version="1.0"?>`, `<?xml version="1.0"?><?xml version="1.0"?>`, `<?xml version="2.0"?>`, `<?xml version=""?>`, `<?xml?>`, `<?XML version="1.0"?>`, `<?xml version="1.0">`, `<?xml version=1.0?>`, `<?xml version="1.0" foo="1"?>`, `<?xml encoding="UTF-8"?>`,
		`<?xml version="1.0" encoding="utf-8"?>`, `<?xml version="1.0" encoding = "Utf-8" ?>`, `<?xml version="1.0" encoding="UTF8"?>`, `<?xml version="1.0" encoding=" UTF-8"?>`, `<?xml version="1.0" encoding=""?>`, `<?xml version="1.0" encoding="nope"?>`, `<?xml version="1.0"encoding="UTF-8"?>`, `<?xml version="1.0" encoding="UTF-8'?>`,
		`<?xml version="1.0" standalone="yes"?>`, `<?xml version="1.0" standalone="YES"?>`, `<?xml version="1.0" standalone="yes" encoding="UTF-8"?>`,
	} {
		list = append(list, mutation{fmt.Sprintf("%q before", before), []byte(before + body)})
	}
	for _, after := range []string{
		" ", "\r", "<!-- c -->", "<?pi x?>", "x", "&amp;", "&#32;", "<![CDATA[]]>", "<a/>", "<a>", "</a>", "<", "</", "</a", "<!", "<!-", "<!--", "<!-- -", "<?", "<?a", "<?a ?", "&", "&#", "]]>", "\x00", "\ufeff", "\xff", "<?xml version='1.0'?>", "<a", "<a ", "<a b", "<a b=", "<a b='",
	} {
		list = append(list, mutation{fmt.Sprintf("%q after", after), []byte(document + after)})
	}
	for _, id := range []string{"2026-05-04T07:25:00+02:00", "2026-05-04T05:25:00.000Z", "2026-05-04T05:25:00", "2026-05-03T24:00:00Z", "2026-05-04T05:25:00+00:00", "2026-05-04T05:25:00.00000000000000000001Z", "2026-05-06T06:00:00Z"} {
		list = append(list,
			mutation{"reference to " + id, []byte(strings.Replace(document, "<ActivityRef><Id>2026-05-04T05:25:00Z", "<ActivityRef><Id>"+id, 1))},
			mutation{"second activity " + id, []byte(strings.Replace(document, "<MultiSportSession>", activity("Other", id, lap(id, "1", ""))+"<MultiSportSession>", 1))})
	}
	for _, name := range []string{"Intervals", " Intervals ", "intervals", "Inter vals", "Round  the lake"} {
		list = append(list,
			mutation{"reference to " + name, []byte(strings.Replace(document, "<CourseNameRef><Id>Round the lake", "<CourseNameRef><Id>"+name, 1))},
			mutation{"workout " + name, []byte(strings.Replace(document, "<Name>Intervals</Name>\n      <Step", "<Name>"+name+"</Name>\n      <Step", 1))},
			mutation{"folder " + name, []byte(strings.Replace(document, `<Folder Name="b"/><Folder Name="c"/>`, `<Folder Name="Intervals"/><Folder Name="`+name+`"/>`, 1))})
	}
	return append(list,
		mutation{"no activity", []byte(opening + "<Activities/>" + closing)},
		mutation{"namespace of *", []byte(strings.Replace(document, "urn:vendor", "http://*", 1))},
		mutation{"space behind xsi:type", []byte(strings.Replace(document, `"Device_t"`, `"Device_t "`, 1))},
		mutation{"another root of the schemas", []byte(`<TPX xmlns="http://www.garmin.com/xmlschemas/ActivityExtension/v2"/>`)},
		mutation{"another root", []byte(`<gpx xmlns="http://www.topografix.com/GPX/1/1"/>`)},
		mutation{"CRLF", []byte(strings.ReplaceAll(document, "\n", "\r\n"))},
		mutation{"CR", []byte(strings.ReplaceAll(document, "\n", "\r"))},
		mutation{"only a prefix", []byte(strings.NewReplacer("xmlns=\"http://www.garmin.com/xmlschemas/T", "xmlns:t=\"http://www.garmin.com/xmlschemas/T").Replace(prefixed(t, body)))})
}

// prefixed gives the elements without a prefix the prefix t.
func prefixed(t *testing.T, body string) string {
	changed := regexp.MustCompile(`<(/?)(\w+)([ />])`).ReplaceAllString(body, "<${1}t:${2}${3}")
	require.NotEqual(t, body, changed)
	return strings.NewReplacer("t:TPX xmlns=", "t:TPX xmlns:t=", `xsi:type="`, `xsi:type="t:`).Replace(changed)
}

// element is where an element stands in a document, in bytes.
type element struct {
	name                     string // local
	start, inner, tail, stop int    // <Name …> at start, content at inner, </Name> at tail, end at stop
	parent                   int    // index, -1 for the root
	leaf                     bool
}

// elements lists a document's elements in the order of their start tags.
func elements(t testing.TB, document []byte) []element {
	t.Helper()
	in := xml.NewDecoder(bytes.NewReader(document))
	var list []element
	var open []int
	for {
		from := int(in.InputOffset())
		token, err := in.RawToken()
		if errors.Is(err, io.EOF) {
			return list
		}
		require.NoError(t, err)
		to := int(in.InputOffset())
		switch token := token.(type) {
		case xml.StartElement:
			parent := -1
			if len(open) > 0 {
				parent = open[len(open)-1]
				list[parent].leaf = false
			}
			open = append(open, len(list))
			list = append(list, element{name: token.Name.Local, start: from, inner: to, parent: parent, leaf: true})
		case xml.EndElement:
			e := &list[open[len(open)-1]]
			e.tail, e.stop = from, to
			open = open[:len(open)-1]
		}
	}
}

// splice returns a document with [from, to) replaced.
func splice(document []byte, from, to int, with string) []byte {
	return slices.Concat(document[:from], []byte(with), document[to:])
}

// mutation is a changed document and what was changed.
type mutation struct {
	what     string
	document []byte
}

// inserted goes before, at the start of and at the end of every element.
var inserted = []string{
	"text", " \t\r\n ", "&#32;", "&#160;", "<![CDATA[]]>", "<![CDATA[ ]]>", "<![CDATA[x]]>", "<!-- comment -->", "<?pi data?>",
	"<Foo/>", "<Notes>note</Notes>", "<Extensions/>", "<Name>name</Name>", `<Foo xmlns=""/>`, `<v:Foo/>`, `<v:Foo xsi:type="v:Bar"/>`,
	`<x:TPX/>`, `<x:TPX><x:Watts>1</x:Watts><x:Watts>2</x:Watts></x:TPX>`, `<x:Speed>1</x:Speed>`, `<x:Foo/>`, `<x:LX><x:Steps>65536</x:Steps></x:LX>`,
	`<v:Foo><x:TPX><x:Foo/></x:TPX></v:Foo>`, `<v:Foo><Trackpoint/></v:Foo>`, `<v:Foo a="1" v:b="2">t<v:Bar/>t</v:Foo>`,
	"<Trackpoint><Time>2026-05-04T05:25:00Z</Time></Trackpoint>", "<Track><Trackpoint><Time>2026-05-04T05:25:00Z</Time></Trackpoint></Track>",
	"&lt;", "&unknown;", "&", "<", ">", "]]>", "\x00", "\x0b", "\x7f", "\uFFFE", "\U0001F600", "<\U0001F600/>", "<v:\U0001F600/>", "<v:\u0370/>",
}

// attributes are added to every start tag.
var attributes = []string{
	` foo="1"`, ` v:foo="1"`, ` u:foo="1"`, ` xml:lang="en"`, ` xml:space="preserve"`, ` xml:foo="x"`, ` xmlns=""`, ` xmlns="urn:other"`, ` xmlns:v=""`, ` xmlns:v="urn:other"`, ` xmlns:xml="urn:other"`,
	` xsi:nil="true"`, ` xsi:nil="false"`, ` xsi:nil="0"`, ` xsi:nil="maybe"`, ` xsi:foo="1"`,
	` xsi:type="Trackpoint_t"`, ` xsi:type="Device_t"`, ` xsi:type=" Device_t "`, ` xsi:type="v:Foo"`, ` xsi:type="u:Foo"`, ` xsi:type=""`, ` xsi:type="xsd:string" xmlns:xsd="http://www.w3.org/2001/XMLSchema"`, ` xsi:type="xsd:dateTime" xmlns:xsd="http://www.w3.org/2001/XMLSchema"`, ` xsi:type="xsd:anyType" xmlns:xsd="http://www.w3.org/2001/XMLSchema"`,
	` xsi:schemaLocation="urn:a"`, ` xsi:schemaLocation="urn:a b"`, ` xsi:schemaLocation=""`, ` xsi:schemaLocation="urn:vendor no-such.xsd"`, ` xsi:schemaLocation="a{b %zz"`, ` xsi:noNamespaceSchemaLocation="a.xsd"`, ` xsi:noNamespaceSchemaLocation=""`,
	` Sport="Running"`, ` Name="n"`, ` StartTime="2026-05-04T05:25:00Z"`, ` foo`, ` foo=1`, ` a="<"`, ` a="&lt;"`, ` a="1" a="1"`,
}

// values replace every text and attribute value.
var values = []string{
	"", " ", "\n", "x", "0", "-0", "+0", "1", "+1", "-1", "01", "001", " 7 ", "\t7\n", "7 7", "1.0", "1.", ".5", ".", "-.5", "+.5e-3", "1e5", "1E+5", "1e", "e5", "1e400", "-1e400", "1e-400", "0x10", "1_000", "1,5",
	"NaN", "nan", "INF", "-INF", "+INF", "Infinity", "inf", "15", "16", "20", "21", "99", "100", "101", "127", "128", "-128", "254", "255", "256", "65535", "65536", "4294967295", "4294967296", "99999999999999999999999999", "0.1234567890123456789012345678901234567890",
	"90", "90.0", "90.00000000000001", "90.000000000000001", "-90", "-90.1", "180", "179.9999", "179.99999999999999999", "-180", "-180.0001", "5", "6", "10", "11", "2",
	"true", "false", "True", "TRUE", "1 ", "Running", " Running ", "running", "Run ning", "Other", "MultiSport", "Active", "Manual", "Present", "Workout", "First Aid", "First  Aid", "Beta", "en", "e", "eng", "006-A0183-00", "006-a0183-00", "ÄÖÜ-12345-ÄÖ", "٣٣٣-٣٣٣٣٣-٣٣", "1234567890", "12345678901", "123456789012345", "1234567890123456", "äöüäöüäöüäöüäöü", "\U0001F600\U0001F600\U0001F600\U0001F600\U0001F600\U0001F600\U0001F600\U0001F600", "a  b", "a\u00a0b",
	"2026-05-04T05:25:00Z", " 2026-05-04T05:25:00Z\n", "2026-05-04T05:25:00", "2026-05-04T05:25:00.5", "2026-05-04T05:25:00.", "2026-05-04T05:25:00.0Z", "2026-05-04T05:25:00.1234567890123Z", "2026-05-04T05:25:00+02:00", "2026-05-04T05:25:00-14:00", "2026-05-04T05:25:00+14:00", "2026-05-04T05:25:00+14:01", "2026-05-04T05:25:00+15:00", "2026-05-04T05:25:00-00:00", "2026-05-04T05:25:00+0200", "2026-05-04T05:25:00+02", "2026-05-04T05:25:00 Z", "2026-05-04T05:25:00z", "2026-05-04t05:25:00Z", "2026-05-04 05:25:00", "2026-05-04T05:25Z", "2026-05-04T05:25:60Z", "2026-05-04T05:60:00Z",
	"2026-05-04T24:00:00Z", "2026-05-04T24:00:00", "2026-05-04T24:00:00.000Z", "2026-05-04T24:00:01Z", "2026-05-04T24:01:00Z", "2026-05-04T25:00:00Z", "2026-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2000-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-05-32T00:00:00Z", "2026-04-31T00:00:00Z", "26-05-04T05:25:00Z", "0026-05-04T05:25:00Z", "+2026-05-04T05:25:00Z", "02026-05-04T05:25:00Z", "2026-5-4T05:25:00Z", "20260504T052500Z",
	"2026-05-04", "2026-05-04Z", "2026-05-04+02:00", "2026-05", "2026", "-2026-05-04", "12026-05-04",
	// What RFC 3339 cannot write.
	"-2026-05-04T05:25:00Z", "-0001-01-01T00:00:00Z", "12026-05-04T05:25:00Z", "0000-01-01T00:00:00Z", "-0000-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T24:00:00Z", "9999-12-31T23:00:00-02:00", "99999999999-01-01T00:00:00Z",
}

// mutations changes one thing of a document at a time, in every way and place.
func mutations(t testing.TB, document []byte) iter.Seq[mutation] {
	all := elements(t, document)
	return func(yield func(mutation) bool) {
		for i := range all {
			for what, changed := range mutationsOf(document, all, i) {
				if !yield(mutation{fmt.Sprintf("%s at %d: %s", all[i].name, all[i].start, what), changed}) {
					return
				}
			}
		}
	}
}

// mutationsOf changes one element.
func mutationsOf(document []byte, all []element, i int) iter.Seq2[string, []byte] {
	e := all[i]
	whole := string(document[e.start:e.stop])
	tag := strings.TrimRight(string(document[e.start:e.inner]), "/>")
	empty := e.tail == e.inner && e.stop == e.inner // <Name/>
	replaced := func(with string) []byte { return splice(document, e.start, e.stop, with) }
	return func(yield func(string, []byte) bool) {
		ok := true
		add := func(what string, changed []byte) { ok = ok && yield(what, changed) }

		if e.parent >= 0 {
			parent := all[e.parent]
			add("removed", replaced(""))
			add("twice", replaced(whole+whole))
			add("moved to the end of its parent", splice(splice(document, parent.tail, parent.tail, whole), e.start, e.stop, ""))
			add("moved to the start of its parent", splice(replaced(""), parent.inner, parent.inner, whole))
			if next := slices.IndexFunc(all[i+1:], func(o element) bool { return o.parent == e.parent }); next >= 0 {
				o := all[i+1+next]
				add("exchanged with the next", splice(splice(document, o.start, o.stop, whole), e.start, e.stop, string(document[o.start:o.stop])))
			}
		}
		add("renamed", replaced(strings.ReplaceAll(whole, e.name, e.name+"s")))
		add("in lower case", replaced(strings.ReplaceAll(whole, e.name, strings.ToLower(e.name))))
		add("start tag removed", splice(document, e.start, e.inner, ""))
		add("cut off here", document[:e.start])
		add("cut off inside", document[:e.start+3])
		if !empty {
			add("emptied", splice(document, e.inner, e.tail, ""))
			add("end tag removed", splice(document, e.tail, e.stop, ""))
		}
		for _, x := range inserted {
			add(fmt.Sprintf("%q before", x), splice(document, e.start, e.start, x))
			if !empty {
				add(fmt.Sprintf("%q at its start", x), splice(document, e.inner, e.inner, x))
				add(fmt.Sprintf("%q at its end", x), splice(document, e.tail, e.tail, x))
			}
		}
		for _, x := range attributes {
			add(fmt.Sprintf("%q added", x), splice(document, e.start+len(tag), e.start+len(tag), x))
		}
		for from, to := range attributeValues(tag) {
			space := strings.LastIndexAny(tag[:from], " \n\t")
			name := tag[space+1 : from-2]
			add("without "+name, splice(document, e.start+space, e.start+to+1, ""))
			for _, x := range values {
				add(fmt.Sprintf("%s is %q", name, x), splice(document, e.start+from, e.start+to, x))
			}
		}
		if e.leaf && !empty {
			for _, x := range values {
				add(fmt.Sprintf("text is %q", x), splice(document, e.inner, e.tail, x))
			}
		}
	}
}

// attributeValues yields where the values of a start tag's attributes stand.
func attributeValues(tag string) iter.Seq2[int, int] {
	return func(yield func(from, to int) bool) {
		for at := 0; ; {
			i := strings.IndexByte(tag[at:], '"')
			if i < 0 {
				return
			}
			from := at + i + 1
			to := from + strings.IndexByte(tag[from:], '"')
			if !yield(from, to) {
				return
			}
			at = to + 1
		}
	}
}
