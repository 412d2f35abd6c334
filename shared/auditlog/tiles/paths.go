// Package tiles is the log's form: a Merkle tree (RFC 6962, 2.1) in tiles of 256
// hashes, bundles of entries, and checkpoints, as C2SP's tlog-tiles,
// tlog-checkpoint and signed-note describe them, so that tools of others read
// it. It is pure: objects come in by name and go out by name.
package tiles

import (
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Height is that of every tile; a full tile or bundle is of Width.
const (
	Height = 8
	Width  = 1 << Height
)

// Names of the log's objects. Events and hourly checkpoints are our own: the
// format leaves other names free.
const (
	CheckpointPath = "checkpoint"
	HourlyPrefix   = "checkpoints/"
	StagingPrefix  = "staging/"

	tilePrefix    = "tile/"
	entriesPrefix = "tile/entries/"
	eventsPrefix  = "events/"
)

// Kind is what an object of the log holds.
type Kind int

const (
	Hashes  Kind = iota // a tile of hashes
	Entries             // a bundle of entries, whose hashes are the leaves
	Events              // a bundle of the sealed events of those entries
)

// Object names a tile or a bundle: of a bundle the level is 0.
type Object struct {
	Kind  Kind
	Level int
	N     int64
	W     int // 1 to Width
}

// Full reports whether an object will never be followed by a wider one.
func (o Object) Full() bool { return o.W == Width }

// Path is the object's name: tile/0/x001/067, tile/0/x001/067.p/8,
// tile/entries/000, events/000.
func (o Object) Path() string {
	// tlog writes tile/8/0/…; the format has no height in it.
	_, number, _ := strings.Cut(strings.TrimPrefix(tlog.Tile{H: Height, L: o.Level, N: o.N, W: o.W}.Path(), "tile/8/"), "/")
	switch o.Kind {
	case Entries:
		return entriesPrefix + number
	case Events:
		return eventsPrefix + number
	}
	level, _, _ := strings.Cut(strings.TrimPrefix(tlog.Tile{H: Height, L: o.Level, N: o.N, W: o.W}.Path(), "tile/8/"), "/")
	return tilePrefix + level + "/" + number
}

// ParsePath is the inverse of Path: one spelling for each object.
func ParsePath(path string) (Object, bool) {
	var o Object
	var of string
	switch {
	case strings.HasPrefix(path, entriesPrefix):
		o.Kind, of = Entries, "tile/8/0/"+strings.TrimPrefix(path, entriesPrefix)
	case strings.HasPrefix(path, eventsPrefix):
		o.Kind, of = Events, "tile/8/0/"+strings.TrimPrefix(path, eventsPrefix)
	case strings.HasPrefix(path, tilePrefix):
		of = "tile/8/" + strings.TrimPrefix(path, tilePrefix)
	default:
		return Object{}, false
	}
	t, err := tlog.ParseTilePath(of)
	if err != nil || t.L < 0 {
		return Object{}, false
	}
	o.Level, o.N, o.W = t.L, t.N, t.W
	return o, o.Path() == path
}

// Of is the objects that a tree of a size has, those that its checkpoint needs:
// every full one, and the partial one at the end of each level.
func Of(size int64) (all []Object) {
	for level, hashes := 0, size; hashes > 0; level, hashes = level+1, hashes>>Height {
		for n := range (hashes + Width - 1) / Width {
			w := int(min(hashes-n*Width, Width))
			all = append(all, Object{Hashes, level, n, w})
			if level == 0 {
				all = append(all, Object{Entries, 0, n, w}, Object{Events, 0, n, w})
			}
		}
	}
	return all
}
