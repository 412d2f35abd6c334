package main

import (
	"context"
	"strings"

	"fitvault/shared/block"
	"fitvault/shared/days"
	"fitvault/shared/fault"
	"fitvault/shared/intake"
	"fitvault/shared/reading"
	"fitvault/shared/segment"
)

// A UTC day is counted as a whole. Ten signals every second are less than this;
// more is no tracker's day, and would not fit a function's memory.
const (
	maxDay      = 1_000_000 // readings
	maxDayBytes = 64 << 20  // of their blocks
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

// opened is one block of a day.
type opened struct {
	item  string
	plain []byte
}

// day counts the readings of a UTC day's blocks, each record once. Which copy of
// a record counts is known only when all were seen, so the blocks are unpacked
// twice: unpacked, a day may take a hundred times as much memory.
func (o *owner) day(ctx context.Context, day string) (days.Part, error) {
	var blocks []opened
	bytes := 0
	for sealed, err := range o.blocks.Between(ctx, o.id, day+"#", day+"$") { // "$" comes after "#"
		if err != nil {
			return nil, fault.Wrap(fault.Unavailable, "blocks cannot be read", err)
		}
		_, id, _ := strings.Cut(sealed.Item, "#")
		plain, err := o.opener.Open(ctx, sealed.Blob, intake.BlockPlace(o.deployment, o.id, day, id))
		if err != nil {
			return nil, err
		}
		if bytes += len(plain); bytes > maxDayBytes {
			return nil, errDay
		}
		blocks = append(blocks, opened{sealed.Item, plain})
	}
	var copies block.Copies
	if err := o.each(ctx, blocks, copies.Add); err != nil {
		return nil, err
	}
	var tally days.Tally
	err := o.each(ctx, blocks, func(h block.Header, item string, index int, r reading.Reading) {
		if copies.Counts(h, item, index, r) {
			tally.Add(r)
		}
	})
	return tally.Part(), err
}

var errDay = fault.New(fault.Internal, "a day holds more than can be counted")

// each calls f with each reading of the blocks.
func (o *owner) each(ctx context.Context, blocks []opened, f func(h block.Header, item string, index int, r reading.Reading)) error {
	readings := 0
	for _, piece := range blocks {
		b, err := block.Decode(piece.plain, segment.DefaultLimits)
		if err != nil {
			return o.opener.Broken(ctx)
		}
		if readings += len(b.Points); readings > maxDay {
			return errDay
		}
		for i, point := range b.Points {
			r, err := reading.FromPoint(point)
			if err != nil {
				return o.opener.Broken(ctx)
			}
			f(b.Header, piece.item, i, r)
		}
	}
	return nil
}

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
