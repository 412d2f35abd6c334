package bench

import (
	"context"
	"time"

	"fitvault/shared/auditlog"
	"fitvault/shared/intake"
)

// Sink is the stores of intake and the audit log, faked: they take everything
// and keep nothing.
type Sink struct{}

func (Sink) Claim(_ context.Context, m intake.Manifest) (intake.Manifest, error) { return m, nil }

func (Sink) Find(context.Context, string) (intake.Manifest, bool, error) {
	return intake.Manifest{}, false, nil
}

func (Sink) PutOnce(context.Context, string, string, []byte, time.Time) error { return nil }

func (Sink) Put(context.Context, string, []byte) error { return nil }

func (Sink) Write(context.Context, auditlog.Event) error { return nil }
