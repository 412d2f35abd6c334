package openmhealth

import (
	"bytes"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"fitvault/shared/reading"
	"fitvault/shared/segment"
)

// Why a shape decides. A schema's verdict on a document is made of the verdicts of
// keywords on values. Let two documents have the same members, list lengths, kinds
// and strings, but for some leaves. Then no keyword can tell them apart but one
// that looks at such a leaf: of the schemas that lie on the leaf's path, whichever
// alternatives lead there, the keywords type, enum, format and pattern, since the
// served schemas use no others on numbers and text. Of these, type tells integers
// from other numbers, and kinds are the same; where there is an enum, the text is
// part of the shape and no leaf; and where each format and pattern holds for one
// text as for the other, nothing is left that could differ: not which alternatives
// hold, and so not which members are unknown either. A schema with any other
// keyword, on the path of anything, makes no shapes.
//
// Beside the schemas, judge's rules look at schema_id, which is never a leaf; at
// user_id and id, which are checked each time; at sizes and depth, which are
// bounded for each shape or record; and at times, which are read each time.

// maxShape is the longest text that becomes a shape, in bytes: they are kept.
const maxShape = 4 << 10

// learn makes the shape of a text: an accepted data point, or the part of it that
// stands in a series. It returns nil where there is none.
func learn(text string, point reading.Value, part part) *shape {
	if len(text) > maxShape {
		return nil
	}
	accepted, err := reading.FromPoint(point)
	s := &shape{part: part, schema: Schema{accepted.Type, accepted.Version}, id: -1, created: -1}
	if err != nil || !slices.Contains(Served, s.schema) { // a header's schema knows no types
		return nil
	}
	l := learner{shape: s, text: text, dec: jsontext.NewDecoder(bytes.NewBufferString(text)), at: map[string]int{}}
	header, _ := point.Get("header")
	switch part {
	case wholePoint:
		l.point(headerSchema(header).Compile(), s.schema.Compile())
	case bodyInSeries:
		l.path = []string{"body"}
		l.value(applicable{s.schema.Compile()}.closure())
	case headerOfSeries:
		l.path = []string{"header"}
		l.value(applicable{headerSchema(header).Compile()}.closure())
	}
	if l.failed || len(s.leaves) == 0 {
		return nil
	}
	s.literals = append(s.literals, strings.Clone(text[l.end:]))
	s.key = s.identity()
	if part == headerOfSeries {
		return s
	}
	_, framed := point.At("body", "effective_time_frame")
	if !l.times(framed) {
		return nil
	}
	packed := point
	if part == bodyInSeries {
		b, _ := point.Get("body")
		packed = reading.ObjectValue([]string{"body"}, []reading.Value{b})
	}
	if s.document, err = segment.NewShape(packed, func(i int) bool { return l.free[i] }); err != nil {
		return nil
	}
	return s
}

// identity is all that makes a shape: zero bytes stand in no JSON text.
func (s *shape) identity() string {
	b := []byte{byte(s.part)}
	if s.part == bodyInSeries {
		b = append(b, s.schema.url()...)
	}
	for i, literal := range s.literals {
		b = append(append(b, 0), literal...)
		if i < len(s.leaves) {
			b = append(b, 0, byte(s.leaves[i].kind))
		}
	}
	return string(b)
}

type learner struct {
	shape  *shape
	text   string
	dec    *jsontext.Decoder
	path   []string
	at     map[string]int // leaves of text, by path
	free   []bool         // of all numbers and strings, whether they are leaves
	end    int            // of the last leaf
	depth  int
	failed bool
}

// point walks a data point.
func (l *learner) point(header, body *jsonschema.Schema) {
	if _, err := l.dec.ReadToken(); err != nil {
		l.failed = true
		return
	}
	l.enter()
	for !l.failed && l.dec.PeekKind() == jsontext.KindString {
		name, _ := l.dec.ReadToken()
		l.path = []string{name.String()}
		schema := body
		if l.path[0] == "header" {
			schema = header
		}
		l.value(applicable{schema}.closure())
	}
}

func (l *learner) enter() {
	l.depth++
	l.shape.depth = max(l.shape.depth, l.depth)
}

// value walks a value that these schemas, and no others, may look at.
func (l *learner) value(schemas applicable) {
	if l.failed || slices.ContainsFunc(schemas, usesOtherKeywords) {
		l.failed = true
		return
	}
	switch kind := l.dec.PeekKind(); kind {
	case jsontext.KindBeginObject, jsontext.KindBeginArray:
		l.container(schemas, kind == jsontext.KindBeginObject)
	case jsontext.KindString, jsontext.KindNumber:
		raw, err := l.dec.ReadValue()
		if err != nil {
			l.failed = true
			return
		}
		l.leaf(schemas, string(raw), kind == jsontext.KindNumber)
	default:
		_, err := l.dec.ReadToken()
		l.failed = err != nil
	}
}

func (l *learner) container(schemas applicable, object bool) {
	if _, err := l.dec.ReadToken(); err != nil || slices.ContainsFunc(schemas, func(s *jsonschema.Schema) bool { return s.Enum != nil }) {
		l.failed = true
		return
	}
	l.enter()
	depth := len(l.path)
	for i := 0; !l.failed && l.dec.PeekKind() != jsontext.KindEndObject && l.dec.PeekKind() != jsontext.KindEndArray; i++ {
		var below applicable
		if object {
			name, err := l.dec.ReadToken()
			if err != nil {
				l.failed = true
				return
			}
			l.path = append(l.path, name.String())
			below = schemas.property(name.String())
		} else {
			l.path = append(l.path, strconv.Itoa(i))
			below = schemas.items()
		}
		l.value(below)
		l.path = l.path[:depth]
	}
	_, err := l.dec.ReadToken()
	l.failed = l.failed || err != nil
	l.depth--
}

// leaf takes a number or a string, as it stands in the text, for a leaf of the
// shape, or leaves it where it is.
func (l *learner) leaf(schemas applicable, raw string, number bool) {
	place := strings.Join(l.path, "/")
	found, ok := schemas.leaf(place, raw, number)
	l.free = append(l.free, ok)
	if !ok {
		l.failed = l.failed || !schemas.word(place, raw)
		return
	}
	end := int(l.dec.InputOffset())
	start := end - len(raw)
	if !number { // the quotes are not the leaf's
		start, end = start+1, end-1
	}
	l.at[place] = len(l.shape.leaves)
	l.shape.literals = append(l.shape.literals, strings.Clone(l.text[l.end:start])) // of the text nothing else is kept
	l.shape.leaves = append(l.shape.leaves, found)
	l.end = end
}

// times finds the leaves that a record is filed by.
func (l *learner) times(framed bool) bool {
	find := func(path string) int {
		if at, ok := l.at[path]; ok {
			return at
		}
		return -1
	}
	s := l.shape
	if s.part == wholePoint {
		s.id, s.created = find("header/uuid"), find("header/source_creation_date_time")
		if s.id < 0 {
			s.id, s.created = find("header/id"), find("header/creation_date_time")
		}
		if s.id < 0 || s.created < 0 {
			return false
		}
	}
	const frame, interval = "body/effective_time_frame", "body/effective_time_frame/time_interval"
	s.from, s.to = find(interval+"/start_date_time"), find(interval+"/end_date_time")
	at := find(frame + "/date_time")
	switch {
	case at >= 0:
		s.start, s.from = startAt, at
	case s.from >= 0 && s.to >= 0:
		s.start = startInterval
	case framed:
		s.start = startOther
	}
	return true
}

// applicable is all schemas that may look at one value, whichever alternatives hold.
type applicable []*jsonschema.Schema

// closure adds the schemas that look at the same value.
func (a applicable) closure() applicable {
	var all applicable
	var add func(s *jsonschema.Schema)
	add = func(s *jsonschema.Schema) {
		for s.Ref != nil && !usesOtherKeywords(s) {
			s = s.Ref // in drafts 4 to 7 nothing beside a $ref counts
		}
		if slices.Contains(all, s) {
			return
		}
		all = append(all, s)
		for _, sub := range slices.Concat(s.AllOf, s.AnyOf, s.OneOf) {
			add(sub)
		}
	}
	for _, s := range a {
		add(s)
	}
	return all
}

func (a applicable) property(name string) (below applicable) {
	for _, s := range a {
		if p, ok := s.Properties[name]; ok {
			below = append(below, p)
		}
	}
	return below.closure()
}

func (a applicable) items() (below applicable) {
	for _, s := range a {
		if items, ok := s.Items.(*jsonschema.Schema); ok {
			below = append(below, items)
		}
	}
	return below.closure()
}

// word says whether a string, as it stands in JSON, is one of the schemas' own: it
// may be kept.
func (a applicable) word(place, raw string) bool {
	if identifies(place) {
		return true
	}
	text, err := jsontext.AppendUnquote(nil, raw)
	return err == nil && slices.ContainsFunc(a, func(s *jsonschema.Schema) bool { return slices.Contains(enumValues(s), any(string(text))) })
}

// identifies says whether a place names the schema of a body: no other is served.
func identifies(place string) bool {
	return place == "header/schema_id/namespace" || place == "header/schema_id/name" || place == "header/schema_id/version"
}

// leaf is what may stand in the place of a number or string, as it stands in JSON,
// without a schema seeing a difference; false where there is no such thing.
func (a applicable) leaf(place, raw string, number bool) (leaf, bool) {
	switch {
	case identifies(place):
		return leaf{}, false
	case place == "header/user_id":
		return leaf{kind: leafUser}, !number && !a.choosy()
	}
	if number {
		if a.choosy() {
			return leaf{}, false
		}
		kind := leafNumber
		if slices.ContainsFunc(a, func(s *jsonschema.Schema) bool {
			return s.Types != nil && slices.Contains(s.Types.ToStrings(), "integer")
		}) {
			if kind = leafInteger; strings.ContainsAny(raw, ".eE") {
				return leaf{}, false
			}
		}
		return leaf{kind: kind}, true
	}
	text := raw[1 : len(raw)-1]
	found := leaf{kind: leafText}
	if place == "header/id" {
		found.checks = append(found.checks, acceptableID)
	}
	for _, s := range a {
		if s.Enum != nil {
			return leaf{}, false
		}
		if s.Pattern != nil {
			found.checks = append(found.checks, s.Pattern.MatchString)
		}
		if s.Format != nil {
			found.checks = append(found.checks, func(text string) bool { return s.Format.Validate(text) == nil })
		}
	}
	if !found.allows(text, "") { // a pattern or format that need not hold, or escapes
		return leaf{}, false
	}
	if f := a.format(); f == "date-time" {
		return leaf{kind: leafTime}, true
	} else if f == "uuid" {
		return leaf{kind: leafUUID}, true
	}
	return found, true
}

// choosy says whether a schema has an enum, or anything on text.
func (a applicable) choosy() bool {
	return slices.ContainsFunc(a, func(s *jsonschema.Schema) bool { return s.Enum != nil || s.Pattern != nil || s.Format != nil })
}

// format is the one format of all schemas, where nothing else is said of a text.
func (a applicable) format() (name string) {
	for _, s := range a {
		if s.Pattern != nil || s.Format != nil && name != "" && name != s.Format.Name {
			return ""
		}
		if s.Format != nil {
			name = s.Format.Name
		}
	}
	return name
}

// fields of jsonschema.Schema that say nothing of a value, or that learn knows.
var knownFields = []string{
	"DraftVersion", "Location", "ID", "Title", "Description", "Comment", "Default", "Examples", "ReadOnly", "WriteOnly", "Deprecated",
	"Ref", "AllOf", "AnyOf", "OneOf", "Types", "Enum", "Format", "Pattern", "Properties", "Required", "Items",
}

// usesOtherKeywords says whether a schema has a keyword that learn does not know.
func usesOtherKeywords(s *jsonschema.Schema) bool {
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.IsExported() && !slices.Contains(knownFields, field.Name) && !v.Field(i).IsZero() {
			return true
		}
	}
	if _, one := s.Items.(*jsonschema.Schema); s.Items != nil && !one { // a schema for each position
		return true
	}
	for _, value := range enumValues(s) {
		if _, text := value.(string); !text {
			return true
		}
	}
	return false
}

func enumValues(s *jsonschema.Schema) []any {
	if s.Enum == nil {
		return nil
	}
	return s.Enum.Values
}
