// Package appstest has fakes of what apps declares, and the contracts that fakes and
// adapters both pass.
package appstest

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"sync"

	"fitvault/shared/access"
	"fitvault/shared/apps"
	"fitvault/shared/fault"
)

// Fails makes a fake fail: it is asked with the name of each call before that is done.
// Where it says that the call was done nevertheless, the answer is lost.
type Fails func(call string) (done bool, err error)

func (f Fails) ask(ctx context.Context, call string) (bool, error) {
	if ctx.Err() != nil {
		return false, fault.Wrap(fault.Unavailable, "no time left", ctx.Err())
	}
	if f == nil {
		return true, nil
	}
	done, err := f(call)
	return done || err == nil, err
}

// Store is a fake of apps.Store.
type Store struct {
	Fails Fails

	mu       sync.Mutex
	requests map[string]apps.Done
	apps     map[string]apps.App
}

// Put stores an app as its operator does: without keys that have names.
func (s *Store) Put(app apps.App) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.apps == nil {
		s.apps, s.requests = map[string]apps.App{}, map[string]apps.Done{}
	}
	s.apps[app.Client] = app
}

func (s *Store) do(ctx context.Context, call string, change func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.apps == nil {
		s.apps, s.requests = map[string]apps.App{}, map[string]apps.Done{}
	}
	done, lost := s.Fails.ask(ctx, call)
	if done {
		if err := change(); err != nil {
			return err
		}
	}
	return lost
}

// Requests implements apps.Store.
func (s *Store) Requests(ctx context.Context) (done map[string]apps.Done, err error) {
	err = s.do(ctx, "requests", func() error {
		done = map[string]apps.Done{}
		for id, d := range s.requests {
			done[id] = d
		}
		return nil
	})
	return done, err
}

// Apps implements apps.Store.
func (s *Store) Apps(ctx context.Context, clients []string) (found []apps.App, err error) {
	err = s.do(ctx, "apps", func() error {
		for _, client := range clients {
			if app, ok := s.apps[client]; ok {
				app.Keys = slices.Clone(app.Keys)
				found = append(found, app)
			}
		}
		slices.SortFunc(found, func(a, b apps.App) int { return strings.Compare(a.Client, b.Client) })
		return nil
	})
	return found, err
}

// Register implements apps.Store.
func (s *Store) Register(ctx context.Context, r apps.Request, app apps.App) error {
	return s.do(ctx, "register", func() error {
		_, done := s.requests[r.ID]
		if _, there := s.apps[app.Client]; there || done {
			return apps.ErrConflict
		}
		s.requests[r.ID], s.apps[app.Client] = apps.Done{Client: app.Client, Body: r.Body}, app
		return nil
	})
}

// SetState implements apps.Store.
func (s *Store) SetState(ctx context.Context, client string, state access.State) error {
	return s.change(ctx, "set state", client, func(app *apps.App) bool {
		app.State = state
		return app.Kind == access.ThirdPartyApp || app.Kind == access.SystemApp
	})
}

// AddKey implements apps.Store.
func (s *Store) AddKey(ctx context.Context, client string, key apps.Key) error {
	return s.change(ctx, "add key", client, func(app *apps.App) bool {
		if len(app.Keys) == 0 || len(app.Keys) >= apps.MaxKeys || slices.ContainsFunc(app.Keys, func(k apps.Key) bool { return k.ID == key.ID }) {
			return false
		}
		app.Keys = append(app.Keys, key)
		slices.SortFunc(app.Keys, func(a, b apps.Key) int { return strings.Compare(a.ID, b.ID) })
		return true
	})
}

// RetireKey implements apps.Store.
func (s *Store) RetireKey(ctx context.Context, client string, key apps.Key) error {
	return s.change(ctx, "retire key", client, func(app *apps.App) bool {
		good, found := 0, -1
		for i, k := range app.Keys {
			if k.Retired {
				continue
			}
			good++
			if k.ID == key.ID && k.Digest == key.Digest {
				found = i
			}
		}
		if found < 0 || good < 2 {
			return false
		}
		app.Keys[found].Retired = true
		return true
	})
}

// ForgetKey implements apps.Store.
func (s *Store) ForgetKey(ctx context.Context, client string, key apps.Key) error {
	return s.change(ctx, "forget key", client, func(app *apps.App) bool {
		before := len(app.Keys)
		app.Keys = slices.DeleteFunc(app.Keys, func(k apps.Key) bool { return k.Retired && k.ID == key.ID && k.Digest == key.Digest })
		return len(app.Keys) < before
	})
}

func (s *Store) change(ctx context.Context, call, client string, change func(*apps.App) bool) error {
	return s.do(ctx, call, func() error {
		app, ok := s.apps[client]
		app.Keys = slices.Clone(app.Keys)
		if !ok || !change(&app) {
			return apps.ErrConflict
		}
		s.apps[client] = app
		return nil
	})
}

// Clients is a fake of apps.Clients.
type Clients struct {
	Fails Fails

	mu   sync.Mutex
	made map[string]apps.Wanted
}

// Create implements apps.Clients.
func (c *Clients) Create(ctx context.Context, _ string, w apps.Wanted) (client, secret string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	done, lost := c.Fails.ask(ctx, "create client")
	if done {
		client = strings.ToLower(rand.Text())
		if w.Kind == access.SystemApp {
			secret = rand.Text()
		}
		if c.made == nil {
			c.made = map[string]apps.Wanted{}
		}
		c.made[client] = w
	}
	if lost != nil {
		return "", "", lost
	}
	return client, secret, nil
}

// Delete implements apps.Clients.
func (c *Clients) Delete(ctx context.Context, client string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	done, lost := c.Fails.ask(ctx, "delete client")
	if done {
		delete(c.made, client)
	}
	return lost
}

// All is what was made and not deleted, by client.
func (c *Clients) All() map[string]apps.Wanted {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string]apps.Wanted{}
	for client, w := range c.made {
		all[client] = w
	}
	return all
}

// Keys is a fake of apps.Keys.
type Keys struct {
	Fails Fails

	mu   sync.Mutex
	made map[string]string
}

var errTaken = errors.New("there is a key of that value")

// Create implements apps.Keys.
func (k *Keys) Create(ctx context.Context, _, value string) (id string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, v := range k.made {
		if v == value {
			return "", fault.Wrap(fault.Unavailable, "API key cannot be made", errTaken)
		}
	}
	done, lost := k.Fails.ask(ctx, "create key")
	if done {
		id = strings.ToLower(rand.Text()[:10])
		if k.made == nil {
			k.made = map[string]string{}
		}
		k.made[id] = value
	}
	if lost != nil {
		return "", lost
	}
	return id, nil
}

// Delete implements apps.Keys.
func (k *Keys) Delete(ctx context.Context, id string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	done, lost := k.Fails.ask(ctx, "delete key")
	if done {
		delete(k.made, id)
	}
	return lost
}

// All is the keys' values by id.
func (k *Keys) All() map[string]string {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := map[string]string{}
	for id, v := range k.made {
		all[id] = v
	}
	return all
}
