package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Config says how a role reaches its database.
type Config struct {
	Host     string
	Port     uint16
	Database string
	User     string
	// CA returns the PEM certificates that may vouch for the server; no others
	// do, so not the system's either.
	CA func(ctx context.Context) (string, error)
	// Password is asked for at each new connection: an IAM token lasts 15
	// minutes, the connection that it opened longer.
	Password func(ctx context.Context) (string, error)
}

const (
	connectWithin = 5 * time.Second
	// A whole transaction; a network that swallows packets would hold it far longer.
	answerWithin = 10 * time.Second
	// A connection is given up before the server would end it (idle_session_timeout),
	// and now and then in use, so that a withdrawn right ends it at last.
	maxIdle, maxLife = 5 * time.Minute, 30 * time.Minute
)

// Open returns a database that connects when it is first used.
func Open(c Config) (*DB, error) {
	pool, err := Connect(c)
	return &DB{pool}, err
}

// Close ends the connection. Functions never do; tests must.
func (d *DB) Close() { d.pool.Close() }

// Connect returns a pool that connects when it is first used, by TLS 1.2 or
// higher to a server that proves its name, and with one connection at most: a
// container of a function serves one event at a time, so that reserved
// concurrency bounds the connections.
func Connect(c Config) (*pgxpool.Pool, error) {
	// pgx wants a parsed string; sslmode and passfile keep it from the environment's. TLS is set below.
	pool, err := pgxpool.ParseConfig("sslmode=disable passfile=/dev/null")
	if err != nil {
		return nil, errors.New("the environment holds settings of PostgreSQL that cannot be used")
	}
	conn := pool.ConnConfig
	conn.Host, conn.Port, conn.Database, conn.User = c.Host, c.Port, c.Database, c.User
	conn.Fallbacks, conn.RuntimeParams = nil, map[string]string{"application_name": "fitvault"}
	conn.ConnectTimeout = connectWithin
	pool.MaxConns, pool.MinConns = 1, 0
	pool.MaxConnIdleTime, pool.MaxConnLifetime = maxIdle, maxLife
	pool.BeforeConnect = func(ctx context.Context, conn *pgx.ConnConfig) error {
		pem, err := c.CA(ctx)
		if err != nil {
			return err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(pem)) {
			return errors.New("the database's CA is no certificate")
		}
		conn.TLSConfig = &tls.Config{ServerName: c.Host, RootCAs: roots, MinVersion: tls.VersionTLS12}
		conn.Password, err = c.Password(ctx)
		return err
	}
	connected, err := pgxpool.NewWithConfig(context.Background(), pool)
	if err != nil {
		return nil, errors.New("the database's settings cannot be used")
	}
	return connected, nil
}
