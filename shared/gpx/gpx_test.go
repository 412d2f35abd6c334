package gpx_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/e2e/oracle"
	x "fitvault/e2e/oracle/xmlcases"
	"fitvault/shared/fault"
	"fitvault/shared/gpx"
	"fitvault/shared/recording"
	"fitvault/shared/strictxml"
)

// full is a valid document with every element of the schemas.
func full(t testing.TB) string {
	t.Helper()
	document, err := os.ReadFile("testdata/full.gpx")
	require.NoError(t, err)
	return string(document)
}

const (
	opening = `<gpx xmlns="http://www.topografix.com/GPX/1/1" xmlns:x="http://www.garmin.com/xmlschemas/TrackPointExtension/v1" ` +
		`xmlns:y="http://www.garmin.com/xmlschemas/TrackPointExtension/v2" xmlns:v="urn:vendor" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" version="1.1" creator="a">`
	closing = `</gpx>`
)

// track is a document with one track of one segment.
func track(of, points string) string {
	return opening + `<trk>` + of + `<trkseg>` + points + `</trkseg></trk>` + closing
}

// point is a document with one trackpoint of a time, and what follows that.
func point(more string) string {
	return track("", `<trkpt lat="1" lon="2"><time>2026-05-04T05:25:00Z</time>`+more+`</trkpt>`)
}

// parsed is a document's summary with all of its trackpoints.
type parsed struct {
	recording.Summary
	Trackpoints []recording.Trackpoint
}

func parse(document string) (parsed, error) {
	return parseWithin(document, recording.DefaultLimits, false)
}

func parseWithin(document string, limits recording.Limits, lenient bool) (parsed, error) {
	open := func() io.Reader { return strings.NewReader(document) }
	summary, err := gpx.Format.Parse(open, limits, lenient)
	if err != nil {
		return parsed{}, err
	}
	points, _, err := gpx.Format.Read(open, limits, len(summary.Forgiven) > 0, recording.Page{Size: limits.Trackpoints})
	return parsed{summary, points}, err
}

func texts(p parsed) (list []string) {
	for _, point := range p.Trackpoints {
		list = append(list, string(point.AppendJSON(nil)))
	}
	return list
}

func TestFull(t *testing.T) {
	p, err := parse(full(t))
	require.NoError(t, err)
	require.Equal(t, recording.SportMulti, p.Sport, "of the second track nothing is known")
	require.Equal(t, "2026-05-04T05:25:00Z", p.Start.Format(time.RFC3339Nano))
	require.Equal(t, "2026-05-05T05:25:01.5Z", p.End.Format(time.RFC3339Nano))
	require.Equal(t, map[string]int{"2026-05-04": 2, "2026-05-05": 2}, p.Days)
	require.Equal(t, 7, p.Summary.Trackpoints)
	require.Equal(t, []string{
		`{"time":"2026-05-04T05:25:00Z","position":{"latitude":48.13710000000001,"longitude":11.5754},"altitude":519.2000122070312,"heart_rate":120,"cadence":80,"power":210}`,
		`{"time":"2026-05-04T07:26:00.123456789+02:00","position":{"latitude":-48.25,"longitude":-11.5},"heart_rate":141,"cadence":83,"speed":3.2}`,
		`{"position":{"latitude":0,"longitude":0}}`,
		`{"position":{"latitude":1,"longitude":2},"altitude":1}`,
		`{"time":"2026-05-05T05:25:00Z","position":{"latitude":1.25,"longitude":2.5},"altitude":2.5,"heart_rate":1,"cadence":254}`,
		`{"position":{"latitude":1.25,"longitude":2.5}}`,
		`{"time":"2026-05-05T05:25:01.5Z","position":{"latitude":1.25,"longitude":2.5},"speed":1}`,
	}, texts(p))
}

func TestSports(t *testing.T) {
	for of, want := range map[string]string{
		"": recording.SportOther, "<type/>": recording.SportOther, "<type>running</type>": recording.SportRunning, "<type> Run\n</type>": recording.SportRunning,
		"<type>9</type>": recording.SportRunning, "<type>trail_running</type>": recording.SportRunning, "<type>cycling</type>": recording.SportBiking,
		"<type>Mountain Biking</type>": recording.SportBiking, "<type>1</type>": recording.SportBiking, "<type>swimming</type>": recording.SportOther,
		"<type>" + strings.Repeat("run", 100) + "</type>": recording.SportOther, "<type>r&#117;n</type>": recording.SportRunning,
	} {
		p, err := parse(track(of, `<trkpt lat="1" lon="2"><time>2026-05-04T05:25:00Z</time></trkpt>`))
		require.NoError(t, err, of)
		require.Equal(t, want, p.Sport, of)
	}
}

const inPoint = "/gpx/trk/0/trkseg/0/trkpt/0"

func TestInvalid(t *testing.T) {
	item := func(pointer, rule string) []fault.Item { return []fault.Item{{Pointer: pointer, Rule: rule}} }
	for _, c := range []struct {
		name, document string
		want           []fault.Item
	}{
		{"no track", opening + closing, item("", gpx.RuleNoTrack)},
		{"waypoints only", opening + `<wpt lat="1" lon="2"><time>2026-05-04T05:25:00Z</time></wpt>` + closing, item("", gpx.RuleNoTrack)},
		{"no time", track("", `<trkpt lat="1" lon="2"/>`), item("", recording.RuleNoTime)},
		{"a time of the file only", opening + `<metadata><time>2026-05-04T05:25:00Z</time></metadata><trk/>` + closing, item("", recording.RuleNoTime)},
		{"a time that cannot be written", track("", `<trkpt lat="1" lon="2"><time>12026-05-04T05:25:00Z</time></trkpt>`), item(inPoint+"/time", recording.RuleTimeRange)},
		{"in an element that holds nothing", strings.Replace(track("", ""), "<trk>", `<metadata><author><email id="" domain=""><A>0</A></email></author></metadata><trk>`, 1),
			item("/gpx/metadata/author/email", strictxml.RuleElement)},
		{"bounds that hold something", strings.Replace(track("", ""), "<trk>", `<metadata><bounds minlat="1" minlon="1" maxlat="2" maxlon="2"><ele/></bounds></metadata><trk>`, 1),
			item("/gpx/metadata/bounds/ele", strictxml.RuleElement)},
		{"order", point(`<ele>1</ele>`), item(inPoint+"/ele", strictxml.RuleElement)},
		{"no latitude", track("", `<trkpt lon="2"/>`), item(inPoint, strictxml.RuleAttribute)},
		{"latitude", track("", `<trkpt lat="90.1" lon="2"/>`), item(inPoint, strictxml.RuleValue)},
		{"longitude", track("", `<trkpt lat="1" lon="180"/>`), item(inPoint, strictxml.RuleValue)},
		{"heart rate", point(`<extensions><x:TrackPointExtension><x:hr>0</x:hr></x:TrackPointExtension></extensions>`),
			item(inPoint+"/extensions/TrackPointExtension/hr", strictxml.RuleValue)},
		{"speed in version 1", point(`<extensions><x:TrackPointExtension><x:speed>0</x:speed></x:TrackPointExtension></extensions>`),
			item(inPoint+"/extensions/TrackPointExtension", strictxml.RuleElement)},
		{"version", strings.Replace(point(""), `version="1.1"`, `version="1.0"`, 1), item("/gpx", strictxml.RuleAttribute)},
		{"GPX 1.0", `<gpx xmlns="http://www.topografix.com/GPX/1/0"/>`, item("", strictxml.RuleRoot)},
		{"no namespace", `<gpx version="1.1"/>`, item("", strictxml.RuleRoot)},
		{"TCX", `<TrainingCenterDatabase xmlns="http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2"/>`, item("", strictxml.RuleRoot)},
		{"a trackpoint behind extensions, plain", track("", `<trkpt lat="1" lon="2"/><extensions/><trkpt lat="1" lon="2"/>`), item("/gpx/trk/0/trkseg/0/trkpt/1", strictxml.RuleElement)},
		{"the third trackpoint", track("", `<trkpt lat="1" lon="2"/><trkpt lat="1" lon="2"/><trkpt lat="1" lon="x"/>`), item("/gpx/trk/0/trkseg/0/trkpt/2", strictxml.RuleValue)},
	} {
		_, err := parse(c.document)
		require.Equal(t, fault.Invalid, fault.KindOf(err), c.name)
		require.Equal(t, c.want, fault.ItemsOf(err), c.name)
	}
}

// format is GPX as it is held against libxml2.
var format = x.Format{Name: "gpx", Exceptions: exceptions, Parse: func(document []byte) (int, error) {
	p, err := parse(string(document))
	return len(p.Trackpoints), err
}}

var exceptions = []x.Exception{
	{Reason: "our rule: a document without a track is no recording", Applies: func(_ x.Mutation, ours error, theirs oracle.Document) bool {
		return theirs.Valid && x.RefusedBy(ours, gpx.RuleNoTrack)
	}},
	{Reason: "our rule: no trackpoint has a time", Applies: func(_ x.Mutation, ours error, theirs oracle.Document) bool {
		return theirs.Valid && x.RefusedBy(ours, recording.RuleNoTime)
	}},
	{Reason: "our rule: RFC 3339 cannot write the time", Applies: func(_ x.Mutation, ours error, theirs oracle.Document) bool {
		return theirs.Valid && x.RefusedBy(ours, recording.RuleTimeRange)
	}},
	{Reason: "XML Schema collapses white space around dates (datatypes 4.3.6); libxml2 does not", Applies: func(_ x.Mutation, ours error, theirs oracle.Document) bool {
		return ours == nil && spacedDate.MatchString(theirs.Why)
	}},
	{Reason: "1e is no xs:double: digits must follow (datatypes 3.2.5.1); libxml2 takes it", Applies: func(m x.Mutation, ours error, theirs oracle.Document) bool {
		return theirs.Valid && x.RefusedBy(ours, strictxml.RuleValue) && strings.HasSuffix(m.What, `text is "1e"`)
	}},
}

var spacedDate = regexp.MustCompile(`(?s)'(\s.*|.*\s)' is not a valid value of the atomic type 'xs:(date(Time)?|gYear)'`)

// One change at a time: a fixed part of all.
func TestMutationsAgainstOracle(t *testing.T) {
	document := full(t)
	var some []x.Mutation
	i := 0
	for m := range x.Mutations(t, []byte(document), `<trkpt lat="1" lon="2"/>`, `<ele>1</ele>`, `<x:TrackPointExtension/>`, `<y:TrackPointExtension/>`, `<x:hr>0</x:hr>`) {
		if i++; i%17 == 0 || strings.HasSuffix(m.What, `text is "1e"`) || strings.HasSuffix(m.What, `text is " 2026-05-04T05:25:00Z\n"`) {
			some = append(some, m)
		}
	}
	some = append(some, x.Mutation{What: "no track", Document: []byte(opening + closing)},
		x.Mutation{What: "no time", Document: []byte(track("", `<trkpt lat="1" lon="2"/>`))})
	met := format.Compare(t, append(some, x.Around(document)...))
	for _, e := range exceptions {
		require.True(t, met[e.Reason], "no longer an exception: %s", e.Reason)
	}
}

func TestNoiseAgainstOracle(t *testing.T) {
	document := full(t)
	i := strings.Index(document, "<trkseg>\n      <trkpt lat=\"1\"")
	plain := track("", document[i+len("<trkseg>"):strings.LastIndex(document, "</trkseg>")])
	_, err := parse(plain)
	require.NoError(t, err)
	format.Compare(t, x.Noise([][]byte{[]byte(plain), []byte(document)}, 2500))
}

// corpus is the real recordings of data/gpx with libxml2's verdict and
// xml.etree's count.
var corpus = []struct {
	file        string
	kind        fault.Kind // strictly; "" is accepted
	trackpoints int
	why         string
}{
	{"saf-broken1.gpx", fault.Invalid, 0, "in no namespace, and more: broken on purpose"},
	{"saf-broken4.gpx", "", 3414, "broken on purpose, but not in a way that the schema sees"},
	{"saf-riderx3.gpx", "", 931, ""},
	{"saf-test.gpx", fault.Invalid, 41, "our rule: no trackpoint has a time"},
}

var folder = filepath.Join("..", "..", "..", "shared", "data", "gpx")

func TestCorpus(t *testing.T) {
	names, err := filepath.Glob(filepath.Join(folder, "*.gpx"))
	require.NoError(t, err)
	if len(names) == 0 {
		x.Absent(t, "shared data absent: %d cases left out", len(corpus))
	}
	require.Len(t, names, len(corpus))
	var documents [][]byte
	for _, c := range corpus {
		document, err := os.ReadFile(filepath.Join(folder, c.file))
		require.NoError(t, err)
		documents = append(documents, document)
		p, err := parse(string(document))
		require.Equal(t, c.kind != "", err != nil, c.file)
		if err != nil {
			require.Equal(t, c.kind, fault.KindOf(err), c.file)
		} else {
			require.Len(t, p.Trackpoints, c.trackpoints, c.file)
		}
	}
	for i, theirs := range oracle.Documents(t, "gpx", documents) {
		if corpus[i].file != "saf-test.gpx" {
			require.Equal(t, corpus[i].kind, x.Expected(theirs), corpus[i].file)
		}
	}
}

// What a page reads is what the whole has there.
func TestPages(t *testing.T) {
	document := []byte(full(t))
	all, err := parse(string(document))
	require.NoError(t, err)
	for from := range 8 {
		for size := 1; size < 9; size++ {
			points, more, err := gpx.Format.Read(func() io.Reader { return bytes.NewReader(document) }, recording.DefaultLimits, false, recording.Page{From: from, Size: size})
			require.NoError(t, err)
			require.Equal(t, texts(all)[min(from, 7):min(from+size, 7)], append([]string{}, texts(parsed{Trackpoints: points})...))
			require.Equal(t, from+size < 7, more)
		}
	}
}

var pointerForm = regexp.MustCompile(`^(/gpx(/[a-zA-Z]+(/[0-9]+)?)*|/TrackPointExtension(/[a-zA-Z]+)*)?$`)

// Whatever comes: a refusal of one of three kinds that repeats nothing of the
// document, or a recording that can be written as JSON; and what is accepted
// strictly is read the same leniently.
func FuzzParse(f *testing.F) {
	f.Fuzz(func(t *testing.T, document []byte, lenient bool) {
		limits := recording.Limits{Limits: strictxml.Limits{Bytes: 1 << 16, Depth: 16, Attributes: 16, TextBytes: 1 << 12, Namespaces: 16, Elements: 500}, Trackpoints: 100, Days: 50}
		p, err := parseWithin(string(document), limits, lenient)
		if err != nil {
			require.Contains(t, []fault.Kind{fault.BadRequest, fault.TooLarge, fault.Invalid}, fault.KindOf(err))
			require.Equal(t, fault.KindOf(err) == fault.Invalid, len(fault.ItemsOf(err)) > 0)
			for _, item := range fault.ItemsOf(err) {
				require.Regexp(t, pointerForm, item.Pointer)
			}
			return
		}
		require.True(t, lenient || p.Forgiven == nil && p.Timed)
		require.Equal(t, p.Summary.Trackpoints, len(p.Trackpoints))
		for _, f := range p.Forgiven {
			require.Regexp(t, pointerForm, f.Pointer)
			require.Positive(t, f.Count)
		}
		for _, point := range p.Trackpoints {
			require.True(t, json.Valid(point.AppendJSON(nil)))
			require.False(t, point.Stamp != "" && (point.Time.Before(p.Start) || point.Time.After(p.End)))
		}
		if lenient && p.Forgiven == nil {
			strict, err := parseWithin(string(document), limits, false)
			require.NoError(t, err)
			require.Equal(t, strict, p)
		}
	})
}

// What stands in a comment is no data, also where the comment is so long that it
// is given in pieces.
func TestTrackpointsInACommentAreNone(t *testing.T) {
	const plain = `<trkpt lat="1" lon="2"><time>2020-01-01T05:25:00Z</time></trkpt>`
	for _, aside := range []string{"<!--" + strings.Repeat(strings.Repeat(" ", 60)+plain, 2000) + "-->", "<?a " + strings.Repeat(strings.Repeat(" ", 60)+plain, 2000) + "?>"} {
		for _, lenient := range []bool{false, true} {
			p, err := parseWithin(track("", `<trkpt lat="1" lon="2"><time>2026-05-04T05:25:00Z</time></trkpt>`+aside), recording.DefaultLimits, lenient)
			require.NoError(t, err)
			require.Equal(t, map[string]int{"2026-05-04": 1}, p.Days)
			require.Len(t, p.Trackpoints, 1)
		}
	}
}

// Descriptions are tried by themselves until that has cost enough: each try
// repeats the namespaces in scope. The validator says of the others in their place.
func TestLongNamespacesAreNotTriedForever(t *testing.T) {
	for _, length := range []int{1, 250_000} {
		space := func(prefix string) string {
			return " xmlns:" + prefix + `="urn:` + strings.Repeat("a", length) + `"`
		}
		p, err := parseWithin(strings.Replace(opening, "<gpx ", "<gpx"+space("a")+" ", 1)+"<trk"+space("b")+"><type>9</type><trkseg"+space("c")+">"+
			strings.Repeat(`<trkpt lat="1" lon="1"><time>2026-05-04T05:25:00Z</time><name>x</name><foo/></trkpt>`, 1000)+"</trkseg></trk>"+closing, recording.DefaultLimits, true)
		require.NoError(t, err)
		require.Len(t, p.Trackpoints, 1000)
	}
}
