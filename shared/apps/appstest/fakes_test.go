package appstest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/apps"
	"fitvault/shared/apps/appstest"
)

func TestFakes(t *testing.T) {
	var store appstest.Store
	appstest.StoreContract(t, &store, func(_ *testing.T, app apps.App) { store.Put(app) })
	var clients appstest.Clients
	appstest.ClientsContract(t, &clients, func(t *testing.T, client string, w apps.Wanted) { require.Equal(t, w, clients.All()[client]) })
	var keys appstest.Keys
	appstest.KeysContract(t, &keys, func(*testing.T) map[string]string { return keys.All() })
}
