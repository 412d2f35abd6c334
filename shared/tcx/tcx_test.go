package tcx_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
	"fitvault/shared/recording"
	"fitvault/shared/tcx"
)

// full is a valid document with every element of both schemas.
func full(t testing.TB) string {
	t.Helper()
	document, err := os.ReadFile("testdata/full.tcx")
	require.NoError(t, err)
	return string(document)
}

const (
	opening = `<TrainingCenterDatabase xmlns="http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2" xmlns:x="http://www.garmin.com/xmlschemas/ActivityExtension/v2" xmlns:v="urn:vendor" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">`
	closing = `</TrainingCenterDatabase>`
)

// lap is a lap that starts at a time, lasts some seconds and holds more.
func lap(start, seconds, more string) string {
	return `<Lap StartTime="` + start + `"><TotalTimeSeconds>` + seconds + `</TotalTimeSeconds><DistanceMeters>1</DistanceMeters>` +
		`<Calories>1</Calories><Intensity>Active</Intensity><TriggerMethod>Manual</TriggerMethod>` + more + `</Lap>`
}

// activity is an activity of a sport with an id and laps.
func activity(sport, id, laps string) string {
	return `<Activity Sport="` + sport + `"><Id>` + id + `</Id>` + laps + `</Activity>`
}

// recorded is a document with one run of one lap that holds more.
func recorded(more string) string {
	return opening + `<Activities>` + activity("Running", "2026-05-04T05:25:00Z", lap("2026-05-04T05:25:00Z", "60", more)) + `</Activities>` + closing
}

// point is a document with one trackpoint: its time, and what follows that.
func point(at, more string) string {
	return recorded(`<Track><Trackpoint><Time>` + at + `</Time>` + more + `</Trackpoint></Track>`)
}

func TestFull(t *testing.T) {
	parsed, err := parse(full(t))
	require.NoError(t, err)
	require.Equal(t, recording.SportMulti, parsed.Sport)
	require.Equal(t, "2026-05-04T05:25:00Z", parsed.Start.Format(time.RFC3339Nano))
	require.Equal(t, "2026-05-06T06:56:00Z", parsed.End.Format(time.RFC3339Nano))

	var points []string
	for _, p := range parsed.Trackpoints {
		text := string(p.AppendJSON(nil))
		require.True(t, json.Valid([]byte(text)), text)
		points = append(points, text)
	}
	require.Equal(t, []string{
		`{"time":"2026-05-04T05:25:00Z","position":{"latitude":48.13710000000001,"longitude":11.5754},"altitude":519.2000122070312,"distance":0,"heart_rate":120,"cadence":80,"speed":3.2,"power":210}`,
		`{"time":"2026-05-04T07:26:00.123456789+02:00","altitude":-1.2,"heart_rate":141,"cadence":83}`,
		`{"time":"2026-05-04T05:27:00Z"}`,
		`{"time":"2026-05-06T06:00:00Z","distance":0}`,
		`{"time":"2026-05-06T06:15:30Z"}`,
		`{"time":"2026-05-06T06:56:00Z","cadence":0}`,
	}, points)
}

func TestNumbers(t *testing.T) {
	for literal, want := range map[string]string{
		"1": "1", " \n1\t ": "1", "+1": "1", "-1": "-1", "007": "7", "-0.50": "-0.5", "0": "0", "-0": "0", "+0.0": "0",
		"1.": "1", ".5": "0.5", "-.5": "-0.5", "1e2": "100", "1.5E+2": "150", "+.25e-1": "0.025", "12e-1": "1.2",
		// As sent, though no double has this many digits.
		"519.2000122070312500001": "519.2000122070312500001",
		// More than 34 digits: the double's shortest decimal.
		"0.123456789012345678901234567890123456789": "0.12345678901234568", "1e300": "1e+300", "-5.421010862427522E-20": "-5.421010862427522e-20", "1e-400": "0",
		// Nothing was measured.
		"NaN": "", "INF": "", "-INF": "", "1e400": "",
	} {
		parsed, err := parse(point("2026-05-04T05:25:00Z", "<AltitudeMeters>"+literal+"</AltitudeMeters>"))
		require.NoError(t, err, literal)
		require.Equal(t, want, parsed.Trackpoints[0].Altitude, literal)
		require.True(t, json.Valid(parsed.Trackpoints[0].AppendJSON(nil)), literal)
	}
}

func TestTimes(t *testing.T) {
	for literal, want := range map[string]string{
		"2026-05-04T05:25:00Z":                    "2026-05-04T05:25:00Z",
		" 2026-05-04T05:25:00.000Z\n":             "2026-05-04T05:25:00.000Z",
		"2026-05-04T05:25:00.120+14:00":           "2026-05-04T05:25:00.120+14:00",
		"2026-05-04T05:25:00-00:00":               "2026-05-04T05:25:00-00:00",
		"2026-05-04T05:25:00":                     "2026-05-04T05:25:00Z",
		"2026-05-04T05:25:00.5":                   "2026-05-04T05:25:00.5Z",
		"2026-05-04T05:25:00.123456789":           "2026-05-04T05:25:00.123456789Z",
		"2026-05-04T05:25:00.1234567899-03:30":    "2026-05-04T05:25:00.123456789-03:30",
		"2026-12-31T24:00:00Z":                    "2027-01-01T00:00:00Z",
		"2026-12-31T24:00:00.000":                 "2027-01-01T00:00:00Z",
		"<![CDATA[2026-05-04]]>T<!---->05:25:00Z": "2026-05-04T05:25:00Z",
		"2026-05-04T05:25:0&#48;Z<?pi?>":          "2026-05-04T05:25:00Z",
		"0001-01-01T00:00:00Z":                    "0001-01-01T00:00:00Z",
		"9999-12-31T23:59:59.999999999999999Z":    "9999-12-31T23:59:59.999999999Z",
	} {
		parsed, err := parse(point(literal, ""))
		require.NoError(t, err, literal)
		p := parsed.Trackpoints[0]
		require.Equal(t, want, p.Stamp, literal)
		at, err := time.Parse(time.RFC3339Nano, p.Stamp)
		require.NoError(t, err, literal)
		require.True(t, at.Equal(p.Time), literal)
		require.True(t, at.Equal(parsed.Start), literal)
		require.True(t, at.Equal(parsed.End), literal)
	}
}

func TestStartEndAndSport(t *testing.T) {
	track := func(times ...string) string {
		var b strings.Builder
		for _, at := range times {
			b.WriteString("<Trackpoint><Time>" + at + "</Time></Trackpoint>")
		}
		return "<Track>" + b.String() + "</Track>"
	}
	for _, c := range []struct{ name, activities, sport, start, end string }{
		{"out of order", activity("Biking", "2026-05-04T05:00:00Z", lap("2026-05-04T05:00:00Z", "60", track("2026-05-04T05:30:00Z", "2026-05-04T05:10:00Z", "2026-05-04T05:20:00Z"))),
			"Biking", "2026-05-04T05:10:00Z", "2026-05-04T05:30:00Z"},
		{"by instant, not by clock", activity("Other", "2026-05-04T05:00:00Z", lap("2026-05-04T05:00:00Z", "60", track("2026-05-04T07:10:00+02:00", "2026-05-04T05:05:00Z"))),
			"Other", "2026-05-04T05:05:00Z", "2026-05-04T07:10:00+02:00"},
		{"Go's zero time", activity("Other", "2026-05-04T05:00:00Z", lap("2026-05-04T05:00:00Z", "60", track("0001-01-01T00:00:00Z", "2026-05-04T05:10:00Z"))),
			"Other", "0001-01-01T00:00:00Z", "2026-05-04T05:10:00Z"},
		{"no trackpoints", activity(" Running\n", "2026-05-04T05:00:00Z", lap("2026-05-04T05:00:00Z", "60.5", "")+lap("2026-05-04T05:01:00.5Z", " 1e2 ", "")),
			"Running", "2026-05-04T05:00:00Z", "2026-05-04T05:02:40.5Z"},
		{"no duration", activity("Running", "2026-05-04T05:00:00Z", lap("2026-05-04T05:00:00", "NaN", "")+lap("2026-05-04T06:00:00", "-5", "")+lap("2026-05-04T05:00:00", "INF", "")+lap("2026-05-04T05:00:00", "1e300", "")),
			"Running", "2026-05-04T05:00:00Z", "2026-05-04T06:00:00Z"},
		{"duration beyond all years", activity("Running", "2026-05-04T05:00:00Z", lap("9999-12-31T23:59:59Z", "60", "")),
			"Running", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"},
		{"same sport", activity("Running", "2026-05-04T05:00:00Z", lap("2026-05-04T05:00:00Z", "60", track("2026-05-04T05:00:00Z"))) + activity("Running", "2026-05-05T05:00:00Z", lap("2026-05-05T05:00:00Z", "60", track("2026-05-05T05:00:00Z"))),
			"Running", "2026-05-04T05:00:00Z", "2026-05-05T05:00:00Z"},
		{"three activities, two sports", activity("Running", "2026-05-04T05:00:00Z", lap("2026-05-04T05:00:00Z", "60", "")) + activity("Biking", "2026-05-05T05:00:00Z", lap("2026-05-05T05:00:00Z", "60", "")) + activity("Biking", "2026-05-06T05:00:00Z", lap("2026-05-06T05:00:00Z", "60", "")),
			recording.SportMulti, "2026-05-04T05:00:00Z", "2026-05-06T05:01:00Z"},
	} {
		parsed, err := parse(opening + "<Activities>" + c.activities + "</Activities>" + closing)
		require.NoError(t, err, c.name)
		require.Equal(t, c.sport, parsed.Sport, c.name)
		require.Equal(t, c.start, parsed.Start.Format(time.RFC3339Nano), c.name)
		require.Equal(t, c.end, parsed.End.Format(time.RFC3339Nano), c.name)
	}
}

func TestExtensions(t *testing.T) {
	for _, c := range []struct{ name, more, want string }{
		{"none", "", `{"time":"2026-05-04T05:25:00Z"}`},
		{"all", `<Extensions><x:TPX><x:Speed>2.50</x:Speed><x:RunCadence>81</x:RunCadence><x:Watts>200</x:Watts></x:TPX></Extensions>`,
			`{"time":"2026-05-04T05:25:00Z","cadence":81,"speed":2.5,"power":200}`},
		{"the trackpoint's own cadence first", `<Cadence>0</Cadence><Extensions><x:TPX><x:RunCadence>81</x:RunCadence></x:TPX></Extensions>`,
			`{"time":"2026-05-04T05:25:00Z","cadence":0}`},
		{"several", `<Extensions><x:TPX><x:Speed>1</x:Speed></x:TPX><v:Foo/><x:TPX><x:Speed>2</x:Speed><x:Watts>3</x:Watts></x:TPX></Extensions>`,
			`{"time":"2026-05-04T05:25:00Z","speed":1,"power":3}`},
		{"inside another maker's element", `<Extensions><v:Foo><x:TPX><x:Watts>3</x:Watts></x:TPX><Time>2026</Time><Cadence/></v:Foo></Extensions>`,
			`{"time":"2026-05-04T05:25:00Z"}`},
		{"another maker's names", `<Extensions><v:TPX><v:Watts>3</v:Watts></v:TPX></Extensions>`, `{"time":"2026-05-04T05:25:00Z"}`},
		{"names that XML 1.0's fourth edition did not know", "<Extensions><v:\U0001F600 v:\u0370='1'>\U0001F600</v:\U0001F600></Extensions>", `{"time":"2026-05-04T05:25:00Z"}`},
	} {
		parsed, err := parse(point("2026-05-04T05:25:00Z", c.more))
		require.NoError(t, err, c.name)
		require.Equal(t, c.want, string(parsed.Trackpoints[0].AppendJSON(nil)), c.name)
	}
}

// Courses are plans: their tracks are no part of a recording.
func TestCoursesAreNotRecorded(t *testing.T) {
	course := `<Courses><Course><Name>c</Name><Track><Trackpoint><Time>2020-01-01T00:00:00Z</Time></Trackpoint></Track></Course></Courses>`
	parsed, err := parse(strings.Replace(point("2026-05-04T05:25:00Z", ""), closing, course+closing, 1))
	require.NoError(t, err)
	require.Len(t, parsed.Trackpoints, 1)
	require.Equal(t, 2026, parsed.Start.Year())

	_, err = parse(opening + course + closing)
	require.Equal(t, []fault.Item{{Pointer: "", Rule: tcx.RuleNoActivity}}, fault.ItemsOf(err))
}

func TestRedacted(t *testing.T) {
	parsed, err := parse(full(t))
	require.NoError(t, err)
	for _, v := range []any{parsed.Summary, &parsed.Summary, parsed.Trackpoints, parsed.Trackpoints[0]} {
		var log strings.Builder
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", v)
		text, err := json.Marshal(v)
		require.NoError(t, err)
		shown := fmt.Sprintf("%v %+v %#v %s %q", v, v, v, v, v) + string(text) + log.String()
		require.Contains(t, shown, "[redacted]")
		for _, secret := range []string{"48.137", "2026-05-04", "141", "MultiSport"} {
			require.NotContains(t, shown, secret)
		}
	}
}
