package dynamo_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/dynamo"
	"fitvault/shared/fault"
)

// FuzzDecodeAuditStream: whatever comes is an error or a batch in which each record is counted
// at most once, and each event has an id and a time.
func FuzzDecodeAuditStream(f *testing.F) {
	recorded, err := os.ReadFile("../../events/sentinel-stream.json")
	require.NoError(f, err)
	f.Add(recorded)
	f.Add([]byte(strings.ReplaceAll(string(recorded), "INSERT", "MODIFY")))
	f.Add([]byte(strings.ReplaceAll(strings.ReplaceAll(string(recorded), "INSERT", "REMOVE"), "NewImage", "OldImage")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := dynamo.DecodeAuditStream(raw)
		if err != nil {
			require.Equal(t, fault.Internal, fault.KindOf(err))
			require.NotContains(t, err.Error(), "{")
			return
		}
		var e struct{ Records []json.RawMessage }
		require.NoError(t, json.Unmarshal(raw, &e))
		require.LessOrEqual(t, len(b.Stored)+len(b.Gaps)+b.Strange, len(e.Records))
		for _, event := range append(b.Stored, b.Gaps...) {
			require.NotEmpty(t, event.ID)
			require.False(t, event.Time.IsZero())
		}
	})
}

func TestDecodeAuditStream(t *testing.T) {
	recorded, err := os.ReadFile("../../events/sentinel-stream.json")
	require.NoError(t, err)
	b, err := dynamo.DecodeAuditStream(recorded)
	require.NoError(t, err)
	require.Len(t, b.Stored, 1)
	require.Equal(t, "readings.read", b.Stored[0].Action)
	require.Equal(t, []string{"owner-reads"}, b.Stored[0].Reasons)
	require.Equal(t, "t6ZpWXFd4aNLCuMF", b.Stored[0].Charged.Device)
	require.Equal(t, b.Stored[0].Caller, b.Stored[0].Owner)
	for _, raw := range []string{"", "{}", "[]", `{"Records":[]}`, `{"Records":1}`} {
		_, err := dynamo.DecodeAuditStream([]byte(raw))
		require.Equal(t, fault.Internal, fault.KindOf(err), raw)
	}
	long := strings.Repeat("x", 3000) // no item has such a key, so nobody could be held by it
	for _, attribute := range []string{"charged", "sign-in", "address", "owner", "caller", "device"} {
		b, err := dynamo.DecodeAuditStream([]byte(`{"Records":[{"eventName":"INSERT","dynamodb":{"NewImage":{"id":{"S":"06f3e1olo000g40o20c0a1g70k"},` +
			`"outcome":{"S":"refused"},"` + attribute + `":{"S":"` + long + `"}}}}]}`))
		require.NoError(t, err, attribute)
		require.Equal(t, 1, b.Strange, attribute)
	}
	for _, record := range []string{`{}`, `{"eventName":"DROP"}`, `{"eventName":"INSERT"}`, `{"eventName":"REMOVE","dynamodb":{"OldImage":{"id":{"S":"x"}}}}`,
		`{"eventName":"INSERT","dynamodb":{"NewImage":{"id":{"SS":["x"]},"outcome":{"NULL":true}}}}`} {
		b, err := dynamo.DecodeAuditStream([]byte(`{"Records":[` + record + `]}`))
		require.NoError(t, err, record)
		require.Equal(t, 1, b.Strange, record)
	}
}
