package segment

import (
	"unicode/utf8"

	"fitvault/shared/reading"
)

// What is read here are the values that hold no others.

func (d *decoder) constant(t tag, n int) ([]reading.Value, error) {
	value := reading.NullValue()
	if t != tagNull {
		value = reading.BoolValue(t == tagTrue)
	}
	if err := d.left.takeText(n * len(value.Text())); err != nil {
		return nil, err
	}
	values := make([]reading.Value, n)
	for i := range values {
		values[i] = value
	}
	return values, nil
}

// ints reads n integers that were written as deltas.
func (d *decoder) ints(n int) ([]int64, error) {
	if n > len(d.body) {
		return nil, ErrBlock
	}
	list, last := make([]int64, n), int64(0)
	for i := range list {
		z, err := d.uvarint()
		if err != nil {
			return nil, err
		}
		last += int64(z>>1) ^ -int64(z&1) // wraps, as the encoder's
		list[i] = last
	}
	return list, nil
}

func (d *decoder) decimals(n int) ([]reading.Value, error) {
	scale, err := d.index(maxScale + 1)
	if err != nil {
		return nil, err
	}
	units, err := d.ints(n)
	if err != nil {
		return nil, err
	}
	values := make([]reading.Value, n)
	var text []byte
	for i, u := range units {
		if u <= -maxUnits || u >= maxUnits {
			return nil, ErrBlock
		}
		text = appendDecimal(text[:0], u, scale)
		if err := d.left.takeText(len(text)); err != nil {
			return nil, err
		}
		if values[i], err = number(string(text)); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// number makes a number of text that is canonical, and of no other: a reader
// compares numbers by their text.
func number(text string) (reading.Value, error) {
	v, err := reading.NumberValue(text)
	if err != nil || v.Text() != text {
		return reading.Value{}, ErrBlock
	}
	return v, nil
}

func (d *decoder) times(n int) ([]reading.Value, error) {
	scale, err := d.index(maxScale + 1)
	if err != nil {
		return nil, err
	}
	var lists [3][]int64 // instants, zones, digits
	for i := range lists {
		if lists[i], err = d.ints(n); err != nil {
			return nil, err
		}
	}
	values := make([]reading.Value, n)
	var text []byte
	for i := range values {
		m := moment{zone: lists[1][i], digits: lists[2][i]}
		m.seconds, m.nanos = instant(lists[0][i], scale)
		if !m.valid() {
			return nil, ErrBlock
		}
		text = m.append(text[:0])
		if err := d.left.takeText(len(text)); err != nil {
			return nil, err
		}
		values[i] = reading.StringValue(string(text))
	}
	return values, nil
}

// strings reads n values of some distinct texts, which read reads once each and
// of which value makes values.
func (d *decoder) strings(n int, read func(n int) ([]string, error), value func(string) (reading.Value, error)) ([]reading.Value, error) {
	distinct, err := d.index(n + 1)
	if err != nil || distinct == 0 {
		return nil, ErrBlock
	}
	which := make([]int, n)
	if distinct == n {
		for i := range which {
			which[i] = i
		}
	} else if distinct > 1 {
		stood := 0
		for i := range which {
			back, err := d.index(stood + 1)
			if err != nil || back == 0 && stood == distinct {
				return nil, ErrBlock
			}
			which[i] = stood - back
			if back == 0 {
				stood++
			}
		}
		if stood < distinct {
			return nil, ErrBlock
		}
	}
	list, err := read(distinct)
	if err != nil {
		return nil, err
	}
	once := make([]reading.Value, distinct)
	for i, text := range list {
		if once[i], err = value(text); err != nil {
			return nil, err
		}
	}
	values := make([]reading.Value, n)
	for i, w := range which {
		if err := d.left.takeText(len(list[w])); err != nil {
			return nil, err
		}
		values[i] = once[w]
	}
	return values, nil
}

func textValue(text string) (reading.Value, error) { return reading.StringValue(text), nil }

// texts reads n lengths, then their UTF-8.
func (d *decoder) texts(n int) ([]string, error) {
	if n > len(d.body) {
		return nil, ErrBlock
	}
	lengths, total := make([]int, n), 0
	for i := range lengths {
		length, err := d.index(len(d.body) + 1)
		if err != nil {
			return nil, err
		}
		lengths[i] = length
		total += length
	}
	all, err := d.bytes(total)
	if err != nil {
		return nil, err
	}
	list, rest := make([]string, n), string(all)
	for i, length := range lengths {
		list[i], rest = rest[:length], rest[length:]
		if !utf8.ValidString(list[i]) {
			return nil, ErrBlock
		}
	}
	return list, nil
}

// uuidTexts reads n UUIDs from behind the body.
func (d *decoder) uuidTexts(n int) ([]string, error) {
	if n > len(d.uuids)/16 {
		return nil, ErrBlock
	}
	list := make([]string, n)
	for i := range list {
		list[i] = string(appendUUID(nil, d.uuids[:16]))
		d.uuids = d.uuids[16:]
	}
	return list, nil
}
