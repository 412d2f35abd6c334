// Package recording is what a recording is, whatever format it came in: when it
// was, and its trackpoints. The original document is what is kept; a Summary
// and trackpoints are views of it, made anew from the same bytes on each read.
//
// # How values are read
//
//   - Numbers are kept as decimal text, canonical as in package reading, so
//     nothing is rounded. xs:double allows more than that: one of more than 34
//     digits is written as the shortest decimal of its double, which is its
//     value by XML Schema. NaN, INF and -INF say that nothing was measured: the
//     member is absent.
//   - xs:dateTime allows times without a zone; Garmin's are UTC, so Z is
//     assumed. 24:00:00 is the next day's midnight. Fractions are cut after
//     nanoseconds. Any other time is kept as sent.
//   - Start and End are the earliest and the latest time of a trackpoint.
package recording

import (
	"slices"
	"time"

	"fitvault/shared/fault"
	"fitvault/shared/redact"
	"fitvault/shared/strictxml"
)

// Rules of our own that an Item of an invalid document may name.
const (
	RuleTimeRange = "time-range" // a time that RFC 3339 cannot write: before year 1 or after 9999, in its own offset or in UTC
	RuleNoTime    = "no-time"    // nothing in the document says when it was
)

// Limits is what is checked before memory or time is spent on more.
type Limits struct {
	strictxml.Limits
	Trackpoints int
	Days        int // civil days with trackpoints
}

// DefaultLimits are those of wire.md, "sizes": a document after decompression.
var DefaultLimits = Limits{
	Limits:      strictxml.Limits{Bytes: 32 << 20, Depth: 32, Attributes: 32, TextBytes: 256 << 10, Namespaces: 64, Elements: 2_000_000},
	Trackpoints: 1_000_000,
	Days:        2_000,
}

// Sports that a Recording may have: those of Garmin's schema, and MultiSport.
const (
	SportRunning = "Running"
	SportBiking  = "Biking"
	SportOther   = "Other"
	SportMulti   = "MultiSport"
)

// Summary is what a document says of its activities.
type Summary struct {
	redact.Mark
	Sport       string
	Start, End  time.Time // zero without Timed
	Timed       bool      // false: nothing says when it was (only where that is forgiven)
	Trackpoints int
	Days        map[string]int // civil day, in the times' own offset, → trackpoints of that day
	Forgiven    []strictxml.Forgiven
}

// Trackpoint is one point of a track. Numbers are JSON number texts, "" where
// the document has none.
type Trackpoint struct {
	redact.Mark
	Time      time.Time // with the document's offset
	Stamp     string    // Time as sent, RFC 3339; "" without one
	Latitude  string    // degrees, WGS 84; has a Longitude
	Longitude string    // degrees, WGS 84
	Altitude  string    // m
	Distance  string    // m since the start
	HeartRate string    // beats/min
	Cadence   string    // rotations or strides a minute
	Speed     string    // m/s
	Power     string    // W
}

// AppendJSON appends the trackpoint as wire.md names its members.
func (t Trackpoint) AppendJSON(b []byte) []byte {
	b = append(b, '{')
	if t.Stamp != "" {
		b = append(b, `"time":"`...)
		b = append(b, t.Stamp...)
		b = append(b, '"', ',')
	}
	if t.Latitude != "" {
		b = append(b, `"position":{"latitude":`...)
		b = append(b, t.Latitude...)
		b = append(b, `,"longitude":`...)
		b = append(b, t.Longitude...)
		b = append(b, '}', ',')
	}
	for _, m := range [...]struct{ name, number string }{
		{"altitude", t.Altitude}, {"distance", t.Distance}, {"heart_rate", t.HeartRate},
		{"cadence", t.Cadence}, {"speed", t.Speed}, {"power", t.Power},
	} {
		if m.number != "" {
			b = append(b, '"')
			b = append(b, m.name...)
			b = append(b, `":`...)
			b = append(b, m.number...)
			b = append(b, ',')
		}
	}
	if b[len(b)-1] == ',' {
		b = b[:len(b)-1]
	}
	return append(b, '}')
}

// Span is the earliest and the latest of some times.
type Span struct {
	First, Last time.Time
	Some        bool // Go's zero time is a time that a document may have
}

func (s *Span) Add(t time.Time) {
	if !s.Some || t.Before(s.First) {
		s.First = t
	}
	if !s.Some || t.After(s.Last) {
		s.Last = t
	}
	s.Some = true
}

// Page is which trackpoints a reader wants to see: Size from From on.
type Page struct{ From, Size int }

// Track gathers the trackpoints of one document: it counts all of them, and
// keeps those of a page.
type Track struct {
	limits Limits
	page   Page
	Points []Trackpoint // of the page
	Count  int
	span   Span
	days   map[string]int
	day    string // of the last trackpoint, counted in today
	today  int
}

// NewTrack makes a track that keeps a page; the zero Page keeps nothing.
func NewTrack(limits Limits, page Page) Track {
	return Track{limits: limits, page: page, days: map[string]int{}}
}

// Begin is called at each trackpoint. It reports whether the page wants its
// values; an error ends the reading.
func (t *Track) Begin() (wanted bool, err error) {
	switch {
	case t.Count >= t.limits.Trackpoints:
		return false, fault.New(fault.TooLarge, "document has more trackpoints than allowed")
	case t.page.Size > 0 && t.Count >= t.page.From+t.page.Size:
		return false, strictxml.ErrEnough
	}
	t.Count++
	return t.page.Size > 0 && t.Count > t.page.From && t.Count <= t.page.From+t.page.Size, nil
}

// Keep adds a trackpoint that the page wants.
func (t *Track) Keep(p Trackpoint) { t.Points = append(t.Points, p) }

// Time reads the time of a trackpoint, an xs:dateTime, into it, and adds it.
func (t *Track) Time(p *Trackpoint, literal string) error {
	var ok bool
	if p.Time, p.Stamp, ok = Moment(literal); !ok {
		return ErrTimeRange
	}
	return t.At(p.Time, p.Stamp)
}

// ErrTimeRange is RuleTimeRange, broken.
var ErrTimeRange = strictxml.Broken(RuleTimeRange, "document has a time that RFC 3339 cannot write")

// At adds the time of a trackpoint; stamp is its RFC 3339 text.
func (t *Track) At(at time.Time, stamp string) error {
	t.span.Add(at)
	const date = len("2006-01-02")
	if t.day != stamp[:date] {
		t.endDay()
		t.day = stamp[:date]
		if _, seen := t.days[t.day]; !seen && len(t.days) >= t.limits.Days {
			return fault.New(fault.TooLarge, "document has trackpoints on more days than allowed")
		}
	}
	t.today++
	return nil
}

func (t *Track) endDay() {
	if t.today > 0 {
		t.days[t.day] += t.today
		t.today = 0
	}
}

// Summary is what the track says; laps stand in for trackpoints without a time.
func (t *Track) Summary(sport string, laps Span) Summary {
	t.endDay()
	of := t.span
	if !of.Some {
		of = laps
	}
	return Summary{Sport: sport, Start: of.First, End: of.Last, Timed: of.Some, Trackpoints: t.Count, Days: t.days}
}

// Finished refuses, at a document's end, one that does not say when it was.
func (s Summary) Finished(lenient bool) error {
	if !s.Timed && !lenient {
		return strictxml.Broken(RuleNoTime, "document does not say when it was")
	}
	return nil
}

// Collector is a format's, which ends in a Summary.
type Collector interface {
	strictxml.Collector
	Result() (Summary, []Trackpoint)
}

// Format is a format of recordings.
type Format struct {
	XML     strictxml.Format
	Collect func(limits Limits, page Page, lenient bool) Collector
}

// Parse reads one document: the schemas' verdict, and its summary. Where
// lenient, the deviations that the format knows are forgiven and listed; if
// there are none the document is as good as any. Its errors are *fault.Error of
// the kinds that strictxml names, without any input.
func (f Format) Parse(open strictxml.Open, limits Limits, lenient bool) (Summary, error) {
	c, forgiven, err := strictxml.Validate(f.XML, open, limits.Limits, lenient, func(lenient bool) Collector { return f.Collect(limits, Page{}, lenient) })
	if err != nil {
		return Summary{}, err
	}
	s, _ := c.Result()
	s.Forgiven = forgiven
	if !s.Timed {
		s.Forgiven = append(s.Forgiven, strictxml.Forgiven{Rule: RuleNoTime, Count: 1})
	}
	return s, nil
}

// Summary is that of Parse for a document that other rules have accepted,
// without asking the schemas.
func (f Format) Summary(open strictxml.Open, limits Limits, lenient bool) (Summary, error) {
	c := f.Collect(limits, Page{}, lenient)
	if err := strictxml.Read(f.XML, open, limits.Limits, lenient, c); err != nil {
		return Summary{}, err
	}
	s, _ := c.Result()
	return s, nil
}

// Read returns a page of the trackpoints of a document that Parse has accepted,
// and whether more follow, without asking the schemas again.
func (f Format) Read(open strictxml.Open, limits Limits, lenient bool, page Page) (points []Trackpoint, more bool, err error) {
	page.Size++ // one more says that there is one
	c := f.Collect(limits, page, lenient)
	if err := strictxml.Read(f.XML, open, limits.Limits, lenient, c); err != nil {
		return nil, false, err
	}
	_, points = c.Result()
	if more = len(points) == page.Size; more {
		points = slices.Delete(points, page.Size-1, page.Size)
	}
	return points, more, nil
}
