package openmhealth

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"fitvault/shared/fault"
	"fitvault/shared/reading"
)

// Limits bound a body before it costs memory.
type Limits struct {
	Bytes       int // of the body
	Records     int // in its array
	Depth       int // of objects and arrays, the batch's own included
	RecordBytes int // of one record as sent, with the white space before it
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

// Decode judges a body: an array of data points, or one data point. The
// readings are the accepted records: the n-th reading is of the n-th accepted
// result. owner is the id of the account that the body is for.
//
// Errors are faults: BadRequest, not JSON in UTF-8 with distinct member names;
// TooLarge, over a limit of the whole body; Invalid, an empty array, or no
// record was accepted: its items (and the results) say why, one for a record.
func Decode(body []byte, owner string, limits Limits) ([]reading.Reading, []Result, error) {
	records, batch, err := parse(body, limits)
	if err != nil {
		return nil, nil, err
	}
	readings := make([]reading.Reading, 0, len(records))
	results := make([]Result, len(records))
	for i, record := range records {
		r, failed := judge(record, owner)
		if failed != nil {
			results[i] = Result{Index: i, Pointer: failed.Pointer, Rule: failed.Rule}
			continue
		}
		results[i] = Result{Index: i, Accepted: true, ID: r.ID}
		readings = append(readings, r)
	}
	if len(readings) > 0 {
		return readings, results, nil
	}
	invalid := fault.New(fault.Invalid, "no record is acceptable")
	for _, r := range results {
		pointer := r.Pointer
		if batch {
			pointer = "/" + strconv.Itoa(r.Index) + pointer
		}
		invalid.Items = append(invalid.Items, fault.Item{Pointer: pointer, Rule: r.Rule})
	}
	if len(results) == 0 {
		invalid.Items = []fault.Item{{Rule: RuleEmpty}}
	}
	return nil, results, invalid
}

// Points is the records of a body, by index, without a verdict on any: for a
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
	oversize bool
	number   *string // pointer to the first number that cannot be kept; null stands there
}

// parse reads a body's records; batch says whether they stand in an array.
func parse(body []byte, limits Limits) (records []record, batch bool, err error) {
	if len(body) > limits.Bytes {
		return nil, false, fault.New(fault.TooLarge, "body is too large")
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(body))
	if batch = dec.PeekKind() == jsontext.KindBeginArray; batch {
		records, err = parseBatch(dec, limits)
	} else {
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
		return nil, batch, fault.New(fault.TooLarge, "body has too many records")
	case errors.Is(err, reading.ErrDepth):
		return nil, batch, fault.New(fault.TooLarge, "body is nested too deep")
	case err != nil: // err quotes the body, so it goes nowhere
		return nil, batch, fault.New(fault.BadRequest, "body is not JSON")
	}
	return records, batch, nil
}

var errRecords = errors.New("more records than allowed")

func parseBatch(dec *jsontext.Decoder, limits Limits) ([]record, error) {
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	var records []record
	for dec.PeekKind() != jsontext.KindEndArray {
		if len(records) == limits.Records {
			return nil, errRecords
		}
		r, err := parseRecord(dec, limits, "/"+strconv.Itoa(len(records)))
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	_, err := dec.ReadToken()
	return records, err
}

// parseRecord reads one record, whose pointer in the body is at.
func parseRecord(dec *jsontext.Decoder, limits Limits, at string) (record, error) {
	before := dec.InputOffset()
	point, err := reading.Decode(dec, limits.Depth)
	r := record{point: point, oversize: dec.InputOffset()-before > int64(limits.RecordBytes)}
	if number := (*reading.NumberError)(nil); errors.As(err, &number) {
		pointer := strings.TrimPrefix(string(number.Pointer), at)
		r.number, err = &pointer, nil
	}
	return r, err
}
