package dynamo_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/require"

	"fitvault/shared/dynamo"
	"fitvault/shared/fault"
	"fitvault/shared/limit"
	"fitvault/shared/limit/limittest"
)

// wire is a DynamoDB that answers calls one by one, and says what time it is.
type wire struct {
	t        *testing.T
	now      func() time.Time // the Date of answers; nil: none
	delay    func()           // before and after the answer is made
	answers  []answer
	requests []map[string]any
}

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	var sent map[string]any
	require.NoError(w.t, json.NewDecoder(r.Body).Decode(&sent))
	w.requests = append(w.requests, sent)
	a := answer{status: 200, body: `{}`}
	if len(w.answers) > 0 {
		a, w.answers = w.answers[0], w.answers[1:]
	}
	if a.err != nil {
		return nil, a.err
	}
	h := http.Header{"Content-Type": {"application/x-amz-json-1.0"}}
	if w.delay != nil {
		w.delay()
	}
	if w.now != nil {
		h.Set("Date", w.now().UTC().Format(http.TimeFormat))
	}
	if w.delay != nil {
		w.delay()
	}
	return &http.Response{StatusCode: a.status, Header: h, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

func (w *wire) tables(options ...func(*dynamodb.Options)) dynamo.Tables {
	return dynamo.Tables{Requests: "requests", Client: dynamodb.New(dynamodb.Options{Region: "eu-central-1", HTTPClient: w, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("an id", "a secret of some length", "")}, options...)}
}

// TestClock: whatever a container's own clock shows, what it makes of the answers is
// never ahead of DynamoDB's time, and soon near it; a clock that is right stays.
func TestClock(t *testing.T) {
	for _, skew := range []time.Duration{-time.Hour, -5 * time.Second, -time.Second, 0, 2 * time.Second, 5 * time.Second, time.Hour} {
		t.Run(skew.String(), func(t *testing.T) {
			truth := limittest.At.Add(123 * time.Millisecond)
			clock := &dynamo.Clock{Own: func() time.Time { return truth.Add(skew) }}
			w := &wire{t: t, now: func() time.Time { return truth }, delay: func() { truth = truth.Add(2 * time.Millisecond) }}
			tables := w.tables(clock.Listen)
			require.False(t, dynamo.Heard(clock))
			require.Equal(t, truth.Add(skew), clock.Now(), "nothing else is known")
			most := 1100 * time.Millisecond
			for range 200 {
				_, _, err := tables.Get(t.Context(), "o", "i")
				require.NoError(t, err)
				require.True(t, dynamo.Heard(clock))
				behind := truth.Sub(clock.Now())
				require.GreaterOrEqual(t, behind, time.Duration(0))
				require.Less(t, behind, most)
				if skew == 0 {
					require.Zero(t, behind)
				}
				truth = truth.Add(37 * time.Millisecond)
			}
			require.Less(t, truth.Sub(clock.Now()), 50*time.Millisecond, "many answers leave little doubt")
		})
	}
}

// TestClockThatIsSet: what was heard before the own clock was set is no good.
func TestClockThatIsSet(t *testing.T) {
	truth, skew := limittest.At, time.Duration(0)
	clock := &dynamo.Clock{Own: func() time.Time { return truth.Add(skew) }}
	w := &wire{t: t, now: func() time.Time { return truth }}
	tables := w.tables(clock.Listen)
	for _, skew = range []time.Duration{0, time.Hour, -time.Hour, 5 * time.Second} {
		_, _, err := tables.Get(t.Context(), "o", "i")
		require.NoError(t, err)
		require.InDelta(t, 0, truth.Sub(clock.Now()).Seconds(), 1)
	}
	skew = -5 * time.Second
	w.answers = []answer{{status: 400, body: failed}, {err: errors.New("no connection")}}
	_, _, err := tables.Get(t.Context(), "o", "i")
	require.Error(t, err)
	require.InDelta(t, 0, truth.Sub(clock.Now()).Seconds(), 1, "a refusal tells the time too")
	_, _, err = tables.Get(t.Context(), "o", "i")
	require.Error(t, err)
	require.InDelta(t, 0, truth.Sub(clock.Now()).Seconds(), 1, "and no answer nothing")
	w.now = nil
	_, _, err = tables.Get(t.Context(), "o", "i")
	require.NoError(t, err)
	require.InDelta(t, 0, truth.Sub(clock.Now()).Seconds(), 1)
}

func FuzzDate(f *testing.F) {
	f.Add("Mon, 04 May 2026 05:25:00 GMT")
	f.Add("Monday, 04-May-26 05:25:00 GMT")
	f.Add("")
	f.Add("Fri, 31 Dec 9999 23:59:59 GMT")
	f.Fuzz(func(t *testing.T, date string) {
		clock := &dynamo.Clock{Own: func() time.Time { return limittest.At }}
		heard := dynamo.Hear(clock, date, limittest.At, limittest.At)
		require.Equal(t, heard, dynamo.Heard(clock))
		if !heard {
			require.Equal(t, limittest.At, clock.Now())
		}
	})
}

var phone = []limit.Line{{Name: "user", ID: "user", Rate: 300}, {Name: "device", ID: "d", Rate: 60}}

func bucketsAt(user, device time.Time) string {
	return fmt.Sprintf(`{"key": {"S": "limit#k"}, "expires": {"N": "1"}, "b-user": {"N": "%d"}, "b-d": {"N": "%d"}}`, user.UnixMicro(), device.UnixMicro())
}

// TestOneWrite: a charge is one write, also when the buckets are not as they were
// seen last; one that cannot be admitted is none.
func TestOneWrite(t *testing.T) {
	now := limittest.At
	clock := &dynamo.Clock{Own: func() time.Time { return now }}
	w := &wire{t: t, now: func() time.Time { return now }}
	l := &dynamo.Limiter{Tables: w.tables(clock.Listen), Clock: clock}
	c := limit.Charge{Key: "k", Lines: phone, Cost: 1}
	take := func(answers ...answer) (limit.Verdict, int) {
		w.requests, w.answers = nil, answers
		v, err := l.Take(t.Context(), c)
		require.NoError(t, err)
		return v, len(w.requests)
	}
	updated := func(user, device time.Time) answer {
		return answer{status: 200, body: `{"Attributes": ` + bucketsAt(user, device) + `}`}
	}
	found := func(user, device time.Time) answer {
		return answer{status: 400, body: strings.Replace(failed, `{"key": {"S": "canary"}}`, bucketsAt(user, device), 1)}
	}
	nothing := answer{status: 200, body: `{}`}
	v, calls := take(nothing, updated(now.Add(200*time.Millisecond), now.Add(time.Second)))
	require.True(t, v.Admitted)
	require.Equal(t, 2, calls, "read, and written once")
	require.Contains(t, w.requests[1]["UpdateExpression"], "#b0 = :c0")
	v, calls = take(updated(now.Add(400*time.Millisecond), now.Add(2*time.Second)))
	require.True(t, v.Admitted)
	require.Equal(t, 1, calls, "what is not full stays so until a known time")
	require.Equal(t, int64(298), v.Buckets[0].Left)
	require.Contains(t, w.requests[0]["UpdateExpression"], "#b0 = #b0 + :c0")

	now = now.Add(10 * time.Second)
	item := func(user, device time.Time) answer {
		return answer{status: 200, body: `{"Item": ` + bucketsAt(user, device) + `}`}
	}
	v, calls = take(item(now.Add(time.Second), now.Add(5*time.Second)), updated(now.Add(1200*time.Millisecond), now.Add(6*time.Second)))
	require.True(t, v.Admitted)
	require.Equal(t, 2, calls, "another container was here: one write all the same")
	require.Contains(t, w.requests[1]["UpdateExpression"], "#b0 = #b0 + :c0")

	now = now.Add(10 * time.Second)
	v, calls = take(nothing, found(now.Add(time.Second), now.Add(5*time.Second)), updated(now.Add(1200*time.Millisecond), now.Add(6*time.Second)))
	require.True(t, v.Admitted)
	require.Equal(t, 3, calls, "and between read and write: said again")

	now = now.Add(time.Minute)
	v, calls = take(item(now.Add(time.Second), now.Add(time.Minute)))
	require.False(t, v.Admitted)
	require.Equal(t, time.Second, v.Wait)
	require.Equal(t, 1, calls, "no write for who is over his limits")
	v, calls = take()
	require.False(t, v.Admitted)
	require.Zero(t, calls, "times only rise: what is too far ahead is refused unasked")
	now = now.Add(v.Wait) // the user's is full then
	v, calls = take(item(now, now.Add(59*time.Second)), updated(now.Add(time.Second), now.Add(time.Minute)))
	require.True(t, v.Admitted)
	require.Equal(t, 2, calls)
}

// TestFullAgainAtEachTry: where a bucket is found full and changed at each try, the charge
// begins a little later each time, so that others' find it not full; never in a bucket
// whose quota is too small for that, and never by less than what it replaces.
func TestFullAgainAtEachTry(t *testing.T) {
	now := limittest.At
	w := &wire{t: t}
	l := &dynamo.Limiter{Tables: w.tables(), Clock: &dynamo.Clock{Own: func() time.Time { return now }}}
	changed := answer{status: 400, body: strings.Replace(failed, `{"key": {"S": "canary"}}`, bucketsAt(now, now), 1)}
	begins := func(c limit.Charge) (begins []time.Duration) {
		w.requests, w.answers = nil, append([]answer{{status: 200, body: `{}`}}, slices.Repeat([]answer{changed}, 12)...)
		_, err := l.Take(t.Context(), c)
		require.Equal(t, fault.Unavailable, fault.KindOf(err))
		for _, r := range w.requests[len(w.requests)-12:] {
			number := func(name string) int64 {
				n, err := strconv.ParseInt(r["ExpressionAttributeValues"].(map[string]any)[name].(map[string]any)["N"].(string), 10, 64)
				require.NoError(t, err)
				return n
			}
			require.Equal(t, int64(c.Cost)*time.Minute.Microseconds()/int64(c.Lines[0].Rate), number(":c0")-number(":from"))
			begins = append(begins, time.Duration(number(":from")-now.UnixMicro())*time.Microsecond)
		}
		return begins
	}
	require.Equal(t, []time.Duration{0, 0, 5e6, 10e6, 20e6, 40e6, 80e6, 160e6, 160e6, 160e6, 160e6, 160e6}, begins(limit.Charge{Key: "k", Lines: phone, Cost: 1}))
	require.Equal(t, make([]time.Duration, 12), begins(limit.Charge{Key: "k", Lines: []limit.Line{{Name: "user", ID: "user", Rate: 1}}, Cost: 1}))
}

// TestClears: buckets that are full are cleared away before the item grows beyond
// what one write unit holds, and only if they are still full.
func TestClears(t *testing.T) {
	now := limittest.At
	w := &wire{t: t}
	l := &dynamo.Limiter{Tables: w.tables(), Clock: &dynamo.Clock{Own: func() time.Time { return now }}}
	var others []string
	for i := range 12 {
		others = append(others, fmt.Sprintf(`"b-%02d": {"N": "%d"}`, i, now.Add(time.Duration(i-10)*time.Second).UnixMicro()))
	}
	w.answers = []answer{{status: 200, body: `{"Item": {` + strings.Join(others, ",") + `}}`}}
	_, err := l.Take(t.Context(), limit.Charge{Key: "k", Lines: phone, Cost: 1})
	require.NoError(t, err)
	update := w.requests[1]
	require.Equal(t, 11, strings.Count(update["UpdateExpression"].(string), "#r"))
	require.Equal(t, 22, strings.Count(update["ConditionExpression"].(string), "#r"))
	for _, name := range update["ExpressionAttributeNames"].(map[string]any) {
		require.NotEqual(t, "b-11", name, "which is not full yet")
	}
	require.Less(t, len(fmt.Sprint(update["ExpressionAttributeNames"])), 1024)
}

// TestLimiterFails: a store that fails or an item that never is as it was seen is
// unavailable, never a yes; and what is no bucket in an item is none.
func TestLimiterFails(t *testing.T) {
	now := limittest.At
	make := func(answers ...answer) (*dynamo.Limiter, *wire) {
		w := &wire{t: t, answers: answers}
		return &dynamo.Limiter{Tables: w.tables(), Clock: &dynamo.Clock{Own: func() time.Time { return now }}}, w
	}
	c := limit.Charge{Key: "k", Lines: phone, Cost: 1}
	refused := answer{status: 400, body: failed}
	for name, answers := range map[string][]answer{
		"cannot be read":          {{err: errors.New("no connection")}},
		"throttled":               {{status: 200, body: `{}`}, {status: 400, body: throttled}},
		"no connection":           {{status: 200, body: `{}`}, {err: errors.New("no connection")}},
		"changes without end":     append([]answer{{status: 200, body: `{}`}}, slices.Repeat([]answer{refused}, 12)...),
		"answer that is not JSON": {{status: 200, body: `{}`}, {status: 200, body: `canary`}},
	} {
		l, w := make(answers...)
		v, err := l.Take(t.Context(), c)
		require.Equal(t, fault.Unavailable, fault.KindOf(err), name)
		require.NotContains(t, err.Error(), "canary", name)
		require.False(t, v.Admitted, name)
		require.Empty(t, w.answers, name)
	}
	l, w := make()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := l.Take(ctx, c)
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	require.Empty(t, w.requests)

	l, _ = make(answer{status: 200, body: `{"Item": {"b-user": {"S": "canary"}, "b-d": {"N": "1.5"}, "body": {"B": ""}}}`})
	v, err := l.Take(t.Context(), c)
	require.NoError(t, err)
	require.True(t, v.Admitted, "as DynamoDB says; its condition refuses what is no number")
}

// TestSeenIsBounded: whoever brings keys without end takes no memory without end.
func TestSeenIsBounded(t *testing.T) {
	w := &wire{t: t}
	l := &dynamo.Limiter{Tables: w.tables(), Clock: &dynamo.Clock{Own: func() time.Time { return limittest.At }}}
	for i := range 5000 {
		w.requests = nil
		_, err := l.Take(t.Context(), limit.Charge{Key: fmt.Sprint(i), Lines: phone, Cost: 1})
		require.NoError(t, err)
	}
	require.LessOrEqual(t, dynamo.Seen(l), 4096)
}

// TestManySignIns: whoever signs in hundreds of times has as many buckets. They are cleared
// away in parts, each of which DynamoDB takes: an expression has 4 KB.
func TestManySignIns(t *testing.T) {
	l := &dynamo.Limiter{}
	now := time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC)
	state := limit.State{}
	for range 1000 {
		state[rand.Text()[:16]] = now.Add(-time.Second).UnixMicro()
	}
	in := dynamo.Update(l, limit.Charge{Key: "k", Cost: 1, Lines: []limit.Line{{ID: "user", Rate: 300}, {ID: "device", Rate: 60}}}, state, now)
	require.LessOrEqual(t, len(*in.UpdateExpression), 4096)
	require.LessOrEqual(t, len(*in.ConditionExpression), 4096)
	require.Greater(t, len(in.ExpressionAttributeNames), 10, "some are cleared away")
}
