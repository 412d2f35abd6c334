package keyringtest_test

import (
	"errors"
	"testing"

	"fitvault/shared/access"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/keyring/keyringtest"
)

func TestStore(t *testing.T) { keyringtest.StoreContract(t, &keyringtest.Store{}) }

func TestAccounts(t *testing.T) {
	var keys keyringtest.Store
	conflict := errors.New("conflict")
	accounts := &keyringtest.Accounts{Keys: &keys, Conflict: conflict}
	keyringtest.AccountsContract(t, accounts, &keys, conflict)
	edgetest.Documents(t, accounts, func(_ *testing.T, issuer, subject string, d access.Documents) { accounts.Put(issuer, subject, d) })
}

func TestKMS(t *testing.T) { keyringtest.KMSContract(t, keyringtest.NewKMS()) }
