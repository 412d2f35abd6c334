// Package limittest holds the contract of limit.Limiter: the fake and the one in
// DynamoDB pass the same tests.
package limittest

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"fitvault/shared/limit"
)

// New makes a limiter with a clock, as another container would: all that one New
// makes share what they keep.
type New func(now func() time.Time) limit.Limiter

// At is when contracts begin.
var At = time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC)

func charge(cost int, lines ...limit.Line) limit.Charge {
	return limit.Charge{Key: "identity#" + rand.Text(), Lines: lines, Cost: cost}
}

var (
	user  = limit.Line{Name: "user", ID: "user", Rate: 300}
	phone = limit.Line{Name: "device", ID: "phone", Rate: 60}
	watch = limit.Line{Name: "device", ID: "watch", Rate: 60}
)

// Contract is what every Limiter does.
func Contract(t *testing.T, anew New) {
	now := At
	clock := func() time.Time { return now }
	limiter := anew(clock)
	take := func(t *testing.T, c limit.Charge) limit.Verdict {
		t.Helper()
		v, err := limiter.Take(t.Context(), c)
		require.NoError(t, err)
		return v
	}

	t.Run("who has rested may do a whole quota at once, and the next when it is told", func(t *testing.T) {
		now = At
		c := charge(1, limit.Line{Name: "device", ID: "d", Rate: 10})
		for i := range 10 {
			require.Equal(t, limit.Verdict{Admitted: true, Buckets: []limit.Bucket{{Name: "device", Quota: 10, Left: int64(9 - i), Full: time.Duration(i+1) * 6 * time.Second}}}, take(t, c))
		}
		refused := limit.Verdict{Wait: 6 * time.Second, Buckets: []limit.Bucket{{Name: "device", Quota: 10, Full: time.Minute}}}
		require.Equal(t, refused, take(t, c))
		require.Equal(t, refused, take(t, c), "being refused costs nothing")
		now = At.Add(6*time.Second - time.Microsecond)
		require.False(t, take(t, c).Admitted)
		now = At.Add(6 * time.Second)
		require.True(t, take(t, c).Admitted)
		now = At.Add(time.Hour)
		require.Equal(t, int64(9), take(t, c).Buckets[0].Left, "rest does not add up beyond a quota")
	})
	t.Run("all lines of a charge or none", func(t *testing.T) {
		now = At
		c := charge(20, user, phone)
		for range 3 {
			require.True(t, take(t, c).Admitted)
		}
		v := take(t, c)
		require.False(t, v.Admitted)
		require.Equal(t, 20*time.Second, v.Wait)
		require.Equal(t, []limit.Bucket{{Name: "user", Quota: 300, Left: 240, Full: 12 * time.Second}, {Name: "device", Quota: 60, Full: time.Minute}}, v.Buckets)
		c.Lines = []limit.Line{user, watch}
		require.Equal(t, int64(220), take(t, c).Buckets[0].Left, "the user's other device goes on, and the refused charge is not in it")
	})
	t.Run("what is owed is taken whatever is left, and others wait for it", func(t *testing.T) {
		now = At
		c := charge(1, limit.Line{Name: "device", ID: "d", Rate: 10})
		c.Cost = 10
		require.True(t, take(t, c).Admitted)
		owed := c
		owed.Owed, owed.Cost = true, 5
		v := take(t, owed)
		require.Equal(t, limit.Verdict{Admitted: true, Buckets: []limit.Bucket{{Name: "device", Quota: 10, Full: 90 * time.Second}}}, v)
		c.Cost = 1
		require.Equal(t, 36*time.Second, take(t, c).Wait)
	})
	t.Run("keys have nothing to do with each other", func(t *testing.T) {
		now = At
		one, other := charge(60, user, phone), charge(60, user, phone)
		require.True(t, take(t, one).Admitted)
		require.False(t, take(t, one).Admitted)
		require.True(t, take(t, other).Admitted)
	})
	t.Run("a clock that is set back gives nothing away", func(t *testing.T) {
		now = At
		c := charge(60, phone)
		require.True(t, take(t, c).Admitted)
		now = At.Add(-5 * time.Second)
		c.Cost = 1
		require.Equal(t, 6*time.Second, take(t, c).Wait)
	})
	t.Run("more devices than anybody has", func(t *testing.T) {
		now = At
		c := charge(1, user, phone)
		for i := range 40 {
			c.Lines[1].ID = fmt.Sprintf("device-%d", i)
			require.True(t, take(t, c).Admitted)
			now = now.Add(time.Second / 2)
		}
		require.Equal(t, int64(59), take(t, charge(1, user, phone)).Buckets[1].Left)
		c.Lines[1].ID = "device-39"
		require.Equal(t, int64(58), take(t, c).Buckets[1].Left)
	})
	t.Run("containers at once admit a quota, not one more", func(t *testing.T) {
		now = At
		c := charge(1, limit.Line{Name: "user", ID: "user", Rate: 50}, limit.Line{Name: "device", ID: "d", Rate: 60})
		var admitted atomic.Int64
		var group sync.WaitGroup
		for range 8 {
			l := anew(clock)
			group.Go(func() {
				for range 10 {
					v, err := l.Take(t.Context(), c)
					if err == nil && v.Admitted {
						admitted.Add(1)
					}
				}
			})
		}
		group.Wait()
		require.Equal(t, int64(50), admitted.Load())
	})
	t.Run("without time left nothing is decided", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := limiter.Take(ctx, charge(1, user))
		require.Error(t, err)
	})
}

// Holds is what every limiter does that is a limit.Holder too.
func Holds(t *testing.T, anew New) {
	now := At
	clock := func() time.Time { return now }
	holder, limiter := anew(clock).(limit.Holder), anew(clock) // another container's
	take := func(t *testing.T, c limit.Charge) limit.Verdict {
		t.Helper()
		v, err := limiter.Take(t.Context(), c)
		require.NoError(t, err)
		return v
	}
	hold := func(t *testing.T, c limit.Charge, d time.Duration, ids ...string) {
		t.Helper()
		require.NoError(t, holder.Hold(t.Context(), c.Key, ids, d))
	}
	t.Run("nothing is admitted for as long, and then what comes back", func(t *testing.T) {
		now = At
		c := charge(1, user, phone)
		require.True(t, take(t, c).Admitted)
		hold(t, c, 5*time.Minute, phone.ID)
		v := take(t, c)
		require.Equal(t, limit.Verdict{Wait: 5*time.Minute + time.Second, Buckets: []limit.Bucket{{Name: "user", Quota: 300, Left: 299, Full: 200 * time.Millisecond}, {Name: "device", Quota: 60, Full: 6 * time.Minute}}}, v)
		c.Lines[1] = watch
		require.True(t, take(t, c).Admitted, "the other device goes on")
		c.Lines[1] = phone
		now = At.Add(v.Wait)
		require.True(t, take(t, c).Admitted)
		require.False(t, take(t, c).Admitted)
		now = At.Add(time.Hour)
		require.Equal(t, int64(59), take(t, c).Buckets[1].Left, "no trace is left of it")
	})
	t.Run("twice is once, and the longest counts", func(t *testing.T) {
		now = At
		c := charge(1, user, phone)
		for _, d := range []time.Duration{time.Minute, 5 * time.Minute, 2 * time.Minute, 5 * time.Minute} {
			hold(t, c, d, user.ID, phone.ID)
		}
		require.Equal(t, 5*time.Minute+time.Second, take(t, c).Wait)
	})
	t.Run("never longer than the longest", func(t *testing.T) {
		now = At
		c := charge(1, phone)
		hold(t, c, 24*time.Hour, phone.ID)
		require.Equal(t, limit.MaxHold+time.Second, take(t, c).Wait)
	})
	t.Run("what is owed already is not forgiven", func(t *testing.T) {
		now = At
		c := charge(60, phone)
		c.Owed = true
		for range 4 {
			take(t, c)
		}
		hold(t, c, time.Minute, phone.ID)
		c.Owed, c.Cost = false, 1
		require.Equal(t, 3*time.Minute+time.Second, take(t, c).Wait)
	})
	t.Run("without time left it is an error", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.Error(t, holder.Hold(ctx, "identity#x", []string{"device"}, time.Minute))
	})
}

// operation is one call of a history.
type operation struct {
	charge limit.Charge
	now    time.Time
}

// model is what a Limiter does to one key, by limit.Decide one call after the other.
// A refusal may rest on an older state, since times only rise: it must be right,
// and its wait not too long.
var model = porcupine.Model{
	Init: func() any { return limit.State{} },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(limit.State), input.(operation), output.(limit.Verdict)
		next, v := limit.Decide(in.charge, s, in.now)
		if !out.Admitted {
			return !v.Admitted && 0 < out.Wait && out.Wait <= v.Wait, s
		}
		after := limit.State{}
		for id, full := range s {
			after[id] = full
		}
		for id, full := range next {
			after[id] = full
		}
		return v.Admitted && fmt.Sprint(v.Buckets) == fmt.Sprint(out.Buckets), after
	},
	Equal: func(a, b any) bool { return fmt.Sprint(a) == fmt.Sprint(b) },
}

// Linearizable reports whether histories of containers that charge one caller at
// once, by clocks that differ by up to 10 s, are ones of one after the other.
func Linearizable(t *testing.T, histories int, anew New) bool {
	const containers, calls = 4, 4
	ok := true
	for range histories {
		c := charge(1, limit.Line{Name: "user", ID: "user", Rate: 6}, limit.Line{Name: "device", ID: "d0", Rate: 4})
		var history []porcupine.Operation
		var mu sync.Mutex
		var group sync.WaitGroup
		began := time.Now()
		for i := range containers {
			now := At.Add(time.Duration(mathrand.IntN(10_000)) * time.Millisecond)
			l := anew(func() time.Time { return now })
			group.Go(func() {
				for range calls {
					now = now.Add(time.Duration(mathrand.IntN(10_000)) * time.Millisecond)
					o := operation{charge: c, now: now}
					o.charge.Cost, o.charge.Owed = 1+mathrand.IntN(2), mathrand.IntN(8) == 0
					o.charge.Lines = []limit.Line{c.Lines[0], {Name: "device", ID: fmt.Sprintf("d%d", mathrand.IntN(2)), Rate: 4}}
					called := time.Since(began)
					v, err := l.Take(t.Context(), o.charge)
					returned := time.Since(began)
					mu.Lock()
					if err != nil {
						t.Error("a charge failed")
					}
					history = append(history, porcupine.Operation{ClientId: i, Input: o, Call: int64(called), Output: v, Return: int64(returned)})
					mu.Unlock()
				}
			})
		}
		group.Wait()
		ok = porcupine.CheckOperations(model, history) && ok
	}
	return ok
}

// Leases is what processes serve who lease one bucket of a Limiter, in a time of their
// own: in any stretch of it no more than a quota, what came back, and what they held when
// it began; under a flood no less than that, but for what they hold when it ends.
func Leases(t *testing.T, anew New) {
	const (
		processes = 8
		rate      = limit.LeasesAQuota * largest
		step      = limit.Window / rate
		held      = processes * largest * step // at most
	)
	now := At
	clock := func() time.Time { return now }
	name, random := rand.Text(), mathrand.New(mathrand.NewPCG(1, 2)) //nolint:gosec // the same each time
	leases := make([]*limit.Leases, processes)
	for i := range leases {
		leases[i] = &limit.Leases{Limiter: anew(clock), Prefix: limit.ClientPrefix, Line: limit.Line{Name: limit.Client, ID: limit.Client, Rate: rate}, Now: clock}
	}
	var served, began, lowest, most time.Duration // in the time that it takes to come back
	ask := func(cost int) bool {
		v, err := leases[random.IntN(processes)].Take(t.Context(), name, cost)
		require.NoError(t, err)
		if v.Admitted {
			lowest = min(lowest, served-now.Sub(At)) // where a stretch could begin
			served += time.Duration(cost) * step
			most = max(most, served-now.Sub(At)-lowest)
		}
		return v.Admitted
	}
	flood := func() {
		for range 10 {
			for range processes {
				for ask(1) { // until it is empty
				}
			}
			now = now.Add(100 * time.Millisecond)
		}
		now = now.Add(-100 * time.Millisecond)
	}

	flood()
	require.LessOrEqual(t, served, limit.Window+now.Sub(At), "nothing was held when it began")
	require.GreaterOrEqual(t, served, limit.Window+now.Sub(At)-held)
	for range 100 {
		now = now.Add(time.Duration(random.Int64N(int64(limit.LeaseLife))))
		for range random.IntN(2 * largest) {
			ask(1 + random.IntN(3))
		}
	}
	for range 2 * processes * largest {
		ask(1)
	}
	now = now.Add(limit.LeaseLife - time.Second) // all of the quota is back, and leases are held
	began = served
	flooded := now
	flood()
	require.GreaterOrEqual(t, served-began, limit.Window+now.Sub(flooded)-held)
	require.LessOrEqual(t, most, limit.Window+held)
	require.Greater(t, most, limit.Window, "otherwise nothing was tried")
}

// largest is how large a lease of Leases can be.
const largest = 10
