package segment

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"
	"sync"
	"unicode/utf8"

	"fitvault/shared/reading"
)

// Decode unpacks a block into the documents that were packed, in their order.
// It returns [ErrLimit] where they would be more than the limits allow and
// [ErrBlock] where the bytes are no block; it allocates in proportion to the
// limits at the most, whatever the bytes are.
func Decode(block []byte, limits Limits) ([]reading.Value, error) {
	if len(block) == 0 || block[0] != version2 {
		return nil, ErrBlock
	}
	outer := reader{block[1:]}
	documents, err := outer.count(limits.Documents)
	if err != nil {
		return nil, err
	}
	size, err := outer.count(len(block))
	if err != nil {
		return nil, ErrBlock
	}
	compressed, err := outer.bytes(size)
	if err != nil {
		return nil, err
	}
	text, err := inflate(compressed, limits.body())
	if err != nil {
		return nil, err
	}
	d := decoder{text: reader{text}, columns: outer, limits: limits}
	points := make([]reading.Value, documents)
	if documents > 0 {
		if err := d.documents(points); err != nil {
			return nil, err
		}
	}
	if len(d.text.left) > 0 || len(d.columns.left) > 0 {
		return nil, ErrBlock
	}
	return points, nil
}

type decoder struct {
	text, columns reader
	limits        Limits // less what has been made
}

func (d *decoder) documents(points []reading.Value) error {
	tables, err := d.text.index(len(points) + 1)
	if err != nil || tables == 0 {
		return ErrBlock
	}
	runs, counts, err := d.runs(len(points), tables)
	if err != nil {
		return err
	}
	shapes := make([]parsedShape, tables)
	for i := range shapes {
		text, err := d.sized()
		if err != nil {
			return err
		}
		if shapes[i], err = parseShape(text, counts[i], d.limits.Depth, &d.limits); err != nil {
			return err
		}
	}
	list := make([][]reading.Value, tables)
	for i, s := range shapes {
		if list[i], err = d.table(s, counts[i]); err != nil {
			return err
		}
	}
	for _, r := range runs {
		n := copy(points, list[r.table][:r.documents])
		points, list[r.table] = points[n:], list[r.table][n:]
	}
	return nil
}

// runs reads which documents are of which table, and how many each has.
func (d *decoder) runs(documents, tables int) ([]run, []int, error) {
	counts := make([]int, tables)
	if tables == 1 {
		counts[0] = documents
		return []run{{0, documents}}, counts, nil
	}
	var runs []run
	for left := documents; left > 0; {
		table, err := d.text.index(tables)
		if err != nil {
			return nil, nil, err
		}
		n, err := d.text.index(left + 1)
		if err != nil || n == 0 {
			return nil, nil, ErrBlock
		}
		runs = append(runs, run{table, n})
		counts[table] += n
		left -= n
	}
	for _, n := range counts {
		if n == 0 {
			return nil, nil, ErrBlock
		}
	}
	return runs, counts, nil
}

// table reads the documents of a shape. Their values have been paid for, but not
// the text in their holes.
func (d *decoder) table(s parsedShape, n int) ([]reading.Value, error) {
	k := len(s.numbers)
	holes := make([]reading.Value, n*k)
	for hole, number := range s.numbers {
		if err := d.column(holes[hole:], k, n, number); err != nil {
			return nil, err
		}
	}
	documents := make([]reading.Value, n)
	f := filler{members: make([]reading.Value, n*s.members)}
	for i := range documents {
		f.holes = holes[i*k:]
		documents[i] = f.value(s.root)
	}
	return documents, nil
}

// column reads n values into every k-th of to.
func (d *decoder) column(to []reading.Value, k, n int, isNumber bool) error {
	c, err := d.columns.index(int(classes))
	if err != nil {
		return err
	}
	value := text
	if isNumber {
		value = number
	}
	var next func(i int) (string, error)
	switch class(c) {
	case classSame:
		return d.same(to, k, n, value)
	case classTexts:
		next, err = d.texts(n)
	case classDecimals:
		if !isNumber {
			return ErrBlock
		}
		next, err = d.decimals(n)
	default:
		if isNumber {
			return ErrBlock
		}
		if class(c) == classTimes {
			next, err = d.times(n)
		} else {
			next = d.uuids()
		}
	}
	for i := 0; i < n && err == nil; i++ {
		var s string
		if s, err = next(i); err != nil {
			return err
		}
		if err = d.limits.takeText(len(s)); err != nil {
			return err
		}
		to[i*k], err = value(s)
	}
	return err
}

// text and number make values of a block's text.

func text(s string) (reading.Value, error) {
	if !utf8.ValidString(s) {
		return reading.Value{}, ErrBlock
	}
	return reading.StringValue(s), nil
}

// number takes canonical text and no other: a reader compares numbers by it.
func number(s string) (reading.Value, error) {
	v, err := reading.NumberValue(s)
	if err != nil || v.Text() != s {
		return reading.Value{}, ErrBlock
	}
	return v, nil
}

func (d *decoder) same(to []reading.Value, k, n int, value func(string) (reading.Value, error)) error {
	s, err := d.sized()
	if err != nil {
		return err
	}
	if err := d.limits.takeText(n * len(s)); err != nil {
		return err
	}
	v, err := value(s)
	for i := range n {
		to[i*k] = v
	}
	return err
}

// texts, decimals, times and uuids read columns, and return what gives their text.

func (d *decoder) texts(n int) (func(i int) (string, error), error) {
	lengths, err := d.ints(n)
	return func(i int) (string, error) {
		if lengths[i] < 0 || lengths[i] > int64(len(d.text.left)) {
			return "", ErrBlock
		}
		b, err := d.text.bytes(int(lengths[i]))
		return string(b), err
	}, err
}

func (d *decoder) decimals(n int) (func(i int) (string, error), error) {
	scale, err := d.columns.index(maxScale + 1)
	if err != nil {
		return nil, err
	}
	units, err := d.ints(n)
	var buffer []byte
	return func(i int) (string, error) {
		if units[i] <= -maxUnits || units[i] >= maxUnits {
			return "", ErrBlock
		}
		buffer = appendDecimal(buffer[:0], units[i], scale)
		return string(buffer), nil
	}, err
}

func (d *decoder) times(n int) (func(i int) (string, error), error) {
	scale, err := d.columns.index(maxScale + 1)
	if err != nil {
		return nil, err
	}
	var parts [3][]int64 // instants, zones, digits
	for i := range parts {
		if parts[i], err = d.ints(n); err != nil {
			return nil, err
		}
	}
	var buffer []byte
	return func(i int) (string, error) {
		m := moment{zone: parts[1][i], digits: parts[2][i]}
		m.seconds, m.nanos = instant(parts[0][i], scale)
		if !m.valid() {
			return "", ErrBlock
		}
		buffer = m.append(buffer[:0])
		return string(buffer), nil
	}, nil
}

func (d *decoder) uuids() func(i int) (string, error) {
	var buffer []byte
	return func(int) (string, error) {
		b, err := d.columns.bytes(16)
		if err != nil {
			return "", err
		}
		buffer = appendUUID(buffer[:0], b)
		return string(buffer), nil
	}
}

// sized reads a length and text of that length.
func (d *decoder) sized() (string, error) {
	n, err := d.text.index(len(d.text.left) + 1)
	if err != nil {
		return "", err
	}
	b, err := d.text.bytes(n)
	return string(b), err
}

// reader reads bytes from the front of what is left.
type reader struct{ left []byte }

// uvarint reads one number.
func (r *reader) uvarint() (uint64, error) {
	n, size := binary.Uvarint(r.left)
	if size <= 0 {
		return 0, ErrBlock
	}
	r.left = r.left[size:]
	return n, nil
}

// count reads a number of things of which there may be so many.
func (r *reader) count(most int) (int, error) {
	n, err := r.uvarint()
	if err != nil {
		return 0, err
	}
	if n > uint64(most) {
		return 0, ErrLimit
	}
	return int(n), nil
}

// index reads a number below n.
func (r *reader) index(n int) (int, error) {
	i, err := r.uvarint()
	if err != nil || i >= uint64(n) {
		return 0, ErrBlock
	}
	return int(i), nil
}

// bytes reads n of them.
func (r *reader) bytes(n int) ([]byte, error) {
	if n > len(r.left) {
		return nil, ErrBlock
	}
	b := r.left[:n]
	r.left = r.left[n:]
	return b, nil
}

var decompressors = sync.Pool{New: func() any { return flate.NewReader(nil) }}

// inflate decompresses all of a text, to at most so many bytes.
func inflate(compressed []byte, most int) ([]byte, error) {
	in := bytes.NewReader(compressed)
	r := decompressors.Get().(io.ReadCloser)
	defer decompressors.Put(r)
	_ = r.(flate.Resetter).Reset(in, nil) // fails for no reader that has no dictionary
	var text bytes.Buffer
	n, err := io.Copy(&text, io.LimitReader(r, int64(most)+1))
	if err != nil {
		return nil, ErrBlock
	}
	if n > int64(most) {
		return nil, ErrLimit
	}
	if in.Len() > 0 {
		return nil, ErrBlock
	}
	return text.Bytes(), nil
}
