package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzDecodeLog: whatever comes is an error or events that count something, each with an id.
func FuzzDecodeLog(f *testing.F) {
	for _, batch := range []string{gatewayBatch, scheduleBatch, controlBatch} {
		f.Add([]byte(batch))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		events, strange, err := decodeBatch(t.Context(), text, kept())
		if err != nil {
			require.Empty(t, events)
			return
		}
		require.GreaterOrEqual(t, strange, 0)
		for _, e := range events {
			require.NotEmpty(t, e.ID)
			kinds := 0
			for _, is := range []bool{e.Gateway != nil, e.Failed != "", e.Attempt != ""} {
				if is {
					kinds++
				}
			}
			require.Equal(t, 1, kinds)
			if e.Gateway != nil {
				require.Positive(t, e.Gateway.Count)
				require.Regexp(t, keyID, e.Gateway.Key)
			}
		}
		_, _, _ = decodeLog(t.Context(), text, kept()) // not packed, or not ours
	})
}
