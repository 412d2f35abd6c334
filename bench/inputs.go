// Package bench measures fitvault against what people would use instead. Its
// benchmarks, and those beside the functions' handlers, run both sides in turns
// in one process; bench/run runs them all and prints one table (make bench).
package bench

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Input is one request's body.
type Input struct {
	Name    string // as the table calls it
	Body    []byte
	Records []Record   // what is in it, in order
	Plain   func() any // a pointer to fresh structs that have all of the body's members, for encoding/json
}

// Record is one reading of an input, as a row of a database would hold it.
type Record struct {
	ID, Namespace, Name, Version, Created, Modality, Unit string
	Value                                                 float64
	Start, End                                            string // End is "" for a moment
}

//go:embed testdata/heart-rate.csv
var recorded string

// heartRates is a real recording: 1,000 heart rates of a wrist watch within 22
// minutes (see NOTICE), one every 1.3 s on average, each with its time.
func heartRates() (times []string, values []float64) {
	for line := range strings.Lines(recorded) {
		at, value, _ := strings.Cut(strings.TrimSpace(line), ",")
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			panic(err)
		}
		times, values = append(times, at), append(values, n)
	}
	return times, values
}

// Series is 1,000 real heart rates as one data series: one header, 1,000 bodies.
func Series() Input {
	in := Input{Name: "series", Plain: func() any { return new(plainSeries[plainHeartRate]) }}
	times, values := heartRates()
	id := ids(1)()
	s := plainSeries[plainHeartRate]{Header: header(id, "heart-rate", "2.0", times[len(times)-1])}
	for i, at := range times {
		s.Body = append(s.Body, heartRate(at, values[i]))
		in.Records = append(in.Records, record(s.Header, values[i], "beats/min", at, ""))
	}
	in.Body = text(s)
	return in
}

// Points is the same heart rates as data points, each with a random UUID.
func Points() Input {
	in := Input{Name: "points", Plain: func() any { return new([]plainPoint[plainHeartRate]) }}
	times, values := heartRates()
	id := ids(2)
	var points []plainPoint[plainHeartRate]
	for i, at := range times {
		h := header(id(), "heart-rate", "2.0", at)
		points = append(points, plainPoint[plainHeartRate]{h, heartRate(at, values[i])})
		in.Records = append(in.Records, record(h, values[i], "beats/min", at, ""))
	}
	in.Body = text(points)
	return in
}

// Sync is what one tracker has after 15 minutes, as data points: a heart rate
// every 5 seconds, as a wrist tracker gives them outside of a workout (the
// recording's value at that time), and the steps of each minute.
func Sync() Input { return syncAt(3, syncStart) }

// syncStart is where the recording's syncs begin.
var syncStart = time.Date(2018, 8, 10, 8, 40, 0, 0, time.UTC)

func syncAt(seed uint64, start time.Time) Input {
	in := Input{Name: "sync", Plain: func() any { return new([]plainPoint[plainAny]) }}
	times, values := heartRates()
	at := make([]time.Time, len(times))
	for i, s := range times {
		at[i] = must(time.Parse(time.RFC3339, s))
	}
	id, steps := ids(seed), rand.New(rand.NewPCG(seed, 0))
	var points []plainPoint[plainAny]
	next := 0
	for s := range 15 * 60 {
		now := start.Add(time.Duration(s) * time.Second)
		stamp := now.Format(time.RFC3339)
		if s%5 == 0 {
			for next+1 < len(at) && !at[next+1].After(syncStart.Add(now.Sub(start))) {
				next++
			}
			h := header(id(), "heart-rate", "2.0", stamp)
			points = append(points, plainPoint[plainAny]{h, plainAny{
				HeartRate: &plainValue{values[next], "beats/min"}, EffectiveTimeFrame: plainTimeFrame{DateTime: stamp}}})
			in.Records = append(in.Records, record(h, values[next], "beats/min", stamp, ""))
		}
		if s%60 == 59 {
			from, to := now.Add(-59*time.Second).Format(time.RFC3339), now.Add(time.Second).Format(time.RFC3339)
			count := float64(80 + steps.IntN(50))
			h := header(id(), "step-count", "3.0", to)
			points = append(points, plainPoint[plainAny]{h, plainAny{
				StepCount: &plainValue{count, "steps"}, EffectiveTimeFrame: plainTimeFrame{TimeInterval: &plainInterval{from, to}}}})
			in.Records = append(in.Records, record(h, count, "steps", from, to))
		}
	}
	in.Body = text(points)
	return in
}

// Day is one day of 1,440 points of three types as a tracker sends it, 15 points
// every quarter of an hour: each three minutes a heart rate (of the recording),
// the steps, and the oxygen saturation.
func Day() (batches []Input) {
	_, values := heartRates()
	id, r := ids(4), rand.New(rand.NewPCG(4, 0))
	day := syncStart.Truncate(24 * time.Hour)
	for quarter := range 96 {
		in := Input{Name: "day", Plain: func() any { return new([]plainPoint[plainAny]) }}
		var points []plainPoint[plainAny]
		add := func(name, version string, created string, body plainAny) {
			points = append(points, plainPoint[plainAny]{header(id(), name, version, created), body})
		}
		for i := range 5 {
			from := day.Add(time.Duration(quarter)*15*time.Minute + time.Duration(i)*3*time.Minute)
			start, end := from.Format(time.RFC3339), from.Add(3*time.Minute).Format(time.RFC3339)
			moment := plainTimeFrame{DateTime: start}
			add("heart-rate", "2.0", start, plainAny{HeartRate: &plainValue{values[quarter*5+i], "beats/min"}, EffectiveTimeFrame: moment})
			add("oxygen-saturation", "2.0", start, plainAny{OxygenSaturation: &plainValue{float64(94 + r.IntN(6)), "%"}, EffectiveTimeFrame: moment})
			add("step-count", "3.0", end, plainAny{StepCount: &plainValue{float64(r.IntN(350)), "steps"},
				EffectiveTimeFrame: plainTimeFrame{TimeInterval: &plainInterval{start, end}}})
		}
		in.Body = text(points)
		batches = append(batches, in)
	}
	return batches
}

// Join is the points of several inputs in one.
func Join(inputs []Input) Input {
	joined := Input{Name: inputs[0].Name, Plain: inputs[0].Plain}
	var points []json.RawMessage
	for _, in := range inputs {
		var some []json.RawMessage
		if err := json.Unmarshal(in.Body, &some); err != nil {
			panic(err)
		}
		points = append(points, some...)
	}
	joined.Body = text(points)
	return joined
}

// Inputs is the three inputs.
func Inputs() []Input { return []Input{Series(), Points(), Sync()} }

// ids gives random UUIDs (version 4), the same ones for the same seed.
func ids(seed uint64) func() string {
	r := rand.New(rand.NewPCG(seed, seed))
	return func() string {
		hi, lo := r.Uint64()&^0xf000|0x4000, r.Uint64()&^(3<<62)|1<<63
		return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", hi>>32, hi>>16&0xffff, hi&0xffff, lo>>48, lo&(1<<48-1))
	}
}

// The structs that the other side decodes into: every member of the inputs, and
// times as text, so that it does no more than it must.
type (
	plainSeries[B any] struct {
		Header plainHeader `json:"header"`
		Body   []B         `json:"body"`
	}
	plainPoint[B any] struct {
		Header plainHeader `json:"header"`
		Body   B           `json:"body"`
	}
	plainHeader struct {
		UUID     string      `json:"uuid"`
		SchemaID plainSchema `json:"schema_id"`
		Created  string      `json:"source_creation_date_time"`
		Modality string      `json:"modality"`
	}
	plainSchema struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
		Version   string `json:"version"`
	}
	plainHeartRate struct {
		HeartRate          plainValue     `json:"heart_rate"`
		EffectiveTimeFrame plainTimeFrame `json:"effective_time_frame"`
	}
	plainAny struct {
		HeartRate          *plainValue    `json:"heart_rate,omitempty"`
		StepCount          *plainValue    `json:"step_count,omitempty"`
		OxygenSaturation   *plainValue    `json:"oxygen_saturation,omitempty"`
		EffectiveTimeFrame plainTimeFrame `json:"effective_time_frame"`
	}
	plainValue struct {
		Value float64 `json:"value"`
		Unit  string  `json:"unit"`
	}
	plainTimeFrame struct {
		DateTime     string         `json:"date_time,omitempty"`
		TimeInterval *plainInterval `json:"time_interval,omitempty"`
	}
	plainInterval struct {
		Start string `json:"start_date_time"`
		End   string `json:"end_date_time"`
	}
)

func header(id, name, version, created string) plainHeader {
	return plainHeader{UUID: id, SchemaID: plainSchema{"omh", name, version}, Created: created, Modality: "sensed"}
}

func heartRate(at string, value float64) plainHeartRate {
	return plainHeartRate{plainValue{value, "beats/min"}, plainTimeFrame{DateTime: at}}
}

func record(h plainHeader, value float64, unit, start, end string) Record {
	return Record{ID: h.UUID, Namespace: h.SchemaID.Namespace, Name: h.SchemaID.Name, Version: h.SchemaID.Version,
		Created: h.Created, Modality: h.Modality, Unit: unit, Value: value, Start: start, End: end}
}

func text(v any) []byte { return must(json.Marshal(v)) }

// tcxFile is a real recording with positions, altitudes, speeds, cadences and
// heart rates: 486 trackpoints in two laps.
const tcxFile = "testdata/tcx/saf-cross-country-skiing_activity_1.tcx"

var tcxTime = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`)

// TCX is a valid document of at most size bytes: a real recording's laps again
// and again, an hour later each time. root is the checkout.
func TCX(root string, size int) []byte {
	document := must(os.ReadFile(filepath.Join(root, tcxFile)))
	from, to := bytes.Index(document, []byte("      <Lap ")), bytes.Index(document, []byte("      <Creator "))
	laps := document[from:to]
	out := bytes.Clone(document[:from])
	for hour := 0; len(out)+len(document)-from <= size; hour++ {
		out = append(out, tcxTime.ReplaceAllFunc(laps, func(at []byte) []byte {
			t := must(time.Parse(time.RFC3339, string(at))).Add(time.Duration(hour) * time.Hour)
			return []byte(t.Format("2006-01-02T15:04:05.000Z"))
		})...)
	}
	return append(out, document[to:]...)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
