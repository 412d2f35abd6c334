package openmhealth

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"fitvault/shared/reading"
)

// A leaf's checks take nothing that the rules which they stand for refuse. What
// they refuse costs time only.
func FuzzLeaf(f *testing.F) {
	for _, seed := range []string{"71", "-0.5", "0", "-0", "1.0", "1e2", "0b3c6f0e-5a5b-4c8e-9d2f-0a1b2c3d4e5f", "2026-05-04T07:25:00Z", "a\\n", "é", "\xff", "1234567890123456789012345678901234"} {
		f.Add(seed)
	}
	uuid := HeaderIEEE.Compile().Properties["uuid"].Format
	dateTime := (&jsonschema.Schema{Format: formats[0]}).Format
	f.Fuzz(func(t *testing.T, s string) {
		for _, integer := range []bool{false, true} {
			if n, ok := canonicalPrefix(s, integer); ok {
				canonical, err := reading.Canonical(s[:n])
				require.NoError(t, err)
				require.Equal(t, s[:n], canonical)
			}
		}
		if canonical, err := reading.Canonical(s); err == nil && canonical == s {
			n, ok := canonicalPrefix(s, false)
			require.True(t, ok && n == len(s), "what is canonical is taken")
		}
		require.Equal(t, uuid.Validate(s) == nil, isUUID(s))
		for _, kind := range []leafKind{leafTime, leafUUID, leafText, leafUser} {
			l := leaf{kind: kind}
			if !strings.Contains(s, `"`) && l.allows(s, owner) { // a leaf ends at the next quote
				v, err := reading.Decode(jsontext.NewDecoder(strings.NewReader(`"`+s+`"`)), 1)
				require.NoError(t, err)
				require.Equal(t, s, v.Text())
				require.True(t, kind != leafTime || dateTime.Validate(s) == nil)
				require.True(t, kind != leafUser || s == owner)
			}
		}
	})
}

// Where a schema has a keyword that learn does not know, nothing is learned.
func TestOtherKeywordsMakeNoShape(t *testing.T) {
	one := 1
	var constant any = "x"
	for name, s := range map[string]*jsonschema.Schema{
		"minLength": {MinLength: &one}, "const": {Const: &constant}, "not": {Not: &jsonschema.Schema{}}, "if": {If: &jsonschema.Schema{}},
		"maxItems": {MaxItems: &one}, "uniqueItems": {UniqueItems: true}, "additionalProperties": {AdditionalProperties: false},
		"items by position": {Items: []*jsonschema.Schema{{}}}, "dependencies": {Dependencies: map[string]any{"a": "b"}},
		"an enum of numbers": {Enum: &jsonschema.Enum{Values: []any{1.0}}},
	} {
		require.True(t, usesOtherKeywords(s), name)
	}
	for _, s := range append([]Schema{HeaderIEEE, HeaderOMH}, Served...) {
		require.False(t, usesOtherKeywords(s.Compile()), s.url())
	}
}

// What may be a leaf, and what must stay, where no served schema has it so.
func TestLeaves(t *testing.T) {
	enum := &jsonschema.Schema{Enum: &jsonschema.Enum{Values: []any{"x", "y"}}}
	number := &jsonschema.Schema{}
	for name, c := range map[string]struct {
		schemas      applicable
		place, raw   string
		number, ok   bool
		word         bool
		wantedChecks int
	}{
		"a word":                      {applicable{enum}, "body/a", `"x"`, false, false, true, 0},
		"a word among others":         {applicable{number, enum}, "body/a", `"x"`, false, false, true, 0},
		"text where words are listed": {applicable{number, enum}, "body/a", `"z"`, false, false, false, 0},
		"a number beside words":       {applicable{number, enum}, "body/a", `1`, true, false, false, 0},
		"a number":                    {applicable{number}, "body/a", `1`, true, true, false, 0},
		"a number beside a format":    {applicable{{Format: formats[0]}}, "body/a", `1`, true, false, false, 0},
		"text":                        {applicable{number}, "body/a", `"x"`, false, true, false, 0},
		"text with an escape":         {applicable{number}, "body/a", `"\n"`, false, false, false, 0},
		"text of no format":           {applicable{{Format: formats[0]}}, "body/a", `"x"`, false, false, false, 0},
		"text of a format":            {applicable{{Format: formats[1]}}, "body/a", `"urn:a"`, false, true, false, 1},
		"text of two formats":         {applicable{{Format: formats[1]}, {Format: formats[2]}}, "body/a", `"urn:a"`, false, true, false, 2},
		"an id":                       {applicable{number}, "header/id", `"x"`, false, true, false, 1},
		"the name of a schema":        {applicable{number}, "header/schema_id/name", `"x"`, false, false, true, 0},
	} {
		found, ok := c.schemas.leaf(c.place, c.raw, c.number)
		require.Equal(t, c.ok, ok, name)
		require.Len(t, found.checks, c.wantedChecks, name)
		if !ok && !c.number {
			require.Equal(t, c.word, c.schemas.word(c.place, c.raw), name)
		}
	}
}

// Two schemas of integers and numbers: a leaf that was an integer stays one.
func TestIntegersStayIntegers(t *testing.T) {
	schema := Schema{reading.Type{Namespace: "omh", Name: "sleep-episode"}, "1.1"}
	awakenings := applicable{schema.Compile()}.closure().property("number_of_awakenings")
	found, ok := awakenings.leaf("body/number_of_awakenings", "3", true)
	require.True(t, ok)
	require.Equal(t, leafInteger, found.kind)
	_, ok = awakenings.leaf("body/number_of_awakenings", "3.0", true)
	require.False(t, ok)
}

// A record of a known shape costs no allocation of its own.
func TestAllocations(t *testing.T) {
	var shapes shapes
	points := []byte("[" + strings.TrimSuffix(strings.Repeat(point+",", 1000), ",") + "]")
	_, err := decode(points, owner, Intake, &shapes)
	require.NoError(t, err)
	require.Less(t, testing.AllocsPerRun(5, func() { _, _ = decode(points, owner, Intake, &shapes) }), 20.0)
	series := []byte(seriesOf(header, strings.TrimSuffix(strings.Repeat(body+",", 1000), ",")))
	_, err = decode(series, owner, Intake, &shapes)
	require.NoError(t, err)
	require.Less(t, testing.AllocsPerRun(5, func() { _, _ = decode(series, owner, Intake, &shapes) }), 120.0)
}
