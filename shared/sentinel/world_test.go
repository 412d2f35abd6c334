package sentinel_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/limit"
	"fitvault/shared/sentinel"
)

// world is a service in simulated time: the real limiter with the limits of the
// template, events as shared/edge writes them, and a sentinel that is told of them two
// seconds later, which is more than a stream takes.
type world struct {
	t        *testing.T
	now      time.Time
	limiter  limit.Memory
	audit    auditlog.Memory
	owners   sentinel.Owners
	sentinel sentinel.Sentinel
	found    []string
	waiting  []sentinel.Event
}

var limits = limit.Limits{User: 300, Device: 60, Address: 60}

const streamTakes = 2 * time.Second

// begin is amidst a window of all detectors: none begins or ends within its minute.
var begin = time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC)

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: begin, owners: sentinel.Owners{}}
	now := func() time.Time { return w.now }
	w.limiter.Now = now
	w.sentinel = sentinel.Sentinel{Counters: &sentinel.Memory{}, Accounts: w.owners, Limiter: &w.limiter, Audit: &w.audit, Factor: 1, Now: now, Rand: rand.Reader,
		Found: func(_ context.Context, f sentinel.Finding) { w.found = append(w.found, f.Detector) }}
	return w
}

// id is a random one of a person or an account.
func id(t *testing.T) string {
	user, err := access.NewUserID(rand.Reader)
	require.NoError(t, err)
	return user.String()
}

func name(of string) string { return base64.RawURLEncoding.EncodeToString([]byte(of)) }

// person is somebody with a sign-in at an address.
type person struct{ id, device, client, address string }

func (w *world) person() person {
	return person{id: id(w.t), device: rand.Text(), client: "app", address: rand.Text()}
}

func (p person) charged(address bool) auditlog.Charged {
	c := auditlog.Charged{Key: "identity#" + name(p.id), Device: p.device}
	if address {
		c.Address = p.address
	}
	return c
}

// request is what somebody asks for, and what becomes of it.
type request struct {
	auditlog.Event
	cost int
}

// does is a request of p's that is allowed, unless e says what else.
func (w *world) does(p person, cost int, e auditlog.Event) request {
	var err error
	e.ID, err = auditlog.NewID(w.now, rand.Reader)
	require.NoError(w.t, err)
	e.Time, e.Caller, e.Client = w.now, p.id, p.client
	if e.Outcome == "" {
		e.Outcome = auditlog.Allowed
	}
	e.Charged = p.charged(e.Outcome == auditlog.Refused)
	return request{e, cost}
}

// tries is what a user pool tells of somebody at an address who says that he is p.
func (w *world) tries(p person, what sentinel.Attempt, address string) {
	e := sentinel.Event{Attempt: what, Event: auditlog.Event{ID: rand.Text(), Time: w.now, Caller: p.charged(false).Key,
		Charged: auditlog.Charged{Key: p.charged(false).Key, Address: address}}}
	w.waiting = append(w.waiting, e)
}

// fails is whether an address may fail once more.
func (w *world) fails(address string) bool {
	return w.take(limit.Charge{Key: limit.AddressPrefix + address, Cost: 1, Lines: []limit.Line{{ID: limit.Address, Rate: limits.Address}}}).Admitted
}

// take is a charge, by the limiter's own word.
func (w *world) take(c limit.Charge) limit.Verdict {
	v, err := w.limiter.Take(w.t.Context(), c)
	require.NoError(w.t, err)
	return v
}

func (r request) charge(cost int, owed bool) limit.Charge {
	c := limit.Charge{Key: r.Charged.Key, Cost: cost, Owed: owed, Lines: []limit.Line{{Name: limit.User, ID: limit.User, Rate: limits.User}}}
	if r.Charged.Device != "" {
		c.Lines = append(c.Lines, limit.Line{Name: "device", ID: r.Charged.Device, Rate: limits.Device})
	}
	return c
}

// send is what shared/edge does with a request, as far as limits and events go. It
// returns how long to wait where it was refused by limits.
func (w *world) send(r request) time.Duration {
	if v := w.take(r.charge(r.cost, false)); !v.Admitted {
		return v.Wait
	}
	w.waiting = append(w.waiting, sentinel.Event{Event: r.Event})
	if r.Outcome == auditlog.Refused {
		w.take(r.charge(4, true))
	}
	return 0
}

// pass lets time pass, and the stream deliver what it has had long enough.
func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	n := 0
	for n < len(w.waiting) && w.now.Sub(w.waiting[n].Time) >= streamTakes {
		n++
	}
	if n > 0 {
		require.NoError(w.t, w.sentinel.Watch(w.t.Context(), w.waiting[:n]))
		w.waiting = w.waiting[n:]
	}
}
