// Package keyringtest is what tests use in place of KMS, the Keys table and the
// Accounts table; and the contracts that these fakes and the real adapters pass
// alike.
package keyringtest

import (
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"maps"
	"sync"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/fault"
	"fitvault/shared/keyring"
)

// ErrDown is what a test lets a fake fail with.
var ErrDown = errors.New("the service is down")

// Hook is told of every call of a fake before it does anything; with an error,
// nothing happens. Nil lets everything pass.
type Hook func(call string) error

func (h Hook) before(ctx context.Context, call string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if h == nil {
		return nil
	}
	return h(call)
}

// Store is the Keys table in memory: a keyring.Store, and what keykeeper needs.
type Store struct {
	Hook Hook // of "service key", "owner key", "put service key"

	mu      sync.Mutex
	service map[string]keyring.Wrapped
	owners  map[string]keyring.Enrolled // by owner and key id
}

func (s *Store) ServiceKey(ctx context.Context, name string) (keyring.Wrapped, error) {
	if err := s.Hook.before(ctx, "service key"); err != nil {
		return keyring.Wrapped{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if w, ok := s.service[name]; ok {
		return w, nil
	}
	return keyring.Wrapped{}, keyring.ErrNoKey
}

func (s *Store) OwnerKey(ctx context.Context, owner, keyID string) (keyring.Enrolled, error) {
	if err := s.Hook.before(ctx, "owner key"); err != nil {
		return keyring.Enrolled{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.owners[owner+" "+keyID]; ok {
		return e, nil
	}
	return keyring.Enrolled{}, keyring.ErrNoKey
}

// PutServiceKey stores a service key unless its name is taken.
func (s *Store) PutServiceKey(ctx context.Context, name string, w keyring.Wrapped) (bool, error) {
	if err := s.Hook.before(ctx, "put service key"); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.service[name]; taken {
		return false, nil
	}
	if s.service == nil {
		s.service = map[string]keyring.Wrapped{}
	}
	s.service[name] = w
	return true, nil
}

// SetOwnerKey replaces an owner's key, as only somebody with power over the
// table can.
func (s *Store) SetOwnerKey(owner, keyID string, e keyring.Enrolled) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.owners == nil {
		s.owners = map[string]keyring.Enrolled{}
	}
	s.owners[owner+" "+keyID] = e
}

// ServiceKeys is all service keys by name.
func (s *Store) ServiceKeys() map[string]keyring.Wrapped {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.service)
}

// OwnerKeys counts the owners' keys.
func (s *Store) OwnerKeys() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.owners)
}

// Accounts is the Accounts table in memory: an edge.Documents, and what enrol
// needs. It is safe for concurrent use.
type Accounts struct {
	Hook     Hook   // of "read", "create account", "put consent", "put receipt", "receipt"
	Keys     *Store // where CreateAccount puts the owner's key
	Conflict error  // what the adapter returns where somebody else was first

	mu        sync.Mutex
	documents map[string]any // by id: Caller, Owner, App
	receipts  map[string]stored
}

func (a *Accounts) Read(ctx context.Context, k access.Keys) (access.Documents, error) {
	var d access.Documents
	if err := a.Hook.before(ctx, "read"); err != nil {
		return d, fault.Wrap(fault.Unavailable, "documents cannot be read", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if c, ok := a.documents[access.IdentityKey(k.Issuer, k.Subject)].(access.Caller); ok {
		d.Caller = &c
	}
	if o, ok := a.documents[access.OwnerKey(k.User)].(access.Owner); ok {
		o.Consents = maps.Clone(o.Consents)
		d.Owner = &o
	}
	if app, ok := a.documents[access.AppKey(k.Client)].(access.App); ok {
		d.App = &app
	}
	return d, nil
}

// Put stores the documents that are not nil, a caller's under issuer and subject.
func (a *Accounts) Put(issuer, subject string, d access.Documents) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if d.Caller != nil {
		a.set(access.IdentityKey(issuer, subject), *d.Caller)
	}
	if d.Owner != nil {
		a.set(access.OwnerKey(d.Owner.User), *d.Owner)
	}
	if d.App != nil {
		a.set(access.AppKey(d.App.Client), *d.App)
	}
}

func (a *Accounts) set(id string, document any) {
	if a.documents == nil {
		a.documents = map[string]any{}
	}
	a.documents[id] = document
}

// stored is a receipt, and when its consent was said.
type stored struct {
	receipt string
	time    time.Time
}

// CreateAccount stores an account whole, or not at all.
func (a *Accounts) CreateAccount(ctx context.Context, identity string, owner access.Owner, key keyring.Enrolled, receipts map[access.Purpose]string) error {
	if err := a.Hook.before(ctx, "create account"); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.documents[identity] != nil || a.documents[access.OwnerKey(owner.User)] != nil {
		return a.Conflict
	}
	owner.Consents = maps.Clone(owner.Consents)
	a.set(identity, access.Caller{User: owner.User})
	a.set(access.OwnerKey(owner.User), owner)
	a.Keys.SetOwnerKey(owner.User.String(), owner.DataKey, key)
	for purpose, receipt := range receipts {
		a.setReceipt(owner.User, purpose, stored{receipt, owner.Consents[purpose].Time})
	}
	return nil
}

// PutConsent replaces a consent of an active account by a later one, or the very same; an
// account without a pseudonym gets this one.
func (a *Accounts) PutConsent(ctx context.Context, user access.UserID, purpose access.Purpose, c access.Consent, pseudonym string) error {
	if err := a.Hook.before(ctx, "put consent"); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	owner, ok := a.documents[access.OwnerKey(user)].(access.Owner)
	if before, said := owner.Consents[purpose]; !ok || owner.State != access.Active || said && !before.Time.Before(c.Time) && before != c {
		return a.Conflict
	}
	owner.Consents = maps.Clone(owner.Consents)
	owner.Consents[purpose] = c
	owner.Pseudonym = cmp.Or(owner.Pseudonym, pseudonym)
	a.set(access.OwnerKey(user), owner)
	return nil
}

// PutReceipt keeps a receipt unless there is one of something said later.
func (a *Accounts) PutReceipt(ctx context.Context, user access.UserID, purpose access.Purpose, at time.Time, receipt string) error {
	if err := a.Hook.before(ctx, "put receipt"); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if held, ok := a.receipts[receiptName(user, purpose)]; !ok || held.time.Before(at) {
		a.setReceipt(user, purpose, stored{receipt, at})
	}
	return nil
}

// Receipt is the receipt of what was said at a moment, "" where that is not kept.
func (a *Accounts) Receipt(ctx context.Context, user access.UserID, purpose access.Purpose, at time.Time) (string, error) {
	if err := a.Hook.before(ctx, "receipt"); err != nil {
		return "", err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if held := a.receipts[receiptName(user, purpose)]; held.time.Equal(at) {
		return held.receipt, nil
	}
	return "", nil
}

func receiptName(user access.UserID, purpose access.Purpose) string {
	return user.String() + " " + string(purpose)
}

func (a *Accounts) setReceipt(user access.UserID, purpose access.Purpose, s stored) {
	if a.receipts == nil {
		a.receipts = map[string]stored{}
	}
	a.receipts[receiptName(user, purpose)] = s
}

// Owners is every owner's document.
func (a *Accounts) Owners() (owners []access.Owner) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, d := range a.documents {
		if o, ok := d.(access.Owner); ok {
			owners = append(owners, o)
		}
	}
	return owners
}

// KMS wraps as KMS does: AES-256-GCM with a key for each purpose and the
// encryption context as associated data; for keyring.PurposeEnrolment and
// PurposeReceipts it has a P-256 pair each that signs and wraps nothing. It knows the purposes of package keyring.
type KMS struct {
	Hook Hook // of "unwrap", "new key", "new pair", "sign" or "sign receipts", "public key"

	wrapping map[string]cipher.AEAD
	signing  map[string]*ecdsa.PrivateKey // by purpose
}

// NewKMS makes a KMS with keys of its own.
func NewKMS() *KMS {
	k := &KMS{wrapping: map[string]cipher.AEAD{}, signing: map[string]*ecdsa.PrivateKey{}}
	for _, purpose := range []string{keyring.PurposeEnrolment, keyring.PurposeReceipts} {
		k.signing[purpose] = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	}
	for _, purpose := range []string{keyring.PurposeData, keyring.PurposeRequests, keyring.PurposePages, keyring.PurposeWriter, keyring.PurposeAudit} {
		k.wrapping[purpose] = must(cipher.NewGCMWithRandomNonce(must(aes.NewCipher(random(32)))))
	}
	return k
}

var errPurpose = errors.New("no key is configured for this purpose")

func (k *KMS) Unwrap(ctx context.Context, purpose string, encryptionContext map[string]string, blob []byte) ([]byte, error) {
	if err := k.Hook.before(ctx, "unwrap"); err != nil {
		return nil, err
	}
	wrapping, ok := k.wrapping[purpose]
	if !ok {
		return nil, errPurpose
	}
	key, err := wrapping.Open(nil, nil, blob, associated(encryptionContext))
	if err != nil {
		return nil, keyring.ErrAltered
	}
	return key, nil
}

// NewKey returns 32 random bytes, wrapped.
func (k *KMS) NewKey(ctx context.Context, purpose string, encryptionContext map[string]string) ([]byte, error) {
	if err := k.Hook.before(ctx, "new key"); err != nil {
		return nil, err
	}
	return k.Wrap(purpose, encryptionContext, random(32))
}

// Wrap wraps a key that the test knows.
func (k *KMS) Wrap(purpose string, encryptionContext map[string]string, key []byte) ([]byte, error) {
	wrapping, ok := k.wrapping[purpose]
	if !ok {
		return nil, errPurpose
	}
	return wrapping.Seal(nil, nil, key, associated(encryptionContext)), nil
}

// NewPair returns a P-256 pair: the public key and the wrapped private key.
func (k *KMS) NewPair(ctx context.Context, purpose string, encryptionContext map[string]string) (public, wrapped []byte, err error) {
	if err := k.Hook.before(ctx, "new pair"); err != nil {
		return nil, nil, err
	}
	pair := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	wrapped, err = k.Wrap(purpose, encryptionContext, must(x509.MarshalPKCS8PrivateKey(pair)))
	if err != nil {
		return nil, nil, err
	}
	return must(x509.MarshalPKIXPublicKey(&pair.PublicKey)), wrapped, nil
}

// Sign signs with the pair of a purpose.
func (k *KMS) Sign(ctx context.Context, purpose string, message []byte) ([]byte, error) {
	call := "sign"
	if purpose != keyring.PurposeEnrolment {
		call += " " + purpose
	}
	if err := k.Hook.before(ctx, call); err != nil {
		return nil, err
	}
	pair, ok := k.signing[purpose]
	if !ok {
		return nil, errPurpose
	}
	digest := sha256.Sum256(message)
	return ecdsa.SignASN1(rand.Reader, pair, digest[:])
}

// PublicKey is the verifying key of a purpose's pair.
func (k *KMS) PublicKey(ctx context.Context, purpose string) (*ecdsa.PublicKey, error) {
	if err := k.Hook.before(ctx, "public key"); err != nil {
		return nil, err
	}
	pair, ok := k.signing[purpose]
	if !ok {
		return nil, errPurpose
	}
	return &pair.PublicKey, nil
}

// associated writes a context so that its order does not matter.
func associated(encryptionContext map[string]string) []byte {
	return must(json.Marshal(encryptionContext))
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
