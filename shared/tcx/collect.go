package tcx

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"fitvault/shared/recording"
	"fitvault/shared/strictxml"
)

// collector holds what has been read so far of one document.
type collector struct {
	track      recording.Track
	lenient    bool
	sport      string
	activities int
	laps       recording.Span
	lapStart   time.Time
	noLap      bool // nothing says when the current lap began
	inTrack    bool // a trackpoint of this Track has gone by
	wanted     bool // of the current trackpoint more than its time is wanted
	point      recording.Trackpoint
	runCadence string
}

func (c *collector) Start(at strictxml.Place, t *strictxml.Token) error {
	switch at {
	case activity:
		c.activities++
		name := strings.Trim(attribute(t, "Sport"), strictxml.Whitespace)
		if c.activities > 1 && c.sport != name {
			name = recording.SportMulti
		}
		c.sport = name
	case lap:
		text := attribute(t, "StartTime")
		if c.lenient && text == unknownTime {
			c.noLap = true
			return nil
		}
		start, _, ok := recording.Moment(text)
		if !ok {
			return recording.ErrTimeRange
		}
		c.noLap = false
		c.lapStart = start
		c.laps.Add(start)
	case track:
		c.inTrack = false
	case trackpoint:
		c.point, c.runCadence = recording.Trackpoint{}, ""
		var err error
		c.wanted, err = c.track.Begin()
		return err
	}
	return nil
}

func attribute(t *strictxml.Token, name string) string {
	text, _ := strictxml.Unescape(nil, t.Attribute(name))
	return string(text)
}

func (c *collector) End(at strictxml.Place, text []byte) error {
	switch at {
	case lapSeconds:
		c.lapEnd(string(text))
	case timeText:
		return c.track.Time(&c.point, string(text))
	case trackpoint:
		c.inTrack = true
		if c.wanted {
			first(&c.point.Cadence, c.runCadence)
			c.track.Keep(c.point)
		}
	default:
		if c.wanted {
			c.value(at, text)
		}
	}
	return nil
}

func (c *collector) value(at strictxml.Place, text []byte) {
	p := &c.point
	var kept *string
	switch at {
	case latitude:
		kept = &p.Latitude
	case longitude:
		kept = &p.Longitude
	case altitude:
		kept = &p.Altitude
	case distance:
		kept = &p.Distance
	case heartRateValue:
		kept = &p.HeartRate
	case cadence:
		kept = &p.Cadence
	case speed:
		kept = &p.Speed
	case runCadence:
		kept = &c.runCadence
	case watts:
		kept = &p.Power
	default:
		return
	}
	first(kept, recording.Number(string(text)))
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
	seconds, err := strconv.ParseFloat(strings.Trim(text, strictxml.Whitespace), 64)
	const most = 100 * 365 * 24 * 3600
	if c.noLap || err != nil || !(seconds >= 0 && seconds <= most) {
		return
	}
	if end := c.lapStart.Add(time.Duration(seconds * float64(time.Second))); recording.Writable(end) {
		c.laps.Add(end)
	}
}

func (c *collector) Finish() error {
	if c.activities == 0 {
		return strictxml.Broken(RuleNoActivity, "document has no activity")
	}
	s, _ := c.Result()
	return s.Finished(c.lenient)
}

func (c *collector) Result() (recording.Summary, []recording.Trackpoint) {
	return c.track.Summary(c.sport, c.laps), c.track.Points
}

var plainWatts = strictxml.Whole(0, 65535)

// rowingdata and its like give the type, which is the only one that there is.
const typedHeartRate = `HeartRateBpm xsi:type="HeartRateInBeatsPerMinute_t"`

var xsi = []byte("xsi")

func plainState(b []byte) bool { return string(b) == "Present" || string(b) == "Absent" }

// longest plain trackpoint
const plainMost = 4 << 10

// Plain reads the plain form of a trackpoint: what nearly all devices write, each
// value far from the edges of its type.
func (c *collector) Plain(at strictxml.Place, in *strictxml.Scanner) (int, error) {
	if at != track || !c.inTrack || in.Space(nil) != spaceTCX {
		return 0, nil
	}
	m := strictxml.Ahead(in, plainMost)
	var p struct {
		time, latitude, longitude, altitude, distance, heartRate, cadence, state, speed, runCadence, watts []byte
	}
	if !m.Open("", "Trackpoint") || !m.Element("", "Time", &p.time, recording.PlainTime) || p.time == nil {
		return 0, nil
	}
	if m.Open("", "Position") && !(m.Element("", "LatitudeDegrees", &p.latitude, recording.PlainLatitude) && p.latitude != nil &&
		m.Element("", "LongitudeDegrees", &p.longitude, recording.PlainLongitude) && p.longitude != nil && m.Close("", "Position")) {
		return 0, nil
	}
	if !m.Element("", "AltitudeMeters", &p.altitude, strictxml.Decimal) || !m.Element("", "DistanceMeters", &p.distance, strictxml.Decimal) {
		return 0, nil
	}
	if (m.Open("", "HeartRateBpm") || m.Open("", typedHeartRate) && in.Space(xsi) == strictxml.Instance) && !(m.Element("", "Value", &p.heartRate, recording.PlainHeartRate) && p.heartRate != nil && m.Close("", "HeartRateBpm")) {
		return 0, nil
	}
	if !m.Element("", "Cadence", &p.cadence, recording.PlainCadence) || !m.Element("", "SensorState", &p.state, plainState) {
		return 0, nil
	}
	if m.Open("", "Extensions") {
		prefix, ok := plainExtension(&m, in)
		if !ok || !m.Element(prefix, "Speed", &p.speed, strictxml.Decimal) || !m.Element(prefix, "RunCadence", &p.runCadence, recording.PlainCadence) ||
			!m.Element(prefix, "Watts", &p.watts, plainWatts) || !m.Close(prefix, "TPX") || !m.Close("", "Extensions") {
			return 0, nil
		}
	}
	if !m.Close("", "Trackpoint") {
		return 0, nil
	}
	wanted, err := c.track.Begin()
	if err != nil {
		return 0, err
	}
	c.point = recording.Trackpoint{}
	if err := c.track.Time(&c.point, string(p.time)); err != nil {
		return 0, err
	}
	if wanted {
		number := func(b []byte) string { return recording.Number(string(b)) }
		c.point.Latitude, c.point.Longitude, c.point.Altitude, c.point.Distance = number(p.latitude), number(p.longitude), number(p.altitude), number(p.distance)
		c.point.HeartRate, c.point.Cadence, c.point.Speed, c.point.Power = number(p.heartRate), number(p.cadence), number(p.speed), number(p.watts)
		first(&c.point.Cadence, number(p.runCadence))
		c.track.Keep(c.point)
	}
	return m.Passed(), nil
}

// plainExtension passes the start tag of a TPX, in either form that devices
// write, and returns the prefix of its children.
func plainExtension(m *strictxml.Cursor, in *strictxml.Scanner) (prefix string, ok bool) {
	m.Space()
	if !m.Literal("<") {
		return "", false
	}
	inside, ok := m.Until('>')
	if !ok {
		return "", false
	}
	name, attributes, _ := bytes.Cut(inside, []byte(" "))
	switch string(attributes) {
	case "":
	case `xmlns="` + spaceExtension + `"`:
		return "", string(name) == "TPX"
	case `CadenceSensor="Bike"`, `CadenceSensor="Footpod"`:
	default:
		return "", false
	}
	space, local, found := bytes.Cut(name, []byte(":"))
	if !found || string(local) != "TPX" || in.Space(space) != spaceExtension {
		return "", false
	}
	return string(space) + ":", true
}
