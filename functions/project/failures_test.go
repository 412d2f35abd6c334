package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

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
			require.Contains(t, w.log.String(), `"failures_kept":0`)
			require.Contains(t, w.log.String(), `"succeeded":1`)
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
	require.Contains(t, w.log.String(), `"failures_kept":1`)
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
	for _, failing := range []string{"list", "put", "get", "delete"} {
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
		require.Equal(t, "aws/lambda/a", w.failures.ids()[0], "it stays")
		require.NotContains(t, w.log.String(), "succeeded")
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

// TestAFailureDuringItsReplay: what fails anew between a replay's success and its
// delete is replayed the next time, not lost.
func TestAFailureDuringItsReplay(t *testing.T) {
	w := newWorld(t)
	w.send(t, w.Ada, point("a", "2026-05-04T10:00:00Z", "60"))
	w.blocks.Put(w.Ada.String(), "2026-05-04#x", []byte("canary"))
	altered := record(1, w.Ada.String(), "2026-05-04#x")
	for range 2 {
		require.Empty(t, w.deliver(t, altered))
	}
	first := w.failures.ids()
	require.Len(t, first, 2)
	require.Len(t, units(first), 1)

	w.blocks.Put(w.Ada.String(), "2026-05-04#x", nil) // mended
	once := false
	w.failures.happen = func(call, id string) {
		if call != "delete" || id != first[0] || once {
			return
		}
		once = true
		require.Equal(t, rates("2026-05-04", 1, "60", "60", "60", "60"), w.days(t, w.Ada), "the replay has succeeded")
		w.send(t, w.Ada, point("b", "2026-05-04T11:00:00Z", "80"))
		w.blocks.Put(w.Ada.String(), "2026-05-04#x", []byte("canary"))
		require.Empty(t, w.deliver(t, altered))
	}
	require.NoError(t, w.replay(t))
	require.True(t, once)
	left := w.failures.ids()
	require.Len(t, left, 1)
	require.NotContains(t, first, left[0])

	w.blocks.Put(w.Ada.String(), "2026-05-04#x", nil)
	require.NoError(t, w.replay(t))
	require.Empty(t, w.failures.ids())
	require.Equal(t, rates("2026-05-04", 2, "60", "80", "70", "140"), w.days(t, w.Ada))
}

// errEnded stands for the end of a function: nothing runs after it.
var errEnded = errors.New("ended")

// replayEnded is a replay that may be ended from outside.
func (w *world) replayEnded(t testing.TB) (ended bool) {
	defer func() {
		switch r := recover(); r {
		case nil:
		case errEnded:
			ended = true
		default:
			panic(r)
		}
	}()
	require.NoError(t, w.replay(t))
	return false
}

// TestReplayThatIsEnded: a failure that ends the function is found by its mark,
// comes last from then on, and holds up none of the others; of Lambda's objects,
// none of their other parts.
func TestReplayThatIsEnded(t *testing.T) {
	w := newWorld(t)
	w.send(t, w.Ada, point("a", "2026-05-04T10:00:00Z", "60"), point("b", "2026-05-05T10:00:00Z", "60"))
	w.send(t, w.Ben, point("a", "2026-05-04T10:00:00Z", "60"))
	w.failures.set("aws/lambda/a", lambdas(t, w.records(w.Ada)...))
	w.failures.set("aws/lambda/b", localStacks(t, record(1, w.Ada.String(), "2026-05-09#a")))
	w.failures.set("aws/lambda/c", lambdas(t, w.records(w.Ben)...))
	poisonous := map[string]bool{"aws/lambda/a": true, "aws/lambda/b": true}
	w.failures.happen = func(call, id string) {
		if call == "get" && poisonous[id] {
			panic(errEnded)
		}
	}
	next := func() { w.Time = w.Time.Add(15 * time.Minute) }
	marks := func() []string { return names(w.failures.ids(), triedPrefix) }

	require.True(t, w.replayEnded(t))
	require.Equal(t, []string{"aws/lambda/a"}, marks())
	w.Time = w.Time.Add(time.Minute) // Lambda tries again soon: somebody may be at work on the first
	require.True(t, w.replayEnded(t))
	require.Equal(t, []string{"aws/lambda/a", "aws/lambda/b"}, marks())
	require.NotContains(t, w.log.String(), "alarm")
	next()
	require.True(t, w.replayEnded(t))
	require.NotEmpty(t, w.days(t, w.Ben), "the others are done")
	require.NotContains(t, w.failures.ids(), "aws/lambda/c")
	require.Contains(t, w.log.String(), `"msg":"a replay was ended"`)
	require.Contains(t, w.log.String(), `"alarm":true`)
	require.Equal(t, []string{"aws/lambda/b", "aws/lambda/a"}, marks(), "by when they were tried last")
	next()
	delete(poisonous, "aws/lambda/b") // mended: it is next, whatever the other does
	require.True(t, w.replayEnded(t))
	require.NotContains(t, w.failures.ids(), "aws/lambda/b")

	// Now the object can be read, and one of its parts ends the function.
	next()
	delete(poisonous, "aws/lambda/a")
	require.False(t, w.replayEnded(t))
	aside := w.failures.ids()
	require.Len(t, aside, 2, "each part is a failure of its own")
	require.Len(t, names(aside, asidePrefix), 2)
	poisonous[aside[0]] = true
	next()
	require.True(t, w.replayEnded(t))
	next()
	require.True(t, w.replayEnded(t))
	require.Contains(t, w.failures.ids(), aside[0])
	require.NotContains(t, w.failures.ids(), aside[1])
	require.NotEmpty(t, w.days(t, w.Ada))
	delete(poisonous, aside[0])
	next()
	require.False(t, w.replayEnded(t))
	require.Empty(t, w.failures.ids(), "no mark is left")
	require.Equal(t, 2, strings.Count(w.days(t, w.Ada), "\n")+1)
}

// names are what marks name, or else what follows a prefix.
func names(ids []string, prefix string) (all []string) {
	for _, id := range ids {
		name, ok := strings.CutPrefix(id, prefix)
		if !ok {
			continue
		}
		if prefix == triedPrefix {
			name = nameOf(id)
		}
		all = append(all, name)
	}
	return all
}

// TestMarksOfWhatIsGone are taken away.
func TestMarksOfWhatIsGone(t *testing.T) {
	w := newWorld(t)
	w.failures.set(triedPrefix+w.Time.UTC().Format(stamp)+"/aws/lambda/a", nil)
	require.NoError(t, w.replay(t))
	require.Len(t, w.failures.ids(), 1, "it may be at work")
	w.Time = w.Time.Add(longest + time.Second)
	require.NoError(t, w.replay(t))
	require.Empty(t, w.failures.ids())
	require.NotContains(t, w.log.String(), "alarm")
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
