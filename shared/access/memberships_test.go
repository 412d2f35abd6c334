package access_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"fitvault/shared/access"
)

// TestNobodyIsLetInByOne: whatever administrators ask for in whatever order, what is
// added was asked for by two of them, the first within a week before; and nobody keeps
// what the last one did not ask for.
func TestNobodyIsLetInByOne(t *testing.T) {
	start := time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC)
	user, err := access.ParseUserID("gaytemzugu3doobzmfrggzdfmy")
	require.NoError(t, err)
	names := []string{"clinic", "gym", "team"}
	roles := []access.Role{access.Administrator, access.Analyst, access.Maker}
	rapid.Check(t, func(t *rapid.T) {
		person := rapid.Bool().Draw(t, "person")
		var held access.Caller
		if person {
			held.User = user
		}
		type word struct {
			by string
			at time.Time
		}
		asked := map[string][]word{} // by what is asked for
		now := start
		for range rapid.IntRange(1, 30).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "days")) * 24 * time.Hour)
			by := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "by")
			var wanted []access.Role
			if !person {
				wanted = some(t, roles)
			}
			organisations := some(t, names)
			after, confirmed := held.Change(wanted, organisations, by, now)
			require.Equal(t, held.User, after.User)
			added := false
			two := func(name string) {
				added = true
				require.True(t, slices.ContainsFunc(asked[name], func(w word) bool { return w.by != by && now.Sub(w.at) < access.ProposalLasts }), "on one word")
			}
			for _, r := range after.Roles {
				require.Contains(t, wanted, r)
				if !slices.Contains(held.Roles, r) {
					two(string(r))
				}
			}
			for _, o := range after.Organisations {
				require.Contains(t, organisations, o)
				if person && !slices.Contains(held.Organisations, o) {
					two(o)
				}
			}
			require.Equal(t, confirmed, added)
			if confirmed {
				require.Nil(t, after.Proposal)
			}
			for _, r := range wanted {
				asked[string(r)] = append(asked[string(r)], word{by, now})
			}
			for _, o := range organisations {
				asked[o] = append(asked[o], word{by, now})
			}
			held = after
		}
	})
}

func some[S ~string](t *rapid.T, all []S) []S {
	chosen := rapid.SliceOfDistinct(rapid.SampledFrom(all), rapid.ID).Draw(t, "some")
	slices.Sort(chosen)
	return chosen
}
