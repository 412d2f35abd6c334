package tcx

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strconv"
	"sync"

	"fitvault/shared/fault"
)

// complaint is a broken rule and the byte where it was found, counted without
// a byte order mark.
type complaint struct {
	offset int64
	rule   string
}

// vocabulary is which element names the schemas declare, and whether one may
// stand several times in a row, so that its position is worth telling.
type vocabulary map[xml.Name]bool

var known = sync.OnceValue(func() vocabulary {
	v := vocabulary{}
	for _, file := range []string{schemaTCX, schemaExtension} {
		v.read(schema(file))
	}
	return v
})

func (v vocabulary) read(schema []byte) {
	in, space := newDecoder(schema), ""
	for {
		token, err := in.next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			panic("tcx: embedded schema: " + err.Error())
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch start.Name.Local {
		case "schema":
			space = attribute(start.Attr, "targetNamespace")
		case "element":
			name := xml.Name{Space: space, Local: attribute(start.Attr, "name")}
			v[name] = v[name] || attribute(start.Attr, "maxOccurs") != ""
		}
	}
}

// level is an open element: its name in the pointer, "" if no schema declares
// it, and how many of each repeatable child it has had.
type level struct {
	pointer string
	known   bool
	seen    map[xml.Name]int
}

func (l *level) child(name xml.Name) level {
	repeats, ok := known()[name]
	if !l.known || !ok {
		return level{pointer: l.pointer}
	}
	pointer := l.pointer + "/" + name.Local
	if repeats {
		if l.seen == nil {
			l.seen = map[xml.Name]int{}
		}
		pointer += "/" + strconv.Itoa(l.seen[name])
		l.seen[name]++
	}
	return level{pointer: pointer, known: true}
}

// locate turns places in a document into JSON pointers made of the schemas'
// element names and of positions (of a repeatable element among its like, from
// 0). A pointer ends before the first element that the schemas do not name.
func locate(document []byte, list []complaint) ([]fault.Item, error) {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b complaint) int { return cmp.Compare(a.offset, b.offset) })
	var items []fault.Item
	in := newDecoder(document)
	stack := []level{{known: true}}
	for {
		token, err := in.next()
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if start, ok := token.(xml.StartElement); ok {
			stack = append(stack, stack[len(stack)-1].child(start.Name))
		}
		for len(list) > 0 && (list[0].offset < in.InputOffset() || err != nil) {
			items = append(items, fault.Item{Pointer: stack[len(stack)-1].pointer, Rule: list[0].rule})
			list = list[1:]
		}
		if err != nil {
			return items, nil
		}
		if _, ok := token.(xml.EndElement); ok {
			stack = stack[:len(stack)-1]
		}
	}
}

// offsetOf is where line and column, both from 1 and in bytes, stand.
func offsetOf(document []byte, line, column int) int64 {
	rest := withoutMark(document)
	offset := 0
	for ; line > 1; line-- {
		i := bytes.IndexByte(rest[offset:], '\n')
		if i < 0 {
			break
		}
		offset += i + 1
	}
	return int64(offset + max(column-1, 0))
}
