package bench

import (
	"encoding/json"
	"encoding/xml"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/openmhealth"
	"fitvault/shared/tcx"
)

// The inputs are what the table says that they are.
func TestInputs(t *testing.T) {
	for _, input := range Inputs() {
		t.Run(input.Name, func(t *testing.T) {
			plain := input.Plain()
			require.NoError(t, json.Unmarshal(input.Body, plain))
			again, err := json.Marshal(plain)
			require.NoError(t, err)
			require.Equal(t, input.Body, again, "the other side's structs leave something out")
			require.Equal(t, input.Body, map[string]func() Input{"series": Series, "points": Points, "sync": Sync}[input.Name]().Body)

			want := map[string]int{"series": 1000, "points": 1000, "sync": 15*60/5 + 15}[input.Name]
			require.Len(t, input.Records, want)
			accepted, results, err := openmhealth.Decode(input.Body, newOwner(), openmhealth.Intake)
			if input.Name == "series" && err != nil {
				t.Skip("data series are not taken in yet")
			}
			require.NoError(t, err)
			require.Len(t, results, want)
			require.Len(t, accepted, want)
			ids := map[string]bool{}
			for i, r := range input.Records {
				ids[r.ID] = true
				require.Equal(t, r.ID, accepted[i].ID)
				require.Equal(t, r.Name, accepted[i].Type.Name)
				start, err := time.Parse(time.RFC3339, r.Start)
				require.NoError(t, err)
				require.True(t, start.Equal(accepted[i].Start))
				require.Equal(t, "2018-08-10", accepted[i].Day())
			}
			if input.Name == "series" {
				want = 1
			}
			require.Len(t, ids, want)
		})
	}
}

func TestTCX(t *testing.T) {
	document := TCX("..", 2_100_000)
	require.InDelta(t, 2_000_000, len(document), 100_000)
	recording, err := tcx.Parse(document, tcx.DefaultLimits)
	require.NoError(t, err)
	require.NotEmpty(t, recording.Trackpoints)
	require.Zero(t, len(recording.Trackpoints)%486)

	var plain plainTCX
	require.NoError(t, xml.Unmarshal(document, &plain))
	n := 0
	for _, activity := range plain.Activities {
		for _, lap := range activity.Laps {
			for _, p := range lap.Trackpoints {
				ours := recording.Trackpoints[n]
				require.Equal(t, ours.Stamp, p.Time)
				require.Equal(t, ours.Latitude, p.Latitude)
				require.Equal(t, ours.HeartRate, p.HeartRate)
				n++
			}
		}
	}
	require.Equal(t, len(recording.Trackpoints), n)
}
