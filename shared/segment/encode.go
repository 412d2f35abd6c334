package segment

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"math/bits"
	"slices"
	"sync"
	"unicode/utf8"

	"fitvault/shared/reading"
)

const version1 = 1

// A tag says how a value is written; doc.go says what each is.
type tag = byte

const (
	tagNull tag = iota
	tagFalse
	tagTrue
	tagDecimal
	tagNumber
	tagText
	tagTime
	tagUUID
	tagArray
	tagObject
	tags // how many there are
)

// Encode packs documents into a block. The same documents give the same block,
// as long as Go's compressor stays as it is. It returns [ErrLimit] for more than
// [DefaultLimits] and [ErrValue] for what is no JSON; nothing else fails.
func Encode(points []reading.Value) ([]byte, error) {
	if len(points) > DefaultLimits.Documents {
		return nil, ErrLimit
	}
	e := encoder{left: DefaultLimits}
	documents := make([]*reading.Value, len(points))
	for i := range points {
		documents[i] = &points[i]
	}
	if err := e.column(documents, 0); err != nil {
		return nil, err
	}
	compressed := deflate(e.body)
	block := make([]byte, 0, 1+2*binary.MaxVarintLen32+len(compressed)+len(e.uuids))
	block = append(block, version1)
	block = binary.AppendUvarint(block, uint64(len(points)))
	block = binary.AppendUvarint(block, uint64(len(compressed)))
	block = append(block, compressed...)
	return append(block, e.uuids...), nil
}

type encoder struct {
	body  []byte
	uuids []byte
	left  Limits
}

func (e *encoder) uvarint(n int) { e.body = binary.AppendUvarint(e.body, uint64(n)) }

// column writes the values that stand at one path of the documents, depth
// containers deep.
func (e *encoder) column(values []*reading.Value, depth int) error {
	if len(values) == 0 {
		return nil
	}
	if err := e.left.takeValues(len(values)); err != nil {
		return err
	}
	g := groups{of: len(values), tags: make([]tag, 0, len(values))}
	for _, v := range values {
		if err := e.left.takeText(len(v.Text())); err != nil {
			return err
		}
		if err := g.add(v); err != nil {
			return err
		}
	}
	e.uvarint(int(g.set))
	if bits.OnesCount16(g.set) > 1 {
		e.body = append(e.body, g.tags...)
	}
	e.decimals(g.decimals)
	e.texts(e.distinct(g.numbers))
	e.texts(e.distinct(g.texts))
	e.times(g.times)
	for _, text := range e.distinct(g.uuids) {
		e.uuids, _ = parseUUID(e.uuids, text)
	}
	if len(g.arrays)+len(g.objects) > 0 && depth == DefaultLimits.Depth {
		return ErrLimit
	}
	if err := e.arrays(g.arrays, depth+1); err != nil {
		return err
	}
	return e.objects(g.objects, depth+1)
}

// groups are a column's values by their tags, taken apart where a tag asks for it.
type groups struct {
	of                    int // values
	set                   uint16
	tags                  []tag // of all values
	decimals              []decimal
	numbers, texts, uuids []string
	times                 []moment
	arrays, objects       []*reading.Value
}

func (g *groups) add(v *reading.Value) error {
	t := tagNull
	switch text := v.Text(); v.Kind() {
	case reading.Bool:
		if t = tagFalse; text == "true" {
			t = tagTrue
		}
	case reading.Number:
		if d, ok := parseDecimal(text); ok {
			t, g.decimals = tagDecimal, add(g.decimals, d, g.of)
			break
		}
		// Only the zero value that NumberValue returns with its error is not canonical.
		if same, err := reading.Canonical(text); err != nil || same != text {
			return ErrValue
		}
		t, g.numbers = tagNumber, add(g.numbers, text, g.of)
	case reading.String:
		if m, ok := parseMoment(text); ok {
			t, g.times = tagTime, add(g.times, m, g.of)
		} else if isUUID(text) {
			t, g.uuids = tagUUID, add(g.uuids, text, g.of)
		} else if utf8.ValidString(text) {
			t, g.texts = tagText, add(g.texts, text, g.of)
		} else {
			return ErrValue
		}
	case reading.Array:
		t, g.arrays = tagArray, add(g.arrays, v, g.of)
	case reading.Object:
		t, g.objects = tagObject, add(g.objects, v, g.of)
	}
	g.tags = append(g.tags, t)
	g.set |= 1 << t
	return nil
}

// add appends to a list of so many at the most. A column mostly has one tag, so
// that the list is made once, as large as it gets.
func add[T any](list []T, v T, most int) []T {
	if list == nil {
		list = make([]T, 0, most)
	}
	return append(list, v)
}

// ints writes integers as deltas.
func (e *encoder) ints(list []int64) {
	last := int64(0)
	for _, n := range list {
		delta := n - last // wraps, and wraps back in the decoder
		last = n
		e.body = binary.AppendUvarint(e.body, uint64(delta)<<1^uint64(delta>>63))
	}
}

func (e *encoder) decimals(list []decimal) {
	if len(list) == 0 {
		return
	}
	scale := 0
	for _, d := range list {
		scale = max(scale, d.scale)
	}
	units := make([]int64, len(list))
	for i, d := range list {
		units[i] = d.units * pow10[scale-d.scale]
	}
	e.uvarint(scale)
	e.ints(units)
}

func (e *encoder) times(list []moment) {
	if len(list) == 0 {
		return
	}
	scale := 0
	for _, m := range list {
		scale = max(scale, m.scale())
	}
	var parts [3][]int64
	for i := range parts {
		parts[i] = make([]int64, len(list))
	}
	for i, m := range list {
		parts[0][i], parts[1][i], parts[2][i] = m.scaled(scale), m.zone, m.digits
	}
	e.uvarint(scale)
	for _, part := range parts {
		e.ints(part)
	}
}

// distinct writes which of its distinct texts each of a list is, and returns
// these in the order of their first standing.
func (e *encoder) distinct(list []string) (first []string) {
	if len(list) == 0 {
		return nil
	}
	which, numbers := make([]int, len(list)), map[string]int{}
	for i, text := range list {
		if i > 0 && text == list[i-1] { // the common case, and cheaper than the map
			which[i] = which[i-1]
			continue
		}
		number, ok := numbers[text]
		if !ok {
			number = len(first)
			numbers[text] = number
			first = append(first, text)
		}
		which[i] = number
	}
	e.uvarint(len(first))
	if len(first) == 1 || len(first) == len(list) {
		return first
	}
	stood := 0
	for _, number := range which {
		e.uvarint(stood - number)
		if number == stood {
			stood++
		}
	}
	return first
}

// texts writes lengths, then bytes.
func (e *encoder) texts(list []string) {
	for _, s := range list {
		e.uvarint(len(s))
	}
	for _, s := range list {
		e.body = append(e.body, s...)
	}
}

func (e *encoder) arrays(values []*reading.Value, depth int) error {
	if len(values) == 0 {
		return nil
	}
	var (
		lengths  = make([]int64, len(values))
		elements []*reading.Value
	)
	for i, v := range values {
		list := v.List()
		if len(list) > e.left.Values-len(elements) {
			return ErrLimit
		}
		lengths[i] = int64(len(list))
		for j := range list {
			elements = append(elements, &list[j])
		}
	}
	e.ints(lengths)
	return e.column(elements, depth)
}

func (e *encoder) objects(values []*reading.Value, depth int) error {
	if len(values) == 0 {
		return nil
	}
	s := shapes{numbers: map[string]int{}, known: map[string]int{}}
	shapeOf := make([]int, len(values))
	var columns [][]*reading.Value // by number of the name
	for i, v := range values {
		if i > 0 && slices.Equal(v.Names(), values[i-1].Names()) {
			shapeOf[i] = shapeOf[i-1]
		} else {
			shape, err := s.add(v.Names())
			if err != nil {
				return err
			}
			shapeOf[i] = shape
			for len(columns) < len(s.names) {
				columns = append(columns, make([]*reading.Value, 0, len(values)))
			}
		}
		list := v.List()
		for j, number := range s.list[shapeOf[i]] {
			if err := e.left.takeText(len(s.names[number])); err != nil {
				return err
			}
			columns[number] = append(columns[number], &list[j])
		}
	}

	e.uvarint(len(s.names))
	e.texts(s.names)
	e.uvarint(len(s.list))
	for _, shape := range s.list {
		e.uvarint(len(shape))
		for _, number := range shape {
			e.uvarint(number)
		}
	}
	if len(s.list) > 1 {
		for _, shape := range shapeOf {
			e.uvarint(shape)
		}
	}
	for _, column := range columns {
		if err := e.column(column, depth); err != nil {
			return err
		}
	}
	return nil
}

// shapes are the distinct lists of names that a column's objects have.
type shapes struct {
	names   []string
	numbers map[string]int // of names
	addedBy []int          // by number of the name, which call of add met it last
	calls   int
	list    [][]int        // numbers of the names
	known   map[string]int // index in list, by its numbers written out
}

// add returns the index of a shape. Its cost is that of the names alone, however
// many they are.
func (s *shapes) add(names []string) (int, error) {
	s.calls++
	shape, key := make([]int, len(names)), []byte(nil)
	for j, name := range names {
		number, ok := s.numbers[name]
		if !ok {
			if !utf8.ValidString(name) {
				return 0, ErrValue
			}
			number = len(s.names)
			s.numbers[name] = number
			s.names, s.addedBy = append(s.names, name), append(s.addedBy, 0)
		}
		if s.addedBy[number] == s.calls {
			return 0, ErrValue
		}
		s.addedBy[number] = s.calls
		shape[j], key = number, binary.AppendUvarint(key, uint64(number))
	}
	index, ok := s.known[string(key)]
	if !ok {
		index = len(s.list)
		s.known[string(key)] = index
		s.list = append(s.list, shape)
	}
	return index, nil
}

// A compressor takes some hundred kilobytes; a container keeps its own.
var compressors = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, flate.DefaultCompression)
	if err != nil {
		panic("segment: the compressor's level is a constant")
	}
	return w
}}

func deflate(body []byte) []byte {
	w := compressors.Get().(*flate.Writer)
	defer compressors.Put(w)
	var out bytes.Buffer
	w.Reset(&out)
	_, _ = w.Write(body) // a bytes.Buffer takes everything
	_ = w.Close()
	return out.Bytes()
}
