package openmhealth

import (
	"bytes"
	"math"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"fitvault/shared/reading"
	"fitvault/shared/segment"
)

const (
	maxLearned = 16 // shapes of one body
	manyMisses = 32 // records of no known shape, after which few shapes are tried
	fewShapes  = 8
)

// decodeByShape judges a body, comparing each record with the shapes of those that
// were accepted before; what is like none is parsed and judged. It returns false,
// and leaves the body to parse, where anything is out of the ordinary: a body that
// is not readable or has too many records, a series whose header is not good, one
// record of no known shape.
func decodeByShape(body []byte, owner string, limits Limits, shapes *shapes) (Batch, form, bool) {
	if len(body) > math.MaxInt32 {
		return Batch{}, single, false
	}
	d := shapeDecoder{body: body, text: string(body), owner: owner, limits: limits, shapes: shapes, header: headerJudge{owner: owner}}
	d.space()
	if !d.split() || d.space() < len(d.text) {
		return Batch{}, d.form, false
	}
	d.batch.Series = d.form == series
	d.batch.Results = make([]Result, 0, len(d.pieces))
	d.batch.Records = make([]Record, 0, len(d.pieces))
	for i := range d.pieces {
		d.judge(&d.pieces[i])
	}
	return d.batch, d.form, true
}

type shapeDecoder struct {
	body   []byte
	text   string // the same
	owner  string
	limits Limits
	shapes *shapes
	header headerJudge

	at         int // how far the text has been read
	form       form
	above      int      // containers around a record
	candidates []*shape // the one that matched last comes first
	misses     int
	learned    []*shape
	used       []*shape
	parsed     map[int32]record
	pieces     []piece
	holes      []string
	batch      Batch
	series     seriesHeader
	listEnd    int // where a series' list ends, and its header behind it; 0 where that comes first
	behind     int
}

// piece is one record: a match with a shape, or parsed.
type piece struct {
	before, start, end int32 // in the text; before is where the record before ended
	holes              int32 // where its leaves begin in the decoder's
	shape              int32 // in the decoder's used, or -1: it is in parsed, by start
}

// seriesHeader is the header of a series, which is good.
type seriesHeader struct {
	record
	id        string
	created   time.Time
	schema    Schema
	last      *shape
	documents map[*shape]*segment.Shape
	document  *segment.Shape // of last
}

// space skips white space and returns where the text goes on.
func (d *shapeDecoder) space() int {
	for d.at < len(d.text) && (d.text[d.at] == ' ' || d.text[d.at] == '\t' || d.text[d.at] == '\n' || d.text[d.at] == '\r') {
		d.at++
	}
	return d.at
}

// next takes one byte of punctuation, with the white space before it.
func (d *shapeDecoder) next(c byte) bool {
	if d.space() < len(d.text) && d.text[d.at] == c {
		d.at++
		return true
	}
	return false
}

// split reads the whole body into pieces.
func (d *shapeDecoder) split() bool {
	if d.next('[') {
		d.form, d.above = array, 1
		return d.list()
	}
	d.find()
	if p, ok := d.match(d.at, 0); ok {
		d.pieces, d.at = append(d.pieces, p), int(p.end)
		return true
	}
	if !d.readHeader() {
		return false
	}
	d.form, d.above = series, 2
	if !d.list() {
		return false
	}
	if d.behind > 0 {
		if d.at != d.listEnd {
			return false
		}
		d.at = d.behind
	}
	return d.next('}')
}

// find looks up the shapes that records of the body may have.
func (d *shapeDecoder) find() {
	d.candidates = nil
	for _, s := range d.shapes.all() {
		if d.mayHave(s) {
			d.candidates = append(d.candidates, s)
		}
	}
}

func (d *shapeDecoder) mayHave(s *shape) bool {
	wanted := s.part == wholePoint
	if d.form == series {
		wanted = s.part == bodyInSeries && s.schema == d.series.schema
	}
	return wanted && d.above+s.depth <= d.limits.Depth
}

// readHeader reads a series as far as into its list, if its header is good. A list
// that stands before the header is read twice.
func (d *shapeDecoder) readHeader() bool {
	dec := jsontext.NewDecoder(bytes.NewBuffer(d.body[d.at:]))
	name := func() string {
		token, err := dec.ReadToken()
		if err != nil || token.Kind() != jsontext.KindString {
			return ""
		}
		return token.String()
	}
	if token, err := dec.ReadToken(); err != nil || token.Kind() != jsontext.KindBeginObject {
		return false
	}
	first := name()
	begin := d.at // of what is in the list
	if first == "body" && dec.PeekKind() == jsontext.KindBeginArray {
		list, err := dec.ReadValue()
		if err != nil {
			return false
		}
		d.listEnd = d.at + int(dec.InputOffset())
		begin = d.listEnd - len(list) + 1
		first = name()
	}
	if first != "header" {
		return false
	}
	named := d.at + int(dec.InputOffset())
	header, err := parseRecord(dec, d.limits, "")
	text := d.text[named : d.at+int(dec.InputOffset())]
	if err != nil || header.oversize || header.number != nil || header.size > maxShared {
		return false
	}
	if d.listEnd > 0 {
		d.behind = d.at + int(dec.InputOffset())
	} else {
		if name() != "body" {
			return false
		}
		if token, err := dec.ReadToken(); err != nil || token.Kind() != jsontext.KindBeginArray {
			return false
		}
		begin = d.at + int(dec.InputOffset())
	}
	d.at = begin
	alone := reading.ObjectValue([]string{"header", "body"}, []reading.Value{header.point, reading.ObjectValue(nil, nil)})
	if checkEnvelope(alone) != nil || !d.goodHeader(text[strings.IndexByte(text, '{'):], alone) {
		return false
	}
	r, err := reading.FromPoint(alone)
	if err != nil {
		return false
	}
	d.series = seriesHeader{record: header, id: r.ID, created: r.Start.UTC(), schema: Schema{r.Type, r.Version}, documents: map[*shape]*segment.Shape{}}
	d.batch.Shared = textSize(header.point)
	return true
}

// goodHeader judges the header of a series, whose text it is.
func (d *shapeDecoder) goodHeader(text string, point reading.Value) bool {
	for _, s := range d.shapes.all() {
		if s.part != headerOfSeries {
			continue
		}
		if n, _, ok := s.match(text, d.owner, nil); ok && n == len(text) {
			d.header.judged = true
			return true
		}
	}
	if d.header.check(record{point: point, shared: true}) != nil {
		return false
	}
	if s := learn(text, point, headerOfSeries); s != nil {
		d.shapes.add(s)
	}
	return true
}

// list reads the elements of an array, and its end.
func (d *shapeDecoder) list() bool {
	d.find()
	before := d.at
	for {
		if len(d.pieces) == d.limits.Records {
			return false
		}
		p, ok := d.match(d.space(), before)
		if !ok {
			if p, ok = d.parse(d.at, before); !ok {
				return false
			}
		}
		d.at = int(p.end)
		if d.pieces == nil { // the others are about as long
			d.pieces = make([]piece, 0, min(d.limits.Records, 1+len(d.text)/(d.at-before)))
		}
		d.pieces, before = append(d.pieces, p), d.at
		if d.next(']') {
			return true
		}
		if !d.next(',') {
			return false
		}
	}
}

// match reads the record that begins at start, if it has a known shape.
func (d *shapeDecoder) match(start, before int) (piece, bool) {
	candidates := d.candidates
	if d.misses > manyMisses {
		candidates = candidates[:min(len(candidates), fewShapes)]
	}
	for i, s := range candidates {
		if p, ok := d.matchOne(s, start, before); ok {
			if i > 0 {
				copy(candidates[1:], candidates[:i])
				candidates[0] = s
			}
			return p, true
		}
	}
	d.misses++
	return piece{}, false
}

func (d *shapeDecoder) matchOne(s *shape, start, before int) (piece, bool) {
	if d.holes == nil {
		d.holes = make([]string, 0, len(d.text)/50+8) // a leaf takes about as much, with its name
	}
	from := len(d.holes)
	n, holes, ok := s.match(d.text[start:], d.owner, d.holes)
	if !ok || start+n-before+int(d.series.size) > d.limits.RecordBytes {
		d.holes = holes[:from]
		return piece{}, false
	}
	d.holes = holes
	if last := len(d.used) - 1; last < 0 || d.used[last] != s {
		d.used = append(d.used, s)
	}
	return piece{start: int32(start), end: int32(start + n), before: int32(before), shape: int32(len(d.used) - 1), holes: int32(from)}, true
}

// parse reads the record that begins at start.
func (d *shapeDecoder) parse(start, before int) (piece, bool) {
	limits := d.limits
	limits.Depth -= d.above
	dec := jsontext.NewDecoder(bytes.NewBuffer(d.body[start:]))
	r, err := parseRecord(dec, limits, "")
	if err != nil {
		return piece{}, false
	}
	end := start + int(dec.InputOffset())
	r.size = int64(end - before)
	r.oversize = r.oversize || r.size > int64(limits.RecordBytes)
	if d.parsed == nil {
		d.parsed = map[int32]record{}
	}
	d.parsed[int32(start)] = r
	return piece{start: int32(start), end: int32(end), before: int32(before), shape: -1}, true
}

// judge judges a piece and adds it to the batch.
func (d *shapeDecoder) judge(p *piece) {
	if p.shape < 0 { // the shape of one before it may have been learned since
		for _, s := range d.learned {
			if again, ok := d.matchOne(s, int(p.start), int(p.before)); ok && again.end == p.end {
				p = &again
				break
			}
		}
	}
	if p.shape >= 0 {
		n := len(d.batch.Records)
		d.batch.Records = append(d.batch.Records, Record{}) // filled in its place: copies cost as much as the rest
		if r := &d.batch.Records[n]; d.record(p, r) {
			d.batch.Results = append(d.batch.Results, Result{Index: len(d.batch.Results), Accepted: true, ID: r.ID})
			return
		}
		d.batch.Records = d.batch.Records[:n]
		again, _ := d.parse(int(p.start), int(p.before)) // what has a shape is JSON
		p = &again
	}
	r := d.parsed[p.start]
	if d.form == series {
		names, values := []string{"header", "body"}, []reading.Value{d.series.point, r.point}
		r = d.series.with(r, names, values, d.limits)
	}
	accepted, failed := judge(r, &d.header)
	if failed == nil {
		if learned, ok := d.learn(p, accepted.Point); ok {
			d.batch.accept(learned)
			return
		}
	}
	d.batch.add(r, accepted, failed)
}

// learn remembers the shape of an accepted piece, and returns the record that is
// made by it.
func (d *shapeDecoder) learn(p *piece, point reading.Value) (Record, bool) {
	if len(d.learned) == maxLearned {
		return Record{}, false
	}
	part := wholePoint
	if d.form == series {
		part = bodyInSeries
	}
	s := learn(d.text[p.start:p.end], point, part)
	if s == nil {
		return Record{}, false
	}
	match, ok := d.matchOne(s, int(p.start), int(p.before))
	if !ok || match.end != p.end {
		return Record{}, false
	}
	var r Record
	if !d.record(&match, &r) || !r.Point.Value().Equal(point) {
		return Record{}, false
	}
	d.shapes.add(s)
	d.learned = append(d.learned, s)
	return r, true
}

// record makes r the record of a piece that has a shape; false where the rules on
// times refuse it.
func (d *shapeDecoder) record(p *piece, r *Record) (ok bool) {
	s := d.used[p.shape]
	from, to := int(p.holes), int(p.holes)+len(s.leaves)
	holes := d.holes[from:to:to]
	r.Size = int(p.end - p.start)
	r.Point.Shape, r.Point.Holes = s.document, holes
	if d.form == series {
		r.ID, r.Start = d.series.id, d.series.created
		r.Point.Shape = d.series.of(s)
	} else {
		r.ID = holes[s.id]
	}
	switch {
	case r.Point.Shape == nil:
		return false
	case s.start == startOther:
		whole, err := r.Reading()
		r.Start = whole.Start.UTC()
		return err == nil
	case s.start == startCreated && d.form == series:
		return true
	}
	r.Start, ok = s.begin(holes)
	return ok
}

// of is the shape of the data points that the header and bodies of a shape make.
func (h *seriesHeader) of(s *shape) *segment.Shape {
	if h.last == s {
		return h.document
	}
	document, ok := h.documents[s]
	if !ok {
		document, _ = s.document.With("header", h.point) // nil: what is accepted is within segment's limits, or is parsed
		h.documents[s] = document
	}
	h.last, h.document = s, document
	return document
}
