package main

import (
	"net/url"
	"time"

	"fitvault/shared/fault"
	"fitvault/shared/reading"
)

// queryTime puts a query's time into at, where there is one.
func queryTime(q url.Values, name string, at *time.Time) error {
	if !q.Has(name) {
		return nil
	}
	t, err := reading.ParseTime(q.Get(name))
	if err != nil {
		return fault.New(fault.BadRequest, "from, to and since are RFC 3339 times with offset")
	}
	*at = t
	return nil
}

// The as_of of a list is what a client that has read a list to its end gives as since to learn
// what has changed. It lies before the first page by more than intake may take
// from looking at the clock until what it stores can be read: something may be
// told twice, but nothing is missed.
const asOfMargin = time.Minute

func (h handler) asOf() time.Time { return h.now().Add(-asOfMargin).UTC().Truncate(time.Millisecond) }
