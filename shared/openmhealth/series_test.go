package openmhealth

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
)

// seriesOf is a data series in the order in which most write one.
func seriesOf(header string, bodies ...string) string {
	return `{"header":` + header + `,"body":[` + strings.Join(bodies, ",") + `]}`
}

const id = "0b3c6f0e-5a5b-4c8e-9d2f-0a1b2c3d4e5f"

// A series stands for data points of its header and each of its bodies.
func TestSeries(t *testing.T) {
	other := strings.Replace(body, "71", "72", 1)
	bad := strings.Replace(body, "beats/min", "bpm", 1)
	for name, c := range map[string]struct{ sent, id string }{
		"IEEE header": {seriesOf(header, body, bad, "7", "[]", other), id},
		"OMH header":  {seriesOf(headerOMH, body, bad, "7", "[]", other), "n-1"},
		"body first":  {` {"body" : [` + body + ` , ` + bad + `,7,[],` + other + `], "header": ` + header + "}\n", id},
	} {
		batch, err := Decode([]byte(c.sent), owner, Intake)
		require.NoError(t, err, name)
		require.True(t, batch.Series, name)
		require.Equal(t, []Result{
			{Index: 0, Accepted: true, ID: c.id},
			{Index: 1, Pointer: "/body/heart_rate/unit", Rule: "enum"},
			{Index: 2, Pointer: "/body", Rule: RuleType},
			{Index: 3, Pointer: "/body", Rule: RuleType},
			{Index: 4, Accepted: true, ID: c.id},
		}, batch.Results, name)
		readings := readingsOf(t, batch)
		require.Len(t, readings, 2, name)
		for i, text := range []string{body, other} {
			got, _ := readings[i].Point.Get("body")
			require.True(t, value(t, text).Equal(got), name)
			require.Len(t, readings[i].Point.Names(), 2, name)
		}
		points, err := Points([]byte(c.sent), Intake)
		require.NoError(t, err, name)
		require.Len(t, points, 5, name)
		require.True(t, points[4].Equal(readings[1].Point), name)
	}
}

// Where none is accepted, each body's item says where in what was sent.
func TestSeriesRefused(t *testing.T) {
	bad := strings.Replace(body, "beats/min", "bpm", 1)
	small := Limits{Bytes: 5000, Records: 2, Depth: 5, RecordBytes: 400}
	item := func(pointer, rule string) fault.Item { return fault.Item{Pointer: pointer, Rule: rule} }
	for name, c := range map[string]struct {
		body  string
		kind  fault.Kind
		items []fault.Item
	}{
		"bodies":             {seriesOf(header, bad, "7"), fault.Invalid, []fault.Item{item("/body/0/heart_rate/unit", "enum"), item("/body/1", RuleType)}},
		"header":             {seriesOf(strings.Replace(header, "sensed", "guessed", 1), body, bad), fault.Invalid, []fault.Item{item("/header/modality", "enum"), item("/header/modality", "enum")}},
		"no header":          {`{"body":[{}]}`, fault.Invalid, []fault.Item{item("/header", RuleRequired)}},
		"header of no kind":  {`{"header":[],"body":[{}]}`, fault.Invalid, []fault.Item{item("/header", RuleType)}},
		"unserved type":      {seriesOf(strings.Replace(header, "2.0", "9.0", 1), body), fault.Invalid, []fault.Item{item("/header/schema_id", RuleUnknownType)}},
		"a stranger's":       {seriesOf(strings.Replace(headerOMH, `"id"`, `"user_id":"x","id"`, 1), body), fault.Invalid, []fault.Item{item("/header/user_id", RuleUser)}},
		"invented member":    {`{"a":[1],"header":` + header + `,"body":[` + body + `],"b":1e999}`, fault.Invalid, []fault.Item{item("/body/0", RuleUnknownMember)}},
		"no bodies":          {seriesOf(header), fault.Invalid, []fault.Item{item("/body", RuleEmpty)}},
		"number in a body":   {seriesOf(header, body[:len(`{"heart_rate":{"value":`)]+`1e999`+body[len(`{"heart_rate":{"value":71`):]), fault.Invalid, []fault.Item{item("/body/0/heart_rate/value", RuleNumber)}},
		"number in a header": {seriesOf(strings.Replace(headerOMH, `"n-1"`, `1e999`, 1), body, `{"heart_rate":1e999}`), fault.Invalid, []fault.Item{item("/header/id", RuleNumber), item("/header/id", RuleNumber)}},
		"header and body together too large": {seriesOf(header, strings.Repeat(" ", 200)+body, strings.Repeat(" ", 200)+body), fault.Invalid,
			[]fault.Item{item("/body/0", RuleRecordSize), item("/body/1", RuleRecordSize)}},
		"too many":         {seriesOf(header, body, body, "7"), fault.TooLarge, nil},
		"too deep":         {`{"header":{},"body":[[[[[]]]]]}`, fault.TooLarge, nil},
		"deep as allowed":  {`{"header":{},"body":[[[[]]]]}`, fault.Invalid, []fault.Item{item("/body/0", RuleType)}},
		"duplicate header": {`{"header":{},"header":{},"body":[{}]}`, fault.BadRequest, nil},
		"duplicate body":   {`{"header":{},"body":[{}],"body":{}}`, fault.BadRequest, nil},
		"two lists":        {`{"header":{},"body":[{}],"body":[{}]}`, fault.BadRequest, nil},
		"cut":              {`{"header":{},"body":[{}]`, fault.BadRequest, nil},
		"cut in the list":  {`{"header":{},"body":[{}`, fault.BadRequest, nil},
		"something behind": {`{"header":{},"body":[{}]}]`, fault.BadRequest, nil},
	} {
		batch, err := Decode([]byte(c.body), owner, small)
		require.Equal(t, c.kind, fault.KindOf(err), name)
		require.Equal(t, c.items, fault.ItemsOf(err), name)
		require.Empty(t, batch.Records, name)
		require.Equal(t, c.kind == fault.Invalid, batch.Series, name)
	}
}

func TestSeriesLimits(t *testing.T) {
	many := strings.Split(strings.Repeat(body+" ", 1001), " ")
	batch, err := Decode([]byte(seriesOf(header, many[:1000]...)), owner, Intake)
	require.NoError(t, err)
	require.Len(t, batch.Records, 1000)
	_, err = Decode([]byte(seriesOf(header, many[:1001]...)), owner, Intake)
	require.Equal(t, fault.TooLarge, fault.KindOf(err))

	// What is shared is judged, and copied, once: not once for each body.
	sheets := strings.TrimSuffix(strings.Repeat(`{"datasheet_reference":"urn:a"},`, 1001), ",")
	long := strings.Replace(header, `"modality"`, `"external_datasheets":[`+sheets+`],"modality"`, 1)
	batch, err = Decode([]byte(seriesOf(long, many[:1000]...)), owner, Intake)
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	require.Equal(t, Result{Index: 999, Rule: RuleRecordSize}, batch.Results[999])
	wide := `{"body":[` + strings.TrimSuffix(strings.Repeat("{},", 1000), ",")
	_, err = Decode([]byte(wide+`]`+invented(60_000)+`}`), owner, Intake)
	require.Equal(t, fault.Invalid, fault.KindOf(err))
}

func invented(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"%d":0`, i)
	}
	return b.String()
}
