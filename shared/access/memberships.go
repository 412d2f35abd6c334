package access

import (
	"slices"
	"time"

	"fitvault/shared/redact"
)

// ProposalLasts is how long an addition waits for a second administrator.
const ProposalLasts = 7 * 24 * time.Hour

// Proposal is what one administrator would add to an identity. It opens nothing: it
// holds when another administrator asks for the same.
type Proposal struct {
	redact.Mark
	Roles         []Role   // sorted
	Organisations []string // sorted
	By            string   // IdentityKey of who asked
	Until         time.Time
}

// Proposed is the proposal that waits for a second administrator; nil where there is
// none, or none any more.
func (c Caller) Proposed(now time.Time) *Proposal {
	if c.Proposal == nil || !now.Before(c.Proposal.Until) {
		return nil
	}
	return c.Proposal
}

// Version names what an administrator sees of a caller, in 43 characters: it is another
// one when roles, organisations or proposal are others. It says nothing of who asked.
func (c Caller) Version(now time.Time) string {
	var parts []string
	add := func(how string, roles []Role, organisations []string) {
		for _, r := range roles {
			parts = append(parts, how+"role="+string(r))
		}
		for _, o := range organisations {
			parts = append(parts, how+"organisation="+o)
		}
	}
	add("", c.Roles, c.Organisations)
	if p := c.Proposed(now); p != nil {
		add("proposed-", p.Roles, p.Organisations)
		parts = append(parts, "until="+p.Until.UTC().Format(time.RFC3339))
	}
	return hashed(parts...)
}

// Change is what a caller becomes when the administrator by asks that he have exactly
// these roles and organisations, both sorted. What is taken away goes at once. What
// would let in is added on the word of two: the first one's is the new caller's
// Proposal, and the second one's, who asks for the same additions, makes them hold
// (confirmed). Whatever else is asked for takes the place of a proposal.
//
// Organisations of the staff open no reading: they are the names under which a maker
// registers trackers, and one is enough.
//
// Who loses a role loses his sessions: what he is signed in to was begun as who he was.
func (c Caller) Change(roles []Role, organisations []string, by string, now time.Time) (after Caller, confirmed bool) {
	asked := Proposal{By: by, Until: now.Add(ProposalLasts).UTC().Truncate(time.Second)}
	after.User, after.SessionsFrom = c.User, c.SessionsFrom
	if slices.ContainsFunc(c.Roles, func(r Role) bool { return !slices.Contains(roles, r) }) {
		after.SessionsFrom = now.UTC().Truncate(time.Second)
	}
	after.Roles, asked.Roles = parted(roles, c.Roles)
	after.Organisations = organisations
	if !c.User.IsZero() {
		after.Organisations, asked.Organisations = parted(organisations, c.Organisations)
	}
	if len(asked.Roles) == 0 && len(asked.Organisations) == 0 {
		return after, false
	}
	switch first := c.Proposed(now); {
	case first == nil, !slices.Equal(first.Roles, asked.Roles), !slices.Equal(first.Organisations, asked.Organisations):
		after.Proposal = &asked
	case first.By == by: // one person is not two, and does not wait longer either
		after.Proposal = first
	default:
		after.Roles, after.Organisations, confirmed = roles, organisations, true
	}
	return after, confirmed
}

// parted is what of a list is held already, and what is not.
func parted[S ~string](list, held []S) (kept, added []S) {
	for _, s := range list {
		if slices.Contains(held, s) {
			kept = append(kept, s)
		} else {
			added = append(added, s)
		}
	}
	return kept, added
}
