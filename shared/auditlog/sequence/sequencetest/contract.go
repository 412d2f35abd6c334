package sequencetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"fitvault/shared/auditlog"
	"fitvault/shared/auditlog/record"
	"fitvault/shared/auditlog/sequence"
)

// HeadsContract is what every sequence.Heads keeps to. It begins without a head.
func HeadsContract(t *testing.T, h sequence.Heads) {
	now := time.Date(2026, 5, 4, 5, 25, 0, 123_000_000, time.UTC)
	head := func(n int64) sequence.Head {
		return sequence.Head{Tree: tlog.Tree{N: n, Hash: tlog.Hash{byte(n)}}, Taken: now.Add(time.Duration(n) * time.Millisecond), Published: n - 1}
	}
	stands := func(want sequence.Head) {
		t.Helper()
		got, err := h.Head(t.Context())
		require.NoError(t, err)
		require.True(t, got.Taken.Equal(want.Taken))
		got.Taken = want.Taken
		require.Equal(t, want, got)
	}
	stands(sequence.Head{})
	require.ErrorIs(t, h.Move(t.Context(), head(1), head(2)), sequence.ErrMoved, "there is no head to move from")
	require.NoError(t, h.Move(t.Context(), sequence.Head{}, head(0)))
	require.ErrorIs(t, h.Move(t.Context(), sequence.Head{}, head(1)), sequence.ErrMoved, "a head is made once")
	stands(head(0))
	for name, change := range map[string]func(*sequence.Head){
		"size": func(h *sequence.Head) { h.Tree.N++ }, "root": func(h *sequence.Head) { h.Tree.Hash[31] ^= 1 },
		"time": func(h *sequence.Head) { h.Taken = h.Taken.Add(time.Millisecond) }, "published": func(h *sequence.Head) { h.Published++ },
	} {
		other := head(0)
		change(&other)
		require.ErrorIs(t, h.Move(t.Context(), other, head(5)), sequence.ErrMoved, name)
	}
	stands(head(0))
	var won atomic.Int64
	var all sync.WaitGroup
	for n := range int64(8) {
		all.Go(func() {
			if err := h.Move(t.Context(), head(0), head(n+1)); err == nil {
				won.Add(1)
			} else if !errors.Is(err, sequence.ErrMoved) {
				t.Error("neither moved nor too late")
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, won.Load(), "of several at once one moves it")
}

// ObjectsContract is what every sequence.Objects keeps to, under paths that begin
// with prefix.
func ObjectsContract(t *testing.T, o sequence.Objects, prefix string) {
	get := func(path string) string {
		t.Helper()
		content, err := o.Get(t.Context(), prefix+path)
		require.NoError(t, err)
		return string(content)
	}
	_, err := o.Get(t.Context(), prefix+"a")
	require.ErrorIs(t, err, sequence.ErrNotFound)
	for name, put := range map[string]func(path, content string) error{
		"put":  func(path, content string) error { return o.Put(t.Context(), prefix+path, []byte(content)) },
		"lock": func(path, content string) error { return o.Lock(t.Context(), prefix+path, []byte(content)) },
	} {
		require.NoError(t, put(name+"/x001/067.p/8", "one"))
		require.NoError(t, put(name+"/x001/067.p/8", "two"))
		require.Equal(t, "one", get(name+"/x001/067.p/8"), "what is there stays")
	}
	swap := func(old, next []byte) error { return o.Swap(t.Context(), prefix+"swapped", old, next) }
	require.ErrorIs(t, swap([]byte("a"), []byte("b")), sequence.ErrMoved)
	require.NoError(t, swap(nil, []byte("a")))
	require.ErrorIs(t, swap(nil, []byte("b")), sequence.ErrMoved)
	require.NoError(t, swap([]byte("a"), []byte("b")))
	require.ErrorIs(t, swap([]byte("a"), []byte("c")), sequence.ErrMoved)
	require.Equal(t, "b", get("swapped"))
	var won atomic.Int64
	var all sync.WaitGroup
	for n := range byte(8) {
		all.Go(func() {
			if swap([]byte("b"), []byte{'c', n}) == nil {
				won.Add(1)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, won.Load())
}

// EventsContract is what every sequence.Events keeps to. store stores an event as
// a function does.
func EventsContract(t *testing.T, e sequence.Events, store auditlog.Writer) {
	midnight := time.Date(2026, 5, 5, 0, 0, 0, 0, time.UTC)
	between := func(from, to time.Duration) map[string]sequence.Stored {
		t.Helper()
		found := map[string]sequence.Stored{}
		for s, err := range e.Between(t.Context(), midnight.Add(from), midnight.Add(to)) {
			require.NoError(t, err)
			require.NotContains(t, found, s.ID)
			found[s.ID] = s
		}
		return found
	}
	var ids []string
	for _, at := range []time.Duration{-time.Second, -time.Millisecond, 0, time.Millisecond, time.Hour} {
		id, err := auditlog.NewID(midnight.Add(at), rand.Reader)
		require.NoError(t, err)
		ids = append(ids, id)
		require.NoError(t, store.Write(t.Context(), auditlog.Event{ID: id, Time: midnight.Add(at), Function: "readings", Outcome: auditlog.Allowed, Records: 7}))
	}
	require.Len(t, between(-time.Hour, 2*time.Hour), 5, "over midnight")
	require.Empty(t, between(time.Minute, time.Minute))
	for range e.Between(t.Context(), midnight.Add(-time.Hour), midnight.Add(2*time.Hour)) {
		break // who has enough reads no more
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	failures := 0
	for _, err := range e.Between(ended, midnight.Add(-time.Hour), midnight.Add(2*time.Hour)) {
		require.Error(t, err)
		failures++
	}
	require.Equal(t, 1, failures, "it ends after an error, and not without one")
	some := between(-time.Millisecond, time.Millisecond)
	require.Len(t, some, 2)
	require.Contains(t, some, ids[1])
	require.Contains(t, some, ids[2])
	s := some[ids[1]]
	require.Nil(t, s.Mark)
	require.False(t, s.Strange)
	require.Equal(t, 7, s.Event.Records)
	require.True(t, s.Event.Time.Equal(midnight.Add(-time.Millisecond)))

	mark := sequence.Mark{Key: s.Key, Index: 1 << 40, Mac: []byte{1, 2, 3}}
	for range 2 {
		require.NoError(t, e.Mark(t.Context(), []sequence.Mark{mark, {Key: sequence.Key{Shard: s.Shard, ID: "gone"}, Index: 1, Mac: []byte{1}}}))
	}
	after := between(-time.Hour, 2*time.Hour)
	require.Len(t, after, 5, "an event that is gone is not brought back")
	require.Equal(t, &mark, after[ids[1]].Mark)
	require.Equal(t, string(record.Canonical(s.Event)), string(record.Canonical(after[ids[1]].Event)))
	require.Nil(t, after[ids[0]].Mark)
}

// SubjectsContract is what every sequence.Subjects keeps to, with what shows them.
func SubjectsContract(t *testing.T, s interface {
	sequence.Subjects
	Pseudonym(ctx context.Context, name string) (record.Pseudonym, error)
	Leaves(ctx context.Context, p record.Pseudonym, before int64, limit int) ([]int64, error)
}) {
	ctx := t.Context()
	fresh := func() (record.Pseudonym, []byte, error) {
		var p record.Pseudonym
		_, _ = rand.Read(p[:]) // never fails
		return p, p[:4], nil
	}
	name := "user-" + rand.Text()
	_, err := s.Pseudonym(ctx, name)
	require.ErrorIs(t, err, sequence.ErrNotFound)
	failed := errors.New("no entropy")
	_, _, err = s.Subject(ctx, name, func() (record.Pseudonym, []byte, error) { return record.Pseudonym{}, nil, failed })
	require.ErrorIs(t, err, failed)

	var mu sync.Mutex
	made := map[record.Pseudonym]bool{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			p, wrapped, err := s.Subject(ctx, name, fresh)
			if err != nil || string(wrapped) != string(p[:4]) {
				t.Error("a subject is neither stored nor found")
				return
			}
			mu.Lock()
			defer mu.Unlock()
			made[p] = true
		})
	}
	all.Wait()
	require.Len(t, made, 1, "of several at once one is stored")
	p, err := s.Pseudonym(ctx, name)
	require.NoError(t, err)
	require.True(t, made[p])
	found, wrapped, err := s.Key(ctx, p)
	require.NoError(t, err)
	require.Equal(t, name, found)
	require.Equal(t, p[:4], wrapped)
	stranger, _, _ := fresh()
	_, _, err = s.Key(ctx, stranger)
	require.ErrorIs(t, err, sequence.ErrNotFound)

	for range 2 {
		require.NoError(t, s.Index(ctx, map[record.Pseudonym][]int64{p: {0, 9, 10, 1 << 40}, stranger: {1}}))
	}
	leaves := func(of record.Pseudonym, before int64, limit int) []int64 {
		t.Helper()
		all, err := s.Leaves(ctx, of, before, limit)
		require.NoError(t, err)
		return all
	}
	require.Equal(t, []int64{1 << 40, 10, 9, 0}, leaves(p, 1<<41, 100))
	require.Equal(t, []int64{10, 9}, leaves(p, 1<<40, 2))
	require.Equal(t, []int64{0}, leaves(p, 9, 5))
	require.Empty(t, leaves(p, 0, 5))
	require.Empty(t, leaves(stranger, 100, 5))
}

// ChangesContract is what every sequence.Changes keeps to. put stores an item, or
// stores it anew; remove removes it.
func ChangesContract(t *testing.T, c sequence.Changes, put, remove func(owner, item string)) {
	owner, began := "owner-"+rand.Text(), time.Now()
	put(owner, "one")
	put(owner, "one") // in another form
	remove(owner, "one")
	put(owner, "two")

	in, changes := sequence.Shard{}, []sequence.Change(nil)
	require.Eventually(t, func() bool { // a stream may be behind its table
		shards, err := c.Shards(t.Context())
		require.NoError(t, err)
		changes = nil
		for _, shard := range shards {
			all, ended, err := c.Since(t.Context(), shard, "", 1000)
			require.NoError(t, err)
			for _, change := range all {
				if change.Owner == owner {
					in, changes = shard, append(changes, change)
					require.False(t, ended)
				}
			}
		}
		return len(changes) >= 4
	}, 10*time.Second, 100*time.Millisecond)
	require.Len(t, changes, 4, "one owner's are in one shard")
	for n, want := range []struct {
		item   string
		stored bool
	}{{"one", true}, {"one", false}, {"one", false}, {"two", true}} {
		require.Equal(t, want.item, changes[n].Item)
		require.Equal(t, want.stored, changes[n].Stored, n)
		require.WithinDuration(t, began, changes[n].Time, time.Minute)
	}
	first, _, err := c.Since(t.Context(), in, changes[0].Position, 1)
	require.NoError(t, err)
	require.Equal(t, changes[1:2], first)
	rest, ended, err := c.Since(t.Context(), in, changes[1].Position, 1000)
	require.NoError(t, err)
	require.False(t, ended)
	require.Equal(t, changes[2:], rest)
	none, ended, err := c.Since(t.Context(), in, changes[3].Position, 1000)
	require.NoError(t, err)
	require.False(t, ended)
	require.Empty(t, none)
}

// PlacesContract is what every sequence.Places keeps to. It begins without any.
func PlacesContract(t *testing.T, p sequence.Places) {
	places, err := p.Places(t.Context())
	require.NoError(t, err)
	require.Empty(t, places)
	seen := time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC)
	for _, want := range []map[string]sequence.Place{
		{"shard-1": {After: "123456789012345678901234567890", Seen: seen}, "shard-2": {Seen: seen}, "shard-3": {Ended: true}},
		{"shard-2": {After: "1", Seen: seen.Add(time.Second)}},
		{},
	} {
		require.NoError(t, p.Keep(t.Context(), want))
		places, err = p.Places(t.Context())
		require.NoError(t, err)
		require.Len(t, places, len(want))
		for shard, place := range want {
			require.Equal(t, place, places[shard])
		}
	}
}

// ItemsContract is what every sequence.Manifests keeps to. store stores a manifest
// of what may be stored, under a key, and returns its items.
func ItemsContract(t *testing.T, m sequence.Manifests, store func(key string) []string) {
	var keys []string
	want := map[string][]string{}
	for range 120 { // more than one request takes
		var key [32]byte
		_, _ = rand.Read(key[:]) // never fails
		keys = append(keys, hex.EncodeToString(key[:]))
	}
	for _, key := range keys[:110] {
		want[key] = store(key)
	}
	found, err := m.Items(t.Context(), keys)
	require.NoError(t, err)
	require.Equal(t, want, found, "of one that is not there nothing may be stored")
}

// ComparedContract is what every sequence.Compared keeps to. It begins without any.
func ComparedContract(t *testing.T, c sequence.Compared) {
	upTo, err := c.Compared(t.Context())
	require.NoError(t, err)
	require.True(t, upTo.IsZero())
	for _, want := range []time.Time{time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC), time.Date(2026, 5, 4, 6, 25, 1, 0, time.UTC)} {
		require.NoError(t, c.KeepCompared(t.Context(), want))
		upTo, err = c.Compared(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, upTo)
	}
}

// OwnersContract is what every sequence.Owners keeps to. store gives an owner a key of
// an id.
func OwnersContract(t *testing.T, o sequence.Owners, store func(owner, id string)) {
	var owners []string
	want := map[string][]string{}
	for n := range 40 { // more than are asked for at once
		owner := "owner-" + rand.Text()
		owners = append(owners, owner)
		for range n % 3 {
			id := rand.Text()
			store(owner, id)
			want[owner] = append(want[owner], id)
		}
		slices.Sort(want[owner])
		if n%3 == 0 {
			delete(want, owner)
		}
	}
	found, err := o.KeyIDs(t.Context(), owners)
	require.NoError(t, err)
	for _, ids := range found {
		slices.Sort(ids)
	}
	require.Equal(t, want, found, "of one who has none there is nothing")
}

// UsesContract is what every sequence.Uses keeps to. use uses the key a number of times,
// each with another owner's key, and says with which, in order.
func UsesContract(t *testing.T, u sequence.Uses, use func(times int) []string) {
	const times = 120 // of which at least two pages are full
	from := time.Now().UTC().Truncate(time.Second)
	want := use(times)
	to := time.Now().UTC().Truncate(time.Second).Add(time.Second)
	read := func(from, to time.Time) (all []sequence.Use, pages int) {
		t.Helper()
		for token := ""; ; {
			page, next, err := u.Page(t.Context(), from, to, token)
			require.NoError(t, err)
			all = append(all, page...)
			if pages++; next == "" {
				return all, pages
			}
			token = next
		}
	}
	var all []sequence.Use
	var pages int
	require.Eventually(t, func() bool { // records may be late
		all, pages = read(from, to)
		return len(all) >= times
	}, 10*time.Second, 100*time.Millisecond)
	require.Greater(t, pages, 2)
	var found []string
	for n, use := range all {
		require.False(t, use.Time.Before(from))
		require.True(t, use.Time.Before(to))
		if n > 0 {
			require.False(t, use.Time.After(all[n-1].Time), "the newest first")
		}
		if slices.Contains(want, use.Key) {
			require.False(t, use.Strange)
			require.False(t, use.Failed)
			require.NotEmpty(t, use.ID)
			found = append(found, use.Key)
		}
	}
	require.ElementsMatch(t, want, found)
	none, pages := read(from.Add(-2*time.Hour), from.Add(-time.Hour))
	require.Empty(t, none)
	require.Equal(t, 1, pages)
}
