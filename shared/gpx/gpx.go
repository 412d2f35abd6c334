// Package gpx reads GPX 1.1 documents: strictly, against the published schemas
// GPX 1.1 and TrackPointExtension v1 and v2, as package strictxml says, into
// what package recording says.
//
// # What is refused although the schemas allow it
//
//   - RuleNoTrack: a document without a trk (waypoints and routes only; or
//     another root that a schema declares) is no recording.
//   - recording.RuleNoTime: no trackpoint has a time. Such a track is a plan, or
//     was stripped of its times; nothing says when it was. The time in metadata
//     does not stand in: it says when the file was made.
//   - recording.RuleTimeRange: a time of a trkpt that RFC 3339 cannot write.
//
// # How it is read
//
//   - All trk of a document are one recording, its trackpoints in the order of
//     the document, also those without a time. Routes and waypoints are plans.
//   - Sport comes from the type of the trk, where it is one of those that are
//     known to mean running or cycling, else Other; MultiSport if tracks differ.
//   - Heart rate, cadence and speed come from a TrackPointExtension of v1 or v2,
//     power from Garmin's PowerExtension.
package gpx

import (
	"embed"
	"strings"
	"sync"

	"fitvault/shared/recording"
	"fitvault/shared/strictxml"
)

// RuleNoTrack is a rule of our own: see the package's comment.
const RuleNoTrack = "no-track"

//go:embed xsd/*.xsd
var files embed.FS

// schema is compiled at first use and then shared.
var schema = sync.OnceValue(func() *strictxml.Schema { return strictxml.Compile(files, "xsd") })

// Format is GPX.
var Format = recording.Format{
	XML: strictxml.Format{Schema: schema, Steps: steps, Text: trackType, Model: model},
	Collect: func(limits recording.Limits, page recording.Page, lenient bool) recording.Collector {
		return &collector{track: recording.NewTrack(limits, page), lenient: lenient}
	},
}

// Namespaces.
const (
	spaceGPX   = "http://www.topografix.com/GPX/1/1"
	spaceV1    = "http://www.garmin.com/xmlschemas/TrackPointExtension/v1"
	spaceV2    = "http://www.garmin.com/xmlschemas/TrackPointExtension/v2"
	spacePower = "http://www.garmin.com/xmlschemas/PowerExtension/v1"
)

// Places where something is collected.
const (
	root strictxml.Place = iota + 2
	track
	segment
	segmentEnd
	trackpoint
	extensions
	extension
	// From here on: elements whose text is collected.
	trackType
	altitude
	timeText
	heartRate
	cadence
	speed
	power
	distance
)

func gpxName(local string) strictxml.Name { return strictxml.Name{Space: spaceGPX, Local: local} }

var steps = func() map[strictxml.Step]strictxml.Place {
	m := map[strictxml.Step]strictxml.Place{
		{From: strictxml.Root, Name: gpxName("gpx")}:                                       root,
		{From: root, Name: gpxName("trk")}:                                                 track,
		{From: track, Name: gpxName("type")}:                                               trackType,
		{From: track, Name: gpxName("trkseg")}:                                             segment,
		{From: segment, Name: gpxName("trkpt")}:                                            trackpoint,
		{From: segment, Name: gpxName("extensions")}:                                       segmentEnd,
		{From: trackpoint, Name: gpxName("ele")}:                                           altitude,
		{From: trackpoint, Name: gpxName("time")}:                                          timeText,
		{From: trackpoint, Name: gpxName("extensions")}:                                    extensions,
		{From: extensions, Name: strictxml.Name{Space: spacePower, Local: "PowerInWatts"}}: power,
	}
	for _, space := range []string{spaceV1, spaceV2} {
		m[strictxml.Step{From: extensions, Name: strictxml.Name{Space: space, Local: "TrackPointExtension"}}] = extension
		m[strictxml.Step{From: extension, Name: strictxml.Name{Space: space, Local: "hr"}}] = heartRate
		m[strictxml.Step{From: extension, Name: strictxml.Name{Space: space, Local: "cad"}}] = cadence
		m[strictxml.Step{From: extension, Name: strictxml.Name{Space: space, Local: "speed"}}] = speed
	}
	// Where devices write them though they do not belong there: lenient.go.
	for name, at := range map[string]strictxml.Place{"speed": speed, "hr": heartRate, "heartrate": heartRate, "cad": cadence, "cadence": cadence,
		"power": power, "distance": distance} {
		m[strictxml.Step{From: trackpoint, Name: strictxml.Name{Space: strictxml.HiddenSpace, Local: name}}] = at
	}
	return m
}()

// sportOf says which sport a type means, by the names that Garmin Connect,
// Strava (numbers too), Suunto, Polar, Komoot and others write.
func sportOf(text string) string {
	name := strings.NewReplacer("_", " ", "-", " ").Replace(strings.ToLower(strings.Trim(text, strictxml.Whitespace)))
	switch name {
	case "running", "run", "trail running", "treadmill running", "street running", "track running", "indoor running", "trail run",
		"virtual run", "virtualrun", "jogging", "9":
		return recording.SportRunning
	case "cycling", "biking", "bike", "ride", "road biking", "road cycling", "mountain biking", "gravel cycling", "indoor cycling",
		"virtual ride", "virtualride", "touringbicycle", "racebike", "mtb", "bicycle", "1":
		return recording.SportBiking
	}
	return recording.SportOther
}
