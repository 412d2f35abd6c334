package segment

import (
	"encoding/binary"
	"math/bits"
)

// Ints are written as differences of an order that makes them small (a regular
// rate has second differences of nothing), in codes of as few bits as they need.

const (
	maxOrder = 2
	constant = 3  // in place of an order
	frame    = 64 // differences that share one k
	allZero  = 63 // in place of a k
	escape   = 24 // ones, where the number itself follows
)

func zigzag(n int64) uint64   { return uint64(n)<<1 ^ uint64(n>>63) }
func unzigzag(z uint64) int64 { return int64(z>>1) ^ -int64(z&1) }

// appendInts writes list, which it spoils.
func appendInts(b []byte, list []int64) []byte {
	same := true
	for _, n := range list {
		same = same && n == list[0]
	}
	if same {
		return binary.AppendUvarint(append(b, constant), zigzag(list[0]))
	}
	order := bestOrder(list)
	b = append(b, byte(order))
	for i := range order {
		differences(list[i:])
	}
	for _, n := range list[:order] {
		b = binary.AppendUvarint(b, zigzag(n))
	}
	w := bitWriter{bytes: b}
	for rest := list[order:]; len(rest) > 0; {
		n := min(len(rest), frame)
		w.frame(rest[:n])
		rest = rest[n:]
	}
	return w.end()
}

// differences replaces all but the first of list by what they are more than the
// one before. It wraps, and wraps back in the decoder.
func differences(list []int64) {
	for i := len(list) - 1; i > 0; i-- {
		list[i] -= list[i-1]
	}
}

// bestOrder is the order of differences that have the fewest bits.
func bestOrder(list []int64) int {
	var size [maxOrder + 1]int
	var last, lastDifference int64
	for i, n := range list {
		difference := n - last
		second := difference - lastDifference
		last, lastDifference = n, difference
		if i < maxOrder {
			continue
		}
		size[0] += bits.Len64(zigzag(n))
		size[1] += bits.Len64(zigzag(difference))
		size[2] += bits.Len64(zigzag(second))
	}
	best := 0
	for order := range size {
		if size[order] < size[best] && order < len(list) {
			best = order
		}
	}
	return best
}

// bitWriter appends bits to bytes, the most significant first.
type bitWriter struct {
	bytes []byte
	held  uint64 // the lowest n bits of it are still to be written
	n     uint   // below 8
}

// bits writes the low n bits of v, at most 56.
func (w *bitWriter) bits(v uint64, n uint) {
	w.held, w.n = w.held<<n|v, w.n+n
	for w.n >= 8 {
		w.n -= 8
		w.bytes = append(w.bytes, byte(w.held>>w.n))
	}
}

func (w *bitWriter) end() []byte {
	if w.n > 0 {
		w.bits(0, 8-w.n)
	}
	return w.bytes
}

func (w *bitWriter) frame(list []int64) {
	var all uint64
	for i, n := range list {
		z := zigzag(n)
		list[i], all = int64(z), all|z
	}
	if all == 0 {
		w.bits(allZero, 6)
		return
	}
	k := bestK(list, uint(bits.Len64(all)))
	w.bits(uint64(k), 6)
	for _, n := range list {
		v := uint64(n)
		if q := v >> k; q < escape {
			w.bits(1<<(q+1)-2, uint(q)+1)
			w.low(v, k)
		} else {
			w.bits(1<<escape-1, escape)
			w.low(v, 64)
		}
	}
}

// low writes the low n bits of v.
func (w *bitWriter) low(v uint64, n uint) {
	if n > 32 {
		w.bits(v>>32&(1<<(n-32)-1), n-32)
		n = 32
	}
	w.bits(v&(1<<n-1), n)
}

// bestK is the k with which a frame's numbers take the fewest bits. More bits a
// number stop paying at some k, so the search ends there.
func bestK(list []int64, longest uint) uint {
	best, least := uint(0), uint64(1<<63)
	for k := range min(longest+1, allZero) {
		size := uint64(0)
		for _, n := range list {
			if q := uint64(n) >> k; q < escape {
				size += q + 1 + uint64(k)
			} else {
				size += escape + 64
			}
		}
		if size < least {
			best, least = k, size
		} else if size > 2*least {
			break
		}
	}
	return best
}

// ints reads n integers, n > 0.
func (d *decoder) ints(n int) ([]int64, error) {
	order, err := d.columns.index(constant + 1)
	if err != nil {
		return nil, err
	}
	list := make([]int64, n)
	if order == constant {
		z, err := d.columns.uvarint()
		if err != nil {
			return nil, err
		}
		for i := range list {
			list[i] = unzigzag(z)
		}
		return list, nil
	}
	if order > n {
		return nil, ErrBlock
	}
	for i := range order {
		z, err := d.columns.uvarint()
		if err != nil {
			return nil, err
		}
		list[i] = unzigzag(z)
	}
	r := bitReader{bytes: d.columns.left}
	for rest := list[order:]; len(rest) > 0; {
		n := min(len(rest), frame)
		if !r.frame(rest[:n]) {
			return nil, ErrBlock
		}
		rest = rest[n:]
	}
	if d.columns.left, err = r.end(); err != nil {
		return nil, err
	}
	for i := order - 1; i >= 0; i-- {
		for j := i + 1; j < n; j++ {
			list[j] += list[j-1]
		}
	}
	return list, nil
}

type bitReader struct {
	bytes []byte
	held  uint64
	n     uint // bits held
}

// bits reads n bits, at most 32.
func (r *bitReader) bits(n uint) (uint64, bool) {
	for r.n < n {
		if len(r.bytes) == 0 {
			return 0, false
		}
		r.held, r.n, r.bytes = r.held<<8|uint64(r.bytes[0]), r.n+8, r.bytes[1:]
	}
	r.n -= n
	return r.held >> r.n & (1<<n - 1), true
}

// low reads n bits.
func (r *bitReader) low(n uint) (v uint64, ok bool) {
	high := uint64(0)
	if n > 32 {
		if high, ok = r.bits(n - 32); !ok {
			return 0, false
		}
		n = 32
	}
	v, ok = r.bits(n)
	return high<<32 | v, ok
}

func (r *bitReader) frame(list []int64) bool {
	k, ok := r.bits(6)
	if !ok {
		return false
	}
	if k == allZero {
		return true // a new list is all zeros
	}
	for i := range list {
		q := uint64(0)
		for ; q < escape; q++ {
			one, ok := r.bits(1)
			if !ok {
				return false
			}
			if one == 0 {
				break
			}
		}
		n := uint(k)
		if q == escape {
			q, n = 0, 64
		}
		low, ok := r.low(n)
		if !ok {
			return false
		}
		list[i] = unzigzag(q<<n | low)
	}
	return true
}

// end returns the bytes behind the last bit; what it shares a byte with is zeros.
func (r *bitReader) end() ([]byte, error) {
	if r.n >= 8 || r.held&(1<<r.n-1) != 0 {
		return nil, ErrBlock
	}
	return r.bytes, nil
}
