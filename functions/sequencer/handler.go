package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"time"

	"fitvault/shared/auditlog/record"
	"fitvault/shared/auditlog/sequence"
	"fitvault/shared/auditlog/tiles"
	"fitvault/shared/fault"
	"fitvault/shared/keyring"
	"fitvault/shared/metrics"
)

const (
	// maxObject is more than the largest object of the log: what was staged for one
	// move of the head.
	maxObject = 64 << 20

	// reserve is how much of a run's time is left for finishing what was begun.
	reserve = 30 * time.Second
)

var errDays = errors.New("setting KEEP_DAYS is no number of days")

// task is what a schedule asks for, or a person.
type task struct {
	Task string    `json:"task"` // "take" or "reconcile"; by hand also "uses", of a time
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// behind is by how much the uses of the owners' key may be behind: an account has two
// requests a second for them, and people ask too.
const behind = 6 * time.Hour

// keys hands out the key that wraps the log's keys.
type keys interface {
	Audit(context.Context) (record.ServiceKey, error)
}

// signer signs with the log's key, which KMS holds.
type signer interface {
	SignEd25519(ctx context.Context, purpose string, message []byte) ([]byte, error)
	Ed25519PublicKey(ctx context.Context, purpose string) (ed25519.PublicKey, error)
}

type handler struct {
	log       *slog.Logger
	keys      keys
	kms       signer
	sequencer sequence.Sequencer // without keys
}

// run does one task, and writes one record: numbers, and whether somebody should look.
// It says whether all was done: who waits for that hears of a run that never came too.
func (h handler) run(ctx context.Context, t task) error {
	r, err := h.do(ctx, t)
	// Success is counted by this name. Were it one for both tasks, the hourly one would say
	// each hour that there was some, whatever becomes of the other.
	name := "sequencer"
	if t.Task == "reconcile" || t.Task == "uses" {
		name = "reconciler"
	}
	attributes := []slog.Attr{slog.String("function", name), slog.String("task", t.Task), slog.Int64("size", r.Size), slog.Int64("added", r.Added),
		slog.Int64("altered", r.Altered), slog.Int64("missing", r.Missing), slog.Int64("unlogged", r.Unlogged), slog.Int64("behind_seconds", int64(r.Behind.Seconds()))}
	if name == "reconciler" {
		attributes = append(attributes, slog.Int64("uses", r.Uses), slog.Int64("used_by_other", r.UsedByOther), slog.Int64("used_unlogged", r.UsedUnlogged), slog.Int64("refused", r.Refused),
			slog.Int64("uses_behind_seconds", int64(r.UsesBehind.Seconds())))
	}
	level, values := slog.LevelInfo, []metrics.Value{metrics.Succeeded.Of(1)}
	alarm := r.Altered+r.Missing+r.Unlogged+r.UsedByOther+r.UsedUnlogged > 0
	switch {
	case errors.Is(err, sequence.ErrMoved): // another was first, and says what came of it
		err, values = nil, nil
	case err != nil:
		// What was found before it failed is not found again.
		level, alarm, values = slog.LevelError, alarm || errors.Is(err, sequence.ErrAltered) || errors.Is(err, record.ErrOpen), metrics.FailureOf(err)
		attributes = append(attributes, slog.Any("error", fault.Trace(err)))
	case r.Behind > 0:
		values = nil // what waits is the next run's
	case t.Task == "uses":
		values = nil // the schedule's work is not done by it
	}
	if name == "reconciler" && (err == nil || r.Unseen > 0) { // it has an alarm of its own: where it rings for good, no other is lost beside it
		values = append(values, metrics.UsesUnseen.Of(int64((r.Unseen + max(0, r.UsesBehind-behind)).Seconds())))
	}
	if alarm {
		level, values = slog.LevelError, append(values, metrics.Alarms.Of(1))
	}
	h.log.LogAttrs(ctx, level, "log", append(append(attributes, slog.Bool("alarm", alarm)), metrics.Attributes(h.sequencer.Now(), values...)...)...)
	return err
}

func (h handler) do(ctx context.Context, t task) (r sequence.Result, err error) {
	s := h.sequencer
	if s.Key, err = h.keys.Audit(ctx); err != nil {
		return r, err
	}
	public, err := h.kms.Ed25519PublicKey(ctx, keyring.PurposeLog)
	if err != nil {
		return r, fault.Wrap(fault.Unavailable, "the log's public key cannot be read", err)
	}
	if s.Verifier, err = tiles.NewVerifier(s.Origin, public); err != nil {
		return r, fault.Wrap(fault.Internal, "the log's name cannot be used in notes", err)
	}
	s.Signer = tiles.NewSigner(s.Verifier, func(text []byte) ([]byte, error) { return h.kms.SignEd25519(ctx, keyring.PurposeLog, text) })
	until := s.Now().Add(reserve)
	if deadline, ok := ctx.Deadline(); ok {
		until = deadline.Add(-reserve)
	}
	switch t.Task {
	case "take":
		return s.Run(ctx, until)
	case "reconcile":
		return s.Reconcile(ctx, until)
	case "uses":
		return s.CompareUses(ctx, t.From, t.To, until)
	}
	return r, fault.New(fault.BadRequest, "no such task")
}
