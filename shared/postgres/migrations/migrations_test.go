package migrations_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/fault"
	"fitvault/shared/postgres"
	"fitvault/shared/postgres/migrations"
	"fitvault/shared/postgres/postgrestest"
)

// scratch is a new database beside the stack's, owned by the role that migrates.
func scratch(t *testing.T, s *stack.Stack) postgres.Config {
	t.Helper()
	administrator, name := s.SQL(t, stack.Administrator), "scratch_"+strings.ToLower(rand.Text())
	_, err := administrator.Exec(t.Context(), "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()+" OWNER fitvault_migrate")
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := administrator.Exec(context.Background(), "DROP DATABASE "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
		require.NoError(t, err)
	})
	c := s.DatabaseConfig(t, "fitvault_migrate")
	c.Database = name
	return c
}

// TestMigrationsAreAppliedOnceAndCanBeTakenBack on a database of its own.
func TestMigrationsAreAppliedOnceAndCanBeTakenBack(t *testing.T) {
	s := stack.Open(t)
	c := scratch(t, s)
	for _, want := range []int{2, 0} {
		applied, err := migrations.Run(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, want, applied)
	}
	use := func() error {
		role := s.DatabaseConfig(t, "fitvault_project")
		role.Database = c.Database
		db, err := postgres.Open(role)
		require.NoError(t, err)
		defer db.Close()
		_, err = db.Version(t.Context(), postgrestest.NewPseudonym(), "2026-05-04")
		return err
	}
	require.NoError(t, use())

	pool, err := postgres.Connect(c)
	require.NoError(t, err)
	defer pool.Close()
	db := stdlib.OpenDBFromPool(pool)
	defer func() { require.NoError(t, db.Close()) }()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.Files)
	require.NoError(t, err)
	down, err := provider.DownTo(t.Context(), 0)
	require.NoError(t, err)
	require.Len(t, down, 2)
	require.Equal(t, fault.Internal, fault.KindOf(use()), "nothing is left")
	up, err := provider.Up(t.Context())
	require.NoError(t, err)
	require.Len(t, up, 2)
	require.NoError(t, use())
}

// TestTwoAtATime: each file is applied once, whoever was first.
func TestTwoAtATime(t *testing.T) {
	c := scratch(t, stack.Open(t))
	type outcome struct {
		applied int
		err     error
	}
	outcomes := make(chan outcome)
	for range 2 {
		go func() {
			applied, err := migrations.Run(t.Context(), c)
			outcomes <- outcome{applied, err}
		}()
	}
	total := 0
	for range 2 {
		total += (<-outcomes).applied
	}
	applied, err := migrations.Run(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, 2, total+applied)
}

func TestADatabaseThatIsNotThere(t *testing.T) {
	c := postgres.Config{Host: "127.0.0.1", Port: 1, CA: func(context.Context) (string, error) { return "", errors.New("canary") }}
	applied, err := migrations.Run(t.Context(), c)
	require.Zero(t, applied)
	require.EqualError(t, err, "unavailable: no answer from the database")
}
