package main

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
)

// TestTokens: a page token is good for the list, the person, the app and the
// filters that it was made for, for an hour.
func TestTokens(t *testing.T) {
	w := newWorld(t)
	w.send(t, point("a", "2026-05-04T10:00:00Z"), point("b", "2026-05-04T11:00:00Z"), pointOf("body-weight", "c", "2026-05-04T12:00:00Z", ""))
	entries := []string{w.record(t, monday).ID, w.record(t, run("2026-05-05T05:25:00Z", "2026-05-05T05:26:00Z")).ID}
	for range 2 {
		_, err := w.intake.Readings(t.Context(), w.request(w.Ben, "["+point("x", "2026-05-04T10:00:00Z")+"]"))
		require.NoError(t, err)
	}
	const partner, partnersKey = "8partner", "partner-key-0123456789"
	digest := sha256.Sum256([]byte(partnersKey))
	app, err := access.DecodeApp(partner, "active", "own", []string{scopeRead}, []string{hex.EncodeToString(digest[:])})
	require.NoError(t, err)
	w.Accounts.Put(access.Documents{App: &app})

	issued := w.Time
	query := []string{"type", "omh:heart-rate", "type", "omh:body-weight", "from", "2026-05-04T00:00:00Z"}
	token := w.page(t, w.listReadings(append(query, "page_size", "1")...)).Next
	recordings := w.page(t, w.listRecordings("page_size", "1")).Next
	trackpoints := w.recording(t, w.getRecording(entries[0], "page_size", "1")).Next
	for _, made := range []string{token, recordings, trackpoints} {
		require.NotEmpty(t, made)
		require.Regexp(t, "^[A-Za-z0-9_-]+$", made)
		require.LessOrEqual(t, len(made), 1024)
	}
	with := func(token string, query ...string) []string {
		return slices.Concat(query, []string{"page_token", token})
	}

	t.Run("good", func(t *testing.T) {
		for _, at := range []time.Duration{0, time.Hour - time.Second} {
			w.Time = issued.Add(at)
			require.Len(t, w.page(t, w.listReadings(with(token, query...)...)).Items, 2)
			require.Len(t, w.page(t, w.listReadings(append(with(token, query...), "page_size", "1")...)).Items, 1, "in another size")
			require.Len(t, w.page(t, w.listRecordings(with(recordings)...)).Items, 1)
			require.Len(t, w.recording(t, w.getRecording(entries[0], with(trackpoints)...)).Trackpoints, 1)
		}
		w.Time = issued
	})
	t.Run("too old", func(t *testing.T) {
		defer func() { w.Time = issued }()
		w.Time = issued.Add(time.Hour)
		w.refused(t, w.listReadings(with(token, query...)...), fault.BadPageToken)
		w.refused(t, w.listRecordings(with(recordings)...), fault.BadPageToken)
		w.refused(t, w.getRecording(entries[0], with(trackpoints)...), fault.BadPageToken)
	})

	as := func(e eventOf, subject string) eventOf {
		edgetest.SetHeader(&e, "Authorization", "Bearer "+edgetest.Sign(w.Claims(subject)))
		return e
	}
	byPartner := func(e eventOf) eventOf {
		claims := w.Claims("ada")
		claims["client_id"], claims["origin_jti"] = partner, "session-of-partner"
		edgetest.SetHeader(&e, "Authorization", "Bearer "+edgetest.Sign(claims))
		edgetest.SetHeader(&e, "x-api-key", partnersKey)
		return e
	}
	require.Len(t, w.page(t, byPartner(w.listReadings(query...))).Items, 3, "the partner may read")
	other := w.page(t, w.listReadings("page_size", "1")).Next
	altered := []byte(token)
	altered[len(altered)/2] ^= 1
	for name, e := range map[string]eventOf{
		"of another list":                 w.listRecordings(with(token)...),
		"of another list, back":           w.listReadings(with(recordings)...),
		"of a recording, in the list":     w.listRecordings(with(trackpoints)...),
		"of another recording":            w.getRecording(entries[1], with(trackpoints)...),
		"of the list, for a recording":    w.getRecording(entries[0], with(recordings)...),
		"without the filters":             w.listReadings(with(token)...),
		"with one filter less":            w.listReadings(with(token, query[:4]...)...),
		"with one filter more":            w.listReadings(with(token, slices.Concat(query, []string{"to", "2026-05-05T00:00:00Z"})...)...),
		"with another type":               w.listReadings(with(token, "type", "omh:heart-rate", "type", "omh:step-count", "from", "2026-05-04T00:00:00Z")...),
		"with the types exchanged":        w.listReadings(with(token, "type", "omh:body-weight", "type", "omh:heart-rate", "from", "2026-05-04T00:00:00Z")...),
		"with another from":               w.listReadings(with(token, slices.Concat(query[:4], []string{"from", "2026-05-04T00:00:01Z"})...)...),
		"of a list without filters":       w.listReadings(with(other, query...)...),
		"of another person about himself": as(w.listReadings(with(token, query...)...), "ben"),
		"of another client":               byPartner(w.listReadings(with(token, query...)...)),
		"altered":                         w.listReadings(with(string(altered), query...)...),
		"cut off":                         w.listReadings(with(token[:len(token)-2], query...)...),
		"longer":                          w.listReadings(with(token+"AAAA", query...)...),
		"twice":                           w.listReadings(with(token+token, query...)...),
		"with padding":                    w.listReadings(with(token+"=", query...)...),
		"empty":                           w.listReadings(with("", query...)...),
		"made up":                         w.listReadings(with(strings.Repeat("A", 100), query...)...),
		"not base64":                      w.listReadings(with("{}", query...)...),
	} {
		t.Run(name, func(t *testing.T) { w.refused(t, e, fault.BadPageToken) })
	}
	t.Run("of another key", func(t *testing.T) {
		other := newWorld(t)
		other.send(t, point("a", "2026-05-04T10:00:00Z"), point("b", "2026-05-04T11:00:00Z"))
		made := other.page(t, other.listReadings("page_size", "1")).Next
		w.refused(t, w.listReadings(with(made)...), fault.BadPageToken)
	})
	t.Run("is no permission", func(t *testing.T) {
		e := as(w.listReadings(with(token, query...)...), "ben")
		e.PathParameters["user"] = w.Ada.String()
		w.refused(t, e, fault.NotFound)
	})
	t.Run("tells nothing", func(t *testing.T) {
		for _, text := range []string{"2026", "after", w.Ada.String(), "omh"} {
			require.NotContains(t, token, text)
		}
		require.NotEqual(t, token, w.page(t, w.listReadings(append(query, "page_size", "1")...)).Next, "nor that it is of the same place")
	})
}

// TestLongIDs: the place in the list of any id that is accepted fits a token
// that is accepted.
func TestLongIDs(t *testing.T) {
	for name, character := range map[string]string{"a letter": "a", "an angle": "<", "a quote": `\"`, "a back slash": `\\`, "a separator": "\u2028", "four bytes": "😀"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := strings.Repeat(character, 256)
			w.send(t, point(id, "2026-05-04T10:00:00.123456789+14:00"), point(id, "2026-05-05T10:00:00.123456789+14:00"), point("b", "2026-05-06T10:00:00Z"))
			require.Len(t, w.walk(t, w.listReadings, "page_size", "1"), 3)
		})
	}
}
