package openmhealth

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
	"fitvault/shared/reading"
)

const owner = "aaaabbbbccccddddeeeeffffgg"

func value(t *testing.T, text string) reading.Value {
	t.Helper()
	dec := jsontext.NewDecoder(strings.NewReader(text))
	v, err := reading.Decode(dec, 64)
	require.NoError(t, err, text)
	_, err = dec.ReadToken()
	require.Equal(t, io.EOF, err, text)
	return v
}

const (
	header = `{"uuid":"0b3c6f0e-5a5b-4c8e-9d2f-0a1b2c3d4e5f","schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"},` +
		`"source_creation_date_time":"2026-05-04T07:25:00+02:00","modality":"sensed"}`
	headerOMH = `{"id":"n-1","creation_date_time":"2026-05-04T07:25:00+02:00","schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"}}`
	body      = `{"heart_rate":{"value":71,"unit":"beats/min"},"effective_time_frame":{"date_time":"2026-05-04T07:25:00+02:00"}}`
	point     = `{"header":` + header + `,"body":` + body + `}`
)

// readingsOf is the accepted records as readers see them. What Decode says of them
// besides is the same.
func readingsOf(t testing.TB, batch Batch) []reading.Reading {
	t.Helper()
	list := make([]reading.Reading, len(batch.Records))
	for i, r := range batch.Records {
		var err error
		list[i], err = r.Reading()
		require.NoError(t, err)
		require.Equal(t, list[i].ID, r.ID)
		require.True(t, list[i].Start.Equal(r.Start))
		require.Equal(t, time.UTC, r.Start.Location())
	}
	return list
}

func TestDecodeTakesWhatIsGood(t *testing.T) {
	bad := strings.Replace(point, "beats/min", "bpm", 1)
	batch, err := Decode([]byte("["+point+" ,"+bad+",7,\n"+point+"]"), owner, Intake)
	require.NoError(t, err)
	const id = "0b3c6f0e-5a5b-4c8e-9d2f-0a1b2c3d4e5f"
	require.Equal(t, []Result{
		{Index: 0, Accepted: true, ID: id},
		{Index: 1, Pointer: "/body/heart_rate/unit", Rule: "enum"},
		{Index: 2, Rule: RuleType},
		{Index: 3, Accepted: true, ID: id},
	}, batch.Results)
	require.False(t, batch.Series)
	require.Len(t, batch.Records, 2)
	for _, r := range readingsOf(t, batch) {
		require.Equal(t, reading.Type{Namespace: "omh", Name: "heart-rate"}, r.Type)
		require.Equal(t, "2.0", r.Version)
		require.Equal(t, "2026-05-04", r.Day())
		require.True(t, value(t, point).Equal(r.Point))
	}

	batch, err = Decode([]byte(" "+point+"\n"), owner, Intake)
	require.NoError(t, err)
	require.Len(t, batch.Records, 1)
	require.Equal(t, []Result{{Accepted: true, ID: id}}, batch.Results)
}

func TestDecodeRefusesBodies(t *testing.T) {
	small := Limits{Bytes: 1000, Records: 2, Depth: 5, RecordBytes: 1000}
	for name, c := range map[string]struct {
		body  string
		kind  fault.Kind
		items []fault.Item
	}{
		"nothing":             {"", fault.BadRequest, nil},
		"white space":         {" \n", fault.BadRequest, nil},
		"cut":                 {point[:len(point)-1], fault.BadRequest, nil},
		"array cut":           {"[" + point, fault.BadRequest, nil},
		"array cut behind ,":  {"[1,", fault.BadRequest, nil},
		"closed only":         {"]", fault.BadRequest, nil},
		"no comma":            {"[1 2]", fault.BadRequest, nil},
		"two values":          {"{} {}", fault.BadRequest, nil},
		"behind an array":     {"[]]", fault.BadRequest, nil},
		"byte order mark":     {"\xef\xbb\xbf[]", fault.BadRequest, nil},
		"UTF-16":              {"[\x00]\x00", fault.BadRequest, nil},
		"not UTF-8":           {"[\"\xc3\x28\"]", fault.BadRequest, nil},
		"lone surrogate":      {`["\ud800"]`, fault.BadRequest, nil},
		"duplicate member":    {`[{"header":1,"header":1}]`, fault.BadRequest, nil},
		"too long":            {"[" + strings.Repeat(" ", 999) + "]", fault.TooLarge, nil},
		"too many":            {"[1,2,3]", fault.TooLarge, nil},
		"too deep":            {"[[[[[[]]]]]]", fault.TooLarge, nil},
		"object too deep":     {`{"a":{"b":{"c":{"d":{"e":{}}}}}}`, fault.TooLarge, nil},
		"deep as allowed":     {"[[[[[]]]]]", fault.Invalid, []fault.Item{{Pointer: "/0", Rule: RuleType}}},
		"empty array":         {" [ ] ", fault.Invalid, []fault.Item{{Rule: RuleEmpty}}},
		"text":                {`"x"`, fault.Invalid, []fault.Item{{Rule: RuleType}}},
		"null":                {`null`, fault.Invalid, []fault.Item{{Rule: RuleType}}},
		"number":              {`1e999`, fault.Invalid, []fault.Item{{Rule: RuleNumber}}},
		"numbers":             {`[1e999,1]`, fault.Invalid, []fault.Item{{Pointer: "/0", Rule: RuleNumber}, {Pointer: "/1", Rule: RuleType}}},
		"one, not acceptable": {`{"header":{}}`, fault.Invalid, []fault.Item{{Pointer: "/body", Rule: RuleRequired}}},
		"none acceptable": {`[{"body":{}},{"header":[],"body":{}}]`, fault.Invalid,
			[]fault.Item{{Pointer: "/0/header", Rule: RuleRequired}, {Pointer: "/1/header", Rule: RuleType}}},
	} {
		decoded, err := Decode([]byte(c.body), owner, small)
		require.Equal(t, c.kind, fault.KindOf(err), name)
		require.Equal(t, c.items, fault.ItemsOf(err), name)
		require.Empty(t, decoded.Records, name)
		var f *fault.Error
		require.ErrorAs(t, err, &f)
		require.NoError(t, f.Cause, "jsontext's errors quote the body")

		_, syntax := Points([]byte(c.body), small)
		if c.kind == fault.Invalid {
			require.NoError(t, syntax, name)
		} else {
			require.Equal(t, err, syntax, name)
			require.Nil(t, decoded.Results, name)
		}
	}
}

func TestIntakeLimits(t *testing.T) {
	batch := func(n int) []byte { return []byte("[" + strings.TrimSuffix(strings.Repeat(point+",", n), ",") + "]") }
	decoded, err := Decode(batch(1000), owner, Intake)
	require.NoError(t, err)
	require.Len(t, decoded.Records, 1000)
	_, err = Decode(batch(1001), owner, Intake)
	require.Equal(t, fault.TooLarge, fault.KindOf(err))

	pad := func(n int) []byte {
		return append(make([]byte, 0, n), []byte(point+strings.Repeat(" ", n-len(point)))...)
	}
	_, err = Decode(pad(1<<20), owner, Intake)
	require.NoError(t, err)
	_, err = Decode(pad(1<<20+1), owner, Intake)
	require.Equal(t, fault.TooLarge, fault.KindOf(err))
	_, err = Decode([]byte("["+strings.Repeat("[", 31)+strings.Repeat("]", 31)+"]"), owner, Intake)
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	_, err = Decode([]byte("["+strings.Repeat("[", 32)+strings.Repeat("]", 32)+"]"), owner, Intake)
	require.Equal(t, fault.TooLarge, fault.KindOf(err))
}

func TestPointsKeepsPlaces(t *testing.T) {
	points, err := Points([]byte(`[`+point+`,7,{"a":1e999},`+point+`]`), Intake)
	require.NoError(t, err)
	require.Len(t, points, 4)
	require.True(t, points[0].Equal(value(t, point)))
	require.True(t, points[1].Equal(value(t, "7")))
	require.True(t, points[2].Equal(value(t, `{"a":null}`)))
	require.True(t, points[3].Equal(value(t, point)))
	points, err = Points([]byte(point), Intake)
	require.NoError(t, err)
	require.Len(t, points, 1)
}

func TestRules(t *testing.T) {
	in := func(header, body string) string { return `{"header":` + header + `,"body":` + body + `}` }
	change := func(text, old, new string) string {
		require.Contains(t, text, old)
		return strings.Replace(text, old, new, 1)
	}
	activity := change(header, "heart-rate", "step-count")
	frame := func(timeFrame string) string {
		return in(activity, `{"step_count":{"value":7,"unit":"steps"},"effective_time_frame":`+timeFrame+`}`)
	}
	activity = change(activity, "2.0", "3.0")
	const nothing = ""
	for _, c := range []struct{ name, point, pointer, rule string }{
		{"IEEE header", point, nothing, nothing},
		{"OMH header", in(headerOMH, body), nothing, nothing},
		{"own user id", in(change(headerOMH, `"id"`, `"user_id":"`+owner+`","id"`), body), nothing, nothing},
		{"numbers by value", change(point, "71", "7.10e1"), nothing, nothing},
		{"34 digits", change(point, "71", "1234567890123456789012345678901234"), nothing, nothing},
		{"nanoseconds", change(point, `"date_time":"2026-05-04T07:25:00`, `"date_time":"2026-05-04T07:25:00.123456789`), nothing, nothing},
		{"datasheets", in(change(header, `"modality"`, `"external_datasheets":[{"datasheet_reference":"urn:é"}],"modality"`), body), nothing, nothing},
		{"reversed interval", frame(`{"time_interval":{"start_date_time":"2026-05-04T07:25:00Z","end_date_time":"2025-05-04T07:25:00Z"}}`), nothing, nothing},

		{"body absent", `{"header":` + header + `}`, "/body", RuleRequired},
		{"header not an object", in(`"x"`, body), "/header", RuleType},
		{"body not an object", in(header, `7`), "/body", RuleType},
		{"third member", change(point, `{"header"`, `{"invented-name":1,"header"`), "", RuleUnknownMember},

		{"header empty", in(`{}`, body), "/header/id", RuleRequired},
		{"header without id", in(change(header, `"uuid":"0b3c6f0e-5a5b-4c8e-9d2f-0a1b2c3d4e5f",`, ""), body), "/header/uuid", RuleRequired},
		{"uuid is none", in(change(header, "0b3c6f0e-", "0b3c6f0e"), body), "/header/uuid", "format"},
		{"uuid in braces", in(change(header, "0b3c6f0e-5a5b-4c8e-9d2f-0a1b2c3d4e5f", "{0b3c6f0e-5a5b-4c8e-9d2f-0a1b2c3d4e5f}"), body), "/header/uuid", "format"},
		{"modality", in(change(header, "sensed", "guessed"), body), "/header/modality", "enum"},
		{"both headers' members", in(change(header, `"uuid"`, `"id":"n-1","uuid"`), body), "/header", RuleUnknownMember},
		{"IEEE header has no user id", in(change(header, `"uuid"`, `"user_id":"`+owner+`","uuid"`), body), "/header", RuleUnknownMember},
		{"IEEE schema id has no url", in(change(header, `"version"`, `"url":"https://example.org","version"`), body), "/header/schema_id", RuleUnknownMember},
		{"deep in a list", in(change(header, `"modality"`, `"external_datasheets":[{"datasheet_reference":"urn:a"},{"datasheet_reference":"urn:b","invented":1}],"modality"`), body),
			"/header/external_datasheets/1", RuleUnknownMember},
		{"iri with space", in(change(header, `"modality"`, `"external_datasheets":[{"datasheet_reference":"urn:a b"}],"modality"`), body),
			"/header/external_datasheets/0/datasheet_reference", "format"},
		{"another user", in(change(headerOMH, `"id"`, `"user_id":"someone-else","id"`), body), "/header/user_id", RuleUser},
		{"no user", in(change(headerOMH, `"id"`, `"user_id":"","id"`), body), "/header/user_id", RuleUser},
		{"id empty", in(change(headerOMH, "n-1", ""), body), "/header/id", RuleID},
		{"id with controls", in(change(headerOMH, "n-1", `n\u0085`), body), "/header/id", RuleID},
		{"id as long as allowed", in(change(headerOMH, "n-1", strings.Repeat("😀", 256)), body), nothing, nothing},
		{"id too long", in(change(headerOMH, "n-1", strings.Repeat("a", 257)), body), "/header/id", RuleID},

		{"unknown namespace", in(change(header, `"omh"`, `"acme"`), body), "/header/schema_id", RuleUnknownType},
		{"unknown name", in(change(header, "heart-rate", "heart-rates"), body), "/header/schema_id", RuleUnknownType},
		{"unknown version", in(change(header, "2.0", "2.x"), body), "/header/schema_id", RuleUnknownType},
		{"component", in(change(change(header, "heart-rate", "unit-value"), "2.0", "1.0"), body), "/header/schema_id", RuleUnknownType},

		{"member absent", in(header, `{"heart_rate":{"value":71,"unit":"beats/min"}}`), "/body/effective_time_frame", RuleRequired},
		{"deeper member absent", change(point, `"value":71,`, ""), "/body/heart_rate/value", RuleRequired},
		{"kind", change(point, "71", `"71"`), "/body/heart_rate/value", RuleType},
		{"unit", change(point, "beats/min", "bpm"), "/body/heart_rate/unit", "enum"},
		{"unknown member", change(point, `"unit"`, `"invented":{"a":1},"unit"`), "/body/heart_rate", RuleUnknownMember},
		{"known elsewhere", change(point, `"heart_rate"`, `"unit":"beats/min","heart_rate"`), "/body", RuleUnknownMember},
		{"date-time", change(point, `07:25:00+02:00"}}`, `07:25:00"}}`), "/body/effective_time_frame/date_time", "format"},
		{"ten fraction digits", change(point, `07:25:00+02:00"}}`, `07:25:00.1234567890Z"}}`), "/body/effective_time_frame/date_time", "format"},
		{"leap second", change(point, `07:25:00+02:00"}}`, `23:59:60Z"}}`), "/body/effective_time_frame/date_time", "format"},

		{"neither time", frame(`{}`), "/body/effective_time_frame", "oneOf"},
		{"both times", frame(`{"date_time":"2026-05-04T07:25:00Z","time_interval":{"date":"2026-05-04","part_of_day":"night"}}`), "/body/effective_time_frame", "oneOf"},
		{"a good time beside a bad one", frame(`{"time_interval":{"date":"2026-05-04","part_of_day":"night"},"date_time":7}`), "/body/effective_time_frame", RuleUnknownMember},
		{"over-determined", frame(`{"time_interval":{"start_date_time":"2026-05-04T07:25:00Z","end_date_time":"2026-05-04T07:25:00Z","duration":{"value":1,"unit":"h"}}}`),
			"/body/effective_time_frame/time_interval", "oneOf"},
		{"the alternative that was meant", frame(`{"time_interval":{"start_date_time":"2026-05-04T07:25:00Z","duration":{"value":1,"unit":"fortnight"}}}`),
			"/body/effective_time_frame/time_interval/duration/unit", "enum"},
		{"pattern", frame(`{"time_interval":{"date":"2026-5-4","part_of_day":"night"}}`), "/body/effective_time_frame/time_interval/date", "pattern"},
		{"no such day", frame(`{"time_interval":{"date":"2026-02-30","part_of_day":"night"}}`), "/body/effective_time_frame/time_interval/date", reading.RuleTime},
		{"out of the calendar", frame(`{"time_interval":{"end_date_time":"2026-05-04T07:25:00Z","duration":{"value":1e30,"unit":"yr"}}}`), "/body/effective_time_frame", reading.RuleTimeRange},

		{"number", change(point, "71", "1e-999999999"), "/body/heart_rate/value", RuleNumber},
		{"35 digits", change(point, "71", "12345678901234567890123456789012345"), "/body/heart_rate/value", RuleNumber},
		{"number in an alternative", frame(`{"time_interval":{"end_date_time":"2026-05-04T07:25:00Z","duration":{"value":1e999,"unit":"yr"}}}`),
			"/body/effective_time_frame/time_interval/duration/value", RuleNumber},
		{"number below an invented name", change(point, `"heart_rate"`, `"5551234":{"secret":1e999},"heart_rate"`), "/body", RuleUnknownMember},
		{"number beside another failure", change(change(point, "71", "1e999"), "sensed", "guessed"), "/header/modality", "enum"},
		{"list as long as allowed", in(change(header, `"modality"`, `"external_datasheets":[`+strings.Repeat(`{"datasheet_reference":"urn:a"},`, 999)+`{"datasheet_reference":"urn:b"}],"modality"`), body),
			nothing, nothing},
		{"long list", in(change(header, `"modality"`, `"external_datasheets":[`+strings.Repeat(`{"datasheet_reference":"urn:a"},`, 1000)+`{"datasheet_reference":"urn:b"}],"modality"`), body),
			"", RuleRecordSize},
		{"large", change(point, "{", "{"+strings.Repeat(" ", 256<<10)), "", RuleRecordSize},
	} {
		batch, err := Decode([]byte(c.point), owner, Intake)
		results := batch.Results
		require.Len(t, results, 1, c.name)
		require.Equal(t, c.pointer, results[0].Pointer, c.name)
		require.Equal(t, c.rule, results[0].Rule, c.name)
		require.Equal(t, c.rule == nothing, err == nil, c.name)
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		point, "[" + point + "]", `[` + point + `,{"header":` + headerOMH + `,"body":` + body + `}]`,
		`[]`, `[[[[[[[[[]]]]]]]]]`, `[{"header":{},"body":{}}]`, strings.Replace(point, "71", "1e999", 1),
		strings.Replace(point, `"date_time":"2026-05-04T07:25:00+02:00"`, `"time_interval":{"date":"2026-02-30","part_of_day":"night"}`, 1),
		`[{"a":1,"a":2}]`, "\xef\xbb\xbf[]", `"\ud800"`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		limits := Limits{Bytes: 4096, Records: 4, Depth: 8, RecordBytes: 1024}
		batch, err := Decode(body, owner, limits)
		readings, results := readingsOf(t, batch), batch.Results
		points, syntax := Points(body, limits)
		if err != nil && fault.KindOf(err) != fault.Invalid {
			require.Equal(t, err, syntax)
			return
		}
		require.NoError(t, syntax)
		require.Len(t, points, len(results))
		next := 0
		for i, r := range results {
			require.Equal(t, i, r.Index)
			require.Equal(t, r.Accepted, r.Rule == "")
			RequireKnownPointer(t, r.Pointer)
			if r.Accepted {
				require.True(t, readings[next].Point.Equal(points[i]))
				again, err := reading.FromPoint(points[i]) // as a retry and a reader do
				require.NoError(t, err)
				require.True(t, again.Start.Equal(readings[next].Start))
				next++
			}
		}
		require.Len(t, readings, next)
		require.Equal(t, next == 0, err != nil)
		var invalid *fault.Error
		if errors.As(err, &invalid) {
			require.NotEmpty(t, invalid.Items)
		}
	})
}
