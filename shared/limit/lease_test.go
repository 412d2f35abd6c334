package limit_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"fitvault/shared/limit"
	"fitvault/shared/limit/limittest"
)

const all limit.Rate = 36_000 // the deployment's default: leases of 60

// shop is processes that lease from one bucket, in a time of their own.
type shop struct {
	now     time.Time
	memory  limit.Memory
	err     error // of the memory from now on
	charges int   // that were admitted: each is a write
	taken   int
}

func newShop() *shop {
	s := &shop{now: limittest.At}
	s.memory.Now = s.clock
	return s
}

func (s *shop) clock() time.Time { return s.now }

func (s *shop) Take(ctx context.Context, c limit.Charge) (limit.Verdict, error) {
	if s.err != nil {
		return limit.Verdict{}, s.err
	}
	v, err := s.memory.Take(ctx, c)
	if v.Admitted {
		s.charges++
		s.taken += c.Cost
	}
	return v, err
}

func (s *shop) process(rate limit.Rate) *limit.Leases {
	return &limit.Leases{Limiter: s, Prefix: "client#", Line: limit.Line{Name: "client", ID: "client", Rate: rate}, Now: s.clock}
}

func admitted(t require.TestingT, l *limit.Leases, cost int) bool {
	v, err := l.Take(context.Background(), "app", cost)
	require.NoError(t, err)
	require.Nil(t, v.Buckets)
	require.Equal(t, v.Admitted, v.Wait == 0)
	return v.Admitted
}

func TestMemoryLeases(t *testing.T) { limittest.Leases(t, shared()) }

// TestLeases: a process that is asked a lot charges seldom, and one that is asked little
// takes little.
func TestLeases(t *testing.T) {
	s := newShop()
	l := s.process(all)
	var taken []int
	for range 1000 {
		before := s.taken
		require.True(t, admitted(t, l, 1))
		if s.taken > before {
			taken = append(taken, s.taken-before)
		}
		s.now = s.now.Add(10 * time.Millisecond)
	}
	require.Equal(t, []int{1, 2, 4, 8, 16, 32, 60}, taken[:7])
	require.Len(t, taken, 6+16)
	require.Equal(t, 63+16*60, s.taken)

	s.now = s.now.Add(time.Minute)
	require.True(t, admitted(t, l, 1))
	require.Equal(t, 63+16*60+37, s.taken, "the last one gave so much")
	s.now = s.now.Add(limit.LeaseLife)
	before := s.taken
	for range 10 { // a request in the life of a lease
		require.True(t, admitted(t, l, 1))
		s.now = s.now.Add(limit.LeaseLife)
	}
	require.Equal(t, before+10, s.taken)
}

// TestLeasesEnd: what is left is lost, a moment before not, and with a clock that was
// set back nobody knows how old it is.
func TestLeasesEnd(t *testing.T) {
	for name, test := range map[string]struct {
		after   time.Duration
		charges int
	}{
		"in time":          {limit.LeaseLife - 1, 2},
		"over":             {limit.LeaseLife, 3},
		"the clock is set": {-1, 3},
	} {
		s := newShop()
		l := s.process(all)
		require.True(t, admitted(t, l, 1))
		require.True(t, admitted(t, l, 1))
		s.now = s.now.Add(test.after)
		require.True(t, admitted(t, l, 1))
		require.Equal(t, test.charges, s.charges, name)
	}
}

// TestLeasesRefuse: what one process has used up another has not; who waits as he is told
// gets in; and others' buckets are others'.
func TestLeasesRefuse(t *testing.T) {
	s := newShop()
	one, other := s.process(all), s.process(all)
	n := 0
	for admitted(t, one, 1) {
		n++
	}
	require.InDelta(t, int(all), n, 20, "a request takes whole microseconds")
	for _, l := range []*limit.Leases{one, other} {
		v, err := l.Take(t.Context(), "app", 2)
		require.NoError(t, err)
		require.InDelta(t, 2.5*float64(time.Minute/time.Duration(all)), float64(v.Wait), float64(time.Minute/time.Duration(all)))
	}
	v, err := other.Take(t.Context(), "another app", 2)
	require.NoError(t, err)
	require.True(t, v.Admitted)

	charges := s.charges
	for range 100 { // as they come back: each by itself, and none is lost
		v, err := one.Take(t.Context(), "app", 2)
		require.NoError(t, err)
		s.now = s.now.Add(v.Wait - time.Microsecond)
		require.False(t, admitted(t, one, 2))
		s.now = s.now.Add(time.Microsecond)
		require.True(t, admitted(t, one, 2))
	}
	require.Equal(t, charges+100, s.charges)
	s.now = s.now.Add(time.Minute)
	for range 100 {
		require.True(t, admitted(t, one, 1))
	}
	require.Less(t, s.charges, charges+110)
}

// TestSmallQuotas: where a lease would be less than a request there is none.
func TestSmallQuotas(t *testing.T) {
	s := newShop()
	l := s.process(10)
	for i := range 5 {
		require.True(t, admitted(t, l, 2))
		require.Equal(t, i+1, s.charges)
	}
	require.False(t, admitted(t, l, 1))
}

// TestLeasesWithoutALimiter: what a process holds it can serve; then nothing, until the
// limiter answers again.
func TestLeasesWithoutALimiter(t *testing.T) {
	s := newShop()
	l := s.process(all)
	for range 3 {
		require.True(t, admitted(t, l, 1))
	}
	require.True(t, admitted(t, l, 1)) // of four that are held now
	s.err = errors.New("down")
	for range 3 {
		require.True(t, admitted(t, l, 1))
	}
	for range 3 {
		v, err := l.Take(t.Context(), "app", 1)
		require.ErrorIs(t, err, s.err)
		require.False(t, v.Admitted)
	}
	s.err = nil
	require.True(t, admitted(t, l, 1))
	require.Equal(t, 4, s.charges)
}

// waits is a limiter that answers nobody.
type waits struct{ asked atomic.Int64 }

func (w *waits) Take(ctx context.Context, _ limit.Charge) (limit.Verdict, error) {
	w.asked.Add(1)
	<-ctx.Done()
	return limit.Verdict{}, ctx.Err()
}

// TestNobodyWaitsLonger than his own time, however many wait before him.
func TestNobodyWaitsLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &limit.Leases{Limiter: &waits{}, Line: limit.Line{Rate: all}, Now: time.Now}
		began := time.Now()
		var group sync.WaitGroup
		for range 10 {
			group.Go(func() {
				ctx, done := context.WithTimeout(t.Context(), 2*time.Second)
				defer done()
				_, err := l.Take(ctx, "app", 1)
				require.ErrorIs(t, err, context.DeadlineExceeded)
			})
		}
		group.Wait()
		require.Equal(t, 2*time.Second, time.Since(began))
	})
}

// TestLeasesAtOnce: goroutines of one process are never served more than it took.
func TestLeasesAtOnce(t *testing.T) {
	var taken, served atomic.Int64
	memory := &limit.Memory{Now: time.Now}
	l := &limit.Leases{Line: limit.Line{Name: "client", ID: "client", Rate: 6000}, Now: time.Now,
		Limiter: limiter(func(ctx context.Context, c limit.Charge) (limit.Verdict, error) {
			v, err := memory.Take(ctx, c)
			if v.Admitted {
				taken.Add(int64(c.Cost))
			}
			return v, err
		})}
	began := time.Now()
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for range 1000 {
				cost := 1 + i%2
				v, err := l.Take(t.Context(), "app", cost)
				if err != nil {
					t.Error("a charge failed")
				}
				if v.Admitted {
					served.Add(int64(cost))
				}
			}
		})
	}
	group.Wait()
	require.LessOrEqual(t, served.Load(), taken.Load())
	require.Greater(t, served.Load(), int64(5000), "6,000, of each lease of ten but one that is too little for a request of two")
	require.LessOrEqual(t, float64(taken.Load()), 6000*(1+time.Since(began).Minutes()))
}

// TestNeverThreeTimes: however requests come, at most three times what is served is taken,
// and twice where all cost the same.
func TestNeverThreeTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newShop()
		processes := make([]*limit.Leases, rapid.IntRange(1, 5).Draw(t, "processes"))
		for i := range processes {
			processes[i] = s.process(limit.MaxRate)
		}
		dearest, served := rapid.IntRange(1, 3).Draw(t, "dearest"), 0
		for range rapid.IntRange(1, 300).Draw(t, "requests") {
			cost := rapid.IntRange(1, dearest).Draw(t, "cost")
			if admitted(t, processes[rapid.IntRange(0, len(processes)-1).Draw(t, "process")], cost) {
				served += cost
			}
			if rapid.IntRange(0, 9).Draw(t, "rest") == 0 {
				s.now = s.now.Add(limit.LeaseLife)
			}
			require.LessOrEqual(t, s.taken, 3*served)
			if dearest == 1 {
				require.LessOrEqual(t, s.taken, 2*served)
			}
		}
	})
}

// TestLeasesAreBounded: whoever brings names without end takes no memory without end.
func TestLeasesAreBounded(t *testing.T) {
	s := newShop()
	l := s.process(all)
	for i := range 5000 {
		_, err := l.Take(t.Context(), fmt.Sprint(i), 1)
		require.NoError(t, err)
	}
	require.LessOrEqual(t, limit.Kept(l), 4096)
	before := s.charges
	_, err := l.Take(t.Context(), "0", 1)
	require.NoError(t, err)
	require.Equal(t, before+1, s.charges, "a lease that was forgotten is lost")
}

// TestALeaseTakesNoMemory: what is served from one.
func TestALeaseTakesNoMemory(t *testing.T) {
	l := newShop().process(limit.MaxRate)
	for range 1000 {
		require.True(t, admitted(t, l, 1))
	}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if v, err := l.Take(t.Context(), "app", 1); err != nil || !v.Admitted {
			t.Error("not served")
		}
	}))
}
