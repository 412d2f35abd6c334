package edge

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"fitvault/shared/fault"
	"fitvault/shared/metrics"
)

// record is the one log record of a request.
type record struct {
	call     *Call
	err      error
	status   int
	bytes    int // of the event's body, as it came
	duration time.Duration
	cold     bool // the first request of this process
}

// counts is what the record adds to the service's metrics.
func (r record) counts() []metrics.Value {
	values := []metrics.Value{metrics.Requests.Of(1), metrics.Duration.Of(r.duration.Milliseconds())}
	switch {
	case r.status >= http.StatusInternalServerError:
		values = append(values, metrics.ServerErrors.Of(1))
		values = append(values, metrics.FailureOf(r.err)...)
	case r.status == http.StatusTooManyRequests:
		values = append(values, metrics.Throttles.Of(1))
	case r.status == http.StatusUnauthorized, r.status == http.StatusForbidden, r.status == http.StatusNotFound:
		values = append(values, metrics.Refusals.Of(1))
	}
	if r.call.alarm {
		values = append(values, metrics.Alarms.Of(1))
	}
	if r.cold {
		values = append(values, metrics.ColdStarts.Of(1))
	}
	return values
}

// log writes the record: what the service itself knows, and nothing that the
// caller said but the id of the trace that the request belongs to. Who it was
// is in the audit event of the same request id. It is what metrics are made of too.
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
	attributes = append(attributes, metrics.Attributes(g.config.Now(), r.counts()...)...)
	g.config.Log.LogAttrs(ctx, level, "request", attributes...)
}
