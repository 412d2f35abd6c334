package sequence_test

import (
	"context"
	"iter"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/auditlog/record"
	"fitvault/shared/auditlog/sequence"
	"fitvault/shared/auditlog/sequence/sequencetest"
	"fitvault/shared/auditlog/tiles"
	"fitvault/shared/auditlog/verify"
	"fitvault/shared/fault"
)

// faulty is what a sequencer reads, of which one read fails: the one before which there
// were good others.
type faulty struct {
	*sequencetest.Process
	good   int
	failed bool
}

func (f *faulty) read() error {
	if f.good--; f.good == -1 {
		f.failed = true
		return errDown
	}
	return nil
}

func (f *faulty) Head(ctx context.Context) (sequence.Head, error) {
	if err := f.read(); err != nil {
		return sequence.Head{}, err
	}
	return f.Process.Head(ctx)
}

func (f *faulty) Get(ctx context.Context, path string) ([]byte, error) {
	if err := f.read(); err != nil {
		return nil, err
	}
	return f.Process.Get(ctx, path)
}

func (f *faulty) Between(ctx context.Context, from, to time.Time) iter.Seq2[sequence.Stored, error] {
	if err := f.read(); err != nil {
		return failing{}.Between(ctx, from, to)
	}
	return f.Process.Between(ctx, from, to)
}

func (f *faulty) Subject(ctx context.Context, name string, fresh func() (record.Pseudonym, []byte, error)) (record.Pseudonym, []byte, error) {
	if err := f.read(); err != nil {
		return record.Pseudonym{}, nil, err
	}
	return f.Process.Subject(ctx, name, fresh)
}

func (f *faulty) Key(ctx context.Context, p record.Pseudonym) (string, []byte, error) {
	if err := f.read(); err != nil {
		return "", nil, err
	}
	return f.Process.Key(ctx, p)
}

// begin has somebody move the head for what waits, and no more.
func (w *world) begin(t *testing.T) {
	for at := 1; ; at++ {
		p := w.process()
		p.DiesAt, p.After = at, true
		_, err := p.Sequencer.Run(t.Context(), w.later())
		require.ErrorIs(t, err, sequencetest.ErrDead)
		if h, err := w.Head(t.Context()); err == nil && h.Published != h.Tree.N {
			return
		}
	}
}

// TestFailureAtEachRead: whichever read fails, of a run or a comparison, that is told as what
// it is, and is no alarm; the next one does all of it.
func TestFailureAtEachRead(t *testing.T) {
	for name, begun := range map[string]bool{"what waits": false, "what was begun": true} {
		for good := 0; ; good++ {
			w := newWorld(t)
			w.run(t)
			w.wait(time.Hour)
			w.run(t)
			w.event(t, 1, w.clock())
			gone := w.event(t, 2, w.clock())
			w.wait(5 * time.Minute)
			w.run(t)
			w.Alter(gone, nil)
			w.event(t, 3, w.clock())
			w.wait(time.Minute)
			if begun {
				w.begin(t)
			}
			p := w.process()
			f := &faulty{Process: p, good: good}
			s := p.Sequencer
			s.Heads, s.Objects, s.Events, s.Subjects = f, f, f, f
			_, err := s.Run(t.Context(), w.later())
			if !f.failed {
				require.NoError(t, err, name)
				_, err = s.Reconcile(t.Context(), forever)
			}
			if !f.failed {
				require.NoError(t, err, name)
				require.Greater(t, good, 15, "there are as many reads")
				break
			}
			require.Equal(t, fault.Unavailable, fault.KindOf(err), "%s %d", name, good)
			require.Empty(t, w.alarms(), "%s %d", name, good)
			w.run(t)
			r, err := w.process().Sequencer.Reconcile(t.Context(), forever)
			require.NoError(t, err)
			require.EqualValues(t, 1, r.Missing)
			w.wait(time.Minute)
			w.run(t)
			report, err := verify.Log(os.DirFS(w.files(t)), w.keys.Verifier)
			require.NoError(t, err)
			require.Empty(t, report.Findings)
			require.EqualValues(t, 4, report.Tree.N, "three events, and that one is missing")
			for _, e := range w.Stored() {
				require.NotNil(t, e.Mark)
			}
		}
	}
}

// TestStagedObjectsThatWereAltered: what somebody has put in the place of staged objects is
// neither published nor signed.
func TestStagedObjectsThatWereAltered(t *testing.T) {
	for name, content := range map[string]string{
		"no JSON":                     "x",
		"an object of no log":         `{"objects":{"checkpoint":"eA=="}}`,
		"leaves of no pseudonym":      `{"leaves":{"x":[1]}}`,
		"nothing, as if there was no": "",
	} {
		w := newWorld(t)
		w.run(t)
		w.event(t, 1, w.clock())
		w.wait(time.Minute)
		w.begin(t)
		signed := len(w.Signed())
		for path := range w.Objects() {
			if !strings.HasPrefix(path, tiles.StagingPrefix) {
				continue
			}
			w.SetObject(path, nil)
			if content != "" {
				w.SetObject(path, []byte(content))
			}
		}
		_, err := w.process().Sequencer.Run(t.Context(), w.later())
		require.ErrorIs(t, err, sequence.ErrAltered, name)
		require.Equal(t, []string{sequence.LogAltered}, w.alarms(), name)
		require.Len(t, w.Signed(), signed, name)
	}
}
