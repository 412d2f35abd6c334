package generate

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/openmhealth"
)

func rng(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

const owner = "aaaabbbbccccddddeeeeffffgg"

func TestEveryPointIsAcceptedAndAllIsShown(t *testing.T) {
	r, coverage := rng(1), NewCoverage()
	require.NotEmpty(t, coverage)
	for _, s := range openmhealth.Served {
		for range 150 {
			point := Point(r, s, owner)
			coverage.Add(point)
			text := point.AppendJSON(nil)
			batch, err := openmhealth.Decode(text, owner, openmhealth.Intake)
			require.NoError(t, err, "%s", text)
			r, err := batch.Records[0].Reading()
			require.NoError(t, err)
			require.True(t, point.Equal(r.Point))
			require.Equal(t, s, openmhealth.Schema{Type: r.Type, Version: r.Version})
		}
	}
	require.Empty(t, coverage.Missing())
}

func TestCoverageNamesWhatIsMissing(t *testing.T) {
	coverage := NewCoverage()
	coverage.Add(Point(rng(1), openmhealth.Served[0], owner))
	require.Contains(t, coverage.Missing(), "omh:heart-rate:2.0/heart_rate there")
}

func TestBatch(t *testing.T) {
	for _, n := range []int{1, 2, 1000} {
		batch, err := openmhealth.Decode(JSON(Batch(rng(uint64(n)), n, owner)), owner, openmhealth.Intake)
		require.NoError(t, err)
		require.Len(t, batch.Records, n)
		require.Len(t, batch.Results, n)
	}
	require.Equal(t, JSON(Batch(rng(7), 20, owner)), JSON(Batch(rng(7), 20, owner)), "the same randomness, the same points")
	require.NotEqual(t, JSON(Batch(rng(7), 20, owner)), JSON(Batch(rng(8), 20, owner)))
}

func TestSeries(t *testing.T) {
	for i, s := range openmhealth.Served {
		series, points := Series(rng(uint64(i)), s, 20, owner)
		batch, err := openmhealth.Decode(series.AppendJSON(nil), owner, openmhealth.Intake)
		require.NoError(t, err)
		require.True(t, batch.Series)
		require.Len(t, batch.Records, 20)
		for i, r := range batch.Records {
			require.True(t, points[i].Equal(r.Point.Value()))
		}
	}
}
