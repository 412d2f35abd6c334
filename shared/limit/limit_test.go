package limit_test

import (
	"context"
	"maps"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"fitvault/shared/limit"
	"fitvault/shared/limit/limittest"
)

// shared makes limiters that share one memory, each by its own clock.
func shared() limittest.New {
	of := &memory{}
	return func(now func() time.Time) limit.Limiter { return container{of, now} }
}

type memory struct {
	mu sync.Mutex
	limit.Memory
}

type container struct {
	*memory
	now func() time.Time
}

func (c container) Take(ctx context.Context, charge limit.Charge) (limit.Verdict, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Now = c.now
	return c.Memory.Take(ctx, charge)
}

func (c container) Hold(ctx context.Context, key string, ids []string, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Now = c.now
	return c.Memory.Hold(ctx, key, ids, d)
}

type limiter func(context.Context, limit.Charge) (limit.Verdict, error)

func (l limiter) Take(ctx context.Context, c limit.Charge) (limit.Verdict, error) { return l(ctx, c) }

func TestMemoryContract(t *testing.T) { limittest.Contract(t, shared()) }

func TestMemoryHolds(t *testing.T) { limittest.Holds(t, shared()) }

func TestMemoryIsLinearizable(t *testing.T) {
	require.True(t, limittest.Linearizable(t, 1000, shared()))
}

// A limiter that reads and then writes is what porcupine must find.
func TestLinearizableFindsPlantedViolations(t *testing.T) {
	kept := map[string]limit.State{}
	var mu sync.Mutex
	require.False(t, limittest.Linearizable(t, 100, func(now func() time.Time) limit.Limiter {
		return limiter(func(_ context.Context, c limit.Charge) (limit.Verdict, error) {
			mu.Lock()
			state := maps.Clone(kept[c.Key])
			mu.Unlock()
			runtime.Gosched()
			next, v := limit.Decide(c, state, now())
			if next != nil {
				if state == nil {
					state = limit.State{}
				}
				maps.Copy(state, next)
				mu.Lock()
				kept[c.Key] = state
				mu.Unlock()
			}
			return v, nil
		})
	}))
}

// TestBounded: whoever brings keys without end takes no memory without end, and one
// who is charged all the time keeps his bucket until then.
func TestBounded(t *testing.T) {
	m := &limit.Memory{Now: func() time.Time { return limittest.At }}
	line := limit.Line{Name: "user", ID: "user", Rate: 1}
	for i := range 5000 {
		v, err := m.Take(t.Context(), limit.Charge{Key: string(rune('a' + i)), Lines: []limit.Line{line}, Cost: 1})
		require.NoError(t, err)
		require.True(t, v.Admitted)
	}
	v, err := m.Take(t.Context(), limit.Charge{Key: string(rune('a' + 4999)), Lines: []limit.Line{line}, Cost: 1})
	require.NoError(t, err)
	require.False(t, v.Admitted)
}

// TestDecide: over any requests at any times, never more than a quota and what has
// come back; times only rise; a wait that was honoured is followed by a yes.
func TestDecide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := limit.Line{Name: "user", ID: "user", Rate: limit.Rate(rapid.Int64Range(5, 1000).Draw(t, "rate"))}
		state, now, admitted := limit.State{}, limittest.At, 0.0
		for range rapid.IntRange(1, 200).Draw(t, "calls") {
			now = now.Add(time.Duration(rapid.Int64Range(0, 5_000_000).Draw(t, "pause")) * time.Microsecond)
			c := limit.Charge{Key: "k", Lines: []limit.Line{line}, Cost: rapid.IntRange(1, 5).Draw(t, "cost")}
			next, v := limit.Decide(c, state, now)
			require.Equal(t, v.Admitted, next != nil)
			require.Equal(t, v.Admitted, v.Wait == 0)
			if !v.Admitted {
				_, later := limit.Decide(c, state, now.Add(v.Wait))
				require.True(t, later.Admitted)
				_, before := limit.Decide(c, state, now.Add(v.Wait-time.Microsecond))
				require.False(t, before.Admitted)
				continue
			}
			require.Greater(t, next["user"], state["user"])
			state, admitted = next, admitted+float64(c.Cost)
			require.LessOrEqual(t, admitted, float64(line.Rate)*(1+now.Sub(limittest.At).Minutes())*61/60)
			require.Less(t, v.Buckets[0].Left, int64(line.Rate))
		}
	})
}

func TestLimits(t *testing.T) {
	good := limit.Limits{User: 300, Device: 60, Address: 60, Client: 36_000}
	require.True(t, good.Valid(1))
	require.True(t, good.Valid(60))
	require.False(t, good.Valid(61), "what could never be had")
	require.False(t, good.Valid(0))
	for _, bad := range []limit.Limits{{}, {User: 0, Device: 60, Address: 60, Client: 60}, {User: 300, Device: -1, Address: 60, Client: 60},
		{User: 300, Device: 60, Address: limit.MaxRate + 1, Client: 60}, {User: 300, Device: 60, Address: 60}} {
		require.False(t, bad.Valid(1))
	}
	most := limit.Limits{User: limit.MaxRate, Device: limit.MaxRate, Address: limit.MaxRate, Client: limit.MaxRate}
	require.True(t, most.Valid(1))
}

func TestFields(t *testing.T) {
	policy, state := limit.Fields([]limit.Bucket{{Name: "user", Quota: 300, Left: 299, Full: 200 * time.Millisecond}, {Name: "device", Quota: 60, Full: 61 * time.Second}})
	require.Equal(t, `"user";q=300;w=60, "device";q=60;w=60`, policy)
	require.Equal(t, `"user";r=299;t=1, "device";r=0;t=61`, state)
	require.Equal(t, int64(1), limit.Seconds(time.Microsecond))
	require.Equal(t, int64(2), limit.Seconds(2*time.Second))
}

// TestWait: as much as Decide says.
func TestWait(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := limit.Line{Name: "user", ID: "user", Rate: limit.Rate(rapid.Int64Range(5, 1000).Draw(t, "rate"))}
		c := limit.Charge{Lines: []limit.Line{line}, Cost: rapid.IntRange(1, 5).Draw(t, "cost")}
		s := limit.State{"user": limittest.At.Add(time.Duration(rapid.Int64Range(-60, 60).Draw(t, "full")) * time.Second).UnixMicro()}
		_, v := limit.Decide(c, s, limittest.At)
		require.Equal(t, v.Wait, limit.Buckets(c.Lines, s, limittest.At)[0].Wait(c.Cost))
	})
}
