package generate

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"fitvault/shared/reading"
)

// Mutations lists v with one change each, at every place in it: members dropped,
// invented and misplaced, other kinds, units, times and numbers. owner is the
// one that a right user_id names.
func Mutations(v reading.Value, owner string) []reading.Value {
	changed := slices.Clone(substitutes)
	switch v.Kind() {
	case reading.Object:
		for i, name := range v.Names() {
			changed = append(changed, reading.ObjectValue(
				slices.Delete(slices.Clone(v.Names()), i, i+1), slices.Delete(slices.Clone(v.List()), i, i+1)))
			for _, child := range Mutations(v.List()[i], owner) {
				changed = append(changed, reading.ObjectValue(v.Names(), replaced(v.List(), i, child)))
			}
			if name == "time_interval" || name == "effective_time_frame" {
				for _, other := range timeIntervals {
					changed = append(changed, reading.ObjectValue(v.Names(), replaced(v.List(), i, other)))
				}
			}
		}
		for _, m := range append(slices.Clone(strays), stray{"user_id", reading.StringValue(owner)}) {
			if _, ok := v.Get(m.name); !ok {
				changed = append(changed, reading.ObjectValue(append(slices.Clone(v.Names()), m.name), append(slices.Clone(v.List()), m.value)))
			}
		}
	case reading.Array:
		changed = append(changed, reading.ArrayValue(nil), reading.ArrayValue(append(slices.Clone(v.List()), reading.NullValue())))
		for i := range v.List() {
			for _, child := range Mutations(v.List()[i], owner) {
				changed = append(changed, reading.ArrayValue(replaced(v.List(), i, child)))
			}
		}
	case reading.String:
		for _, s := range []string{v.Text() + " ", v.Text() + "\n", " " + v.Text(), strings.ToUpper(v.Text()), strings.ToLower(v.Text()), strings.TrimRight(v.Text(), "Zz")} {
			changed = append(changed, reading.StringValue(s))
		}
	}
	return changed
}

func replaced(list []reading.Value, i int, v reading.Value) []reading.Value {
	list = slices.Clone(list)
	list[i] = v
	return list
}

func parse(text string) reading.Value {
	v, err := reading.Decode(jsontext.NewDecoder(strings.NewReader(text)), 64)
	if err != nil {
		panic(err)
	}
	return v
}

func values(texts ...string) []reading.Value {
	var list []reading.Value
	for _, text := range texts {
		list = append(list, parse(text))
	}
	return list
}

// substitutes are put in the place of every value.
var substitutes = values(
	`null`, `true`, `7`, `-0.5`, `3.0`, `1234567890123456789012345678901234`, `"x"`, `""`, `[]`, `[null]`, `{}`, `{"x":1}`,
	`{"value":1,"unit":"h"}`, `{"value":-400,"unit":"d"}`, `{"value":9e33,"unit":"yr"}`, `{"low_value":1,"high_value":2,"unit":"d"}`,
	`"h"`, `"kg"`, `"beats/min"`, `"bpm"`, `"%"`, `"C"`, `"average"`, `"session"`, `"morning"`, `"sensed"`, `"anything"`,
	`"2026-05-04T07:25:00Z"`, `"2026-05-04t07:25:00.123456789-23:59"`, `"2026-05-04T07:25:00.1234567890Z"`, `"2016-12-31T23:59:60Z"`,
	`"2026-02-29T00:00:00Z"`, `"2024-02-29T24:00:00Z"`, `"0000-01-01T00:00:00Z"`, `"0001-01-01T00:00:00+14:00"`, `"9999-12-31T23:59:59-14:00"`,
	`"2026-05-04 07:25:00Z"`, `"2026-05-04T07:25:00+0200"`, `"2026-05-04"`, `"2026-02-30"`, `"2026-13-01"`, `"0000-12-31"`, `"26-05-04"`,
	`"0B3C6F0E-5A5B-4C8E-9D2F-0A1B2C3D4E5F"`, `"{0b3c6f0e-5a5b-4c8e-9d2f-0a1b2c3d4e}"`, `"0b3c6f0e5a5b4c8e9d2f0a1b2c3d4e5f"`,
	`"urn:a"`, `"urn:a b"`, `"http://a:80/é?x#y"`, `"omh"`, `"ieee"`, `"heart-rate"`, `"physical-activity"`, `"1.0"`, `"2.0"`,
)

// timeIntervals are put in the place of time frames and intervals.
var timeIntervals = values(
	`{"date_time":"2026-05-04T07:25:00Z"}`, `{"date_time":"2026-05-04T07:25:00Z","time_interval":{"date":"2026-05-04","part_of_day":"night"}}`,
	`{"time_interval":{"date":"2026-05-04","part_of_day":"night"}}`, `{"time_interval":{"date":"2026-02-30","part_of_day":"night"}}`,
	`{"date":"2026-05-04","part_of_day":"night"}`, `{"date":"2026-02-30","part_of_day":"noon"}`,
	`{"start_date_time":"2026-05-04T07:25:00+02:00","duration":{"value":-1.5,"unit":"Mo"}}`,
	`{"end_date_time":"2026-05-04T07:25:00+02:00","duration":{"value":0.0000000001,"unit":"ns"}}`,
	`{"end_date_time":"2026-05-04T07:25:00+02:00","duration":{"value":2025.5,"unit":"yr"}}`,
	`{"end_date_time":"2026-05-04T07:25:00+02:00","duration":{"value":2027,"unit":"yr"}}`,
	`{"end_date_time":"2026-05-04T07:25:00+02:00","duration":{"value":1e33,"unit":"ps"}}`,
	`{"start_date_time":"2026-05-04T07:25:00+02:00","end_date_time":"2020-05-04T07:25:00+02:00"}`,
	`{"start_date_time":"2026-05-04T07:25:00+02:00","end_date_time":"2026-05-04T07:25:00+02:00","duration":{"value":1,"unit":"h"}}`,
	`{"start_date_time":"2026-05-04T07:25:00+02:00","end_date_time":"soon","duration":{"value":1,"unit":"h"}}`,
	`{"start_date_time":"2026-05-04T07:25:00+02:00","duration":{"value":1,"unit":"fortnight"}}`,
	`{"start_date_time":"2026-05-04T07:25:00+02:00"}`,
)

// strays are added to every object that has no such member.
var strays = []stray{
	{"invented", parse(`7`)}, {"", parse(`null`)}, {"0", parse(`{"value":1,"unit":"h"}`)},
	{"value", parse(`1`)}, {"unit", parse(`"min"`)}, {"description", parse(`"x"`)}, {"type", parse(`"object"`)},
	{"id", parse(`"n-1"`)}, {"uuid", parse(`"0b3c6f0e-5a5b-4c8e-9d2f-0a1b2c3d4e5f"`)}, {"user_id ", parse(`"x"`)},
	{"date_time", parse(`"2026-05-04T07:25:00Z"`)}, {"date_time ", parse(`7`)}, {"time_interval", parse(`{"date":"2026-05-04","part_of_day":"night"}`)},
	{"date", parse(`"2026-05-04"`)}, {"part_of_day", parse(`7`)}, {"duration", parse(`{"value":1,"unit":"h"}`)},
	{"start_date_time", parse(`"2026-05-04T07:25:00Z"`)}, {"end_date_time", parse(`"soon"`)},
	{"effective_time_frame", parse(`{"date_time":"2026-05-04T07:25:00Z"}`)}, {"descriptive_statistic", parse(`"average"`)},
	{"url", parse(`"https://example.org/a b"`)}, {"number_of_times", parse(`2`)},
}

type stray struct {
	name  string
	value reading.Value
}
