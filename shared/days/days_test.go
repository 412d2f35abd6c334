package days_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"fitvault/shared/days"
	"fitvault/shared/openmhealth"
	"fitvault/shared/openmhealth/generate"
	"fitvault/shared/reading"
	"fitvault/shared/vault"
)

// readingOf is a heart rate with any number and unit.
func readingOf(t require.TestingT, start, number, unit string) reading.Reading {
	point, err := reading.Decode(jsontext.NewDecoder(strings.NewReader(fmt.Sprintf(
		`{"header":{"id":"a","creation_date_time":"2026-05-04T07:25:00+02:00","schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"}},`+
			`"body":{"heart_rate":{"value":%s,"unit":%q},"effective_time_frame":{"date_time":%q}}}`, number, unit, start))), 32)
	require.NoError(t, err)
	r, err := reading.FromPoint(point)
	require.NoError(t, err)
	return r
}

func text(p days.Part) string {
	lines := []string{}
	for _, s := range p {
		lines = append(lines, string(s.AppendJSON(nil)))
	}
	return "[" + strings.Join(lines, ",") + "]"
}

func tally(readings ...reading.Reading) days.Part {
	var t days.Tally
	for _, r := range readings {
		t.Add(r)
	}
	return t.Part()
}

func TestTally(t *testing.T) {
	const noon = "2026-05-04T12:00:00+02:00"
	for _, test := range []struct {
		name string
		in   []reading.Reading
		want string
	}{
		{"nothing", nil, `[]`},
		{"one", []reading.Reading{readingOf(t, noon, "71", "beats/min")},
			`[{"day":"2026-05-04","type":"omh:heart-rate","unit":"beats/min","count":1,"min":71,"max":71,"mean":71,"sum":71}]`},
		{"decimals that binary fractions do not have", []reading.Reading{readingOf(t, noon, "0.1", "x"), readingOf(t, noon, "0.2", "x")},
			`[{"day":"2026-05-04","type":"omh:heart-rate","unit":"x","count":2,"min":0.1,"max":0.2,"mean":0.15,"sum":0.3}]`},
		{"a mean that has no end", []reading.Reading{readingOf(t, noon, "-1", "x"), readingOf(t, noon, "-0.5", "x"), readingOf(t, noon, "-0.5", "x")},
			`[{"day":"2026-05-04","type":"omh:heart-rate","unit":"x","count":3,"min":-1,"max":-0.5,"mean":-0.666667,"sum":-2}]`},
		{"halves go to the even", []reading.Reading{readingOf(t, noon, "0.000001", "x"), readingOf(t, noon, "0.000002", "x"),
			readingOf(t, noon, "0.000003", "y"), readingOf(t, noon, "0.000002", "y"), readingOf(t, noon, "-0.000001", "z"), readingOf(t, noon, "0", "z")},
			`[{"day":"2026-05-04","type":"omh:heart-rate","unit":"x","count":2,"min":0.000001,"max":0.000002,"mean":0.000002,"sum":0.000003},` +
				`{"day":"2026-05-04","type":"omh:heart-rate","unit":"y","count":2,"min":0.000002,"max":0.000003,"mean":0.000002,"sum":0.000005},` +
				`{"day":"2026-05-04","type":"omh:heart-rate","unit":"z","count":2,"min":-0.000001,"max":0,"mean":0,"sum":-0.000001}]`},
		{"the longest numbers", []reading.Reading{readingOf(t, noon, strings.Repeat("9", 34), "x"), readingOf(t, noon, "1e-34", "x")},
			`[{"day":"2026-05-04","type":"omh:heart-rate","unit":"x","count":2,"min":0.` + strings.Repeat("0", 33) + `1,"max":` + strings.Repeat("9", 34) +
				`,"mean":4` + strings.Repeat("9", 33) + `.5,"sum":` + strings.Repeat("9", 34) + `.` + strings.Repeat("0", 33) + `1}]`},
		{"the civil day is of the reading's own offset", []reading.Reading{readingOf(t, "2026-05-04T23:30:00-12:00", "1", "x"),
			readingOf(t, "2026-05-05T11:30:00Z", "2", "x"), readingOf(t, "2026-05-06T01:30:00+14:00", "3", "x")},
			`[{"day":"2026-05-04","type":"omh:heart-rate","unit":"x","count":1,"min":1,"max":1,"mean":1,"sum":1},` +
				`{"day":"2026-05-05","type":"omh:heart-rate","unit":"x","count":1,"min":2,"max":2,"mean":2,"sum":2},` +
				`{"day":"2026-05-06","type":"omh:heart-rate","unit":"x","count":1,"min":3,"max":3,"mean":3,"sum":3}]`},
	} {
		t.Run(test.name, func(t *testing.T) { require.Equal(t, test.want, text(tally(test.in...))) })
	}
}

func TestTrackpointsAndWhatHasNoNumber(t *testing.T) {
	point, err := reading.Decode(jsontext.NewDecoder(strings.NewReader(`{"header":{"id":"a","creation_date_time":"2026-05-04T07:25:00Z",`+
		`"schema_id":{"namespace":"omh","name":"physical-activity","version":"1.2"}},"body":{"activity_name":"walking"}}`)), 32)
	require.NoError(t, err)
	activity, err := reading.FromPoint(point)
	require.NoError(t, err)
	var all days.Tally
	all.Add(activity)
	all.Add(activity)
	day, err := days.ParseDay("2026-05-04")
	require.NoError(t, err)
	all.AddTrackpoints(day, 660)
	all.AddTrackpoints(day, 1)
	all.AddTrackpoints(day+1, 0)
	require.Equal(t, `[{"day":"2026-05-04","type":"fitvault:trackpoint","count":661},{"day":"2026-05-04","type":"omh:physical-activity","count":2}]`,
		text(all.Part()))
	encoded, err := all.Part().Encode()
	require.NoError(t, err)
	back, err := days.Decode(encoded)
	require.NoError(t, err)
	require.Equal(t, all.Part(), back)
}

// TestATypeThatWasWithoutNumbersBefore: parts of two versions of the service meet;
// only what both know is shown, and nothing breaks.
func TestATypeThatWasWithoutNumbersBefore(t *testing.T) {
	with := tally(readingOf(t, "2026-05-04T12:00:00Z", "71", ""))
	without, err := days.Decode(append([]byte{1, 1}, append(with0(t), "\x0eomh:heart-rate\x00\x02\x00\x00\x00"...)...))
	require.NoError(t, err)
	for _, order := range [][]days.Part{{with, without}, {without, with}, {with, without, with}} {
		var all days.Tally
		for _, p := range order {
			all.AddPart(p)
		}
		require.Contains(t, text(all.Part()), `"count":`+fmt.Sprint(len(order)+1)+`}`)
	}
}

// with0 is the day of the test above as Encode writes it.
func with0(t *testing.T) []byte {
	encoded, err := tally(readingOf(t, "2026-05-04T12:00:00Z", "71", "")).Encode()
	require.NoError(t, err)
	return encoded[2:5]
}

func TestEveryServedType(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	var all days.Tally
	count := 0
	for _, s := range openmhealth.Served {
		for range 20 {
			r, err := reading.FromPoint(generate.Point(rng, s, "aaaabbbbccccddddeeeeffffgg"))
			require.NoError(t, err)
			all.Add(r)
			count++
			require.True(t, json.Valid(all.Part()[0].AppendJSON(nil)))
		}
	}
	encoded, err := all.Part().Encode()
	require.NoError(t, err)
	back, err := days.Decode(encoded)
	require.NoError(t, err)
	require.Equal(t, text(all.Part()), text(back))
	for _, s := range back {
		count -= int(s.Count)
	}
	require.Zero(t, count)
}

var numbers = rapid.StringMatching(`-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,17})?`)

// TestOrderDoesNotMatter: however readings are divided into parts, and in
// whatever order the parts are added, encoded in between or not, the days are
// those of the readings, and sums are exact.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(numbers, 1, 30).Draw(t, "numbers")
		sum := new(big.Rat)
		var readings []reading.Reading
		for _, n := range texts {
			readings = append(readings, readingOf(t, "2026-05-04T12:00:00Z", n, "x"))
			r, ok := new(big.Rat).SetString(n)
			require.True(t, ok)
			sum.Add(sum, r)
		}
		whole := tally(readings...)
		shuffled := rapid.Permutation(readings).Draw(t, "order")
		var merged days.Tally
		for len(shuffled) > 0 {
			n := rapid.IntRange(1, len(shuffled)).Draw(t, "in a part")
			part := tally(shuffled[:n]...)
			shuffled = shuffled[n:]
			if rapid.Bool().Draw(t, "encoded") {
				encoded, err := part.Encode()
				require.NoError(t, err)
				part, err = days.Decode(encoded)
				require.NoError(t, err)
			}
			merged.AddPart(part)
		}
		require.Equal(t, text(whole), text(merged.Part()))
		var item struct {
			Count     int
			Sum, Mean json.Number
		}
		require.NoError(t, json.Unmarshal(whole[0].AppendJSON(nil), &item))
		got, ok := new(big.Rat).SetString(item.Sum.String())
		require.True(t, ok)
		require.Zero(t, sum.Cmp(got), "the sum is exact")
		mean, ok := new(big.Rat).SetString(item.Mean.String())
		require.True(t, ok)
		mean.Sub(mean, sum.Quo(sum, big.NewRat(int64(item.Count), 1)))
		require.LessOrEqual(t, mean.Abs(mean).Cmp(big.NewRat(1, 2_000_000)), 0, "the mean is within half a millionth")
	})
}

// TestAddPartKeepsThePart: a part that is added stays what it was.
func TestAddPartKeepsThePart(t *testing.T) {
	part := tally(readingOf(t, "2026-05-04T12:00:00Z", "71", "x"))
	before := text(part)
	var all days.Tally
	all.AddPart(part)
	all.AddPart(part)
	all.AddPart(part)
	require.Contains(t, text(all.Part()), `"sum":213`)
	require.Equal(t, before, text(part))
}

func TestDays(t *testing.T) {
	for _, s := range []string{"0001-01-01", "1969-12-31", "1970-01-01", "2024-02-29", "2026-05-04", "9999-12-31"} {
		d, err := days.ParseDay(s)
		require.NoError(t, err)
		require.Equal(t, s, d.String())
		require.Equal(t, s, d.Time().Format(time.DateOnly))
		require.Equal(t, d, days.DayOf(d.Time().Add(23*time.Hour)))
	}
	for s, want := range map[string][2]string{
		"2026-05-04": {"2026-05-03", "2026-05-05"}, "0001-01-01": {"0001-01-01", "0001-01-02"}, "9999-12-31": {"9999-12-30", "9999-12-31"},
	} {
		d, err := days.ParseDay(s)
		require.NoError(t, err)
		first, last := days.Around(d)
		require.Equal(t, want, [2]string{first.String(), last.String()})
	}
	for _, s := range []string{"", "0000-01-01", "2026-02-30", "2026-5-4", "26-05-04", "2026-05-04T00:00:00Z", "２０２６-05-04", "10000-01-01", "-001-01-01"} {
		_, err := days.ParseDay(s)
		require.Equal(t, days.ErrDay, err, s)
	}
	require.Equal(t, "0000-12-31", days.DayOf(time.Date(0, 12, 31, 5, 0, 0, 0, time.UTC)).String())
	require.Equal(t, "10000-01-01", days.DayOf(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)).String())
}

func TestPartOf(t *testing.T) {
	for item, want := range map[string]string{
		"2026-05-04#abc": "2026-05-04", "2026-05-04#a#b": "2026-05-04", "recording#abc": "recording#abc",
	} {
		part, ok := days.PartOf(item)
		require.True(t, ok, item)
		require.Equal(t, want, part)
	}
	for _, item := range []string{"", "2026-05-04", "2026-05-04#", "2026-02-30#a", "recording#", "recording", "tombstone#a", "#", "2026-05-4#a",
		"recording#" + strings.Repeat("a", 200)} {
		_, ok := days.PartOf(item)
		require.False(t, ok, item)
	}
	id, ok := days.RecordingOf("recording#abc")
	require.True(t, ok)
	require.Equal(t, "abc", id)
	_, ok = days.RecordingOf("2026-05-04")
	require.False(t, ok)
	require.Equal(t, vault.Place{Deployment: "d", Table: "days", Owner: "o", ID: "2026-05-04@7"}, days.Place("d", "o", "2026-05-04", 7))
}

func TestEncodeKeepsToItsLimits(t *testing.T) {
	var many days.Tally
	for d := range days.Day(4097) {
		many.AddTrackpoints(d, 1)
	}
	_, err := many.Part().Encode()
	require.Equal(t, days.ErrLimit, err)
	most := many.Part()[:4096]
	encoded, err := most.Encode()
	require.NoError(t, err)
	back, err := days.Decode(encoded)
	require.NoError(t, err)
	require.Equal(t, most, back)
	_, err = tally(readingOf(t, "2026-05-04T12:00:00Z", "71", strings.Repeat("x", 161))).Encode()
	require.Equal(t, days.ErrLimit, err)
}

func TestDecodeRefuses(t *testing.T) {
	good, err := tally(readingOf(t, "2026-05-04T12:00:00Z", "71", "x"), readingOf(t, "2026-05-05T12:00:00Z", "71.5", "x")).Encode()
	require.NoError(t, err)
	for n := range good {
		_, err := days.Decode(good[:n])
		require.Equal(t, days.ErrPart, err, "cut off at %d", n)
	}
	const day, kind = "\x02", "\x0eomh:heart-rate"
	for name, b := range map[string]string{
		"another version":        "\x02\x00",
		"something behind":       string(good) + "\x00",
		"more than it holds":     "\x01\x05",
		"far more than it holds": "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"a count of none":        "\x01\x01" + day + kind + "\x00\x00\x00\x00\x00",
		"a type that is none":    "\x01\x01" + day + "\x03abc\x00\x01\x00\x00\x00",
		"a unit without values":  "\x01\x01" + day + kind + "\x01x\x01\x00\x00\x00",
		"one value of three":     "\x01\x01" + day + kind + "\x01x\x01\x011\x00\x00",
		"least above greatest":   "\x01\x01" + day + kind + "\x01x\x01\x012\x011\x013",
		"a number not canonical": "\x01\x01" + day + kind + "\x01x\x01\x0201\x011\x011",
		"a number that is none":  "\x01\x01" + day + kind + "\x01x\x01\x011\x01x\x011",
		"a key twice":            "\x01\x02" + day + kind + "\x00\x01\x00\x00\x00" + day + kind + "\x00\x01\x00\x00\x00",
		"days out of order":      "\x01\x02" + day + kind + "\x00\x01\x00\x00\x00" + "\x00" + kind + "\x00\x01\x00\x00\x00",
		"a day of 64 bits":       "\x01\x01\x80\x80\x80\x80\x80\x80\x01" + kind + "\x00\x01\x00\x00\x00",
		"a number too long":      "\x01\x81\x00" + day + kind + "\x00\x01\x00\x00\x00",
	} {
		_, err := days.Decode([]byte(b))
		require.Equal(t, days.ErrPart, err, name)
	}
	part, err := days.Decode([]byte("\x01\x01" + day + kind + "\x01x\x01\x011\x011\x011"))
	require.NoError(t, err)
	require.Len(t, part, 1)
}

// TestGolden: parts of version 1 must decode for ever.
func TestGolden(t *testing.T) {
	part := tally(readingOf(t, "2026-05-04T12:00:00Z", "71", "beats/min"), readingOf(t, "2026-05-04T12:00:00+14:00", "-0.25", "beats/min"),
		readingOf(t, "2026-05-05T00:00:00Z", "1e33", "kg"))
	golden, err := os.ReadFile("testdata/part-1.bin")
	require.NoError(t, err)
	stored, err := days.Decode(golden)
	require.NoError(t, err)
	require.Equal(t, text(part), text(stored))
	encoded, err := part.Encode()
	require.NoError(t, err)
	require.Equal(t, golden, encoded)
}

func TestNothingPrints(t *testing.T) {
	part := tally(readingOf(t, "2026-05-04T12:00:00Z", "8351", "canary"))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		printed := fmt.Sprintf(verb, part) + fmt.Sprintf(verb, part[0]) + fmt.Sprintf(verb, &part[0])
		require.NotContains(t, printed, "8351")
		require.NotContains(t, printed, "canary")
	}
	encoded, err := json.Marshal(part)
	require.NoError(t, err)
	require.NotContains(t, string(encoded), "canary")
}

// FuzzDecode: whatever is decoded is encoded to the same bytes, and can be shown.
func FuzzDecode(f *testing.F) {
	good, err := tally(readingOf(f, "2026-05-04T12:00:00Z", "71", "x"), readingOf(f, "2026-05-05T12:00:00Z", "-71.5", "y")).Encode()
	require.NoError(f, err)
	f.Add(good)
	f.Add([]byte("\x01\x01\x02\x0eomh:heart-rate\x00\x01\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		part, err := days.Decode(b)
		if err != nil {
			require.Equal(t, days.ErrPart, err)
			return
		}
		encoded, err := part.Encode()
		require.NoError(t, err)
		require.Equal(t, b, encoded)
		require.True(t, json.Valid([]byte(text(part))))
	})
}
