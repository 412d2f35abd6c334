package dynamo

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzDecodeManifest: whoever can write the Requests table cannot take intake
// down with it, and what is read is written again as the same.
func FuzzDecodeManifest(f *testing.F) {
	f.Add([]byte("mac"), int64(1), `{"requests_key": "requests#1", "rules": "1", "count": 3, "rejected": [{"i": 1, "p": "/body", "r": "type"}],
		"blocks": [{"day": "2026-05-04", "id": "a", "records": [[0, 0], [2, 2]]}]}`)
	f.Add([]byte("mac"), int64(-1), `{"recording": {"id": "a", "document": "b"}, "blocks": [{"records": [[9, -9], [], [1, 2, 3]]}]}`)
	f.Add([]byte(nil), int64(0), `{"count": 1e99}`)
	f.Fuzz(func(t *testing.T, body []byte, expires int64, manifest string) {
		m, err := decodeManifest("key", item{"body": bytes(body), "expires": number(expires), "manifest": text(manifest)})
		if err != nil {
			require.ErrorIs(t, err, errShape)
			return
		}
		require.Equal(t, "key", m.Key)
		require.Equal(t, expires, m.Expires.Unix())
		encoded, err := json.Marshal(m)
		require.NoError(t, err)
		again, err := decodeManifest("key", item{"body": bytes(body), "expires": number(expires), "manifest": text(string(encoded))})
		require.NoError(t, err)
		require.Equal(t, mustJSON(t, m), mustJSON(t, again))
	})
}

func mustJSON(t *testing.T, v any) string {
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}
