package record_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/auditlog"
	"fitvault/shared/auditlog/auditlogtest"
	"fitvault/shared/auditlog/record"
	"fitvault/shared/fault"
)

func key(t testing.TB) record.ServiceKey {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	k, err := record.NewServiceKey(b)
	require.NoError(t, err)
	return k
}

// subjects makes a subject for everybody whom an event names.
func subjects(t testing.TB, k record.ServiceKey, e auditlog.Event) map[string]record.Subject {
	all := map[string]record.Subject{}
	for _, name := range record.People(e) {
		s, _, err := k.NewSubject(name, rand.Reader)
		require.NoError(t, err)
		all[name] = s
	}
	return all
}

func shared(t *testing.T) auditlog.Event {
	e := auditlogtest.Event(t)
	e.Caller, e.Owner = "canary-caller", "canary-owner"
	e.Sharing, e.About = &auditlog.Sharing{Grant: "g", Grantee: "canary-grantee"}, "identity#canary"
	return e
}

// TestFits: what the log could not take, or a key could not hold, is no event.
func TestFits(t *testing.T) {
	long := strings.Repeat("x", 129)
	require.True(t, record.Fits(shared(t)))
	for name, change := range map[string]func(*auditlog.Event){
		"an owner":             func(e *auditlog.Event) { e.Owner = long },
		"a caller":             func(e *auditlog.Event) { e.Caller = long },
		"a grantee":            func(e *auditlog.Event) { e.Sharing.Grantee = long },
		"somebody it is about": func(e *auditlog.Event) { e.About = "identity#" + long },
		"a client":             func(e *auditlog.Event) { e.Client = long },
		"a device":             func(e *auditlog.Event) { e.Device = long },
		"a pairing":            func(e *auditlog.Event) { e.Pairing = long },
		"an id":                func(e *auditlog.Event) { e.ID = long },
		"all of it":            func(e *auditlog.Event) { e.Reasons = []string{strings.Repeat("x", record.MaxEvent)} },
		"escaped all of it":    func(e *auditlog.Event) { e.Kind = strings.Repeat("<", record.MaxEvent/6) },
		"a year without four digits": func(e *auditlog.Event) {
			e.Time = time.Date(0, 1, 1, 0, 0, 0, 0, time.FixedZone("", 3600))
		},
	} {
		e := shared(t)
		change(&e)
		require.False(t, record.Fits(e), name)
	}
}

// TestSealed: what is sealed opens as it was, with a pseudonym for each person,
// and names nobody before it is opened, or after.
func TestSealed(t *testing.T) {
	k, e := key(t), shared(t)
	people := subjects(t, k, e)
	require.Len(t, people, 4)
	sealed, err := record.Seal(e, people, rand.Reader)
	require.NoError(t, err)
	require.NotContains(t, string(sealed.Record), "canary")
	p, err := record.SubjectOfRecord(sealed.Record)
	require.NoError(t, err)
	require.Equal(t, people["canary-owner"].Pseudonym, p)
	opened, err := people["canary-owner"].Open(sealed.Record, sealed.Commitment)
	require.NoError(t, err)
	require.NotContains(t, string(opened.Text), "canary")
	got := opened.Event
	require.Equal(t, people["canary-caller"].Pseudonym.String(), got.Caller)
	require.Equal(t, people["canary-owner"].Pseudonym.String(), got.Owner)
	require.Equal(t, people["canary-grantee"].Pseudonym.String(), got.Sharing.Grantee)
	require.Equal(t, people["identity#canary"].Pseudonym.String(), got.About)
	require.Equal(t, "canary-grantee", e.Sharing.Grantee, "the event itself stays as it was")
	got.Caller, got.Owner, got.About, got.Sharing = e.Caller, e.Owner, e.About, e.Sharing
	require.Equal(t, string(record.Canonical(e)), string(record.Canonical(got)))

	again, err := record.Seal(e, people, rand.Reader)
	require.NoError(t, err)
	require.NotEqual(t, sealed.Commitment, again.Commitment, "salted")

	t.Run("no byte of it can be another", func(t *testing.T) {
		for at := range sealed.Record {
			damaged := bytes.Clone(sealed.Record)
			damaged[at] ^= 1 << (at % 8)
			_, err := people["canary-owner"].Open(damaged, sealed.Commitment)
			require.ErrorIs(t, err, record.ErrOpen)
		}
		for n := range len(sealed.Record) {
			_, err := people["canary-owner"].Open(sealed.Record[:n], sealed.Commitment)
			require.ErrorIs(t, err, record.ErrOpen)
		}
	})
	t.Run("under another's key, for another leaf", func(t *testing.T) {
		_, err := people["canary-caller"].Open(sealed.Record, sealed.Commitment)
		require.ErrorIs(t, err, record.ErrOpen)
		_, err = people["canary-owner"].Open(sealed.Record, again.Commitment)
		require.ErrorIs(t, err, record.ErrOpen)
		_, err = record.Subject{}.Open(sealed.Record, sealed.Commitment)
		require.ErrorIs(t, err, record.ErrOpen)
	})
}

func TestWhomAnEventConcerns(t *testing.T) {
	require.Equal(t, []string{"owner", "caller"}, record.People(auditlog.Event{Owner: "owner", Caller: "caller"}))
	require.Equal(t, []string{"owner"}, record.People(auditlog.Event{Owner: "owner", Caller: "owner", About: "client", Sharing: &auditlog.Sharing{Grantee: "organisation#clinic"}}))
	require.Equal(t, []string{"identity#a", "identity#b"}, record.People(auditlog.Event{Caller: "identity#a", About: "identity#b"}))
	require.Equal(t, []string{record.Service}, record.People(auditlog.Event{}))
}

func TestSubjectsKeys(t *testing.T) {
	k := key(t)
	s, wrapped, err := k.NewSubject("ada", rand.Reader)
	require.NoError(t, err)
	e := auditlog.Event{ID: "id", Owner: "ada", Outcome: auditlog.Allowed}
	sealed, err := record.Seal(e, map[string]record.Subject{"ada": s}, rand.Reader)
	require.NoError(t, err)
	again, err := k.Subject("ada", s.Pseudonym, wrapped)
	require.NoError(t, err)
	_, err = again.Open(sealed.Record, sealed.Commitment)
	require.NoError(t, err)

	other, _, err := k.NewSubject("ben", rand.Reader)
	require.NoError(t, err)
	for name, put := range map[string]func() error{
		"in another's place":      func() error { _, err := k.Subject("ben", s.Pseudonym, wrapped); return err },
		"under another pseudonym": func() error { _, err := k.Subject("ada", other.Pseudonym, wrapped); return err },
		"by another service key":  func() error { _, err := key(t).Subject("ada", s.Pseudonym, wrapped); return err },
		"cut off":                 func() error { _, err := k.Subject("ada", s.Pseudonym, wrapped[1:]); return err },
		"nothing":                 func() error { _, err := k.Subject("ada", s.Pseudonym, nil); return err },
	} {
		require.ErrorIs(t, put(), record.ErrOpen, name)
	}
	_, _, err = k.NewSubject("ada", iotest.ErrReader(errors.New("no entropy")))
	require.Equal(t, fault.Internal, fault.KindOf(err))
	_, err = record.Seal(e, map[string]record.Subject{"ada": s}, iotest.ErrReader(errors.New("no entropy")))
	require.Equal(t, fault.Internal, fault.KindOf(err))
	_, err = record.Seal(e, nil, rand.Reader)
	require.ErrorIs(t, err, record.ErrKey)
	_, err = record.NewServiceKey(make([]byte, 31))
	require.ErrorIs(t, err, record.ErrKey)
	for _, v := range []any{k, s, &s} {
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", v, v, v), "0x01")
		require.Contains(t, fmt.Sprint(v), "redacted")
	}
}

// TestMarks: a mark stands for one event at one index, in all its members.
func TestMarks(t *testing.T) {
	k, e := key(t), shared(t)
	e.Consent = &auditlog.Consent{Purpose: "collection"}
	mark := k.Vouch(7, record.Canonical(e))
	require.Equal(t, mark, k.Vouch(7, record.Canonical(e)))
	local := e
	local.Time = e.Time.In(time.FixedZone("", 3600)).Add(time.Microsecond)
	require.Equal(t, mark, k.Vouch(7, record.Canonical(local)), "times are kept to the millisecond")
	require.NotEqual(t, mark, k.Vouch(8, record.Canonical(e)))
	require.NotEqual(t, mark, key(t).Vouch(7, record.Canonical(e)))
	for name, change := range map[string]func(*auditlog.Event){
		"id": func(e *auditlog.Event) { e.ID += "x" }, "time": func(e *auditlog.Event) { e.Time = e.Time.Add(time.Second) }, "request": func(e *auditlog.Event) { e.Request += "x" },
		"function": func(e *auditlog.Event) { e.Function += "x" }, "action": func(e *auditlog.Event) { e.Action += "x" }, "caller": func(e *auditlog.Event) { e.Caller += "x" },
		"client": func(e *auditlog.Event) { e.Client += "x" }, "owner": func(e *auditlog.Event) { e.Owner += "x" }, "outcome": func(e *auditlog.Event) { e.Outcome += "x" },
		"kind": func(e *auditlog.Event) { e.Kind += "x" }, "reasons": func(e *auditlog.Event) { e.Reasons = append([]string{"x"}, e.Reasons...) }, "records": func(e *auditlog.Event) { e.Records++ },
		"manifest": func(e *auditlog.Event) { e.Manifest += "x" }, "recording": func(e *auditlog.Event) { e.Recording += "x" }, "device": func(e *auditlog.Event) { e.Device += "x" },
		"pairing": func(e *auditlog.Event) { e.Pairing += "x" }, "consent": func(e *auditlog.Event) { e.Consent = nil }, "about": func(e *auditlog.Event) { e.About += "x" },
		"changes": func(e *auditlog.Event) { e.Changes = append([]string{"x"}, e.Changes...) }, "sharing": func(e *auditlog.Event) { e.Sharing = nil },
	} {
		altered := e
		change(&altered)
		require.NotEqual(t, mark, k.Vouch(7, record.Canonical(altered)), name)
	}
}

func FuzzParsePseudonym(f *testing.F) {
	f.Add(record.Pseudonym{1, 2, 3}.String())
	f.Add("p-")
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := record.ParsePseudonym(s); err == nil {
			require.Equal(t, s, p.String())
			require.False(t, strings.ContainsAny(s, "#/\n"))
		} else {
			require.Equal(t, fault.NotFound, fault.KindOf(err))
		}
	})
}
