package segment

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"
	"math/bits"
	"sync"

	"fitvault/shared/reading"
)

// Decode unpacks a block into the documents that were packed, in their order.
// It returns [ErrLimit] where they would be more than the limits allow and
// [ErrBlock] where the bytes are no block; it allocates in proportion to the
// limits at the most, whatever the bytes are.
func Decode(block []byte, limits Limits) ([]reading.Value, error) {
	if len(block) == 0 || block[0] != version1 {
		return nil, ErrBlock
	}
	outer := decoder{body: block[1:], left: limits}
	documents, err := outer.count(limits.Documents)
	if err != nil {
		return nil, err
	}
	size, err := outer.count(len(block))
	if err != nil || size > len(outer.body) {
		return nil, ErrBlock
	}
	body, err := inflate(outer.body[:size], limits.body())
	if err != nil {
		return nil, err
	}
	d := decoder{body: body, uuids: outer.body[size:], depth: limits.Depth, left: limits}
	points, err := d.column(documents, 0)
	if err != nil {
		return nil, err
	}
	if len(d.body) > 0 || len(d.uuids) > 0 {
		return nil, ErrBlock
	}
	return points, nil
}

type decoder struct {
	body  []byte // what is left of it
	uuids []byte // the same
	depth int
	left  Limits
}

// uvarint reads one number.
func (d *decoder) uvarint() (uint64, error) {
	n, size := binary.Uvarint(d.body)
	if size <= 0 {
		return 0, ErrBlock
	}
	d.body = d.body[size:]
	return n, nil
}

// count reads a number of things of which there may be so many.
func (d *decoder) count(most int) (int, error) {
	n, err := d.uvarint()
	if err != nil {
		return 0, err
	}
	if n > uint64(most) {
		return 0, ErrLimit
	}
	return int(n), nil
}

// index reads a number below n.
func (d *decoder) index(n int) (int, error) {
	i, err := d.uvarint()
	if err != nil || i >= uint64(n) {
		return 0, ErrBlock
	}
	return int(i), nil
}

// bytes reads n of them.
func (d *decoder) bytes(n int) ([]byte, error) {
	if n > len(d.body) {
		return nil, ErrBlock
	}
	b := d.body[:n]
	d.body = d.body[n:]
	return b, nil
}

// column reads n values, depth containers deep.
func (d *decoder) column(n, depth int) ([]reading.Value, error) {
	if n == 0 {
		return nil, nil
	}
	if err := d.left.takeValues(n); err != nil {
		return nil, err
	}
	set, err := d.uvarint()
	if err != nil || set == 0 || set >= 1<<tags {
		return nil, ErrBlock
	}
	if bits.OnesCount64(set) == 1 {
		return d.tagged(tag(bits.TrailingZeros64(set)), n, depth)
	}
	all, err := d.bytes(n)
	if err != nil {
		return nil, err
	}
	var counts [tags]int
	for _, t := range all {
		if t >= tags || set&(1<<t) == 0 {
			return nil, ErrBlock
		}
		counts[t]++
	}
	var byTag [tags][]reading.Value
	for t := range tags {
		if counts[t] == 0 {
			continue
		}
		if byTag[t], err = d.tagged(t, counts[t], depth); err != nil {
			return nil, err
		}
	}
	values := make([]reading.Value, n)
	for i, t := range all {
		values[i], byTag[t] = byTag[t][0], byTag[t][1:]
	}
	return values, nil
}

// tagged reads n values of one tag.
func (d *decoder) tagged(t tag, n, depth int) ([]reading.Value, error) {
	switch t {
	case tagNull, tagFalse, tagTrue:
		return d.constant(t, n)
	case tagDecimal:
		return d.decimals(n)
	case tagNumber:
		return d.strings(n, d.texts, number)
	case tagText:
		return d.strings(n, d.texts, textValue)
	case tagTime:
		return d.times(n)
	case tagUUID:
		return d.strings(n, d.uuidTexts, textValue)
	}
	if depth == d.depth {
		return nil, ErrLimit
	}
	if t == tagArray {
		return d.arrays(n, depth+1)
	}
	return d.objects(n, depth+1)
}

func (d *decoder) arrays(n, depth int) ([]reading.Value, error) {
	lengths, err := d.ints(n)
	if err != nil {
		return nil, err
	}
	total := 0
	for _, length := range lengths {
		if length < 0 || length > int64(d.left.Values-total) {
			return nil, ErrLimit
		}
		total += int(length)
	}
	elements, err := d.column(total, depth)
	if err != nil {
		return nil, err
	}
	values := make([]reading.Value, n)
	for i, length := range lengths {
		values[i], elements = reading.ArrayValue(elements[:length:length]), elements[length:]
	}
	return values, nil
}

func (d *decoder) objects(n, depth int) ([]reading.Value, error) {
	names, err := d.names()
	if err != nil {
		return nil, err
	}
	shapes, err := d.shapes(n, names)
	if err != nil {
		return nil, err
	}
	shapeOf := make([]int, n)
	if len(shapes) > 1 {
		for i := range shapeOf {
			if shapeOf[i], err = d.index(len(shapes)); err != nil {
				return nil, err
			}
		}
	}

	counts, total := make([]int, len(names)), 0
	for _, s := range shapeOf {
		if err := d.left.takeText(shapes[s].text); err != nil {
			return nil, err
		}
		if total += len(shapes[s].numbers); total > d.left.Values {
			return nil, ErrLimit
		}
		for _, number := range shapes[s].numbers {
			counts[number]++
		}
	}
	columns := make([][]reading.Value, len(names))
	for number, count := range counts {
		if columns[number], err = d.column(count, depth); err != nil {
			return nil, err
		}
	}

	values, members := make([]reading.Value, n), make([]reading.Value, total)
	for i, s := range shapeOf {
		shape := shapes[s]
		k := len(shape.numbers)
		for j, number := range shape.numbers {
			members[j], columns[number] = columns[number][0], columns[number][1:]
		}
		values[i], members = reading.ObjectValue(shape.names, members[:k:k]), members[k:]
	}
	return values, nil
}

// names reads the names of a column's objects, which are distinct.
func (d *decoder) names() ([]string, error) {
	n, err := d.index(len(d.body) + 1)
	if err != nil {
		return nil, err
	}
	names, err := d.texts(n)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool, n)
	for _, name := range names {
		if seen[name] {
			return nil, ErrBlock
		}
		seen[name] = true
	}
	return names, nil
}

// A shape is which names an object has, in its order.
type shape struct {
	numbers []int // of the names
	names   []string
	text    int // bytes of the names
}

// shapes reads at least one shape and at most n.
func (d *decoder) shapes(n int, names []string) ([]shape, error) {
	count, err := d.index(n + 1)
	if err != nil || count == 0 || count > len(d.body) {
		return nil, ErrBlock
	}
	shapes, standsIn := make([]shape, count), make([]int, len(names))
	for i := range shapes {
		k, err := d.index(len(names) + 1)
		if err != nil || k > len(d.body) {
			return nil, ErrBlock
		}
		s := shape{numbers: make([]int, k), names: make([]string, k)}
		for j := range s.numbers {
			number, err := d.index(len(names))
			if err != nil || standsIn[number] == i+1 { // an object has a name once
				return nil, ErrBlock
			}
			standsIn[number] = i + 1
			s.numbers[j], s.names[j] = number, names[number]
			s.text += len(names[number])
		}
		shapes[i] = s
	}
	return shapes, nil
}

var decompressors = sync.Pool{New: func() any { return flate.NewReader(nil) }}

// inflate decompresses all of a body, to at most so many bytes.
func inflate(compressed []byte, most int) ([]byte, error) {
	in := bytes.NewReader(compressed)
	r := decompressors.Get().(io.ReadCloser)
	defer decompressors.Put(r)
	_ = r.(flate.Resetter).Reset(in, nil) // fails for no reader that has no dictionary
	var body bytes.Buffer
	n, err := io.Copy(&body, io.LimitReader(r, int64(most)+1))
	if err != nil {
		return nil, ErrBlock
	}
	if n > int64(most) {
		return nil, ErrLimit
	}
	if in.Len() > 0 {
		return nil, ErrBlock
	}
	return body.Bytes(), nil
}
