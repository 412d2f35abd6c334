package edge_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
	"fitvault/shared/limit"
)

// limited is a world with limits that a test meets, and a route that costs three.
func limited(t *testing.T) *world {
	w := newWorld(t)
	w.Limits = limit.Limits{User: 30, Device: 20, Address: 10, Client: 600}
	return w.limit()
}

// limit makes the guard anew, of the world as it is.
func (w *world) limit(more ...edge.Route) *world {
	handle := func(rw http.ResponseWriter, r *http.Request, c *edge.Call) error {
		w.calls = append(w.calls, c)
		return w.handle(rw, r, c)
	}
	w.guard = edge.New(w.Config("test"), append(more,
		edge.Route{Method: "GET", Resource: readings, Scope: readScope, Action: access.ReadingsRead, Query: []edge.Parameter{{Name: "from"}}, Handle: handle},
		edge.Route{Method: "GET", Resource: recording, Scope: readScope, Action: access.RecordingsRead, Cost: 3, Handle: handle},
		edge.Route{Method: "POST", Resource: readings, Scope: writeScope, Action: access.ReadingsWrite, Types: []string{jsonType}, MaxBody: maxBody, FailOpen: true, Handle: handle},
	)...)
	return w
}

func header(answer events.APIGatewayProxyResponse, name string) string {
	return http.Header(answer.MultiValueHeaders).Get(name)
}

func TestLimits(t *testing.T) {
	w := limited(t)
	answer := w.do(t, w.get())
	require.Equal(t, 200, answer.StatusCode)
	require.Equal(t, `"user";q=30;w=60, "device";q=20;w=60`, header(answer, "RateLimit-Policy"))
	require.Equal(t, `"user";r=29;t=2, "device";r=19;t=3`, header(answer, "RateLimit"))
	require.Empty(t, header(answer, "Retry-After"))
	answer = w.do(t, w.Event("ada", "GET", recording, map[string]string{"user": "me", "id": "a"}))
	require.Equal(t, `"user";r=26;t=8, "device";r=16;t=12`, header(answer, "RateLimit"), "a route costs what it says")
	for range 16 {
		w.allowed(t, w.get())
	}

	reads, audited := len(w.Accounts.Reads), len(w.Audit.Events())
	w.calls = nil
	w.Log.Reset()
	answer = w.do(t, w.get())
	requireProblem(t, answer, fault.TooMany)
	require.Equal(t, "3", header(answer, "Retry-After"))
	require.Equal(t, `"user";r=10;t=40, "device";r=0;t=60`, header(answer, "RateLimit"))
	require.Empty(t, w.calls)
	require.Len(t, w.Accounts.Reads, reads, "nothing is read for who is over his limits")
	require.Len(t, w.Audit.Events(), audited, "and nothing written: it must cost less than what it refuses")
	require.Equal(t, "too-many-requests", w.record(t)["kind"])

	require.Equal(t, 200, w.do(t, w.Event("ben", "GET", readings, map[string]string{"user": "me"})).StatusCode, "others go on")
	w.Time = w.Time.Add(3 * time.Second)
	require.Equal(t, 200, w.do(t, w.get()).StatusCode, "who waits as he is told gets in")

	// The same person on another device: what his other one uses up is not all.
	claims := w.Claims("ada")
	claims["origin_jti"] = "another-session"
	other := w.get()
	edgetest.SetHeader(&other, "Authorization", "Bearer "+edgetest.Sign(claims))
	answer = w.do(t, other)
	require.Equal(t, 200, answer.StatusCode)
	require.Contains(t, header(answer, "RateLimit"), `"device";r=19;`)
}

// TestSystemsHaveNoDevice: nobody signed in.
func TestSystemsHaveNoDevice(t *testing.T) {
	w := limited(t)
	e := w.get()
	edgetest.SetHeader(&e, "Authorization", "Bearer "+edgetest.Sign(w.SystemClaims("asystem")))
	require.Equal(t, `"user";q=30;w=60`, header(w.do(t, e), "RateLimit-Policy"))
}

// TestAppsLimit: what people of one app may ask for together, whoever of them asks.
func TestAppsLimit(t *testing.T) {
	w := newWorld(t)
	w.Limits = limit.Limits{User: 30, Device: 20, Address: 10, Client: 24} // too small for leases
	w.limit()
	of := func(subject, client string) events.APIGatewayProxyRequest {
		e := w.Event(subject, "GET", readings, map[string]string{"user": "me"})
		claims := w.Claims(subject)
		claims["client_id"] = client
		edgetest.SetHeader(&e, "Authorization", "Bearer "+edgetest.Sign(claims))
		return e
	}
	for range 20 {
		require.Equal(t, 200, w.do(t, of("ada", edgetest.Client)).StatusCode)
	}
	for range 20 { // beyond his own
		answer := w.do(t, of("ada", edgetest.Client))
		requireProblem(t, answer, fault.TooMany)
		require.Equal(t, "3", header(answer, "Retry-After"))
	}
	for range 3 {
		require.Equal(t, 200, w.do(t, of("ben", edgetest.Client)).StatusCode, "who is over his own limits takes nothing of his app's")
	}
	// A refusal counts four more of his own, and none of his app's.
	e := of("ben", edgetest.Client)
	e.MultiValueQueryStringParameters = map[string][]string{"x": {"y"}}
	requireProblem(t, w.do(t, e), fault.BadRequest)

	reads, audited := len(w.Accounts.Reads), len(w.Audit.Events())
	w.calls = nil
	w.Log.Reset()
	answer := w.do(t, of("ben", edgetest.Client))
	requireProblem(t, answer, fault.TooMany)
	require.Equal(t, "too-many-requests", w.record(t)["kind"])
	require.Equal(t, `"user";q=30;w=60, "device";q=20;w=60`, header(answer, "RateLimit-Policy"), "how others of his app stand is nobody's to know")
	require.Equal(t, `"user";r=21;t=18, "device";r=11;t=27`, header(answer, "RateLimit"))
	after, err := strconv.Atoi(header(answer, "Retry-After"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, after, 3)
	require.Less(t, after, 3+8, "who was refused together does not come back together")
	require.Empty(t, w.calls)
	require.Len(t, w.Accounts.Reads, reads)
	require.Len(t, w.Audit.Events(), audited)

	requireProblem(t, w.do(t, of("ben", "anotherapp")), fault.Unauthenticated)
	system := w.get()
	edgetest.SetHeader(&system, "Authorization", "Bearer "+edgetest.Sign(w.SystemClaims(edgetest.Client)))
	requireProblem(t, w.do(t, system), fault.Unauthenticated)
	w.Time = w.Time.Add(time.Duration(after) * time.Second)
	require.Equal(t, 200, w.do(t, of("ben", edgetest.Client)).StatusCode, "who waits as he is told gets in")
}

// TestBothLimits: who waits as he is told gets in past both, his app's and his own.
func TestBothLimits(t *testing.T) {
	w := newWorld(t)
	w.Limits = limit.Limits{User: 30, Device: 5, Address: 10, Client: 5}
	w.limit()
	for range 4 {
		w.allowed(t, w.get())
	}
	require.Equal(t, 200, w.do(t, w.Event("ben", "GET", readings, map[string]string{"user": "me"})).StatusCode)
	w.Time = w.Time.Add(time.Second)
	for range 2 {
		w.do(t, w.Event("ben", "GET", readings, map[string]string{"user": "me"}))
	}
	answer := w.do(t, w.get())
	requireProblem(t, answer, fault.TooMany)
	require.Contains(t, header(answer, "RateLimit"), `"device";r=0;t=59`)
	after, err := strconv.Atoi(header(answer, "Retry-After"))
	require.NoError(t, err)
	w.Time = w.Time.Add(time.Duration(after) * time.Second)
	w.allowed(t, w.get())
}

// TestAppsAreCountedInLeases: a request charges its caller, and seldom his app.
func TestAppsAreCountedInLeases(t *testing.T) {
	w := newWorld(t)
	noted := &charged{limiter: w.Limiter}
	w.Limiter = noted
	w.limit()
	for range 100 {
		w.allowed(t, w.get())
	}
	require.Len(t, noted.charges, 107)
	noted.charges = nil
	system := w.get()
	edgetest.SetHeader(&system, "Authorization", "Bearer "+edgetest.Sign(w.SystemClaims("asystem")))
	w.do(t, system)
	for _, c := range noted.charges {
		require.NotContains(t, c.Key, limit.ClientPrefix, "a system is its app, and has its own limit")
	}
}

// TestRefusalsCostMore, whatever it is that is refused.
func TestRefusalsCostMore(t *testing.T) {
	for name, edit := range map[string]func(w *world, e *events.APIGatewayProxyRequest){
		"401, of a session that has ended": func(w *world, _ *events.APIGatewayProxyRequest) {
			w.Accounts.PutSession(edgetest.Issuer, "ada", access.SessionName("session-of-ada"), access.Session{Client: edgetest.Client, State: access.Off})
		},
		"403": func(_ *world, e *events.APIGatewayProxyRequest) { edgetest.SetHeader(e, "x-api-key", "another") },
		"404": func(_ *world, e *events.APIGatewayProxyRequest) { e.PathParameters["user"] = strings.Repeat("a", 26) },
		"400": func(_ *world, e *events.APIGatewayProxyRequest) {
			e.MultiValueQueryStringParameters = map[string][]string{"x": {"y"}}
		},
		"422, by the handler": func(w *world, _ *events.APIGatewayProxyRequest) {
			w.handle = func(http.ResponseWriter, *http.Request, *edge.Call) error { return fault.New(fault.Invalid, "no") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := limited(t)
			e := w.get()
			edit(w, &e)
			for range 4 {
				require.Equal(t, name[:3], strconv.Itoa(w.do(t, e).StatusCode))
			}
			answer := w.do(t, e)
			require.Equal(t, 429, answer.StatusCode, "four of five each are twenty")
			require.Equal(t, "3", header(answer, "Retry-After"))
		})
	}
	w := limited(t)
	w.handle = func(http.ResponseWriter, *http.Request, *edge.Call) error { return errors.New("ours") }
	require.Equal(t, `"user";r=29;t=2, "device";r=19;t=3`, header(w.do(t, w.get()), "RateLimit"), "our own failure is not held against him")
}

// TestAddresses: failures to be anybody are counted by address, and nothing else is.
func TestAddresses(t *testing.T) {
	w := limited(t)
	try := func(address, token string) events.APIGatewayProxyResponse {
		e := w.get()
		e.RequestContext.Identity.SourceIP = address
		edgetest.SetHeader(&e, "X-Forwarded-For", "203.0.113.99") // a caller may say anything
		if token != "" {
			edgetest.SetHeader(&e, "Authorization", token)
		}
		return w.do(t, e)
	}
	for _, network := range [][2]string{{"192.0.2.1", "::ffff:192.0.2.1"}, {"2001:db8:1:2::1", "2001:db8:1:2:ffff::9"}, {"", "not an address"}, {"2001:db8:1:3::1", "2001:db8:1:3::1%eth0"}} {
		for i := range 10 {
			answer := try(network[i%2], "Bearer x")
			requireProblem(t, answer, fault.Unauthenticated)
			require.Empty(t, header(answer, "RateLimit"), "an address's bucket is not the caller's own")
		}
		answer := try(network[1], "Bearer x")
		requireProblem(t, answer, fault.TooMany)
		require.Equal(t, "6", header(answer, "Retry-After"))
		require.Empty(t, header(answer, "RateLimit"))
		require.Equal(t, 200, try(network[0], "").StatusCode, "many share an address: who is somebody goes on")
	}
	requireProblem(t, try("192.0.2.2", "Bearer x"), fault.Unauthenticated)
	w.Time = w.Time.Add(6 * time.Second)
	requireProblem(t, try("192.0.2.1", "Bearer x"), fault.Unauthenticated)
	require.NotContains(t, w.Log.String(), "192.0.2")
}

// TestEventsNameWhomToSlowDown: of a refusal also the day's name of the address; of an
// address that fails too often one event a minute, however often it fails on.
func TestEventsNameWhomToSlowDown(t *testing.T) {
	w := limited(t)
	e := w.Event("ada", "GET", readings, map[string]string{"user": "aaaaaaaaaaaaaaaaaaaaaaaaaa"})
	e.RequestContext.Identity.SourceIP = "192.0.2.1"
	requireProblem(t, w.do(t, e), fault.NotFound)
	refused := w.lastEvent(t)
	require.Equal(t, access.IdentityKey(edgetest.Issuer, "ada"), refused.Charged.Key)
	require.Equal(t, access.SessionName("session-of-ada")[:16], refused.Charged.Device)
	require.Regexp(t, `^[A-Za-z0-9_-]{22}$`, refused.Charged.Address)
	require.Equal(t, 200, w.do(t, w.get()).StatusCode)
	require.Empty(t, w.lastEvent(t).Charged.Address, "of nothing else")

	edgetest.SetHeader(&e, "Authorization", "Bearer x")
	before := len(w.Audit.Events())
	for range 10 {
		requireProblem(t, w.do(t, e), fault.Unauthenticated)
	}
	require.Len(t, w.Audit.Events(), before)
	for range 20 {
		requireProblem(t, w.do(t, e), fault.TooMany)
	}
	require.Len(t, w.Audit.Events(), before+1)
	of := w.lastEvent(t)
	require.Equal(t, auditlog.Event{ID: of.ID, Time: w.Time, Request: edgetest.RequestID, Function: "test", Action: auditlog.Authenticate, Outcome: auditlog.Refused,
		Kind: string(fault.TooMany), Charged: auditlog.Charged{Key: limit.AddressPrefix + refused.Charged.Address, Address: refused.Charged.Address}}, of)

	w.Audit.Fail(errors.New("down"))
	e.RequestContext.Identity.SourceIP = "192.0.2.2"
	for range 10 {
		w.do(t, e)
	}
	w.Log.Reset()
	requireProblem(t, w.do(t, e), fault.TooMany)
	require.Equal(t, true, w.record(t)["uncounted"], "the refusal stands without it")
}

// charged is a limiter that notes what is charged, and fails where it is to.
type charged struct {
	err     error
	charges []limit.Charge
	limiter limit.Limiter
}

func (c *charged) Take(ctx context.Context, charge limit.Charge) (limit.Verdict, error) {
	c.charges = append(c.charges, charge)
	if c.err != nil {
		return limit.Verdict{}, c.err
	}
	return c.limiter.Take(ctx, charge)
}

// TestKeys: no address and nobody's name is in a key, and an address has another one
// every day.
func TestKeys(t *testing.T) {
	w := newWorld(t)
	noted := &charged{limiter: w.Limiter}
	w.Limiter = noted
	w.limit()
	e := w.get()
	e.RequestContext.Identity.SourceIP = "192.0.2.1"
	w.do(t, e)
	edgetest.SetHeader(&e, "Authorization", "Bearer x")
	w.do(t, e)
	config := w.Config("test")
	config.AddressKey = edge.NewStoredAddressKey(edgetest.Stored(strings.Replace(edgetest.AddressKey, "05-04", "05-05", 1)), w.Now)
	_, err := edge.New(config, edge.Route{Method: "GET", Resource: readings, Scope: readScope, Action: access.ReadingsRead, Handle: good}).Handle(t.Context(), e)
	require.NoError(t, err)
	require.Len(t, noted.charges, 4)
	require.Equal(t, access.IdentityKey(edgetest.Issuer, "ada"), noted.charges[0].Key)
	require.Equal(t, access.SessionName("session-of-ada")[:16], noted.charges[0].Lines[1].ID)
	require.Equal(t, limit.ClientPrefix+edgetest.Client, noted.charges[1].Key)
	for _, c := range noted.charges[2:] {
		require.Regexp(t, `^address#[A-Za-z0-9_-]{22}$`, c.Key)
	}
	require.NotEqual(t, noted.charges[2].Key, noted.charges[3].Key)
}

// TestLimiterIsDown: who asks for people's data uncounted is refused; a minute's
// worth of readings is taken; what is refused stays refused.
func TestLimiterIsDown(t *testing.T) {
	w := newWorld(t)
	down := &charged{err: fault.New(fault.Unavailable, "down"), limiter: w.Limiter}
	w.Limiter = down
	w.limit()
	w.Log.Reset()
	answer := w.do(t, w.get())
	requireProblem(t, answer, fault.Unavailable)
	require.Regexp(t, `^[2-9]$`, header(answer, "Retry-After"))
	require.Empty(t, w.Accounts.Reads)
	require.Empty(t, w.Audit.Events())

	for range 60 {
		w.Log.Reset()
		answer := w.do(t, w.post())
		require.Equal(t, 200, answer.StatusCode)
		require.Empty(t, header(answer, "RateLimit"), "of what is not known nothing is told")
		require.Equal(t, true, w.record(t)["uncounted"])
	}
	requireProblem(t, w.do(t, w.post()), fault.Unavailable)
	w.Time = w.Time.Add(time.Second)
	require.Equal(t, 200, w.do(t, w.post()).StatusCode)

	e := w.get()
	edgetest.SetHeader(&e, "Authorization", "Bearer x")
	w.Log.Reset()
	requireProblem(t, w.do(t, e), fault.Unauthenticated)
	require.Equal(t, true, w.record(t)["uncounted"])

	down.err = nil
	w.handle = func(http.ResponseWriter, *http.Request, *edge.Call) error {
		down.err = errors.New("down again")
		return fault.New(fault.NotFound, "no such thing")
	}
	w.Log.Reset()
	answer = w.do(t, w.get())
	requireProblem(t, answer, fault.NotFound)
	require.NotEmpty(t, header(answer, "RateLimit"), "what was known before")
	require.Equal(t, true, w.record(t)["uncounted"])
}

// deaf is a limiter that does not answer about apps.
type deaf struct{ limit.Limiter }

func (d deaf) Take(ctx context.Context, c limit.Charge) (limit.Verdict, error) {
	if strings.HasPrefix(c.Key, limit.ClientPrefix) {
		return limit.Verdict{}, fault.New(fault.Unavailable, "down")
	}
	return d.Limiter.Take(ctx, c)
}

// TestAppsCannotBeCounted: then it is as where nobody can be.
func TestAppsCannotBeCounted(t *testing.T) {
	w := newWorld(t)
	w.Limiter = deaf{w.Limiter}
	w.limit()
	w.Log.Reset()
	answer := w.do(t, w.get())
	requireProblem(t, answer, fault.Unavailable)
	require.NotEmpty(t, header(answer, "RateLimit"), "what is known")
	require.Empty(t, w.Accounts.Reads)
	for range 60 {
		w.Log.Reset()
		require.Equal(t, 200, w.do(t, w.post()).StatusCode)
		require.Equal(t, true, w.record(t)["uncounted"])
	}
	requireProblem(t, w.do(t, w.post()), fault.Unavailable)
}

// slow is a limiter that answers nobody in time.
type slow struct{}

func (slow) Take(ctx context.Context, _ limit.Charge) (limit.Verdict, error) {
	<-ctx.Done()
	return limit.Verdict{}, ctx.Err()
}

func TestSlowLimiter(t *testing.T) {
	edgetest.Key()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.Limiter = slow{}
		w.limit()
		began := time.Now()
		requireProblem(t, w.do(t, w.get()), fault.Unavailable)
		require.Equal(t, 2*time.Second, time.Since(began))
		require.Equal(t, 200, w.do(t, w.post()).StatusCode)
		require.Equal(t, 4*time.Second, time.Since(began))
	})
}

// flaky is a parameter that fails where it is to.
type flaky struct {
	text  string
	err   error
	reads int
}

func (f *flaky) Value(context.Context) (string, error) {
	f.reads++
	return f.text, f.err
}

func TestStoredAddressKey(t *testing.T) {
	now := time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC)
	f := &flaky{err: errors.New("down")}
	stored := edge.NewStoredAddressKey(f, func() time.Time { return now })
	key := func() (string, error) {
		k, err := stored.Key(t.Context())
		return string(k), err
	}
	_, err := key()
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	f.err = nil
	_, err = key()
	require.Error(t, err, "not tried again at once")
	require.Equal(t, 1, f.reads)
	now = now.Add(5 * time.Second)
	f.text = "none yet"
	_, err = key()
	require.Error(t, err, "too short to be one")
	now = now.Add(5 * time.Second)
	f.text = edgetest.AddressKey
	got, err := key()
	require.NoError(t, err)
	require.Equal(t, edgetest.AddressKey, got)
	now = now.Add(5*time.Minute - 1)
	_, _ = key()
	require.Equal(t, 3, f.reads)
	now, f.err = now.Add(1), errors.New("down")
	got, err = key()
	require.NoError(t, err)
	require.Equal(t, edgetest.AddressKey, got, "of the last hour")
	require.Equal(t, 4, f.reads)
	now = now.Add(55 * time.Minute)
	_, err = key()
	require.Error(t, err)
	f.text, f.err = strings.Repeat("x", 44), nil
	now = now.Add(5 * time.Second)
	got, err = key()
	require.NoError(t, err)
	require.Equal(t, f.text, got)
}

// TestWithoutAddressKey: failures stay failures.
func TestWithoutAddressKey(t *testing.T) {
	w := newWorld(t)
	config := w.Config("test")
	config.AddressKey = edge.NewStoredAddressKey(edgetest.Stored("none"), w.Now)
	e := w.get()
	edgetest.SetHeader(&e, "Authorization", "Bearer x")
	answer, err := edge.New(config, edge.Route{Method: "GET", Resource: readings, Scope: readScope, Action: access.ReadingsRead, Handle: good}).Handle(t.Context(), e)
	require.NoError(t, err)
	requireProblem(t, answer, fault.Unauthenticated)
	require.Equal(t, true, w.record(t)["uncounted"])
}
