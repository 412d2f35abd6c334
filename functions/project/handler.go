package main

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/dynamo"
	"fitvault/shared/fault"
	"fitvault/shared/metrics"
	"fitvault/shared/opening"
	"fitvault/shared/postgres"
	"fitvault/shared/stream"
	"fitvault/shared/vault"
)

const (
	// parallel is how many owners are worked on at a time: their keys and blocks
	// are waited for together, while the one connection to the database goes round.
	parallel = 4
	// spare is what one part may take at most, with calls that do not come back
	// at once; less time is not begun with.
	spare = 20 * time.Second
)

// accounts reads an owner's document, strongly consistent.
type accounts interface {
	Read(ctx context.Context, keys access.Keys) (access.Documents, error)
}

// blocks reads an owner's sealed pieces, strongly consistent: Between yields
// those with first ≤ item < end in order; Get returns one, or false.
type blocks interface {
	Between(ctx context.Context, owner, first, end string) iter.Seq2[dynamo.Sealed, error]
	Get(ctx context.Context, owner, item string) ([]byte, bool, error)
}

// parts keeps the parts of days. Put is a compare-and-set on the version.
type parts interface {
	Version(ctx context.Context, pseudonym, part string) (int64, error)
	Put(ctx context.Context, pseudonym string, p postgres.Part, was int64) (bool, error)
}

// failures is the bucket of what has failed. List returns the ids with a prefix of
// at most 1,000 objects that come after one, in order; Put leaves an object that
// is there.
type failures interface {
	List(ctx context.Context, prefix, after string) ([]string, error)
	Get(ctx context.Context, id string) ([]byte, error)
	Put(ctx context.Context, id string, content []byte) error
	Delete(ctx context.Context, id string) error
}

// keys hands out what project may use: it opens blocks, and seals parts.
type keys interface {
	opening.Keys
	Sealer(ctx context.Context, owner, keyID string) (*vault.Sealer, error)
}

type projector struct {
	deployment string
	accounts   accounts
	blocks     blocks
	parts      parts
	failures   failures
	// keys makes a keyring for one invocation. With it go the owners' keys.
	keys  func() keys
	audit auditlog.Writer
	log   *slog.Logger
	now   func() time.Time
	rand  io.Reader
}

// handle takes a batch of the stream, and answers which of its records are to be
// tried again; or an event of the schedule, and replays what has failed.
func (p *projector) handle(ctx context.Context, event json.RawMessage) (any, error) {
	var e struct {
		Source string `json:"source"`
	}
	if json.Unmarshal(event, &e) == nil && e.Source == "aws.events" {
		return nil, p.replay(ctx)
	}
	batch, err := stream.Read(event)
	if err != nil {
		p.log.LogAttrs(ctx, slog.LevelError, "not a batch", append(metrics.Attributes(p.now(), metrics.Alarms.Of(1)),
			slog.Any("error", fault.Trace(err)), slog.Bool("alarm", true))...)
		return nil, err
	}
	i := p.begin(ctx)
	failed := i.run(ctx, batch.Works)
	i.report(ctx, "batch", len(batch.Works), batch.Strange, metrics.OwnersFailed.Of(int64(len(failed))))
	return batch.Answer(failed), nil
}

// invocation is one call of the function.
type invocation struct {
	*projector
	ring    keys
	request string
	began   time.Time
	heavy   turn // of the days that take much memory
	counts  counts
}

func (p *projector) begin(ctx context.Context) *invocation {
	i := &invocation{projector: p, ring: p.keys(), began: p.now(), heavy: newTurn()}
	if c, ok := lambdacontext.FromContext(ctx); ok {
		i.request = c.AwsRequestID
	}
	return i
}

func (i *invocation) run(ctx context.Context, works []stream.Work) []stream.Work {
	return stream.Run(ctx, works, parallel, spare, i.owner, func(err error) { i.trouble(ctx, err) })
}

// report writes the one record of an invocation: counts, and no one's ids. failed
// says of what failed how many did; more is what else counts.
func (i *invocation) report(ctx context.Context, what string, owners, strange int, failed metrics.Value, more ...metrics.Value) {
	level, aside := slog.LevelInfo, i.counts.aside.Load()
	attributes := []slog.Attr{
		slog.String("request", i.request), slog.String("function", "project"),
		slog.Int("owners", owners), slog.Int64("conflicts", i.counts.conflicts.Load()),
		slog.Int64("nameless", i.counts.nameless.Load()), slog.Int("strange", strange),
		slog.Int64("duration_ms", i.now().Sub(i.began).Milliseconds()),
	}
	values := append([]metrics.Value{failed, metrics.Parts.Of(i.counts.parts.Load()), metrics.SetAside.Of(aside)}, more...)
	if failed.N > 0 {
		level = slog.LevelWarn
	}
	if aside > 0 || strange > 0 {
		level, attributes = slog.LevelError, append(attributes, slog.Bool("alarm", true))
		values = append(values, metrics.Alarms.Of(1))
	}
	i.log.LogAttrs(ctx, level, what, append(attributes, metrics.Attributes(i.now(), values...)...)...)
}

// trouble logs what went wrong with one owner or part, without saying which.
func (i *invocation) trouble(ctx context.Context, err error) {
	level := slog.LevelWarn
	if fault.KindOf(err) == fault.Internal {
		level = slog.LevelError
	}
	i.log.LogAttrs(ctx, level, "not projected", append(metrics.Attributes(i.now(), metrics.FailureOf(err)...),
		slog.String("request", i.request), slog.String("function", "project"),
		slog.String("kind", string(fault.KindOf(err))), slog.Any("error", fault.Trace(err)))...)
}
