package tcx_test

import (
	"encoding/json"
	"errors"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
	"fitvault/shared/tcx"
)

// pointerForm is what a pointer may look like: names of the schemas, positions.
var pointerForm = regexp.MustCompile(`^(/TrainingCenterDatabase(/[A-Z][A-Za-z]*(/[0-9]+)?)*|/(TPX|LX)(/[A-Z][A-Za-z]*)*)?$`)

// Whatever comes: a refusal of one of three kinds that repeats nothing of the
// document, or a recording that can be written as JSON.
func FuzzParse(f *testing.F) {
	f.Fuzz(func(t *testing.T, document []byte) {
		limits := tcx.Limits{Bytes: 1 << 16, Depth: 16, Attributes: 16, TextBytes: 1 << 12, Trackpoints: 100}
		recording, err := tcx.Parse(document, limits)
		if err != nil {
			var refused *fault.Error
			require.True(t, errors.As(err, &refused))
			require.Contains(t, []fault.Kind{fault.BadRequest, fault.TooLarge, fault.Invalid}, refused.Kind)
			require.Equal(t, refused.Kind == fault.Invalid, len(refused.Items) > 0)
			for _, item := range refused.Items {
				require.Regexp(t, pointerForm, item.Pointer)
			}
			return
		}
		require.Contains(t, []string{tcx.SportRunning, tcx.SportBiking, tcx.SportOther, tcx.SportMulti}, recording.Sport)
		require.False(t, recording.End.Before(recording.Start))
		require.LessOrEqual(t, len(recording.Trackpoints), limits.Trackpoints)
		for _, p := range recording.Trackpoints {
			require.True(t, json.Valid(p.AppendJSON(nil)))
			require.False(t, p.Time.Before(recording.Start) || p.Time.After(recording.End))
		}
		again, err := tcx.Parse(document, limits)
		require.NoError(t, err)
		require.Equal(t, recording, again)
	})
}
