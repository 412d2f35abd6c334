package main

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/consent"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge"
	"fitvault/shared/fault"
	"fitvault/shared/keyring"
	"fitvault/shared/receipt"
	"fitvault/shared/vault"
)

const (
	scopeSharing = "fitvault/sharing.manage"
	every        = "/users/{user}/consents"
	one          = "/users/{user}/consents/{purpose}"
	maxBody      = 1 << 10
)

// accounts stores accounts. CreateAccount is atomic: whole or not at all, and
// dynamo.ErrConflict where the identity has an account. PutConsent replaces one
// consent of an active account, else dynamo.ErrConflict; an account that was made
// before there were pseudonyms gets this one. PutReceipt keeps the receipt of the
// latest word; Receipt finds that of a moment, or "".
type accounts interface {
	CreateAccount(ctx context.Context, identity string, owner access.Owner, key keyring.Enrolled, receipts map[access.Purpose]string) error
	PutConsent(ctx context.Context, user access.UserID, purpose access.Purpose, c access.Consent, pseudonym string) error
	PutReceipt(ctx context.Context, user access.UserID, purpose access.Purpose, at time.Time, receipt string) error
	Receipt(ctx context.Context, user access.UserID, purpose access.Purpose, at time.Time) (string, error)
	Read(ctx context.Context, keys access.Keys) (access.Documents, error)
}

// keys makes and vouches for an owner's key pair; the private half is never seen.
type keys interface {
	NewPair(ctx context.Context, purpose string, encryptionContext map[string]string) (public, wrapped []byte, err error)
	Sign(ctx context.Context, purpose string, message []byte) ([]byte, error)
}

type handler struct {
	deployment string
	texts      consent.Texts
	accounts   accounts
	keys       keys
	receipts   *receipt.Signer
	now        func() time.Time
	rand       io.Reader
}

func (h handler) routes() []edge.Route {
	return []edge.Route{
		{Method: http.MethodGet, Resource: every, Scope: scopeSharing, Action: access.ConsentsRead, Handle: h.listConsents},
		{Method: http.MethodGet, Resource: one, Scope: scopeSharing, Action: access.ConsentsRead,
			Query: []edge.Parameter{{Name: "version"}, {Name: "locale"}}, Handle: h.getConsent},
		{Method: http.MethodPut, Resource: one, Scope: scopeSharing, Action: access.ConsentsWrite,
			Types: []string{"application/json"}, MaxBody: maxBody, Cost: 2, Handle: h.putConsent},
	}
}

func (h handler) listConsents(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	if err := c.Audit(r.Context(), auditlog.Event{}); err != nil {
		return err
	}
	list := everything{account: account{c.Owner.User.String(), c.Owner.State}}
	for _, purpose := range consent.Purposes {
		list.Items = append(list.Items, h.state(c.Owner, purpose))
	}
	return edge.WriteJSON(w, http.StatusOK, list)
}

func (h handler) getConsent(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	purpose, err := consent.ParsePurpose(c.Param("purpose"))
	if err != nil {
		return err
	}
	shown, err := h.text(purpose, c.Query())
	if err != nil {
		return err
	}
	if err := c.Audit(r.Context(), auditlog.Event{}); err != nil {
		return err
	}
	kept, err := h.kept(r.Context(), c.Owner, purpose)
	if err != nil {
		return err
	}
	return edge.WriteJSON(w, http.StatusOK, h.answer(c.Owner, purpose, shown, kept))
}

func (h handler) putConsent(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	purpose, err := consent.ParsePurpose(c.Param("purpose"))
	if err != nil {
		return err
	}
	body, err := decode(c.Body())
	if err != nil {
		return err
	}
	word, err := h.word(c, purpose, body)
	if err != nil {
		return err
	}
	owner := c.Owner
	if owner.User.IsZero() {
		return h.first(w, r, c, purpose, word)
	}
	return h.later(w, r, c, owner, purpose, word)
}

// first takes the word of somebody without an account: it makes one.
func (h handler) first(w http.ResponseWriter, r *http.Request, c *edge.Call, purpose access.Purpose, word access.Consent) error {
	user, err := access.NewUserID(h.rand)
	if err != nil {
		return err
	}
	if err := c.Audit(r.Context(), event(user, purpose, word, access.Consent{})); err != nil {
		return err
	}
	signed, err := h.sign(r.Context(), user, purpose, word)
	if err != nil {
		return err
	}
	owner, err := h.create(r.Context(), c.Principal, user, purpose, word, signed)
	if err == nil {
		return edge.WriteJSON(w, http.StatusOK, h.answer(owner, purpose, nil, signed))
	}
	if !errors.Is(err, dynamo.ErrConflict) {
		return err
	}
	// Another request of the same person made the account first: it is his.
	if owner, err = h.existing(r.Context(), c.Principal); err != nil {
		return err
	}
	if holds(owner, purpose, word) {
		return h.holding(w, r, owner, purpose)
	}
	return h.later(w, r, c, owner, purpose, word)
}

// later takes the word of somebody with an account. The receipt is signed before
// anything is stored, and stored after: there is none of a word that does not
// stand, and the worst that a failure leaves is a word without its receipt, which
// the person is told of and says again.
func (h handler) later(w http.ResponseWriter, r *http.Request, c *edge.Call, owner access.Owner, purpose access.Purpose, word access.Consent) error {
	if err := c.Audit(r.Context(), event(owner.User, purpose, word, owner.Consents[purpose])); err != nil {
		return err
	}
	pseudonym, err := access.NewPseudonym(h.rand)
	if err != nil {
		return err
	}
	signed, err := h.sign(r.Context(), owner.User, purpose, word)
	if err != nil {
		return err
	}
	if err := h.accounts.PutConsent(r.Context(), owner.User, purpose, word, pseudonym); err != nil {
		if errors.Is(err, dynamo.ErrConflict) {
			// Who says the same twice at once is told what holds, not that he was late.
			now, err := h.existing(r.Context(), c.Principal)
			if err != nil {
				return err
			}
			if holds(now, purpose, word) {
				return h.holding(w, r, now, purpose)
			}
			return fault.New(fault.Conflict, "account is not active, or something later was said")
		}
		return fault.Wrap(fault.Unavailable, "consent cannot be stored", err)
	}
	if err := h.accounts.PutReceipt(r.Context(), owner.User, purpose, word.Time, signed); err != nil {
		return fault.Wrap(fault.Unavailable, "consent is stored, its receipt is not", err)
	}
	owner.Consents = maps.Clone(owner.Consents)
	if owner.Consents == nil {
		owner.Consents = map[access.Purpose]access.Consent{}
	}
	owner.Consents[purpose] = word
	return edge.WriteJSON(w, http.StatusOK, h.answer(owner, purpose, nil, signed))
}

// holding answers with what another request of the same person has stored.
func (h handler) holding(w http.ResponseWriter, r *http.Request, owner access.Owner, purpose access.Purpose) error {
	kept, err := h.kept(r.Context(), owner, purpose)
	if err != nil {
		return err
	}
	return edge.WriteJSON(w, http.StatusOK, h.answer(owner, purpose, nil, kept))
}

// holds reports whether an account is active, and a word is its owner's already.
func holds(o access.Owner, purpose access.Purpose, word access.Consent) bool {
	c := o.Consents[purpose]
	return o.State == access.Active && !c.Time.IsZero() && c.Given == word.Given && c.Version == word.Version
}

// event is what the audit trail keeps of a word: all of it, and which version
// stood before where that was another.
func event(owner access.UserID, purpose access.Purpose, word, before access.Consent) auditlog.Event {
	c := &auditlog.Consent{Purpose: string(purpose), Version: word.Version, Given: word.Given, Locale: word.Locale, How: word.How}
	if before.Version != word.Version {
		c.Before = before.Version
	}
	return auditlog.Event{Owner: owner.String(), Consent: c}
}

// sign makes the receipt of a word.
func (h handler) sign(ctx context.Context, owner access.UserID, purpose access.Purpose, word access.Consent) (string, error) {
	id, err := access.NewUserID(h.rand) // a receipt's id is as random, and of the same form
	if err != nil {
		return "", err
	}
	return h.receipts.Sign(ctx, receipt.Receipt{
		Issuer: h.deployment, Owner: owner.String(), ID: id.String(), IssuedAt: word.Time,
		Purpose: string(purpose), Version: word.Version, Digest: h.texts.Digest(purpose, word.Version, consent.Locale(word.Locale)),
		Locale: word.Locale, Given: word.Given, How: word.How,
	})
}

// kept is the stored receipt of what stands.
func (h handler) kept(ctx context.Context, owner access.Owner, purpose access.Purpose) (string, error) {
	c := owner.Consents[purpose]
	if c.Time.IsZero() {
		return "", nil
	}
	kept, err := h.accounts.Receipt(ctx, owner.User, purpose, c.Time)
	if err != nil {
		return "", fault.Wrap(fault.Unavailable, "receipt cannot be read", err)
	}
	return kept, nil
}

// create makes the account: a key pair of which KMS keeps the private half, and
// enrol's word for the public half.
func (h handler) create(ctx context.Context, p access.Principal, user access.UserID, purpose access.Purpose, word access.Consent, signed string) (access.Owner, error) {
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
	statement := vault.Statement{Deployment: h.deployment, Owner: user.String(), KeyID: keyID, Public: public, At: word.Time.Truncate(time.Second)}
	signature, err := h.keys.Sign(ctx, keyring.PurposeEnrolment, statement.Bytes())
	if err != nil {
		return access.Owner{}, fault.Wrap(fault.Unavailable, "public key cannot be signed", err)
	}
	owner := access.Owner{User: user, State: access.Active, DataKey: keyID, Pseudonym: pseudonym, Consents: map[access.Purpose]access.Consent{purpose: word}}
	err = h.accounts.CreateAccount(ctx, access.IdentityKey(p.Issuer, p.Subject), owner,
		keyring.Enrolled{Statement: statement, Signature: signature, Wrapped: wrapped}, map[access.Purpose]string{purpose: signed})
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
