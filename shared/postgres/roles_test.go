package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/postgres"
	"fitvault/shared/postgres/postgrestest"
)

const (
	done      = ""      // the statement was run
	forbidden = "42501" // insufficient_privilege, of a right or of row-level security
)

// try runs statements in a transaction of its own, which leaves nothing, and
// returns the SQLSTATE of the first that was refused.
func try(t *testing.T, pool *pgxpool.Pool, statements ...string) string {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	for _, statement := range statements {
		if _, err := tx.Exec(t.Context(), statement); err != nil {
			var refusal *pgconn.PgError
			require.ErrorAs(t, err, &refusal, statement)
			return refusal.Code
		}
	}
	return done
}

// TestEveryRoleCanDoOnlyItsOwn tries every verb on every table and column, and
// every way around that we know of, as each role. What may is written here by
// hand.
func TestEveryRoleCanDoOnlyItsOwn(t *testing.T) {
	s := stack.Open(t)
	ada := postgrestest.NewPseudonym()
	asAda := fmt.Sprintf("SET LOCAL fitvault.owner = '%s'", ada)
	_, err := open(t, s, project).Put(t.Context(), ada, postgres.Part{Part: "2026-05-04", First: "2026-05-03", Last: "2026-05-05", Sealed: []byte("s")}, 0)
	require.NoError(t, err)

	may := map[string]map[string]bool{
		project: {
			"fitvault.parts SELECT pseudonym": true, "fitvault.parts SELECT part": true, "fitvault.parts SELECT version": true,
			"fitvault.parts UPDATE first_day": true, "fitvault.parts UPDATE last_day": true, "fitvault.parts UPDATE version": true, "fitvault.parts UPDATE sealed": true,
			"fitvault.parts INSERT": true,
		},
		history: {
			"fitvault.parts SELECT pseudonym": true, "fitvault.parts SELECT part": true, "fitvault.parts SELECT version": true,
			"fitvault.parts SELECT first_day": true, "fitvault.parts SELECT last_day": true, "fitvault.parts SELECT sealed": true,
		},
	}
	columns := columnsOf(t, s.SQL(t, stack.Administrator))
	require.Contains(t, columns, "fitvault.parts")
	require.Len(t, columns, 2, "a new table: which role may do what with it?")

	values := map[string]string{"pseudonym": "gen_random_uuid()", "part": "'x'", "first_day": "'2026-05-04'", "last_day": "'2026-05-04'", "version": "7", "sealed": "'s'",
		"id": "7", "version_id": "7", "is_applied": "false", "tstamp": "now()"}
	insert := fmt.Sprintf("INSERT INTO fitvault.parts VALUES ('%s', '2026-05-05', '2026-05-04', '2026-05-06', 1, 's')", ada)
	for role, allowed := range may {
		pool := s.SQL(t, role)
		expect := func(t *testing.T, what string, statements ...string) {
			t.Helper()
			want := forbidden
			if allowed[what] {
				want = done
			}
			require.Equal(t, want, try(t, pool, append([]string{asAda}, statements...)...), "%s: %s", role, what)
		}
		for table, names := range columns {
			for _, column := range names {
				expect(t, table+" SELECT "+column, fmt.Sprintf("SELECT %s FROM %s", column, table))
				expect(t, table+" UPDATE "+column, fmt.Sprintf("UPDATE %s SET %s = %s", table, column, values[column]))
			}
			code := try(t, pool, asAda, "SELECT * FROM "+table)
			require.Equal(t, map[bool]string{true: done, false: forbidden}[role == history && table == "fitvault.parts"], code, "%s: %s", role, table)
			if table == "fitvault.parts" {
				expect(t, table+" INSERT", insert)
			} else {
				expect(t, table+" INSERT", "INSERT INTO "+table+" DEFAULT VALUES")
			}
			for _, statement := range []string{
				"DELETE FROM %s", "TRUNCATE %s", "LOCK TABLE %s IN ACCESS EXCLUSIVE MODE", "DROP TABLE %s", "ALTER TABLE %s DISABLE ROW LEVEL SECURITY",
				"ALTER TABLE %s NO FORCE ROW LEVEL SECURITY", "CREATE INDEX ON %s ((1))", "CREATE POLICY all_rows ON %s USING (true)",
				"CREATE TRIGGER t BEFORE INSERT ON %s EXECUTE FUNCTION suppress_redundant_updates_trigger()", "CREATE VIEW pg_temp.v AS SELECT * FROM %s", "COMMENT ON TABLE %s IS 'c'",
			} {
				statement = fmt.Sprintf(statement, table)
				require.Equal(t, forbidden, try(t, pool, asAda, statement), "%s: %s", role, statement)
			}
			// Who has a right but may not hand it on is only warned.
			granted := fmt.Sprintf("SELECT 1 / (count(*) = 0)::int FROM pg_class, aclexplode(relacl) a WHERE a.grantee = 0 AND oid = '%s'::regclass", table)
			require.Contains(t, []string{forbidden, done}, try(t, pool, "GRANT SELECT ON "+table+" TO PUBLIC", granted), "%s: %s", role, table)
		}
		for _, statement := range []string{
			"CREATE SCHEMA mine", "CREATE TABLE public.mine (a int)", "CREATE TABLE fitvault.mine (a int)", "CREATE TEMP TABLE mine (a int)",
			"CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE ROLE mine", "ALTER ROLE " + migrate + " PASSWORD 'x'",
			"SET ROLE " + migrate, "SET ROLE " + stack.Administrator, "SET SESSION AUTHORIZATION " + stack.Administrator,
			"COPY (SELECT 1) TO PROGRAM 'true'", "COPY (SELECT 1) TO '/tmp/never'", "SELECT pg_read_file('/etc/passwd')", "SELECT pg_ls_dir('.')",
			"SELECT rolpassword FROM pg_authid", "ALTER SYSTEM SET work_mem = '1MB'", "SELECT pg_reload_conf()", "CREATE EXTENSION pgcrypto",
			"ALTER DATABASE fitvault SET row_security = off", "GRANT " + migrate + " TO " + role, "SET log_statement = 'all'", "SET session_replication_role = replica",
		} {
			code := try(t, pool, statement)
			require.Contains(t, []string{forbidden, "25001"}, code, "%s: %s", role, statement) // 25001: not in a transaction
		}
		require.Equal(t, forbidden, try(t, pool, asAda, "SET LOCAL row_security = off", "SELECT part FROM fitvault.parts"), "row-level security cannot be left out")
	}

	// The role that migrates owns the table, and sees no row of it either.
	var rows int
	tx, err := s.SQL(t, migrate).Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = tx.Exec(t.Context(), asAda)
	require.NoError(t, err)
	require.NoError(t, tx.QueryRow(t.Context(), "SELECT count(*) FROM fitvault.parts").Scan(&rows))
	require.Zero(t, rows)
}

// columnsOf is the columns of every table and view of ours; other tests have
// schemas of their own.
func columnsOf(t *testing.T, administrator *pgxpool.Pool) map[string][]string {
	rows, err := administrator.Query(t.Context(), `SELECT table_schema || '.' || table_name, column_name FROM information_schema.columns
		WHERE table_schema IN ('fitvault', 'public')`)
	require.NoError(t, err)
	found := map[string][]string{}
	var table, column string
	_, err = pgx.ForEachRow(rows, []any{&table, &column}, func() error {
		found[table] = append(found[table], column)
		return nil
	})
	require.NoError(t, err)
	return found
}

// TestRolesSettings: what bounds a role that misbehaves, and whom nobody can be.
func TestRolesSettings(t *testing.T) {
	s := stack.Open(t)
	administrator := s.SQL(t, stack.Administrator)
	for _, role := range []string{project, history} {
		var limit int
		var settings []string
		var power bool
		require.NoError(t, administrator.QueryRow(t.Context(), `SELECT rolconnlimit, rolconfig,
			rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls FROM pg_roles WHERE rolname = $1`, role).Scan(&limit, &settings, &power))
		require.Equal(t, 64, limit, role)
		require.False(t, power, role)
		require.Subset(t, settings, []string{"statement_timeout=5s", "lock_timeout=3s", "transaction_timeout=10s", "idle_in_transaction_session_timeout=5s", "idle_session_timeout=10min"}, role)
		require.Equal(t, "57014", try(t, s.SQL(t, role), "SET LOCAL statement_timeout = '20ms'", "SELECT pg_sleep(5)"))
	}
	var granted []string
	rows, err := administrator.Query(t.Context(), `
		SELECT 'table ' || c.oid::regclass FROM pg_class c, aclexplode(c.relacl) a WHERE a.grantee = 0 AND c.relnamespace::regnamespace::text IN ('fitvault', 'public')
		UNION ALL SELECT 'schema ' || nspname FROM pg_namespace, aclexplode(nspacl) a WHERE a.grantee = 0 AND nspname IN ('fitvault', 'public')
		UNION ALL SELECT 'database ' || datname FROM pg_database, aclexplode(datacl) a WHERE a.grantee = 0 AND datname = current_database()`)
	require.NoError(t, err)
	granted, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Empty(t, granted, "PUBLIC has rights")
}

// TestRowsAreThereForTheirOwnerOnly: with queries that name no owner, as a
// mistake would.
func TestRowsAreThereForTheirOwnerOnly(t *testing.T) {
	s := stack.Open(t)
	ada, ben := postgrestest.NewPseudonym(), postgrestest.NewPseudonym()
	for _, who := range []string{ada, ben} {
		_, err := open(t, s, project).Put(t.Context(), who, postgres.Part{Part: "2026-05-04", First: "2026-05-03", Last: "2026-05-05", Sealed: []byte(who)}, 0)
		require.NoError(t, err)
	}
	owners := func(pool *pgxpool.Pool, set string) (found []string) {
		t.Helper()
		tx, err := pool.Begin(t.Context())
		require.NoError(t, err)
		defer func() { require.NoError(t, tx.Commit(t.Context())) }()
		if set != "" {
			_, err = tx.Exec(t.Context(), "SELECT set_config('fitvault.owner', $1, true)", set)
			require.NoError(t, err)
		}
		rows, err := tx.Query(t.Context(), "SELECT pseudonym::text FROM fitvault.parts")
		require.NoError(t, err)
		found, err = pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return found
	}
	for _, role := range []string{project, history} {
		pool := s.SQL(t, role) // one connection, so that what a transaction leaves behind is seen
		require.Empty(t, owners(pool, ""), "no setting")
		require.Equal(t, []string{ada}, owners(pool, ada))
		require.Empty(t, owners(pool, ""), "no setting after one that another transaction had")
		require.Equal(t, []string{ben}, owners(pool, ben))
		require.Empty(t, owners(pool, postgrestest.NewPseudonym()), "another owner")
	}
	asBen := fmt.Sprintf("SET LOCAL fitvault.owner = '%s'", ben)
	pool := s.SQL(t, project)
	row := fmt.Sprintf("INSERT INTO fitvault.parts VALUES ('%s', 'recording#a', '2026-05-04', '2026-05-04', 1, 's')", ada)
	require.Equal(t, forbidden, try(t, pool, asBen, row), "a row for somebody else")
	require.Equal(t, forbidden, try(t, pool, row), "a row for nobody")
	tag, err := pool.Exec(t.Context(), "UPDATE fitvault.parts SET version = version + 1")
	require.NoError(t, err)
	require.Zero(t, tag.RowsAffected(), "an update without a setting")
	version, err := open(t, s, project).Version(t.Context(), ada, "2026-05-04")
	require.NoError(t, err)
	require.EqualValues(t, 1, version)
}

// TestADumpShowsNobody: what a holder of a dump or a backup sees of a row.
func TestADumpShowsNobody(t *testing.T) {
	s := stack.Open(t)
	ada, sealed := postgrestest.NewPseudonym(), "sealed-"+postgrestest.NewPseudonym()
	_, err := open(t, s, project).Put(t.Context(), ada, postgres.Part{Part: "2026-05-04", First: "2026-05-03", Last: "2026-05-05", Sealed: []byte(sealed)}, 0)
	require.NoError(t, err)
	dump := s.Dump(t)
	require.Contains(t, string(dump["fitvault.parts"]), sealed, "the dump has the row")
	for table, columns := range columnsOf(t, s.SQL(t, stack.Administrator)) {
		require.Contains(t, dump, table)
		switch table {
		case "fitvault.parts": // no other column, so nothing else in the clear
			require.ElementsMatch(t, strings.Fields("pseudonym part first_day last_day version sealed"), columns)
		case "public.goose_db_version":
		default:
			t.Errorf("%s is in the dump: what does it show?", table)
		}
	}
}

func TestErrorsOfPostgreSQLStayInside(t *testing.T) {
	err := postgres.Failed(&pgconn.PgError{Code: "23514", Message: "canary", Detail: "Failing row contains (canary)", Hint: "canary"})
	for e := err; e != nil; e = errors.Unwrap(e) {
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", e, e, e), "canary")
	}
}
