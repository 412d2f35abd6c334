package days

import (
	"cmp"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"fitvault/shared/openmhealth"
	"fitvault/shared/reading"
	"fitvault/shared/redact"
)

// Trackpoint is the type under which a recording's trackpoints are counted.
var Trackpoint = reading.Type{Namespace: "fitvault", Name: "trackpoint"}

// Key names a statistic: values in several units are several statistics.
type Key struct {
	Day  Day
	Type reading.Type
	Unit string // "" where only the count is kept
}

// Compare orders by day, type, unit.
func (k Key) Compare(o Key) int {
	return cmp.Or(cmp.Compare(k.Day, o.Day), strings.Compare(k.Type.Namespace, o.Type.Namespace),
		strings.Compare(k.Type.Name, o.Type.Name), strings.Compare(k.Unit, o.Unit))
}

// Stat is the statistic of one key. It holds health data; AppendJSON is the one
// way to its text.
type Stat struct {
	redact.Mark
	Key
	Count int64 // 1 or more

	// Of the values; zero where the type has no single number: Count alone then.
	min, max, sum number
}

// Part is statistics in the order of their keys, each key once.
type Part []Stat

// Tally gathers statistics. Its zero value is empty.
type Tally struct{ stats map[Key]*Stat }

// Add counts a reading, with the value that openmhealth.Measured finds in it.
func (t *Tally) Add(r reading.Reading) {
	s := Stat{Key: Key{Day: DayOf(r.Start), Type: r.Type}, Count: 1}
	if text, unit, ok := openmhealth.Measured(r); ok {
		s.Unit, s.min = unit, parseNumber(text)
		s.max, s.sum = s.min, s.min
	}
	t.add(s)
}

// AddTrackpoints counts n trackpoints of a day.
func (t *Tally) AddTrackpoints(day Day, n int) {
	if n > 0 {
		t.add(Stat{Key: Key{Day: day, Type: Trackpoint}, Count: int64(n)})
	}
}

// AddPart counts all that a part counts.
func (t *Tally) AddPart(p Part) {
	for _, s := range p {
		t.add(s)
	}
}

func (t *Tally) add(s Stat) {
	if t.stats == nil {
		t.stats = map[Key]*Stat{}
	}
	all, ok := t.stats[s.Key]
	if !ok {
		if s.sum.some() {
			s.sum = number{scaled: new(big.Int).Set(s.sum.scaled)} // it grows; the other two are only exchanged
		}
		t.stats[s.Key] = &s
		return
	}
	all.Count += s.Count
	if !all.sum.some() || !s.sum.some() { // a type has values always, or never
		all.min, all.max, all.sum = number{}, number{}, number{}
		return
	}
	all.sum.scaled.Add(all.sum.scaled, s.sum.scaled)
	if s.min.scaled.Cmp(all.min.scaled) < 0 {
		all.min = s.min
	}
	if s.max.scaled.Cmp(all.max.scaled) > 0 {
		all.max = s.max
	}
}

// Part is what was counted so far; not to be used together with a further Add.
func (t *Tally) Part() Part {
	p := make(Part, 0, len(t.stats))
	for _, s := range t.stats {
		p = append(p, *s)
	}
	slices.SortFunc(p, func(a, b Stat) int { return a.Compare(b.Key) })
	return p
}

// AppendJSON appends the statistic as answers show it. Numbers are written out,
// without an exponent.
func (s Stat) AppendJSON(b []byte) []byte {
	b = append(b, `{"day":"`...)
	b = append(b, s.Day.String()...)
	b = append(b, `","type":"`...)
	b = append(b, s.Type.String()...) // its grammar needs no escapes
	b = append(b, '"')
	if s.sum.some() {
		b = append(b, `,"unit":`...)
		b = reading.StringValue(s.Unit).AppendJSON(b)
	}
	b = append(b, `,"count":`...)
	b = strconv.AppendInt(b, s.Count, 10)
	if s.sum.some() {
		b = append(append(b, `,"min":`...), s.min.text()...)
		b = append(append(b, `,"max":`...), s.max.text()...)
		b = append(append(b, `,"mean":`...), mean(s.sum, s.Count)...)
		b = append(append(b, `,"sum":`...), s.sum.text()...)
	}
	return append(b, '}')
}
