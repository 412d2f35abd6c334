// Package verify checks a copy of the audit log by itself: nothing of fitvault
// need be trusted, asked or reachable. What it is given is a folder with the
// bucket's objects, and the log's public key.
package verify

import (
	"bytes"
	"io/fs"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"fitvault/shared/auditlog/tiles"
)

const (
	// maxFindings bounds what one run tells: after a thousand findings nobody reads on.
	maxFindings = 1000

	// maxObject is more than the largest object, a full bundle of the longest members.
	maxObject = 32 << 20
)

// Finding is one thing that is not as it must be.
type Finding struct {
	Path string // of the object
	What string // constant
}

// String is one line: a name that would be more, or would move a terminal, is quoted.
func (f Finding) String() string {
	path := f.Path
	if strings.ContainsFunc(path, func(r rune) bool { return !unicode.IsPrint(r) }) {
		path = strconv.Quote(path)
	}
	return path + ": " + f.What
}

// Report is what was checked, and all that is wrong.
type Report struct {
	Tree        tlog.Tree // of the newest checkpoint
	Checkpoints int
	Objects     int
	Findings    []Finding
}

// Kept is a checkpoint that somebody else has kept: the log must still have it.
type Kept struct {
	Name   string
	Signed []byte
}

type check struct {
	files  fs.FS
	log    note.Verifier
	report Report

	signed  map[string]tiles.Checkpoint // by the path of the object
	objects map[tiles.Object]bool       // that the copy has, and that were not checked yet
	widths  map[tiles.Object][]int      // in which it has an object; by the object without its width
	hashes  map[int][]tlog.Hash         // complete hashes of each level of tiles above 0
	tree    compact
}

// Log checks everything that a copy holds: each checkpoint's signature, each
// tile against the hashes of the entries, each sealed event against its entry,
// and that all checkpoints, and those that others have kept, are of one tree
// that has only grown. An error is only a copy that cannot be read.
func Log(files fs.FS, log note.Verifier, kept ...Kept) (Report, error) {
	c := check{files: files, log: log, signed: map[string]tiles.Checkpoint{}, objects: map[tiles.Object]bool{}, widths: map[tiles.Object][]int{}, hashes: map[int][]tlog.Hash{}}
	if err := c.list(); err != nil {
		return Report{}, err
	}
	for _, k := range kept {
		c.checkpoint(k.Name, k.Signed)
	}
	newest, ok := c.signed[tiles.CheckpointPath]
	if !ok {
		c.find(tiles.CheckpointPath, "there is no checkpoint, or the log's key has not signed it")
		return c.report, nil
	}
	c.report.Tree, c.report.Checkpoints = tlog.Tree{N: newest.Size, Hash: newest.Root}, len(c.signed)
	for path, other := range c.signed {
		if other.Size > newest.Size {
			c.find(path, "is of a larger tree than the newest checkpoint: the log was cut off")
		}
	}
	if err := c.leaves(newest.Size); err != nil {
		return Report{}, err
	}
	if err := c.levels(newest.Size); err != nil {
		return Report{}, err
	}
	sort.Slice(c.report.Findings, func(i, j int) bool { return c.report.Findings[i].Path < c.report.Findings[j].Path })
	return c.report, nil
}

func (c *check) find(path, what string) {
	if len(c.report.Findings) < maxFindings {
		c.report.Findings = append(c.report.Findings, Finding{path, what})
	}
}

// list reads checkpoints, and takes stock of all other objects. What was staged
// and has not been published yet is no part of the log.
func (c *check) list() error {
	return fs.WalkDir(c.files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path, tiles.StagingPrefix) {
			return err
		}
		c.report.Objects++
		// A link may lead to what never ends, or to what the reader alone may see.
		if !d.Type().IsRegular() {
			c.find(path, "is no file")
			return nil
		}
		if info, err := d.Info(); err != nil || info.Size() > maxObject {
			c.find(path, "is larger than any object of a log")
			return err
		}
		if path == tiles.CheckpointPath || strings.HasPrefix(path, tiles.HourlyPrefix) {
			signed, err := fs.ReadFile(c.files, path)
			if err == nil {
				c.checkpoint(path, signed)
			}
			return err
		}
		o, ok := tiles.ParsePath(path)
		if !ok {
			c.find(path, "is no object of a log")
			return nil
		}
		c.objects[o] = true
		at := place(o)
		c.widths[at] = append(c.widths[at], o.W)
		return nil
	})
}

// place is an object without its width.
func place(o tiles.Object) tiles.Object {
	o.W = 0
	return o
}

func (c *check) checkpoint(path string, signed []byte) {
	opened, err := tiles.OpenCheckpoint(signed, c.log)
	if err != nil {
		c.find(path, "the log's key has not signed this")
		return
	}
	c.signed[path] = opened
}

// read returns an object, and whether the copy has it.
func (c *check) read(o tiles.Object) ([]byte, bool, error) {
	if !c.objects[o] {
		return nil, false, nil
	}
	b, err := fs.ReadFile(c.files, o.Path())
	return b, err == nil, err
}

// leaves goes through the entries of the newest tree in order, and holds
// everything of level 0 to them.
func (c *check) leaves(size int64) error {
	bySize := map[int64][]string{}
	for path, signed := range c.signed {
		bySize[signed.Size] = append(bySize[signed.Size], path)
	}
	c.roots(bySize[0])
	for n := int64(0); n*tiles.Width < size; n++ {
		w := int(min(size-n*tiles.Width, tiles.Width))
		o := tiles.Object{Kind: tiles.Entries, N: n, W: w}
		bundle, ok, err := c.read(o)
		if err != nil {
			return err
		}
		if !ok {
			c.find(o.Path(), "is missing: what follows cannot be checked")
			return nil
		}
		entries, err := tiles.Members(bundle)
		if err != nil || len(entries) != w {
			c.find(o.Path(), "is no bundle of as many entries as its place says")
			return nil
		}
		var leaves []tlog.Hash
		for _, entry := range entries {
			leaf := tlog.RecordHash(entry)
			leaves = append(leaves, leaf)
			c.tree.add(leaf)
			c.roots(bySize[c.tree.size])
		}
		if err := c.tile(tiles.Object{Kind: tiles.Hashes, N: n, W: w}, leaves); err != nil {
			return err
		}
		if err := c.events(n, entries); err != nil {
			return err
		}
		if err := c.narrower(o, bundle, entries); err != nil {
			return err
		}
		if w == tiles.Width {
			c.hashes[1] = append(c.hashes[1], root(leaves))
		}
	}
	return nil
}

// roots holds checkpoints of the size that the tree has now to its hash.
func (c *check) roots(paths []string) {
	for _, path := range paths {
		if c.signed[path].Root != c.tree.root() {
			c.find(path, "is of another tree than the entries: an entry was altered, or two logs were signed")
		}
	}
}

// events holds the sealed events to the entries that stand for them.
func (c *check) events(n int64, entries [][]byte) error {
	o := tiles.Object{Kind: tiles.Events, N: n, W: len(entries)}
	bundle, ok, err := c.read(o)
	if err != nil {
		return err
	}
	if !ok {
		c.find(o.Path(), "is missing")
		return nil
	}
	events, err := tiles.Members(bundle)
	if err != nil || len(events) != len(entries) {
		c.find(o.Path(), "is no bundle of as many events as there are entries")
		return nil
	}
	for i := range events {
		if !tiles.Beside(entries[i], events[i]) {
			c.find(o.Path(), "an event is not the one that its entry stands for")
			break
		}
	}
	return c.narrower(o, bundle, events)
}

// narrower holds what was published before an object had its width to it.
func (c *check) narrower(o tiles.Object, bundle []byte, members [][]byte) error {
	for _, w := range c.widths[place(o)] {
		if w >= o.W {
			continue
		}
		end := 0
		for _, m := range members[:w] {
			end += 2 + len(m)
		}
		if err := c.same(tiles.Object{Kind: o.Kind, N: o.N, W: w}, bundle[:end]); err != nil {
			return err
		}
	}
	return nil
}

// same holds an object, where there is one, to what it must be.
func (c *check) same(o tiles.Object, want []byte) error {
	got, ok, err := c.read(o)
	if !ok {
		return err
	}
	if !bytes.Equal(got, want) {
		c.find(o.Path(), "is not what the entries make of it")
	}
	delete(c.objects, o)
	return err
}

// tile holds a tile of hashes, and those that were narrower, to what they must be.
func (c *check) tile(o tiles.Object, hashes []tlog.Hash) error {
	if !c.objects[o] {
		c.find(o.Path(), "is missing")
	}
	data := make([]byte, 0, tiles.Width*tlog.HashSize)
	for _, h := range hashes {
		data = append(data, h[:]...)
	}
	for _, w := range c.widths[place(o)] {
		if w > o.W {
			continue
		}
		if err := c.same(tiles.Object{Kind: tiles.Hashes, Level: o.Level, N: o.N, W: w}, data[:w*tlog.HashSize]); err != nil {
			return err
		}
	}
	return nil
}

// levels checks the tiles above level 0, and that there is nothing else.
func (c *check) levels(size int64) error {
	for level := 1; len(c.hashes[level]) > 0; level++ {
		for n, chunk := range slices.Collect(slices.Chunk(c.hashes[level], tiles.Width)) {
			if err := c.tile(tiles.Object{Kind: tiles.Hashes, Level: level, N: int64(n), W: len(chunk)}, chunk); err != nil {
				return err
			}
			if len(chunk) == tiles.Width {
				c.hashes[level+1] = append(c.hashes[level+1], root(chunk))
			}
		}
	}
	if c.tree.size != size {
		return nil // told already; the rest cannot be judged
	}
	for _, o := range slices.Collect(maps.Keys(c.objects)) {
		if o.Kind == tiles.Hashes || o.N > size/tiles.Width || o.W > int(min(size-o.N*tiles.Width, tiles.Width)) {
			c.find(o.Path(), "is beyond the newest checkpoint")
		}
	}
	return nil
}

// compact is the roots of a tree's complete subtrees, the largest first.
type compact struct {
	size  int64
	roots []tlog.Hash
}

func (c *compact) add(leaf tlog.Hash) {
	c.roots = append(c.roots, leaf)
	c.size++
	for n := c.size; n&1 == 0; n >>= 1 {
		last := len(c.roots) - 1
		c.roots = append(c.roots[:last-1], tlog.NodeHash(c.roots[last-1], c.roots[last]))
	}
}

func (c *compact) root() tlog.Hash {
	if c.size == 0 {
		return tiles.Empty().Hash
	}
	h := c.roots[len(c.roots)-1]
	for i := len(c.roots) - 2; i >= 0; i-- {
		h = tlog.NodeHash(c.roots[i], h)
	}
	return h
}

// root is the root of a full tile's hashes.
func root(hashes []tlog.Hash) tlog.Hash {
	var c compact
	for _, h := range hashes {
		c.add(h)
	}
	return c.root()
}
