// Package postgres keeps the parts of owners' days in PostgreSQL, which is
// Aurora on AWS. All queries stand in queries.sql, and sqlc makes package
// query of them; the tables and roles stand in migrations.
package postgres

import (
	"context"
	"errors"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"fitvault/shared/fault"
	"fitvault/shared/postgres/query"
)

// Part is what one source, a UTC day's readings or a recording, contributes to
// an owner's days. First and Last are civil dates, 2006-01-02, the range of
// days that it may touch. Version counts the part's puts, from 1. Sealed is at
// most 1 MiB.
type Part struct {
	Part        string
	First, Last string
	Version     int64
	Sealed      []byte
}

// maxParts bounds an answer: a year of days, and 50 recordings on each of them.
// As a part may have 1 MiB, their bytes are bounded too: a year's figures are a few
// MB, and the caller holds all of them at once.
const (
	maxParts = 20_000
	maxBytes = 64 << 20 // sealed
)

var (
	partGrammar      = regexp.MustCompile(`^[a-z0-9#-]{1,64}$`)
	pseudonymGrammar = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
)

// DB is one database, by one role. Each method is one transaction, and sees
// only the rows of the pseudonym that it is given, also where a query were
// wrong: row-level security compares each row with the transaction's setting.
// Errors are faults: Unavailable where trying later may help, else Internal.
type DB struct{ pool *pgxpool.Pool }

// Version returns the version of a part, 0 where there is none.
func (d *DB) Version(ctx context.Context, pseudonym, part string) (version int64, err error) {
	if !partGrammar.MatchString(part) {
		return 0, errMalformed
	}
	err = d.within(ctx, pseudonym, pgx.ReadOnly, func(q *query.Queries) error {
		version, err = q.Version(ctx, query.VersionParams{Pseudonym: pseudonym, Part: part})
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	return version, err
}

// Put stores a part as version was+1, whatever p.Version says, if its version
// still is was (0: there is none). False: somebody else was first, and nothing
// has changed. After an error it may have been stored or not.
func (d *DB) Put(ctx context.Context, pseudonym string, p Part, was int64) (bool, error) {
	if !partGrammar.MatchString(p.Part) || !civil(p.First) || !civil(p.Last) || p.Last < p.First || was < 0 {
		return false, errMalformed
	}
	var rows int64
	err := d.within(ctx, pseudonym, pgx.ReadWrite, func(q *query.Queries) (err error) {
		if was == 0 {
			rows, err = q.InsertPart(ctx, query.InsertPartParams{
				Pseudonym: pseudonym, Part: p.Part, FirstDay: p.First, LastDay: p.Last, Sealed: p.Sealed})
			return err
		}
		rows, err = q.UpdatePart(ctx, query.UpdatePartParams{
			Pseudonym: pseudonym, Part: p.Part, FirstDay: p.First, LastDay: p.Last, Sealed: p.Sealed, Was: was})
		return err
	})
	return err == nil && rows == 1, err
}

// Between returns the parts that may touch a civil day from first to last, both
// inclusive, ordered by part. More than 20,000 of them, or 64 MiB, are TooLarge.
func (d *DB) Between(ctx context.Context, pseudonym, first, last string) ([]Part, error) {
	if !civil(first) || !civil(last) || last < first {
		return nil, errMalformed
	}
	var parts []Part
	bytes := 0 // of the last part that is over the bound too
	err := d.within(ctx, pseudonym, pgx.ReadOnly, func(q *query.Queries) error {
		rows, err := q.PartsBetween(ctx, query.PartsBetweenParams{Pseudonym: pseudonym, First: first, Last: last, Bytes: maxBytes, Limit: maxParts + 1})
		for _, r := range rows {
			bytes += len(r.Sealed)
			parts = append(parts, Part{Part: r.Part, First: r.FirstDay, Last: r.LastDay, Version: r.Version, Sealed: r.Sealed})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(parts) > maxParts || bytes > maxBytes {
		return nil, fault.New(fault.TooLarge, "more parts than one answer holds")
	}
	return parts, nil
}

// civil says whether s is a date. PostgreSQL would take words like today too.
func civil(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

// within runs do in a transaction in which only the rows of one pseudonym exist.
func (d *DB) within(ctx context.Context, pseudonym string, mode pgx.TxAccessMode, do func(*query.Queries) error) error {
	if !pseudonymGrammar.MatchString(pseudonym) {
		return errMalformed
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	tx, err := d.begin(ctx, mode)
	if err != nil {
		return Failed(err)
	}
	q := query.New(tx)
	if err = q.SetOwner(ctx, pseudonym); err == nil {
		err = do(q)
	}
	if err != nil {
		// Where this fails the pool drops the connection, which ends the transaction as well.
		rollback, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = tx.Rollback(rollback)
		return Failed(err)
	}
	return Failed(tx.Commit(ctx))
}

// begin tries twice: the pool's connection may have died while it lay idle,
// and nothing has been asked of it yet.
func (d *DB) begin(ctx context.Context, mode pgx.TxAccessMode) (pgx.Tx, error) {
	tx, err := d.pool.BeginTx(ctx, pgx.TxOptions{AccessMode: mode})
	if err != nil && ctx.Err() == nil {
		tx, err = d.pool.BeginTx(ctx, pgx.TxOptions{AccessMode: mode})
	}
	return tx, err
}
