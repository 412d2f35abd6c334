// Package strictxml reads XML documents in a stream: once, strictly against
// schemas, and into what a format collects of them. Packages tcx and gpx are
// the formats; this one is what they share: well-formedness, limits, places,
// refusals.
//
// # One pass
//
// jacoelho/xsd validates a stream and hands nothing of it out. So a Scanner of
// our own cuts the document into tokens on the way to the validator: it passes
// every byte on and tells the format's Collector what goes by. The validator
// alone decides; what was collected counts only if it found nothing.
//
// Most of a recording is trackpoints that are all alike. A Collector may know
// the plain ones by itself (Collector.Plain): exactly the form that is valid
// beyond doubt, among siblings of which the validator has seen one. These are
// not passed on, which is most of the speed. Whatever is not plain, the
// validator judges. A refusal is said only after a second pass in which the
// validator has seen everything.
//
// # Kinds of refusal
//
//   - bad-request: not UTF-8, another encoding declared, an XML version other
//     than 1.0, a DTD, an entity that XML does not predefine, not well-formed
//     (namespaces included);
//   - too-large: more than Limits;
//   - invalid: well-formed, but against the schemas or the format's rules; Items
//     says where (element names of the schemas, positions as numbers) and which rule.
//
// A document that is not well-formed somewhere is bad-request, whatever it
// breaks before that place.
package strictxml

import (
	"errors"
	"io"

	"fitvault/shared/fault"
)

// Limits is what is checked before memory or time is spent on more.
type Limits struct {
	Bytes      int // of the document
	Depth      int // of elements; the root has depth 1
	Attributes int // of one element, namespace declarations included
	TextBytes  int // of one name, tag, attribute value or text
	Namespaces int // declarations in scope at one place
	Elements   int // besides those that are plain
}

// Place is where in a document a format stands: the parent's place and the
// element's name determine it. Places that a format names begin at 2.
type Place uint8

const (
	Elsewhere Place = iota // in an element that holds nothing to collect
	Root                   // outside the root element
)

// Step leads from a place to that of a child.
type Step struct {
	From Place
	Name Name
}

// Format is what a document may be read as.
type Format struct {
	Schema func() *Schema
	Steps  map[Step]Place // to everything that is collected; any other element is Elsewhere, with all that it holds
	Text   Place          // from this place on, the text of an element is collected
	Model  *Element       // the root element, for the lenient reading
}

// Collector gathers what a format wants of one document. An error of it is a
// fault; one of kind invalid with a rule (see Broken) is said of the place
// where it happened, and only if the schemas find nothing.
type Collector interface {
	Start(at Place, t *Token) error
	End(at Place, text []byte) error // text without references and markup
	// Plain takes what is plain at the head of the scanner's window, and returns
	// how many bytes; 0 where nothing is plain or may be left out here.
	Plain(at Place, in *Scanner) (int, error)
	// Finish is called behind the last element.
	Finish() error
}

// Broken is an error of a Collector: a rule of the format is broken here.
func Broken(rule, text string) error {
	return &fault.Error{Kind: fault.Invalid, Text: text, Items: []fault.Item{{Rule: rule}}}
}

// Open begins to read a document from its start.
type Open func() io.Reader

// ErrEnough is returned by a Collector that has what it wanted; Read ends there.
var ErrEnough = errors.New("enough")

// Forgiven is a deviation that a lenient reading has met.
type Forgiven struct {
	Pointer string `json:"pointer"` // names of elements, without positions: it stands for all its like
	Rule    string `json:"rule"`
	Count   int    `json:"count"`
}

// Validate reads one document, and returns a collector that has seen it all.
// Where lenient, a document that is well-formed but against the schemas is read
// again with the repairs that the format's Model knows; they are returned, and
// none means that the document needed none. Its errors are *fault.Error of the
// kinds named above, without any input.
func Validate[C Collector](f Format, open Open, limits Limits, lenient bool, collect func(lenient bool) C) (C, []Forgiven, error) {
	c, _, err := validate(f, open, limits, false, collect)
	if lenient && fault.KindOf(err) == fault.Invalid {
		return validate(f, open, limits, true, collect)
	}
	return c, nil, err
}

func validate[C Collector](f Format, open Open, limits Limits, lenient bool, collect func(lenient bool) C) (C, []Forgiven, error) {
	var none C
	c := collect(lenient)
	first := newStream(f, open, limits, lenient, c)
	first.plain = true
	found, err := first.validate(maxItems)
	switch {
	case err == nil && len(found) == 0 && first.broken == nil:
		if err = c.Finish(); err != nil {
			return none, nil, err
		}
		var forgiven []Forgiven
		if lenient {
			forgiven = first.repair.forgiven
		}
		return c, forgiven, nil
	case err != nil && !errors.Is(err, errNoVerdict):
		return none, nil, err
	}
	if first.skipped && len(found) > 0 || err != nil {
		// Places are counted in what the validator has seen.
		all := newStream(f, open, limits, lenient, collect(lenient))
		found, err = all.validate(maxItems)
		if err == nil && len(found) == 0 {
			err = errNoVerdict
		}
		if err != nil {
			return none, nil, err
		}
	}
	where := newStream(f, open, limits, lenient, collect(lenient))
	where.places, where.complaints = []level{{known: true}}, inOrder(found)
	if err := where.drain(); err != nil {
		return none, nil, err
	}
	if len(found) > 0 {
		return none, nil, &fault.Error{Kind: fault.Invalid, Text: "document is against its schemas", Items: where.items}
	}
	return none, nil, where.broken
}

// Read reads a document that Validate has accepted before, without asking the
// schemas again: for readers, of a sealed original. It is lenient where that
// found something to forgive.
func Read(f Format, open Open, limits Limits, lenient bool, c Collector) error {
	s := newStream(f, open, limits, lenient, c)
	s.plain = true
	err := s.drain()
	switch {
	case errors.Is(err, ErrEnough):
		return nil
	case err != nil:
		return err
	case s.broken != nil:
		return s.broken
	}
	return c.Finish()
}
