package strictxml

import "bytes"

// Cursor compares bytes ahead with the one plain form of an element: no
// attributes, no references, no markup beside the elements asked for. What it
// does not match may still be valid; that is for the validator to say.
type Cursor struct {
	bytes []byte
	at    int
}

// Ahead is a cursor over what a scanner has read ahead.
func Ahead(in *Scanner, atLeast int) Cursor { return Cursor{bytes: in.Peek(atLeast)} }

// Passed is how many bytes were matched.
func (c *Cursor) Passed() int { return c.at }

// Literal passes text, if it comes next.
func (c *Cursor) Literal(text string) bool {
	if len(c.bytes)-c.at < len(text) || string(c.bytes[c.at:c.at+len(text)]) != text {
		return false
	}
	c.at += len(text)
	return true
}

// Space passes white space.
func (c *Cursor) Space() {
	for c.at < len(c.bytes) {
		switch c.bytes[c.at] {
		case ' ', '\t', '\r', '\n':
			c.at++
		default:
			return
		}
	}
}

// Until passes the bytes before the next end, and end, and returns the former.
func (c *Cursor) Until(end byte) ([]byte, bool) {
	i := bytes.IndexByte(c.bytes[c.at:], end)
	if i < 0 {
		return nil, false
	}
	text := c.bytes[c.at : c.at+i]
	c.at += i + 1
	return text, true
}

// Open passes white space and <prefix name>; where that does not come next it
// stays and returns false.
func (c *Cursor) Open(prefix, name string) bool { return c.tag("<", prefix, name) }

// Close passes white space and </prefix name>.
func (c *Cursor) Close(prefix, name string) bool { return c.tag("</", prefix, name) }

func (c *Cursor) tag(start, prefix, name string) bool {
	before := c.at
	c.Space()
	if c.Literal(start) && c.Literal(prefix) && c.Literal(name) && c.Literal(">") {
		return true
	}
	c.at = before
	return false
}

// Element passes an element with text only and puts the text into value. It
// returns false where the element is there in another form, and true where it
// is absent, with value as it was.
func (c *Cursor) Element(prefix, name string, value *[]byte, valid func([]byte) bool) bool {
	if !c.Open(prefix, name) {
		return true
	}
	i := bytes.IndexByte(c.bytes[c.at:], '<')
	if i < 0 || !valid(c.bytes[c.at:c.at+i]) {
		return false
	}
	*value = c.bytes[c.at : c.at+i]
	c.at += i
	return c.Literal("</") && c.Literal(prefix) && c.Literal(name) && c.Literal(">")
}

// Decimal reports whether b is a number as most devices write it: a sign or
// none, digits, a fraction or none.
func Decimal(b []byte) bool { return decimal(b, 1<<30) }

// Within returns Decimal between two bounds, and not so near to one that digits
// could be rounded up to it.
func Within(bound int) func([]byte) bool {
	return func(b []byte) bool { return decimal(b, bound-1) }
}

func decimal(b []byte, limit int) bool {
	if len(b) > 0 && b[0] == '-' {
		b = b[1:]
	}
	whole, i := 0, 0
	for ; i < len(b) && isDigit(b[i]); i++ {
		if whole = whole*10 + int(b[i]-'0'); whole >= limit {
			return false
		}
	}
	if i == 0 {
		return false
	}
	if i == len(b) {
		return true
	}
	if b[i] != '.' || i+1 == len(b) {
		return false
	}
	for i++; i < len(b); i++ {
		if !isDigit(b[i]) {
			return false
		}
	}
	return true
}

// Whole returns what reports whether b is a whole number of a range, in digits.
func Whole(least, most int) func([]byte) bool {
	return func(b []byte) bool {
		if len(b) == 0 || len(b) > 6 {
			return false
		}
		n := 0
		for _, c := range b {
			if !isDigit(c) {
				return false
			}
			n = n*10 + int(c-'0')
		}
		return least <= n && n <= most
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
