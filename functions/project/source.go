package main

import (
	"context"
	"strings"

	"fitvault/shared/block"
	"fitvault/shared/days"
	"fitvault/shared/dynamo"
	"fitvault/shared/fault"
	"fitvault/shared/intake"
	"fitvault/shared/reading"
)

// A UTC day is counted as a whole. Ten signals every second are less than this;
// more is no tracker's day, and would not fit the function's memory: it is an
// error of that day alone, which is set aside with an alarm.
var (
	maxDay      = 1_000_000 // readings: 270 MB, most of it to know which copies count
	maxDayBytes = 64 << 20  // of its blocks, as they are stored, which is as long as they are opened
)

// A day of at most this many blocks and bytes is light: its readings take 20 MB at
// the most. Heavy ones are opened one at a time in an invocation, whoever's they
// are: four at once would not fit.
const (
	lightBlocks = 64 // of at most 1,000 readings each (segment.DefaultLimits)
	lightBytes  = 4 << 20
)

// made is a part and the civil days that it may touch.
type made struct {
	part        days.Part
	first, last days.Day
}

// read makes a part from its source.
func (o *owner) read(ctx context.Context, part string) (made, error) {
	if id, ok := days.RecordingOf(part); ok {
		return o.recording(ctx, id)
	}
	utc, err := days.ParseDay(part)
	if err != nil {
		return made{}, fault.New(fault.Internal, "neither a day nor a recording")
	}
	p, err := o.day(ctx, part)
	first, last := days.Around(utc)
	return made{p, first, last}, err
}

// day counts the readings of a UTC day's blocks, each record once. What it will
// cost is known, and refused or waited for, before anything is opened.
func (o *owner) day(ctx context.Context, day string) (days.Part, error) {
	var stored []dynamo.Sealed
	bytes := 0
	for sealed, err := range o.blocks.Between(ctx, o.id, day+"#", day+"$") { // "$" comes after "#"
		if err != nil {
			return nil, fault.Wrap(fault.Unavailable, "blocks cannot be read", err)
		}
		if bytes += len(sealed.Blob); bytes > maxDayBytes {
			return nil, errDay
		}
		stored = append(stored, sealed)
	}
	if len(stored) > lightBlocks || bytes > lightBytes {
		if err := o.heavy.enter(ctx); err != nil {
			return nil, err
		}
		defer o.heavy.leave()
	}
	var opened block.Day
	readings := 0
	for i, sealed := range stored {
		stored[i].Blob = nil // from here on it is there as plaintext
		_, id, _ := strings.Cut(sealed.Item, "#")
		plain, err := o.opener.Open(ctx, sealed.Blob, intake.BlockPlace(o.deployment, o.id, day, id))
		if err != nil {
			return nil, err
		}
		n, err := opened.Add(sealed.Item, plain, nil)
		if err != nil {
			return nil, o.opener.Broken(ctx)
		}
		if readings += n; readings > maxDay {
			return nil, errDay
		}
	}
	var tally days.Tally
	if err := opened.Each(func(r reading.Reading, _ string, _ int) { tally.Add(r) }); err != nil {
		return nil, o.opener.Broken(ctx)
	}
	return tally.Part(), nil
}

var errDay = fault.New(fault.Internal, "a day holds more than can be counted")

// turn lets one in at a time. Its zero value lets nobody in: make one.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

// enter waits as long as time enough is left for what comes then: what is killed
// amidst its work takes the whole batch along.
func (t turn) enter(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-spare))
		defer cancel()
	}
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fault.New(fault.Unavailable, "no time left to begin a part")
	}
}

func (t turn) leave() { <-t }

// recording counts a recording's trackpoints, as its entry has them: no document
// is opened. One that is not there any more counts nothing, on any day.
func (o *owner) recording(ctx context.Context, id string) (made, error) {
	sealed, found, err := o.blocks.Get(ctx, o.id, intake.RecordItem(id))
	if err != nil {
		return made{}, fault.Wrap(fault.Unavailable, "recording cannot be read", err)
	}
	if !found {
		return made{}, nil
	}
	plain, err := o.opener.Open(ctx, sealed, intake.IndexPlace(o.deployment, o.id, id))
	if err != nil {
		return made{}, err
	}
	entry, err := intake.DecodeEntry(plain)
	if err != nil {
		return made{}, o.opener.Broken(ctx)
	}
	var tally days.Tally
	for date, n := range entry.Days {
		day, err := days.ParseDay(date)
		if err != nil {
			return made{}, o.opener.Broken(ctx)
		}
		tally.AddTrackpoints(day, n)
	}
	m := made{part: tally.Part()}
	if n := len(m.part); n > 0 { // in order of days
		m.first, m.last = m.part[0].Day, m.part[n-1].Day
	}
	return m, nil
}
