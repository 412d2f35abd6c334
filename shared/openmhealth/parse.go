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
)

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
		form    = single
		names   []string
		members []record
		bodies  []record
	)
	for dec.PeekKind() != jsontext.KindEndObject {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, form, err
		}
		member := name.String()
		if member == "body" && dec.PeekKind() == jsontext.KindBeginArray {
			form = series
			if bodies, err = parseList(dec, limits, "/body"); err != nil {
				return nil, form, err
			}
			continue
		}
		r, err := parseRecord(dec, limits, "")
		if err != nil {
			return nil, form, err
		}
		names, members = append(names, member), append(members, r)
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, form, err
	}
	if form == series {
		return inSeries(names, members, bodies, limits), form, nil
	}
	whole := record{size: dec.InputOffset() - before}
	whole.oversize = whole.size > int64(limits.RecordBytes)
	values := make([]reading.Value, len(members))
	for i, m := range members {
		values[i] = m.point
		whole.oversize = whole.oversize || m.oversize
		if whole.number == nil {
			whole.number = m.number
		}
	}
	whole.point = reading.ObjectValue(names, values)
	return []record{whole}, form, nil
}

// maxShared is how large a series' header may be: it comes out of a block with
// each of a thousand readings.
const maxShared = 16 << 10

// inSeries makes data points of the members of a series: its header, its bodies
// and, of what may not be there, one member.
func inSeries(names []string, members, bodies []record, limits Limits) []record {
	var shared record
	var with []string
	var values []reading.Value
	for _, header := range []bool{true, false} {
		if i := slices.IndexFunc(names, func(name string) bool { return (name == "header") == header }); i >= 0 {
			with, values = append(with, names[i]), append(values, members[i].point)
			if header {
				shared = members[i]
			}
		}
	}
	for i, b := range bodies {
		bodies[i] = shared.with(b, append(slices.Clone(with), "body"), append(slices.Clone(values), b.point), limits)
	}
	return bodies
}

// with is the data point that header r and a body make, of these members.
func (r record) with(body record, names []string, values []reading.Value, limits Limits) record {
	point := record{point: reading.ObjectValue(names, values), size: r.size + body.size, number: r.number, shared: true}
	point.oversize = r.oversize || body.oversize || r.size > maxShared || point.size > int64(limits.RecordBytes)
	if point.number == nil && body.number != nil { // the header is judged first
		inBody := "/body" + *body.number
		point.number = &inBody
	}
	return point
}
