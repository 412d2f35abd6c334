package intaketest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/intake"
)

// writers is how many write at once where a contract says that one wins.
const writers = 16

// clock is a time that a contract moves.
type clock struct{ seconds atomic.Int64 }

func (c *clock) Now() time.Time    { return time.Unix(c.seconds.Load(), 0).UTC() }
func (c *clock) set(now time.Time) { c.seconds.Store(now.Unix()) }
func random(n int) (b []byte)      { b = make([]byte, n); _, _ = rand.Read(b); return b }
func name(prefix string) string    { return fmt.Sprintf("%s-%x", prefix, random(16)) }
func ended(t *testing.T) (c context.Context) {
	c, cancel := context.WithCancel(t.Context())
	cancel()
	return c
}

// manifest is one with every member set; its expiry is in whole seconds, as stores keep it.
func manifest(key string, expires time.Time) intake.Manifest {
	return intake.Manifest{
		Key: key, Body: random(32), Expires: expires, RequestsKey: "requests#1", Rules: "1", Count: 5,
		Rejected:  []intake.Rejected{{Index: 1, Pointer: "/body/heart_rate/unit", Rule: "enum"}, {Index: 4, Pointer: "", Rule: "type"}},
		Blocks:    []intake.Block{{Day: "2026-05-04", ID: name("block"), Records: []intake.Range{{0, 0}, {2, 3}}}},
		Recording: &intake.Recording{ID: name("recording"), Document: name("document")},
	}
}

// ManifestsContract is the contract of intake.Manifests. open opens the store
// with a clock; keys are random, so that it may be a store in use.
func ManifestsContract(t *testing.T, open func(now func() time.Time) intake.Manifests) {
	var now clock
	store := open(now.Now)
	start := time.Now().UTC().Truncate(time.Second)
	now.set(start)
	expires := start.Add(intake.Keep)

	t.Run("nobody holds a key that was not claimed", func(t *testing.T) {
		_, found, err := store.Find(t.Context(), name("key"))
		require.NoError(t, err)
		require.False(t, found)
	})
	t.Run("a free key is claimed and found, member for member", func(t *testing.T) {
		m := manifest(name("key"), expires)
		held, err := store.Claim(t.Context(), m)
		require.NoError(t, err)
		require.Equal(t, m, held)
		held, found, err := store.Find(t.Context(), m.Key)
		require.NoError(t, err)
		require.True(t, found)
		held.Expires = held.Expires.UTC()
		require.Equal(t, m, held)
	})
	t.Run("who was first stays, whatever the second says", func(t *testing.T) {
		first := manifest(name("key"), expires)
		second := manifest(first.Key, expires.Add(time.Hour))
		_, err := store.Claim(t.Context(), first)
		require.NoError(t, err)
		held, err := store.Claim(t.Context(), second)
		require.NoError(t, err)
		held.Expires = held.Expires.UTC()
		require.Equal(t, first, held)
		held, _, err = store.Find(t.Context(), first.Key)
		require.NoError(t, err)
		held.Expires = held.Expires.UTC()
		require.Equal(t, first, held)
	})
	t.Run("of concurrent claims one is stored, and all return it", func(t *testing.T) {
		requireOneWins(t, store, name("key"), expires)
	})
	t.Run("an expired manifest is none, and its key is free", func(t *testing.T) {
		defer now.set(start)
		first := manifest(name("key"), start.Add(time.Minute))
		_, err := store.Claim(t.Context(), first)
		require.NoError(t, err)

		now.set(start.Add(59 * time.Second))
		_, found, err := store.Find(t.Context(), first.Key)
		require.NoError(t, err)
		require.True(t, found, "a second before its end")

		now.set(start.Add(time.Minute))
		_, found, err = store.Find(t.Context(), first.Key)
		require.NoError(t, err)
		require.False(t, found, "at its end")
		requireOneWins(t, store, first.Key, expires)
	})
	t.Run("the largest manifest fits", func(t *testing.T) {
		m := manifest(name("key"), expires)
		m.Count, m.Rejected, m.Blocks = 1000, nil, nil
		for i := range 500 { // every record either rejected, with a long pointer, or in a block of its own
			m.Rejected = append(m.Rejected, intake.Rejected{Index: 2 * i,
				Pointer: "/body/effective_time_frame/time_interval/duration/value", Rule: "additionalProperties"})
			m.Blocks = append(m.Blocks, intake.Block{Day: "2026-05-04", ID: fmt.Sprintf("%026d", i), Records: []intake.Range{{2*i + 1, 2*i + 1}}})
		}
		_, err := store.Claim(t.Context(), m)
		require.NoError(t, err)
		held, found, err := store.Find(t.Context(), m.Key)
		require.NoError(t, err)
		require.True(t, found)
		held.Expires = held.Expires.UTC()
		require.Equal(t, m, held)
	})
	t.Run("a store that does not answer is an error, not a free key", func(t *testing.T) {
		m := manifest(name("key"), expires)
		_, err := store.Claim(ended(t), m)
		require.Error(t, err)
		_, _, err = store.Find(ended(t), m.Key)
		require.Error(t, err)
		_, found, err := store.Find(t.Context(), m.Key)
		require.NoError(t, err)
		require.False(t, found)
	})
}

// requireOneWins claims a key many times at once.
func requireOneWins(t *testing.T, store intake.Manifests, key string, expires time.Time) {
	t.Helper()
	claims, held := make([]intake.Manifest, writers), make([]intake.Manifest, writers)
	errs := make([]error, writers)
	var all sync.WaitGroup
	for i := range writers {
		claims[i] = manifest(key, expires)
		all.Go(func() { held[i], errs[i] = store.Claim(t.Context(), claims[i]) })
	}
	all.Wait()
	winner, found, err := store.Find(t.Context(), key)
	require.NoError(t, err)
	require.True(t, found)
	winner.Expires = winner.Expires.UTC()
	require.Contains(t, claims, winner)
	for i := range writers {
		require.NoError(t, errs[i])
		held[i].Expires = held[i].Expires.UTC()
		require.Equal(t, winner, held[i])
	}
}

// arrived has the store's precision, a millisecond.
var arrived = time.Date(2026, 5, 4, 7, 25, 0, 123e6, time.UTC)

// Pieces is the readers' side of the store that is an intake.Blocks.
type Pieces interface {
	Get(ctx context.Context, owner, item string) ([]byte, bool, error)
	Between(ctx context.Context, owner, first, end string) iter.Seq2[Piece, error]
}

// BlocksContract is the contract of intake.Blocks, seen from the readers' side,
// and of that side.
func BlocksContract(t *testing.T, store intake.Blocks, pieces Pieces) {
	list := func(t *testing.T, owner, first, end string) (items []string) {
		t.Helper()
		for p, err := range pieces.Between(t.Context(), owner, first, end) {
			require.NoError(t, err)
			require.NotEmpty(t, p.Blob)
			require.Equal(t, arrived, p.Arrived)
			items = append(items, p.Item)
		}
		return items
	}

	t.Run("a piece is kept as it came, and the first stays", func(t *testing.T) {
		owner, sealed := name("owner"), random(1000)
		_, found, err := pieces.Get(t.Context(), owner, "2026-05-04#a")
		require.NoError(t, err)
		require.False(t, found)
		require.NoError(t, store.PutOnce(t.Context(), owner, "2026-05-04#a", sealed, arrived))
		require.NoError(t, store.PutOnce(t.Context(), owner, "2026-05-04#a", random(1000), arrived))
		kept, found, err := pieces.Get(t.Context(), owner, "2026-05-04#a")
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, sealed, kept)
	})
	t.Run("of concurrent writers one stays, and nobody fails", func(t *testing.T) {
		owner := name("owner")
		blobs, errs := make([][]byte, writers), make([]error, writers)
		var all sync.WaitGroup
		for i := range writers {
			blobs[i] = random(100)
			all.Go(func() { errs[i] = store.PutOnce(t.Context(), owner, "item", blobs[i], arrived) })
		}
		all.Wait()
		for _, err := range errs {
			require.NoError(t, err)
		}
		kept, _, err := pieces.Get(t.Context(), owner, "item")
		require.NoError(t, err)
		require.Contains(t, blobs, kept)
	})
	t.Run("the largest block fits", func(t *testing.T) {
		owner, sealed := name("owner"), random(intake.MaxBlock+8<<10) // what packing and sealing add to text that does not compress
		require.NoError(t, store.PutOnce(t.Context(), owner, "item", sealed, arrived))
		kept, _, err := pieces.Get(t.Context(), owner, "item")
		require.NoError(t, err)
		require.Equal(t, sealed, kept)
	})
	t.Run("a list is one owner's, in order, from first to before end", func(t *testing.T) {
		owner := name("owner")
		for _, item := range []string{"2026-05-05#b", "recording#a", "2026-05-04#b", "2026-05-05#a", "2026-05-06#a", "0001-01-01#a"} {
			require.NoError(t, store.PutOnce(t.Context(), owner, item, random(10), arrived))
		}
		require.NoError(t, store.PutOnce(t.Context(), name("owner"), "2026-05-05#c", random(10), arrived))
		for _, test := range []struct {
			name, first, end string
			want             []string
		}{
			{"everything", "0", "~", []string{"0001-01-01#a", "2026-05-04#b", "2026-05-05#a", "2026-05-05#b", "2026-05-06#a", "recording#a"}},
			{"blocks only", "0", "a", []string{"0001-01-01#a", "2026-05-04#b", "2026-05-05#a", "2026-05-05#b", "2026-05-06#a"}},
			{"first is in it, end is not", "2026-05-05#a", "2026-05-06#a", []string{"2026-05-05#a", "2026-05-05#b"}},
			{"a day", "2026-05-05", "2026-05-05$", []string{"2026-05-05#a", "2026-05-05#b"}},
			{"nothing there", "2027", "2028", nil},
			{"nothing between", "2026-05-05", "2026-05-05", nil},
			{"an end before the first", "2026-05-06", "2026-05-05", nil},
		} {
			require.Equal(t, test.want, list(t, owner, test.first, test.end), test.name)
		}
		require.Empty(t, list(t, name("owner"), "0", "~"))
	})
	t.Run("a list may be longer than the store's page, and may be left", func(t *testing.T) {
		owner, big := name("owner"), bytes.Repeat([]byte("x"), 300<<10)
		for i := range 5 { // DynamoDB's page is 1 MB
			require.NoError(t, store.PutOnce(t.Context(), owner, fmt.Sprintf("2026-05-0%d#a", i+1), big, arrived))
		}
		require.Len(t, list(t, owner, "0", "a"), 5)
		for range pieces.Between(t.Context(), owner, "0", "a") {
			break
		}
	})
	t.Run("a store that does not answer is an error", func(t *testing.T) {
		owner := name("owner")
		require.Error(t, store.PutOnce(ended(t), owner, "item", random(10), arrived))
		_, found, err := pieces.Get(ended(t), owner, "item")
		require.Error(t, err)
		require.False(t, found)
		n := 0
		for _, err := range pieces.Between(ended(t), owner, "0", "~") {
			require.Error(t, err)
			n++
		}
		require.Equal(t, 1, n, "after an error it ends")
	})
}

// CountersContract is the contract of intake.Counters.
func CountersContract(t *testing.T, c intake.Counters) {
	now := time.Date(2026, 5, 4, 7, 25, 0, 0, time.UTC)
	advance := func(t *testing.T, pairing string, n int64, mark []byte, at ...time.Time) bool {
		rising, err := c.Advance(t.Context(), pairing, n, mark, append(at, now)[0])
		require.NoError(t, err)
		return rising
	}
	t.Run("it rises, by any step, and never falls", func(t *testing.T) {
		pairing, a, b := name("pairing"), random(32), random(32)
		for _, step := range []struct {
			n      int64
			mark   []byte
			rising bool
		}{{3, a, true}, {3, a, true}, {3, b, false}, {2, a, false}, {2, b, false}, {4, b, true}, {3, a, false}, {4, a, false}, {4, b, true}, {1<<53 - 1, a, true}, {5, b, false}} {
			require.Equal(t, step.rising, advance(t, pairing, step.n, step.mark))
		}
		require.True(t, advance(t, name("pairing"), 1, b), "each pairing has its own")
	})
	t.Run("the same one goes on for as long as a manifest would be kept", func(t *testing.T) {
		pairing, a := name("pairing"), random(32)
		require.True(t, advance(t, pairing, 3, a))
		require.True(t, advance(t, pairing, 3, a))
		require.False(t, advance(t, pairing, 3, a, now.Add(intake.Keep)))
		require.True(t, advance(t, pairing, 3, a, now.Add(intake.Keep-time.Second)))
		require.True(t, advance(t, pairing, 4, random(32), now.Add(2*intake.Keep)))
	})
	t.Run("of many payloads with one counter one is taken", func(t *testing.T) {
		pairing := name("pairing")
		taken := make([]bool, writers)
		var all sync.WaitGroup
		for i := range writers {
			mark := random(32)
			all.Go(func() { taken[i], _ = c.Advance(t.Context(), pairing, 7, mark, now) })
		}
		all.Wait()
		n := 0
		for _, t := range taken {
			if t {
				n++
			}
		}
		require.Equal(t, 1, n)
	})
	t.Run("a store that does not answer is an error", func(t *testing.T) {
		_, err := c.Advance(ended(t), name("pairing"), 1, random(32), now)
		require.Error(t, err)
	})
}

// DocumentsContract is the contract of intake.Documents, seen from the readers'
// side. get returns notFound for a document that does not exist.
func DocumentsContract(t *testing.T, store intake.Documents, get func(ctx context.Context, id string) ([]byte, error), notFound error) {
	t.Run("a document is kept as it came, and the first stays", func(t *testing.T) {
		id, sealed := name("document"), random(1000)
		_, err := get(t.Context(), id)
		require.ErrorIs(t, err, notFound)
		require.NoError(t, store.Put(t.Context(), id, sealed))
		require.NoError(t, store.Put(t.Context(), id, random(1000)))
		kept, err := get(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, sealed, kept)
	})
	t.Run("of concurrent writers one stays", func(t *testing.T) {
		id := name("document")
		blobs, errs := make([][]byte, writers), make([]error, writers)
		var all sync.WaitGroup
		for i := range writers {
			blobs[i] = random(100)
			all.Go(func() { errs[i] = store.Put(t.Context(), id, blobs[i]) })
		}
		all.Wait()
		for _, err := range errs {
			require.NoError(t, err)
		}
		kept, err := get(t.Context(), id)
		require.NoError(t, err)
		require.Contains(t, blobs, kept)
	})
	t.Run("the largest document fits", func(t *testing.T) {
		id, sealed := name("document"), random(intake.MaxDocument+200) // what sealing adds
		require.NoError(t, store.Put(t.Context(), id, sealed))
		kept, err := get(t.Context(), id)
		require.NoError(t, err)
		require.True(t, bytes.Equal(sealed, kept))
	})
	t.Run("a store that does not answer is an error", func(t *testing.T) {
		id := name("document")
		require.Error(t, store.Put(ended(t), id, random(10)))
		_, err := get(ended(t), id)
		require.Error(t, err)
		require.NotErrorIs(t, err, notFound)
	})
}
