package strictxml

import (
	"io"
	"unicode/utf8"

	"fitvault/shared/fault"
)

// source passes a document on, as far as it is UTF-8 and within a limit. Its
// first failure stays: whatever reads through it, that failure is the verdict.
type source struct {
	from   io.Reader
	left   int64  // bytes that may still come
	cut    []byte // the start of a character whose rest has not come yet
	failed error  // a fault
}

func newSource(from io.Reader, limit int) *source {
	return &source{from: from, left: int64(limit), cut: make([]byte, 0, utf8.UTFMax)}
}

func (s *source) Read(p []byte) (int, error) {
	if s.failed != nil {
		return 0, s.failed
	}
	n, err := s.from.Read(p)
	s.left -= int64(n)
	switch {
	case s.left < 0:
		return s.fail(fault.New(fault.TooLarge, "document has more bytes than allowed"))
	case err != nil && err != io.EOF:
		if fault.KindOf(err) == fault.Internal {
			err = fault.Wrap(fault.Internal, "document cannot be read", err)
		}
		return s.fail(err)
	case !s.text(p[:n]) || err == io.EOF && len(s.cut) > 0:
		return s.fail(fault.New(fault.BadRequest, "document is not UTF-8"))
	}
	return n, err
}

func (s *source) fail(err error) (int, error) {
	s.failed = err
	return 0, err
}

// text reports whether b goes on as UTF-8, and keeps a character that b cuts.
func (s *source) text(b []byte) bool {
	for len(s.cut) > 0 && len(b) > 0 {
		s.cut, b = append(s.cut, b[0]), b[1:]
		if utf8.FullRune(s.cut) {
			if !utf8.Valid(s.cut) {
				return false
			}
			s.cut = s.cut[:0]
		}
	}
	whole := len(b)
	for back := 1; back < utf8.UTFMax && back <= len(b); back++ {
		if utf8.RuneStart(b[len(b)-back]) {
			if !utf8.FullRune(b[len(b)-back:]) {
				whole = len(b) - back
			}
			break
		}
	}
	s.cut = append(s.cut, b[whole:]...)
	return utf8.Valid(b[:whole])
}
