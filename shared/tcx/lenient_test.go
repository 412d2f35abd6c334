package tcx_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	x "fitvault/e2e/oracle/xmlcases"
	"fitvault/shared/fault"
	"fitvault/shared/recording"
	"fitvault/shared/strictxml"
)

// forgiven writes a list as "pointer rule count".
func forgiven(p parsed) (list []string) {
	for _, f := range p.Forgiven {
		list = append(list, strings.TrimPrefix(f.Pointer, "/TrainingCenterDatabase")+" "+f.Rule+" "+string(rune('0'+f.Count)))
	}
	return list
}

// Each deviation: what is forgiven, and how the trackpoint is read.
func TestForgiven(t *testing.T) {
	const (
		at   = "2026-05-04T05:25:00Z"
		act  = "/Activities/Activity"
		lapP = act + "/Lap"
		pt   = lapP + "/Track/Trackpoint"
		only = `{"time":"2026-05-04T05:25:00Z"}`
	)
	in := func(old, new string) string { return strings.Replace(point(at, ""), old, new, 1) }
	for _, c := range []struct {
		name, document string
		forgiven       []string
		point          string
	}{
		{"heart rate 0", point(at, `<HeartRateBpm><Value>0</Value></HeartRateBpm>`), []string{pt + "/HeartRateBpm/Value out-of-range 1", pt + "/HeartRateBpm/Value missing-element 1"}, only},
		{"heart rate without Value", point(at, `<HeartRateBpm>71</HeartRateBpm>`), []string{pt + "/HeartRateBpm bare-value 1"}, `{"time":"2026-05-04T05:25:00Z","heart_rate":71}`},
		{"heart rate undefined", point(at, `<HeartRateBpm><Value> undefined</Value></HeartRateBpm>`), []string{pt + "/HeartRateBpm/Value no-value 1", pt + "/HeartRateBpm/Value missing-element 1"}, only},
		{"heart rate with a fraction", point(at, `<HeartRateBpm><Value>71.6</Value></HeartRateBpm>`), []string{pt + "/HeartRateBpm/Value fraction 1"}, `{"time":"2026-05-04T05:25:00Z","heart_rate":72}`},
		{"cadence -1", point(at, `<Cadence>-1</Cadence>`), []string{pt + "/Cadence out-of-range 1"}, only},
		{"cadence 255", point(at, `<Cadence>255</Cadence>`), []string{pt + "/Cadence out-of-range 1"}, only},
		{"altitude nan", point(at, `<AltitudeMeters>nan</AltitudeMeters>`), []string{pt + "/AltitudeMeters no-value 1"}, only},
		{"altitude empty", point(at, `<AltitudeMeters/>`), []string{pt + "/AltitudeMeters no-value 1"}, only},
		{"decimal comma", point(at, `<AltitudeMeters>519,25</AltitudeMeters>`), []string{pt + "/AltitudeMeters decimal-comma 1"}, `{"time":"2026-05-04T05:25:00Z","altitude":519.25}`},
		{"position out of range", point(at, `<Position><LatitudeDegrees>180</LatitudeDegrees><LongitudeDegrees>180</LongitudeDegrees></Position>`),
			[]string{pt + "/Position/LatitudeDegrees out-of-range 1", pt + "/Position/LongitudeDegrees out-of-range 1", pt + "/Position/LatitudeDegrees missing-element 1"}, only},
		{"half a position", point(at, `<Position><LatitudeDegrees>1</LatitudeDegrees></Position>`), []string{pt + "/Position/LongitudeDegrees missing-element 1"}, only},
		{"order", point(at, `<Extensions><x:TPX><x:Watts>210</x:Watts><x:Speed>3</x:Speed></x:TPX></Extensions><HeartRateBpm><Value>71</Value></HeartRateBpm>`),
			[]string{pt + "/Extensions/TPX/Speed element-order 1", pt + "/HeartRateBpm element-order 1"}, `{"time":"2026-05-04T05:25:00Z","heart_rate":71,"speed":3,"power":210}`},
		{"twice", point(at, `<Cadence>80</Cadence><Cadence>81</Cadence>`), []string{pt + "/Cadence repeated-element 1"}, `{"time":"2026-05-04T05:25:00Z","cadence":80}`},
		{"unknown", point(at, `<Temperature>20</Temperature><Foo><Bar/></Foo>`), []string{pt + " unknown-element 2"}, only},
		{"of another maker", point(at, `<v:Temperature>20</v:Temperature>`), []string{pt + " unknown-element 1"}, only},
		{"speed and power outside extensions", point(at, `<Speed>3.5</Speed><Watts>210</Watts>`), []string{pt + " unknown-element 2"}, `{"time":"2026-05-04T05:25:00Z","speed":3.5,"power":210}`},
		{"power in no namespace", point(at, `<Extensions><Watts xmlns="">210</Watts></Extensions>`), []string{pt + "/Extensions unqualified-extension 1"}, `{"time":"2026-05-04T05:25:00Z","power":210}`},
		{"TPX in the document's namespace", point(at, `<Extensions><TPX><Watts>210</Watts></TPX></Extensions>`), []string{pt + "/Extensions unqualified-extension 1"}, only},
		{"power with a fraction", point(at, `<Extensions><x:TPX><x:Watts>210.4</x:Watts></x:TPX></Extensions>`), []string{pt + "/Extensions/TPX/Watts fraction 1"}, `{"time":"2026-05-04T05:25:00Z","power":210}`},
		{"sensor state", point(at, `<SensorState>present</SensorState>`), []string{pt + "/SensorState unknown-word 1"}, only},
		{"attribute", in(`<Trackpoint>`, `<Trackpoint id="1">`), []string{pt + " unknown-attribute 1"}, only},
		{"time with a space", in(`<Time>`+at, `<Time>2026-05-04 05:25:00`), []string{pt + "/Time time-format 1"}, only},
		{"time with an offset of four digits", in(`<Time>`+at, `<Time>2026-05-04T07:25:00+0200`), []string{pt + "/Time time-format 1"}, `{"time":"2026-05-04T07:25:00+02:00"}`},
		{"time without seconds", in(`<Time>`+at, `<Time>2026-05-04T05:25Z`), []string{pt + "/Time time-format 1"}, only},
		{"time with short fields and a comma", in(`<Time>`+at, `<Time>2026-5-4T5:25:00,5Z`), []string{pt + "/Time time-format 1"}, `{"time":"2026-05-04T05:25:00.5Z"}`},
		{"sport", in(`Sport="Running"`, `Sport="Rowing"`), []string{act + " sport-name 1"}, only},
		{"sport in small letters", in(`Sport="Running"`, `Sport="running"`), []string{act + " sport-name 1"}, only},
		{"no sport", in(` Sport="Running"`, ``), []string{act + " sport-name 1"}, only},
		{"id", in(`<Id>`+at, `<Id>android_id:f9b2`), []string{act + "/Id activity-id 1"}, only},
		{"no id", in(`<Id>`+at+`</Id>`, ``), []string{act + "/Id missing-element 1"}, only},
		{"lap start", in(`StartTime="`+at, `StartTime="+052870-03-11T09:39:10.000Z`), []string{lapP + " lap-start 1"}, only},
		{"no lap start", in(` StartTime="`+at+`"`, ``), []string{lapP + " lap-start 1"}, only},
		{"calories with a fraction", in(`<Calories>1<`, `<Calories>457.99999<`), []string{lapP + "/Calories fraction 1"}, only},
		{"calories that are none", in(`<Calories>1<`, `<Calories>-1<`), []string{lapP + "/Calories out-of-range 1"}, only},
		{"nothing of a lap", in(`<TotalTimeSeconds>60</TotalTimeSeconds><DistanceMeters>1</DistanceMeters><Calories>1</Calories><Intensity>Active</Intensity><TriggerMethod>Manual</TriggerMethod>`, ``),
			[]string{lapP + "/TotalTimeSeconds missing-element 1", lapP + "/DistanceMeters missing-element 1", lapP + "/Calories missing-element 1", lapP + "/Intensity missing-element 1", lapP + "/TriggerMethod missing-element 1"}, only},
		{"intensity", in(`>Active<`, `>Warmup<`), []string{lapP + "/Intensity unknown-word 1"}, only},
		{"heart rates behind the track", in(`</Track>`, `</Track><AverageHeartRateBpm><Value>71</Value></AverageHeartRateBpm>`), []string{lapP + "/AverageHeartRateBpm element-order 1"}, only},
		{"notes before the laps", in(`<Lap`, `<Notes>n</Notes><Lap`), []string{act + "/Notes element-order 1"}, only},
		{"creator below the root", in(closing, `<Creator><Name>n</Name></Creator>`+closing), []string{" unknown-element 1"}, only},
		{"author against its schema", in(closing, `<Author xsi:type="Application_t"><Name>n</Name></Author>`+closing), []string{"/Author description 1"}, only},
		{"creator without a type", in(`</Activity>`, `<Creator><Name>n</Name></Creator></Activity>`), []string{act + "/Creator description 1"}, only},
		{"empty track", in(`<Track>`, `<Track/><Track>
 </Track><Track>`), []string{lapP + "/Track empty-track 2"}, only},
		{"trackpoint without a time", in(`<Track>`, `<Track><Trackpoint><Cadence>80</Cadence></Trackpoint>`), []string{pt + "/Time missing-element 1"}, only},
		{"with a prefix", strings.NewReplacer("xmlns=", "xmlns:t=", "</x:", "</x:", "<x:", "<x:", "</", "</t:", "<", "<t:").Replace(point(at, `<Cadence>-1</Cadence>`)), []string{pt + "/Cadence out-of-range 1"}, only},
	} {
		_, err := parse(c.document)
		require.Equal(t, fault.Invalid, fault.KindOf(err), c.name)
		p, err := parseAs([]byte(c.document), recording.DefaultLimits, true)
		require.NoError(t, err, "%s %v", c.name, fault.ItemsOf(err))
		require.Equal(t, c.forgiven, forgiven(p), c.name)
		require.Len(t, p.Trackpoints, 1, c.name)
		require.Equal(t, c.point, string(p.Trackpoints[0].AppendJSON(nil)), c.name)
	}
}

// What no device is known to write, and what is never forgiven.
func TestNotForgiven(t *testing.T) {
	const at = "2026-05-04T05:25:00Z"
	for name, c := range map[string]struct {
		document string
		want     fault.Kind
	}{
		"a DTD":               {"<!DOCTYPE a>" + point(at, ""), fault.BadRequest},
		"an entity":           {point(at, "<Notes>&foo;</Notes>"), fault.BadRequest},
		"another encoding":    {`<?xml version="1.0" encoding="ISO-8859-1"?>` + point(at, ""), fault.BadRequest},
		"not UTF-8":           {point(at, "\xff"), fault.BadRequest},
		"another namespace":   {strings.ReplaceAll(point(at, ""), "TrainingCenterDatabase/v2", "TrainingCenterDatabase/v1"), fault.Invalid},
		"no namespace":        {strings.Replace(point(at, ""), ` xmlns="http`, ` xmlns:t="http`, 1), fault.Invalid},
		"a prefix of nothing": {strings.Replace(point(at, ""), ` xmlns:xsi=`, ` xmlns:xs=`, 1) + `<a xsi:b=""/>`, fault.BadRequest},
		"not well-formed":     {strings.Replace(point(at, ""), "</Track>", "", 1), fault.BadRequest},
		"not well-formed, inside what is left out": {point(at, "<Foo><Bar></Foo>"), fault.BadRequest},
		"a word for a number":                      {point(at, "<AltitudeMeters>high</AltitudeMeters>"), fault.Invalid},
		"a word for a time":                        {point("yesterday", ""), fault.Invalid},
		"text between elements":                    {strings.Replace(point(at, ""), "<Track>", "secret<Track>", 1), fault.Invalid},
		"no activity":                              {opening + closing, fault.Invalid},
		"a bad workout":                            {strings.Replace(point(at, ""), closing, "<Workouts><Foo/></Workouts>"+closing, 1), fault.Invalid},
		"a note of 300 kB":                         {strings.Replace(point(at, ""), "</Lap>", "<Foo/><Notes>"+strings.Repeat("<![CDATA["+strings.Repeat("a", 50_000)+"]]>", 6)+"</Notes></Lap>", 1), fault.TooLarge},
	} {
		_, err := parseAs([]byte(c.document), recording.DefaultLimits, true)
		require.Equal(t, c.want, fault.KindOf(err), "%s: %v", name, fault.ItemsOf(err))
	}
	_, err := parseAs([]byte(point(at, "<Foo/><AltitudeMeters>high</AltitudeMeters>")), recording.DefaultLimits, true)
	require.Equal(t, []fault.Item{{Pointer: inPoint + "/AltitudeMeters", Rule: strictxml.RuleValue}}, fault.ItemsOf(err), "only what is left")
}

// Many of one kind are one item; more kinds than there is room for are counted together.
func TestForgivenIsBounded(t *testing.T) {
	many := recorded("<Track>" + strings.Repeat("<Trackpoint><Time>2026-05-04T05:25:00Z</Time><Cadence>-1</Cadence></Trackpoint>", 1000) + "</Track>")
	p, err := parseAs([]byte(many), recording.DefaultLimits, true)
	require.NoError(t, err)
	require.Equal(t, []strictxml.Forgiven{{Pointer: "/TrainingCenterDatabase/Activities/Activity/Lap/Track/Trackpoint/Cadence", Rule: strictxml.ForgiveRange, Count: 1000}}, p.Forgiven)
	require.Len(t, p.Trackpoints, 1000)
}

// Without any time that can be read a recording has none.
func TestNoTimeAtAll(t *testing.T) {
	p, err := parseAs([]byte(strings.Replace(recorded(""), `StartTime="2026`, `StartTime="x2026`, 1)), recording.DefaultLimits, true)
	require.NoError(t, err)
	require.False(t, p.Timed)
	require.Equal(t, []string{"/Activities/Activity/Lap lap-start 1", " no-time 1"}, forgiven(p))
}

// Two activities of one id, and ids that stand in for others, stay apart.
func TestIdsThatRepeat(t *testing.T) {
	const at = "2026-05-04T05:25:00Z"
	one := activity("Running", at, lap(at, "1", ""))
	none := strings.Replace(one, "<Id>"+at+"</Id>", "", 1)
	p, err := parseAs([]byte(opening+"<Activities>"+one+one+none+none+"</Activities>"+closing), recording.DefaultLimits, true)
	require.NoError(t, err)
	require.Equal(t, []string{"/Activities/Activity/Id activity-id 1", "/Activities/Activity/Id missing-element 2"}, forgiven(p))
}

// lenientCorpus is what is forgiven each file that its schema refuses; "" where
// it is refused still: NUL, and a prefix that is declared nowhere.
var lenientCorpus = map[string]string{
	"rowingdata-2x2km.tcx": "unknown-element", "rowingdata-3x250m.tcx": "unknown-element", "rowingdata-invalidchar.tcx": "",
	"rowingdata-painsled.tcx": "activity-id lap-start unknown-element bare-value no-value missing-element element-order description",
	"rowingdata-recover.tcx":  "", "rowingdata-rowinginmotionexample.tcx": "out-of-range", "rowingdata-strava_export.tcx": "unknown-element",
	"rowingdata-test.tcx": "unknown-element", "rowingdata-testtcx_210614.tcx": "sport-name no-value", "saf-dead_end.tcx": "unknown-element missing-element",
	"tcxparser-no_hr.tcx": "element-order", "tcxparser-test.tcx": "element-order", "tcxreader-mapmyride_biking.tcx": "fraction missing-element",
}

func TestLenientCorpus(t *testing.T) {
	documents := recordings(t)
	for file, document := range documents {
		p, err := parseAs(document, recording.DefaultLimits, true)
		want, refused := lenientCorpus[file]
		if refused && want == "" {
			require.Error(t, err, file)
			continue
		}
		require.NoError(t, err, file)
		rules := map[string]bool{}
		for _, f := range p.Forgiven {
			rules[f.Rule] = true
		}
		require.Len(t, rules, len(strings.Fields(want)), file)
		for _, rule := range strings.Fields(want) {
			require.True(t, rules[rule], "%s %s", file, rule)
		}
		require.Equal(t, strings.Count(string(document), "<Trackpoint>"), len(p.Trackpoints), file)
	}
	if len(documents) < len(corpus) {
		x.Absent(t, "shared data absent: %d cases left out", len(corpus)-len(documents))
	}
}

// The documentation names every rule, and no rule that there is not.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "lenient.md"))
	require.NoError(t, err)
	for _, rule := range []string{strictxml.ForgiveOrder, strictxml.ForgiveUnknown, strictxml.ForgiveRepeated, strictxml.ForgiveMissing, strictxml.ForgiveAttribute,
		strictxml.ForgiveNoAttribute, strictxml.ForgiveEmptyTrack, strictxml.ForgiveDescription, strictxml.ForgiveExtension, strictxml.ForgiveBare,
		strictxml.ForgiveNoValue, strictxml.ForgiveRange, strictxml.ForgiveFraction, strictxml.ForgiveComma, strictxml.ForgiveExponent, strictxml.ForgiveTime,
		strictxml.ForgiveWord, strictxml.ForgiveKey, strictxml.ForgiveLapStart, strictxml.ForgiveSport, strictxml.ForgiveOthers, recording.RuleNoTime} {
		require.Contains(t, string(page), "| `"+rule+"` |")
	}
	require.Equal(t, 22, strings.Count(string(page), "\n| `"))
}
