package recording_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
	"fitvault/shared/recording"
	"fitvault/shared/strictxml"
)

// A time that is plain is read as Go's own parser reads it.
func TestPlainTimes(t *testing.T) {
	for text, plain := range map[string]bool{
		"2026-05-04T05:25:00Z": true, "2026-05-04T05:25:00.1Z": true, "2026-05-04T05:25:00.123456789Z": true, "2024-02-29T23:59:59Z": true,
		"2026-05-04T05:25:00+02:00": true, "2026-05-04T05:25:00.5-13:59": true, "2026-05-04T05:25:00-00:00": true,
		"2026-05-04T05:25:00": false, "2026-05-04T05:25:00.Z": false, "2026-05-04T05:25:00.1234567890Z": false, "2026-02-29T05:25:00Z": false,
		"2026-05-04T24:00:00Z": false, "2026-05-04T05:25:60Z": false, "0001-01-01T00:00:00Z": false, "9999-12-31T23:59:59Z": false,
		"2026-05-04T05:25:00+14:00": false, "2026-05-04T05:25:00+02:60": false, " 2026-05-04T05:25:00Z": false, "2026-05-04 05:25:00Z": false,
		"2026-05-04T05:25:00z": false, "2026-05-04T05:25:0xZ": false, "": false, "Z": false, "2026-13-04T05:25:00Z": false, "2026-00-04T05:25:00Z": false,
	} {
		require.Equal(t, plain, recording.PlainTime([]byte(text)), text)
	}
}

func FuzzMoment(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		at, stamp, ok := recording.Moment(text)
		if !ok {
			require.False(t, recording.PlainTime([]byte(text)))
			return
		}
		again, err := time.Parse(time.RFC3339Nano, stamp)
		require.NoError(t, err)
		require.True(t, at.Equal(again))
		_, ours := at.Zone()
		_, theirs := again.Zone()
		require.Equal(t, theirs, ours)
	})
}

func FuzzNumber(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		if n := recording.Number(text); n != "" {
			require.True(t, json.Valid([]byte(n)), n)
		}
	})
}

func TestTrack(t *testing.T) {
	limits := recording.Limits{Trackpoints: 4, Days: 2}
	track := recording.NewTrack(limits, recording.Page{From: 1, Size: 2})
	for i, want := range []bool{false, true, true} {
		wanted, err := track.Begin()
		require.NoError(t, err)
		require.Equal(t, want, wanted, i)
	}
	_, err := track.Begin()
	require.ErrorIs(t, err, strictxml.ErrEnough)

	track = recording.NewTrack(limits, recording.Page{})
	for range 4 {
		wanted, err := track.Begin()
		require.NoError(t, err)
		require.False(t, wanted)
	}
	_, err = track.Begin()
	require.Equal(t, fault.TooLarge, fault.KindOf(err))
	for day := 1; day <= 3; day++ {
		stamp := fmt.Sprintf("2026-05-%02dT00:00:00+14:00", day)
		at, err := time.Parse(time.RFC3339, stamp)
		require.NoError(t, err)
		err = track.At(at, stamp)
		require.Equal(t, day > 2, err != nil, day)
	}
	s := track.Summary("Other", recording.Span{})
	require.Equal(t, 1, s.Days["2026-05-01"])
	require.Equal(t, "2026-05-01T00:00:00+14:00", s.Start.Format(time.RFC3339))
}
