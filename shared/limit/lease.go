package limit

import (
	"context"
	"sync"
	"time"
)

const (
	// LeaseLife is how long a lease is good for. What is left of it then is lost.
	LeaseLife = 30 * time.Second
	// LeasesAQuota is how many of the largest leases make a quota: each is what comes
	// back in a tenth of a second, so a hundred processes hold ten seconds of it at most.
	LeasesAQuota = 600
)

// Leases charges buckets that very many callers share, by one charge for many requests:
// a process takes a lease of a bucket, and serves requests from it in memory. Whatever
// is served was taken from the bucket at most LeaseLife before, so beyond what the bucket
// allows in a time there is only what processes held when it began.
//
// A lease is as large as what the one before it gave in its time, and twice that where
// it was used up. So a process that is asked a lot charges seldom, and whoever asks many
// processes a little takes little: never more than three times what is served. Where a
// bucket has too little for a lease, each request is charged by itself.
type Leases struct {
	Limiter Limiter
	Prefix  string // of keys; a name follows
	Line    Line   // the bucket under each key
	Now     func() time.Time

	mu   sync.Mutex
	kept map[string]*lease // by name
}

// lease is what a process holds of one bucket.
type lease struct {
	turn  chan struct{} // holds one: whose turn it is. Unlike a mutex it can be waited for in a context
	from  time.Time
	left  int
	given int // of this one; 0: there is none
	next  int // how large the next one is to be
}

// Take takes cost of the bucket of name. Of the verdict there are no Buckets: what others
// have taken is nobody's to know. Its Wait is until as much is there, for who comes
// first. After an error nothing is taken of a lease.
func (l *Leases) Take(ctx context.Context, name string, cost int) (Verdict, error) {
	held := l.of(name)
	select {
	case held.turn <- struct{}{}:
		defer func() { <-held.turn }()
	case <-ctx.Done():
		return Verdict{}, ctx.Err()
	}
	// Without the monotonic reading, which stands still while a container is frozen.
	now := l.Now().Round(0)
	if age := now.Sub(held.from); age < 0 || age >= LeaseLife {
		held.end(held.given)
	}
	if held.left < cost {
		held.end(2 * held.given)
		took, v, err := l.renew(ctx, name, cost, held.next)
		if err != nil || !v.Admitted {
			return Verdict{Wait: v.Wait}, err
		}
		held.from, held.left = now, took
	}
	held.left -= cost
	held.given += cost
	return Verdict{Admitted: true}, nil
}

// end forgets a lease, if there is one.
func (h *lease) end(next int) {
	if h.given > 0 {
		h.left, h.given, h.next = 0, 0, next
	}
}

// renew charges for a lease, or, where the bucket has too little for one, for the request.
func (l *Leases) renew(ctx context.Context, name string, cost, size int) (took int, v Verdict, err error) {
	size = max(cost, min(size, int(l.Line.Rate)/LeasesAQuota))
	c := Charge{Key: l.Prefix + name, Lines: []Line{l.Line}, Cost: size}
	v, err = l.Limiter.Take(ctx, c)
	if err == nil && !v.Admitted && size > cost {
		c.Cost = cost
		v, err = l.Limiter.Take(ctx, c)
	}
	return c.Cost, v, err
}

// of is what is held of a bucket. Whoever brings names without end takes no memory without
// end: leases are lost then.
func (l *Leases) of(name string) *lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := l.kept[name]
	if held == nil {
		if l.kept == nil || len(l.kept) >= maxKept {
			l.kept = map[string]*lease{}
		}
		held = &lease{turn: make(chan struct{}, 1)}
		l.kept[name] = held
	}
	return held
}
