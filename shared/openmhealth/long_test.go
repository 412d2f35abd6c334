package openmhealth_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/openmhealth"
)

// TestLongLeavesAreNotHeldAgainstShapes: a leaf of any length may stand in a
// record, but only a short one is looked at for each shape that there is.
func TestLongLeavesAreNotHeldAgainstShapes(t *testing.T) {
	point := func(length int) string {
		return fmt.Sprintf(`{"header":{"uuid":"00000000-0000-4000-8000-000000000001","schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"},
			"source_creation_date_time":"2026-05-04T07:25:00Z","external_datasheets":[{"datasheet_reference":"urn:%s"}]},
			"body":{"heart_rate":{"value":71,"unit":"beats/min"},"effective_time_frame":{"date_time":"2026-05-04T07:25:00Z"}}}`, strings.Repeat("a", length))
	}
	known := &openmhealth.Shapes{}
	for _, length := range []int{1, 100, 252, 253, 254, 10_000, 252} {
		batch, err := openmhealth.DecodeWith([]byte("["+point(length)+","+point(length)+"]"), "", openmhealth.Intake, known)
		require.NoError(t, err, length)
		require.Len(t, batch.Records, 2)
		r, err := batch.Records[1].Reading()
		require.NoError(t, err)
		require.Contains(t, string(r.Point.AppendJSON(nil)), "urn:"+strings.Repeat("a", length)+`"`)
	}
}
