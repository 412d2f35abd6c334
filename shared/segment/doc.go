// Package segment packs data points that belong together into one small block
// and unpacks them again: the same points, in the same order, with the same
// members, text and numbers.
//
// It knows nothing of health: any [reading.Value] packs. Points of one shape
// pack well, because what they have in common is written once and what differs
// stands beside its like: a thousand heart rates of a tracker take about half a
// byte each, and a random UUID its sixteen.
//
// A block comes out of the vault authenticated, so what is decoded was encoded
// here. Decode distrusts it all the same, since a fault in an encoder must not
// take a reader down: every count is checked against the [Limits] before
// anything of that size is made, whatever the bytes say.
//
// # Format, version 2
//
//	byte     version   2
//	uvarint  number of documents
//	uvarint  size of the compressed text in bytes
//	         the text, compressed by DEFLATE (RFC 1951)
//	         the columns
//
// Nothing follows. A uvarint is encoding/binary's; a zigzag is a signed integer
// as a uvarint, of 64 bits: 0, -1, 1, -2 are 0, 1, 2, 3.
//
// Documents with the same shape make a table, in their order. The text is, where
// there are documents,
//
//	uvarint  number of tables
//	         where there is more than one, runs until all documents are told:
//	         uvarint table, uvarint how many documents of it come next
//	         for each table: uvarint length, then its shape
//
// and then the texts that the columns ask for, in their order. A shape is a JSON
// text without white space, in which strings (not names) that begin with # are not
// what they seem: "#0" is a hole for a number, "#1" is a hole for a string, and "##x" is the
// string "#x". What else stands in it, stands in each of its documents.
//
// The columns are, for each table, its holes in the order of the shape's text, for
// each the values of its documents. A column is a byte that says which of these
// follows:
//
//	0 same      nothing; in the text, a uvarint length and the value of all
//	1 texts     ints: lengths; in the text, the values
//	2 decimals  uvarint scale (0 to 9); ints: the values times 10^scale
//	3 times     uvarint scale (0 to 9); ints: the instants' seconds since 1970
//	            times 10^scale; ints: zones; ints: numbers of fraction digits
//	4 UUIDs     16 bytes each
//
// Decimals are of number holes only, times and UUIDs of string holes only. A value
// that is text is UTF-8 in a string hole, a canonical number (reading.Canonical)
// in a number hole. A decimal has at most 9 digits on either side of the point. A
// time is RFC 3339 text with capital T and Z, at most 9 fraction digits, no leap
// second, and an instant from 1700-01-02T00:00:00Z to 2249-12-31T00:00:00Z
// (nanoseconds since 1970 in 64 bits); its zone is 0 for Z, 1 for -00:00, else 1441
// plus the offset in minutes. A UUID is RFC 9562 text in lower case. Each is told
// by its text alone: a column in which one value would come back as other text
// (10:00:60, an upper-case UUID) is texts.
//
// Ints: a byte, the order of differences, 0 to 2, or 3 where all are the same, then
// a zigzag: the one value. Else as many zigzags as the order: the first value, the
// first difference. What is left are n - order differences of that order, in 64-bit
// two's complement that wraps, as zigzags in Golomb-Rice codes: a string of bits,
// most significant first, zeros to the end of its last byte. For each 64 of them,
// or the rest, 6 bits: k, or 63 where all of them are 0, which is all that is said
// of them. For each, v>>k ones, a zero, and the k low bits of v; or, where v>>k is
// 24 or more, 24 ones and the 64 bits of v.
//
// testdata/golden.json holds blocks of this version. They must decode for ever;
// a change to what is written here needs a new version byte. (Version 1 was never
// deployed, and is not read.)
package segment
