package openmhealth

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"fitvault/shared/fault"
	"fitvault/shared/reading"
	"fitvault/shared/redact"
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

// Batch is what Decode makes of a body.
type Batch struct {
	redact.Mark
	Series   bool              // the body was a data series
	Results  []Result          // one for each record, in order
	Readings []reading.Reading // the accepted records: the n-th is of the n-th accepted result
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
	records, form, err := parse(body, limits)
	if err != nil {
		return Batch{}, err
	}
	batch := Batch{Series: form == series, Results: make([]Result, len(records)), Readings: make([]reading.Reading, 0, len(records))}
	header := headerJudge{owner: owner}
	for i, record := range records {
		r, failed := judge(record, &header)
		if failed != nil {
			batch.Results[i] = Result{Index: i, Pointer: failed.Pointer, Rule: failed.Rule}
			continue
		}
		batch.Results[i] = Result{Index: i, Accepted: true, ID: r.ID}
		batch.Readings = append(batch.Readings, r)
	}
	if len(batch.Readings) > 0 {
		return batch, nil
	}
	invalid := fault.New(fault.Invalid, "no record is acceptable")
	for _, r := range batch.Results {
		invalid.Items = append(invalid.Items, fault.Item{Pointer: form.pointer(r), Rule: r.Rule})
	}
	if len(batch.Results) == 0 {
		invalid.Items = []fault.Item{{Pointer: form.list(), Rule: RuleEmpty}}
	}
	return batch, invalid
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
	records, _, err := parse(body, limits)
	points := make([]reading.Value, len(records))
	for i, r := range records {
		points[i] = r.point
	}
	return points, err
}

// record is one element of a body.
type record struct {
	point    reading.Value
	size     int64   // bytes as sent, with the white space before it
	oversize bool    // over a limit that is a record's
	shared   bool    // its header is that of all records
	number   *string // pointer to the first number that cannot be kept; null stands there
}

// parse reads a body's records.
func parse(body []byte, limits Limits) (records []record, form form, err error) {
	if len(body) > limits.Bytes {
		return nil, form, fault.New(fault.TooLarge, "body is too large")
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(body))
	switch dec.PeekKind() {
	case jsontext.KindBeginArray:
		form = array
		records, err = parseList(dec, limits, "")
	case jsontext.KindBeginObject:
		records, form, err = parseObject(dec, limits)
	default:
		records = make([]record, 1)
		records[0], err = parseRecord(dec, limits, "")
	}
	if err == nil {
		if _, end := dec.ReadToken(); end != io.EOF {
			err = errors.New("something behind the value")
		}
	}
	switch {
	case errors.Is(err, errRecords):
		return nil, form, fault.New(fault.TooLarge, "body has too many records")
	case errors.Is(err, reading.ErrDepth):
		return nil, form, fault.New(fault.TooLarge, "body is nested too deep")
	case err != nil: // err quotes the body, so it goes nowhere
		return nil, form, fault.New(fault.BadRequest, "body is not JSON")
	}
	return records, form, nil
}

var errRecords = errors.New("more records than allowed")

// parseList reads an array of records, whose pointer in the body is at.
func parseList(dec *jsontext.Decoder, limits Limits, at string) ([]record, error) {
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	var records []record
	for dec.PeekKind() != jsontext.KindEndArray {
		if len(records) == limits.Records {
			return nil, errRecords
		}
		r, err := parseRecord(dec, limits, at+"/"+strconv.Itoa(len(records)))
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	_, err := dec.ReadToken()
	return records, err
}

// parseRecord reads one record, or one of its members, whose pointer in the body is at.
func parseRecord(dec *jsontext.Decoder, limits Limits, at string) (record, error) {
	before := dec.InputOffset()
	point, err := reading.Decode(dec, limits.Depth)
	r := record{point: point, size: dec.InputOffset() - before}
	r.oversize = r.size > int64(limits.RecordBytes) || hasLongList(point)
	if number := (*reading.NumberError)(nil); errors.As(err, &number) {
		pointer := strings.TrimPrefix(string(number.Pointer), at)
		r.number, err = &pointer, nil
	}
	return r, err
}

// parseObject reads a data point, or a data series as the data points that it
// stands for.
func parseObject(dec *jsontext.Decoder, limits Limits) ([]record, form, error) {
	before := dec.InputOffset()
	if _, err := dec.ReadToken(); err != nil {
		return nil, single, err
	}
	if dec.StackDepth() > limits.Depth {
		return nil, single, reading.ErrDepth
	}
	var (
		form   = single
		point  record // all but the list
		names  []string
		values []reading.Value
		bodies []record
	)
	listed := int64(0) // bytes of the list
	for dec.PeekKind() != jsontext.KindEndObject {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, form, err
		}
		member := name.String()
		if member == "body" && dec.PeekKind() == jsontext.KindBeginArray {
			form = series
			start := dec.InputOffset()
			if bodies, err = parseList(dec, limits, "/body"); err != nil {
				return nil, form, err
			}
			listed = dec.InputOffset() - start
			continue
		}
		r, err := parseRecord(dec, limits, "")
		if err != nil {
			return nil, form, err
		}
		names, values = append(names, member), append(values, r.point)
		if point.number == nil {
			point.number = r.number
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, form, err
	}
	point.size = dec.InputOffset() - before - listed
	if form == series {
		return point.series(names, values, bodies, limits), form, nil
	}
	point.point = reading.ObjectValue(names, values)
	point.oversize = point.size > int64(limits.RecordBytes) || slices.ContainsFunc(values, hasLongList)
	return []record{point}, form, nil
}

// series makes a data point of each body and what stands beside the list, of
// which r is the size and the number that cannot be kept: the header and, of
// what may not be there, one member.
func (r record) series(names []string, values []reading.Value, bodies []record, limits Limits) []record {
	shared, with := []string{"body"}, []reading.Value{{}}
	for _, header := range []bool{true, false} {
		if i := slices.IndexFunc(names, func(name string) bool { return (name == "header") == header }); i >= 0 {
			shared, with = append(shared, names[i]), append(with, values[i])
		}
	}
	longList := slices.ContainsFunc(with, hasLongList)
	for i, b := range bodies {
		with := slices.Clone(with)
		with[0] = b.point
		point := record{point: reading.ObjectValue(shared, with), size: r.size + b.size, number: r.number, shared: true}
		point.oversize = longList || point.size > int64(limits.RecordBytes) || hasLongList(b.point)
		if point.number == nil && b.number != nil { // the header is judged first
			inBody := "/body" + *b.number
			point.number = &inBody
		}
		bodies[i] = point
	}
	return bodies
}
