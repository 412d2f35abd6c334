package openmhealth

import (
	"strconv"
	"strings"
	"time"

	"fitvault/shared/fault"
	"fitvault/shared/reading"
	"fitvault/shared/redact"
	"fitvault/shared/segment"
)

// Limits bound a body before it costs memory.
type Limits struct {
	Bytes       int // of the body
	Records     int // in its list
	Depth       int // of objects and arrays, the batch's own included
	RecordBytes int // of one record as sent, with the white space before it; of a series' with what all share
}

// Intake is wire.md's limits. A record's is ours: what is stored of it must
// fit into one item of the database.
var Intake = Limits{Bytes: 1 << 20, Records: 1000, Depth: 32, RecordBytes: 256 << 10}

// Result is the verdict on one record. Pointer and Rule are empty for an
// accepted one; Pointer is a JSON pointer from the record.
type Result struct {
	Index    int
	Accepted bool
	ID       string // of an accepted one: the header's
	Pointer  string
	Rule     string
}

// Record is an accepted record.
type Record struct {
	redact.Mark
	ID    string    // its header's
	Start time.Time // in UTC
	Size  int       // bytes of JSON text at the most; of a series' body alone
	Point segment.Document
}

// Reading is the record as those see it who read what was stored.
func (r Record) Reading() (reading.Reading, error) { return reading.FromPoint(r.Point.Value()) }

// Batch is what Decode makes of a body.
type Batch struct {
	redact.Mark
	Series  bool     // the body was a data series
	Shared  int      // bytes of JSON text of a series' header
	Results []Result // one for each record, in order
	Records []Record // the accepted ones: the n-th is of the n-th accepted result

	form form
}

// Decode judges a body: an array of data points, one data point, or a data
// series (IEEE 1752.1 data-series-1.0): an object whose body is an array of
// bodies, each of which makes a data point with the one header. owner is the id
// of the account that the body is for.
//
// Errors are faults: BadRequest, not JSON in UTF-8 with distinct member names;
// TooLarge, over a limit of the whole body; Invalid, no records, or none was
// accepted: its items (and the results) say why, one for a record.
func Decode(body []byte, owner string, limits Limits) (Batch, error) {
	return decode(body, owner, limits, &known)
}

// decode with no shapes known, and none to be learned, judges every record by its
// schemas.
func decode(body []byte, owner string, limits Limits, shapes *shapes) (Batch, error) {
	if len(body) > limits.Bytes {
		return Batch{}, fault.New(fault.TooLarge, "body is too large")
	}
	if shapes != nil {
		if batch, form, ok := decodeByShape(body, owner, limits, shapes); ok {
			batch.form = form
			return batch, batch.verdict()
		}
	}
	records, form, err := parse(body, limits)
	if err != nil {
		return Batch{}, err
	}
	batch := Batch{Series: form == series, form: form}
	header := headerJudge{owner: owner}
	for _, r := range records {
		accepted, failed := judge(r, &header)
		batch.add(r, accepted, failed)
	}
	return batch, batch.verdict()
}

// add adds the result of a record, and the record if it was accepted.
func (b *Batch) add(r record, accepted reading.Reading, failed *reading.PointError) {
	if failed != nil {
		b.refuse(failed)
		return
	}
	own := accepted.Point
	if r.shared {
		if b.Shared == 0 {
			header, _ := own.Get("header")
			b.Shared = textSize(header)
		}
		own, _ = own.Get("body")
	}
	b.accept(Record{ID: accepted.ID, Start: accepted.Start.UTC(), Size: textSize(own), Point: segment.Document{Whole: &accepted.Point}})
}

func (b *Batch) refuse(failed *reading.PointError) {
	b.Results = append(b.Results, Result{Index: len(b.Results), Pointer: failed.Pointer, Rule: failed.Rule})
}

func (b *Batch) accept(r Record) {
	b.Results = append(b.Results, Result{Index: len(b.Results), Accepted: true, ID: r.ID})
	b.Records = append(b.Records, r)
}

func textSize(v reading.Value) int { return len(v.AppendJSON(nil)) }

// verdict is the fault of a body of which nothing was accepted.
func (b *Batch) verdict() error {
	if len(b.Records) > 0 {
		return nil
	}
	invalid := fault.New(fault.Invalid, "no record is acceptable")
	for _, r := range b.Results {
		invalid.Items = append(invalid.Items, fault.Item{Pointer: b.form.pointer(r), Rule: r.Rule})
	}
	if len(b.Results) == 0 {
		invalid.Items = []fault.Item{{Pointer: b.form.list(), Rule: RuleEmpty}}
	}
	return invalid
}

// Refuse refuses accepted records by their type: rule names why, "" keeps them. It
// returns what Decode would have: nil, or Invalid where nothing is left.
func (b *Batch) Refuse(rule func(reading.Type) string) error {
	kept, next := b.Records[:0], 0
	for i := range b.Results {
		result := &b.Results[i]
		if !result.Accepted {
			continue
		}
		record := b.Records[next]
		next++
		if why := rule(record.reads()); why != "" {
			*result = Result{Index: result.Index, Pointer: "/header/schema_id", Rule: why}
			continue
		}
		kept = append(kept, record)
	}
	b.Records = kept
	return b.verdict()
}

// reads is the type of the record.
func (r Record) reads() reading.Type {
	point := r.Point.Value()
	namespace, _ := point.At("header", "schema_id", "namespace")
	name, _ := point.At("header", "schema_id", "name")
	return reading.Type{Namespace: namespace.Text(), Name: name.Text()}
}

// form is how a body holds its records.
type form uint8

const (
	single form = iota // it is one
	array              // of data points
	series             // of bodies
)

// list is the pointer to the list of records.
func (f form) list() string {
	if f == series {
		return "/body"
	}
	return ""
}

// pointer is r's, from the top of the body. A series has its header once.
func (f form) pointer(r Result) string {
	switch inBody, ok := strings.CutPrefix(r.Pointer, "/body"); {
	case f == single, f == series && !ok && r.Pointer != "":
		return r.Pointer
	case f == series:
		return "/body/" + strconv.Itoa(r.Index) + inBody
	}
	return "/" + strconv.Itoa(r.Index) + r.Pointer
}

// Points is the data points of a body, by index, without a verdict on any: for a
// retry, where the manifest has decided. Its errors are Decode's but Invalid.
// A number that cannot be kept is null; no manifest accepted its record.
func Points(body []byte, limits Limits) ([]reading.Value, error) {
	if len(body) > limits.Bytes {
		return nil, fault.New(fault.TooLarge, "body is too large")
	}
	records, _, err := parse(body, limits)
	points := make([]reading.Value, len(records))
	for i, r := range records {
		points[i] = r.point
	}
	return points, err
}
