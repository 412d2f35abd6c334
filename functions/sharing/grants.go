package main

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/edge"
	"fitvault/shared/fault"
	"fitvault/shared/sharing"
)

// grant is a grant as its owner sees it: who has accepted it, or until when somebody can.
type grant struct {
	ID string `json:"id"`
	permit
	User         string `json:"user,omitempty"`
	Organisation string `json:"organisation,omitempty"`
	Expires      string `json:"expires,omitempty"` // of the invitation
	Code         string `json:"code,omitempty"`    // in the answer to its making only
}

func shownGrant(id string, g access.Grant) grant {
	out := grant{ID: id, permit: shown(g.Permit)}
	if name, organisation := strings.CutPrefix(g.To, access.OrganisationPrefix); organisation {
		out.Organisation = name
	} else {
		out.User = g.To
	}
	if !g.Invitation.IsZero() {
		out.Expires = g.Invitation.Format(time.RFC3339)
	}
	return out
}

// over reports whether a grant can open nothing any more.
func over(g access.Grant, now time.Time) bool {
	return !now.Before(g.Until) || g.To == "" && !now.Before(g.Invitation)
}

// postGrant makes a grant and the invitation to it. The code is shown here and never again.
func (h handler) postGrant(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	p, err := h.decodePermit(c.Body())
	if err != nil {
		return err
	}
	id, err := sharing.NewID(h.rand)
	if err != nil {
		return err
	}
	code, err := sharing.NewCode(h.rand)
	if err != nil {
		return err
	}
	now := h.now()
	g := access.Grant{Permit: p, Invitation: now.Add(sharing.InvitationLife).UTC().Truncate(time.Second)}
	if err := c.Audit(r.Context(), auditlog.Event{Sharing: &auditlog.Sharing{Grant: id, Permit: p.Summary()}}); err != nil {
		return err
	}
	// What is over makes room only where room is wanted: until then its owner sees it.
	types := c.Owner.TypesInAll() + len(p.Types)
	full := len(c.Owner.Grants) >= access.MaxGrants || types > access.MaxTypesInAll
	for old, held := range c.Owner.Grants {
		if full && over(held, now) {
			types -= len(held.Types)
			if err := h.store.RemoveGrant(r.Context(), c.Owner.User, old); err != nil && err != sharing.ErrNone { //nolint:errorlint // the store's own word
				return stored(err, sharing.ErrNone, fault.Conflict)
			}
		}
	}
	if types > access.MaxTypesInAll {
		return fault.New(fault.Conflict, "the account's grants and apps name as many types as they may")
	}
	err = h.store.AddGrant(r.Context(), id, g, code.Selector(),
		sharing.Invitation{Owner: c.Owner.User, Grant: id, Verifier: code.Hash(), Expires: g.Invitation})
	if err != nil {
		return stored(err, sharing.ErrFull, fault.Conflict)
	}
	out := shownGrant(id, g)
	out.Code = code.Text()
	return edge.WriteJSON(w, http.StatusCreated, out)
}

func (h handler) getGrants(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	if err := c.Audit(r.Context(), auditlog.Event{}); err != nil {
		return err
	}
	var all []grant
	for _, id := range slices.Sorted(maps.Keys(c.Owner.Grants)) {
		all = append(all, shownGrant(id, c.Owner.Grants[id]))
	}
	return writeList(w, all)
}

func (h handler) deleteGrant(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	id := c.Param("id")
	g, ok := c.Owner.Grants[id]
	if !ok {
		return fault.New(fault.NotFound, "no such grant")
	}
	if err := c.Audit(r.Context(), auditlog.Event{Sharing: &auditlog.Sharing{Grant: id, Grantee: g.To}}); err != nil {
		return err
	}
	if err := h.store.RemoveGrant(r.Context(), c.Owner.User, id); err != nil {
		return stored(err, sharing.ErrNone, fault.NotFound)
	}
	return noContent(w)
}

// accept makes the caller, or an organisation of his, the one who has a grant. Until
// the code has proved right, all codes are treated alike: the same two calls, an event
// and a try; and whatever fails is the same 404. Only then the owner's name is known here.
func (h handler) accept(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	var in struct {
		Organisation *string `json:"organisation"`
	}
	if err := edge.DecodeJSON(c.Body(), &in); err != nil {
		return err
	}
	to := c.Principal.User.String()
	if in.Organisation != nil {
		if !access.ValidOrganisation(*in.Organisation) {
			return wrong("/organisation", "organisation")
		}
		// Before the code is looked at, and alike for organisations that there are not.
		if !slices.Contains(c.Principal.Organisations, *in.Organisation) {
			return fault.New(fault.Forbidden, "not a member of this organisation")
		}
		to = access.OrganisationPrefix + *in.Organisation
	}
	ctx := r.Context()
	if err := c.Audit(ctx, auditlog.Event{Sharing: &auditlog.Sharing{Grantee: to}}); err != nil {
		return err
	}
	code, now := sharing.ParseCode(c.Param("code")), h.now()
	invitation, err := h.store.Try(ctx, code.Selector(), now)
	if err != nil && err != sharing.ErrNone { //nolint:errorlint // the store's own word
		return stored(err, sharing.ErrNone, fault.NotFound)
	}
	right := code.Matches(invitation.Verifier) // also where there is none
	if err != nil || !right || invitation.Owner == c.Principal.User {
		return h.refuse(c, r)
	}
	owners, err := h.store.Owners(ctx, []access.UserID{invitation.Owner})
	if err != nil {
		return stored(err, sharing.ErrNone, fault.NotFound)
	}
	owner := owners[invitation.Owner]
	g, found := owner.Grants[invitation.Grant]
	if !found || owner.State != access.Active || !owner.Consented(access.Sharing, now) {
		return h.refuse(c, r)
	}
	if err := c.Audit(ctx, auditlog.Event{Owner: owner.User.String(),
		Sharing: &auditlog.Sharing{Grant: invitation.Grant, Grantee: to, Permit: g.Summary()}}); err != nil {
		return err
	}
	switch err := h.store.Accept(ctx, code.Selector(), invitation, to, g.Until, now); err { //nolint:errorlint // the store's own word
	case nil:
	case sharing.ErrNone:
		return h.refuse(c, r)
	default:
		return stored(err, sharing.ErrNone, fault.NotFound)
	}
	g.To, g.Invitation = to, time.Time{}
	return edge.WriteJSON(w, http.StatusOK, shownShared(owner.User, invitation.Grant, g))
}

// refuse is how every code that opens nothing is answered.
func (h handler) refuse(c *edge.Call, r *http.Request) error {
	if err := c.Audit(r.Context(), auditlog.Event{Outcome: auditlog.Refused, Kind: string(fault.NotFound)}); err != nil {
		return err
	}
	return fault.New(fault.NotFound, "no invitation that this code opens")
}

// shared is a grant as the one who has it sees it.
type shared struct {
	Owner string `json:"owner"`
	ID    string `json:"id"`
	permit
	Organisation string `json:"organisation,omitempty"` // by which the caller has it
}

func shownShared(owner access.UserID, id string, g access.Grant) shared {
	organisation, _ := strings.CutPrefix(g.To, access.OrganisationPrefix)
	if organisation == g.To {
		organisation = ""
	}
	return shared{owner.String(), id, shown(g.Permit), organisation}
}

// getShared lists what the caller has, as the owners' documents say now: the list of
// what he once accepted only says where to look.
func (h handler) getShared(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	ctx, now := r.Context(), h.now()
	if err := c.Audit(ctx, auditlog.Event{}); err != nil {
		return err
	}
	names := []string{c.Principal.User.String()}
	for _, name := range c.Principal.Organisations {
		names = append(names, access.OrganisationPrefix+name)
	}
	type entry struct {
		sharing.Shared
		to string
	}
	var entries []entry
	var ids []access.UserID
	for _, to := range names {
		some, err := h.store.SharedWith(ctx, to, sharing.MaxShared-len(entries), now)
		if err != nil {
			return stored(err, sharing.ErrNone, fault.Unavailable)
		}
		for _, s := range some {
			entries = append(entries, entry{s, to})
			if !slices.Contains(ids, s.Owner) {
				ids = append(ids, s.Owner)
			}
		}
		if len(entries) == sharing.MaxShared {
			break
		}
	}
	owners, err := h.store.Owners(ctx, ids)
	if err != nil {
		return stored(err, sharing.ErrNone, fault.Unavailable)
	}
	var all []shared
	for _, e := range entries {
		owner := owners[e.Owner]
		g, ok := owner.Grants[e.Grant]
		if ok && g.To == e.to && holds(owner, g.Permit, now) {
			all = append(all, shownShared(e.Owner, e.Grant, g))
		}
	}
	return writeList(w, all)
}

// holds reports whether a permit opens something now, or will: who may not see
// the account is not told of it, as Cedar would say.
func holds(o access.Owner, p access.Permit, now time.Time) bool {
	return o.State == access.Active && o.Consented(access.Sharing, now) && now.Before(p.Until) &&
		(p.Use != access.Study || o.Consented(access.Research, now))
}
