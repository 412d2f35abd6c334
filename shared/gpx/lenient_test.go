package gpx_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	x "fitvault/e2e/oracle/xmlcases"
	"fitvault/shared/fault"
	"fitvault/shared/recording"
)

func forgiven(p parsed) (list []string) {
	for _, f := range p.Forgiven {
		list = append(list, strings.TrimPrefix(f.Pointer, "/gpx")+" "+f.Rule+" "+strconv.Itoa(f.Count))
	}
	return list
}

// Each deviation: what is forgiven, and how the trackpoint is read.
func TestForgiven(t *testing.T) {
	const (
		pt   = "/trk/trkseg/trkpt"
		only = `{"time":"2026-05-04T05:25:00Z","position":{"latitude":1,"longitude":2}}`
		tpx  = pt + "/extensions/TrackPointExtension"
	)
	with := func(member string) string { return strings.TrimSuffix(only, "}") + "," + member + "}" }
	in := func(old, new string) string { return strings.Replace(point(""), old, new, 1) }
	for _, c := range []struct {
		name, document string
		forgiven       []string
		point          string
	}{
		{"time before altitude", point(`<ele>519.5</ele>`), []string{pt + "/ele element-order 1"}, with(`"altitude":519.5`)},
		{"extensions first", in(`<time>`, `<extensions><x:TrackPointExtension><x:hr>71</x:hr></x:TrackPointExtension></extensions><time>`), []string{pt + "/time element-order 1"}, with(`"heart_rate":71`)},
		{"empty altitude", in(`<time>`, `<ele></ele><time>`), []string{pt + "/ele no-value 1"}, only},
		{"altitude NaN", in(`<time>`, `<ele>NaN</ele><time>`), []string{pt + "/ele no-value 1"}, only},
		{"altitude with an exponent", in(`<time>`, `<ele>5.195E2</ele><time>`), []string{pt + "/ele exponent 1"}, with(`"altitude":519.5`)},
		{"altitude with a comma", in(`<time>`, `<ele>519,5</ele><time>`), []string{pt + "/ele decimal-comma 1"}, with(`"altitude":519.5`)},
		{"speed and course of GPX 1.0", point(`<course>174.4</course><speed>4.5</speed>`), []string{pt + " unknown-element 2"}, with(`"speed":4.5`)},
		{"speed in extensions, as OsmAnd writes it", point(`<extensions><speed>4.5</speed><accuracy>3</accuracy></extensions>`), []string{pt + "/extensions unqualified-extension 2"}, with(`"speed":4.5`)},
		{"power in extensions, as Strava writes it", point(`<extensions><power>210</power><x:TrackPointExtension><x:hr>71</x:hr></x:TrackPointExtension></extensions>`),
			[]string{pt + "/extensions unqualified-extension 1"}, with(`"heart_rate":71,"power":210`)},
		{"speed in version 1 of the extension", point(`<extensions><x:TrackPointExtension><x:hr>71</x:hr><x:speed>4.5</x:speed></x:TrackPointExtension></extensions>`),
			[]string{tpx + " unknown-element 1"}, with(`"heart_rate":71,"speed":4.5`)},
		{"order in the extension", point(`<extensions><x:TrackPointExtension><x:cad>80</x:cad><x:hr>71</x:hr></x:TrackPointExtension></extensions>`), []string{tpx + "/hr element-order 1"}, with(`"heart_rate":71,"cadence":80`)},
		{"heart rate 0", point(`<extensions><x:TrackPointExtension><x:hr>0</x:hr><x:cad>255</x:cad></x:TrackPointExtension></extensions>`), []string{tpx + "/hr out-of-range 1", tpx + "/cad out-of-range 1"}, only},
		{"heart rate with a fraction", point(`<extensions><x:TrackPointExtension><x:hr>70.5</x:hr></x:TrackPointExtension></extensions>`), []string{tpx + "/hr fraction 1"}, with(`"heart_rate":71`)},
		{"nonsense where it does not belong", point(`<speed>fast</speed><hr>900</hr>`), []string{pt + " unknown-element 2"}, only},
		{"longitude 180", in(`lon="2"`, `lon="180.0"`), []string{pt + " out-of-range 1"}, strings.Replace(only, `"longitude":2`, `"longitude":-180`, 1)},
		{"a trackpoint without a place", in(`<trkpt`, `<trkpt lat="nan" lon="nan"/><trkpt`), []string{pt + " no-value 1"}, only},
		{"attribute", in(`lat=`, `id="1" lat=`), []string{pt + " unknown-attribute 1"}, only},
		{"time with a space", in(`2026-05-04T05:25:00Z`, `2026-05-04 05:25:00`), []string{pt + "/time time-format 1"}, only},
		{"fix", point(`<fix>gps</fix>`), []string{pt + "/fix unknown-word 1"}, only},
		{"no creator, another version", in(` version="1.1" creator="a"`, ` version="1.0"`), []string{" unknown-word 1", " missing-attribute 1"}, only},
		{"what GPX 1.0 had below the root", in(`<trk>`, `<time>2026-05-04T05:25:00Z</time><bounds/><trk>`), []string{" unknown-element 2"}, only},
		{"metadata against its schema", in(`<trk>`, `<metadata><author><email>a@example.org</email></author></metadata><trk>`), []string{"/metadata description 1"}, only},
		{"link without an address", in(`<trk>`, `<trk><link>x</link>`), []string{"/trk/link description 1"}, only},
		{"metadata behind the tracks", in(closing, `<metadata/>`+closing), []string{"/metadata element-order 1"}, only},
		{"extensions of a segment before its points", track("", `<extensions/><trkpt lat="1" lon="2"><time>2026-05-04T05:25:00Z</time></trkpt>`), []string{"/trk/trkseg/extensions element-order 1"}, only},
		{"type behind the segments", in(`</trkseg>`, `</trkseg><type>run</type>`), []string{"/trk/type element-order 1"}, only},
		{"a bad waypoint", in(`<trk>`, `<wpt lat="1" lon="2"><time/></wpt><trk>`), []string{"/wpt/time no-value 1"}, only},
	} {
		_, err := parse(c.document)
		require.Equal(t, fault.Invalid, fault.KindOf(err), c.name)
		p, err := parseWithin(c.document, recording.DefaultLimits, true)
		require.NoError(t, err, "%s %v", c.name, fault.ItemsOf(err))
		require.Equal(t, c.forgiven, forgiven(p), c.name)
		require.Equal(t, []string{c.point}, texts(p), c.name)
	}
}

func TestNotForgiven(t *testing.T) {
	for name, c := range map[string]struct {
		document string
		want     fault.Kind
	}{
		"a DTD":              {"<!DOCTYPE gpx>" + point(""), fault.BadRequest},
		"GPX 1.0":            {strings.ReplaceAll(point(""), "GPX/1/1", "GPX/1/0"), fault.Invalid},
		"no namespace":       {strings.Replace(point(""), ` xmlns="http`, ` xmlns:t="http`, 1), fault.Invalid},
		"a word for a place": {strings.Replace(point(""), `lat="1"`, `lat="north"`, 1), fault.Invalid},
		"a word for a time":  {strings.Replace(point(""), `2026`, `MMXXVI`, 1), fault.Invalid},
		"no track":           {opening + closing, fault.Invalid},
		"text":               {strings.Replace(point(""), `<trkseg>`, `secret<trkseg>`, 1), fault.Invalid},
	} {
		_, err := parseWithin(c.document, recording.DefaultLimits, true)
		require.Equal(t, c.want, fault.KindOf(err), name)
	}
}

func TestLenientCorpus(t *testing.T) {
	for _, c := range corpus {
		document, err := os.ReadFile(filepath.Join(folder, c.file))
		if err != nil {
			x.Absent(t, "shared data absent: %d cases left out", len(corpus))
		}
		p, err := parseWithin(string(document), recording.DefaultLimits, true)
		if c.file == "saf-broken1.gpx" {
			require.Equal(t, fault.Invalid, fault.KindOf(err), "a document in no namespace")
			continue
		}
		require.NoError(t, err, c.file)
		require.Len(t, p.Trackpoints, c.trackpoints, c.file)
		if c.file == "saf-test.gpx" {
			require.False(t, p.Timed)
			require.Equal(t, []string{" no-time 1"}, forgiven(p))
		} else {
			require.Empty(t, p.Forgiven, c.file)
		}
	}
}
