package block

import (
	"fitvault/shared/reading"
	"fitvault/shared/segment"
)

// Day is the opened blocks of one UTC day. Which copy of a record counts is known
// only when all were seen, so blocks are unpacked twice, one at a time: unpacked,
// a day may take a hundred times as much memory.
type Day struct {
	copies Copies
	blocks []opened
}

type opened struct {
	item  string
	plain []byte
}

// Add takes the opened block that is stored as item, and returns how many readings
// it holds. Those of a block that keep does not want only say which copies count;
// without keep all are wanted. Errors: those of [Decode], and reading.FromPoint's.
func (d *Day) Add(item string, plain []byte, keep func(Header) bool) (readings int, err error) {
	b, err := Decode(plain, segment.DefaultLimits)
	if err != nil {
		return 0, err
	}
	for i, point := range b.Points {
		r, err := reading.FromPoint(point)
		if err != nil {
			return 0, err
		}
		d.copies.Add(b.Header, item, i, r)
	}
	if keep == nil || keep(b.Header) {
		d.blocks = append(d.blocks, opened{item, plain})
	}
	return len(b.Points), nil
}

// Each calls f with each wanted reading that counts, and where it is stored.
func (d *Day) Each(f func(r reading.Reading, item string, index int)) error {
	for _, stored := range d.blocks {
		b, err := Decode(stored.plain, segment.DefaultLimits)
		if err != nil {
			return err
		}
		for i, point := range b.Points {
			r, err := reading.FromPoint(point)
			if err != nil {
				return err
			}
			if d.copies.Counts(b.Header, stored.item, i, r) {
				f(r, stored.item, i)
			}
		}
	}
	return nil
}
