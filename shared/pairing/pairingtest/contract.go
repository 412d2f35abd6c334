package pairingtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/pairing"
)

// Whole is pairing.Store with what else is done to trackers.
type Whole interface {
	pairing.Store
	Register(ctx context.Context, d pairing.Device) (bool, error)
	Change(ctx context.Context, owner access.UserID, id pairing.DeviceID, t access.Tracker) (access.Tracker, bool, error)
	Unpair(ctx context.Context, owner access.UserID, id pairing.DeviceID, name pairing.ID) (bool, error)
}

// Device makes a registration that nobody else has.
func Device(t testing.TB) pairing.Device {
	t.Helper()
	var serial [12]byte
	_, _ = rand.Read(serial[:])
	id, err := pairing.ParseDeviceID("acme-" + hex.EncodeToString(serial[:]))
	require.NoError(t, err)
	model, err := pairing.ParseModel("band-2")
	require.NoError(t, err)
	code, err := pairing.NewCode(rand.Reader)
	require.NoError(t, err)
	return pairing.Device{ID: id, Model: model, Key: NewKey(t), CodeHash: code.Hash(), State: pairing.New}
}

// NewKey makes a public key.
func NewKey(t testing.TB) pairing.Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	k, err := pairing.NewKey(&private.PublicKey)
	require.NoError(t, err)
	return k
}

// challenge is one of an owner's for a registered tracker, as Service makes it.
func challenge(t testing.TB, owner access.UserID, d pairing.Device, now time.Time) pairing.Challenge {
	id, err := pairing.NewID(rand.Reader)
	require.NoError(t, err)
	c := pairing.Challenge{Owner: owner, Key: d.Key, Old: d.Key, Was: d.State, CodeHash: d.CodeHash,
		T1: pairing.T1{Deployment: "fitvault", Device: d.ID, KeyHash: d.Key.Hash(), Pairing: id, Expires: now.Add(pairing.Life).Truncate(time.Second)}}
	_, _ = rand.Read(c.T1.TrackerNonce[:])
	_, _ = rand.Read(c.T1.ServiceNonce[:])
	return c
}

func trackerOf(c pairing.Challenge, now time.Time) access.Tracker {
	return access.Tracker{Pairing: c.T1.Pairing.String(), Key: c.Key.Bytes(), Name: c.T1.Device.String(), State: access.Active, Since: now.UTC().Truncate(time.Second)}
}

// Contract is the contract of pairing.Store and what else is done to trackers.
// account makes an active account; trackers reads what it has; close makes it one
// that is not active.
func Contract(t *testing.T, s Whole, account func(t *testing.T) access.UserID, trackers func(t *testing.T, owner access.UserID) map[string]access.Tracker, closeAccount func(t *testing.T, owner access.UserID)) {
	now := time.Now().UTC().Truncate(time.Second)
	ctx := t.Context()
	register := func(t *testing.T) pairing.Device {
		d := Device(t)
		made, err := s.Register(ctx, d)
		require.NoError(t, err)
		require.True(t, made)
		return d
	}
	begin := func(t *testing.T, owner access.UserID, d pairing.Device) pairing.Challenge {
		c := challenge(t, owner, d, now)
		require.NoError(t, s.Begin(ctx, c))
		return c
	}
	pair := func(t *testing.T, owner access.UserID) (pairing.Device, pairing.Challenge) {
		d := register(t)
		c := begin(t, owner, d)
		require.NoError(t, s.Pair(ctx, c, trackerOf(c, now)))
		return d, c
	}

	t.Run("a registration is made once", func(t *testing.T) {
		d := Device(t)
		_, found, err := s.Device(ctx, d.ID)
		require.NoError(t, err)
		require.False(t, found)
		made, err := s.Register(ctx, d)
		require.NoError(t, err)
		require.True(t, made)
		other := Device(t)
		other.ID = d.ID
		made, err = s.Register(ctx, other)
		require.NoError(t, err)
		require.False(t, made)
		held, found, err := s.Device(ctx, d.ID)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, d, held)
	})
	t.Run("five tries in a window, of one account for one tracker", func(t *testing.T) {
		owner, other, id := account(t), account(t), Device(t).ID
		var mu sync.Mutex
		passed := 0
		var all sync.WaitGroup
		for range 3 * pairing.Tries {
			all.Go(func() {
				left, err := s.CountTry(ctx, owner, id, now)
				mu.Lock()
				defer mu.Unlock()
				if err == nil && left {
					passed++
				}
			})
		}
		all.Wait()
		require.Equal(t, pairing.Tries, passed)
		for _, test := range []struct {
			owner access.UserID
			id    pairing.DeviceID
			at    time.Time
			left  bool
		}{
			{owner, id, now.Add(pairing.TriesWindow - time.Second), false},
			{owner, Device(t).ID, now, true},
			{other, id, now, true},
			{owner, id, now.Add(pairing.TriesWindow), true},
			{owner, id, now.Add(pairing.TriesWindow), true},
			{owner, id, now.Add(pairing.TriesWindow), true},
			{owner, id, now.Add(pairing.TriesWindow), true},
			{owner, id, now.Add(pairing.TriesWindow), true},
			{owner, id, now.Add(pairing.TriesWindow), false},
		} {
			left, err := s.CountTry(ctx, test.owner, test.id, test.at)
			require.NoError(t, err)
			require.Equal(t, test.left, left)
		}
	})
	t.Run("a challenge comes back as it was, five times", func(t *testing.T) {
		owner, d := account(t), register(t)
		c := challenge(t, owner, d, now)
		_, found, err := s.Attempt(ctx, c.T1.Pairing, c.Owner, now)
		require.NoError(t, err)
		require.False(t, found)
		c.Old, c.Was = NewKey(t), pairing.Retired
		require.NoError(t, s.Begin(ctx, c))
		for range pairing.Tries {
			held, found, err := s.Attempt(ctx, c.T1.Pairing, c.Owner, now)
			require.NoError(t, err)
			require.True(t, found)
			held.T1.Expires = held.T1.Expires.UTC()
			require.Equal(t, c, held)
		}
		_, found, err = s.Attempt(ctx, c.T1.Pairing, c.Owner, now)
		require.NoError(t, err)
		require.False(t, found)
	})
	t.Run("somebody else takes no try of it", func(t *testing.T) {
		c, other := begin(t, account(t), register(t)), account(t)
		for range 2 * pairing.Tries {
			_, found, err := s.Attempt(ctx, c.T1.Pairing, other, now)
			require.NoError(t, err)
			require.False(t, found)
		}
		_, found, err := s.Attempt(ctx, c.T1.Pairing, c.Owner, now)
		require.NoError(t, err)
		require.True(t, found)
	})
	t.Run("nor after its time", func(t *testing.T) {
		c := begin(t, account(t), register(t))
		_, found, err := s.Attempt(ctx, c.T1.Pairing, c.Owner, c.T1.Expires)
		require.NoError(t, err)
		require.False(t, found)
		_, found, err = s.Attempt(ctx, c.T1.Pairing, c.Owner, c.T1.Expires.Add(-time.Second))
		require.NoError(t, err)
		require.True(t, found)
	})
	t.Run("paired, it is its owner's", func(t *testing.T) {
		owner := account(t)
		d, c := pair(t, owner)
		held, _, err := s.Device(ctx, d.ID)
		require.NoError(t, err)
		require.Equal(t, pairing.Paired, held.State)
		require.Equal(t, c.T1.Pairing, held.Pairing)
		has := trackers(t, owner)
		require.Len(t, has, 1)
		found := has[d.ID.String()]
		found.Since = found.Since.UTC()
		require.Equal(t, trackerOf(c, now), found)
		_, again, err := s.Attempt(ctx, c.T1.Pairing, c.Owner, now)
		require.NoError(t, err)
		require.False(t, again, "used")
		require.ErrorIs(t, s.Pair(ctx, c, trackerOf(c, now)), pairing.ErrTaken)
	})
	t.Run("of many at once one wins", func(t *testing.T) {
		d := register(t)
		const phones = 8
		var challenges []pairing.Challenge
		for range phones {
			challenges = append(challenges, begin(t, account(t), d))
		}
		errs := make([]error, phones)
		var all sync.WaitGroup
		for i, c := range challenges {
			all.Go(func() { errs[i] = s.Pair(ctx, c, trackerOf(c, now)) })
		}
		all.Wait()
		winners := 0
		for i, err := range errs {
			if has := trackers(t, challenges[i].Owner); err == nil {
				winners++
				require.Len(t, has, 1)
			} else {
				require.ErrorIs(t, err, pairing.ErrTaken)
				require.Empty(t, has)
			}
		}
		require.Equal(t, 1, winners)
	})
	t.Run("nothing is paired that is not what it was", func(t *testing.T) {
		for name, change := range map[string]func(*pairing.Challenge){
			"another key was registered": func(c *pairing.Challenge) { c.Old = NewKey(t) },
			"another state":              func(c *pairing.Challenge) { c.Was = pairing.Retired },
			"another T1":                 func(c *pairing.Challenge) { c.T1.ServiceNonce[0]++ },
			"no such challenge":          func(c *pairing.Challenge) { c.T1.Pairing, _ = pairing.NewID(rand.Reader) },
			"no such tracker":            func(c *pairing.Challenge) { c.T1.Device = Device(t).ID },
		} {
			owner, d := account(t), register(t)
			c := begin(t, owner, d)
			changed := c
			change(&changed)
			require.ErrorIs(t, s.Pair(ctx, changed, trackerOf(changed, now)), pairing.ErrTaken, name)
			require.Empty(t, trackers(t, owner), name)
			require.NoError(t, s.Pair(ctx, c, trackerOf(c, now)), name)
		}
		owner, d := account(t), register(t)
		c := begin(t, owner, d)
		closeAccount(t, owner)
		require.ErrorIs(t, s.Pair(ctx, c, trackerOf(c, now)), pairing.ErrTaken)
		held, _, err := s.Device(ctx, d.ID)
		require.NoError(t, err)
		require.Equal(t, pairing.New, held.State)
	})
	t.Run("an account has so many and no more", func(t *testing.T) {
		owner := account(t)
		for range access.MaxTrackers {
			pair(t, owner)
		}
		c := begin(t, owner, register(t))
		require.ErrorIs(t, s.Pair(ctx, c, trackerOf(c, now)), pairing.ErrTaken)
		require.Len(t, trackers(t, owner), access.MaxTrackers)
	})
	t.Run("its owner changes it, by the pairing that he has", func(t *testing.T) {
		owner := account(t)
		d, c := pair(t, owner)
		changed := trackerOf(c, now)
		changed.Name, changed.State = "left wrist", access.Lost
		stored, done, err := s.Change(ctx, owner, d.ID, changed)
		require.NoError(t, err)
		require.True(t, done)
		found := trackers(t, owner)[d.ID.String()]
		require.Equal(t, found, stored)
		require.Equal(t, [2]any{"left wrist", access.Lost}, [2]any{found.Name, found.State})
		require.Equal(t, d.Key.Bytes(), found.Key)
		for _, part := range []struct {
			asked access.Tracker
			want  [2]any
		}{
			{access.Tracker{Pairing: changed.Pairing, Name: "right wrist"}, [2]any{"right wrist", access.Lost}}, // still lost
			{access.Tracker{Pairing: changed.Pairing, State: access.Active}, [2]any{"right wrist", access.Active}},
		} {
			stored, done, err = s.Change(ctx, owner, d.ID, part.asked)
			require.NoError(t, err)
			require.True(t, done)
			require.Equal(t, part.want, [2]any{stored.Name, stored.State})
			require.Equal(t, trackers(t, owner)[d.ID.String()], stored)
		}
		other := changed
		other.Pairing = "another"
		for _, test := range []struct {
			owner access.UserID
			id    pairing.DeviceID
			t     access.Tracker
		}{{account(t), d.ID, changed}, {owner, Device(t).ID, changed}, {owner, d.ID, other}} {
			_, done, err = s.Change(ctx, test.owner, test.id, test.t)
			require.NoError(t, err)
			require.False(t, done)
		}
		require.Len(t, trackers(t, owner), 1)
	})
	t.Run("unpaired, its key is retired, and a reset brings another", func(t *testing.T) {
		owner := account(t)
		d, c := pair(t, owner)
		wrong, err := pairing.NewID(rand.Reader)
		require.NoError(t, err)
		for _, test := range []struct {
			owner access.UserID
			name  pairing.ID
		}{{account(t), c.T1.Pairing}, {owner, wrong}} {
			done, err := s.Unpair(ctx, test.owner, d.ID, test.name)
			require.NoError(t, err)
			require.False(t, done)
		}
		done, err := s.Unpair(ctx, owner, d.ID, c.T1.Pairing)
		require.NoError(t, err)
		require.True(t, done)
		require.Empty(t, trackers(t, owner))
		held, found, err := s.Device(ctx, d.ID)
		require.NoError(t, err)
		require.True(t, found)
		d.State = pairing.Retired
		require.Equal(t, d, held)
		done, err = s.Unpair(ctx, owner, d.ID, c.T1.Pairing)
		require.NoError(t, err)
		require.False(t, done)

		buyer, key := account(t), NewKey(t)
		next := challenge(t, buyer, d, now)
		next.Key, next.CodeHash = key, [32]byte{1}
		next.T1.KeyHash = key.Hash()
		require.NoError(t, s.Begin(ctx, next))
		require.NoError(t, s.Pair(ctx, next, trackerOf(next, now)))
		held, _, err = s.Device(ctx, d.ID)
		require.NoError(t, err)
		require.Equal(t, pairing.Device{ID: d.ID, Model: d.Model, Key: key, CodeHash: next.CodeHash, State: pairing.Paired, Pairing: next.T1.Pairing}, held)
		require.Equal(t, key.Bytes(), trackers(t, buyer)[d.ID.String()].Key)
	})
	t.Run("a store that does not answer says so", func(t *testing.T) {
		owner, d := account(t), register(t)
		c := challenge(t, owner, d, now)
		ended, cancel := context.WithCancel(ctx)
		cancel()
		_, _, err := s.Device(ended, d.ID)
		require.Error(t, err)
		_, err = s.CountTry(ended, owner, d.ID, now)
		require.Error(t, err)
		require.Error(t, s.Begin(ended, c))
		_, _, err = s.Attempt(ended, c.T1.Pairing, c.Owner, now)
		require.Error(t, err)
		err = s.Pair(ended, c, trackerOf(c, now))
		require.Error(t, err)
		require.NotErrorIs(t, err, pairing.ErrTaken)
		_, err = s.Register(ended, Device(t))
		require.Error(t, err)
		_, _, err = s.Change(ended, owner, d.ID, trackerOf(c, now))
		require.Error(t, err)
		_, err = s.Unpair(ended, owner, d.ID, c.T1.Pairing)
		require.Error(t, err)
	})
}
