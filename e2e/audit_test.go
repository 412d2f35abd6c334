package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/dynamo"
	"fitvault/shared/fault"
	"fitvault/shared/intake"
	"fitvault/shared/objects"
)

// TestEventOfEveryEffect: each read and each write leaves one event, which says
// who did what to whom, by which app, why it was allowed, and under which
// request id. (That it is written before the effect is what TestWithoutAuditEvents
// shows.)
func TestEventOfEveryEffect(t *testing.T) {
	s := stack.Open(t)
	began := time.Now()
	newcomer := s.Stranger(t)
	claims := claimsOf(t, newcomer.Token)
	identity := access.IdentityKey(claims["iss"].(string), claims["sub"].(string))
	app := s.Clients["app"].ID

	expected := map[string]event{}
	answered := map[string]time.Time{}
	do := func(want event, r route, id string) stack.Answer {
		t.Helper()
		answer := newCall(r, "me", id, newcomer.Token, newcomer.Key).send(t, s)
		require.Less(t, answer.Status, 300, "%s", answer.Body)
		request := answer.Header.Get("X-Request-Id")
		require.NotContains(t, expected, request)
		want.Function, want.Action, want.Client, want.Outcome = functionName(r), r.action, app, "allowed"
		expected[request], answered[request] = want, time.Now()
		return answer
	}
	consents, giveConsent := allRoutes[5], allRoutes[6]
	do(event{Caller: identity, Reasons: []string{"newcomer-consents"}}, consents, "")
	said := func(e event, given bool) event {
		e.Consent = &auditlog.Consent{Purpose: "collection", Version: "1", Given: given, Locale: "en", How: app}
		return e
	}
	answer := do(said(event{Caller: identity, Reasons: []string{"newcomer-consents"}}, true), giveConsent, "")
	var given struct{ User string }
	answer.JSON(t, &given)
	enrolled := answer.Header.Get("X-Request-Id")
	first := expected[enrolled]
	first.Owner = given.User // who he will be
	expected[enrolled] = first

	owner := func(reason string) event {
		return event{Caller: given.User, Owner: given.User, Reasons: []string{reason}}
	}
	const reads, writes = "owner-reads", "owner-writes-with-consent"
	do(owner("owner-consents"), consents, "")
	do(owner("owner-consents"), allRoutes[7], "")
	withdrawal := giveConsent
	withdrawal.body = `{"version":"1","given":false}`
	do(said(owner("owner-consents"), false), withdrawal, "")
	do(said(owner("owner-consents"), true), giveConsent, "")
	write := owner(writes)
	write.Records = 1
	do(write, allRoutes[3], "")
	do(write, allRoutes[3], "") // a retry is a request of its own
	var made struct{ ID string }
	do(write, allRoutes[4], "").JSON(t, &made)
	do(owner(reads), allRoutes[0], "")
	do(owner(reads), allRoutes[1], "")
	read := owner(reads)
	read.Recording = made.ID
	do(read, allRoutes[2], made.ID)

	found := eventsSince(t, s, began)
	for request, want := range expected {
		require.Len(t, found[request], 1)
		got := found[request][0]
		if want.Records > 0 {
			require.Regexp(t, "^[0-9a-f]{64}$", got.Manifest)
			want.Manifest = got.Manifest
		}
		isOneEvent(t, want, request, found)
		require.False(t, got.Time.After(answered[request]))
		require.False(t, got.Time.Before(began.Truncate(time.Millisecond)))
	}
}

// nothingGiven asserts the answer about somebody without an account.
func nothingGiven(t *testing.T, a stack.Answer) {
	t.Helper()
	require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
	var found map[string]any
	a.JSON(t, &found)
	require.NotContains(t, found, "user")
	items, all := found["items"].([]any)
	if !all {
		require.Contains(t, found, "text")
		delete(found, "text")
		items = []any{found}
	}
	for _, i := range items {
		item := i.(map[string]any)
		delete(item, "purpose")
		require.Equal(t, map[string]any{"given": false, "counts": false, "asked_again": false, "current_version": "1"}, item)
	}
}

// TestWithoutAuditEvents: where events cannot be written, nothing is shown and
// nothing changes: 503 for reads, for writes, and for refusals too. Afterwards
// the same requests do what they were meant to.
func TestWithoutAuditEvents(t *testing.T) {
	s := stack.Open(t)
	b := newBehind(t, s)
	buckets := objects.Bucket{Client: bucketsOf(s), Name: s.Output(t, "DocumentsBucket"), Limit: 8 << 20}
	owner, newcomer := s.Newcomer(t), s.Stranger(t)
	post(t, owner, today+"T10:00:00Z", todays)
	var kept struct{ ID string }
	newCall(allRoutes[4], "me", "", owner.Token, owner.Key).send(t, s).JSON(t, &kept)
	before := b.blocks(t, owner.ID)
	require.Len(t, before, 2)

	blind := map[string]string{}
	for _, function := range []string{"IngestFunction", "ReadingsFunction", "EnrolFunction", "SharingFunction"} {
		blind[function] = copyOf(t, s, function, map[string]string{"AUDIT_EVENTS_TABLE": s.Output(t, "AuditEventsTable") + "-gone"})
	}
	unavailable := func(c call) {
		t.Helper()
		answer := invoke(t, s, blind[c.function], c.event())
		isProblem(t, fault.Unavailable, answer, todays, owner.ID, kept.ID, "Running")
		require.Regexp(t, `^[2-9]$`, answer.Header.Get("Retry-After"))
	}
	const key = "an idempotency key"
	writes := map[string]call{}
	for _, r := range allRoutes {
		switch r.action {
		case "readings.write":
			r.body = heartRate(tomorrow+"T10:00:00Z", tomorrows)
		case "recordings.write":
			r.body = recording(tomorrow+"T10:00:00Z", "48.7")
		case "consents.write":
			r.body = `{"version":"1","given":false}`
		}
		c := newCall(r, "me", kept.ID, owner.Token, owner.Key)
		c.header.Set("Idempotency-Key", key)
		unavailable(c)
		if r.method == http.MethodPost {
			writes[strings.TrimPrefix(r.resource, "/users/{user}/")] = c
		}
		unavailable(newCall(r, "me", kept.ID, owner.Token, "")) // a refusal of a known caller
		isProblem(t, fault.Unauthenticated, invoke(t, s, blind[r.function], newCall(r, "me", kept.ID, "", owner.Key).event()))
	}
	unavailable(newCall(allRoutes[6], "me", "", newcomer.Token, newcomer.Key))

	// Nothing has changed.
	require.Equal(t, before, b.blocks(t, owner.ID))
	requests, err := b.Ring.Requests(t.Context())
	require.NoError(t, err)
	manifests := dynamo.Manifests{Tables: b.Tables, Now: time.Now}
	var decided []intake.Manifest
	for resource := range writes {
		m, ok, err := manifests.Find(t.Context(), requests.ManifestID(owner.ID, s.Clients["app"].ID, resource, "key", key))
		require.NoError(t, err)
		require.True(t, ok, "no manifest of %s", resource)
		decided = append(decided, m)
		if m.Recording != nil {
			_, err := buckets.Get(t.Context(), m.Recording.Document)
			require.ErrorIs(t, err, objects.ErrNotFound)
		}
	}
	consent := owner.Do(t, http.MethodGet, "/users/me/consents/collection", nil)
	require.Contains(t, string(consent.Body), `"given":true`)
	none := newcomer.Do(t, http.MethodGet, "/users/me/consents/collection", nil)
	nothingGiven(t, none)
	claims := claimsOf(t, newcomer.Token)
	documents, err := b.Read(t.Context(), access.Keys{Issuer: claims["iss"].(string), Subject: claims["sub"].(string)})
	require.NoError(t, err)
	require.Nil(t, documents.Caller)

	// With events it is done, and exactly as the manifests had decided.
	for _, c := range writes {
		require.Less(t, c.send(t, s).Status, 300)
	}
	after := b.blocks(t, owner.ID)
	require.Len(t, after, len(before)+2)
	for _, m := range decided {
		if m.Recording != nil {
			require.Contains(t, after, intake.RecordItem(m.Recording.ID))
			_, err := buckets.Get(t.Context(), m.Recording.Document)
			require.NoError(t, err)
		}
		for _, block := range m.Blocks {
			require.Contains(t, after, intake.BlockItem(block.Day, block.ID))
		}
	}
}
