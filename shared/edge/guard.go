package edge

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/awslabs/aws-lambda-go-api-proxy/httpadapter"

	"fitvault/shared/access"
	"fitvault/shared/fault"
)

// Handle answers one event of API Gateway's Lambda proxy integration. The
// error is always nil: a failure is an answer.
func (g *Guard) Handle(ctx context.Context, event events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	return g.answer(ctx, event, []byte(event.Body)), nil
}

// toAnswer is kept of what Lambda gives an invocation. Who waits for a service that does
// not answer is told so and when to come back; ended by Lambda he would be told nothing,
// and the next request would find a new process.
const toAnswer = time.Second

func leaveTime(ctx context.Context) (context.Context, context.CancelFunc) {
	if end, bounded := ctx.Deadline(); bounded {
		return context.WithDeadline(ctx, end.Add(-toAnswer))
	}
	return ctx, func() {}
}

// late is err, told as what it is where nobody has said what it means that the time was up.
func late(err error) error {
	if errors.Is(err, context.DeadlineExceeded) && fault.KindOf(err) == fault.Internal {
		return fault.Wrap(fault.Unavailable, "no time is left", err)
	}
	return err
}

// answer takes the body beside the event, and writes into it.
func (g *Guard) answer(ctx context.Context, event events.APIGatewayProxyRequest, body []byte) events.APIGatewayProxyResponse {
	start := g.config.Now()
	ctx, done := leaveTime(ctx)
	defer done()
	c := &Call{guard: g, RequestID: g.requestID(event.RequestContext.RequestID), body: body, address: event.RequestContext.Identity.SourceIP}
	size := len(body)
	var answer events.APIGatewayProxyResponse
	err := fault.Recovered(func() (err error) {
		answer, err = g.serve(ctx, event, c)
		return err
	})
	err = fault.Recovered(func() error { return c.settle(ctx, late(err)) })
	err = fault.Recovered(func() error { return c.chargeFailure(ctx, err) })
	if err != nil {
		answer = g.problem(err, c.RequestID)
	}
	seal(&answer, c.RequestID)
	c.tell(answer.MultiValueHeaders)
	g.allowOrigin(&answer, headersOf(event))
	g.log(ctx, record{call: c, err: err, status: answer.StatusCode, bytes: size, duration: g.config.Now().Sub(start), cold: !g.warm.Swap(true)})
	return answer
}

// serve goes from the cheapest check to the dearest, and from who asks to what
// is asked: nothing about an account, a path or a body is told to a caller
// who has not passed what comes before.
func (g *Guard) serve(ctx context.Context, event events.APIGatewayProxyRequest, c *Call) (events.APIGatewayProxyResponse, error) {
	var none events.APIGatewayProxyResponse
	c.route = g.routes[event.HTTPMethod+" "+event.Resource]
	if c.route == nil {
		return none, fault.New(fault.NotFound, "no such route")
	}
	h := headersOf(event)
	c.trace = h.trace()
	if err := c.authenticate(ctx, h); err != nil {
		return none, err
	}
	if err := c.charge(ctx); err != nil {
		return none, err
	}
	if err := c.authorize(ctx, h, event.PathParameters); err != nil {
		return none, err
	}
	if err := c.decode(h, event); err != nil {
		return none, err
	}
	return c.handle(ctx, h)
}

// sessionLife is how long after the sign-in a token of it can be good: the pool's
// refresh tokens live for 30 days, the last access token an hour longer.
const sessionLife = 31 * 24 * time.Hour

// authorize reads the documents that decide, the same ones for an account that
// exists and for one that does not, and takes the decision.
func (c *Call) authorize(ctx context.Context, h headers, parameters map[string]string) error {
	p := &c.Principal
	user, me := "", !c.route.named
	if !me {
		user, _ = pathParameter(parameters, "user")
		me = user == "me"
	}
	asked, notAnID := access.ParseUserID(user)

	keys := access.Keys{User: asked, Client: p.Client}
	if !p.System {
		keys.Issuer, keys.Subject, keys.Session = p.Issuer, p.Subject, access.SessionName(p.Session)
	}
	if me && !p.System && !p.Staff {
		keys.User = c.guard.hints.of(p.Issuer, p.Subject)
	}
	documents, err := c.read(ctx, keys)
	if err != nil {
		return err
	}
	if caller := documents.Caller; caller != nil {
		p.Organisations = caller.Organisations
		if p.Staff {
			p.Roles = caller.Roles
		} else {
			p.User = caller.User
		}
	}
	c.Owner = access.Owner{User: asked}
	if me {
		c.Owner.User = p.User
	}
	app, err := c.admit(documents, h)
	if err != nil {
		return err
	}
	if err := c.session(ctx, keys, documents); err != nil {
		return err
	}

	if !me && notAnID != nil {
		return notAnID
	}
	if me && p.User != keys.User { // the hint was wrong, or there was none
		c.guard.hints.set(p.Issuer, p.Subject, p.User)
		documents.Owner = nil
		if !p.User.IsZero() {
			if documents, err = c.read(ctx, access.Keys{User: p.User}); err != nil {
				return err
			}
		}
	}
	if documents.Owner != nil {
		if documents.Owner.User != c.Owner.User {
			return fault.New(fault.Internal, "owner document of another user")
		}
		c.Owner = *documents.Owner
	}
	c.Decision = access.Decide(access.Question{Principal: *p, App: app.Kind, Action: c.route.Action, Owner: c.Owner, Now: c.guard.config.Now()})
	if !c.Decision.Allowed {
		return fault.New(c.Decision.Kind, "denied by policy")
	}
	return nil
}

// admit checks the app: its document, its key, and what it may do at all.
func (c *Call) admit(documents access.Documents, h headers) (access.App, error) {
	p, app := &c.Principal, documents.App
	if app == nil || app.Client != p.Client || app.State != access.Active || p.System != (app.Kind == access.SystemApp) || p.Staff != (app.Kind == access.StaffApp) {
		return access.App{}, fault.New(fault.Unauthenticated, "client without an active app document of its kind")
	}
	key, ok := h.single("X-Api-Key")
	if !ok || len(key) > maxAPIKey || !app.HasAPIKey(key) {
		return access.App{}, fault.New(fault.Forbidden, "API key missing or not the client's")
	}
	p.Scopes = slices.DeleteFunc(p.Scopes, func(s string) bool { return !slices.Contains(app.Scopes, s) })
	if !slices.Contains(p.Scopes, c.route.Scope) {
		return access.App{}, fault.New(fault.Forbidden, "scope missing in token or app document")
	}
	return *app, nil
}

// session refuses a session that its person has ended, or an administrator with all
// others of a member of the staff. The pool lists no sessions, so each is stored at its
// first use: a write once a sign-in.
func (c *Call) session(ctx context.Context, keys access.Keys, documents access.Documents) error {
	p, stored := c.Principal, documents.Session
	if p.System {
		return nil
	}
	if documents.Caller != nil && !p.AuthTime.After(documents.Caller.SessionsFrom) {
		return fault.New(fault.Unauthenticated, "sign-in is before all sessions were ended")
	}
	// What has ended may be forgotten once this is over; without this check it would
	// begin anew then, for whatever token a pool still gives out for the sign-in.
	if !c.guard.config.Now().Before(p.AuthTime.Add(sessionLife)) {
		return fault.New(fault.Unauthenticated, "sign-in is too long ago")
	}
	if stored == nil {
		begun, err := c.guard.config.Sessions.BeginSession(ctx, p.Issuer, p.Subject, keys.Session,
			access.Session{Client: p.Client, State: access.Active, SignedIn: p.AuthTime, Expires: p.AuthTime.Add(sessionLife)})
		if err != nil {
			return fault.Wrap(fault.Unavailable, "session cannot be stored", err)
		}
		stored = &begun
	}
	if stored.State != access.Active || stored.Client != p.Client {
		return fault.New(fault.Unauthenticated, "session has ended, or is another app's")
	}
	return nil
}

// read reads documents. Only a fault.Unavailable of the store is told as it
// is: no other kind may come from a place where the caller is not known yet.
func (c *Call) read(ctx context.Context, keys access.Keys) (access.Documents, error) {
	documents, err := c.guard.config.Documents.Read(ctx, keys)
	if err == nil {
		return documents, nil
	}
	kind := fault.Internal
	if fault.KindOf(err) == fault.Unavailable {
		kind = fault.Unavailable
	}
	return access.Documents{}, fault.Wrap(kind, "access documents not read", err)
}

// handle runs the route's handler behind the adapter, on an event that holds
// only what was checked: the adapter prints what it cannot read.
func (c *Call) handle(ctx context.Context, h headers) (events.APIGatewayProxyResponse, error) {
	var failure error
	adapter := httpadapter.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(c.body)), int64(len(c.body))
		if failure = c.route.Handle(w, r, c); failure != nil {
			w.WriteHeader(http.StatusInternalServerError) // the adapter wants one; the failure makes the answer
		}
	}))
	answer, err := adapter.ProxyWithContext(ctx, events.APIGatewayProxyRequest{
		HTTPMethod:                      c.route.Method,
		Path:                            c.route.Resource,
		MultiValueHeaders:               h.forHandler(),
		MultiValueQueryStringParameters: c.query,
	})
	switch {
	case failure != nil:
		return answer, failure
	case err != nil:
		return answer, fault.Wrap(fault.Internal, "no answer from the adapter", err)
	case answer.StatusCode < 200 || answer.StatusCode > 299:
		return answer, fault.New(fault.Internal, "handler answered neither 2xx nor with an error")
	}
	return encodeBinary(answer, h)
}

// encodeBinary sends a document as base64: as text in JSON its escapes could
// pass the 6 MB that a function may answer. The gateway decodes it only where
// the first media type of Accept is the document's.
func encodeBinary(answer events.APIGatewayProxyResponse, h headers) (events.APIGatewayProxyResponse, error) {
	sent, _, _ := mime.ParseMediaType(http.Header(answer.MultiValueHeaders).Get("Content-Type"))
	if !slices.Contains(binaryTypes, sent) {
		return answer, nil
	}
	first, _, _ := strings.Cut(h.joined("Accept"), ",")
	if wanted, _, err := mime.ParseMediaType(first); err != nil || wanted != sent {
		return answer, fault.New(fault.NotAcceptable, "document type is not the first in Accept")
	}
	if !answer.IsBase64Encoded {
		answer.Body, answer.IsBase64Encoded = toBase64(answer.Body), true
	}
	return answer, nil
}
