package tiles

import (
	"bytes"
	"crypto/sha256"
	"errors"

	"golang.org/x/mod/sumdb/tlog"
)

// ErrAltered is returned where stored objects are not those of the tree.
var ErrAltered = errors.New("the stored log is not the one that its head names")

// Read returns an object of the log by its path.
type Read func(path string) ([]byte, error)

// Empty is the tree without leaves.
func Empty() tlog.Tree {
	root, _ := tlog.TreeHash(0, nil)
	return tlog.Tree{N: 0, Hash: root}
}

// stored reads tiles for tlog, which checks them against a tree.
type stored struct{ read Read }

func (stored) Height() int                     { return Height }
func (stored) SaveTiles([]tlog.Tile, [][]byte) {}

func (s stored) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(wanted))
	for i, t := range wanted {
		data, err := s.read(Object{Hashes, t.L, t.N, t.W}.Path())
		if err != nil {
			return nil, err
		}
		if len(data) != t.W*tlog.HashSize {
			return nil, ErrAltered
		}
		all[i] = data
	}
	return all, nil
}

// Reader reads a tree's hashes from its tiles. What it returns belongs to the
// tree, or is an error: that of read, or ErrAltered.
func Reader(tree tlog.Tree, read Read) tlog.HashReader { return reader{tree, read} }

type reader struct {
	tree tlog.Tree
	read Read
}

func (r reader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var unread error
	found, err := tlog.TileHashReader(r.tree, stored{func(path string) (b []byte, err error) {
		b, unread = r.read(path)
		return b, unread
	}}).ReadHashes(indexes)
	if err != nil && unread == nil { // tlog's own word for tiles that do not fit the tree is only text
		return nil, ErrAltered
	}
	return found, err
}

// Leaf is one member of the log: what it commits to, and the sealed event beside it.
type Leaf struct {
	Commitment [sha256.Size]byte
	Event      []byte
}

// Grown is a tree with new leaves, and the objects that are new with it.
type Grown struct {
	Tree    tlog.Tree
	Objects map[Object][]byte
}

// Append adds leaves to a tree. What is read of the tree is checked against it,
// so that nothing is ever built upon an altered object.
func Append(old tlog.Tree, read Read, leaves []Leaf) (Grown, error) {
	held, err := edge(old, read)
	if err != nil {
		return Grown{}, err
	}
	entries, events, err := ends(old, read, held)
	if err != nil {
		return Grown{}, err
	}
	g := Grown{Tree: old, Objects: map[Object][]byte{}}
	for _, leaf := range leaves {
		entry := Entry(leaf.Commitment, leaf.Event)
		hashes, err := tlog.StoredHashes(g.Tree.N, entry, held)
		if err != nil {
			return Grown{}, err
		}
		for i, h := range hashes {
			held[tlog.StoredHashIndex(0, g.Tree.N)+int64(i)] = h
		}
		if entries, err = AppendMember(entries, entry); err != nil {
			return Grown{}, err
		}
		if events, err = AppendMember(events, leaf.Event); err != nil {
			return Grown{}, err
		}
		n := g.Tree.N / Width
		if g.Tree.N++; g.Tree.N%Width == 0 {
			g.Objects[Object{Entries, 0, n, Width}], g.Objects[Object{Events, 0, n, Width}] = entries, events
			entries, events = nil, nil
		}
	}
	if w := int(g.Tree.N % Width); w > 0 && len(leaves) > 0 {
		n := g.Tree.N / Width
		g.Objects[Object{Entries, 0, n, w}], g.Objects[Object{Events, 0, n, w}] = entries, events
	}
	for _, t := range tlog.NewTiles(Height, old.N, g.Tree.N) {
		if g.Objects[Object{Hashes, t.L, t.N, t.W}], err = tlog.ReadTileData(t, held); err != nil {
			return Grown{}, err
		}
	}
	if g.Tree.Hash, err = tlog.TreeHash(g.Tree.N, held); err != nil {
		return Grown{}, err
	}
	return g, nil
}

// hashes is hashes at hand, by their index in the order that tlog stores them in.
type hashes map[int64]tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	all := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hash, ok := h[index]
		if !ok {
			return nil, errors.New("a hash that is not at hand")
		}
		all[i] = hash
	}
	return all, nil
}

// edge is the hashes of a tree that appending needs: its complete subtrees, and
// all of the tiles that are not full.
func edge(tree tlog.Tree, read Read) (hashes, error) {
	var indexes []int64
	for level := 0; tree.N>>level > 0; level++ {
		if tree.N>>level&1 == 1 {
			indexes = append(indexes, tlog.StoredHashIndex(level, tree.N>>level-1))
		}
		if level%Height == 0 {
			for n := tree.N >> level &^ (Width - 1); n < tree.N>>level; n++ {
				indexes = append(indexes, tlog.StoredHashIndex(level, n))
			}
		}
	}
	held := hashes{}
	if len(indexes) == 0 {
		return held, nil
	}
	found, err := Reader(tree, read).ReadHashes(indexes)
	if err != nil {
		return nil, err
	}
	for i, index := range indexes {
		held[index] = found[i]
	}
	return held, nil
}

// ends is the bundles that are not full, whose entries must be the tree's leaves.
func ends(tree tlog.Tree, read Read, held hashes) (entries, events []byte, err error) {
	n, w := tree.N/Width, int(tree.N%Width)
	if w == 0 {
		return nil, nil, nil
	}
	if entries, err = read(Object{Entries, 0, n, w}.Path()); err != nil {
		return nil, nil, err
	}
	members, err := Members(entries)
	if err != nil || len(members) != w {
		return nil, nil, ErrAltered
	}
	for i, m := range members {
		if tlog.RecordHash(m) != held[tlog.StoredHashIndex(0, n*Width+int64(i))] {
			return nil, nil, ErrAltered
		}
	}
	if events, err = read(Object{Events, 0, n, w}.Path()); err != nil {
		return nil, nil, err
	}
	beside, err := Members(events)
	if err != nil || len(beside) != w {
		return nil, nil, ErrAltered
	}
	for i, event := range beside {
		if !Beside(members[i], event) {
			return nil, nil, ErrAltered
		}
	}
	// A bundle grows: no member of this one may be written into what was read.
	return bytes.Clone(entries), bytes.Clone(events), nil
}

// Member is one member of the log as it is stored.
type Member struct {
	Index        int64
	Entry, Event []byte
}

// Range reads the members from ≤ index < to of a tree. Each entry is checked
// against the tree, and each event against its entry.
func Range(tree tlog.Tree, read Read, from, to int64) (all []Member, err error) {
	if from < 0 || from > to || to > tree.N {
		return nil, errors.New("a range that the tree does not have")
	}
	if from == to {
		return nil, nil
	}
	var indexes []int64
	for n := from / Width; n*Width < to; n++ {
		w := int(min(tree.N-n*Width, Width))
		bundles := map[Kind][][]byte{}
		for _, kind := range []Kind{Entries, Events} {
			b, err := read(Object{kind, 0, n, w}.Path())
			if err != nil {
				return nil, err
			}
			if bundles[kind], err = Members(b); err != nil || len(bundles[kind]) != w {
				return nil, ErrAltered
			}
		}
		for i := range w {
			if index := n*Width + int64(i); index >= from && index < to {
				m := Member{index, bundles[Entries][i], bundles[Events][i]}
				if !Beside(m.Entry, m.Event) {
					return nil, ErrAltered
				}
				all, indexes = append(all, m), append(indexes, tlog.StoredHashIndex(0, index))
			}
		}
	}
	leaves, err := Reader(tree, read).ReadHashes(indexes)
	if err != nil {
		return nil, err
	}
	for i, m := range all {
		if tlog.RecordHash(m.Entry) != leaves[i] {
			return nil, ErrAltered
		}
	}
	return all, nil
}
