package stack

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"fitvault/shared/postgres"
)

// Administrator is the local PostgreSQL's superuser, whom row-level security
// does not bind; a function never signs in as it.
const Administrator = "postgres"

// DatabaseConfig is how a role reaches the local PostgreSQL.
func (s *Stack) DatabaseConfig(t testing.TB, role string) postgres.Config {
	t.Helper()
	password, ok := s.Database.Passwords[role]
	if !ok {
		t.Fatalf("the local database has no role %s", role)
	}
	return postgres.Config{
		Host: s.Database.Host, Port: s.Database.Port, Database: s.Database.Name, User: role,
		CA: func(context.Context) (string, error) {
			pem, err := os.ReadFile(s.Database.CAFile)
			return string(pem), err
		},
		Password: func(context.Context) (string, error) { return password, nil },
	}
}

// SQL is one connection of a role for statements of a test's own.
func (s *Stack) SQL(t testing.TB, role string) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Connect(s.DatabaseConfig(t, role))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// Dump is every row of every table of the database, as COPY writes it, by table.
func (s *Stack) Dump(t testing.TB) map[string][]byte {
	t.Helper()
	c, err := s.SQL(t, Administrator).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	rows, err := c.Query(t.Context(), `SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (pgx.Identifier, error) {
		name := make(pgx.Identifier, 2)
		return name, row.Scan(&name[0], &name[1])
	})
	if err != nil {
		t.Fatal(err)
	}
	dump := map[string][]byte{}
	for _, table := range tables {
		// Binary: bytes as they are, where text would show them as hexadecimal digits.
		var content bytes.Buffer
		if _, err := c.Conn().PgConn().CopyTo(t.Context(), &content, fmt.Sprintf("COPY %s TO STDOUT (FORMAT binary)", table.Sanitize())); err != nil {
			t.Fatal(err)
		}
		dump[table[0]+"."+table[1]] = content.Bytes()
	}
	return dump
}
