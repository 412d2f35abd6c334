// Command migrate makes and changes the database's tables and roles. It is run
// after a deployment, before anything else speaks SQL; a second run finds
// nothing to do.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"

	"fitvault/shared/boot"
	"fitvault/shared/boot/database"
	"fitvault/shared/fault"
	"fitvault/shared/postgres"
	"fitvault/shared/postgres/migrations"
)

// applied is what the caller is told: how many migrations were missing.
type applied struct {
	Applied int `json:"applied"`
}

func main() {
	lambda.Start(handler(database.Config(boot.Load(context.Background()))))
}

// handler takes any event: there is nothing to choose.
func handler(c postgres.Config) func(context.Context) (applied, error) {
	return func(ctx context.Context) (applied, error) {
		n, err := migrations.Run(ctx, c)
		if err != nil {
			boot.Log().Error("migration failed", "applied", n, "error", fault.Trace(err))
		} else {
			boot.Log().Info("migrated", "applied", n)
		}
		return applied{n}, err
	}
}
