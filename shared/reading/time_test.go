package reading

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseTime(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026-05-04T07:25:00Z":                time.Date(2026, 5, 4, 7, 25, 0, 0, time.UTC),
		"2026-05-04t07:25:00z":                time.Date(2026, 5, 4, 7, 25, 0, 0, time.UTC),
		"2026-05-04T07:25:00+02:00":           time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC),
		"2026-05-04T07:25:00-00:00":           time.Date(2026, 5, 4, 7, 25, 0, 0, time.UTC),
		"2026-05-04T07:25:00.5-14:00":         time.Date(2026, 5, 4, 21, 25, 0, 500_000_000, time.UTC),
		"2026-05-04T07:25:00.000000001+05:45": time.Date(2026, 5, 4, 1, 40, 0, 1, time.UTC),
		"2024-02-29T23:59:59.120-23:59":       time.Date(2024, 3, 1, 23, 58, 59, 120_000_000, time.UTC),
		"0001-01-01T00:00:00Z":                time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC),
		"9999-12-31T23:59:59.999999999Z":      time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
	} {
		got, err := ParseTime(text)
		require.NoError(t, err, text)
		require.True(t, want.Equal(got), "%s: %s", text, got)
	}
	got, err := ParseTime("2026-05-04T07:25:00-14:00")
	require.NoError(t, err)
	_, seconds := got.Zone()
	require.Equal(t, -14*3600, seconds)

	for _, text := range []string{
		"", "2026-05-04", "07:25:00Z", "2026-05-04T07:25:00", "2026-05-04T07:25Z", "2026-05-04 07:25:00Z", "20260504T072500Z",
		"2026-05-04T07:25:00+0200", "2026-05-04T07:25:00+02", "2026-05-04T07:25:00+02:0", "2026-05-04T07:25:00 +02:00", "2026-05-04T07:25:00~02:00",
		"2026-05-04T07:25:00+24:00", "2026-05-04T07:25:00+02:60", "2026-05-04T07:25:00+02-00", "2026-05-04T07:25:00ZZ", "2026-05-04T07:25:00Z\n",
		"2026-05-04T07:25:00.Z", "2026-05-04T07:25:00,5Z", "2026-05-04T07:25:00.1234567890Z", "2026-05-04T07:25:00.5", "2026-05-04T07:25:00.5.5Z",
		"2026-05-04T07:25:60Z", "2016-12-31T23:59:60Z", "2026-05-04T24:00:00Z", "2026-05-04T07:60:00Z", "2026-05-04T07:25:00.",
		"2026-13-04T07:25:00Z", "2026-00-04T07:25:00Z", "2026-02-29T07:25:00Z", "2026-04-31T07:25:00Z", "2026-05-00T07:25:00Z", "2026-05-32T07:25:00Z",
		"0000-01-01T00:00:00Z", "02026-05-04T07:25:00Z", "-026-05-04T07:25:00Z", "2026-5-04T007:25:00Z", "2026/05/04T07:25:00Z", "2026-05-04T07.25.00Z",
		"２026-05-04T07:25:00Z", "2026-05-04T+7:25:00Z",
	} {
		_, err := ParseTime(text)
		require.ErrorIs(t, err, ErrTime, text)
	}
}

func FuzzParseTime(f *testing.F) {
	for _, seed := range []string{
		"2026-05-04T07:25:00Z", "2026-05-04t07:25:00.5+14:00", "2026-02-30T00:00:00Z", "2016-12-31T23:59:60Z",
		"0000-01-01T00:00:00Z", "2026-05-04T07:25:00,5Z", "2026-05-04T07:25:00.1234567890Z", "2026-05-04T07:25:00+24:00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseTime(text)
		want, err2 := time.Parse(time.RFC3339Nano, strings.ToUpper(text))
		if err == nil { // what we read, the standard library reads too, as the same
			require.NoError(t, err2)
			require.True(t, got.Equal(want))
			require.Equal(t, want.Format(time.RFC3339Nano), got.Format(time.RFC3339Nano))
		}
	})
}

const created = "2026-05-04T23:30:00-14:00" // 2026-05-05T13:30Z

// point is a data point with this time frame, "" for none.
func point(t *testing.T, timeFrame string) Value {
	body := `{}`
	if timeFrame != "" {
		body = `{"effective_time_frame":` + timeFrame + `}`
	}
	v, err := decode([]byte(`{"header":{"uuid":"u-1","schema_id":{"namespace":"omh","name":"step-count","version":"2.0"},`+
		`"source_creation_date_time":"`+created+`"},"body":`+body+`}`), 8)
	require.NoError(t, err)
	return v
}

func TestStart(t *testing.T) {
	duration := func(member, at, value, unit string) string {
		return `{"time_interval":{"` + member + `":"` + at + `","duration":{"value":` + value + `,"unit":"` + unit + `"}}}`
	}
	for _, c := range []struct{ name, timeFrame, start, day string }{
		{"no time frame: creation", ``, "2026-05-04T23:30:00-14:00", "2026-05-05"},
		{"date_time", `{"date_time":"2026-05-04T00:30:00.25+02:00"}`, "2026-05-04T00:30:00.25+02:00", "2026-05-03"},
		{"start and end", `{"time_interval":{"start_date_time":"2026-05-04T07:00:00Z","end_date_time":"2026-05-04T08:00:00Z"}}`, "2026-05-04T07:00:00Z", "2026-05-04"},
		{"reversed by instant", `{"time_interval":{"start_date_time":"2026-05-04T07:00:00Z","end_date_time":"2026-05-04T08:00:00+02:00"}}`, "2026-05-04T08:00:00+02:00", "2026-05-04"},
		{"start and duration", duration("start_date_time", "2026-05-04T07:00:00+02:00", "8", "h"), "2026-05-04T07:00:00+02:00", "2026-05-04"},
		{"start and negative duration", duration("start_date_time", "2026-05-04T07:00:00+02:00", "-8", "h"), "2026-05-03T23:00:00+02:00", "2026-05-03"},
		{"end and duration", duration("end_date_time", "2026-05-04T07:00:00+02:00", "7.5", "h"), "2026-05-03T23:30:00+02:00", "2026-05-03"},
		{"end and negative duration", duration("end_date_time", "2026-05-04T07:00:00Z", "-1", "yr"), "2026-05-04T07:00:00Z", "2026-05-04"},
		{"end and no duration", duration("end_date_time", "2026-05-04T07:00:00Z", "0", "ps"), "2026-05-04T07:00:00Z", "2026-05-04"},
		{"rounded down", duration("end_date_time", "2026-05-04T00:00:00Z", "1", "ps"), "2026-05-03T23:59:59.999999999Z", "2026-05-03"},
		{"exact beyond float64", duration("end_date_time", "2026-05-04T00:00:00Z", "86400.000000001", "sec"), "2026-05-02T23:59:59.999999999Z", "2026-05-02"},
		{"a start needs no end in range", duration("start_date_time", "2026-05-04T00:00:00Z", "9999999999999999999999999999999999", "yr"), "2026-05-04T00:00:00Z", "2026-05-04"},
		{"nor a reversed end its start", duration("end_date_time", "2026-05-04T00:00:00Z", "-9999999999999999999999999999999999", "yr"), "2026-05-04T00:00:00Z", "2026-05-04"},
		{"part of day: in the offset of the creation", `{"time_interval":{"date":"2026-03-01","part_of_day":"night"}}`, "2026-03-01T00:00:00-14:00", "2026-03-01"},
		{"first instant", `{"date_time":"0001-01-01T00:00:00Z"}`, "0001-01-01T00:00:00Z", "0001-01-01"},
		{"last instant", `{"date_time":"9999-12-31T23:59:59.999999999Z"}`, "9999-12-31T23:59:59.999999999Z", "9999-12-31"},
	} {
		r, err := FromPoint(point(t, c.timeFrame))
		require.NoError(t, err, c.name)
		require.Equal(t, c.start, r.Start.Format(time.RFC3339Nano), c.name)
		require.Equal(t, c.day, r.Day(), c.name)
	}
	for unit, start := range map[string]string{ // 2001-01-01T00:00:00Z − 2 units
		"ps": "2000-12-31T23:59:59.999999999Z", "ns": "2000-12-31T23:59:59.999999998Z", "us": "2000-12-31T23:59:59.999998Z",
		"ms": "2000-12-31T23:59:59.998Z", "sec": "2000-12-31T23:59:58Z", "min": "2000-12-31T23:58:00Z", "h": "2000-12-31T22:00:00Z",
		"d": "2000-12-30T00:00:00Z", "wk": "2000-12-18T00:00:00Z", "Mo": "2000-11-01T03:00:00Z", "yr": "1999-01-01T12:00:00Z",
	} {
		r, err := FromPoint(point(t, duration("end_date_time", "2001-01-01T00:00:00Z", "2", unit)))
		require.NoError(t, err, unit)
		require.Equal(t, start, r.Start.Format(time.RFC3339Nano), unit)
	}
	const interval = frame + "/time_interval"
	for _, c := range []struct{ timeFrame, pointer, rule string }{
		{`{"date_time":"2026-05-04"}`, frame + "/date_time", RuleTime},
		{`{"date_time":7}`, frame + "/date_time", RuleTime},
		{`{"date_time":"0001-01-01T00:00:00+00:01"}`, frame, RuleTimeRange},
		{`{"date_time":"9999-12-31T23:59:59-00:01"}`, frame, RuleTimeRange},
		{`{"time_interval":{"start_date_time":"x","end_date_time":"2026-05-04T08:00:00Z"}}`, interval + "/start_date_time", RuleTime},
		{`{"time_interval":{"start_date_time":"2026-05-04T08:00:00Z","end_date_time":"x"}}`, interval + "/end_date_time", RuleTime},
		{`{"time_interval":{"start_date_time":"2026-05-04T08:00:00Z"}}`, interval + "/duration", RuleTime},
		{duration("end_date_time", "2026-05-04T08:00:00Z", `"1"`, "h"), interval + "/duration", RuleTime},
		{duration("end_date_time", "2026-05-04T08:00:00Z", `1`, "fortnight"), interval + "/duration", RuleTime},
		{duration("end_date_time", "2026-05-04T08:00:00Z", `2027`, "yr"), frame, RuleTimeRange},
		{duration("end_date_time", "2026-05-04T08:00:00Z", `9999999999999999999999999999999999`, "yr"), frame, RuleTimeRange},
		{duration("start_date_time", "2026-05-04T08:00:00Z", `-9999999999999999999999999999999999`, "yr"), frame, RuleTimeRange},
		{`{"time_interval":{"date":"2026-02-29","part_of_day":"night"}}`, interval + "/date", RuleTime},
		{`{"time_interval":{"date":"0000-01-01","part_of_day":"night"}}`, interval + "/date", RuleTime},
		{`{"time_interval":{"date":"9999-12-31","part_of_day":"night"}}`, "", ""},
		{`{"time_interval":{}}`, interval + "/date", RuleTime},
		{`{}`, interval + "/date", RuleTime},
		{`7`, interval + "/date", RuleTime},
	} {
		_, err := FromPoint(point(t, c.timeFrame))
		if c.rule == "" {
			require.NoError(t, err, c.timeFrame)
			continue
		}
		require.Equal(t, &PointError{Pointer: c.pointer, Rule: c.rule}, err, c.timeFrame)
		require.EqualError(t, err, "data point breaks rule "+c.rule)
	}
}

// Every day of the calendar, and the days that it does not have.
func TestCalendar(t *testing.T) {
	day := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	for year := 1; year <= 9999; year++ {
		for month := 1; month <= 12; month++ {
			for d := 1; d <= 31; d++ {
				valid := day.Year() == year && int(day.Month()) == month && day.Day() == d
				if valid != (uint(d)-1 < daysIn(uint(year), uint(month))) || valid && days(uint(year), uint(month), uint(d)) != day.Unix()/86400 {
					t.Fatal(year, month, d)
				}
				if valid {
					day = day.AddDate(0, 0, 1)
				}
			}
		}
	}
}
