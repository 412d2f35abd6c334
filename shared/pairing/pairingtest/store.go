// Package pairingtest is what tests use in place of the tables behind pairing,
// and the contract that this fake and the real adapter pass alike.
package pairingtest

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/pairing"
)

// ErrDown is what a test lets the store fail with.
var ErrDown = errors.New("the store is down")

// Store is a pairing.Store, and what manages trackers, in memory. It is safe for
// concurrent use.
type Store struct {
	Hook func(call string) error // before each call; nil lets everything pass

	mu       sync.Mutex
	devices  map[pairing.DeviceID]pairing.Device
	tries    map[string]tries
	begun    map[pairing.ID]*begun
	trackers map[access.UserID]map[string]access.Tracker
	closed   map[access.UserID]bool
}

type tries struct {
	used  int
	until time.Time
}

type begun struct {
	pairing.Challenge
	tries int
	used  bool
}

// call begins a call; the result ends it.
func (s *Store) call(ctx context.Context, name string) (func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.Hook != nil {
		if err := s.Hook(name); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	return s.mu.Unlock, nil
}

// Register stores a registration, and reports false where the id is taken.
func (s *Store) Register(ctx context.Context, d pairing.Device) (bool, error) {
	done, err := s.call(ctx, "register")
	if err != nil {
		return false, err
	}
	defer done()
	if _, taken := s.devices[d.ID]; taken {
		return false, nil
	}
	if s.devices == nil {
		s.devices = map[pairing.DeviceID]pairing.Device{}
	}
	s.devices[d.ID] = d
	return true, nil
}

// Close makes an account one that is not active.
func (s *Store) Close(owner access.UserID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed == nil {
		s.closed = map[access.UserID]bool{}
	}
	s.closed[owner] = true
}

// Trackers is an account's paired trackers.
func (s *Store) Trackers(owner access.UserID) map[string]access.Tracker {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.trackers[owner])
}

// Owners is which accounts have a tracker.
func (s *Store) Owners(id pairing.DeviceID) (owners []access.UserID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for owner, trackers := range s.trackers {
		if _, ok := trackers[id.String()]; ok {
			owners = append(owners, owner)
		}
	}
	return owners
}

func (s *Store) Device(ctx context.Context, id pairing.DeviceID) (pairing.Device, bool, error) {
	done, err := s.call(ctx, "device")
	if err != nil {
		return pairing.Device{}, false, err
	}
	defer done()
	d, ok := s.devices[id]
	return d, ok, nil
}

func (s *Store) CountTry(ctx context.Context, owner access.UserID, id pairing.DeviceID, now time.Time) (bool, error) {
	done, err := s.call(ctx, "count try")
	if err != nil {
		return false, err
	}
	defer done()
	name := owner.String() + " " + id.String()
	t, ok := s.tries[name]
	if !ok || !now.Before(t.until) {
		t = tries{until: now.Add(pairing.TriesWindow)}
	}
	t.used++
	if s.tries == nil {
		s.tries = map[string]tries{}
	}
	if t.used > pairing.Tries {
		return false, nil
	}
	s.tries[name] = t
	return true, nil
}

func (s *Store) Begin(ctx context.Context, c pairing.Challenge) error {
	done, err := s.call(ctx, "begin")
	if err != nil {
		return err
	}
	defer done()
	if s.begun == nil {
		s.begun = map[pairing.ID]*begun{}
	}
	s.begun[c.T1.Pairing] = &begun{Challenge: c}
	return nil
}

func (s *Store) Attempt(ctx context.Context, id pairing.ID, owner access.UserID, now time.Time) (pairing.Challenge, bool, error) {
	done, err := s.call(ctx, "attempt")
	if err != nil {
		return pairing.Challenge{}, false, err
	}
	defer done()
	b := s.begun[id]
	if b == nil || b.Owner != owner || b.used || b.tries >= pairing.Tries || !now.Before(b.T1.Expires) {
		return pairing.Challenge{}, false, nil
	}
	b.tries++
	return b.Challenge, true, nil
}

func (s *Store) Pair(ctx context.Context, c pairing.Challenge, t access.Tracker) error {
	done, err := s.call(ctx, "pair")
	if err != nil {
		return err
	}
	defer done()
	b, d := s.begun[c.T1.Pairing], s.devices[c.T1.Device]
	if b == nil || b.used || b.T1.Hash() != c.T1.Hash() || d.State != c.Was || d.Key != c.Old || s.closed[c.Owner] ||
		len(s.trackers[c.Owner]) >= access.MaxTrackers {
		return pairing.ErrTaken
	}
	b.used = true
	d.State, d.Key, d.CodeHash, d.Pairing = pairing.Paired, c.Key, c.CodeHash, c.T1.Pairing
	s.devices[d.ID] = d
	if s.trackers == nil {
		s.trackers = map[access.UserID]map[string]access.Tracker{}
	}
	if s.trackers[c.Owner] == nil {
		s.trackers[c.Owner] = map[string]access.Tracker{}
	}
	t.Key = slices.Clone(t.Key)
	s.trackers[c.Owner][c.T1.Device.String()] = t
	return nil
}

// Change gives an account's tracker another name or state, where t has one, and
// returns it; false where the account has no such tracker by this pairing.
func (s *Store) Change(ctx context.Context, owner access.UserID, id pairing.DeviceID, t access.Tracker) (access.Tracker, bool, error) {
	done, err := s.call(ctx, "change")
	if err != nil {
		return access.Tracker{}, false, err
	}
	defer done()
	held, ok := s.trackers[owner][id.String()]
	if !ok || held.Pairing != t.Pairing || s.closed[owner] {
		return access.Tracker{}, false, nil
	}
	held.Name, held.State = cmp.Or(t.Name, held.Name), cmp.Or(t.State, held.State)
	s.trackers[owner][id.String()] = held
	return held, true, nil
}

// Unpair takes a tracker out of an account and retires its key; false as Change.
func (s *Store) Unpair(ctx context.Context, owner access.UserID, id pairing.DeviceID, name pairing.ID) (bool, error) {
	done, err := s.call(ctx, "unpair")
	if err != nil {
		return false, err
	}
	defer done()
	d, held := s.devices[id], s.trackers[owner][id.String()]
	if d.State != pairing.Paired || d.Pairing != name || held.Pairing != name.String() {
		return false, nil
	}
	d.State, d.Pairing = pairing.Retired, pairing.ID{}
	s.devices[id] = d
	delete(s.trackers[owner], id.String())
	return true, nil
}
