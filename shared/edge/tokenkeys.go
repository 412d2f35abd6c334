package edge

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"
	"regexp"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"fitvault/shared/fault"
)

// ParameterStore holds one text: the pool's JWKS, which keykeeper renews.
type ParameterStore interface {
	Value(context.Context) (string, error)
}

const (
	keysFresh = 5 * time.Minute // how long a read is used without another
	keysStale = time.Hour       // how long it is used when reading again fails
	keysRetry = 5 * time.Second // between two tries
)

// StoredKeys are token keys out of a ParameterStore: read at the first use and
// every 5 minutes. When reading fails, or what is stored is not a JWKS, the keys
// of the last hour go on, because a withdrawn key is rarer than a store that
// fails; then there are none. Safe for concurrent use.
type StoredKeys struct {
	store ParameterStore
	now   func() time.Time

	mu    sync.Mutex
	keys  map[string]*rsa.PublicKey
	read  time.Time // when keys was read
	tried time.Time
	err   error // why the last try failed
}

// NewStoredKeys reads nothing yet.
func NewStoredKeys(store ParameterStore, now func() time.Time) *StoredKeys {
	return &StoredKeys{store: store, now: now}
}

// Key is TokenKeys.Key. The time of the next read depends on the clock alone,
// so that unknown key ids cause none.
func (s *StoredKeys) Key(ctx context.Context, kid string) (*rsa.PublicKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if now.Sub(s.read) >= keysFresh && now.Sub(s.tried) >= keysRetry {
		s.tried = now
		if s.err = s.reload(ctx); s.err == nil {
			s.read = now
		}
	}
	if s.keys == nil || now.Sub(s.read) >= keysStale {
		return nil, fmt.Errorf("%w: %w", ErrNoKeys, s.err)
	}
	if key, ok := s.keys[kid]; ok {
		return key, nil
	}
	return nil, ErrUnknownKey
}

func (s *StoredKeys) reload(ctx context.Context) error {
	text, err := s.store.Value(ctx)
	if err != nil {
		return err
	}
	keys, err := ParseJWKS(text)
	if err != nil {
		return err
	}
	s.keys = keys
	return nil
}

// Bounds of a JWKS; Cognito's has two keys in less than 1 KB.
const (
	maxJWKS     = 64 << 10 // bytes
	maxJWKSKeys = 32
	maxKid      = 128  // bytes
	minRSA      = 2048 // bits
	maxRSA      = 4096
)

var kidGrammar = regexp.MustCompile(`^[A-Za-z0-9+/=_-]+$`) // to maxKid

// ParseJWKS reads the RSA signature keys (kty RSA, use sig, alg RS256) of a JSON
// Web Key Set (RFC 7517) by key id. Keys of other kinds are passed over; one
// that breaks its own rules, a key id that comes twice or a set without any such
// key refuses the whole set: it is not what the pool published.
func ParseJWKS(text string) (map[string]*rsa.PublicKey, error) {
	bad := fault.New(fault.Internal, "token keys are not a JWKS")
	var set struct {
		Keys []struct {
			Kty string `json:"kty"`
			Use string `json:"use"`
			Alg string `json:"alg"`
			Kid string `json:"kid"`
			N   string `json:"n"`
			E   string `json:"e"`
		} `json:"keys"`
	}
	if len(text) > maxJWKS {
		return nil, bad
	}
	if err := json.Unmarshal([]byte(text), &set); err != nil || len(set.Keys) > maxJWKSKeys {
		return nil, bad
	}
	keys := map[string]*rsa.PublicKey{}
	for _, k := range set.Keys {
		if k.Kty != "RSA" || k.Use != "sig" || k.Alg != "RS256" {
			continue
		}
		key, ok := rsaKey(k.N, k.E)
		if !ok || len(k.Kid) > maxKid || !kidGrammar.MatchString(k.Kid) || keys[k.Kid] != nil {
			return nil, bad
		}
		keys[k.Kid] = key
	}
	if len(keys) == 0 {
		return nil, bad
	}
	return keys, nil
}

// rsaKey reads a modulus and an exponent (RFC 7518, section 6.3.1): an odd
// modulus of 2048 to 4096 bits, an odd exponent from 65537 to 2^31-1.
func rsaKey(n, e string) (*rsa.PublicKey, bool) {
	modulus, err := base64.RawURLEncoding.Strict().DecodeString(n)
	if err != nil {
		return nil, false
	}
	exponent, err := base64.RawURLEncoding.Strict().DecodeString(e)
	if err != nil || len(exponent) > 4 {
		return nil, false
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus)}
	wide := new(big.Int).SetBytes(exponent).Int64()
	if bits := key.N.BitLen(); bits < minRSA || bits > maxRSA || key.N.Bit(0) == 0 ||
		wide < 65537 || wide > 1<<31-1 || wide%2 == 0 {
		return nil, false
	}
	key.E = int(wide)
	return key, true
}
