// Package migrations makes and changes the database's tables and roles. Each
// file is applied once, in order; its role owns what it makes.
package migrations

import (
	"context"
	"embed"
	"errors"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"fitvault/shared/fault"
	"fitvault/shared/postgres"
)

// Files are the migrations as goose reads them.
//
//go:embed *.sql
var Files embed.FS

// Run applies what the database lacks, each file in a transaction, and returns
// how many files that were. Two at the same time: one of them fails, and has
// changed nothing. Its errors are faults and hold no text of PostgreSQL's.
func Run(ctx context.Context, c postgres.Config) (applied int, err error) {
	pool, err := postgres.Connect(c)
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	db := stdlib.OpenDBFromPool(pool)
	defer func() { _ = db.Close() }()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, Files)
	if err != nil {
		return 0, fault.New(fault.Internal, "the migrations cannot be read")
	}
	results, err := provider.Up(ctx)
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		results = partial.Applied
	}
	return len(results), postgres.Failed(err)
}
