package sentinel_test

import (
	"crypto/rand"
	"encoding/binary"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/fault"
	"fitvault/shared/sentinel"
)

var pointTime = regexp.MustCompile(`<(?:Time|time)>([^<]+)</`)

// workouts is how long recordings of the corpus took.
func workouts(t *testing.T) (all []time.Duration) {
	for _, folder := range []string{"../../testdata/tcx", "../../testdata/gpx", "../../../shared/data/tcx", "../../../shared/data/gpx"} {
		files, err := filepath.Glob(folder + "/*")
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			var times []time.Time
			for _, m := range pointTime.FindAllSubmatch(text, -1) {
				if at, err := time.Parse(time.RFC3339, string(m[1])); err == nil {
					times = append(times, at)
				}
			}
			if len(times) < 2 {
				continue
			}
			if lasts := times[len(times)-1].Sub(times[0]); lasts > time.Minute && lasts < 8*time.Hour {
				all = append(all, lasts)
			}
		}
	}
	require.NotEmpty(t, all)
	return all
}

// owner is one of a thousand, with what belongs to him.
type owner struct {
	phone, app person // his own phone; an app that he let in, for him
	caregiver  person
	tracker    string
	offset     time.Duration
}

const week = 7

// TestAWeekOfAThousandOwners: nothing that people do with trackers, phones, caregivers and
// apps is a finding. How often they sync and read is docs/costs.py's; workouts are as
// long as the corpus's recordings, and stream twenty readings every half minute; besides,
// people are offline and catch up, mistype, retry, lose an API key's or grant's validity,
// bring years of readings from before, and look at everything on a new phone.
func TestAWeekOfAThousandOwners(t *testing.T) {
	const owners = 1000
	rng := mathrand.New(mathrand.NewPCG(33, 7))
	lasting := workouts(t)
	monday := time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)
	var all [owners]owner
	clinic := person{id: "identity#" + name("clinic"), client: "clinic", address: rand.Text()}
	for i := range all {
		w := &world{t: t}
		o := &all[i]
		o.phone, o.caregiver = w.person(), w.person()
		o.app = o.phone
		o.app.device, o.app.client = rand.Text(), "partner"
		o.tracker, o.offset = rand.Text(), time.Duration(rng.IntN(900))*time.Second
		if i%4 > 0 { // of every four, one cares for the three others
			o.caregiver = all[i-i%4].phone
		}
		// Twenty people are behind each address: an office, a carrier's gateway.
		o.phone.address = name(string(rune('a' + i/20)))
	}
	total := 0
	for day := range week {
		var events []sentinel.Event
		add := func(at time.Time, p person, e auditlog.Event) {
			random := rng.Uint64()
			var b [10]byte
			binary.BigEndian.PutUint64(b[:], random)
			e.ID, _ = auditlog.NewID(at, newBytes(b[:]))
			e.Time, e.Caller, e.Client = at, p.id, p.client
			if e.Outcome == "" {
				e.Outcome = auditlog.Allowed
			}
			e.Charged = p.charged(e.Outcome == auditlog.Refused)
			events = append(events, sentinel.Event{Event: e})
		}
		for i := range all {
			o := &all[i]
			midnight := monday.AddDate(0, 0, day)
			awake := midnight.Add(6*time.Hour + o.offset)
			within := func() time.Time { return awake.Add(time.Duration(rng.IntN(16*3600)) * time.Second) }
			pages := func(at time.Time, p person, n int, action access.Action, reasons ...string) {
				for k := range n {
					add(at.Add(time.Duration(k)*700*time.Millisecond), p, auditlog.Event{Action: string(action), Owner: o.phone.id, Reasons: reasons})
				}
			}
			upload := func(at time.Time, records, rejected int) {
				add(at, o.phone, auditlog.Event{Action: string(access.ReadingsWrite), Owner: o.phone.id, Records: records, Rejected: rejected, Device: o.tracker})
			}
			// 64 syncs of some 195 readings; one in fifty is sent again. Who was offline for a
			// part of the day sends what has gathered at once.
			offline := 0
			if rng.IntN(20) == 0 {
				offline = rng.IntN(64)
			}
			for s := range 64 {
				at := awake.Add(time.Duration(s) * 15 * time.Minute)
				if s < offline {
					at = awake.Add(time.Duration(offline)*15*time.Minute + time.Duration(s)*time.Second)
				}
				records := 20 + rng.IntN(350)
				upload(at, records, 0)
				if rng.IntN(50) == 0 {
					upload(at.Add(3*time.Second), records, 0)
				}
			}
			// A workout in two days of three, as long as one of the corpus.
			if rng.IntN(3) < 2 {
				began, lasts := within(), lasting[rng.IntN(len(lasting))]
				for at := time.Duration(0); at < lasts; at += 30 * time.Second {
					upload(began.Add(at), 20, 0)
				}
				recording := rand.Text()
				add(began.Add(lasts), o.phone, auditlog.Event{Action: string(access.RecordingsWrite), Owner: o.phone.id, Records: 1})
				add(began.Add(lasts+time.Minute), o.phone, auditlog.Event{Action: string(access.RecordingsRead), Owner: o.phone.id, Recording: recording})
			}
			// He looks at days, and sometimes at a week of readings.
			for range 2 + rng.IntN(4) {
				pages(within(), o.phone, 1+rng.IntN(3), access.DaysRead, "owner-reads")
			}
			if rng.IntN(5) == 0 {
				pages(within(), o.phone, 22, access.ReadingsRead, "owner-reads")
			}
			// His caregiver looks in the morning and the evening, once a week at all of it: 22 pages.
			if i%4 > 0 {
				pages(awake.Add(time.Hour+time.Duration(i%4)*time.Minute), o.caregiver, 3, access.DaysRead, "caregiver-reads")
				pages(within(), o.caregiver, 2, access.ReadingsRead, "caregiver-reads")
				if rng.IntN(7) == 0 {
					pages(within(), o.caregiver, 22, access.ReadingsRead, "caregiver-reads")
				}
			}
			// An app of others takes what is new, four times a day; a clinic once a night, of
			// all, two hundred of them.
			if i%3 == 0 {
				for k := range 4 {
					pages(awake.Add(time.Duration(4*k)*time.Hour), o.app, 1+rng.IntN(4), access.ReadingsRead, "app-reads-for-owner")
				}
			}
			if i < 200 {
				pages(midnight.Add(2*time.Hour+time.Duration(i)*4*time.Second), clinic, 5, access.ReadingsRead, "system-reads")
			}
			// What goes wrong: a code mistyped up to five times, an app whose key was changed
			// and that asks every quarter of an hour, a grant that ended, a link that is old.
			if rng.IntN(30) == 0 {
				at := within()
				for k := range 1 + rng.IntN(5) {
					action := []access.Action{access.InvitationsAccept, access.DevicesWrite}[rng.IntN(2)]
					add(at.Add(time.Duration(k)*15*time.Second), o.phone, refused(action, fault.NotFound, o.phone.id))
				}
			}
			if rng.IntN(100) == 0 {
				for k := range 64 {
					add(awake.Add(time.Duration(k)*15*time.Minute), o.app, refused(access.ReadingsRead, fault.Forbidden, o.phone.id))
				}
			}
			if rng.IntN(50) == 0 {
				at := within()
				for k := range 4 {
					add(at.Add(time.Duration(k)*time.Second), o.caregiver, refused(access.DaysRead, fault.NotFound, all[rng.IntN(owners)].phone.id))
				}
			}
			// Who is new brings what he has from before, in full uploads, as fast as he may.
			if rng.IntN(200) == 0 {
				at := within()
				for k := range 600 {
					upload(at.Add(time.Duration(k)*time.Second), 900+rng.IntN(100), 0)
				}
			}
			// A phone is new: it reads a month, and the last thirty recordings.
			if rng.IntN(200) == 0 {
				at := within()
				pages(at, o.phone, 95, access.ReadingsRead, "owner-reads")
				for k := range 30 {
					add(at.Add(time.Duration(k)*time.Second), o.phone, auditlog.Event{Action: string(access.RecordingsRead), Owner: o.phone.id, Recording: rand.Text()})
				}
			}
		}
		events = append(events, signIns(all[:], monday.AddDate(0, 0, day))...)
		slices.SortFunc(events, func(a, b sentinel.Event) int { return a.Time.Compare(b.Time) })
		total += len(events)
		w := newWorld(t) // windows do not reach over midnight, so no counter does
		for len(events) > 0 {
			n := min(len(events), 1+rng.IntN(200))
			w.now = events[n-1].Time.Add(streamTakes)
			require.NoError(t, w.sentinel.Watch(t.Context(), events[:n]))
			require.Empty(t, w.found, "%v: %v", w.now, w.audit.Events())
			events = events[n:]
		}
	}
	t.Logf("%d events of %d owners", total, owners)
}

// signIns is what the subscription passes on of a day at the user pools, which leaves out
// who is let in at once: once in a month somebody signs in anew, and of those many mistype,
// up to seven times, or forget the password; on the morning of the first day everybody of
// each tenth address signs in anew within half an hour, as after an outage.
func signIns(all []owner, midnight time.Time) (events []sentinel.Event) {
	rng := mathrand.New(mathrand.NewPCG(33, uint64(midnight.Unix()))) //nolint:gosec // for a test
	for i, o := range all {
		outage := midnight.Day() == 4 && i/20%10 == 0
		if !outage && rng.IntN(30) > 0 {
			continue
		}
		at := midnight.Add(7*time.Hour + time.Duration(rng.IntN(15*3600))*time.Second)
		if outage {
			at = midnight.Add(9*time.Hour + time.Duration(rng.IntN(1800))*time.Second)
		}
		tries := []sentinel.Attempt{}
		if rng.IntN(3) == 0 {
			tries = slices.Repeat([]sentinel.Attempt{sentinel.Refused}, 1+rng.IntN(7))
		}
		if rng.IntN(8) == 0 {
			tries = append(tries, sentinel.Forgotten)
		}
		for k, what := range tries {
			identity := o.phone.charged(false).Key
			events = append(events, sentinel.Event{Attempt: what, Event: auditlog.Event{ID: rand.Text(), Time: at.Add(time.Duration(k) * 15 * time.Second),
				Caller: identity, Charged: auditlog.Charged{Key: identity, Address: o.phone.address}}})
		}
	}
	return events
}

// newBytes is randomness for one id.
func newBytes(b []byte) *once { return &once{b} }

type once struct{ b []byte }

func (o *once) Read(p []byte) (int, error) { return copy(p, o.b), nil }
