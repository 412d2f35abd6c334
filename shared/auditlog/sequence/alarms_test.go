package sequence_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/auditlog"
	"fitvault/shared/auditlog/sequence"
	"fitvault/shared/auditlog/tiles"
	"fitvault/shared/fault"
)

// forever is until when runs of these tests have time.
var forever = time.Unix(1<<40, 0)

// alarms is the kinds of alarms that are stored.
func (w *world) alarms() (kinds []string) {
	for _, s := range w.Stored() {
		if s.Event.Outcome == auditlog.Alarm && s.Event.Function == "sequencer" {
			kinds = append(kinds, s.Event.Kind)
		}
	}
	return kinds
}

// TestAlteredEvents: an event that is altered after it was taken, or passed off as
// taken before, is a leaf, and an alarm.
func TestAlteredEvents(t *testing.T) {
	for name, change := range map[string]func(*sequence.Stored){
		"altered":                func(s *sequence.Stored) { s.Event.Caller = "somebody else" },
		"moved to another index": func(s *sequence.Stored) { m := *s.Mark; m.Index++; s.Mark = &m },
		"with a mark made up":    func(s *sequence.Stored) { m := *s.Mark; m.Mac = make([]byte, 32); s.Mark = &m },
		"with an empty mark":     func(s *sequence.Stored) { s.Mark = &sequence.Mark{Key: s.Key} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := w.event(t, 1, w.clock())
			w.wait(time.Minute)
			w.run(t)
			w.Alter(id, change)
			r := w.run(t)
			require.Equal(t, [2]int64{1, 1}, [2]int64{r.Altered, r.Added})
			require.Equal(t, []string{sequence.EventAltered}, w.alarms())
			w.wait(time.Minute)
			r = w.run(t)
			require.Equal(t, [2]int64{0, 1}, [2]int64{r.Altered, r.Added}, "once, and the alarm is a leaf as well")
		})
	}
	t.Run("what is no event", func(t *testing.T) {
		w := newWorld(t)
		w.Alter(w.event(t, 1, w.clock()), func(s *sequence.Stored) { s.Strange = true })
		w.wait(time.Minute)
		require.EqualValues(t, 1, w.run(t).Altered)
		require.Zero(t, w.run(t).Altered)
	})
	t.Run("an alarm that cannot be stored", func(t *testing.T) {
		w := newWorld(t)
		w.Alter(w.event(t, 1, w.clock()), func(s *sequence.Stored) { s.Strange = true })
		w.wait(time.Minute)
		s := w.process().Sequencer
		var deaf auditlog.Memory
		deaf.Fail(errors.New("down"))
		s.Alarms = &deaf
		_, err := s.Run(t.Context(), w.later())
		require.Equal(t, fault.Unavailable, fault.KindOf(err))
		require.EqualValues(t, 1, w.run(t).Altered, "it is told by the next run")
	})
}

// TestMissingEvents: a reconciler misses an event that is in the log and no longer
// in the table, or whose mark was taken away; but not one of somebody who was erased.
func TestMissingEvents(t *testing.T) {
	taken := func(t *testing.T) (*world, []string) {
		w := newWorld(t)
		w.run(t)
		w.wait(time.Hour)
		w.run(t)
		var ids []string
		for n := range 300 {
			ids = append(ids, w.event(t, n, w.clock()))
		}
		w.wait(5 * time.Minute)
		w.run(t)
		return w, ids
	}
	reconcile := func(t *testing.T, w *world) sequence.Result {
		r, err := w.process().Sequencer.Reconcile(t.Context(), forever)
		require.NoError(t, err)
		return r
	}
	t.Run("nothing", func(t *testing.T) {
		w, _ := taken(t)
		require.Zero(t, reconcile(t, w).Missing)
		require.Empty(t, w.alarms())
		w.requireWhole(t)
	})
	t.Run("three removed", func(t *testing.T) {
		w, ids := taken(t)
		for _, id := range ids[7:10] {
			w.Alter(id, nil)
		}
		require.EqualValues(t, 3, reconcile(t, w).Missing)
		require.Equal(t, []string{sequence.EventMissing}, w.alarms())
	})
	t.Run("one without its mark", func(t *testing.T) {
		w, ids := taken(t)
		w.Alter(ids[7], func(s *sequence.Stored) { s.Mark = nil })
		w.wait(time.Hour)
		w.run(t)
		require.EqualValues(t, 1, reconcile(t, w).Missing)
	})
	t.Run("of somebody erased", func(t *testing.T) {
		w, ids := taken(t)
		w.Erase("owner-7")
		w.Alter(ids[7], nil)
		require.Zero(t, reconcile(t, w).Missing)
	})
	t.Run("of long ago", func(t *testing.T) {
		w, ids := taken(t)
		w.wait(2 * sequence.Window)
		w.run(t)
		w.Alter(ids[7], nil)
		require.Zero(t, reconcile(t, w).Missing)
	})
}

// TestContradictions: a head, a checkpoint or an object that somebody has put in
// another's place stops the log before anything is signed.
func TestContradictions(t *testing.T) {
	for name, attack := range map[string]func(t *testing.T, w *world){
		"a head restored from a copy": func(t *testing.T, w *world) {
			old, err := w.Head(t.Context())
			require.NoError(t, err)
			w.event(t, 2, w.clock())
			w.wait(time.Minute)
			w.run(t)
			w.SetHead(old)
		},
		"a head restored while it was published": func(t *testing.T, w *world) {
			old, err := w.Head(t.Context())
			require.NoError(t, err)
			w.event(t, 2, w.clock())
			w.wait(time.Minute)
			w.run(t)
			old.Published = 0
			w.SetHead(old)
		},
		"no head":                   func(_ *testing.T, w *world) { w.SetHead(sequence.Head{}) },
		"no checkpoint":             func(_ *testing.T, w *world) { w.SetObject(tiles.CheckpointPath, nil) },
		"another checkpoint":        func(_ *testing.T, w *world) { w.SetObject(tiles.CheckpointPath, []byte("x")) },
		"a bundle that was altered": func(_ *testing.T, w *world) { w.SetObject("tile/entries/000.p/3", []byte("x")) },
		"an event that was altered": func(_ *testing.T, w *world) { w.SetObject("events/000.p/3", []byte("x")) },
		"a tile that was altered": func(_ *testing.T, w *world) {
			tile := w.Objects()["tile/0/000.p/3"]
			tile[7] ^= 1
			w.SetObject("tile/0/000.p/3", tile)
		},
		"a tile that is not there": func(_ *testing.T, w *world) { w.SetObject("tile/0/000.p/3", nil) },
		"a root that nobody has made": func(t *testing.T, w *world) {
			h, err := w.Head(t.Context())
			require.NoError(t, err)
			h.Tree.Hash[0] ^= 1
			w.SetHead(h)
		},
		"a move that was never staged": func(t *testing.T, w *world) {
			h, err := w.Head(t.Context())
			require.NoError(t, err)
			h.Tree.N++
			w.SetHead(h)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for n := range 3 {
				w.event(t, n, w.clock())
			}
			w.wait(time.Minute)
			w.run(t)
			attack(t, w)
			w.event(t, 9, w.clock())
			w.wait(time.Minute)
			signed := len(w.Signed())
			_, err := w.process().Sequencer.Run(t.Context(), w.later())
			require.ErrorIs(t, err, sequence.ErrAltered)
			require.Len(t, w.Signed(), signed)
			require.Equal(t, []string{sequence.LogAltered}, w.alarms())
		})
	}
}

// TestReconcilerCannotRead: a bucket that does not answer is no alarm; a log that was altered is.
func TestReconcilerCannotRead(t *testing.T) {
	of := func(t *testing.T) (*world, sequence.Sequencer) {
		w := newWorld(t)
		w.run(t)
		w.wait(time.Hour)
		w.run(t)
		w.event(t, 1, w.clock())
		id := w.event(t, 2, w.clock())
		w.wait(5 * time.Minute)
		w.run(t)
		w.Alter(id, nil) // so that its leaf is looked at
		return w, w.process().Sequencer
	}
	w, s := of(t)
	s.Objects = deafTo{w, "tile/entries/000.p/2"}
	_, err := s.Reconcile(t.Context(), forever)
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	require.Empty(t, w.alarms())
	w, s = of(t)
	w.SetObject("tile/entries/000.p/2", []byte("x"))
	_, err = s.Reconcile(t.Context(), forever)
	require.ErrorIs(t, err, sequence.ErrAltered)
	require.Equal(t, []string{sequence.LogAltered}, w.alarms())
}

// deafTo is a bucket that does not answer for one object.
type deafTo struct {
	*world
	path string
}

func (d deafTo) Get(ctx context.Context, path string) ([]byte, error) {
	if path == d.path {
		return nil, errDown
	}
	return d.world.Get(ctx, path)
}

// failing is what a sequencer uses, whose reads fail.
type failing struct{ *world }

var errDown = errors.New("down")

func (failing) Head(context.Context) (sequence.Head, error) { return sequence.Head{}, errDown }
func (failing) Get(context.Context, string) ([]byte, error) { return nil, errDown }
func (failing) Between(context.Context, time.Time, time.Time) iter.Seq2[sequence.Stored, error] {
	return func(yield func(sequence.Stored, error) bool) { yield(sequence.Stored{}, errDown) }
}

func TestWhatCannotBeRead(t *testing.T) {
	for name, broken := range map[string]func(*sequence.Sequencer, failing){
		"the head": func(s *sequence.Sequencer, f failing) { s.Heads = f }, "the bucket": func(s *sequence.Sequencer, f failing) { s.Objects = f },
		"the table": func(s *sequence.Sequencer, f failing) { s.Events = f },
	} {
		w := newWorld(t)
		w.event(t, 1, w.clock())
		w.wait(time.Minute)
		w.run(t)
		s := w.process().Sequencer
		broken(&s, failing{w})
		_, err := s.Run(t.Context(), w.later())
		require.Equal(t, fault.Unavailable, fault.KindOf(err), name)
		_, err = s.Reconcile(t.Context(), forever)
		require.Equal(t, fault.Unavailable, fault.KindOf(err), name)
		w.requireWhole(t)
	}
}
