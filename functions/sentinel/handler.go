package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"fitvault/shared/dynamo"
	"fitvault/shared/fault"
	"fitvault/shared/metrics"
	"fitvault/shared/sentinel"
)

type handler struct {
	log      *slog.Logger
	now      func() time.Time
	pools    pools
	sentinel sentinel.Sentinel // without Found
}

// handle takes a batch of the stream of audit events, or of a log. What cannot be
// counted comes again as it is: to count it twice is to count it once.
func (h handler) handle(ctx context.Context, raw json.RawMessage) error {
	began := h.now()
	events, strange, err := h.read(ctx, raw, began)
	found := map[string]int{}
	if err == nil {
		s := h.sentinel
		s.Found = func(_ context.Context, f sentinel.Finding) { found[f.Detector]++ }
		err = s.Watch(ctx, events)
	}
	h.report(ctx, began, len(events), strange, found, err)
	return err
}

// read makes events of whatever the function is called with.
func (h handler) read(ctx context.Context, raw []byte, now time.Time) (events []sentinel.Event, strange int, err error) {
	var kind struct {
		AWSLogs *json.RawMessage `json:"awslogs"`
	}
	if json.Unmarshal(raw, &kind) == nil && kind.AWSLogs != nil {
		return decodeLog(ctx, *kind.AWSLogs, h.pools)
	}
	batch, err := dynamo.DecodeAuditStream(raw)
	if err != nil {
		return nil, 0, err
	}
	for _, e := range batch.Stored {
		events = append(events, sentinel.Event{Event: e})
	}
	for _, e := range batch.Gaps {
		gap := sentinel.Event{Event: e, Gap: true}
		gap.Time = now // what was removed may be old, its removal is not
		events = append(events, gap)
	}
	return events, batch.Strange, nil
}

// report writes the one record of a call: numbers, and names of detectors.
func (h handler) report(ctx context.Context, began time.Time, events, strange int, found map[string]int, err error) {
	attributes := []slog.Attr{slog.String("function", sentinel.Function), slog.Int("events", events), slog.Int("strange", strange),
		slog.Int64("duration_ms", h.now().Sub(began).Milliseconds())}
	if c, ok := lambdacontext.FromContext(ctx); ok {
		attributes = append(attributes, slog.String("request", c.AwsRequestID))
	}
	level, all, values := slog.LevelInfo, 0, []metrics.Value{}
	for _, n := range found {
		all += n
	}
	if values = append(values, metrics.Findings.Of(int64(all))); all > 0 {
		level, attributes = slog.LevelWarn, append(attributes, slog.Any("found", found))
	}
	if err != nil {
		level, attributes = slog.LevelError, append(attributes, slog.String("kind", string(fault.KindOf(err))), slog.Any("error", fault.Trace(err)))
		values = append(values, metrics.FailureOf(err)...)
	}
	if strange > 0 || fault.KindOf(err) == fault.Internal && err != nil {
		level, attributes = slog.LevelError, append(attributes, slog.Bool("alarm", true))
		values = append(values, metrics.Alarms.Of(1))
	}
	h.log.LogAttrs(ctx, level, "watched", append(attributes, metrics.Attributes(h.now(), values...)...)...)
}
