package bench

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// A row per reading with the fields of the inputs, as one would write it: what
// is asked for is an owner's readings of a type in a time. The header's id tells
// a data point; a series' readings share it, so they also have a position.
const rows = `
	CREATE TABLE bench_readings (
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
	CREATE INDEX bench_readings_by_time ON bench_readings (owner, name, start_time)`

// tableOwners is how many owners' inputs go into the table, so that its pages
// and trees are of a usual fullness.
const tableOwners = 100

// BenchmarkPostgres: the bytes of a row per reading in PostgreSQL, with its
// indexes, after a VACUUM. Owners' batches come in turn.
func BenchmarkPostgres(b *testing.B) {
	url := os.Getenv("BENCH_POSTGRES")
	if url == "" {
		b.Skip("no PostgreSQL")
	}
	db := must(pgx.Connect(b.Context(), url))
	defer func() { require.NoError(b, db.Close(context.Background())) }()
	for _, input := range Inputs() {
		b.Run(input.Name, func(b *testing.B) {
			bytes, count := fill(b, db, input)
			Report(b, map[string]float64{"bytes": bytes / float64(count), "rows": float64(count)})
		})
	}
}

// fill makes the table of an input, and returns its size and its rows.
func fill(t testing.TB, db *pgx.Conn, input Input) (size float64, count int) {
	run := func(sql string) { must(db.Exec(t.Context(), sql)) }
	run("DROP TABLE IF EXISTS bench_readings")
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
				fmt.Sprint(r.Value), r.Unit, instant(r.Start), end})
		}
		n := must(db.CopyFrom(t.Context(), pgx.Identifier{"bench_readings"}, []string{"owner", "id", "position", "namespace", "name", "version",
			"created", "modality", "value", "unit", "start_time", "end_time"}, pgx.CopyFromRows(batch)))
		count += int(n)
	}
	run("VACUUM ANALYZE bench_readings")
	check(db.QueryRow(t.Context(), "SELECT pg_total_relation_size('bench_readings')").Scan(&size))
	return size, count
}

func instant(s string) time.Time { return must(time.Parse(time.RFC3339, s)) }
