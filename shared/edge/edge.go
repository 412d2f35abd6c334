// Package edge is the door of every function behind the API: an API Gateway
// event comes in, and a handler is called only for a caller who is known, by
// an app that is known, with a scope and a policy that allow it. It checks
// everything by itself, so a function invoked past the gateway is as closed as
// one behind it (wire.md, "Who refuses what"). Of the event's requestContext
// only the request id and the source address are used.
//
// What goes wrong becomes one RFC 9457 problem and one log record; neither
// repeats anything of the request.
package edge

import (
	"context"
	"crypto/rsa"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"sync/atomic"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/limit"
	"fitvault/shared/redact"
)

// Handler answers one request. It writes a 2xx answer or returns an error; what
// it has written is thrown away when it returns one. Before it shows or changes
// anything it must have called Call.Audit: a 2xx answer without an event is
// replaced by 500.
//
// The request holds the query, the body and the headers Accept, Content-Type
// and Idempotency-Key, nothing else of the caller's; its path is Route.Resource.
type Handler func(http.ResponseWriter, *http.Request, *Call) error

// Route is one method on one resource.
type Route struct {
	Method   string // "GET", "POST", "PUT"
	Resource string // API Gateway's template without the stage: "/users/{user}/readings"; without {user} it is on the caller's own account
	Scope    string // in full, "fitvault/readings.write": the token and the app's document must both have it
	Staff    bool   // takes tokens of the staff's pool only, and is on nobody's account; any other route those of the people's pool only
	Action   access.Action
	Query    []Parameter // all that may be in the query; anything else is 400
	Types    []string    // media types of the body; anything else is 415. Empty: the body has no type
	MaxBody  int         // bytes after base64; more is 413
	Cost     int         // requests that one counts as against its caller's limits; 0 is 1
	FailOpen bool        // goes on, boundedly, where the limiter does not answer; any other route is 503 then
	Handle   Handler
}

// Parameter is one query parameter.
type Parameter struct {
	Name   string
	Repeat bool // may be given several times; otherwise twice is 400
}

// binaryTypes are the media types that are answered as base64, which the gateway
// undoes for whoever accepts one of them first. They are among the template's
// BinaryMediaTypes; JSON, which comes in as base64 too, is answered as text.
var binaryTypes = []string{"application/vnd.garmin.tcx+xml", "application/vnd.garmin.tcx+xml+gzip", "application/gpx+xml", "application/gpx+xml+gzip"}

// Config is what a Guard needs. Every member is required, of the two pools
// those of whose kind there is a route.
type Config struct {
	Function    string    // name in logs and audit events
	Issuer      string    // exact `iss` of the people's pool
	Keys        TokenKeys // of the people's pool alone: a key vouches for its own issuer only
	StaffIssuer string
	StaffKeys   TokenKeys
	Documents   Documents
	Sessions    Sessions
	Origins     []string // of web apps that may read answers in a browser; may be empty
	Audit       auditlog.Writer
	Limiter     limit.Limiter
	Limits      limit.Limits
	AddressKey  AddressKey
	Log         *slog.Logger
	Now         func() time.Time
	Rand        io.Reader
}

// Documents reads the documents of one decision.
//
// Read is strongly consistent and reads all documents that keys names in one
// go; what does not exist is nil, not an error. A store that cannot answer now
// is a fault.Unavailable. Nothing is cached: what is withdrawn is withdrawn at
// the next request.
type Documents interface {
	Read(context.Context, access.Keys) (access.Documents, error)
}

// Sessions keeps the sessions of people.
//
// BeginSession stores a session at its first use, and returns what is stored under
// that name: s, or what was there first. It never replaces one.
type Sessions interface {
	BeginSession(ctx context.Context, issuer, subject, name string, s access.Session) (access.Session, error)
}

// TokenKeys gives a user pool's public keys by key id; ErrUnknownKey where
// the pool has no such key, any other error where the keys cannot be had.
// It fetches nothing on behalf of a token: a made-up key id costs nothing.
type TokenKeys interface {
	Key(ctx context.Context, kid string) (*rsa.PublicKey, error)
}

var (
	ErrUnknownKey = errors.New("unknown token key") // 401
	ErrNoKeys     = errors.New("no token keys")     // 503
)

// Call is what the guard knows about an admitted request. It belongs to one
// goroutine.
type Call struct {
	redact.Mark
	RequestID   string
	Principal   access.Principal
	Owner       access.Owner // the account in the path; zero for `me` before enrolment
	Decision    access.Decision
	ContentType string // the one of Route.Types that came; "" for a body without a type

	guard      *Guard
	route      *route // nil: no such route
	known      bool   // the token is good: what is refused from here on is audited
	parameters map[string]string
	query      url.Values
	trace      string
	body       []byte
	address    string // that the gateway says it came from
	audited    bool   // an event of what is about to happen is durable
	unaudited  error  // why one is not
	alarm      bool

	buckets   []limit.Bucket // the caller's own, as they stand; nil: not charged
	wait      time.Duration  // until the limiter admits it; 0: not refused by it
	limited   bool           // the caller's limits refused it
	uncounted bool           // the limiter did not answer
}

// Param is a path parameter: percent-decoded, 1 to 64 of [A-Za-z0-9_-]. It
// panics for a name that is not in the route's resource. The account of {user}
// is Owner.
func (c *Call) Param(name string) string {
	value, ok := c.parameters[name]
	if !ok {
		panic("edge: no such path parameter")
	}
	return value
}

// Query is the query: only parameters that the route names, and one value each
// unless it repeats; UTF-8 without control characters.
func (c *Call) Query() url.Values { return c.query }

// Body is the body after base64, at most Route.MaxBody bytes; not to be changed.
// The request's own Body reads the same bytes.
func (c *Call) Body() []byte { return c.body }

type route struct {
	Route
	pool       *pool    // whose tokens it takes
	named      bool     // Resource names the account
	parameters []string // names in Resource, without user
}

// Guard serves the routes of one function. It is safe for concurrent use if
// the parts of its Config are.
type Guard struct {
	config   Config
	routes   map[string]*route // by method, space, resource
	people   pool
	staff    pool
	hints    hints
	apps     limit.Leases
	open     limit.Memory
	reported limit.Memory // addresses, by the minute
	warm     atomic.Bool  // has answered
}

var templateParameter = regexp.MustCompile(`\{([^}]*)\}`)

// New makes a guard. It panics where a part or a route is not complete: a
// function that is wired wrongly must not start.
func New(config Config, routes ...Route) *Guard {
	if config.Function == "" || config.Documents == nil || config.Sessions == nil || config.Audit == nil || config.Log == nil ||
		config.Limiter == nil || config.AddressKey == nil || config.Now == nil || config.Rand == nil {
		panic("edge: incomplete config")
	}
	if config.Issuer == config.StaffIssuer {
		panic("edge: no user pool, or one for both people and staff")
	}
	g := &Guard{
		config: config, routes: map[string]*route{},
		people: pool{newTokenParser(config.Issuer, config.Now), config.Keys},
		staff:  pool{newTokenParser(config.StaffIssuer, config.Now), config.StaffKeys},
		apps: limit.Leases{Limiter: config.Limiter, Prefix: limit.ClientPrefix, Now: config.Now,
			Line: limit.Line{Name: limit.Client, ID: limit.Client, Rate: config.Limits.Client}},
		open: limit.Memory{Now: config.Now}, reported: limit.Memory{Now: config.Now},
	}
	for _, r := range routes {
		added := &route{Route: r, pool: &g.people}
		issuer := config.Issuer
		if r.Staff {
			added.pool, issuer = &g.staff, config.StaffIssuer
		}
		if issuer == "" || added.pool.keys == nil {
			panic("edge: no user pool for route " + r.Resource)
		}
		for _, match := range templateParameter.FindAllStringSubmatch(r.Resource, -1) {
			if match[1] == "user" {
				added.named = true
			} else {
				added.parameters = append(added.parameters, match[1])
			}
		}
		name := r.Method + " " + r.Resource
		if r.Method == "" || added.named && r.Staff || r.Scope == "" || !slices.Contains(access.Actions, r.Action) ||
			r.Cost < 0 || !config.Limits.Valid(max(1, r.Cost)) ||
			r.MaxBody < 0 || (len(r.Types) > 0) != (r.MaxBody > 0) || r.Handle == nil || g.routes[name] != nil {
			panic("edge: incomplete or repeated route " + name)
		}
		g.routes[name] = added
	}
	return g
}
