package strictxml

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"slices"
	"strconv"

	"fitvault/shared/fault"
)

// stream is a document on its way to the validator.
type stream struct {
	format    Format
	schema    *Schema
	source    *source
	scanner   *Scanner
	collector Collector
	plain     bool // leave out what the collector knows to be valid
	repair    *repairer

	stack   []Place
	text    []byte
	out     []byte // on its way
	at      int    // of out, where the validator goes on
	broken  error  // the collector's first complaint; the schemas' come first
	skipped bool   // something plain was left out
	failed  error

	// For a stream that says where complaints stand.
	complaints   []complaint
	places       []level
	line, column int
	items        []fault.Item
}

func newStream(f Format, open Open, limits Limits, lenient bool, c Collector) *stream {
	s := &stream{format: f, schema: f.Schema(), source: newSource(open(), limits.Bytes), collector: c, stack: []Place{Root}, line: 1}
	s.scanner = NewScanner(s.source, limits)
	if lenient {
		s.repair = newRepairer(f, s.scanner, s.emit, s.visit)
	}
	return s
}

// validate returns what the validator complains of.
func (s *stream) validate(most int) ([]complaint, error) {
	found, err := s.schema.complaints(s, s.scanner.limits, most)
	switch {
	case s.source.failed != nil:
		return nil, s.source.failed
	case s.failed != nil && !errors.Is(s.failed, io.EOF):
		return nil, s.failed
	case err == nil && len(found) == 0 && (s.scanner.Lost() || s.scanner.Depth() > 0):
		return nil, errNotWellFormed
	}
	return found, err
}

// drain reads to the end without a validator.
func (s *stream) drain() error {
	for s.failed == nil {
		s.out = s.out[:0]
		s.failed = s.step()
	}
	switch {
	case s.source.failed != nil:
		return s.source.failed
	case !errors.Is(s.failed, io.EOF):
		return s.failed
	case s.scanner.Lost():
		return errNotWellFormed
	}
	s.place(len(s.complaints))
	return nil
}

// Read gives the validator the document.
func (s *stream) Read(p []byte) (int, error) {
	for s.at == len(s.out) {
		if s.failed != nil {
			return 0, s.failed
		}
		s.out, s.at = s.out[:0], 0
		for s.failed == nil && len(s.out) < len(p) {
			s.failed = s.step()
		}
	}
	n := copy(p, s.out[s.at:])
	s.at += n
	return n, nil
}

// step takes what comes next.
func (s *stream) step() error {
	if s.plain && s.scanner.between() && (s.repair == nil || s.repair.idle()) {
		n, err := s.collector.Plain(s.stack[len(s.stack)-1], s.scanner)
		if err != nil {
			return err
		}
		if n > 0 {
			s.scanner.Skip(n)
			s.skipped = true
			return nil
		}
	}
	t, err := s.scanner.Next()
	if err != nil {
		return err
	}
	if s.repair != nil {
		return s.repair.token(t)
	}
	return s.emit(t)
}

// emit shows a token to the collector and passes it on.
func (s *stream) emit(t *Token) error {
	raw := t.Raw
	if t.Kind == Start {
		var err error
		if raw, err = s.schema.hintless(t); err != nil {
			return err
		}
		s.enter(t)
	}
	if err := s.visit(t); err != nil {
		return err
	}
	s.out = append(s.out, raw...)
	s.locate(t)
	return nil
}

// visit shows a token to the collector.
func (s *stream) visit(t *Token) (err error) {
	switch t.Kind {
	case Start:
		here := s.format.Steps[Step{s.stack[len(s.stack)-1], t.Name}]
		s.stack, s.text = append(s.stack, here), s.text[:0]
		if here != Elsewhere {
			err = s.note(s.collector.Start(here, t))
		}
	case Text, CDATA:
		s.keep(t)
	case End:
		here := s.stack[len(s.stack)-1]
		s.stack = s.stack[:len(s.stack)-1]
		if here != Elsewhere {
			err = s.note(s.collector.End(here, s.text))
		}
	}
	return err
}

// keep gathers the text of the places that have some.
func (s *stream) keep(t *Token) {
	if here := s.stack[len(s.stack)-1]; here < s.format.Text {
		return
	}
	if t.Kind == CDATA {
		s.text = append(s.text, bytes.TrimSuffix(t.Raw[len("<![CDATA["):], []byte("]]>"))...)
		return
	}
	s.text, _ = Unescape(s.text, t.Raw) // the validator refuses what this cannot read
}

// note keeps a broken rule for the end; any other error ends the stream.
func (s *stream) note(err error) error {
	if fault.KindOf(err) != fault.Invalid || err == nil {
		return err
	}
	if s.broken == nil {
		if len(s.places) > 0 {
			broken := fault.Error{Kind: fault.Invalid, Text: err.Error(), Items: slices.Clone(fault.ItemsOf(err))}
			for i := range broken.Items {
				broken.Items[i].Pointer = s.places[len(s.places)-1].pointer
			}
			err = &broken
		}
		s.broken = err
	}
	return nil
}

// level is an open element: its name in the pointer, "" if no schema declares
// it, and how many of each repeatable child it has had.
type level struct {
	pointer string
	known   bool
	seen    map[Name]int
}

func (l *level) child(names map[Name]bool, name Name) level {
	repeats, ok := names[name]
	if !l.known || !ok {
		return level{pointer: l.pointer}
	}
	pointer := l.pointer + "/" + name.Local
	if repeats {
		if l.seen == nil {
			l.seen = map[Name]int{}
		}
		pointer += "/" + strconv.Itoa(l.seen[name])
		l.seen[name]++
	}
	return level{pointer: pointer, known: true}
}

func (s *stream) enter(t *Token) {
	if len(s.places) > 0 {
		s.places = append(s.places, s.places[len(s.places)-1].child(s.schema.names, t.Name))
	}
}

// locate turns complaints up to the end of a token into items: JSON pointers
// made of the schemas' element names and of positions (of a repeatable element
// among its like, from 0). A pointer ends before the first element that the
// schemas do not name.
func (s *stream) locate(t *Token) {
	if len(s.places) == 0 {
		return
	}
	if n := bytes.Count(t.Raw, []byte("\n")); n > 0 {
		s.line += n
		s.column = len(t.Raw) - bytes.LastIndexByte(t.Raw, '\n') - 1
	} else if !bytes.Equal(t.Raw, mark) {
		s.column += len(t.Raw)
	}
	passed := 0
	for passed < len(s.complaints) && s.complaints[passed].before(s.line, s.column) {
		passed++
	}
	s.place(passed)
	if t.Kind == End {
		s.places = s.places[:len(s.places)-1]
	}
}

// place says that the first n complaints stand here.
func (s *stream) place(n int) {
	for _, c := range s.complaints[:n] {
		s.items = append(s.items, fault.Item{Pointer: s.places[len(s.places)-1].pointer, Rule: c.rule})
	}
	s.complaints = s.complaints[n:]
}

func (c complaint) before(line, column int) bool {
	return c.line < line || c.line == line && c.column < column
}

func inOrder(list []complaint) []complaint {
	slices.SortStableFunc(list, func(a, b complaint) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column))
	})
	return list
}
