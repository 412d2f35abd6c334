-- +goose Up

-- The role that runs this owns the tables. The others are one a function, and have
-- what is granted here and nothing else.

-- +goose StatementBegin
DO $$
DECLARE
    role text;
BEGIN
    -- Nobody has a right by being anybody.
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    FOREACH role IN ARRAY ARRAY['fitvault_project', 'fitvault_history'] LOOP
        -- Roles belong to the cluster: they outlive a database, and the local one has them before.
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', role);
        END IF;
        -- On AWS its members sign in with an IAM token, and not with a password.
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_iam') THEN
            EXECUTE format('GRANT rds_iam TO %I', role);
        END IF;
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role);
        EXECUTE format('ALTER ROLE %I CONNECTION LIMIT 64', role); -- twice the functions' reserved concurrency
        EXECUTE format('ALTER ROLE %I SET statement_timeout = ''5s''', role);
        EXECUTE format('ALTER ROLE %I SET lock_timeout = ''3s''', role);
        EXECUTE format('ALTER ROLE %I SET transaction_timeout = ''10s''', role);
        EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = ''5s''', role);
        EXECUTE format('ALTER ROLE %I SET idle_session_timeout = ''10min''', role); -- containers that are frozen
        EXECUTE format('ALTER ROLE %I SET search_path = pg_catalog', role);
    END LOOP;
END $$;
-- +goose StatementEnd
REVOKE ALL ON SCHEMA public FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- project replaces what it has put, and cannot read it back.
GRANT USAGE ON SCHEMA fitvault TO fitvault_project, fitvault_history;
GRANT SELECT (pseudonym, part, version), INSERT, UPDATE (first_day, last_day, version, sealed)
    ON fitvault.parts TO fitvault_project;
GRANT SELECT ON fitvault.parts TO fitvault_history;

-- Rows are there only for the owner whom the transaction has named. The setting is
-- empty, not absent, where an earlier transaction of the connection had one.
ALTER TABLE fitvault.parts ENABLE ROW LEVEL SECURITY;
ALTER TABLE fitvault.parts FORCE ROW LEVEL SECURITY;
CREATE POLICY owners ON fitvault.parts TO fitvault_project, fitvault_history
    USING (pseudonym = nullif(current_setting('fitvault.owner', true), '')::uuid);

-- +goose Down
-- The roles stay: they belong to the cluster.
DROP POLICY owners ON fitvault.parts;
ALTER TABLE fitvault.parts NO FORCE ROW LEVEL SECURITY;
ALTER TABLE fitvault.parts DISABLE ROW LEVEL SECURITY;
REVOKE ALL ON fitvault.parts FROM fitvault_project, fitvault_history;
REVOKE ALL ON SCHEMA fitvault FROM fitvault_project, fitvault_history;
