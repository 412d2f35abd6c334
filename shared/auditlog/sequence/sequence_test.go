package sequence_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"fitvault/shared/auditlog"
	"fitvault/shared/auditlog/record"
	"fitvault/shared/auditlog/sequence"
	"fitvault/shared/auditlog/sequence/sequencetest"
	"fitvault/shared/auditlog/tiles"
	"fitvault/shared/auditlog/verify"
)

// world is a log with its keys, and a clock that tests move.
type world struct {
	*sequencetest.Memory
	keys sequencetest.Keys
	now  atomic.Int64
}

var start = time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC)

func newWorld(t testing.TB) *world {
	w := &world{Memory: sequencetest.NewMemory(), keys: sequencetest.NewKeys(t)}
	w.now.Store(start.UnixNano())
	return w
}

func (w *world) clock() time.Time     { return time.Unix(0, w.now.Load()).UTC() }
func (w *world) wait(d time.Duration) { w.now.Add(int64(d)) }
func (w *world) later() time.Time     { return w.clock().Add(time.Hour) }
func (w *world) process() *sequencetest.Process {
	return sequencetest.NewProcess(w.Memory, w.keys, w.clock)
}

// event stores an event of one of ten owners, some of them of another's doing.
func (w *world) event(t testing.TB, n int, at time.Time) string {
	id, err := auditlog.NewID(at, rand.Reader)
	require.NoError(t, err)
	owner := fmt.Sprint("owner-", n%10)
	e := auditlog.Event{ID: id, Time: at, Request: fmt.Sprint("request-", n), Function: "readings", Action: "readings.read", Caller: owner, Client: "app",
		Owner: owner, Outcome: auditlog.Allowed, Reasons: []string{"owner-reads"}, Records: n}
	if n%7 == 3 {
		e.Caller = fmt.Sprint("owner-", (n+1)%10)
	}
	require.NoError(t, w.Write(t.Context(), e))
	return id
}

func (w *world) run(t testing.TB) sequence.Result {
	t.Helper()
	r, err := w.process().Sequencer.Run(t.Context(), w.later())
	require.NoError(t, err)
	return r
}

// files is the bucket as somebody has copied it.
func (w *world) files(t testing.TB) string {
	folder := t.TempDir()
	for path, content := range w.Objects() {
		if strings.HasPrefix(path, tiles.StagingPrefix) {
			continue
		}
		name := filepath.Join(folder, filepath.FromSlash(path))
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		require.NoError(t, os.WriteFile(name, content, 0o600))
	}
	return folder
}

// requireWhole checks all that must hold of a log: it verifies, every stored event
// is in it once and marked where it stands, nothing else is, and all that was ever
// signed is of this tree.
func (w *world) requireWhole(t testing.TB) {
	t.Helper()
	report, err := verify.Log(os.DirFS(w.files(t)), w.keys.Verifier)
	require.NoError(t, err)
	require.Empty(t, report.Findings)
	events := w.Stored()
	require.EqualValues(t, len(events), report.Tree.N)

	members, err := tiles.Range(report.Tree, w.read, 0, report.Tree.N)
	require.NoError(t, err)
	at := map[string]int64{}
	var leaves []tlog.Hash
	for _, m := range members {
		at[w.open(t, m).Event.ID] = m.Index
		leaves = append(leaves, tlog.RecordHash(m.Entry))
	}
	require.Len(t, at, len(events), "each is there once")
	for _, e := range events {
		index, there := at[e.ID]
		require.True(t, there)
		require.NotNil(t, e.Mark)
		require.Equal(t, index, e.Mark.Index)
	}
	roots := rootsOf(t, leaves)
	signed := w.Signed()
	require.NotEmpty(t, signed)
	sizes := map[int]bool{}
	for _, text := range signed {
		lines := strings.Split(text, "\n")
		var size int
		_, err := fmt.Sscan(lines[1], &size)
		require.NoError(t, err)
		sizes[size] = true
		require.Equal(t, roots[size].String(), lines[2], "no fork was signed")
	}
	require.True(t, sizes[len(leaves)])
}

// rootsOf is the root of each size, as golang.org/x/mod computes it.
func rootsOf(t testing.TB, leaves []tlog.Hash) (roots []tlog.Hash) {
	var all []tlog.Hash
	stored := tlog.HashReaderFunc(func(indexes []int64) (found []tlog.Hash, err error) {
		for _, i := range indexes {
			found = append(found, all[i])
		}
		return found, nil
	})
	for n := 0; ; n++ {
		root, err := tlog.TreeHash(int64(n), stored)
		require.NoError(t, err)
		if roots = append(roots, root); n == len(leaves) {
			return roots
		}
		hashes, err := tlog.StoredHashesForRecordHash(int64(n), leaves[n], stored)
		require.NoError(t, err)
		all = append(all, hashes...)
	}
}

func (w *world) read(path string) ([]byte, error) { return w.Get(context.Background(), path) }

func (w *world) open(t testing.TB, m tiles.Member) record.Opened {
	p, err := record.SubjectOfRecord(m.Event)
	require.NoError(t, err)
	name, wrapped, err := w.Key(context.Background(), p)
	require.NoError(t, err)
	subject, err := w.keys.Service.Subject(name, p, wrapped)
	require.NoError(t, err)
	commitment, err := tiles.Commitment(m.Entry)
	require.NoError(t, err)
	opened, err := subject.Open(m.Event, commitment)
	require.NoError(t, err)
	return opened
}

func TestEventsAreTakenOnce(t *testing.T) {
	w := newWorld(t)
	require.Zero(t, w.run(t).Size, "a log begins empty, and signed")
	w.requireWhole(t)
	total := 0
	for _, n := range []int{1, 0, 255, 1, 300, 443} {
		for range n {
			w.event(t, total, w.clock().Add(time.Duration(total%200)*time.Millisecond))
			total++
		}
		w.wait(5 * time.Minute)
		r := w.run(t)
		require.EqualValues(t, total, r.Size)
		require.EqualValues(t, n, r.Added)
		w.requireWhole(t)
	}
	require.Equal(t, 1000, total)
	for path := range w.Objects() {
		o, ok := tiles.ParsePath(path)
		require.Equal(t, ok && o.Full() && o.Kind != tiles.Events || strings.HasPrefix(path, tiles.HourlyPrefix), w.Locked(path), path)
	}
}

// counted is events of which it is counted how many that wait a look has had at most.
type counted struct {
	sequence.Events
	most int
}

func (c *counted) Between(ctx context.Context, from, to time.Time) iter.Seq2[sequence.Stored, error] {
	return func(yield func(sequence.Stored, error) bool) {
		waiting := 0
		for e, err := range c.Events.Between(ctx, from, to) {
			if e.Mark == nil {
				waiting++
				c.most = max(c.most, waiting)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// TestMoreThanMemory: of a minute with more events than a run can hold, all are taken, each
// once, and never more of them are held. So of those that come too late.
func TestMoreThanMemory(t *testing.T) {
	const many, held = 20_000, 2 * 4096
	for name, age := range map[string]time.Duration{"now": 0, "late": time.Hour} {
		w := newWorld(t)
		w.run(t)
		w.wait(2 * time.Hour)
		w.run(t)
		for n := range many {
			w.event(t, n, w.clock().Add(-age))
		}
		s := w.process().Sequencer
		c := &counted{Events: s.Events}
		s.Events = c
		if age == 0 {
			w.wait(time.Minute)
			r, err := s.Run(t.Context(), w.later())
			require.NoError(t, err)
			require.EqualValues(t, many, r.Added, name)
			require.Zero(t, r.Behind, name)
		} else {
			r, err := s.Reconcile(t.Context(), forever)
			require.NoError(t, err)
			require.Equal(t, [3]int64{many, 0, 0}, [3]int64{r.Added, r.Altered, r.Missing}, name)
		}
		require.LessOrEqual(t, c.most, held+1, name)
		w.requireWhole(t)
	}
}

// TestLateEvents: one that comes late, with an id of before, is taken; one that is
// later than anybody allows the reconciler takes.
func TestLateEvents(t *testing.T) {
	w := newWorld(t)
	w.event(t, 1, w.clock())
	w.wait(10 * time.Minute)
	require.EqualValues(t, 1, w.run(t).Size)
	w.event(t, 2, start.Add(time.Second))
	require.EqualValues(t, 2, w.run(t).Size)
	w.wait(time.Hour)
	require.EqualValues(t, 2, w.run(t).Size)
	w.event(t, 3, start.Add(2*time.Second))
	require.EqualValues(t, 2, w.run(t).Size)
	r, err := w.process().Sequencer.Reconcile(t.Context(), forever)
	require.NoError(t, err)
	require.Equal(t, [3]int64{3, 1, 0}, [3]int64{r.Size, r.Added, r.Missing})
	w.requireWhole(t)
}

// TestDaysAreCaughtUpWith: and in pieces, where the time for a run is short.
func TestDaysAreCaughtUpWith(t *testing.T) {
	w := newWorld(t)
	w.run(t)
	for n := range 500 {
		w.event(t, n, w.clock().Add(time.Duration(n)*10*time.Minute))
	}
	w.wait(4 * 24 * time.Hour)
	runs := 0
	for r := (sequence.Result{Behind: 1}); r.Behind > 0; runs++ {
		var err error
		r, err = w.process().Sequencer.Run(t.Context(), w.clock())
		require.NoError(t, err)
	}
	require.Greater(t, runs, 10)
	w.requireWhole(t)
}

// TestDeathAtEachWrite: a sequencer dies at each of its writes, before its effect
// and after; the next finishes what was begun.
func TestDeathAtEachWrite(t *testing.T) {
	for _, after := range []bool{false, true} {
		for at, died := 1, true; died; at++ {
			w := newWorld(t)
			for n := range 300 {
				w.event(t, n, w.clock())
			}
			w.wait(time.Minute)
			w.run(t)
			for n := range 7 {
				w.event(t, n, w.clock())
			}
			w.wait(time.Minute)
			p := w.process()
			p.DiesAt, p.After = at, after
			_, err := p.Sequencer.Run(t.Context(), w.later())
			if died = p.Dead(); died {
				require.ErrorIs(t, err, sequencetest.ErrDead)
			} else {
				require.NoError(t, err)
				require.Greater(t, at, 20)
			}
			w.event(t, 8, w.clock())
			w.wait(time.Minute)
			w.run(t)
			w.requireWhole(t)
		}
	}
}

// TestTwoSequencers: two of them at once, each dying again and again at a random
// write, while events are stored: 10,000 events, none lost, none doubled, no fork.
func TestTwoSequencers(t *testing.T) {
	const events = 10_000
	w := newWorld(t)
	var all sync.WaitGroup
	var stored atomic.Int64
	all.Go(func() {
		for n := range events {
			w.event(t, n, w.clock().Add(-time.Duration(mathrand.IntN(600))*time.Second)) //nolint:gosec // no secret
			stored.Add(1)
			if n%100 == 99 {
				w.wait(3 * time.Second)
				time.Sleep(time.Millisecond) // lets the others run, whose number of processors is not ours
			}
		}
	})
	var deaths, moved atomic.Int64
	for range 2 {
		all.Go(func() {
			for done := false; !done; {
				done = stored.Load() == events
				p := w.process()
				p.DiesAt, p.After = 1+mathrand.IntN(400), mathrand.IntN(2) == 0 //nolint:gosec // no secret
				_, err := p.Sequencer.Run(context.Background(), w.later())
				switch {
				case errors.Is(err, sequence.ErrMoved):
					moved.Add(1)
				case errors.Is(err, sequencetest.ErrDead):
					deaths.Add(1)
				default:
					require.NoError(t, err)
				}
			}
		})
	}
	all.Wait()
	w.wait(time.Minute)
	w.run(t)
	w.requireWhole(t)
	require.Positive(t, deaths.Load())
	require.Positive(t, moved.Load())
}
