// Package tcx reads Garmin Training Center documents: strictly, against the
// published schemas TrainingCenterDatabase v2 and ActivityExtension v2, as
// package strictxml says, into what package recording says.
//
// # What is refused although the schemas allow it
//
//   - RuleNoActivity: a document without an Activity (courses, workouts,
//     folders only; or another root that a schema declares) is no recording.
//   - recording.RuleTimeRange: a StartTime of a Lap or a Time of a Trackpoint
//     that RFC 3339 cannot write.
//
// # How it is read
//
//   - Cadence is that of the Trackpoint, else the RunCadence of its extension.
//   - All Activities of a document, those of a MultiSportSession and the
//     transitions between them included, are one recording, its trackpoints in
//     the order of the document. Sport is that of all activities, or MultiSport
//     if they differ. Tracks of Courses are plans, not recordings.
//   - Without trackpoints (a manual entry) start and end come from the laps:
//     StartTime, and StartTime + TotalTimeSeconds.
package tcx

import (
	"embed"
	"sync"

	"fitvault/shared/recording"
	"fitvault/shared/strictxml"
)

// RuleNoActivity is a rule of our own: see the package's comment.
const RuleNoActivity = "no-activity"

//go:embed xsd/*.xsd
var files embed.FS

// schema is compiled at first use and then shared.
var schema = sync.OnceValue(func() *strictxml.Schema { return strictxml.Compile(files, "xsd") })

// Format is TCX.
var Format = recording.Format{
	XML: strictxml.Format{Schema: schema, Steps: steps, Text: lapSeconds, Model: model},
	Collect: func(limits recording.Limits, page recording.Page, lenient bool) recording.Collector {
		return &collector{track: recording.NewTrack(limits, page), lenient: lenient}
	},
}

// Namespaces of the two schemas.
const (
	spaceTCX       = "http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2"
	spaceExtension = "http://www.garmin.com/xmlschemas/ActivityExtension/v2"
)

// Places where something is collected.
const (
	database strictxml.Place = iota + 2
	activities
	session
	sport
	activity
	lap
	track
	trackpoint
	position
	heartRate
	extensions
	extension
	// From here on: elements whose text is collected.
	lapSeconds
	timeText
	latitude
	longitude
	altitude
	distance
	heartRateValue
	cadence
	speed
	runCadence
	watts
)

func tcxName(local string) strictxml.Name {
	return strictxml.Name{Space: spaceTCX, Local: local}
}

func extensionName(local string) strictxml.Name {
	return strictxml.Name{Space: spaceExtension, Local: local}
}

var steps = map[strictxml.Step]strictxml.Place{
	{From: strictxml.Root, Name: tcxName("TrainingCenterDatabase")}: database,
	{From: database, Name: tcxName("Activities")}:                   activities,
	{From: activities, Name: tcxName("Activity")}:                   activity,
	{From: activities, Name: tcxName("MultiSportSession")}:          session,
	{From: session, Name: tcxName("FirstSport")}:                    sport,
	{From: session, Name: tcxName("NextSport")}:                     sport,
	{From: sport, Name: tcxName("Transition")}:                      lap,
	{From: sport, Name: tcxName("Activity")}:                        activity,
	{From: activity, Name: tcxName("Lap")}:                          lap,
	{From: lap, Name: tcxName("TotalTimeSeconds")}:                  lapSeconds,
	{From: lap, Name: tcxName("Track")}:                             track,
	{From: track, Name: tcxName("Trackpoint")}:                      trackpoint,
	{From: trackpoint, Name: tcxName("Time")}:                       timeText,
	{From: trackpoint, Name: tcxName("Position")}:                   position,
	{From: position, Name: tcxName("LatitudeDegrees")}:              latitude,
	{From: position, Name: tcxName("LongitudeDegrees")}:             longitude,
	{From: trackpoint, Name: tcxName("AltitudeMeters")}:             altitude,
	{From: trackpoint, Name: tcxName("DistanceMeters")}:             distance,
	{From: trackpoint, Name: tcxName("HeartRateBpm")}:               heartRate,
	{From: heartRate, Name: tcxName("Value")}:                       heartRateValue,
	{From: trackpoint, Name: tcxName("Cadence")}:                    cadence,
	{From: trackpoint, Name: tcxName("Extensions")}:                 extensions,
	{From: extensions, Name: extensionName("TPX")}:                  extension,
	{From: extension, Name: extensionName("Speed")}:                 speed,
	{From: extension, Name: extensionName("RunCadence")}:            runCadence,
	{From: extension, Name: extensionName("Watts")}:                 watts,

	// Where devices write them though they do not belong there: lenient.go.
	{From: trackpoint, Name: strictxml.Name{Space: strictxml.HiddenSpace, Local: "Speed"}}:      speed,
	{From: trackpoint, Name: strictxml.Name{Space: strictxml.HiddenSpace, Local: "RunCadence"}}: runCadence,
	{From: trackpoint, Name: strictxml.Name{Space: strictxml.HiddenSpace, Local: "Watts"}}:      watts,
}
