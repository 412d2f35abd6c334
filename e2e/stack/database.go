package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"fitvault/shared/postgres"
)

// Administrator is the local PostgreSQL's superuser, whom row-level security
// does not bind; a function never signs in as it.
const Administrator = "postgres"

// UseDatabase keeps the database up until the test ends: packages are tested at
// once, and one of them stops it.
func (s *Stack) UseDatabase(t testing.TB) {
	t.Helper()
	t.Cleanup(s.lockDatabase(t, syscall.LOCK_SH))
}

// lockDatabase waits for a lock that all tests know, shared or exclusive.
func (s *Stack) lockDatabase(t testing.TB, how int) (unlock func()) {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(s.root, ".local", "database.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = syscall.Flock(int(file.Fd()), how)
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() { _ = file.Close() }
}

// DatabaseConfig is how a role reaches the local PostgreSQL, which stays up until
// the test ends.
func (s *Stack) DatabaseConfig(t testing.TB, role string) postgres.Config {
	t.Helper()
	s.UseDatabase(t)
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

// StopDatabase stops PostgreSQL when no other test uses it, and returns what starts
// it again; a test that ends without it leaves it running too. A test that has
// called UseDatabase or DatabaseConfig must not.
func (s *Stack) StopDatabase(t testing.TB) (start func()) {
	t.Helper()
	run := func(arguments ...string) {
		if out, err := exec.Command(filepath.Join(s.root, "localstack", "stack"), arguments...).CombinedOutput(); err != nil {
			t.Errorf("localstack/stack %v: %v\n%s", arguments, err, out)
		}
	}
	unlock := s.lockDatabase(t, syscall.LOCK_EX)
	start = sync.OnceFunc(func() {
		run("start")
		unlock()
	})
	t.Cleanup(start)
	run("stop", "postgres")
	return start
}

// Dump is every row of every table of the database, as COPY writes it, by table.
// A table that another test takes away meanwhile is left out.
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
		_, err := c.Conn().PgConn().CopyTo(t.Context(), &content, fmt.Sprintf("COPY %s TO STDOUT (FORMAT binary)", table.Sanitize()))
		var refusal *pgconn.PgError
		if errors.As(err, &refusal) && (refusal.Code == "42P01" || refusal.Code == "3F000") { // no such table, no such schema
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		dump[table[0]+"."+table[1]] = content.Bytes()
	}
	return dump
}
