package attack

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/e2e/attack/bootstrap"
	"fitvault/e2e/stack"
	"fitvault/shared/fault"
)

const (
	overload = 4 // times the capacity
	// closed is how many clients measure the capacity, each with one request at a time: enough to
	// keep two processors busy, and fewer than are let in at once.
	closed = 8
	// admitted is how many the local gateway has at work at once for each processor
	// (localstack/launcher/services.py).
	admitted = 32
)

// outcome is what became of one request.
type outcome struct {
	status int // 0: no answer
	took   time.Duration
	end    time.Time
	bad    string // why it is no refusal of ours
}

// crowd is people who send readings and read some back, by the deployed app's plan.
type crowd struct {
	people []*stack.Person
	n      atomic.Int64
}

func (c *crowd) request(t *testing.T) outcome {
	n := int(c.n.Add(1))
	p := c.people[n%len(c.people)]
	began := time.Now()
	var a stack.Answer
	var err error
	if n%4 == 0 {
		a, err = p.Try(t, http.MethodGet, "/users/me/readings?page_size=10&from="+day(n%30).Format(time.DateOnly)+"T00:00:00Z", nil)
	} else {
		body := batch(heartRate(newUUID(0x200, n), day(n%30).Add(time.Duration(n)*time.Second), "71", "beats/min"))
		a, err = p.Try(t, http.MethodPost, "/users/me/readings", body, "Content-Type", mediaJSON, "Idempotency-Key", fmt.Sprint("overload ", began.UnixNano(), n))
	}
	o := outcome{status: a.Status, end: time.Now()}
	if o.took = o.end.Sub(began); err != nil {
		return o
	}
	if a.Status != http.StatusOK {
		o.bad = unlikeARefusal(a)
	}
	return o
}

// unlikeARefusal says why an answer is not one of those that overload may be answered by.
func unlikeARefusal(a stack.Answer) string {
	kind := fault.TooMany
	if a.Status != kind.Status() {
		kind = fault.Unavailable
	}
	after, err := strconv.Atoi(a.Header.Get("Retry-After"))
	switch {
	case a.Status != kind.Status():
		return fmt.Sprintf("status %d", a.Status)
	case !strings.Contains(string(a.Body), `"type":"https://fitvault.example/problems/`+string(kind)+`"`) || a.Header.Get("Content-Type") != "application/problem+json":
		return fmt.Sprintf("status %d is not the problem", a.Status)
	case err != nil || after < 1:
		return fmt.Sprintf("status %d without Retry-After", a.Status)
	}
	return ""
}

// capacity is how many requests a second are answered where each client waits for
// its answer.
func (c *crowd) capacity(t *testing.T, for_ time.Duration) float64 {
	ctx, cancel := context.WithTimeout(t.Context(), for_)
	defer cancel()
	var good atomic.Int64
	var wait sync.WaitGroup
	began := time.Now()
	for range closed {
		wait.Go(func() {
			for ctx.Err() == nil {
				if c.request(t).status == http.StatusOK {
					good.Add(1)
				}
			}
		})
	}
	wait.Wait()
	return float64(good.Load()) / time.Since(began).Seconds()
}

// offer sends so many requests a second, whatever becomes of them.
func (c *crowd) offer(t *testing.T, rate float64, during time.Duration) []outcome {
	var mu sync.Mutex
	var all []outcome
	var wait sync.WaitGroup
	began := time.Now()
	for n := 0; ; n++ {
		at := began.Add(time.Duration(float64(n) / rate * float64(time.Second)))
		if at.Sub(began) >= during {
			break
		}
		time.Sleep(time.Until(at))
		wait.Go(func() {
			o := c.request(t)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, o)
		})
	}
	wait.Wait()
	return all
}

// memory is what the stack's processes of functions hold, by process.
func memory(t *testing.T, s *stack.Stack) map[int]int64 {
	t.Helper()
	held := map[int]int64{}
	for _, p := range processes(t, s) {
		if n, err := bootstrap.Resident(p.pid); err == nil { // else it has ended by now
			held[p.pid] = n
		}
	}
	return held
}

// TestOverload: of four times what the stack can do, it goes on doing what it can, and in
// time; the rest is told to come back later; and nothing grows. It measures, and takes all of
// the machine from other tests, so it runs by itself (make attack).
func TestOverload(t *testing.T) {
	if !whole {
		t.Skip("it needs the machine for itself: make attack")
	}
	s := stack.Open(t)
	c := &crowd{}
	for range 16 {
		c.people = append(c.people, s.Newcomer(t))
	}
	c.offer(t, 50, 10*time.Second) // as many processes start as there will be
	c.capacity(t, 5*time.Second)
	capacity := c.capacity(t, 15*time.Second)

	// Who is let in is at work with so many others, so it takes him that many times what one takes
	// (Little's law); the last of a hundred twice as long.
	work := time.Second + time.Duration(2*admitted*float64(runtime.NumCPU())/capacity*float64(time.Second))
	const during = time.Minute
	half := make(chan map[int]int64, 1)
	time.AfterFunc(during/2, func() { half <- memory(t, s) })
	began := time.Now()
	offered := overload * capacity
	all := c.offer(t, offered, during)
	grown := growth(<-half, memory(t, s))
	capacity = (capacity + c.capacity(t, 15*time.Second)) / 2 // others use the machine, too

	good, answers := 0, map[string]int{}
	var took, refused []time.Duration
	for _, o := range all {
		answers[strings.TrimSpace(fmt.Sprint(o.status, " ", o.bad))]++
		switch {
		case o.status == http.StatusOK && o.end.Before(began.Add(during)):
			good++
			fallthrough
		case o.status == http.StatusOK:
			took = append(took, o.took)
		default:
			refused = append(refused, o.took)
		}
	}
	goodput := float64(good) / during.Seconds()
	// At the door he has waited with those who were refused: LocalStack hears them between the work of all
	// who are in. And never what the gateway would not wait for.
	door := percentile(refused, 99)
	bound := min(29*time.Second, door+work)
	t.Logf("capacity %.1f/s, offered %.1f/s, goodput %.1f/s (%.0f %%); answers %v", capacity, offered, goodput, 100*goodput/capacity, answers)
	t.Logf("let in: p50 %v, p99 %v (bound %v); refused: p50 %v, p99 %v; memory %+.1f %%", percentile(took, 50), percentile(took, 99), bound.Round(time.Millisecond), percentile(refused, 50), door, 100*grown)

	for answer, n := range answers {
		require.Contains(t, []string{"200", "429", "503"}, answer, "%d of them", n)
	}
	require.NotZero(t, answers["429"])
	require.GreaterOrEqual(t, goodput, 0.8*capacity)
	require.LessOrEqual(t, door, 10*time.Second)
	require.LessOrEqual(t, percentile(took, 99), bound)
	require.Less(t, grown, 0.1)
}

// growth is by what share processes have grown that were there before and are there now.
func growth(before, now map[int]int64) float64 {
	var was, is int64
	for pid, n := range before {
		if now[pid] > 0 {
			was, is = was+n, is+now[pid]
		}
	}
	return float64(is-was) / float64(max(was, 1))
}

func percentile(all []time.Duration, percent int) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)-1, len(all)*percent/100)].Round(time.Millisecond)
}
