package segment

import "errors"

var (
	// ErrBlock is returned by [Decode] for bytes that [Encode] does not write.
	ErrBlock = errors.New("segment: not a block")
	// ErrLimit is returned for more than the limits allow, by Encode before a
	// block exists that could not be read back.
	ErrLimit = errors.New("segment: more than the limits allow")
	// ErrValue is returned by [Encode] for a value that no decoder makes: text
	// that is not UTF-8, an object with one name twice.
	ErrValue = errors.New("segment: not a JSON value")
)

// Limits bound what a block may unpack to.
type Limits struct {
	Documents int // data points
	Depth     int // arrays and objects within one another
	Values    int // values of every kind in all documents
	Text      int // bytes of text, numbers and member names, each counted as often as it stands
}

// DefaultLimits is what [Encode] keeps to. They lie above all that intake's own
// limits let through (1 MiB and depth 32: a value takes two bytes at the least,
// and five that write a number give 34 digits at the most).
var DefaultLimits = Limits{Documents: 1000, Depth: 64, Values: 1 << 19, Text: 8 << 20}

// body is the most bytes that the text of a block may have. Text within the limits
// has fewer, unless most of it are control characters in names.
func (l Limits) body() int { return l.Text + 32*l.Values + 64 }

// takeValues and takeText charge what a value needs, before it is made.
func (l *Limits) takeValues(n int) error {
	if n < 0 || n > l.Values {
		return ErrLimit
	}
	l.Values -= n
	return nil
}

func (l *Limits) takeText(n int) error {
	if n < 0 || n > l.Text {
		return ErrLimit
	}
	l.Text -= n
	return nil
}
