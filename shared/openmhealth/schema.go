package openmhealth

import (
	"embed"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"fitvault/shared/reading"
)

// The published schemas that the served types and headers reach, unchanged.
// Their relative references meet in one folder per publisher.
//
//go:embed schemas
var files embed.FS

var folders = map[string]string{
	"omh":  "https://w3id.org/openmhealth/schemas/omh/",
	"ieee": "https://w3id.org/ieee/ieee-1752-schema/",
}

// embedded loads schemas from files and from nowhere else: no network, no disk.
type embedded struct{}

func (embedded) Load(url string) (any, error) {
	for folder, base := range folders {
		if name, ok := strings.CutPrefix(url, base); ok {
			f, err := files.Open("schemas/" + folder + "/" + name)
			if err != nil {
				return nil, err
			}
			defer f.Close()
			return jsonschema.UnmarshalJSON(f)
		}
	}
	return nil, errors.New("openmhealth: schema of an unknown publisher")
}

// compiler compiles on first use: a function that starts for one heart rate
// does not wait for all the other types.
var compiler = struct {
	sync.Mutex
	*jsonschema.Compiler
	compiled map[Schema]*jsonschema.Schema
}{
	Compiler: newCompiler(embedded{}),
	compiled: map[Schema]*jsonschema.Schema{},
}

func newCompiler(loader jsonschema.URLLoader) *jsonschema.Compiler {
	c := jsonschema.NewCompiler()
	c.UseLoader(loader)
	for _, f := range formats {
		c.RegisterFormat(f)
	}
	return c
}

// Compile returns the schema s, ready to validate. It panics where no file of
// that name is embedded: callers choose from Served and the headers.
func (s Schema) Compile() *jsonschema.Schema {
	compiler.Lock()
	defer compiler.Unlock()
	if compiled, ok := compiler.compiled[s]; ok {
		return compiled
	}
	compiled := compiler.MustCompile(s.url())
	compiler.compiled[s] = compiled
	return compiled
}

func (s Schema) url() string { return folders[s.Namespace] + s.Name + "-" + s.Version + ".json" }

// check holds v against schema, and its members against the schema's names, at
// every depth. It returns the first failure by pointer and rule, as seen from
// at, or nil.
func check(schema *jsonschema.Schema, v reading.Value, at string) *reading.PointError {
	plain := plain(v)
	if err := schema.Validate(plain); err != nil {
		failure := first(err.(*jsonschema.ValidationError))
		failure.Pointer = at + failure.Pointer
		return failure
	}
	if pointer, found := unknownMember([]*jsonschema.Schema{schema}, v, plain, at); found {
		return &reading.PointError{Pointer: pointer, Rule: RuleUnknownMember}
	}
	return nil
}

// plain is v as package jsonschema takes it. Its numbers have passed
// reading.Canonical: jsonschema's arithmetic would not survive 1e-999999999.
func plain(v reading.Value) any {
	switch v.Kind() {
	case reading.Null:
		return nil
	case reading.Bool:
		return v.Text() == "true"
	case reading.Number:
		return json.Number(v.Text())
	case reading.String:
		return v.Text()
	case reading.Array:
		list := make([]any, len(v.List()))
		for i, x := range v.List() {
			list[i] = plain(x)
		}
		return list
	default:
		members := make(map[string]any, len(v.List()))
		for i, x := range v.List() {
			members[v.Names()[i]] = plain(x)
		}
		return members
	}
}

// first picks one failure to report, always the same one: package jsonschema
// lists members in the order of a Go map.
func first(err *jsonschema.ValidationError) *reading.PointError {
	var failures []reading.PointError
	for _, leaf := range leaves(err) {
		location := leaf.InstanceLocation
		if required, ok := leaf.ErrorKind.(*kind.Required); ok {
			location = append(slices.Clone(location), required.Missing[0])
		}
		pointer := ""
		for _, token := range location {
			pointer += "/" + token // names from the schemas: none has ~ or /
		}
		failures = append(failures, reading.PointError{Pointer: pointer, Rule: leaf.ErrorKind.KeywordPath()[0]})
	}
	least := slices.MinFunc(failures, func(a, b reading.PointError) int {
		return strings.Compare(a.Pointer+" "+a.Rule, b.Pointer+" "+b.Rule)
	})
	return &least
}

// leaves are the failures that explain err. Of alternatives, the one that got
// deepest into the document is the one that was meant; where none got further
// than the others, it is the choice itself that failed.
func leaves(err *jsonschema.ValidationError) []*jsonschema.ValidationError {
	if len(err.Causes) == 0 {
		return []*jsonschema.ValidationError{err}
	}
	var all []*jsonschema.ValidationError
	for _, cause := range err.Causes {
		all = append(all, leaves(cause)...)
	}
	switch err.ErrorKind.(type) {
	case *kind.OneOf, *kind.AnyOf:
		depth := len(err.InstanceLocation)
		for _, leaf := range all {
			depth = max(depth, len(leaf.InstanceLocation))
		}
		if depth == len(err.InstanceLocation) {
			return []*jsonschema.ValidationError{err}
		}
		all = slices.DeleteFunc(all, func(leaf *jsonschema.ValidationError) bool { return len(leaf.InstanceLocation) < depth })
	}
	return all
}

// unknownMember finds an object in v with a member that none of its schemas
// names, and returns the object's pointer: the member's name is the sender's
// invention and goes nowhere. v is valid against schemas; plain is v again.
//
// A schema counts where it applies and holds, as for unevaluatedProperties of
// later drafts: through $ref and allOf, through the alternatives of anyOf and
// oneOf that v satisfies, and below properties and items.
func unknownMember(schemas []*jsonschema.Schema, v reading.Value, plain any, at string) (string, bool) {
	if v.Kind() != reading.Object && v.Kind() != reading.Array {
		return "", false
	}
	var applying []*jsonschema.Schema
	for _, s := range schemas {
		applying = appendApplying(applying, s, plain)
	}
	for i, child := range v.List() {
		var below []*jsonschema.Schema
		var token string
		var plainChild any
		if v.Kind() == reading.Object {
			token = v.Names()[i]
			plainChild = plain.(map[string]any)[token]
			for _, s := range applying {
				if p, ok := s.Properties[token]; ok {
					below = append(below, p)
				}
			}
			if below == nil {
				return at, true
			}
		} else {
			token = strconv.Itoa(i)
			plainChild = plain.([]any)[i]
			for _, s := range applying {
				if items, ok := s.Items.(*jsonschema.Schema); ok {
					below = append(below, items)
				}
			}
		}
		if pointer, found := unknownMember(below, child, plainChild, at+"/"+token); found {
			return pointer, true
		}
	}
	return "", false
}

func appendApplying(to []*jsonschema.Schema, s *jsonschema.Schema, plain any) []*jsonschema.Schema {
	for s.Ref != nil {
		s = s.Ref // in drafts 4 to 7 nothing beside a $ref counts
	}
	to = append(to, s)
	for _, sub := range s.AllOf {
		to = appendApplying(to, sub, plain)
	}
	for _, sub := range slices.Concat(s.AnyOf, s.OneOf) {
		if sub.Validate(plain) == nil {
			to = appendApplying(to, sub, plain)
		}
	}
	return to
}
