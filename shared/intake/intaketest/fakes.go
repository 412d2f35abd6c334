// Package intaketest is what tests of intake, and of those who read what it
// stored, use in place of the tables and the bucket; and the contracts that
// these fakes and the real adapters pass alike.
package intaketest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"fitvault/shared/intake"
)

// ErrDown is what a test lets a store fail with.
var ErrDown = errors.New("the store is down")

// Counters is an intake.Counters in memory.
type Counters struct {
	Hook Hook // of "advance"

	mu   sync.Mutex
	last map[string]counter
}

type counter struct {
	n    int64
	mark []byte
	at   time.Time
}

func (c *Counters) Advance(ctx context.Context, pairing string, n int64, mark []byte, at time.Time) (rising bool, err error) {
	err = c.Hook.around(ctx, "advance", func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		held, ok := c.last[pairing]
		rising = !ok || n > held.n || n == held.n && bytes.Equal(mark, held.mark) && at.Before(held.at.Add(intake.Keep))
		if !rising {
			return
		}
		if c.last == nil {
			c.last = map[string]counter{}
		}
		c.last[pairing] = counter{n, bytes.Clone(mark), at}
	})
	return rising, err
}

// ErrNotFound is returned by Documents.Get.
var ErrNotFound = errors.New("no such document")

// Hook is told of every call of a fake: before it does anything, and again when
// it is done. An error of the first means that nothing happens, of the second
// that only the answer is lost. It must be safe for concurrent use if the fake
// is used so; nil lets everything pass.
type Hook func(call string, done bool) error

func (h Hook) around(ctx context.Context, call string, effect func()) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if h == nil {
		effect()
		return nil
	}
	if err := h(call, false); err != nil {
		return err
	}
	effect()
	return h(call, true)
}

// Manifests is an intake.Manifests in memory. What it keeps goes through JSON,
// as in the table.
type Manifests struct {
	Now  func() time.Time
	Hook Hook // of "claim" and "find"

	mu   sync.Mutex
	held map[string]stored
}

type stored struct {
	body    []byte
	expires time.Time
	rest    []byte
}

func (m *Manifests) Claim(ctx context.Context, manifest intake.Manifest) (held intake.Manifest, err error) {
	err = m.Hook.around(ctx, "claim", func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if s, ok := m.held[manifest.Key]; !ok || !s.expires.After(m.Now()) {
			m.put(manifest)
		}
		held = m.held[manifest.Key].manifest(manifest.Key)
	})
	return held, err
}

func (m *Manifests) Find(ctx context.Context, key string) (held intake.Manifest, found bool, err error) {
	err = m.Hook.around(ctx, "find", func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		var s stored
		if s, found = m.held[key]; found && s.expires.After(m.Now()) {
			held = s.manifest(key)
			return
		}
		found = false
	})
	return held, found, err
}

// Put replaces a manifest, as no intake does.
func (m *Manifests) Put(manifest intake.Manifest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(manifest)
}

func (m *Manifests) put(manifest intake.Manifest) {
	rest, err := json.Marshal(manifest)
	if err != nil {
		panic(err)
	}
	if m.held == nil {
		m.held = map[string]stored{}
	}
	m.held[manifest.Key] = stored{bytes.Clone(manifest.Body), manifest.Expires, rest}
}

func (s stored) manifest(key string) (m intake.Manifest) {
	if err := json.Unmarshal(s.rest, &m); err != nil {
		panic(err)
	}
	m.Key, m.Body, m.Expires = key, bytes.Clone(s.body), s.expires
	return m
}

// All is every manifest, by key, expired ones too.
func (m *Manifests) All() []intake.Manifest {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []intake.Manifest
	for _, key := range slices.Sorted(maps.Keys(m.held)) {
		all = append(all, m.held[key].manifest(key))
	}
	return all
}

// Piece is a sealed piece and its sort key.
type Piece struct {
	Item    string
	Blob    []byte
	Arrived time.Time
}

// Blocks is an intake.Blocks in memory, and the readers' side of it.
type Blocks struct {
	Hook Hook // of "block" (PutOnce) and of "get", "query", also for each piece: "piece"

	mu     sync.Mutex
	pieces map[string]map[string]Piece // by owner and item
}

func (b *Blocks) PutOnce(ctx context.Context, owner, item string, sealed []byte, arrived time.Time) error {
	return b.Hook.around(ctx, "block", func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if _, ok := b.pieces[owner][item]; !ok {
			b.put(owner, item, sealed, arrived)
		}
	})
}

// Put replaces a piece, as nobody may; with nil it removes one.
func (b *Blocks) Put(owner, item string, sealed []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.put(owner, item, sealed, b.pieces[owner][item].Arrived)
}

func (b *Blocks) put(owner, item string, sealed []byte, arrived time.Time) {
	if b.pieces == nil {
		b.pieces = map[string]map[string]Piece{}
	}
	if b.pieces[owner] == nil {
		b.pieces[owner] = map[string]Piece{}
	}
	if sealed == nil {
		delete(b.pieces[owner], item)
		return
	}
	b.pieces[owner][item] = Piece{item, bytes.Clone(sealed), arrived.Truncate(time.Millisecond)}
}

// Get returns one piece, or false.
func (b *Blocks) Get(ctx context.Context, owner, item string) (sealed []byte, found bool, err error) {
	err = b.Hook.around(ctx, "get", func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		var p Piece
		p, found = b.pieces[owner][item]
		sealed = bytes.Clone(p.Blob)
	})
	return sealed, found && err == nil, err
}

// Between yields an owner's pieces with first ≤ item < end, in order.
func (b *Blocks) Between(ctx context.Context, owner, first, end string) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		var found []Piece
		err := b.Hook.around(ctx, "query", func() { found = b.Of(owner) })
		if err != nil {
			yield(Piece{}, err)
			return
		}
		for _, p := range found {
			if p.Item < first || p.Item >= end {
				continue
			}
			if err := b.Hook.around(ctx, "piece", func() {}); err != nil {
				yield(Piece{}, err)
				return
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

// Of is an owner's pieces, in order.
func (b *Blocks) Of(owner string) []Piece {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []Piece
	for _, p := range b.pieces[owner] {
		p.Blob = bytes.Clone(p.Blob)
		all = append(all, p)
	}
	slices.SortFunc(all, func(x, y Piece) int { return strings.Compare(x.Item, y.Item) })
	return all
}

// Documents is an intake.Documents in memory, and the readers' side of it.
type Documents struct {
	Hook Hook // of "document" (Put) and "get document"

	mu   sync.Mutex
	held map[string][]byte
}

func (d *Documents) Put(ctx context.Context, id string, sealed []byte) error {
	return d.Hook.around(ctx, "document", func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if _, ok := d.held[id]; !ok {
			d.put(id, sealed)
		}
	})
}

// Replace replaces a document, as nobody may; with nil it removes one.
func (d *Documents) Replace(id string, sealed []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.put(id, sealed)
}

func (d *Documents) put(id string, sealed []byte) {
	if d.held == nil {
		d.held = map[string][]byte{}
	}
	if sealed == nil {
		delete(d.held, id)
		return
	}
	d.held[id] = bytes.Clone(sealed)
}

// Get returns a document, or ErrNotFound.
func (d *Documents) Get(ctx context.Context, id string) (sealed []byte, err error) {
	missing := false
	err = d.Hook.around(ctx, "get document", func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		held, ok := d.held[id]
		sealed, missing = bytes.Clone(held), !ok
	})
	if err == nil && missing {
		err = ErrNotFound
	}
	return sealed, err
}

// IDs is the ids of all documents, sorted.
func (d *Documents) IDs() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.held))
}
