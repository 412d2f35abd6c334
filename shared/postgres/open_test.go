package postgres_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/fault"
	"fitvault/shared/postgres"
	"fitvault/shared/postgres/postgrestest"
)

const ada = "6f1c2d3e-0000-4000-8000-000000000001"

var part = postgres.Part{Part: "2026-05-04", First: "2026-05-03", Last: "2026-05-05", Sealed: []byte("sealed")}

func TestMalformedArgumentsReachNoDatabase(t *testing.T) {
	db := opened(t, postgres.Config{CA: func(context.Context) (string, error) { panic("it has connected") }})
	ctx := t.Context()
	changed := func(change func(*postgres.Part)) postgres.Part {
		p := part
		change(&p)
		return p
	}
	for name, call := range map[string]func() error{
		"a pseudonym that is a quote": func() error { _, err := db.Version(ctx, "' OR true --", part.Part); return err },
		"a pseudonym in capitals":     func() error { _, err := db.Version(ctx, "6F1C2D3E-0000-4000-8000-000000000001", part.Part); return err },
		"no pseudonym":                func() error { _, err := db.Between(ctx, "", "2026-05-04", "2026-05-04"); return err },
		"a part that is SQL":          func() error { _, err := db.Version(ctx, ada, "x'; DROP TABLE fitvault.parts --"); return err },
		"a part too long":             func() error { _, err := db.Version(ctx, ada, string(make([]byte, 65))); return err },
		"today":                       func() error { _, err := db.Between(ctx, ada, "today", "today"); return err },
		"infinity":                    func() error { _, err := db.Between(ctx, ada, "2026-05-04", "infinity"); return err },
		"days in reverse":             func() error { _, err := db.Between(ctx, ada, "2026-05-04", "2026-05-03"); return err },
		"a put of no part": func() error {
			_, err := db.Put(ctx, ada, changed(func(p *postgres.Part) { p.Part = "" }), 0)
			return err
		},
		"a put of no day": func() error {
			_, err := db.Put(ctx, ada, changed(func(p *postgres.Part) { p.First = "2026-02-30" }), 0)
			return err
		},
		"a put in reverse": func() error {
			_, err := db.Put(ctx, ada, changed(func(p *postgres.Part) { p.Last = "2026-05-02" }), 0)
			return err
		},
		"a put after nothing": func() error { _, err := db.Put(ctx, ada, part, -1); return err },
	} {
		require.EqualError(t, call(), "internal: a database argument is malformed", name)
	}
}

// listen is a server of its own; each connection is one's business.
func listen(t *testing.T, serve func(net.Conn)) *net.TCPAddr {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	t.Cleanup(func() { require.NoError(t, listener.Close()); wg.Wait() })
	wg.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer func() { _ = c.Close() }(); serve(c) })
		}
	})
	return listener.Addr().(*net.TCPAddr)
}

// TestNoTLSNoWord: a server that refuses TLS, as one in the middle would to
// read along, learns nothing but that TLS was asked for.
func TestNoTLSNoWord(t *testing.T) {
	var mu sync.Mutex
	var heard []byte
	address := listen(t, func(c net.Conn) {
		request := make([]byte, 8)
		_, _ = io.ReadFull(c, request)
		_, _ = c.Write([]byte("N"))
		rest, _ := io.ReadAll(c)
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, rest...)
	})
	_, err := opened(t, config(address.Port)).Version(t.Context(), ada, part.Part)
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	mu.Lock()
	defer mu.Unlock()
	require.Empty(t, heard)
}

func config(port int) postgres.Config {
	return postgres.Config{Host: "127.0.0.1", Port: uint16(port), Database: "fitvault", User: project,
		CA:       func(context.Context) (string, error) { return otherCA, nil },
		Password: func(context.Context) (string, error) { return "a password that nobody hears", nil }}
}

// otherCA vouches for no server here. Its key was never kept.
const otherCA = `-----BEGIN CERTIFICATE-----
MIIBnzCCAUWgAwIBAgIUfRp4yQnBNJ6uXMyyj8gXI0xH5T0wCgYIKoZIzj0EAwIw
LDEqMCgGA1UEAwwhZml0dmF1bHQgbG9jYWwgZGF0YWJhc2UgYXV0aG9yaXR5MB4X
DTI2MTEyMzE4MDAzN1oXDTM2MTEyMDE5MDAzN1owLDEqMCgGA1UEAwwhZml0dmF1
bHQgbG9jYWwgZGF0YWJhc2UgYXV0aG9yaXR5MFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEco9kpOW2DshiGbkrKzRLMcdvQG++8J6vRSoOSapn7dkC5nHmvEV4jsDT
qKFeaIqyC5Ia3pDZOYppUckEjh69tqNFMEMwEgYDVR0TAQH/BAgwBgEB/wIBADAO
BgNVHQ8BAf8EBAMCAgQwHQYDVR0OBBYEFHnNawBf7D+DrEFrkbVjPEY9APp2MAoG
CCqGSM49BAMCA0gAMEUCIAa2z21CrbiMfxfEW7pAys+ALH51N/TkJvyBti/+8SxQ
AiEA8pc+7eETkmbRGy+ouVbLNyX7vN5yGq1bl0AhCKmIHzc=
-----END CERTIFICATE-----
`

// TestWhoeverCannotBeTrustedIsUnavailable: and so is who is not there.
func TestWhoeverCannotBeTrustedIsUnavailable(t *testing.T) {
	s := stack.Open(t)
	good := s.DatabaseConfig(t, project)
	fails := func(context.Context) (string, error) { return "", errors.New("no") }
	for name, change := range map[string]func(*postgres.Config){
		"another CA":          func(c *postgres.Config) { c.CA = config(0).CA },
		"no CA":               func(c *postgres.Config) { c.CA = fails },
		"a CA that is none":   func(c *postgres.Config) { c.CA = func(context.Context) (string, error) { return "x", nil } },
		"another name":        func(c *postgres.Config) { c.Host = "localhost" }, // its certificate names the address
		"no password":         func(c *postgres.Config) { c.Password = fails },
		"another password":    func(c *postgres.Config) { c.Password = config(0).Password },
		"nobody there":        func(c *postgres.Config) { c.Port = 1 },
		"another role's name": func(c *postgres.Config) { c.User = history },
		"another database":    func(c *postgres.Config) { c.Database = "postgres1" },
	} {
		c := good
		change(&c)
		_, err := opened(t, c).Version(t.Context(), ada, part.Part)
		require.Equal(t, fault.Unavailable, fault.KindOf(err), name)
		for _, line := range fault.Trace(err) {
			require.NotContains(t, line, "password that nobody hears", name)
		}
	}
	_, err := opened(t, good).Version(t.Context(), ada, part.Part)
	require.NoError(t, err, "control")
}

// line is a way to PostgreSQL that can be cut.
type line struct {
	mu   sync.Mutex
	open map[net.Conn]bool
	down bool
}

func (l *line) set(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
	for c := range l.open {
		_ = c.Close()
	}
}

func (l *line) carry(to string) func(net.Conn) {
	return func(near net.Conn) {
		far, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer func() { _ = far.Close() }()
		l.mu.Lock()
		refused := l.down
		l.open[near], l.open[far] = true, true
		l.mu.Unlock()
		if refused {
			return
		}
		go func() { _, _ = io.Copy(far, near); _ = far.Close() }()
		_, _ = io.Copy(near, far)
	}
}

// TestALostConnectionIsMadeAgain: and signed in again, as an IAM token must be.
func TestALostConnectionIsMadeAgain(t *testing.T) {
	s := stack.Open(t)
	l := line{open: map[net.Conn]bool{}}
	c := s.DatabaseConfig(t, project)
	to := net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(c.Port)}
	c.Port = uint16(listen(t, l.carry(to.String())).Port)
	t.Cleanup(func() { l.set(true) }) // so that carrying ends
	password, signIns := c.Password, 0
	c.Password = func(ctx context.Context) (string, error) { signIns++; return password(ctx) }
	db, ada := opened(t, c), postgrestest.NewPseudonym()
	ctx := t.Context()

	require.Zero(t, signIns, "lazily")
	stored, err := db.Put(ctx, ada, part, 0)
	require.NoError(t, err)
	require.True(t, stored)
	_, err = db.Version(ctx, ada, part.Part)
	require.NoError(t, err)
	require.Equal(t, 1, signIns, "one connection for all")

	l.set(false) // cuts, and carries again
	version, err := db.Version(ctx, ada, part.Part)
	require.NoError(t, err, "nobody notices")
	require.EqualValues(t, 1, version)
	require.Equal(t, 2, signIns)

	l.set(true)
	_, err = db.Version(ctx, ada, part.Part)
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	l.set(false)
	version, err = db.Version(ctx, ada, part.Part)
	require.NoError(t, err, "it comes back by itself")
	require.EqualValues(t, 1, version)

	// PostgreSQL ends the connection itself, as a restart and a failover do.
	_, err = s.SQL(t, stack.Administrator).Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1 AND application_name = 'fitvault' AND client_port = ANY($2)",
		project, l.ports())
	require.NoError(t, err)
	version, err = db.Version(ctx, ada, part.Part)
	require.NoError(t, err)
	require.EqualValues(t, 1, version)
}

// ports are the local ones of the ends that PostgreSQL sees.
func (l *line) ports() (ports []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		ports = append(ports, c.LocalAddr().(*net.TCPAddr).Port)
	}
	return ports
}

// TestAServerThatSaysNothingIsGivenUp where the caller's time is over.
func TestAServerThatSaysNothingIsGivenUp(t *testing.T) {
	address := listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := opened(t, config(address.Port)).Version(ctx, ada, part.Part)
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestWhatPostgreSQLRefusesIsAMistake(t *testing.T) {
	s := stack.Open(t)
	p := part
	p.Sealed = nil // 1 byte at least
	_, err := open(t, s, project).Put(t.Context(), postgrestest.NewPseudonym(), p, 0)
	require.Equal(t, []string{"internal: the database refused a query", "postgres.state: 23502"}, fault.Trace(err))
	p.Sealed = make([]byte, 1<<20+1)
	_, err = open(t, s, project).Put(t.Context(), postgrestest.NewPseudonym(), p, 0)
	require.Equal(t, []string{"internal: the database refused a query", "postgres.state: 23514"}, fault.Trace(err))
	_, err = open(t, s, history).Put(t.Context(), postgrestest.NewPseudonym(), part, 0)
	require.Equal(t, []string{"internal: the database refused a query", "postgres.state: 42501"}, fault.Trace(err))
}

// TestAnAnswerIsBounded: 20,000 parts are one, and no more are.
func TestAnAnswerIsBounded(t *testing.T) {
	s := stack.Open(t)
	administrator, ada := s.SQL(t, stack.Administrator), postgrestest.NewPseudonym()
	add := func(from, to int) {
		_, err := administrator.Exec(t.Context(), `INSERT INTO fitvault.parts SELECT $1, 'recording#' || n, '2026-05-04', '2026-05-04', 1, '\x00' FROM generate_series($2::int, $3::int) n`, ada, from, to)
		require.NoError(t, err)
	}
	t.Cleanup(func() {
		_, err := administrator.Exec(context.Background(), "DELETE FROM fitvault.parts WHERE pseudonym = $1", ada)
		require.NoError(t, err)
	})
	db := open(t, s, history)
	add(1, 20_000)
	parts, err := db.Between(t.Context(), ada, "2026-05-04", "2026-05-04")
	require.NoError(t, err)
	require.Len(t, parts, 20_000)
	add(20_001, 20_001)
	_, err = db.Between(t.Context(), ada, "2026-05-04", "2026-05-04")
	require.Equal(t, fault.TooLarge, fault.KindOf(err))
}

// TestAnAnswerIsBoundedInBytes: 64 MiB are one, and no more are; what is over the
// bound is not fetched.
func TestAnAnswerIsBoundedInBytes(t *testing.T) {
	s := stack.Open(t)
	administrator, ada := s.SQL(t, stack.Administrator), postgrestest.NewPseudonym()
	add := func(from, to, bytes int) {
		_, err := administrator.Exec(t.Context(), `INSERT INTO fitvault.parts SELECT $1, 'recording#' || n, '2026-05-04', '2026-05-04', 1, decode(repeat('00', $4::int), 'hex') FROM generate_series($2::int, $3::int) n`,
			ada, from, to, bytes)
		require.NoError(t, err)
	}
	t.Cleanup(func() {
		_, err := administrator.Exec(context.Background(), "DELETE FROM fitvault.parts WHERE pseudonym = $1", ada)
		require.NoError(t, err)
	})
	db := open(t, s, history)
	add(1001, 1064, 1<<20)
	parts, err := db.Between(t.Context(), ada, "2026-05-04", "2026-05-04")
	require.NoError(t, err)
	require.Len(t, parts, 64)
	add(1065, 1065, 1)
	_, err = db.Between(t.Context(), ada, "2026-05-04", "2026-05-04")
	require.Equal(t, fault.TooLarge, fault.KindOf(err))
	add(1066, 1300, 1<<20)
	_, err = db.Between(t.Context(), ada, "2026-05-04", "2026-05-04")
	require.Equal(t, fault.TooLarge, fault.KindOf(err))
}
