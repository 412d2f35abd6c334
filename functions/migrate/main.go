// Command migrate makes and changes the database's tables and roles. It is run
// after a deployment, before anything else speaks SQL; a second run finds
// nothing to do.
package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"fitvault/shared/boot"
	"fitvault/shared/boot/database"
	"fitvault/shared/fault"
	"fitvault/shared/metrics"
	"fitvault/shared/postgres"
	"fitvault/shared/postgres/migrations"
)

// applied is what the caller is told: how many migrations were missing.
type applied struct {
	Applied int `json:"applied"`
}

func main() {
	lambda.Start(handler(database.Config(boot.Load(context.Background())), boot.Log(), time.Now))
}

// handler takes any event: there is nothing to choose.
func handler(c postgres.Config, log *slog.Logger, now func() time.Time) func(context.Context) (applied, error) {
	return func(ctx context.Context) (applied, error) {
		n, err := migrations.Run(ctx, c)
		level, what, values := slog.LevelInfo, "migrated", []metrics.Value{metrics.Succeeded.Of(1)}
		attributes := []slog.Attr{slog.String("function", "migrate"), slog.Int("applied", n)}
		if err != nil {
			level, what, values = slog.LevelError, "migration failed", metrics.FailureOf(err)
			attributes = append(attributes, slog.Any("error", fault.Trace(err)))
		}
		log.LogAttrs(ctx, level, what, append(attributes, metrics.Attributes(now(), values...)...)...)
		return applied{n}, err
	}
}
