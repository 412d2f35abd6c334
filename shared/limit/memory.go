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
	if m.kept == nil || len(m.kept) >= maxKept {
		m.kept = map[string]State{}
	}
	next, v := Decide(c, m.kept[c.Key], m.Now())
	if next != nil {
		kept := maps.Clone(m.kept[c.Key])
		if kept == nil {
			kept = State{}
		}
		maps.Copy(kept, next)
		m.kept[c.Key] = kept
	}
	return v, nil
}
