package appstest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/apps"
	"fitvault/shared/fault"
)

func registration() (apps.Request, apps.App) {
	name := strings.ToLower(rand.Text())
	return apps.Request{ID: "r" + name, Body: sha256.Sum256([]byte(name))},
		apps.App{Client: "c" + name, Name: "Läufe & Co", Kind: access.ThirdPartyApp, State: access.Active,
			Scopes: []string{"fitvault/readings.read"}, RedirectURIs: []string{"https://a.example/b", "https://a.example/c"},
			Keys: []apps.Key{{ID: "k1", Digest: apps.Digest(name)}}, Registered: time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC)}
}

// StoreContract is the contract of apps.Store. put stores an app as its operator does:
// without keys that have names.
func StoreContract(t *testing.T, s apps.Store, put func(t *testing.T, app apps.App)) {
	one := func(t *testing.T, client string) apps.App {
		t.Helper()
		found, err := s.Apps(t.Context(), []string{client, "nobody"})
		require.NoError(t, err)
		require.Len(t, found, 1)
		return found[0]
	}
	request, app := registration()

	t.Run("what is registered is found, member for member", func(t *testing.T) {
		require.NoError(t, s.Register(t.Context(), request, app))
		require.Equal(t, app, one(t, app.Client))
		done, err := s.Requests(t.Context())
		require.NoError(t, err)
		require.Equal(t, apps.Done{Client: app.Client, Body: request.Body}, done[request.ID])
	})
	t.Run("a system has no redirects", func(t *testing.T) {
		request, app := registration()
		app.Kind, app.RedirectURIs = access.SystemApp, nil
		require.NoError(t, s.Register(t.Context(), request, app))
		require.Equal(t, app, one(t, app.Client))
	})
	t.Run("the same is not registered twice", func(t *testing.T) {
		again, other := registration()
		require.ErrorIs(t, s.Register(t.Context(), again, app), apps.ErrConflict)
		require.ErrorIs(t, s.Register(t.Context(), request, other), apps.ErrConflict)
		found, err := s.Apps(t.Context(), []string{other.Client})
		require.NoError(t, err)
		require.Empty(t, found, "both or neither")
	})
	t.Run("one of many at once", func(t *testing.T) {
		request, first := registration()
		var errs [8]error
		var all sync.WaitGroup
		for i := range errs {
			app := first
			app.Client += string(rune('a' + i))
			all.Go(func() { errs[i] = s.Register(t.Context(), request, app) })
		}
		all.Wait()
		done := 0
		for _, err := range errs {
			if err == nil {
				done++
			} else {
				require.ErrorIs(t, err, apps.ErrConflict)
			}
		}
		require.Equal(t, 1, done)
	})
	t.Run("states", func(t *testing.T) {
		for _, state := range []access.State{access.Off, access.Off, access.Active} {
			require.NoError(t, s.SetState(t.Context(), app.Client, state))
			require.Equal(t, state, one(t, app.Client).State)
		}
		require.ErrorIs(t, s.SetState(t.Context(), "nobody", access.Active), apps.ErrConflict)
	})
	t.Run("keys", func(t *testing.T) {
		first, second, third := app.Keys[0], apps.Key{ID: "k2", Digest: apps.Digest(app.Client)}, apps.Key{ID: "k3", Digest: apps.Digest("c")}
		ctx, client := t.Context(), app.Client
		require.ErrorIs(t, s.RetireKey(ctx, client, first), apps.ErrConflict, "the last one")
		require.ErrorIs(t, s.ForgetKey(ctx, client, first), apps.ErrConflict, "not retired")
		require.ErrorIs(t, s.AddKey(ctx, client, apps.Key{ID: first.ID}), apps.ErrConflict, "an id that is taken")
		require.NoError(t, s.AddKey(ctx, client, second))
		require.Equal(t, []apps.Key{first, second}, one(t, client).Keys)
		require.ErrorIs(t, s.AddKey(ctx, client, third), apps.ErrConflict, "a third")
		require.ErrorIs(t, s.RetireKey(ctx, client, third), apps.ErrConflict, "none of its")
		require.ErrorIs(t, s.RetireKey(ctx, client, apps.Key{ID: first.ID, Digest: third.Digest}), apps.ErrConflict, "of another value")
		require.NoError(t, s.RetireKey(ctx, client, first))
		retired := first
		retired.Retired = true
		require.Equal(t, []apps.Key{retired, second}, one(t, client).Keys)
		require.ErrorIs(t, s.RetireKey(ctx, client, first), apps.ErrConflict, "is retired")
		require.ErrorIs(t, s.AddKey(ctx, client, third), apps.ErrConflict, "a retired one counts until it is forgotten")
		require.ErrorIs(t, s.RetireKey(ctx, client, second), apps.ErrConflict, "now it is the last")
		require.NoError(t, s.ForgetKey(ctx, client, first))
		require.Equal(t, []apps.Key{second}, one(t, client).Keys)
		require.ErrorIs(t, s.ForgetKey(ctx, client, first), apps.ErrConflict)
		require.NoError(t, s.AddKey(ctx, client, third))
		require.ErrorIs(t, s.AddKey(ctx, "nobody", third), apps.ErrConflict)
	})
	t.Run("two retired at once leave one", func(t *testing.T) {
		request, app := registration()
		app.Keys = append(app.Keys, apps.Key{ID: "k2", Digest: apps.Digest(app.Client)})
		require.NoError(t, s.Register(t.Context(), request, app))
		var errs [2]error
		var all sync.WaitGroup
		for i, key := range app.Keys {
			all.Go(func() { errs[i] = s.RetireKey(t.Context(), app.Client, key) })
		}
		all.Wait()
		require.True(t, (errs[0] == nil) != (errs[1] == nil))
	})
	t.Run("an app of the operator's", func(t *testing.T) {
		_, app := registration()
		app.Keys, app.Name, app.RedirectURIs, app.Registered = nil, "", nil, time.Time{}
		put(t, app)
		require.Equal(t, app, one(t, app.Client))
		require.ErrorIs(t, s.AddKey(t.Context(), app.Client, apps.Key{ID: "k", Digest: apps.Digest("d")}), apps.ErrConflict)
		require.NoError(t, s.SetState(t.Context(), app.Client, access.Off))
		own := app
		own.Client, own.Kind = own.Client+"own", access.OwnApp
		put(t, own)
		require.ErrorIs(t, s.SetState(t.Context(), own.Client, access.Off), apps.ErrConflict, "ours is not an administrator's to switch off")
	})
	t.Run("a store that does not answer is unavailable", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.Requests(ctx)
		require.Equal(t, fault.Unavailable, fault.KindOf(err))
		_, err = s.Apps(ctx, []string{app.Client})
		require.Equal(t, fault.Unavailable, fault.KindOf(err))
		for _, err := range []error{s.Register(ctx, request, app), s.SetState(ctx, app.Client, access.Off), s.AddKey(ctx, app.Client, app.Keys[0]),
			s.RetireKey(ctx, app.Client, app.Keys[0]), s.ForgetKey(ctx, app.Client, app.Keys[0])} {
			require.Equal(t, fault.Unavailable, fault.KindOf(err))
		}
	})
}

// Wanted are a third-party app and a system.
func Wanted(t *testing.T) (thirdParty, system apps.Wanted) {
	t.Helper()
	thirdParty, err := apps.Parse("Läufe & Co", "third-party", "partner", []string{"https://a.example/b"}, []string{"fitvault/readings.read"})
	require.NoError(t, err)
	system, err = apps.Parse("Klinik", "system", "partner", nil, []string{"fitvault/readings.write", "fitvault/readings.read"})
	require.NoError(t, err)
	return thirdParty, system
}

// ClientsContract is the contract of apps.Clients. What was made of a client is for
// the caller to look at, before it is deleted.
func ClientsContract(t *testing.T, c apps.Clients, look func(t *testing.T, client string, w apps.Wanted)) {
	thirdParty, system := Wanted(t)
	for _, w := range []apps.Wanted{thirdParty, system} {
		client, secret, err := c.Create(t.Context(), "test-"+string(w.Kind), w)
		require.NoError(t, err)
		require.True(t, access.ValidClient(client))
		require.Equal(t, w.Kind == access.SystemApp, secret != "")
		look(t, client, w)
		other, _, err := c.Create(t.Context(), "test-"+string(w.Kind), w)
		require.NoError(t, err)
		require.NotEqual(t, client, other)
		for range 2 { // what is gone is gone
			require.NoError(t, c.Delete(t.Context(), client))
			require.NoError(t, c.Delete(t.Context(), other))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := c.Create(ctx, "test", thirdParty)
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	require.Equal(t, fault.Unavailable, fault.KindOf(c.Delete(ctx, "client")))
}

// KeysContract is the contract of apps.Keys. all is the values of the plan's keys by id.
func KeysContract(t *testing.T, k apps.Keys, all func(t *testing.T) map[string]string) {
	value, err := apps.NewKey(rand.Reader)
	require.NoError(t, err)
	id, err := k.Create(t.Context(), "test", value)
	require.NoError(t, err)
	require.Equal(t, value, all(t)[id])
	other, err := apps.NewKey(rand.Reader)
	require.NoError(t, err)
	second, err := k.Create(t.Context(), "test", other)
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, k.Delete(t.Context(), id))
		require.NotContains(t, all(t), id)
	}
	require.Equal(t, other, all(t)[second])
	require.NoError(t, k.Delete(t.Context(), second))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = k.Create(ctx, "test", value)
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	require.Equal(t, fault.Unavailable, fault.KindOf(k.Delete(ctx, id)))
}
