// Package sentineltest holds the contracts of sentinel.Counters and sentinel.Accounts: the
// fakes and the ones in DynamoDB pass the same tests.
package sentineltest

import (
	"context"
	"crypto/rand"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/sentinel"
)

// Contract is what all Counters do.
func Contract(t *testing.T, c sentinel.Counters) {
	thing := func(b byte) sentinel.Thing { return sentinel.Thing{Name: [8]byte{b}, Weight: 1} }
	add := func(t *testing.T, key string, most int, things ...sentinel.Thing) sentinel.Counter {
		t.Helper()
		counter, err := c.Add(t.Context(), key, things, most, time.Hour)
		require.NoError(t, err)
		return counter
	}
	t.Run("each thing counts once, whenever it comes", func(t *testing.T) {
		key := rand.Text()
		require.Equal(t, 1, add(t, key, 10, thing(1)).Sum)
		require.Equal(t, 3, add(t, key, 10, thing(1), thing(2), thing(2), thing(3)).Sum)
		require.Equal(t, 3, add(t, key, 10, thing(3), thing(1)).Sum)
		require.Equal(t, 1, add(t, rand.Text(), 10, thing(1)).Sum, "another's counter is another")
	})
	t.Run("what stands for many counts as many", func(t *testing.T) {
		key := rand.Text()
		many := sentinel.Thing{Name: [8]byte{9}, Weight: 500}
		require.Equal(t, 501, add(t, key, 1000, thing(1), many).Sum)
		require.Equal(t, 501, add(t, key, 1000, many).Sum)
	})
	t.Run("a full one takes nothing more, and says what it is", func(t *testing.T) {
		key := rand.Text()
		require.Equal(t, 2, add(t, key, 2, thing(1), thing(2)).Sum)
		require.NoError(t, c.Told(t.Context(), key, "a"))
		full := add(t, key, 2, thing(3))
		require.Equal(t, sentinel.Counter{Sum: 2, Told: []string{"a"}}, full)
	})
	t.Run("a finding has the id that was first", func(t *testing.T) {
		key := rand.Text()
		add(t, key, 2, thing(1))
		var ids [8]string
		var all sync.WaitGroup
		for i := range ids {
			all.Go(func() { ids[i], _ = c.Note(t.Context(), key, rand.Text()) })
		}
		all.Wait()
		require.NotEmpty(t, ids[0])
		for _, id := range ids {
			require.Equal(t, ids[0], id)
		}
	})
	t.Run("who was told of is in it once", func(t *testing.T) {
		key := rand.Text()
		add(t, key, 2, thing(1))
		for _, target := range []string{"a", "b", "a"} {
			require.NoError(t, c.Told(t.Context(), key, target))
		}
		require.ElementsMatch(t, []string{"a", "b"}, add(t, key, 2, thing(1)).Told)
	})
	t.Run("containers at once lose nothing", func(t *testing.T) {
		key := rand.Text()
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for j := range 8 {
					_, _ = c.Add(t.Context(), key, []sentinel.Thing{thing(byte(8*i + j)), thing(byte(j))}, 100, time.Hour)
				}
			})
		}
		all.Wait()
		require.Equal(t, 64, add(t, key, 100, thing(0)).Sum)
	})
	t.Run("without time left it is an error", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := c.Add(ctx, rand.Text(), []sentinel.Thing{thing(1)}, 1, time.Hour)
		require.Error(t, err)
		_, err = c.Note(ctx, rand.Text(), "id")
		require.Error(t, err)
		require.Error(t, c.Told(ctx, rand.Text(), "a"))
	})
}

// AccountsContract is what all Accounts do. put stores an identity; user is "" of the staff.
func AccountsContract(t *testing.T, a sentinel.Accounts, put func(t *testing.T, identity, user string)) {
	user, err := access.NewUserID(rand.Reader)
	require.NoError(t, err)
	person, staff, nobody := access.IdentityKey("issuer", rand.Text()), access.IdentityKey("staff", rand.Text()), access.IdentityKey("issuer", rand.Text())
	put(t, person, user.String())
	put(t, staff, "")
	for identity, want := range map[string]string{person: user.String(), staff: "", nobody: ""} {
		owner, err := a.OwnerOf(t.Context(), identity)
		require.NoError(t, err)
		require.Equal(t, want, owner)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = a.OwnerOf(ended, person)
	require.Error(t, err)
}
