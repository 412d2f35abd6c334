package strictxml

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"fitvault/shared/fault"
)

// Kind is what a token is.
type Kind uint8

const (
	Start Kind = iota // a start tag; an empty-element tag gives Start and End
	End               // an end tag
	Text              // characters between markup, as they stand
	CDATA             // a CDATA section, with its markup
	Other             // comment, processing instruction, XML declaration; or what only the validator judges
)

// Name is an expanded name (Namespaces in XML 1.0, 2.1).
type Name struct{ Space, Local string }

// Attr is an attribute of a start tag. A namespace declaration has the space Xmlns.
type Attr struct {
	Name  Name
	Value []byte // between the quotes, as it stands
	from  int    // where it begins in the tag
	to    int    // behind its closing quote
}

// Xmlns is the space of namespace declarations.
const Xmlns = "http://www.w3.org/2000/xmlns/"

// Token is one piece of a document. Its slices are good until the next call of Next.
type Token struct {
	Kind  Kind
	Raw   []byte // the bytes; none for the End of an empty-element tag
	Name  Name   // of Start and End
	Empty bool   // Start: it is an empty-element tag
	Attrs []Attr // of Start
}

// Attribute is the value of an attribute without a namespace, as it stands; "" if absent.
func (t *Token) Attribute(local string) []byte {
	for _, a := range t.Attrs {
		if a.Name.Space == "" && a.Name.Local == local {
			return a.Value
		}
	}
	return nil
}

// Scanner cuts a document into tokens. It reads what is well-formed right, and
// leaves it to the validator to find what is not; but what the validator lets
// pass although it is not well-formed, the scanner refuses: characters beside
// the root element, a namespace name that is no URI reference, a colon in the
// target of a processing instruction. Where it cannot follow at all, the rest
// comes as Other and Lost reports it.
type Scanner struct {
	from   io.Reader
	limits Limits
	buffer []byte // buffer[at:] is read and not yet given out
	at     int
	ended  error // io.EOF or a fault: nothing follows the buffer
	begun  bool
	lost   bool
	inside string // what ends the comment or processing instruction that is being given in pieces

	token   Token
	attrs   []Attr // memory of the last start tag's
	starts  int
	closing bool // the End of an empty-element tag comes next
	open    []element
	spaces  []space
	names   map[string]string
}

type element struct {
	raw    string // the name as it stands in the tags
	name   Name
	spaces int // how many declarations were in scope outside
}

type space struct{ prefix, name string }

const (
	window   = 32 << 10
	maxNames = 512
)

// NewScanner reads from a reader whose errors are faults.
func NewScanner(from io.Reader, limits Limits) *Scanner {
	return &Scanner{from: from, limits: limits, names: map[string]string{}, buffer: make([]byte, 0, window)}
}

var (
	errNotWellFormed = fault.New(fault.BadRequest, "document is not well-formed XML")
	errTokenTooLong  = fault.New(fault.TooLarge, "document has a name, tag or text that is too long")
	errTooMany       = fault.New(fault.TooLarge, "document has too many elements")
	errTooManySpaces = fault.New(fault.TooLarge, "document has too many namespace declarations in scope")
)

// fill reads until there are at least n bytes, or no more.
func (s *Scanner) fill(n int) []byte {
	for len(s.buffer)-s.at < n && s.ended == nil {
		if s.at > 0 && (s.at == len(s.buffer) || cap(s.buffer)-len(s.buffer) < window/4) {
			s.buffer = s.buffer[:copy(s.buffer, s.buffer[s.at:])]
			s.at = 0
		}
		if cap(s.buffer)-len(s.buffer) < window/4 {
			s.buffer = slices.Grow(s.buffer, max(n-len(s.buffer), cap(s.buffer)))
		}
		got, err := s.from.Read(s.buffer[len(s.buffer):cap(s.buffer)])
		s.buffer = s.buffer[:len(s.buffer)+got]
		s.ended = err
	}
	return s.buffer[s.at:]
}

// Peek returns what is read ahead, at least n bytes where there are so many;
// Skip leaves the first n of them out.
func (s *Scanner) Peek(n int) []byte { return s.fill(n) }
func (s *Scanner) Skip(n int)        { s.at += n }

// Depth is how many elements are open.
func (s *Scanner) Depth() int { return len(s.open) }

// Lost reports whether the scanner could not follow.
func (s *Scanner) Lost() bool { return s.lost }

// between reports whether a token ends here: not so within a comment or processing
// instruction that is given in pieces, nor where an empty element has yet to end.
func (s *Scanner) between() bool { return s.inside == "" && !s.closing && !s.lost }

// until returns the bytes up to and with the first end, searched for from a
// place on; all that there are, and false, where there is none.
func (s *Scanner) until(from int, end string) ([]byte, bool, error) {
	for need := from + len(end); ; need *= 2 {
		b := s.fill(need)
		if i := bytes.Index(b[min(from, len(b)):], []byte(end)); i >= 0 {
			if from+i > s.limits.TextBytes {
				return nil, false, errTokenTooLong
			}
			return b[:from+i+len(end)], true, nil
		}
		if len(b) > s.limits.TextBytes {
			return nil, false, errTokenTooLong
		}
		if len(b) < need { // nothing follows
			return b, false, nil
		}
		from = max(from, len(b)-len(end)+1)
	}
}

// Next returns the next token, io.EOF, or a fault.
func (s *Scanner) Next() (*Token, error) {
	if s.closing {
		s.closing = false
		name := s.open[len(s.open)-1].name
		s.pop()
		s.token = Token{Kind: End, Name: name}
		return &s.token, nil
	}
	b := s.fill(16)
	if len(b) == 0 {
		if !errors.Is(s.ended, io.EOF) {
			return nil, s.ended
		}
		return nil, io.EOF
	}
	if !s.begun {
		s.begun = true
		if bytes.HasPrefix(b, mark) {
			return s.give(Other, b[:len(mark)])
		}
	}
	if s.lost {
		return s.give(Other, b)
	}
	if s.inside != "" {
		return s.aside(0, s.inside)
	}
	if b[0] != '<' {
		return s.text()
	}
	kind, behind, end := Other, 2, ""
	switch {
	case bytes.HasPrefix(b, []byte("<!--")):
		behind, end = 4, "-->"
	case bytes.HasPrefix(b, []byte("<![CDATA[")):
		kind, behind, end = CDATA, 9, "]]>"
	case bytes.HasPrefix(b, []byte("<?")):
		end = "?>"
	case bytes.HasPrefix(b, []byte("<!")):
		s.lost = true
		return s.give(Other, b)
	case bytes.HasPrefix(b, []byte("</")):
		return s.end()
	default:
		return s.start()
	}
	if kind == Other {
		if end == "?>" {
			target := s.fill(window)[2:]
			i := bytes.IndexAny(target, Whitespace+"?")
			if i < 0 && len(target) >= window-2 {
				return nil, errTokenTooLong
			}
			if i >= 0 && bytes.IndexByte(target[:i], ':') >= 0 {
				return nil, errNotWellFormed
			}
		}
		return s.aside(behind, end)
	}
	raw, found, err := s.until(behind, end)
	if err != nil {
		return nil, err
	}
	s.lost = !found
	if len(s.open) == 0 {
		return nil, errNotWellFormed
	}
	return s.give(kind, raw)
}

// aside gives a comment or a processing instruction, a long one in pieces:
// nobody wants it whole, and it may be as long as the document.
func (s *Scanner) aside(behind int, end string) (*Token, error) {
	s.inside = ""
	b := s.fill(window)
	if i := bytes.Index(b[min(behind, len(b)):], []byte(end)); i >= 0 {
		return s.give(Other, b[:behind+i+len(end)])
	}
	if len(b) < window {
		s.lost = true
		return s.give(Other, b)
	}
	s.inside = end
	return s.give(Other, b[:len(b)-len(end)+1])
}

var mark = []byte("\xef\xbb\xbf") // byte order mark

// Whitespace is XML's; schema types collapse it.
const Whitespace = " \t\r\n"

func (s *Scanner) give(kind Kind, raw []byte) (*Token, error) {
	s.at += len(raw)
	s.token = Token{Kind: kind, Raw: raw}
	return &s.token, nil
}

func (s *Scanner) text() (*Token, error) {
	raw, found, err := s.until(0, "<")
	if err != nil {
		return nil, err
	}
	if found {
		raw = raw[:len(raw)-1]
	}
	if len(s.open) == 0 && len(bytes.Trim(raw, Whitespace)) > 0 {
		return nil, errNotWellFormed
	}
	return s.give(Text, raw)
}

func (s *Scanner) end() (*Token, error) {
	raw, found, err := s.until(2, ">")
	if err != nil {
		return nil, err
	}
	if !found || len(s.open) == 0 || string(bytes.TrimRight(raw[2:len(raw)-1], Whitespace)) != s.open[len(s.open)-1].raw {
		s.lost = true
		return s.give(Other, raw)
	}
	name := s.open[len(s.open)-1].name
	s.pop()
	s.at += len(raw)
	s.token = Token{Kind: End, Raw: raw, Name: name}
	return &s.token, nil
}

func (s *Scanner) pop() {
	last := len(s.open) - 1
	s.spaces = s.spaces[:s.open[last].spaces]
	s.open = s.open[:last]
}

// tag returns a whole start tag: the first '>' outside quotes ends it.
func (s *Scanner) tag() (raw []byte, found bool, err error) {
	var quote byte
	b := s.fill(1)
	for i := 1; ; i++ {
		if i >= len(b) {
			if b = s.fill(i + 1); i >= len(b) {
				return b, false, nil
			}
		}
		if i > s.limits.TextBytes {
			return nil, false, errTokenTooLong
		}
		switch c := b[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return b[:i+1], true, nil
		}
	}
}

func (s *Scanner) start() (*Token, error) {
	raw, found, err := s.tag()
	if err != nil {
		return nil, err
	}
	if s.starts++; s.starts > s.limits.Elements {
		return nil, errTooMany
	}
	t := Token{Kind: Start, Raw: raw, Attrs: s.attrs[:0]}
	inside := raw[1:max(len(raw)-1, 1)]
	if t.Empty = bytes.HasSuffix(inside, []byte("/")); t.Empty {
		inside = inside[:len(inside)-1]
	}
	lexical := inside
	if i := bytes.IndexAny(inside, Whitespace); i >= 0 {
		lexical = inside[:i]
	}
	if !found || len(lexical) == 0 || !s.attributes(&t, inside, len(lexical)) {
		s.lost = true
		return s.give(Other, raw)
	}
	outside := len(s.spaces)
	if err := s.declare(&t); err != nil {
		return nil, err
	}
	var ok bool
	if t.Name, ok = s.resolve(lexical, true); !ok {
		return nil, errNotWellFormed
	}
	for i := range t.Attrs {
		a := &t.Attrs[i]
		if a.Name.Space == Xmlns {
			continue
		}
		if a.Name, ok = s.resolve([]byte(a.Name.Local), false); !ok {
			return nil, errNotWellFormed
		}
	}
	s.open = append(s.open, element{raw: s.intern(lexical), name: t.Name, spaces: outside})
	s.closing, s.attrs = t.Empty, t.Attrs
	s.at += len(raw)
	s.token = t
	return &s.token, nil
}

// attributes finds the attributes in a start tag; Name.Local is still the whole
// lexical name. It reports whether they look like attributes.
func (s *Scanner) attributes(t *Token, inside []byte, at int) bool {
	for {
		gap := len(inside[at:]) - len(bytes.TrimLeft(inside[at:], Whitespace))
		if at += gap; at == len(inside) {
			return true
		}
		equals := bytes.IndexByte(inside[at:], '=')
		if gap == 0 || equals <= 0 {
			return false
		}
		name := bytes.TrimRight(inside[at:at+equals], Whitespace)
		value := at + equals + 1
		value += len(inside[value:]) - len(bytes.TrimLeft(inside[value:], Whitespace))
		if value == len(inside) || inside[value] != '"' && inside[value] != '\'' {
			return false
		}
		length := bytes.IndexByte(inside[value+1:], inside[value])
		if length < 0 || len(name) == 0 {
			return false
		}
		end := value + 1 + length
		if len(t.Attrs) >= s.limits.Attributes {
			return false // more than the validator takes
		}
		t.Attrs = append(t.Attrs, Attr{Name: Name{Local: s.intern(name)}, Value: inside[value+1 : end], from: at + 1, to: end + 2})
		at = end + 1
	}
}

// declare takes the namespace declarations of a tag into scope.
func (s *Scanner) declare(t *Token) error {
	for i := range t.Attrs {
		a := &t.Attrs[i]
		var prefix string
		switch local := a.Name.Local; {
		case local == "xmlns":
		case len(local) > 6 && local[:6] == "xmlns:":
			prefix = local[6:]
		default:
			continue
		}
		value := a.Value
		if !plainURI[string(value)] {
			if bytes.ContainsFunc(value, func(r rune) bool { return r >= 0x80 }) {
				return errNotWellFormed
			}
			decoded, ok := Unescape(nil, value)
			if !ok || !uriReference().Match(decoded) {
				return errNotWellFormed
			}
			value = decoded
		}
		if len(s.spaces) >= s.limits.Namespaces {
			return errTooManySpaces
		}
		a.Name = Name{Xmlns, prefix}
		s.spaces = append(s.spaces, space{prefix, s.intern(value)})
	}
	return nil
}

// resolve expands a lexical name. An attribute without a prefix is in no namespace.
func (s *Scanner) resolve(lexical []byte, isElement bool) (Name, bool) {
	prefix, local, prefixed := bytes.Cut(lexical, []byte(":"))
	if !prefixed {
		prefix, local = nil, lexical
		if !isElement {
			return Name{Local: s.intern(local)}, true
		}
	}
	for i := len(s.spaces) - 1; i >= 0; i-- {
		if s.spaces[i].prefix == string(prefix) {
			return Name{s.spaces[i].name, s.intern(local)}, true
		}
	}
	if string(prefix) == "xml" {
		return Name{"http://www.w3.org/XML/1998/namespace", s.intern(local)}, true
	}
	return Name{Local: s.intern(local)}, !prefixed
}

// Space is the namespace that a prefix stands for here; "" the default one.
func (s *Scanner) Space(prefix []byte) string {
	for i := len(s.spaces) - 1; i >= 0; i-- {
		if s.spaces[i].prefix == string(prefix) {
			return s.spaces[i].name
		}
	}
	return ""
}

// intern gives names that come again without a copy for each.
func (s *Scanner) intern(b []byte) string {
	if text, ok := s.names[string(b)]; ok {
		return text
	}
	text := string(b)
	if len(s.names) < maxNames && len(text) <= 128 {
		s.names[text] = text
	}
	return text
}
