package segment

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"slices"
	"sync/atomic"

	"fitvault/shared/reading"
)

const version2 = 2

// A class says how a column is written; doc.go says what each is.
type class = byte

const (
	classSame class = iota
	classTexts
	classDecimals
	classTimes
	classUUIDs
	classes // how many there are
)

// Encode packs documents into a block. The same documents give the same block,
// as long as Go's compressor stays as it is. It returns [ErrLimit] for more than
// [DefaultLimits] and [ErrValue] for what is no JSON; nothing else fails.
func Encode(points []reading.Value) ([]byte, error) {
	list := make([]Document, len(points))
	documents := make([]*Document, len(points))
	for i := range points {
		list[i].Whole = &points[i]
		documents[i] = &list[i]
	}
	return EncodeDocuments(documents)
}

// EncodeDocuments is Encode of documents that may have been taken apart already.
func EncodeDocuments(documents []*Document) ([]byte, error) {
	if len(documents) > DefaultLimits.Documents {
		return nil, ErrLimit
	}
	// Times need the most room: four integers each.
	e := encoder{left: DefaultLimits, known: map[string]int{}, scratch: make([]int64, 0, 4*len(documents))}
	if err := e.divide(documents); err != nil {
		return nil, err
	}
	if len(documents) > 0 {
		e.writeTables()
	}
	if len(e.text) > DefaultLimits.body() {
		return nil, ErrLimit
	}
	compressed := deflate(e.text)
	block := make([]byte, 0, 1+2*binary.MaxVarintLen32+len(compressed)+len(e.columns))
	block = append(block, version2)
	block = binary.AppendUvarint(block, uint64(len(documents)))
	block = binary.AppendUvarint(block, uint64(len(compressed)))
	block = append(block, compressed...)
	return append(block, e.columns...), nil
}

type encoder struct {
	left    Limits
	tables  []table
	known   map[string]int // index of the tables, by the text of their shape
	runs    []run
	text    []byte
	columns []byte
	scratch []int64
}

// A table is the documents of one shape.
type table struct {
	outline
	shape *Shape     // that has come last; nil for none
	n     int        // documents
	rows  [][]string // what stands in the holes of each
}

type run struct{ table, documents int }

// divide divides the documents into tables.
func (e *encoder) divide(documents []*Document) error {
	rows, of := make([][]string, len(documents)), make([]int, len(documents))
	whole := adder{free: func() bool { return true }}
	for i, d := range documents {
		at := -1
		if i > 0 {
			at = of[i-1]
		}
		switch rows[i] = d.Holes; {
		case d.Shape == nil:
			whole.reset()
			if err := whole.value(d.Whole, 0); err != nil {
				return err
			}
			rows[i] = slices.Clone(whole.holes)
			var ok bool
			if at, ok = e.known[string(whole.text)]; !ok {
				at = e.table(whole.outline())
			}
		case at < 0 || e.tables[at].shape != d.Shape:
			at = e.table(d.Shape.outline)
			e.tables[at].shape = d.Shape
		}
		if err := e.take(&e.tables[at], rows[i]); err != nil {
			return err
		}
		if i == 0 || at != of[i-1] {
			e.runs = append(e.runs, run{table: at})
		}
		e.runs[len(e.runs)-1].documents++
		of[i] = at
	}
	if len(e.tables) == 1 {
		e.tables[0].rows = rows
		return nil
	}
	for i, at := range of {
		e.tables[at].rows = append(e.tables[at].rows, rows[i])
	}
	return nil
}

// take counts a document of a table towards the limits.
func (e *encoder) take(t *table, row []string) error {
	if len(row) != len(t.numbers) {
		return ErrValue
	}
	length := t.bytes
	for _, text := range row {
		length += len(text)
	}
	if err := e.left.takeValues(t.values); err != nil {
		return err
	}
	t.n++
	return e.left.takeText(length)
}

// table is the index of the table of an outline.
func (e *encoder) table(o outline) int {
	at, ok := e.known[o.text]
	if !ok {
		at = len(e.tables)
		e.known[o.text] = at
		e.tables = append(e.tables, table{outline: o})
	}
	return at
}

// uvarint and write append to the text.
func (e *encoder) uvarint(n int) { e.text = binary.AppendUvarint(e.text, uint64(n)) }

func (e *encoder) write(s string) {
	e.uvarint(len(s))
	e.text = append(e.text, s...)
}

func (e *encoder) writeTables() {
	e.uvarint(len(e.tables))
	if len(e.tables) > 1 {
		for _, r := range e.runs {
			e.uvarint(r.table)
			e.uvarint(r.documents)
		}
	}
	for i := range e.tables {
		e.write(e.tables[i].text)
	}
	for i := range e.tables {
		t := &e.tables[i]
		for hole, number := range t.numbers {
			e.column(column{t.rows, hole}, number)
		}
	}
}

// A column is what stands in one hole of a table's documents.
type column struct {
	rows [][]string
	hole int
}

func (c column) at(i int) string { return c.rows[i][c.hole] }

func (e *encoder) column(c column, number bool) {
	switch {
	case c.same():
		e.columns = append(e.columns, classSame)
		e.write(c.at(0))
	case number && e.decimals(c):
	case !number && (e.times(c) || e.uuids(c)):
	default:
		e.columns = append(e.columns, classTexts)
		lengths := e.ints(len(c.rows))
		for i := range lengths {
			lengths[i] = int64(len(c.at(i)))
			e.text = append(e.text, c.at(i)...)
		}
		e.columns = appendInts(e.columns, lengths)
	}
}

func (c column) same() bool {
	for i := range c.rows {
		if c.at(i) != c.at(0) {
			return false
		}
	}
	return true
}

// ints is room for n integers, until it is asked for again.
func (e *encoder) ints(n int) []int64 {
	e.scratch = slices.Grow(e.scratch[:0], n)[:n]
	return e.scratch
}

// decimals, times and uuids write a column if all of it is theirs, or nothing.

func (e *encoder) decimals(c column) bool {
	n := len(c.rows)
	scratch := e.ints(2 * n)
	units, scales, scale := scratch[:n], scratch[n:], 0
	for i := range units {
		d, ok := parseDecimal(c.at(i))
		if !ok {
			return false
		}
		units[i], scales[i], scale = d.units, int64(d.scale), max(scale, d.scale)
	}
	for i := range units {
		units[i] *= pow10[scale-int(scales[i])]
	}
	e.columns = appendInts(append(e.columns, classDecimals, byte(scale)), units)
	return true
}

func (e *encoder) times(c column) bool {
	n := len(c.rows)
	scratch := e.ints(4 * n)
	seconds, nanos, zones, digits, scale := scratch[:n], scratch[n:2*n], scratch[2*n:3*n], scratch[3*n:], 0
	for i := range c.rows {
		m, ok := parseMoment(c.at(i))
		if !ok {
			return false
		}
		seconds[i], nanos[i], zones[i], digits[i], scale = m.seconds, m.nanos, m.zone, m.digits, max(scale, m.scale())
	}
	instants := seconds
	for i := range instants {
		instants[i] = moment{seconds: seconds[i], nanos: nanos[i]}.scaled(scale)
	}
	e.columns = append(e.columns, classTimes, byte(scale))
	for _, part := range [][]int64{instants, zones, digits} {
		e.columns = appendInts(e.columns, part)
	}
	return true
}

func (e *encoder) uuids(c column) bool {
	before := len(e.columns)
	if len(c.at(0)) != 36 {
		return false
	}
	e.columns = slices.Grow(e.columns, 1+16*len(c.rows))
	e.columns = append(e.columns, classUUIDs)
	for i := range c.rows {
		var ok bool
		if e.columns, ok = parseUUID(e.columns, c.at(i)); !ok {
			e.columns = e.columns[:before]
			return false
		}
	}
	return true
}

// Little text takes longer to be compressed well than it is worth.
const little = 1 << 10

var fast, thorough = compressors{level: flate.BestSpeed}, compressors{level: flate.DefaultCompression}

// compressors keeps one compressor for the next block: it takes some hundred
// kilobytes, and a function packs one block after another. A sync.Pool would lose
// it to the garbage collector, which runs after every few requests. Blocks that are
// packed at the same time make compressors of their own, which are not kept.
type compressors struct {
	level int
	kept  atomic.Pointer[flate.Writer]
}

func (c *compressors) take() *flate.Writer {
	if w := c.kept.Swap(nil); w != nil {
		return w
	}
	w, err := flate.NewWriter(nil, c.level)
	if err != nil {
		panic("segment: the compressor's level is a constant")
	}
	return w
}

func deflate(text []byte) []byte {
	c := &thorough
	if len(text) < little {
		c = &fast
	}
	w := c.take()
	defer c.kept.Store(w)
	var out bytes.Buffer
	w.Reset(&out)
	_, _ = w.Write(text) // a bytes.Buffer takes everything
	_ = w.Close()
	return out.Bytes()
}
