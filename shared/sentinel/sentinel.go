// Package sentinel finds patterns in what happens: who guesses, who reads in bulk, who
// fails again and again. It is told of audit events as they are stored, counts within
// windows of time, and where a count reaches its threshold it makes whoever it was wait,
// and says so (docs/adr/0033-the-sentinel.md).
//
// Events come at least once, in any order, in batches of any size, to several
// containers. So what is counted are things of which each counts once, whoever adds
// them; all that a finding does may be done again.
package sentinel

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/fault"
	"fitvault/shared/limit"
)

// Function and Action are what a finding's audit event has.
const (
	Function = "sentinel"
	Action   = "sentinel.find"
)

// Event is what happened: an audit event as it was stored, or one of the other members,
// of which then ID and Time say which one and when.
type Event struct {
	auditlog.Event
	Gap     bool     // this audit event was removed before it was in the log, or changed
	Gateway *Gateway // what never reached a function
	Failed  string   // a function whose work by schedule failed
	Attempt Attempt  // what somebody tried at a user pool
}

// Attempt is what a user pool tells of somebody who has no token yet. The Event then has
// beside ID and Time as Caller whom he said to be: the id of an identity's document, or,
// where the pool has nobody of that name, a name of the day for it. Charged has the
// day's name of the address, if the pool knew one.
type Attempt string

// What was tried.
const (
	Refused   Attempt = "refused"   // he was not let in, or not believed
	Forgotten Attempt = "forgotten" // he asked for a new password
	Doubtful  Attempt = "doubtful"  // he was let in, and the pool takes him for another
)

// Gateway is refusals by the gateway itself, of one app.
type Gateway struct {
	Key   string // the API key's id; "-" where there was none
	Count int
}

// Counters keep what was seen, for a while.
//
// Add puts things into the counter of a key, and returns the counter after it. Each
// thing is in it once, however often it is added. Where most things or more are in it
// nothing is added. The counter may be forgotten when it has not been added to for life.
//
// Note keeps the first id that is given to a key, and returns that. Told notes that a
// target was dealt with. Both are about a counter that there is.
type Counters interface {
	Add(ctx context.Context, key string, things []Thing, most int, life time.Duration) (Counter, error)
	Note(ctx context.Context, key, id string) (string, error)
	Told(ctx context.Context, key, target string) error
}

// Accounts says whose account an identity is, by the id of its document: the user's id,
// "" where there is no such document or it is not of a person who has an account.
type Accounts interface {
	OwnerOf(ctx context.Context, identity string) (string, error)
}

// Thing is what is counted: the name of one, and how many it stands for, at least 1.
// A thing has one weight, always.
type Thing struct {
	Name   [8]byte
	Weight uint16
}

// Counter is what was counted.
type Counter struct {
	Sum  int // of weights
	Told []string
}

// Finding is a pattern that was found. It names no one: who it was is in its event.
type Finding struct {
	Detector string
	Held     bool // somebody has to wait
}

// Sentinel watches. Every member is required.
type Sentinel struct {
	Counters Counters
	Accounts Accounts
	Limiter  limit.Holder
	Audit    auditlog.Writer
	Factor   int // what thresholds are multiplied by: 1, unless a deployment is for tests
	Now      func() time.Time
	Rand     io.Reader
	Found    func(context.Context, Finding) // is told of each
}

// oldest is how long after its time an event counts. Counters live longer, so what is
// delivered again finds them.
const (
	oldest = time.Hour
	lives  = 3 * time.Hour
)

// maxTargets is how many callers one finding makes wait: a bound for its item. One
// person's sign-ins are meant.
const maxTargets = 50

// group is what a batch adds to one counter.
type group struct {
	detector *Detector
	key      string
	things   []Thing
	targets  []target       // whoever it was, each once
	event    auditlog.Event // the finding's, as far as it is known
}

// Watch counts a batch of events. After an error it is to be given the batch again.
func (s Sentinel) Watch(ctx context.Context, events []Event) error {
	for _, g := range s.groups(events) {
		if err := s.count(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

// groups puts events together by the counters that they are for.
func (s Sentinel) groups(events []Event) (all []*group) {
	of := map[string]*group{}
	now := s.Now()
	for _, e := range events {
		if e.Function == Function || now.Sub(e.Time) > oldest {
			continue
		}
		for i := range detectors {
			d := &detectors[i]
			if !d.when(e) {
				continue
			}
			seen := d.sees(e)
			key := keyOf(d, seen.subject, e.Time)
			g := of[key]
			if g == nil {
				g = &group{detector: d, key: key, event: seen.event}
				of[key], all = g, append(all, g)
			}
			g.things = append(g.things, thing(seen.what, seen.weight))
			for _, t := range seen.targets {
				if t.key != "" && !slices.Contains(g.targets, t) {
					g.targets = append(g.targets, t)
				}
			}
		}
	}
	return all
}

// keyOf names a counter: a detector's, of somebody, in a window. It says nothing about
// who that is: what is hashed is a random id, or an HMAC.
func keyOf(d *Detector, subject string, at time.Time) string {
	h := sha256.Sum256([]byte(d.Name + "\x00" + subject))
	return d.Name + "#" + base64.RawURLEncoding.EncodeToString(h[:16]) + "#" + strconv.FormatInt(at.Truncate(d.Window).Unix(), 10)
}

func thing(what string, weight int) Thing {
	h := sha256.Sum256([]byte(what))
	return Thing{[8]byte(h[:8]), uint16(min(max(1, weight), 1<<16-1))} //nolint:gosec // bounded
}

func (s Sentinel) count(ctx context.Context, g *group) error {
	most := g.detector.Most * s.Factor
	c, err := s.Counters.Add(ctx, g.key, g.things, most, lives)
	if err != nil {
		return fault.Wrap(fault.Unavailable, "events cannot be counted", err)
	}
	if c.Sum < most {
		return nil
	}
	targets := g.targets
	if len(targets) == 0 {
		targets = []target{nobody}
	}
	for _, t := range targets {
		if name := t.name(); !slices.Contains(c.Told, name) && len(c.Told) < maxTargets {
			if err := s.find(ctx, g, t); err != nil {
				return err
			}
			c.Told = append(c.Told, name)
		}
	}
	return nil
}

// find makes a target wait, and says so. Each step may have been done already, by one
// that was ended after it: to do it again changes nothing.
func (s Sentinel) find(ctx context.Context, g *group, t target) error {
	held := t != nobody
	if held {
		if err := s.Limiter.Hold(ctx, t.key, []string{t.bucket}, g.detector.Hold); err != nil {
			return fault.Wrap(fault.Unavailable, "a caller cannot be held", err)
		}
	}
	now := s.Now()
	id, err := auditlog.NewID(now, s.Rand)
	if err != nil {
		return err
	}
	if id, err = s.Counters.Note(ctx, g.key, id); err != nil {
		return fault.Wrap(fault.Unavailable, "a finding cannot be noted", err)
	}
	e := g.event
	e.ID, e.Function, e.Action, e.Outcome, e.Kind = id, Function, Action, auditlog.Alarm, g.detector.Name
	e.Time, _ = auditlog.TimeOf(id) // that of the first to note it
	if err := s.toOwner(ctx, &e); err != nil {
		return err
	}
	if err := s.Audit.Write(ctx, e); err != nil {
		return fault.Wrap(fault.Unavailable, "a finding's event cannot be written", err)
	}
	if err := s.Counters.Told(ctx, g.key, t.name()); err != nil {
		return fault.Wrap(fault.Unavailable, "a finding cannot be noted", err)
	}
	s.Found(ctx, Finding{g.detector.Name, held})
	return nil
}

// toOwner puts an event about an identity into the account that it is of, where its
// owner sees it. Only user pools name people so: of all others the account is known.
func (s Sentinel) toOwner(ctx context.Context, e *auditlog.Event) error {
	if !strings.HasPrefix(e.About, access.IdentityPrefix) {
		return nil
	}
	owner, err := s.Accounts.OwnerOf(ctx, e.About)
	if err != nil {
		return fault.Wrap(fault.Unavailable, "whose account it is cannot be read", err)
	}
	if owner != "" {
		e.Owner, e.About = owner, ""
	}
	return nil
}
