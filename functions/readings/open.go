package main

import (
	"context"
	"errors"

	"fitvault/shared/auditlog"
	"fitvault/shared/edge"
	"fitvault/shared/fault"
	"fitvault/shared/keyring"
	"fitvault/shared/vault"
)

// opener opens an owner's sealed pieces for one request. It unwraps the keys
// that the pieces name as it meets them.
type opener struct {
	handler
	call    *edge.Call
	owner   string
	known   map[string]bool // ids of the keys below
	private []vault.PrivateKey
	writers []vault.WriterKey
	vault   *vault.Opener
}

func (h handler) opener(c *edge.Call) *opener {
	return &opener{handler: h, call: c, owner: c.Owner.User.String(), known: map[string]bool{}}
}

// open returns a piece's plaintext. A piece that does not open was altered, or
// put where it does not belong: that is an alarm, and the caller gets nothing.
func (o *opener) open(ctx context.Context, sealed []byte, place vault.Place) ([]byte, error) {
	header, err := vault.Inspect(sealed)
	if err != nil {
		return nil, o.broken(ctx)
	}
	if err := o.fetch(ctx, header); err != nil {
		return nil, err
	}
	plain, err := o.vault.Open(sealed, place)
	if err != nil {
		return nil, o.broken(ctx)
	}
	return plain, nil
}

// fetch unwraps the keys that header names, where they are new in this request.
func (o *opener) fetch(ctx context.Context, header vault.Header) error {
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
func (o *opener) missing(ctx context.Context, err error) error {
	if errors.Is(err, keyring.ErrNoKey) || errors.Is(err, keyring.ErrAltered) {
		return o.broken(ctx)
	}
	return err
}

// broken writes the alarm event and returns what the caller is told: nothing.
func (o *opener) broken(ctx context.Context) error {
	if err := o.call.Audit(ctx, auditlog.Event{Outcome: auditlog.Alarm, Kind: "sealed-piece-altered"}); err != nil {
		return err
	}
	return fault.New(fault.Internal, "a sealed piece does not open")
}
