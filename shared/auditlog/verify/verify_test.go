package verify_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"

	"fitvault/shared/auditlog/sequence"
	"fitvault/shared/auditlog/sequence/sequencetest"
	"fitvault/shared/auditlog/tiles"
	"fitvault/shared/auditlog/verify"
)

func init() {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
}

type files map[string][]byte

func (f files) fs() fstest.MapFS {
	m := fstest.MapFS{}
	for path, content := range f {
		m[path] = &fstest.MapFile{Data: content}
	}
	return m
}

// with is the files with one in another form; nil: without it.
func (f files) with(path string, content []byte) files {
	c := maps.Clone(f)
	if c[path] = content; content == nil {
		delete(c, path)
	}
	return c
}

// ours is what fitvault finds.
func ours(t testing.TB, log *sequencetest.Log, f files, kept ...verify.Kept) []verify.Finding {
	report, err := verify.Log(f.fs(), log.Verifier, kept...)
	require.NoError(t, err)
	return report.Findings
}

// theirs is what Tessera's fsck finds in the same files: another implementation of
// the format, upon another implementation of Merkle trees. It does not know of
// events, and looks at the newest checkpoint alone.
// Where it panics at what it is given, it has found that something is wrong with it.
func theirs(log *sequencetest.Log, f files) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("it panicked")
		}
	}()
	hashes := func(bundle []byte) (leaves [][]byte, err error) {
		var b api.EntryBundle
		if err := b.UnmarshalText(bundle); err != nil {
			return nil, err
		}
		for _, e := range b.Entries {
			leaves = append(leaves, rfc6962.DefaultHasher.HashLeaf(e))
		}
		return leaves, nil
	}
	// Where its workers stop at a finding, what feeds them blocks for ever, unless all that there is to check finds room.
	return fsck.New(sequencetest.Origin, log.Verifier, fetcher(f), hashes, fsck.Opts{N: 64}).Check(context.Background())
}

type fetcher files

func (f fetcher) get(path string) ([]byte, error) {
	content, ok := f[path]
	if !ok {
		return nil, os.ErrNotExist
	}
	return content, nil
}

func (f fetcher) ReadCheckpoint(context.Context) ([]byte, error) { return f.get(layout.CheckpointPath) }

func (f fetcher) ReadTile(_ context.Context, l, i uint64, p uint8) ([]byte, error) {
	return f.get(layout.TilePath(l, i, p))
}

func (f fetcher) ReadEntryBundle(_ context.Context, i uint64, p uint8) ([]byte, error) {
	return f.get(layout.EntriesPath(i, p))
}

// seenByTheirs reports whether an object is one that Tessera's fsck reads: not
// events, and of what was partial only what is the newest.
func seenByTheirs(path string, size int64) bool {
	o, ok := tiles.ParsePath(path)
	if !ok {
		return path == tiles.CheckpointPath
	}
	return o.Kind != tiles.Events && slices.Contains(tiles.Of(size), o)
}

const events = 1000

var thousand = sync.OnceValue(func() *sequencetest.Log { return sequencetest.NewLog(new(testing.T), events) })

func TestWhole(t *testing.T) {
	log := thousand()
	report, err := verify.Log(files(log.Files()).fs(), log.Verifier)
	require.NoError(t, err)
	require.Empty(t, report.Findings)
	require.EqualValues(t, events, report.Tree.N)
	require.Equal(t, len(log.Files()), report.Objects)
	require.Equal(t, 4, report.Checkpoints, "the newest, and those of three hours")
	require.NoError(t, theirs(log, log.Files()))
}

// TestEveryFlippedBit: of each byte of each object one bit is flipped (of large
// objects of every 997th byte, where ATTACK is not whole), of the checkpoint every
// bit, and found by both.
func TestEveryFlippedBit(t *testing.T) {
	log := thousand()
	all := files(log.Files())
	whole := os.Getenv("ATTACK") == "whole"
	var flips, both, spare atomic.Int64
	var group errgroup.Group
	group.SetLimit(runtime.NumCPU())
	flip := func(path string, at, bit int, checked bool) error {
		damaged := bytes.Clone(all[path])
		damaged[at] ^= 1 << bit
		f := all.with(path, damaged)
		flips.Add(1)
		report, err := verify.Log(f.fs(), log.Verifier)
		if err != nil || len(report.Findings) == 0 {
			return errors.New("we do not find a flip in " + path)
		}
		if !checked {
			return nil
		}
		both.Add(1)
		switch err := theirs(log, f); {
		case err == nil && path == tiles.CheckpointPath && at == len(damaged)-3:
			spare.Add(1) // the bits that base64 has to spare at the end of a signature mean nothing to them
		case err == nil:
			return errors.New("they do not find a flip in " + path)
		}
		return nil
	}
	for path, content := range all {
		checked := seenByTheirs(path, events)
		step := 1
		if !whole && len(content) > 300 {
			step = 997 // no divisor of what is in an object: every place in them is met
		}
		for at := 0; at < len(content); at += step {
			group.Go(func() error {
				if path != tiles.CheckpointPath {
					return flip(path, at, (at+at/8)%8, checked)
				}
				for bit := range 8 {
					if err := flip(path, at, bit, checked); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
	require.NoError(t, group.Wait())
	require.LessOrEqual(t, spare.Load(), int64(3))
	t.Logf("%d flips, %d of them in what Tessera reads", flips.Load(), both.Load())
}

// TestEntries: entries left out, put in, in another order, cut off.
func TestEntries(t *testing.T) {
	log := thousand()
	all := files(log.Files())
	bundle := func(kind tiles.Kind, members [][]byte) (b []byte) {
		for _, m := range members {
			var err error
			b, err = tiles.AppendMember(b, m)
			require.NoError(t, err)
		}
		return b
	}
	last := tiles.Object{N: 3, W: events % tiles.Width}
	for name, change := range map[string]func([][]byte) [][]byte{
		"one left out":           func(m [][]byte) [][]byte { return slices.Delete(m, 5, 6) },
		"the last left out":      func(m [][]byte) [][]byte { return m[:len(m)-1] },
		"all left out":           func([][]byte) [][]byte { return [][]byte{} },
		"one twice":              func(m [][]byte) [][]byte { return slices.Insert(m, 5, m[5]) },
		"one added at the end":   func(m [][]byte) [][]byte { return append(m, m[0]) },
		"one in place of other":  func(m [][]byte) [][]byte { m[5] = m[6]; return m },
		"two in another order":   func(m [][]byte) [][]byte { m[5], m[6] = m[6], m[5]; return m },
		"all in another order":   func(m [][]byte) [][]byte { slices.Reverse(m); return m },
		"an empty one":           func(m [][]byte) [][]byte { m[5] = nil; return m },
		"one cut off":            func(m [][]byte) [][]byte { m[5] = m[5][:len(m[5])-1]; return m },
		"one with a byte more":   func(m [][]byte) [][]byte { m[5] = append(bytes.Clone(m[5]), 0); return m },
		"one of another version": func(m [][]byte) [][]byte { m[5] = append([]byte{2}, m[5][1:]...); return m },
	} {
		t.Run(name, func(t *testing.T) {
			for _, o := range []tiles.Object{{N: 0, W: tiles.Width}, last} {
				for _, kind := range []tiles.Kind{tiles.Entries, tiles.Events} {
					o.Kind = kind
					members, err := tiles.Members(all[o.Path()])
					require.NoError(t, err)
					f := all.with(o.Path(), append([]byte{}, bundle(kind, change(members))...))
					require.NotEmpty(t, ours(t, log, f))
					// They read as many entries as were signed, and no more.
					if kind == tiles.Entries && name != "one added at the end" {
						require.Error(t, theirs(log, f))
					}
				}
			}
		})
	}
	t.Run("objects cut off at each end of a member, and in it", func(t *testing.T) {
		for path, content := range all {
			for _, n := range []int{0, 1, 2, 67, len(content) / 2, len(content) - 67, len(content) - 1} {
				if n < 0 || n >= len(content) {
					continue
				}
				f := all.with(path, append([]byte{}, content[:n]...))
				require.NotEmpty(t, ours(t, log, f), path)
				if seenByTheirs(path, events) {
					require.Error(t, theirs(log, f), path)
				}
			}
		}
	})
	t.Run("objects removed", func(t *testing.T) {
		for _, o := range tiles.Of(events) {
			f := all.with(o.Path(), nil)
			require.NotEmpty(t, ours(t, log, f), o.Path())
			if o.Kind != tiles.Events {
				require.Error(t, theirs(log, f), o.Path())
			}
		}
		require.NotEmpty(t, ours(t, log, all.with(tiles.CheckpointPath, nil)))
	})
	t.Run("objects added", func(t *testing.T) {
		for _, path := range []string{"x", "tile/0/004", "tile/0/003.p/233", "tile/entries/003.p/255", "events/004.p/1", "tile/2/000.p/1", "tile/0/0x1", "checkpoints/x", "tile/8/0/000",
			"tile/entries/x072/x057/x594/x037/x927/936", "events/x072/x057/x594/x037/x927/936.p/1"} { // 2^56: in 64 bits its first entry is 0
			require.NotEmpty(t, ours(t, log, all.with(path, []byte{0, 1, 2})), path)
		}
	})
	t.Run("an event and its entry exchanged for others'", func(t *testing.T) {
		entries, _ := tiles.Members(all["tile/entries/000"])
		sealed, _ := tiles.Members(all["events/000"])
		entries[0], sealed[0] = tiles.Entry([32]byte{}, sealed[1]), sealed[1]
		f := all.with("tile/entries/000", bundle(tiles.Entries, entries)).with("events/000", bundle(tiles.Events, sealed))
		require.NotEmpty(t, ours(t, log, f))
		require.Error(t, theirs(log, f))
	})
}

// TestStrangeCopies: what no bucket has is told, and not opened, followed or held in memory; its
// name writes no line of its own.
func TestStrangeCopies(t *testing.T) {
	log := sequencetest.NewLog(t, 3)
	folder := log.Folder(t)
	of := func() []verify.Finding {
		t.Helper()
		r, err := verify.Log(os.DirFS(folder), log.Verifier)
		require.NoError(t, err)
		return r.Findings
	}
	require.Empty(t, of())
	require.NoError(t, os.Symlink("/dev/zero", filepath.Join(folder, "checkpoints", "2026-05-04T23")))
	require.Equal(t, []verify.Finding{{Path: "checkpoints/2026-05-04T23", What: "is no file"}}, of())
	require.NoError(t, os.Remove(filepath.Join(folder, "checkpoints", "2026-05-04T23")))
	tile := filepath.Join(folder, "tile", "entries", "000.p", "3")
	require.NoError(t, os.Truncate(tile, 1<<40)) // sparse
	require.Contains(t, of(), verify.Finding{Path: "tile/entries/000.p/3", What: "is larger than any object of a log"})
	require.Equal(t, `"x\nas it must be\x1b[2K": is no object of a log`, verify.Finding{Path: "x\nas it must be\x1b[2K", What: "is no object of a log"}.String())
}

// TestForks: of two logs that the same key has signed, each whole by itself, no
// checkpoint of one is taken for one of the other's, whatever sizes they have.
func TestForks(t *testing.T) {
	log := thousand()
	all := files(log.Files())
	for _, size := range []int{1, 255, 256, 999, 1000, 1001} {
		fork := sequencetest.NewLogWith(t, log.Keys, size)
		other := fork.Files()[tiles.CheckpointPath]
		require.NotEmpty(t, ours(t, log, all.with("checkpoints/2026-05-04T23", other)))
		require.NotEmpty(t, ours(t, log, all, verify.Kept{Name: "kept", Signed: other}))
		require.NotEmpty(t, ours(t, log, all.with(tiles.CheckpointPath, other)))
		require.Error(t, theirsConsistent(t, log, other, size))
	}
	for path, earlier := range all {
		if strings.HasPrefix(path, tiles.HourlyPrefix) {
			c, err := tiles.OpenCheckpoint(earlier, log.Verifier)
			require.NoError(t, err)
			require.NoError(t, theirsConsistent(t, log, earlier, int(c.Size)))
		}
	}
	t.Run("a log that was cut off, and signed as it was", func(t *testing.T) {
		require.NotEmpty(t, ours(t, log, all.with(tiles.CheckpointPath, all["checkpoints/2026-05-04T07"])))
	})
	t.Run("another log's key", func(t *testing.T) {
		require.NotEmpty(t, ours(t, sequencetest.NewLog(t, 3), all))
	})
}

// theirsConsistent has Tessera's client and transparency-dev/merkle prove that a
// checkpoint and the log's newest are of one tree.
func theirsConsistent(t testing.TB, log *sequencetest.Log, signed []byte, size int) error {
	t.Helper()
	ctx := context.Background()
	of := func(signed []byte) []byte {
		c, _, _, err := client.FetchCheckpoint(ctx, func(context.Context) ([]byte, error) { return signed, nil }, log.Verifier, sequencetest.Origin)
		require.NoError(t, err)
		return c.Hash
	}
	if size > events {
		return errors.New("larger than the newest")
	}
	builder, err := client.NewProofBuilder(ctx, events, fetcher(log.Files()).ReadTile)
	require.NoError(t, err)
	p, err := builder.ConsistencyProof(ctx, uint64(size), events)
	require.NoError(t, err)
	return proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(size), events, p, of(signed), of(log.Files()[tiles.CheckpointPath]))
}

// TestErased: of an owner who is erased nothing can be read, and the log verifies.
func TestErased(t *testing.T) {
	log := sequencetest.NewLog(t, 300)
	before := log.Files()
	p, err := log.Pseudonym(t.Context(), "owner-3")
	require.NoError(t, err)
	leaves, err := log.Leaves(t.Context(), p, 1<<40, 1000)
	require.NoError(t, err)
	require.Len(t, leaves, 30)
	_, _, err = log.Key(t.Context(), p)
	require.NoError(t, err)
	log.Erase("owner-3")
	_, _, err = log.Key(t.Context(), p)
	require.ErrorIs(t, err, sequence.ErrNotFound, "nothing opens his events")
	leaves, err = log.Leaves(t.Context(), p, 1<<40, 1000)
	require.NoError(t, err)
	require.Empty(t, leaves)
	require.Equal(t, before, log.Files())
	require.Empty(t, ours(t, log, log.Files()))
	require.NoError(t, theirs(log, log.Files()))
	log.Store(t, "owner-4")
	log.Run(t)
	require.Empty(t, ours(t, log, log.Files()), "and grows on")
}

// TestWitness: a line of somebody else's below the log's own changes nothing.
func TestWitness(t *testing.T) {
	log := sequencetest.NewLog(t, 3)
	all := files(log.Files())
	signed := append(bytes.Clone(all[tiles.CheckpointPath]), "\u2014 witness.example/w1 AAAAAAECAwQFBgcICQ==\n"...)
	require.Empty(t, ours(t, log, all.with(tiles.CheckpointPath, signed)))
	require.NoError(t, theirs(log, all.with(tiles.CheckpointPath, signed)))
}

// BenchmarkLog verifies a log of 100,000 events.
func BenchmarkLog(b *testing.B) {
	log := sequencetest.NewLog(b, 100_000)
	all := files(log.Files()).fs()
	for b.Loop() {
		report, err := verify.Log(all, log.Verifier)
		require.NoError(b, err)
		require.Empty(b, report.Findings)
	}
	b.ReportMetric(float64(b.N)*100_000/b.Elapsed().Seconds(), "events/s")
}
