package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
)

// lambdas is an object as Lambda puts it: the event is text in a string.
func lambdas(t testing.TB, records ...string) []byte {
	text, err := json.Marshal(string(event(records...)))
	require.NoError(t, err)
	return []byte(`{"requestContext":{"requestId":"x","functionArn":"arn","condition":"RetryAttemptsExhausted","approximateInvokeCount":101},` +
		`"version":"1.0","timestamp":"2026-05-04T05:25:00.000Z","DDBStreamBatchInfo":{"shardId":"s","batchSize":1,"streamArn":"arn"},"payload":` + string(text) + `}`)
}

// localStacks is one as LocalStack puts it.
func localStacks(_ testing.TB, records ...string) []byte {
	return []byte(`{"version":"1.0","DDBStreamBatchInfo":{},"payload":` + string(event(records...)) + `}`)
}

// TestReplay: what Lambda gave up is done again, and its object goes.
func TestReplay(t *testing.T) {
	for name, object := range map[string]func(testing.TB, ...string) []byte{"Lambda's": lambdas, "LocalStack's": localStacks} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.failures.page = 2
			w.send(t, w.Ada, point("a", "2026-05-04T10:00:00Z", "60"), point("b", "2026-05-05T10:00:00Z", "60"))
			w.send(t, w.Ben, point("a", "2026-05-04T10:00:00Z", "60"))
			for i, r := range w.records(w.Ada, w.Ben) {
				w.failures.set(fmt.Sprintf("aws/lambda/uuid/shard/2026/05/04/%d", i), object(t, r))
			}
			w.failures.set("something else", []byte("canary"))
			require.NoError(t, w.replay(t))
			require.Equal(t, []string{"something else"}, w.failures.ids(), "what is neither Lambda's nor ours is let be")
			require.Contains(t, w.days(t, w.Ada), "2026-05-05")
			require.NotEmpty(t, w.days(t, w.Ben))
			require.Contains(t, w.log.String(), `"msg":"replay"`)
			require.NotContains(t, w.log.String(), "alarm")
		})
	}
}

// TestReplayOfWhatFailsAgain: an object stays while something is down; what only
// a change of the stored can mend moves to an object of its own.
func TestReplayOfWhatFailsAgain(t *testing.T) {
	w := newWorld(t)
	w.send(t, w.Ada, point("a", "2026-05-04T10:00:00Z", "60"))
	w.blocks.Put(w.Ben.String(), "2026-05-04#x", []byte("canary"))
	w.failures.set("aws/lambda/a", lambdas(t, w.records(w.Ada, w.Ben)...))
	mend := databaseDown("Version")(w)
	require.NoError(t, w.replay(t))
	require.Equal(t, []string{"aws/lambda/a"}, w.failures.ids())
	mend()
	require.NoError(t, w.replay(t))
	aside := w.failures.ids()
	require.Len(t, aside, 1)
	require.Regexp(t, "^aside/", aside[0])
	require.NotEmpty(t, w.days(t, w.Ada))
	require.Contains(t, w.log.String(), `"alarm":true`)
}

// TestObjectsThatAreNone stay for somebody to look at, and raise an alarm each time.
func TestObjectsThatAreNone(t *testing.T) {
	for name, content := range map[string]string{
		"not JSON":         `canary`,
		"no payload":       `{"version":"1.0"}`,
		"a payload of 1":   `{"payload":1}`,
		"a text of canary": `{"payload":"canary"}`,
		"no records":       `{"payload":{"Records":[]}}`,
		"strange records":  `{"payload":{"Records":[{"dynamodb":{"SequenceNumber":"1","Keys":{"owner":{"S":"canary"}}}}]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.failures.set("aws/lambda/a", []byte(content))
			w.failures.set("aside/a", []byte(content))
			require.NoError(t, w.replay(t))
			require.Len(t, w.failures.ids(), 2)
			require.Contains(t, w.log.String(), `"strange":2`)
			require.Contains(t, w.log.String(), `"alarm":true`)
			require.NotContains(t, w.log.String(), "canary")
		})
	}
}

func TestReplayWithoutTheBucket(t *testing.T) {
	for _, failing := range []string{"list", "get", "delete"} {
		w := newWorld(t)
		w.send(t, w.Ada, point("a", "2026-05-04T10:00:00Z", "60"))
		w.failures.set("aws/lambda/a", lambdas(t, w.records(w.Ada)...))
		w.failures.fail = func(call string) error {
			if call == failing {
				return errors.New("canary")
			}
			return nil
		}
		require.Equal(t, fault.Unavailable, fault.KindOf(w.replay(t)), failing)
		require.Len(t, w.failures.ids(), 1)
		require.NotContains(t, w.log.String(), "canary")
	}
	t.Run("two replays at once", func(t *testing.T) {
		w := newWorld(t)
		w.failures.set("aws/lambda/a", nil)
		w.failures.fail = func(call string) error {
			if call == "get" {
				delete(w.failures.objects, "aws/lambda/a")
			}
			return nil
		}
		require.NoError(t, w.replay(t))
		require.NotContains(t, w.log.String(), "not projected")
	})
}

// TestRecordedEvents runs the events that people run by hand.
func TestRecordedEvents(t *testing.T) {
	w := newWorld(t)
	for name, want := range map[string]string{"project-stream.json": `{"batchItemFailures":[]}`, "project-replay.json": `null`} {
		text, err := os.ReadFile("../../events/" + name)
		require.NoError(t, err)
		answer, err := w.projector.handle(t.Context(), text)
		require.NoError(t, err)
		got, err := json.Marshal(answer)
		require.NoError(t, err)
		require.Equal(t, want, string(got), name)
	}
}

// FuzzPayload: no object takes the replay down.
func FuzzPayload(f *testing.F) {
	f.Add(lambdas(f, record(1, "a", "b")))
	f.Add(localStacks(f, record(1, "a", "b")))
	f.Add([]byte(`{"payload":null}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		if p := payload(content); p != nil {
			require.LessOrEqual(t, len(p), len(content)*3)
		}
	})
}
