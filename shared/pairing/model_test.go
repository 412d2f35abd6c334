package pairing_test

import (
	"flag"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"fitvault/shared/access"
	"fitvault/shared/pairing"
	"fitvault/shared/pairing/pairingtest"
	"fitvault/shared/pairing/tracker"
)

// model is what pairing promises, in a few lines: who has which tracker, and which
// conversation may still end well.
type model struct {
	owner      [2]int // of each tracker; -1: nobody
	state      [2]pairing.State
	generation [2]int // counts the keys that were paired
	tries      map[[2]int]window
	talks      []*talk
}

type window struct {
	used  int
	until time.Time
}

// talk is a pairing that was begun.
type talk struct {
	begun      pairing.Begun
	answer     []byte
	who, which int
	generation int           // of the registration then
	was        pairing.State // of the tracker then
	tries      int
	used       bool
}

// TestInterleavings: 1,000 random orders of what people, phones, trackers and the
// clock do, each step as the model says.
func TestInterleavings(t *testing.T) {
	before := flag.Lookup("rapid.checks").Value.String()
	require.NoError(t, flag.Set("rapid.checks", "1000"))
	defer func() { _ = flag.Set("rapid.checks", before) }()
	base := newWorld(t) // the authority is made once
	rapid.Check(t, func(rt *rapid.T) {
		w := *base
		w.store = &pairingtest.Store{}
		service := *base.Service
		service.Store, service.Now = w.store, w.clock
		w.Service = &service
		people := []access.UserID{user(t), user(t), user(t)}
		trackers := []*tracker.Tracker{w.made(t, "1"), w.made(t, "2")}
		codes := []pairing.Code{press(rt, trackers[0]).Code, press(rt, trackers[1]).Code} // on the box
		m := model{owner: [2]int{-1, -1}, state: [2]pairing.State{pairing.New, pairing.New}, tries: map[[2]int]window{}}
		who := rapid.IntRange(0, len(people)-1)
		which := rapid.IntRange(0, len(trackers)-1)

		rt.Repeat(map[string]func(*rapid.T){
			"begin": func(rt *rapid.T) {
				p, d := who.Draw(rt, "who"), which.Draw(rt, "which")
				r := press(rt, trackers[d])
				right := r.Code
				switch rapid.SampledFrom([]string{"code", "code", "box", "other"}).Draw(rt, "code") {
				case "box":
					r.Code = codes[d]
				case "other":
					r.Code = codes[1-d]
				}
				tries := m.tries[[2]int{p, d}]
				if !w.now.Before(tries.until) {
					tries = window{until: w.now.Add(pairing.TriesWindow)}
				}
				left := tries.used < pairing.Tries
				if left {
					tries.used++
				}
				m.tries[[2]int{p, d}] = tries
				ok := left && r.Code == right && (m.state[d] == pairing.New || m.state[d] == pairing.Retired && r.Reset != nil)
				b, err := w.Begin(t.Context(), people[p], r, w.record)
				require.Equal(rt, ok, err == nil)
				if err != nil {
					refused(t, err)
					return
				}
				talk := &talk{begun: b, who: p, which: d, generation: m.generation[d], was: m.state[d]}
				m.talks = append(m.talks, talk)
				if rapid.Bool().Draw(rt, "told at once") {
					talk.answer, err = trackers[d].Answer(b.Message, b.Signature, b.Certificate)
					require.NoError(rt, err)
				}
			},
			"tell the tracker": func(rt *rapid.T) {
				if len(m.talks) == 0 {
					rt.Skip()
				}
				talk := rapid.SampledFrom(m.talks).Draw(rt, "talk")
				tr := trackers[rapid.SampledFrom([]int{talk.which, talk.which, 1 - talk.which}).Draw(rt, "tracker")]
				answer, err := tr.Answer(talk.begun.Message, talk.begun.Signature, talk.begun.Certificate)
				if err == nil {
					require.Equal(rt, trackers[talk.which].ID, tr.ID)
					talk.answer = answer
				}
			},
			"confirm": func(rt *rapid.T) {
				if len(m.talks) == 0 {
					rt.Skip()
				}
				asked, said := rapid.SampledFrom(m.talks).Draw(rt, "talk"), rapid.SampledFrom(m.talks).Draw(rt, "answer")
				if rapid.Bool().Draw(rt, "straight") {
					said = asked
				}
				p := rapid.SampledFrom([]int{asked.who, asked.who, 0, 1, 2}).Draw(rt, "who")
				open := !asked.used && asked.tries < pairing.Tries && w.now.Before(asked.begun.Expires)
				if open && p == asked.who {
					asked.tries++
				}
				d := asked.which
				ok := open && p == asked.who && said == asked && said.answer != nil &&
					m.state[d] == asked.was && m.generation[d] == asked.generation
				_, _, err := w.Confirm(t.Context(), people[p], asked.begun.Pairing, said.answer, w.record)
				require.Equal(rt, ok, err == nil)
				if err != nil {
					refused(t, err)
					return
				}
				asked.used = true
				m.owner[d], m.state[d] = p, pairing.Paired
				m.generation[d]++
				require.NoError(rt, trackers[d].Done(asked.begun.Pairing.String()))
			},
			"unpair": func(rt *rapid.T) {
				p, d := who.Draw(rt, "who"), which.Draw(rt, "which")
				id := registrationID(rt, trackers[d])
				name := pairing.ID{}
				if held, ok := w.store.Trackers(people[p])[id.String()]; ok {
					var err error
					name, err = pairing.ParseID(held.Pairing)
					require.NoError(rt, err)
				}
				done, err := w.store.Unpair(t.Context(), people[p], id, name)
				require.NoError(rt, err)
				require.Equal(rt, m.owner[d] == p, done)
				if done {
					m.owner[d], m.state[d] = -1, pairing.Retired
				}
			},
			"reset": func(rt *rapid.T) {
				d := which.Draw(rt, "which")
				if m.state[d] == pairing.New {
					rt.Skip() // its label would be another; TestReset has it
				}
				require.NoError(rt, trackers[d].Reset())
			},
			"time passes": func(rt *rapid.T) {
				w.now = w.now.Add(rapid.SampledFrom([]time.Duration{time.Second, time.Second, pairing.Life / 2, pairing.TriesWindow}).Draw(rt, "time"))
			},
			"": func(rt *rapid.T) {
				for d, tr := range trackers {
					var want []access.UserID
					if m.owner[d] >= 0 {
						want = []access.UserID{people[m.owner[d]]}
					}
					require.Equal(rt, want, w.store.Owners(registrationID(rt, tr)))
				}
			},
		})
	})
}

func registrationID(t require.TestingT, tr *tracker.Tracker) pairing.DeviceID {
	id, err := pairing.ParseDeviceID(tr.ID)
	require.NoError(t, err)
	return id
}
