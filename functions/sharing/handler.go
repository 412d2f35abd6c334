package main

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/edge"
	"fitvault/shared/fault"
	"fitvault/shared/openmhealth"
	"fitvault/shared/reading"
	"fitvault/shared/sharing"
)

const (
	scope   = "fitvault/sharing.manage"
	maxBody = 4 << 10

	grants    = "/users/{user}/grants"
	oneGrant  = "/users/{user}/grants/{id}"
	accept    = "/invitations/{code}/accept"
	sharedMe  = "/users/{user}/shared-with-me"
	apps      = "/users/{user}/apps"
	oneApp    = "/users/{user}/apps/{client}"
	sessions  = "/users/{user}/sessions"
	session   = "/users/{user}/sessions/{session}"
	settings  = "/users/{user}/settings"
	mediaType = "application/json"
)

type handler struct {
	store sharing.Store
	now   func() time.Time
	rand  io.Reader
}

func (h handler) routes() []edge.Route {
	with := func(method, resource string, action access.Action, handle edge.Handler) edge.Route {
		return edge.Route{Method: method, Resource: resource, Scope: scope, Action: action, Handle: handle}
	}
	body := func(r edge.Route) edge.Route {
		r.Types, r.MaxBody = []string{mediaType}, maxBody
		return r
	}
	return []edge.Route{
		body(with(http.MethodPost, grants, access.SharingGive, h.postGrant)),
		with(http.MethodGet, grants, access.SharingRead, h.getGrants),
		with(http.MethodDelete, oneGrant, access.SharingWithdraw, h.deleteGrant),
		body(with(http.MethodPost, accept, access.InvitationsAccept, h.accept)),
		with(http.MethodGet, sharedMe, access.SharingRead, h.getShared),
		with(http.MethodGet, apps, access.SharingRead, h.getApps),
		with(http.MethodGet, oneApp, access.SharingRead, h.getApp),
		body(with(http.MethodPut, oneApp, access.SharingGive, h.putApp)),
		with(http.MethodDelete, oneApp, access.SharingWithdraw, h.deleteApp),
		with(http.MethodGet, sessions, access.SharingRead, h.getSessions),
		with(http.MethodDelete, sessions, access.SharingWithdraw, h.deleteSessions),
		with(http.MethodDelete, session, access.SharingWithdraw, h.deleteSession),
		with(http.MethodGet, settings, access.SettingsRead, h.getSettings),
		body(with(http.MethodPut, settings, access.SettingsWrite, h.putSettings)),
	}
}

// permit is what somebody may do, as it is sent and answered.
type permit struct {
	Types   []string   `json:"types,omitempty"`
	Access  []string   `json:"access,omitempty"` // "read", "write"
	Purpose access.Use `json:"purpose,omitempty"`
	From    string     `json:"from,omitempty"` // from now where it is not sent
	Until   string     `json:"until,omitempty"`
}

func shown(p access.Permit) permit {
	out := permit{Purpose: p.Use, From: p.From.Format(time.RFC3339), Until: p.Until.Format(time.RFC3339), Types: names(p.Types)}
	if p.Read {
		out.Access = append(out.Access, "read")
	}
	if p.Write {
		out.Access = append(out.Access, "write")
	}
	return out
}

func names(types []reading.Type) []string {
	all := make([]string, len(types))
	for i, t := range types {
		all[i] = t.String()
	}
	return all
}

func wrong(pointer, rule string) error {
	return &fault.Error{Kind: fault.Invalid, Text: "a member against its rule", Items: []fault.Item{{Pointer: pointer, Rule: rule}}}
}

// decodePermit reads a permit that is to hold from now on.
func (h handler) decodePermit(body []byte) (access.Permit, error) {
	var in permit
	if err := edge.DecodeJSON(body, &in); err != nil {
		return access.Permit{}, err
	}
	p := access.Permit{Use: in.Purpose}
	var err error
	if p.Types, err = parseTypes(in.Types, "/types"); err != nil {
		return access.Permit{}, err
	}
	for _, way := range in.Access {
		switch {
		case way == "read" && !p.Read:
			p.Read = true
		case way == "write" && !p.Write:
			p.Write = true
		default:
			return access.Permit{}, wrong("/access", "enum")
		}
	}
	now := h.now()
	p.From = now
	if in.From != "" {
		if p.From, err = time.Parse(time.RFC3339, in.From); err != nil {
			return access.Permit{}, wrong("/from", "date-time")
		}
	}
	if p.Until, err = time.Parse(time.RFC3339, in.Until); err != nil {
		return access.Permit{}, wrong("/until", "date-time")
	}
	if !p.Until.After(now) || p.Until.After(now.Add(sharing.MaxPermit)) {
		return access.Permit{}, wrong("/until", "within-366-days")
	}
	if p.From.Before(now) { // nothing is permitted of what was; and the year 0 is no number of seconds
		p.From = now
	}
	return access.NewPermit(p)
}

// parseTypes reads types that there are, each once.
func parseTypes(in []string, pointer string) (all []reading.Type, err error) {
	if len(in) > access.MaxTypes {
		return nil, wrong(pointer, "count")
	}
	for _, name := range in {
		t, err := reading.ParseType(name)
		if err != nil || !known(t) {
			return nil, wrong(pointer, "known-type")
		}
		if slices.Contains(all, t) {
			return nil, wrong(pointer, "unique")
		}
		all = append(all, t)
	}
	slices.SortFunc(all, access.CompareTypes)
	return all, nil
}

func known(t reading.Type) bool {
	return t == access.Recording || openmhealth.Serves(t)
}

// list is the form of every list: each is bounded by what an account may have.
type list[T any] struct {
	Items []T `json:"items"`
}

func writeList[T any](w http.ResponseWriter, items []T) error {
	if items == nil {
		items = []T{}
	}
	return edge.WriteJSON(w, http.StatusOK, list[T]{items})
}

func noContent(w http.ResponseWriter) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// stored is a store's error as a caller is told it.
func stored(err error, of error, kind fault.Kind) error {
	if errors.Is(err, of) {
		return fault.New(kind, "not in the state that this needs")
	}
	return fault.Wrap(fault.Unavailable, "the accounts' table did not answer", err)
}

func (h handler) getSettings(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	if err := c.Audit(r.Context(), auditlog.Event{}); err != nil {
		return err
	}
	return writeSettings(w, c.Owner.Settings)
}

func writeSettings(w http.ResponseWriter, s access.Settings) error {
	return edge.WriteJSON(w, http.StatusOK, struct {
		Signed bool     `json:"signed_uploads"`
		Sealed []string `json:"sealed_uploads"`
	}{s.Signed, names(s.Sealed)})
}

func (h handler) putSettings(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	var in struct {
		Signed *bool     `json:"signed_uploads"`
		Sealed *[]string `json:"sealed_uploads"`
	}
	if err := edge.DecodeJSON(c.Body(), &in); err != nil {
		return err
	}
	if in.Signed == nil || in.Sealed == nil {
		return fault.New(fault.Invalid, "settings come whole")
	}
	sealed, err := parseTypes(*in.Sealed, "/sealed_uploads")
	if err != nil {
		return err
	}
	s := access.Settings{Signed: *in.Signed, Sealed: sealed}
	if err := c.Audit(r.Context(), auditlog.Event{Sharing: &auditlog.Sharing{Demands: s.Summary()}}); err != nil {
		return err
	}
	if err := h.store.PutSettings(r.Context(), c.Owner.User, s); err != nil {
		return stored(err, sharing.ErrNone, fault.Conflict)
	}
	return writeSettings(w, s)
}
