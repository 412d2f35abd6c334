package attack

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/e2e/attack/bootstrap"
	"fitvault/e2e/attack/faults"
	"fitvault/e2e/stack"
)

// weather lets one call in five of DynamoDB and of KMS fail, each in one of four ways.
type weather struct {
	mu     sync.Mutex
	rng    *rand.Rand
	calls  int
	failed map[string]int // service and way → how often
}

func (w *weather) decide(c faults.Call) faults.Fate {
	if c.Service != "DynamoDB" && c.Service != "KMS" {
		return faults.Fate{}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calls++; w.rng.IntN(5) > 0 {
		return faults.Fate{}
	}
	way, fate := "", faults.Fate{}
	switch n := w.rng.IntN(40); {
	case n < 13:
		way, fate.Status = "answered 500", http.StatusInternalServerError
	case n < 26:
		way, fate.Lost = "reset before", true
	case n < 39:
		way, fate.Cut = "reset after", true
	default:
		way, fate.Hang = "done and never answered", true
	}
	w.failed[c.Service+" "+way]++
	return fate
}

// client sends one batch after the other, each until it is acknowledged, or once
// only. Its function is put to sleep from time to time, as Lambda does, so that it
// has to ask KMS again.
type client struct {
	code    bootstrap.Code
	timeout time.Duration // of its function: less than the deployed one, so that a call that is never answered costs the test less
	proxy   string
	person  *stack.Person
	number  int
	process *bootstrap.Process

	acknowledged, abandoned map[string]float64 // id of a reading → its value
	answers                 map[string]int     // status or error → how often
}

const (
	abandons  = 10 // each tenth batch is sent once
	recycled  = 25 // events, after which a process is replaced
	maxTries  = 200
	perClient = 1000 // more than a client has batches
)

func (c *client) run(t *testing.T, batches int) error {
	sent := 0
	for b := range batches {
		points := map[string]float64{}
		var texts []string
		for i := range 1 + b%4 {
			id, value := newUUID(2+c.number, b*10+i), float64(40+(c.number*7+b*3+i)%150)
			points[id] = value
			texts = append(texts, heartRate(id, day((b+i*5)%30).Add(time.Duration(c.number*perClient+b)*time.Second), fmt.Sprint(value), "beats/min"))
		}
		e := post(readings, mediaJSON, batch(texts...)).with("Idempotency-Key", fmt.Sprint("storage ", c.number, " ", b)).event(c.person)
		done := false
		for try := 0; !done && try < maxTries && (try == 0 || b%abandons != 0); try++ {
			if sent++; c.process != nil && sent%recycled == 0 {
				c.process.Kill()
			}
			if c.process == nil || !c.process.Alive() {
				var err error
				if c.process, err = c.code.Start(t, c.proxy); err != nil {
					c.process = nil
					c.answers["no start"]++
					continue
				}
			}
			a, err := c.process.Invoke(e, c.timeout)
			switch {
			default:
				c.answers[fmt.Sprint(a.Status)]++
			case err != nil:
				c.answers[err.Error()]++
			case a.Status == http.StatusOK:
				var answer struct{ Results []struct{ Status, ID string } }
				if err := json.Unmarshal(a.Body, &answer); err != nil {
					return err
				}
				for _, r := range answer.Results {
					if _, sent := points[r.ID]; r.Status != "accepted" || !sent {
						return fmt.Errorf("acknowledged otherwise than asked: %s", a.Body)
					}
				}
				if done = true; len(answer.Results) != len(points) {
					return fmt.Errorf("acknowledged otherwise than asked: %s", a.Body)
				}
				c.answers["200"]++
			}
		}
		kept := c.acknowledged
		if !done {
			if kept = c.abandoned; b%abandons != 0 {
				return errors.New("a batch was not acknowledged in all its tries")
			}
		}
		for id, value := range points {
			kept[id] = value
		}
	}
	return nil
}

// TestFailingStorage: while one call in five of DynamoDB and KMS fails, sixteen
// clients send batches until they are acknowledged. What was acknowledged is
// there exactly once, what was not at most once.
func TestFailingStorage(t *testing.T) {
	s := stack.Open(t)
	w := &weather{rng: rand.New(rand.NewPCG(5, uint64(time.Now().UnixNano()))), failed: map[string]int{}}
	proxy := faults.New(t, s.Endpoints.AWS, s.Outputs, w.decide)
	code := bootstrap.Deployed(t, s, s.Output(t, "IngestFunction"))

	people := []*stack.Person{s.Newcomer(t), s.Newcomer(t)}
	clients := make([]*client, 16)
	errs := make([]error, len(clients))
	var wait sync.WaitGroup
	for i := range clients {
		clients[i] = &client{code: code, timeout: 8 * time.Second, proxy: proxy.URL, person: people[i%len(people)], number: i,
			acknowledged: map[string]float64{}, abandoned: map[string]float64{}, answers: map[string]int{}}
		if i%4 == 3 { // the SDK tries three times; these see each fault
			clients[i].code, clients[i].timeout = code.With("AWS_MAX_ATTEMPTS", "1"), 2*time.Second
		}
		wait.Go(func() { errs[i] = clients[i].run(t, size(32, 2000)/len(clients)) })
	}
	wait.Wait()

	answers, acknowledged := map[string]int{}, 0
	for i, c := range clients {
		require.NoError(t, errs[i])
		for answer, n := range c.answers {
			answers[answer] += n
		}
		acknowledged += len(c.acknowledged)
	}
	t.Logf("%d of %d calls failed: %v", sum(w.failed, ""), w.calls, w.failed)
	t.Logf("answers: %v; %d readings acknowledged", answers, acknowledged)
	for status := range answers {
		require.Contains(t, []string{"200", "503", "no start", bootstrap.ErrTimeout.Error(), bootstrap.ErrEnded.Error()}, status)
	}
	for _, what := range []string{"DynamoDB answered 500", "DynamoDB reset before", "DynamoDB reset after", "KMS"} {
		require.NotZero(t, sum(w.failed, what), "%s did not happen", what)
	}

	for i, p := range people {
		count, value := readBack(t, p, "")
		for j, c := range clients {
			if j%len(people) != i {
				continue
			}
			for id, sent := range c.acknowledged {
				require.Equal(t, 1, count[id], "an acknowledged reading")
				require.Equal(t, sent, value[id])
				delete(count, id)
			}
			for id, sent := range c.abandoned {
				require.LessOrEqual(t, count[id], 1, "a reading that was not acknowledged")
				if count[id] == 1 {
					require.Equal(t, sent, value[id])
				}
				delete(count, id)
			}
		}
		require.Empty(t, count, "readings that nobody sent")
	}
}

// sum is how often anything of a prefix is counted.
func sum(m map[string]int, prefix string) (total int) {
	for name, n := range m {
		if strings.HasPrefix(name, prefix) {
			total += n
		}
	}
	return total
}
