// Package keyring hands out the keys that a function may use: it finds the
// wrapped key in the Keys table, has KMS unwrap it under an encryption context
// that names its purpose, and keeps the result for a bounded time.
//
// What a function can unwrap is decided by its role, not here: intake's role
// allows the purposes requests and writer, the readers' data, pages and writer.
package keyring

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"sync"
	"time"

	"fitvault/shared/auditlog/record"
	"fitvault/shared/fault"
	"fitvault/shared/vault"
)

// Purposes, as they stand in the encryption context of each wrapped key and in
// the conditions of template.yaml.
const (
	PurposeData     = "data"     // an owner's private data key
	PurposeRequests = "requests" // the manifests' HMAC keys
	PurposePages    = "pages"    // the page tokens' key
	PurposeWriter   = "writer"   // the monthly writer keys
	PurposeAudit    = "audit"    // the key that wraps the audit log's keys

	PurposeEnrolment = "enrolment" // the pair that signs owners' public keys; it wraps nothing
	PurposeReceipts  = "receipts"  // the pair that signs receipts of consent; it wraps nothing
	PurposeUpload    = "upload"    // the pair to which clients encrypt their uploads; it has no contexts
	PurposePairing   = "pairing"   // the pair that signs for the service towards trackers; it wraps nothing
	PurposeLog       = "log"       // the pair that signs the audit log's checkpoints; it wraps nothing
)

// Service is the owner under which the Keys table holds the service's own keys.
const Service = "service"

// Names of the service keys in the Keys table. A writer key is named for its
// month, so that two keykeepers cannot make two.
const (
	RequestsKeyName = "requests#1"
	PagesKeyName    = "pages#1"
	AuditKeyName    = "audit#1"
	writerPrefix    = "writer#"
)

// WriterKeyID is the id of the writer key of a moment: its UTC month, 2026-11.
func WriterKeyID(at time.Time) string { return at.UTC().Format("2006-01") }

// WriterKeyName is the name of a writer key in the Keys table.
func WriterKeyName(id string) string { return writerPrefix + id }

// Context is the encryption context of a wrapped key. It never names the owner,
// because contexts appear in CloudTrail.
func Context(deployment, keyID, purpose string) map[string]string {
	return map[string]string{"deployment": deployment, "key": keyID, "purpose": purpose}
}

// Wrapped is a service key as the Keys table holds it.
type Wrapped struct {
	ID   string // random; the `key` of its encryption context
	Blob []byte
}

// Enrolled is an owner's data key pair as the Keys table holds it: the public
// key with enrol's signature, and the private key wrapped by KMS.
type Enrolled struct {
	Statement vault.Statement
	Signature []byte
	Wrapped   []byte
}

// ErrNoKey is returned by a Store for a key that does not exist.
var ErrNoKey = errors.New("no such key")

// ErrAltered is returned by a Store for an item that this service does not
// write, by an Unwrapper for a wrapped key that KMS did not make under this
// context, and by a Ring where a key that must exist does not: somebody else
// has written the Keys table. It is no outage, but an alarm.
var ErrAltered = errors.New("a stored key has been altered")

// Store reads the Keys table, strongly consistent. Errors: ErrNoKey,
// ErrAltered, or the store's own failure.
type Store interface {
	ServiceKey(ctx context.Context, name string) (Wrapped, error)
	OwnerKey(ctx context.Context, owner, keyID string) (Enrolled, error)
}

// Unwrapper has KMS decrypt a wrapped key. The result is the caller's to keep
// secret. Errors: ErrAltered, or KMS's own failure.
type Unwrapper interface {
	Unwrap(ctx context.Context, purpose string, encryptionContext map[string]string, blob []byte) ([]byte, error)
}

// Ring is safe for concurrent use.
type Ring struct {
	Deployment string
	Store      Store
	KMS        Unwrapper
	Verify     *ecdsa.PublicKey // enrol's verifying key; nil where nothing is sealed
	Hold       time.Duration    // how long an unwrapped key may stay in memory
	Now        func() time.Time

	mu   sync.Mutex
	held map[string]entry
}

type entry struct {
	key   any
	until time.Time
}

// A container that nobody calls keeps what it holds until its next call or its
// end: there is no code that could run in a frozen one.
//
// hold returns the cached value of name, or makes and keeps it. Two callers may
// make it at once; that costs a KMS call, never a wrong key.
func hold[K any](r *Ring, name string, fetch func() (K, error)) (K, error) {
	now := r.Now()
	r.mu.Lock()
	for n, e := range r.held {
		if !now.Before(e.until) {
			delete(r.held, n)
		}
	}
	e, ok := r.held[name]
	r.mu.Unlock()
	if ok {
		return e.key.(K), nil
	}
	key, err := fetch()
	if err != nil {
		return key, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held == nil {
		r.held = map[string]entry{}
	}
	r.held[name] = entry{key, now.Add(r.Hold)}
	return key, nil
}

// failed is fault.Internal for an altered key and fault.Unavailable for all else.
func failed(text string, err error) error {
	if errors.Is(err, ErrAltered) {
		return fault.Wrap(fault.Internal, text, err)
	}
	return fault.Wrap(fault.Unavailable, text, err)
}

func (r *Ring) service(ctx context.Context, name, purpose string) ([]byte, error) {
	w, err := r.Store.ServiceKey(ctx, name)
	if err != nil {
		return nil, failed("service key cannot be read", err)
	}
	key, err := r.KMS.Unwrap(ctx, purpose, Context(r.Deployment, w.ID, purpose), w.Blob)
	if err != nil {
		return nil, failed("service key cannot be unwrapped", err)
	}
	return key, nil
}

// Requests returns the key of the manifests. Errors: as Sealer's.
func (r *Ring) Requests(ctx context.Context) (vault.RequestsKey, error) {
	return hold(r, RequestsKeyName, func() (vault.RequestsKey, error) {
		b, err := r.service(ctx, RequestsKeyName, PurposeRequests)
		if err != nil {
			return vault.RequestsKey{}, err
		}
		return vault.NewRequestsKey(RequestsKeyName, b)
	})
}

// Pages returns the key of the page tokens. Errors: as Sealer's.
func (r *Ring) Pages(ctx context.Context) (vault.PagesKey, error) {
	return hold(r, PagesKeyName, func() (vault.PagesKey, error) {
		b, err := r.service(ctx, PagesKeyName, PurposePages)
		if err != nil {
			return vault.PagesKey{}, err
		}
		return vault.NewPagesKey(b)
	})
}

// Audit returns the key that wraps the audit log's keys. Errors: as Sealer's.
func (r *Ring) Audit(ctx context.Context) (record.ServiceKey, error) {
	return hold(r, AuditKeyName, func() (record.ServiceKey, error) {
		b, err := r.service(ctx, AuditKeyName, PurposeAudit)
		if err != nil {
			return record.ServiceKey{}, err
		}
		return record.NewServiceKey(b)
	})
}

// Writer returns a month's writer key. Errors: as Sealer's.
func (r *Ring) Writer(ctx context.Context, id string) (vault.WriterKey, error) {
	return hold(r, WriterKeyName(id), func() (vault.WriterKey, error) {
		b, err := r.service(ctx, WriterKeyName(id), PurposeWriter)
		if err != nil {
			return vault.WriterKey{}, err
		}
		return vault.NewWriterKey(id, b)
	})
}

// Sealer returns what seals to an owner: his public key, only if enrol signed
// it for him in this deployment, and the current writer key.
// Errors: fault.Unavailable; fault.Internal by ErrAltered where a stored key is
// not the one that was stored.
func (r *Ring) Sealer(ctx context.Context, owner, keyID string) (*vault.Sealer, error) {
	enrolled, err := r.Store.OwnerKey(ctx, owner, keyID)
	if errors.Is(err, ErrNoKey) { // the owner's policy names it, so it was there
		err = ErrAltered
	}
	if err != nil {
		return nil, failed("owner key cannot be read", err)
	}
	s := enrolled.Statement
	if s.Deployment != r.Deployment || s.Owner != owner || s.KeyID != keyID {
		return nil, failed("owner key stands in another's place", ErrAltered)
	}
	key, err := vault.Enrolled(s, enrolled.Signature, r.Verify)
	if err != nil {
		return nil, failed("owner key was not signed by enrol", errors.Join(ErrAltered, err))
	}
	writer, err := r.Writer(ctx, WriterKeyID(r.Now()))
	if err != nil {
		return nil, err
	}
	return vault.NewSealer(key, writer)
}

// Private returns an owner's private data key. Errors: fault.Unavailable;
// fault.Internal by ErrAltered.
func (r *Ring) Private(ctx context.Context, owner, keyID string) (vault.PrivateKey, error) {
	return hold(r, owner+"/"+keyID, func() (vault.PrivateKey, error) {
		enrolled, err := r.Store.OwnerKey(ctx, owner, keyID)
		if err != nil {
			return vault.PrivateKey{}, failed("owner key cannot be read", err)
		}
		der, err := r.KMS.Unwrap(ctx, PurposeData, Context(r.Deployment, keyID, PurposeData), enrolled.Wrapped)
		if err != nil {
			return vault.PrivateKey{}, failed("owner key cannot be unwrapped", err)
		}
		return vault.ParsePrivateKey(keyID, der)
	})
}
