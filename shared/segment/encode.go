package segment

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"slices"
	"sync"

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
	documents := make([]Document, len(points))
	for i, p := range points {
		documents[i].Whole = p
	}
	return EncodeDocuments(documents)
}

// EncodeDocuments is Encode of documents that may have been taken apart already.
func EncodeDocuments(documents []Document) ([]byte, error) {
	if len(documents) > DefaultLimits.Documents {
		return nil, ErrLimit
	}
	e := encoder{left: DefaultLimits, known: map[string]int{}, last: -1}
	for i := range documents {
		if err := e.document(&documents[i]); err != nil {
			return nil, err
		}
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
	last    int            // table of the document before
	runs    []run
	holes   []string // of one document
	text    []byte
	columns []byte
}

// A table is the documents of one shape.
type table struct {
	outline
	shape     *Shape // that has come last; nil for none
	documents int
	holes     []string // of one document after the other
}

type run struct{ table, documents int }

// document adds a document to its table.
func (e *encoder) document(d *Document) error {
	at, holes := e.last, d.Holes
	switch {
	case d.Shape == nil:
		var o outline
		var err error
		if holes, err = o.add(e.holes[:0], d.Whole, 0, func() bool { return true }); err != nil {
			return err
		}
		e.holes = holes
		at = e.table(o)
	case at < 0 || e.tables[at].shape != d.Shape:
		at = e.table(d.Shape.outline)
		e.tables[at].shape = d.Shape
	}
	t := &e.tables[at]
	if len(holes) != len(t.numbers) {
		return ErrValue
	}
	length := t.bytes
	for _, text := range holes {
		length += len(text)
	}
	if err := e.left.takeValues(t.values); err != nil {
		return err
	}
	if err := e.left.takeText(length); err != nil {
		return err
	}
	t.holes = append(t.holes, holes...)
	t.documents++
	if at != e.last {
		e.runs = append(e.runs, run{table: at})
	}
	e.runs[len(e.runs)-1].documents++
	e.last = at
	return nil
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
			c := column{list: t.holes[hole:], stride: len(t.numbers), n: t.documents}
			e.column(c, number)
		}
	}
}

// A column is what stands in one hole of a table's documents.
type column struct {
	list   []string
	stride int // from one value in list to the next
	n      int
}

func (c column) at(i int) string { return c.list[i*c.stride] }

func (e *encoder) column(c column, number bool) {
	switch {
	case c.same():
		e.columns = append(e.columns, classSame)
		e.write(c.at(0))
	case number && e.decimals(c):
	case !number && (e.times(c) || e.uuids(c)):
	default:
		e.columns = append(e.columns, classTexts)
		lengths := make([]int64, c.n)
		for i := range lengths {
			lengths[i] = int64(len(c.at(i)))
			e.text = append(e.text, c.at(i)...)
		}
		e.columns = appendInts(e.columns, lengths)
	}
}

func (c column) same() bool {
	for i := 1; i < c.n; i++ {
		if c.at(i) != c.at(0) {
			return false
		}
	}
	return true
}

// decimals, times and uuids write a column if all of it is theirs, or nothing.

func (e *encoder) decimals(c column) bool {
	scale := 0
	units, scales := make([]int64, c.n), make([]uint8, c.n)
	for i := range units {
		d, ok := parseDecimal(c.at(i))
		if !ok {
			return false
		}
		units[i], scales[i], scale = d.units, uint8(d.scale), max(scale, d.scale)
	}
	for i := range units {
		units[i] *= pow10[scale-int(scales[i])]
	}
	e.columns = appendInts(append(e.columns, classDecimals, byte(scale)), units)
	return true
}

func (e *encoder) times(c column) bool {
	if _, ok := parseMoment(c.at(0)); !ok {
		return false
	}
	scale, moments := 0, make([]moment, c.n)
	for i := range moments {
		m, ok := parseMoment(c.at(i))
		if !ok {
			return false
		}
		moments[i], scale = m, max(scale, m.scale())
	}
	parts := make([]int64, 3*c.n)
	instants, zones, digits := parts[:c.n], parts[c.n:2*c.n], parts[2*c.n:]
	for i := range moments {
		instants[i], zones[i], digits[i] = moments[i].scaled(scale), moments[i].zone, moments[i].digits
	}
	e.columns = append(e.columns, classTimes, byte(scale))
	for _, part := range [][]int64{instants, zones, digits} {
		e.columns = appendInts(e.columns, part)
	}
	return true
}

func (e *encoder) uuids(c column) bool {
	before := len(e.columns)
	e.columns = slices.Grow(e.columns, 1+16*c.n)
	e.columns = append(e.columns, classUUIDs)
	for i := range c.n {
		var ok bool
		if e.columns, ok = parseUUID(e.columns, c.at(i)); !ok {
			e.columns = e.columns[:before]
			return false
		}
	}
	return true
}

// Little text takes longer to be compressed well than it is worth; and a
// compressor takes some hundred kilobytes, so a container keeps its own.
const little = 1 << 10

var fast, thorough = compressors(flate.BestSpeed), compressors(flate.DefaultCompression)

func compressors(level int) *sync.Pool {
	return &sync.Pool{New: func() any {
		w, err := flate.NewWriter(nil, level)
		if err != nil {
			panic("segment: the compressor's level is a constant")
		}
		return w
	}}
}

func deflate(text []byte) []byte {
	pool := thorough
	if len(text) < little {
		pool = fast
	}
	w := pool.Get().(*flate.Writer)
	defer pool.Put(w)
	var out bytes.Buffer
	w.Reset(&out)
	_, _ = w.Write(text) // a bytes.Buffer takes everything
	_ = w.Close()
	return out.Bytes()
}
