// Package openmhealth takes Open mHealth and IEEE 1752.1 data points in,
// strictly: a verdict for each record, and what an accepted one is filed by.
//
// A record is accepted if its header and its body are valid against their
// published schemas (drafts 4 and 7, formats asserted), and if it breaks none of
// these rules, which the schemas do not have:
//
//	rule            what                                                  why
//	unknown-member  a member is allowed only if a schema that applies     nothing is kept that nobody has
//	                and holds names it, at every depth                    described; what a typing error
//	                (unevaluatedProperties of later drafts); a data       renamed is not lost in silence
//	                point has header and body only
//	unknown-type    schema_id names a served type, a numbered version     a body is checked, or refused
//	number          at most 34 digits, written without an exponent        kept exactly, to the digit
//	record-size     at most 256 KiB as sent, and 1,000 elements in a      it is stored in one item; and a
//	                list; of a data series' header at most 16 KiB         long list costs memory to judge
//	user            a header's user_id is the owner's                     nobody writes for another
//	id              an Open mHealth header's id has 1 to 256 code         it is repeated in answers
//	                points, none of them a control character
//	time            the date of a date with part of day exists            it is filed by its start
//	time-range      the start is in the years 1 to 9999 of UTC            it is filed by its day
//	empty           a batch has a record
//
// The other rule names are the schemas' keywords: type, required, enum, format,
// pattern, oneOf, anyOf. The first failure decides: envelope, header, body, time;
// within header or body, the first by pointer and rule. Of alternatives that all
// fail, the one that got deepest is reported, else the alternatives themselves.
//
// A record of the same shape as one that was accepted before is accepted without
// being parsed, if no schema could tell the two apart: learn.go says why, and
// docs/adr/0011-judge-by-shape.md what for. The verdicts are the same.
//
// Verdicts are those of Python's jsonschema (its FormatChecker with all formats)
// and these rules; e2e/oracle/schema_verdicts.py holds both against Decode. Known
// differences, none of them a matter of an ordinary client's data:
//
//   - format date-time has at most nine fraction digits, and ASCII digits; format
//     uuid is 8-4-4-4-12 hexadecimal digits (Python takes braces and underscores).
//     Both refuse leap seconds and the year 0000; both take lower-case t and z.
//   - $ in a pattern is the end of the text, as in ECMA 262, not before a final
//     newline; no format takes a final newline either.
//   - formats uri and iri are RFC 3986's and 3987's. Python's package rfc3987 also
//     takes leading zeros in an IPv4 address within an IPv6 one; rfc3987-syntax
//     refuses IRIs with an IPv6 host or with characters beyond the basic plane.
//   - type integer goes by value in draft 4 as in later drafts (3.0 is one), since
//     fitvault does not keep how a number was spelled. This is the only case in
//     which Decode accepts what Python refuses; it concerns number_of_awakenings
//     of omh:sleep-episode 1.0 only.
//
// Of the published schemas, some files carry another version's $id (body-weight
// 3.0 says 2.0): files are known here by where they were published, not by $id.
package openmhealth

// Rules beside the schemas' keywords and package reading's rules. RuleType and
// RuleRequired are the keywords, of the data point's own envelope.
const (
	RuleType          = "type"
	RuleRequired      = "required"
	RuleUnknownMember = "unknown-member"
	RuleUnknownType   = "unknown-type"
	RuleNumber        = "number"
	RuleRecordSize    = "record-size"
	RuleUser          = "user"
	RuleID            = "id"
	RuleEmpty         = "empty"
	RuleSealed        = "sealed-required" // of intake: it came in the clear
	RuleNotPermitted  = "not-permitted"   // of intake: the caller has no permit to write this type
)
