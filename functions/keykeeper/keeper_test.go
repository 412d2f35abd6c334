package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/stretchr/testify/require"

	"fitvault/shared/edge"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/keyring"
	"fitvault/shared/keyring/keyringtest"
)

var (
	published = edgetest.JWKS("kid", &edgetest.Key().PublicKey)
	staffs    = edgetest.JWKS("kid", &edgetest.StaffKey().PublicKey)
)

// parameter is the SSM parameter; it keeps what it has where it fails.
type parameter struct {
	text    string
	secrets int // that were put
	err     error
}

func (p *parameter) Put(_ context.Context, value string) error {
	if p.err == nil {
		p.text = value
	}
	return p.err
}

func (p *parameter) Value(context.Context) (string, error) { return p.text, p.err }

func (p *parameter) PutSecret(ctx context.Context, value string) error {
	p.secrets++
	return p.Put(ctx, value)
}

// world is a keeper over fakes, and a user pool that publishes what pool says.
type world struct {
	keeper
	parameter parameter // of people
	staff     parameter
	addresses parameter
	store     keyringtest.Store
	kms       *keyringtest.KMS
	log       bytes.Buffer
	now       time.Time
	pool      http.HandlerFunc
}

func newWorld(t *testing.T) *world {
	w := &world{kms: keyringtest.NewKMS(), now: time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC), pool: publishes(200, published)}
	w.parameter.text, w.staff.text = "as before", "as before"
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.pool(rw, r) }))
	t.Cleanup(server.Close)
	staff := httptest.NewServer(publishes(200, staffs))
	t.Cleanup(staff.Close)
	w.keeper = keeper{deployment: "fitvault", addresses: &w.addresses, http: &http.Client{CheckRedirect: refuseRedirect},
		pools: []pool{{server.URL + "/.well-known/jwks.json", &w.parameter}, {staff.URL, &w.staff}}, store: &w.store, kms: w.kms, log: slog.New(slog.NewJSONHandler(&w.log, nil)), now: func() time.Time { return w.now }, rand: rand.Reader}
	return w
}

func publishes(status int, text string) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(status)
		_, _ = rw.Write([]byte(text))
	}
}

// names is the service keys that exist.
func (w *world) names() []string {
	var names []string
	for name := range w.store.ServiceKeys() {
		names = append(names, name)
	}
	return names
}

func TestRecordedEvents(t *testing.T) {
	files, err := filepath.Glob("../../events/keykeeper-*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		event, err := os.ReadFile(file)
		require.NoError(t, err)
		w := newWorld(t)
		_, err = lambda.NewHandler(w.run).Invoke(t.Context(), event)
		require.NoError(t, err)
		require.Equal(t, published, w.parameter.text)
		require.Equal(t, staffs, w.staff.text)
		require.Len(t, w.names(), 5)
	}
}

func TestTokenKeys(t *testing.T) {
	exactly := published + strings.Repeat(" ", maxParameter-len(published))
	for _, test := range []struct {
		name string
		pool http.HandlerFunc
		want string // "" where nothing may be replaced
	}{
		{"what the pool publishes", publishes(200, published), published},
		{"as much as a parameter holds", publishes(200, exactly), exactly},
		{"more than that", publishes(200, exactly+" "), ""},
		{"nothing", publishes(200, ""), ""},
		{"no key set", publishes(200, "<html>"), ""},
		{"a key set without keys", publishes(200, `{"keys":[]}`), ""},
		{"a key set without a key that signs", publishes(200, strings.Replace(published, `"sig"`, `"enc"`, 1)), ""},
		{"a key that is none", publishes(200, strings.Replace(published, `"e":"AQAB"`, `"e":"AQ"`, 1)), ""},
		{"another status", publishes(203, published), ""},
		{"not found", publishes(404, published), ""},
		{"a failure", publishes(500, published), ""},
		{"a redirect", func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				publishes(200, published)(rw, r)
				return
			}
			http.Redirect(rw, r, "/elsewhere", http.StatusFound)
		}, ""},
		{"half an answer", func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Length", "10000")
			_, _ = rw.Write([]byte(published))
		}, ""},
		{"no answer", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.pool = test.pool
			err := w.tokenKeys(t.Context(), w.pools[0])
			if test.want != "" {
				require.NoError(t, err)
				require.Equal(t, test.want, w.parameter.text)
				return
			}
			require.Error(t, err)
			require.Equal(t, "as before", w.parameter.text)
			require.NotContains(t, err.Error(), "127.0.0.1", "errors say nothing of what was fetched, and from where")
		})
	}
	t.Run("a parameter that cannot be written", func(t *testing.T) {
		w := newWorld(t)
		w.parameter.err = errors.New("down")
		require.ErrorIs(t, w.tokenKeys(t.Context(), w.pools[0]), w.parameter.err)
	})
	t.Run("no time left", func(t *testing.T) {
		w := newWorld(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.Error(t, w.tokenKeys(ctx, w.pools[0]))
		require.Equal(t, "as before", w.parameter.text)
	})
}

// TestAddressKey: one for each day, which cannot be told from another's, kept where
// secrets are; none is kept that cannot be read.
func TestAddressKey(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.run(t.Context()))
	first := w.addresses.text
	require.Regexp(t, `^2026-05-04 [A-Za-z0-9+/]{43}=$`, first)
	_, err := edge.NewStoredAddressKey(edgetest.Stored(first), w.keeper.now).Key(t.Context())
	require.NoError(t, err, "what is kept is what functions read")
	w.now = w.now.Add(18 * time.Hour)
	require.NoError(t, w.run(t.Context()))
	require.Equal(t, [2]any{first, 1}, [2]any{w.addresses.text, w.addresses.secrets})
	w.now = w.now.Add(time.Hour)
	require.NoError(t, w.run(t.Context()))
	require.Regexp(t, `^2026-05-05 `, w.addresses.text)
	require.NotEqual(t, first[11:], w.addresses.text[11:])
	w.addresses.text = "none yet"
	require.NoError(t, w.addressKey(t.Context()))
	require.Regexp(t, `^2026-05-05 `, w.addresses.text)

	w.now = w.now.Add(24 * time.Hour)
	before := w.addresses.text
	w.addresses.err = errors.New("down")
	require.ErrorIs(t, w.addressKey(t.Context()), w.addresses.err)
	w.addresses.err, w.keeper.rand = nil, iotest.ErrReader(errors.New("none"))
	require.Error(t, w.addressKey(t.Context()))
	require.Equal(t, before, w.addresses.text)
}

func TestHTTPS(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewTLSServer(publishes(200, published))
	t.Cleanup(server.Close)
	w.pools[0].keysURL = server.URL
	require.Error(t, w.tokenKeys(t.Context(), w.pools[0]), "from a server that nobody vouches for")
	require.Equal(t, "as before", w.parameter.text)
	w.http = server.Client()
	require.NoError(t, w.tokenKeys(t.Context(), w.pools[0]))
	require.Equal(t, published, w.parameter.text)
}

// refuses is a transport that no request may reach.
type refuses struct{ t *testing.T }

func (r refuses) RoundTrip(*http.Request) (*http.Response, error) {
	r.t.Error("a request was sent")
	return nil, errors.New("refused")
}

// TestNoPlainHTTP: token keys decide who is who; they come over TLS, or from
// this machine.
func TestNoPlainHTTP(t *testing.T) {
	for _, url := range []string{
		"", "x", "://", "http://", "http://cognito.example/jwks.json", "http://127.0.0.1.example/", "http://127.0.0.1@cognito.example/",
		"http://localhost/", "http://10.0.0.1/", "http://169.254.169.254/", "http://[fe80::1]/", "http://0.0.0.0/", "ftp://127.0.0.1/", "file:///etc/passwd",
	} {
		t.Run(url, func(t *testing.T) {
			w := newWorld(t)
			w.pools[0].keysURL, w.http = url, &http.Client{Transport: refuses{t}}
			require.Error(t, w.tokenKeys(t.Context(), w.pools[0]))
			require.Equal(t, "as before", w.parameter.text)
		})
	}
}

// TestServiceKeys: each is made once, wrapped for its own purpose; nobody makes
// it anew.
func TestServiceKeys(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.run(t.Context()))
	require.ElementsMatch(t, []string{"requests#1", "pages#1", "audit#1", "writer#2026-05", "writer#2026-06"}, w.names())
	ids := map[string]bool{}
	for name, key := range w.store.ServiceKeys() {
		purpose, _, _ := strings.Cut(name, "#")
		require.Regexp(t, "^[a-z2-7]{26}$", key.ID)
		ids[key.ID] = true
		plain, err := w.kms.Unwrap(t.Context(), purpose, keyring.Context("fitvault", key.ID, purpose), key.Blob)
		require.NoError(t, err, name)
		require.Len(t, plain, 32)
	}
	require.Len(t, ids, 5)

	first := w.store.ServiceKeys()
	require.NoError(t, w.run(t.Context()))
	require.Equal(t, first, w.store.ServiceKeys())

	t.Run("the functions' keyring finds them", func(t *testing.T) {
		ring := keyring.Ring{Deployment: "fitvault", Store: &w.store, KMS: w.kms, Hold: time.Minute, Now: func() time.Time { return w.now }}
		_, err := ring.Requests(t.Context())
		require.NoError(t, err)
		_, err = ring.Pages(t.Context())
		require.NoError(t, err)
		_, err = ring.Writer(t.Context(), keyring.WriterKeyID(w.now))
		require.NoError(t, err)
	})
}

// TestMonths: the key of the coming month exists before it begins.
func TestMonths(t *testing.T) {
	east := time.FixedZone("", 2*3600)
	for _, test := range []struct {
		now  time.Time
		want []string
	}{
		{time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), []string{"writer#2026-05", "writer#2026-06"}},
		{time.Date(2026, 5, 31, 23, 59, 59, 0, time.UTC), []string{"writer#2026-05", "writer#2026-06"}},
		{time.Date(2026, 6, 1, 1, 0, 0, 0, east), []string{"writer#2026-05", "writer#2026-06"}},
		{time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), []string{"writer#2026-01", "writer#2026-02"}},
		{time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC), []string{"writer#2026-12", "writer#2027-01"}},
		{time.Date(2027, 1, 1, 1, 0, 0, 0, east), []string{"writer#2026-12", "writer#2027-01"}},
	} {
		w := newWorld(t)
		w.now = test.now
		require.NoError(t, w.serviceKeys(t.Context()))
		require.ElementsMatch(t, append([]string{"requests#1", "pages#1", "audit#1"}, test.want...), w.names(), test.now)
	}
	t.Run("a month later one key is made", func(t *testing.T) {
		w := newWorld(t)
		require.NoError(t, w.serviceKeys(t.Context()))
		before := w.store.ServiceKeys()
		w.now = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
		require.NoError(t, w.serviceKeys(t.Context()))
		after := w.store.ServiceKeys()
		require.Contains(t, after, "writer#2026-07")
		delete(after, "writer#2026-07")
		require.Equal(t, before, after)
	})
}

// TestWhatFailsStopsNothingElse: each key and the token keys stand for
// themselves, and the failure is told.
func TestWhatFailsStopsNothingElse(t *testing.T) {
	t.Run("KMS", func(t *testing.T) {
		w := newWorld(t)
		calls := 0
		w.kms.Hook = func(string) error {
			if calls++; calls == 2 {
				return keyringtest.ErrDown
			}
			return nil
		}
		require.ErrorIs(t, w.run(t.Context()), keyringtest.ErrDown)
		require.NotContains(t, w.log.String(), "succeeded")
		require.Len(t, w.names(), 4)
		require.Equal(t, published, w.parameter.text)
		w.log.Reset()
		require.NoError(t, w.run(t.Context()), "the next hour makes what is missing")
		require.Contains(t, w.log.String(), `"succeeded":1`)
		require.Len(t, w.names(), 5)
	})
	t.Run("the table", func(t *testing.T) {
		w := newWorld(t)
		w.store.Hook = func(string) error { return keyringtest.ErrDown }
		require.ErrorIs(t, w.run(t.Context()), keyringtest.ErrDown)
		require.Empty(t, w.names())
		require.Equal(t, published, w.parameter.text)
	})
	t.Run("randomness", func(t *testing.T) {
		w := newWorld(t)
		w.rand = iotest.ErrReader(errors.New("no entropy"))
		require.Error(t, w.run(t.Context()))
		require.Empty(t, w.names())
		require.Equal(t, published, w.parameter.text)
	})
	t.Run("the user pool", func(t *testing.T) {
		w := newWorld(t)
		w.pool = publishes(500, "")
		require.Error(t, w.run(t.Context()))
		require.Len(t, w.names(), 5)
		require.NotContains(t, w.log.String(), "succeeded", "half of the work is not the work")
		require.Contains(t, w.log.String(), "token keys cannot be fetched")
		require.Equal(t, "as before", w.parameter.text)
		require.Equal(t, staffs, w.staff.text, "the other pool's are kept")
	})
}

// TestConcurrentKeepers: a deployment's run and the hour's make each key once.
func TestConcurrentKeepers(t *testing.T) {
	w := newWorld(t)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() { _ = w.serviceKeys(context.Background()) })
	}
	all.Wait()
	before := w.store.ServiceKeys()
	require.Len(t, before, 5)
	require.NoError(t, w.serviceKeys(t.Context()))
	require.Equal(t, before, w.store.ServiceKeys())
}
