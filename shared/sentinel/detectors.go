package sentinel

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/fault"
	"fitvault/shared/limit"
)

// Detector finds one pattern: so many things of a kind, of one subject, in a window.
// Windows begin at fixed times, so twice as many may pass around such a time, in
// none of the two found.
type Detector struct {
	Name   string
	Window time.Duration
	Most   int           // the number that is a finding
	Hold   time.Duration // how long whoever it was has to wait
	when   func(Event) bool
	sees   func(Event) sight // of an event when it counts
}

// sight is what a detector sees in an event.
type sight struct {
	subject string // whose counter
	what    string // the thing that counts once
	weight  int
	targets []target       // who would wait
	event   auditlog.Event // whom a finding's event is about
}

// target is a bucket of a limiter.
type target struct{ key, bucket string }

// nobody is the target where there is nobody to wait.
var nobody = target{}

// name stands for a target in a counter.
func (t target) name() string {
	h := sha256.Sum256([]byte(t.key + "\x00" + t.bucket))
	return base64.RawURLEncoding.EncodeToString(h[:9])
}

// detectors is all of them. Their numbers stand in thresholds.json.
var detectors = configured(thresholds, []Detector{
	// A caller who is known, and is refused again and again: an API key that is not his
	// app's, a session that has ended, what he may not, what there is not.
	{Name: "failures", when: func(e Event) bool {
		return e.Outcome == auditlog.Refused && e.Action != auditlog.Authenticate && refusals[fault.Kind(e.Kind)]
	}, sees: func(e Event) sight {
		return sight{subject: e.Caller, what: e.ID, targets: signIn(e), event: his(e)}
	}},
	// An address that failed to be anybody more often than its limit: edge says so once a
	// minute. It waits for its failures only; who has a good token there goes on.
	{Name: "address-failures", when: func(e Event) bool {
		return e.Action == auditlog.Authenticate && e.Charged.Address != ""
	}, sees: func(e Event) sight {
		return sight{subject: e.Charged.Address, what: e.ID, targets: address(e)}
	}},
	// One address at which many are refused: tokens that were stolen, tried one after the
	// other, or at a user pool names with their passwords. Those sign-ins wait, and the
	// address for what it fails; whose name it was at a pool has no part in it.
	{Name: "many-accounts", when: func(e Event) bool {
		refused := e.Outcome == auditlog.Refused && (e.Kind == string(fault.Unauthenticated) || e.Kind == string(fault.Forbidden))
		return e.Caller != "" && e.Charged.Address != "" && (refused || e.Attempt == Refused || e.Attempt == Forgotten)
	}, sees: func(e Event) sight {
		return sight{subject: e.Charged.Address, what: e.Caller, targets: append(address(e), signIn(e)...)}
	}},
	// A caller who asks for accounts of others that he is refused: which are there?
	{Name: "probing", when: func(e Event) bool {
		return e.Outcome == auditlog.Refused && others(e)
	}, sees: func(e Event) sight {
		return sight{subject: e.Caller, what: e.Owner, targets: signIn(e), event: his(e)}
	}},
	// A person who goes through the accounts that he may read. A system may: each owner
	// has let it in.
	{Name: "harvest", when: func(e Event) bool {
		return reads(e) && others(e) && e.Charged.Device != ""
	}, sees: func(e Event) sight {
		return sight{subject: e.Caller, what: e.Owner, targets: caller(e), event: his(e)}
	}},
	// Somebody else, or an app that is not ours, reads one account page after page.
	{Name: "bulk-reading", when: func(e Event) bool {
		return reads(e) && (others(e) || byApp(e))
	}, sees: func(e Event) sight {
		return sight{subject: e.Caller + " " + e.Client + " " + e.Owner, what: e.ID, targets: caller(e), event: about(e)}
	}},
	// A sign-in, or a system for one owner, that sends little again and again. Full uploads
	// are how somebody brings what he has from before; how many of those, limits say.
	{Name: "excessive-sync", when: func(e Event) bool {
		return e.Outcome == auditlog.Allowed && e.Action == string(access.ReadingsWrite) && e.Records < fullUpload
	}, sees: func(e Event) sight {
		return sight{subject: e.Charged.Key + " " + e.Charged.Device + " " + e.Owner, what: e.ID, targets: signIn(e), event: about(e)}
	}},
	// A tracker whose signed uploads hold what no schema takes: its firmware measures and
	// writes the same each time, so this is another's hand, or broken.
	{Name: "unmeasurable", when: func(e Event) bool {
		return e.Outcome == auditlog.Allowed && e.Action == string(access.ReadingsWrite) && e.Device != "" && e.Rejected > 0
	}, sees: func(e Event) sight {
		return sight{subject: e.Device + " " + e.Owner, what: e.ID, weight: e.Rejected, targets: signIn(e), event: about(e)}
	}},
	// One name at a user pool whose password is tried. The address waits, not he: anybody
	// can try the password of somebody whose e-mail address he knows.
	{Name: "password-guesses", when: func(e Event) bool { return e.Attempt == Refused }, sees: func(e Event) sight {
		return sight{subject: e.Caller, what: e.ID, targets: address(e), event: named(e)}
	}},
	// Somebody whom a user pool lets in and takes for another. He has the password, so here
	// the person waits, and is told.
	{Name: "takeovers", when: func(e Event) bool { return e.Attempt == Doubtful }, sees: func(e Event) sight {
		return sight{subject: e.Caller, what: e.ID, targets: append(address(e), target{e.Charged.Key, limit.User}), event: named(e)}
	}},
	// Invitations and pairings: codes that open nothing.
	{Name: "guesses", when: func(e Event) bool {
		return e.Outcome == auditlog.Refused && guesses[access.Action(e.Action)] && e.Kind == string(fault.NotFound)
	}, sees: func(e Event) sight {
		return sight{subject: e.Caller, what: e.ID, targets: signIn(e), event: his(e)}
	}},
	// Somebody who takes whole recordings out, one after the other: also the owner, whose
	// sign-in may be another's by now.
	{Name: "exports", when: func(e Event) bool {
		return e.Outcome == auditlog.Allowed && e.Action == string(access.RecordingsRead) && e.Recording != ""
	}, sees: func(e Event) sight {
		return sight{subject: e.Charged.Key, what: e.Recording, targets: caller(e), event: about(e)}
	}},
	// Somebody takes events away, or rewrites them, before the log has them. No function may.
	{Name: "log-gaps", when: func(e Event) bool { return e.Gap }, sees: func(e Event) sight {
		return sight{subject: e.Owner, what: e.ID, event: about(e)}
	}},
	// Refusals by the gateway, which no function sees and which name nobody: by app.
	{Name: "gateway-refusals", when: func(e Event) bool { return e.Gateway != nil }, sees: func(e Event) sight {
		return sight{subject: e.Gateway.Key, what: e.ID, weight: e.Gateway.Count, event: auditlog.Event{About: e.Gateway.Key}}
	}},
	// What runs by a schedule fails each time that it is tried.
	{Name: "failing-schedules", when: func(e Event) bool { return e.Failed != "" }, sees: func(e Event) sight {
		return sight{subject: e.Failed, what: e.ID, event: auditlog.Event{About: e.Failed}}
	}},
})

// refusals are what counts as a failure of a caller: not what a form got wrong.
var refusals = map[fault.Kind]bool{fault.Unauthenticated: true, fault.Forbidden: true, fault.NotFound: true, fault.SignatureRefused: true}

var guesses = map[access.Action]bool{access.InvitationsAccept: true, access.DevicesWrite: true}

// reads is about an account's data.
func reads(e Event) bool {
	a := access.Action(e.Action)
	return e.Outcome == auditlog.Allowed && (a == access.ReadingsRead || a == access.RecordingsRead || a == access.DaysRead)
}

// fullUpload is what an upload that waited for something to send has.
const fullUpload = 50 // readings

// others reports whether an event is about an account that is not the caller's own.
func others(e Event) bool { return e.Owner != "" && e.Caller != "" && e.Owner != e.Caller }

// byApp reports whether an app decided that is not ours: policies say so.
func byApp(e Event) bool {
	return slices.ContainsFunc(e.Reasons, func(id string) bool { return strings.HasPrefix(id, "app-") || strings.HasSuffix(id, "-by-app") })
}

// caller is who waits for what he took. On his own account only the sign-in does: an app
// that he let in, or who has stolen a token, must not shut him out of his other
// devices. For what was read of somebody else's the person waits, on all of them. Not for
// what was refused or sent: any app of his can ask for accounts that he has nothing to do
// with. Who goes on with another sign-in is held at his next step, his counter being full.
func caller(e Event) []target {
	all := signIn(e)
	if e.Charged.Device != "" && others(e) {
		all = append(all, target{e.Charged.Key, limit.User})
	}
	return all
}

// signIn is the caller's; a system has none, and waits as a whole. At a user pool nobody
// is signed in yet: whose name it was waits for nothing.
func signIn(e Event) []target {
	if e.Attempt != "" {
		return nil
	}
	if e.Charged.Device == "" {
		return []target{{e.Charged.Key, limit.User}}
	}
	return []target{{e.Charged.Key, e.Charged.Device}}
}

// address is the failures from one, where it is known.
func address(e Event) []target {
	if e.Charged.Address == "" {
		return nil
	}
	return []target{{limit.AddressPrefix + e.Charged.Address, limit.Address}}
}

// about is a finding's event that the owner of the account sees, with who it was.
func about(e Event) auditlog.Event {
	return auditlog.Event{Caller: e.Caller, Client: e.Client, Owner: e.Owner, Device: e.Device, Pairing: e.Pairing}
}

// his is one that the caller sees, if he has an account.
func his(e Event) auditlog.Event {
	f := auditlog.Event{Caller: e.Caller, Client: e.Client}
	if _, err := access.ParseUserID(e.Caller); err == nil {
		f.Owner = e.Caller
	}
	return f
}

// named is one about whom somebody said to be at a user pool. A name that nobody has
// there is no one, and stands nowhere.
func named(e Event) (f auditlog.Event) {
	if strings.HasPrefix(e.Caller, access.IdentityPrefix) {
		f.About = e.Caller
	}
	return f
}

//go:embed thresholds.json
var thresholds []byte

// configured gives detectors their numbers. It panics where the two do not fit: what is
// embedded is code.
func configured(text []byte, all []Detector) []Detector {
	var numbers map[string]struct {
		Window, Hold string
		Most         int
	}
	if err := json.Unmarshal(text, &numbers); err != nil || len(numbers) != len(all) {
		panic("sentinel: thresholds are not those of the detectors")
	}
	for i := range all {
		d := &all[i]
		n, ok := numbers[d.Name]
		window, err1 := time.ParseDuration(n.Window)
		hold, err2 := time.ParseDuration(n.Hold)
		if !ok || err1 != nil || err2 != nil || window < time.Minute || window > oldest || hold < time.Minute || hold > limit.MaxHold || n.Most < 1 {
			panic(fmt.Sprintf("sentinel: thresholds of %s", d.Name))
		}
		d.Window, d.Most, d.Hold = window, n.Most, hold
	}
	return all
}
