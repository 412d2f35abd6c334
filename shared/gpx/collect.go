package gpx

import (
	"bytes"

	"fitvault/shared/recording"
	"fitvault/shared/strictxml"
)

// collector holds what has been read so far of one document.
type collector struct {
	track     recording.Track
	lenient   bool
	tracks    int
	sport     string
	trackType string
	points    bool // in a segment, behind its first trackpoint and before anything else
	wanted    bool // of the current trackpoint more than its time is wanted
	point     recording.Trackpoint
}

func (c *collector) Start(at strictxml.Place, t *strictxml.Token) error {
	switch at {
	case track:
		c.tracks++
		c.trackType = ""
	case segment, segmentEnd:
		c.points = false
	case trackpoint:
		c.point = recording.Trackpoint{}
		var err error
		if c.wanted, err = c.track.Begin(); err != nil || !c.wanted {
			return err
		}
		c.point.Latitude, c.point.Longitude = attribute(t, "lat"), attribute(t, "lon")
	}
	return nil
}

func attribute(t *strictxml.Token, name string) string {
	text, _ := strictxml.Unescape(nil, t.Attribute(name))
	return recording.Number(string(text))
}

func (c *collector) End(at strictxml.Place, text []byte) error {
	switch at {
	case trackType:
		c.trackType = string(text[:min(len(text), 64)]) // no name that is known is longer
	case track:
		sport := sportOf(c.trackType)
		if c.tracks > 1 && c.sport != sport {
			sport = recording.SportMulti
		}
		c.sport = sport
	case timeText:
		return c.track.Time(&c.point, string(text))
	case trackpoint:
		c.points = true
		if c.wanted {
			c.track.Keep(c.point)
		}
	default:
		if c.wanted {
			c.value(at, string(text))
		}
	}
	return nil
}

func (c *collector) value(at strictxml.Place, text string) {
	p := &c.point
	var kept *string
	switch at {
	case altitude:
		kept = &p.Altitude
	case heartRate:
		kept = &p.HeartRate
	case cadence:
		kept = &p.Cadence
	case speed:
		kept = &p.Speed
	case power:
		kept = &p.Power
	case distance:
		kept = &p.Distance
	default:
		return
	}
	if *kept == "" { // the first of several
		*kept = recording.Number(text)
	}
}

func (c *collector) Finish() error {
	if c.tracks == 0 {
		return strictxml.Broken(RuleNoTrack, "document has no track")
	}
	s, _ := c.Result()
	return s.Finished(c.lenient)
}

func (c *collector) Result() (recording.Summary, []recording.Trackpoint) {
	return c.track.Summary(c.sport, recording.Span{}), c.track.Points
}

func plainDegrees(b []byte) bool { return len(b) > 0 && b[0] != '-' && strictxml.Within(360)(b) }

// longest plain trackpoint
const plainMost = 4 << 10

// Plain reads the plain form of a trackpoint: what nearly all devices write, each
// value far from the edges of its type.
func (c *collector) Plain(at strictxml.Place, in *strictxml.Scanner) (int, error) {
	if at != segment || !c.points || in.Space(nil) != spaceGPX {
		return 0, nil
	}
	m := strictxml.Ahead(in, plainMost)
	var p struct{ latitude, longitude, altitude, time, heartRate, cadence, speed, other []byte }
	m.Space()
	if !m.Literal(`<trkpt `) {
		return 0, nil
	}
	ok := false
	if m.Literal(`lat="`) {
		p.latitude, _ = m.Until('"')
		if m.Literal(` lon="`) {
			p.longitude, ok = m.Until('"')
		}
	} else if m.Literal(`lon="`) {
		p.longitude, _ = m.Until('"')
		if m.Literal(` lat="`) {
			p.latitude, ok = m.Until('"')
		}
	}
	if !ok || !recording.PlainLatitude(p.latitude) || !recording.PlainLongitude(p.longitude) {
		return 0, nil
	}
	if !m.Literal("/>") {
		if !m.Literal(">") || !m.Element("", "ele", &p.altitude, strictxml.Decimal) || !m.Element("", "time", &p.time, recording.PlainTime) {
			return 0, nil
		}
		if m.Open("", "extensions") {
			m.Space()
			if !m.Literal("<") {
				return 0, nil
			}
			name, _ := m.Until('>')
			prefix, local, found := bytes.Cut(name, []byte(":"))
			space := in.Space(prefix)
			if !found || string(local) != "TrackPointExtension" || space != spaceV1 && space != spaceV2 {
				return 0, nil
			}
			pre := string(prefix) + ":"
			ok := m.Element(pre, "atemp", &p.other, strictxml.Decimal) && m.Element(pre, "wtemp", &p.other, strictxml.Decimal) &&
				m.Element(pre, "depth", &p.other, strictxml.Decimal) &&
				m.Element(pre, "hr", &p.heartRate, recording.PlainHeartRate) && m.Element(pre, "cad", &p.cadence, recording.PlainCadence) &&
				(space != spaceV2 || m.Element(pre, "speed", &p.speed, strictxml.Decimal) &&
					m.Element(pre, "course", &p.other, plainDegrees) && m.Element(pre, "bearing", &p.other, plainDegrees))
			if !ok || !m.Close(pre, "TrackPointExtension") || !m.Close("", "extensions") {
				return 0, nil
			}
		}
		if !m.Close("", "trkpt") {
			return 0, nil
		}
	}
	wanted, err := c.track.Begin()
	if err != nil {
		return 0, err
	}
	c.point = recording.Trackpoint{}
	if p.time != nil {
		if err := c.track.Time(&c.point, string(p.time)); err != nil {
			return 0, err
		}
	}
	if wanted {
		number := func(b []byte) string { return recording.Number(string(b)) }
		c.point.Latitude, c.point.Longitude, c.point.Altitude = number(p.latitude), number(p.longitude), number(p.altitude)
		c.point.HeartRate, c.point.Cadence, c.point.Speed = number(p.heartRate), number(p.cadence), number(p.speed)
		c.track.Keep(c.point)
	}
	return m.Passed(), nil
}
