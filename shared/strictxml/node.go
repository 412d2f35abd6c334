package strictxml

import (
	"bytes"
	"slices"
)

// node is an element that is read whole.
type node struct {
	lexical  string // its name as it stands in the tags
	name     Name
	attrs    []nodeAttr
	children []*node
	text     []byte // between its children, as it stands; CDATA is escaped
}

type nodeAttr struct {
	lexical string
	name    Name
	value   string // as it stands
	quote   byte
}

func newNode(t *Token) *node {
	lexical := t.Raw[1:]
	if i := bytes.IndexAny(lexical, Whitespace+"/>"); i >= 0 {
		lexical = lexical[:i]
	}
	n := &node{lexical: string(lexical), name: t.Name}
	for _, a := range t.Attrs {
		raw := t.Raw[a.from:a.to]
		n.attrs = append(n.attrs, nodeAttr{string(bytes.TrimRight(raw[:bytes.IndexByte(raw, '=')], Whitespace)), a.Name, string(a.Value), raw[len(raw)-1]})
	}
	return n
}

func (n *node) addText(t *Token) {
	if t.Kind == CDATA {
		inside := bytes.TrimSuffix(t.Raw[len("<![CDATA["):], []byte("]]>"))
		n.text = append(n.text, escaper.Replace(string(inside))...)
		return
	}
	n.text = append(n.text, t.Raw...)
}

// tokens calls f with the node as tokens.
func (n *node) tokens(f func(*Token) error) error {
	start := Token{Kind: Start, Name: n.name}
	raw := append([]byte{'<'}, n.lexical...)
	for _, a := range n.attrs {
		raw = append(raw, ' ')
		from := len(raw)
		raw = append(raw, a.lexical...)
		raw = append(raw, '=', a.quote)
		raw = append(raw, a.value...)
		raw = append(raw, a.quote)
		start.Attrs = append(start.Attrs, Attr{Name: a.name, Value: []byte(a.value), from: from, to: len(raw)})
	}
	start.Raw = append(raw, '>')
	if err := f(&start); err != nil {
		return err
	}
	if len(n.text) > 0 {
		if err := f(&Token{Kind: Text, Raw: n.text}); err != nil {
			return err
		}
	}
	for _, c := range n.children {
		if err := c.tokens(f); err != nil {
			return err
		}
	}
	return f(&Token{Kind: End, Name: n.name, Raw: []byte("</" + n.lexical + ">")})
}

// leaf makes a child with text, under the prefix that its parent has.
func (n *node) leaf(local, text string) *node {
	prefix := ""
	if i := bytes.IndexByte([]byte(n.lexical), ':'); i >= 0 {
		prefix = n.lexical[:i+1]
	}
	return &node{lexical: prefix + local, name: Name{n.name.Space, local}, text: []byte(escaper.Replace(text))}
}

func (n *node) attribute(local string) int {
	return slices.IndexFunc(n.attrs, func(a nodeAttr) bool { return a.name == Name{Local: local} })
}

func (n *node) blank() bool { return len(bytes.Trim(n.text, Whitespace)) == 0 }
