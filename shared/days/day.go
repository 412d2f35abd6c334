package days

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"fitvault/shared/vault"
)

// Day is a civil day, counted from 1970-01-01.
type Day int32

// ErrDay is returned for text that is not a day of the calendar as YYYY-MM-DD.
var ErrDay = errors.New("not a day as YYYY-MM-DD")

// DayOf is the date of an instant in its own offset.
func DayOf(t time.Time) Day {
	year, month, day := t.Date()
	return Day(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / secondsADay)
}

const secondsADay = 86_400

// ParseDay reads YYYY-MM-DD, of the years 0001 to 9999.
func ParseDay(s string) (Day, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || len(s) != len(time.DateOnly) || t.Year() == 0 {
		return 0, ErrDay
	}
	return DayOf(t), nil
}

// Time is the day's 00:00 in UTC.
func (d Day) Time() time.Time { return time.Unix(int64(d)*secondsADay, 0).UTC() }

// String is the day as YYYY-MM-DD. Offsets may reach a day beyond the years that
// ParseDay takes; nobody can ask for those.
func (d Day) String() string { return d.Time().Format(time.DateOnly) }

const recordingPrefix = "recording#"

// PartOf is the part that an item of the Readings table belongs to, by its sort
// key: the UTC day of a block, the whole key of a recording. It returns false
// for a key that is neither.
func PartOf(item string) (part string, ok bool) {
	if id, ok := strings.CutPrefix(item, recordingPrefix); ok {
		return item, id != "" && len(item) <= maxPart
	}
	day, id, ok := strings.Cut(item, "#")
	if _, err := ParseDay(day); !ok || err != nil || id == "" {
		return "", false
	}
	return day, true
}

const maxPart = 128 // bytes of a part's name

// RecordingOf is the id of the recording that a part is of; false where it is of
// a UTC day.
func RecordingOf(part string) (id string, ok bool) { return strings.CutPrefix(part, recordingPrefix) }

// Place is where a version of a sealed part lives; vault binds it into the seal, so
// that a part stands neither for another nor for its own past under a new number.
func Place(deployment, owner, part string, version int64) vault.Place {
	return vault.Place{Deployment: deployment, Table: "days", Owner: owner, ID: part + "@" + strconv.FormatInt(version, 10)}
}

// Around is the civil days that the readings of a UTC day can lie on, first and
// last, as far as ParseDay takes them: no offset is a whole day long.
func Around(utc Day) (first, last Day) { return max(utc-1, firstDay), min(utc+1, lastDay) }

var (
	firstDay = DayOf(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC))
	lastDay  = DayOf(time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC))
)
