package edge_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
)

// app stores an app's document.
func (w *world) app(t *testing.T, client, state string, scopes []string, keys ...string) {
	digests := make([]string, len(keys))
	for i, key := range keys {
		sum := sha256.Sum256([]byte(key))
		digests[i] = hex.EncodeToString(sum[:])
	}
	app, err := access.DecodeApp(client, state, "own", scopes, digests)
	require.NoError(t, err)
	w.Accounts.Put(access.Documents{App: &app})
}

// appOf makes the app one of another kind.
func (w *world) appOf(t *testing.T, kind access.AppKind) {
	d, err := w.Accounts.Read(t.Context(), access.Keys{Client: edgetest.Client})
	require.NoError(t, err)
	d.App.Kind = kind
	w.Accounts.Put(access.Documents{App: d.App})
}

// tokenWith gives an event a well signed token with one claim replaced.
func (w *world) tokenWith(e *events.APIGatewayProxyRequest, claim string, value any) {
	c := w.Claims("ada")
	c[claim] = value
	edgetest.SetHeader(e, "Authorization", "Bearer "+edgetest.Sign(c))
}

func without(e *events.APIGatewayProxyRequest, header string) {
	delete(e.Headers, header)
	delete(e.MultiValueHeaders, header)
}

// wire.md, "Who refuses what", the function's column; token_test.go has its
// first row.
func TestWhoRefusesWhat(t *testing.T) {
	all := strings.Fields(edgetest.Scopes)
	tests := []struct {
		name string
		edit func(t *testing.T, w *world, e *events.APIGatewayProxyRequest)
		kind fault.Kind
	}{
		{"no token", func(_ *testing.T, _ *world, e *events.APIGatewayProxyRequest) { without(e, "Authorization") }, fault.Unauthenticated},

		{"no scope claim", func(_ *testing.T, w *world, e *events.APIGatewayProxyRequest) {
			c := w.Claims("ada")
			delete(c, "scope")
			edgetest.SetHeader(e, "Authorization", "Bearer "+edgetest.Sign(c))
		}, fault.Forbidden},
		{"another scope", func(_ *testing.T, w *world, e *events.APIGatewayProxyRequest) { w.tokenWith(e, "scope", readScope) }, fault.Forbidden},
		{"a scope that begins alike", func(_ *testing.T, w *world, e *events.APIGatewayProxyRequest) {
			w.tokenWith(e, "scope", writeScope+"2 x"+writeScope)
		}, fault.Forbidden},
		{"the scope in capitals", func(_ *testing.T, w *world, e *events.APIGatewayProxyRequest) {
			w.tokenWith(e, "scope", strings.ToUpper(writeScope))
		}, fault.Forbidden},
		{"scopes with commas", func(_ *testing.T, w *world, e *events.APIGatewayProxyRequest) {
			w.tokenWith(e, "scope", readScope+","+writeScope)
		}, fault.Forbidden},
		{"a scope that the app does not have", func(t *testing.T, w *world, _ *events.APIGatewayProxyRequest) {
			w.app(t, edgetest.Client, "active", []string{readScope}, edgetest.APIKey)
		}, fault.Forbidden},
		{"an app without scopes", func(t *testing.T, w *world, _ *events.APIGatewayProxyRequest) {
			w.app(t, edgetest.Client, "active", nil, edgetest.APIKey)
		}, fault.Forbidden},

		{"a client without an app document", func(_ *testing.T, w *world, e *events.APIGatewayProxyRequest) {
			w.tokenWith(e, "client_id", "unregistered")
		}, fault.Unauthenticated},
		{"an app document that is gone", func(_ *testing.T, w *world, _ *events.APIGatewayProxyRequest) {
			w.Accounts.Delete(access.AppKey(edgetest.Client))
		}, fault.Unauthenticated},
		{"an app that is switched off", func(t *testing.T, w *world, _ *events.APIGatewayProxyRequest) {
			w.app(t, edgetest.Client, "off", all, edgetest.APIKey)
		}, fault.Unauthenticated},

		{"no API key", func(_ *testing.T, _ *world, e *events.APIGatewayProxyRequest) { without(e, "x-api-key") }, fault.Forbidden},
		{"an empty API key", func(_ *testing.T, _ *world, e *events.APIGatewayProxyRequest) { edgetest.SetHeader(e, "x-api-key", "") }, fault.Forbidden},
		{"a wrong API key", func(_ *testing.T, _ *world, e *events.APIGatewayProxyRequest) {
			edgetest.SetHeader(e, "x-api-key", "wrong")
		}, fault.Forbidden},
		{"the key's digest", func(_ *testing.T, _ *world, e *events.APIGatewayProxyRequest) {
			sum := sha256.Sum256([]byte(edgetest.APIKey))
			edgetest.SetHeader(e, "x-api-key", hex.EncodeToString(sum[:]))
		}, fault.Forbidden},
		{"an API key of a megabyte", func(_ *testing.T, _ *world, e *events.APIGatewayProxyRequest) {
			edgetest.SetHeader(e, "x-api-key", strings.Repeat("a", 1<<20))
		}, fault.Forbidden},
		{"another client's API key", func(t *testing.T, w *world, e *events.APIGatewayProxyRequest) {
			w.app(t, "partner", "active", all, "partner-key")
			edgetest.SetHeader(e, "x-api-key", "partner-key")
		}, fault.Forbidden},
		{"another client's token", func(t *testing.T, w *world, e *events.APIGatewayProxyRequest) {
			w.app(t, "partner", "active", all, "partner-key")
			w.tokenWith(e, "client_id", "partner")
		}, fault.Forbidden},
		{"two API keys", func(_ *testing.T, _ *world, e *events.APIGatewayProxyRequest) {
			e.MultiValueHeaders["x-api-key"] = []string{edgetest.APIKey, "wrong"}
		}, fault.Forbidden},
		{"an API key that differs in the two places", func(_ *testing.T, _ *world, e *events.APIGatewayProxyRequest) {
			e.Headers["X-API-KEY"] = "wrong"
		}, fault.Forbidden},
		{"the API key in the query", func(_ *testing.T, _ *world, e *events.APIGatewayProxyRequest) {
			without(e, "x-api-key")
			e.MultiValueQueryStringParameters = map[string][]string{"x-api-key": {edgetest.APIKey}}
		}, fault.Forbidden},
		{"an app without keys", func(t *testing.T, w *world, _ *events.APIGatewayProxyRequest) {
			w.app(t, edgetest.Client, "active", all)
		}, fault.Forbidden},

		{"another person's data", func(_ *testing.T, w *world, e *events.APIGatewayProxyRequest) {
			e.PathParameters = map[string]string{"user": w.Ben.String()}
		}, fault.NotFound},
		{"nobody's data", func(t *testing.T, _ *world, e *events.APIGatewayProxyRequest) {
			id, err := access.NewUserID(rand.Reader)
			require.NoError(t, err)
			e.PathParameters = map[string]string{"user": id.String()}
		}, fault.NotFound},
		{"an account that is gone", func(_ *testing.T, w *world, _ *events.APIGatewayProxyRequest) {
			w.Accounts.Delete(access.OwnerKey(w.Ada))
		}, fault.Forbidden},
		{"an account that is closing", func(_ *testing.T, w *world, _ *events.APIGatewayProxyRequest) {
			w.Accounts.Put(access.Documents{Owner: &access.Owner{User: w.Ada, State: "closing", Consents: map[access.Purpose]access.Consent{access.Collection: {Given: true}}}})
		}, fault.Forbidden},
		{"no account yet", func(_ *testing.T, w *world, e *events.APIGatewayProxyRequest) {
			edgetest.SetHeader(e, "Authorization", "Bearer "+edgetest.Sign(w.Claims("cara")))
		}, fault.ConsentRequired},
		{"consent withdrawn", func(_ *testing.T, w *world, _ *events.APIGatewayProxyRequest) {
			w.Accounts.Put(access.Documents{Owner: &access.Owner{User: w.Ada, State: access.Active}})
		}, fault.ConsentRequired},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.app(t, "partner", "active", all, "partner-key")
			e := w.post()
			test.edit(t, w, &e)
			w.refused(t, e, test.kind)

			if test.kind == fault.Unauthenticated && w.Accounts.Reads == nil {
				require.Empty(t, w.Audit.Events(), "who is not known cannot be named")
				return
			}
			require.Len(t, w.Audit.Events(), 1, "every refusal of a known caller has its event")
			event := w.lastEvent(t)
			require.Equal(t, auditlog.Refused, event.Outcome)
			require.Equal(t, string(test.kind), event.Kind)
			require.Equal(t, "readings.write", event.Action)
			require.Equal(t, "test", event.Function)
			require.Equal(t, edgetest.RequestID, event.Request)
			require.NotEmpty(t, event.Caller)
			require.NotEmpty(t, event.Client)
			require.Empty(t, event.Reasons)

			// The same refusal shows nothing when its event cannot be written.
			w.Audit.Fail(errors.New("down"))
			w.refused(t, e, fault.Unavailable)
		})
	}
}

func TestTheOwnerPasses(t *testing.T) {
	w := newWorld(t)
	for _, user := range []string{"me", w.Ada.String(), "%6De", "%6d%65"} {
		e := w.get()
		e.PathParameters = map[string]string{"user": user}
		call := w.allowed(t, e)
		require.Equal(t, w.Ada, call.Owner.User)
		require.Equal(t, w.Ada, call.Principal.User)
		require.Equal(t, "key-of-ada", call.Owner.DataKey)
		require.Equal(t, []string{"owner-reads"}, call.Decision.Reasons)
		require.Equal(t, edgetest.RequestID, call.RequestID)

		event := w.lastEvent(t)
		require.Equal(t, auditlog.Event{
			ID: event.ID, Time: w.Time, Request: edgetest.RequestID, Function: "test", Action: "readings.read",
			Caller: w.Ada.String(), Client: edgetest.Client, Owner: w.Ada.String(), Outcome: auditlog.Allowed,
			Reasons: []string{"owner-reads"}, Records: 1,
			Charged: auditlog.Charged{Key: access.IdentityKey(edgetest.Issuer, "ada"), Device: access.SessionName("session-of-ada")[:16]},
		}, event)
		require.Regexp(t, `^[0-9a-v]{26}$`, event.ID)
	}
	t.Run("with either of two API keys", func(t *testing.T) {
		w.app(t, edgetest.Client, "active", []string{readScope}, "old", edgetest.APIKey)
		w.allowed(t, w.get())
		e := w.get()
		edgetest.SetHeader(&e, "x-api-key", "old")
		require.Equal(t, []string{readScope}, w.allowed(t, e).Principal.Scopes, "token and app document")
	})
}

func TestWithdrawalTakesEffectOnTheNextRequest(t *testing.T) {
	w := newWorld(t)
	w.allowed(t, w.post())
	w.Accounts.Put(access.Documents{Owner: &access.Owner{User: w.Ada, State: access.Active, Consents: map[access.Purpose]access.Consent{access.Collection: {Given: false}}}})
	w.refused(t, w.post(), fault.ConsentRequired)
	w.allowed(t, w.get())
	w.app(t, edgetest.Client, "off", strings.Fields(edgetest.Scopes), edgetest.APIKey)
	w.refused(t, w.get(), fault.Unauthenticated)
}

func TestANewcomerGivesConsent(t *testing.T) {
	w := newWorld(t)
	id, err := access.NewUserID(rand.Reader)
	require.NoError(t, err)
	w.handle = func(rw http.ResponseWriter, r *http.Request, c *edge.Call) error {
		require.True(t, c.Principal.User.IsZero())
		require.True(t, c.Owner.User.IsZero())
		require.Equal(t, "collection", c.Param("purpose"))
		if err := c.Audit(r.Context(), auditlog.Event{Owner: id.String()}); err != nil {
			return err
		}
		return good(rw, r, c)
	}
	w.allowed(t, w.put("cara"))
	event := w.Audit.Events()[0]
	require.Equal(t, access.IdentityKey(edgetest.Issuer, "cara"), event.Caller)
	require.Equal(t, id.String(), event.Owner)
	require.Equal(t, []string{"newcomer-consents"}, event.Reasons)

	// Before that, attempts of one person are told apart from another's.
	e := w.Event("cara", "GET", readings, map[string]string{"user": w.Ada.String()})
	w.refused(t, e, fault.NotFound)
	require.Equal(t, access.IdentityKey(edgetest.Issuer, "cara"), w.lastEvent(t).Caller)
	require.Equal(t, w.Ada.String(), w.lastEvent(t).Owner)
}

// Nothing shows whether an account exists: the same reads, the same answer.
func TestTheDocumentsAreReadInEveryCase(t *testing.T) {
	w := newWorld(t)
	nobody, err := access.NewUserID(rand.Reader)
	require.NoError(t, err)
	var answers []string
	for _, asked := range []access.UserID{w.Ben, nobody} {
		w.Accounts.Reads = nil
		e := w.get()
		e.PathParameters = map[string]string{"user": asked.String()}
		w.refused(t, e, fault.NotFound)
		answers = append(answers, w.do(t, e).Body)
		require.Equal(t, access.Keys{Issuer: edgetest.Issuer, Subject: "ada", User: asked, Client: edgetest.Client, Session: access.SessionName("session-of-ada")}, w.Accounts.Reads[0])
		require.Len(t, w.Accounts.Reads, 2, "one for each request")
	}
	require.Equal(t, answers[0], answers[1])
}

// From the second request on one read has all; who an identity is, is the caller's
// document's to say each time.
func TestRequestsAboutMeAreReadInOneGo(t *testing.T) {
	w := newWorld(t)
	reads := func(e events.APIGatewayProxyRequest, user access.UserID) int {
		w.Accounts.Reads = nil
		require.Equal(t, user, w.allowed(t, e).Owner.User)
		return len(w.Accounts.Reads)
	}
	ben := w.Event("ben", "GET", readings, map[string]string{"user": "me"})
	require.Equal(t, 2, reads(w.get(), w.Ada))
	require.Equal(t, 1, reads(w.get(), w.Ada))
	require.Equal(t, 2, reads(ben, w.Ben))
	require.Equal(t, 1, reads(w.get(), w.Ada))

	w.Accounts.PutCaller(edgetest.Issuer, "ada", access.Caller{User: w.Ben})
	require.Equal(t, 2, reads(w.get(), w.Ben), "what the identity led to before counts for nothing")
	require.Equal(t, 1, reads(w.get(), w.Ben))

	w.Accounts.Delete(access.IdentityKey(edgetest.Issuer, "ada"))
	w.refused(t, w.get(), fault.ConsentRequired)
	require.Equal(t, access.IdentityKey(edgetest.Issuer, "ada"), w.lastEvent(t).Caller)
	require.Empty(t, w.lastEvent(t).Owner)
}

// Whoever may invoke the function itself can put anything into the event.
func TestDirectInvocation(t *testing.T) {
	w := newWorld(t)
	forged := func(e *events.APIGatewayProxyRequest) {
		claims := map[string]any{"sub": "ada", "client_id": edgetest.Client, "token_use": "access", "scope": edgetest.Scopes, "username": "ada"}
		e.RequestContext.Authorizer = map[string]any{"claims": claims, "principalId": w.Ada.String()}
		e.RequestContext.Identity = events.APIGatewayRequestIdentity{
			APIKey: edgetest.APIKey, APIKeyID: "id", User: w.Ada.String(), UserArn: "arn:aws:iam::123456789012:root", Caller: "ada",
			CognitoIdentityID: "ada", CognitoAuthenticationType: "authenticated", SourceIP: "127.0.0.1",
		}
		e.StageVariables = map[string]string{"user": w.Ada.String()}
	}
	t.Run("claims and identity are no credentials", func(t *testing.T) {
		e := w.get()
		forged(&e)
		without(&e, "Authorization")
		w.refused(t, e, fault.Unauthenticated)
		e = w.get()
		forged(&e)
		without(&e, "x-api-key")
		w.refused(t, e, fault.Forbidden)
	})
	t.Run("the token says who, not the context", func(t *testing.T) {
		e := w.Event("ben", "GET", readings, map[string]string{"user": w.Ada.String()})
		forged(&e)
		w.refused(t, e, fault.NotFound)
		e.PathParameters = map[string]string{"user": "me"}
		require.Equal(t, w.Ben, w.allowed(t, e).Owner.User)
	})
	t.Run("resource and parameters rule, not the path", func(t *testing.T) {
		e := w.Event("ben", "GET", readings, map[string]string{"user": w.Ada.String()})
		e.Path = "/users/me/readings"
		w.refused(t, e, fault.NotFound)

		e = w.get()
		e.Path = "/users/" + w.Ben.String() + "/consents/../../\x00?user=x"
		e.RequestContext.Path, e.RequestContext.ResourcePath, e.RequestContext.HTTPMethod = e.Path, consents, "DELETE"
		call := w.allowed(t, e)
		require.Equal(t, w.Ada, call.Owner.User)
	})
	t.Run("headers of proxies mean nothing", func(t *testing.T) {
		e := w.get()
		w.handle = func(rw http.ResponseWriter, r *http.Request, c *edge.Call) error {
			require.Equal(t, http.Header{"Accept": {"a/b, c/d"}}, r.Header)
			require.Equal(t, readings, r.URL.Path)
			require.Empty(t, r.RemoteAddr)
			require.Equal(t, "GET", r.Method)
			return good(rw, r, c)
		}
		for _, name := range []string{"X-HTTP-Method-Override", "X-Forwarded-For", "X-Original-URL", "Cookie", "X-User", "Forwarded", "Host"} {
			edgetest.SetHeader(&e, name, "DELETE")
		}
		e.MultiValueHeaders["Accept"] = []string{"a/b", "c/d"}
		w.allowed(t, e)
		w.handle = good
	})
	t.Run("an empty event", func(t *testing.T) {
		w.refused(t, events.APIGatewayProxyRequest{}, fault.NotFound)
		w.refused(t, events.APIGatewayProxyRequest{HTTPMethod: "GET", Resource: readings}, fault.Unauthenticated)
	})
	t.Run("the event is not changed", func(t *testing.T) {
		e := w.post()
		before := len(e.MultiValueHeaders)
		w.allowed(t, e)
		require.Len(t, e.MultiValueHeaders, before)
		require.Equal(t, map[string]string{"user": "me"}, e.PathParameters)
	})
}

func TestUnknownRoutes(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct{ method, resource string }{
		{"GET", "/users/{user}/days"},
		{"GET", "/users/" + w.Ada.String() + "/readings"},
		{"GET", readings + "/"},
		{"GET", "/v1" + readings},
		{"GET", ""},
		{"get", readings},
		{"HEAD", readings},
		{"OPTIONS", readings},
		{"DELETE", readings},
		{"", readings},
		{"GET " + readings, ""},
		{"GET", " " + readings},
		{strings.Repeat("A", 1<<20), readings},
	} {
		e := w.get()
		e.HTTPMethod, e.Resource = test.method, test.resource
		w.refused(t, e, fault.NotFound)
		require.Equal(t, "unknown", w.record(t)["method"])
		require.Equal(t, "unknown", w.record(t)["resource"])
	}
	require.Empty(t, w.Audit.Events())
	require.Empty(t, w.Accounts.Reads)
}

func TestDocumentsNotReadable(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		kind fault.Kind
	}{
		"the store does not answer":  {fault.New(fault.Unavailable, "throttled"), fault.Unavailable},
		"a document is broken":       {fault.New(fault.Internal, "app document"), fault.Internal},
		"an error without a kind":    {errors.New("x"), fault.Internal},
		"a kind that it must not be": {fault.New(fault.NotFound, "no item"), fault.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Accounts.Err = test.err
			w.refused(t, w.get(), test.kind)
			require.Empty(t, w.Audit.Events())
			w.Accounts.Err = nil
			w.allowed(t, w.get())
		})
	}
	t.Run("an owner document of another user", func(t *testing.T) {
		w := newWorld(t)
		config := w.Config("test")
		config.Documents = mixedUp{&w.Accounts, w.Ben}
		w.guard = edge.New(config, edge.Route{Method: "GET", Resource: readings, Scope: readScope, Action: access.ReadingsRead, Handle: good})
		w.refused(t, w.get(), fault.Internal)
	})
}

// mixedUp returns somebody else's account.
type mixedUp struct {
	edge.Documents
	user access.UserID
}

func (m mixedUp) Read(ctx context.Context, k access.Keys) (access.Documents, error) {
	if !k.User.IsZero() {
		k.User = m.user
	}
	return m.Documents.Read(ctx, k)
}
