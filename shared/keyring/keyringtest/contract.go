package keyringtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/keyring"
	"fitvault/shared/vault"
)

// writers is how many write at once where a contract says that one wins.
const writers = 16

func name(prefix string) string { return fmt.Sprintf("%s-%x", prefix, random(16)) }

func ended(t *testing.T) context.Context {
	c, cancel := context.WithCancel(t.Context())
	cancel()
	return c
}

// ServiceKeys is keyring.Store with keykeeper's side of it.
type ServiceKeys interface {
	keyring.Store
	PutServiceKey(ctx context.Context, name string, w keyring.Wrapped) (bool, error)
}

// StoreContract is the contract of keyring.Store for service keys; that for
// owners' keys is in AccountsContract. Names are random.
func StoreContract(t *testing.T, store ServiceKeys) {
	t.Run("a key that does not exist is ErrNoKey", func(t *testing.T) {
		_, err := store.ServiceKey(t.Context(), name("service"))
		require.ErrorIs(t, err, keyring.ErrNoKey)
		_, err = store.OwnerKey(t.Context(), name("owner"), name("key"))
		require.ErrorIs(t, err, keyring.ErrNoKey)
	})
	t.Run("the first key of a name stays", func(t *testing.T) {
		key, first := name("service"), keyring.Wrapped{ID: name("id"), Blob: random(100)}
		made, err := store.PutServiceKey(t.Context(), key, first)
		require.NoError(t, err)
		require.True(t, made)
		made, err = store.PutServiceKey(t.Context(), key, keyring.Wrapped{ID: name("id"), Blob: random(100)})
		require.NoError(t, err)
		require.False(t, made)
		found, err := store.ServiceKey(t.Context(), key)
		require.NoError(t, err)
		require.Equal(t, first, found)
	})
	t.Run("of concurrent keykeepers one makes the key", func(t *testing.T) {
		key := name("service")
		var keys [writers]keyring.Wrapped
		var made [writers]bool
		var errs [writers]error
		var all sync.WaitGroup
		for i := range writers {
			keys[i] = keyring.Wrapped{ID: name("id"), Blob: random(100)}
			all.Go(func() { made[i], errs[i] = store.PutServiceKey(t.Context(), key, keys[i]) })
		}
		all.Wait()
		found, err := store.ServiceKey(t.Context(), key)
		require.NoError(t, err)
		for i := range writers {
			require.NoError(t, errs[i])
			require.Equal(t, keys[i].ID == found.ID, made[i])
		}
		require.Contains(t, keys, found)
	})
	t.Run("a service key is no owner's key", func(t *testing.T) {
		key := name("service")
		_, err := store.PutServiceKey(t.Context(), key, keyring.Wrapped{ID: name("id"), Blob: random(100)})
		require.NoError(t, err)
		_, err = store.OwnerKey(t.Context(), name("owner"), key)
		require.ErrorIs(t, err, keyring.ErrNoKey)
	})
	t.Run("a store that does not answer is an error, not a missing key", func(t *testing.T) {
		_, err := store.ServiceKey(ended(t), name("service"))
		require.Error(t, err)
		require.NotErrorIs(t, err, keyring.ErrNoKey)
		_, err = store.OwnerKey(ended(t), name("owner"), name("key"))
		require.Error(t, err)
		require.NotErrorIs(t, err, keyring.ErrNoKey)
		made, err := store.PutServiceKey(ended(t), name("service"), keyring.Wrapped{ID: "id", Blob: random(100)})
		require.Error(t, err)
		require.False(t, made)
	})
}

// AccountStore is what enrol and the edge see of the Accounts table.
type AccountStore interface {
	Read(ctx context.Context, keys access.Keys) (access.Documents, error)
	CreateAccount(ctx context.Context, identity string, owner access.Owner, key keyring.Enrolled, receipts map[access.Purpose]string) error
	PutConsent(ctx context.Context, user access.UserID, purpose access.Purpose, c access.Consent, pseudonym string) error
	PutReceipt(ctx context.Context, user access.UserID, purpose access.Purpose, at time.Time, receipt string) error
	Receipt(ctx context.Context, user access.UserID, purpose access.Purpose, at time.Time) (string, error)
}

// account is a new one with every member set, and its identity.
type account struct {
	issuer, subject string
	owner           access.Owner
	key             keyring.Enrolled
}

func newAccount(t *testing.T) account {
	user, err := access.NewUserID(randomReader{})
	require.NoError(t, err)
	at := time.Date(2026, 5, 4, 5, 25, 0, 123_456_789, time.UTC)
	a := account{issuer: "https://issuer", subject: name("subject"), owner: access.Owner{
		User: user, State: access.Active, DataKey: name("key"), Pseudonym: name("pseudonym"),
		Consents: map[access.Purpose]access.Consent{access.Collection: {Version: "1", Given: true, Time: at, Locale: "de", How: "a-client"}},
	}}
	a.key = keyring.Enrolled{
		Statement: vault.Statement{Deployment: "fitvault", Owner: user.String(), KeyID: a.owner.DataKey, Public: random(91), At: at.Truncate(time.Second)},
		Signature: random(71), Wrapped: random(300),
	}
	return a
}

type randomReader struct{}

func (randomReader) Read(b []byte) (int, error) { return copy(b, random(len(b))), nil }

// receipts is one for each of its consents.
func (a account) receipts() map[access.Purpose]string {
	receipts := map[access.Purpose]string{}
	for purpose := range a.owner.Consents {
		receipts[purpose] = "receipt of " + string(purpose) + " of " + a.owner.User.String()
	}
	return receipts
}

func (a account) create(t *testing.T, store AccountStore) error {
	return store.CreateAccount(t.Context(), access.IdentityKey(a.issuer, a.subject), a.owner, a.key, a.receipts())
}

// stored requires that of an account everything is stored, or nothing.
func (a account) requireStored(t *testing.T, store AccountStore, keys keyring.Store, want bool) {
	t.Helper()
	found, err := store.Read(t.Context(), access.Keys{User: a.owner.User})
	require.NoError(t, err)
	key, err := keys.OwnerKey(t.Context(), a.owner.User.String(), a.owner.DataKey)
	if !want {
		require.Nil(t, found.Owner)
		require.ErrorIs(t, err, keyring.ErrNoKey)
		return
	}
	require.NoError(t, err)
	require.Equal(t, a.key, key)
	require.NotNil(t, found.Owner)
	require.Equal(t, a.owner, *found.Owner)
	caller, err := store.Read(t.Context(), access.Keys{Issuer: a.issuer, Subject: a.subject})
	require.NoError(t, err)
	require.NotNil(t, caller.Caller)
	require.Equal(t, a.owner.User, caller.Caller.User)
}

// AccountsContract is the contract of the store of accounts, and of
// keyring.Store for owners' keys. conflict is what it returns to who comes second.
func AccountsContract(t *testing.T, store AccountStore, keys keyring.Store, conflict error) {
	t.Run("a new account is stored whole", func(t *testing.T) {
		a := newAccount(t)
		a.requireStored(t, store, keys, false)
		require.NoError(t, a.create(t, store))
		a.requireStored(t, store, keys, true)
	})
	t.Run("and its receipts", func(t *testing.T) {
		a := newAccount(t)
		a.owner.Consents[access.Sharing] = access.Consent{Version: "1", Time: time.Date(2026, 1, 1, 0, 0, 0, 1, time.UTC)}
		kept := func(purpose access.Purpose, at time.Time) string {
			receipt, err := store.Receipt(t.Context(), a.owner.User, purpose, at)
			require.NoError(t, err)
			return receipt
		}
		require.NoError(t, newAccount(t).create(t, store), "another's")
		for purpose, c := range a.owner.Consents {
			require.Empty(t, kept(purpose, c.Time))
		}
		require.NoError(t, a.create(t, store))
		for purpose, c := range a.owner.Consents {
			require.Equal(t, a.receipts()[purpose], kept(purpose, c.Time))
			require.Empty(t, kept(purpose, c.Time.Add(1)), "of another moment")
			require.Empty(t, kept(access.Research, c.Time), "of another purpose")
		}
		a.requireStored(t, store, keys, true)
	})
	t.Run("the receipt of the latest word is kept", func(t *testing.T) {
		a := newAccount(t)
		at := a.owner.Consents[access.Collection].Time
		for _, step := range []struct {
			put    string
			at     time.Time
			kept   string
			keptAt time.Time
		}{
			{"the first", at, "the first", at},
			{"a later one", at.Add(2), "a later one", at.Add(2)},
			{"one that comes late", at.Add(1), "a later one", at.Add(2)},
			{"a second of the same moment", at.Add(2), "a later one", at.Add(2)},
			{"the last", at.Add(3), "the last", at.Add(3)},
		} {
			require.NoError(t, store.PutReceipt(t.Context(), a.owner.User, access.Research, step.at, step.put))
			kept, err := store.Receipt(t.Context(), a.owner.User, access.Research, step.keptAt)
			require.NoError(t, err)
			require.Equal(t, step.kept, kept)
		}
		kept, err := store.Receipt(t.Context(), a.owner.User, access.Research, at)
		require.NoError(t, err)
		require.Empty(t, kept)
	})
	t.Run("one identity has one account, and nothing is left of a second", func(t *testing.T) {
		first, second := newAccount(t), newAccount(t)
		second.subject = first.subject
		require.NoError(t, first.create(t, store))
		require.ErrorIs(t, second.create(t, store), conflict)
		first.requireStored(t, store, keys, true)
		second.requireStored(t, store, keys, false)
	})
	t.Run("of concurrent first consents one makes the account", func(t *testing.T) {
		var accounts [writers]account
		var errs [writers]error
		var all sync.WaitGroup
		for i := range writers {
			accounts[i] = newAccount(t)
			accounts[i].subject = accounts[0].subject
			all.Go(func() { errs[i] = accounts[i].create(t, store) })
		}
		all.Wait()
		won := 0
		for i := range writers {
			if errs[i] == nil {
				won++
			} else {
				require.ErrorIs(t, errs[i], conflict)
			}
			accounts[i].requireStored(t, store, keys, errs[i] == nil)
		}
		require.Equal(t, 1, won)
	})
	t.Run("a consent is replaced, the others stay", func(t *testing.T) {
		a := newAccount(t)
		a.owner.Consents["sharing"] = access.Consent{Version: "7", Given: true, Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
		require.NoError(t, a.create(t, store))
		withdrawn := access.Consent{Version: "1", Given: false, Time: time.Date(2026, 6, 1, 0, 0, 0, 1, time.UTC)}
		require.NoError(t, store.PutConsent(t.Context(), a.owner.User, access.Collection, withdrawn, "another"))
		a.owner.Consents[access.Collection] = withdrawn
		first := access.Consent{Version: "1", Given: true, Time: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}
		require.NoError(t, store.PutConsent(t.Context(), a.owner.User, "research", first, "another"), "about a purpose that nothing was said of")
		a.owner.Consents["research"] = first
		a.requireStored(t, store, keys, true)
	})
	t.Run("a later word stands, whatever comes after it", func(t *testing.T) {
		a := newAccount(t)
		require.NoError(t, a.create(t, store))
		held := a.owner.Consents[access.Collection]
		for _, at := range []time.Time{held.Time, held.Time.Add(-1), held.Time.Add(-time.Hour)} {
			late := access.Consent{Version: "2", Given: false, Time: at}
			require.ErrorIs(t, store.PutConsent(t.Context(), a.owner.User, access.Collection, late, "another"), conflict)
		}
		a.requireStored(t, store, keys, true)
		a.owner.Consents[access.Collection] = access.Consent{Version: "2", Given: false, Time: held.Time.Add(1)}
		for range 2 { // the first answer may have been lost
			require.NoError(t, store.PutConsent(t.Context(), a.owner.User, access.Collection, a.owner.Consents[access.Collection], "another"))
		}
		a.requireStored(t, store, keys, true)
	})
	t.Run("an account without a pseudonym gets one with the next word, and keeps it", func(t *testing.T) {
		a := newAccount(t)
		a.owner.Pseudonym = ""
		require.NoError(t, a.create(t, store))
		a.requireStored(t, store, keys, true)
		for _, pseudonym := range []string{"the first", "another"} {
			a.owner.Consents[access.Collection] = access.Consent{Version: "1", Given: true, Time: a.owner.Consents[access.Collection].Time.Add(1)}
			require.NoError(t, store.PutConsent(t.Context(), a.owner.User, access.Collection, a.owner.Consents[access.Collection], pseudonym))
			a.owner.Pseudonym = "the first"
			a.requireStored(t, store, keys, true)
		}
	})
	t.Run("of concurrent words the latest stands", func(t *testing.T) {
		a := newAccount(t)
		require.NoError(t, a.create(t, store))
		said := func(i int) access.Consent {
			return access.Consent{Version: fmt.Sprint(i), Given: i%2 == 0, Time: a.owner.Consents[access.Collection].Time.Add(time.Duration(i+1) * time.Nanosecond)}
		}
		var errs [writers]error
		var all sync.WaitGroup
		for i := range writers {
			all.Go(func() {
				errs[i] = store.PutConsent(t.Context(), a.owner.User, access.Collection, said(i), fmt.Sprint(i))
			})
		}
		all.Wait()
		for i, err := range errs {
			require.True(t, err == nil || errors.Is(err, conflict) && i < writers-1, "%d: %v", i, err)
		}
		a.owner.Consents[access.Collection] = said(writers - 1)
		a.requireStored(t, store, keys, true)
	})
	t.Run("a consent to an account that does not exist or is not active is a conflict", func(t *testing.T) {
		none, closing := newAccount(t), newAccount(t)
		closing.owner.State = "closing"
		require.NoError(t, closing.create(t, store))
		for _, a := range []account{none, closing} {
			require.ErrorIs(t, store.PutConsent(t.Context(), a.owner.User, access.Collection, access.Consent{Version: "9"}, "another"), conflict)
		}
		none.requireStored(t, store, keys, false)
		closing.requireStored(t, store, keys, true)
	})
	t.Run("a store that does not answer is an error, not a conflict", func(t *testing.T) {
		a := newAccount(t)
		err := store.CreateAccount(ended(t), access.IdentityKey(a.issuer, a.subject), a.owner, a.key, a.receipts())
		require.Error(t, err)
		require.NotErrorIs(t, err, conflict)
		a.requireStored(t, store, keys, false)
		require.NoError(t, a.create(t, store))
		require.Error(t, store.PutReceipt(ended(t), a.owner.User, access.Collection, time.Now(), "a receipt"))
		_, err = store.Receipt(ended(t), a.owner.User, access.Collection, time.Now())
		require.Error(t, err)
		err = store.PutConsent(ended(t), a.owner.User, access.Collection, access.Consent{Version: "9"}, "another")
		require.Error(t, err)
		require.NotErrorIs(t, err, conflict)
		a.requireStored(t, store, keys, true)
	})
}

// Wrapping is all that functions ask of KMS.
type Wrapping interface {
	keyring.Unwrapper
	NewKey(ctx context.Context, purpose string, encryptionContext map[string]string) ([]byte, error)
	NewPair(ctx context.Context, purpose string, encryptionContext map[string]string) (public, wrapped []byte, err error)
	Sign(ctx context.Context, purpose string, message []byte) ([]byte, error)
	PublicKey(ctx context.Context, purpose string) (*ecdsa.PublicKey, error)
}

// KMSContract is the contract of keyring.Unwrapper, and of those who wrap and
// sign for it. kms has a key of its own for each of the purposes data and
// writer, and signing ones for enrolment and receipts.
func KMSContract(t *testing.T, kms Wrapping) {
	// others are contexts that differ from one in one member.
	others := func(encryptionContext map[string]string) map[string]map[string]string {
		changed := map[string]map[string]string{"nothing in it": {}}
		for member := range encryptionContext {
			c := maps.Clone(encryptionContext)
			c[member] += "x"
			changed["another "+member] = c
			c = maps.Clone(encryptionContext)
			delete(c, member)
			changed["no "+member] = c
		}
		c := maps.Clone(encryptionContext)
		c["more"] = "x"
		changed["one member more"] = c
		return changed
	}
	requireBound := func(t *testing.T, purpose, other string, encryptionContext map[string]string, blob []byte) {
		for why, wrong := range others(encryptionContext) {
			_, err := kms.Unwrap(t.Context(), purpose, wrong, blob)
			require.ErrorIs(t, err, keyring.ErrAltered, why)
		}
		_, err := kms.Unwrap(t.Context(), other, encryptionContext, blob)
		require.ErrorIs(t, err, keyring.ErrAltered, "another purpose's key")
		for _, i := range []int{len(blob) / 2, len(blob) - 1} {
			altered := append([]byte(nil), blob...)
			altered[i] ^= 1
			_, err = kms.Unwrap(t.Context(), purpose, encryptionContext, altered)
			require.ErrorIs(t, err, keyring.ErrAltered, "an altered blob")
		}
	}

	t.Run("a new key unwraps under its own purpose and context only", func(t *testing.T) {
		encryptionContext := keyring.Context("fitvault", name("key"), keyring.PurposeWriter)
		blob, err := kms.NewKey(t.Context(), keyring.PurposeWriter, encryptionContext)
		require.NoError(t, err)
		key, err := kms.Unwrap(t.Context(), keyring.PurposeWriter, encryptionContext, blob)
		require.NoError(t, err)
		require.Len(t, key, 32)
		require.NotContains(t, string(blob), string(key))
		again, err := kms.Unwrap(t.Context(), keyring.PurposeWriter, maps.Clone(encryptionContext), blob)
		require.NoError(t, err)
		require.Equal(t, key, again)
		requireBound(t, keyring.PurposeWriter, keyring.PurposeData, encryptionContext, blob)

		second, err := kms.NewKey(t.Context(), keyring.PurposeWriter, encryptionContext)
		require.NoError(t, err)
		other, err := kms.Unwrap(t.Context(), keyring.PurposeWriter, encryptionContext, second)
		require.NoError(t, err)
		require.NotEqual(t, key, other)
	})
	t.Run("a new pair's halves belong together, and the private one is bound", func(t *testing.T) {
		encryptionContext := keyring.Context("fitvault", name("key"), keyring.PurposeData)
		public, wrapped, err := kms.NewPair(t.Context(), keyring.PurposeData, encryptionContext)
		require.NoError(t, err)
		der, err := kms.Unwrap(t.Context(), keyring.PurposeData, encryptionContext, wrapped)
		require.NoError(t, err)
		require.NotContains(t, string(wrapped), string(der))
		private, err := x509.ParsePKCS8PrivateKey(der)
		require.NoError(t, err)
		require.IsType(t, &ecdsa.PrivateKey{}, private)
		require.Equal(t, elliptic.P256(), private.(*ecdsa.PrivateKey).Curve)
		spki, err := x509.MarshalPKIXPublicKey(&private.(*ecdsa.PrivateKey).PublicKey)
		require.NoError(t, err)
		require.Equal(t, spki, public)
		requireBound(t, keyring.PurposeData, keyring.PurposeWriter, encryptionContext, wrapped)
	})
	t.Run("a signature verifies, for its message and purpose only", func(t *testing.T) {
		message := random(400)
		purposes := []string{keyring.PurposeEnrolment, keyring.PurposeReceipts}
		var keys []*ecdsa.PublicKey
		for _, purpose := range purposes {
			key, err := kms.PublicKey(t.Context(), purpose)
			require.NoError(t, err)
			require.Equal(t, elliptic.P256(), key.Curve)
			keys = append(keys, key)
		}
		for i, purpose := range purposes {
			signature, err := kms.Sign(t.Context(), purpose, message)
			require.NoError(t, err)
			digest := sha256.Sum256(message)
			require.True(t, ecdsa.VerifyASN1(keys[i], digest[:], signature))
			require.False(t, ecdsa.VerifyASN1(keys[1-i], digest[:], signature), "another purpose's key")
			digest[0] ^= 1
			require.False(t, ecdsa.VerifyASN1(keys[i], digest[:], signature))
		}
	})
	t.Run("a purpose without a key is an error", func(t *testing.T) {
		const unknown = "none"
		_, err := kms.Unwrap(t.Context(), unknown, nil, random(100))
		require.Error(t, err)
		_, err = kms.NewKey(t.Context(), unknown, nil)
		require.Error(t, err)
		_, _, err = kms.NewPair(t.Context(), unknown, nil)
		require.Error(t, err)
		_, err = kms.Sign(t.Context(), unknown, random(10))
		require.Error(t, err)
		_, err = kms.PublicKey(t.Context(), unknown)
		require.Error(t, err)
	})
	t.Run("a KMS that does not answer is an error", func(t *testing.T) {
		_, err := kms.Unwrap(ended(t), keyring.PurposeData, nil, random(100))
		require.Error(t, err)
		require.NotErrorIs(t, err, keyring.ErrAltered)
		_, err = kms.NewKey(ended(t), keyring.PurposeWriter, nil)
		require.Error(t, err)
		_, _, err = kms.NewPair(ended(t), keyring.PurposeData, nil)
		require.Error(t, err)
		_, err = kms.Sign(ended(t), keyring.PurposeEnrolment, random(10))
		require.Error(t, err)
		_, err = kms.PublicKey(ended(t), keyring.PurposeEnrolment)
		require.Error(t, err)
	})
}
