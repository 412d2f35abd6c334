// Package metrics has CloudWatch make metrics of a log record. The record itself says
// which of its members are metrics (CloudWatch's embedded metric format), so nothing
// is sent, and no function needs a power for it (docs/adr/0032-signals.md).
//
// A metric is of the deployment, and some are of one function besides. Nothing else
// may be a dimension: what a caller chose, or who he is, never gets here.
package metrics

import (
	"log/slog"
	"slices"
	"time"

	"fitvault/shared/fault"
)

// Namespace is the one of all metrics below.
const Namespace = "fitvault"

// The record's members that dimensions are taken from. Every record has the first
// (shared/boot); one with a metric of a function must have the second.
const (
	DimensionDeployment = "deployment"
	DimensionFunction   = "function"
)

// Metric is a number that is watched.
type Metric struct {
	Name       string // of the record's member too
	Unit       string // "" is a count
	OfFunction bool   // has the dimension function besides
}

var (
	Requests     = Metric{Name: "requests"} // that reached a function
	Duration     = Metric{Name: "duration_ms", Unit: "Milliseconds"}
	ServerErrors = Metric{Name: "server_errors"} // answers of 500 and above
	Refusals     = Metric{Name: "refusals"}      // 401, 403, 404
	Throttles    = Metric{Name: "throttles"}     // 429
	ColdStarts   = Metric{Name: "cold_starts"}
	Alarms       = Metric{Name: "alarms"} // what must not happen did: see the audit event of the same request

	Findings = Metric{Name: "findings"} // of the sentinel: who guesses, reads in bulk, and the like

	KMSFailures      = Metric{Name: "kms_failures"}      // requests and parts that failed because KMS did
	DatabaseFailures = Metric{Name: "database_failures"} // the same of PostgreSQL

	Parts        = Metric{Name: "parts"} // of days, made again
	OwnersFailed = Metric{Name: "owners_failed"}
	SetAside     = Metric{Name: "set_aside"}
	FailuresKept = Metric{Name: "failures_kept"} // that a replay could not mend

	UsesUnseen = Metric{Name: "uses_unseen_seconds", Unit: "Seconds"} // of time, whose uses of the owners' key nobody compared, or not in time

	Succeeded = Metric{Name: "succeeded", OfFunction: true} // runs of what runs by schedule, or by hand
)

// All is every metric.
func All() []Metric {
	return []Metric{Requests, Duration, ServerErrors, Refusals, Throttles, ColdStarts, Alarms, Findings,
		KMSFailures, DatabaseFailures, Parts, OwnersFailed, SetAside, FailuresKept, UsesUnseen, Succeeded}
}

// Value is what one record adds to a metric.
type Value struct {
	Metric
	N int64
}

// Of is a value of m.
func (m Metric) Of(n int64) Value { return Value{m, n} }

// FailureOf is the failure of the service that err came from, of those that have
// a metric; nothing otherwise.
func FailureOf(err error) []Value {
	switch fault.Service(err) {
	case "KMS":
		return []Value{KMSFailures.Of(1)}
	case fault.Database:
		return []Value{DatabaseFailures.Of(1)}
	}
	return nil
}

// directive and what is in it are named by the format's specification.
type (
	metadata struct {
		Timestamp         int64 // milliseconds since 1970
		CloudWatchMetrics []directive
	}
	directive struct {
		Namespace  string
		Dimensions [][]string
		Metrics    []definition
	}
	definition struct {
		Name string
		Unit string `json:",omitempty"`
	}
)

// Attributes are a record's members for the values, and the one that says that they
// are metrics. The record must not have a member of the same name.
func Attributes(now time.Time, values ...Value) []slog.Attr {
	if len(values) == 0 {
		return nil
	}
	attributes := make([]slog.Attr, 0, len(values)+1)
	about := metadata{Timestamp: now.UnixMilli()}
	for _, v := range values {
		attributes = append(attributes, slog.Int64(v.Name, v.N))
		dimensions := []string{DimensionDeployment}
		if v.OfFunction {
			dimensions = append(dimensions, DimensionFunction)
		}
		of := slices.IndexFunc(about.CloudWatchMetrics, func(d directive) bool { return len(d.Dimensions[0]) == len(dimensions) })
		if of < 0 {
			of = len(about.CloudWatchMetrics)
			about.CloudWatchMetrics = append(about.CloudWatchMetrics, directive{Namespace: Namespace, Dimensions: [][]string{dimensions}})
		}
		d := &about.CloudWatchMetrics[of]
		d.Metrics = append(d.Metrics, definition{v.Name, v.Unit})
	}
	return append(attributes, slog.Any("_aws", about))
}
