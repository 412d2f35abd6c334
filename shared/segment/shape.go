package segment

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"fitvault/shared/reading"
	"fitvault/shared/redact"
)

// Document is one to pack: whole, or as a shape and what stands in its holes.
type Document struct {
	redact.Mark
	Whole *reading.Value // where Shape is nil
	Shape *Shape
	Holes []string // canonical numbers, and strings, in the order of the shape's holes
}

// Value is the document, whole.
func (d Document) Value() reading.Value {
	if d.Shape == nil {
		return *d.Whole
	}
	shape := d.Shape.parsed()
	values := make([]reading.Value, len(d.Holes))
	for i, text := range d.Holes {
		values[i] = reading.StringValue(text)
		if shape.numbers[i] {
			values[i], _ = reading.NumberValue(text) // canonical by contract
		}
	}
	filled := filler{holes: values, members: make([]reading.Value, shape.members)}
	return filled.value(shape.root)
}

// Shape is what documents have in common: a document with holes for numbers and
// strings. It is safe for concurrent use.
type Shape struct {
	redact.Mark
	outline
	parsed func() parsedShape
}

// NewShape makes a shape of a document: free says of each number and string, in
// the order of the document's text, whether it is a hole. Errors are Encode's.
func NewShape(v reading.Value, free func(i int) bool) (*Shape, error) {
	i := -1
	a := adder{free: func() bool { i++; return free(i) }}
	if err := a.value(&v, 0); err != nil {
		return nil, err
	}
	return a.outline().shape(), nil
}

// shape is the shape of an outline, which is parsed when it is needed: who packs
// does not need it.
func (o outline) shape() *Shape {
	return &Shape{outline: o, parsed: sync.OnceValue(func() parsedShape {
		left := Limits{Values: o.values, Text: o.bytes}
		p, err := parseShape(o.text, 1, DefaultLimits.Depth, &left)
		if err != nil || len(p.numbers) != len(o.numbers) {
			panic("segment: an outline is a shape")
		}
		return p
	})}
}

// With returns a shape of objects that have member name before those of s, with
// the same value in each. s must be of objects without such a member.
func (s *Shape) With(name string, v reading.Value) (*Shape, error) {
	a, object := adder{free: func() bool { return false }}, reading.ObjectValue([]string{name}, []reading.Value{v})
	if err := a.value(&object, 0); err != nil {
		return nil, err
	}
	return outline{
		text:    string(a.text[:len(a.text)-1]) + "," + s.text[1:],
		numbers: s.numbers,
		values:  a.values + s.values - 1, // one object
		bytes:   a.bytes + s.bytes,
	}.shape(), nil
}

// outline is a shape as it is written.
type outline struct {
	text    string
	numbers []bool // of the holes, which are for numbers
	values  int    // of every kind in a document
	bytes   int    // of names and text of a document, without its holes
}

const (
	numberHole = "#0"
	textHole   = "#1"
	mark       = "#" // before a string that begins with it
)

// adder takes a document apart: into its outline, and what stands in its holes.
type adder struct {
	free          func() bool // says of each number and string whether it is a hole
	text          []byte
	holes         []string
	numbers       []bool
	values, bytes int
}

func (a *adder) outline() outline {
	return outline{string(a.text), slices.Clone(a.numbers), a.values, a.bytes}
}

// reset makes room for the next document.
func (a *adder) reset() {
	*a = adder{free: a.free, text: a.text[:0], holes: a.holes[:0], numbers: a.numbers[:0]}
}

func (a *adder) value(v *reading.Value, depth int) error {
	a.values++
	switch v.Kind() {
	case reading.Number, reading.String:
		return a.leaf(v)
	case reading.Array, reading.Object:
		if depth == DefaultLimits.Depth {
			return ErrLimit
		}
		return a.container(v, depth+1)
	}
	a.bytes += len(v.Text())
	a.text = v.AppendJSON(a.text)
	return nil
}

func (a *adder) leaf(v *reading.Value) error {
	text, number := v.Text(), v.Kind() == reading.Number
	if number {
		// Only the zero value that NumberValue returns with its error is not canonical.
		if text == "" {
			return ErrValue
		}
	} else if !utf8.ValidString(text) {
		return ErrValue
	}
	if a.free() {
		a.holes, a.numbers = append(a.holes, text), append(a.numbers, number)
		text = textHole
		if number {
			text = numberHole
		}
		a.text = append(append(append(a.text, '"'), text...), '"')
		return nil
	}
	a.bytes += len(text)
	if strings.HasPrefix(text, mark) && !number {
		marked := reading.StringValue(mark + text)
		v = &marked
	}
	a.text = v.AppendJSON(a.text)
	return nil
}

func (a *adder) container(v *reading.Value, depth int) error {
	open, end := byte('['), byte(']')
	names := v.Names()
	if v.Kind() == reading.Object {
		open, end = '{', '}'
		if twice(names) {
			return ErrValue
		}
	}
	a.text = append(a.text, open)
	list := v.List()
	for i := range list {
		if i > 0 {
			a.text = append(a.text, ',')
		}
		if names != nil {
			if !utf8.ValidString(names[i]) {
				return ErrValue
			}
			a.bytes += len(names[i])
			a.text = append(reading.StringValue(names[i]).AppendJSON(a.text), ':')
		}
		if err := a.value(&list[i], depth); err != nil {
			return err
		}
	}
	a.text = append(a.text, end)
	return nil
}

// twice says whether a name stands twice.
func twice(names []string) bool {
	if len(names) > 16 {
		seen := make(map[string]bool, len(names))
		for _, name := range names {
			if seen[name] {
				return true
			}
			seen[name] = true
		}
		return false
	}
	for i, name := range names {
		for _, other := range names[:i] {
			if name == other {
				return true
			}
		}
	}
	return false
}

// A node is a value of a shape: a hole, a value without holes, or a container
// that has some.
type node struct {
	hole  int // number of the hole, -1 for none
	value reading.Value
	names []string
	list  []node // nil where value is whole
}

// A parsedShape is a shape as documents are made of it.
type parsedShape struct {
	outline
	root    *node
	members int // of the containers with holes
}

// parseShape reads a shape's text, for so many documents, whose values and text
// it takes from left before it makes them.
func parseShape(text string, documents, depth int, left *Limits) (parsedShape, error) {
	p := shapeParser{dec: jsontext.NewDecoder(bytes.NewBufferString(text)), parsedShape: parsedShape{outline: outline{text: text}}, documents: documents, depth: depth, left: left}
	n, err := p.node()
	if err == nil {
		if _, end := p.dec.ReadToken(); end != io.EOF {
			err = ErrBlock
		}
	}
	if err != nil {
		if !errors.Is(err, ErrLimit) {
			err = ErrBlock
		}
		return parsedShape{}, err
	}
	p.root = &n
	return p.parsedShape, nil
}

type shapeParser struct {
	parsedShape
	dec              *jsontext.Decoder
	documents, depth int
	left             *Limits
}

func (p *shapeParser) take(text string) error {
	p.bytes += len(text)
	return p.left.takeText(len(text) * p.documents)
}

func (p *shapeParser) node() (node, error) {
	token, err := p.dec.ReadToken()
	if err != nil {
		return node{}, err
	}
	p.values++
	if err := p.left.takeValues(p.documents); err != nil {
		return node{}, err
	}
	n := node{hole: -1}
	switch token.Kind() {
	case jsontext.KindNull:
		n.value = reading.NullValue()
	case jsontext.KindTrue, jsontext.KindFalse:
		n.value = reading.BoolValue(token.Bool())
	case jsontext.KindNumber:
		if n.value, err = number(token.String()); err != nil {
			return n, err
		}
	case jsontext.KindString:
		return p.text(token.String())
	default:
		return p.container(token.Kind())
	}
	return n, p.take(n.value.Text())
}

func (p *shapeParser) text(text string) (node, error) {
	if rest, marked := strings.CutPrefix(text, mark); marked {
		if text == numberHole || text == textHole {
			p.numbers = append(p.numbers, text == numberHole)
			return node{hole: len(p.numbers) - 1}, nil
		}
		if !strings.HasPrefix(rest, mark) {
			return node{}, ErrBlock
		}
		text = rest
	}
	return node{hole: -1, value: reading.StringValue(text)}, p.take(text)
}

func (p *shapeParser) container(kind jsontext.Kind) (node, error) {
	if p.dec.StackDepth() > p.depth {
		return node{}, ErrLimit
	}
	n := node{hole: -1}
	object := kind == jsontext.KindBeginObject
	holes := len(p.numbers)
	var values []reading.Value
	for k := p.dec.PeekKind(); k != jsontext.KindEndObject && k != jsontext.KindEndArray; k = p.dec.PeekKind() {
		if object {
			name, err := p.dec.ReadToken()
			if err != nil {
				return n, err
			}
			n.names = append(n.names, name.String())
			if err := p.take(name.String()); err != nil {
				return n, err
			}
		}
		child, err := p.node()
		if err != nil {
			return n, err
		}
		n.list, values = append(n.list, child), append(values, child.value)
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return n, err
	}
	if holes < len(p.numbers) {
		p.members += len(n.list)
		return n, nil
	}
	n.value, n.list = reading.ArrayValue(values), nil
	if object {
		n.value = reading.ObjectValue(n.names, values)
	}
	return n, nil
}

// filler makes documents of a shape: of the values for its holes, and of room for
// the members of its containers.
type filler struct {
	holes, members []reading.Value
}

func (f *filler) value(n *node) reading.Value {
	if n.hole >= 0 {
		return f.holes[n.hole]
	}
	if n.list == nil {
		return n.value
	}
	k := len(n.list)
	list := f.members[:k:k]
	f.members = f.members[k:]
	for i := range n.list {
		list[i] = f.value(&n.list[i])
	}
	if n.names != nil {
		return reading.ObjectValue(n.names, list)
	}
	return reading.ArrayValue(list)
}
