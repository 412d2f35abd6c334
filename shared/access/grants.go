package access

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"fitvault/shared/fault"
	"fitvault/shared/reading"
	"fitvault/shared/redact"
)

// How many of each an account may have: the owner's document is read with every
// request, and shall stay small. With names as long as they may be it is 16 KB at most
// (shared/dynamo, TestLargestOwner), and a family's a few.
const (
	MaxGrants   = 20
	MaxApps     = 10
	MaxTrackers = 8
	MaxTypes    = 24 // of one permit, and of the settings
	// MaxTypesInAll is of all grants and apps together. It is counted before a change, so
	// that of several at once each may fit; the other bounds hold whatever happens.
	MaxTypesInAll = 240
)

// TypesInAll is how many types an owner's grants and apps name together.
func (o Owner) TypesInAll() (n int) {
	for _, g := range o.Grants {
		n += len(g.Types)
	}
	for _, p := range o.Apps {
		n += len(p.Types)
	}
	return n
}

// Recording is the type that recordings have in permits; a document is shared
// whole or not at all.
var Recording = reading.Type{Namespace: "fitvault", Name: "recording"}

// trackpoint is what days call the trackpoints of recordings.
var trackpoint = reading.Type{Namespace: "fitvault", Name: "trackpoint"}

// PermittedAs is the type under which data of a type is permitted.
func PermittedAs(t reading.Type) reading.Type {
	if t == trackpoint {
		return Recording
	}
	return t
}

// Use is what somebody else may use data for.
type Use string

const (
	Care     Use = "care"
	Family   Use = "family"
	Training Use = "training"
	Study    Use = "research" // needs the owner's consent to Research too
)

// Uses is every use.
var Uses = []Use{Care, Family, Training, Study}

// Permit is what an owner lets somebody else do: with data of these types, for
// one use, for a time.
type Permit struct {
	redact.Mark
	Types       []reading.Type // sorted, at least one
	Read, Write bool           // at least one
	Use         Use
	From, Until time.Time // From ≤ now < Until, in whole seconds
}

// NewPermit returns p with its types in order, or a fault.Invalid with the member
// that is wrong.
func NewPermit(p Permit) (Permit, error) {
	wrong := func(member, rule string) (Permit, error) {
		return Permit{}, &fault.Error{Kind: fault.Invalid, Text: "permit", Items: []fault.Item{{Pointer: "/" + member, Rule: rule}}}
	}
	p.Types = slices.Clone(p.Types)
	slices.SortFunc(p.Types, CompareTypes)
	p.Types = slices.Compact(p.Types)
	p.From, p.Until = p.From.UTC().Truncate(time.Second), p.Until.UTC().Truncate(time.Second)
	switch {
	case len(p.Types) == 0 || len(p.Types) > MaxTypes:
		return wrong("types", "count")
	case !p.Read && !p.Write:
		return wrong("access", "required")
	case !slices.Contains(Uses, p.Use):
		return wrong("purpose", "enum")
	case !p.Until.After(p.From):
		return wrong("until", "after-from")
	}
	return p, nil
}

// Summary is the permit in one line, for the audit trail: "read omh:step-count for
// family, 2026-05-04T05:25:00Z to 2026-06-04T05:25:00Z". It holds nothing that was measured.
func (p Permit) Summary() string {
	var what []string
	if p.Read {
		what = append(what, "read")
	}
	if p.Write {
		what = append(what, "write")
	}
	return strings.Join(what, " and ") + " " + joinTypes(p.Types) + " for " + string(p.Use) + ", " +
		p.From.UTC().Format(time.RFC3339) + " to " + p.Until.UTC().Format(time.RFC3339)
}

func joinTypes(all []reading.Type) string {
	names := make([]string, len(all))
	for i, t := range all {
		names[i] = t.String()
	}
	return strings.Join(names, " ")
}

// CompareTypes orders types by their text.
func CompareTypes(a, b reading.Type) int {
	switch x, y := a.String(), b.String(); {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// Grant lets a person or an organisation do what its permit says.
type Grant struct {
	Permit
	// To is who has accepted it: a user's id, or OrganisationPrefix and an
	// organisation's name. "" as long as nobody has: then it opens nothing.
	To string
	// Invitation is until when it can be accepted; zero of one that somebody has accepted.
	Invitation time.Time
}

// OrganisationPrefix stands before an organisation's name in Grant.To; no user id has it.
const OrganisationPrefix = "organisation#"

var organisationGrammar = regexp.MustCompile(`^[a-z][a-z0-9-]{1,40}$`)

// ValidOrganisation reports whether s can be an organisation's name.
func ValidOrganisation(s string) bool { return organisationGrammar.MatchString(s) }

// Tracker is a tracker that is paired with an account.
type Tracker struct {
	redact.Mark
	Pairing string // random name of this pairing
	Key     []byte // the tracker's P-256 public key, compressed
	Name    string // as its owner calls it
	State   State  // Active or Lost
	Since   time.Time
}

// Lost is the State of a tracker that its owner has lost: nothing more is taken from it.
const Lost State = "lost"

// Settings is what an owner demands of uploads.
type Settings struct {
	Signed bool           // only payloads that a paired tracker has signed
	Sealed []reading.Type // only encrypted by the client for the service; sorted
}

// Summary is the settings in one line, for the audit trail.
func (s Settings) Summary() string {
	signed := "unsigned"
	if s.Signed {
		signed = "signed"
	}
	return signed + ", sealed: " + joinTypes(s.Sealed)
}

// Role is what a member of the staff is.
type Role string

const (
	Administrator   Role = "administrator"
	Auditor         Role = "auditor"
	Analyst         Role = "analyst"
	FirmwareManager Role = "firmware-manager"
	Maker           Role = "maker" // makes trackers, and registers them
)

// Roles is every role.
var Roles = []Role{Administrator, Auditor, Analyst, FirmwareManager, Maker}

// CheckRoles refuses roles that are none, and those that one person must not have
// together: who watches does not act.
func CheckRoles(roles []Role) error {
	for _, r := range roles {
		if !slices.Contains(Roles, r) {
			return fault.New(fault.Invalid, "no such role")
		}
	}
	if slices.Contains(roles, Auditor) && (slices.Contains(roles, Administrator) || slices.Contains(roles, FirmwareManager)) {
		return fault.New(fault.Conflict, "an auditor is neither administrator nor firmware manager")
	}
	return nil
}
