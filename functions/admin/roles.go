package main

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge"
	"fitvault/shared/fault"
)

// maxOrganisations keeps a caller's document small: it is read with every request.
const maxOrganisations = 10

// roles is the answer of both routes: what holds, and what a second administrator may
// make hold.
type roles struct {
	Subject       string        `json:"subject"`
	Pool          string        `json:"pool"`
	Roles         []access.Role `json:"roles"`
	Organisations []string      `json:"organisations"`
	Proposed      *proposed     `json:"proposed,omitempty"`
	Version       string        `json:"version"`
}

// proposed does not say who asked: who decides looks at what is asked for.
type proposed struct {
	Roles         []access.Role `json:"roles"`
	Organisations []string      `json:"organisations"`
	Until         string        `json:"until"`
	Yours         bool          `json:"yours"`
}

func (h handler) shown(subject, pool string, held access.Caller, asks access.Principal) roles {
	out := roles{Subject: subject, Pool: pool, Roles: append([]access.Role{}, held.Roles...), Organisations: append([]string{}, held.Organisations...),
		Version: held.Version(h.now())}
	if p := held.Proposed(h.now()); p != nil {
		out.Proposed = &proposed{Roles: append([]access.Role{}, p.Roles...), Organisations: append([]string{}, p.Organisations...),
			Until: p.Until.Format(time.RFC3339), Yours: p.By == access.IdentityKey(asks.Issuer, asks.Subject)}
	}
	return out
}

func (h handler) issuer(pool string) (string, bool) {
	issuer, ok := map[string]string{"people": h.people, "staff": h.staff}[pool]
	return issuer, ok
}

func (h handler) getRoles(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	subject, pool := c.Param("subject"), c.Query().Get("pool")
	issuer, ok := h.issuer(pool)
	if !ok {
		return fault.New(fault.BadRequest, "pool is neither people nor staff")
	}
	if err := c.Audit(r.Context(), auditlog.Event{About: access.IdentityKey(issuer, subject)}); err != nil {
		return err
	}
	found, err := h.memberships.Read(r.Context(), access.Keys{Issuer: issuer, Subject: subject})
	if err != nil {
		return err
	}
	var held access.Caller
	if found.Caller != nil {
		held = *found.Caller
	} else if pool == "people" {
		return fault.New(fault.NotFound, "nobody with an account")
	}
	return edge.WriteJSON(w, http.StatusOK, h.shown(subject, pool, held, c.Principal))
}

// putRoles replaces what an identity has. What is taken away goes from that identity's
// next request on: nothing that decides is cached. What would let in holds when a second
// administrator asks for the same; till then the answer is 202, and it opens nothing.
// Who has looked at something else is told so: what he sends says all that is to be, and
// would take back what he has not seen.
func (h handler) putRoles(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	var in struct {
		Pool          string         `json:"pool"`
		Roles         *[]access.Role `json:"roles"`
		Organisations *[]string      `json:"organisations"`
		Version       *string        `json:"version"`
	}
	if err := edge.DecodeJSON(c.Body(), &in); err != nil {
		return err
	}
	if in.Roles == nil || in.Organisations == nil || in.Version == nil {
		return fault.New(fault.Invalid, "body does not have the members asked for")
	}
	subject, wanted, organisations := c.Param("subject"), distinct(*in.Roles), distinct(*in.Organisations)
	issuer, ok := h.issuer(in.Pool)
	switch {
	case !ok:
		return wrong("/pool", "enum")
	case in.Pool == "people" && len(wanted) > 0:
		return wrong("/roles", "staff-only")
	case len(organisations) > maxOrganisations || slices.ContainsFunc(organisations, func(o string) bool { return !access.ValidOrganisation(o) }):
		return wrong("/organisations", "name")
	case issuer == c.Principal.Issuer && subject == c.Principal.Subject:
		return fault.New(fault.Forbidden, "nobody changes what he is himself")
	}
	if err := access.CheckRoles(wanted); err != nil {
		if fault.KindOf(err) == fault.Invalid {
			return wrong("/roles", "enum")
		}
		return err
	}
	found, err := h.memberships.Read(r.Context(), access.Keys{Issuer: issuer, Subject: subject})
	if err != nil {
		return err
	}
	var before access.Caller
	if found.Caller != nil {
		before = *found.Caller
	}
	if before.User.IsZero() == (in.Pool == "people") {
		return fault.New(fault.NotFound, "nobody with an account, or not of the staff")
	}
	now := h.now()
	if *in.Version != before.Version(now) {
		return fault.New(fault.Conflict, "the identity is not as it was seen")
	}
	after, confirmed := before.Change(wanted, organisations, access.IdentityKey(c.Principal.Issuer, c.Principal.Subject), now)
	event := auditlog.Event{About: access.IdentityKey(issuer, subject), Changes: append([]string{"pool=" + in.Pool}, changes("", after.Roles, after.Organisations)...)}
	if p := after.Proposal; p != nil {
		event.Changes = append(event.Changes, changes("proposed-", p.Roles, p.Organisations)...)
	}
	switch p := before.Proposed(now); {
	case p == nil || p == after.Proposal:
	case confirmed:
		event.Changes = append(event.Changes, changes("confirmed-", p.Roles, p.Organisations)...)
	default:
		event.Changes = append(event.Changes, changes("dropped-", p.Roles, p.Organisations)...)
	}
	if err := c.Audit(r.Context(), event); err != nil {
		return err
	}
	if err := h.memberships.PutMemberships(r.Context(), issuer, subject, before, after); err != nil {
		if errors.Is(err, dynamo.ErrConflict) {
			return fault.New(fault.Conflict, "the identity has changed meanwhile")
		}
		return err
	}
	status := http.StatusOK
	if after.Proposal != nil {
		status = http.StatusAccepted
	}
	return edge.WriteJSON(w, status, h.shown(subject, in.Pool, after, c.Principal))
}

// endSessions ends all sessions of a member of the staff, from his next request on: a
// lost laptop, or somebody who leaves. His roles stay; he can sign in again.
func (h handler) endSessions(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	subject := c.Param("subject")
	if err := c.Audit(r.Context(), auditlog.Event{About: access.IdentityKey(h.staff, subject), Changes: []string{"pool=staff", "sessions=ended"}}); err != nil {
		return err
	}
	found, err := h.memberships.Read(r.Context(), access.Keys{Issuer: h.staff, Subject: subject})
	if err != nil {
		return err
	}
	if found.Caller == nil {
		return fault.New(fault.NotFound, "nothing was said of this identity")
	}
	// A conflict is that somebody else has ended more: these too.
	if err := h.memberships.EndSessions(r.Context(), h.staff, subject, h.now().UTC().Truncate(time.Second)); err != nil && !errors.Is(err, dynamo.ErrConflict) {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// changes is roles and organisations in the words of an audit event.
func changes(how string, roles []access.Role, organisations []string) (all []string) {
	for _, role := range roles {
		all = append(all, how+"role="+string(role))
	}
	for _, name := range organisations {
		all = append(all, how+"organisation="+name)
	}
	return all
}

// distinct is a list in order, each once; not nil.
func distinct[S ~string](list []S) []S {
	list = append([]S{}, list...)
	slices.Sort(list)
	return slices.Compact(list)
}
