package edge

import (
	"context"
	"log/slog"
	"time"

	"fitvault/shared/fault"
)

// record is the one log record of a request.
type record struct {
	call     *Call
	err      error
	status   int
	bytes    int // of the event's body, as it came
	duration time.Duration
}

// log writes the record: what the service itself knows, and nothing that the
// caller said but the id of the trace that the request belongs to. Who it was
// is in the audit event of the same request id.
func (g *Guard) log(ctx context.Context, r record) {
	method, resource := "unknown", "unknown"
	if r.call.route != nil {
		method, resource = r.call.route.Method, r.call.route.Resource
	}
	attributes := []slog.Attr{
		slog.String("request", r.call.RequestID),
		slog.String("function", g.config.Function),
		slog.String("method", method),
		slog.String("resource", resource),
		slog.Int("status", r.status),
		slog.Int64("duration_ms", r.duration.Milliseconds()),
		slog.Int("bytes_in", r.bytes),
	}
	if r.call.trace != "" {
		attributes = append(attributes, slog.String("trace", r.call.trace))
	}
	level := slog.LevelInfo
	if r.err != nil {
		attributes = append(attributes,
			slog.String("kind", string(fault.KindOf(r.err))), slog.Any("error", fault.Trace(r.err)))
	}
	if r.call.uncounted {
		attributes = append(attributes, slog.Bool("uncounted", true))
	}
	if r.call.alarm {
		attributes = append(attributes, slog.Bool("alarm", true))
	}
	if r.call.alarm || r.status >= 500 {
		level = slog.LevelError
	}
	g.config.Log.LogAttrs(ctx, level, "request", attributes...)
}
