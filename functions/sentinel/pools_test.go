package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
	"fitvault/shared/limit"
	"fitvault/shared/sentinel"
)

const (
	peoplesIssuer = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_People001"
	staffsIssuer  = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Staff001"
)

// dayKey is the day's key for addresses.
type dayKey struct{ err error }

func (k dayKey) Key(context.Context) ([]byte, error) { return []byte(edgetest.AddressKey), k.err }

// kept is pools whose events are kept.
func kept() pools {
	return pools{issuers: map[string]string{peoplesGroup: peoplesIssuer, staffsGroup: staffsIssuer}, key: dayKey{}}
}

// victim is whom the recorded events are about.
var victim = access.IdentityKey(peoplesIssuer, "c0ffee00-1234-4abc-8def-000000000001")

var place = edge.NameAddress([]byte(edgetest.AddressKey), "192.0.2.7")

// activity is a recorded event.
func activity(t testing.TB, name string) []byte {
	text, err := os.ReadFile("testdata/activity/" + name + ".json")
	require.NoError(t, err)
	return text
}

// changed is an event with members of its message replaced.
func changed(t testing.TB, name string, members map[string]any) []byte {
	var all map[string]any
	require.NoError(t, json.Unmarshal(activity(t, name), &all))
	for member, value := range members {
		all["message"].(map[string]any)[member] = value
	}
	text, err := json.Marshal(all)
	require.NoError(t, err)
	return text
}

// batchOf is what the log group of a pool sends, each event by an id and a time of its own.
func batchOf(t testing.TB, group string, at time.Time, messages ...[]byte) []byte {
	type record struct {
		ID        string `json:"id"`
		Timestamp int64  `json:"timestamp"`
		Message   string `json:"message"`
	}
	var records []record
	for i, m := range messages {
		records = append(records, record{fmt.Sprint(at.UnixMilli(), "-", i), at.UnixMilli(), string(m)})
	}
	text, err := json.Marshal(map[string]any{"messageType": "DATA_MESSAGE", "logGroup": "/fitvault/" + group, "logEvents": records})
	require.NoError(t, err)
	return packed(t, text)
}

func TestActivity(t *testing.T) {
	for name, want := range map[string]sentinel.Attempt{
		"refused": sentinel.Refused, "no-address": sentinel.Refused, "of-nobody": sentinel.Refused, "forgotten": sentinel.Forgotten,
		"high-risk": sentinel.Doubtful, "leaked": sentinel.Doubtful,
		"leaked-alone": "", "let-in": "", "second-factor": "", "sign-up": "",
	} {
		e, ok := decodeActivity(activity(t, name), peoplesIssuer, []byte(edgetest.AddressKey))
		require.True(t, ok, name)
		require.Equal(t, want, e.Attempt, name)
		if want == "" {
			continue
		}
		require.Equal(t, map[bool]string{true: "", false: place}[name == "no-address"], e.Charged.Address, name)
		if name == "of-nobody" {
			require.Regexp(t, `^name#[\w-]{22}$`, e.Caller)
			require.Empty(t, e.Charged.Key, "nobody can be held")
			continue
		}
		require.Equal(t, victim, e.Caller, name)
		require.Equal(t, victim, e.Charged.Key, name)
	}
	files, err := filepath.Glob("testdata/activity/*.json")
	require.NoError(t, err)
	require.Len(t, files, 10)
}

// TestStrangeActivity: what has another form is no attempt; what the form leaves open is one.
func TestStrangeActivity(t *testing.T) {
	key := []byte(edgetest.AddressKey)
	for name, members := range map[string]map[string]any{
		"another version":        {"version": "2"},
		"no version":             {"version": nil},
		"another pool's":         {"userPoolId": "eu-central-1_Staff001"},
		"a part of a pool's id":  {"userPoolId": "People001"},
		"no pool's":              {"userPoolId": nil},
		"no pool's id":           {"userPoolId": "eu-central-1/People001"},
		"an answer that is none": {"eventResponse": "Maybe"},
		"no answer":              {"eventResponse": nil},
		"a strange user":         {"userSub": "c0ffee#1"},
		"a long user":            {"userSub": strings.Repeat("a", 65)},
		"a long name":            {"userSub": nil, "userName": strings.Repeat("a", maxName+1)},
		"a number":               {"ipAddress": 1},
	} {
		e, ok := decodeActivity(changed(t, "refused", members), peoplesIssuer, key)
		require.False(t, ok, name)
		require.Zero(t, e.Caller, name)
	}
	nobody, known := decodeActivity(changed(t, "refused", map[string]any{"userSub": nil, "userName": nil}), peoplesIssuer, key)
	require.True(t, known, "who was nobody may be left out")
	require.Zero(t, nobody)
	for name, text := range map[string]string{"nothing": "", "no object": "[]", "an error of a message": `{"eventSource":"USER_NOTIFICATION","message":{"version":"1"}}`} {
		_, ok := decodeActivity([]byte(text), peoplesIssuer, key)
		require.False(t, ok, name)
	}
	for name, test := range map[string]struct {
		of      string
		members map[string]any
		want    sentinel.Attempt
	}{
		"in capitals":           {"refused", map[string]any{"eventResponse": "FAIL"}, sentinel.Refused},
		"of a type that is new": {"refused", map[string]any{"eventType": "Passkey"}, sentinel.Refused},
		"high, in capitals":     {"high-risk", map[string]any{"riskLevel": "HIGH", "eventResponse": "PASS"}, sentinel.Doubtful},
		"medium":                {"high-risk", map[string]any{"riskLevel": "Medium"}, ""},
		"medium and leaked":     {"leaked", map[string]any{"riskLevel": "Medium"}, sentinel.Doubtful},
		"an unknown risk":       {"leaked", map[string]any{"riskLevel": "null"}, ""},
		"high, a new password":  {"high-risk", map[string]any{"eventType": "PasswordChange"}, ""},
		"no address's form":     {"refused", map[string]any{"ipAddress": "null"}, sentinel.Refused},
	} {
		e, ok := decodeActivity(changed(t, test.of, test.members), peoplesIssuer, key)
		require.True(t, ok, name)
		require.Equal(t, test.want, e.Attempt, name)
	}
	e, _ := decodeActivity(changed(t, "refused", map[string]any{"ipAddress": "null"}), peoplesIssuer, key)
	require.Empty(t, e.Charged.Address, "all of those would be one")
	of := func(name string) string {
		e, ok := decodeActivity(changed(t, "of-nobody", map[string]any{"userName": name}), peoplesIssuer, key)
		require.True(t, ok)
		return e.Caller
	}
	require.Equal(t, of("ada@example.com"), of("Ada@Example.com"), "Cognito takes them for one")
	require.NotEqual(t, of("ada@example.com"), of("ben@example.com"))
}

func TestPoolsBatches(t *testing.T) {
	w := newWorld()
	events, strange, err := decodeLog(t.Context(), batchOf(t, "people", w.now, activity(t, "refused"), []byte("canary"), activity(t, "let-in"), activity(t, "forgotten")), kept())
	require.NoError(t, err)
	require.Equal(t, 1, strange)
	require.Len(t, events, 2)
	require.Equal(t, fmt.Sprint(w.now.UnixMilli(), "-0"), events[0].ID)
	require.Equal(t, w.now, events[0].Time)
	require.Equal(t, sentinel.Forgotten, events[1].Attempt)

	// The staff's pool is another: its events come by its own group alone.
	_, strange, err = decodeLog(t.Context(), batchOf(t, "staff", w.now, activity(t, "refused")), kept())
	require.NoError(t, err)
	require.Equal(t, 1, strange)
	events, _, err = decodeLog(t.Context(), batchOf(t, "staff", w.now, changed(t, "refused", map[string]any{"userPoolId": "eu-central-1_Staff001"})), kept())
	require.NoError(t, err)
	require.NotEqual(t, victim, events[0].Caller)

	off := kept()
	off.issuers = map[string]string{peoplesGroup: "", staffsGroup: ""}
	_, _, err = decodeLog(t.Context(), batchOf(t, "people", w.now, activity(t, "refused")), off)
	require.Equal(t, fault.Internal, fault.KindOf(err), "where they are not kept nobody sends any")

	// Without the day's key the batch comes again.
	w.pools.key = dayKey{fault.New(fault.Unavailable, "no key for addresses")}
	require.Equal(t, fault.Unavailable, fault.KindOf(w.handle(t.Context(), envelope(batchOf(t, "people", w.now, activity(t, "refused"))))))
	require.NotContains(t, w.record(t), "alarm")
}

// envelope is what the function is called with.
func envelope(logs []byte) []byte { return []byte(`{"awslogs":` + string(logs) + `}`) }

// TestPasswordsAreGuessed: records of a pool, as its log brings them, until somebody is held.
func TestPasswordsAreGuessed(t *testing.T) {
	w := newWorld()
	fails := func() bool {
		v, err := w.limiter.Take(t.Context(), limit.Charge{Key: limit.AddressPrefix + place, Cost: 1, Lines: []limit.Line{{ID: limit.Address, Rate: 60}}})
		require.NoError(t, err)
		return v.Admitted
	}
	calls := 0
	for w.sentinelFound() == 0 {
		require.Less(t, calls, 60, "a try a second")
		w.now = w.now.Add(time.Second)
		require.NoError(t, w.handle(t.Context(), envelope(batchOf(t, "people", w.now, activity(t, "refused")))))
		calls++
	}
	require.Equal(t, 10, calls)
	require.False(t, fails())
	e := w.audit.Events()[0]
	require.Equal(t, "password-guesses 06f3e1olo000g40o20c0a1g70k", e.Kind+" "+e.Owner)
	require.Zero(t, e.About+e.Caller+e.Charged.Key+e.Charged.Address)

	w.log.Reset()
	require.NoError(t, w.handle(t.Context(), envelope(batchOf(t, "people", w.now, activity(t, "high-risk"), activity(t, "of-nobody")))))
	for _, of := range []string{"192.0.2.7", "c0ffee00", "anary", "example.com", "identity#", "name#", place} {
		require.NotContains(t, strings.ToLower(w.log.String()), strings.ToLower(of))
	}
	record := w.record(t)
	require.Equal(t, map[string]any{"takeovers": 2.0}, record["found"], "of one finding two wait: he, and the address")
	v, err := w.limiter.Take(t.Context(), limit.Charge{Key: victim, Cost: 1, Lines: []limit.Line{{ID: limit.User, Rate: 60}}})
	require.NoError(t, err)
	require.False(t, v.Admitted)
}

// sentinelFound is how many findings were told of.
func (w *world) sentinelFound() int { return len(w.audit.Events()) }

// FuzzDecodeActivity: whatever comes is nothing, of no interest, or an attempt of somebody
// named by what nobody can turn back.
func FuzzDecodeActivity(f *testing.F) {
	files, err := filepath.Glob("testdata/activity/*.json")
	require.NoError(f, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		e, ok := decodeActivity(text, peoplesIssuer, []byte(edgetest.AddressKey))
		if !ok || e.Attempt == "" {
			require.Zero(t, e.Caller+e.Charged.Key+e.Charged.Address)
			return
		}
		require.Contains(t, []sentinel.Attempt{sentinel.Refused, sentinel.Forgotten, sentinel.Doubtful}, e.Attempt)
		require.Regexp(t, `^(identity#[\w-]{43}|name#[\w-]{22})$`, e.Caller)
		require.Regexp(t, `^([\w-]{22})?$`, e.Charged.Address)
		require.True(t, e.Charged.Key == "" || e.Charged.Key == e.Caller)
	})
}
