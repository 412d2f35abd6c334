package main

import (
	"errors"
	"net/http"
	"slices"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge"
	"fitvault/shared/fault"
)

// maxOrganisations keeps a caller's document small: it is read with every request.
const maxOrganisations = 10

// roles is the answer of both routes, and the body without the subject.
type roles struct {
	Subject       string        `json:"subject"`
	Pool          string        `json:"pool"`
	Roles         []access.Role `json:"roles"`
	Organisations []string      `json:"organisations"`
}

func (h handler) issuer(pool string) (string, bool) {
	issuer, ok := map[string]string{"people": h.people, "staff": h.staff}[pool]
	return issuer, ok
}

func (h handler) getRoles(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	out := roles{Subject: c.Param("subject"), Pool: c.Query().Get("pool"), Roles: []access.Role{}, Organisations: []string{}}
	issuer, ok := h.issuer(out.Pool)
	if !ok {
		return fault.New(fault.BadRequest, "pool is neither people nor staff")
	}
	if err := c.Audit(r.Context(), auditlog.Event{About: access.IdentityKey(issuer, out.Subject)}); err != nil {
		return err
	}
	found, err := h.memberships.Read(r.Context(), access.Keys{Issuer: issuer, Subject: out.Subject})
	switch {
	case err != nil:
		return err
	case found.Caller != nil:
		out.Roles = append(out.Roles, found.Caller.Roles...)
		out.Organisations = append(out.Organisations, found.Caller.Organisations...)
	case out.Pool == "people":
		return fault.New(fault.NotFound, "nobody with an account")
	}
	return edge.WriteJSON(w, http.StatusOK, out)
}

// putRoles replaces what an identity has. It holds from that identity's next request:
// nothing that decides is cached.
func (h handler) putRoles(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	var in struct {
		Pool          string         `json:"pool"`
		Roles         *[]access.Role `json:"roles"`
		Organisations *[]string      `json:"organisations"`
	}
	if err := edge.DecodeJSON(c.Body(), &in); err != nil {
		return err
	}
	if in.Roles == nil || in.Organisations == nil {
		return fault.New(fault.Invalid, "body does not have the members asked for")
	}
	out := roles{Subject: c.Param("subject"), Pool: in.Pool, Roles: distinct(*in.Roles), Organisations: distinct(*in.Organisations)}
	issuer, ok := h.issuer(in.Pool)
	switch {
	case !ok:
		return wrong("/pool", "enum")
	case in.Pool == "people" && len(out.Roles) > 0:
		return wrong("/roles", "staff-only")
	case len(out.Organisations) > maxOrganisations || slices.ContainsFunc(out.Organisations, func(o string) bool { return !access.ValidOrganisation(o) }):
		return wrong("/organisations", "name")
	case issuer == c.Principal.Issuer && out.Subject == c.Principal.Subject:
		return fault.New(fault.Forbidden, "nobody changes what he is himself")
	}
	if err := access.CheckRoles(out.Roles); err != nil {
		if fault.KindOf(err) == fault.Invalid {
			return wrong("/roles", "enum")
		}
		return err
	}
	event := auditlog.Event{About: access.IdentityKey(issuer, out.Subject), Changes: []string{"pool=" + in.Pool}}
	for _, role := range out.Roles {
		event.Changes = append(event.Changes, "role="+string(role))
	}
	for _, name := range out.Organisations {
		event.Changes = append(event.Changes, "organisation="+name)
	}
	if err := c.Audit(r.Context(), event); err != nil {
		return err
	}
	err := h.memberships.PutMemberships(r.Context(), issuer, out.Subject, in.Pool == "people", out.Roles, out.Organisations)
	if errors.Is(err, dynamo.ErrConflict) {
		return fault.New(fault.NotFound, "nobody with an account, or not of the staff")
	}
	if err != nil {
		return err
	}
	return edge.WriteJSON(w, http.StatusOK, out)
}

// distinct is a list in order, each once; not nil.
func distinct[S ~string](list []S) []S {
	list = append([]S{}, list...)
	slices.Sort(list)
	return slices.Compact(list)
}
