package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/apps"
	"fitvault/shared/auditlog"
	"fitvault/shared/edge"
	"fitvault/shared/fault"
)

const (
	scopeAdmin = "fitvault/admin"
	maxBody    = 16 << 10
	undoing    = 5 * time.Second // for taking back what is half done, whatever became of the request
)

// memberships keeps what roles and organisations an identity has. PutMemberships
// replaces them and the proposal in one write, as long as the identity is still what
// it was before, else dynamo.ErrConflict. Who has no document is a zero caller.
type memberships interface {
	Read(ctx context.Context, keys access.Keys) (access.Documents, error)
	PutMemberships(ctx context.Context, issuer, subject string, before, after access.Caller) error
	// EndSessions ends all sessions that were begun until a time; dynamo.ErrConflict where
	// that was said of a later time, or who it is has no document.
	EndSessions(ctx context.Context, issuer, subject string, until time.Time) error
}

type handler struct {
	people, staff string // issuers
	apps          apps.Store
	clients       apps.Clients
	keys          apps.Keys
	memberships   memberships
	now           func() time.Time
	rand          io.Reader
}

func (h handler) routes() []edge.Route {
	json := []string{"application/json"}
	pool := []edge.Parameter{{Name: "pool"}}
	return []edge.Route{
		{Method: http.MethodGet, Resource: "/apps", Staff: true, Scope: scopeAdmin, Action: access.AppsManage, Handle: h.listApps},
		{Method: http.MethodPost, Resource: "/apps", Staff: true, Scope: scopeAdmin, Action: access.AppsManage, Types: json, MaxBody: maxBody, Handle: h.register},
		{Method: http.MethodPatch, Resource: "/apps/{client}", Staff: true, Scope: scopeAdmin, Action: access.AppsManage, Types: json, MaxBody: maxBody, Handle: h.change},
		{Method: http.MethodGet, Resource: "/identities/{subject}/roles", Staff: true, Scope: scopeAdmin, Action: access.RolesManage, Query: pool, Handle: h.getRoles},
		{Method: http.MethodPut, Resource: "/identities/{subject}/roles", Staff: true, Scope: scopeAdmin, Action: access.RolesManage, Types: json, MaxBody: maxBody, Handle: h.putRoles},
		{Method: http.MethodDelete, Resource: "/identities/{subject}/sessions", Staff: true, Scope: scopeAdmin, Action: access.RolesManage, Handle: h.endSessions},
	}
}

// app is the answer about one app. The API key and the client's secret are in the
// answer of the request that made them, and nowhere else.
type app struct {
	Client       string         `json:"client"`
	Name         string         `json:"name"`
	Kind         access.AppKind `json:"kind"`
	State        access.State   `json:"state"`
	Scopes       []string       `json:"scopes"`
	RedirectURIs []string       `json:"redirect_uris"`
	Keys         []key          `json:"keys"`
	Registered   string         `json:"registered"`

	APIKey       string `json:"api_key,omitempty"`
	ClientSecret string `json:"client_secret,omitempty"`
}

type key struct {
	ID    string `json:"id"`
	State string `json:"state"` // "active", or "retired" as long as the gateway may still know it
}

func said(a apps.App) app {
	out := app{Client: a.Client, Name: a.Name, Kind: a.Kind, State: a.State, Scopes: a.Scopes, RedirectURIs: append([]string{}, a.RedirectURIs...),
		Keys: []key{}, Registered: a.Registered.UTC().Format(time.RFC3339)}
	for _, k := range a.Keys {
		state := "active"
		if k.Retired {
			state = "retired"
		}
		out.Keys = append(out.Keys, key{k.ID, state})
	}
	return out
}

func (h handler) listApps(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	if err := c.Audit(r.Context(), auditlog.Event{}); err != nil {
		return err
	}
	done, err := h.apps.Requests(r.Context())
	if err != nil {
		return err
	}
	var clients []string
	for _, d := range done {
		clients = append(clients, d.Client)
	}
	found, err := h.apps.Apps(r.Context(), clients)
	if err != nil {
		return err
	}
	items := []app{}
	for _, a := range found {
		items = append(items, said(a))
	}
	return edge.WriteJSON(w, http.StatusOK, map[string][]app{"items": items})
}

// register makes a client and a key first: without the app's document, which comes
// last and with its request, neither opens anything. Who repeats a registration is
// told so, and not what its answer held: key and secret are kept nowhere.
func (h handler) register(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	var in struct {
		Name         string   `json:"name"`
		Kind         string   `json:"kind"`
		RedirectURIs []string `json:"redirect_uris"`
		Scopes       []string `json:"scopes"`
		Plan         string   `json:"plan"`
	}
	if err := edge.DecodeJSON(c.Body(), &in); err != nil {
		return err
	}
	wanted, err := apps.Parse(in.Name, in.Kind, in.Plan, in.RedirectURIs, in.Scopes)
	if err != nil {
		return err
	}
	request := requestOf(c, r.Header.Get("Idempotency-Key"))
	done, err := h.apps.Requests(r.Context())
	if err != nil {
		return err
	}
	switch before, repeated := done[request.ID]; {
	case repeated && before.Body != request.Body:
		return fault.New(fault.KeyReused, "another registration under the same key")
	case repeated:
		return fault.New(fault.Conflict, "registered already")
	case len(done) >= apps.MaxApps:
		return fault.New(fault.Conflict, "there are as many apps as there may be")
	}

	label := string(wanted.Kind) + "-" + request.ID[:16]
	changes := []string{"kind=" + string(wanted.Kind), "state=active"}
	for _, scope := range wanted.Scopes {
		changes = append(changes, "scope="+scope)
	}
	if err := c.Audit(r.Context(), auditlog.Event{About: label, Changes: changes}); err != nil {
		return err
	}
	client, secret, err := h.clients.Create(r.Context(), label, wanted)
	if err != nil {
		return err
	}
	made := apps.App{Client: client, Name: wanted.Name.String(), Kind: wanted.Kind, State: access.Active, Scopes: wanted.Scopes,
		RedirectURIs: wanted.RedirectURIs, Registered: h.now().UTC().Truncate(time.Second)}
	value, fresh, err := h.newKey(r.Context(), label)
	if err == nil {
		made.Keys = []apps.Key{fresh}
		if err = c.Audit(r.Context(), auditlog.Event{About: client, Changes: append(changes, "key="+fresh.ID)}); err == nil {
			err = h.apps.Register(r.Context(), request, made)
		}
	}
	if err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), undoing)
		defer cancel()
		_ = h.clients.Delete(undo, client) // what stays has no document, and opens nothing
		if fresh.ID != "" {
			_ = h.keys.Delete(undo, fresh.ID)
		}
		return conflict(err, "registered meanwhile")
	}
	answer := said(made)
	answer.APIKey, answer.ClientSecret = value, secret
	return edge.WriteJSON(w, http.StatusCreated, answer)
}

// requestOf names a registration by its client and Idempotency-Key, or else its body.
func requestOf(c *edge.Call, idempotency string) apps.Request {
	by := "key"
	if idempotency == "" {
		by, idempotency = "body", string(c.Body())
	}
	h := sha256.New()
	for _, s := range []string{c.Principal.Client, by, idempotency} {
		_ = binary.Write(h, binary.BigEndian, uint64(len(s)))
		h.Write([]byte(s))
	}
	return apps.Request{ID: base64.RawURLEncoding.EncodeToString(h.Sum(nil)), Body: sha256.Sum256(c.Body())}
}

func (h handler) newKey(ctx context.Context, label string) (string, apps.Key, error) {
	value, err := apps.NewKey(h.rand)
	if err != nil {
		return "", apps.Key{}, err
	}
	id, err := h.keys.Create(ctx, label, value)
	if err != nil {
		return "", apps.Key{}, err
	}
	return value, apps.Key{ID: id, Digest: apps.Digest(value)}, nil
}

// change does exactly one of three things: switch an app on or off, add a key, retire one.
func (h handler) change(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	var in struct {
		State     *access.State `json:"state"`
		RotateKey *bool         `json:"rotate_key"`
		RetireKey *string       `json:"retire_key"`
	}
	if err := edge.DecodeJSON(c.Body(), &in); err != nil {
		return err
	}
	asked := 0
	for _, there := range []bool{in.State != nil, in.RotateKey != nil, in.RetireKey != nil} {
		if there {
			asked++
		}
	}
	switch {
	case asked != 1:
		return fault.New(fault.Invalid, "not exactly one change")
	case in.State != nil && *in.State != access.Active && *in.State != access.Off:
		return wrong("/state", "enum")
	case in.RotateKey != nil && !*in.RotateKey:
		return wrong("/rotate_key", "const")
	}
	it, err := h.app(r.Context(), c.Param("client"))
	if err != nil {
		return err
	}
	value := ""
	switch {
	case in.State != nil:
		if err = c.Audit(r.Context(), auditlog.Event{About: it.Client, Changes: []string{"state=" + string(*in.State)}}); err == nil {
			err = h.apps.SetState(r.Context(), it.Client, *in.State)
		}
	case in.RotateKey != nil:
		value, err = h.rotate(r.Context(), c, it)
	default:
		err = h.retire(r.Context(), c, it, *in.RetireKey)
	}
	if err != nil {
		return conflict(err, "the app has changed meanwhile")
	}
	if it, err = h.app(r.Context(), it.Client); err != nil {
		return err
	}
	answer := said(it)
	answer.APIKey = value
	return edge.WriteJSON(w, http.StatusOK, answer)
}

// app is an app of others. Ours, and the staff's, are the operator's to switch off: an
// administrator could lock out everybody, himself too.
func (h handler) app(ctx context.Context, client string) (apps.App, error) {
	found, err := h.apps.Apps(ctx, []string{client})
	if err != nil {
		return apps.App{}, err
	}
	if len(found) != 1 || found[0].Kind != access.ThirdPartyApp && found[0].Kind != access.SystemApp {
		return apps.App{}, fault.New(fault.NotFound, "no app of others")
	}
	return found[0], nil
}

// rotate adds a key beside the one in use.
func (h handler) rotate(ctx context.Context, c *edge.Call, it apps.App) (string, error) {
	if len(it.Keys) == 0 || len(it.Keys) >= apps.MaxKeys {
		return "", fault.New(fault.Conflict, "there are two keys, or they are the operator's")
	}
	if err := c.Audit(ctx, auditlog.Event{About: it.Client, Changes: []string{"key=new"}}); err != nil {
		return "", err
	}
	value, fresh, err := h.newKey(ctx, string(it.Kind)+"-"+it.Client)
	if err != nil {
		return "", err
	}
	if err := h.apps.AddKey(ctx, it.Client, fresh); err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoing)
		defer cancel()
		_ = h.keys.Delete(undo, fresh.ID) // what stays is in no document, and opens nothing
		return "", err
	}
	return value, nil
}

// retire takes a key out of the app's document, which decides, then from the gateway,
// then forgets it. Who was interrupted does it again.
func (h handler) retire(ctx context.Context, c *edge.Call, it apps.App, id string) error {
	i := slices.IndexFunc(it.Keys, func(k apps.Key) bool { return k.ID == id })
	if i < 0 {
		return wrong("/retire_key", "known")
	}
	old := it.Keys[i]
	if err := c.Audit(ctx, auditlog.Event{About: it.Client, Changes: []string{"retire=" + old.ID}}); err != nil {
		return err
	}
	if !old.Retired {
		if err := h.apps.RetireKey(ctx, it.Client, old); err != nil {
			return err
		}
	}
	if err := h.keys.Delete(ctx, old.ID); err != nil {
		return err
	}
	return h.apps.ForgetKey(ctx, it.Client, old)
}

func conflict(err error, text string) error {
	if errors.Is(err, apps.ErrConflict) {
		return fault.New(fault.Conflict, text)
	}
	return err
}

func wrong(pointer, rule string) error {
	return &fault.Error{Kind: fault.Invalid, Text: "not what may be asked for", Items: []fault.Item{{Pointer: pointer, Rule: rule}}}
}
