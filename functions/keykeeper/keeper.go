package main

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/edge"
	"fitvault/shared/fault"
	"fitvault/shared/keyring"
	"fitvault/shared/metrics"
)

// maxParameter is what a standard SSM parameter holds; a user pool publishes
// two keys, some 900 bytes.
const maxParameter = 4 << 10

type keeper struct {
	deployment string
	pools      []pool
	addresses  secret
	http       *http.Client
	store      interface {
		PutServiceKey(ctx context.Context, name string, w keyring.Wrapped) (bool, error)
	}
	kms interface {
		NewKey(ctx context.Context, purpose string, encryptionContext map[string]string) ([]byte, error)
	}
	log  *slog.Logger
	now  func() time.Time
	rand io.Reader
}

// pool is a user pool: where it publishes its token keys, and where functions
// look for them. Each has a place of its own, so that no key vouches for the
// tokens of another pool.
type pool struct {
	keysURL   string
	parameter interface {
		Put(ctx context.Context, value string) error
	}
}

// secret is a parameter that only those that may decrypt it can read.
type secret interface {
	Value(ctx context.Context) (string, error)
	PutSecret(ctx context.Context, value string) error
}

// run does all jobs, also where one fails, and returns what went wrong. Its record
// says whether all was done: who waits for that hears of a run that never came too.
func (k keeper) run(ctx context.Context) error {
	began := k.now()
	failed := []error{k.serviceKeys(ctx), k.addressKey(ctx)}
	for _, p := range k.pools {
		failed = append(failed, k.tokenKeys(ctx, p))
	}
	err := errors.Join(failed...)
	level, values := slog.LevelInfo, []metrics.Value{metrics.Succeeded.Of(1)}
	attributes := []slog.Attr{slog.String("function", "keykeeper"), slog.Int64("duration_ms", k.now().Sub(began).Milliseconds())}
	if err != nil {
		level, values = slog.LevelError, metrics.FailureOf(err)
		attributes = append(attributes, slog.Any("error", fault.Trace(err)))
	}
	k.log.LogAttrs(ctx, level, "keys", append(attributes, metrics.Attributes(k.now(), values...)...)...)
	return err
}

// addressKey makes a new key for addresses where that of today is not there yet: the
// day and 256 random bits. What was named by yesterday's can be named by nobody any
// more. Where the present one cannot be read there is none to keep.
func (k keeper) addressKey(ctx context.Context) error {
	today := k.now().UTC().Format(time.DateOnly)
	if present, err := k.addresses.Value(ctx); err == nil && strings.HasPrefix(present, today) {
		return nil
	}
	var key [32]byte
	if _, err := io.ReadFull(k.rand, key[:]); err != nil {
		return err
	}
	return k.addresses.PutSecret(ctx, today+" "+base64.StdEncoding.EncodeToString(key[:]))
}

// serviceKeys makes the service keys that do not exist yet: the requests, audit and
// pages keys, and the writer keys of this and the next month.
func (k keeper) serviceKeys(ctx context.Context) error {
	now := k.now().UTC()
	firstOfNext := time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	var failed []error
	for _, key := range []struct{ name, purpose string }{
		{keyring.RequestsKeyName, keyring.PurposeRequests},
		{keyring.PagesKeyName, keyring.PurposePages},
		{keyring.AuditKeyName, keyring.PurposeAudit},
		{keyring.WriterKeyName(keyring.WriterKeyID(now)), keyring.PurposeWriter},
		{keyring.WriterKeyName(keyring.WriterKeyID(firstOfNext)), keyring.PurposeWriter},
	} {
		failed = append(failed, k.serviceKey(ctx, key.name, key.purpose))
	}
	return errors.Join(failed...)
}

func (k keeper) serviceKey(ctx context.Context, name, purpose string) error {
	id, err := access.NewUserID(k.rand)
	if err != nil {
		return err
	}
	blob, err := k.kms.NewKey(ctx, purpose, keyring.Context(k.deployment, id.String(), purpose))
	if err != nil {
		return err
	}
	// Where the name is taken, the key just made is dropped: it wraps nothing.
	_, err = k.store.PutServiceKey(ctx, name, keyring.Wrapped{ID: id.String(), Blob: blob})
	return err
}

// tokenKeys copies a user pool's keys to its parameter. Keys that do not read
// as a key set replace nothing: the functions go on with those that they have. Its
// errors are faults, so that the record can say which it was.
func (k keeper) tokenKeys(ctx context.Context, p pool) error {
	u, err := url.Parse(p.keysURL)
	if err != nil || u.Scheme != "https" && !loopback(u) {
		return fault.New(fault.Unavailable, "token keys must come over https")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fault.New(fault.Unavailable, "token keys URL is not usable")
	}
	response, err := k.http.Do(request)
	if err != nil {
		return fault.New(fault.Unavailable, "token keys cannot be fetched")
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxParameter+1))
	if err != nil || response.StatusCode != http.StatusOK || len(text) > maxParameter {
		return fault.New(fault.Unavailable, "token keys cannot be fetched")
	}
	if _, err := edge.ParseJWKS(string(text)); err != nil {
		return fault.New(fault.Unavailable, "what was fetched is not a set of token keys")
	}
	return p.parameter.Put(ctx, string(text))
}

// loopback allows plain HTTP where it cannot leave the machine.
func loopback(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && ip != nil && ip.IsLoopback()
}

func refuseRedirect(*http.Request, []*http.Request) error {
	return errors.New("token keys do not move")
}
