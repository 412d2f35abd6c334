package sequence_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/auditlog"
	"fitvault/shared/auditlog/sequence"
	"fitvault/shared/auditlog/sequence/sequencetest"
	"fitvault/shared/fault"
)

var (
	adasKey = strings.Repeat("k", 26)
	bensKey = strings.Repeat("m", 26)
)

// users is who may do what with the owners' key, as template.yaml has it.
var users = map[string]sequence.User{
	"role/readings": {Operation: "Decrypt", Function: "readings"},
	"role/history":  {Operation: "Decrypt", Function: "history"},
	"role/project":  {Operation: "Decrypt", Function: "project"},
	"role/enrol":    {Operation: "GenerateDataKeyPairWithoutPlaintext"},
}

// keyed is a world of which two owners have keys, and whose log has begun.
func keyed(t testing.TB) *world {
	w := newWorld(t)
	w.SetKeys(ada, strings.Repeat("a", 26), adasKey)
	w.SetKeys(ben, bensKey)
	w.run(t)
	return w
}

// recordID is the nth record's.
func recordID(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

// used is a use by a role just now, as KMS records it.
func (w *world) used(role, operation, key string) sequence.Use {
	return sequence.Use{ID: recordID(1), Time: w.clock().Truncate(time.Second), Operation: operation, Role: role, Deployment: sequencetest.Deployment, Key: key, Purpose: "data"}
}

// tells is an event of an owner by a function just now.
func (w *world) tells(t testing.TB, function, owner string) string {
	t.Helper()
	id, err := auditlog.NewID(w.clock(), rand.Reader)
	require.NoError(t, err)
	require.NoError(t, w.Write(t.Context(), auditlog.Event{ID: id, Time: w.clock(), Function: function, Action: "readings.read", Caller: owner, Client: "app", Owner: owner,
		Outcome: auditlog.Allowed}))
	return id
}

func (w *world) withUsers() sequence.Sequencer {
	s := w.process().Sequencer
	s.Users = users
	return s
}

func (w *world) comparesUses(t testing.TB) sequence.Result {
	t.Helper()
	r, err := w.withUsers().Reconcile(t.Context(), forever)
	require.NoError(t, err)
	return r
}

// ofKeys is the alarms about uses of the key.
func (w *world) ofKeys() (all []string) {
	for _, s := range w.Stored() {
		if e := s.Event; e.Kind == sequence.KeyUsedByOther || e.Kind == sequence.KeyUsedUnlogged {
			all = append(all, strings.Join(append([]string{e.Kind, e.Owner + e.About, fmt.Sprint(e.Records)}, e.Changes...), " "))
		}
	}
	return all
}

// TestUsesOfTheKey: who opens an owner's key and is not a role that may, or is one that
// tells of it and has not, is found, once; and nothing else is.
func TestUsesOfTheKey(t *testing.T) {
	other := func(operation string) []string {
		return []string{"key-used-by-other " + recordID(1) + " 1 operation=" + operation + " key=" + adasKey}
	}
	byOther := sequence.Result{Uses: 1, UsedByOther: 1}
	alone := []string{"key-used-without-event " + recordID(1) + " 1 operation=Decrypt key=" + adasKey + " function=readings"}
	unlogged := sequence.Result{Uses: 1, UsedUnlogged: 1}
	fine := sequence.Result{Uses: 1}
	for name, c := range map[string]struct {
		do    func(t *testing.T, w *world)
		want  sequence.Result // of uses
		tells []string
	}{
		"a reading": {func(t *testing.T, w *world) {
			w.tells(t, "readings", ada)
			w.Use(w.used("role/readings", "Decrypt", adasKey))
		}, fine, nil},
		"by an older key of his": {func(t *testing.T, w *world) {
			w.tells(t, "readings", ada)
			w.Use(w.used("role/readings", "Decrypt", strings.Repeat("a", 26)))
		}, fine, nil},
		"an event whose key was in memory": {func(t *testing.T, w *world) { w.tells(t, "readings", ada) }, sequence.Result{}, nil},
		"two events and one use": {func(t *testing.T, w *world) {
			w.tells(t, "readings", ada)
			w.tells(t, "readings", ada)
			w.Use(w.used("role/readings", "Decrypt", adasKey))
		}, fine, nil},
		"within ten minutes": {func(t *testing.T, w *world) {
			w.tells(t, "history", ben)
			w.wait(10 * time.Minute)
			w.Use(w.used("role/history", "Decrypt", bensKey))
		}, fine, nil},
		"after ten minutes": {func(t *testing.T, w *world) {
			w.tells(t, "readings", ada)
			w.wait(10*time.Minute + time.Second)
			w.Use(w.used("role/readings", "Decrypt", adasKey))
		}, unlogged, alone},
		"before its event": {func(t *testing.T, w *world) {
			w.Use(w.used("role/readings", "Decrypt", adasKey))
			w.wait(5 * time.Minute)
			w.tells(t, "readings", ada)
		}, fine, nil},
		"without an event": {func(_ *testing.T, w *world) { w.Use(w.used("role/readings", "Decrypt", adasKey)) }, unlogged, alone},
		"the projection": {func(t *testing.T, w *world) {
			w.tells(t, "project", ada)
			w.Use(w.used("role/project", "Decrypt", adasKey))
		}, fine, nil},
		"a new owner": {func(_ *testing.T, w *world) {
			w.Use(w.used("role/enrol", "GenerateDataKeyPairWithoutPlaintext", adasKey))
		}, fine, nil},
		"looked at":         {func(_ *testing.T, w *world) { w.Use(w.used("role/other", "DescribeKey", "")) }, sequence.Result{}, nil},
		"enrol opens":       {func(_ *testing.T, w *world) { w.Use(w.used("role/enrol", "Decrypt", adasKey)) }, byOther, other("Decrypt")},
		"a reader hands on": {func(_ *testing.T, w *world) { w.Use(w.used("role/readings", "CreateGrant", adasKey)) }, byOther, []string{other("CreateGrant")[0] + " function=readings"}},
		"a role of another": {func(_ *testing.T, w *world) { w.Use(w.used("role/other", "Decrypt", adasKey)) }, byOther, other("Decrypt")},
		"nobody's role":     {func(_ *testing.T, w *world) { w.Use(w.used("", "ReEncrypt", adasKey)) }, byOther, other("ReEncrypt")},
		"a policy is changed": {func(_ *testing.T, w *world) {
			w.Use(sequence.Use{ID: recordID(1), Time: w.clock(), Operation: "PutKeyPolicy", Role: "role/other"})
		}, byOther, []string{"key-used-by-other " + recordID(1) + " 1 operation=PutKeyPolicy"}},
		"refused by KMS": {func(_ *testing.T, w *world) {
			u := w.used("role/other", "Decrypt", adasKey)
			u.Failed = true
			w.Use(u)
		}, sequence.Result{Uses: 1, Refused: 1}, nil},
		"for another deployment": {func(_ *testing.T, w *world) {
			u := w.used("role/enrol", "GenerateDataKeyPairWithoutPlaintext", adasKey)
			u.Deployment = "other"
			w.Use(u)
		}, byOther, other("GenerateDataKeyPairWithoutPlaintext")},
		"for another purpose": {func(_ *testing.T, w *world) {
			u := w.used("role/enrol", "GenerateDataKeyPairWithoutPlaintext", adasKey)
			u.Purpose = "writer"
			w.Use(u)
		}, byOther, other("GenerateDataKeyPairWithoutPlaintext")},
		"of a key that is nobody's": {func(t *testing.T, w *world) {
			w.tells(t, "readings", ada)
			w.Use(w.used("role/readings", "Decrypt", "canary"))
		}, byOther, []string{"key-used-by-other " + recordID(1) + " 1 operation=Decrypt function=readings"}},
		"of a record that cannot be read": {func(_ *testing.T, w *world) {
			w.Use(sequence.Use{ID: recordID(1), Time: w.clock(), Strange: true, Operation: "canary"})
		}, byOther, []string{"key-used-by-other " + recordID(1) + " 1"}},
		"of a record without a name": {func(_ *testing.T, w *world) {
			w.Use(sequence.Use{ID: "canary", Time: w.clock(), Strange: true})
		}, byOther, []string{"key-used-by-other  1"}},
		"beside another's reading": {func(t *testing.T, w *world) {
			w.tells(t, "readings", ben)
			w.Use(w.used("role/readings", "Decrypt", adasKey))
		}, unlogged, alone},
		"beside another function's": {func(t *testing.T, w *world) {
			w.tells(t, "history", ada)
			w.Use(w.used("role/readings", "Decrypt", adasKey))
		}, unlogged, alone},
		"beside a refusal": {func(t *testing.T, w *world) {
			w.Alter(w.tells(t, "readings", ada), func(s *sequence.Stored) { s.Event.Outcome = auditlog.Refused })
			w.Use(w.used("role/readings", "Decrypt", adasKey))
		}, unlogged, alone},
		"beside what is no event": {func(t *testing.T, w *world) {
			w.Alter(w.tells(t, "readings", ada), func(s *sequence.Stored) { s.Strange = true })
			w.Use(w.used("role/readings", "Decrypt", adasKey))
		}, unlogged, alone},
		"beside an event of nobody": {func(t *testing.T, w *world) {
			w.tells(t, "readings", "")
			w.Use(w.used("role/readings", "Decrypt", adasKey))
		}, unlogged, alone},
		"beside an event of somebody without a key": {func(t *testing.T, w *world) { // anybody who writes events can make one up
			w.tells(t, "readings", ada)
			w.Use(w.used("role/readings", "Decrypt", adasKey))
			w.SetKeys(ada)
		}, unlogged, alone},
		"many": {func(_ *testing.T, w *world) {
			for n := range 25 {
				u := w.used("role/other", "Decrypt", adasKey)
				u.ID = recordID(n)
				w.Use(u)
			}
		}, sequence.Result{Uses: 25, UsedByOther: 25}, func() (all []string) {
			for n := range 10 {
				all = append(all, "key-used-by-other "+recordID(n)+" 1 operation=Decrypt key="+adasKey)
			}
			return append(all, "key-used-by-other  15")
		}()},
	} {
		t.Run(name, func(t *testing.T) {
			w := keyed(t)
			c.do(t, w)
			w.wait(time.Hour)
			w.run(t)
			r := w.comparesUses(t)
			require.Equal(t, c.want, sequence.Result{Uses: r.Uses, UsedByOther: r.UsedByOther, UsedUnlogged: r.UsedUnlogged, Refused: r.Refused, Unseen: r.Unseen})
			require.ElementsMatch(t, c.tells, w.ofKeys())
			w.wait(time.Hour)
			w.run(t)
			require.Zero(t, w.comparesUses(t).Uses, "each is looked at once")
			require.ElementsMatch(t, c.tells, w.ofKeys())
			w.requireWhole(t)
		})
	}
}

// TestUsesWait: what KMS may still record, and what the log may not have taken yet, is
// left to the next run; after an outage all is looked at.
func TestUsesWait(t *testing.T) {
	w := keyed(t)
	w.wait(time.Hour)
	w.run(t)
	require.Zero(t, w.comparesUses(t).UsesBehind)
	w.Use(w.used("role/other", "Decrypt", adasKey))
	w.wait(30 * time.Minute)
	w.run(t)
	require.Zero(t, w.comparesUses(t).Uses, "it is not half an hour old")
	w.wait(time.Second)
	w.run(t)
	require.EqualValues(t, 1, w.comparesUses(t).UsedByOther)

	w.Use(w.used("role/other", "Decrypt", adasKey))
	w.wait(13 * time.Hour)
	r := w.comparesUses(t)
	require.Zero(t, r.Uses, "the log has not come to it")
	require.Zero(t, r.UsesBehind, "of that the log's own alarm tells")
	w.run(t)
	r = w.comparesUses(t)
	require.EqualValues(t, 1, r.UsedByOther)
	require.Zero(t, r.UsesBehind)

	w.wait(40 * 24 * time.Hour)
	w.Use(sequence.Use{ID: recordID(2), Time: w.clock().Add(-33 * 24 * time.Hour), Operation: "Decrypt"})
	w.run(t)
	r = w.comparesUses(t)
	require.Equal(t, 6*24*time.Hour+30*time.Minute, r.Unseen, "events of then are gone, and uses cannot be held to them")
	runs := 1
	for ; r.UsesBehind > 0; runs++ {
		require.Zero(t, r.Unseen*time.Duration(runs-1))
		r = w.comparesUses(t)
	}
	require.EqualValues(t, 25, runs, "of as many slices of ten minutes as a run looks at")
	require.Len(t, w.ofKeys(), 3)
}

// TestManyUses: a run reads so many pages; what it has not read it leaves to the next,
// but for the oldest of ten minutes that no run could read.
func TestManyUses(t *testing.T) {
	w := keyed(t)
	w.wait(time.Hour)
	w.run(t)
	w.comparesUses(t)
	begin := w.clock().Add(-30 * time.Minute) // up to where was looked
	fill := func(slice, uses int) {
		for n := uses - 1; n >= 0; n-- { // the newest first, as the fake keeps them
			u := w.used("role/enrol", "GenerateDataKeyPairWithoutPlaintext", adasKey)
			u.Time = begin.Add(time.Duration(slice)*10*time.Minute + time.Duration(n)*9*time.Minute/time.Duration(uses)).Truncate(time.Second)
			w.Use(u)
		}
	}
	fill(2, 400*sequencetest.PerPage)
	fill(1, 120*sequencetest.PerPage)
	fill(0, 120*sequencetest.PerPage)
	w.wait(30 * time.Minute)
	w.run(t)
	for _, want := range []sequence.Result{
		{Uses: 120 * sequencetest.PerPage, UsesBehind: 20 * time.Minute},
		{Uses: 120 * sequencetest.PerPage, UsesBehind: 10 * time.Minute},
		{Uses: 200 * sequencetest.PerPage, Unseen: 271 * time.Second},
		{},
	} {
		r := w.comparesUses(t)
		require.Equal(t, want, sequence.Result{Uses: r.Uses, UsesBehind: r.UsesBehind, Unseen: r.Unseen})
	}
	require.Empty(t, w.ofKeys())

	r, err := w.withUsers().CompareUses(t.Context(), begin, begin.Add(30*time.Minute), forever)
	require.NoError(t, err)
	require.EqualValues(t, 200*sequencetest.PerPage, r.Uses)
	require.Greater(t, r.Unseen, 12*time.Minute, "by hand too what was not read is told")
}

// TestHiddenBehindMany: of the second that a run got to, it cannot tell what it has not
// read, so it is not said to be seen.
func TestHiddenBehindMany(t *testing.T) {
	w := keyed(t)
	w.wait(time.Hour)
	w.run(t)
	w.comparesUses(t)
	begin := w.clock().Add(-30 * time.Minute).Truncate(time.Second)
	for n := range 250 * sequencetest.PerPage {
		u := w.used("role/other", "Decrypt", adasKey)
		u.Time, u.Failed = begin, n < 249*sequencetest.PerPage // those that count come last
		w.Use(u)
	}
	w.wait(30 * time.Minute)
	w.run(t)
	require.Equal(t, time.Second, w.comparesUses(t).Unseen)
}

// TestEveryOperationIsJudged but for what is known to open nothing, new ones too.
func TestEveryOperationIsJudged(t *testing.T) {
	for operation, told := range map[string]bool{"Encrypt": true, "GenerateDataKey": true, "GenerateDataKeyPair": true, "GenerateDataKeyWithoutPlaintext": true,
		"ReEncrypt": true, "CreateGrant": true, "ReplicateKey": true, "PutKeyPolicy": true, "DeriveSharedSecret": true, "SomethingNew": true, "": true,
		"DescribeKey": false, "GetKeyPolicy": false, "ListGrants": false, "RetireGrant": false} {
		w := keyed(t)
		w.Use(w.used("role/readings", operation, adasKey))
		w.wait(time.Hour)
		w.run(t)
		require.Equal(t, told, w.comparesUses(t).UsedByOther == 1, operation)
	}
}

// late is a history that takes so long that a run's time is over after a page.
type late struct {
	sequence.Uses
	w *world
}

func (l late) Page(ctx context.Context, from, to time.Time, token string) ([]sequence.Use, string, error) {
	l.w.wait(time.Minute)
	return l.Uses.Page(ctx, from, to, token)
}

// TestUsesHaveATime: what a run has no time for is the next one's, or said not to be seen.
func TestUsesHaveATime(t *testing.T) {
	w := keyed(t)
	w.wait(time.Hour)
	w.run(t)
	s := w.withUsers()
	s.Uses = late{s.Uses, w}
	r, err := s.Reconcile(t.Context(), w.clock().Add(90*time.Second))
	require.NoError(t, err)
	require.Equal(t, 40*time.Minute, r.UsesBehind, "two of its six slices were looked at")
	r, err = s.CompareUses(t.Context(), w.clock().Add(-time.Hour), w.clock(), w.clock().Add(90*time.Second))
	require.NoError(t, err)
	require.Equal(t, 40*time.Minute, r.Unseen)
	for range 60 * sequencetest.PerPage {
		u := w.used("role/enrol", "GenerateDataKeyPairWithoutPlaintext", adasKey)
		u.Time = w.clock().Add(-20 * time.Minute).Truncate(time.Second)
		w.Use(u)
	}
	r, err = s.CompareUses(t.Context(), w.clock().Add(-25*time.Minute), w.clock().Add(-15*time.Minute), w.clock().Add(90*time.Second))
	require.NoError(t, err)
	require.Greater(t, r.Unseen, time.Duration(0))
}

// TestAPlaceThatHasNotCome: nothing would be compared until it has.
func TestAPlaceThatHasNotCome(t *testing.T) {
	w := keyed(t)
	require.NoError(t, w.KeepCompared(t.Context(), w.clock().Add(time.Hour)))
	w.wait(time.Minute)
	w.run(t)
	_, err := w.withUsers().Reconcile(t.Context(), forever)
	require.Equal(t, fault.Internal, fault.KindOf(err))
}

// endless has pages of nothing, and always one more.
type endless struct{}

func (endless) Page(context.Context, time.Time, time.Time, string) ([]sequence.Use, string, error) {
	return nil, "more", nil
}

func TestPagesOfNothing(t *testing.T) {
	w := keyed(t)
	w.wait(time.Hour)
	w.run(t)
	s := w.withUsers()
	s.Uses = endless{}
	r, err := s.Reconcile(t.Context(), forever)
	require.NoError(t, err)
	require.Equal(t, 10*time.Minute, r.Unseen)
}

// TestUsesByHand: a time is looked at whenever somebody asks, also up to now, and the hourly run
// passes nothing over for it.
func TestUsesByHand(t *testing.T) {
	w := keyed(t)
	w.wait(time.Hour)
	w.run(t)
	w.wait(time.Minute)
	w.tells(t, "readings", ada)
	w.Use(w.used("role/readings", "Decrypt", adasKey))
	w.Use(w.used("role/readings", "Decrypt", bensKey))
	w.wait(time.Second)
	look := func(from, to time.Time) (sequence.Result, error) {
		return w.withUsers().CompareUses(t.Context(), from, to, forever)
	}
	r, err := look(w.clock().Add(-25*time.Minute), w.clock())
	require.NoError(t, err)
	require.EqualValues(t, 2, r.Uses)
	require.EqualValues(t, 1, r.UsedUnlogged, "the other's event will be in the log")
	require.Len(t, w.ofKeys(), 1)
	w.wait(time.Hour)
	w.run(t)
	require.EqualValues(t, 1, w.comparesUses(t).UsedUnlogged)
	require.Len(t, w.ofKeys(), 2)

	now := w.clock()
	for name, span := range map[string][2]time.Time{
		"of nothing": {now, now}, "backwards": {now, now.Add(-time.Minute)}, "of the future": {now, now.Add(time.Minute)},
		"too long": {now.Add(-25 * time.Hour), now}, "too long ago": {now.Add(-35 * 24 * time.Hour), now.Add(-35*24*time.Hour + time.Minute)}, "not said": {},
	} {
		_, err := look(span[0], span[1])
		require.ErrorIs(t, err, sequence.ErrSpan, name)
	}
}

// TestEventThatTheLogWentPast: one that was put in later, under an old time, and that
// no run has taken, vouches for nothing; nor does one whose mark was made up.
func TestEventThatTheLogWentPast(t *testing.T) {
	for name, alter := range map[string]func(*sequence.Stored){
		"no mark": func(*sequence.Stored) {},
		"made up": func(s *sequence.Stored) { s.Mark = &sequence.Mark{Key: s.Key, Index: 1, Mac: []byte("canary")} },
	} {
		t.Run(name, func(t *testing.T) {
			w := keyed(t)
			at := w.clock()
			w.Use(w.used("role/readings", "Decrypt", adasKey))
			w.wait(5 * time.Hour)
			w.run(t)
			id, err := auditlog.NewID(at, rand.Reader)
			require.NoError(t, err)
			require.NoError(t, w.Write(t.Context(), auditlog.Event{ID: id, Time: at, Function: "readings", Owner: ada, Outcome: auditlog.Allowed}))
			w.Alter(id, alter)
			r, err := w.withUsers().CompareUses(t.Context(), at.Add(-time.Minute), at.Add(time.Minute), forever)
			require.NoError(t, err)
			require.EqualValues(t, 1, r.UsedUnlogged)
		})
	}
}

// blind is what a comparison of uses needs, of which one thing fails.
type blind struct {
	*world
	compared, keep, page, keys bool
}

func (b blind) Compared(ctx context.Context) (time.Time, error) {
	if b.compared {
		return time.Time{}, errDown
	}
	return b.world.Compared(ctx)
}

func (b blind) KeepCompared(ctx context.Context, upTo time.Time) error {
	if b.keep {
		return errDown
	}
	return b.world.KeepCompared(ctx, upTo)
}

func (b blind) Page(ctx context.Context, from, to time.Time, token string) ([]sequence.Use, string, error) {
	if b.page {
		return nil, "", errDown
	}
	return b.world.Page(ctx, from, to, token)
}

func (b blind) KeyIDs(ctx context.Context, owners []string) (map[string][]string, error) {
	if b.keys {
		return nil, errDown
	}
	return b.world.KeyIDs(ctx, owners)
}

// TestUsesThatCannotBeCompared: what fails is an error, and the next run finds what
// this one has not.
func TestUsesThatCannotBeCompared(t *testing.T) {
	deaf := func(s *sequence.Sequencer, _ *world) {
		var memory auditlog.Memory
		memory.Fail(errDown)
		s.Alarms = &memory
	}
	for name, c := range map[string]struct {
		fail   func(*sequence.Sequencer, *world)
		byHand bool // what fails fails there too
	}{
		"up to when":  {func(s *sequence.Sequencer, w *world) { s.Compared = blind{world: w, compared: true} }, false},
		"its keeping": {func(s *sequence.Sequencer, w *world) { s.Compared = blind{world: w, keep: true} }, false},
		"the uses":    {func(s *sequence.Sequencer, w *world) { s.Uses = blind{world: w, page: true} }, true},
		"the keys":    {func(s *sequence.Sequencer, w *world) { s.Owners = blind{world: w, keys: true} }, true},
		"the events":  {func(s *sequence.Sequencer, w *world) { s.Events = &lateEvents{world: w, left: 20} }, false},
		"the alarms":  {deaf, true},
		"the head":    {func(s *sequence.Sequencer, w *world) { s.Heads = &moving{w, 5} }, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := keyed(t)
			at := w.clock()
			w.Use(w.used("role/readings", "Decrypt", adasKey))
			w.wait(time.Hour)
			w.run(t)
			s := w.withUsers()
			c.fail(&s, w)
			_, err := s.Reconcile(t.Context(), forever)
			require.Error(t, err)
			if name != "the head" {
				require.Equal(t, fault.Unavailable, fault.KindOf(err))
			}
			if c.byHand {
				s := w.withUsers()
				c.fail(&s, w)
				_, err := s.CompareUses(t.Context(), at.Add(-time.Minute), at.Add(time.Minute), forever)
				require.Error(t, err)
			}
			require.EqualValues(t, 1, w.comparesUses(t).UsedUnlogged)
		})
	}
}

// TestDeathBetweenAlarms: both kinds are told before their time is kept, so whatever
// write a run dies at, they are told.
func TestDeathBetweenAlarms(t *testing.T) {
	for at := 1; at <= 4; at++ {
		w := keyed(t)
		w.Use(w.used("role/other", "Decrypt", adasKey))
		w.Use(w.used("role/readings", "Decrypt", adasKey))
		w.wait(time.Hour)
		w.run(t)
		p := w.process()
		p.Sequencer.Users, p.DiesAt = users, at
		_, err := p.Sequencer.Reconcile(t.Context(), forever)
		require.ErrorIs(t, err, sequencetest.ErrDead)
		w.comparesUses(t)
		told := strings.Join(w.ofKeys(), "\n")
		require.Contains(t, told, sequence.KeyUsedByOther)
		require.Contains(t, told, sequence.KeyUsedUnlogged)
	}
}
