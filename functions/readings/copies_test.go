package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/block"
)

// TestTheSameRecordTwice: of several copies one is shown, and all stay stored.
func TestTheSameRecordTwice(t *testing.T) {
	const early, late, other = "2026-05-04T07:00:00Z", "2026-05-04T08:00:00Z", "2026-05-04T09:00:00Z"
	w := newWorld(t)
	w.send(t, point("a", early), point("b", late))
	w.Time = w.Time.Add(time.Second)
	w.send(t, point("a", other)) // a correction by the same client
	w.sealFrom(t, block.Header{Client: "another", Rank: block.RankApp, Arrived: w.Time.Add(time.Hour)}, "2026-05-04", "app", point("b", early))

	shown := []string{point("b", late), point("a", other)}
	require.Equal(t, [][]string{shown}, w.walk(t, w.listReadings))
	require.Equal(t, [][]string{shown[:1], shown[1:]}, w.walk(t, w.listReadings, "page_size", "1"), "also a page at a time")
	require.Equal(t, [][]string{{}}, w.walk(t, w.listReadings, "to", late), "what does not count is not shown instead")
	require.Len(t, w.blocks.Of(w.Ada.String()), 3)
}

func TestChangesSince(t *testing.T) {
	w := newWorld(t)
	w.send(t, point("a", "2026-05-04T07:00:00Z"), point("b", "2026-05-04T08:00:00Z"), point("c", "2026-06-04T08:00:00Z"))
	w.Time = w.Time.Add(time.Hour)
	first := w.page(t, w.listReadings("page_size", "1"))
	require.Equal(t, w.Time.Add(-asOfMargin), first.AsOf)
	since := first.AsOf.Format(time.RFC3339Nano)

	w.Time = w.Time.Add(time.Minute)
	next := w.page(t, w.listReadings("page_size", "1", "page_token", first.Next))
	require.Equal(t, first.AsOf, next.AsOf, "what is said on the first page holds for the list")

	require.Equal(t, [][]string{{}}, w.walk(t, w.listReadings, "since", since), "nothing has changed")
	w.send(t, point("b", "2026-05-04T09:00:00Z"))
	require.Equal(t, [][]string{{point("b", "2026-05-04T09:00:00Z")}}, w.walk(t, w.listReadings, "since", since))

	changed := [][]string{{point("b", "2026-05-04T09:00:00Z")}}
	t.Run("what counts is the time inside", func(t *testing.T) { // beside it no time stands
		w.sealFrom(t, block.Header{Client: "app", Rank: block.RankOwner, Arrived: first.AsOf.Add(-time.Millisecond)}, "2026-07-04", "old", point("d", "2026-07-04T09:00:00Z"))
		require.Equal(t, changed, w.walk(t, w.listReadings, "since", since))
	})
	t.Run("a day without a change is not opened", func(t *testing.T) {
		require.NoError(t, w.blocks.PutOnce(t.Context(), w.Ada.String(), "2026-08-04#broken", []byte("no block"), first.AsOf.Add(-time.Millisecond)))
		require.Equal(t, changed, w.walk(t, w.listReadings, "since", since))
	})
}
