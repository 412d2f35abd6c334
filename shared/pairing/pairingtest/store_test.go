package pairingtest_test

import (
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/pairing/pairingtest"
)

func TestStore(t *testing.T) {
	var s pairingtest.Store
	pairingtest.Contract(t, &s, func(t *testing.T) access.UserID {
		id, err := access.NewUserID(rand.Reader)
		require.NoError(t, err)
		return id
	}, func(_ *testing.T, owner access.UserID) map[string]access.Tracker { return s.Trackers(owner) },
		func(_ *testing.T, owner access.UserID) { s.Close(owner) })
}
