package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/guard/contract"
	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
	"fitvault/shared/sharing"
)

func TestRoutes(t *testing.T) {
	want, err := contract.Belonging("../..", "sharing")
	require.NoError(t, err)
	require.Empty(t, contract.DifferInDetail("openapi.yaml", want, "sharing", contract.OfHandlers(handler{}.routes())))
}

func TestRecordedEvents(t *testing.T) {
	w := newWorld(t)
	recorded, err := contract.Recorded("../..", "sharing", map[string]string{
		"token.ada": edgetest.Sign(w.Claims("ada")), "key.app": edgetest.APIKey, "user.ada": w.Ada.String()})
	require.NoError(t, err)
	for _, test := range []struct {
		name   string
		status int
	}{
		{"post-grant", 201}, {"get-grants", 200}, {"get-shared-with-me", 200}, {"put-app", 200}, {"get-app", 200}, {"get-apps", 200}, {"delete-app", 204},
		{"get-sessions", 200}, {"put-settings", 200}, {"get-settings", 200},
		// Of things that there are not: their ids are random.
		{"delete-grant", 404}, {"accept-invitation", 404}, {"delete-session", 404},
		{"delete-sessions", 204}, // ends what the others need
	} {
		name := "sharing-" + test.name + ".json"
		require.Contains(t, recorded, name)
		a := w.do(t, recorded[name])
		require.Equal(t, test.status, a.StatusCode, "%s: %s", name, a.Body)
		delete(recorded, name)
	}
	require.Empty(t, recorded, "an event that no test knows")
}

func TestApps(t *testing.T) {
	w := newWorld(t)
	var got app
	w.said(t, w.call("ada", http.MethodGet, oneApp, "", "client", partner), 200, &got)
	want := app{Client: partner, Name: "Partner's app", Kind: "third-party", Scopes: []string{"fitvault/readings.read"}}
	require.Equal(t, want, got, "what there is to agree to")
	w.refused(t, w.call("ada", http.MethodDelete, oneApp, "", "client", partner), fault.NotFound)

	w.said(t, w.call("ada", http.MethodPut, oneApp, steps, "client", partner), 200, &got)
	want.Authorisation = &permit{Types: []string{"omh:step-count"}, Access: []string{"read"}, Purpose: "family", From: "2026-05-04T05:25:00Z", Until: "2026-06-04T05:25:00Z"}
	require.Equal(t, want, got)
	w.said(t, w.call("ada", http.MethodGet, oneApp, "", "client", partner), 200, &got)
	require.Equal(t, want, got)
	var all list[authorisation]
	w.said(t, w.call("ada", http.MethodGet, apps, ""), 200, &all)
	require.Equal(t, []authorisation{{partner, *want.Authorisation}}, all.Items)
	decide := func() bool {
		return access.Decide(access.Question{Principal: access.Principal{User: w.Ada, Client: partner}, App: access.ThirdPartyApp,
			Action: access.ReadingsRead, Owner: w.store.Owner(w.Ada), Now: w.Time}).Permits(stepCount)
	}
	require.True(t, decide())

	t.Run("beyond its registration", func(t *testing.T) {
		require.Equal(t, []fault.Item{{Pointer: "/access", Rule: "within-registration"}}, w.refused(t, w.call("ada", http.MethodPut, oneApp, thing, "client", partner), fault.Invalid))
		w.app(t, "writer", "active", "system", "fitvault/readings.write")
		w.refused(t, w.call("ada", http.MethodPut, oneApp, steps, "client", "writer"), fault.Invalid)
		w.said(t, w.call("ada", http.MethodPut, oneApp, strings.Replace(steps, `"read"`, `"write"`, 1), "client", "writer"), 200, &got)
		require.Equal(t, access.SystemApp, got.Kind)
	})
	t.Run("shut out, whatever has become of the app", func(t *testing.T) {
		w.app(t, partner, "off", "third-party", "fitvault/readings.read")
		w.refused(t, w.call("ada", http.MethodGet, oneApp, "", "client", partner), fault.NotFound)
		w.said(t, w.call("ada", http.MethodDelete, oneApp, "", "client", partner), 204, nil)
		require.False(t, decide())
		w.refused(t, w.call("ada", http.MethodPut, oneApp, steps, "client", partner), fault.NotFound)
	})
	t.Run("apps that are not let in", func(t *testing.T) {
		w.app(t, "staffapp", "active", "staff")
		for _, client := range []string{edgetest.Client, "staffapp", "no-such-client"} {
			w.refused(t, w.call("ada", http.MethodGet, oneApp, "", "client", client), fault.NotFound)
			w.refused(t, w.call("ada", http.MethodPut, oneApp, steps, "client", client), fault.NotFound)
		}
	})
	t.Run("no more than there may be", func(t *testing.T) {
		w := newWorld(t)
		w.owner(w.Ada, func(o *access.Owner) {
			o.Apps = map[string]access.Permit{}
			for i := range access.MaxApps {
				o.Apps[string(rune('a'+i))] = access.Permit{}
			}
		})
		w.refused(t, w.call("ada", http.MethodPut, oneApp, steps, "client", partner), fault.Conflict)
	})
	require.Equal(t, auditlog.Sharing{App: partner, Permit: "read omh:step-count for family, 2026-05-04T05:25:00Z to 2026-06-04T05:25:00Z"}, *w.Audit.Events()[2].Sharing)
}

func TestSessions(t *testing.T) {
	w := newWorld(t)
	with := func(origin string, e events.APIGatewayProxyRequest) events.APIGatewayProxyRequest {
		claims := w.Claims("ada")
		claims["origin_jti"] = origin
		edgetest.SetHeader(&e, "Authorization", "Bearer "+edgetest.Sign(claims))
		return e
	}
	get := w.call("ada", http.MethodGet, sessions, "")
	var all list[signedIn]
	w.said(t, with("phone", get), 200, &all)
	w.said(t, w.call("ben", http.MethodGet, sessions, ""), 200, &all)
	w.said(t, with("watch", get), 200, &all)
	at := func(origin string, current bool) signedIn {
		return signedIn{ID: access.SessionName(origin), Client: edgetest.Client, SignedIn: "2026-05-04T04:25:00Z", Expires: "2026-06-04T04:25:00Z", Current: current}
	}
	require.ElementsMatch(t, []signedIn{at("phone", false), at("watch", true)}, all.Items)

	end := func(name string) events.APIGatewayProxyRequest {
		return w.call("ada", http.MethodDelete, session, "", "session", name)
	}
	w.said(t, with("watch", end(access.SessionName("phone"))), 204, nil)
	w.refused(t, with("phone", get), fault.Unauthenticated)
	w.said(t, with("watch", get), 200, &all)
	require.Equal(t, []signedIn{at("watch", true)}, all.Items)
	w.said(t, with("watch", end(access.SessionName("phone"))), 204, nil)
	w.refused(t, with("watch", end("no-such-session")), fault.NotFound)
	w.refused(t, with("watch", end(access.SessionName("session-of-ben"))), fault.NotFound)
	w.said(t, w.call("ben", http.MethodGet, sessions, ""), 200, &all)
	require.Len(t, all.Items, 1, "another's stays")
	w.said(t, with("watch", end(access.SessionName("watch"))), 204, nil)
	w.refused(t, with("watch", get), fault.Unauthenticated)

	w.said(t, with("pad", get), 200, &all)
	w.said(t, with("bike", w.call("ada", http.MethodDelete, sessions, "")), 204, nil)
	require.Equal(t, "all", w.Audit.Events()[len(w.Audit.Events())-1].Sharing.Session)
	for _, origin := range []string{"pad", "bike"} {
		w.refused(t, with(origin, get), fault.Unauthenticated)
	}
	w.said(t, w.call("ben", http.MethodGet, sessions, ""), 200, &all)
	require.Len(t, all.Items, 1, "another's stays")
}

func TestSettings(t *testing.T) {
	w := newWorld(t)
	require.JSONEq(t, `{"signed_uploads": false, "sealed_uploads": []}`, w.do(t, w.call("ada", http.MethodGet, settings, "")).Body)
	put := func(body string) events.APIGatewayProxyRequest { return w.call("ada", http.MethodPut, settings, body) }
	answer := w.do(t, put(`{"signed_uploads": true, "sealed_uploads": ["omh:step-count", "fitvault:recording"]}`))
	require.Equal(t, 200, answer.StatusCode)
	require.JSONEq(t, `{"signed_uploads": true, "sealed_uploads": ["fitvault:recording", "omh:step-count"]}`, answer.Body)
	require.JSONEq(t, answer.Body, w.do(t, w.call("ada", http.MethodGet, settings, "")).Body)
	require.Equal(t, "signed, sealed: fitvault:recording omh:step-count", w.Audit.Events()[1].Sharing.Demands)

	for _, body := range []string{`{}`, `{"signed_uploads": true}`, `{"sealed_uploads": []}`, `{"signed_uploads": "true", "sealed_uploads": []}`, `{"signed_uploads": null, "sealed_uploads": []}`} {
		w.refused(t, put(body), fault.Invalid)
	}
	require.Equal(t, []fault.Item{{Pointer: "/sealed_uploads", Rule: "known-type"}}, w.refused(t, put(`{"signed_uploads": true, "sealed_uploads": ["omh:none"]}`), fault.Invalid))
	require.True(t, w.store.Owner(w.Ada).Settings.Signed)
}

// everyRequest is a request of each route that would do.
func (w *world) everyRequest(id, code string) map[string]events.APIGatewayProxyRequest {
	return map[string]events.APIGatewayProxyRequest{
		"add grant": w.call("ada", http.MethodPost, grants, steps), "remove grant": w.call("ada", http.MethodDelete, oneGrant, "", "id", id), "try": w.accepts("ben", code),
		"shared with": w.call("ben", http.MethodGet, sharedMe, ""), "app": w.call("ada", http.MethodGet, oneApp, "", "client", partner),
		"put app": w.call("ada", http.MethodPut, oneApp, steps, "client", partner), "remove app": w.call("ada", http.MethodDelete, oneApp, "", "client", "old"),
		"sessions": w.call("ada", http.MethodGet, sessions, ""), "end session": w.call("ada", http.MethodDelete, session, "", "session", access.SessionName("session-of-ada")),
		"put settings": w.call("ada", http.MethodPut, settings, `{"signed_uploads": true, "sealed_uploads": []}`), "grants": w.call("ada", http.MethodGet, grants, ""),
		"apps": w.call("ada", http.MethodGet, apps, ""), "settings": w.call("ada", http.MethodGet, settings, ""),
	}
}

// TestFailures: whatever fails is said, and nothing is shown or done without its event.
func TestFailures(t *testing.T) {
	prepared := func(t *testing.T) (*world, map[string]events.APIGatewayProxyRequest) {
		w := newWorld(t)
		w.owner(w.Ada, func(o *access.Owner) { o.Apps = map[string]access.Permit{"old": {}} })
		id, code := w.invite(t)
		return w, w.everyRequest(id, code)
	}
	down := errors.New("down")
	w, requests := prepared(t)
	for call, e := range requests {
		t.Run(call, func(t *testing.T) {
			if call == "grants" || call == "apps" || call == "settings" {
				return // they need no more than was read for the decision
			}
			w.store.Hook = func(c string) error {
				if c == call {
					return down
				}
				return nil
			}
			before := w.store.Owner(w.Ada)
			w.refused(t, e, fault.Unavailable)
			require.Equal(t, before, w.store.Owner(w.Ada))
		})
	}
	for _, call := range []string{"owners", "accept"} {
		t.Run("accepting without "+call, func(t *testing.T) {
			w, requests := prepared(t)
			w.store.Hook = func(c string) error {
				if c == call {
					return down
				}
				return nil
			}
			w.refused(t, requests["try"], fault.Unavailable)
		})
	}
	for _, call := range []string{"sessions", "end session"} {
		t.Run("signing out everywhere without "+call, func(t *testing.T) {
			w, _ := prepared(t)
			w.store.Hook = func(c string) error {
				if c == call {
					return down
				}
				return nil
			}
			w.refused(t, w.call("ada", http.MethodDelete, sessions, ""), fault.Unavailable)
		})
	}
	t.Run("sessions that begin as fast as they are ended", func(t *testing.T) {
		w, _ := prepared(t)
		n := 0
		w.store.Hook = func(c string) error {
			if c == "sessions" {
				n++
				_, err := w.store.BeginSession(t.Context(), edgetest.Issuer, "ada", fmt.Sprint("new-", n),
					access.Session{Client: edgetest.Client, State: access.Active, SignedIn: w.Now(), Expires: w.Now().Add(time.Hour)})
				return err
			}
			return nil
		}
		w.refused(t, w.call("ada", http.MethodDelete, sessions, ""), fault.Unavailable)
		require.Equal(t, rounds, n)
	})
	t.Run("a list without owners", func(t *testing.T) {
		w, requests := prepared(t)
		w.store.Hook = func(c string) error {
			if c == "owners" {
				return down
			}
			return nil
		}
		w.refused(t, requests["shared with"], fault.Unavailable)
	})
	t.Run("without room, and a store that fails", func(t *testing.T) {
		w := newWorld(t)
		for range access.MaxGrants {
			w.invite(t)
		}
		w.later(sharing.InvitationLife)
		w.store.Hook = func(c string) error {
			if c == "remove grant" {
				return down
			}
			return nil
		}
		w.refused(t, w.call("ada", http.MethodPost, grants, steps), fault.Unavailable)
	})
	t.Run("the audit log is down", func(t *testing.T) {
		w, requests := prepared(t)
		w.Audit.Fail(down)
		before := w.store.Owner(w.Ada)
		for call, e := range requests {
			w.refused(t, e, fault.Unavailable)
			require.Equal(t, before, w.store.Owner(w.Ada), call)
		}
	})
	t.Run("no randomness", func(t *testing.T) {
		for _, some := range []int{0, 10} {
			w := newWorld(t)
			w.handler.rand = iotest.TimeoutReader(strings.NewReader(strings.Repeat("a", some)))
			w.start()
			w.refused(t, w.call("ada", http.MethodPost, grants, steps), fault.Internal)
			require.Empty(t, w.store.Owner(w.Ada).Grants)
		}
	})
	t.Run("what goes meanwhile", func(t *testing.T) {
		for call, kind := range map[string]fault.Kind{"add grant": fault.Conflict, "remove grant": fault.NotFound, "put app": fault.Conflict, "remove app": fault.NotFound, "put settings": fault.Conflict} {
			w, requests := prepared(t)
			w.store.Hook = func(c string) error {
				if c == call {
					w.owner(w.Ada, func(o *access.Owner) { o.State, o.Grants, o.Apps = "closing", nil, nil })
				}
				return nil
			}
			w.refused(t, requests[call], kind)
		}
	})
	t.Run("who has no account has nothing", func(t *testing.T) {
		w, _ := prepared(t)
		for call, e := range w.everyRequest("aaaaaaaaaaaaaaaa", strings.Repeat("a", 42)) {
			edgetest.SetHeader(&e, "Authorization", "Bearer "+edgetest.Sign(w.Claims("eve")))
			require.Equal(t, 403, w.do(t, e).StatusCode, call)
		}
	})
}
