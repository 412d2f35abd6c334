package main

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/consent"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
	"fitvault/shared/keyring"
	"fitvault/shared/keyring/keyringtest"
)

// about is an event about another purpose than collecting.
func about(e events.APIGatewayProxyRequest, purpose access.Purpose) events.APIGatewayProxyRequest {
	e.PathParameters["purpose"] = string(purpose)
	return e
}

// asking is an event with a query.
func asking(e events.APIGatewayProxyRequest, query map[string]string) events.APIGatewayProxyRequest {
	e.QueryStringParameters = query
	return e
}

func (w *world) list(t *testing.T, subject string) (list everything) {
	t.Helper()
	answer := w.do(t, w.Event(subject, http.MethodGet, every, map[string]string{"user": "me"}))
	require.Equal(t, 200, answer.StatusCode, answer.Body)
	require.NoError(t, json.Unmarshal([]byte(answer.Body), &list))
	return list
}

// claims is what somebody else's program reads out of a receipt, once it has
// checked it.
func (w *world) claims(t *testing.T, signed string) map[string]any {
	t.Helper()
	key, err := w.keys.KMS.PublicKey(t.Context(), keyring.PurposeReceipts)
	require.NoError(t, err)
	claims := jwt.MapClaims{}
	_, err = jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithStrictDecoding(), jwt.WithTimeFunc(w.Now)).
		ParseWithClaims(signed, claims, func(*jwt.Token) (any, error) { return key, nil })
	require.NoError(t, err)
	return claims
}

func second(t *testing.T, moment string) float64 {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, moment)
	require.NoError(t, err)
	return float64(at.Unix())
}

// TestTheFirstConsentOfAnyPurpose creates the account, and opens that purpose only.
func TestTheFirstConsentOfAnyPurpose(t *testing.T) {
	for _, purpose := range consent.Purposes {
		t.Run(string(purpose), func(t *testing.T) {
			w := newWorld(t)
			c := w.says(t, about(w.put("eve", yes), purpose))
			require.Equal(t, string(purpose), c.Purpose)
			require.True(t, c.Given)
			require.Equal(t, 1, w.keys.Store.OwnerKeys())
			user, err := access.ParseUserID(c.User)
			require.NoError(t, err)
			docs, err := w.accounts.Read(t.Context(), access.Keys{User: user})
			require.NoError(t, err)
			for _, p := range consent.Purposes {
				require.Equal(t, p == purpose, docs.Owner.Consented(p, w.Time))
			}
			list := w.list(t, "eve")
			require.Equal(t, account{c.User, access.Active}, list.account)
			require.Len(t, list.Items, len(consent.Purposes))
			for i, p := range consent.Purposes {
				want := state{Purpose: string(p), Current: "1"}
				if p == purpose {
					want = c.state
				}
				require.Equal(t, want, list.Items[i])
			}
			require.Equal(t, string(purpose), w.Audit.Events()[0].Consent.Purpose)

			t.Run("the others come to the same account", func(t *testing.T) {
				for _, p := range consent.Purposes {
					w.Time = w.Time.Add(time.Minute)
					require.Equal(t, c.User, w.says(t, about(w.put("eve", yes), p)).User)
				}
				require.Equal(t, 1, w.keys.Store.OwnerKeys())
				for _, item := range w.list(t, "eve").Items {
					require.True(t, item.Counts)
				}
			})
		})
	}
	t.Run("what was never given cannot be withdrawn", func(t *testing.T) {
		w := newWorld(t)
		w.says(t, about(w.put("eve", yes), access.Sharing))
		w.refused(t, w.put("eve", no), fault.Conflict)
		w.refused(t, about(w.put("eve", no), access.Research), fault.Conflict)
	})
}

func TestNobodyHasAList(t *testing.T) {
	w := newWorld(t)
	list := w.list(t, "eve")
	require.Equal(t, account{}, list.account)
	for i, p := range consent.Purposes {
		require.Equal(t, state{Purpose: string(p), Current: "1"}, list.Items[i])
	}
	w.requireNothingNew(t)
	e := w.Event("eve", http.MethodGet, every, map[string]string{"user": w.Ada.String()})
	w.refused(t, e, fault.NotFound)
}

// TestConcurrentFirstConsentsOfAllPurposes: at once they make one account, with
// every purpose given.
func TestConcurrentFirstConsentsOfAllPurposes(t *testing.T) {
	w := newWorld(t)
	var all sync.WaitGroup
	answers := make([]events.APIGatewayProxyResponse, 15)
	for i := range answers {
		e := about(w.put("eve", yes), consent.Purposes[i%3])
		all.Go(func() { answers[i], _ = w.guard.Handle(context.Background(), e) })
	}
	all.Wait()
	var first said
	require.NoError(t, json.Unmarshal([]byte(answers[0].Body), &first))
	for _, a := range answers {
		var c said
		require.Equal(t, 200, a.StatusCode, a.Body)
		require.NoError(t, json.Unmarshal([]byte(a.Body), &c))
		require.Equal(t, first.User, c.User)
	}
	require.Equal(t, 1, w.keys.Store.OwnerKeys())
	for _, item := range w.list(t, "eve").Items {
		require.True(t, item.Counts)
	}
	for _, p := range consent.Purposes {
		w.claims(t, w.says(t, about(w.get("eve"), p)).Receipt)
	}
}

func TestTexts(t *testing.T) {
	w := newWorld(t)
	for _, purpose := range consent.Purposes {
		for _, locale := range append([]consent.Locale{""}, consent.Locales...) {
			for _, version := range []string{"", "1"} {
				query := map[string]string{}
				if locale != "" {
					query["locale"] = string(locale)
				}
				if version != "" {
					query["version"] = version
				}
				c := w.says(t, asking(about(w.get("eve"), purpose), query))
				want := locale
				if want == "" {
					want = consent.English
				}
				markdown, ok := consent.Published.Text(purpose, "1", want)
				require.True(t, ok)
				require.Equal(t, &text{"1", string(want), markdown, consent.Published.Digest(purpose, "1", want)}, c.Text)
			}
		}
	}
	for name, query := range map[string]map[string]string{
		"a language that there is no text in": {"locale": "fr"},
		"a language in other letters":         {"locale": "DE"},
		"an empty language":                   {"locale": ""},
		"an empty version":                    {"version": ""},
		"a version to come":                   {"version": "2"},
		"a version that is a path":            {"version": "../1"},
		"another parameter":                   {"purpose": "sharing"},
	} {
		t.Run(name, func(t *testing.T) { w.refused(t, asking(w.get("ada"), query), fault.BadRequest) })
	}
	t.Run("of a purpose that is none", func(t *testing.T) {
		w.refused(t, about(w.get("ada"), "marketing"), fault.NotFound)
	})
	t.Run("without any text", func(t *testing.T) {
		w := newWorld(t)
		w.handler.texts = consent.Texts{}
		w.start()
		w.refused(t, w.get("ada"), fault.BadRequest)
		require.Equal(t, []fault.Item{{Pointer: "/version", Rule: "current-version"}}, w.refused(t, w.put("ada", yes), fault.Invalid))
	})
}

// TestReceipts: what PUT answers is what GET finds later, and says all of it.
func TestReceipts(t *testing.T) {
	w := newWorld(t)
	ids := map[any]bool{}
	step := func(body string, given bool, locale string) said {
		t.Helper()
		w.Time = w.Time.Add(time.Minute + time.Nanosecond)
		c := w.says(t, about(w.put("eve", body), access.Sharing))
		claims := w.claims(t, c.Receipt)
		ids[claims["jti"]] = true
		delete(claims, "jti")
		require.Equal(t, map[string]any{
			"iss": "fitvault", "sub": c.User, "iat": second(t, c.Time), "purpose": "sharing", "version": "1", "locale": locale,
			"digest": consent.Published.Digest(access.Sharing, "1", consent.Locale(locale)), "given": given, "how": edgetest.Client,
		}, claims)
		require.Equal(t, [3]any{given, locale, edgetest.Client}, [3]any{c.Given, c.Locale, c.How})
		require.Equal(t, c.Receipt, w.says(t, about(w.get("eve"), access.Sharing)).Receipt)
		events := w.Audit.Events()
		require.Equal(t, &auditlog.Consent{Purpose: "sharing", Version: "1", Given: given, Locale: locale, How: edgetest.Client}, events[len(events)-2].Consent)
		return c
	}
	step(`{"version": "1", "given": true, "locale": "de"}`, true, "de")
	step(`{"given": false}`, false, "de")
	step(`{"given": false, "locale": "en"}`, false, "en")
	step(`{"version": "1", "given": true}`, true, "en")
	step(`{"version": "1", "given": false, "locale": "de"}`, false, "de")
	require.Len(t, ids, 5, "each has a name of its own")
	require.Empty(t, w.says(t, w.get("eve")).Receipt, "of another purpose there is none")
	require.Empty(t, w.says(t, w.get("ada")).Receipt, "nor of what was said before there were receipts")
}

// wordings is an index in which the text on collecting has come twice; the first
// counts for a week longer.
func wordings(t *testing.T, w *world) consent.Texts {
	t.Helper()
	files := fstest.MapFS{}
	for _, name := range []string{"collection/1", "collection/2", "sharing/1", "research/1"} {
		for _, l := range consent.Locales {
			files[name+"."+string(l)+".md"] = &fstest.MapFile{Data: []byte(name + " " + string(l))}
		}
	}
	first := []consent.Version{{Name: "1", From: w.Time.AddDate(0, -1, 0)}}
	change := w.Time.AddDate(0, 0, 7)
	texts, err := consent.New(files, map[consent.Purpose][]consent.Version{consent.Sharing: first, consent.Research: first,
		consent.Collection: {{Name: "1", From: first[0].From, Until: change.AddDate(0, 0, 7)}, {Name: "2", From: change}}})
	require.NoError(t, err)
	return texts
}

func TestANewVersionAsksAgain(t *testing.T) {
	w := newWorld(t)
	w.handler.texts = wordings(t, w)
	w.start()
	began := w.Time
	const second = `{"version": "2", "given": true}`
	version := []fault.Item{{Pointer: "/version", Rule: "current-version"}}
	require.Equal(t, version, w.refused(t, w.put("eve", second), fault.Invalid), "before it is published")
	w.refused(t, asking(w.get("eve"), map[string]string{"version": "2"}), fault.BadRequest)
	c := w.says(t, w.put("eve", yes))
	require.Equal(t, [2]any{true, false}, [2]any{c.Counts, c.AskedAgain})

	w.Time = began.AddDate(0, 0, 7)
	c = w.says(t, w.get("eve"))
	require.Equal(t, state{Purpose: "collection", Given: true, Version: "1", Time: c.Time, Locale: "en", How: edgetest.Client,
		Counts: true, Current: "2", AskedAgain: true, Until: "2026-05-18T05:25:00Z"}, c.state)
	require.Equal(t, "collection/2 en", c.Text.Markdown)
	old := w.says(t, asking(w.get("eve"), map[string]string{"version": "1"}))
	require.Equal(t, "collection/1 en", old.Text.Markdown, "what was agreed to stays readable")
	require.Equal(t, w.claims(t, old.Receipt)["digest"], old.Text.Digest)
	require.Equal(t, version, w.refused(t, w.put("eve", yes), fault.Invalid), "the old text cannot be agreed to any more")

	w.Time = began.AddDate(0, 0, 14)
	lapsed := w.says(t, w.get("eve"))
	require.Equal(t, state{Purpose: "collection", Given: true, Version: "1", Time: c.Time, Locale: "en", How: edgetest.Client,
		Current: "2", AskedAgain: true}, lapsed.state)
	require.True(t, w.list(t, "eve").Items[0].AskedAgain)
	require.False(t, w.list(t, "eve").Items[1].AskedAgain, "nobody is asked again who has not agreed")

	agreed := w.says(t, w.put("eve", second))
	require.Equal(t, [3]any{true, false, "2"}, [3]any{agreed.Counts, agreed.AskedAgain, agreed.Version})
	require.Equal(t, "2", w.claims(t, agreed.Receipt)["version"])
	events := w.Audit.Events()
	require.Equal(t, &auditlog.Consent{Purpose: "collection", Version: "2", Given: true, Locale: "en", How: edgetest.Client, Before: "1"},
		events[len(events)-1].Consent, "that it is a new version stands in the trail")
}

// TestWithdrawalOfAnOldVersion: what is withdrawn is what stands, whatever
// version the app knows.
func TestWithdrawalOfAnOldVersion(t *testing.T) {
	for name, body := range map[string]string{
		"without a version":   `{"given": false}`,
		"of what stands":      `{"version": "1", "given": false}`,
		"of the current text": `{"version": "2", "given": false}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.handler.texts = wordings(t, w)
			w.start()
			w.says(t, w.put("eve", `{"version": "1", "given": true, "locale": "de"}`))
			w.Time = w.Time.AddDate(0, 0, 21)
			c := w.says(t, w.put("eve", body))
			require.Equal(t, state{Purpose: "collection", Version: "1", Time: c.Time, Locale: "de", How: edgetest.Client, Current: "2"}, c.state)
			claims := w.claims(t, c.Receipt)
			require.Equal(t, [3]any{"1", false, w.handler.texts.Digest("collection", "1", "de")}, [3]any{claims["version"], claims["given"], claims["digest"]})
		})
	}
	t.Run("of a version that never was", func(t *testing.T) {
		w := newWorld(t)
		w.refused(t, w.put("ada", `{"version": "9", "given": false}`), fault.Invalid)
		require.True(t, w.accounts.Owners()[0].Consents[access.Collection].Given)
	})
	t.Run("to a text that this version of fitvault does not know", func(t *testing.T) {
		w := newWorld(t)
		owner := w.accounts.Owners()[0]
		owner.Consents[access.Collection] = access.Consent{Version: "77", Given: true, Time: w.Time.Add(-time.Hour)}
		w.accounts.Put("", "", access.Documents{Owner: &owner})
		require.False(t, w.says(t, w.get("ada")).Counts)
		c := w.says(t, w.put("ada", `{"given": false}`))
		require.Equal(t, [2]any{false, "77"}, [2]any{c.Given, c.Version})
		require.NotContains(t, w.claims(t, c.Receipt), "digest")
	})
}

// TestReceiptsThatFail: a word and its receipt are two writes.
func TestReceiptsThatFail(t *testing.T) {
	failing := func(call string) keyringtest.Hook {
		return func(c string) error {
			if c == call {
				return keyringtest.ErrDown
			}
			return nil
		}
	}
	t.Run("a receipt that cannot be stored is said, and the word stands", func(t *testing.T) {
		w := newWorld(t)
		first := w.says(t, w.put("eve", yes))
		w.Time = w.Time.Add(time.Minute)
		w.accounts.Hook = failing("put receipt")
		w.refused(t, w.put("eve", no), fault.Unavailable)
		w.accounts.Hook = nil
		c := w.says(t, w.get("eve"))
		require.Equal(t, [2]any{false, ""}, [2]any{c.Given, c.Receipt}, "that of the earlier word is not shown for it")
		w.Time = w.Time.Add(time.Minute)
		again := w.says(t, w.put("eve", no))
		require.NotEmpty(t, again.Receipt)
		require.NotEqual(t, first.Receipt, again.Receipt)
		require.Equal(t, again.Receipt, w.says(t, w.get("eve")).Receipt)
	})
	t.Run("a receipt that cannot be read is not a missing one", func(t *testing.T) {
		w := newWorld(t)
		w.accounts.Hook = failing("receipt")
		w.refused(t, w.get("ada"), fault.Unavailable)
		w.says(t, w.put("eve", yes))
	})
	t.Run("nor one of somebody who comes second", func(t *testing.T) {
		w := newWorld(t)
		w.Time = w.Time.Add(time.Minute)
		w.accounts.Hook = func(call string) error {
			switch call {
			case "put consent":
				return dynamo.ErrConflict
			case "receipt":
				return keyringtest.ErrDown
			}
			return nil
		}
		w.refused(t, w.put("ada", yes), fault.Unavailable)
	})
}
