package strictxml

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/jacoelho/xsd"
	"github.com/jacoelho/xsd/xsderrors"

	"fitvault/shared/fault"
)

// Rules that an Item of an invalid document may name.
const (
	RuleRoot      = "root"               // the root element is none that the schemas declare
	RuleElement   = "unexpected-element" // an element that may not stand here
	RuleMissing   = "missing-element"    // an element that must stand here does not
	RuleAttribute = "attribute"          // an attribute is missing, or may not stand here
	RuleText      = "text"               // text where only elements may stand
	RuleValue     = "value"              // a text or attribute value is not of its type
	RuleType      = "xsi-type"           // xsi:type names no type that may stand here, or is needed
	RuleNil       = "xsi-nil"            // xsi:nil where the schema does not allow it
	RuleIdentity  = "identity"           // a key is missing or not unique, or a reference finds none
)

var ruleOf = map[xsderrors.Code]string{
	xsderrors.CodeValidationRoot:        RuleRoot,
	xsderrors.CodeValidationElement:     RuleElement,
	xsderrors.CodeValidationContent:     RuleMissing,
	xsderrors.CodeValidationAttribute:   RuleAttribute,
	xsderrors.CodeValidationText:        RuleText,
	xsderrors.CodeValidationFacet:       RuleValue,
	xsderrors.CodeValidationType:        RuleType,
	xsderrors.CodeValidationNil:         RuleNil,
	xsderrors.CodeValidationIdentity:    RuleIdentity,
	xsderrors.CodeUnsupportedSchemaHint: RuleType,
}

// Schema is a set of compiled schemas; it is safe for concurrent use.
type Schema struct {
	engine *xsd.Engine
	names  map[Name]bool // elements that are declared → may stand several times in a row
}

// Compile reads all .xsd files of a folder. It panics if they are not schemas:
// they are part of the program.
func Compile(files embed.FS, folder string) *Schema {
	s := &Schema{names: map[Name]bool{}}
	entries, err := files.ReadDir(folder)
	var sources []xsd.SchemaSource
	for _, e := range entries {
		var text []byte
		if text, err = files.ReadFile(folder + "/" + e.Name()); err != nil {
			break
		}
		sources = append(sources, xsd.Bytes(e.Name(), modelled(text)))
		s.declare(text)
	}
	if err == nil {
		s.engine, err = xsd.Compile(context.Background(), sources...)
	}
	if err != nil {
		panic("strictxml: embedded schemas: " + err.Error())
	}
	return s
}

// declare notes the elements that a schema declares.
func (s *Schema) declare(schema []byte) {
	target := ""
	for t := range tokens(schema) {
		if t.Kind != Start {
			continue
		}
		switch t.Name.Local {
		case "schema":
			target = string(t.Attribute("targetNamespace"))
		case "element":
			name := Name{target, string(t.Attribute("name"))}
			s.names[name] = s.names[name] || len(t.Attribute("maxOccurs")) > 0
		}
	}
}

// modelled writes an empty sequence, which says the same, into each type that is
// declared without a content model: at a child of such an element the validator
// loses its way (jacoelho/xsd v0.3.0), though it is only
// an element that may not stand there.
func modelled(schema []byte) []byte {
	type open struct {
		bare bool // a complexType that has no model yet
		at   int  // of out, where one may stand: behind the annotation
	}
	var out []byte
	var stack []open
	for t := range tokens(schema) {
		switch t.Kind {
		case Start:
			out = append(out, t.Raw...)
			if t.Name.Space == xsdSpace && slices.Contains(models, t.Name.Local) && len(stack) > 0 {
				stack[len(stack)-1].bare = false
			}
			stack = append(stack, open{t.Name == complexType, len(out)})
			if t.Name == complexType && t.Empty {
				tag := lexical(t.Raw)
				out = append(bytes.TrimSuffix(out, []byte("/>")), '>')
				stack[len(stack)-1].at = len(out)
				out = append(out, "</"+tag+">"...)
			}
		case End:
			out = append(out, t.Raw...)
			here := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if here.bare {
				// The End of an empty-element tag has no text; the one written above has.
				tag := lexical(out[bytes.LastIndexByte(out, '<')+1:])
				out = slices.Insert(out, here.at, []byte("<"+strings.TrimSuffix(tag, complexType.Local)+"sequence/>")...)
			}
			if t.Name == (Name{xsdSpace, "annotation"}) && len(stack) > 0 {
				stack[len(stack)-1].at = len(out)
			}
		default:
			out = append(out, t.Raw...)
		}
	}
	return out
}

const xsdSpace = "http://www.w3.org/2001/XMLSchema"

var (
	complexType = Name{xsdSpace, "complexType"}
	models      = []string{"sequence", "choice", "all", "group", "simpleContent", "complexContent"}
)

// lexical is the name in a tag, prefix included.
func lexical(tag []byte) string {
	tag = bytes.TrimLeft(tag, "</")
	return string(tag[:bytes.IndexAny(tag, Whitespace+"/>")])
}

// tokens is what a schema consists of.
func tokens(schema []byte) iter.Seq[*Token] {
	return func(yield func(*Token) bool) {
		in := NewScanner(bytes.NewReader(schema), Limits{TextBytes: 1 << 20, Attributes: 64, Namespaces: 64, Elements: 10_000})
		for {
			t, err := in.Next()
			if errors.Is(err, io.EOF) && !in.Lost() {
				return
			}
			if err != nil {
				panic("strictxml: embedded schemas: not well-formed")
			}
			if !yield(t) {
				return
			}
		}
	}
}

// maxItems is how many complaints a refusal lists. From there on the validator
// only checks that the rest is well-formed.
const maxItems = 20

// complaint is a broken rule and where the validator found it: line from 1,
// column from 0, in bytes, a byte order mark not counted.
type complaint struct {
	line, column int
	rule         string
}

// complaints asks the validator about a stream, for most of them at most. It
// returns the faults of a stream that is not even well-formed or exceeds a
// limit. Errors of the validator carry values of the document: none of them
// leaves this file.
func (s *Schema) complaints(in io.Reader, limits Limits, most int) ([]complaint, error) {
	err := s.engine.ValidateWithOptions(context.Background(), in, xsd.ValidateOptions{
		MaxErrors:             most,
		MaxInstanceBytes:      int64(limits.Bytes) * 2, // repairs may add some; the source counts
		MaxInstanceDepth:      limits.Depth,
		MaxInstanceAttributes: limits.Attributes,
		MaxInstanceTextBytes:  int64(limits.TextBytes),
		MaxInstanceTokenBytes: int64(limits.TextBytes),
	})
	if err == nil {
		return nil, nil
	}
	list := flatten(err)
	if len(list) == 0 {
		list = append(list, &xsderrors.Error{Category: xsderrors.CategoryInternal})
	}
	return judge(list)
}

// flatten turns the validator's error into its single ones.
func flatten(err error) []*xsderrors.Error {
	var list []*xsderrors.Error
	if many, ok := errors.AsType[xsderrors.Errors](err); ok {
		for _, one := range many {
			list = append(list, flatten(one)...)
		}
	} else if one, ok := errors.AsType[*xsderrors.Error](err); ok {
		list = append(list, one)
	}
	return list
}

// errNoVerdict is our own failure: the validator lost its way.
var errNoVerdict = fault.New(fault.Internal, "validator failed")

// judge says what complaints of the validator mean.
func judge(list []*xsderrors.Error) ([]complaint, error) {
	found := make([]complaint, len(list))
	for i, e := range list {
		switch e.Code {
		case xsderrors.CodeUnsupportedNonUTF8:
			return nil, fault.New(fault.BadRequest, "document declares an encoding other than UTF-8")
		case xsderrors.CodeUnsupportedXML11:
			return nil, fault.New(fault.BadRequest, "document is not XML 1.0")
		case xsderrors.CodeUnsupportedDTD:
			return nil, fault.New(fault.BadRequest, "document has a DTD")
		case xsderrors.CodeUnsupportedExternal:
			return nil, fault.New(fault.BadRequest, "document refers to an entity that XML does not predefine")
		case xsderrors.CodeValidationXML:
			return nil, errNotWellFormed
		case xsderrors.CodeValidationLimit:
			return nil, fault.New(fault.TooLarge, "document exceeds a limit of depth, attributes, text or keys")
		}
		rule, ok := ruleOf[e.Code]
		switch {
		case !ok || e.Category == xsderrors.CategoryInternal:
			return nil, errNoVerdict
		case rule == RuleRoot && e.Line == 0, rule == RuleText && e.Path == "/":
			// No root element; text beside it. The validator calls both invalid.
			return nil, errNotWellFormed
		}
		found[i] = complaint{e.Line, max(e.Column-1, 0), rule}
	}
	return found, nil
}

// Instance is the namespace of the attributes that speak of schemas (xsi).
const Instance = "http://www.w3.org/2001/XMLSchema-instance"

// hintless returns a start tag without what XML Schema leaves open, the
// validator refuses and libxml2 ignores: where a schema may be found, and
// xsi:nil on elements that no schema declares. Blanks stand in their place.
func (s *Schema) hintless(t *Token) ([]byte, error) {
	var blank []byte
	seen := map[string]bool{}
	for _, a := range t.Attrs {
		if a.Name.Space != Instance {
			continue
		}
		switch a.Name.Local {
		case "schemaLocation", "noNamespaceSchemaLocation":
		case "nil":
			if _, declared := s.names[t.Name]; declared {
				continue
			}
		default:
			continue
		}
		if seen[a.Name.Local] { // the validator will not see that there are two
			return nil, errNotWellFormed
		}
		if _, ok := Unescape(nil, a.Value); !ok || strings.ContainsRune(string(a.Value), '<') {
			return nil, errNotWellFormed
		}
		seen[a.Name.Local] = true
		if blank == nil {
			blank = bytes.Clone(t.Raw)
		}
		for i := a.from; i < a.to; i++ {
			if blank[i] != '\n' { // lines are counted
				blank[i] = ' '
			}
		}
	}
	if blank == nil {
		return t.Raw, nil
	}
	return blank, nil
}
