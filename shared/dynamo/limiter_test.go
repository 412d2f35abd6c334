package dynamo_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/dynamo"
	"fitvault/shared/limit"
	"fitvault/shared/limit/limittest"
)

// unheard is a limiter whose clock hears no answers: a test sets the time.
func unheard(tables dynamo.Tables) limittest.New {
	return func(now func() time.Time) limit.Limiter {
		return &dynamo.Limiter{Tables: tables, Clock: &dynamo.Clock{Own: now}}
	}
}

func TestLimiterContract(t *testing.T) { limittest.Contract(t, unheard(deployed(t))) }

func TestLimiterHolds(t *testing.T) { limittest.Holds(t, unheard(deployed(t))) }

func TestLimiterLeases(t *testing.T) { limittest.Leases(t, unheard(deployed(t))) }

// TestLeasesTogether: processes that begin at once, on a bucket that fills faster than a
// call takes, all get their leases.
func TestLeasesTogether(t *testing.T) {
	tables, name := deployed(t), rand.Text()
	var group sync.WaitGroup
	for range 16 {
		l := &limit.Leases{Limiter: &dynamo.Limiter{Tables: tables, Clock: &dynamo.Clock{Own: time.Now}}, Prefix: limit.ClientPrefix,
			Line: limit.Line{Name: limit.Client, ID: limit.Client, Rate: 36_000}, Now: time.Now}
		group.Go(func() {
			for range 300 {
				if v, err := l.Take(t.Context(), name, 1); err != nil || !v.Admitted {
					t.Error("an app within its limit is refused")
				}
			}
		})
	}
	group.Wait()
}

// TestLimiterIsLinearizable: 20 histories here, 1,000 in make attack.
func TestLimiterIsLinearizable(t *testing.T) {
	histories := 20
	if os.Getenv("ATTACK") == "whole" {
		histories = 1000
	}
	require.True(t, limittest.Linearizable(t, histories, unheard(deployed(t))))
}

// hammer is what one process of TestProcesses does, told in its environment.
type hammer struct {
	Key   string
	Skew  time.Duration
	Until time.Time
}

const hammering = "FITVAULT_LIMIT_HAMMER"

// TestProcesses: 8 processes, whose clocks differ by up to 10 s, charge one user as
// fast as they can, and admit within 1 % what one clock would: a quota, and what has
// come back. 30 s in make attack, 3 s here.
func TestProcesses(t *testing.T) {
	if told := os.Getenv(hammering); told != "" {
		strike(t, told)
		return
	}
	stack.Open(t)
	lasts := 3 * time.Second
	if os.Getenv("ATTACK") == "whole" {
		lasts = 30 * time.Second
	}
	self, err := os.Executable()
	require.NoError(t, err)
	key := "identity#" + rand.Text()
	// They start together: when all are up, which takes them a while.
	until := time.Now().Add(3*time.Second + lasts)
	var group sync.WaitGroup
	var mu sync.Mutex
	var all report
	for i := range 8 {
		group.Go(func() {
			told, _ := json.Marshal(hammer{Key: key, Skew: []time.Duration{-5 * time.Second, 0, 5 * time.Second, 0}[i%4], Until: until})
			command := exec.Command(self, "-test.run=^TestProcesses$", "-test.v")
			command.Env = append(os.Environ(), hammering+"="+string(told))
			out, err := command.Output()
			_, line, _ := bytes.Cut(out, []byte("report "))
			var r report
			mu.Lock()
			defer mu.Unlock()
			if err != nil || json.NewDecoder(bytes.NewReader(line)).Decode(&r) != nil {
				t.Error("a process failed")
				return
			}
			all.add(r)
		})
	}
	group.Wait()
	require.NotZero(t, all.Refused, "otherwise nothing was limited")
	allowed := float64(strikes) * (1 + all.Last.Sub(all.First).Minutes())
	t.Logf("%d admitted of %.1f allowed in %v; %d refused, %d writes", all.Admitted, allowed, all.Last.Sub(all.First), all.Refused, all.Writes)
	require.InDelta(t, allowed, float64(all.Admitted), max(1, allowed/100), "to a whole request")
}

// strikes is the rate: a quota is gone in a second or two.
const strikes limit.Rate = 120

type report struct {
	Admitted, Refused, Writes int
	First, Last               time.Time
}

func (r *report) add(o report) {
	r.Admitted, r.Refused, r.Writes = r.Admitted+o.Admitted, r.Refused+o.Refused, r.Writes+o.Writes
	if r.First.IsZero() || o.First.Before(r.First) {
		r.First = o.First
	}
	if o.Last.After(r.Last) {
		r.Last = o.Last
	}
}

func strike(t *testing.T, told string) {
	var h hammer
	require.NoError(t, json.Unmarshal([]byte(told), &h))
	tables := deployed(t)
	clock := &dynamo.Clock{Own: func() time.Time { return time.Now().Add(h.Skew) }}
	counted := &counting{}
	client := dynamodb.New(tables.Client.Options(), clock.Listen, func(o *dynamodb.Options) { counted.next, o.HTTPClient = o.HTTPClient, counted })
	tables.Client = client
	l := &dynamo.Limiter{Tables: tables, Clock: clock}
	c := limit.Charge{Key: h.Key, Lines: []limit.Line{{Name: "user", ID: "user", Rate: strikes}}, Cost: 1}
	var r report
	for time.Now().Before(h.Until) {
		began := time.Now()
		v, err := l.Take(t.Context(), c)
		require.NoError(t, err)
		if r.First.IsZero() {
			r.First = began
		}
		if r.Last = time.Now(); v.Admitted {
			r.Admitted++
			continue
		}
		r.Refused++
		time.Sleep(min(v.Wait, 20*time.Millisecond)) // a caller who comes again
	}
	r.Writes = counted.n
	text, err := json.Marshal(r)
	require.NoError(t, err)
	fmt.Printf("report %s\n", text)
}

type counting struct {
	next dynamodb.HTTPClient
	n    int
}

func (c *counting) Do(r *http.Request) (*http.Response, error) {
	c.n++
	return c.next.Do(r)
}
