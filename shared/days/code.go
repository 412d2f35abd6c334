package days

import (
	"encoding/binary"
	"errors"

	"fitvault/shared/reading"
)

// A part's plaintext, version 1:
//
//	byte     version   1
//	uvarint  number of statistics; for each, in ascending order of their keys:
//	         varint   day
//	         string   type, namespace:name
//	         string   unit
//	         uvarint  count
//	         3 strings: least, greatest, sum, as canonical decimals; all empty
//	                  where only the count is kept
//
// and nothing follows. A string is a uvarint length and its bytes; varint and
// uvarint are encoding/binary's.
const version1 = 1

// Bounds on what a part may hold, far above what its sources can give: a UTC day
// has some 20 types, each in a few units, on three civil days. A recording of
// more civil days than this is refused, not counted in part.
const (
	maxStats  = 4096
	maxText   = 160     // bytes of a type or a unit
	maxNumber = 100     // digits of a sum's whole part, and more than those of any number's text
	maxCount  = 1 << 48 // readings under one key
)

var (
	// ErrPart is returned by [Decode] for bytes that Encode does not write.
	ErrPart = errors.New("days: not a part")
	// ErrLimit is returned by [Part.Encode] for more than a part may hold.
	ErrLimit = errors.New("days: more than a part may hold")
)

// Encode is the part's plaintext, to be sealed.
func (p Part) Encode() ([]byte, error) {
	if len(p) > maxStats {
		return nil, ErrLimit
	}
	b := binary.AppendUvarint([]byte{version1}, uint64(len(p)))
	for _, s := range p {
		if len(s.Unit) > maxText || s.Count > maxCount {
			return nil, ErrLimit
		}
		b = binary.AppendVarint(b, int64(s.Day))
		b = appendString(appendString(b, s.Type.String()), s.Unit)
		b = binary.AppendUvarint(b, uint64(s.Count))
		for _, n := range []number{s.min, s.max, s.sum} {
			text := ""
			if n.some() {
				text = n.text()
			}
			b = appendString(b, text)
		}
	}
	return b, nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Decode reads what Encode writes. It returns [ErrPart] for anything else,
// before it makes anything larger than the bytes themselves.
func Decode(b []byte) (Part, error) {
	r := reader{rest: b}
	if r.byte() != version1 {
		return nil, ErrPart
	}
	n := r.uvarint()
	if n > maxStats || n > uint64(len(r.rest)) {
		return nil, ErrPart
	}
	p := make(Part, 0, n)
	for range n {
		s := r.stat()
		if r.failed || len(p) > 0 && p[len(p)-1].Compare(s.Key) >= 0 {
			return nil, ErrPart
		}
		p = append(p, s)
	}
	if r.failed || len(r.rest) > 0 {
		return nil, ErrPart
	}
	return p, nil
}

// reader takes a part apart; after a failure it gives zeros.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) stat() Stat {
	var s Stat
	day := r.varint()
	s.Day = Day(day)
	t, err := reading.ParseType(r.string(maxText))
	s.Type, s.Unit = t, r.string(maxText)
	count := r.uvarint()
	s.Count = int64(count)
	texts := [3]string{r.string(2 * maxNumber), r.string(2 * maxNumber), r.string(2 * maxNumber)}
	if int64(s.Day) != day || err != nil || count < 1 || count > maxCount {
		r.failed = true
	}
	if texts == [3]string{} {
		r.failed = r.failed || s.Unit != ""
		return s
	}
	for i, n := range []*number{&s.min, &s.max, &s.sum} {
		if *n = parseNumber(texts[i]); !n.some() {
			r.failed = true
			return s
		}
	}
	r.failed = r.failed || s.min.scaled.Cmp(s.max.scaled) > 0
	return s
}

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.failed = true
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	return v * r.take(n)
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	return v * int64(r.take(n))
}

// take goes past a number of n bytes, and returns 1, or 0 where it is not one in
// its shortest form.
func (r *reader) take(n int) uint64 {
	if n <= 0 || n > 1 && r.rest[n-1] == 0 {
		r.failed, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return 1
}

func (r *reader) string(most uint64) string {
	n := r.uvarint()
	if n > most || n > uint64(len(r.rest)) {
		r.failed, r.rest = true, nil
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}
