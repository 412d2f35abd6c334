package sentinel

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Memory is Counters of one process, for tests: it forgets nothing.
type Memory struct {
	mu   sync.Mutex
	kept map[string]*kept
}

type kept struct {
	things map[Thing]bool
	id     string
	told   []string
}

func (k *kept) counter() Counter {
	c := Counter{Told: slices.Clone(k.told)}
	for t := range k.things {
		c.Sum += int(t.Weight)
	}
	return c
}

// Add implements Counters.
func (m *Memory) Add(ctx context.Context, key string, things []Thing, most int, _ time.Duration) (Counter, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return Counter{}, err
	}
	k := m.of(key)
	if len(k.things) < most {
		for _, t := range things {
			k.things[t] = true
		}
	}
	return k.counter(), nil
}

// Note implements Counters.
func (m *Memory) Note(ctx context.Context, key, id string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return "", err
	}
	k := m.of(key)
	if k.id == "" {
		k.id = id
	}
	return k.id, nil
}

// Told implements Counters.
func (m *Memory) Told(ctx context.Context, key, target string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if k := m.of(key); !slices.Contains(k.told, target) {
		k.told = append(k.told, target)
	}
	return nil
}

func (m *Memory) of(key string) *kept {
	if m.kept == nil {
		m.kept = map[string]*kept{}
	}
	if m.kept[key] == nil {
		m.kept[key] = &kept{things: map[Thing]bool{}}
	}
	return m.kept[key]
}

// Owners is Accounts of tests: users by identity.
type Owners map[string]string

// OwnerOf implements Accounts.
func (o Owners) OwnerOf(ctx context.Context, identity string) (string, error) {
	return o[identity], ctx.Err()
}
