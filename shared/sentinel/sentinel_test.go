package sentinel_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"fitvault/shared/auditlog"
	"fitvault/shared/fault"
	"fitvault/shared/limit"
	"fitvault/shared/sentinel"
	"fitvault/shared/sentinel/sentineltest"
)

func TestMemoryContract(t *testing.T) { sentineltest.Contract(t, &sentinel.Memory{}) }

func TestOwnersContract(t *testing.T) {
	owners := sentinel.Owners{}
	sentineltest.AccountsContract(t, owners, func(_ *testing.T, identity, user string) { owners[identity] = user })
}

// happened is some minutes of several attacks at once, none slowed down, and of others.
func happened(t *testing.T) (all []sentinel.Event) {
	w := newWorld(t)
	steps := attacks(w)
	var names []string
	for name := range steps {
		names = append(names, name)
	}
	slices.Sort(names)
	for n := range 100 {
		for _, name := range names {
			all = append(all, sentinel.Event{Event: steps[name](n).Event})
		}
		w.now = w.now.Add(time.Second)
	}
	return all
}

// kindsOf is what was found, without ids and times.
func kindsOf(events []auditlog.Event) (all []string) {
	for _, e := range events {
		all = append(all, fmt.Sprint(e.Kind, " ", e.Caller, " ", e.Owner))
	}
	slices.Sort(all)
	return all
}

// TestAnySplit: the same events in any order, in batches of any size, each as often as
// you like, are the same findings.
func TestAnySplit(t *testing.T) {
	events := happened(t)
	whole := newWorld(t)
	require.NoError(t, whole.sentinel.Watch(t.Context(), events))
	want := kindsOf(whole.audit.Events())
	require.NotEmpty(t, want)
	var detectors []string
	for _, found := range whole.found {
		if !slices.Contains(detectors, found) {
			detectors = append(detectors, found)
		}
	}
	require.Len(t, detectors, 9, "all of callers who are known")
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		again := rapid.SliceOfN(rapid.SampledFrom(events), 0, 200).Draw(rt, "again")
		for mixed := rapid.Permutation(slices.Concat(events, again)).Draw(rt, "order"); len(mixed) > 0; {
			n := rapid.IntRange(1, min(200, len(mixed))).Draw(rt, "batch")
			for range rapid.IntRange(1, 2).Draw(rt, "times") {
				require.NoError(rt, w.sentinel.Watch(t.Context(), mixed[:n]))
			}
			mixed = mixed[n:]
		}
		require.Equal(rt, want, kindsOf(w.audit.Events()))
	})
}

// TestDuplicates: one event, delivered without end, is one event.
func TestDuplicates(t *testing.T) {
	for name, step := range attacks(newWorld(t)) {
		w := newWorld(t)
		e := sentinel.Event{Event: step(0).Event}
		e.Rejected = 0
		for range 300 {
			require.NoError(t, w.sentinel.Watch(t.Context(), []sentinel.Event{e, e}))
		}
		require.Empty(t, w.found, name)
	}
}

// failing fails at one of the steps of a finding, after it was done.
type failing struct {
	limit.Holder
	sentinel.Counters
	auditlog.Writer
	at string
}

var errDown = errors.New("down")

func (f *failing) failed(step string, err error) error {
	if err == nil && f.at == step {
		return errDown
	}
	return err
}

func (f *failing) Hold(ctx context.Context, key string, ids []string, d time.Duration) error {
	return f.failed("hold", f.Holder.Hold(ctx, key, ids, d))
}

func (f *failing) Add(ctx context.Context, key string, things []sentinel.Thing, most int, life time.Duration) (sentinel.Counter, error) {
	c, err := f.Counters.Add(ctx, key, things, most, life)
	return c, f.failed("add", err)
}

func (f *failing) Note(ctx context.Context, key, id string) (string, error) {
	id, err := f.Counters.Note(ctx, key, id)
	return id, f.failed("note", err)
}

func (f *failing) Told(ctx context.Context, key, target string) error {
	return f.failed("told", f.Counters.Told(ctx, key, target))
}

func (f *failing) Write(ctx context.Context, e auditlog.Event) error {
	return f.failed("write", f.Writer.Write(ctx, e))
}

// TestEndedAfterEachStep: a batch that comes again after any step was done finds the same
// once, and makes whoever it was wait.
func TestEndedAfterEachStep(t *testing.T) {
	for _, step := range []string{"add", "hold", "note", "write", "told"} {
		w := newWorld(t)
		guess := attacks(w)["guesses of invitations"]
		f := &failing{w.sentinel.Limiter, w.sentinel.Counters, w.sentinel.Audit, step}
		w.sentinel.Limiter, w.sentinel.Counters, w.sentinel.Audit = f, f, f
		var batch []sentinel.Event
		for n := range 8 {
			batch = append(batch, sentinel.Event{Event: guess(n).Event})
		}
		err := w.sentinel.Watch(t.Context(), batch)
		require.ErrorIs(t, err, errDown, step)
		require.Equal(t, fault.Unavailable, fault.KindOf(err), step)
		f.at = ""
		require.NoError(t, w.sentinel.Watch(t.Context(), batch))
		require.NoError(t, w.sentinel.Watch(t.Context(), batch))
		require.Len(t, w.audit.Events(), 1, step)
		require.Positive(t, w.send(guess(0)), step)
	}
	w := newWorld(t)
	w.sentinel.Rand = nothing{}
	guess := attacks(w)["guesses of invitations"]
	var batch []sentinel.Event
	for n := range 8 {
		e := sentinel.Event{Event: guess(n).Event}
		batch = append(batch, e)
	}
	require.Equal(t, fault.Internal, fault.KindOf(w.sentinel.Watch(t.Context(), batch)))
}

type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, errDown }

// TestWhatDoesNotCount: its own events, and what is so old that its counters may be gone.
func TestWhatDoesNotCount(t *testing.T) {
	w := newWorld(t)
	var own, old []sentinel.Event
	for n := range 50 {
		e := sentinel.Event{Event: attacks(w)["guesses of invitations"](n).Event}
		e.Caller = "one"
		old = append(old, e)
		e.Function = sentinel.Function
		own = append(own, e)
	}
	require.NoError(t, w.sentinel.Watch(t.Context(), own))
	require.Empty(t, w.found)
	w.now = w.now.Add(time.Hour + time.Second)
	require.NoError(t, w.sentinel.Watch(t.Context(), old))
	require.Empty(t, w.found)
}

// TestFactor: a deployment that is tested has thresholds of its own.
func TestFactor(t *testing.T) {
	w := newWorld(t)
	w.sentinel.Factor = 10
	guess := attacks(w)["guesses of invitations"]
	for n := range 80 {
		require.Empty(t, w.found)
		require.NoError(t, w.sentinel.Watch(t.Context(), []sentinel.Event{{Event: guess(n).Event}}))
	}
	require.Equal(t, []string{"guesses"}, w.found)
}

// TestWhoSeesAFinding: the owner of the account that it is about, with who it was; what
// concerns the caller alone, he.
func TestWhoSeesAFinding(t *testing.T) {
	for attacked, owner := range map[string]func(last request) string{
		"bulk-reading by grantee": func(r request) string { return r.Owner },
		"bulk-reading by app":     func(r request) string { return r.Owner },
		"harvest":                 func(r request) string { return r.Caller },
		"probing":                 func(r request) string { return r.Caller },
		"guesses of pairings":     func(r request) string { return r.Caller },
	} {
		w := newWorld(t)
		step := attacks(w)[attacked]
		var last request
		for n := range 60 {
			last = step(n)
			require.NoError(t, w.sentinel.Watch(t.Context(), []sentinel.Event{{Event: last.Event}}))
		}
		e := w.audit.Events()[0]
		require.Equal(t, owner(last), e.Owner, attacked)
		require.Equal(t, last.Caller, e.Caller, attacked)
		require.Equal(t, last.Client, e.Client, attacked)
		require.Zero(t, e.Charged, attacked)
	}
}
