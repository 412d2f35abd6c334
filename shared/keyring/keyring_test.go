package keyring_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
	"fitvault/shared/keyring"
	"fitvault/shared/keyring/keyringtest"
	"fitvault/shared/vault"
)

const (
	deployment = "fitvault"
	hold       = time.Minute // keyringtest's
)

// world is a keyring over fakes that count what they are asked.
type world struct {
	*keyring.Ring
	keys *keyringtest.Service
	now  time.Time

	mu    sync.Mutex
	calls map[string]int
	fail  string // the call that fails
}

func newWorld(t *testing.T) *world {
	w := &world{now: time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC), calls: map[string]int{}}
	w.keys = keyringtest.NewService(t, deployment, w.now)
	w.keys.Store.Hook, w.keys.KMS.Hook = w.hook, w.hook
	w.Ring = w.keys.Ring(t, func() time.Time { return w.now })
	return w
}

// without is a world whose service keys the test makes.
func without(t *testing.T) *world {
	w := newWorld(t)
	w.keys.Store = keyringtest.Store{Hook: w.hook}
	return w
}

func (w *world) hook(call string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[call]++
	if call == w.fail {
		return keyringtest.ErrDown
	}
	return nil
}

// enrol makes an owner's key pair; change may spoil it.
func (w *world) enrol(t *testing.T, owner, keyID string, change func(*keyring.Enrolled)) {
	w.keys.Enrol(t, owner, keyID, w.now, change)
	w.calls = map[string]int{}
}

// get calls each of the four that hand out a key that may be kept.
var get = map[string]func(*testing.T, *world) (any, error){
	"requests": func(t *testing.T, w *world) (any, error) { return w.Requests(t.Context()) },
	"pages":    func(t *testing.T, w *world) (any, error) { return w.Pages(t.Context()) },
	"writer":   func(t *testing.T, w *world) (any, error) { return w.Writer(t.Context(), "2026-05") },
	"private":  func(t *testing.T, w *world) (any, error) { return w.Private(t.Context(), "ada", "k") },
}

// TestHold: a key is unwrapped once, kept no longer than Hold, and then
// unwrapped anew.
func TestHold(t *testing.T) {
	for name, get := range get {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.enrol(t, "ada", "k", nil)
			for _, step := range []struct {
				after   time.Duration
				unwraps int
			}{{0, 1}, {0, 1}, {hold - 1, 1}, {1, 2}, {0, 2}, {hold, 3}} {
				w.now = w.now.Add(step.after)
				_, err := get(t, w)
				require.NoError(t, err)
				require.Equal(t, step.unwraps, w.calls["unwrap"])
			}
		})
	}
	t.Run("the time counts from before the key was fetched", func(t *testing.T) {
		w := newWorld(t)
		w.keys.KMS.Hook = func(call string) error { w.now = w.now.Add(hold - 1); return w.hook(call) }
		for range 2 {
			_, err := w.Requests(t.Context())
			require.NoError(t, err)
		}
		require.Equal(t, 1, w.calls["unwrap"])
		w.now = w.now.Add(1)
		_, err := w.Requests(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, w.calls["unwrap"])
	})
	t.Run("a key is kept under its own name only", func(t *testing.T) {
		w := newWorld(t)
		w.enrol(t, "ada", "k", nil)
		w.enrol(t, "ada", "l", nil)
		w.enrol(t, "ben", "k", nil)
		for range 2 {
			for _, o := range [][2]string{{"ada", "k"}, {"ada", "l"}, {"ben", "k"}} {
				_, err := w.Private(t.Context(), o[0], o[1])
				require.NoError(t, err)
			}
			for _, month := range []string{"2026-05", "2026-06"} {
				_, err := w.Writer(t.Context(), month)
				require.NoError(t, err)
			}
		}
		require.Equal(t, 5, w.calls["unwrap"])
	})
	t.Run("what cannot be had is not kept", func(t *testing.T) {
		w := newWorld(t)
		w.fail = "unwrap"
		_, err := w.Requests(t.Context())
		require.Error(t, err)
		w.fail = ""
		_, err = w.Requests(t.Context())
		require.NoError(t, err)
	})
	t.Run("by many at once", func(t *testing.T) {
		w := newWorld(t)
		w.enrol(t, "ada", "k", nil)
		var all sync.WaitGroup
		for range 16 {
			for _, get := range get {
				all.Go(func() {
					_, err := get(t, w)
					if err != nil {
						t.Error(err)
					}
				})
			}
		}
		all.Wait()
	})
}

// TestUnavailable: a store or KMS that fails, and a key that does not exist, is
// told as unavailable; the missing key can be told apart.
func TestUnavailable(t *testing.T) {
	for name, get := range get {
		for _, call := range []string{"service key", "owner key", "unwrap"} {
			w := newWorld(t)
			w.enrol(t, "ada", "k", nil)
			w.fail = call
			_, err := get(t, w)
			if call == "owner key" && name != "private" || call == "service key" && name == "private" {
				require.NoError(t, err)
				continue
			}
			require.Equal(t, fault.Unavailable, fault.KindOf(err), name+" "+call)
			require.NotErrorIs(t, err, keyring.ErrNoKey)
			require.NotErrorIs(t, err, keyring.ErrAltered)
		}
	}
	w := newWorld(t)
	_, err := w.Writer(t.Context(), "2026-07")
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	require.ErrorIs(t, err, keyring.ErrNoKey)
	_, err = w.Private(t.Context(), "ada", "k")
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	require.ErrorIs(t, err, keyring.ErrNoKey)
}

// TestPurposes: a wrapped key opens for the purpose, the deployment and the key
// id that it was made for, and for nothing else.
func TestPurposes(t *testing.T) {
	require.Equal(t, map[string]string{"deployment": "d", "key": "k", "purpose": "p"}, keyring.Context("d", "k", "p"))

	const name = keyring.RequestsKeyName
	for _, test := range []struct {
		name    string
		purpose string // of the KMS key
		context map[string]string
		ok      bool
	}{
		{"as keykeeper makes it", keyring.PurposeRequests, keyring.Context(deployment, "id-"+name, keyring.PurposeRequests), true},
		{"another deployment's", keyring.PurposeRequests, keyring.Context("other", "id-"+name, keyring.PurposeRequests), false},
		{"another key's", keyring.PurposeRequests, keyring.Context(deployment, "id-other", keyring.PurposeRequests), false},
		{"another purpose's by its context", keyring.PurposeRequests, keyring.Context(deployment, "id-"+name, keyring.PurposePages), false},
		{"another purpose's by its KMS key", keyring.PurposePages, keyring.Context(deployment, "id-"+name, keyring.PurposeRequests), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := without(t)
			w.keys.Make(t, name, test.purpose, test.context)
			_, err := w.Requests(t.Context())
			require.Equal(t, test.ok, err == nil)
			if !test.ok {
				require.ErrorIs(t, err, keyring.ErrAltered)
				require.Equal(t, fault.Internal, fault.KindOf(err))
			}
		})
	}

	// One blob in all places: only its own opens it.
	blob, err := without(t).keys.KMS.NewKey(t.Context(), keyring.PurposeWriter, keyring.Context(deployment, "id", keyring.PurposeWriter))
	require.NoError(t, err)
	w := without(t)
	for _, name := range []string{keyring.RequestsKeyName, keyring.PagesKeyName} {
		_, err = w.keys.Store.PutServiceKey(t.Context(), name, keyring.Wrapped{ID: "id", Blob: blob})
		require.NoError(t, err)
	}
	_, err = w.Requests(t.Context())
	require.ErrorIs(t, err, keyring.ErrAltered)
	_, err = w.Pages(t.Context())
	require.ErrorIs(t, err, keyring.ErrAltered)
}

// TestNotAKey: what unwraps, but is no key of the right size or kind, opens nothing.
func TestNotAKey(t *testing.T) {
	w := without(t)
	short := func(name, purpose string) {
		blob, err := w.keys.KMS.Wrap(purpose, keyring.Context(deployment, "id", purpose), []byte("short"))
		require.NoError(t, err)
		_, err = w.keys.Store.PutServiceKey(t.Context(), name, keyring.Wrapped{ID: "id", Blob: blob})
		require.NoError(t, err)
	}
	short(keyring.RequestsKeyName, keyring.PurposeRequests)
	short(keyring.PagesKeyName, keyring.PurposePages)
	short(keyring.WriterKeyName("2026-05"), keyring.PurposeWriter)
	blob, err := w.keys.KMS.Wrap(keyring.PurposeData, keyring.Context(deployment, "k", keyring.PurposeData), []byte("not PKCS #8"))
	require.NoError(t, err)
	w.keys.Store.SetOwnerKey("ada", "k", keyring.Enrolled{Wrapped: blob})
	for name, get := range get {
		_, err := get(t, w)
		require.ErrorIs(t, err, vault.ErrKey, name)
		require.Equal(t, fault.Internal, fault.KindOf(err), name)
	}
}

// TestSealer: what is sealed opens with the owner's private key and the month's
// writer key.
func TestSealer(t *testing.T) {
	w := newWorld(t)
	w.enrol(t, "ada", "k", nil)
	place := vault.Place{Deployment: deployment, Table: "readings", Owner: "ada", Day: "2026-05-04", ID: "a"}
	for _, step := range []struct {
		now    time.Time
		writer string
	}{
		{time.Date(2026, 5, 31, 23, 59, 59, 999, time.UTC), "2026-05"},
		{time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), "2026-06"},
		{time.Date(2026, 6, 1, 1, 59, 0, 0, time.FixedZone("", 2*3600)), "2026-05"},
	} {
		w.now = step.now
		sealer, err := w.Sealer(t.Context(), "ada", "k")
		require.NoError(t, err)
		sealed, err := sealer.Seal(place, []byte("71"))
		require.NoError(t, err)
		header, err := vault.Inspect(sealed)
		require.NoError(t, err)
		require.Equal(t, step.writer, header.WriterKeyID)
		require.Equal(t, "k", header.KeyID)

		private, err := w.Private(t.Context(), "ada", "k")
		require.NoError(t, err)
		writer, err := w.Writer(t.Context(), step.writer)
		require.NoError(t, err)
		plain, err := vault.NewOpener([]vault.PrivateKey{private}, []vault.WriterKey{writer}).Open(sealed, place)
		require.NoError(t, err)
		require.Equal(t, "71", string(plain))
	}
	require.Equal(t, 0, w.calls["put service key"])
}

// TestSealerRefuses: nothing is sealed to a key that enrol has not signed for
// this owner, in this deployment, under this id.
func TestSealerRefuses(t *testing.T) {
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	strangers, err := x509.MarshalPKIXPublicKey(&stranger.PublicKey)
	require.NoError(t, err)
	signedBy := func(key *ecdsa.PrivateKey, s vault.Statement) []byte {
		digest := sha256.Sum256(s.Bytes())
		signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
		require.NoError(t, err)
		return signature
	}
	for _, test := range []struct {
		name   string
		change func(t *testing.T, w *world, e *keyring.Enrolled)
	}{
		{"a public key that was swapped", func(_ *testing.T, _ *world, e *keyring.Enrolled) { e.Statement.Public = strangers }},
		{"one that was swapped and signed by another", func(_ *testing.T, _ *world, e *keyring.Enrolled) {
			e.Statement.Public = strangers
			e.Signature = signedBy(stranger, e.Statement)
		}},
		{"no signature", func(_ *testing.T, _ *world, e *keyring.Enrolled) { e.Signature = nil }},
		{"a signature of another time", func(_ *testing.T, _ *world, e *keyring.Enrolled) { e.Statement.At = e.Statement.At.Add(time.Second) }},
		{"another deployment's statement, signed", func(t *testing.T, w *world, e *keyring.Enrolled) {
			e.Statement.Deployment = "other"
			e.Signature = w.keys.Sign(t, e.Statement)
		}},
		{"another owner's statement, signed", func(t *testing.T, w *world, e *keyring.Enrolled) {
			e.Statement.Owner = "ben"
			e.Signature = w.keys.Sign(t, e.Statement)
		}},
		{"another key's statement, signed", func(t *testing.T, w *world, e *keyring.Enrolled) {
			e.Statement.KeyID = "l"
			e.Signature = w.keys.Sign(t, e.Statement)
		}},
		{"a signed key that is none", func(t *testing.T, w *world, e *keyring.Enrolled) {
			e.Statement.Public = []byte("not a key")
			e.Signature = w.keys.Sign(t, e.Statement)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.enrol(t, "ada", "k", func(e *keyring.Enrolled) { test.change(t, w, e) })
			sealer, err := w.Sealer(t.Context(), "ada", "k")
			require.Equal(t, fault.Internal, fault.KindOf(err))
			require.Nil(t, sealer)
			require.ErrorIs(t, err, keyring.ErrAltered)
			require.Equal(t, 0, w.calls["unwrap"], "not even the writer key is asked for")
		})
	}
	t.Run("a keyring without a verifying key", func(t *testing.T) {
		w := newWorld(t)
		w.enrol(t, "ada", "k", nil)
		w.Verify = nil
		_, err := w.Sealer(t.Context(), "ada", "k")
		require.Equal(t, fault.Internal, fault.KindOf(err))
	})
	t.Run("a key that was good a moment ago", func(t *testing.T) {
		w := newWorld(t)
		w.enrol(t, "ada", "k", nil)
		_, err := w.Sealer(t.Context(), "ada", "k")
		require.NoError(t, err)
		w.enrol(t, "ada", "k", func(e *keyring.Enrolled) { e.Statement.Public = strangers })
		_, err = w.Sealer(t.Context(), "ada", "k")
		require.Error(t, err, "what is sealed to is read anew each time")
	})
	t.Run("no key, no store, no writer key", func(t *testing.T) {
		w := newWorld(t)
		_, err := w.Sealer(t.Context(), "ada", "k")
		require.ErrorIs(t, err, keyring.ErrAltered, "the owner's policy names it")
		require.Equal(t, fault.Internal, fault.KindOf(err))
		w.enrol(t, "ada", "k", nil)
		for _, call := range []string{"owner key", "service key", "unwrap"} {
			w.fail = call
			_, err := w.Sealer(t.Context(), "ada", "k")
			require.Equal(t, fault.Unavailable, fault.KindOf(err), call)
			require.NotErrorIs(t, err, keyring.ErrAltered)
		}
		w.fail = ""
		w.now = w.now.AddDate(0, 2, 0)
		_, err = w.Sealer(t.Context(), "ada", "k")
		require.Equal(t, fault.Unavailable, fault.KindOf(err), "keykeeper has made no key for that month")
	})
}

// TestAlteredPrivateKey: what somebody else has put in a private key's place is
// told as altered, and is not kept.
func TestAlteredPrivateKey(t *testing.T) {
	w := newWorld(t)
	w.enrol(t, "ben", "l", nil)
	theirs, err := w.keys.Store.OwnerKey(t.Context(), "ben", "l")
	require.NoError(t, err)
	for name, blob := range map[string][]byte{"another owner's": theirs.Wrapped, "cut off": theirs.Wrapped[:20], "none": nil} {
		w.enrol(t, "ada", "k", func(e *keyring.Enrolled) { e.Wrapped = blob })
		_, err := w.Private(t.Context(), "ada", "k")
		require.ErrorIs(t, err, keyring.ErrAltered, name)
		require.Equal(t, fault.Internal, fault.KindOf(err), name)
	}
	w.enrol(t, "ada", "k", nil)
	_, err = w.Private(t.Context(), "ada", "k")
	require.NoError(t, err)
}

func TestErrorsSayNothing(t *testing.T) {
	w := newWorld(t)
	w.fail = "unwrap"
	_, err := w.Requests(t.Context())
	require.EqualError(t, err, "unavailable: service key cannot be unwrapped")
	require.True(t, errors.Is(err, keyringtest.ErrDown))
	key, err := newWorld(t).Requests(t.Context())
	require.NoError(t, err)
	require.Equal(t, "[redacted]", fmt.Sprintf("%+v", key))
}
