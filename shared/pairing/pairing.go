// Package pairing joins a tracker to an account, each proved to the other
// (wire.md, "Pairing"). The service knows the tracker's key from its maker and
// its one-time code from the QR code; the tracker knows the root that vouches for
// the service's key. Both bring a nonce of their own, so nothing that was said
// before can be said again.
//
// A tracker is new, then paired, then retired; from there only its own key can
// introduce it again, with a new key and a new code (Reset). Whoever asks for a
// tracker that he may not pair hears the same, whatever the reason.
package pairing

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"io"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/fault"
	"fitvault/shared/redact"
)

const (
	// Tries is how often an account may ask for one tracker within TriesWindow, and
	// how often a pairing that was begun may be confirmed.
	Tries       = 5
	TriesWindow = time.Hour

	// Life is how long a pairing that was begun may be confirmed.
	Life = 10 * time.Minute
)

// State is where a registered tracker stands.
type State string

const (
	New     State = "new"     // its code has not been used
	Paired  State = "paired"  // with one account
	Retired State = "retired" // unpaired: its key is good for nothing but a Reset
)

// Device is the registration of a tracker.
type Device struct {
	redact.Mark
	ID       DeviceID
	Model    Model
	Key      Key
	CodeHash [sha256.Size]byte // of the one-time code's 16 bytes
	State    State
	Pairing  ID // of a paired one: which
}

// Challenge is a pairing that was begun.
type Challenge struct {
	redact.Mark
	Owner access.UserID
	T1    T1
	Key   Key   // whose answer counts; T1 holds its hash
	Was   State // of the tracker: New or Retired
	// Old is the key of the registration: another than Key where a reset introduced Key.
	Old      Key
	CodeHash [sha256.Size]byte
}

// Store keeps registrations, pairings that were begun, and who tried how often.
// Every read is strongly consistent. An error means that the store cannot answer
// now; then nothing, or all, has happened.
type Store interface {
	// Device returns a registration, if there is one.
	Device(ctx context.Context, id DeviceID) (Device, bool, error)
	// CountTry takes one of the Tries that an account has for a tracker, whether or
	// not there is such a tracker, and reports false where none is left. The window
	// begins with the first. Of any number at once no more than Tries are let through.
	CountTry(ctx context.Context, owner access.UserID, id DeviceID, now time.Time) (bool, error)
	// Begin keeps a challenge, under the name of its pairing, until it expires.
	Begin(ctx context.Context, c Challenge) error
	// Attempt takes one of the Tries of a pairing that this account has begun, and returns
	// it; not one that has expired, was used, or has no try left. Atomic, as CountTry. Of
	// somebody else's no try is taken: who overhears T1 knows its name.
	Attempt(ctx context.Context, pairing ID, owner access.UserID, now time.Time) (Challenge, bool, error)
	// Pair makes the tracker its owner's, in one step or not at all: the challenge,
	// recognised by the hash of its T1, is unused and is used now; the registration
	// has the state and the key that the challenge was begun for, and is paired now;
	// the account is active and has this tracker now, with the challenge's key. Of any
	// number at once one wins; for the others, and where the account has its most
	// trackers, it is ErrTaken.
	Pair(ctx context.Context, c Challenge, t access.Tracker) error
}

// ErrTaken is returned by Store.Pair where the tracker is not to be had any more.
var ErrTaken = fault.New(fault.NotFound, "tracker, challenge or account is not what it was")

// Signer signs for the service: an ASN.1 ECDSA signature of the SHA-256 of message.
type Signer interface {
	Sign(ctx context.Context, message []byte) ([]byte, error)
}

// Service is the service's side of a pairing. It is safe for concurrent use.
type Service struct {
	Deployment string
	Store      Store
	Signer     Signer
	// Certificate returns the certificate (DER) of Signer's key, under the offline root.
	Certificate func(ctx context.Context) ([]byte, error)
	Now         func() time.Time
	Rand        io.Reader
}

// Request is what a phone asks with, about a tracker that lies beside it.
type Request struct {
	redact.Mark
	Device DeviceID
	Nonce  Nonce // the tracker's, made for this pairing
	Code   Code
	Reset  *Reset // of a tracker that was unpaired and reset
}

// Begun is what the tracker must be told.
type Begun struct {
	redact.Mark
	Pairing     ID
	Message     []byte // T1
	Signature   []byte // of Message, by the service
	Certificate []byte // of the signing key, DER
	Expires     time.Time
}

// refused is the one answer to everything that a stranger could learn from.
func refused() error { return fault.New(fault.NotFound, "no such tracker to be paired") }

// Record writes the audit event of a step of a pairing; what follows it is the effect.
// It names both, so that the trail says which tracker was joined by which pairing.
type Record func(ctx context.Context, id DeviceID, pairing ID) error

// Begin begins a pairing for an account. Errors: NotFound, whatever is wrong with the tracker,
// the code or the reset; Unavailable; Internal; those of record.
//
// Everything that is refused costs the same work: one try, one read, one or two
// signatures checked, whether or not the tracker exists.
func (s *Service) Begin(ctx context.Context, owner access.UserID, r Request, record Record) (Begun, error) {
	now := s.Now()
	left, err := s.Store.CountTry(ctx, owner, r.Device, now)
	if err != nil {
		return Begun{}, fault.Wrap(fault.Unavailable, "try cannot be counted", err)
	}
	device, found, err := s.Store.Device(ctx, r.Device)
	if err != nil {
		return Begun{}, fault.Wrap(fault.Unavailable, "registration cannot be read", err)
	}
	if !found {
		device = nobody
	}
	c := Challenge{Owner: owner, Key: device.Key, Old: device.Key, CodeHash: device.CodeHash, Was: device.State}
	introduced := device.State == New
	if r.Reset != nil {
		c.Key, c.CodeHash = r.Reset.Key, r.Reset.CodeHash
		introduced = device.Key.verify(r.Reset.statement(s.Deployment, r.Device, device.Key), r.Reset.Signature) && device.State != Paired
	}
	given := r.Code.Hash()
	same := subtle.ConstantTimeCompare(given[:], c.CodeHash[:]) == 1
	if !left || !found || !introduced || !same {
		return Begun{}, refused()
	}

	c.T1 = T1{Deployment: s.Deployment, Device: r.Device, KeyHash: c.Key.Hash(), TrackerNonce: r.Nonce, Expires: now.Add(Life).Truncate(time.Second)}
	if c.T1.Pairing, err = NewID(s.Rand); err != nil {
		return Begun{}, err
	}
	if _, err := io.ReadFull(s.Rand, c.T1.ServiceNonce[:]); err != nil {
		return Begun{}, fault.Wrap(fault.Internal, "no randomness for a nonce", err)
	}
	if err := record(ctx, r.Device, c.T1.Pairing); err != nil {
		return Begun{}, err
	}
	begun := Begun{Pairing: c.T1.Pairing, Message: c.T1.Bytes(), Expires: c.T1.Expires}
	if begun.Certificate, err = s.Certificate(ctx); err != nil {
		return Begun{}, fault.Wrap(fault.Unavailable, "certificate cannot be read", err)
	}
	if begun.Signature, err = s.Signer.Sign(ctx, begun.Message); err != nil {
		return Begun{}, fault.Wrap(fault.Unavailable, "challenge cannot be signed", err)
	}
	// A tracker would refuse it, and nobody would know why.
	if !vouched(begun.Certificate, begun.Message, begun.Signature) {
		return Begun{}, fault.New(fault.Internal, "certificate is not that of the signing key")
	}
	if err := s.Store.Begin(ctx, c); err != nil {
		return Begun{}, fault.Wrap(fault.Unavailable, "challenge cannot be stored", err)
	}
	return begun, nil
}

// Confirm ends a pairing with the tracker's answer, an ASN.1 ECDSA signature of
// T1.Answer. record and errors are as Begin's. The name is the device's id until
// its owner gives it another.
func (s *Service) Confirm(ctx context.Context, owner access.UserID, pairing ID, signature []byte, record Record) (DeviceID, access.Tracker, error) {
	now := s.Now()
	c, found, err := s.Store.Attempt(ctx, pairing, owner, now)
	if err != nil {
		return DeviceID{}, access.Tracker{}, fault.Wrap(fault.Unavailable, "challenge cannot be read", err)
	}
	if !found {
		c = Challenge{Key: nobody.Key}
	}
	signed := c.Key.verify(c.T1.Answer(), signature)
	his := subtle.ConstantTimeCompare([]byte(c.Owner.String()), []byte(owner.String())) == 1
	// What the store holds is held against the key once more: whoever can write the
	// one may not be able to write the other.
	hash := c.Key.Hash()
	whole := subtle.ConstantTimeCompare(hash[:], c.T1.KeyHash[:]) == 1 && c.T1.Deployment == s.Deployment && c.T1.Pairing == pairing
	if !found || !signed || !his || !whole || !now.Before(c.T1.Expires) {
		return DeviceID{}, access.Tracker{}, refused()
	}
	if err := record(ctx, c.T1.Device, pairing); err != nil {
		return DeviceID{}, access.Tracker{}, err
	}
	t := access.Tracker{Pairing: pairing.String(), Key: c.Key.Bytes(), Name: c.T1.Device.String(), State: access.Active, Since: now.UTC().Truncate(time.Second)}
	if err := s.Store.Pair(ctx, c, t); err != nil {
		if fault.KindOf(err) == fault.NotFound {
			return DeviceID{}, access.Tracker{}, refused()
		}
		return DeviceID{}, access.Tracker{}, fault.Wrap(fault.Unavailable, "pairing cannot be stored", err)
	}
	return c.T1.Device, t, nil
}

// nobody stands in for a tracker that does not exist, so that looking for it is as
// much work. Nobody has its key's private half, or a code for its hash.
var nobody = func() Device {
	d := Device{State: New}
	key, err := newKeyPair(rand.Reader)
	if err != nil {
		panic(err)
	}
	d.Key = key
	_, _ = rand.Read(d.CodeHash[:])
	return d
}()

func vouched(certificate, message, signature []byte) bool {
	leaf, err := x509.ParseCertificate(certificate)
	if err != nil {
		return false
	}
	key, err := keyOf(leaf.PublicKey)
	return err == nil && key.verify(message, signature)
}
