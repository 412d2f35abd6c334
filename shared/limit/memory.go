package limit

import (
	"context"
	"maps"
	"sync"
	"time"
)

// maxKept bounds a Memory. Whoever brings that many keys empties it.
const maxKept = 4096

// Memory is a Limiter of one process. It is the fake of the one in DynamoDB, and what
// stands in for it, as narrow as a process, where that cannot be asked.
type Memory struct {
	Now func() time.Time

	mu   sync.Mutex
	kept map[string]State
}

// Take implements Limiter.
func (m *Memory) Take(ctx context.Context, c Charge) (Verdict, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return Verdict{}, err
	}
	next, v := Decide(c, m.kept[c.Key], m.Now())
	m.keep(c.Key, next)
	return v, nil
}

// Hold implements Holder.
func (m *Memory) Hold(ctx context.Context, key string, ids []string, d time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	next := State{}
	for _, id := range ids {
		next[id] = max(m.kept[key][id], Held(m.Now(), d))
	}
	m.keep(key, next)
	return nil
}

func (m *Memory) keep(key string, next State) {
	if next == nil {
		return
	}
	if m.kept == nil || len(m.kept) >= maxKept {
		m.kept = map[string]State{}
	}
	kept := maps.Clone(m.kept[key])
	if kept == nil {
		kept = State{}
	}
	maps.Copy(kept, next)
	m.kept[key] = kept
}
