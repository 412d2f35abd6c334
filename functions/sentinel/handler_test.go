package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/stretchr/testify/require"

	"fitvault/shared/auditlog"
	"fitvault/shared/fault"
	"fitvault/shared/limit"
	"fitvault/shared/sentinel"
)

const (
	gatewayBatch = `{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"/fitvault/api","logStream":"s","subscriptionFilters":["f"],"logEvents":[
{"id":"a1","timestamp":1777872300000,"message":"{\"request\":\"r\",\"time\":\"1777872300000\",\"method\":\"GET\",\"resource\":\"/users/{user}/days\",\"status\":\"401\",\"refusal\":\"UNAUTHORIZED\",\"key\":\"k1k1k1\"}"},
{"id":"a2","timestamp":1777872300001,"message":"{\"refusal\":\"INVALID_API_KEY\",\"key\":\"-\"}"},
{"id":"a3","timestamp":1777872300002,"message":"{\"refusal\":\"UNAUTHORIZED\",\"key\":\"k1k1k1\"}"}]}`
	scheduleBatch = `{"messageType":"DATA_MESSAGE","logGroup":"/fitvault/keykeeper","logEvents":[{"id":"b1","timestamp":1777872300000,"message":"canary"}]}`
	controlBatch  = `{"messageType":"CONTROL_MESSAGE","logGroup":"","logEvents":[]}`
)

// packed is the member awslogs of what CloudWatch Logs sends.
func packed(t testing.TB, text []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return []byte(`{"data":"` + base64.StdEncoding.EncodeToString(b.Bytes()) + `"}`)
}

// world is the function over fakes.
type world struct {
	handler
	limiter limit.Memory
	audit   auditlog.Memory
	now     time.Time
	log     bytes.Buffer
}

func newWorld() *world {
	w := &world{now: time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC)}
	now := func() time.Time { return w.now }
	w.limiter.Now = now
	w.handler = handler{log: slog.New(slog.NewJSONHandler(&w.log, nil)), now: now, pools: kept(), sentinel: sentinel.Sentinel{Counters: &sentinel.Memory{},
		Accounts: sentinel.Owners{victim: "06f3e1olo000g40o20c0a1g70k"}, Limiter: &w.limiter, Audit: &w.audit, Factor: 1, Now: now, Rand: rand.Reader}}
	return w
}

func (w *world) record(t *testing.T) (m map[string]any) {
	require.NoError(t, json.Unmarshal(w.log.Bytes(), &m), w.log.String())
	w.log.Reset()
	return m
}

func TestRecordedEvents(t *testing.T) {
	files, err := filepath.Glob("../../events/sentinel-*.json")
	require.NoError(t, err)
	require.Len(t, files, 3)
	for _, file := range files {
		w := newWorld()
		event, err := os.ReadFile(file)
		require.NoError(t, err)
		ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "request"})
		_, err = lambda.NewHandler(w.handle).Invoke(ctx, event)
		require.NoError(t, err)
		record := w.record(t)
		require.EqualValues(t, 1, record["events"])
		require.EqualValues(t, 0, record["findings"])
		require.Equal(t, "request", record["request"])
		require.NotContains(t, record, "alarm")
	}
}

// guesses is a batch of the stream in which somebody tries codes that open nothing.
func guesses(t *testing.T, n int, at time.Time) []byte {
	var records []string
	for range n {
		id, err := auditlog.NewID(at, rand.Reader)
		require.NoError(t, err)
		records = append(records, fmt.Sprintf(`{"eventName":"INSERT","dynamodb":{"NewImage":{"shard":{"S":"x"},"id":{"S":%q},"outcome":{"S":"refused"},"kind":{"S":"not-found"},`+
			`"action":{"S":"invitations.accept"},"caller":{"S":"canary"},"charged":{"S":"identity#canary"},"sign-in":{"S":"device"}}}}`, id))
	}
	return []byte(`{"Records":[` + strings.Join(records, ",") + `]}`)
}

func TestAFindingIsReported(t *testing.T) {
	w := newWorld()
	batch := guesses(t, 8, w.now)
	require.NoError(t, w.handle(t.Context(), batch))
	require.NotContains(t, w.log.String(), "canary", "who it was is in the event")
	record := w.record(t)
	require.Equal(t, "WARN", record["level"])
	require.EqualValues(t, 1, record["findings"])
	require.Equal(t, map[string]any{"guesses": 1.0}, record["found"])
	require.Len(t, w.audit.Events(), 1)
	v, err := w.limiter.Take(t.Context(), limit.Charge{Key: "identity#canary", Cost: 1, Lines: []limit.Line{{ID: "device", Rate: 60}}})
	require.NoError(t, err)
	require.False(t, v.Admitted)

	require.NoError(t, w.handle(t.Context(), batch), "delivered again")
	require.EqualValues(t, 0, w.record(t)["findings"])
	require.Len(t, w.audit.Events(), 1)
}

// TestGaps: events that are taken away or rewritten before the log has them.
func TestGaps(t *testing.T) {
	was := `{"shard":{"S":"s"},"id":{"S":"06f3e1olo000g40o20c0a1g70k"},"outcome":{"S":"allowed"},"owner":{"S":"ada"},"reasons":{"L":[{"S":"a"}]}%s}`
	plain, marked := fmt.Sprintf(was, ""), fmt.Sprintf(was, `,"leaf":{"N":"1"},"mark":{"B":"AA=="},"expires":{"N":"1782063700"}`) // 35 days on
	hurried := strings.Replace(marked, "1782063700", "1780809899", 1)
	other := strings.Replace(plain, "ada", "bob", 1)
	for name, test := range map[string]struct {
		record string
		found  int
	}{
		"it is marked":                            {`"eventName":"MODIFY","dynamodb":{"OldImage":` + plain + `,"NewImage":` + marked + `}`, 0},
		"what was for us is taken":                {`"eventName":"MODIFY","dynamodb":{"OldImage":` + fmt.Sprintf(was, `,"charged":{"S":"identity#a"},"sign-in":{"S":"b"}`) + `,"NewImage":` + marked + `}`, 0},
		"it is rewritten":                         {`"eventName":"MODIFY","dynamodb":{"OldImage":` + plain + `,"NewImage":` + other + `}`, 1},
		"it expires":                              {`"eventName":"REMOVE","userIdentity":{"type":"Service","principalId":"dynamodb.amazonaws.com"},"dynamodb":{"OldImage":` + marked + `}`, 0},
		"a mark that was made up makes it expire": {`"eventName":"REMOVE","userIdentity":{"type":"Service","principalId":"dynamodb.amazonaws.com"},"dynamodb":{"OldImage":` + hurried + `}`, 1},
		"it expires without a mark":               {`"eventName":"REMOVE","userIdentity":{"type":"Service","principalId":"dynamodb.amazonaws.com"},"dynamodb":{"OldImage":` + plain + `}`, 1},
		"somebody removes it":                     {`"eventName":"REMOVE","dynamodb":{"OldImage":` + plain + `}`, 1},
		"somebody removes it, marked":             {`"eventName":"REMOVE","dynamodb":{"OldImage":` + marked + `}`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			require.NoError(t, w.handle(t.Context(), []byte(`{"Records":[{`+test.record+`}]}`)))
			require.EqualValues(t, test.found, w.record(t)["findings"])
			require.Len(t, w.audit.Events(), test.found)
			if test.found > 0 {
				e := w.audit.Events()[0]
				require.Equal(t, "log-gaps ada", e.Kind+" "+e.Owner, "he sees that it is about him")
			}
		})
	}
}

func TestLogs(t *testing.T) {
	at := time.UnixMilli(1777872300000).UTC()
	decodeLog := func(raw []byte) ([]sentinel.Event, int, error) { return decodeLog(t.Context(), raw, kept()) }
	events, strange, err := decodeLog(packed(t, []byte(gatewayBatch)))
	require.NoError(t, err)
	require.Zero(t, strange)
	require.Len(t, events, 2)
	require.Equal(t, sentinel.Gateway{Key: "k1k1k1", Count: 2}, *events[0].Gateway)
	require.Equal(t, "a1", events[0].ID)
	require.Equal(t, at, events[0].Time)
	require.Equal(t, sentinel.Gateway{Key: "-", Count: 1}, *events[1].Gateway)
	events, _, err = decodeLog(packed(t, []byte(scheduleBatch)))
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.Equal(t, "keykeeper", events[0].Failed)
	events, _, err = decodeLog(packed(t, []byte(controlBatch)))
	require.NoError(t, err)
	require.Empty(t, events)

	for name, text := range map[string]string{
		"no id":           strings.Replace(gatewayBatch, `"a2"`, `""`, 1),
		"a long id":       strings.Replace(gatewayBatch, `"a2"`, `"`+strings.Repeat("a", 65)+`"`, 1),
		"no record":       strings.Replace(gatewayBatch, `{\"refusal\":\"INVALID_API_KEY\",\"key\":\"-\"}`, `x`, 1),
		"a strange key":   strings.Replace(gatewayBatch, `\"key\":\"-\"`, `\"key\":\"CANARY\"`, 1),
		"no key at all":   strings.Replace(gatewayBatch, `,\"key\":\"-\"`, ``, 1),
		"key is a number": strings.Replace(gatewayBatch, `\"key\":\"-\"`, `\"key\":1`, 1),
	} {
		events, strange, err := decodeLog(packed(t, []byte(text)))
		require.NoError(t, err, name)
		require.Equal(t, 1, strange, name)
		require.Len(t, events, 1, name)
	}
	for name, raw := range map[string][]byte{
		"not packed":    []byte(`{"data":"AAAA"}`),
		"not base64":    []byte(`{"data":"canary?"}`),
		"no JSON in it": packed(t, []byte("canary")),
		"another group": packed(t, []byte(strings.Replace(scheduleBatch, "/fitvault/keykeeper", "/aws/lambda/x", 1))),
		"a bomb":        packed(t, bytes.Repeat([]byte(" "), maxLog+1)),
		"nothing":       nil,
	} {
		_, _, err := decodeLog(raw)
		require.Equal(t, fault.Internal, fault.KindOf(err), name)
	}
}

func TestWhatFailsIsTold(t *testing.T) {
	w := newWorld()
	for _, raw := range []string{`{}`, `[]`, `x`, `{"Records":[]}`, `{"awslogs":{"data":"AAAA"}}`} {
		require.Equal(t, fault.Internal, fault.KindOf(w.handle(t.Context(), []byte(raw))), raw)
		record := w.record(t)
		require.Equal(t, "ERROR", record["level"])
		require.EqualValues(t, 1, record["alarms"])
	}
	require.NoError(t, w.handle(t.Context(), []byte(`{"Records":[{"eventName":"INSERT","dynamodb":{"NewImage":{"id":{"S":"canary"}}}}]}`)))
	require.NotContains(t, w.log.String(), "canary")
	record := w.record(t)
	require.EqualValues(t, 1, record["strange"])
	require.EqualValues(t, 1, record["alarms"], "who writes there is no function of ours")

	w.audit.Fail(errors.New("canary"))
	batch := guesses(t, 8, w.now)
	require.Equal(t, fault.Unavailable, fault.KindOf(w.handle(t.Context(), batch)))
	require.NotContains(t, w.log.String(), "canary")
	record = w.record(t)
	require.Equal(t, "ERROR", record["level"])
	require.NotContains(t, record, "alarm")
	w.audit.Fail(nil)
	require.NoError(t, w.handle(t.Context(), batch), "given again")
	require.EqualValues(t, 1, w.record(t)["findings"])

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, w.handle(ctx, batch))
}
