// Package postgrestest is for tests of what keeps parts of days: a store in
// memory, and the contract that it and PostgreSQL keep.
package postgrestest

import (
	"context"
	"slices"
	"sort"
	"sync"

	"fitvault/shared/postgres"
)

// Memory keeps parts as postgres.DB does. The zero value is ready, and may be
// used by many at once.
type Memory struct {
	mu   sync.Mutex
	rows map[[2]string]postgres.Part // by pseudonym and part
	// Fail, where it is set, is asked before each call; its error is returned.
	Fail func(method string) error
}

func (m *Memory) lock(method string) (unlock func(), err error) {
	m.mu.Lock()
	if m.Fail != nil {
		err = m.Fail(method)
	}
	return m.mu.Unlock, err
}

// Version is postgres.DB's.
func (m *Memory) Version(_ context.Context, pseudonym, part string) (int64, error) {
	unlock, err := m.lock("Version")
	defer unlock()
	return m.rows[[2]string{pseudonym, part}].Version, err
}

// Put is postgres.DB's.
func (m *Memory) Put(_ context.Context, pseudonym string, p postgres.Part, was int64) (bool, error) {
	unlock, err := m.lock("Put")
	defer unlock()
	key := [2]string{pseudonym, p.Part}
	if err != nil || m.rows[key].Version != was {
		return false, err
	}
	if m.rows == nil {
		m.rows = map[[2]string]postgres.Part{}
	}
	p.Version, p.Sealed = was+1, slices.Clone(p.Sealed)
	m.rows[key] = p
	return true, nil
}

// Between is postgres.DB's.
func (m *Memory) Between(_ context.Context, pseudonym, first, last string) (parts []postgres.Part, err error) {
	unlock, err := m.lock("Between")
	defer unlock()
	for key, p := range m.rows {
		if err == nil && key[0] == pseudonym && p.Last >= first && p.First <= last {
			p.Sealed = slices.Clone(p.Sealed)
			parts = append(parts, p)
		}
	}
	sort.Slice(parts, func(i, j int) bool { return parts[i].Part < parts[j].Part })
	return parts, err
}
