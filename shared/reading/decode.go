package reading

import (
	"errors"

	"github.com/go-json-experiment/json/jsontext"

	"fitvault/shared/redact"
)

// ErrDepth is returned for a document nested deeper than the caller allows.
var ErrDepth = errors.New("JSON is nested too deep")

// NumberError says where a value first holds a number that ErrNumber describes.
type NumberError struct {
	redact.Mark                  // Pointer may hold names that the sender invented
	Pointer     jsontext.Pointer // from the top of the decoder's document
}

func (e *NumberError) Error() string { return ErrNumber.Error() }
func (e *NumberError) Unwrap() error { return ErrNumber }

// Decode reads the next JSON value of dec, which refuses duplicate names,
// invalid UTF-8 and lone surrogates unless it was told otherwise (jsontext's
// defaults). maxDepth bounds the nesting of the whole document that dec reads.
//
// Errors: *NumberError, the value was read to its end, is returned with null in
// such numbers' place, and dec can go on behind it; ErrDepth, read no further;
// anything else is not JSON.
func Decode(dec *jsontext.Decoder, maxDepth int) (Value, error) {
	d := decoder{dec: dec, maxDepth: maxDepth}
	v, err := d.value()
	if err == nil && d.number != nil {
		return v, d.number
	}
	return v, err
}

type decoder struct {
	dec      *jsontext.Decoder
	maxDepth int
	number   *NumberError // the first number that cannot be kept
}

func (d *decoder) value() (Value, error) {
	token, err := d.dec.ReadToken()
	if err != nil {
		return Value{}, err
	}
	if d.dec.StackDepth() > d.maxDepth {
		return Value{}, ErrDepth
	}
	switch token.Kind() {
	case jsontext.KindNull:
		return NullValue(), nil
	case jsontext.KindTrue, jsontext.KindFalse:
		return BoolValue(token.Bool()), nil
	case jsontext.KindString:
		return StringValue(token.String()), nil
	case jsontext.KindNumber:
		v, err := NumberValue(token.String())
		if err == nil {
			return v, nil
		}
		if d.number == nil {
			d.number = &NumberError{Pointer: d.dec.StackPointer()}
		}
		return NullValue(), nil
	case jsontext.KindBeginArray:
		list, err := d.list(jsontext.KindEndArray, nil)
		return ArrayValue(list), err
	default:
		var names []string
		list, err := d.list(jsontext.KindEndObject, &names)
		return ObjectValue(names, list), err
	}
}

// list reads up to and over the end of an array, or of an object, whose member
// names it appends to names.
func (d *decoder) list(end jsontext.Kind, names *[]string) ([]Value, error) {
	var list []Value
	for d.dec.PeekKind() != end {
		if names != nil {
			name, err := d.dec.ReadToken()
			if err != nil {
				return nil, err
			}
			*names = append(*names, name.String())
		}
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := d.dec.ReadToken()
	return list, err
}

// AppendJSON appends the value's JSON text to b: no white space, numbers in
// canonical form, strings with as few escapes as JSON allows.
func (v Value) AppendJSON(b []byte) []byte {
	switch v.kind {
	case Null:
		return append(b, "null"...)
	case Bool, Number:
		return append(b, v.text...)
	case String:
		return appendQuoted(b, v.text)
	case Array:
		b = append(b, '[')
		for i, x := range v.list {
			if i > 0 {
				b = append(b, ',')
			}
			b = x.AppendJSON(b)
		}
		return append(b, ']')
	default:
		b = append(b, '{')
		for i, x := range v.list {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendQuoted(b, v.names[i]), ':')
			b = x.AppendJSON(b)
		}
		return append(b, '}')
	}
}

// appendQuoted never fails: all text in a Value has been valid UTF-8 since Decode.
func appendQuoted(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}
