package bench

import (
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/openmhealth"
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
			ids := map[string]bool{}
			for i, r := range input.Records {
				require.Equal(t, openmhealth.Result{Index: i, Accepted: true, ID: r.ID}, batch.Results[i])
				ids[r.ID] = true
				require.True(t, strings.HasPrefix(r.Start, "2018-08-10T"))
			}
			require.Equal(t, input.Records, rowsOf(t, input))
			if input.Name == "series" {
				want = 1
			}
			require.Len(t, ids, want)
		})
	}
}

// rowsOf reads an input's rows out of its body again.
func rowsOf(t *testing.T, input Input) (rows []Record) {
	points := []plainPoint[plainAny]{}
	if input.Name == "series" {
		var series plainSeries[plainAny]
		require.NoError(t, json.Unmarshal(input.Body, &series))
		for _, body := range series.Body {
			points = append(points, plainPoint[plainAny]{series.Header, body})
		}
	} else {
		require.NoError(t, json.Unmarshal(input.Body, &points))
	}
	for _, p := range points {
		value, frame := p.Body.HeartRate, p.Body.EffectiveTimeFrame
		if value == nil {
			value = p.Body.StepCount
		}
		r := record(p.Header, value.Value, value.Unit, frame.DateTime, "")
		if frame.TimeInterval != nil {
			r.Start, r.End = frame.TimeInterval.Start, frame.TimeInterval.End
		}
		rows = append(rows, r)
	}
	return rows
}

// The document is one that intake takes, and the other side reads all of it.
func TestTCX(t *testing.T) {
	document := TCX("..", 2_100_000)
	require.InDelta(t, 2_000_000, len(document), 100_000)
	owner := newOwner()
	entry, err := newIntake(t, owner).Recording(t.Context(), request(owner, document))
	require.NoError(t, err)

	var plain plainTCX
	require.NoError(t, xml.Unmarshal(document, &plain))
	n := 0
	for _, activity := range plain.Activities {
		for _, lap := range activity.Laps {
			for _, p := range lap.Trackpoints {
				for _, text := range []string{p.Time, p.Latitude, p.Longitude, p.Altitude, p.Distance, p.HeartRate, p.Speed, p.RunCadence} {
					require.NotEmpty(t, text)
				}
				n++
			}
		}
	}
	require.Equal(t, entry.Trackpoints, n)
	require.Zero(t, n%486)
}
