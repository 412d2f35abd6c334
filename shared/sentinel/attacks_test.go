package sentinel_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/fault"
	"fitvault/shared/limit"
	"fitvault/shared/sentinel"
)

// attack is what somebody does ten times a second, or as often as he is let.
type attack func(n int) request

// refused is an event of a refusal.
func refused(action access.Action, kind fault.Kind, owner string) auditlog.Event {
	return auditlog.Event{Action: string(action), Outcome: auditlog.Refused, Kind: string(kind), Owner: owner}
}

// attacks is one for each detector of callers who are known.
func attacks(w *world) map[string]attack {
	victim, stranger := w.person(), w.person()
	one := w.person()
	app := w.person()
	app.client = "partner"
	system := person{id: "identity#" + name("partner"), client: "partner", address: rand.Text()}
	address := rand.Text()
	return map[string]attack{
		"failures": func(int) request { return w.does(one, 1, refused(access.ReadingsRead, fault.Forbidden, one.id)) },
		"failures by signatures": func(int) request {
			return w.does(one, 1, refused(access.ReadingsWrite, fault.SignatureRefused, one.id))
		},
		"many-accounts": func(int) request {
			stolen := w.person()
			stolen.address = address
			return w.does(stolen, 1, refused(access.ReadingsRead, fault.Forbidden, stolen.id))
		},
		"probing": func(int) request { return w.does(stranger, 1, refused(access.DaysRead, fault.NotFound, id(w.t))) },
		"harvest": func(int) request { return w.does(stranger, 2, auditlog.Event{Action: "readings.read", Owner: id(w.t)}) },
		"bulk-reading by grantee": func(int) request {
			return w.does(stranger, 2, auditlog.Event{Action: "readings.read", Owner: victim.id})
		},
		"bulk-reading by app": func(int) request {
			return w.does(app, 2, auditlog.Event{Action: "readings.read", Owner: app.id, Reasons: []string{"app-reads-for-owner"}})
		},
		"bulk-reading by system": func(int) request {
			return w.does(system, 2, auditlog.Event{Action: "readings.read", Owner: victim.id, Reasons: []string{"system-reads"}})
		},
		"excessive-sync": func(int) request {
			return w.does(one, 1, auditlog.Event{Action: "readings.write", Owner: one.id, Records: 1})
		},
		"unmeasurable": func(int) request {
			return w.does(one, 1, auditlog.Event{Action: "readings.write", Owner: one.id, Device: "acme-1", Records: 50, Rejected: 10})
		},
		"guesses of invitations": func(int) request {
			return w.does(stranger, 1, refused(access.InvitationsAccept, fault.NotFound, stranger.id))
		},
		"guesses of pairings": func(int) request {
			return w.does(stranger, 1, refused(access.DevicesWrite, fault.NotFound, stranger.id))
		},
		"exports": func(int) request {
			return w.does(one, 2, auditlog.Event{Action: "recordings.read", Owner: one.id, Recording: id(w.t)})
		},
	}
}

// detectorOf is the first word of an attack's name.
func detectorOf(attack string) (detector string) {
	_, _ = fmt.Sscan(attack, &detector)
	return detector
}

// TestAttacks: each is found within a minute, and from then on gets through less than
// once in a while, for as long as it is to wait.
func TestAttacks(t *testing.T) {
	for name := range attacks(newWorld(t)) {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			step, through, at := attacks(w)[name], 0, time.Time{}
			other := w.person()
			for n := 0; w.now.Before(begin.Add(5 * time.Minute)); n++ {
				if w.send(step(n)) == 0 && !at.IsZero() {
					through++
				}
				w.pass(100 * time.Millisecond)
				if at.IsZero() && len(w.found) > 0 {
					at = w.now
				}
			}
			require.Contains(t, w.found, detectorOf(name))
			require.LessOrEqual(t, at.Sub(begin), time.Minute)
			t.Logf("found after %v", at.Sub(begin))
			if name == "many-accounts" { // each is another sign-in, and the first failure is free
				require.NotEmpty(t, w.audit.Events())
				return
			}
			require.Zero(t, through, "until five minutes after")
			require.Zero(t, w.send(w.does(other, 1, auditlog.Event{Action: "readings.read", Owner: other.id})), "others notice nothing")
			of := w.audit.Events()
			require.NotEmpty(t, of)
			require.Equal(t, sentinel.Function, of[0].Function)
			require.Equal(t, sentinel.Action, of[0].Action)
			require.Equal(t, auditlog.Alarm, of[0].Outcome)
			require.Equal(t, detectorOf(name), of[0].Kind)
			require.NotEmpty(t, of[0].Caller)
			w.pass(6*time.Minute + time.Second)
			require.Zero(t, w.send(step(0)), "it passes by itself")
		})
	}
}

// TestStolenTokensAreHeld: at an address at which many are refused, each sign-in that is
// refused waits, and the address for what it fails; a good one there goes on.
func TestStolenTokensAreHeld(t *testing.T) {
	w := newWorld(t)
	address := rand.Text()
	var stolen []person
	for range 20 {
		p := w.person()
		p.address = address
		stolen = append(stolen, p)
		require.Zero(t, w.send(w.does(p, 1, refused(access.ReadingsRead, fault.Unauthenticated, ""))))
		w.pass(streamTakes)
	}
	require.Contains(t, w.found, "many-accounts")
	require.Positive(t, w.send(w.does(stolen[19], 1, auditlog.Event{Action: "readings.read"})))
	failure := limit.Charge{Key: limit.AddressPrefix + address, Cost: 1, Lines: []limit.Line{{ID: limit.Address, Rate: limits.Address}}}
	require.False(t, w.take(failure).Admitted)
	good := w.person()
	good.address = address
	require.Zero(t, w.send(w.does(good, 1, auditlog.Event{Action: "readings.read"})))
}

// TestTheVictimGoesOn: what is done to somebody's account, or by an app that he let in,
// or with one stolen sign-in, does not shut him out.
func TestTheVictimGoesOn(t *testing.T) {
	for _, attacked := range []string{"bulk-reading by grantee", "bulk-reading by app", "excessive-sync", "exports", "failures", "guesses of pairings"} {
		w := newWorld(t)
		step := attacks(w)[attacked]
		var last request
		for range 600 {
			last = step(0)
			w.send(last)
			w.pass(100 * time.Millisecond)
		}
		require.NotEmpty(t, w.found, attacked)
		require.Positive(t, w.send(last), attacked)
		owner := person{id: last.Owner, device: "his own phone", client: "app"}
		for range 20 {
			require.Zero(t, w.send(w.does(owner, 1, auditlog.Event{Action: "readings.write", Owner: owner.id, Records: 100})), attacked)
		}
	}
}

// TestAnAppThatAsksForOthers: an app that somebody let in, or a thief of one sign-in, who asks
// for accounts of others until he is found, makes that sign-in wait and no other of his.
func TestAnAppThatAsksForOthers(t *testing.T) {
	for _, attacked := range []string{"probing", "failures on others"} {
		w := newWorld(t)
		victim, other := w.person(), id(t)
		step := func() request { return w.does(victim, 1, refused(access.ReadingsRead, fault.Forbidden, id(t))) }
		if attacked != "probing" {
			step = func() request { return w.does(victim, 1, refused(access.ReadingsRead, fault.Forbidden, other)) }
		}
		for range 600 {
			w.send(step())
			w.pass(100 * time.Millisecond)
		}
		require.Contains(t, w.found, detectorOf(attacked))
		require.Positive(t, w.send(step()), attacked)
		victim.device = "his own phone"
		require.Zero(t, w.send(w.does(victim, 1, auditlog.Event{Action: "readings.read", Owner: victim.id})), attacked)
	}
}

// TestSignInsAnew: who has been found and signs in anew waits again after his next step.
func TestSignInsAnew(t *testing.T) {
	w := newWorld(t)
	one := w.person()
	through := 0
	for n := range 600 { // a new sign-in every ten seconds
		if n%100 == 0 {
			one.device = rand.Text()
		}
		if w.send(w.does(one, 1, refused(access.InvitationsAccept, fault.NotFound, one.id))) == 0 {
			through++
		}
		w.pass(100 * time.Millisecond)
	}
	require.Less(t, through, 6*15, "each comes as far as the stream takes")
	kinds := map[string]int{}
	for _, e := range w.audit.Events() {
		kinds[e.Kind]++
	}
	require.Equal(t, map[string]int{"guesses": 1, "failures": 1}, kinds, "and one finding of each")
}

// TestAddressFails: shared/edge says once a minute that an address has failed too often;
// it then waits for all that it fails.
func TestAddressFails(t *testing.T) {
	w := newWorld(t)
	failure := limit.Charge{Key: limit.AddressPrefix + "name", Cost: 1, Lines: []limit.Line{{ID: limit.Address, Rate: limits.Address}}}
	told, through, at := false, 0, time.Time{}
	for w.now.Before(begin.Add(5 * time.Minute)) {
		if v := w.take(failure); v.Admitted && !at.IsZero() {
			through++
		} else if !v.Admitted && !told {
			told = true
			e := auditlog.Event{Time: w.now, Action: auditlog.Authenticate, Outcome: auditlog.Refused, Kind: string(fault.TooMany),
				Charged: auditlog.Charged{Key: failure.Key, Address: "name"}}
			e.ID, _ = auditlog.NewID(w.now, rand.Reader)
			w.waiting = append(w.waiting, sentinel.Event{Event: e})
		}
		w.pass(100 * time.Millisecond)
		if at.IsZero() && len(w.found) > 0 {
			at = w.now
		}
	}
	require.Equal(t, []string{"address-failures"}, w.found)
	require.Less(t, at.Sub(begin), time.Minute)
	require.Zero(t, through)
	require.Empty(t, w.audit.Events()[0].Caller+w.audit.Events()[0].Owner, "nobody is known")
}

// TestAtTheUserPool: what is tried where no function hears of it is found within a
// minute. The address has to wait; whose name it was goes on, unless somebody got in.
func TestAtTheUserPool(t *testing.T) {
	address := rand.Text()
	for name, test := range map[string]struct {
		step   func(w *world, victim person, n int)
		held   bool // the person
		unseen bool // nobody in particular is told
	}{
		// Cognito slows it down by itself: five at once, then after a second, two, four …
		"password-guesses": {step: func(w *world, victim person, n int) {
			if after := w.now.Sub(begin); n < 5 || n%10 == 0 && slices.Contains([]time.Duration{1, 3, 7, 15, 31, 63}, after/time.Second) {
				w.tries(victim, sentinel.Refused, address)
			}
		}},
		"many-accounts": {unseen: true, step: func(w *world, victim person, n int) {
			if n%10 == 0 {
				who := w.person()
				if n%50 == 0 {
					who = victim
				}
				w.tries(who, []sentinel.Attempt{sentinel.Refused, sentinel.Forgotten}[n/10%2], address)
			}
		}},
		"takeovers": {held: true, step: func(w *world, victim person, n int) {
			if n == 100 {
				w.tries(victim, sentinel.Doubtful, address)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			victim, at := w.person(), time.Time{}
			w.owners[victim.charged(false).Key] = victim.id
			for n := 0; at.IsZero() && w.now.Before(begin.Add(2*time.Minute)); n++ {
				test.step(w, victim, n)
				w.pass(100 * time.Millisecond)
				if len(w.found) > 0 {
					at = w.now
				}
			}
			require.Subset(t, []string{name}, w.found)
			require.LessOrEqual(t, at.Sub(begin), time.Minute)
			t.Logf("found after %v", at.Sub(begin))
			require.False(t, w.fails(address), "it has to wait")
			require.Equal(t, test.held, w.send(w.does(victim, 1, auditlog.Event{Action: "readings.write", Owner: victim.id, Records: 100})) > 0)
			of := w.audit.Events()[0]
			require.Equal(t, name, of.Kind)
			require.Empty(t, of.Caller+of.About, "it was not he")
			if test.unseen {
				require.Empty(t, of.Owner)
			} else {
				require.Equal(t, victim.id, of.Owner, "he sees it")
			}
			w.pass(6 * time.Minute)
			require.True(t, w.fails(address), "it passes by itself")
		})
	}
}

// TestNobodyAtTheUserPool: of a name that nobody has, an identity without an account, a
// try without an address: it is found, and no one is named who is no one.
func TestNobodyAtTheUserPool(t *testing.T) {
	for name, e := range map[string]sentinel.Event{
		"name#a":     {Attempt: sentinel.Refused, Event: auditlog.Event{Caller: "name#a"}},
		"identity#a": {Attempt: sentinel.Refused, Event: auditlog.Event{Caller: "identity#a", Charged: auditlog.Charged{Key: "identity#a"}}},
	} {
		w := newWorld(t)
		for range 10 {
			e.ID, e.Time = rand.Text(), w.now
			require.NoError(t, w.sentinel.Watch(t.Context(), []sentinel.Event{e}))
		}
		require.Equal(t, []string{"password-guesses"}, w.found)
		of := w.audit.Events()[0]
		require.Equal(t, map[string]string{"name#a": "", "identity#a": "identity#a"}[name], of.About)
		require.Empty(t, of.Caller+of.Owner)
	}
}

// noAccounts cannot be read.
type noAccounts struct{}

func (noAccounts) OwnerOf(context.Context, string) (string, error) { return "", errDown }

// TestWhoseAccountCannotBeRead: then it is not told to nobody, but comes again.
func TestWhoseAccountCannotBeRead(t *testing.T) {
	w := newWorld(t)
	victim := w.person()
	w.owners[victim.charged(false).Key] = victim.id
	w.tries(victim, sentinel.Doubtful, "a")
	up := w.sentinel.Accounts
	w.sentinel.Accounts = noAccounts{}
	err := w.sentinel.Watch(t.Context(), w.waiting)
	require.ErrorIs(t, err, errDown)
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	require.Empty(t, w.audit.Events())
	w.sentinel.Accounts = up
	for range 2 {
		require.NoError(t, w.sentinel.Watch(t.Context(), w.waiting))
	}
	require.Equal(t, victim.id, w.audit.Events()[0].Owner)
}

// TestWhatHasNoCaller: gaps in the log, an app's refusals at the gateway, schedules. There
// is nobody to wait; it is told.
func TestWhatHasNoCaller(t *testing.T) {
	owner := id(t)
	for name, step := range map[string]func(n int) sentinel.Event{
		"log-gaps": func(n int) sentinel.Event {
			return sentinel.Event{Gap: true, Event: auditlog.Event{ID: fmt.Sprint(n), Owner: owner, Action: "readings.read", Outcome: auditlog.Allowed}}
		},
		"gateway-refusals": func(n int) sentinel.Event {
			return sentinel.Event{Gateway: &sentinel.Gateway{Key: "k", Count: 100}, Event: auditlog.Event{ID: fmt.Sprint(n)}}
		},
		"failing-schedules": func(n int) sentinel.Event {
			return sentinel.Event{Failed: "keykeeper", Event: auditlog.Event{ID: fmt.Sprint(n)}}
		},
	} {
		w := newWorld(t)
		for n := range 60 { // one a second
			e := step(n)
			e.Time = w.now
			w.waiting = append(w.waiting, e)
			w.pass(time.Second)
		}
		require.Equal(t, []string{name}, w.found, "and nothing else sees it")
		require.Equal(t, name, w.audit.Events()[0].Kind)
		require.Equal(t, map[string]string{"log-gaps": "", "gateway-refusals": "k", "failing-schedules": "keykeeper"}[name], w.audit.Events()[0].About,
			"who is told can see which it was")
	}
}
