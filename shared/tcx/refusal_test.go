package tcx_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
	"fitvault/shared/recording"
	"fitvault/shared/strictxml"
	"fitvault/shared/tcx"
)

const (
	inLap   = "/TrainingCenterDatabase/Activities/Activity/0/Lap/0"
	inPoint = inLap + "/Track/0/Trackpoint/0"
)

// Each rule, and where it is said to be broken.
func TestInvalid(t *testing.T) {
	const at = "2026-05-04T05:25:00Z"
	item := func(pointer, rule string) fault.Item { return fault.Item{Pointer: pointer, Rule: rule} }
	for _, c := range []struct {
		name, document string
		want           []fault.Item
	}{
		{"value of an element", point(at, `<HeartRateBpm><Value>256</Value></HeartRateBpm>`), []fault.Item{item(inPoint+"/HeartRateBpm/Value", strictxml.RuleValue)}},
		{"value of an attribute", strings.Replace(point(at, ""), `Sport="Running"`, `Sport="Rowing"`, 1), []fault.Item{item("/TrainingCenterDatabase/Activities/Activity/0", strictxml.RuleValue)}},
		{"value in an extension", point(at, `<Extensions><x:TPX><x:Watts>-1</x:Watts></x:TPX></Extensions>`), []fault.Item{item(inPoint+"/Extensions/TPX/Watts", strictxml.RuleValue)}},
		{"value of an empty element", point(at, `<Cadence/>`), []fault.Item{item(inPoint+"/Cadence", strictxml.RuleValue)}},
		{"position of the second", recorded(`<Track><Trackpoint><Time>` + at + `</Time></Trackpoint></Track><Track><Trackpoint><Time>` + at + `</Time></Trackpoint><Trackpoint><Time>now</Time></Trackpoint></Track>`),
			[]fault.Item{item(inLap+"/Track/1/Trackpoint/1/Time", strictxml.RuleValue)}},
		{"two at once", point(at, `<Cadence>-1</Cadence><Foo/>`), []fault.Item{item(inPoint+"/Cadence", strictxml.RuleValue), item(inPoint, strictxml.RuleElement)}},
		{"element of the schema in a wrong place", point(at, `<Cadence>1</Cadence><AltitudeMeters>1</AltitudeMeters>`), []fault.Item{item(inPoint+"/AltitudeMeters", strictxml.RuleElement)}},
		{"element of no schema", point(at, `<Secret><Time/></Secret>`), []fault.Item{item(inPoint, strictxml.RuleElement)}},
		{"element missing", point(at, `<Position><LatitudeDegrees>1</LatitudeDegrees></Position>`), []fault.Item{item(inPoint+"/Position", strictxml.RuleMissing)}},
		{"element missing from an empty one", recorded(`<Track/>`), []fault.Item{item(inLap+"/Track/0", strictxml.RuleMissing)}},
		{"attribute missing", strings.Replace(point(at, ""), ` Sport="Running"`, ``, 1), []fault.Item{item("/TrainingCenterDatabase/Activities/Activity/0", strictxml.RuleAttribute)}},
		{"attribute of no schema", strings.Replace(point(at, ""), `<Track>`, `<Track secret="1">`, 1), []fault.Item{item(inLap+"/Track/0", strictxml.RuleAttribute)}},
		{"text between elements", recorded(`secret`), []fault.Item{item(inLap, strictxml.RuleText)}},
		{"xsi:type of no schema", point(at, `<HeartRateBpm xsi:type="Secret_t"><Value>1</Value></HeartRateBpm>`), []fault.Item{item(inPoint+"/HeartRateBpm", strictxml.RuleType)}},
		{"in an element that holds nothing", workout(`<Duration xsi:type="UserInitiated_t"><Secret/></Duration>`), []fault.Item{item("/TrainingCenterDatabase/Workouts/Workout/0/Step/0/Duration", strictxml.RuleElement)}},
		{"xsi:type missing from what then holds nothing", workout(`<Duration><Secret/></Duration>`), []fault.Item{item("/TrainingCenterDatabase/Workouts/Workout/0/Step/0/Duration", strictxml.RuleType), item("/TrainingCenterDatabase/Workouts/Workout/0/Step/0/Duration", strictxml.RuleElement)}},
		{"xsi:type missing", strings.Replace(point(at, ""), closing, `<Author><Name>a</Name></Author>`+closing, 1), []fault.Item{item("/TrainingCenterDatabase/Author", strictxml.RuleType)}},
		{"xsi:type hinted at", strings.Replace(point(at, ""), `<Track>`, `<Track xsi:schemaLocation="urn:vendor v.xsd" xsi:type="v:Secret">`, 1), []fault.Item{item(inLap+"/Track/0", strictxml.RuleType)}},
		{"xsi:nil", point(at, `<AltitudeMeters xsi:nil="true"/>`), []fault.Item{item(inPoint+"/AltitudeMeters", strictxml.RuleNil)}},
		{"id twice", opening + `<Activities>` + strings.Repeat(activity("Running", at, lap(at, "1", "")), 2) + `</Activities>` + closing, []fault.Item{item("/TrainingCenterDatabase/Activities/Activity/1", strictxml.RuleIdentity)}},
		{"another root", `<gpx xmlns="http://www.topografix.com/GPX/1/1"/>`, []fault.Item{item("", strictxml.RuleRoot)}},
		{"another version's root", `<TrainingCenterDatabase xmlns="http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v1"/>`, []fault.Item{item("", strictxml.RuleRoot)}},
		{"another root, hinted at", `<a xmlns="urn:a" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="urn:a a.xsd"/>`, []fault.Item{item("", strictxml.RuleRoot)}},
		{"root of the other schema", `<TPX xmlns="http://www.garmin.com/xmlschemas/ActivityExtension/v2"/>`, []fault.Item{item("", tcx.RuleNoActivity)}},
		{"nothing", opening + closing, []fault.Item{item("", tcx.RuleNoActivity)}},
		{"no activity", opening + `<Activities/>` + closing, []fault.Item{item("", tcx.RuleNoActivity)}},
		{"before year 1", point("-0044-03-15T12:00:00Z", ""), []fault.Item{item(inPoint+"/Time", recording.RuleTimeRange)}},
		{"before year 1 in UTC", point("0001-01-01T00:00:00+00:01", ""), []fault.Item{item(inPoint+"/Time", recording.RuleTimeRange)}},
		{"after year 9999", point("10000-01-01T00:00:00Z", ""), []fault.Item{item(inPoint+"/Time", recording.RuleTimeRange)}},
		{"after year 9999 by 24:00:00", point("9999-12-31T24:00:00Z", ""), []fault.Item{item(inPoint+"/Time", recording.RuleTimeRange)}},
		{"lap after year 9999", strings.Replace(recorded(""), `StartTime="2026`, `StartTime="12026`, 1), []fault.Item{item(inLap, recording.RuleTimeRange)}},
	} {
		// The same place, however lines end and whatever stands before.
		lines := strings.ReplaceAll(c.document, "><", ">\n<")
		for form, document := range map[string]string{
			"as it is": c.document, "lines": lines, "CRLF": strings.ReplaceAll(lines, "\n", "\r\n"), "CR": strings.ReplaceAll(lines, "\n", "\r"),
			"mark": "\ufeff" + lines, "declaration": `<?xml version="1.0" encoding="UTF-8"?>` + "\n<!-- \u00e4 -->\n" + lines,
		} {
			_, err := parse(document)
			require.Error(t, err, c.name)
			require.Equal(t, fault.Invalid, fault.KindOf(err), "%s: %s", c.name, form)
			require.Equal(t, c.want, fault.ItemsOf(err), "%s: %s", c.name, form)
		}
	}
}

func workout(duration string) string {
	return strings.Replace(point("2026-05-04T05:25:00Z", ""), closing, `<Workouts><Workout Sport="Running"><Name>a</Name><Step xsi:type="Step_t"><StepId>1</StepId>`+duration+
		`<Intensity>Active</Intensity><Target xsi:type="None_t"/></Step></Workout></Workouts>`+closing, 1)
}

// A refusal lists no more than twenty places, and the rest is still read: what
// is not well-formed anywhere is not well-formed.
func TestManyComplaints(t *testing.T) {
	bad := strings.Repeat(`<Track><Trackpoint><Time>x</Time></Trackpoint></Track>`, 100)
	_, err := parse(recorded(bad))
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	require.Len(t, fault.ItemsOf(err), 20)
	for _, malformed := range []string{recorded(bad)[:5000], recorded(bad + "&"), recorded(bad) + "<a/>", recorded(bad) + "text", recorded(bad) + "</"} {
		_, err := parse(malformed)
		require.Equal(t, fault.BadRequest, fault.KindOf(err))
	}
}

// What the validator would complain of, though XML Schema leaves it open.
func TestBeyondSchemas(t *testing.T) {
	const at = "2026-05-04T05:25:00Z"
	for _, more := range []string{
		`<Extensions><v:Foo xsi:nil="true"/></Extensions>`,
		`<Extensions><v:Foo xsi:nil='perhaps'>text<v:Bar xsi:nil = "true"/></v:Foo></Extensions>`,
		`<Extensions xsi:schemaLocation="odd"/>`,
		`<Extensions xsi:schemaLocation="a{ %zz"/>`,
		`<Extensions xsi:noNamespaceSchemaLocation="a b"/>`,
		`<Extensions><v:Foo xsi:schemaLocation="urn:vendor v.xsd"><v:Bar/></v:Foo></Extensions>`,
		`<Extensions>` + strings.Repeat(`<v:Foo xsi:nil="true" xsi:schemaLocation="odd"/>`, 100) + `</Extensions>`,
	} {
		_, err := parse(point(at, more))
		require.NoError(t, err, more)
	}
	for _, more := range []string{ // nothing else passes with it
		`<Extensions xsi:schemaLocation="odd"/><Foo/>`,
		`<Extensions xsi:schemaLocation="odd" xsi:sschemaLocation="a b"/>`,
		`<Extensions xsi:schemaLocation="odd"><x:TPX xsi:nil="true"/></Extensions>`,
		`<Extensions xsi:schemaLocation="odd" xsi:nil="false"/>`,
		`<Extensions schemaLocation="odd"/>`,
	} {
		_, err := parse(point(at, more))
		require.Equal(t, fault.Invalid, fault.KindOf(err), more)
	}
}

// No name, value or text of a document is in what a caller or a log gets.
func TestNothingEchoed(t *testing.T) {
	const canary = "CANARY"
	for _, more := range []string{
		`<` + canary + `/>`, `<v:` + canary + `><Time/></v:` + canary + `>`, `<Extensions><v:` + canary + `><x:TPX><x:Watts>` + canary + `</x:Watts></x:TPX></v:` + canary + `></Extensions>`,
		`<AltitudeMeters>` + canary + `</AltitudeMeters>`, `<AltitudeMeters ` + canary + `="1"/>`, `<AltitudeMeters xsi:type="` + canary + `"/>`, canary, `&` + canary + `;`, `<` + canary, `</` + canary + `>`, `<?` + canary + `:a?>`,
		`<Extensions><v:a xmlns:v="urn:` + canary + ` "/></Extensions>`, `<Extensions><v:a ` + canary + `:a="1"/></Extensions>`, `<!DOCTYPE ` + canary + `>`,
	} {
		_, err := parse(point("2026-05-04T05:25:00Z", more))
		require.Error(t, err, more)
		var cause *fault.Error
		require.ErrorAs(t, err, &cause)
		require.Nil(t, cause.Cause, more)
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, cause, *cause), canary, more)
	}
}

func TestLimits(t *testing.T) {
	limits := recording.Limits{Limits: strictxml.Limits{Bytes: 2000, Depth: 10, Attributes: 8, TextBytes: 300, Namespaces: 8, Elements: 100}, Trackpoints: 3, Days: 2}
	trackpoints := func(n int) string {
		return recorded("<Track>" + strings.Repeat("<Trackpoint><Time>2026-05-04T05:25:00Z</Time></Trackpoint>", n) + "</Track>")
	}
	extended := func(more string) string {
		return point("2026-05-04T05:25:00Z", "<Extensions>"+more+"</Extensions>")
	}
	fill := func(n int) string {
		return trackpoints(1) + "<!--" + strings.Repeat(" ", n-len(trackpoints(1))-len("<!---->")) + "-->"
	}
	for _, c := range []struct{ name, fits, exceeds string }{
		{"bytes", fill(2000), fill(2001)},
		{"depth", extended("<v:a><v:b><v:c/></v:b></v:a>"), extended("<v:a><v:b><v:c><v:d/></v:c></v:b></v:a>")},
		{"attributes", extended(`<v:a a="" b="" c="" d="" e="" f="" g="" h=""/>`), extended(`<v:a a="" b="" c="" d="" e="" f="" g="" h="" i=""/>`)},
		{"text", extended("<v:a/>" + strings.Repeat(" ", 300)), extended("<v:a/>" + strings.Repeat(" ", 301))},
		{"attribute", extended(`<v:a a="` + strings.Repeat("a", 250) + `"/>`), extended(`<v:a a="` + strings.Repeat("a", 300) + `"/>`)},
		{"name", extended(`<v:` + strings.Repeat("a", 250) + `/>`), extended(`<v:` + strings.Repeat("a", 300) + `/>`)},
		{"trackpoints", trackpoints(3), trackpoints(4)},
		{"schema hints", point("2026-05-04T05:25:00Z", ""), strings.Replace(point("2026-05-04T05:25:00Z", ""), "<Track>", `<Track xsi:schemaLocation="`+strings.Repeat("a b ", 80)+`">`, 1)},
	} {
		_, err := parseWithin([]byte(c.fits), limits)
		require.NoError(t, err, c.name)
		_, err = parseWithin([]byte(c.exceeds), limits)
		require.Equal(t, fault.TooLarge, fault.KindOf(err), c.name)
	}
	// The contract's limits (wire.md, "sizes").
	require.Equal(t, 32<<20, recording.DefaultLimits.Bytes)
	require.Equal(t, 32, recording.DefaultLimits.Depth)
}

// Documents made to hurt a parser. None makes it read, wait or allocate more
// than the limits say.
func TestHostile(t *testing.T) {
	valid := point("2026-05-04T05:25:00Z", "")
	laughs := `<!DOCTYPE lolz [<!ENTITY a "lol">`
	for c := 'b'; c <= 'j'; c++ {
		laughs += fmt.Sprintf("<!ENTITY %c \"%s\">", c, strings.Repeat(fmt.Sprintf("&%c;", c-1), 10))
	}
	utf16Of := func(s string, mark ...byte) string {
		for _, c := range utf16.Encode([]rune(s)) {
			mark = append(mark, byte(c), byte(c>>8))
		}
		return string(mark)
	}
	for _, c := range []struct {
		name, document string
		want           fault.Kind
	}{
		{"DTD", `<!DOCTYPE TrainingCenterDatabase>` + valid, fault.BadRequest},
		{"billion laughs", laughs + `]>` + recorded("<Notes>&j;</Notes>"), fault.BadRequest},
		{"external entity", `<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>` + recorded("<Notes>&e;</Notes>"), fault.BadRequest},
		{"external DTD", `<!DOCTYPE a SYSTEM "a.dtd">` + valid, fault.BadRequest},
		{"parameter entity", `<!DOCTYPE a [<!ENTITY % e SYSTEM "a.dtd"> %e;]>` + valid, fault.BadRequest},
		{"entity without a DTD", recorded("<Notes>&nbsp;</Notes>"), fault.BadRequest},
		{"UTF-16 with a mark", utf16Of(valid, 0xff, 0xfe), fault.BadRequest},
		{"UTF-16 without a mark", utf16Of(valid), fault.BadRequest},
		{"UTF-16 declared", `<?xml version="1.0" encoding="UTF-16"?>` + valid, fault.BadRequest},
		{"UTF-7", `<?xml version="1.0" encoding="UTF-7"?>` + strings.ReplaceAll(valid, "<", "+ADw-"), fault.BadRequest},
		{"Latin 1", `<?xml version="1.0" encoding="ISO-8859-1"?>` + recorded("<Notes>\xe4</Notes>"), fault.BadRequest},
		{"not UTF-8", recorded("<Notes>\xe4</Notes>"), fault.BadRequest},
		{"surrogate", recorded("<Notes>\xed\xa0\x80</Notes>"), fault.BadRequest},
		{"too long UTF-8", recorded("<Notes>\xc0\xbc</Notes>"), fault.BadRequest},
		{"NUL", recorded("<Notes>\x00</Notes>"), fault.BadRequest},
		{"NUL by reference", recorded("<Notes>&#0;</Notes>"), fault.BadRequest},
		{"XML 1.1", `<?xml version="1.1"?>` + valid, fault.BadRequest},
		{"empty", "", fault.BadRequest},
		{"JSON", "{}", fault.BadRequest},
		{"gzip", "\x1f\x8b\x08\x00", fault.BadRequest},
		{"depth", strings.Repeat("<a>", 1_000_000), fault.TooLarge},
		{"depth of an extension", point("2026-05-04T05:25:00Z", "<Extensions>"+strings.Repeat("<v:a>", 100)+strings.Repeat("</v:a>", 100)+"</Extensions>"), fault.TooLarge},
		{"huge name", "<" + strings.Repeat("a", 4_000_000), fault.TooLarge},
		{"huge attribute", `<a a="` + strings.Repeat("a", 4_000_000), fault.TooLarge},
		{"huge text", recorded("<Notes>" + strings.Repeat("a", 4_000_000) + "</Notes>"), fault.TooLarge},
		{"huge CDATA", recorded("<Notes><![CDATA[" + strings.Repeat("a", 4_000_000) + "]]></Notes>"), fault.TooLarge},
		{"many attributes", "<a" + strings.Repeat(` a=""`, 800_000), fault.TooLarge},
		{"one tag after another", strings.Repeat("<", 4_000_000), fault.TooLarge},
		{"huge number", point("2026-05-04T05:25:00Z", "<AltitudeMeters>"+strings.Repeat("9", 200_000)+"</AltitudeMeters>"), ""},
		{"huge exponent", point("2026-05-04T05:25:00Z", "<AltitudeMeters>1e-999999999999999999999</AltitudeMeters>"), ""},
		{"huge fraction", point("2026-05-04T05:25:00."+strings.Repeat("9", 200_000)+"Z", ""), ""},
		{"huge year", point(strings.Repeat("9", 200_000)+"-05-04T05:25:00Z", ""), fault.Invalid},
		{"long comment", recorded("<!--" + strings.Repeat("a", 200_000) + "-->"), ""},
		{"huge comment", recorded("<!--" + strings.Repeat("a", 4_000_000) + "-->"), ""},
	} {
		_, err := parse(c.document)
		if c.want == "" {
			require.NoError(t, err, c.name)
		} else {
			require.Equal(t, c.want, fault.KindOf(err), c.name)
		}
	}
}
