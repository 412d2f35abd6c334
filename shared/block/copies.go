package block

import (
	"crypto/sha256"
	"strconv"
	"strings"
	"time"

	"fitvault/shared/reading"
)

// Copies finds out which of several copies of one record counts. A point is the
// same record as another with its header id. A series has one id for all its
// bodies, so a body is the same as another of its type and time frame; without a
// time frame, as one that says the same under the same id.
//
// The highest rank of source counts, of these the highest version of the schema,
// of these the last to arrive: so within one source a correction counts, and an
// app cannot put its own in the place of the owner's. The others stay stored.
//
// Copies are looked for within one UTC day, as blocks are kept by it: a record
// that is sent again with a start on another day is another record.
type Copies struct {
	best map[[sha256.Size]byte]standing
}

// standing is where a copy stands among the copies of its record.
type standing struct {
	rank    Rank
	version [2]int
	arrived time.Time
	item    string // of the copies that arrived at once one must count, on every call the same
	index   int
}

// Add takes the reading with this index in the block that is stored as item.
func (c *Copies) Add(h Header, item string, index int, r reading.Reading) {
	key, s := identity(h, r), newStanding(h, item, index, r)
	if best, ok := c.best[key]; ok && !best.below(s) {
		return
	}
	if c.best == nil {
		c.best = map[[sha256.Size]byte]standing{}
	}
	c.best[key] = s
}

// Counts reports whether the reading, which was added before, is the copy that
// counts.
func (c *Copies) Counts(h Header, item string, index int, r reading.Reading) bool {
	best := c.best[identity(h, r)]
	return best.item == item && best.index == index
}

// identity is hashed: it may be as long as a record, and a day holds many.
func identity(h Header, r reading.Reading) [sha256.Size]byte {
	if !h.Series {
		return sha256.Sum256([]byte("id " + r.ID))
	}
	var b []byte
	if frame, ok := r.Point.At("body", "effective_time_frame"); ok {
		b = append(b, "at "+r.Type.String()+" "...)
		return sha256.Sum256(frame.AppendJSON(b))
	}
	body, _ := r.Point.Get("body")
	b = append(b, "in "+strconv.Quote(r.ID)+" "...)
	return sha256.Sum256(body.AppendJSON(b))
}

func newStanding(h Header, item string, index int, r reading.Reading) standing {
	return standing{h.Rank, version(r.Version), h.Arrived, item, index}
}

// version reads the numbers of 1.10, which is above 1.9.
func version(text string) (v [2]int) {
	major, minor, _ := strings.Cut(text, ".")
	v[0], _ = strconv.Atoi(major) // the schemas that are served have numbers
	v[1], _ = strconv.Atoi(minor)
	return v
}

func (s standing) below(o standing) bool {
	switch {
	case s.rank != o.rank:
		return s.rank < o.rank
	case s.version != o.version:
		return s.version[0] < o.version[0] || s.version[0] == o.version[0] && s.version[1] < o.version[1]
	case !s.arrived.Equal(o.arrived):
		return s.arrived.Before(o.arrived)
	case s.item != o.item:
		return s.item < o.item
	}
	return s.index < o.index
}
