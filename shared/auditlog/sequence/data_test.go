package sequence_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/auditlog"
	"fitvault/shared/auditlog/sequence"
	"fitvault/shared/auditlog/sequence/sequencetest"
	"fitvault/shared/fault"
)

var (
	ada = strings.Repeat("a", 26)
	ben = strings.Repeat("b", 26)
)

// pieceOf names the nth piece as intake would.
func pieceOf(n int) string {
	return "2026-05-03#" + strings.Repeat("a", 25-n%25) + strings.Repeat("z", 1+n%25)
}

// upload is the event of an upload of an owner: its manifest lets items be stored.
func (w *world) upload(t testing.TB, owner, manifest string, items ...string) (id string) {
	t.Helper()
	id, err := auditlog.NewID(w.clock(), rand.Reader)
	require.NoError(t, err)
	require.NoError(t, w.Write(t.Context(), auditlog.Event{ID: id, Time: w.clock(), Function: "ingest", Action: "readings.write", Caller: owner, Client: "app",
		Owner: owner, Outcome: auditlog.Allowed, Records: len(items), Manifest: manifest}))
	w.SetManifest(manifest, items...)
	return id
}

// stores tells of a piece that was stored just now.
func (w *world) stores(owner, item string) {
	w.Change("shard-1", sequence.Change{Owner: owner, Item: item, Time: w.clock().Truncate(time.Second), Stored: true})
}

// uploads is an upload that was stored.
func (w *world) uploads(t testing.TB, owner, manifest string, items ...string) (id string) {
	t.Helper()
	id = w.upload(t, owner, manifest, items...)
	for _, item := range items {
		w.stores(owner, item)
	}
	return id
}

func (w *world) reconcile(t testing.TB) sequence.Result {
	t.Helper()
	r, err := w.process().Sequencer.Reconcile(t.Context(), forever)
	require.NoError(t, err)
	return r
}

// told is the alarms about owners' data: whose and which, or of several how many.
func (w *world) told() (all []string) {
	for _, s := range w.Stored() {
		if s.Event.Kind == sequence.DataUnlogged {
			all = append(all, fmt.Sprint(s.Event.Owner, " ", s.Event.About, " ", s.Event.Records))
		}
	}
	return all
}

// TestDataWithoutEvent: what was stored, changed or removed and has no event of its
// own is found, once; and nothing else is.
func TestDataWithoutEvent(t *testing.T) {
	recording := "recording#" + strings.Repeat("e", 26)
	for name, c := range map[string]struct {
		attack func(t *testing.T, w *world)
		want   []string
	}{
		"all is well": {func(t *testing.T, w *world) {
			w.uploads(t, ada, "m2", pieceOf(2), pieceOf(3))
			w.uploads(t, ben, "m3", recording)
		}, nil},
		"an event whose pieces are not there": {func(t *testing.T, w *world) { w.upload(t, ada, "m2", pieceOf(2)) }, nil},
		"a retry that stores what was missing": {func(t *testing.T, w *world) {
			w.upload(t, ada, "m2", pieceOf(2), pieceOf(3))
			w.stores(ada, pieceOf(2))
			w.wait(40 * time.Minute)
			w.upload(t, ada, "m2", pieceOf(2), pieceOf(3))
			w.stores(ada, pieceOf(3))
		}, nil},
		"a piece without an event":     {func(_ *testing.T, w *world) { w.stores(ada, pieceOf(2)) }, []string{ada + " " + pieceOf(2) + " 1"}},
		"a recording without an event": {func(_ *testing.T, w *world) { w.stores(ada, recording) }, []string{ada + " " + recording + " 1"}},
		"a piece that the owner's upload does not name": {func(t *testing.T, w *world) {
			w.uploads(t, ada, "m2", pieceOf(2))
			w.stores(ada, pieceOf(3))
		}, []string{ada + " " + pieceOf(3) + " 1"}},
		"a piece that another's upload names": {func(t *testing.T, w *world) {
			w.upload(t, ben, "m2", pieceOf(2))
			w.stores(ada, pieceOf(2))
		}, []string{ada + " " + pieceOf(2) + " 1"}},
		"a piece that an upload of another time names": {func(t *testing.T, w *world) {
			w.upload(t, ada, "m2", pieceOf(2))
			w.wait(sequence.Late + time.Second)
			w.stores(ada, pieceOf(2))
		}, []string{ada + " " + pieceOf(2) + " 1"}},
		"a piece before its upload": {func(t *testing.T, w *world) {
			w.stores(ada, pieceOf(2))
			w.wait(2 * time.Minute)
			w.upload(t, ada, "m2", pieceOf(2))
		}, []string{ada + " " + pieceOf(2) + " 1"}},
		"an upload that was refused": {func(t *testing.T, w *world) {
			w.Alter(w.uploads(t, ada, "m2", pieceOf(2)), func(s *sequence.Stored) { s.Event.Outcome = auditlog.Refused })
		}, []string{ada + " " + pieceOf(2) + " 1"}},
		"an upload without a manifest": {func(t *testing.T, w *world) {
			w.uploads(t, ada, "m2", pieceOf(2))
			w.SetManifest("m2")
		}, []string{ada + " " + pieceOf(2) + " 1"}},
		"a piece that was changed": {func(t *testing.T, w *world) {
			w.uploads(t, ada, "m2", pieceOf(2))
			w.Change("shard-1", sequence.Change{Owner: ada, Item: pieceOf(2), Time: w.clock()})
		}, []string{ada + " " + pieceOf(2) + " 1"}},
		"an event removed before it was taken": {func(t *testing.T, w *world) {
			w.Alter(w.uploads(t, ada, "m2", pieceOf(2)), nil)
		}, []string{ada + " " + pieceOf(2) + " 1"}},
		"names that are not ours": {func(_ *testing.T, w *world) {
			w.stores("canary", pieceOf(2))
			w.stores(ada, "2026-05-03#canary")
			w.stores("", "")
		}, []string{"  3"}},
		"many": {func(_ *testing.T, w *world) {
			for n := range 25 {
				w.stores(ben, pieceOf(n))
			}
		}, func() (all []string) {
			for n := range 10 {
				all = append(all, ben+" "+pieceOf(n)+" 1")
			}
			return append(all, "  15")
		}()},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.run(t)
			w.uploads(t, ada, "m1", pieceOf(1))
			c.attack(t, w)
			w.wait(5 * time.Minute)
			w.run(t)
			total := int64(0)
			for _, told := range c.want {
				var n int64
				_, err := fmt.Sscan(told[strings.LastIndex(told, " "):], &n)
				require.NoError(t, err)
				total += n
			}
			require.Equal(t, total, w.reconcile(t).Unlogged)
			require.ElementsMatch(t, c.want, w.told())
			w.wait(time.Hour)
			w.run(t)
			require.Zero(t, w.reconcile(t).Unlogged, "it is told once")
			require.Len(t, w.told(), len(c.want))
			w.requireWhole(t)
		})
	}
}

// TestEventRemovedLater: one that was taken is missed twice, where its piece was not
// judged before; and one of a piece that was, as any other.
func TestEventRemovedLater(t *testing.T) {
	for name, judged := range map[string]bool{"judged before": true, "not yet": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.run(t)
			w.wait(time.Hour)
			w.run(t)
			id := w.uploads(t, ada, "m1", pieceOf(1))
			w.wait(5 * time.Minute)
			w.run(t)
			if judged {
				require.Zero(t, w.reconcile(t).Unlogged)
			}
			w.Alter(id, nil)
			r := w.reconcile(t)
			require.EqualValues(t, 1, r.Missing)
			require.Equal(t, !judged, r.Unlogged == 1)
		})
	}
}

// TestWaiting: an event that is not in the log yet makes its piece wait, and those
// behind it; what is removed meanwhile is found. An event that came so late that the
// log has gone past its time lets nothing be stored.
func TestWaiting(t *testing.T) {
	w := newWorld(t)
	w.run(t)
	id := w.uploads(t, ada, "m1", pieceOf(1))
	w.uploads(t, ben, "m2", pieceOf(2))
	require.Zero(t, w.reconcile(t).Unlogged)
	w.Alter(id, nil)
	w.wait(5 * time.Minute)
	w.run(t)
	require.EqualValues(t, 1, w.reconcile(t).Unlogged)

	at := w.clock()
	w.stores(ada, pieceOf(3))
	w.wait(4 * time.Hour)
	w.run(t)
	w.now.Store(at.UnixNano())
	w.upload(t, ada, "m3", pieceOf(3))
	w.wait(4*time.Hour + time.Second)
	require.EqualValues(t, 1, w.reconcile(t).Unlogged)
}

// TestClocks: events' clocks and the table's may differ by some time, and the
// table's is exact to the second.
func TestClocks(t *testing.T) {
	for name, c := range map[string]struct {
		event time.Duration // after the piece
		found int64
	}{
		"as early as may be": {-sequence.Late, 0}, "too early": {-sequence.Late - time.Millisecond, 1},
		"in the same second": {900 * time.Millisecond, 0}, "as late as may be": {61 * time.Second, 0}, "too late": {61*time.Second + time.Millisecond, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.wait(time.Hour)
			w.run(t)
			at := w.clock()
			w.wait(c.event)
			w.upload(t, ada, "m1", pieceOf(1))
			w.now.Store(at.UnixNano())
			w.stores(ada, pieceOf(1))
			w.wait(2 * time.Minute)
			w.run(t)
			require.Equal(t, c.found, w.reconcile(t).Unlogged)
		})
	}
	t.Run("what is stored while a run is at it waits for the next", func(t *testing.T) {
		w := newWorld(t)
		w.run(t)
		w.Change("shard-1", sequence.Change{Owner: ada, Item: pieceOf(1), Time: w.clock().Add(time.Second), Stored: true})
		require.Zero(t, w.reconcile(t).Unlogged)
		w.wait(time.Second)
		require.EqualValues(t, 1, w.reconcile(t).Unlogged)
	})
}

// TestDaysOfData: what was stored while no run was is judged, hours at a time, and of
// every shard.
func TestDaysOfData(t *testing.T) {
	w := newWorld(t)
	w.run(t)
	planted := 0
	for n := range 20 {
		w.wait(time.Hour)
		manifest := fmt.Sprint("m", n)
		w.upload(t, ada, manifest, pieceOf(n))
		w.Change(fmt.Sprint("shard-", n%3), sequence.Change{Owner: ada, Item: pieceOf(n), Time: w.clock(), Stored: true})
		if n%5 == 1 {
			w.Change(fmt.Sprint("shard-", n%3), sequence.Change{Owner: ben, Item: pieceOf(n), Time: w.clock(), Stored: true})
			planted++
		}
		w.run(t)
	}
	w.EndShard("shard-1")
	counted := counting{world: w}
	s := w.process().Sequencer
	w.wait(time.Minute)
	w.run(t)
	s.Events = &counted
	r, err := s.Reconcile(t.Context(), forever)
	require.NoError(t, err)
	require.EqualValues(t, planted, r.Unlogged)
	require.LessOrEqual(t, counted.most, 20*time.Minute, "not all events of days are in memory")

	w.TrimShard("shard-1", -1) // it was read to its end
	w.wait(time.Hour)
	require.Zero(t, w.reconcile(t).Unlogged)
}

// narrow is a stream that tells two changes at a time.
type narrow struct{ *world }

func (n narrow) Since(ctx context.Context, shard sequence.Shard, position string, limit int) ([]sequence.Change, bool, error) {
	return n.world.Since(ctx, shard, position, min(limit, 2))
}

// TestPortions: what does not come at once is judged all the same, and once.
func TestPortions(t *testing.T) {
	w := newWorld(t)
	w.run(t)
	for n := range 11 {
		w.uploads(t, ada, fmt.Sprint("m", n), pieceOf(n))
	}
	w.stores(ben, pieceOf(11))
	w.EndShard("shard-1")
	w.wait(time.Minute)
	w.run(t)
	s := w.process().Sequencer
	s.Changes = narrow{w}
	for want := int64(1); want >= 0; want-- {
		r, err := s.Reconcile(t.Context(), forever)
		require.NoError(t, err)
		require.Equal(t, want, r.Unlogged)
	}
	places, err := w.Places(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]sequence.Place{"shard-1": {Ended: true}}, places)
}

// counting is events that say how much time was looked at at once.
type counting struct {
	*world
	most time.Duration
}

func (c *counting) Between(ctx context.Context, from, to time.Time) iter.Seq2[sequence.Stored, error] {
	c.most = max(c.most, to.Sub(from))
	return c.world.Between(ctx, from, to)
}

// TestUnreadData: what nobody can look at any more is a finding, once; a stream that
// is off is one as long as it is. Where nothing was lost, nothing is found.
func TestUnreadData(t *testing.T) {
	begun := func(t *testing.T) *world {
		w := newWorld(t)
		w.run(t)
		w.uploads(t, ada, "m1", pieceOf(1))
		w.uploads(t, ada, "m2", pieceOf(2))
		w.wait(time.Minute)
		w.run(t)
		require.Zero(t, w.reconcile(t).Unlogged)
		w.wait(time.Minute)
		w.uploads(t, ada, "m3", pieceOf(3))
		w.uploads(t, ada, "m4", pieceOf(4))
		w.wait(time.Minute)
		w.run(t)
		return w
	}
	t.Run("some of a shard", func(t *testing.T) {
		w := begun(t)
		w.TrimShard("shard-1", 3)
		w.wait(25 * time.Hour)
		w.run(t)
		require.EqualValues(t, 1, w.reconcile(t).Unlogged)
		require.Equal(t, []string{"  1"}, w.told())
		require.Zero(t, w.reconcile(t).Unlogged)
	})
	t.Run("what was read, of a shard in which nothing happens", func(t *testing.T) {
		w := begun(t)
		for range 30 {
			require.Zero(t, w.reconcile(t).Unlogged)
			w.wait(time.Hour)
			w.run(t)
		}
		w.TrimShard("shard-1", 4)
		require.Zero(t, w.reconcile(t).Unlogged)
		w.stores(ada, pieceOf(5))
		require.EqualValues(t, 1, w.reconcile(t).Unlogged)
	})
	t.Run("a shard in which there was nothing yet", func(t *testing.T) {
		w := begun(t)
		w.OpenShard("shard-2")
		require.Zero(t, w.reconcile(t).Unlogged)
		w.EndShard("shard-1")
		require.Zero(t, w.reconcile(t).Unlogged)
		w.wait(25 * time.Hour)
		w.run(t)
		require.EqualValues(t, 1, w.reconcile(t).Unlogged)
	})
	t.Run("a whole shard", func(t *testing.T) {
		w := begun(t)
		w.TrimShard("shard-1", -1)
		w.Change("shard-2", sequence.Change{Owner: ada, Item: pieceOf(5), Time: w.clock(), Stored: true})
		require.EqualValues(t, 2, w.reconcile(t).Unlogged)
		require.Zero(t, w.reconcile(t).Unlogged)
	})
	t.Run("a whole shard while it is read", func(t *testing.T) {
		w := begun(t)
		s := w.process().Sequencer
		s.Changes = vanishing{w}
		r, err := s.Reconcile(t.Context(), forever)
		require.NoError(t, err)
		require.Zero(t, r.Unlogged)
		w.TrimShard("shard-1", -1)
		require.EqualValues(t, 1, w.reconcile(t).Unlogged)
	})
	t.Run("the stream is off", func(t *testing.T) {
		w := begun(t)
		w.SwitchStream(false)
		for range 2 {
			require.EqualValues(t, 1, w.reconcile(t).Unlogged)
		}
		w.SwitchStream(true)
		require.Zero(t, w.reconcile(t).Unlogged, "what it has kept is looked at")
	})
}

// vanishing is a stream whose shards are gone as soon as they were listed.
type vanishing struct{ *world }

func (vanishing) Since(context.Context, sequence.Shard, string, int) ([]sequence.Change, bool, error) {
	return nil, false, sequence.ErrNotFound
}

// moving is heads of which another run is always moving the one that was read, for a while.
type moving struct {
	*world
	left int
}

func (m *moving) Head(ctx context.Context) (sequence.Head, error) {
	h, err := m.world.Head(ctx)
	if m.left--; m.left >= 0 {
		h.Published--
	}
	return h, err
}

// TestBesideARunThatTakes: who compares begins again where the head has moved.
func TestBesideARunThatTakes(t *testing.T) {
	w := newWorld(t)
	w.uploads(t, ada, "m1", pieceOf(1))
	w.wait(time.Minute)
	w.run(t)
	w.stores(ada, pieceOf(2))
	s := w.process().Sequencer
	s.Heads = &moving{w, 5}
	_, err := s.Reconcile(t.Context(), forever)
	require.ErrorIs(t, err, sequence.ErrMoved)
	s.Heads = &moving{w, 4}
	r, err := s.Reconcile(t.Context(), forever)
	require.NoError(t, err)
	require.EqualValues(t, 1, r.Unlogged)
}

// TestTwoReconcilers: two at once find the same, and after them all was judged.
func TestTwoReconcilers(t *testing.T) {
	w := newWorld(t)
	w.run(t)
	w.uploads(t, ada, "m1", pieceOf(1))
	w.stores(ada, pieceOf(2))
	w.wait(time.Minute)
	w.run(t)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if r, err := w.process().Sequencer.Reconcile(t.Context(), forever); err != nil || r.Unlogged > 1 {
				t.Error("one of two fails, or finds what is not")
			}
		})
	}
	both.Wait()
	require.NotEmpty(t, w.told())
	require.Zero(t, w.reconcile(t).Unlogged)
}

// TestDeathBeforeItIsKept: a finding is told before its place is kept, so whatever
// write a run dies at, it is told.
func TestDeathBeforeItIsKept(t *testing.T) {
	for _, after := range []bool{false, true} {
		for at := 1; at <= 2; at++ {
			w := newWorld(t)
			w.run(t)
			w.stores(ada, pieceOf(2))
			p := w.process()
			p.DiesAt, p.After = at, after
			_, err := p.Sequencer.Reconcile(t.Context(), forever)
			require.ErrorIs(t, err, sequencetest.ErrDead)
			require.Equal(t, fault.Unavailable, fault.KindOf(err))
			w.reconcile(t)
			require.Contains(t, w.told(), ada+" "+pieceOf(2)+" 1")
		}
	}
}

// dark is what a comparison of data uses, of which one thing fails.
type dark struct {
	*world
	changes, items, places bool
}

func (d dark) Shards(ctx context.Context) ([]sequence.Shard, error) {
	if d.changes {
		return nil, errDown
	}
	return d.world.Shards(ctx)
}

func (d dark) Items(ctx context.Context, manifests []string) (map[string][]string, error) {
	if d.items {
		return nil, errDown
	}
	return d.world.Items(ctx, manifests)
}

func (d dark) Places(ctx context.Context) (map[string]sequence.Place, error) {
	if d.places {
		return nil, errDown
	}
	return d.world.Places(ctx)
}

// broken is a shard that cannot be read.
type broken struct{ *world }

func (broken) Since(context.Context, sequence.Shard, string, int) ([]sequence.Change, bool, error) {
	return nil, false, errDown
}

// lateEvents fails once events are read for the second purpose.
type lateEvents struct {
	*world
	reads int
	left  int
}

func (l *lateEvents) Between(ctx context.Context, from, to time.Time) iter.Seq2[sequence.Stored, error] {
	if l.reads++; l.left > 0 && l.reads > l.left {
		return func(yield func(sequence.Stored, error) bool) { yield(sequence.Stored{}, errDown) }
	}
	return l.world.Between(ctx, from, to)
}

// TestWhatCannotBeCompared: what fails is an error, nothing is found that is not,
// and the next run judges what this one has not.
func TestWhatCannotBeCompared(t *testing.T) {
	for name, fail := range map[string]func(*sequence.Sequencer, *world){
		"the stream":      func(s *sequence.Sequencer, w *world) { s.Changes = dark{world: w, changes: true} },
		"a shard":         func(s *sequence.Sequencer, w *world) { s.Changes = broken{w} },
		"the manifests":   func(s *sequence.Sequencer, w *world) { s.Manifests = dark{world: w, items: true} },
		"the places":      func(s *sequence.Sequencer, w *world) { s.Places = dark{world: w, places: true} },
		"the events then": func(s *sequence.Sequencer, w *world) { s.Events = &lateEvents{world: w, left: 20} },
		"the alarms": func(s *sequence.Sequencer, _ *world) {
			var deaf auditlog.Memory
			deaf.Fail(errors.New("down"))
			s.Alarms = &deaf
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.run(t)
			w.uploads(t, ada, "m1", pieceOf(1))
			w.stores(ada, pieceOf(2))
			w.wait(time.Minute)
			w.run(t)
			s := w.process().Sequencer
			fail(&s, w)
			_, err := s.Reconcile(t.Context(), forever)
			require.Equal(t, fault.Unavailable, fault.KindOf(err))
			require.Empty(t, w.told())
			require.EqualValues(t, 1, w.reconcile(t).Unlogged)
		})
	}
}
