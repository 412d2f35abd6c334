package edge

import (
	"context"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/fault"
	"fitvault/shared/opening"
)

// Audit writes an event before its effect. It fills ID, Time, Request,
// Function, Action, Caller and Client, and, where they are empty, Owner,
// Reasons and Outcome (Allowed); the handler gives counts and ids of things.
// Without a durable event it returns a fault.Unavailable, and the request ends
// as 503 whatever the handler does then.
//
// An event of the outcome Alarm does not stand for the event of the effect.
func (c *Call) Audit(ctx context.Context, e auditlog.Event) error {
	if e.Outcome == "" {
		e.Outcome = auditlog.Allowed
	}
	if e.Outcome == auditlog.Alarm {
		c.alarm = true
	}
	err := c.write(ctx, e)
	if err != nil {
		c.unaudited = fault.Wrap(fault.Unavailable, "audit event not written", err)
		return c.unaudited
	}
	if e.Outcome == auditlog.Allowed {
		c.audited = true
	}
	return nil
}

// Opener opens the owner's sealed pieces for this request; one that does not open
// is an alarm.
func (c *Call) Opener(keys opening.Keys) *opening.Opener {
	return opening.New(keys, c.Owner.User.String(), c.altered)
}

func (c *Call) altered(ctx context.Context) error {
	return c.Audit(ctx, auditlog.Event{Outcome: auditlog.Alarm, Kind: auditlog.PieceAltered})
}

func (c *Call) write(ctx context.Context, e auditlog.Event) error {
	config := c.guard.config
	now := config.Now()
	id, err := auditlog.NewID(now, config.Rand)
	if err != nil {
		return err
	}
	e.ID, e.Time, e.Request, e.Function, e.Action = id, now, c.RequestID, config.Function, string(c.route.Action)
	e.Client, e.Caller = c.Principal.Client, c.Principal.User.String()
	if e.Caller == "" { // before enrolment: the same for all attempts of one person
		e.Caller = access.IdentityKey(c.Principal.Issuer, c.Principal.Subject)
	}
	if e.Owner == "" {
		e.Owner = c.Owner.User.String()
	}
	if e.Reasons == nil {
		e.Reasons = c.Decision.Reasons
	}
	e.Charged = c.charged(ctx, e.Outcome)
	return config.Audit.Write(ctx, e)
}

// charged is whom the request is counted against. Of a refusal it also says which
// address it came from, by that day's name, where there is a key for one.
func (c *Call) charged(ctx context.Context, outcome auditlog.Outcome) auditlog.Charged {
	of := c.callers(0, false)
	charged := auditlog.Charged{Key: of.Key}
	if len(of.Lines) > 1 {
		charged.Device = of.Lines[1].ID
	}
	if outcome == auditlog.Refused {
		charged.Address, _ = c.guard.nameAddress(ctx, c.address) // an event without it is still one
	}
	return charged
}

// settle writes the event that is owed before an answer leaves, and closes what
// a handler left open: err is how the request ended so far, the result how it
// ends.
func (c *Call) settle(ctx context.Context, err error) error {
	kind := fault.KindOf(err)
	switch {
	case c.unaudited != nil:
		return c.unaudited
	case err == nil && c.audited:
		return nil
	case err == nil:
		err = fault.New(fault.Internal, "answer without an audit event")
		return c.owe(ctx, err, auditlog.Event{Outcome: auditlog.Alarm, Kind: string(fault.Internal), Reasons: []string{"unaudited-answer"}})
	case !c.known || c.audited || c.limited:
		return err
	case c.Decision.Error:
		return c.owe(ctx, err, auditlog.Event{Outcome: auditlog.Alarm, Kind: string(kind), Reasons: []string{"policy-error"}})
	case kind.Status() < 500:
		return c.owe(ctx, err, auditlog.Event{Outcome: auditlog.Refused, Kind: string(kind)})
	}
	return err
}

// owe returns err once its event is written.
func (c *Call) owe(ctx context.Context, err error, e auditlog.Event) error {
	if failure := c.Audit(ctx, e); failure != nil {
		return failure
	}
	return err
}
