package generate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"fitvault/shared/openmhealth"
	"fitvault/shared/reading"
)

// Coverage counts what data points have shown, so that a test can say that its
// points have shown everything: per served schema and header every member there
// and, where it is optional, left out; every form of time frame; every offset
// up to ±14:00 and every number of fraction digits; text beyond the basic plane.
type Coverage struct {
	seen     map[string]int      // feature → how often
	optional map[string][]string // path → members that may be left out there
}

// NewCoverage knows all that is to be shown, and has seen none of it.
func NewCoverage() Coverage {
	c := Coverage{seen: map[string]int{}, optional: map[string][]string{}}
	for _, s := range openmhealth.Served {
		c.expect(bodyName(s.Type, s.Version), s.Compile())
	}
	c.expect("ieee header", openmhealth.HeaderIEEE.Compile())
	c.expect("omh header", openmhealth.HeaderOMH.Compile())
	for quarters := range 14*4 + 1 {
		c.seen[fmt.Sprintf("offset +%02d:%02d", quarters/4, quarters%4*15)] = 0
		c.seen[fmt.Sprintf("offset -%02d:%02d", quarters/4, quarters%4*15)] = 0
	}
	c.seen["offset Z"] = 0
	for digits := range 10 {
		c.seen[fmt.Sprintf("%d fraction digits", digits)] = 0
	}
	c.seen["astral text"] = 0
	c.seen["34 digits"] = 0
	return c
}

// Missing lists what has not been shown.
func (c Coverage) Missing() []string {
	var missing []string
	for _, feature := range slices.Sorted(maps.Keys(c.seen)) {
		if c.seen[feature] == 0 {
			missing = append(missing, feature)
		}
	}
	return missing
}

// Add counts what a data point shows.
func (c Coverage) Add(point reading.Value) {
	header, _ := point.Get("header")
	body, _ := point.Get("body")
	kind := "omh header"
	if _, ok := header.Get("uuid"); ok {
		kind = "ieee header"
	}
	c.walk(kind, header)
	if r, err := reading.FromPoint(point); err == nil {
		c.walk(bodyName(r.Type, r.Version), body)
	}
}

func bodyName(t reading.Type, version string) string { return t.String() + ":" + version }

const there, leftOut = " there", " left out"

// expect notes the members that the schemas name below path, in any choice of
// alternatives.
func (c Coverage) expect(path string, schemas ...*jsonschema.Schema) {
	ways := choices(schemas...)
	for _, applying := range ways {
		for name, below := range properties(applying) {
			c.seen[path+"/"+name+there] = 0
			c.expect(path+"/"+name, below...)
			optional := slices.ContainsFunc(ways, func(way []*jsonschema.Schema) bool { return !slices.Contains(required(way), name) })
			if optional && !slices.Contains(c.optional[path], name) {
				c.seen[path+"/"+name+leftOut] = 0
				c.optional[path] = append(c.optional[path], name)
			}
		}
		for _, s := range applying {
			if items, ok := s.Items.(*jsonschema.Schema); ok {
				c.expect(path+"/*", items)
			}
		}
	}
}

func (c Coverage) walk(path string, v reading.Value) {
	switch v.Kind() {
	case reading.Object:
		for i, name := range v.Names() {
			c.seen[path+"/"+name+there]++
			c.walk(path+"/"+name, v.List()[i])
		}
		for _, name := range c.optional[path] {
			if _, ok := v.Get(name); !ok {
				c.seen[path+"/"+name+leftOut]++
			}
		}
	case reading.Array:
		for _, x := range v.List() {
			c.walk(path+"/*", x)
		}
	case reading.String:
		c.text(v.Text())
	case reading.Number:
		if len(strings.Trim(v.Text(), "-.")) >= reading.MaxDigits {
			c.seen["34 digits"]++
		}
	}
}

func (c Coverage) text(s string) {
	for _, r := range s {
		if r > 0xffff {
			c.seen["astral text"]++
			break
		}
	}
	if _, err := reading.ParseTime(s); err != nil {
		return
	}
	s = strings.ToUpper(s)
	rest := s[len("2006-01-02T15:04:05"):]
	digits := strings.IndexAny(rest, "Z+-")
	c.seen["offset "+rest[digits:]]++
	c.seen[fmt.Sprintf("%d fraction digits", max(digits-1, 0))]++
}
