package sequence

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"time"

	"fitvault/shared/auditlog"
	"fitvault/shared/redact"
)

// DataUnlogged is the kind of alarm over owners' data that was stored, changed or
// removed without an event that says so.
const DataUnlogged = "stored-data-without-event"

const (
	// ahead is by how much the clock of who writes an event may be ahead of the
	// table's, which keeps times to the second.
	ahead = time.Minute + time.Second

	// portion is how many changes are read of all shards together before they are
	// judged; each gets at least some.
	portion = 200_000
	some    = 1_000

	// named is how many pieces are named, with an alarm of its own each; the others
	// are one number.
	named = 10

	// unread is how long a shard may be left unread. A stream keeps a day.
	unread = 20 * time.Hour
)

// Change is one change of the table of owners' data, as its stream tells it: what
// was stored, and not what is in it.
type Change struct {
	redact.Mark
	Owner, Item string    // "" of what no item of ours is named
	Time        time.Time // to the second
	Stored      bool      // false: what was there was changed, or removed
	Position    string    // in its shard
}

// Changes is the stream of the table of owners' data: whoever writes that table
// is in it, whatever he writes.
//
// Shards says which shards it has; ErrNotFound where the stream is off. Since returns
// changes of a shard, in order, at most limit of those that come after a position,
// "" being the beginning, and of a closed shard whether these were all. Of an open
// shard it may return none although there are some: nobody can tell its end.
// A position that is not kept any more is ErrNotFound, and so is a shard.
type Changes interface {
	Shards(ctx context.Context) ([]Shard, error)
	Since(ctx context.Context, shard Shard, position string, limit int) (changes []Change, ended bool, err error)
}

// Shard is a part of the stream.
type Shard struct {
	Name   string
	Closed bool // nothing more will come
}

// Place is how far a shard was read.
type Place struct {
	After string    // the position of the last change that was judged
	Seen  time.Time // all changes of before this were judged; to the second
	Ended bool      // all were, and there will be no more
}

// Places keeps how far each shard was read. Every place that is kept is one up to
// which all was judged, so it does not matter whose of two comes last.
type Places interface {
	Places(ctx context.Context) (map[string]Place, error)
	Keep(ctx context.Context, places map[string]Place) error
}

// Manifests says what uploads may store: the items of each manifest that there is.
type Manifests interface {
	Items(ctx context.Context, manifests []string) (map[string][]string, error)
}

// claim is an event that lets something be stored.
type claim struct {
	owner string
	at    time.Time
	taken bool // it is in the log
}

// compareData holds what was done to owners' data since the last run to the events:
// of each piece that was stored there is one, of the same owner and not long before,
// whose manifest names it, and it is in the log. Nothing of ours changes a piece or
// removes it. An event that is not in the log yet makes its piece wait for the next
// run; an event whose piece is not there is an attempt, and no finding.
//
// A shard's end is certain only once it is closed, which DynamoDB does within some
// hours: until then a piece may be found late, but none is passed over.
func (s Sequencer) compareData(ctx context.Context, head Head, r *Result) error {
	shards, err := s.Changes.Shards(ctx)
	if errors.Is(err, ErrNotFound) { // what nobody can look at is a finding, until somebody sees to it
		return s.unlogged(ctx, nil, 1, r)
	}
	if err != nil {
		return unavailable("the stream of owners' data cannot be read", err)
	}
	kept, err := s.Places.Places(ctx)
	if err != nil {
		return unavailable("how far the stream was read is not known", err)
	}
	places, gaps := map[string]Place{}, 0
	for _, shard := range shards {
		places[shard.Name] = kept[shard.Name]
	}
	now := s.Now()
	for name, place := range kept {
		if _, there := places[name]; !place.Ended && (!there || now.Sub(place.Seen) > unread) {
			gaps++
		}
	}
	for {
		before := maps.Clone(places)
		found, err := s.next(ctx, now, head.Taken, shards, places)
		if err != nil {
			return err
		}
		if err := s.unlogged(ctx, found, gaps, r); err != nil {
			return err
		}
		gaps = 0
		if !maps.Equal(places, kept) {
			if err := s.Places.Keep(ctx, places); err != nil {
				return unavailable("how far the stream was read cannot be kept", err)
			}
			kept = maps.Clone(places)
		}
		if maps.Equal(places, before) {
			return nil
		}
	}
}

// next reads and judges some changes of each shard, and moves its place to the
// last that was judged. It returns what no event tells of.
func (s Sequencer) next(ctx context.Context, now, taken time.Time, shards []Shard, places map[string]Place) (found []Change, err error) {
	limit := max(some, portion/max(len(shards), 1))
	read, ended := map[string][]Change{}, map[string]bool{}
	var oldest time.Time
	for _, shard := range shards {
		if places[shard.Name].Ended {
			continue
		}
		changes, all, err := s.Changes.Since(ctx, shard, places[shard.Name].After, limit)
		if errors.Is(err, ErrNotFound) { // where that took nothing away unread, Seen says so
			changes, all, err = s.Changes.Since(ctx, shard, "", limit)
		}
		if errors.Is(err, ErrNotFound) { // it is gone, and not in the next list
			continue
		}
		if err != nil {
			return nil, unavailable("the stream of owners' data cannot be read", err)
		}
		read[shard.Name], ended[shard.Name] = changes, all
		if len(changes) > 0 && (oldest.IsZero() || changes[0].Time.Before(oldest)) {
			oldest = changes[0].Time
		}
	}
	until := oldest.Add(Window) // else a run after days would have all their events in memory
	if until.After(now) {
		until = now
	}
	judge, err := s.judge(ctx, read, oldest, until, taken)
	if err != nil {
		return nil, err
	}
	for name, changes := range read {
		place := Place{places[name].After, now.UTC().Truncate(time.Second), ended[name]}
		for n, c := range changes {
			verdict := waits
			if !c.Time.After(until) {
				verdict = judge(c)
			}
			if verdict == unlogged {
				found = append(found, c)
			}
			if verdict != waits {
				place.After = c.Position
			}
			if verdict == waits || n+1 == limit {
				place.Seen, place.Ended = c.Time.UTC().Truncate(time.Second), place.Ended && verdict != waits
				break
			}
		}
		if place.Ended {
			place = Place{Ended: true}
		}
		places[name] = place
	}
	return found, nil
}

type verdict int

const (
	logged verdict = iota
	unlogged
	waits
)

// judge reads the events of a time, and says of a change of that time what became
// of it. Events come before what they allow and are read after it, so one that is
// not there never was, or was taken away.
func (s Sequencer) judge(ctx context.Context, read map[string][]Change, oldest, until, taken time.Time) (func(Change) verdict, error) {
	owners := map[string]bool{}
	for _, changes := range read {
		for _, c := range changes {
			if c.Stored && !c.Time.After(until) {
				owners[c.Owner] = true
			}
		}
	}
	claims, manifests := map[string][]claim{}, []string(nil)
	for begin, end := oldest.Add(-Late), until.Add(ahead); len(owners) > 0 && begin.Before(end); begin = begin.Add(slice) {
		upTo := begin.Add(slice)
		if upTo.After(end) {
			upTo = end
		}
		for e, err := range s.Events.Between(ctx, begin, upTo) {
			if err != nil {
				return nil, unavailable("stored events cannot be read", err)
			}
			manifest := e.Event.Manifest
			if e.Strange || e.Event.Outcome != auditlog.Allowed || manifest == "" || !owners[e.Event.Owner] {
				continue
			}
			if claims[manifest] == nil {
				manifests = append(manifests, manifest)
			}
			claims[manifest] = append(claims[manifest], claim{e.Event.Owner, e.Event.Time, s.stands(e)})
		}
	}
	byItem := map[[2]string][]claim{} // owner and item
	if len(manifests) > 0 {
		items, err := s.Manifests.Items(ctx, manifests)
		if err != nil {
			return nil, unavailable("manifests cannot be read", err)
		}
		for manifest, names := range items {
			for _, c := range claims[manifest] {
				for _, name := range names {
					byItem[[2]string{c.owner, name}] = append(byItem[[2]string{c.owner, name}], c)
				}
			}
		}
	}
	return func(c Change) verdict {
		if !c.Stored {
			return unlogged
		}
		v := unlogged
		for _, claim := range byItem[[2]string{c.Owner, c.Item}] {
			switch {
			case claim.at.Before(c.Time.Add(-Late)) || claim.at.After(c.Time.Add(ahead)):
			case claim.taken:
				return logged
			case !c.Time.Add(Late).Before(taken): // else the log has gone past it, and it stands for nothing
				v = waits
			}
		}
		return v
	}, nil
}

// ours is how owners and their pieces are named (access.UserID, intake.BlockItem,
// intake.RecordItem). Whoever writes the table names others as he likes, and what
// he likes does not get into the log.
var ours = regexp.MustCompile(`^[a-z2-7]{26}/(?:\d{4}-\d\d-\d\d|recording)#[a-z2-7]{26}$`)

// unlogged counts findings and tells of them, of the first also whose they are and
// which: by a number nobody would find them.
func (s Sequencer) unlogged(ctx context.Context, found []Change, more int, r *Result) error {
	r.Unlogged += int64(len(found) + more)
	for i, c := range found {
		if i >= named || !ours.MatchString(c.Owner+"/"+c.Item) {
			more++
			continue
		}
		if err := s.raise(ctx, auditlog.Event{Kind: DataUnlogged, Owner: c.Owner, About: c.Item, Records: 1}); err != nil {
			return err
		}
	}
	if more == 0 {
		return nil
	}
	return s.alarm(ctx, DataUnlogged, more, nil)
}
