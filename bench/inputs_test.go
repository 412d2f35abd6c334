package bench

import (
	"encoding/json"
	"encoding/xml"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/openmhealth"
	"fitvault/shared/reading"
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
			batch, err := openmhealth.Decode(input.Body, newOwner(), openmhealth.Intake)
			require.NoError(t, err)
			require.Len(t, batch.Results, want)
			require.Len(t, batch.Readings, want)
			require.Equal(t, input.Name == "series", batch.Series)
			ids := map[string]bool{}
			for i, r := range input.Records {
				ids[r.ID] = true
				requireSame(t, r, batch.Readings[i])
				require.Equal(t, "2018-08-10", batch.Readings[i].Day())
			}
			if input.Name == "series" {
				want = 1
			}
			require.Len(t, ids, want)
		})
	}
}

// requireSame: a row of the other side's database says what the reading says.
func requireSame(t *testing.T, row Record, r reading.Reading) {
	t.Helper()
	member := func(path ...string) string {
		v, _ := r.Point.At(path...)
		return v.Text()
	}
	value := map[string]string{"heart-rate": "heart_rate", "step-count": "step_count"}[r.Type.Name]
	got := Record{ID: r.ID, Namespace: r.Type.Namespace, Name: r.Type.Name, Version: member("header", "schema_id", "version"),
		Created: member("header", "source_creation_date_time"), Modality: member("header", "modality"),
		Unit: member("body", value, "unit"), Start: member("body", "effective_time_frame", "date_time")}
	if got.Start == "" {
		got.Start = member("body", "effective_time_frame", "time_interval", "start_date_time")
		got.End = member("body", "effective_time_frame", "time_interval", "end_date_time")
	}
	var err error
	got.Value, err = strconv.ParseFloat(member("body", value, "value"), 64)
	require.NoError(t, err)
	require.Equal(t, row, got)
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
