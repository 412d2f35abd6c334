// Package sequence puts stored audit events into the log, each exactly once.
//
// The order of effects is all there is to it. A run (1) finishes what the head
// says was begun, (2) reads which events are not marked as taken, (3) stages all
// that their leaves make, (4) moves the head by compare-and-swap, (5) publishes
// what was staged, marks the events, and only then (6) signs the head's tree.
//
// Why no event is lost or doubled: the head moves only from the head that a run
// began with, and a run begins by marking all events of that head. So an event
// that is found unmarked is in no tree of a head before, and of two runs that
// found it one moves the head and the other's work is dropped. Why no fork is
// signed: only the tree of a head is signed, and heads follow one another.
// Whatever is cut off, after (4) the staged object lets any other run finish.
package sequence

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"fitvault/shared/auditlog"
	"fitvault/shared/auditlog/record"
	"fitvault/shared/auditlog/tiles"
	"fitvault/shared/fault"
)

const (
	// Late is how long after its time an event may be stored: its writer's clock, its
	// retries and its own time limit are in it. What is later the reconciler finds.
	Late = 15 * time.Minute

	// slice is how much time is looked at at once; of times with few events, up to wide.
	slice = 10 * time.Minute
	wide  = 12 * time.Hour
	few   = 1000

	// batch is how many leaves one move of the head adds: some megabytes of objects.
	batch = 4096

	// most is how many waiting events a run holds at once. A time may have more than
	// memory has: what is over is taken after those.
	most = 2 * batch
)

// Kinds of alarms that the log raises.
const (
	EventAltered = "audit-event-altered" // not as its mark says, or no event at all; it is a leaf of its own
	EventMissing = "audit-event-missing" // in the log, and no longer in the table, or its mark was taken away
	LogAltered   = "audit-log-altered"   // head, checkpoint and objects do not fit together
)

// ErrMoved is returned by Heads where another sequencer was first.
var ErrMoved = errors.New("the head has moved")

// ErrNotFound is returned by Objects, Subjects and Changes.
var ErrNotFound = errors.New("no such object")

// ErrAltered stops a run: head, checkpoint and stored objects contradict each
// other, so somebody has altered one of them, or restored an old head. Nothing is
// signed until a person has looked.
var ErrAltered = fault.New(fault.Internal, "head, checkpoint and objects of the audit log contradict each other")

// Head is the one truth about the log.
type Head struct {
	Tree      tlog.Tree
	Taken     time.Time // events of before this have been looked for, but for late ones
	Published int64     // the size that is published and signed
}

// Heads keeps the head. Head is strongly consistent; Move replaces exactly old,
// or returns ErrMoved; a head that does not exist is the zero Head, and Move from
// it creates one. Errors of either may come after the effect.
type Heads interface {
	Head(context.Context) (Head, error)
	Move(ctx context.Context, old, next Head) error
}

// Objects is the log's bucket. Put stores once: an object that is there stays as
// it is, and that is no error. Lock is Put with a retention. Swap replaces the one
// object that changes, the checkpoint: only old by next, else ErrMoved; old is
// what Get returned, nil where there was none.
type Objects interface {
	Get(ctx context.Context, path string) ([]byte, error)
	Put(ctx context.Context, path string, content []byte) error
	Lock(ctx context.Context, path string, content []byte) error
	Swap(ctx context.Context, path string, old, next []byte) error
}

// Key names a stored event.
type Key struct {
	Shard string `json:"shard"`
	ID    string `json:"id"`
}

// Stored is an event as the table has it.
type Stored struct {
	Key
	Event   auditlog.Event
	Strange bool  // no event that this service writes: Event is an alarm under its id
	Mark    *Mark // nil: not taken yet
}

// Mark says that an event stands in the log.
type Mark struct {
	Key
	Index int64  `json:"index"`
	Mac   []byte `json:"mac"` // record.ServiceKey.Vouch
}

// Events is the table of stored events. Between is strongly consistent, of ids
// whose time is from ≤ t < to, in no order; an item that is no event, or that record.Fits
// not, comes as Strange. It ends after an error. Mark is idempotent, and marks no event
// that is gone; of an item that has no room for it nothing but the mark is kept.
type Events interface {
	Between(ctx context.Context, from, to time.Time) iter.Seq2[Stored, error]
	Mark(ctx context.Context, marks []Mark) error
}

// Subjects keeps pseudonyms and wrapped keys of those whom events concern.
// Subject returns the one stored under a name, or stores what fresh makes: of two
// at once one is stored, and both get that. Key finds it again by the pseudonym,
// with the name; ErrNotFound of one that has been erased. Index notes that leaves concern a
// subject; it is idempotent, and does nothing for one that has been erased.
type Subjects interface {
	Subject(ctx context.Context, name string, fresh func() (record.Pseudonym, []byte, error)) (record.Pseudonym, []byte, error)
	Key(ctx context.Context, p record.Pseudonym) (name string, wrapped []byte, err error)
	Index(ctx context.Context, leaves map[record.Pseudonym][]int64) error
}

// Sequencer is one run's means. Signer signs with the log's key. From Changes to
// Users all is for Reconcile.
type Sequencer struct {
	Heads      Heads
	Objects    Objects
	Events     Events
	Subjects   Subjects
	Alarms     auditlog.Writer
	Changes    Changes
	Manifests  Manifests
	Places     Places
	Uses       Uses
	Owners     Owners
	Compared   Compared
	Users      map[string]User // by the ARN of a role, which is its function's alone
	Key        record.ServiceKey
	Origin     string
	Deployment string
	Signer     note.Signer
	Verifier   note.Verifier
	Now        func() time.Time
	Rand       io.Reader
}

// Result is what a run did, in numbers.
type Result struct {
	Size, Added, Altered, Missing int64
	Unlogged                      int64         // changes of owners' data that no event tells of
	Uses                          int64         // of the owners' key that were compared
	UsedByOther, UsedUnlogged     int64         // of them, those that should not have been
	Refused                       int64         // of them, those that KMS refused
	Unseen                        time.Duration // of which uses there may be that nobody looked at, or will
	UsesBehind                    time.Duration // of which uses there are that the next runs will look at
	Behind                        time.Duration // 0: caught up
}

// Run takes what waits, until it is caught up or until says stop. It returns
// ErrMoved where another run is at work; that is no failure.
func (s Sequencer) Run(ctx context.Context, until time.Time) (r Result, err error) {
	head, err := s.begin(ctx)
	if err != nil {
		return r, err
	}
	for span := slice; ; {
		now := s.moment()
		end := head.Taken.Add(span)
		if end.After(now) {
			end = now
		}
		f, err := s.look(ctx, head.Taken.Add(-Late), end, most, func(int64) {})
		if err != nil {
			return r, err
		}
		if f.more {
			end = head.Taken // not all of it is taken: it is looked at again
		}
		if head, err = s.take(ctx, head, end, f, &r); err != nil {
			return r, err
		}
		if span = min(2*span, wide); f.looked > few {
			span = slice
		}
		r.Size, r.Behind = head.Tree.N, now.Sub(end)
		if r.Behind <= 0 && !f.more || !s.Now().Before(until) {
			return r, s.hourly(ctx, head)
		}
	}
}

// moment is now, as exactly as a head keeps it.
func (s Sequencer) moment() time.Time { return s.Now().UTC().Truncate(time.Millisecond) }

// begin reads the head, finishes what it says was begun, and holds it to what is
// published. A log without head and checkpoint begins.
func (s Sequencer) begin(ctx context.Context) (Head, error) {
	head, err := s.Heads.Head(ctx)
	if err != nil {
		return Head{}, unavailable("head cannot be read", err)
	}
	if head.Taken.IsZero() {
		if _, err := s.Objects.Get(ctx, tiles.CheckpointPath); !errors.Is(err, ErrNotFound) {
			if err == nil {
				err = s.alarm(ctx, LogAltered, 1, ErrAltered)
			}
			return Head{}, err
		}
		first := Head{Tree: tiles.Empty(), Taken: s.moment().Add(-Beginning), Published: -1}
		if err := s.Heads.Move(ctx, Head{}, first); err != nil {
			return Head{}, moved(err)
		}
		head = first
	}
	return s.finish(ctx, head)
}

// Beginning is how old events may be that a new log takes in: those that were
// stored before there was a log stay where they are.
const Beginning = 24 * time.Hour

// staged is all that a move of the head makes, in one object.
type staged struct {
	Objects map[string][]byte  `json:"objects"`
	Marks   []Mark             `json:"marks"`
	Index   map[string][]int64 `json:"leaves"` // by the text of the pseudonym
}

func stagingPath(t tlog.Tree) string {
	return fmt.Sprintf("%s%020d-%x", tiles.StagingPrefix, t.N, t.Hash[:])
}

// finish publishes a head's tree, as far as that is still to be done.
func (s Sequencer) finish(ctx context.Context, head Head) (Head, error) {
	if head.Published == head.Tree.N {
		return head, s.fits(ctx, head)
	}
	if head.Tree.N > 0 {
		b, err := s.Objects.Get(ctx, stagingPath(head.Tree))
		if errors.Is(err, ErrNotFound) {
			return Head{}, s.alarm(ctx, LogAltered, 1, ErrAltered)
		}
		if err != nil {
			return Head{}, unavailable("staged objects cannot be read", err)
		}
		var st staged
		if json.Unmarshal(b, &st) != nil {
			return Head{}, s.alarm(ctx, LogAltered, 1, ErrAltered)
		}
		if err := s.publish(ctx, st); err != nil {
			return Head{}, err
		}
	}
	if err := s.sign(ctx, head); err != nil {
		return Head{}, err
	}
	done := head
	done.Published = head.Tree.N
	if err := s.Heads.Move(ctx, head, done); err != nil {
		return Head{}, moved(err)
	}
	return done, nil
}

// fits holds a published head to the checkpoint: a head that was restored from a
// copy would be behind it, and what was built on it a fork.
func (s Sequencer) fits(ctx context.Context, head Head) error {
	signed, err := s.Objects.Get(ctx, tiles.CheckpointPath)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return unavailable("checkpoint cannot be read", err)
	}
	c, opened := tiles.OpenCheckpoint(signed, s.Verifier)
	if err != nil || opened != nil || c.Size != head.Tree.N || c.Root != head.Tree.Hash {
		return s.contradicted(ctx, head)
	}
	return nil
}

// contradicted is ErrMoved where another run has gone on from a head, and else an
// alarm: a head that stands cannot be behind what was signed.
func (s Sequencer) contradicted(ctx context.Context, head Head) error {
	now, err := s.Heads.Head(ctx)
	if err != nil {
		return unavailable("head cannot be read", err)
	}
	if !now.same(head) {
		return ErrMoved
	}
	return s.alarm(ctx, LogAltered, 1, ErrAltered)
}

func (h Head) same(o Head) bool {
	return h.Tree == o.Tree && h.Published == o.Published && h.Taken.Equal(o.Taken)
}

// found is what a look at stored events found.
type found struct {
	waiting []Stored // to be taken, in the order of their ids
	altered int64    // of all that wait: no events, or their mark does not stand for them
	looked  int
	more    bool // more wait than were held
}

// stands reports whether an event is in the log as it is stored: its mark says so, and is ours.
func (s Sequencer) stands(e Stored) bool {
	return e.Mark != nil && hmac.Equal(e.Mark.Mac, s.Key.Vouch(e.Mark.Index, record.Canonical(e.Event)))
}

// look goes through the stored events of a time, and holds those that are to be taken, at
// most keep of them: those without a mark, and those whose mark does not stand for them.
// The latter were altered, or somebody wanted them passed over. taken is told the index
// of each other.
func (s Sequencer) look(ctx context.Context, from, to time.Time, keep int, taken func(index int64)) (f found, err error) {
	for e, err := range s.Events.Between(ctx, from, to) {
		if err != nil {
			return f, unavailable("stored events cannot be read", err)
		}
		f.looked++
		if s.stands(e) {
			taken(e.Mark.Index)
			continue
		}
		if len(f.waiting) == keep {
			if f.more = true; keep > 0 {
				break
			}
			continue
		}
		if e.Strange || e.Mark != nil {
			f.altered++
		}
		f.waiting = append(f.waiting, e)
	}
	slices.SortFunc(f.waiting, func(a, b Stored) int { return strings.Compare(a.ID, b.ID) })
	return f, nil
}

// take adds what waits to the log, and moves the time up to which was looked.
func (s Sequencer) take(ctx context.Context, head Head, end time.Time, f found, r *Result) (Head, error) {
	if f.altered > 0 {
		r.Altered += f.altered
		if err := s.alarm(ctx, EventAltered, int(f.altered), nil); err != nil {
			return Head{}, err
		}
	}
	for some := range slices.Chunk(f.waiting, batch) {
		next, err := s.grow(ctx, head, some)
		if err != nil {
			return Head{}, err
		}
		r.Added += int64(len(some))
		head = next
	}
	if end.After(head.Taken) {
		next := head
		next.Taken = end
		if err := s.Heads.Move(ctx, head, next); err != nil {
			return Head{}, moved(err)
		}
		head = next
	}
	return head, nil
}

// grow adds events to the log: stages, moves the head, publishes.
func (s Sequencer) grow(ctx context.Context, head Head, events []Stored) (Head, error) {
	subjects := map[string]record.Subject{}
	st := staged{Objects: map[string][]byte{}, Index: map[string][]int64{}}
	var leaves []tiles.Leaf
	for i, e := range events {
		for _, name := range record.People(e.Event) {
			if _, known := subjects[name]; known {
				continue
			}
			subject, err := s.subject(ctx, name)
			if err != nil {
				return Head{}, err
			}
			subjects[name] = subject
		}
		sealed, err := record.Seal(e.Event, subjects, s.Rand)
		if err != nil {
			return Head{}, err
		}
		index := head.Tree.N + int64(i)
		leaves = append(leaves, tiles.Leaf{Commitment: sealed.Commitment, Event: sealed.Record})
		st.Marks = append(st.Marks, Mark{e.Key, index, s.Key.Vouch(index, record.Canonical(e.Event))})
		if e.Event.Owner != "" {
			p := subjects[e.Event.Owner].Pseudonym.String()
			st.Index[p] = append(st.Index[p], index)
		}
	}
	grown, err := tiles.Append(head.Tree, func(path string) ([]byte, error) { return s.Objects.Get(ctx, path) }, leaves)
	if err != nil {
		return Head{}, s.unread(ctx, err)
	}
	for o, content := range grown.Objects {
		st.Objects[o.Path()] = content
	}
	b, err := json.Marshal(st)
	if err != nil {
		return Head{}, fault.Wrap(fault.Internal, "staged objects cannot be written", err)
	}
	if err := s.Objects.Put(ctx, stagingPath(grown.Tree), b); err != nil {
		return Head{}, unavailable("objects cannot be staged", err)
	}
	next := head
	next.Tree = grown.Tree
	if err := s.Heads.Move(ctx, head, next); err != nil {
		return Head{}, moved(err)
	}
	return s.finish(ctx, next)
}

// unread is an alarm where objects of the log are not those of its tree, or not there.
func (s Sequencer) unread(ctx context.Context, err error) error {
	if errors.Is(err, tiles.ErrAltered) || errors.Is(err, ErrNotFound) {
		return s.alarm(ctx, LogAltered, 1, ErrAltered)
	}
	return unavailable("objects of the log cannot be read", err)
}

func (s Sequencer) subject(ctx context.Context, name string) (record.Subject, error) {
	p, wrapped, err := s.Subjects.Subject(ctx, name, func() (record.Pseudonym, []byte, error) {
		fresh, wrapped, err := s.Key.NewSubject(name, s.Rand)
		return fresh.Pseudonym, wrapped, err
	})
	if err != nil {
		return record.Subject{}, unavailable("a subject's key cannot be read", err)
	}
	subject, err := s.Key.Subject(name, p, wrapped)
	if err != nil {
		return record.Subject{}, s.alarm(ctx, auditlog.KeyAltered, 1, fault.Wrap(fault.Internal, "a subject's key was altered", err))
	}
	return subject, nil
}

// publish stores what was staged, and marks the events. Each step may be done
// already, by this run or another. A full object will never change: it is locked.
func (s Sequencer) publish(ctx context.Context, st staged) error {
	for path, content := range st.Objects {
		o, ok := tiles.ParsePath(path)
		if !ok {
			return s.alarm(ctx, LogAltered, 1, ErrAltered)
		}
		put := s.Objects.Put
		if o.Full() && o.Kind != tiles.Events {
			put = s.Objects.Lock
		}
		if err := put(ctx, path, content); err != nil {
			return unavailable("an object cannot be stored", err)
		}
	}
	index := map[record.Pseudonym][]int64{}
	for text, leaves := range st.Index {
		p, err := record.ParsePseudonym(text)
		if err != nil {
			return s.alarm(ctx, LogAltered, 1, ErrAltered)
		}
		index[p] = leaves
	}
	if err := s.Subjects.Index(ctx, index); err != nil {
		return unavailable("leaves cannot be noted", err)
	}
	if err := s.Events.Mark(ctx, st.Marks); err != nil {
		return unavailable("events cannot be marked", err)
	}
	return nil
}

// sign publishes the head's checkpoint, unless a newer one is there: whoever
// saw that must never see an older one.
func (s Sequencer) sign(ctx context.Context, head Head) error {
	old, err := s.Objects.Get(ctx, tiles.CheckpointPath)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return unavailable("checkpoint cannot be read", err)
	}
	if err == nil {
		c, err := tiles.OpenCheckpoint(old, s.Verifier)
		if err != nil || c.Size == head.Tree.N && c.Root != head.Tree.Hash {
			return s.alarm(ctx, LogAltered, 1, ErrAltered)
		}
		if c.Size > head.Tree.N {
			return s.contradicted(ctx, head)
		}
		if c.Size == head.Tree.N {
			return nil
		}
	}
	signed, err := tiles.Checkpoint{Origin: s.Origin, Size: head.Tree.N, Root: head.Tree.Hash}.Sign(s.Signer)
	if err != nil {
		return unavailable("checkpoint cannot be signed", err)
	}
	if err := s.Objects.Swap(ctx, tiles.CheckpointPath, old, signed); err != nil {
		return moved(err)
	}
	return nil
}

// hourly keeps the first checkpoint of each hour for as long as the lock lasts.
func (s Sequencer) hourly(ctx context.Context, head Head) error {
	signed, err := s.Objects.Get(ctx, tiles.CheckpointPath)
	if err == nil {
		err = s.Objects.Lock(ctx, HourlyPath(s.Now()), signed)
	}
	if err != nil {
		return unavailable("checkpoint of the hour cannot be stored", err)
	}
	return nil
}

// HourlyPath is the name of an hour's checkpoint.
func HourlyPath(at time.Time) string { return tiles.HourlyPrefix + at.UTC().Format("2006-01-02T15") }

// alarm writes an alarm of a kind, and returns err, or that it could not be
// written.
func (s Sequencer) alarm(ctx context.Context, kind string, count int, err error) error {
	if failed := s.raise(ctx, auditlog.Event{Kind: kind, Records: count}); failed != nil {
		return errors.Join(failed, err)
	}
	return err
}

// raise writes an alarm.
func (s Sequencer) raise(ctx context.Context, e auditlog.Event) (err error) {
	e.Time, e.Function, e.Action, e.Outcome = s.Now(), "sequencer", "audit.write", auditlog.Alarm
	if e.ID, err = auditlog.NewID(e.Time, s.Rand); err == nil {
		err = s.Alarms.Write(ctx, e)
	}
	if err != nil {
		return unavailable("alarm cannot be written", err)
	}
	return nil
}

func unavailable(text string, err error) error { return fault.Wrap(fault.Unavailable, text, err) }

// moved passes ErrMoved on, and makes a fault of all else.
func moved(err error) error {
	if errors.Is(err, ErrMoved) {
		return ErrMoved
	}
	return unavailable("head or checkpoint cannot be moved", err)
}
