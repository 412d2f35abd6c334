package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge"
	"fitvault/shared/fault"
	"fitvault/shared/keyring"
	"fitvault/shared/vault"
)

const (
	scopeSharing = "fitvault/sharing.manage"
	resource     = "/users/{user}/consents/collection"

	// currentText is the version of the consent text that may be agreed to.
	currentText = "1"
	maxBody     = 1 << 10
)

// accounts stores accounts. CreateAccount is atomic: whole or not at all, and
// dynamo.ErrConflict where the identity has an account. PutConsent replaces one
// consent of an active account, else dynamo.ErrConflict; an account that was made
// before there were pseudonyms gets this one.
type accounts interface {
	CreateAccount(ctx context.Context, identity string, owner access.Owner, key keyring.Enrolled) error
	PutConsent(ctx context.Context, user access.UserID, purpose access.Purpose, c access.Consent, pseudonym string) error
	Read(ctx context.Context, keys access.Keys) (access.Documents, error)
}

// keys makes and vouches for an owner's key pair; the private half is never seen.
type keys interface {
	NewPair(ctx context.Context, purpose string, encryptionContext map[string]string) (public, wrapped []byte, err error)
	Sign(ctx context.Context, purpose string, message []byte) ([]byte, error)
}

type handler struct {
	deployment string
	accounts   accounts
	keys       keys
	now        func() time.Time
	rand       io.Reader
}

func (h handler) routes() []edge.Route {
	return []edge.Route{
		{Method: http.MethodGet, Resource: resource, Scope: scopeSharing, Action: access.ConsentsRead, Handle: h.getConsent},
		{Method: http.MethodPut, Resource: resource, Scope: scopeSharing, Action: access.ConsentsWrite,
			Types: []string{"application/json"}, MaxBody: maxBody, Handle: h.putConsent},
	}
}

// consent is the answer of both routes. Without an account there is no user,
// no version and no time.
type consent struct {
	User    string       `json:"user,omitempty"`
	State   access.State `json:"state,omitempty"`
	Purpose string       `json:"purpose"`
	Given   bool         `json:"given"`
	Version string       `json:"version,omitempty"`
	Time    string       `json:"time,omitempty"`
}

func answer(w http.ResponseWriter, owner access.Owner) error {
	c := owner.Consents[access.Collection]
	a := consent{User: owner.User.String(), State: owner.State, Purpose: string(access.Collection), Given: c.Given, Version: c.Version}
	if !c.Time.IsZero() {
		a.Time = c.Time.UTC().Format(time.RFC3339Nano)
	}
	return edge.WriteJSON(w, http.StatusOK, a)
}

func (h handler) getConsent(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	if err := c.Audit(r.Context(), auditlog.Event{}); err != nil {
		return err
	}
	return answer(w, c.Owner)
}

func (h handler) putConsent(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	said, err := decode(c.Body())
	if err != nil {
		return err
	}
	said.Time = h.now().UTC()
	event := auditlog.Event{Consent: &auditlog.Consent{Purpose: string(access.Collection), Version: said.Version, Given: said.Given}}
	owner := c.Owner
	if owner.User.IsZero() {
		if !said.Given {
			return fault.New(fault.Conflict, "no consent was given that could be withdrawn")
		}
		if owner.User, err = access.NewUserID(h.rand); err != nil {
			return err
		}
		event.Owner = owner.User.String()
		if err := c.Audit(r.Context(), event); err != nil {
			return err
		}
		owner, err = h.create(r.Context(), c.Principal, owner.User, said)
		if !errors.Is(err, dynamo.ErrConflict) {
			if err != nil {
				return err
			}
			return answer(w, owner)
		}
		// Another request of the same person made the account first: it is his.
		if owner, err = h.existing(r.Context(), c.Principal); err != nil {
			return err
		}
		if holds(owner, said) {
			return answer(w, owner)
		}
		event.Owner = owner.User.String()
	}
	if err := c.Audit(r.Context(), event); err != nil {
		return err
	}
	pseudonym, err := access.NewPseudonym(h.rand)
	if err != nil {
		return err
	}
	if err := h.accounts.PutConsent(r.Context(), owner.User, access.Collection, said, pseudonym); err != nil {
		if errors.Is(err, dynamo.ErrConflict) {
			// Who says the same twice at once is told what holds, not that he was late.
			if now, err := h.existing(r.Context(), c.Principal); err == nil && holds(now, said) {
				return answer(w, now)
			}
			return fault.New(fault.Conflict, "account is not active, or something later was said")
		}
		return fault.Wrap(fault.Unavailable, "consent cannot be stored", err)
	}
	owner.Consents = map[access.Purpose]access.Consent{access.Collection: said}
	return answer(w, owner)
}

// holds reports whether an account is active, and what was said is its owner's
// word already.
func holds(o access.Owner, said access.Consent) bool {
	c := o.Consents[access.Collection]
	return o.State == access.Active && c.Given == said.Given && c.Version == said.Version
}

// decode reads {"version": "1", "given": true}, both required, nothing else.
func decode(body []byte) (access.Consent, error) {
	var in struct {
		Version *string `json:"version"`
		Given   *bool   `json:"given"`
	}
	if err := edge.DecodeJSON(body, &in); err != nil {
		return access.Consent{}, err
	}
	if in.Version == nil || in.Given == nil {
		return access.Consent{}, fault.New(fault.Invalid, "consent does not have the members asked for")
	}
	if *in.Version != currentText {
		return access.Consent{}, &fault.Error{Kind: fault.Invalid, Text: "not the current text", Items: []fault.Item{{Pointer: "/version", Rule: "current-version"}}}
	}
	return access.Consent{Version: *in.Version, Given: *in.Given}, nil
}

// create makes the account: a key pair of which KMS keeps the private half, and
// enrol's word for the public half.
func (h handler) create(ctx context.Context, p access.Principal, user access.UserID, c access.Consent) (access.Owner, error) {
	id, err := access.NewUserID(h.rand) // a key id is as random, and of the same form
	if err != nil {
		return access.Owner{}, err
	}
	keyID := id.String()
	pseudonym, err := access.NewPseudonym(h.rand)
	if err != nil {
		return access.Owner{}, err
	}
	public, wrapped, err := h.keys.NewPair(ctx, keyring.PurposeData, keyring.Context(h.deployment, keyID, keyring.PurposeData))
	if err != nil {
		return access.Owner{}, fault.Wrap(fault.Unavailable, "key pair cannot be made", err)
	}
	statement := vault.Statement{Deployment: h.deployment, Owner: user.String(), KeyID: keyID, Public: public, At: c.Time.Truncate(time.Second)}
	signature, err := h.keys.Sign(ctx, keyring.PurposeEnrolment, statement.Bytes())
	if err != nil {
		return access.Owner{}, fault.Wrap(fault.Unavailable, "public key cannot be signed", err)
	}
	owner := access.Owner{User: user, State: access.Active, DataKey: keyID, Pseudonym: pseudonym, Consents: map[access.Purpose]access.Consent{access.Collection: c}}
	err = h.accounts.CreateAccount(ctx, access.IdentityKey(p.Issuer, p.Subject), owner,
		keyring.Enrolled{Statement: statement, Signature: signature, Wrapped: wrapped})
	if err != nil && !errors.Is(err, dynamo.ErrConflict) {
		err = fault.Wrap(fault.Unavailable, "account cannot be stored", err)
	}
	return owner, err
}

func (h handler) existing(ctx context.Context, p access.Principal) (access.Owner, error) {
	docs, err := h.accounts.Read(ctx, access.Keys{Issuer: p.Issuer, Subject: p.Subject})
	if err == nil && docs.Caller != nil {
		var found access.Documents
		if found, err = h.accounts.Read(ctx, access.Keys{User: docs.Caller.User}); err == nil && found.Owner != nil {
			return *found.Owner, nil
		}
	}
	return access.Owner{}, fault.Wrap(fault.Unavailable, "account cannot be read", err)
}
