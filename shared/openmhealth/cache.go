package openmhealth

import (
	"slices"
	"sync"
	"sync/atomic"
)

// maxShapes bounds what a process remembers; a shape takes some kilobytes. Whoever
// sends many shapes drives out others', which then are judged by their schemas
// again and learned again.
const maxShapes = 256

// shapes is what a process has learned. It holds accepted shapes only, and no
// values of anybody: what stands in a shape's literals are names and words of the
// schemas. It is safe for concurrent use; readers do not wait.
type shapes struct {
	list atomic.Pointer[[]*shape] // never changed, only replaced
	mu   sync.Mutex
	next int // to be forgotten
}

// known is the process's own.
var known shapes

func (k *shapes) all() []*shape {
	if list := k.list.Load(); list != nil {
		return *list
	}
	return nil
}

// add remembers a shape, unless it is known.
func (k *shapes) add(s *shape) {
	k.mu.Lock()
	defer k.mu.Unlock()
	old := k.all()
	if slices.ContainsFunc(old, func(o *shape) bool { return o.key == s.key }) {
		return
	}
	list := slices.Clone(old)
	if len(list) < maxShapes {
		list = append(list, s)
	} else {
		list[k.next] = s
		k.next = (k.next + 1) % maxShapes
	}
	k.list.Store(&list)
}
