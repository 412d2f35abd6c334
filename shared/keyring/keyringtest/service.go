package keyringtest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/keyring"
	"fitvault/shared/vault"
)

// Service is the keys of a deployment: the service's own, as keykeeper makes
// them, and owners', as enrol does.
type Service struct {
	Deployment string
	Store      Store
	KMS        *KMS
}

// NewService makes the requests and pages keys, and the writer keys of a
// moment's month and the next.
func NewService(t testing.TB, deployment string, at time.Time) *Service {
	t.Helper()
	s := &Service{Deployment: deployment, KMS: NewKMS()}
	next := time.Date(at.Year(), at.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	for name, purpose := range map[string]string{
		keyring.RequestsKeyName:                          keyring.PurposeRequests,
		keyring.PagesKeyName:                             keyring.PurposePages,
		keyring.WriterKeyName(keyring.WriterKeyID(at)):   keyring.PurposeWriter,
		keyring.WriterKeyName(keyring.WriterKeyID(next)): keyring.PurposeWriter,
	} {
		s.Make(t, name, purpose, keyring.Context(deployment, "id-"+name, purpose))
	}
	return s
}

// Make makes a service key whose id is "id-" and its name, under any context.
func (s *Service) Make(t testing.TB, name, purpose string, encryptionContext map[string]string) {
	t.Helper()
	blob, err := s.KMS.NewKey(t.Context(), purpose, encryptionContext)
	require.NoError(t, err)
	_, err = s.Store.PutServiceKey(t.Context(), name, keyring.Wrapped{ID: "id-" + name, Blob: blob})
	require.NoError(t, err)
}

// Enrol makes a key pair for an owner. change, which may be nil, spoils it
// before it is stored.
func (s *Service) Enrol(t testing.TB, owner, keyID string, at time.Time, change func(*keyring.Enrolled)) {
	t.Helper()
	public, wrapped, err := s.KMS.NewPair(t.Context(), keyring.PurposeData, keyring.Context(s.Deployment, keyID, keyring.PurposeData))
	require.NoError(t, err)
	e := keyring.Enrolled{Wrapped: wrapped, Statement: vault.Statement{Deployment: s.Deployment, Owner: owner, KeyID: keyID, Public: public, At: at}}
	e.Signature = s.Sign(t, e.Statement)
	if change != nil {
		change(&e)
	}
	s.Store.SetOwnerKey(owner, keyID, e)
}

// Sign signs a statement as enrol does.
func (s *Service) Sign(t testing.TB, statement vault.Statement) []byte {
	t.Helper()
	signature, err := s.KMS.Sign(t.Context(), keyring.PurposeEnrolment, statement.Bytes())
	require.NoError(t, err)
	return signature
}

// Seal seals a piece to an owner's key, as intake would and has not.
func (s *Service) Seal(t testing.TB, now func() time.Time, owner, keyID string, place vault.Place, plaintext []byte) []byte {
	t.Helper()
	sealer, err := s.Ring(t, now).Sealer(t.Context(), owner, keyID)
	require.NoError(t, err)
	sealed, err := sealer.Seal(place, plaintext)
	require.NoError(t, err)
	return sealed
}

// Ring is a keyring on these keys, as one process has it.
func (s *Service) Ring(t testing.TB, now func() time.Time) *keyring.Ring {
	t.Helper()
	verify, err := s.KMS.PublicKey(t.Context(), keyring.PurposeEnrolment)
	require.NoError(t, err)
	return &keyring.Ring{Deployment: s.Deployment, Store: &s.Store, KMS: s.KMS, Verify: verify, Hold: time.Minute, Now: now}
}
