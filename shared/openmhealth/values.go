package openmhealth

import "fitvault/shared/reading"

// measured is the member of a body that holds the one number of its type, by the
// name of the type: {value, unit}, or a number alone, whose unit is then given
// here. Types that are not listed have no single number (physical-activity,
// sleep-episode).
var measured = map[string]struct{ member, unit string }{
	"body-temperature":  {"body_temperature", ""},
	"body-weight":       {"body_weight", ""},
	"calories-burned":   {"kcal_burned", ""},
	"heart-rate":        {"heart_rate", ""},
	"oxygen-saturation": {"oxygen_saturation", ""},
	"respiratory-rate":  {"respiratory_rate", ""},
	"rr-interval":       {"rr_interval", ""},
	"sleep-duration":    {"sleep_duration", ""},
	"step-count":        {"step_count", "steps"}, // a number alone before version 3.0
	"total-sleep-time":  {"total_sleep_time", ""},
}

// Measured is the one number of a reading, as its canonical decimal text, and
// its unit as the reading has it; false where its type has no single number. It
// takes the number as it stands: a descriptive statistic (an average, a maximum)
// that a data point may carry beside it changes nothing.
func Measured(r reading.Reading) (number, unit string, ok bool) {
	m, ok := measured[r.Type.Name]
	if !ok {
		return "", "", false
	}
	v, _ := r.Point.At("body", m.member)
	if v.Kind() == reading.Number {
		return v.Text(), m.unit, true
	}
	value, _ := v.Get("value")
	u, _ := v.Get("unit")
	if value.Kind() != reading.Number || u.Kind() != reading.String {
		return "", "", false
	}
	return value.Text(), u.Text(), true
}
