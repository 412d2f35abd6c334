package pairing_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/fault"
	"fitvault/shared/pairing"
	"fitvault/shared/pairing/pairingtest"
	"fitvault/shared/pairing/tracker"
)

const deployment = "fitvault"

// world is a service over the fake store, its authority, and two people.
type world struct {
	*pairing.Service
	store     *pairingtest.Store
	authority *pairingtest.Authority
	now       time.Time
	ada, ben  access.UserID
	recorded  int
}

func newWorld(t testing.TB) *world {
	w := &world{now: time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC), store: &pairingtest.Store{}}
	w.authority = pairingtest.NewAuthority(t, deployment, w.now)
	w.Service = &pairing.Service{Deployment: deployment, Store: w.store, Signer: w.authority, Certificate: w.authority.Certificate, Now: w.clock, Rand: rand.Reader}
	w.ada, w.ben = user(t), user(t)
	return w
}

func (w *world) clock() time.Time { return w.now }

func (w *world) record(context.Context, pairing.DeviceID, pairing.ID) error { w.recorded++; return nil }

func user(t testing.TB) access.UserID {
	id, err := access.NewUserID(rand.Reader)
	require.NoError(t, err)
	return id
}

// made is a tracker that its maker has registered.
func (w *world) made(t testing.TB, serial string) *tracker.Tracker {
	tr, err := tracker.New("acme-"+serial, deployment, w.authority.Root, w.clock, rand.Reader)
	require.NoError(t, err)
	made, err := w.store.Register(t.Context(), registration(t, tr))
	require.NoError(t, err)
	require.True(t, made)
	return tr
}

func registration(t testing.TB, tr *tracker.Tracker) pairing.Device {
	label, err := pairing.ParseLabel(tr.Label())
	require.NoError(t, err)
	key, err := pairing.ParseKey(tr.PublicKey())
	require.NoError(t, err)
	require.Equal(t, label.KeyHash, key.Hash(), "what the tracker says of itself is what the service computes")
	require.Equal(t, tr.CodeHash(), func() []byte { h := label.Code.Hash(); return h[:] }())
	model, err := pairing.ParseModel("band-2")
	require.NoError(t, err)
	return pairing.Device{ID: label.Device, Model: model, Key: key, CodeHash: label.Code.Hash(), State: pairing.New}
}

// asked is what a phone makes of what the tracker gave.
func asked(t require.TestingT, p tracker.Pressed) pairing.Request {
	id, err := pairing.ParseDeviceID(p.ID)
	require.NoError(t, err)
	code, err := pairing.ParseCode(p.Code)
	require.NoError(t, err)
	r := pairing.Request{Device: id, Nonce: pairing.Nonce(p.Nonce), Code: code}
	if i := p.Introduction; i != nil {
		key, err := pairing.ParseKey(i.Key)
		require.NoError(t, err)
		r.Reset = &pairing.Reset{Key: key, CodeHash: [32]byte(i.CodeHash), Signature: i.Signature}
	}
	return r
}

func press(t require.TestingT, tr *tracker.Tracker) pairing.Request {
	p, err := tr.Press()
	require.NoError(t, err)
	return asked(t, p)
}

func (w *world) begin(t testing.TB, owner access.UserID, tr *tracker.Tracker) pairing.Begun {
	b, err := w.Begin(t.Context(), owner, press(t, tr), w.record)
	require.NoError(t, err)
	return b
}

func answer(t testing.TB, tr *tracker.Tracker, b pairing.Begun) []byte {
	a, err := tr.Answer(b.Message, b.Signature, b.Certificate)
	require.NoError(t, err)
	return a
}

// pair pairs a tracker as it should be.
func (w *world) pair(t testing.TB, owner access.UserID, tr *tracker.Tracker) pairing.ID {
	b := w.begin(t, owner, tr)
	_, _, err := w.Confirm(t.Context(), owner, b.Pairing, answer(t, tr, b), w.record)
	require.NoError(t, err)
	require.NoError(t, tr.Done(b.Pairing.String()))
	return b.Pairing
}

func refused(t testing.TB, err error) {
	t.Helper()
	require.Equal(t, fault.NotFound, fault.KindOf(err))
	require.EqualError(t, err, "not-found: no such tracker to be paired", "one answer, whatever the reason")
}

func TestPairing(t *testing.T) {
	w := newWorld(t)
	tr := w.made(t, "1")
	b := w.begin(t, w.ada, tr)
	require.Equal(t, 1, w.recorded)
	require.Equal(t, w.now.Add(10*time.Minute), b.Expires)
	id, held, err := w.Confirm(t.Context(), w.ada, b.Pairing, answer(t, tr, b), w.record)
	require.NoError(t, err)
	require.Equal(t, 2, w.recorded)
	require.Equal(t, tr.ID, id.String())
	require.Equal(t, access.Tracker{Pairing: b.Pairing.String(), Key: tr.PublicKey(), Name: tr.ID, State: access.Active, Since: w.now}, held)
	require.Equal(t, map[string]access.Tracker{tr.ID: held}, w.store.Trackers(w.ada))
	require.Equal(t, tr.Pairing(), b.Pairing.String())
}

// TestEachByte: each message, altered in each byte, is refused by who gets it, and
// nothing is paired.
func TestEachByte(t *testing.T) {
	w := newWorld(t)
	tr := w.made(t, "1")
	p, err := tr.Press()
	require.NoError(t, err)
	altered := func(b []byte, i int) []byte { c := slices.Clone(b); c[i] ^= 1 << (i % 8); return c }

	t.Run("the code", func(t *testing.T) {
		for i := range len(p.Code) {
			for _, owner := range []access.UserID{user(t)} { // each with its own tries
				changed := p
				changed.Code = string(altered([]byte(p.Code), i))
				code, err := pairing.ParseCode(changed.Code)
				if err != nil {
					continue // no code at all
				}
				r := asked(t, p)
				r.Code = code
				_, err = w.Begin(t.Context(), owner, r, w.record)
				refused(t, err)
			}
		}
	})
	b, err := w.Begin(t.Context(), w.ada, asked(t, p), w.record)
	require.NoError(t, err)
	t.Run("the nonce: the tracker knows that it is not its own", func(t *testing.T) {
		for i := range p.Nonce {
			r := asked(t, p)
			r.Nonce = pairing.Nonce(altered(p.Nonce, i))
			other, err := w.Begin(t.Context(), user(t), r, w.record)
			require.NoError(t, err)
			_, err = tr.Answer(other.Message, other.Signature, other.Certificate)
			require.ErrorIs(t, err, tracker.ErrNotMine)
		}
	})
	t.Run("T1", func(t *testing.T) {
		for i := range b.Message {
			_, err := tr.Answer(altered(b.Message, i), b.Signature, b.Certificate)
			require.ErrorIs(t, err, tracker.ErrSignature)
		}
	})
	t.Run("its signature", func(t *testing.T) {
		for i := range b.Signature {
			_, err := tr.Answer(b.Message, altered(b.Signature, i), b.Certificate)
			require.ErrorIs(t, err, tracker.ErrSignature)
		}
	})
	t.Run("the certificate", func(t *testing.T) {
		for i := range b.Certificate {
			_, err := tr.Answer(b.Message, b.Signature, altered(b.Certificate, i))
			require.Error(t, err)
		}
	})
	good := answer(t, tr, b)
	t.Run("the answer", func(t *testing.T) {
		for i := range good {
			fresh := w.begun(t, b) // its tries are not what is tried here
			_, _, err := w.Confirm(t.Context(), w.ada, fresh, altered(good, i), w.record)
			refused(t, err)
		}
	})
	t.Run("the pairing's id", func(t *testing.T) {
		for i := range len(b.Pairing.String()) {
			id, err := pairing.ParseID(string(altered([]byte(b.Pairing.String()), i)))
			if err != nil {
				continue
			}
			_, _, err = w.Confirm(t.Context(), w.ada, id, good, w.record)
			refused(t, err)
		}
	})
	require.Empty(t, w.store.Owners(asked(t, p).Device))
	_, _, err = w.Confirm(t.Context(), w.ada, b.Pairing, good, w.record)
	require.NoError(t, err, "unaltered it is good")
}

// begun puts the challenge of b back as it was before anybody tried.
func (w *world) begun(t testing.TB, b pairing.Begun) pairing.ID {
	c, found, err := w.store.Attempt(t.Context(), b.Pairing, w.ada, w.now)
	require.NoError(t, err)
	require.True(t, found)
	require.NoError(t, w.store.Begin(t.Context(), c))
	return b.Pairing
}

func TestRefusedToBegin(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, w *world, tr *tracker.Tracker, r *pairing.Request){
		"a tracker that does not exist": func(t *testing.T, _ *world, _ *tracker.Tracker, r *pairing.Request) {
			id, err := pairing.ParseDeviceID("acme-0")
			require.NoError(t, err)
			r.Device = id
		},
		"another tracker's code": func(t *testing.T, w *world, _ *tracker.Tracker, r *pairing.Request) {
			r.Code = press(t, w.made(t, "2")).Code
		},
		"no code": func(_ *testing.T, _ *world, _ *tracker.Tracker, r *pairing.Request) { r.Code = pairing.Code{} },
		"paired already, with oneself": func(t *testing.T, w *world, tr *tracker.Tracker, _ *pairing.Request) {
			w.pair(t, w.ada, tr)
		},
		"a cloned QR code after its use": func(t *testing.T, w *world, tr *tracker.Tracker, _ *pairing.Request) {
			w.pair(t, w.ben, tr)
		},
		"its code, after it was unpaired": func(t *testing.T, w *world, tr *tracker.Tracker, r *pairing.Request) {
			name := w.pair(t, w.ben, tr)
			done, err := w.store.Unpair(t.Context(), w.ben, r.Device, name)
			require.NoError(t, err)
			require.True(t, done)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tr := w.made(t, "1")
			r := press(t, tr)
			change(t, w, tr, &r)
			w.recorded = 0
			_, err := w.Begin(t.Context(), w.ada, r, w.record)
			refused(t, err)
			require.Equal(t, 0, w.recorded)
		})
	}
}

func TestSixthTry(t *testing.T) {
	w := newWorld(t)
	tr := w.made(t, "1")
	r := press(t, tr)
	t.Run("to begin: even the right code", func(t *testing.T) {
		wrong := r
		wrong.Code = pairing.Code{}
		for range pairing.Tries {
			_, err := w.Begin(t.Context(), w.ben, wrong, w.record)
			refused(t, err)
		}
		_, err := w.Begin(t.Context(), w.ben, r, w.record)
		refused(t, err)
		w.now = w.now.Add(pairing.TriesWindow)
		_, err = w.Begin(t.Context(), w.ben, r, w.record)
		require.NoError(t, err, "a stranger's tries cost nobody else anything, and his own come back")
	})
	t.Run("to confirm: even the right answer", func(t *testing.T) {
		b := w.begin(t, w.ada, tr)
		good := answer(t, tr, b)
		for range pairing.Tries {
			_, _, err := w.Confirm(t.Context(), w.ada, b.Pairing, []byte("wrong"), w.record)
			refused(t, err)
		}
		_, _, err := w.Confirm(t.Context(), w.ada, b.Pairing, good, w.record)
		refused(t, err)
		require.Empty(t, w.store.Owners(r.Device))
	})
}

// TestOverheardT1: who knows a pairing's name, which stands in T1, takes none of its tries.
func TestOverheardT1(t *testing.T) {
	w := newWorld(t)
	tr := w.made(t, "1")
	b := w.begin(t, w.ada, tr)
	good := answer(t, tr, b)
	for range 3 * pairing.Tries {
		for _, said := range [][]byte{good, []byte("wrong")} {
			_, _, err := w.Confirm(t.Context(), w.ben, b.Pairing, said, w.record)
			refused(t, err)
		}
	}
	_, _, err := w.Confirm(t.Context(), w.ada, b.Pairing, good, w.record)
	require.NoError(t, err)
}

func TestRefusedToConfirm(t *testing.T) {
	w := newWorld(t)
	one, two := w.made(t, "1"), w.made(t, "2")
	t.Run("expired", func(t *testing.T) {
		b := w.begin(t, w.ada, one)
		good := answer(t, one, b)
		w.now = b.Expires
		_, _, err := w.Confirm(t.Context(), w.ada, b.Pairing, good, w.record)
		refused(t, err)
		_, err = one.Answer(b.Message, b.Signature, b.Certificate)
		require.ErrorIs(t, err, tracker.ErrNotMine, "and the nonce is used")
	})
	t.Run("another account's", func(t *testing.T) {
		b := w.begin(t, w.ada, one)
		_, _, err := w.Confirm(t.Context(), w.ben, b.Pairing, answer(t, one, b), w.record)
		refused(t, err)
	})
	t.Run("two pairings swapped", func(t *testing.T) {
		a, b := w.begin(t, w.ada, one), w.begin(t, w.ben, two)
		answerA, answerB := answer(t, one, a), answer(t, two, b)
		for _, test := range []struct {
			owner access.UserID
			id    pairing.ID
			given []byte
		}{{w.ada, a.Pairing, answerB}, {w.ben, b.Pairing, answerA}, {w.ben, a.Pairing, answerA}, {w.ada, b.Pairing, answerB}, {w.ada, b.Pairing, answerA}} {
			_, _, err := w.Confirm(t.Context(), test.owner, test.id, test.given, w.record)
			refused(t, err)
		}
	})
	t.Run("an answer to an earlier T1 of the same tracker and owner", func(t *testing.T) {
		first := w.begin(t, w.ada, one)
		old := answer(t, one, first)
		second := w.begin(t, w.ada, one)
		_, _, err := w.Confirm(t.Context(), w.ada, second.Pairing, old, w.record)
		refused(t, err)
	})
	w.now = w.now.Add(pairing.TriesWindow)
	t.Run("an impostor's: without the tracker's key", func(t *testing.T) {
		impostor, err := tracker.New(one.ID, deployment, w.authority.Root, w.clock, rand.Reader)
		require.NoError(t, err)
		r := press(t, one) // the impostor has seen the box, and the air
		b, err := w.Begin(t.Context(), w.ada, r, w.record)
		require.NoError(t, err)
		_, err = impostor.Answer(b.Message, b.Signature, b.Certificate)
		require.ErrorIs(t, err, tracker.ErrNotMine)
		forged, err := impostor.SignWith(nil, b.Message)
		require.NoError(t, err)
		_, _, err = w.Confirm(t.Context(), w.ada, b.Pairing, []byte(forged), w.record)
		refused(t, err)
	})
	t.Run("used: the same confirmation once more", func(t *testing.T) {
		b := w.begin(t, w.ada, one)
		good := answer(t, one, b)
		_, _, err := w.Confirm(t.Context(), w.ada, b.Pairing, good, w.record)
		require.NoError(t, err)
		_, _, err = w.Confirm(t.Context(), w.ada, b.Pairing, good, w.record)
		refused(t, err)
	})
	t.Run("after it was unpaired", func(t *testing.T) {
		a, b := w.begin(t, w.ada, two), w.begin(t, w.ben, two)
		late := answer(t, two, b)
		require.NotNil(t, late)
		_ = a
		name := w.pair(t, w.ben, two)
		id, err := pairing.ParseDeviceID(two.ID)
		require.NoError(t, err)
		_, err = w.store.Unpair(t.Context(), w.ben, id, name)
		require.NoError(t, err)
		_, _, err = w.Confirm(t.Context(), w.ben, b.Pairing, late, w.record)
		refused(t, err)
	})
}

// TestTwoPhones: both scan the label, the tracker answers both, one has it.
func TestTwoPhones(t *testing.T) {
	for range 20 {
		w := newWorld(t)
		tr := w.made(t, "1")
		a, b := w.begin(t, w.ada, tr), pairing.Begun{}
		answerA := answer(t, tr, a)
		b = w.begin(t, w.ben, tr)
		answerB := answer(t, tr, b)
		var errs [2]error
		var all sync.WaitGroup
		quiet := func(context.Context, pairing.DeviceID, pairing.ID) error { return nil }
		all.Go(func() { _, _, errs[0] = w.Confirm(t.Context(), w.ada, a.Pairing, answerA, quiet) })
		all.Go(func() { _, _, errs[1] = w.Confirm(t.Context(), w.ben, b.Pairing, answerB, quiet) })
		all.Wait()
		require.True(t, (errs[0] == nil) != (errs[1] == nil))
		require.Len(t, w.store.Owners(press(t, tr).Device), 1)
		for _, err := range errs {
			if err != nil {
				refused(t, err)
			}
		}
	}
}

// TestImpostorService: a tracker answers nobody but the service it was made for.
func TestImpostorService(t *testing.T) {
	w := newWorld(t)
	tr := w.made(t, "1")
	other := pairingtest.NewAuthority(t, deployment, w.now)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	issue := func(public any, change func(*x509.Certificate)) []byte {
		template := pairingtest.Template(deployment, w.now)
		change(template)
		return w.authority.Issue(t, template, public)
	}
	key := &w.authority.Key.PublicKey
	for name, certificate := range map[string][]byte{
		"of another root":          other.Issue(t, pairingtest.Template(deployment, w.now), key),
		"the root itself":          w.authority.Root.Raw,
		"expired":                  issue(key, func(c *x509.Certificate) { c.NotAfter = w.now.Add(-time.Second) }),
		"not yet good":             issue(key, func(c *x509.Certificate) { c.NotBefore = w.now.Add(time.Second) }),
		"for another deployment":   issue(key, func(c *x509.Certificate) { c.Subject.Organization = []string{"fitvault-test"} }),
		"for two":                  issue(key, func(c *x509.Certificate) { c.Subject.Organization = []string{deployment, "other"} }),
		"for something else":       issue(key, func(c *x509.Certificate) { c.Subject.CommonName = "api.fitvault.example" }),
		"an authority":             issue(key, func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign }),
		"of another usage":         issue(key, func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageKeyAgreement }),
		"for TLS":                  issue(key, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }),
		"of an RSA key":            issue(&rsaKey.PublicKey, func(*x509.Certificate) {}),
		"of another curve":         issue(&p384.PublicKey, func(*x509.Certificate) {}),
		"with something behind it": append(slices.Clone(w.authority.Leaf), 0),
		"none":                     nil,
	} {
		b := w.begin(t, user(t), tr)
		_, err := tr.Answer(b.Message, b.Signature, certificate)
		require.ErrorIs(t, err, tracker.ErrCertificate, name)
	}
	t.Run("with a certificate that is good, and another key", func(t *testing.T) {
		b := w.begin(t, user(t), tr)
		forged, err := other.Sign(t.Context(), b.Message)
		require.NoError(t, err)
		_, err = tr.Answer(b.Message, forged, b.Certificate)
		require.ErrorIs(t, err, tracker.ErrSignature)
	})
	sign := func(message []byte) error {
		signature, err := w.authority.Sign(t.Context(), message)
		require.NoError(t, err)
		_, err = tr.Answer(message, signature, w.authority.Leaf)
		return err
	}
	t.Run("what the service would not sign", func(t *testing.T) {
		r := press(t, tr)
		id, err := pairing.NewID(rand.Reader)
		require.NoError(t, err)
		good := pairing.T1{Deployment: deployment, Device: r.Device, KeyHash: registration(t, tr).Key.Hash(), TrackerNonce: r.Nonce, Pairing: id, Expires: w.now.Add(time.Minute)}
		for name, test := range map[string]struct {
			change func(*pairing.T1)
			want   error
		}{
			"good for too long":   {func(m *pairing.T1) { m.Expires = w.now.Add(10*time.Minute + time.Second) }, tracker.ErrExpired},
			"expired":             {func(m *pairing.T1) { m.Expires = w.now }, tracker.ErrExpired},
			"for another tracker": {func(m *pairing.T1) { m.Device, _ = pairing.ParseDeviceID("acme-2") }, tracker.ErrNotMine},
			"for another key":     {func(m *pairing.T1) { m.KeyHash[0]++ }, tracker.ErrNotMine},
			"another's nonce":     {func(m *pairing.T1) { m.TrackerNonce[0]++ }, tracker.ErrNotMine},
			"another deployment":  {func(m *pairing.T1) { m.Deployment = "fitvault-test" }, tracker.ErrNotMine},
			"no pairing":          {func(m *pairing.T1) { m.Pairing = pairing.ID{} }, tracker.ErrMessage},
		} {
			m := good
			test.change(&m)
			require.ErrorIs(t, sign(m.Bytes()), test.want, name)
		}
		require.ErrorIs(t, sign(append(good.Bytes(), 0)), tracker.ErrMessage)
		require.ErrorIs(t, sign(good.Bytes()[:20]), tracker.ErrMessage)
		require.ErrorIs(t, sign(good.Answer()), tracker.ErrMessage, "a label of its own")
		require.NoError(t, sign(good.Bytes()))
		require.ErrorIs(t, sign(good.Bytes()), tracker.ErrNotMine, "its nonce is used")
	})
}

func TestReset(t *testing.T) {
	w := newWorld(t)
	tr := w.made(t, "1")
	name := w.pair(t, w.ada, tr)
	id := press(t, tr).Device
	require.NoError(t, tr.Reset())
	t.Run("is nothing while the tracker is somebody's", func(t *testing.T) {
		_, err := w.Begin(t.Context(), w.ben, press(t, tr), w.record)
		refused(t, err)
	})
	done, err := w.store.Unpair(t.Context(), w.ada, id, name)
	require.NoError(t, err)
	require.True(t, done)
	t.Run("altered in each byte", func(t *testing.T) {
		r := press(t, tr)
		for i := range r.Reset.Signature {
			changed := *r.Reset
			changed.Signature = slices.Clone(changed.Signature)
			changed.Signature[i] ^= 1
			again := r
			again.Reset = &changed
			_, err := w.Begin(t.Context(), user(t), again, w.record)
			refused(t, err)
		}
		for i := range r.Reset.CodeHash {
			changed := *r.Reset
			changed.CodeHash[i] ^= 1
			again := r
			again.Reset = &changed
			_, err := w.Begin(t.Context(), user(t), again, w.record)
			refused(t, err)
		}
	})
	t.Run("made up: a code of one's own, a key of one's own", func(t *testing.T) {
		impostor, err := tracker.New(tr.ID, deployment, w.authority.Root, w.clock, rand.Reader)
		require.NoError(t, err)
		require.NoError(t, impostor.Reset())
		_, err = w.Begin(t.Context(), w.ben, press(t, impostor), w.record)
		refused(t, err)
	})
	t.Run("the buyer has it, the seller not", func(t *testing.T) {
		w.pair(t, w.ben, tr)
		require.Equal(t, []access.UserID{w.ben}, w.store.Owners(id))
		require.Equal(t, tr.PublicKey(), w.store.Trackers(w.ben)[tr.ID].Key)
		_, err := w.Begin(t.Context(), w.ada, press(t, tr), w.record)
		refused(t, err)
	})
	t.Run("a tracker that was never paired may be reset, too", func(t *testing.T) {
		fresh := w.made(t, "2")
		old := press(t, fresh)
		require.NoError(t, fresh.Reset())
		require.NoError(t, fresh.Reset())
		w.pair(t, w.ada, fresh)
		_, err := w.Begin(t.Context(), w.ben, old, w.record)
		refused(t, err)
	})
}

// TestFailures: what fails is said, before or without an effect.
func TestFailures(t *testing.T) {
	down := errors.New("down")
	failing := func(call string) func(*world) {
		return func(w *world) {
			w.store.Hook = func(c string) error {
				if c == call {
					return pairingtest.ErrDown
				}
				return nil
			}
		}
	}
	for name, test := range map[string]struct {
		fail func(*world)
		kind fault.Kind
	}{
		"tries":          {failing("count try"), fault.Unavailable},
		"registration":   {failing("device"), fault.Unavailable},
		"challenge":      {failing("begin"), fault.Unavailable},
		"certificate":    {func(w *world) { w.Certificate = func(context.Context) ([]byte, error) { return nil, down } }, fault.Unavailable},
		"no certificate": {func(w *world) { w.Certificate = func(context.Context) ([]byte, error) { return nil, nil } }, fault.Internal},
		"another certificate": {func(w *world) {
			w.Certificate = func(context.Context) ([]byte, error) { return w.authority.Root.Raw, nil }
		}, fault.Internal},
		"randomness":         {func(w *world) { w.Rand = iotest.ErrReader(down) }, fault.Internal},
		"randomness for one": {func(w *world) { w.Rand = strings.NewReader("0123456789abcdef") }, fault.Internal},
	} {
		t.Run("begin: "+name, func(t *testing.T) {
			w := newWorld(t)
			tr := w.made(t, "1")
			r := press(t, tr)
			test.fail(w)
			_, err := w.Begin(t.Context(), w.ada, r, w.record)
			require.Equal(t, test.kind, fault.KindOf(err))
		})
	}
	t.Run("begin: KMS, audit", func(t *testing.T) {
		w := newWorld(t)
		r := press(t, w.made(t, "1"))
		ctx, cancel := context.WithCancel(t.Context())
		_, err := w.Begin(ctx, w.ada, r, func(context.Context, pairing.DeviceID, pairing.ID) error { cancel(); return nil })
		require.Equal(t, fault.Unavailable, fault.KindOf(err))
		_, err = w.Begin(t.Context(), w.ada, r, func(context.Context, pairing.DeviceID, pairing.ID) error { return down })
		require.ErrorIs(t, err, down)
	})
	for _, call := range []string{"attempt", "pair"} {
		w := newWorld(t)
		tr := w.made(t, "1")
		b := w.begin(t, w.ada, tr)
		good := answer(t, tr, b)
		failing(call)(w)
		_, _, err := w.Confirm(t.Context(), w.ada, b.Pairing, good, w.record)
		require.Equal(t, fault.Unavailable, fault.KindOf(err), call)
		require.Empty(t, w.store.Trackers(w.ada))
		w.store.Hook = nil
		_, _, err = w.Confirm(t.Context(), w.ada, b.Pairing, good, func(context.Context, pairing.DeviceID, pairing.ID) error { return down })
		require.ErrorIs(t, err, down)
		require.Empty(t, w.store.Trackers(w.ada))
		_, _, err = w.Confirm(t.Context(), w.ada, b.Pairing, good, w.record)
		require.NoError(t, err)
	}
}
