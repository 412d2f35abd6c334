package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/block"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/fault"
	"fitvault/shared/intake"
	"fitvault/shared/keyring"
	"fitvault/shared/keyring/keyringtest"
	"fitvault/shared/stream"
)

// TestDays: what comes in is counted on its civil days, whoever the owner.
func TestDays(t *testing.T) {
	w := newWorld(t)
	w.send(t, w.Ada, point("a", "2026-05-04T10:00:00Z", "60"), point("b", "2026-05-04T11:00:00Z", "71.5"),
		point("c", "2026-05-04T23:30:00-12:00", "50"), // the 5th in UTC
		point("d", "2026-05-05T01:30:00+14:00", "52")) // the 4th in UTC
	w.send(t, w.Ben, point("a", "2026-05-04T10:00:00Z", "90"))
	require.Empty(t, w.deliver(t, w.records(w.Ada, w.Ben)...))
	require.Equal(t, rates("2026-05-04", 3, "50", "71.5", "60.5", "181.5")+"\n"+rates("2026-05-05", 1, "52", "52", "52", "52"), w.days(t, w.Ada))
	require.Equal(t, rates("2026-05-04", 1, "90", "90", "90", "90"), w.days(t, w.Ben))

	events := w.Audit.Events()
	require.Len(t, events, 2, "one for each owner of the batch")
	for _, e := range events {
		require.Equal(t, [4]string{"project", "days.project", "", requestID}, [4]string{e.Function, e.Action, e.Caller, e.Request})
		require.Equal(t, auditlog.Allowed, e.Outcome)
		require.Equal(t, map[string]int{w.Ada.String(): 2, w.Ben.String(): 1}[e.Owner], e.Records)
	}
	var line map[string]any
	require.NoError(t, json.Unmarshal(w.log.Bytes(), &line), "one record")
	require.Equal(t, "batch", line["msg"])
	require.EqualValues(t, 3, line["parts"])
	require.EqualValues(t, 2, line["owners"])
	for _, secret := range []string{w.Ada.String(), w.owner(w.Ada).Pseudonym, "71.5", "2026-05-04#"} {
		require.NotContains(t, w.log.String(), secret)
	}
}

// TestOneRecordCountsOnce: corrections and copies, of one client and of several.
func TestOneRecordCountsOnce(t *testing.T) {
	w := newWorld(t)
	const at = "2026-05-04T10:00:00Z"
	w.send(t, w.Ada, point("a", at, "60"), pointOf("b", at, "80", "1.1"))
	w.Time = w.Time.Add(time.Minute)
	w.send(t, w.Ada, point("a", at, "61"), pointOf("b", at, "81", "1.0")) // later; of a lower version
	w.sendBy(t, w.Ada, "partner", block.RankApp, point("a", at, "200"), point("c", at, "100"))
	require.Empty(t, w.deliver(t, w.records(w.Ada)...))
	require.Equal(t, rates("2026-05-04", 3, "61", "100", "80.333333", "241"), w.days(t, w.Ada))
}

func TestRecordings(t *testing.T) {
	w := newWorld(t)
	e, err := w.intake.Recording(t.Context(), w.request(w.Ada, edgetest.Client, block.RankOwner, run("2026-05-04T05:25:00Z", "2026-05-04T05:26:00Z")))
	require.NoError(t, err)
	w.send(t, w.Ada, point("a", "2026-05-04T10:00:00Z", "60"))
	require.Empty(t, w.deliver(t, w.records(w.Ada)...))
	trackpoints := `{"day":"2026-05-04","type":"fitvault:trackpoint","count":2}`
	require.Equal(t, trackpoints+"\n"+rates("2026-05-04", 1, "60", "60", "60", "60"), w.days(t, w.Ada))

	t.Run("each trackpoint on the day of its own offset", func(t *testing.T) {
		w := newWorld(t)
		_, err := w.intake.Recording(t.Context(), w.request(w.Ada, edgetest.Client, block.RankOwner, run("2026-05-04T23:59:00-02:00", "2026-05-05T00:01:00-02:00")))
		require.NoError(t, err)
		require.Empty(t, w.deliver(t, w.records(w.Ada)...))
		require.Equal(t, `{"day":"2026-05-04","type":"fitvault:trackpoint","count":1}`+"\n"+`{"day":"2026-05-05","type":"fitvault:trackpoint","count":1}`, w.days(t, w.Ada))
	})
	t.Run("one that vanishes counts nothing", func(t *testing.T) {
		w.blocks.Put(w.Ada.String(), intake.RecordItem(e.ID), nil)
		require.Empty(t, w.deliver(t, record(1, w.Ada.String(), intake.RecordItem(e.ID)), record(2, w.Ben.String(), "recording#none")))
		require.Equal(t, rates("2026-05-04", 1, "60", "60", "60", "60"), w.days(t, w.Ada))
		parts, err := w.parts.Between(t.Context(), w.owner(w.Ben).Pseudonym, "0001-01-01", "9999-12-31")
		require.NoError(t, err)
		require.Empty(t, parts, "what never was needs no row")
	})
}

// TestNothingToDo: owners without an account, with a closing one, or without a
// pseudonym hold nobody up.
func TestNothingToDo(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"gone":     func(w *world) { w.Accounts.Delete(access.OwnerKey(w.Ada)) },
		"closing":  func(w *world) { w.change(w.Ada, func(o *access.Owner) { o.State = "closing" }) },
		"nameless": func(w *world) { w.change(w.Ada, func(o *access.Owner) { o.Pseudonym = "" }) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.send(t, w.Ada, point("a", "2026-05-04T10:00:00Z", "60"))
			w.send(t, w.Ben, point("a", "2026-05-04T10:00:00Z", "60"))
			records := w.records(w.Ada, w.Ben)
			change(w)
			require.Empty(t, w.deliver(t, records...))
			require.NotEmpty(t, w.days(t, w.Ben))
			require.Len(t, w.Audit.Events(), 1)
			require.Equal(t, name == "nameless", strings.Contains(w.log.String(), `"nameless":1`))
			require.Empty(t, w.failures.ids())
		})
	}
	t.Run("withdrawn consent: what was collected before is counted", func(t *testing.T) {
		w := newWorld(t)
		w.send(t, w.Ada, point("a", "2026-05-04T10:00:00Z", "60"))
		w.change(w.Ada, func(o *access.Owner) {
			o.Consents = map[access.Purpose]access.Consent{access.Collection: {Version: "1", Given: false}}
		})
		require.Empty(t, w.deliver(t, w.records(w.Ada)...))
		require.NotEmpty(t, w.days(t, w.Ada))
	})
}

// TestWhatIsDown: everything is tried again, nothing is set aside, and all is
// right afterwards.
func TestWhatIsDown(t *testing.T) {
	failing := func(calls ...string) keyringtest.Hook {
		return func(call string) error {
			for _, c := range calls {
				if c == call {
					return keyringtest.ErrDown
				}
			}
			return nil
		}
	}
	for name, fail := range map[string]func(w *world) (mend func()){
		"accounts": func(w *world) func() {
			w.Accounts.Err = fault.New(fault.Unavailable, "down")
			return func() { w.Accounts.Err = nil }
		},
		"audit log": func(w *world) func() { w.Audit.Fail(errors.New("down")); return func() { w.Audit.Fail(nil) } },
		"KMS":       func(w *world) func() { w.keys.KMS.Hook = failing("unwrap"); return func() { w.keys.KMS.Hook = nil } },
		"keys table, for owners": func(w *world) func() {
			w.keys.Store.Hook = failing("owner key")
			return func() { w.keys.Store.Hook = nil }
		},
		"keys table, for the service": func(w *world) func() {
			w.keys.Store.Hook = failing("service key")
			return func() { w.keys.Store.Hook = nil }
		},
		"blocks": func(w *world) func() {
			w.blocks.Hook = func(call string, _ bool) error { return failing("query", "get")(call) }
			return func() { w.blocks.Hook = nil }
		},
		"blocks, in the middle": func(w *world) func() {
			w.blocks.Hook = func(call string, _ bool) error { return failing("piece", "get")(call) }
			return func() { w.blocks.Hook = nil }
		},
		"database":            databaseDown("Version"),
		"database, for parts": databaseDown("Put"),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.send(t, w.Ada, point("a", "2026-05-04T10:00:00Z", "60"))
			_, err := w.intake.Recording(t.Context(), w.request(w.Ben, edgetest.Client, block.RankOwner, run("2026-05-04T05:25:00Z", "2026-05-04T05:26:00Z")))
			require.NoError(t, err)
			mend := fail(w)
			records := w.records(w.Ada, w.Ben)
			require.Equal(t, []string{"100", "101"}, w.deliver(t, records...))
			require.Contains(t, w.log.String(), `"msg":"not projected"`)
			require.NotContains(t, w.log.String(), "alarm")
			mend()
			require.Empty(t, w.deliver(t, records...))
			require.NotEmpty(t, w.days(t, w.Ada))
			require.NotEmpty(t, w.days(t, w.Ben))
			require.Empty(t, w.failures.ids())
		})
	}
}

// databaseDown lets a call of the database fail.
func databaseDown(failing string) func(w *world) func() {
	return func(w *world) func() {
		w.parts.Fail = func(call string) error {
			if call == failing {
				return fault.New(fault.Unavailable, "down")
			}
			return nil
		}
		return func() { w.parts.Fail = nil }
	}
}

// TestNoRandomness: without an audit event's id nothing is opened, and without
// an id of its own a failure is not set aside: it is tried again.
func TestNoRandomness(t *testing.T) {
	w := newWorld(t)
	w.send(t, w.Ada, point("a", "2026-05-04T10:00:00Z", "60"))
	w.projector.rand = iotest.ErrReader(errors.New("no entropy"))
	require.Equal(t, []string{"100"}, w.deliver(t, w.records(w.Ada)...))
	require.Empty(t, w.failures.ids())
	require.Empty(t, w.days(t, w.Ada))
}

// TestBrokenOwner: what was altered is an alarm, set aside, and holds nobody up,
// not even the same owner's other days.
func TestBrokenOwner(t *testing.T) {
	for name, breakIt := range map[string]func(t *testing.T, w *world){
		"a block that is none": func(_ *testing.T, w *world) { w.blocks.Put(w.Ada.String(), "2026-05-04#x", []byte("canary")) },
		"a block of another day": func(_ *testing.T, w *world) {
			w.blocks.Put(w.Ada.String(), "2026-05-04#x", w.blocks.Of(w.Ada.String())[1].Blob)
		},
		"a block of another owner": func(_ *testing.T, w *world) {
			p := w.blocks.Of(w.Ben.String())[0]
			w.blocks.Put(w.Ada.String(), p.Item, p.Blob)
		},
		"a plaintext that is no block": func(t *testing.T, w *world) { w.seal(t, "2026-05-04", "x", []byte("canary")) },
		"a block with a point that is none": func(t *testing.T, w *world) {
			w.seal(t, "2026-05-04", "x", blockOf(t, `{"header":{},"body":{}}`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.send(t, w.Ada, point("a", "2026-05-04T10:00:00Z", "60"), point("b", "2026-05-06T10:00:00Z", "60"))
			w.send(t, w.Ben, point("a", "2026-05-04T10:00:00Z", "60"))
			breakIt(t, w)
			require.Empty(t, w.deliver(t, w.records(w.Ada, w.Ben)...))
			require.Equal(t, rates("2026-05-06", 1, "60", "60", "60", "60"), w.days(t, w.Ada))
			require.NotEmpty(t, w.days(t, w.Ben))
			require.Equal(t, 1, w.alarms(w.Ada))
			require.Zero(t, w.alarms(w.Ben))
			require.Contains(t, w.log.String(), `"alarm":true`)
			require.NotContains(t, w.log.String(), "canary")
			aside := w.failures.ids()
			require.Len(t, aside, 1)
			require.Regexp(t, "^aside/[0-9a-f]{64}/[0-9a-v]{26}$", aside[0], "the name says nothing")

			require.NoError(t, w.replay(t), "it stays")
			require.Len(t, w.failures.ids(), 1)
			require.Equal(t, units(aside), units(w.failures.ids()))
			require.Equal(t, 2, w.alarms(w.Ada))

			w.blocks.Put(w.Ada.String(), "2026-05-04#x", nil)
			for _, p := range w.blocks.Of(w.Ben.String()) {
				w.blocks.Put(w.Ada.String(), p.Item, nil)
			}
			require.NoError(t, w.replay(t))
			require.Empty(t, w.failures.ids(), "it heals once what is stored is good")
			require.Equal(t, 2, strings.Count(w.days(t, w.Ada), "\n")+1)
		})
	}
}

// TestAlteredKeys: a public key that enrol did not sign gets nothing sealed.
func TestAlteredKeys(t *testing.T) {
	w := newWorld(t)
	w.send(t, w.Ada, point("a", "2026-05-04T10:00:00Z", "60"))
	good, err := w.keys.Store.OwnerKey(t.Context(), w.Ada.String(), "key-of-ada")
	require.NoError(t, err)
	foreign, err := w.keys.Store.OwnerKey(t.Context(), w.Ben.String(), "key-of-ben")
	require.NoError(t, err)
	slipped := good
	slipped.Statement.Public = foreign.Statement.Public
	for name, k := range map[string]keyring.Enrolled{"not signed": slipped, "another's": foreign} {
		w.keys.Store.SetOwnerKey(w.Ada.String(), "key-of-ada", k)
		before := w.alarms(w.Ada)
		require.Empty(t, w.deliver(t, w.records(w.Ada)...), name)
		require.Equal(t, before+1, w.alarms(w.Ada), name)
		require.Equal(t, auditlog.KeyAltered, w.Audit.Events()[len(w.Audit.Events())-1].Kind)
		require.Empty(t, w.days(t, w.Ada))
		require.Len(t, units(w.failures.ids()), 1)
	}
	w.keys.Store.SetOwnerKey(w.Ada.String(), "key-of-ada", good)
	require.NoError(t, w.replay(t))
	require.NotEmpty(t, w.days(t, w.Ada))
	require.Empty(t, w.failures.ids())
}

// TestAnAlarmThatCannotBeWritten: then nothing has happened yet, and it is tried again.
func TestAnAlarmThatCannotBeWritten(t *testing.T) {
	w := newWorld(t)
	w.blocks.Put(w.Ada.String(), "2026-05-04#x", []byte("canary"))
	w.blocks.Hook = func(call string, _ bool) error {
		if call == "query" {
			w.Audit.Fail(errors.New("down"))
		}
		return nil
	}
	require.Equal(t, []string{"100"}, w.deliver(t, w.records(w.Ada)...))
	require.Empty(t, w.failures.ids())
}

// TestABucketThatIsDown: what cannot be set aside is tried again.
func TestABucketThatIsDown(t *testing.T) {
	w := newWorld(t)
	w.blocks.Put(w.Ada.String(), "2026-05-04#x", []byte("canary"))
	w.failures.fail = func(string) error { return errors.New("canary") }
	require.Equal(t, []string{"100"}, w.deliver(t, w.records(w.Ada)...))
	require.NotContains(t, w.log.String(), "canary")
}

func TestStrangeEvents(t *testing.T) {
	w := newWorld(t)
	_, err := w.projector.handle(t.Context(), json.RawMessage(`{"Records":[]}`))
	require.Equal(t, fault.Internal, fault.KindOf(err))
	require.Contains(t, w.log.String(), `"alarm":true`)
	w.send(t, w.Ada, point("a", "2026-05-04T10:00:00Z", "60"))
	w.log.Reset()
	require.Empty(t, w.deliver(t, append(w.records(w.Ada), record(1, "canary", "2026-05-04#a"), record(2, w.Ada.String(), "tombstone#canary"))...))
	require.NotEmpty(t, w.days(t, w.Ada))
	require.Contains(t, w.log.String(), `"strange":2`)
	require.Contains(t, w.log.String(), `"alarm":true`)
	require.NotContains(t, w.log.String(), "canary")
}

// TestPanic: a part that panics is set aside; the others are done.
func TestPanic(t *testing.T) {
	w := newWorld(t)
	w.send(t, w.Ada, point("a", "2026-05-04T10:00:00Z", "60"), point("b", "2026-05-05T10:00:00Z", "60"))
	w.projector.parts = panicking{&w.parts}
	require.Empty(t, w.deliver(t, w.records(w.Ada)...))
	require.Len(t, w.failures.ids(), 1)
	require.Equal(t, rates("2026-05-05", 1, "60", "60", "60", "60"), w.days(t, w.Ada))
	require.Contains(t, w.log.String(), "panic of string")
	require.NotContains(t, w.log.String(), "canary")
}

// panicking panics for one day.
type panicking struct{ parts }

func (p panicking) Version(ctx context.Context, pseudonym, part string) (int64, error) {
	if part == "2026-05-04" {
		panic("canary")
	}
	return p.parts.Version(ctx, pseudonym, part)
}

// TestDaysThatTakeMemory: what a day will cost is known before it is opened. More
// than there may be is set aside, and the owner's other days and other owners' go
// on; heavy days are opened one at a time, whoever's they are.
func TestDaysThatTakeMemory(t *testing.T) {
	t.Run("too many bytes", func(t *testing.T) {
		defer func(was int) { maxDayBytes = was }(maxDayBytes)
		w := newWorld(t)
		w.send(t, w.Ada, point("a", "2026-05-04T10:00:00Z", "60"))
		w.send(t, w.Ada, point("b", "2026-05-04T11:00:00Z", "60"))
		w.send(t, w.Ada, point("c", "2026-05-05T10:00:00Z", "60"))
		w.send(t, w.Ben, point("a", "2026-05-04T10:00:00Z", "60"))
		maxDayBytes = 2*len(w.blocks.Of(w.Ada.String())[0].Blob) - 10
		unwrapped := 0
		w.keys.KMS.Hook = func(call string) error {
			if call == "unwrap" {
				unwrapped++
			}
			return nil
		}
		require.Empty(t, w.deliver(t, record(1, w.Ada.String(), "2026-05-04#a")))
		require.Equal(t, 1, unwrapped, "only what sealing needs: nothing was opened")
		require.Len(t, w.failures.ids(), 1)
		require.Contains(t, w.log.String(), `"alarm":true`)
		require.Contains(t, w.log.String(), "more than can be counted")
		require.Empty(t, w.deliver(t, w.records(w.Ada, w.Ben)...))
		require.Equal(t, rates("2026-05-05", 1, "60", "60", "60", "60"), w.days(t, w.Ada))
		require.NotEmpty(t, w.days(t, w.Ben))
		require.Zero(t, w.alarms(w.Ada), "nothing was altered")
	})
	t.Run("too many readings", func(t *testing.T) {
		defer func(was int) { maxDay = was }(maxDay)
		maxDay = 2
		w := newWorld(t)
		w.send(t, w.Ada, point("a", "2026-05-04T10:00:00Z", "60"), point("b", "2026-05-04T10:00:00Z", "60"))
		w.send(t, w.Ada, point("c", "2026-05-04T11:00:00Z", "60"))
		w.send(t, w.Ben, point("a", "2026-05-04T10:00:00Z", "60"))
		require.Empty(t, w.deliver(t, w.records(w.Ada, w.Ben)...))
		require.Empty(t, w.days(t, w.Ada))
		require.NotEmpty(t, w.days(t, w.Ben))
		require.Len(t, units(w.failures.ids()), 1)
	})
	t.Run("one heavy day at a time", func(t *testing.T) {
		heavy := newTurn()
		require.NoError(t, heavy.enter(t.Context()))
		entered := make(chan error)
		go func() { entered <- heavy.enter(t.Context()) }()
		select {
		case <-entered:
			t.Fatal("two at once")
		default:
		}
		heavy.leave()
		require.NoError(t, <-entered)

		ctx, cancel := context.WithTimeout(t.Context(), spare)
		defer cancel()
		require.Equal(t, fault.Unavailable, fault.KindOf(heavy.enter(ctx)), "no time to wait, so it is tried again")
	})
	t.Run("a day of many blocks is heavy, and one of few is not", func(t *testing.T) {
		w := newWorld(t)
		for i := range lightBlocks + 1 {
			w.send(t, w.Ada, point(fmt.Sprint(i), "2026-05-04T10:00:00Z", "60"))
		}
		w.send(t, w.Ben, point("a", "2026-05-04T10:00:00Z", "60"))
		i := w.projector.begin(t.Context())
		require.NoError(t, i.heavy.enter(t.Context()))
		ctx, cancel := context.WithTimeout(t.Context(), spare+time.Second)
		defer cancel()
		batch, err := stream.Read(event(w.records(w.Ada, w.Ben)...))
		require.NoError(t, err)
		failed := i.run(ctx, batch.Works)
		require.Len(t, failed, 1)
		require.Equal(t, w.Ada, failed[0].Owner)
		require.NotEmpty(t, w.days(t, w.Ben))
		i.heavy.leave()
		require.Empty(t, i.run(t.Context(), batch.Works))
		require.Equal(t, rates("2026-05-04", lightBlocks+1, "60", "60", "60", fmt.Sprint(60*(lightBlocks+1))), w.days(t, w.Ada))
	})
}

// TestTimeRunsOut: parts that there is no time for are tried again, not begun.
func TestTimeRunsOut(t *testing.T) {
	w := newWorld(t)
	w.send(t, w.Ada, point("a", "2026-05-04T10:00:00Z", "60"))
	ctx, cancel := context.WithTimeout(invoked(t.Context()), spare/2)
	defer cancel()
	answer, err := w.projector.handle(ctx, event(w.records(w.Ada)...))
	require.NoError(t, err)
	text, err := json.Marshal(answer)
	require.NoError(t, err)
	require.Equal(t, `{"batchItemFailures":[{"itemIdentifier":"100"}]}`, string(text))
	require.Empty(t, w.Audit.Events())
	w.failures.set("aws/lambda/a", []byte(`{"payload":{"Records":[`+w.records(w.Ada)[0]+`]}}`))
	_, err = w.projector.handle(ctx, json.RawMessage(`{"source":"aws.events"}`))
	require.NoError(t, err)
	require.Len(t, w.failures.ids(), 1)
}

// TestConflicts: whoever comes second reads all again, and in the end what is
// there has seen everything; but nobody tries for ever.
func TestConflicts(t *testing.T) {
	w := newWorld(t)
	w.send(t, w.Ada, point("a", "2026-05-04T10:00:00Z", "60"))
	records := w.records(w.Ada)
	once := atomic.Bool{}
	w.projector.parts = meanwhile{w.projector.parts, func() {
		if once.CompareAndSwap(false, true) {
			w.send(t, w.Ada, point("b", "2026-05-04T11:00:00Z", "80"))
			other := *w.projector
			other.parts = &w.parts
			_, err := other.handle(t.Context(), event(records...))
			require.NoError(t, err)
		}
	}}
	require.Empty(t, w.deliver(t, records...))
	require.Equal(t, rates("2026-05-04", 2, "60", "80", "70", "140"), w.days(t, w.Ada))
	require.Contains(t, w.log.String(), `"conflicts":1`)

	t.Run("always somebody else", func(t *testing.T) {
		w.projector.parts = meanwhile{&w.parts, func() {
			other := *w.projector
			other.parts = &w.parts
			_, err := other.handle(t.Context(), event(records...))
			require.NoError(t, err)
		}}
		require.Equal(t, []string{"100"}, w.deliver(t, records...))
		require.Contains(t, w.log.String(), fmt.Sprintf(`"conflicts":%d`, attempts))
	})
}

// meanwhile lets something happen between reading a version and putting a part.
type meanwhile struct {
	parts
	happen func()
}

func (m meanwhile) Version(ctx context.Context, pseudonym, part string) (int64, error) {
	v, err := m.parts.Version(ctx, pseudonym, part)
	m.happen()
	return v, err
}

// TestExactlyOnceByState: batches in any order, over and over, by many at once
// while more comes in: in the end each day is what a count of the blocks gives.
func TestExactlyOnceByState(t *testing.T) {
	w := newWorld(t)
	rng := mathrand.New(mathrand.NewPCG(1, 2))
	want := map[string][]int{}
	var records []string
	for i := range 60 {
		at := time.Date(2026, 5, 1+rng.IntN(5), rng.IntN(24), 0, 0, 0, time.UTC)
		value := 40 + rng.IntN(100)
		want[at.Format(time.DateOnly)] = append(want[at.Format(time.DateOnly)], value)
		w.send(t, w.Ada, point(fmt.Sprint("id", i), at.Format(time.RFC3339), fmt.Sprint(value)))
	}
	records = w.records(w.Ada)
	var all sync.WaitGroup
	for worker := range 8 {
		rng := mathrand.New(mathrand.NewPCG(uint64(worker), 3))
		all.Go(func() {
			for range 40 {
				batch := []string{}
				for range 1 + rng.IntN(10) {
					batch = append(batch, records[rng.IntN(len(records))])
				}
				_, err := w.projector.handle(context.Background(), event(batch...))
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	require.Empty(t, w.deliver(t, records...))
	var lines []string
	for day := 1; day <= 5; day++ {
		date := fmt.Sprintf("2026-05-0%d", day)
		values := want[date]
		least, greatest, sum := 1000, 0, 0
		for _, v := range values {
			least, greatest, sum = min(least, v), max(greatest, v), sum+v
		}
		lines = append(lines, fmt.Sprintf(`{"day":%q,"type":"omh:heart-rate","unit":"beats/min","count":%d,"min":%d,"max":%d,"mean":`, date, len(values), least, greatest))
		require.Contains(t, w.days(t, w.Ada), lines[len(lines)-1])
		require.Contains(t, w.days(t, w.Ada), fmt.Sprintf(`"sum":%d}`, sum))
	}
	require.Equal(t, len(lines), strings.Count(w.days(t, w.Ada), "\n")+1)
}
