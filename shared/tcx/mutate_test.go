package tcx_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/e2e/oracle"
	x "fitvault/e2e/oracle/xmlcases"
	"fitvault/shared/recording"
	"fitvault/shared/strictxml"
	"fitvault/shared/tcx"
)

// format is TCX as it is held against libxml2.
var format = x.Format{Name: "tcx", Exceptions: exceptions, Parse: func(document []byte) (int, error) {
	parsed, err := parse(string(document))
	return len(parsed.Trackpoints), err
}}

// exceptions are all known ones; the tests below find each at least once.
var exceptions = []x.Exception{
	{Reason: "our rule: a document without an activity is no recording", Applies: func(_ x.Mutation, ours error, theirs oracle.Document) bool {
		return theirs.Valid && x.RefusedBy(ours, tcx.RuleNoActivity)
	}},
	{Reason: "our rule: RFC 3339 cannot write the time", Applies: func(_ x.Mutation, ours error, theirs oracle.Document) bool {
		return theirs.Valid && x.RefusedBy(ours, recording.RuleTimeRange)
	}},
	{Reason: "XML Schema collapses white space around dates (datatypes 4.3.6); libxml2 does not", Applies: func(_ x.Mutation, ours error, theirs oracle.Document) bool {
		return ours == nil && spacedDate.MatchString(theirs.Why)
	}},
	{Reason: "XML Schema collapses white space around a QName, so in xsi:type; libxml2 not behind it", Applies: func(_ x.Mutation, ours error, theirs oracle.Document) bool {
		return ours == nil && spacedType.MatchString(theirs.Why)
	}},
	{Reason: "a namespace name that ends in * is no wildcard; libxml2 takes it for one", Applies: func(_ x.Mutation, ours error, theirs oracle.Document) bool {
		return ours == nil && starred.MatchString(theirs.Why)
	}},
	{Reason: "1e is no xs:double: digits must follow (datatypes 3.2.5.1); libxml2 takes it", Applies: func(m x.Mutation, ours error, theirs oracle.Document) bool {
		return theirs.Valid && x.RefusedBy(ours, strictxml.RuleValue) && strings.HasSuffix(m.What, `text is "1e"`)
	}},
	{Reason: "NaN is not greater than 0 (datatypes 3.2.5); libxml2 takes it for minExclusive", Applies: func(m x.Mutation, ours error, theirs oracle.Document) bool {
		return theirs.Valid && x.RefusedBy(ours, strictxml.RuleValue) && strings.Contains(m.What, "InMetersPerSecond") && strings.HasSuffix(m.What, `text is "NaN"`)
	}},
}

var (
	spacedDate = regexp.MustCompile(`(?s)'(\s.*|.*\s)' is not a valid value of the atomic type 'xs:date(Time)?'`)
	starred    = regexp.MustCompile(`^Element '\{[^}]*\*\}\w+': This element is not expected`)
	spacedType = regexp.MustCompile(`(?s)\s' of the xsi:type attribute does not resolve`)
)

// One change at a time: a fixed part of all, the rest costs minutes. (All 86,101
// were run when this was written, with the exceptions above and no other.)
func TestMutationsAgainstOracle(t *testing.T) {
	var some []x.Mutation
	i := 0
	for m := range x.Mutations(t, []byte(full(t))) {
		if i++; i%37 == 0 || strings.HasSuffix(m.What, `"NaN"`) || strings.HasSuffix(m.What, `"1e"`) || strings.HasSuffix(m.What, `"12026-05-04T05:25:00Z"`) {
			some = append(some, m)
		}
	}
	met := format.Compare(t, append(some, whole(t)...))
	for _, e := range exceptions {
		require.True(t, met[e.Reason], "no longer an exception: %s", e.Reason)
	}
}

// Trackpoints in the plain form, which the validator does not see, changed in
// every way: none may pass that it would refuse.
func TestPlainMutationsAgainstOracle(t *testing.T) {
	var some []x.Mutation
	i := 0
	for m := range x.Mutations(t, []byte(plain)) {
		if i++; i%5 == 0 || strings.Contains(m.What, "text is") {
			some = append(some, m)
		}
	}
	format.Compare(t, some)
}

// plain is a document with trackpoints in all plain forms, behind a first one
// that the validator sees.
var plain = recorded(`<Track><Trackpoint><Time>2026-05-04T05:25:00Z</Time></Trackpoint>
<Trackpoint><Time>2026-05-04T05:25:01.123Z</Time><Position><LatitudeDegrees>48.1</LatitudeDegrees><LongitudeDegrees>-11.5</LongitudeDegrees></Position>` +
	`<AltitudeMeters>519.2</AltitudeMeters><DistanceMeters>-1</DistanceMeters><HeartRateBpm><Value>141</Value></HeartRateBpm><Cadence>83</Cadence>` +
	`<SensorState>Present</SensorState><Extensions><x:TPX><x:Speed>3.2</x:Speed><x:RunCadence>83</x:RunCadence><x:Watts>210</x:Watts></x:TPX></Extensions></Trackpoint>
  <Trackpoint>
    <Time>2026-05-04T05:25:02+02:00</Time>
    <HeartRateBpm xsi:type="HeartRateInBeatsPerMinute_t"><Value>1</Value></HeartRateBpm>
    <Extensions><TPX xmlns="http://www.garmin.com/xmlschemas/ActivityExtension/v2"><Speed>3.2</Speed></TPX></Extensions>
  </Trackpoint>
  <Trackpoint><Time>2026-05-04T05:25:03Z</Time><Extensions><x:TPX CadenceSensor="Bike"><x:Watts>65535</x:Watts></x:TPX></Extensions></Trackpoint></Track>`)

// Bytes changed anywhere, in the full document, in the plain one and in real ones
// (cut to a few trackpoints), some of which were invalid before.
func TestNoiseAgainstOracle(t *testing.T) {
	bases := [][]byte{[]byte(full(t)), []byte(plain)}
	for _, c := range corpus {
		if document, ok := recordings(t)[c.file]; ok {
			points := bytes.SplitAfter(document, []byte("</Trackpoint>"))
			bases = append(bases, bytes.Join(append(points[:min(3, len(points)-1)], points[len(points)-1]), nil))
		}
	}
	format.Compare(t, x.Noise(bases, 3000))
	format.Compare(t, x.Noise([][]byte{[]byte(plain)}, 1500))
}

// whole changes what is true of a whole document.
func whole(t *testing.T) []x.Mutation {
	document := full(t)
	_, body, _ := strings.Cut(document, "?>\n")
	list := x.Around(document)
	for _, id := range []string{"2026-05-04T07:25:00+02:00", "2026-05-04T05:25:00.000Z", "2026-05-04T05:25:00", "2026-05-03T24:00:00Z", "2026-05-04T05:25:00+00:00", "2026-05-04T05:25:00.00000000000000000001Z", "2026-05-06T06:00:00Z"} {
		list = append(list,
			x.Mutation{What: "reference to " + id, Document: []byte(strings.Replace(document, "<ActivityRef><Id>2026-05-04T05:25:00Z", "<ActivityRef><Id>"+id, 1))},
			x.Mutation{What: "second activity " + id, Document: []byte(strings.Replace(document, "<MultiSportSession>", activity("Other", id, lap(id, "1", ""))+"<MultiSportSession>", 1))})
	}
	for _, name := range []string{"Intervals", " Intervals ", "intervals", "Inter vals", "Round  the lake"} {
		list = append(list,
			x.Mutation{What: "reference to " + name, Document: []byte(strings.Replace(document, "<CourseNameRef><Id>Round the lake", "<CourseNameRef><Id>"+name, 1))},
			x.Mutation{What: "workout " + name, Document: []byte(strings.Replace(document, "<Name>Intervals</Name>\n      <Step", "<Name>"+name+"</Name>\n      <Step", 1))},
			x.Mutation{What: "folder " + name, Document: []byte(strings.Replace(document, `<Folder Name="b"/><Folder Name="c"/>`, `<Folder Name="Intervals"/><Folder Name="`+name+`"/>`, 1))})
	}
	return append(list,
		x.Mutation{What: "no activity", Document: []byte(opening + "<Activities/>" + closing)},
		x.Mutation{What: "namespace of *", Document: []byte(strings.Replace(document, "urn:vendor", "http://*", 1))},
		x.Mutation{What: "space behind xsi:type", Document: []byte(strings.Replace(document, `"Device_t"`, `"Device_t "`, 1))},
		x.Mutation{What: "another root of the schemas", Document: []byte(`<TPX xmlns="http://www.garmin.com/xmlschemas/ActivityExtension/v2"/>`)},
		x.Mutation{What: "another root", Document: []byte(`<gpx xmlns="http://www.topografix.com/GPX/1/1"/>`)},
		x.Mutation{What: "CRLF", Document: []byte(strings.ReplaceAll(document, "\n", "\r\n"))},
		x.Mutation{What: "CR", Document: []byte(strings.ReplaceAll(document, "\n", "\r"))},
		x.Mutation{What: "only a prefix", Document: []byte(strings.NewReplacer("xmlns=\"http://www.garmin.com/xmlschemas/T", "xmlns:t=\"http://www.garmin.com/xmlschemas/T").Replace(prefixed(t, body)))})
}

// prefixed gives the elements without a prefix the prefix t.
func prefixed(t *testing.T, body string) string {
	changed := regexp.MustCompile(`<(/?)(\w+)([ />])`).ReplaceAllString(body, "<${1}t:${2}${3}")
	require.NotEqual(t, body, changed)
	return strings.NewReplacer("t:TPX xmlns=", "t:TPX xmlns:t=", `xsi:type="`, `xsi:type="t:`).Replace(changed)
}
