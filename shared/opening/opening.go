// Package opening opens an owner's sealed pieces, for one request or one batch.
// All readers use it, so what does not open is an alarm wherever it is met.
package opening

import (
	"context"
	"errors"

	"fitvault/shared/fault"
	"fitvault/shared/keyring"
	"fitvault/shared/redact"
	"fitvault/shared/vault"
)

// Keys hands out the keys that a reader may use; keyring.Ring is one.
type Keys interface {
	Private(ctx context.Context, owner, keyID string) (vault.PrivateKey, error)
	Writer(ctx context.Context, id string) (vault.WriterKey, error)
}

// Opener opens the pieces of one owner. It unwraps the keys that the pieces name
// as it meets them, and holds them as long as it lives: no longer than what it
// was made for. It belongs to one goroutine.
type Opener struct {
	redact.Mark
	keys  Keys
	owner string
	alarm func(context.Context) error

	known   map[string]bool // ids of the keys below
	private []vault.PrivateKey
	writers []vault.WriterKey
	vault   *vault.Opener
}

// New makes an opener. alarm writes the audit event that says that a piece has
// been altered; its error means that the event may be missing.
func New(keys Keys, owner string, alarm func(context.Context) error) *Opener {
	return &Opener{keys: keys, owner: owner, alarm: alarm, known: map[string]bool{}}
}

// Open returns a piece's plaintext. A piece that does not open was altered, or
// put where it does not belong: that is an alarm, and the caller gets nothing.
// Errors: Broken's, and those of Keys.
func (o *Opener) Open(ctx context.Context, sealed []byte, place vault.Place) ([]byte, error) {
	header, err := vault.Inspect(sealed)
	if err != nil {
		return nil, o.Broken(ctx)
	}
	if err := o.fetch(ctx, header); err != nil {
		return nil, err
	}
	plain, err := o.vault.Open(sealed, place)
	if err != nil {
		return nil, o.Broken(ctx)
	}
	return plain, nil
}

// fetch unwraps the keys that header names, where they are new to this opener.
func (o *Opener) fetch(ctx context.Context, header vault.Header) error {
	if known := "private " + header.KeyID; !o.known[known] {
		key, err := o.keys.Private(ctx, o.owner, header.KeyID)
		if err != nil {
			return o.missing(ctx, err)
		}
		o.private, o.known[known], o.vault = append(o.private, key), true, nil
	}
	if known := "writer " + header.WriterKeyID; !o.known[known] {
		key, err := o.keys.Writer(ctx, header.WriterKeyID)
		if err != nil {
			return o.missing(ctx, err)
		}
		o.writers, o.known[known], o.vault = append(o.writers, key), true, nil
	}
	if o.vault == nil {
		o.vault = vault.NewOpener(o.private, o.writers)
	}
	return nil
}

// missing tells a key that does not exist, which an altered header may name, or
// was altered, from a store or a KMS that cannot answer now.
func (o *Opener) missing(ctx context.Context, err error) error {
	if errors.Is(err, keyring.ErrNoKey) || errors.Is(err, keyring.ErrAltered) {
		return o.Broken(ctx)
	}
	return err
}

// Broken raises the alarm, also for a plaintext that is none of ours, and returns
// what the caller is told: fault.Internal, and nothing more; or alarm's error.
func (o *Opener) Broken(ctx context.Context) error {
	if err := o.alarm(ctx); err != nil {
		return err
	}
	return fault.New(fault.Internal, "a sealed piece does not open")
}
