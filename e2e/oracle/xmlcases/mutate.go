package xmlcases

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

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

// Splice returns a document with [from, to) replaced.
func Splice(document []byte, from, to int, with string) []byte {
	return slices.Concat(document[:from], []byte(with), document[to:])
}

// Mutation is a changed document and what was changed.
type Mutation struct {
	What     string
	Document []byte
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
	"2d", "dgps", "1023", "1024", "359.99", "360", "360.0", "1.1",
	"2026-05-04", "2026-05-04Z", "2026-05-04+02:00", "2026-05", "2026", "-2026-05-04", "12026-05-04",
	// What RFC 3339 cannot write.
	"-2026-05-04T05:25:00Z", "-0001-01-01T00:00:00Z", "12026-05-04T05:25:00Z", "0000-01-01T00:00:00Z", "-0000-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T24:00:00Z", "9999-12-31T23:00:00-02:00", "99999999999-01-01T00:00:00Z",
}

// Mutations changes one thing of a document at a time, in every way and place.
// More is inserted and put into values besides what any format is tried with.
func Mutations(t testing.TB, document []byte, more ...string) iter.Seq[Mutation] {
	all := elements(t, document)
	return func(yield func(Mutation) bool) {
		for i := range all {
			for what, changed := range mutationsOf(document, all, i, more) {
				if !yield(Mutation{fmt.Sprintf("%s at %d: %s", all[i].name, all[i].start, what), changed}) {
					return
				}
			}
		}
	}
}

// mutationsOf changes one element.
func mutationsOf(document []byte, all []element, i int, more []string) iter.Seq2[string, []byte] {
	e := all[i]
	whole := string(document[e.start:e.stop])
	tag := strings.TrimRight(string(document[e.start:e.inner]), "/>")
	empty := e.tail == e.inner && e.stop == e.inner // <Name/>
	replaced := func(with string) []byte { return Splice(document, e.start, e.stop, with) }
	return func(yield func(string, []byte) bool) {
		ok := true
		add := func(what string, changed []byte) { ok = ok && yield(what, changed) }

		if e.parent >= 0 {
			parent := all[e.parent]
			add("removed", replaced(""))
			add("twice", replaced(whole+whole))
			add("moved to the end of its parent", Splice(Splice(document, parent.tail, parent.tail, whole), e.start, e.stop, ""))
			add("moved to the start of its parent", Splice(replaced(""), parent.inner, parent.inner, whole))
			if next := slices.IndexFunc(all[i+1:], func(o element) bool { return o.parent == e.parent }); next >= 0 {
				o := all[i+1+next]
				add("exchanged with the next", Splice(Splice(document, o.start, o.stop, whole), e.start, e.stop, string(document[o.start:o.stop])))
			}
		}
		add("renamed", replaced(strings.ReplaceAll(whole, e.name, e.name+"s")))
		add("in lower case", replaced(strings.ReplaceAll(whole, e.name, strings.ToLower(e.name))))
		add("start tag removed", Splice(document, e.start, e.inner, ""))
		add("cut off here", document[:e.start])
		add("cut off inside", document[:e.start+3])
		if !empty {
			add("emptied", Splice(document, e.inner, e.tail, ""))
			add("end tag removed", Splice(document, e.tail, e.stop, ""))
		}
		for _, x := range slices.Concat(inserted, more) {
			add(fmt.Sprintf("%q before", x), Splice(document, e.start, e.start, x))
			if !empty {
				add(fmt.Sprintf("%q at its start", x), Splice(document, e.inner, e.inner, x))
				add(fmt.Sprintf("%q at its end", x), Splice(document, e.tail, e.tail, x))
			}
		}
		for _, x := range attributes {
			add(fmt.Sprintf("%q added", x), Splice(document, e.start+len(tag), e.start+len(tag), x))
		}
		for from, to := range attributeValues(tag) {
			space := strings.LastIndexAny(tag[:from], " \n\t")
			name := tag[space+1 : from-2]
			add("without "+name, Splice(document, e.start+space, e.start+to+1, ""))
			for _, x := range values {
				add(fmt.Sprintf("%s is %q", name, x), Splice(document, e.start+from, e.start+to, x))
			}
		}
		if e.leaf && !empty {
			for _, x := range values {
				add(fmt.Sprintf("text is %q", x), Splice(document, e.inner, e.tail, x))
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
