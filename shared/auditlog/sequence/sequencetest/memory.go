// Package sequencetest holds a table, a bucket and a head in memory, sequencers
// that die at a write, and the contract suites of what a sequencer uses.
package sequencetest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"fitvault/shared/auditlog"
	"fitvault/shared/auditlog/record"
	"fitvault/shared/auditlog/sequence"
	"fitvault/shared/auditlog/tiles"
)

// Origin is the name of the log here.
const Origin = "fitvault.example/audit/test"

// Deployment is the name of the deployment here.
const Deployment = "test"

// Memory is everything that sequencers share. It is safe for concurrent use.
type Memory struct {
	mu       sync.Mutex
	head     sequence.Head
	objects  map[string][]byte
	locked   map[string]bool
	events   map[sequence.Key]sequence.Stored
	subjects map[string]stored
	names    map[record.Pseudonym]string
	index    map[record.Pseudonym]map[int64]bool
	signed   []string

	shards    map[string]*shard
	off       bool // the stream
	manifests map[string][]string
	places    map[string]sequence.Place

	uses     []sequence.Use      // the newest first
	keys     map[string][]string // of owners
	compared time.Time
}

// shard is a part of the stream of owners' data.
type shard struct {
	changes []sequence.Change
	kept    int // from which on
	ended   bool
}

type stored struct {
	pseudonym record.Pseudonym
	wrapped   []byte
}

func NewMemory() *Memory {
	return &Memory{objects: map[string][]byte{}, locked: map[string]bool{}, events: map[sequence.Key]sequence.Stored{}, subjects: map[string]stored{},
		names: map[record.Pseudonym]string{}, index: map[record.Pseudonym]map[int64]bool{}, shards: map[string]*shard{}, manifests: map[string][]string{}, keys: map[string][]string{}}
}

func (m *Memory) Head(context.Context) (sequence.Head, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.head, nil
}

func (m *Memory) Move(_ context.Context, old, next sequence.Head) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.head.Tree != old.Tree || m.head.Published != old.Published || !m.head.Taken.Equal(old.Taken) {
		return sequence.ErrMoved
	}
	m.head = next
	return nil
}

func (m *Memory) Get(_ context.Context, path string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	content, ok := m.objects[path]
	if !ok {
		return nil, sequence.ErrNotFound
	}
	return bytes.Clone(content), nil
}

func (m *Memory) Put(_ context.Context, path string, content []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, there := m.objects[path]; !there {
		m.objects[path] = bytes.Clone(content)
	}
	return nil
}

func (m *Memory) Lock(ctx context.Context, path string, content []byte) error {
	if err := m.Put(ctx, path, content); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.locked[path] = true
	return nil
}

func (m *Memory) Swap(_ context.Context, path string, old, next []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now, there := m.objects[path]; there != (old != nil) || !bytes.Equal(now, old) {
		return sequence.ErrMoved
	}
	m.objects[path] = bytes.Clone(next)
	return nil
}

// Write implements auditlog.Writer: what functions, and sequencers, store.
func (m *Memory) Write(_ context.Context, e auditlog.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := sequence.Key{Shard: auditlog.Shard(e.ID, e.Time), ID: e.ID}
	if _, there := m.events[key]; !there {
		m.events[key] = sequence.Stored{Key: key, Event: e}
	}
	return nil
}

// Alter changes a stored event behind everybody's back; nil removes it.
func (m *Memory) Alter(id string, change func(*sequence.Stored)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, s := range m.events {
		if key.ID != id {
			continue
		}
		if change == nil {
			delete(m.events, key)
			continue
		}
		change(&s)
		m.events[key] = s
	}
}

func (m *Memory) Between(ctx context.Context, from, to time.Time) iter.Seq2[sequence.Stored, error] {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []sequence.Stored
	for _, s := range m.events {
		if at, ok := auditlog.TimeOf(s.ID); ok && !at.Before(from) && at.Before(to) {
			all = append(all, s)
		}
	}
	return func(yield func(sequence.Stored, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(sequence.Stored{}, err)
			return
		}
		for _, s := range all {
			if !yield(s, nil) {
				return
			}
		}
	}
}

func (m *Memory) Mark(_ context.Context, marks []sequence.Mark) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, mark := range marks {
		if s, there := m.events[mark.Key]; there {
			s.Mark = &mark
			m.events[mark.Key] = s
		}
	}
	return nil
}

func (m *Memory) Subject(_ context.Context, name string, fresh func() (record.Pseudonym, []byte, error)) (record.Pseudonym, []byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s, there := m.subjects[name]; there {
		return s.pseudonym, s.wrapped, nil
	}
	p, wrapped, err := fresh()
	if err == nil {
		m.subjects[name], m.names[p] = stored{p, wrapped}, name
	}
	return p, wrapped, err
}

func (m *Memory) Key(_ context.Context, p record.Pseudonym) (string, []byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name, there := m.names[p]
	if !there {
		return "", nil, sequence.ErrNotFound
	}
	return name, m.subjects[name].wrapped, nil
}

func (m *Memory) Index(_ context.Context, leaves map[record.Pseudonym][]int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p, indexes := range leaves {
		if _, there := m.names[p]; !there {
			continue
		}
		if m.index[p] == nil {
			m.index[p] = map[int64]bool{}
		}
		for _, i := range indexes {
			m.index[p][i] = true
		}
	}
	return nil
}

// Pseudonym is a subject's; sequence.ErrNotFound of whom no event concerns.
func (m *Memory) Pseudonym(_ context.Context, name string) (record.Pseudonym, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, there := m.subjects[name]
	if !there {
		return record.Pseudonym{}, sequence.ErrNotFound
	}
	return s.pseudonym, nil
}

// Leaves is what Index was told of a subject: at most limit of those before one,
// the newest first.
func (m *Memory) Leaves(_ context.Context, p record.Pseudonym, before int64, limit int) (all []int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.index[p] {
		if i < before {
			all = append(all, i)
		}
	}
	slices.Sort(all)
	slices.Reverse(all)
	return all[:min(limit, len(all))], nil
}

// Erase does what erasing an account does to the log: the subject's key, his
// pseudonym and what was noted of him are gone.
func (m *Memory) Erase(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.subjects[name].pseudonym
	delete(m.subjects, name)
	delete(m.names, p)
	delete(m.index, p)
}

// Shards implements sequence.Changes.
func (m *Memory) Shards(context.Context) (all []sequence.Shard, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.off {
		return nil, sequence.ErrNotFound
	}
	for _, name := range slices.Sorted(maps.Keys(m.shards)) {
		all = append(all, sequence.Shard{Name: name, Closed: m.shards[name].ended})
	}
	return all, nil
}

// Since implements sequence.Changes.
func (m *Memory) Since(_ context.Context, of sequence.Shard, position string, limit int) (changes []sequence.Change, ended bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, there := m.shards[of.Name]
	if !there {
		return nil, false, sequence.ErrNotFound
	}
	from := s.kept
	if position != "" {
		if from, err = strconv.Atoi(position); err != nil || from < s.kept {
			return nil, false, sequence.ErrNotFound
		}
	}
	upTo := min(from+limit, len(s.changes))
	return slices.Clone(s.changes[from:upTo]), of.Closed && upTo == len(s.changes), nil
}

// Change tells of a change in a shard of the stream.
func (m *Memory) Change(name string, c sequence.Change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shards[name] == nil {
		m.shards[name] = &shard{}
	}
	s := m.shards[name]
	c.Position = strconv.Itoa(len(s.changes) + 1)
	s.changes = append(s.changes, c)
}

// OpenShard makes a shard of nothing yet.
func (m *Memory) OpenShard(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shards[name] = &shard{}
}

// EndShard closes a shard.
func (m *Memory) EndShard(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shards[name].ended = true
}

// TrimShard drops the first changes of a shard, or, of a negative number, all of it.
func (m *Memory) TrimShard(name string, first int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if first < 0 {
		delete(m.shards, name)
		return
	}
	m.shards[name].kept = first
}

// SwitchStream switches the stream off, or on.
func (m *Memory) SwitchStream(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.off = !on
}

// Items implements sequence.Manifests.
func (m *Memory) Items(_ context.Context, manifests []string) (map[string][]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := map[string][]string{}
	for _, manifest := range manifests {
		if items, there := m.manifests[manifest]; there {
			found[manifest] = slices.Clone(items)
		}
	}
	return found, nil
}

// SetManifest stores a manifest; of no items it removes it.
func (m *Memory) SetManifest(manifest string, items ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.manifests[manifest] = items; len(items) == 0 {
		delete(m.manifests, manifest)
	}
}

// Places implements sequence.Places.
func (m *Memory) Places(context.Context) (map[string]sequence.Place, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.places), nil
}

// Keep implements sequence.Places.
func (m *Memory) Keep(_ context.Context, places map[string]sequence.Place) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.places = maps.Clone(places)
	return nil
}

// Page implements sequence.Uses, with pages of 50, as CloudTrail has.
func (m *Memory) Page(_ context.Context, from, to time.Time, token string) (page []sequence.Use, next string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.uses[m.before(to):m.before(from)]
	begin := 0
	if token != "" {
		if begin, err = strconv.Atoi(token); err != nil {
			return nil, "", err
		}
	}
	upTo := min(begin+PerPage, len(all))
	if upTo < len(all) {
		next = strconv.Itoa(upTo)
	}
	return slices.Clone(all[begin:upTo]), next, nil
}

// before is where the uses of before a time begin.
func (m *Memory) before(at time.Time) int {
	n, _ := slices.BinarySearchFunc(m.uses, at, func(u sequence.Use, at time.Time) int {
		if u.Time.Before(at) {
			return 1
		}
		return -1
	})
	return n
}

// PerPage is how many uses a page of Memory has.
const PerPage = 50

// Use records a use of the owners' key.
func (m *Memory) Use(u sequence.Use) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.uses = slices.Insert(m.uses, m.before(u.Time), u)
}

// KeyIDs implements sequence.Owners.
func (m *Memory) KeyIDs(_ context.Context, owners []string) (map[string][]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := map[string][]string{}
	for _, owner := range owners {
		if ids := m.keys[owner]; len(ids) > 0 {
			found[owner] = slices.Clone(ids)
		}
	}
	return found, nil
}

// SetKeys says which keys an owner has.
func (m *Memory) SetKeys(owner string, ids ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys[owner] = ids
}

// Compared implements sequence.Compared.
func (m *Memory) Compared(context.Context) (time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.compared, nil
}

// KeepCompared implements sequence.Compared.
func (m *Memory) KeepCompared(_ context.Context, upTo time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.compared = upTo
	return nil
}

// Objects is a copy of the bucket.
func (m *Memory) Objects() map[string][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[string][]byte{}
	for path, content := range m.objects {
		all[path] = bytes.Clone(content)
	}
	return all
}

// Locked is the paths that were stored with a retention.
func (m *Memory) Locked(path string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.locked[path]
}

// Stored is a copy of the table.
func (m *Memory) Stored() (all []sequence.Stored) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.events {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b sequence.Stored) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// SetHead is a head that somebody restored.
func (m *Memory) SetHead(h sequence.Head) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.head = h
}

// SetObject alters an object; nil removes it.
func (m *Memory) SetObject(path string, content []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.objects[path] = content; content == nil {
		delete(m.objects, path)
	}
}

// Signed is every text that the log's key has signed.
func (m *Memory) Signed() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.signed)
}

// Keys is the log's keys.
type Keys struct {
	Service  record.ServiceKey
	Signer   note.Signer
	Verifier note.Verifier
	VKey     string
	Public   ed25519.PublicKey
}

// NewKeys makes keys.
func NewKeys(t testing.TB) Keys {
	t.Helper()
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	service, err := record.NewServiceKey(b)
	require.NoError(t, err)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	verifier, err := tiles.NewVerifier(Origin, public)
	require.NoError(t, err)
	vkey, err := note.NewEd25519VerifierKey(Origin, public)
	require.NoError(t, err)
	return Keys{Service: service, Verifier: verifier, VKey: vkey, Public: public,
		Signer: tiles.NewSigner(verifier, func(text []byte) ([]byte, error) { return ed25519.Sign(private, text), nil })}
}

// ErrDead is what a process that has died is told.
var ErrDead = errors.New("this process is dead")

// Process is one sequencer. It dies at its write DiesAt, counted from 1, before
// the effect, or where After after it; 0 is never.
type Process struct {
	Sequencer sequence.Sequencer
	*Memory
	DiesAt int
	After  bool

	mu     sync.Mutex
	writes int
}

// NewProcess puts a sequencer upon memory.
func NewProcess(m *Memory, k Keys, now func() time.Time) *Process {
	p := &Process{Memory: m}
	p.Sequencer = sequence.Sequencer{Heads: p, Objects: p, Events: p, Subjects: p, Alarms: p, Changes: p, Manifests: p, Places: p, Uses: p, Owners: p, Compared: p, Deployment: Deployment, Key: k.Service, Origin: Origin, Verifier: k.Verifier, Now: now, Rand: rand.Reader}
	p.Sequencer.Signer = tiles.NewSigner(k.Verifier, func(text []byte) (signature []byte, err error) {
		err = p.write(func() error {
			m.mu.Lock()
			m.signed = append(m.signed, string(text))
			m.mu.Unlock()
			signature, err = k.Signer.Sign(text)
			return err
		})
		return signature, err
	})
	return p
}

// Dead reports whether the process has died.
func (p *Process) Dead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.DiesAt > 0 && p.writes >= p.DiesAt
}

// Writes is how many writes there were.
func (p *Process) Writes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.writes
}

func (p *Process) write(effect func() error) error {
	p.mu.Lock()
	if p.DiesAt > 0 && p.writes >= p.DiesAt {
		p.mu.Unlock()
		return ErrDead
	}
	p.writes++
	dies := p.writes == p.DiesAt
	p.mu.Unlock()
	if !dies {
		return effect()
	}
	if p.After {
		_ = effect()
	}
	return ErrDead
}

func (p *Process) Move(ctx context.Context, old, next sequence.Head) error {
	return p.write(func() error { return p.Memory.Move(ctx, old, next) })
}

func (p *Process) Put(ctx context.Context, path string, content []byte) error {
	return p.write(func() error { return p.Memory.Put(ctx, path, content) })
}

func (p *Process) Lock(ctx context.Context, path string, content []byte) error {
	return p.write(func() error { return p.Memory.Lock(ctx, path, content) })
}

func (p *Process) Swap(ctx context.Context, path string, old, next []byte) error {
	return p.write(func() error { return p.Memory.Swap(ctx, path, old, next) })
}

func (p *Process) Write(ctx context.Context, e auditlog.Event) error {
	return p.write(func() error { return p.Memory.Write(ctx, e) })
}

// Mark is as many writes as there are marks.
func (p *Process) Mark(ctx context.Context, marks []sequence.Mark) error {
	for _, m := range marks {
		if err := p.write(func() error { return p.Memory.Mark(ctx, []sequence.Mark{m}) }); err != nil {
			return err
		}
	}
	return nil
}

func (p *Process) Index(ctx context.Context, leaves map[record.Pseudonym][]int64) error {
	return p.write(func() error { return p.Memory.Index(ctx, leaves) })
}

func (p *Process) Subject(ctx context.Context, name string, fresh func() (record.Pseudonym, []byte, error)) (q record.Pseudonym, wrapped []byte, err error) {
	err = p.write(func() (err error) {
		q, wrapped, err = p.Memory.Subject(ctx, name, fresh)
		return err
	})
	return q, wrapped, err
}

func (p *Process) Keep(ctx context.Context, places map[string]sequence.Place) error {
	return p.write(func() error { return p.Memory.Keep(ctx, places) })
}

func (p *Process) KeepCompared(ctx context.Context, upTo time.Time) error {
	return p.write(func() error { return p.Memory.KeepCompared(ctx, upTo) })
}
