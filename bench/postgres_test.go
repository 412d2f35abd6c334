package bench

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"fitvault/e2e/stack"
)

// A row per reading with the fields of the inputs, as one would write it: what
// is asked for is an owner's readings of a type in a time. The header's id tells
// a data point; a series' readings share it, so they also have a position.
const rows = `
	CREATE TABLE bench.readings (
		owner uuid NOT NULL,
		id uuid NOT NULL,
		position integer NOT NULL,
		namespace text NOT NULL,
		name text NOT NULL,
		version text NOT NULL,
		created timestamptz NOT NULL,
		modality text NOT NULL,
		value numeric NOT NULL,
		unit text NOT NULL,
		start_time timestamptz NOT NULL,
		end_time timestamptz,
		PRIMARY KEY (owner, id, position)
	);
	CREATE INDEX ON bench.readings (owner, name, start_time)`

// tableOwners is how many owners' inputs go into the table, so that its pages
// and trees are of a usual fullness.
const tableOwners = 100

// BenchmarkPostgres: the bytes of a row per reading in PostgreSQL, with its
// indexes, after a VACUUM. Owners' batches come in turn.
func BenchmarkPostgres(b *testing.B) {
	db := stack.Open(b).SQL(b, stack.Administrator)
	must(db.Exec(b.Context(), "CREATE SCHEMA IF NOT EXISTS bench"))
	defer func() { must(db.Exec(context.WithoutCancel(b.Context()), "DROP SCHEMA bench CASCADE")) }()
	for _, input := range Inputs() {
		b.Run(input.Name, func(b *testing.B) {
			size, count := fill(b, db, input)
			Report(b, map[string]float64{"bytes": float64(size) / float64(count), "rows": float64(count)})
		})
	}
}

// fill makes the table of an input, and returns its size in bytes and its rows.
func fill(b *testing.B, db *pgxpool.Pool, input Input) (size, count int) {
	run := func(sql string) { must(db.Exec(b.Context(), sql)) }
	run("DROP TABLE IF EXISTS bench.readings")
	run(rows)
	owner, fresh := ids(5), ids(6)
	for range tableOwners {
		who, renamed := owner(), map[string]string{}
		var batch [][]any
		for i, r := range input.Records {
			if renamed[r.ID] == "" {
				renamed[r.ID] = fresh() // each owner's points have ids of their own
			}
			var end any
			if r.End != "" {
				end = instant(r.End)
			}
			batch = append(batch, []any{who, renamed[r.ID], i, r.Namespace, r.Name, r.Version, instant(r.Created), r.Modality,
				strconv.FormatFloat(r.Value, 'f', -1, 64), r.Unit, instant(r.Start), end})
		}
		count += int(must(db.CopyFrom(b.Context(), pgx.Identifier{"bench", "readings"}, []string{"owner", "id", "position", "namespace", "name", "version",
			"created", "modality", "value", "unit", "start_time", "end_time"}, pgx.CopyFromRows(batch))))
	}
	run("VACUUM ANALYZE bench.readings")
	check(db.QueryRow(b.Context(), "SELECT pg_total_relation_size('bench.readings')").Scan(&size))
	return size, count
}

func instant(s string) time.Time { return must(time.Parse(time.RFC3339, s)) }
