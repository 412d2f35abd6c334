// Package tcx reads Garmin Training Center documents: strictly, against the
// published schemas TrainingCenterDatabase v2 and ActivityExtension v2, and
// into the trackpoints that wire.md names. The original document is what is
// kept; a Recording is a view of it, made anew from the same bytes on each read.
//
// # Two passes
//
// jacoelho/xsd validates a stream and hands nothing of it out, so a valid
// document is read a second time, by encoding/xml, to collect. The validator
// goes first and alone decides. The collector can only fail closed: what it
// cannot follow is a refusal, never a guess.
//
// # Kinds of refusal
//
//   - bad-request: not UTF-8, another encoding declared, an XML version other
//     than 1.0, a DTD, an entity that XML does not predefine, not well-formed
//     (namespaces included);
//   - too-large: more than Limits;
//   - invalid: well-formed, but against the schemas or the rules below; Items
//     says where (element names of the schemas, positions as numbers) and which rule.
//
// A document that is not well-formed somewhere is bad-request, whatever it
// breaks before that place.
//
// # What is refused although the schemas allow it
//
//   - RuleNoActivity: a document without an Activity (courses, workouts,
//     folders only; or another root that a schema declares) is no recording.
//   - RuleTimeRange: a StartTime of a Lap or a Time of a Trackpoint that RFC 3339
//     cannot write: before year 1 or after year 9999, in its own offset or in UTC.
//   - Every encoding but UTF-8, every DTD, XML 1.1, and what exceeds Limits.
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
//   - Cadence is that of the Trackpoint, else the RunCadence of its extension.
//   - All Activities of a document, those of a MultiSportSession and the
//     transitions between them included, are one recording, its trackpoints in
//     the order of the document. Sport is that of all activities, or MultiSport
//     if they differ. Tracks of Courses are plans, not recordings.
//   - Start and End are the earliest and the latest trackpoint. Without
//     trackpoints (a manual entry) they come from the laps: StartTime, and
//     StartTime + TotalTimeSeconds.
package tcx

import (
	"time"

	"fitvault/shared/fault"
	"fitvault/shared/redact"
)

// Limits is what is checked before memory or time is spent on more.
type Limits struct {
	Bytes       int // of the document
	Depth       int // of elements; the root has depth 1
	Attributes  int // of one element, namespace declarations included
	TextBytes   int // of one name, attribute value or text
	Trackpoints int
}

// MaxBytes is the most bytes of a document (wire.md, "sizes").
const MaxBytes = 4_500_000

// DefaultLimits are those of wire.md for a body that comes uncompressed.
var DefaultLimits = Limits{Bytes: MaxBytes, Depth: 32, Attributes: 32, TextBytes: 1 << 20, Trackpoints: 200_000}

// Sports that a Recording may have: those of the schema, and MultiSport.
const (
	SportRunning = "Running"
	SportBiking  = "Biking"
	SportOther   = "Other"
	SportMulti   = "MultiSport"
)

// Recording is what a document says of its activities.
type Recording struct {
	redact.Mark
	Sport       string
	Start, End  time.Time
	Trackpoints []Trackpoint
}

// Trackpoint is one point of a track. Numbers are JSON number texts, "" where
// the document has none.
type Trackpoint struct {
	redact.Mark
	Time      time.Time // with the document's offset
	Stamp     string    // Time as sent, RFC 3339
	Latitude  string    // degrees, WGS 84; has a Longitude
	Longitude string    // degrees, WGS 84
	Altitude  string    // m
	Distance  string    // m since the start
	HeartRate string    // beats/min
	Cadence   string    // rotations or strides a minute
	Speed     string    // m/s
	Power     string    // W
}

// Parse reads one document: the schemas' verdict first, then its trackpoints.
// Its errors are *fault.Error of the kinds named above, without any input.
func Parse(document []byte, limits Limits) (Recording, error) {
	if len(document) > limits.Bytes {
		return Recording{}, fault.New(fault.TooLarge, "document has more bytes than allowed")
	}
	if err := validate(document, limits); err != nil {
		return Recording{}, err
	}
	return Read(document, limits)
}

// AppendJSON appends the trackpoint as wire.md names its members.
func (t Trackpoint) AppendJSON(b []byte) []byte {
	b = append(b, `{"time":"`...)
	b = append(b, t.Stamp...)
	b = append(b, '"')
	if t.Latitude != "" {
		b = append(b, `,"position":{"latitude":`...)
		b = append(b, t.Latitude...)
		b = append(b, `,"longitude":`...)
		b = append(b, t.Longitude...)
		b = append(b, '}')
	}
	for _, m := range [...]struct{ name, number string }{
		{"altitude", t.Altitude}, {"distance", t.Distance}, {"heart_rate", t.HeartRate},
		{"cadence", t.Cadence}, {"speed", t.Speed}, {"power", t.Power},
	} {
		if m.number != "" {
			b = append(b, `,"`...)
			b = append(b, m.name...)
			b = append(b, `":`...)
			b = append(b, m.number...)
		}
	}
	return append(b, '}')
}
