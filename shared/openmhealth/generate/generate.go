// Package generate makes valid data points from the published schemas
// themselves: every member, alternative and form of time that a schema allows,
// so that tests of codecs and of the whole way see more than a test writer
// thinks of. The same source of randomness makes the same points.
package generate

import (
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"fitvault/shared/openmhealth"
	"fitvault/shared/reading"
)

// Batch makes n data points of served types for an owner.
func Batch(rng *rand.Rand, n int, owner string) []reading.Value {
	points := make([]reading.Value, n)
	for i := range points {
		points[i] = Point(rng, openmhealth.Served[rng.IntN(len(openmhealth.Served))], owner)
	}
	return points
}

// Series makes a data series of n bodies of schema s, and the data points that
// it stands for.
func Series(rng *rand.Rand, s openmhealth.Schema, n int, owner string) (series reading.Value, points []reading.Value) {
	m := maker{rng}
	header := m.header(s, owner)
	bodies := make([]reading.Value, n)
	for i := range bodies {
		for {
			bodies[i] = m.value(s.Compile())
			point := reading.ObjectValue([]string{"header", "body"}, []reading.Value{header, bodies[i]})
			if _, err := reading.FromPoint(point); err == nil {
				points = append(points, point)
				break
			}
		}
	}
	return reading.ObjectValue([]string{"header", "body"}, []reading.Value{header, reading.ArrayValue(bodies)}), points
}

// JSON is a batch as it is sent.
func JSON(points []reading.Value) []byte { return reading.ArrayValue(points).AppendJSON(nil) }

// Point makes a data point with a body of schema s, and a header of one of the
// two kinds, that intake accepts for the owner.
func Point(rng *rand.Rand, s openmhealth.Schema, owner string) reading.Value {
	m := maker{rng}
	for {
		point := reading.ObjectValue([]string{"header", "body"}, []reading.Value{m.header(s, owner), m.value(s.Compile())})
		if _, err := reading.FromPoint(point); err == nil { // a long duration may leave the calendar
			return point
		}
	}
}

type maker struct{ *rand.Rand }

func (m maker) header(s openmhealth.Schema, owner string) reading.Value {
	kind := openmhealth.HeaderIEEE
	if m.IntN(2) == 0 {
		kind = openmhealth.HeaderOMH
	}
	header := m.value(kind.Compile())
	set(header, "id", m.id())
	set(header, "user_id", owner)
	schemaID, _ := header.Get("schema_id")
	set(schemaID, "namespace", s.Namespace)
	set(schemaID, "name", s.Name)
	set(schemaID, "version", s.Version)
	return header
}

// set changes a member that v has; v is not in anybody else's hands yet.
func set(v reading.Value, name, text string) {
	if i := slices.Index(v.Names(), name); i >= 0 {
		v.List()[i] = reading.StringValue(text)
	}
}

// value makes a value that all the schemas allow. It knows the keywords that
// the served schemas use; openmhealth's tests say that they use no others.
func (m maker) value(schemas ...*jsonschema.Schema) reading.Value {
	ways := choices(schemas...)
	applying := ways[m.IntN(len(ways))]
	var types []string
	var enums [][]any
	for _, s := range applying {
		if s.Format != nil {
			return reading.StringValue(m.format(s.Format.Name))
		}
		if s.Pattern != nil { // the only pattern is a date's
			return reading.StringValue(m.date())
		}
		if s.Enum != nil {
			enums = append(enums, s.Enum.Values)
		}
		if s.Types != nil {
			types = append(types, s.Types.ToStrings()...)
		}
	}
	switch {
	case enums != nil:
		return reading.StringValue(m.common(enums))
	case slices.Contains(types, "integer"):
		return m.number(0)
	case slices.Contains(types, "number"):
		return m.number(reading.MaxDigits)
	case slices.Contains(types, "boolean"):
		return reading.BoolValue(m.IntN(2) == 0)
	case slices.Contains(types, "string"):
		return reading.StringValue(m.text())
	case slices.Contains(types, "array"):
		return m.array(applying)
	default:
		return m.object(applying)
	}
}

// choices follows references and lists the ways to take one of each set of
// alternatives: for each way, all schemas that then apply. A way that requires
// a member and does not name it is left out.
func choices(schemas ...*jsonschema.Schema) [][]*jsonschema.Schema {
	ways := [][]*jsonschema.Schema{nil}
	for _, s := range schemas {
		ways = product(ways, expand(s))
	}
	return slices.DeleteFunc(ways, func(applying []*jsonschema.Schema) bool {
		named := properties(applying)
		return slices.ContainsFunc(required(applying), func(name string) bool { return named[name] == nil })
	})
}

func expand(s *jsonschema.Schema) [][]*jsonschema.Schema {
	for s.Ref != nil {
		s = s.Ref
	}
	ways := [][]*jsonschema.Schema{{s}}
	for _, sub := range s.AllOf {
		ways = product(ways, expand(sub))
	}
	for _, alternatives := range [][]*jsonschema.Schema{s.AnyOf, s.OneOf} {
		var any [][]*jsonschema.Schema
		for _, sub := range alternatives {
			any = append(any, expand(sub)...)
		}
		if any != nil {
			ways = product(ways, any)
		}
	}
	return ways
}

func product(a, b [][]*jsonschema.Schema) [][]*jsonschema.Schema {
	var all [][]*jsonschema.Schema
	for _, x := range a {
		for _, y := range b {
			all = append(all, slices.Concat(x, y))
		}
	}
	return all
}

// common is a value that is in all the enums.
func (m maker) common(enums [][]any) string {
	var in []string
	for _, v := range enums[0] {
		if !slices.ContainsFunc(enums, func(enum []any) bool { return !slices.Contains(enum, v) }) {
			in = append(in, v.(string))
		}
	}
	return in[m.IntN(len(in))]
}

func (m maker) array(applying []*jsonschema.Schema) reading.Value {
	var items []*jsonschema.Schema
	for _, s := range applying {
		if each, ok := s.Items.(*jsonschema.Schema); ok {
			items = append(items, each)
		}
	}
	list := make([]reading.Value, m.IntN(4))
	for i := range list {
		list[i] = m.value(items...)
	}
	return reading.ArrayValue(list)
}

func (m maker) object(applying []*jsonschema.Schema) reading.Value {
	named, needed := properties(applying), required(applying)
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(named)), func(name string) bool {
		return !slices.Contains(needed, name) && m.IntN(2) == 0
	})
	m.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	values := make([]reading.Value, len(names))
	for i, name := range names {
		values[i] = m.value(named[name]...)
	}
	return reading.ObjectValue(names, values)
}

func properties(applying []*jsonschema.Schema) map[string][]*jsonschema.Schema {
	named := map[string][]*jsonschema.Schema{}
	for _, s := range applying {
		for name, p := range s.Properties {
			named[name] = append(named[name], p)
		}
	}
	return named
}

func required(applying []*jsonschema.Schema) []string {
	var names []string
	for _, s := range applying {
		names = append(names, s.Required...)
	}
	return names
}
