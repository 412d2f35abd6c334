package dynamo_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/apps"
	"fitvault/shared/auditlog/auditlogtest"
	"fitvault/shared/auditlog/sequence"
	"fitvault/shared/dynamo"
	"fitvault/shared/fault"
	"fitvault/shared/intake"
	"fitvault/shared/keyring"
	"fitvault/shared/reading"
	"fitvault/shared/sharing"
)

// answer is what DynamoDB says to the next request, whatever it is.
type answer struct {
	status int
	body   string
	err    error
}

func (a answer) Do(r *http.Request) (*http.Response, error) {
	if a.err != nil {
		return nil, a.err
	}
	return &http.Response{StatusCode: a.status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

func stubbed(a answer) dynamo.Tables {
	return dynamo.Tables{Accounts: "accounts", Keys: "keys", Readings: "readings", Requests: "requests", AuditEvents: "events",
		Client: dynamodb.New(dynamodb.Options{Region: "eu-central-1", HTTPClient: a, Retryer: aws.NopRetryer{},
			Credentials: credentials.NewStaticCredentialsProvider("an id", "a secret of some length", "")})}
}

const (
	exception = `{"__type": "com.amazonaws.dynamodb.v20120810#`
	throttled = exception + `ProvisionedThroughputExceededException", "message": "canary"}`
	failed    = exception + `ConditionalCheckFailedException", "message": "canary", "Item": {"key": {"S": "canary"}}}`
	cancelled = exception + `TransactionCanceledException", "message": "canary", "CancellationReasons": [{"Code": "None"}, {"Code": "`
)

var (
	user = func() access.UserID { u, _ := access.ParseUserID(strings.Repeat("a", 26)); return u }()
	keys = access.Keys{Issuer: "i", Subject: "s", User: user, Client: "c"}
)

// TestStoreFails: a store that fails is a failure everywhere, never a missing
// item or a lost race, and its text does not come from the store.
func TestStoreFails(t *testing.T) {
	for name, a := range map[string]answer{
		"throttled":           {status: 400, body: throttled},
		"no connection":       {err: errors.New("no connection")},
		"cancelled for load":  {status: 400, body: cancelled + `ThrottlingError"}]}`},
		"answer is not JSON":  {status: 200, body: `canary`},
		"an internal failure": {status: 500, body: exception + `InternalServerError", "message": "canary"}`},
	} {
		t.Run(name, func(t *testing.T) {
			tables := stubbed(a)
			manifests := dynamo.Manifests{Tables: tables, Now: time.Now}
			_, _, getErr := tables.Get(t.Context(), "o", "i")
			_, claimErr := manifests.Claim(t.Context(), intake.Manifest{Key: "k"})
			_, found, findErr := manifests.Find(t.Context(), "k")
			_, serviceErr := tables.ServiceKey(t.Context(), "n")
			_, ownerErr := tables.OwnerKey(t.Context(), "o", "k")
			made, putErr := tables.PutServiceKey(t.Context(), "n", keyring.Wrapped{})
			var betweenErr error
			for _, err := range tables.Between(t.Context(), "o", "0", "1") {
				betweenErr = err
			}
			createErr := tables.CreateAccount(t.Context(), "identity", access.Owner{User: user}, keyring.Enrolled{}, map[access.Purpose]string{access.Collection: "r"})
			receiptErr := tables.PutReceipt(t.Context(), user, access.Collection, time.Unix(1, 0), "r")
			_, readErr := tables.Receipt(t.Context(), user, access.Collection, time.Unix(1, 0))
			consentErr := tables.PutConsent(t.Context(), user, access.Collection, access.Consent{}, "p")
			for call, err := range map[string]error{
				"PutOnce": tables.PutOnce(t.Context(), "o", "i", nil, time.Time{}), "Get": getErr, "Between": betweenErr, "Claim": claimErr, "Find": findErr,
				"ServiceKey": serviceErr, "OwnerKey": ownerErr, "PutServiceKey": putErr, "CreateAccount": createErr, "PutConsent": consentErr, "PutReceipt": receiptErr, "Receipt": readErr,
			} {
				require.Error(t, err, call)
				require.NotErrorIs(t, err, keyring.ErrNoKey, call)
				require.NotErrorIs(t, err, keyring.ErrAltered, call)
				require.NotErrorIs(t, err, dynamo.ErrConflict, call)
			}
			require.False(t, found)
			require.False(t, made)
			_, err := tables.Read(t.Context(), keys)
			require.Equal(t, fault.Unavailable, fault.KindOf(err))
			err = tables.Write(t.Context(), auditlogtest.Event(t))
			require.Equal(t, fault.Unavailable, fault.KindOf(err))
		})
	}
}

// TestLostRaces: a condition that fails is no failure; and no item that
// DynamoDB sends along with it leaves the package.
func TestLostRaces(t *testing.T) {
	lost := stubbed(answer{status: 400, body: failed})
	require.NoError(t, lost.PutOnce(t.Context(), "o", "i", nil, time.Time{}))
	require.NoError(t, lost.Write(t.Context(), auditlogtest.Event(t)))
	made, err := lost.PutServiceKey(t.Context(), "n", keyring.Wrapped{})
	require.NoError(t, err)
	require.False(t, made)
	require.Equal(t, dynamo.ErrConflict, lost.PutConsent(t.Context(), user, access.Collection, access.Consent{}, "p"))

	require.NoError(t, lost.PutReceipt(t.Context(), user, access.Collection, time.Unix(1, 0), "r"))

	for _, code := range []string{"ConditionalCheckFailed", "TransactionConflict"} {
		lost := stubbed(answer{status: 400, body: cancelled + code + `"}]}`})
		require.Equal(t, dynamo.ErrConflict, lost.CreateAccount(t.Context(), "identity", access.Owner{User: user}, keyring.Enrolled{}, map[access.Purpose]string{access.Collection: "r"}))
	}
}

// TestStrangeManifests: what holds a key and cannot be read is an error, not a
// manifest and not a free key.
func TestStrangeManifests(t *testing.T) {
	for name, i := range map[string]string{
		"nothing":              `{}`,
		"no expiry":            `{"manifest": {"S": "{}"}, "body": {"B": ""}}`,
		"an expiry in text":    `{"manifest": {"S": "{}"}, "body": {"B": ""}, "expires": {"S": "1"}}`,
		"an expiry in halves":  `{"manifest": {"S": "{}"}, "body": {"B": ""}, "expires": {"N": "1.5"}}`,
		"no manifest":          `{"body": {"B": ""}, "expires": {"N": "9999999999"}}`,
		"a manifest not JSON":  `{"manifest": {"S": "canary"}, "body": {"B": ""}, "expires": {"N": "9999999999"}}`,
		"a manifest of a list": `{"manifest": {"S": "[]"}, "body": {"B": ""}, "expires": {"N": "9999999999"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			now := func() time.Time { return time.Unix(1, 0) }
			_, err := dynamo.Manifests{Tables: stubbed(answer{status: 400, body: strings.Replace(failed, `{"key": {"S": "canary"}}`, i, 1)}), Now: now}.
				Claim(t.Context(), intake.Manifest{Key: "k"})
			require.Error(t, err)
			require.NotContains(t, err.Error(), "canary")
			_, found, err := dynamo.Manifests{Tables: stubbed(answer{status: 200, body: `{"Item": ` + i + `}`}), Now: now}.Find(t.Context(), "k")
			require.Error(t, err)
			require.NotContains(t, err.Error(), "canary")
			require.False(t, found)
		})
	}
}

// TestStrangeDocuments: a document that is not what enrol or the operator
// writes decides nothing.
func TestStrangeDocuments(t *testing.T) {
	const (
		good    = `"state": {"S": "active"}, "data_key": {"S": "k"}, "consents": {"M": {}}`
		consent = `"state": {"S": "active"}, "data_key": {"S": "k"}, "consents": {"M": {"collection": `
	)
	read := func(responses string) (access.Documents, error) {
		return stubbed(answer{status: 200, body: responses}).Read(t.Context(), keys)
	}
	found, err := read(`{"Responses": {"accounts": [{"document": {"S": "owner"}, ` + good + `}]}}`)
	require.NoError(t, err)
	require.Equal(t, "k", found.Owner.DataKey)
	require.Equal(t, access.Settings{}, found.Owner.Settings)

	found, err = read(`{"Responses": {"accounts": [{"document": {"S": "owner"}, "settings": {"M": {"signed": {"BOOL": true}, "sealed": {"SS": ["omh:b", "fitvault:recording"]}}}, ` + good + `}]}}`)
	require.NoError(t, err)
	require.Equal(t, access.Settings{Signed: true, Sealed: []reading.Type{access.Recording, {Namespace: "omh", Name: "b"}}}, found.Owner.Settings)

	for name, document := range map[string]string{
		"a caller whose user is none":  `"document": {"S": "caller"}, "user": {"S": ""}`,
		"a caller of two roles apart":  `"document": {"S": "caller"}, "roles": {"SS": ["administrator", "auditor"]}`,
		"a caller of no such role":     `"document": {"S": "caller"}, "roles": {"SS": ["canary"]}`,
		"a caller with a made-up user": `"document": {"S": "caller"}, "user": {"S": "canary"}`,
		"sessions that end in text":    `"document": {"S": "caller"}, "sessions_from": {"S": "1"}`,
		"sessions that end in halves":  `"document": {"S": "caller"}, "sessions_from": {"N": "1.5"}`,
		"a proposal of text":           `"document": {"S": "caller"}, "proposal": {"S": "canary"}`,
		"a proposal of nothing":        `"document": {"S": "caller"}, "proposal": {"M": {"by": {"S": "canary"}, "until": {"N": "1"}}}`,
		"a proposal of nobody":         `"document": {"S": "caller"}, "proposal": {"M": {"roles": {"SS": ["maker"]}, "until": {"N": "1"}}}`,
		"a proposal for ever":          `"document": {"S": "caller"}, "proposal": {"M": {"roles": {"SS": ["maker"]}, "by": {"S": "canary"}}}`,
		"a proposal of no such role":   `"document": {"S": "caller"}, "proposal": {"M": {"roles": {"SS": ["canary"]}, "by": {"S": "a"}, "until": {"N": "1"}}}`,
		"a proposal of no such name":   `"document": {"S": "caller"}, "proposal": {"M": {"organisations": {"SS": ["Canary"]}, "by": {"S": "a"}, "until": {"N": "1"}}}`,
		"an owner without a state":     `"document": {"S": "owner"}, ` + strings.Replace(good, "state", "other", 1),
		"an owner without a key":       `"document": {"S": "owner"}, ` + strings.Replace(good, "data_key", "other", 1),
		"an owner without consents":    `"document": {"S": "owner"}, ` + strings.Replace(good, "consents", "other", 1),
		"a consent of text":            `"document": {"S": "owner"}, ` + consent + `{"S": "canary"}}}`,
		"a consent without given":      `"document": {"S": "owner"}, ` + consent + `{"M": {"time": {"N": "1777872300000000000"}}}}}`,
		"a consent given in text":      `"document": {"S": "owner"}, ` + consent + `{"M": {"given": {"S": "true"}, "time": {"N": "1777872300000000000"}}}}}`,
		"a consent without a time":     `"document": {"S": "owner"}, ` + consent + `{"M": {"given": {"BOOL": true}}}}}`,
		"a consent at a time in text":  `"document": {"S": "owner"}, ` + consent + `{"M": {"given": {"BOOL": true}, "time": {"S": "1777872300000000000"}}}}}`,
		"settings of text":             `"document": {"S": "owner"}, "settings": {"S": "canary"}, ` + good,
		"a setting that there is not":  `"document": {"S": "owner"}, "settings": {"M": {"canary": {"BOOL": true}}}, ` + good,
		"signed as a set":              `"document": {"S": "owner"}, "settings": {"M": {"signed": {"SS": ["true"]}}}, ` + good,
		"sealed as text":               `"document": {"S": "owner"}, "settings": {"M": {"sealed": {"S": "omh:heart-rate"}}}, ` + good,
		"sealed of no type":            `"document": {"S": "owner"}, "settings": {"M": {"sealed": {"SS": ["omh:heart-rate", "canary"]}}}, ` + good,
		"an app without a state":       `"document": {"S": "app"}`,
		"an app with a key not hashed": `"document": {"S": "app"}, "state": {"S": "active"}, "api_keys": {"SS": ["canary"]}`,
	} {
		t.Run(name, func(t *testing.T) {
			require.True(t, json.Valid([]byte(`{`+document+`}`)), document)
			found, err := read(`{"Responses": {"accounts": [{` + document + `}]}}`)
			require.Equal(t, fault.Internal, fault.KindOf(err))
			require.NotContains(t, err.Error(), "canary")
			require.Equal(t, access.Documents{}, found)
		})
	}

	t.Run("documents left out for load are not missing", func(t *testing.T) {
		_, err := read(`{"Responses": {"accounts": []}, "UnprocessedKeys": {"accounts": {"Keys": [{"id": {"S": "x"}}]}}}`)
		require.Equal(t, fault.Unavailable, fault.KindOf(err))
	})
	t.Run("nor is a receipt", func(t *testing.T) {
		_, err := stubbed(answer{status: 200, body: `{"Responses": {"accounts": []}, "UnprocessedKeys": {"accounts": {"Keys": [{"id": {"S": "x"}}]}}}`}).
			Receipt(t.Context(), user, access.Collection, time.Unix(1, 0))
		require.Error(t, err)
	})
	t.Run("an unknown document is passed over", func(t *testing.T) {
		found, err := read(`{"Responses": {"accounts": [{"document": {"S": "devices"}}]}}`)
		require.NoError(t, err)
		require.Equal(t, access.Documents{}, found)
	})
}

func TestStrangeOwnerKeys(t *testing.T) {
	for name, i := range map[string]string{
		"no time":          `{"public": {"B": ""}}`,
		"a time in text":   `{"signed_at": {"S": "1"}}`,
		"a time in halves": `{"signed_at": {"N": "1.5"}}`,
	} {
		_, err := stubbed(answer{status: 200, body: `{"Item": ` + i + `}`}).OwnerKey(t.Context(), "o", "k")
		require.ErrorIs(t, err, keyring.ErrAltered, name)
	}
}

// TestRegistryFails: no failure of the store is a conflict, and a document that is
// not what this version writes is none.
func TestRegistryFails(t *testing.T) {
	down := dynamo.Registry{Tables: stubbed(answer{status: 400, body: throttled})}
	key := apps.Key{ID: "k"}
	_, err := down.Requests(t.Context())
	_, err2 := down.Apps(t.Context(), []string{"c"})
	for i, err := range []error{err, err2, down.Register(t.Context(), apps.Request{ID: "r"}, apps.App{Client: "c", Scopes: []string{"s"}, Keys: []apps.Key{key}}),
		down.SetState(t.Context(), "c", access.Off), down.AddKey(t.Context(), "c", key), down.RetireKey(t.Context(), "c", key), down.ForgetKey(t.Context(), "c", key),
		down.PutMemberships(t.Context(), "i", "s", access.Caller{}, access.Caller{Roles: []access.Role{access.Maker}}),
		down.EndSessions(t.Context(), "i", "s", time.Unix(1, 0))} {
		require.Equal(t, fault.Unavailable, fault.KindOf(err), i)
		require.NotErrorIs(t, err, apps.ErrConflict)
	}
	late := dynamo.Registry{Tables: stubbed(answer{status: 400, body: failed})}
	require.ErrorIs(t, late.SetState(t.Context(), "c", access.Off), apps.ErrConflict)
	require.ErrorIs(t, late.PutMemberships(t.Context(), "i", "s", access.Caller{}, access.Caller{}), dynamo.ErrConflict)
	require.ErrorIs(t, late.EndSessions(t.Context(), "i", "s", time.Unix(1, 0)), dynamo.ErrConflict)

	for name, i := range map[string]string{
		"no client":      `{"document": {"S": "r"}, "body": {"B": "` + strings.Repeat("A", 43) + `="}}`,
		"a body of none": `{"document": {"S": "r"}, "client": {"S": "c"}}`,
	} {
		_, err := dynamo.Registry{Tables: stubbed(answer{status: 200, body: `{"Items": [` + i + `]}`})}.Requests(t.Context())
		require.Equal(t, fault.Internal, fault.KindOf(err), name)
	}
	for name, i := range map[string]string{
		"no state":      `{"id": {"S": "app#c"}, "kind": {"S": "system"}}`,
		"a key of text": `{"id": {"S": "app#c"}, "kind": {"S": "system"}, "state": {"S": "off"}, "keys": {"M": {"k": {"S": "canary"}}}}`,
		"a short key":   `{"id": {"S": "app#c"}, "kind": {"S": "system"}, "state": {"S": "off"}, "keys": {"M": {"k": {"B": "AAAA"}}}}`,
	} {
		_, err := dynamo.Registry{Tables: stubbed(answer{status: 200, body: `{"Responses": {"accounts": [` + i + `]}}`})}.Apps(t.Context(), []string{"c"})
		require.Equal(t, fault.Internal, fault.KindOf(err), name)
		require.NotContains(t, err.Error(), "canary")
	}
	_, err = dynamo.Registry{Tables: stubbed(answer{status: 200, body: `{"Responses": {"accounts": []}, "UnprocessedKeys": {"accounts": {"Keys": [{"id": {"S": "x"}}]}}}`})}.Apps(t.Context(), []string{"c"})
	require.Equal(t, fault.Unavailable, fault.KindOf(err), "left out for load is not missing")
}

// inTurn answers each request by the next of some answers, and by the last one from then on.
type inTurn struct {
	answers []answer
	asked   int
}

func (i *inTurn) Do(r *http.Request) (*http.Response, error) {
	a := i.answers[min(i.asked, len(i.answers)-1)]
	i.asked++
	return a.Do(r)
}

func stubbedInTurn(answers ...answer) (dynamo.Tables, *inTurn) {
	i := &inTurn{answers: answers}
	tables := stubbed(answer{})
	options := tables.Client.Options()
	options.HTTPClient = i
	tables.Client = dynamodb.New(options)
	return tables, i
}

// TestContended: what meets a transaction of others is tried again, and not for ever.
func TestContended(t *testing.T) {
	met, done := answer{status: 400, body: exception + `TransactionConflictException", "message": "canary"}`}, answer{status: 200, body: `{}`}
	tables, asked := stubbedInTurn(met, met, done)
	require.NoError(t, tables.RemoveApp(t.Context(), user, "c"))
	require.Equal(t, 3, asked.asked)
	tables, asked = stubbedInTurn(met, answer{status: 400, body: failed})
	require.Equal(t, sharing.ErrNone, tables.RemoveApp(t.Context(), user, "c"))
	require.Equal(t, 2, asked.asked)
	tables, asked = stubbedInTurn(met)
	require.Error(t, tables.RemoveApp(t.Context(), user, "c"))
	require.Equal(t, 10, asked.asked)
	ended, end := context.WithCancel(t.Context())
	end()
	require.ErrorIs(t, tables.RemoveApp(ended, user, "c"), context.Canceled)
}

// TestRemoveGrantMeetsOthers: a grant that others change all the time is not said to be gone.
func TestRemoveGrantMeetsOthers(t *testing.T) {
	owner := func(to string) answer {
		return answer{status: 200, body: `{"Responses": {"accounts": [{"id": {"S": "` + access.OwnerKey(user) + `"}, "document": {"S": "owner"}, "state": {"S": "active"}, "data_key": {"S": "k"},
			"consents": {"M": {}}, "grants": {"M": {"g": {"M": {"types": {"SS": ["omh:step-count"]}, "read": {"BOOL": true}, "write": {"BOOL": false}, "use": {"S": "family"},
			"from": {"N": "1"}, "until": {"N": "2"}` + to + `}}}}}]}, "UnprocessedKeys": {}}`}
	}
	changed := answer{status: 400, body: cancelled + `ConditionalCheckFailed"}]}`}
	accepted := owner(`, "to": {"S": "` + user.String() + `"}`)
	gone := answer{status: 200, body: `{"Responses": {"accounts": []}, "UnprocessedKeys": {}}`}
	tables, _ := stubbedInTurn(owner(""), changed, accepted, answer{status: 200, body: `{}`})
	require.NoError(t, tables.RemoveGrant(t.Context(), user, "g"))
	tables, _ = stubbedInTurn(owner(""), changed, accepted, changed, gone)
	require.Equal(t, sharing.ErrNone, tables.RemoveGrant(t.Context(), user, "g"))
	tables, _ = stubbedInTurn(owner(""), changed, accepted, changed, accepted, changed)
	require.Equal(t, fault.Unavailable, fault.KindOf(tables.RemoveGrant(t.Context(), user, "g")))
	for _, a := range []answer{{status: 400, body: throttled}, {status: 400, body: cancelled + `ThrottlingError"}]}`}} {
		tables, _ = stubbedInTurn(accepted, a)
		err := tables.RemoveGrant(t.Context(), user, "g")
		require.Error(t, err)
		require.NotErrorIs(t, err, sharing.ErrNone)
		tables, _ = stubbedInTurn(a)
		require.Error(t, tables.RemoveGrant(t.Context(), user, "g"))
	}
}

// TestAnEventThatDoesNotFit: what the log could not take is not written, so its effect does
// not happen.
func TestAnEventThatDoesNotFit(t *testing.T) {
	e := auditlogtest.Event(t)
	e.Owner = strings.Repeat("x", 3000)
	err := stubbed(answer{status: 200, body: `{}`}).Write(t.Context(), e)
	require.Equal(t, fault.Internal, fault.KindOf(err))
}

// TestStoredEventsFail: who reads or marks events hears of what fails. An item that has no
// room for its mark, which somebody has made so, does not stop the log: it is replaced by it.
func TestStoredEventsFail(t *testing.T) {
	now := time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC)
	const full = exception + `ValidationException", "message": "Item size to update has exceeded the maximum allowed size"}`
	marks := []sequence.Mark{{Key: sequence.Key{Shard: "2026-05-04#00", ID: "x"}, Index: 1, Mac: []byte{1}}}
	stored := func(answers ...answer) (dynamo.StoredEvents, *inTurn) {
		tables, all := stubbedInTurn(answers...)
		return dynamo.StoredEvents{Tables: tables, Now: func() time.Time { return now }}, all
	}
	for name, a := range map[string]answer{"throttled": {status: 400, body: throttled}, "no connection": {err: errors.New("no connection")},
		"another mistake": {status: 400, body: exception + `ValidationException", "message": "canary"}`}} {
		events := dynamo.StoredEvents{Tables: stubbed(a), Now: time.Now}
		require.Error(t, events.Mark(t.Context(), marks), name)
		failures := 0
		for _, err := range events.Between(t.Context(), now, now.Add(time.Minute)) {
			require.Error(t, err, name)
			failures++
		}
		require.Equal(t, 1, failures, name)
	}
	events, all := stored(answer{status: 400, body: full}, answer{status: 200, body: `{}`})
	require.NoError(t, events.Mark(t.Context(), marks))
	require.Equal(t, 2, all.asked)
	events, _ = stored(answer{status: 400, body: full}, answer{status: 400, body: failed})
	require.NoError(t, events.Mark(t.Context(), marks), "it is gone")
	events, _ = stored(answer{status: 400, body: full}, answer{status: 400, body: throttled})
	require.Error(t, events.Mark(t.Context(), marks))
}
