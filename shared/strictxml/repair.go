package strictxml

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jacoelho/xsd"

	"fitvault/shared/fault"
)

// repairer changes a document on its way to the validator, where it deviates in
// ways that the format's model knows, and notes what it changed. What comes out
// must be valid: the schemas have the last word in the lenient reading too.
//
// Containers are streamed. Their small children are held back until what must
// come behind them begins, so that they can be put into order and what is
// missing can be put in. Everything else is read whole, up to maxNode.
type repairer struct {
	schema  *Schema
	scanner *Scanner
	emit    func(*Token) error // to collector and validator
	show    func(*Token) error // to the collector only

	frames   []*frame
	untouch  int // depth inside what is passed on as it is, or
	leave    int // inside what is left out, or
	building []*node
	spec     *Element // of building
	size     int      // bytes of building
	probes   int
	probed   int // bytes of them
	keys     map[string]bool
	forgiven []Forgiven
	at       map[string]int // index in forgiven, by pointer and rule
}

// frame is an open container.
type frame struct {
	element *Element
	space   string
	pointer string
	start   *Token  // not passed on yet
	prefix  string  // of its own name, with colon
	lexical string  // its own name
	held    []child // small ones
	passed  int     // Children before this index have had their turn
	some    bool    // something of the last kind was passed on
}

type child struct {
	index int
	node  *node
	early bool // that is noted already
}

const (
	maxNode     = 256 << 10
	maxProbes   = 1000
	maxProbed   = 4 << 20
	maxKeys     = 10_000
	maxForgiven = 64
)

func newRepairer(f Format, scanner *Scanner, emit, show func(*Token) error) *repairer {
	top := &frame{element: &Element{Children: []*Element{f.Model}}, space: f.Model.Space}
	return &repairer{schema: f.Schema(), scanner: scanner, emit: emit, show: show, frames: []*frame{top}, keys: map[string]bool{}, at: map[string]int{}}
}

// idle reports whether the next token is a child of the innermost container, and
// nothing is held back that it would be out of order with.
func (r *repairer) idle() bool {
	return r.untouch == 0 && r.leave == 0 && len(r.building) == 0 && len(r.frames[len(r.frames)-1].held) == 0
}

func (r *repairer) forgive(pointer, rule string) {
	key := pointer + " " + rule
	i, ok := r.at[key]
	if !ok {
		if i = len(r.forgiven); i >= maxForgiven-1 {
			pointer, rule, i = "", ForgiveOthers, maxForgiven-1
		}
		r.at[key] = i
		if i == len(r.forgiven) {
			r.forgiven = append(r.forgiven, Forgiven{Pointer: pointer, Rule: rule})
		}
	}
	r.forgiven[i].Count++
}

func (r *repairer) token(t *Token) error {
	switch {
	case r.untouch > 0:
		r.untouch += nesting(t)
		return r.emit(t)
	case r.leave > 0:
		r.leave += nesting(t)
		return nil
	case len(r.building) > 0:
		return r.build(t)
	}
	top := r.frames[len(r.frames)-1]
	switch t.Kind {
	case Start:
		return r.begin(top, t)
	case End:
		return r.end(top)
	case Text, CDATA:
		if len(bytes.Trim(t.Raw, Whitespace)) == 0 && (top.start != nil || len(top.held) > 0) {
			return nil
		}
	}
	return r.emit(t)
}

func nesting(t *Token) int {
	switch t.Kind {
	case Start:
		return 1
	case End:
		return -1
	}
	return 0
}

// begin takes the start of a container's child.
func (r *repairer) begin(top *frame, t *Token) error {
	index, e := top.element.child(t.Name, top.space)
	switch {
	case e == nil && len(r.frames) == 1: // another root
		r.untouch = 1
		return r.emit(t)
	case e == nil:
		r.forgive(top.pointer, ForgiveUnknown)
		r.leave = 1
		return nil
	case index < top.passed-1 || index == top.passed-1 && !e.Many:
		rule := ForgiveOrder
		if index == top.passed-1 {
			rule = ForgiveRepeated
		}
		r.forgive(top.pointer+"/"+e.Name, rule)
		r.leave = 1
		return nil
	}
	switch e.Kind {
	case Container, Untouched:
		if err := r.release(top, index); err != nil {
			return err
		}
		if e.Kind == Untouched {
			r.untouch = 1
			return r.emit(t)
		}
		n := newNode(t)
		f := &frame{element: e, space: e.space(top.space), pointer: top.pointer + "/" + e.Name, lexical: n.lexical, prefix: n.lexical[:len(n.lexical)-len(t.Name.Local)]}
		r.attributes(e, n, f.pointer)
		// As <a> … </a>, so that something can be put in.
		err := (&node{lexical: n.lexical, name: n.name, attrs: n.attrs}).tokens(func(t *Token) error {
			if t.Kind == Start {
				f.start = t
			}
			return nil
		})
		r.frames = append(r.frames, f)
		if err == nil && !e.NotEmpty {
			err = r.open(f)
		}
		return err
	}
	r.spec, r.building, r.size = e, []*node{newNode(t)}, len(t.Raw)
	return nil
}

// open passes on a container's start tag.
func (r *repairer) open(f *frame) error {
	if f.start == nil {
		return nil
	}
	start := f.start
	f.start = nil
	return r.emit(start)
}

// release passes on what is held of a container and belongs before a child, in
// order, and puts in what is missing there.
func (r *repairer) release(f *frame, before int) error {
	if err := r.open(f); err != nil {
		return err
	}
	slices.SortStableFunc(f.held, func(a, b child) int { return a.index - b.index })
	for ; f.passed < before; f.passed++ {
		e := f.element.Children[f.passed]
		there := false
		for len(f.held) > 0 && f.held[0].index == f.passed {
			n := f.held[0].node
			f.held = f.held[1:]
			if there && !e.Many {
				r.forgive(f.pointer+"/"+e.Name, ForgiveRepeated)
				continue
			}
			there = true
			if err := n.tokens(r.emit); err != nil {
				return err
			}
		}
		if !there && e.Required && e.Missing != "" {
			r.forgive(f.pointer+"/"+e.Name, ForgiveMissing)
			if err := (&node{lexical: f.lexical, name: Name{f.space, ""}}).leaf(e.Name, r.stand(e)).tokens(r.emit); err != nil {
				return err
			}
		}
	}
	f.passed = max(f.passed, before+1)
	for i := range f.held { // it came before something that it belongs behind
		if h := &f.held[i]; !h.early {
			h.early = true
			r.forgive(f.pointer+"/"+f.element.Children[h.index].Name, ForgiveOrder)
		}
	}
	return nil
}

// stand is the text that stands in for an element.
func (r *repairer) stand(e *Element) string {
	if !e.Unique {
		return e.Missing
	}
	text := fmt.Sprintf("%s.%09dZ", e.Missing, len(r.keys)+1)
	r.keys[text] = true
	return text
}

// end takes the end of a container.
func (r *repairer) end(f *frame) error {
	r.frames = r.frames[:len(r.frames)-1]
	if f.start != nil && !f.some {
		r.forgive(f.pointer, ForgiveEmptyTrack)
		return nil
	}
	if err := r.release(f, len(f.element.Children)); err != nil {
		return err
	}
	return r.emit(&Token{Kind: End, Name: Name{f.space, f.element.Name}, Raw: []byte("</" + f.lexical + ">")})
}

// build adds to the element that is read whole, and passes it on when it is.
func (r *repairer) build(t *Token) error {
	if r.size += len(t.Raw); r.size > maxNode {
		return fault.New(fault.TooLarge, "element is too large for a lenient reading")
	}
	last := r.building[len(r.building)-1]
	switch t.Kind {
	case Start:
		n := newNode(t)
		last.children = append(last.children, n)
		r.building = append(r.building, n)
	case Text, CDATA:
		if len(last.children) == 0 || len(bytes.Trim(t.Raw, Whitespace)) > 0 {
			last.addText(t)
		}
	case End:
		r.building = r.building[:len(r.building)-1]
		if len(r.building) == 0 {
			return r.built(r.frames[len(r.frames)-1], last)
		}
	}
	return nil
}

func (r *repairer) built(top *frame, n *node) error {
	index, e := top.element.child(n.name, top.space)
	var hidden []*node
	if !r.repair(e, n, top.space, top.pointer+"/"+e.Name, &hidden) {
		return nil
	}
	if e.Kind != Each {
		if slices.ContainsFunc(top.held, func(c child) bool { return c.index > index }) {
			r.forgive(top.pointer+"/"+e.Name, ForgiveOrder)
		}
		top.held = append(top.held, child{index: index, node: n})
		return nil
	}
	top.some = true
	if err := r.release(top, index); err != nil {
		return err
	}
	// The collector sees hidden elements at the end of the element that has them.
	return n.tokens(func(t *Token) error {
		if t.Kind == End && t.Name == n.name {
			for _, h := range hidden {
				if err := h.tokens(r.show); err != nil {
					return err
				}
			}
		}
		return r.emit(t)
	})
}

// repair mends an element that was read whole. It returns false where the
// element must be left out.
func (r *repairer) repair(e *Element, n *node, parents, pointer string, hidden *[]*node) bool {
	if e.Kind == Description {
		if r.valid(e, n) {
			return true
		}
		r.forgive(pointer, ForgiveDescription)
		return false
	}
	if !r.attributes(e, n, pointer) {
		return false
	}
	switch {
	case e.Kind == Extension:
		r.extension(e, n, pointer, hidden)
		return true
	case len(e.Children) > 0:
		return r.children(e, n, e.space(parents), pointer, hidden)
	case len(n.children) == 0 && e.Value != nil:
		return r.value(e, n, pointer)
	}
	return true
}

func (r *repairer) value(e *Element, n *node, pointer string) bool {
	text, ok := Unescape(nil, n.text)
	if !ok {
		return true
	}
	use, rule, keep := e.Value(string(text))
	if e.Unique {
		if key := strings.Trim(use, Whitespace); !keep || !exactTime.MatchString(key) || r.keys[key] {
			use, rule, keep = r.stand(e), ForgiveKey, true
		} else if len(r.keys) < maxKeys {
			r.keys[key] = true
		}
	}
	if rule == "" {
		return true
	}
	r.forgive(pointer, rule)
	if !keep && e.Required && e.Missing != "" {
		use, keep = e.Missing, true
	}
	n.text = []byte(escaper.Replace(use))
	return keep
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;")

// attributes leaves out those that the element may not have and mends the
// others. It returns false where one that it must have cannot be had.
func (r *repairer) attributes(e *Element, n *node, pointer string) bool {
	n.attrs = slices.DeleteFunc(n.attrs, func(a nodeAttr) bool {
		if a.name.Space == Xmlns || a.name.Space == Instance {
			return false
		}
		known := a.name.Space == "" && slices.ContainsFunc(e.Attributes, func(k Attribute) bool { return k.Name == a.name.Local })
		if !known {
			r.forgive(pointer, ForgiveAttribute)
		}
		return !known
	})
	for _, k := range e.Attributes {
		i := n.attribute(k.Name)
		var use, rule string
		keep := false
		if i >= 0 {
			text, ok := Unescape(nil, []byte(n.attrs[i].value))
			if !ok || k.Value == nil {
				continue
			}
			if use, rule, keep = k.Value(string(text)); keep && rule == "" {
				continue
			}
		} else if rule = ForgiveNoAttribute; !k.Required {
			continue
		}
		if !keep {
			if use = k.Missing; use != "" && k.Rule != "" {
				rule = k.Rule
			}
		}
		r.forgive(pointer, rule)
		switch {
		case use == "" && k.Required && !keep:
			return false
		case use == "" && !keep:
			n.attrs = slices.Delete(n.attrs, i, i+1)
		case i >= 0:
			n.attrs[i].value, n.attrs[i].quote = escaper.Replace(use), '"'
		default:
			n.attrs = append(n.attrs, nodeAttr{k.Name, Name{Local: k.Name}, escaper.Replace(use), '"'})
		}
	}
	return true
}

// children mends the children of an element and puts them into order. It
// returns false where one that the element must have cannot be had.
func (r *repairer) children(e *Element, n *node, space, pointer string, hidden *[]*node) bool {
	if e.Bare != "" && len(n.children) == 0 && !n.blank() {
		r.forgive(pointer, ForgiveBare)
		inside := n.leaf(e.Bare, "")
		inside.text = n.text
		n.children, n.text = []*node{inside}, nil
	}
	var kept []child
	there := make([]bool, len(e.Children))
	most := -1
	for _, c := range n.children {
		index, known := e.child(c.name, space)
		switch {
		case known == nil:
			r.forgive(pointer, ForgiveUnknown)
			r.hide(e, c, space, hidden)
			continue
		case !r.repair(known, c, space, pointer+"/"+known.Name, hidden):
			continue
		case there[index] && !known.Many:
			r.forgive(pointer+"/"+known.Name, ForgiveRepeated)
			continue
		case index < most:
			r.forgive(pointer+"/"+known.Name, ForgiveOrder)
		}
		most, there[index] = max(most, index), true
		kept = append(kept, child{index: index, node: c})
	}
	for i, known := range e.Children {
		if there[i] || !known.Required {
			continue
		}
		r.forgive(pointer+"/"+known.Name, ForgiveMissing)
		if known.Missing == "" {
			return false
		}
		kept = append(kept, child{index: i, node: n.leaf(known.Name, r.stand(known))})
	}
	slices.SortStableFunc(kept, func(a, b child) int { return a.index - b.index })
	n.children = n.children[:0]
	for _, c := range kept {
		n.children = append(n.children, c.node)
	}
	return true
}

// extension leaves out of an element for other namespaces what is in none, or in
// that of the element itself.
func (r *repairer) extension(e *Element, n *node, pointer string, hidden *[]*node) {
	n.children = slices.DeleteFunc(n.children, func(c *node) bool {
		if c.name.Space == n.name.Space || c.name.Space == "" {
			r.forgive(pointer, ForgiveExtension)
			r.hide(e, c, c.name.Space, hidden)
			return true
		}
		_, known := e.child(c.name, n.name.Space)
		return known != nil && !r.repair(known, c, n.name.Space, pointer+"/"+known.Name, hidden)
	})
}

// hide keeps an element that does not belong where it was for the collector,
// where it is known what it means and its value is right.
func (r *repairer) hide(e *Element, n *node, space string, hidden *[]*node) {
	for _, h := range e.Hidden {
		if h.Name != n.name.Local || n.name.Space != space || len(n.children) > 0 {
			continue
		}
		text, ok := Unescape(nil, n.text)
		if !ok {
			return
		}
		use, rule, keep := h.Value(string(text))
		if _, err := strconv.ParseFloat(strings.Trim(use, Whitespace), 64); keep && (rule != "" || err == nil) {
			*hidden = append(*hidden, &node{name: Name{HiddenSpace, h.Name}, text: []byte(escaper.Replace(use))})
		}
		return
	}
}

// HiddenSpace is the namespace under which a collector sees hidden elements.
const HiddenSpace = "hidden"

// valid asks the validator about a description by itself.
func (r *repairer) valid(e *Element, n *node) bool {
	if r.probes++; r.probes > maxProbes {
		return true // let the validator say so in its place
	}
	var text bytes.Buffer
	if n.tokens(func(t *Token) error {
		raw := t.Raw
		var err error
		if t.Kind == Start {
			raw, err = r.schema.hintless(t)
		}
		text.Write(raw)
		return err
	}) != nil {
		return false
	}
	r.probed += text.Len()
	for _, s := range r.scanner.spaces {
		r.probed += len(s.name)
	}
	if r.probed > maxProbed {
		return true
	}
	var spaces strings.Builder
	said := map[string]bool{"_": true}
	for i := len(r.scanner.spaces) - 1; i >= 0; i-- { // the innermost counts
		s := r.scanner.spaces[i]
		if said[s.prefix] || s.prefix == "xml" {
			continue
		}
		said[s.prefix] = true
		colon := ""
		if s.prefix != "" {
			colon = ":"
		}
		spaces.WriteString(" xmlns" + colon + s.prefix + `="` + escaper.Replace(s.name) + `"`)
	}
	probe := strings.NewReplacer("{spaces}", spaces.String(), "{here}", text.String()).Replace(e.Probe)
	return r.schema.engine.ValidateWithOptions(context.Background(), strings.NewReader(probe), xsd.ValidateOptions{MaxErrors: 1}) == nil
}
