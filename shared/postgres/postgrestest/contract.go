package postgrestest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/postgres"
)

// Parts is what keeps the parts of owners' days.
type Parts interface {
	Version(ctx context.Context, pseudonym, part string) (int64, error)
	Put(ctx context.Context, pseudonym string, p postgres.Part, was int64) (bool, error)
	Between(ctx context.Context, pseudonym, first, last string) ([]postgres.Part, error)
}

// NewPseudonym is one that no other test uses.
func NewPseudonym() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	h := hex.EncodeToString(b)
	return fmt.Sprintf("%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:])
}

// Contract is what every store of parts promises. write and read may be two
// roles of one store; writer makes further ones, for writers at the same time.
func Contract(t *testing.T, write, read Parts, writer func() Parts) {
	ctx := t.Context()
	day := func(date, first, last string) postgres.Part {
		return postgres.Part{Part: date, First: first, Last: last, Sealed: []byte("sealed " + date)}
	}
	put := func(t *testing.T, who string, p postgres.Part, was int64, want bool) {
		t.Helper()
		stored, err := write.Put(ctx, who, p, was)
		require.NoError(t, err)
		require.Equal(t, want, stored)
	}

	t.Run("a part is put only in place of the version that was seen", func(t *testing.T) {
		ada, p := NewPseudonym(), day("2026-05-04", "2026-05-03", "2026-05-05")
		version, err := write.Version(ctx, ada, p.Part)
		require.NoError(t, err)
		require.Zero(t, version)
		put(t, ada, p, 1, false) // there is none to replace
		put(t, ada, p, 0, true)
		put(t, ada, p, 0, false) // the same again
		p.Sealed, p.Last = []byte{0, 255}, "2026-05-06"
		p.Version = 77 // is not looked at
		put(t, ada, p, 2, false)
		put(t, ada, p, 1, true)
		put(t, ada, p, 1, false)
		version, err = write.Version(ctx, ada, p.Part)
		require.NoError(t, err)
		require.EqualValues(t, 2, version)
		parts, err := read.Between(ctx, ada, "2026-05-06", "2026-05-06")
		require.NoError(t, err)
		p.Version = 2
		require.Equal(t, []postgres.Part{p}, parts)
	})

	t.Run("between are the parts that overlap, in order", func(t *testing.T) {
		ada := NewPseudonym()
		for _, p := range []postgres.Part{
			day("2026-05-10", "2026-05-09", "2026-05-11"),
			day("2024-02-29", "2024-02-28", "2024-03-01"),
			day("recording#b", "2026-05-01", "2026-05-20"),
			day("2026-05-04", "2026-05-03", "2026-05-05"),
		} {
			put(t, ada, p, 0, true)
		}
		for _, test := range []struct {
			first, last string
			want        []string
		}{
			{"2026-05-05", "2026-05-09", []string{"2026-05-04", "2026-05-10", "recording#b"}},
			{"2026-05-06", "2026-05-08", []string{"recording#b"}},
			{"2026-05-11", "2026-05-11", []string{"2026-05-10", "recording#b"}},
			{"2026-05-21", "2027-05-01", nil},
			{"2024-03-01", "2026-04-30", []string{"2024-02-29"}},
			{"0001-01-01", "9999-12-31", []string{"2024-02-29", "2026-05-04", "2026-05-10", "recording#b"}},
		} {
			parts, err := read.Between(ctx, ada, test.first, test.last)
			require.NoError(t, err)
			var names []string
			for _, p := range parts {
				require.EqualValues(t, 1, p.Version)
				require.Equal(t, "sealed "+p.Part, string(p.Sealed))
				names = append(names, p.Part)
			}
			require.Equal(t, test.want, names, "%s to %s", test.first, test.last)
		}
	})

	t.Run("each owner has parts of its own", func(t *testing.T) {
		ada, ben := NewPseudonym(), NewPseudonym()
		p := day("2026-05-04", "2026-05-03", "2026-05-05")
		put(t, ada, p, 0, true)
		version, err := write.Version(ctx, ben, p.Part)
		require.NoError(t, err)
		require.Zero(t, version)
		put(t, ben, p, 1, false)
		parts, err := read.Between(ctx, ben, "0001-01-01", "9999-12-31")
		require.NoError(t, err)
		require.Empty(t, parts)
		put(t, ben, p, 0, true)
	})

	t.Run("of writers at the same time one is first each time", func(t *testing.T) {
		const writers, puts = 32, 4
		ada := NewPseudonym()
		var wg sync.WaitGroup
		var mu sync.Mutex
		by := map[int64]int{} // version → who has put it
		for w := range writers {
			wg.Go(func() {
				own := writer()
				for range puts {
					for done := false; !done; {
						was, err := own.Version(ctx, ada, "2026-05-04")
						if !assertNoError(t, err) {
							return
						}
						done, err = own.Put(ctx, ada, day("2026-05-04", "2026-05-03", "2026-05-05"), was)
						if !assertNoError(t, err) {
							return
						}
						if done {
							mu.Lock()
							if _, twice := by[was+1]; twice {
								t.Error("two writers were told that they had put one version")
							}
							by[was+1] = w
							mu.Unlock()
						}
					}
				}
			})
		}
		wg.Wait()
		version, err := write.Version(ctx, ada, "2026-05-04")
		require.NoError(t, err)
		require.EqualValues(t, writers*puts, version)
		require.Len(t, by, writers*puts)
	})
}

// assertNoError is for goroutines, which may not end the test.
func assertNoError(t *testing.T, err error) bool {
	if err != nil {
		t.Error(err)
	}
	return err == nil
}
