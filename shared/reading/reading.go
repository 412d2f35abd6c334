package reading

import (
	"errors"
	"regexp"
	"strings"
	"time"

	"fitvault/shared/redact"
)

// Type names what is measured: the schema of a data point's body, any version.
type Type struct{ Namespace, Name string }

// String is the form of queries, namespace:name, as in omh:heart-rate.
func (t Type) String() string { return t.Namespace + ":" + t.Name }

// ErrType is returned for text that is not namespace:name.
var ErrType = errors.New("not a type as namespace:name")

const maxTypeName = 64 // bytes; in the expression it would be compiled so often, at each start

var typeName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// ParseType reads what String gives. It says nothing on whether the type is served.
func ParseType(s string) (Type, error) {
	namespace, name, _ := strings.Cut(s, ":")
	for _, part := range []string{namespace, name} {
		if len(part) > maxTypeName || !typeName.MatchString(part) {
			return Type{}, ErrType
		}
	}
	return Type{Namespace: namespace, Name: name}, nil
}

// Reading is one data point, with what it is filed by.
type Reading struct {
	redact.Mark
	Type    Type
	Version string    // of the body's schema
	ID      string    // header id, unique within its source
	Start   time.Time // in the offset it was given in; its UTC year is 1 to 9999
	Point   Value     // {header, body}, the whole data point
}

// Day is the UTC day of the start, YYYY-MM-DD: blocks are keyed by it.
func (r Reading) Day() string { return r.Start.UTC().Format(time.DateOnly) }

// Rules that FromPoint finds broken.
const (
	RuleHeader    = "header"     // the header does not say type, id or creation time
	RuleTime      = "time"       // a time that a start is made of does not exist
	RuleTimeRange = "time-range" // the start is before year 1 or after year 9999 in UTC
)

// PointError says which rule a data point breaks, and where: Pointer is a JSON
// pointer from the data point, of names that the schemas name.
type PointError struct{ Pointer, Rule string }

func (e *PointError) Error() string { return "data point breaks rule " + e.Rule }

// FromPoint files a data point {header, body} that its schemas allow. It is a
// pure function: intake uses it on what it accepts, and readers on what they
// open, so both see the same start. Errors are *PointError.
func FromPoint(point Value) (Reading, error) {
	// IEEE 1752.1 and Open mHealth headers are told apart by their members.
	id, createdName := "uuid", "source_creation_date_time"
	if _, ok := point.At("header", id); !ok {
		id, createdName = "id", "creation_date_time"
	}
	r := Reading{
		Type: Type{
			Namespace: text(point, "header", "schema_id", "namespace"),
			Name:      text(point, "header", "schema_id", "name"),
		},
		Version: text(point, "header", "schema_id", "version"),
		ID:      text(point, "header", id),
		Point:   point,
	}
	created, err := ParseTime(text(point, "header", createdName))
	if err != nil || r.Type.Namespace == "" || r.Type.Name == "" || r.Version == "" || r.ID == "" {
		return Reading{}, &PointError{Pointer: "/header", Rule: RuleHeader}
	}
	start, failed := start(point, created)
	if failed != nil {
		return Reading{}, failed
	}
	if year := start.UTC().Year(); year < 1 || year > 9999 {
		return Reading{}, &PointError{Pointer: frame, Rule: RuleTimeRange}
	}
	r.Start = start
	return r, nil
}

func text(v Value, path ...string) string {
	if v, ok := v.At(path...); ok && v.Kind() == String {
		return v.Text()
	}
	return ""
}

const frame = "/body/effective_time_frame"

// start is wire.md's "time": the time frame's first instant, else created.
func start(point Value, created time.Time) (time.Time, *PointError) {
	timeFrame, ok := point.At("body", "effective_time_frame")
	if !ok {
		return created, nil
	}
	if at, ok := timeFrame.Get("date_time"); ok {
		t, err := ParseTime(at.Text())
		if err != nil {
			return t, &PointError{Pointer: frame + "/date_time", Rule: RuleTime}
		}
		return t, nil
	}
	interval, _ := timeFrame.Get("time_interval")
	from, hasFrom := interval.Get("start_date_time")
	to, hasTo := interval.Get("end_date_time")
	duration, _ := interval.Get("duration")
	date, _ := interval.Get("date")

	const path = frame + "/time_interval"
	first, err := ParseTime(from.Text())
	if hasFrom && err != nil {
		return first, &PointError{Pointer: path + "/start_date_time", Rule: RuleTime}
	}
	last, err := ParseTime(to.Text())
	if hasTo && err != nil {
		return last, &PointError{Pointer: path + "/end_date_time", Rule: RuleTime}
	}
	ok = true
	switch {
	case hasFrom && hasTo:
	case hasFrom:
		last, ok = shift(first, duration, +1)
	case hasTo:
		first, ok = shift(last, duration, -1)
	default:
		first, err = parseDate(date.Text(), created.Location())
		if err != nil {
			return first, &PointError{Pointer: path + "/date", Rule: RuleTime}
		}
		return first, nil
	}
	if !ok {
		return first, &PointError{Pointer: path + "/duration", Rule: RuleTime}
	}
	if last.Before(first) { // a reversed interval, or a negative duration
		return last, nil
	}
	return first, nil
}
