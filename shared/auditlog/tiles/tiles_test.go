package tiles_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/transparency-dev/tessera/api/layout"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"fitvault/shared/auditlog/tiles"
)

var errMissing = errors.New("no such object")

// bucket is a log's objects by path.
type bucket map[string][]byte

func (b bucket) read(path string) ([]byte, error) {
	content, ok := b[path]
	if !ok {
		return nil, errMissing
	}
	return content, nil
}

func leaf(n int) tiles.Leaf {
	event := binary.BigEndian.AppendUint64([]byte("event "), uint64(n))
	return tiles.Leaf{Commitment: sha256.Sum256(event), Event: event}
}

// grow adds leaves, and puts what is new into the bucket.
func (b bucket) grow(t require.TestingT, tree tlog.Tree, n int) tlog.Tree {
	var leaves []tiles.Leaf
	for i := range n {
		leaves = append(leaves, leaf(int(tree.N)+i))
	}
	grown, err := tiles.Append(tree, b.read, leaves)
	require.NoError(t, err)
	for o, content := range grown.Objects {
		b[o.Path()] = content
	}
	return grown.Tree
}

// TestAppend: however a log has grown, its tree is the one that tlog computes of
// its entries, its objects are those of its size, and every leaf is proved.
func TestAppend(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, tree := bucket{}, tiles.Empty()
		for range rapid.IntRange(1, 4).Draw(t, "times") {
			tree = b.grow(t, tree, rapid.IntRange(0, 600).Draw(t, "leaves"))
		}
		for _, o := range tiles.Of(tree.N) {
			require.Contains(t, b, o.Path())
		}
		members, err := tiles.Range(tree, b.read, 0, tree.N)
		require.NoError(t, err)
		require.Len(t, members, int(tree.N))
		if tree.N == 0 {
			return
		}
		i := rapid.Int64Range(0, tree.N-1).Draw(t, "leaf")
		want := leaf(int(i))
		require.Equal(t, tiles.Member{Index: i, Entry: tiles.Entry(want.Commitment, want.Event), Event: want.Event}, members[i])
		p, err := tlog.ProveRecord(tree.N, i, tiles.Reader(tree, b.read))
		require.NoError(t, err)
		require.NoError(t, tlog.CheckRecord(p, tree.N, tree.Hash, i, tlog.RecordHash(members[i].Entry)))
	})
}

// TestLevels: a log of more than 256² leaves has tiles at three levels.
func TestLevels(t *testing.T) {
	b := bucket{}
	tree := b.grow(t, tiles.Empty(), 65_000)
	tree = b.grow(t, tree, 900)
	for _, path := range []string{"tile/0/256", "tile/0/257.p/108", "tile/1/000", "tile/1/001.p/1", "tile/2/000.p/1", "tile/entries/257.p/108", "events/000"} {
		require.Contains(t, b, path)
	}
	_, err := tiles.Range(tree, b.read, 65_500, 65_900)
	require.NoError(t, err)
}

// TestNothingIsBuiltOnAlteredObjects: each byte of all that appending reads.
func TestNothingIsBuiltOnAlteredObjects(t *testing.T) {
	b := bucket{}
	tree := b.grow(t, tiles.Empty(), 300)
	for _, path := range []string{"tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44", "events/001.p/44"} {
		for at := range b[path] {
			if strings.HasPrefix(path, "tile/1") && at >= tlog.HashSize {
				break
			}
			damaged := maps.Clone(b)
			damaged[path] = bytes.Clone(b[path])
			damaged[path][at] ^= 1 << (at % 8)
			_, err := tiles.Append(tree, damaged.read, []tiles.Leaf{leaf(300)})
			require.Error(t, err, path)
		}
		for _, content := range [][]byte{nil, {}, b[path][1:], append(bytes.Clone(b[path]), 0)} {
			damaged := maps.Clone(b)
			if damaged[path] = content; content == nil {
				delete(damaged, path)
			}
			_, err := tiles.Append(tree, damaged.read, []tiles.Leaf{leaf(300)})
			require.Error(t, err, path)
		}
	}
	other := bucket{}
	_, err := tiles.Append(other.grow(t, tiles.Empty(), 301), b.read, nil)
	require.Error(t, err)
	_, err = tiles.Append(tree, b.read, []tiles.Leaf{{Event: make([]byte, 1<<16)}})
	require.ErrorIs(t, err, tiles.ErrBundle)
}

func TestRange(t *testing.T) {
	b := bucket{}
	tree := b.grow(t, tiles.Empty(), 300)
	members, err := tiles.Range(tree, b.read, 250, 260)
	require.NoError(t, err)
	require.Len(t, members, 10)
	require.EqualValues(t, 250, members[0].Index)
	for _, r := range [][2]int64{{-1, 1}, {2, 1}, {0, 301}} {
		_, err := tiles.Range(tree, b.read, r[0], r[1])
		require.Error(t, err)
	}
	for _, path := range []string{"tile/0/000", "tile/entries/000", "events/000", "tile/0/001.p/44"} {
		damaged := maps.Clone(b)
		damaged[path] = bytes.Clone(b[path])
		damaged[path][20] ^= 1
		_, err := tiles.Range(tree, damaged.read, 0, 300)
		require.Error(t, err, path)
		delete(damaged, path)
		_, err = tiles.Range(tree, damaged.read, 0, 300)
		require.Error(t, err, path)
	}
}

// TestPaths: names are those that Tessera uses, each object has one, and one only.
func TestPaths(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := tiles.Object{Kind: tiles.Kind(rapid.IntRange(0, 2).Draw(t, "kind")), N: rapid.Int64Range(0, 1<<40).Draw(t, "n"), W: rapid.IntRange(1, tiles.Width).Draw(t, "w")}
		p := uint8(o.W % tiles.Width) //nolint:gosec // less than 256
		switch o.Kind {
		case tiles.Hashes:
			o.Level = rapid.IntRange(0, 7).Draw(t, "level")
			require.Equal(t, layout.TilePath(uint64(o.Level), uint64(o.N), p), o.Path())
		case tiles.Entries:
			require.Equal(t, layout.EntriesPath(uint64(o.N), p), o.Path())
		}
		back, ok := tiles.ParsePath(o.Path())
		require.True(t, ok)
		require.Equal(t, o, back)
	})
	for _, path := range []string{"", "tile", "tile/", "tile/0", "tile/0/0", "tile/0/0000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/00/000", "tile/-1/000",
		"tile/data/000", "tile/8/0/000", "tile/entries/x", "events/", "events/000/", "/tile/0/000", "checkpoint"} {
		_, ok := tiles.ParsePath(path)
		require.False(t, ok, path)
	}
}

func FuzzParsePath(f *testing.F) {
	f.Add("tile/0/x001/067.p/8")
	f.Fuzz(func(t *testing.T, path string) {
		if o, ok := tiles.ParsePath(path); ok {
			require.Equal(t, path, o.Path())
			require.True(t, o.W >= 1 && o.W <= tiles.Width)
		}
	})
}

func FuzzMembers(f *testing.F) {
	f.Add([]byte{0, 1, 7, 0, 0})
	f.Fuzz(func(t *testing.T, bundle []byte) {
		members, err := tiles.Members(bundle)
		if err != nil {
			return
		}
		var again []byte
		for _, m := range members {
			again, err = tiles.AppendMember(again, m)
			require.NoError(t, err)
		}
		require.True(t, bytes.Equal(bundle, again))
	})
}

func TestBundles(t *testing.T) {
	for _, broken := range [][]byte{{0}, {0, 1}, {0, 2, 1}, {255, 255}, bytes.Repeat([]byte{0, 0}, tiles.Width+1)} {
		_, err := tiles.Members(broken)
		require.ErrorIs(t, err, tiles.ErrBundle)
	}
	e := tiles.Entry([32]byte{1}, []byte("event"))
	require.Len(t, e, tiles.EntrySize)
	require.True(t, tiles.Beside(e, []byte("event")))
	require.False(t, tiles.Beside(e, []byte("events")))
	require.False(t, tiles.Beside(e[1:], []byte("event")))
	c, err := tiles.Commitment(e)
	require.NoError(t, err)
	require.Equal(t, [32]byte{1}, c)
	e[0] = 2
	require.False(t, tiles.Beside(e, []byte("event")))
	_, err = tiles.Commitment(e)
	require.ErrorIs(t, err, tiles.ErrBundle)
}

const origin = "fitvault.example/audit/test"

func keys(t testing.TB) (note.Signer, note.Verifier) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	verifier, err := tiles.NewVerifier(origin, public)
	require.NoError(t, err)
	return tiles.NewSigner(verifier, func(text []byte) ([]byte, error) { return ed25519.Sign(private, text), nil }), verifier
}

func TestCheckpoints(t *testing.T) {
	signer, verifier := keys(t)
	want := tiles.Checkpoint{Origin: origin, Size: 123, Root: tlog.Hash{7}}
	signed, err := want.Sign(signer)
	require.NoError(t, err)
	got, err := tiles.OpenCheckpoint(signed, verifier)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, "fitvault.example/audit/test\n123\nBwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", want.Text())

	for name, text := range map[string]string{
		"another origin":               "other\n1\n" + strings.Split(want.Text(), "\n")[2] + "\n",
		"a size with sign":             strings.Replace(want.Text(), "123", "+123", 1),
		"a negative size":              strings.Replace(want.Text(), "123", "-1", 1),
		"zeros before":                 strings.Replace(want.Text(), "123", "0123", 1),
		"a size that is none":          strings.Replace(want.Text(), "123", "x", 1),
		"a short hash":                 strings.Replace(want.Text(), "BwAA", "", 1),
		"a line more":                  want.Text() + "more\n",
		"a line less":                  origin + "\n123\n",
		"another spelling of the hash": strings.Replace(want.Text(), "A=\n", "B=\n", 1),
	} {
		n, err := note.Sign(&note.Note{Text: text}, signer)
		require.NoError(t, err)
		_, err = tiles.OpenCheckpoint(n, verifier)
		require.ErrorIs(t, err, tiles.ErrCheckpoint, name)
	}
	_, other := keys(t)
	_, err = tiles.OpenCheckpoint(signed, other)
	require.ErrorIs(t, err, tiles.ErrCheckpoint)
}

func TestSigner(t *testing.T) {
	_, verifier := keys(t)
	c := tiles.Checkpoint{Origin: origin}
	down := errors.New("down")
	_, err := c.Sign(tiles.NewSigner(verifier, func([]byte) ([]byte, error) { return nil, down }))
	require.ErrorIs(t, err, down)
	_, err = c.Sign(tiles.NewSigner(verifier, func([]byte) ([]byte, error) { return make([]byte, 64), nil }))
	require.Error(t, err, "a signature that does not verify is not published")
	_, err = tiles.NewVerifier("an origin with spaces", make([]byte, 32))
	require.Error(t, err)
}

func FuzzOpenCheckpoint(f *testing.F) {
	signer, verifier := keys(f)
	signed, err := tiles.Checkpoint{Origin: origin, Size: 1}.Sign(signer)
	require.NoError(f, err)
	f.Add(signed)
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := tiles.OpenCheckpoint(b, verifier); err == nil {
			require.True(t, strings.HasPrefix(string(b), c.Text()+"\n"))
		}
	})
}
