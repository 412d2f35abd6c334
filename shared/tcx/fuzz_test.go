package tcx_test

import (
	"encoding/json"
	"errors"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
	"fitvault/shared/recording"
	"fitvault/shared/strictxml"
)

// pointerForm is what a pointer may look like: names of the schemas, positions.
var pointerForm = regexp.MustCompile(`^(/TrainingCenterDatabase(/[A-Z][A-Za-z]*(/[0-9]+)?)*|/(TPX|LX)(/[A-Z][A-Za-z]*)*)?$`)

// Whatever comes: a refusal of one of three kinds that repeats nothing of the
// document, or a recording that can be written as JSON.
func FuzzParse(f *testing.F) {
	f.Fuzz(func(t *testing.T, document []byte) {
		limits := recording.Limits{Limits: strictxml.Limits{Bytes: 1 << 16, Depth: 16, Attributes: 16, TextBytes: 1 << 12, Namespaces: 16, Elements: 500}, Trackpoints: 100, Days: 50}
		parsed, err := parseWithin(document, limits)
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
		require.Contains(t, []string{recording.SportRunning, recording.SportBiking, recording.SportOther, recording.SportMulti}, parsed.Sport)
		require.False(t, parsed.End.Before(parsed.Start))
		require.LessOrEqual(t, len(parsed.Trackpoints), limits.Trackpoints)
		for _, p := range parsed.Trackpoints {
			require.True(t, json.Valid(p.AppendJSON(nil)))
			require.False(t, p.Time.Before(parsed.Start) || p.Time.After(parsed.End))
		}
		again, err := parseWithin(document, limits)
		require.NoError(t, err)
		require.Equal(t, parsed, again)
	})
}

// The lenient reading of whatever comes: a refusal, or a recording that is read
// the same again, with a list of what was forgiven.
func FuzzLenient(f *testing.F) {
	names := regexp.MustCompile(`^(/[A-Za-z]+)*$`)
	f.Fuzz(func(t *testing.T, document []byte) {
		limits := recording.Limits{Limits: strictxml.Limits{Bytes: 1 << 16, Depth: 16, Attributes: 16, TextBytes: 1 << 12, Namespaces: 16, Elements: 500}, Trackpoints: 100, Days: 50}
		parsed, err := parseAs(document, limits, true)
		strict, refused := parseWithin(document, limits)
		if err != nil {
			require.Error(t, refused)
			require.Contains(t, []fault.Kind{fault.BadRequest, fault.TooLarge, fault.Invalid}, fault.KindOf(err))
			for _, item := range fault.ItemsOf(err) {
				require.Regexp(t, pointerForm, item.Pointer)
			}
			return
		}
		require.Equal(t, refused != nil, len(parsed.Forgiven) > 0, "what needs nothing is forgiven nothing")
		if refused == nil {
			require.Equal(t, strict, parsed)
		}
		require.Equal(t, parsed.Summary.Trackpoints, len(parsed.Trackpoints))
		for _, f := range parsed.Forgiven {
			require.Regexp(t, names, f.Pointer)
			require.Positive(t, f.Count)
		}
		for _, p := range parsed.Trackpoints {
			require.True(t, json.Valid(p.AppendJSON(nil)))
		}
	})
}
