package auditlog

import (
	"context"
	"slices"
	"sync"

	"fitvault/shared/fault"
)

// Memory is a Writer for tests. It is safe for concurrent use.
type Memory struct {
	mu     sync.Mutex
	events []Event
	fail   error
}

// Fail makes every Write fail with err and keep nothing; nil ends it.
func (m *Memory) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

// Events is what was written, in order.
func (m *Memory) Events() []Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.events)
}

func (m *Memory) Write(ctx context.Context, e Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	if ctx.Err() != nil {
		return fault.Wrap(fault.Unavailable, "no time left to write", ctx.Err())
	}
	if !slices.ContainsFunc(m.events, func(old Event) bool { return old.ID == e.ID }) {
		m.events = append(m.events, e)
	}
	return nil
}
