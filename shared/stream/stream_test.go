package stream_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"fitvault/shared/access"
	"fitvault/shared/fault"
	"fitvault/shared/stream"
)

var ada, ben = strings.Repeat("a", 26), "b" + strings.Repeat("a", 25)

func user(t require.TestingT, s string) access.UserID {
	u, err := access.ParseUserID(s)
	require.NoError(t, err)
	return u
}

// record is one as Lambda sends it.
func record(number int, owner, item string) string {
	return fmt.Sprintf(`{"eventID":"1","eventName":"INSERT","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"eu-central-1",`+
		`"dynamodb":{"ApproximateCreationDateTime":1777872300,"Keys":{"item":{"S":%q},"owner":{"S":%q}},"SequenceNumber":"%d","SizeBytes":70,`+
		`"StreamViewType":"KEYS_ONLY"},"eventSourceARN":"arn"}`, item, owner, number)
}

func event(records ...string) []byte {
	return []byte(`{"Records":[` + strings.Join(records, ",") + `]}`)
}

// works is works as text, since they print as [redacted].
func works(all []stream.Work) (text []string) {
	for _, w := range all {
		text = append(text, w.Owner.String()+" "+strings.Join(w.Parts, " "))
	}
	return text
}

func numbers(a stream.Answer) string {
	text, err := json.Marshal(a)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func TestRead(t *testing.T) {
	b, err := stream.Read(event(
		record(1000, ben, "2026-05-05#z"), // numbers, not texts: the last
		record(101, ben, "2026-05-04#a"),
		record(100, ada, "2026-05-04#a"),
		record(102, ada, "2026-05-04#b"),
		record(103, ada, "recording#x"),
		record(104, ben, "2026-05-04#a"),
		record(105, ada, "2026-05-04#a"),
	))
	require.NoError(t, err)
	require.Zero(t, b.Strange)
	require.Equal(t, []string{ada + " 2026-05-04 recording#x", ben + " 2026-05-04 2026-05-05"}, works(b.Works))
	require.Equal(t, "[redacted]", fmt.Sprint(b))
	require.NotContains(t, fmt.Sprintf("%+v %#v", *b, b.Works), "2026")

	for _, test := range []struct {
		failed []stream.Work
		want   string
	}{
		{nil, `{"batchItemFailures":[]}`},
		{[]stream.Work{{Owner: user(t, ada), Parts: []string{"2026-05-04"}}},
			`{"batchItemFailures":[{"itemIdentifier":"100"},{"itemIdentifier":"102"},{"itemIdentifier":"105"}]}`},
		{[]stream.Work{{Owner: user(t, ben), Parts: []string{"2026-05-05"}}, {Owner: user(t, ada), Parts: []string{"recording#x"}}},
			`{"batchItemFailures":[{"itemIdentifier":"103"},{"itemIdentifier":"1000"}]}`},
	} {
		require.Equal(t, test.want, numbers(b.Answer(test.failed)))
	}
}

// TestStrangeRecords: what nothing can be made of holds nobody up.
func TestStrangeRecords(t *testing.T) {
	b, err := stream.Read(event(
		record(1, "canary", "2026-05-04#a"),
		record(2, ada, ""),
		record(3, ada, "tombstone#a"),
		record(4, ada, "2026-02-30#a"),
		`{"dynamodb":{"SequenceNumber":"5"}}`,
		`{"dynamodb":{"SequenceNumber":"6","Keys":{"owner":{"N":"1"},"item":{"S":"2026-05-04#a"}}}}`,
		record(7, ada, "2026-05-04#a"),
	))
	require.NoError(t, err)
	require.Equal(t, 6, b.Strange)
	require.Equal(t, []string{ada + " 2026-05-04"}, works(b.Works))
	require.Equal(t, `{"batchItemFailures":[{"itemIdentifier":"7"}]}`, numbers(b.Answer(b.Works)))
}

func TestReadRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":                  ``,
		"another JSON":             `[]`,
		"no records":               `{"Records":[]}`,
		"records of text":          `{"Records":["canary"]}`,
		"a key of another type":    `{"Records":[{"dynamodb":{"SequenceNumber":"1","Keys":{"owner":{"S":{"canary":1}}}}}]}`,
		"no sequence number":       `{"Records":[{"dynamodb":{"Keys":{"owner":{"S":"` + ada + `"},"item":{"S":"2026-05-04#a"}}}}]}`,
		"a sequence number of 41":  `{"Records":[` + strings.Replace(record(0, ada, "2026-05-04#a"), `"0"`, `"`+strings.Repeat("1", 41)+`"`, 1) + `]}`,
		"an event of the schedule": `{"source":"aws.events","detail-type":"Scheduled Event"}`,
	} {
		_, err := stream.Read([]byte(text))
		require.Equal(t, fault.Internal, fault.KindOf(err), name)
		require.NotContains(t, err.Error(), "canary")
	}
}

func TestRun(t *testing.T) {
	var all []stream.Work
	for i := range 40 {
		var b [16]byte
		b[0] = byte(i)
		u, err := access.NewUserID(strings.NewReader(string(b[:])))
		require.NoError(t, err)
		all = append(all, stream.Work{Owner: u, Parts: []string{"2026-05-04", "2026-05-05"}})
	}
	var mu sync.Mutex
	var running, most atomic.Int32
	done := map[access.UserID]int{}
	var reported []error
	failed := stream.Run(t.Context(), all, 4, 0, func(_ context.Context, w stream.Work) []string {
		n := running.Add(1)
		defer running.Add(-1)
		mu.Lock()
		most.Store(max(most.Load(), n))
		done[w.Owner]++
		mu.Unlock()
		switch w.Owner {
		case all[3].Owner:
			panic("canary")
		case all[5].Owner:
			return w.Parts[1:]
		}
		return nil
	}, func(err error) { reported = append(reported, err) })
	require.Len(t, done, 40)
	for _, n := range done {
		require.Equal(t, 1, n)
	}
	require.LessOrEqual(t, most.Load(), int32(4))
	slices.SortFunc(failed, func(a, b stream.Work) int { return strings.Compare(a.Owner.String(), b.Owner.String()) })
	require.Equal(t, []string{all[3].Owner.String() + " 2026-05-04 2026-05-05", all[5].Owner.String() + " 2026-05-05"}, works(failed))
	require.Len(t, reported, 1)
	require.NotContains(t, reported[0].Error(), "canary")
}

// TestRunStopsInTime: what would be cut off is not begun, and has failed.
func TestRunStopsInTime(t *testing.T) {
	all := []stream.Work{{Owner: user(t, ada), Parts: []string{"2026-05-04"}}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	never := func(context.Context, stream.Work) []string { t.Error("begun"); return nil }
	require.Equal(t, works(all), works(stream.Run(ctx, all, 1, 2*time.Minute, never, nil)))
	begun := 0
	require.Empty(t, stream.Run(ctx, all, 1, time.Second, func(context.Context, stream.Work) []string { begun++; return nil }, nil))
	require.Equal(t, 1, begun)
}

// TestAnyBatch: every record's part is in the works once, in the order of first
// numbers, and all that fails is answered, nothing else.
func TestAnyBatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		owners, items := []string{ada, ben}, []string{"2026-05-04#a", "2026-05-04#b", "2026-05-05#a", "recording#x"}
		n := rapid.IntRange(1, 30).Draw(t, "records")
		var records []string
		parts := map[string]bool{}
		for i := range n {
			owner, item := rapid.SampledFrom(owners).Draw(t, "owner"), rapid.SampledFrom(items).Draw(t, "item")
			records = append(records, record(90+i, owner, item))
			part := item
			if item[0] == '2' {
				part = item[:10]
			}
			parts[owner+part] = true
		}
		b, err := stream.Read(event(rapid.Permutation(records).Draw(t, "order")...))
		require.NoError(t, err)
		inOrder, err := stream.Read(event(records...))
		require.NoError(t, err)
		require.Equal(t, works(inOrder.Works), works(b.Works))
		for _, w := range b.Works {
			for _, p := range w.Parts {
				require.True(t, parts[w.Owner.String()+p])
				delete(parts, w.Owner.String()+p)
			}
		}
		require.Empty(t, parts)
		require.Len(t, b.Answer(b.Works).Failures, n)
	})
}

func FuzzRead(f *testing.F) {
	f.Add(event(record(1, ada, "2026-05-04#a"), record(2, ben, "recording#x")))
	f.Add([]byte(`{"Records":[{"dynamodb":{"SequenceNumber":"1","Keys":{"owner":{"N":"1"}}}}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := stream.Read(raw)
		if err != nil {
			require.Equal(t, fault.Internal, fault.KindOf(err))
			return
		}
		for _, w := range b.Works {
			require.False(t, w.Owner.IsZero())
			require.NotEmpty(t, w.Parts)
		}
		require.True(t, json.Valid([]byte(numbers(b.Answer(b.Works)))))
	})
}
