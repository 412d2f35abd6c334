package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/days"
	"fitvault/shared/fault"
	"fitvault/shared/keyring"
	"fitvault/shared/opening"
	"fitvault/shared/postgres"
	"fitvault/shared/stream"
	"fitvault/shared/vault"
)

// attempts bounds how often a part is made again because somebody else has put
// it meanwhile. Each time somebody has got further.
const attempts = 8

// counts is what an invocation has done.
type counts struct{ parts, conflicts, nameless, aside atomic.Int64 }

// action is what project's audit events say that it did.
const action = "days.project"

// owner makes an owner's parts again, and returns those that are to be tried
// again: what failed because something is down. What would fail again in the
// same way is set aside, so that it holds nobody up.
func (i *invocation) owner(ctx context.Context, w stream.Work) (failed []string) {
	o, err := i.open(ctx, w)
	if err != nil {
		for _, part := range w.Parts {
			failed = i.settle(ctx, w.Owner, part, err, failed)
		}
		return failed
	}
	if o == nil {
		return nil
	}
	for _, part := range w.Parts {
		err := fault.Recovered(func() error {
			if !enoughTime(ctx, spare) {
				return fault.New(fault.Unavailable, "no time left to begin a part")
			}
			return o.project(ctx, part)
		})
		failed = i.settle(ctx, w.Owner, part, err, failed)
	}
	return failed
}

// enoughTime reports whether as much is left before ctx ends.
func enoughTime(ctx context.Context, d time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return !ok || time.Until(deadline) >= d
}

// settle ends one part: done, set aside, or added to failed.
func (i *invocation) settle(ctx context.Context, owner access.UserID, part string, err error, failed []string) []string {
	if err == nil {
		i.counts.parts.Add(1)
		return failed
	}
	i.trouble(ctx, err)
	if fault.KindOf(err) == fault.Internal {
		if err = i.setAside(ctx, owner, part); err == nil {
			i.counts.aside.Add(1)
			return failed
		}
		i.trouble(ctx, err)
	}
	return append(failed, part)
}

// owner is one owner in one batch.
type owner struct {
	*invocation
	id        string
	pseudonym string
	opener    *opening.Opener
	sealer    *vault.Sealer
}

// open gets ready what one owner's parts need: the audit event first, then keys.
// Nil: there is nothing to do for this owner (any more).
func (i *invocation) open(ctx context.Context, w stream.Work) (*owner, error) {
	documents, err := i.accounts.Read(ctx, access.Keys{User: w.Owner})
	if err != nil {
		return nil, err
	}
	// Whose account is gone or going gets no days; what is there of them goes with
	// the account. A consent withdrawn does not matter: what was collected before
	// is shown on (ADR 0007), and nothing else is here.
	account := documents.Owner
	if account == nil || account.State != access.Active {
		return nil, nil
	}
	if account.Pseudonym == "" {
		i.counts.nameless.Add(int64(len(w.Parts)))
		return nil, nil
	}
	if err := i.write(ctx, auditlog.Event{Owner: w.Owner.String(), Outcome: auditlog.Allowed, Records: len(w.Parts)}); err != nil {
		return nil, err
	}
	o := &owner{invocation: i, id: w.Owner.String(), pseudonym: account.Pseudonym}
	o.opener = opening.New(i.ring, o.id, func(ctx context.Context) error { return o.alarm(ctx, auditlog.PieceAltered) })
	o.sealer, err = i.ring.Sealer(ctx, o.id, account.DataKey)
	if errors.Is(err, keyring.ErrAltered) {
		if failed := o.alarm(ctx, auditlog.KeyAltered); failed != nil {
			return nil, failed
		}
	}
	return o, err
}

// alarm says that what is stored for the owner is not what was stored.
func (o *owner) alarm(ctx context.Context, kind string) error {
	return o.write(ctx, auditlog.Event{Owner: o.id, Outcome: auditlog.Alarm, Kind: kind})
}

// write writes an audit event. Nobody has asked, so there is no caller.
func (i *invocation) write(ctx context.Context, e auditlog.Event) (err error) {
	e.Time, e.Request, e.Function, e.Action = i.now(), i.request, "project", action
	if e.ID, err = auditlog.NewID(e.Time, i.rand); err != nil {
		return err
	}
	if err := i.audit.Write(ctx, e); err != nil {
		return fault.Wrap(fault.Unavailable, "audit event not written", err)
	}
	return nil
}

// project makes a part again from its source, as it is now, and puts it unless
// somebody else has put it since before the source was read: then what they saw
// may be newer, or older, and all is read again. So the last to put has seen
// everything that was there when the one before him had put.
func (o *owner) project(ctx context.Context, part string) error {
	for range attempts {
		was, err := o.parts.Version(ctx, o.pseudonym, part)
		if err != nil {
			return err
		}
		made, err := o.read(ctx, part)
		if err != nil {
			return err
		}
		if was == 0 && len(made.part) == 0 {
			return nil
		}
		plain, err := made.part.Encode()
		if err != nil {
			return fault.Wrap(fault.Internal, "part cannot be encoded", err)
		}
		sealed, err := o.sealer.Seal(days.Place(o.deployment, o.id, part, was+1), plain)
		if err != nil {
			return fault.Wrap(fault.Internal, "part cannot be sealed", err)
		}
		put, err := o.parts.Put(ctx, o.pseudonym, postgres.Part{Part: part, First: made.first.String(), Last: made.last.String(), Sealed: sealed}, was)
		if err != nil || put {
			return err
		}
		o.counts.conflicts.Add(1)
	}
	return fault.New(fault.Unavailable, "a part was put by somebody else each time")
}
