package edge

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/fault"
	"fitvault/shared/limit"
)

const (
	// failureCost is what a request that is refused counts beside what it was counted
	// before: guessing and probing slow themselves down to a fifth.
	failureCost = 4
	// chargeTime is how long the limiter is waited for.
	chargeTime = 2 * time.Second
	// openRate is how many requests a process lets through a minute, of all callers
	// together, where the limiter does not answer and the route is to go on.
	openRate limit.Rate = 60
)

// AddressKey gives the key that addresses are named by, which changes every day.
type AddressKey interface {
	Key(ctx context.Context) ([]byte, error)
}

// charge takes a request's cost from the caller's buckets and then from a lease of his
// app's, before anything is read for him: so of his app's nobody takes more than he may
// have himself. A refusal writes no audit event: it shows and changes nothing, and must
// cost less than what it refuses.
//
// Where the limiter does not answer, the answer is 503: who asks without being counted
// could go through everybody's data. Only routes that take readings in go on, as
// many requests as openRate says: a tracker's memory is small, and what is taken in
// shows nothing.
func (c *Call) charge(ctx context.Context) error {
	cost := max(1, c.route.Cost)
	inTime, done := context.WithTimeout(ctx, chargeTime) // for both
	defer done()
	refusal := errCallersLimit
	v, err := c.take(inTime, c.callers(cost, false))
	if err == nil {
		c.buckets = v.Buckets
	}
	if err == nil && v.Admitted && !c.Principal.System { // a system is its app
		refusal = errAppsLimit
		v, err = c.takeOfApp(inTime, cost)
	}
	switch {
	case err != nil && c.route.FailOpen && c.guard.letThrough(ctx):
		c.uncounted = true
		return nil
	case err != nil:
		return fault.Wrap(fault.Unavailable, "caller's buckets cannot be charged", err)
	case !v.Admitted:
		c.limited, c.wait = true, v.Wait
		return refusal
	}
	return nil
}

var (
	errCallersLimit = fault.New(fault.TooMany, "caller has asked for more than his limits")
	errAppsLimit    = fault.New(fault.TooMany, "people of an app have asked for more than its limit")
)

// takeOfApp takes a request's cost from the bucket of the app that the token names. Who
// is refused is to come back when his own buckets, too, have as much, and not when all
// others come who were refused with him.
func (c *Call) takeOfApp(ctx context.Context, cost int) (limit.Verdict, error) {
	v, err := c.guard.apps.Take(ctx, c.Principal.Client, cost)
	if err == nil && !v.Admitted {
		for _, b := range c.buckets {
			v.Wait = max(v.Wait, b.Wait(cost))
		}
		v.Wait += time.Duration(c.guard.chance()) * time.Second
	}
	return v, err
}

// chargeFailure takes what a refused request costs more: from the caller's buckets,
// or, where nobody knows who it was, from his address's. One whose address has
// failed too often is told that, and no longer why. Requests that are not refused are
// never held against an address: many people share one.
//
// Where the limiter does not answer the refusal stands as it is: it shows nothing.
func (c *Call) chargeFailure(ctx context.Context, err error) error {
	if err == nil || c.limited || fault.KindOf(err).Status() >= http.StatusInternalServerError {
		return err
	}
	owed := c.callers(failureCost, true)
	if !c.known {
		name, failure := c.guard.nameAddress(ctx, c.address)
		if failure != nil {
			c.uncounted = true
			return err
		}
		owed = limit.Charge{Key: limit.AddressPrefix + name, Cost: 1, Lines: []limit.Line{{Name: limit.Address, ID: limit.Address, Rate: c.guard.config.Limits.Address}}}
	}
	v, failure := c.take(ctx, owed)
	switch {
	case failure != nil:
		c.uncounted = true
	case c.known:
		c.buckets = v.Buckets
	case !v.Admitted:
		c.wait = v.Wait
		c.report(ctx, owed)
		return fault.Wrap(fault.TooMany, "address has failed too often", err)
	}
	return err
}

// report writes that an address has failed too often: once a minute in each process,
// so who fails on writes nothing more. It is the only event of a caller whom nobody
// knows, and the sentinel's; the refusal does not wait to be believed.
func (c *Call) report(ctx context.Context, owed limit.Charge) {
	config := c.guard.config
	once := limit.Charge{Key: owed.Key, Cost: 1, Lines: []limit.Line{{Name: "reported", ID: "reported", Rate: 1}}}
	if v, err := c.guard.reported.Take(ctx, once); err != nil || !v.Admitted {
		return
	}
	now := config.Now()
	id, err := auditlog.NewID(now, config.Rand)
	if err == nil {
		err = config.Audit.Write(ctx, auditlog.Event{ID: id, Time: now, Request: c.RequestID, Function: config.Function, Action: auditlog.Authenticate,
			Outcome: auditlog.Refused, Kind: string(fault.TooMany), Charged: auditlog.Charged{Key: owed.Key, Address: strings.TrimPrefix(owed.Key, limit.AddressPrefix)}})
	}
	if err != nil {
		c.uncounted = true
	}
}

func (c *Call) take(ctx context.Context, charge limit.Charge) (limit.Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, chargeTime)
	defer cancel()
	return c.guard.config.Limiter.Take(ctx, charge)
}

// callers is a charge of who the token names. A person's device is his sign-in there:
// the one thing about it that is proved before anything is read. Systems have none.
func (c *Call) callers(cost int, owed bool) limit.Charge {
	p, limits := c.Principal, c.guard.config.Limits
	charge := limit.Charge{Key: access.IdentityKey(p.Issuer, p.Subject), Cost: cost, Owed: owed,
		Lines: []limit.Line{{Name: limit.User, ID: limit.User, Rate: limits.User}}}
	if !p.System {
		charge.Lines = append(charge.Lines, limit.Line{Name: "device", ID: access.SessionName(p.Session)[:deviceName], Rate: limits.Device})
	}
	return charge
}

// deviceName is how much of a session's name stands for it among one person's: 96 bits.
const deviceName = 16

// letThrough reports whether a request may pass without being counted.
func (g *Guard) letThrough(ctx context.Context) bool {
	v, err := g.open.Take(ctx, limit.Charge{Key: "open", Cost: 1, Lines: []limit.Line{{Name: "open", ID: "open", Rate: openRate}}})
	return err == nil && v.Admitted
}

// nameAddress is NameAddress by the key of today.
func (g *Guard) nameAddress(ctx context.Context, address string) (string, error) {
	key, err := g.config.AddressKey.Key(ctx)
	if err != nil {
		return "", err
	}
	return NameAddress(key, address), nil
}

// NameAddress is what stands for an address where it is counted: without the day's key
// nobody can tell which one it was. What is no address, which no gateway sends, is
// one and the same.
func NameAddress(key []byte, address string) string {
	network, _ := sourceOf(address).MarshalBinary()
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("fitvault address\x00"))
	mac.Write(network)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// sourceOf is the network that an address counts for: itself, in IPv6 its /64, which is
// what one household or one rented machine has.
func sourceOf(address string) netip.Prefix {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	prefix, _ := a.Prefix(bits) // of an address there is one
	return prefix
}

// tell sets what an answer says about limits. An address's are not the caller's own.
func (c *Call) tell(h http.Header) {
	if c.buckets != nil {
		policy, state := limit.Fields(c.buckets)
		h.Set("RateLimit-Policy", policy)
		h.Set("RateLimit", state)
	}
	if c.wait > 0 {
		h.Set("Retry-After", strconv.FormatInt(limit.Seconds(c.wait), 10))
	}
}

// StoredAddressKey is an AddressKey out of a ParameterStore, where keykeeper puts a new
// one every day: read at the first failure, and again as token keys are. Any text
// that is long enough is one: keykeeper's holds 256 random bits.
type StoredAddressKey struct {
	store ParameterStore
	now   func() time.Time

	mu    sync.Mutex
	key   []byte
	read  time.Time
	tried time.Time
}

const minAddressKey = 43 // bytes: 256 bits in base64

// NewStoredAddressKey reads nothing yet.
func NewStoredAddressKey(store ParameterStore, now func() time.Time) *StoredAddressKey {
	return &StoredAddressKey{store: store, now: now}
}

// Key implements AddressKey.
func (s *StoredAddressKey) Key(ctx context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if now.Sub(s.read) >= keysFresh && now.Sub(s.tried) >= keysRetry {
		s.tried = now
		if text, err := s.store.Value(ctx); err == nil && len(text) >= minAddressKey {
			s.key, s.read = []byte(text), now
		}
	}
	if s.key == nil || now.Sub(s.read) >= keysStale {
		return nil, fault.New(fault.Unavailable, "no key for addresses")
	}
	return s.key, nil
}
