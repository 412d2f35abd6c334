package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/postgres"
	"fitvault/shared/postgres/postgrestest"
)

const (
	project = "fitvault_project"
	history = "fitvault_history"
	migrate = "fitvault_migrate"
)

// open is the local PostgreSQL by a role. Tests use pseudonyms of their own, and
// leave behind what they stored.
func open(t testing.TB, s *stack.Stack, role string) *postgres.DB {
	t.Helper()
	return opened(t, s.DatabaseConfig(t, role))
}

func opened(t testing.TB, c postgres.Config) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(c)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

// TestContract: project writes, history reads, and 32 projects write at once.
func TestContract(t *testing.T) {
	s := stack.Open(t)
	postgrestest.Contract(t, open(t, s, project), open(t, s, history), func() postgrestest.Parts { return open(t, s, project) })
}
