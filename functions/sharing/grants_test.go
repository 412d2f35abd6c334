package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
	"fitvault/shared/openmhealth"
	"fitvault/shared/reading"
	"fitvault/shared/sharing"
)

// TestGrant: an invitation, its acceptance, what it opens, and its end.
func TestGrant(t *testing.T) {
	w := newWorld(t)
	var made grant
	w.said(t, w.call("ada", http.MethodPost, grants, steps), 201, &made)
	require.Equal(t, permit{Types: []string{"omh:step-count"}, Access: []string{"read"}, Purpose: "family", From: "2026-05-04T05:25:00Z", Until: "2026-06-04T05:25:00Z"}, made.permit)
	require.Equal(t, "2026-05-11T05:25:00Z", made.Expires)
	require.Regexp(t, `^[a-z2-7]{42}$`, made.Code)
	require.False(t, w.decides(w.Ben).Allowed, "nobody has it yet")

	var all list[grant]
	w.said(t, w.call("ada", http.MethodGet, grants, ""), 200, &all)
	code := made.Code
	made.Code = ""
	require.Equal(t, []grant{made}, all.Items, "the code is shown once")

	var got shared
	w.said(t, w.accepts("ben", code), 200, &got)
	want := shared{Owner: w.Ada.String(), ID: made.ID, permit: made.permit}
	require.Equal(t, want, got)
	d := w.decides(w.Ben)
	require.True(t, d.Permits(stepCount))
	require.False(t, d.Permits(reading.Type{Namespace: "omh", Name: "sleep-duration"}))

	w.said(t, w.call("ada", http.MethodGet, grants, ""), 200, &all)
	require.Equal(t, []grant{{ID: made.ID, permit: made.permit, User: w.Ben.String()}}, all.Items)
	var mine list[shared]
	w.said(t, w.call("ben", http.MethodGet, sharedMe, ""), 200, &mine)
	require.Equal(t, []shared{want}, mine.Items)

	w.said(t, w.call("ada", http.MethodDelete, oneGrant, "", "id", made.ID), 204, nil)
	require.False(t, w.decides(w.Ben).Allowed)
	w.said(t, w.call("ben", http.MethodGet, sharedMe, ""), 200, &mine)
	require.Empty(t, mine.Items)
	w.refused(t, w.call("ada", http.MethodDelete, oneGrant, "", "id", made.ID), fault.NotFound)

	t.Run("each change has its event before", func(t *testing.T) {
		var changes []auditlog.Sharing
		for _, e := range w.Audit.Events() {
			if e.Sharing != nil {
				changes = append(changes, *e.Sharing)
				require.NotContains(t, fmt.Sprintf("%v", []string{e.Sharing.Grant, e.Sharing.Grantee, e.Sharing.Permit}), code[:16])
			}
		}
		summary := "read omh:step-count for family, 2026-05-04T05:25:00Z to 2026-06-04T05:25:00Z"
		require.Equal(t, []auditlog.Sharing{{Grant: made.ID, Permit: summary}, {Grantee: w.Ben.String()},
			{Grant: made.ID, Grantee: w.Ben.String(), Permit: summary}, {Grant: made.ID, Grantee: w.Ben.String()}}, changes)
	})
}

func TestGrantToAnOrganisation(t *testing.T) {
	w := newWorld(t)
	id, code := w.invite(t)
	with := func(body string) events.APIGatewayProxyRequest {
		return w.call("ben", http.MethodPost, accept, body, "code", code)
	}
	w.refused(t, with(`{"organisation": "other"}`), fault.Forbidden)
	require.Equal(t, []fault.Item{{Pointer: "/organisation", Rule: "organisation"}}, w.refused(t, with(`{"organisation": "UPPER"}`), fault.Invalid))
	w.refused(t, with(`{"organisation": null}`), fault.Invalid)
	var got shared
	w.said(t, with(`{"organisation": "clinic"}`), 200, &got)
	require.Equal(t, "clinic", got.Organisation)
	require.Equal(t, "organisation#clinic", w.store.Owner(w.Ada).Grants[id].To)
	var mine list[shared]
	w.said(t, w.call("ben", http.MethodGet, sharedMe, ""), 200, &mine)
	require.Equal(t, []shared{got}, mine.Items)
	var all list[grant]
	w.said(t, w.call("ada", http.MethodGet, grants, ""), 200, &all)
	require.Equal(t, [2]string{"clinic", ""}, [2]string{all.Items[0].Organisation, all.Items[0].User})

	t.Run("who is no member any more sees nothing", func(t *testing.T) {
		w.store.Put(edgetest.Issuer, "ben", access.Documents{Caller: &access.Caller{User: w.Ben}})
		w.said(t, w.call("ben", http.MethodGet, sharedMe, ""), 200, &mine)
		require.Empty(t, mine.Items)
	})
}

// TestSharedHolds: the list of what is shared says what holds now, whatever was accepted.
func TestSharedHolds(t *testing.T) {
	for name, change := range map[string]func(w *world, o *access.Owner, id string){
		"no consent to share": func(w *world, o *access.Owner, _ string) {
			o.Consents[access.Sharing] = access.Consent{Version: "1", Time: w.Time}
		},
		"an account that is not active":       func(_ *world, o *access.Owner, _ string) { o.State = "closing" },
		"a grant that has ended":              func(w *world, _ *access.Owner, _ string) { w.later(31 * 24 * time.Hour) },
		"a grant that somebody else has":      func(w *world, o *access.Owner, id string) { g := o.Grants[id]; g.To = w.Ada.String(); o.Grants[id] = g },
		"research without the consent for it": func(_ *world, o *access.Owner, id string) { g := o.Grants[id]; g.Use = access.Study; o.Grants[id] = g },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id, code := w.invite(t)
			w.said(t, w.accepts("ben", code), 200, &shared{})
			w.owner(w.Ada, func(o *access.Owner) { change(w, o, id) })
			var mine list[shared]
			w.said(t, w.call("ben", http.MethodGet, sharedMe, ""), 200, &mine)
			require.Empty(t, mine.Items)
			require.False(t, w.decides(w.Ben).Allowed, "and that is what is decided")
		})
	}
}

// TestCodesThatOpenNothing: wrong, used, expired, withdrawn, one's own, of nobody: the
// same answer, the same calls, the same events.
func TestCodesThatOpenNothing(t *testing.T) {
	type observed struct {
		status  int
		body    string
		headers map[string][]string
		calls   []string
		events  [][3]string
	}
	observe := func(t *testing.T, w *world, e events.APIGatewayProxyRequest) observed {
		before := len(w.Audit.Events())
		w.store.Calls()
		a := w.do(t, e)
		http.Header(a.MultiValueHeaders).Del("RateLimit") // it says how often he has asked
		o := observed{status: a.StatusCode, body: a.Body, headers: a.MultiValueHeaders, calls: w.store.Calls()}
		for _, e := range w.Audit.Events()[before:] {
			o.events = append(o.events, [3]string{string(e.Outcome), e.Kind, e.Owner})
		}
		return o
	}
	var first *observed
	same := func(t *testing.T, w *world, code string) {
		t.Helper()
		o := observe(t, w, w.accepts("ben", code))
		for i := range o.events {
			require.Equal(t, w.Ben.String(), o.events[i][2], "no event of who tries is on somebody else's account")
			o.events[i][2] = ""
		}
		if first == nil {
			first = &o
		}
		require.Equal(t, *first, o)
		require.Equal(t, 404, o.status)
		require.Equal(t, []string{"try"}, slices.DeleteFunc(slices.Clone(o.calls), func(c string) bool { return c == "read" || c == "begin session" }))
	}
	warm := func(t *testing.T) *world { // the session is there
		w := newWorld(t)
		w.said(t, w.call("ben", http.MethodGet, sharedMe, ""), 200, &list[shared]{})
		return w
	}
	last := func(s string) string { // one that is off by a bit or so
		if strings.HasSuffix(s, "a") {
			return s[:len(s)-1] + "e"
		}
		return s[:len(s)-1] + "a"
	}
	t.Run("of no invitation", func(t *testing.T) { same(t, warm(t), strings.Repeat("a", 42)) })
	for name, code := range map[string]string{"short": "x", "long": strings.Repeat("a", 64), "in capitals": strings.Repeat("A", 42), "in another spelling": strings.Repeat("a", 41) + "b"} {
		t.Run(name, func(t *testing.T) { same(t, warm(t), code) })
	}
	t.Run("with a wrong verifier, five times, and the right one then", func(t *testing.T) {
		w := warm(t)
		_, code := w.invite(t)
		for range sharing.MaxTries {
			same(t, w, last(code))
		}
		same(t, w, code)
	})
	t.Run("the fourth wrong one leaves a try", func(t *testing.T) {
		w := warm(t)
		_, code := w.invite(t)
		for range sharing.MaxTries - 1 {
			same(t, w, last(code))
		}
		w.said(t, w.accepts("ben", code), 200, &shared{})
	})
	t.Run("used", func(t *testing.T) {
		w := warm(t)
		_, code := w.invite(t)
		w.said(t, w.accepts("ben", code), 200, &shared{})
		same(t, w, code)
	})
	t.Run("expired", func(t *testing.T) {
		w := warm(t)
		_, code := w.invite(t)
		w.later(sharing.InvitationLife)
		same(t, w, code)
	})
	t.Run("one's own", func(t *testing.T) {
		w := warm(t)
		id, code := w.invite(t)
		w.refused(t, w.accepts("ada", code), fault.NotFound)
		require.Empty(t, w.store.Owner(w.Ada).Grants[id].To)
	})
	for name, change := range map[string]func(o *access.Owner){
		"withdrawn":                      func(o *access.Owner) { o.Grants = nil },
		"of who does not share any more": func(o *access.Owner) { delete(o.Consents, access.Sharing) },
		"of an account that closes":      func(o *access.Owner) { o.State = "closing" },
	} {
		t.Run(name, func(t *testing.T) { // who knows the code knows that there was one
			w := warm(t)
			_, code := w.invite(t)
			w.owner(w.Ada, change)
			o := observe(t, w, w.accepts("ben", code))
			require.Equal(t, [2]any{first.status, first.body}, [2]any{o.status, o.body})
			require.Equal(t, first.headers, o.headers)
		})
	}
	t.Run("withdrawn on the way", func(t *testing.T) {
		w := warm(t)
		id, code := w.invite(t)
		w.store.Hook = func(call string) error {
			if call == "accept" {
				w.store.Hook = nil
				return w.store.RemoveGrant(t.Context(), w.Ada, id)
			}
			return nil
		}
		o := observe(t, w, w.accepts("ben", code))
		require.Equal(t, [2]any{first.status, first.body}, [2]any{o.status, o.body})
	})
}

// TestStrangers: nobody learns of an account by these routes.
func TestStrangers(t *testing.T) {
	w := newWorld(t)
	id, _ := w.invite(t)
	var nobodyHere access.UserID
	for i := range 2 {
		user := w.Ada
		if i == 1 {
			var err error
			nobodyHere, err = access.NewUserID(strings.NewReader("0123456789abcdef"))
			require.NoError(t, err)
			user = nobodyHere
		}
		for _, e := range []events.APIGatewayProxyRequest{
			w.call("ben", http.MethodGet, grants, ""), w.call("ben", http.MethodPost, grants, steps), w.call("ben", http.MethodDelete, oneGrant, "", "id", id),
			w.call("ben", http.MethodGet, sharedMe, ""), w.call("ben", http.MethodGet, apps, ""), w.call("ben", http.MethodGet, oneApp, "", "client", partner),
			w.call("ben", http.MethodPut, oneApp, steps, "client", partner), w.call("ben", http.MethodDelete, oneApp, "", "client", partner),
			w.call("ben", http.MethodGet, sessions, ""), w.call("ben", http.MethodDelete, session, "", "session", access.SessionName("session-of-ada")),
			w.call("ben", http.MethodGet, settings, ""), w.call("ben", http.MethodPut, settings, `{"signed_uploads": false, "sealed_uploads": []}`),
		} {
			e.PathParameters["user"] = user.String()
			w.refused(t, e, fault.NotFound)
		}
	}
	require.Len(t, w.store.Owner(w.Ada).Grants, 1)
}

func TestRoomForGrants(t *testing.T) {
	w := newWorld(t)
	for range access.MaxGrants {
		w.invite(t)
	}
	w.refused(t, w.call("ada", http.MethodPost, grants, steps), fault.Conflict)
	w.later(sharing.InvitationLife)
	w.invite(t)
	require.Len(t, w.store.Owner(w.Ada).Grants, 1, "what is over has made room")
}

// TestRoomForTypes: an owner's document stays small, by what all permits name together.
func TestRoomForTypes(t *testing.T) {
	w := newWorld(t)
	var names []string
	for _, s := range openmhealth.Served {
		if name := s.Type.String(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	all := strings.Replace(steps, `["omh:step-count"]`, `["`+strings.Join(names, `", "`)+`"]`, 1)
	give := func() events.APIGatewayProxyRequest { return w.call("ada", http.MethodPost, grants, all) }
	for range access.MaxTypesInAll / len(names) {
		w.said(t, give(), 201, &grant{})
	}
	w.refused(t, give(), fault.Conflict)
	for w.store.Owner(w.Ada).TypesInAll() < access.MaxTypesInAll {
		w.invite(t)
	}
	let := func() events.APIGatewayProxyRequest {
		return w.call("ada", http.MethodPut, oneApp, steps, "client", partner)
	}
	w.refused(t, let(), fault.Conflict)
	for id := range w.store.Owner(w.Ada).Grants {
		w.said(t, w.call("ada", http.MethodDelete, oneGrant, "", "id", id), 204, nil)
		break
	}
	w.said(t, let(), 200, &app{})
	w.said(t, let(), 200, &app{}) // what it had makes room for what it has
	w.later(sharing.InvitationLife)
	w.said(t, give(), 201, &grant{}) // what is over has made room
	require.Len(t, w.store.Owner(w.Ada).Grants, 1)
}

func TestPermitRefusals(t *testing.T) {
	item := func(pointer, rule string) []fault.Item { return []fault.Item{{Pointer: pointer, Rule: rule}} }
	change := func(old, new string) string {
		changed := strings.Replace(steps, old, new, 1)
		if changed == steps {
			panic("nothing changed")
		}
		return changed
	}
	many := strings.TrimSuffix(strings.Repeat(`"omh:step-count",`, access.MaxTypes+1), ",")
	for name, test := range map[string]struct {
		body  string
		kind  fault.Kind
		items []fault.Item
	}{
		"no types":           {change(`"omh:step-count"`, ``), fault.Invalid, item("/types", "count")},
		"an unknown type":    {change(`omh:step-count`, `omh:none`), fault.Invalid, item("/types", "known-type")},
		"trackpoints":        {change(`omh:step-count`, `fitvault:trackpoint`), fault.Invalid, item("/types", "known-type")},
		"no type at all":     {change(`omh:step-count`, `x`), fault.Invalid, item("/types", "known-type")},
		"a type twice":       {change(`"omh:step-count"`, `"omh:step-count", "omh:step-count"`), fault.Invalid, item("/types", "unique")},
		"too many types":     {change(`"omh:step-count"`, many), fault.Invalid, item("/types", "count")},
		"no access":          {change(`"read"`, ``), fault.Invalid, item("/access", "required")},
		"another access":     {change(`"read"`, `"own"`), fault.Invalid, item("/access", "enum")},
		"an access twice":    {change(`"read"`, `"read", "read"`), fault.Invalid, item("/access", "enum")},
		"another purpose":    {change(`family`, `profit`), fault.Invalid, item("/purpose", "enum")},
		"no purpose":         {change(`"purpose": "family", `, ``), fault.Invalid, item("/purpose", "enum")},
		"no until":           {`{"types": ["omh:step-count"], "access": ["read"], "purpose": "family"}`, fault.Invalid, item("/until", "date-time")},
		"until no time":      {change(`2026-06-04T07:25:00+02:00`, `tomorrow`), fault.Invalid, item("/until", "date-time")},
		"until now":          {change(`2026-06-04T07:25:00+02:00`, `2026-05-04T05:25:00Z`), fault.Invalid, item("/until", "within-366-days")},
		"too long":           {change(`2026-06-04T07:25:00+02:00`, `2027-05-05T05:25:01Z`), fault.Invalid, item("/until", "within-366-days")},
		"from no time":       {change(`"until"`, `"from": "x", "until"`), fault.Invalid, item("/from", "date-time")},
		"until before from":  {change(`"until"`, `"from": "2026-07-01T00:00:00Z", "until"`), fault.Invalid, item("/until", "after-from")},
		"an unknown member":  {change(`"until"`, `"to": "x", "until"`), fault.Invalid, nil},
		"a null":             {change(`"2026-06-04T07:25:00+02:00"`, `null`), fault.Invalid, nil},
		"a member twice":     {change(`"until"`, `"purpose": "care", "until"`), fault.BadRequest, nil},
		"no JSON":            {`{`, fault.BadRequest, nil},
		"too large":          {steps + strings.Repeat(" ", maxBody), fault.TooLarge, nil},
		"a list":             {`[]`, fault.Invalid, nil},
		"less than a second": {change(`2026-06-04T07:25:00+02:00`, `2026-05-04T05:25:00.5Z`), fault.Invalid, item("/until", "after-from")},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			require.Equal(t, test.items, w.refused(t, w.call("ada", http.MethodPost, grants, test.body), test.kind))
			require.Equal(t, test.items, w.refused(t, w.call("ada", http.MethodPut, oneApp, test.body, "client", partner), test.kind))
			require.Empty(t, w.store.Owner(w.Ada).Grants)
			require.Empty(t, w.store.Owner(w.Ada).Apps)
		})
	}
	t.Run("without the consent to share", func(t *testing.T) {
		w := newWorld(t)
		w.owner(w.Ada, func(o *access.Owner) { delete(o.Consents, access.Sharing) })
		w.refused(t, w.call("ada", http.MethodPost, grants, steps), fault.ConsentRequired)
	})
	t.Run("what was before now is not permitted", func(t *testing.T) {
		w := newWorld(t)
		var g grant
		w.said(t, w.call("ada", http.MethodPost, grants, change(`"until"`, `"from": "0000-01-01T00:00:00Z", "until"`)), 201, &g)
		require.Equal(t, "2026-05-04T05:25:00Z", g.From)
	})
	t.Run("all of it", func(t *testing.T) {
		w := newWorld(t)
		var g grant
		w.said(t, w.call("ada", http.MethodPost, grants, thing), 201, &g)
		require.Equal(t, permit{Types: []string{"fitvault:recording", "omh:heart-rate"}, Access: []string{"read", "write"}, Purpose: "care",
			From: "2026-05-05T00:00:00Z", Until: "2027-05-04T00:00:00Z"}, g.permit)
	})
}

// FuzzParsePermit: no body takes sharing down, and what is permitted is bounded.
func FuzzParsePermit(f *testing.F) {
	for _, seed := range []string{steps, thing, nobody, `{"types": [], "until": "9999-12-31T23:59:60Z"}`} {
		f.Add([]byte(seed))
	}
	now := time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC)
	h := handler{now: func() time.Time { return now }}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := h.decodePermit(body)
		if err != nil {
			require.Contains(t, []fault.Kind{fault.BadRequest, fault.Invalid}, fault.KindOf(err))
			return
		}
		require.False(t, p.From.Before(now))
		require.True(t, p.Until.After(p.From) && !p.Until.After(now.Add(sharing.MaxPermit)))
		require.NotEmpty(t, p.Types)
		for _, of := range p.Types {
			require.True(t, known(of))
		}
	})
}
