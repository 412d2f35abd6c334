package tcx

import (
	"bytes"
	"context"
	"embed"
	"encoding/xml"
	"errors"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/jacoelho/xsd"
	"github.com/jacoelho/xsd/xsderrors"

	"fitvault/shared/fault"
)

// Rules that an Item of an invalid document may name.
const (
	RuleRoot       = "root"               // the root element is none that the schemas declare
	RuleElement    = "unexpected-element" // an element that may not stand here
	RuleMissing    = "missing-element"    // an element that must stand here does not
	RuleAttribute  = "attribute"          // an attribute is missing, or may not stand here
	RuleText       = "text"               // text where only elements may stand
	RuleValue      = "value"              // a text or attribute value is not of its type
	RuleType       = "xsi-type"           // xsi:type names no type that may stand here, or is needed
	RuleNil        = "xsi-nil"            // xsi:nil where the schema does not allow it
	RuleIdentity   = "identity"           // a key is missing or not unique, or a reference finds none
	RuleNoActivity = "no-activity"        // our own: see the package's comment
	RuleTimeRange  = "time-range"         // our own: see the package's comment
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

// maxItems is how many complaints a refusal lists. From there on the validator
// only checks that the rest is well-formed.
const maxItems = 20

//go:embed xsd/*.xsd
var schemaFiles embed.FS

const (
	schemaTCX       = "xsd/TrainingCenterDatabasev2.xsd"
	schemaExtension = "xsd/ActivityExtensionv2.xsd"
)

func schema(name string) []byte {
	data, err := schemaFiles.ReadFile(name)
	if err != nil {
		panic("tcx: embedded schema " + name + ": " + err.Error())
	}
	return data
}

// engine is compiled at first use and then shared; it is safe for concurrent use.
var engine = sync.OnceValue(func() *xsd.Engine {
	e, err := xsd.Compile(context.Background(),
		xsd.Bytes(schemaTCX, schema(schemaTCX)), xsd.Bytes(schemaExtension, schema(schemaExtension)))
	if err != nil {
		panic("tcx: embedded schemas: " + err.Error())
	}
	return e
})

// validate returns nil for a document that is valid against both schemas.
// Errors of the validator carry values of the document: none of them leaves
// this file.
func validate(document []byte, limits Limits) error {
	if !utf8.Valid(document) {
		return fault.New(fault.BadRequest, "document is not UTF-8")
	}
	found := run(document, limits)
	if slices.ContainsFunc(found, beyondSchemas) {
		found = run(withoutHints(document), limits)
	}
	if len(found) == 0 {
		return nil
	}
	return refusal(document, found)
}

// run returns the validator's complaints. Behind an abstract type without
// xsi:type it may lose its way; then it is asked for the first complaint only.
func run(document []byte, limits Limits) []*xsderrors.Error {
	for _, most := range []int{maxItems, 1} {
		err := engine().ValidateWithOptions(context.Background(), bytes.NewReader(document), xsd.ValidateOptions{
			MaxErrors:             most,
			MaxInstanceBytes:      int64(limits.Bytes),
			MaxInstanceDepth:      limits.Depth,
			MaxInstanceAttributes: limits.Attributes,
			MaxInstanceTextBytes:  int64(limits.TextBytes),
			MaxInstanceTokenBytes: int64(limits.TextBytes),
		})
		if err == nil {
			return nil
		}
		if found := complaints(err); len(found) > 0 && !slices.ContainsFunc(found, lost) {
			return found
		}
	}
	return []*xsderrors.Error{errLost}
}

// errLost stands for a validator that twice found no verdict. It has no rule,
// so that the document is refused as our own failure.
var errLost = &xsderrors.Error{Category: xsderrors.CategoryInternal, Code: xsderrors.CodeInternalInvariant}

func lost(e *xsderrors.Error) bool { return e.Category == xsderrors.CategoryInternal }

// beyondSchemas reports whether the validator complains of what XML Schema
// leaves open and libxml2 ignores: where an unknown namespace's schema may be
// found, and xsi:nil on elements that no schema declares.
func beyondSchemas(e *xsderrors.Error) bool {
	switch e.Code {
	case xsderrors.CodeUnsupportedSchemaHint, xsderrors.CodeValidationNil:
		return true
	case xsderrors.CodeValidationAttribute:
		return strings.Contains(e.Message, hint.Local) || strings.Contains(e.Message, hintWithoutSpace.Local)
	}
	return false
}

// Attributes that beyondSchemas is about.
var (
	hint             = xml.Name{Space: spaceInstance, Local: "schemaLocation"}
	hintWithoutSpace = xml.Name{Space: spaceInstance, Local: "noNamespaceSchemaLocation"}
	isNil            = xml.Name{Space: spaceInstance, Local: "nil"}
)

// withoutHints returns a document of the same length in which all hints, and
// xsi:nil where no schema declares the element, are blank.
func withoutHints(document []byte) []byte {
	blank := slices.Clone(withoutMark(document))
	in := newDecoder(blank)
	for {
		token, err := in.next()
		if err != nil {
			return blank // the validator says the rest
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		_, declared := known()[start.Name]
		tag := blank[in.from:in.InputOffset()]
		for i, a := range rawAttributes(tag) {
			name := start.Attr[i].Name
			if name == hint || name == hintWithoutSpace || name == isNil && !declared {
				copy(tag[a.name:a.end+1], bytes.Repeat([]byte(" "), a.end+1-a.name))
			}
		}
	}
}

// complaints flattens the validator's error into its single ones.
func complaints(err error) []*xsderrors.Error {
	var list []*xsderrors.Error
	if many, ok := errors.AsType[xsderrors.Errors](err); ok {
		for _, one := range many {
			list = append(list, complaints(one)...)
		}
	} else if one, ok := errors.AsType[*xsderrors.Error](err); ok {
		list = append(list, one)
	}
	return list
}

// refusal says what a validator's complaints mean to the caller.
func refusal(document []byte, list []*xsderrors.Error) error {
	found := make([]complaint, len(list))
	for i, e := range list {
		switch e.Code {
		case xsderrors.CodeUnsupportedNonUTF8:
			return fault.New(fault.BadRequest, "document declares an encoding other than UTF-8")
		case xsderrors.CodeUnsupportedXML11:
			return fault.New(fault.BadRequest, "document is not XML 1.0")
		case xsderrors.CodeUnsupportedDTD:
			return fault.New(fault.BadRequest, "document has a DTD")
		case xsderrors.CodeUnsupportedExternal:
			return fault.New(fault.BadRequest, "document refers to an entity that XML does not predefine")
		case xsderrors.CodeValidationXML:
			return errNotWellFormed
		case xsderrors.CodeValidationLimit:
			return fault.New(fault.TooLarge, "document exceeds a limit of depth, attributes, text or keys")
		}
		rule, ok := ruleOf[e.Code]
		switch {
		case !ok:
			return fault.New(fault.Internal, "validator failed")
		case rule == RuleRoot && e.Line == 0, rule == RuleText && e.Path == "/":
			// No root element; text beside it. The validator calls both invalid.
			return errNotWellFormed
		}
		found[i] = complaint{offsetOf(document, e.Line, e.Column), rule}
	}
	return invalid(document, "document is against its schemas", found)
}

func invalid(document []byte, text string, found []complaint) error {
	items, err := locate(document, found)
	if err != nil {
		return err
	}
	return &fault.Error{Kind: fault.Invalid, Text: text, Items: items}
}
