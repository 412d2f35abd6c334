package main

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/edge"
	"fitvault/shared/fault"
	"fitvault/shared/sharing"
)

const (
	scopeRead  = "fitvault/readings.read"
	scopeWrite = "fitvault/readings.write"
)

// authorisation is what an owner lets an app do.
type authorisation struct {
	Client string `json:"client"`
	permit
}

// app is what an owner is asked to agree to, and what he has agreed to.
type app struct {
	Client        string         `json:"client"`
	Name          string         `json:"name,omitempty"`
	Kind          access.AppKind `json:"kind"`
	Scopes        []string       `json:"scopes"` // what it may ask for at all
	Authorisation *permit        `json:"authorisation,omitempty"`
}

func (h handler) getApps(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	if err := c.Audit(r.Context(), auditlog.Event{}); err != nil {
		return err
	}
	var all []authorisation
	for _, client := range slices.Sorted(maps.Keys(c.Owner.Apps)) {
		all = append(all, authorisation{client, shown(c.Owner.Apps[client])})
	}
	return writeList(w, all)
}

// registered is an app that an owner can let in: ours needs no word of his, and the
// staff's gets none.
func (h handler) registered(r *http.Request, client string) (*access.App, error) {
	found, err := h.store.App(r.Context(), client)
	if err != nil {
		return nil, stored(err, sharing.ErrNone, fault.NotFound)
	}
	if found == nil || found.State != access.Active || found.Kind != access.ThirdPartyApp && found.Kind != access.SystemApp {
		return nil, fault.New(fault.NotFound, "no such app")
	}
	return found, nil
}

func (h handler) getApp(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	client := c.Param("client")
	found, err := h.registered(r, client)
	if err != nil {
		return err
	}
	if err := c.Audit(r.Context(), auditlog.Event{Sharing: &auditlog.Sharing{App: client}}); err != nil {
		return err
	}
	return writeApp(w, *found, c.Owner.Apps)
}

func writeApp(w http.ResponseWriter, found access.App, authorised map[string]access.Permit) error {
	out := app{Client: found.Client, Name: found.Name, Kind: found.Kind, Scopes: slices.Sorted(slices.Values(found.Scopes))}
	if p, ok := authorised[found.Client]; ok {
		s := shown(p)
		out.Authorisation = &s
	}
	return edge.WriteJSON(w, http.StatusOK, out)
}

func (h handler) putApp(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	p, err := h.decodePermit(c.Body())
	if err != nil {
		return err
	}
	client := c.Param("client")
	found, err := h.registered(r, client)
	if err != nil {
		return err
	}
	if p.Read && !slices.Contains(found.Scopes, scopeRead) || p.Write && !slices.Contains(found.Scopes, scopeWrite) {
		return wrong("/access", "within-registration")
	}
	if c.Owner.TypesInAll()-len(c.Owner.Apps[client].Types)+len(p.Types) > access.MaxTypesInAll {
		return fault.New(fault.Conflict, "the account's grants and apps name as many types as they may")
	}
	if err := c.Audit(r.Context(), auditlog.Event{Sharing: &auditlog.Sharing{App: client, Permit: p.Summary()}}); err != nil {
		return err
	}
	if err := h.store.PutApp(r.Context(), c.Owner.User, client, p); err != nil {
		return stored(err, sharing.ErrFull, fault.Conflict)
	}
	return writeApp(w, *found, map[string]access.Permit{client: p})
}

// deleteApp shuts an app out whatever has become of it.
func (h handler) deleteApp(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	client := c.Param("client")
	if _, ok := c.Owner.Apps[client]; !ok {
		return fault.New(fault.NotFound, "app was not authorised")
	}
	if err := c.Audit(r.Context(), auditlog.Event{Sharing: &auditlog.Sharing{App: client}}); err != nil {
		return err
	}
	if err := h.store.RemoveApp(r.Context(), c.Owner.User, client); err != nil {
		return stored(err, sharing.ErrNone, fault.NotFound)
	}
	return noContent(w)
}

// signedIn is one sign-in of the caller.
type signedIn struct {
	ID       string `json:"id"`
	Client   string `json:"client"`
	SignedIn string `json:"signed_in"`
	Expires  string `json:"expires"` // when no token of it can be good any more
	Current  bool   `json:"current"` // the one that asks
}

func (h handler) getSessions(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	if err := c.Audit(r.Context(), auditlog.Event{}); err != nil {
		return err
	}
	found, err := h.store.Sessions(r.Context(), c.Principal.Issuer, c.Principal.Subject, h.now())
	if err != nil {
		return stored(err, sharing.ErrNone, fault.NotFound)
	}
	var all []signedIn
	for _, s := range found {
		all = append(all, signedIn{s.Name, s.Client, s.SignedIn.Format(time.RFC3339), s.Expires.Format(time.RFC3339),
			s.Name == access.SessionName(c.Principal.Session)})
	}
	return writeList(w, all)
}

// deleteSession ends a session of the caller's own identity: from the next request on
// its tokens are nobody's.
func (h handler) deleteSession(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	name := c.Param("session")
	if err := c.Audit(r.Context(), auditlog.Event{Sharing: &auditlog.Sharing{Session: name}}); err != nil {
		return err
	}
	if err := h.store.EndSession(r.Context(), c.Principal.Issuer, c.Principal.Subject, name); err != nil {
		return stored(err, sharing.ErrNone, fault.NotFound)
	}
	return noContent(w)
}

// rounds is how many lists of sessions are ended in one request.
const rounds = 12

// deleteSessions ends all sessions of the caller's identity, also the one that asks:
// those of which nothing has come yet begin anew. A list holds the latest ones only.
func (h handler) deleteSessions(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	if err := c.Audit(r.Context(), auditlog.Event{Sharing: &auditlog.Sharing{Session: "all"}}); err != nil {
		return err
	}
	p := c.Principal
	for range rounds {
		found, err := h.store.Sessions(r.Context(), p.Issuer, p.Subject, h.now())
		if err != nil {
			return stored(err, sharing.ErrNone, fault.NotFound)
		}
		if len(found) == 0 {
			return noContent(w)
		}
		for _, s := range found {
			if err := h.store.EndSession(r.Context(), p.Issuer, p.Subject, s.Name); err != nil {
				return stored(err, sharing.ErrNone, fault.Unavailable)
			}
		}
	}
	return fault.New(fault.Unavailable, "sessions begin as fast as they are ended")
}
