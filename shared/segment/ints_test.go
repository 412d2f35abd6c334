package segment

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Whatever the integers, they come back, and what is written behind them stays.
func TestInts(t *testing.T) {
	number := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-3, 3), rapid.Int64Range(0, 200), rapid.Just[int64](0),
		rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, math.MinInt64 + 1, 1 << 62, -1 << 62}))
	rapid.Check(t, func(t *rapid.T) {
		var list []int64
		for range rapid.IntRange(1, 3).Draw(t, "pieces") {
			switch n := rapid.IntRange(1, 150).Draw(t, "numbers"); rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				list = append(list, rapid.SliceOfN(number, n, n).Draw(t, "any")...)
			case 1: // at a regular rate
				from, step := number.Draw(t, "from"), number.Draw(t, "step")
				for range n {
					list, from = append(list, from), from+step
				}
			case 2: // one that wanders
				at := number.Draw(t, "from")
				for range n {
					at += rapid.Int64Range(-4, 4).Draw(t, "step")
					list = append(list, at)
				}
			}
		}
		block := append(appendInts(nil, append([]int64{}, list...)), "rest"...)
		d := decoder{columns: reader{block}}
		got, err := d.ints(len(list))
		require.NoError(t, err)
		require.Equal(t, list, got)
		require.Equal(t, "rest", string(d.columns.left))
	})
}

// A regular rate, and a rate that hardly changes, take next to nothing.
func TestIntsAreSmall(t *testing.T) {
	for name, c := range map[string]struct {
		number func(i int64) int64
		bytes  int
	}{
		"the same":        {func(int64) int64 { return 1e18 }, 10},
		"a regular rate":  {func(i int64) int64 { return 1777872300 + 5*i }, 30},
		"a gap":           {func(i int64) int64 { return 1777872300 + i + i/500*3600 }, 60},
		"one bit":         {func(i int64) int64 { return 70 + i/3%2 }, 210},
		"any two decades": {func(i int64) int64 { return i * 7919 % 100 }, 1040},
	} {
		list := make([]int64, 1000)
		for i := range list {
			list[i] = c.number(int64(i))
		}
		require.LessOrEqual(t, len(appendInts(nil, list)), c.bytes, name)
	}
}
