package main

import (
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/edge"
	"fitvault/shared/fault"
	"fitvault/shared/pairing"
	"fitvault/shared/usertext"
)

const (
	scopeManage   = "fitvault/devices.manage"
	scopeRegister = "fitvault/devices.register"
	maxBody       = 2 << 10
)

// trackers keeps registrations and what owners have paired. What it does it does
// in one step or not at all; it reports false where the thing is not, or not any
// more, what it was.
type trackers interface {
	Register(ctx context.Context, d pairing.Device) (bool, error)
	Device(ctx context.Context, id pairing.DeviceID) (pairing.Device, bool, error)
	// Change gives the tracker of t.Pairing another name or state, or both; what is
	// empty in t stays as it is then. It returns what is stored.
	Change(ctx context.Context, owner access.UserID, id pairing.DeviceID, t access.Tracker) (access.Tracker, bool, error)
	Unpair(ctx context.Context, owner access.UserID, id pairing.DeviceID, name pairing.ID) (bool, error)
}

type handler struct {
	trackers trackers
	pairing  *pairing.Service
}

func (h handler) routes() []edge.Route {
	json := []string{"application/json"}
	const one = "/users/{user}/devices/{device}"
	return []edge.Route{
		{Method: http.MethodPost, Resource: "/devices", Scope: scopeRegister, Action: access.DevicesRegister, Staff: true, Types: json, MaxBody: maxBody, Handle: h.register},
		{Method: http.MethodPost, Resource: "/pairings", Scope: scopeManage, Action: access.DevicesWrite, Types: json, MaxBody: maxBody, Cost: 2, Handle: h.begin},
		{Method: http.MethodPost, Resource: "/pairings/{id}/confirm", Scope: scopeManage, Action: access.DevicesWrite, Types: json, MaxBody: maxBody, Cost: 2, Handle: h.confirm},
		{Method: http.MethodGet, Resource: "/users/{user}/devices", Scope: scopeManage, Action: access.DevicesRead, Handle: h.list},
		{Method: http.MethodPatch, Resource: one, Scope: scopeManage, Action: access.DevicesWrite, Types: json, MaxBody: maxBody, Handle: h.change},
		{Method: http.MethodDelete, Resource: one, Scope: scopeManage, Action: access.DevicesWrite, Handle: h.unpair},
	}
}

// registration is what a maker sends and is answered with.
type registration struct {
	ID       string `json:"id"`
	Model    string `json:"model"`
	Key      binary `json:"public_key"` // P-256, compressed
	CodeHash binary `json:"code_hash"`  // SHA-256 of the one-time code's 16 bytes
}

// binary is base64url without padding, in its one spelling.
type binary []byte

func (b binary) MarshalText() ([]byte, error) {
	return base64.RawURLEncoding.AppendEncode(nil, b), nil
}

func (b *binary) UnmarshalText(text []byte) (err error) {
	if slices.ContainsFunc(text, func(c byte) bool { return c == '\n' || c == '\r' }) {
		return fault.New(fault.Invalid, "line ends in base64url")
	}
	*b, err = base64.RawURLEncoding.Strict().AppendDecode(nil, text)
	return err
}

// register takes a new tracker from the one who made it. The same registration
// once more is answered the same as long as the tracker is new.
func (h handler) register(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	var in registration
	if err := edge.DecodeJSON(c.Body(), &in); err != nil {
		return err
	}
	d, err := in.device()
	if err != nil {
		return err
	}
	if !slices.Contains(c.Principal.Organisations, d.ID.Maker()) {
		return fault.New(fault.Forbidden, "device id is in another maker's namespace")
	}
	if err := c.Audit(r.Context(), auditlog.Event{Device: d.ID.String()}); err != nil {
		return err
	}
	made, err := h.trackers.Register(r.Context(), d)
	if err != nil {
		return fault.Wrap(fault.Unavailable, "registration cannot be stored", err)
	}
	if !made {
		held, found, err := h.trackers.Device(r.Context(), d.ID)
		if err != nil {
			return fault.Wrap(fault.Unavailable, "registration cannot be read", err)
		}
		if !found || held != d {
			return fault.New(fault.Conflict, "device id is taken")
		}
	}
	return edge.WriteJSON(w, http.StatusCreated, in)
}

func (in registration) device() (pairing.Device, error) {
	d := pairing.Device{State: pairing.New}
	var err error
	if d.ID, err = pairing.ParseDeviceID(in.ID); err != nil {
		return d, invalid("/id", "device-id")
	}
	if d.Model, err = pairing.ParseModel(in.Model); err != nil {
		return d, invalid("/model", "model")
	}
	if d.Key, err = pairing.ParseKey(in.Key); err != nil {
		return d, invalid("/public_key", "p-256-compressed")
	}
	if len(in.CodeHash) != len(d.CodeHash) {
		return d, invalid("/code_hash", "sha-256")
	}
	d.CodeHash = [len(d.CodeHash)]byte(in.CodeHash)
	return d, nil
}

func (h handler) begin(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	var in struct {
		Device string `json:"device"`
		Nonce  binary `json:"nonce"`
		Code   string `json:"code"`
		Reset  *struct {
			Key       binary `json:"public_key"`
			CodeHash  binary `json:"code_hash"`
			Signature binary `json:"signature"`
		} `json:"reset"`
	}
	if err := edge.DecodeJSON(c.Body(), &in); err != nil {
		return err
	}
	asked := pairing.Request{}
	var err error
	if asked.Device, err = pairing.ParseDeviceID(in.Device); err != nil {
		return invalid("/device", "device-id")
	}
	if len(in.Nonce) != len(asked.Nonce) {
		return invalid("/nonce", "32-bytes")
	}
	asked.Nonce = pairing.Nonce(in.Nonce)
	if asked.Code, err = pairing.ParseCode(in.Code); err != nil {
		return invalid("/code", "one-time-code")
	}
	if in.Reset != nil {
		reset := pairing.Reset{Signature: in.Reset.Signature}
		if reset.Key, err = pairing.ParseKey(in.Reset.Key); err != nil {
			return invalid("/reset/public_key", "p-256-compressed")
		}
		if len(in.Reset.CodeHash) != len(reset.CodeHash) {
			return invalid("/reset/code_hash", "sha-256")
		}
		reset.CodeHash = [len(reset.CodeHash)]byte(in.Reset.CodeHash)
		asked.Reset = &reset
	}
	if len(c.Owner.Trackers) >= access.MaxTrackers { // about the caller's own account: it says nothing of the tracker
		return fault.New(fault.Conflict, "account has its most trackers")
	}
	begun, err := h.pairing.Begin(r.Context(), c.Owner.User, asked, record(c))
	if err != nil {
		return err
	}
	return edge.WriteJSON(w, http.StatusCreated, struct {
		Pairing     string    `json:"pairing"`
		Message     binary    `json:"message"`
		Signature   binary    `json:"signature"`
		Certificate binary    `json:"certificate"`
		Expires     time.Time `json:"expires"`
	}{begun.Pairing.String(), begun.Message, begun.Signature, begun.Certificate, begun.Expires.UTC()})
}

func (h handler) confirm(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	var in struct {
		Signature binary `json:"signature"`
	}
	if err := edge.DecodeJSON(c.Body(), &in); err != nil {
		return err
	}
	name, err := pairing.ParseID(c.Param("id"))
	if err != nil {
		return err
	}
	id, tracker, err := h.pairing.Confirm(r.Context(), c.Owner.User, name, in.Signature, record(c))
	if err != nil {
		return err
	}
	return edge.WriteJSON(w, http.StatusOK, describe(id.String(), tracker))
}

// record writes the event of a step.
func record(c *edge.Call) pairing.Record {
	return func(ctx context.Context, id pairing.DeviceID, name pairing.ID) error {
		return c.Audit(ctx, auditlog.Event{Device: id.String(), Pairing: name.String()})
	}
}

// device is a paired tracker as its owner sees it.
type device struct {
	ID      string       `json:"id"`
	Name    string       `json:"name"`
	State   access.State `json:"state"`
	Pairing string       `json:"pairing"`
	Since   time.Time    `json:"since"`
}

func describe(id string, t access.Tracker) device {
	return device{id, t.Name, t.State, t.Pairing, t.Since.UTC()}
}

// list is at most access.MaxTrackers, so it has no pages.
func (h handler) list(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	if err := c.Audit(r.Context(), auditlog.Event{}); err != nil {
		return err
	}
	items := []device{}
	for _, id := range slices.Sorted(maps.Keys(c.Owner.Trackers)) {
		items = append(items, describe(id, c.Owner.Trackers[id]))
	}
	return edge.WriteJSON(w, http.StatusOK, struct {
		Items []device `json:"items"`
	}{items})
}

// own is the tracker in the path, if it is the owner's: by his document, which the
// decision was taken on.
func own(c *edge.Call) (pairing.DeviceID, access.Tracker, error) {
	id, err := pairing.ParseDeviceID(c.Param("device"))
	tracker, ok := c.Owner.Trackers[id.String()]
	if err != nil || !ok {
		return id, tracker, gone()
	}
	return id, tracker, nil
}

func gone() error { return fault.New(fault.NotFound, "no such tracker of this account") }

func (h handler) change(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	var in struct {
		Name  *string       `json:"name"`
		State *access.State `json:"state"`
	}
	if err := edge.DecodeJSON(c.Body(), &in); err != nil {
		return err
	}
	id, tracker, err := own(c)
	if err != nil {
		return err
	}
	if in.Name == nil && in.State == nil {
		return invalid("", "min-properties")
	}
	// Only what was asked for: the rest of the document that was read may be old by
	// now, and a new name must not find a lost tracker again.
	change, changes := access.Tracker{Pairing: tracker.Pairing}, []string(nil)
	if in.Name != nil {
		name, err := usertext.ParseName(*in.Name)
		if err != nil {
			return invalid("/name", "name")
		}
		change.Name, changes = name.String(), append(changes, "name")
	}
	if in.State != nil {
		if *in.State != access.Active && *in.State != access.Lost {
			return invalid("/state", "enum")
		}
		change.State, changes = *in.State, append(changes, "state="+string(*in.State))
	}
	if err := c.Audit(r.Context(), auditlog.Event{Device: id.String(), Pairing: tracker.Pairing, Changes: changes}); err != nil {
		return err
	}
	tracker, done, err := h.trackers.Change(r.Context(), c.Owner.User, id, change)
	if err != nil {
		return fault.Wrap(fault.Unavailable, "tracker cannot be changed", err)
	}
	if !done {
		return gone()
	}
	return edge.WriteJSON(w, http.StatusOK, describe(id.String(), tracker))
}

func (h handler) unpair(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	id, tracker, err := own(c)
	if err != nil {
		return err
	}
	name, err := pairing.ParseID(tracker.Pairing)
	if err != nil {
		return fault.Wrap(fault.Internal, "owner document: tracker's pairing", err)
	}
	if err := c.Audit(r.Context(), auditlog.Event{Device: id.String(), Pairing: tracker.Pairing}); err != nil {
		return err
	}
	done, err := h.trackers.Unpair(r.Context(), c.Owner.User, id, name)
	if err != nil {
		return fault.Wrap(fault.Unavailable, "tracker cannot be unpaired", err)
	}
	if !done {
		return gone()
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func invalid(pointer, rule string) error {
	return &fault.Error{Kind: fault.Invalid, Text: "a member breaks its rule", Items: []fault.Item{{Pointer: pointer, Rule: rule}}}
}
