// Package limit says how much a caller may ask for. A bucket is a GCRA (the generic
// cell rate algorithm of ATM): all that is kept of it is one instant, the time at
// which it will be full again. That instant only ever rises, so it needs no clock of
// its own, a window has no edge at which twice as much passes, and whoever has seen a
// bucket too empty knows that it stays so until a time that he can tell.
package limit

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"
)

// Window is what quotas are of. A bucket that has rested holds a whole quota.
const Window = time.Minute

// Rate is a bucket's quota: what comes back in a Window, and the most that it holds.
// It is in requests, from 1 to MaxRate.
type Rate int64

// MaxRate is the highest rate: a request every 60 µs.
const MaxRate Rate = 1_000_000

// step is what one request takes, in microseconds of Window. What is lost by
// division makes a rate higher, by one part in 60 at most.
func (r Rate) step() int64 { return Window.Microseconds() / int64(r) }

// Limits are a deployment's rates.
type Limits struct {
	User    Rate // of a person, or a system's client, on all devices together
	Device  Rate // of one sign-in: an app on a phone, a bridge, a browser
	Address Rate // of failures to be somebody from one address
	Client  Rate // of all people of one app together
}

// Valid reports whether all rates are ones, and what costs cost can be had at all.
func (l Limits) Valid(cost int) bool {
	for _, r := range []Rate{l.User, l.Device, l.Address, l.Client} {
		if r < 1 || r > MaxRate || cost < 1 || int64(cost) > int64(r) {
			return false
		}
	}
	return true
}

// Line is one bucket of a charge.
type Line struct {
	Name string // what callers are told: "user", "device"
	ID   string // which one it is under its Charge's Key: [A-Za-z0-9_-]
	Rate Rate
}

// Charge is what one request takes, of one caller's buckets together.
type Charge struct {
	Key   string // whose; no two kinds of caller share one
	Lines []Line
	Cost  int  // requests that it counts as, at least 1
	Owed  bool // it has happened already: it is taken whatever is left
}

// State is what is kept under a Key: of each bucket, by ID, the time at which it will
// be full, in microseconds since 1970. What is not there is full.
type State map[string]int64

// Verdict is what became of a Charge.
type Verdict struct {
	Admitted bool
	Wait     time.Duration // until the same charge is admitted, if nobody else comes; 0 where it was
	Buckets  []Bucket      // after it, in the order of Lines
}

// Bucket is how a bucket stands.
type Bucket struct {
	Name  string
	Quota Rate
	Left  int64         // requests
	Full  time.Duration // until all of the quota is there again
}

// Wait is how long it takes until cost requests are there.
func (b Bucket) Wait(cost int) time.Duration {
	return max(0, b.Full+time.Duration(int64(cost)*b.Quota.step())*time.Microsecond-Window)
}

// Limiter charges.
//
// Take decides and charges in one step: all lines of a charge or, where one has too
// little, none. Charges under one key happen one after the other, whoever makes
// them. After an error it is not known whether the charge was made.
type Limiter interface {
	Take(ctx context.Context, c Charge) (Verdict, error)
}

// The buckets that are known by name, and what keys begin with that are not a caller's.
const (
	User          = "user"
	Address       = "address"
	AddressPrefix = "address#"
	Client        = "client"
	ClientPrefix  = "client#"
)

// Holder makes callers wait.
//
// Hold fills up the buckets of a key, by their ids, so that no charge is admitted for d,
// which is at most MaxHold, and from then on what comes back as always. A bucket that
// is held for longer stays so: to hold twice is to hold once, and nothing adds up.
type Holder interface {
	Hold(ctx context.Context, key string, ids []string, d time.Duration) error
}

// MaxHold is the longest that a bucket can be held at once.
const MaxHold = 30 * time.Minute

// Held is the time at which a bucket is full that is held at a time for d.
func Held(now time.Time, d time.Duration) int64 {
	return now.Add(Window + min(d, MaxHold)).UnixMicro()
}

// Decide is the arithmetic of a Limiter: what a charge makes of a state at a time.
// The state is not changed; next holds the charge's lines only, and is nil where
// nothing is charged.
func Decide(c Charge, s State, now time.Time) (next State, v Verdict) {
	at := now.UnixMicro()
	next = State{}
	var wait int64
	for _, line := range c.Lines {
		full := max(s[line.ID], at) + int64(c.Cost)*line.Rate.step()
		wait = max(wait, full-at-Window.Microseconds())
		next[line.ID] = full
	}
	if wait > 0 && !c.Owed {
		return nil, Verdict{Wait: time.Duration(wait) * time.Microsecond, Buckets: Buckets(c.Lines, s, now)}
	}
	return next, Verdict{Admitted: true, Buckets: Buckets(c.Lines, next, now)}
}

// Buckets is how lines stand in a state at a time.
func Buckets(lines []Line, s State, now time.Time) []Bucket {
	buckets := make([]Bucket, len(lines))
	for i, line := range lines {
		full := max(0, s[line.ID]-now.UnixMicro())
		buckets[i] = Bucket{Name: line.Name, Quota: line.Rate, Full: time.Duration(full) * time.Microsecond,
			Left: max(0, (Window.Microseconds()-full)/line.Rate.step())}
	}
	return buckets
}

// Seconds rounds a wait up: who waits so long has waited long enough.
func Seconds(d time.Duration) int64 { return int64(math.Ceil(d.Seconds())) }

// Fields are the RateLimit-Policy and RateLimit fields
// (draft-ietf-httpapi-ratelimit-headers-10): of each bucket its quota and window, and
// what is left and when all of it is there again. Names are tokens, so that quoting
// them is all that a structured field asks for.
func Fields(buckets []Bucket) (policy, state string) {
	policies, states := make([]string, len(buckets)), make([]string, len(buckets))
	for i, b := range buckets {
		policies[i] = fmt.Sprintf("%q;q=%d;w=%d", b.Name, b.Quota, int(Window.Seconds()))
		states[i] = fmt.Sprintf("%q;r=%d;t=%d", b.Name, b.Left, Seconds(b.Full))
	}
	return strings.Join(policies, ", "), strings.Join(states, ", ")
}
