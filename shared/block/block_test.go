package block_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"fitvault/shared/block"
	"fitvault/shared/reading"
	"fitvault/shared/segment"
)

var arrived = time.Date(2026, 5, 4, 7, 25, 0, 123e6, time.UTC)

func value(t testing.TB, text string) reading.Value {
	t.Helper()
	v, err := reading.Decode(jsontext.NewDecoder(strings.NewReader(text)), 32)
	require.NoError(t, err)
	return v
}

func packed(t testing.TB, points ...reading.Value) []byte {
	t.Helper()
	b, err := segment.Encode(points)
	require.NoError(t, err)
	return b
}

func TestABlockComesBackAsItWent(t *testing.T) {
	point := value(t, `{"header":{"id":"a"},"body":{"n":71}}`)
	for _, h := range []block.Header{
		{Client: "app", Rank: block.RankApp, Arrived: arrived},
		{Client: "", Rank: block.RankOwner, Arrived: time.UnixMilli(0).UTC(), Series: true},
		{Client: strings.Repeat("c", 255), Rank: block.RankTracker, Arrived: time.UnixMilli(-1).UTC()},
		{Client: "app", Rank: block.RankTracker, Arrived: arrived, Series: true, Signature: "e30..AA"},
		{Client: "", Rank: block.RankTracker, Arrived: arrived, Signature: strings.Repeat("s", 512)},
	} {
		plain, err := block.Encode(h, packed(t, point, point))
		require.NoError(t, err)
		b, err := block.Decode(plain, segment.DefaultLimits)
		require.NoError(t, err)
		require.True(t, h == b.Header)
		require.Len(t, b.Points, 2)
		require.True(t, point.Equal(b.Points[1]))
		require.Equal(t, "[redacted]", fmt.Sprint(b))
	}
}

func TestWhatIsNoBlockIsRefused(t *testing.T) {
	for _, h := range []block.Header{
		{Client: strings.Repeat("c", 256), Rank: block.RankApp},
		{Client: "app"},
		{Client: "app", Rank: block.RankTracker + 1},
		{Client: "app", Rank: block.RankTracker, Signature: strings.Repeat("s", 513)},
		{Client: "app", Rank: block.RankOwner, Signature: "e30..AA"},
	} {
		_, err := block.Encode(h, nil)
		require.ErrorIs(t, err, block.ErrBlock)
	}
	whole, err := block.Encode(block.Header{Client: "app", Rank: block.RankApp, Arrived: arrived}, packed(t, value(t, `{}`)))
	require.NoError(t, err)
	for n := range len(whole) {
		_, err := block.Decode(whole[:n], segment.DefaultLimits)
		require.Error(t, err, n)
	}
	for name, change := range map[string]func([]byte){
		"another version":   func(b []byte) { b[0]++ },
		"no rank":           func(b []byte) { b[1] = 0 },
		"an unknown rank":   func(b []byte) { b[1] = 4 },
		"a client too long": func(b []byte) { b[10] = 255 },
	} {
		altered := []byte(string(whole))
		change(altered)
		_, err := block.Decode(altered, segment.DefaultLimits)
		require.ErrorIs(t, err, block.ErrBlock, name)
	}
	_, err = block.Decode(whole, segment.Limits{})
	require.ErrorIs(t, err, segment.ErrLimit)
}

func FuzzDecode(f *testing.F) {
	for _, h := range []block.Header{{Client: "app", Rank: block.RankApp, Arrived: arrived}, {Rank: block.RankTracker, Series: true}} {
		plain, err := block.Encode(h, packed(f, value(f, `{"header":{"id":"a"}}`)))
		require.NoError(f, err)
		f.Add(plain)
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		b, err := block.Decode(plain, segment.DefaultLimits)
		if err != nil {
			return
		}
		again, err := block.Encode(b.Header, packed(t, b.Points...))
		require.NoError(t, err)
		same, err := block.Decode(again, segment.DefaultLimits)
		require.NoError(t, err)
		require.True(t, b.Header == same.Header)
		require.Len(t, same.Points, len(b.Points))
	})
}
