package tcx

import (
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"fitvault/shared/fault"
)

// Namespaces of the two schemas, and of the attributes that speak of schemas.
const (
	spaceTCX       = "http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2"
	spaceExtension = "http://www.garmin.com/xmlschemas/ActivityExtension/v2"
	spaceInstance  = "http://www.w3.org/2001/XMLSchema-instance" // xsi
)

// place is where in a document the collector stands. A valid document has an
// element of a schema only where the schema says, so the parent's place and
// the element's name determine the place.
type place uint8

const (
	elsewhere place = iota // in an element that holds nothing to collect
	document
	database
	activities
	session
	sport
	activity
	lap
	lapSeconds
	track
	trackpoint
	position
	heartRate
	extensions
	extension
	// From here on: elements of a trackpoint whose text is kept.
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

type step struct {
	from place
	name xml.Name
}

func tcxName(local string) xml.Name       { return xml.Name{Space: spaceTCX, Local: local} }
func extensionName(local string) xml.Name { return xml.Name{Space: spaceExtension, Local: local} }

// steps leads to everything that is collected; any other element is
// elsewhere, with all that it holds.
var steps = map[step]place{
	{document, tcxName("TrainingCenterDatabase")}: database,
	{database, tcxName("Activities")}:             activities,
	{activities, tcxName("Activity")}:             activity,
	{activities, tcxName("MultiSportSession")}:    session,
	{session, tcxName("FirstSport")}:              sport,
	{session, tcxName("NextSport")}:               sport,
	{sport, tcxName("Transition")}:                lap,
	{sport, tcxName("Activity")}:                  activity,
	{activity, tcxName("Lap")}:                    lap,
	{lap, tcxName("TotalTimeSeconds")}:            lapSeconds,
	{lap, tcxName("Track")}:                       track,
	{track, tcxName("Trackpoint")}:                trackpoint,
	{trackpoint, tcxName("Time")}:                 timeText,
	{trackpoint, tcxName("Position")}:             position,
	{position, tcxName("LatitudeDegrees")}:        latitude,
	{position, tcxName("LongitudeDegrees")}:       longitude,
	{trackpoint, tcxName("AltitudeMeters")}:       altitude,
	{trackpoint, tcxName("DistanceMeters")}:       distance,
	{trackpoint, tcxName("HeartRateBpm")}:         heartRate,
	{heartRate, tcxName("Value")}:                 heartRateValue,
	{trackpoint, tcxName("Cadence")}:              cadence,
	{trackpoint, tcxName("Extensions")}:           extensions,
	{extensions, extensionName("TPX")}:            extension,
	{extension, extensionName("Speed")}:           speed,
	{extension, extensionName("RunCadence")}:      runCadence,
	{extension, extensionName("Watts")}:           watts,
}

// collector holds what has been read so far.
type collector struct {
	limit      int
	recording  Recording
	activities int
	laps       span
	points     span
	lapStart   time.Time
	point      Trackpoint
	runCadence string
}

// span is the earliest and the latest of some times.
type span struct {
	first, last time.Time
	some        bool // Go's zero time is a time that a document may have
}

func (s *span) add(t time.Time) {
	if !s.some || t.Before(s.first) {
		s.first = t
	}
	if !s.some || t.After(s.last) {
		s.last = t
	}
	s.some = true
}

// Read reads a document that Parse has accepted before, without asking the
// schemas again: for readers, of a sealed original.
func Read(data []byte, limits Limits) (Recording, error) {
	c := collector{limit: limits.Trackpoints}
	in := newDecoder(data)
	stack := []place{document}
	var text []byte
	for {
		token, err := in.next()
		if errors.Is(err, io.EOF) {
			return c.finish()
		}
		if err != nil {
			return Recording{}, err
		}
		here := stack[len(stack)-1]
		switch token := token.(type) {
		case xml.StartElement:
			here = steps[step{here, token.Name}]
			stack, text = append(stack, here), text[:0]
			err = c.start(here, token.Attr)
		case xml.CharData:
			if here == lapSeconds || here >= timeText {
				text = append(text, token...)
			}
		case xml.EndElement:
			stack = stack[:len(stack)-1]
			err = c.end(here, string(text))
		}
		if errors.Is(err, errTimeRange) {
			return Recording{}, invalid(data, "document has a time that RFC 3339 cannot write",
				[]complaint{{in.from, RuleTimeRange}})
		}
		if err != nil {
			return Recording{}, err
		}
	}
}

// errTimeRange is a time that RFC 3339 cannot write.
var errTimeRange = errors.New("time out of range")

func (c *collector) start(at place, attributes []xml.Attr) error {
	switch at {
	case activity:
		c.activities++
		name := strings.Trim(attribute(attributes, "Sport"), whitespace)
		if c.activities > 1 && c.recording.Sport != name {
			name = SportMulti
		}
		c.recording.Sport = name
	case lap:
		start, _, ok := moment(attribute(attributes, "StartTime"))
		if !ok {
			return errTimeRange
		}
		c.lapStart = start
		c.laps.add(start)
	case trackpoint:
		if len(c.recording.Trackpoints) >= c.limit {
			return fault.New(fault.TooLarge, "document has more trackpoints than allowed")
		}
		c.point, c.runCadence = Trackpoint{}, ""
	}
	return nil
}

func (c *collector) end(at place, text string) error {
	switch at {
	case lapSeconds:
		c.lapEnd(text)
	case timeText:
		var ok bool
		if c.point.Time, c.point.Stamp, ok = moment(text); !ok {
			return errTimeRange
		}
	case latitude:
		c.point.Latitude = number(text)
	case longitude:
		c.point.Longitude = number(text)
	case altitude:
		c.point.Altitude = number(text)
	case distance:
		c.point.Distance = number(text)
	case heartRateValue:
		c.point.HeartRate = number(text)
	case cadence:
		c.point.Cadence = number(text)
	case speed:
		first(&c.point.Speed, number(text))
	case runCadence:
		first(&c.runCadence, number(text))
	case watts:
		first(&c.point.Power, number(text))
	case trackpoint:
		first(&c.point.Cadence, c.runCadence)
		c.points.add(c.point.Time)
		c.recording.Trackpoints = append(c.recording.Trackpoints, c.point)
	}
	return nil
}

// first keeps the first of several values: a trackpoint may have several
// extensions of the same kind.
func first(kept *string, text string) {
	if *kept == "" {
		*kept = text
	}
}

// lapEnd counts a lap's duration, as far as it leads to a time that can be written.
func (c *collector) lapEnd(text string) {
	seconds, err := strconv.ParseFloat(strings.Trim(text, whitespace), 64)
	const most = 100 * 365 * 24 * 3600
	if err != nil || !(seconds >= 0 && seconds <= most) {
		return
	}
	if end := c.lapStart.Add(time.Duration(seconds * float64(time.Second))); writable(end) && writable(end.UTC()) {
		c.laps.add(end)
	}
}

func (c *collector) finish() (Recording, error) {
	if c.activities == 0 {
		return Recording{}, &fault.Error{Kind: fault.Invalid, Text: "document has no activity",
			Items: []fault.Item{{Pointer: "", Rule: RuleNoActivity}}}
	}
	of := c.points
	if len(c.recording.Trackpoints) == 0 {
		of = c.laps
	}
	c.recording.Start, c.recording.End = of.first, of.last
	return c.recording, nil
}

func attribute(list []xml.Attr, local string) string {
	for _, a := range list {
		if a.Name.Space == "" && a.Name.Local == local {
			return a.Value
		}
	}
	return ""
}
