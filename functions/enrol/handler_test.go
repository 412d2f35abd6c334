package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/guard/contract"
	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/consent"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
	"fitvault/shared/keyring"
	"fitvault/shared/keyring/keyringtest"
	"fitvault/shared/receipt"
	"fitvault/shared/vault"
)

// world is enrol over fakes, in the world of edgetest; its accounts are those
// of the fake that can create some.
type world struct {
	*edgetest.World
	handler  handler
	guard    *edge.Guard
	keys     *keyringtest.Service
	accounts keyringtest.Accounts
}

func newWorld(t testing.TB) *world {
	w := &world{World: edgetest.New(t)}
	w.keys = keyringtest.NewService(t, "fitvault", w.Time)
	w.accounts.Keys, w.accounts.Conflict = &w.keys.Store, dynamo.ErrConflict
	known, err := w.Accounts.Read(t.Context(), access.Keys{Issuer: edgetest.Issuer, Subject: "ada", User: w.Ada, Client: edgetest.Client})
	require.NoError(t, err)
	w.accounts.Put(edgetest.Issuer, "ada", known)
	w.handler = handler{deployment: "fitvault", texts: consent.Published, accounts: &w.accounts, keys: w.keys.KMS,
		receipts: &receipt.Signer{Keys: w.keys.KMS}, now: w.Now, rand: rand.Reader}
	w.start()
	return w
}

// start makes the guard of a handler that a test may have changed.
func (w *world) start() {
	config := w.Config("enrol")
	config.Documents = &w.accounts
	w.guard = edge.New(config, w.handler.routes()...)
}

func (w *world) get(subject string) events.APIGatewayProxyRequest {
	return w.Event(subject, http.MethodGet, one, map[string]string{"user": "me", "purpose": "collection"})
}

func (w *world) put(subject, body string) events.APIGatewayProxyRequest {
	e := w.Event(subject, http.MethodPut, one, map[string]string{"user": "me", "purpose": "collection"})
	edgetest.SetBody(&e, "application/json", body)
	return e
}

const (
	yes = `{"version": "1", "given": true}`
	no  = `{"version": "1", "given": false}`
)

func (w *world) do(t require.TestingT, e events.APIGatewayProxyRequest) events.APIGatewayProxyResponse {
	answer, err := w.guard.Handle(context.Background(), e)
	require.NoError(t, err)
	return answer
}

// says requires 200 and returns the answer.
func (w *world) says(t require.TestingT, e events.APIGatewayProxyRequest) (c said) {
	answer := w.do(t, e)
	require.Equal(t, 200, answer.StatusCode, answer.Body)
	require.Equal(t, "application/json", http.Header(answer.MultiValueHeaders).Get("Content-Type"))
	require.NoError(t, json.Unmarshal([]byte(answer.Body), &c))
	return c
}

// refused requires a problem of a kind, and returns its items.
func (w *world) refused(t *testing.T, e events.APIGatewayProxyRequest, kind fault.Kind) []fault.Item {
	t.Helper()
	return edgetest.RequireProblem(t, w.do(t, e), kind)
}

// requireNothingNew requires that only Ada has an account, and nobody a new key.
func (w *world) requireNothingNew(t *testing.T) {
	t.Helper()
	require.Len(t, w.accounts.Owners(), 1)
	require.Equal(t, 0, w.keys.Store.OwnerKeys())
}

func TestRoutes(t *testing.T) {
	want, err := contract.Belonging("../..", "enrol")
	require.NoError(t, err)
	require.Empty(t, contract.DifferInDetail("openapi.yaml", want, "enrol", contract.OfHandlers(handler{}.routes())))
}

func TestRecordedEvents(t *testing.T) {
	w := newWorld(t)
	recorded, err := contract.Recorded("../..", "enrol", map[string]string{
		"token.ada": edgetest.Sign(w.Claims("ada")), "key.app": edgetest.APIKey, "user.ada": w.Ada.String()})
	require.NoError(t, err)
	for _, name := range []string{"enrol-get-consent.json", "enrol-put-consent.json"} {
		c := w.says(t, recorded[name])
		require.True(t, c.Given, name)
		require.Equal(t, w.Ada.String(), c.User)
		delete(recorded, name)
	}
	answer := w.do(t, recorded["enrol-list-consents.json"])
	require.Equal(t, 200, answer.StatusCode)
	delete(recorded, "enrol-list-consents.json")
	require.Empty(t, recorded, "an event that no test knows")
}

func TestWithoutAnAccount(t *testing.T) {
	w := newWorld(t)
	answer := w.do(t, w.get("eve"))
	require.Equal(t, 200, answer.StatusCode)
	var c said
	require.NoError(t, json.Unmarshal([]byte(answer.Body), &c))
	require.NotEmpty(t, c.Text.Markdown, "there is something to read before one agrees")
	require.Equal(t, said{state: state{Purpose: "collection", Current: "1"}, Text: c.Text}, c)

	t.Run("there is nothing to withdraw", func(t *testing.T) {
		w.refused(t, w.put("eve", no), fault.Conflict)
		w.requireNothingNew(t)
	})
}

// TestFirstConsent: it creates the account, and a key pair that enrol vouches
// for and that opens what is sealed to it.
func TestFirstConsent(t *testing.T) {
	w := newWorld(t)
	c := w.says(t, w.put("eve", yes))
	user, err := access.ParseUserID(c.User)
	require.NoError(t, err)
	require.NotEmpty(t, c.Receipt)
	require.Equal(t, said{account{c.User, access.Active}, state{Purpose: "collection", Given: true, Version: "1", Time: "2026-05-04T05:25:00Z",
		Locale: "en", How: edgetest.Client, Counts: true, Current: "1"}, nil, c.Receipt}, c)

	docs, err := w.accounts.Read(t.Context(), access.Keys{Issuer: edgetest.Issuer, Subject: "eve", User: user})
	require.NoError(t, err)
	require.Equal(t, user, docs.Caller.User)
	require.Equal(t, access.Active, docs.Owner.State)
	require.Regexp(t, `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`, docs.Owner.Pseudonym)
	require.Equal(t, map[access.Purpose]access.Consent{access.Collection: {Version: "1", Given: true, Time: w.Time, Locale: "en", How: edgetest.Client}}, docs.Owner.Consents)

	key, err := w.keys.Store.OwnerKey(t.Context(), c.User, docs.Owner.DataKey)
	require.NoError(t, err)
	require.Equal(t, vault.Statement{Deployment: "fitvault", Owner: c.User, KeyID: docs.Owner.DataKey, Public: key.Statement.Public, At: w.Time}, key.Statement)
	ring := w.keys.Ring(t, w.Now)
	sealer, err := ring.Sealer(t.Context(), c.User, docs.Owner.DataKey)
	require.NoError(t, err)
	place := vault.Place{Deployment: "fitvault", Table: "readings", Owner: c.User, ID: "a"}
	sealed, err := sealer.Seal(place, []byte("71"))
	require.NoError(t, err)
	private, err := ring.Private(t.Context(), c.User, docs.Owner.DataKey)
	require.NoError(t, err)
	writer, err := ring.Writer(t.Context(), keyring.WriterKeyID(w.Time))
	require.NoError(t, err)
	plain, err := vault.NewOpener([]vault.PrivateKey{private}, []vault.WriterKey{writer}).Open(sealed, place)
	require.NoError(t, err)
	require.Equal(t, "71", string(plain))

	again := w.says(t, w.get("eve"))
	again.Text = nil
	require.Equal(t, c, again, "it is what holds from now on")
	e := w.Audit.Events()
	require.Len(t, e, 2)
	require.Equal(t, [3]string{string(access.ConsentsWrite), access.IdentityKey(edgetest.Issuer, "eve"), c.User}, [3]string{e[0].Action, e[0].Caller, e[0].Owner},
		"before there is an account the caller is the identity, and the owner is who he will be")
	require.Equal(t, &auditlog.Consent{Purpose: "collection", Version: "1", Given: true, Locale: "en", How: edgetest.Client}, e[0].Consent)
	require.Equal(t, [3]string{string(access.ConsentsRead), c.User, c.User}, [3]string{e[1].Action, e[1].Caller, e[1].Owner})

	t.Run("two people have nothing in common", func(t *testing.T) {
		other := w.says(t, w.put("mallory", yes))
		require.NotEqual(t, c.User, other.User)
		require.Equal(t, 2, w.keys.Store.OwnerKeys())
	})
}

func TestWithdrawAndGiveAgain(t *testing.T) {
	w := newWorld(t)
	c := w.says(t, w.put("eve", yes))
	for i, given := range []bool{false, false, true, true} {
		w.Time = w.Time.Add(time.Minute)
		c.Given, c.Counts, c.Time = given, given, w.Time.Format(time.RFC3339Nano)
		body := map[bool]string{true: yes, false: no}[given]
		got := w.says(t, w.put("eve", body))
		require.NotEqual(t, c.Receipt, got.Receipt, "each word has a receipt of its own")
		c.Receipt = got.Receipt
		require.Equal(t, c, got, i)
		got = w.says(t, w.get("eve"))
		got.Text = nil
		require.Equal(t, c, got, i)
	}
	require.Equal(t, 1, w.keys.Store.OwnerKeys(), "the account and its key stay")
	w.Time = w.Time.Add(time.Minute)
	e := w.put("eve", no)
	e.PathParameters["user"] = c.User
	require.False(t, w.says(t, e).Given, "also by id")
}

// TestAnOldAccountGetsAPseudonym: with its owner's next word, and no other after it.
func TestAnOldAccountGetsAPseudonym(t *testing.T) {
	w := newWorld(t)
	require.Empty(t, w.accounts.Owners()[0].Pseudonym)
	var first string
	for range 2 {
		w.Time = w.Time.Add(time.Minute)
		w.says(t, w.put("ada", yes))
		got := w.accounts.Owners()[0].Pseudonym
		require.NotEmpty(t, got)
		if first == "" {
			first = got
		}
		require.Equal(t, first, got)
	}
}

// TestConcurrentFirstConsents: 16 at once make exactly one account, and all are
// told of that one.
func TestConcurrentFirstConsents(t *testing.T) {
	w := newWorld(t)
	answers := make([]events.APIGatewayProxyResponse, 16)
	event := w.put("eve", yes)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i], _ = w.guard.Handle(context.Background(), event) })
	}
	all.Wait()
	// At one and the same nanosecond they are one word, of which each may have a receipt.
	receipt := regexp.MustCompile(`"receipt":"[^"]+"`)
	for _, a := range answers {
		require.Equal(t, 200, a.StatusCode, a.Body)
		require.Regexp(t, receipt, a.Body)
		require.Equal(t, receipt.ReplaceAllString(answers[0].Body, ""), receipt.ReplaceAllString(a.Body, ""))
	}
	require.Len(t, w.accounts.Owners(), 2)
	require.Equal(t, 1, w.keys.Store.OwnerKeys())
}

// TestLostRace: who finds that the account exists already goes on with that.
func TestLostRace(t *testing.T) {
	// meanwhile lets another request make the account just before this one tries to.
	meanwhile := func(t *testing.T, w *world, state access.State, held access.Consent) {
		first := true
		w.accounts.Hook = func(call string) error {
			if call == "create account" && first {
				first = false
				user, err := access.NewUserID(rand.Reader)
				require.NoError(t, err)
				w.accounts.Put(edgetest.Issuer, "eve", access.Documents{Caller: &access.Caller{User: user}, Owner: &access.Owner{
					User: user, State: state, DataKey: "k", Consents: map[access.Purpose]access.Consent{access.Collection: held}}})
			}
			return nil
		}
	}
	earlier := edgetest.New(t).Time.Add(-time.Second)

	t.Run("who said the same is told what holds", func(t *testing.T) {
		w := newWorld(t)
		meanwhile(t, w, access.Active, access.Consent{Version: "1", Given: true, Time: earlier})
		c := w.says(t, w.put("eve", yes))
		require.Equal(t, earlier.Format(time.RFC3339), c.Time)
		require.Len(t, w.accounts.Owners(), 2)
		require.Equal(t, 0, w.keys.Store.OwnerKeys(), "its own key is dropped")
	})
	t.Run("who said something else has said it later", func(t *testing.T) {
		w := newWorld(t)
		meanwhile(t, w, access.Active, access.Consent{Version: "1", Given: false, Time: earlier})
		c := w.says(t, w.put("eve", yes))
		require.Equal(t, [2]any{true, "2026-05-04T05:25:00Z"}, [2]any{c.Given, c.Time})
		found := w.says(t, w.get("eve"))
		found.Text = nil
		require.Equal(t, c, found)
		e := w.Audit.Events()
		require.Equal(t, c.User, e[1].Owner, "the event before the effect names the account that there is")
	})
	t.Run("or it was not later", func(t *testing.T) {
		w := newWorld(t)
		meanwhile(t, w, access.Active, access.Consent{Version: "1", Given: false, Time: w.Time})
		w.refused(t, w.put("eve", yes), fault.Conflict)
		require.False(t, w.says(t, w.get("eve")).Given)
	})
	t.Run("or the account is closed by now", func(t *testing.T) {
		w := newWorld(t)
		meanwhile(t, w, "closing", access.Consent{Version: "1", Given: true, Time: earlier})
		w.refused(t, w.put("eve", yes), fault.Conflict)
	})
	t.Run("or it cannot be read", func(t *testing.T) {
		w := newWorld(t)
		meanwhile(t, w, access.Active, access.Consent{})
		inner, created := w.accounts.Hook, false
		w.accounts.Hook = func(call string) error {
			if call == "read" && created {
				return keyringtest.ErrDown
			}
			created = created || call == "create account"
			return inner(call)
		}
		w.refused(t, w.put("eve", yes), fault.Unavailable)
	})
	t.Run("or there is none after all", func(t *testing.T) {
		w := newWorld(t)
		w.accounts.Hook = func(call string) error {
			if call == "create account" {
				return dynamo.ErrConflict // DynamoDB says so also while another transaction is under way
			}
			return nil
		}
		w.refused(t, w.put("eve", yes), fault.Unavailable)
		w.requireNothingNew(t)
	})
}

// TestConcurrentWords: of two things said at once the later stands, and who says
// the same twice at once is not told that he was late.
func TestConcurrentWords(t *testing.T) {
	// meanwhile lets Ada say something else just before her word is stored.
	meanwhile := func(w *world, said access.Consent) {
		w.accounts.Hook = func(call string) error {
			if call == "put consent" {
				w.accounts.Hook = nil
				return w.accounts.PutConsent(context.Background(), w.Ada, access.Collection, said, "p")
			}
			return nil
		}
	}
	for _, test := range []struct {
		name  string
		given bool // meanwhile
		after time.Duration
		kind  fault.Kind
		time  time.Duration
	}{
		{"the same, later", true, 1, "", 1},
		{"the same at the same time", true, 0, "", 0},
		{"the same, earlier", true, -1, "", 0},
		{"the opposite, later", false, 1, fault.Conflict, 1},
		{"the opposite at the same time", false, 0, fault.Conflict, 0},
		{"the opposite, earlier", false, -1, "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.Time = w.Time.Add(time.Minute)
			meanwhile(w, access.Consent{Version: "1", Given: test.given, Time: w.Time.Add(test.after)})
			e := w.put("ada", yes)
			if test.kind != "" {
				w.refused(t, e, test.kind)
			} else {
				c := w.says(t, e)
				require.Equal(t, [2]any{true, w.Time.Add(test.time).Format(time.RFC3339Nano)}, [2]any{c.Given, c.Time})
			}
			held := w.accounts.Owners()[0].Consents[access.Collection]
			require.Equal(t, [2]any{test.kind == "", w.Time.Add(test.time)}, [2]any{held.Given, held.Time})
		})
	}
}

func TestRefusals(t *testing.T) {
	version := []fault.Item{{Pointer: "/version", Rule: "current-version"}}
	for _, test := range []struct {
		name, body string
		kind       fault.Kind
		items      []fault.Item
	}{
		{"another version of the text", `{"version": "2", "given": true}`, fault.Invalid, version},
		{"an empty version", `{"version": "", "given": true}`, fault.Invalid, version},
		{"a language that there is no text in", `{"version": "1", "given": true, "locale": "fr"}`, fault.Invalid, []fault.Item{{Pointer: "/locale", Rule: "locale"}}},
		{"an empty language", `{"version": "1", "given": true, "locale": ""}`, fault.Invalid, []fault.Item{{Pointer: "/locale", Rule: "locale"}}},
		{"a language of null", `{"version": "1", "given": true, "locale": null}`, fault.Invalid, nil},
		{"to withdraw a version of null", `{"version": null, "given": false}`, fault.Invalid, nil},
		{"a language of another type", `{"version": "1", "given": true, "locale": 1}`, fault.Invalid, nil},
		{"how, which is ours to say", `{"version": "1", "given": true, "how": "another"}`, fault.Invalid, nil},
		{"no version", `{"given": true}`, fault.Invalid, nil},
		{"no given", `{"version": "1"}`, fault.Invalid, nil},
		{"null", `null`, fault.Invalid, nil},
		{"members of null", `{"version": null, "given": null}`, fault.Invalid, nil},
		{"a version of another type", `{"version": 1, "given": true}`, fault.Invalid, nil},
		{"a given of another type", `{"version": "1", "given": "true"}`, fault.Invalid, nil},
		{"a list", `[]`, fault.Invalid, nil},
		{"an unknown member", `{"version": "1", "given": true, "time": "x"}`, fault.Invalid, nil},
		{"a member in other letters", `{"Version": "1", "given": true}`, fault.Invalid, nil},
		{"a member twice", `{"version": "1", "given": false, "given": true}`, fault.BadRequest, nil},
		{"nothing", ``, fault.BadRequest, nil},
		{"not JSON", `{"version": "1", "given": true`, fault.BadRequest, nil},
		{"not JSON behind an unknown member", `{"x": 1, "version"`, fault.BadRequest, nil},
		{"more than one value", yes + yes, fault.BadRequest, nil},
		{"not UTF-8", "{\"version\": \"\xff\", \"given\": true}", fault.BadRequest, nil},
		{"too much", strings.Repeat(" ", maxBody) + yes, fault.TooLarge, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, subject := range []string{"eve", "ada"} {
				w := newWorld(t)
				require.Equal(t, test.items, w.refused(t, w.put(subject, test.body), test.kind))
				w.requireNothingNew(t)
				require.True(t, w.accounts.Owners()[0].Consents[access.Collection].Given)
				require.Len(t, w.Audit.Events(), 1)
				require.Equal(t, auditlog.Refused, w.Audit.Events()[0].Outcome)
			}
		})
	}
	for name, change := range map[string]func(w *world, e *events.APIGatewayProxyRequest) fault.Kind{
		"another's account": func(w *world, e *events.APIGatewayProxyRequest) fault.Kind {
			e.PathParameters["user"] = w.Ada.String()
			return fault.NotFound
		},
		"an account that does not exist": func(w *world, e *events.APIGatewayProxyRequest) fault.Kind {
			e.PathParameters["user"] = w.Ben.String() // nobody in this world's accounts
			return fault.NotFound
		},
		"another media type": func(_ *world, e *events.APIGatewayProxyRequest) fault.Kind {
			edgetest.SetHeader(e, "Content-Type", "text/plain")
			return fault.UnsupportedType
		},
		"a purpose that is none": func(_ *world, e *events.APIGatewayProxyRequest) fault.Kind {
			e.PathParameters["purpose"] = "marketing"
			return fault.NotFound
		},
		"a purpose in other letters": func(_ *world, e *events.APIGatewayProxyRequest) fault.Kind {
			e.PathParameters["purpose"] = "Collection"
			return fault.NotFound
		},
		"no purpose": func(_ *world, e *events.APIGatewayProxyRequest) fault.Kind {
			delete(e.PathParameters, "purpose")
			return fault.NotFound
		},
		"a query": func(_ *world, e *events.APIGatewayProxyRequest) fault.Kind {
			e.QueryStringParameters = map[string]string{"given": "true"}
			return fault.BadRequest
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			e := w.put("eve", yes)
			w.refused(t, e, change(w, &e))
			w.requireNothingNew(t)
		})
	}
	t.Run("an account that is not active", func(t *testing.T) {
		w := newWorld(t)
		owner := w.accounts.Owners()[0]
		owner.State = "closing"
		w.accounts.Put("", "", access.Documents{Owner: &owner})
		w.refused(t, w.put("ada", no), fault.Forbidden)
		w.refused(t, w.get("ada"), fault.Forbidden)
		require.True(t, w.accounts.Owners()[0].Consents[access.Collection].Given)
	})
}

// TestFailures: whatever fails, it is said, and there is no half of an account.
func TestFailures(t *testing.T) {
	failing := func(call string) func(string) error {
		return func(c string) error {
			if c == call {
				return keyringtest.ErrDown
			}
			return nil
		}
	}
	for _, test := range []struct {
		name    string
		subject string
		fail    func(w *world)
		kind    fault.Kind
	}{
		{"KMS makes no pair", "eve", func(w *world) { w.keys.KMS.Hook = failing("new pair") }, fault.Unavailable},
		{"KMS does not sign", "eve", func(w *world) { w.keys.KMS.Hook = failing("sign") }, fault.Unavailable},
		{"KMS signs no receipt", "eve", func(w *world) { w.keys.KMS.Hook = failing("sign receipts") }, fault.Unavailable},
		{"KMS signs no receipt of a later word", "ada", func(w *world) { w.keys.KMS.Hook = failing("sign receipts") }, fault.Unavailable},
		{"KMS does not show the receipt key", "ada", func(w *world) { w.keys.KMS.Hook = failing("public key") }, fault.Unavailable},
		{"the account cannot be stored", "eve", func(w *world) { w.accounts.Hook = failing("create account") }, fault.Unavailable},
		{"a consent cannot be stored", "ada", func(w *world) { w.accounts.Hook = failing("put consent") }, fault.Unavailable},
		{"the account has closed meanwhile", "ada", func(w *world) {
			w.accounts.Hook = func(call string) error {
				if call == "put consent" {
					owner := w.accounts.Owners()[0]
					owner.State = "closing"
					w.accounts.Put("", "", access.Documents{Owner: &owner})
				}
				return nil
			}
		}, fault.Conflict},
		{"and cannot be read then", "ada", func(w *world) {
			late := false
			w.accounts.Hook = func(call string) error {
				if call == "put consent" {
					late = true
					return dynamo.ErrConflict
				}
				if late {
					return keyringtest.ErrDown
				}
				return nil
			}
		}, fault.Unavailable},
		{"documents cannot be read", "ada", func(w *world) { w.accounts.Hook = failing("read") }, fault.Unavailable},
		{"the audit log is down", "eve", func(w *world) { w.Audit.Fail(errors.New("down")) }, fault.Unavailable},
		{"no randomness", "eve", func(w *world) { w.handler.rand = iotest.ErrReader(errors.New("no entropy")) }, fault.Internal},
		{"randomness for two ids only", "eve", func(w *world) { w.handler.rand = strings.NewReader(strings.Repeat("0123456789abcdef", 2)) }, fault.Internal},
		{"randomness for three ids only", "eve", func(w *world) { w.handler.rand = strings.NewReader(strings.Repeat("0123456789abcdef", 3)) }, fault.Internal},
		{"none for a receipt", "ada", func(w *world) { w.handler.rand = strings.NewReader("0123456789abcdef") }, fault.Internal},
		{"none for a pseudonym", "ada", func(w *world) { w.handler.rand = iotest.ErrReader(errors.New("no entropy")) }, fault.Internal},
		{"randomness for one id only", "eve", func(w *world) { w.handler.rand = strings.NewReader("0123456789abcdef") }, fault.Internal},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			test.fail(w)
			w.start()
			before := w.Time
			w.Time = before.Add(time.Minute)
			w.refused(t, w.put(test.subject, yes), test.kind)
			w.requireNothingNew(t)
			require.Equal(t, before, w.accounts.Owners()[0].Consents[access.Collection].Time)
		})
	}
	t.Run("nothing is shown unaudited", func(t *testing.T) {
		w := newWorld(t)
		w.Audit.Fail(errors.New("down"))
		w.refused(t, w.get("ada"), fault.Unavailable)
	})
}

// FuzzDecode: no body takes enrol down, and what is said is there in so many words.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{yes, no, `{"given": false, "locale": "de"}`, `{"given": true}`, `{"version": "1", "given": true, "given": false}`, `{"version": "\u0031", "given": true}`, `{"Version": "1", "given": true}`, `null`, `[`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := decode(body)
		if err != nil {
			require.Contains(t, []fault.Kind{fault.BadRequest, fault.Invalid}, fault.KindOf(err))
			return
		}
		var plain map[string]any
		require.NoError(t, json.Unmarshal(body, &plain))
		want := map[string]any{"given": *in.Given}
		for name, value := range map[string]*string{"version": in.Version, "locale": in.Locale} {
			if value != nil {
				want[name] = *value
			}
		}
		require.Equal(t, want, plain)
		require.True(t, !*in.Given || in.Version != nil)
	})
}
