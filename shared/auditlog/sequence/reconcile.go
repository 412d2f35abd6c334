package sequence

import (
	"context"
	"errors"
	"slices"
	"time"

	"fitvault/shared/auditlog/record"
	"fitvault/shared/auditlog/tiles"
)

// Window is how far back a reconciler looks. It runs more often, so that each
// event is looked at more than once.
const Window = 3 * time.Hour

// tries is how often a reconciler begins, where another run moves the head meanwhile.
const tries = 5

// Reconcile compares the stored events of the last hours with the log, then what was
// done to owners' data with both, and then who used the key that opens it, for which it
// has until then.
func (s Sequencer) Reconcile(ctx context.Context, until time.Time) (r Result, err error) {
	head, err := s.begin(ctx)
	for n := 1; n < tries && errors.Is(err, ErrMoved); n++ { // by a run that takes, which compares nothing
		head, err = s.begin(ctx)
	}
	if err == nil {
		err = s.compareEvents(ctx, head, &r)
	}
	if err == nil {
		err = s.compareData(ctx, head, &r)
	}
	if err == nil {
		err = s.compareUses(ctx, head, until, &r)
	}
	return r, err
}

// compareEvents: what was stored later than anybody allows is taken, and a leaf
// whose event is no longer stored as it was taken raises an alarm.
//
// What it cannot see: an event that was removed, or altered with all that
// belongs to it, before any run had taken it. compareData sees that where the
// event let something be stored.
func (s Sequencer) compareEvents(ctx context.Context, head Head, r *Result) error {
	now := s.Now()
	from := now.Add(-Window)
	first, known, err := s.sizeAt(ctx, from)
	if err != nil {
		return err
	}
	var seen []bool // leaves from first on
	if known {
		seen = make([]bool, max(0, head.Tree.N-first))
	}
	taken := func(index int64) {
		if i := index - first; i >= 0 && i < int64(len(seen)) {
			seen[i] = true
		}
	}
	for begin := from.Add(-Late); begin.Before(now); begin = begin.Add(slice) {
		end := begin.Add(slice)
		if end.After(now) {
			end = now
		}
		keep := most
		if end.After(head.Taken.Add(-Late)) {
			keep = 0 // Run still looks at those: the two do not race for them
		}
		for more := true; more; {
			f, err := s.look(ctx, begin, end, keep, taken)
			if err != nil {
				return err
			}
			if keep > 0 {
				if head, err = s.take(ctx, head, head.Taken, f, r); err != nil {
					return err
				}
			}
			more = f.more && keep > 0
		}
	}
	r.Size = head.Tree.N
	if !known {
		return nil
	}
	if r.Missing, err = s.missing(ctx, head, first, seen, from); err != nil || r.Missing == 0 {
		return err
	}
	return s.alarm(ctx, EventMissing, int(r.Missing), nil)
}

// sizeAt is the size that the log had at the first checkpoint that was kept since
// a time; false where none was.
func (s Sequencer) sizeAt(ctx context.Context, from time.Time) (int64, bool, error) {
	for at := from.Truncate(time.Hour).Add(time.Hour); !at.After(s.Now()); at = at.Add(time.Hour) {
		signed, err := s.Objects.Get(ctx, HourlyPath(at))
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return 0, false, unavailable("checkpoint of an hour cannot be read", err)
		}
		c, err := tiles.OpenCheckpoint(signed, s.Verifier)
		if err != nil {
			return 0, false, s.alarm(ctx, LogAltered, 1, ErrAltered)
		}
		return c.Size, true, nil
	}
	return 0, false, nil
}

// missing counts the leaves from first on that no stored event is marked with,
// though their events are of the time that was looked at. One that does not open
// concerned somebody who has been erased, and his events with him.
func (s Sequencer) missing(ctx context.Context, head Head, first int64, seen []bool, from time.Time) (n int64, err error) {
	end := first + int64(len(seen))
	for begin := first; begin < end; begin = begin - begin%tiles.Width + tiles.Width {
		upTo := min(begin-begin%tiles.Width+tiles.Width, end)
		if !slices.Contains(seen[begin-first:upTo-first], false) {
			continue
		}
		members, err := tiles.Range(head.Tree, func(path string) ([]byte, error) { return s.Objects.Get(ctx, path) }, begin, upTo)
		if err != nil {
			return 0, s.unread(ctx, err)
		}
		for _, m := range members {
			if seen[m.Index-first] {
				continue
			}
			at, ok, err := s.timeOf(ctx, m)
			if err != nil {
				return 0, err
			}
			if ok && !at.Before(from) {
				n++
			}
		}
	}
	return n, nil
}

// timeOf is when the event of a leaf was, where it can still be opened.
func (s Sequencer) timeOf(ctx context.Context, m tiles.Member) (time.Time, bool, error) {
	p, err1 := record.SubjectOfRecord(m.Event)
	commitment, err2 := tiles.Commitment(m.Entry)
	if err1 != nil || err2 != nil {
		return time.Time{}, false, nil
	}
	name, wrapped, err := s.Subjects.Key(ctx, p)
	if errors.Is(err, ErrNotFound) {
		return time.Time{}, false, nil
	}
	if err != nil {
		return time.Time{}, false, unavailable("a subject's key cannot be read", err)
	}
	subject, err := s.Key.Subject(name, p, wrapped)
	if err != nil {
		return time.Time{}, false, nil
	}
	opened, err := subject.Open(m.Event, commitment)
	return opened.Event.Time, err == nil, nil
}
