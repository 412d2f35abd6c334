package block_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/block"
	"fitvault/shared/reading"
)

// copied is one copy of a record, as it lies in a block.
type copied struct {
	header block.Header
	item   string
	index  int
	r      reading.Reading
}

func point(t *testing.T, id, version, at string, value int) reading.Reading {
	t.Helper()
	r, err := reading.FromPoint(pointValue(t, id, version, `,"effective_time_frame":{"date_time":"`+at+`"}`, value))
	require.NoError(t, err)
	return r
}

func pointValue(t *testing.T, id, version, frame string, n int) reading.Value {
	return value(t, fmt.Sprintf(`{"header":{"id":%q,"creation_date_time":"2026-05-04T12:00:00Z",
		"schema_id":{"namespace":"omh","name":"heart-rate","version":%q}},
		"body":{"heart_rate":{"value":%d,"unit":"beats/min"}%s}}`, id, version, n, frame))
}

func TestOneCopyCounts(t *testing.T) {
	const early, late = "2026-05-04T07:00:00Z", "2026-05-04T08:00:00Z"
	from := func(client string, rank block.Rank, after time.Duration) block.Header {
		return block.Header{Client: client, Rank: rank, Arrived: arrived.Add(after)}
	}
	series := func(h block.Header) block.Header { h.Series = true; return h }
	without := func(id string, n int) reading.Reading {
		r, err := reading.FromPoint(pointValue(t, id, "2.0", "", n))
		require.NoError(t, err)
		return r
	}
	for _, test := range []struct {
		name   string
		copies []copied
		counts []int
	}{
		{"a correction counts, also of the time within the day", []copied{
			{from("app", block.RankOwner, 0), "a", 0, point(t, "x", "2.0", early, 70)},
			{from("app", block.RankOwner, time.Minute), "b", 0, point(t, "x", "2.0", late, 71)}}, []int{1}},
		{"a higher version counts, also if it came first", []copied{
			{from("app", block.RankOwner, 0), "a", 0, point(t, "x", "1.10", early, 70)},
			{from("app", block.RankOwner, time.Minute), "b", 0, point(t, "x", "1.9", early, 71)},
			{from("app", block.RankOwner, time.Minute), "c", 0, point(t, "x", "1.0", early, 71)}}, []int{0}},
		{"an owner's counts before an app's, a tracker's before both", []copied{
			{from("other", block.RankApp, time.Hour), "a", 0, point(t, "x", "2.0", early, 70)},
			{from("phone", block.RankTracker, 0), "b", 0, point(t, "x", "1.0", early, 71)},
			{from("app", block.RankOwner, time.Minute), "c", 0, point(t, "x", "2.0", early, 72)}}, []int{1}},
		{"of the same rank the later counts, whoever sent it", []copied{
			{from("one", block.RankApp, 0), "b", 0, point(t, "x", "2.0", early, 70)},
			{from("two", block.RankApp, time.Minute), "a", 0, point(t, "x", "2.0", early, 71)}}, []int{1}},
		{"of one batch the last counts", []copied{
			{from("app", block.RankOwner, 0), "a", 0, point(t, "x", "2.0", early, 70)},
			{from("app", block.RankOwner, 0), "a", 1, point(t, "x", "2.0", early, 71)},
			{from("app", block.RankOwner, 0), "b", 0, point(t, "x", "2.0", early, 72)}}, []int{2}},
		{"other ids are other records, at the same time too", []copied{
			{from("app", block.RankOwner, 0), "a", 0, point(t, "x", "2.0", early, 70)},
			{from("app", block.RankOwner, 0), "a", 1, point(t, "y", "2.0", early, 70)}}, []int{0, 1}},
		{"bodies of a series are told apart by their time frames", []copied{
			{series(from("app", block.RankOwner, 0)), "a", 0, point(t, "x", "2.0", early, 70)},
			{series(from("app", block.RankOwner, 0)), "a", 1, point(t, "x", "2.0", late, 70)},
			{series(from("app", block.RankOwner, time.Minute)), "b", 0, point(t, "another", "2.0", late, 71)}}, []int{0, 2}},
		{"bodies without a time frame by what they say", []copied{
			{series(from("app", block.RankOwner, 0)), "a", 0, without("x", 70)},
			{series(from("app", block.RankOwner, 0)), "a", 1, without("x", 71)},
			{series(from("app", block.RankOwner, 0)), "a", 2, without("y", 71)},
			{series(from("app", block.RankOwner, time.Minute)), "b", 0, without("x", 71)}}, []int{0, 2, 3}},
		{"a point is no body of a series", []copied{
			{series(from("app", block.RankOwner, 0)), "a", 0, point(t, "x", "2.0", early, 70)},
			{from("app", block.RankOwner, 0), "b", 0, point(t, "x", "2.0", early, 70)}}, []int{0, 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 20 { // in whatever order they are met
				var c block.Copies
				for _, i := range rand.Perm(len(test.copies)) {
					c.Add(test.copies[i].header, test.copies[i].item, test.copies[i].index, test.copies[i].r)
				}
				var counts []int
				for i, one := range test.copies {
					if c.Counts(one.header, one.item, one.index, one.r) {
						counts = append(counts, i)
					}
				}
				require.Equal(t, test.counts, counts)
			}
		})
	}
}
