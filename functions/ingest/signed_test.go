package main

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/fault"
	"fitvault/shared/pairing/tracker"
)

// paired gives a person a tracker, as `devices` leaves it behind.
func (w *world) paired(t *testing.T, subject, id string, change func(*access.Tracker)) *tracker.Tracker {
	t.Helper()
	tr, err := tracker.New(id, "fitvault", nil, w.Now, rand.Reader)
	require.NoError(t, err)
	owner := w.owner(t, subject)
	if owner.Trackers == nil {
		owner.Trackers = map[string]access.Tracker{}
	}
	held := access.Tracker{Pairing: pairingOf(id), Key: tr.PublicKey(), Name: id, State: access.Active, Since: w.Time}
	if change != nil {
		change(&held)
	}
	owner.Trackers[id] = held
	w.Accounts.Put(access.Documents{Owner: &owner})
	return tr
}

func (w *world) owner(t *testing.T, subject string) access.Owner {
	t.Helper()
	user := map[string]access.UserID{"ada": w.Ada, "ben": w.Ben}[subject]
	docs, err := w.Accounts.Read(t.Context(), access.Keys{User: user})
	require.NoError(t, err)
	return *docs.Owner
}

func pairingOf(id string) string {
	return strings.Repeat("a", 25) + map[string]string{"acme-1": "a", "acme-2": "e", "acme-3": "i"}[id]
}

func signature(t *testing.T, tr *tracker.Tracker, counter int, body string) string {
	t.Helper()
	text, err := tr.SignWith(map[string]any{"alg": "ES256", "kid": tr.ID, "pairing": pairingOf(tr.ID), "counter": counter}, []byte(body))
	require.NoError(t, err)
	return text
}

func TestSignedUpload(t *testing.T) {
	w := newWorld(t)
	tr := w.paired(t, "ada", "acme-1", nil)
	body := "[" + point(one, "beats/min") + "]"
	s := signature(t, tr, 1, body)
	answer := w.do(t, w.post(readings, body, "Tracker-Signature", s))
	require.Equal(t, 200, answer.StatusCode, answer.Body)
	require.Equal(t, answer.Body, w.do(t, w.post(readings, body, "Tracker-Signature", s)).Body, "a retry")
	for _, e := range w.Audit.Events() {
		require.Equal(t, [2]string{"acme-1", pairingOf("acme-1")}, [2]string{e.Device, e.Pairing})
	}

	t.Run("compressed, what is signed is what it was before", func(t *testing.T) {
		body := "[" + point(two, "beats/min") + "]"
		e := w.post(readings, compressed(t, body), "Content-Type", "application/json+gzip", "Tracker-Signature", signature(t, tr, 2, body))
		e.IsBase64Encoded = true
		require.Equal(t, 200, w.do(t, e).StatusCode)
	})
	t.Run("its counter once more, or a lower one", func(t *testing.T) {
		other := "[" + point("3c1f8f0e-6f5b-4a55-9f0e-2f6f7a1f4f12", "beats/min") + "]"
		for _, counter := range []int{1, 2} {
			w.refused(t, w.post(readings, other, "Tracker-Signature", signature(t, tr, counter, other)), fault.SignatureRefused)
		}
		require.Equal(t, 200, w.do(t, w.post(readings, other, "Tracker-Signature", signature(t, tr, 3, other))).StatusCode)
	})
}

// TestOneRefusal: whatever is wrong with a signature, the answer is the same and
// nothing is stored.
func TestOneRefusal(t *testing.T) {
	body := "[" + point(one, "beats/min") + "]"
	var bodies []string
	for name, sign := range map[string]func(t *testing.T, w *world) string{
		"an altered body": func(t *testing.T, w *world) string {
			return signature(t, w.paired(t, "ada", "acme-1", nil), 1, body+" ")
		},
		"another's tracker": func(t *testing.T, w *world) string { return signature(t, w.paired(t, "ben", "acme-1", nil), 1, body) },
		"another tracker's key": func(t *testing.T, w *world) string {
			w.paired(t, "ada", "acme-1", nil)
			other := w.paired(t, "ada", "acme-2", nil)
			text, err := other.SignWith(map[string]any{"alg": "ES256", "kid": "acme-1", "pairing": pairingOf("acme-1"), "counter": 1}, []byte(body))
			require.NoError(t, err)
			return text
		},
		"an earlier pairing": func(t *testing.T, w *world) string {
			return signature(t, w.paired(t, "ada", "acme-1", func(held *access.Tracker) { held.Pairing = pairingOf("acme-2") }), 1, body)
		},
		"lost": func(t *testing.T, w *world) string {
			return signature(t, w.paired(t, "ada", "acme-1", func(held *access.Tracker) { held.State = access.Lost }), 1, body)
		},
		"unpaired": func(t *testing.T, w *world) string {
			tr := w.paired(t, "ada", "acme-1", nil)
			owner := w.owner(t, "ada")
			delete(owner.Trackers, "acme-1")
			w.Accounts.Put(access.Documents{Owner: &owner})
			return signature(t, tr, 1, body)
		},
		"not a signature": func(*testing.T, *world) string { return "e30..AA" },
		"empty":           func(*testing.T, *world) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			e := w.post(readings, body, "Tracker-Signature", sign(t, w))
			w.refused(t, e, fault.SignatureRefused)
			w.requireNothing(t)
			bodies = append(bodies, w.do(t, e).Body)
		})
	}
	for _, b := range bodies {
		require.Equal(t, bodies[0], b)
	}
	t.Run("each byte of a signature", func(t *testing.T) {
		w := newWorld(t)
		good := signature(t, w.paired(t, "ada", "acme-1", nil), 1, body)
		for i := range len(good) {
			changed := []byte(good)
			if changed[i]++; changed[i] == good[i] {
				continue
			}
			w.refused(t, w.post(readings, body, "Tracker-Signature", string(changed)), fault.SignatureRefused)
		}
		w.requireNothing(t)
	})
	t.Run("two of them", func(t *testing.T) {
		w := newWorld(t)
		e := w.post(readings, body, "Tracker-Signature", "a")
		e.MultiValueHeaders["Tracker-Signature"] = []string{"a", "b"}
		w.refused(t, e, fault.BadRequest)
	})
	t.Run("a key that is none is our fault", func(t *testing.T) {
		w := newWorld(t)
		s := signature(t, w.paired(t, "ada", "acme-1", func(held *access.Tracker) { held.Key = make([]byte, 33) }), 1, body)
		w.refused(t, w.post(readings, body, "Tracker-Signature", s), fault.Internal)
	})
}

// TestDemanded: an account that takes signed uploads only.
func TestDemanded(t *testing.T) {
	w := newWorld(t)
	tr := w.paired(t, "ada", "acme-1", nil)
	owner := w.owner(t, "ada")
	owner.Settings.Signed = true
	w.Accounts.Put(access.Documents{Owner: &owner})
	body := "[" + point(one, "beats/min") + "]"
	w.refused(t, w.post(readings, body), fault.SignatureRequired)
	w.refused(t, w.post(readings, "not JSON"), fault.SignatureRequired)
	w.refused(t, w.post(recordings, run), fault.SignatureRequired)
	w.refused(t, w.post(recordings, run, "Tracker-Signature", signature(t, tr, 1, run)), fault.BadRequest) // there is none for recordings
	w.requireNothing(t)
	require.Equal(t, 200, w.do(t, w.post(readings, body, "Tracker-Signature", signature(t, tr, 1, body))).StatusCode)
}
