// Package segment packs data points that belong together into one small block
// and unpacks them again: the same points, in the same order, with the same
// members, text and numbers.
//
// It knows nothing of health: any [reading.Value] packs. Points of one shape
// pack well, because what they have in common is written once and what differs
// stands beside its like: a thousand heart rates of a tracker take about a byte
// each, and a random UUID its sixteen.
//
// A block comes out of the vault authenticated, so what is decoded was encoded
// here. Decode distrusts it all the same, since a fault in an encoder must not
// take a reader down: every count is checked against the [Limits] before
// anything of that size is made, whatever the bytes say.
//
// # Format, version 1
//
//	byte     version   1
//	uvarint  number of documents
//	uvarint  size of the compressed body in bytes
//	         body, compressed by DEFLATE (RFC 1951)
//	         UUIDs, 16 bytes each, outside of the body because random bytes
//	         would spoil its Huffman codes
//
// Nothing follows. A uvarint is encoding/binary's; ints are written as deltas
// from the one before (from 0 for the first) in 64-bit two's complement that
// wraps, each as a zigzag uvarint.
//
// The body is a column of all documents. A column of n values, n > 0, is
//
//	uvarint  the set of tags in it, bit 1<<tag each
//	n bytes  the values' tags, where there is more than one
//	         for each tag of the set, in ascending order, its values:
//
//	0 null, 1 false, 2 true   nothing
//	3 decimal    uvarint scale (0 to 9); ints: the values times 10^scale
//	4 number     strings: canonical text of what is no decimal
//	5 text       strings
//	6 time       uvarint scale (0 to 9); ints: the instants' seconds since 1970
//	             times 10^scale; ints: zones; ints: numbers of fraction digits
//	7 UUID       strings, with UUIDs in place of the text
//	8 array      ints: lengths; column of the elements of all arrays
//	9 object     names, shapes; for each name the column of its values
//
// and a column of no values is nothing.
//
// Strings: uvarint d, the number of distinct ones; where 1 < d < n, for each value
// a uvarint, 0 for the next that has not stood before, k for the k-th last of
// those that have; then the distinct ones in the order of their first standing: d
// uvarint lengths in bytes, then their UTF-8 (UUIDs: 16 bytes each, behind the
// body).
//
// Names are strings' distinct ones: uvarint count, lengths, UTF-8. Shapes are
// lists of names in the order in which objects have them: uvarint count; for
// each a uvarint number of names and their uvarint indices; and where there is
// more than one, for each object the uvarint index of its shape.
//
// A decimal is a number with at most 9 digits on either side of the point. A time
// is RFC 3339 text with capital T and Z, at most 9 fraction digits, no leap second
// and an instant from 1700-01-02T00:00:00Z to 2249-12-31T00:00:00Z (nanoseconds
// since 1970 in 64 bits); its zone is 0 for Z, 1 for -00:00, else 1441 plus the
// offset in minutes. A UUID is RFC 9562 text in lower case. Each is told by its
// text alone: what would come back as other text (10:00:60, an upper-case UUID) is
// text.
//
// testdata/golden.json holds blocks of this version. They must decode for ever;
// a change to what is written here needs a new version byte.
package segment
