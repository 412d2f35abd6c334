package signedpayload_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
	"fitvault/shared/pairing"
	"fitvault/shared/pairing/tracker"
	"fitvault/shared/signedpayload"
)

const payload = `[{"header": {}, "body": {}}]`

func newTracker(t testing.TB) (*tracker.Tracker, pairing.Key) {
	tr, err := tracker.New("acme-1", "fitvault", nil, time.Now, rand.Reader)
	require.NoError(t, err)
	key, err := pairing.ParseKey(tr.PublicKey())
	require.NoError(t, err)
	return tr, key
}

func header() map[string]any {
	return map[string]any{"alg": "ES256", "kid": "acme-1", "pairing": strings.Repeat("a", 26), "counter": 7}
}

func sign(t testing.TB, tr *tracker.Tracker, header map[string]any) string {
	text, err := tr.SignWith(header, []byte(payload))
	require.NoError(t, err)
	return text
}

func TestGood(t *testing.T) {
	tr, key := newTracker(t)
	text := sign(t, tr, header())
	s, err := signedpayload.Parse(text)
	require.NoError(t, err)
	require.Equal(t, [4]any{"acme-1", strings.Repeat("a", 26), int64(7), text}, [4]any{s.Device.String(), s.Pairing.String(), s.Counter, s.Text})
	require.True(t, s.Verify(key, []byte(payload)))
	require.Equal(t, "[redacted]", fmt.Sprint(s))
	require.Less(t, len(text), signedpayload.MaxSize)

	t.Run("as another's library sees it", func(t *testing.T) {
		jws, err := jose.ParseDetached(text, []byte(payload), []jose.SignatureAlgorithm{jose.ES256})
		require.NoError(t, err)
		require.NoError(t, jws.DetachedVerify([]byte(payload), public(t, tr)))
	})
	t.Run("and the other way round", func(t *testing.T) {
		private, key := newPair(t)
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: private},
			(&jose.SignerOptions{}).WithHeader("kid", "acme-1").WithHeader("pairing", strings.Repeat("a", 26)).WithHeader("counter", 1))
		require.NoError(t, err)
		jws, err := signer.Sign([]byte(payload))
		require.NoError(t, err)
		text, err := jws.DetachedCompactSerialize()
		require.NoError(t, err)
		s, err := signedpayload.Parse(text)
		require.NoError(t, err)
		require.True(t, s.Verify(key, []byte(payload)))
	})
}

// TestEachByte: of the signature and of the payload.
func TestEachByte(t *testing.T) {
	tr, key := newTracker(t)
	text := sign(t, tr, header())
	for i := range len(text) {
		for _, bit := range []byte{1, 2, 4, 8, 16, 32, 64, 128} {
			changed := []byte(text)
			changed[i] ^= bit
			if s, err := signedpayload.Parse(string(changed)); err == nil {
				require.False(t, s.Verify(key, []byte(payload)))
			} else {
				require.Equal(t, fault.SignatureRefused, fault.KindOf(err))
			}
		}
	}
	s, err := signedpayload.Parse(text)
	require.NoError(t, err)
	for i := range len(payload) {
		changed := []byte(payload)
		changed[i] ^= 1
		require.False(t, s.Verify(key, changed))
	}
	require.False(t, s.Verify(key, nil))
	require.False(t, s.Verify(key, []byte(payload+" ")))
	_, other := newTracker(t)
	require.False(t, s.Verify(other, []byte(payload)))
	require.False(t, s.Verify(pairing.Key{}, []byte(payload)))
}

func TestRefused(t *testing.T) {
	tr, _ := newTracker(t)
	good := sign(t, tr, header())
	parts := strings.Split(good, ".")
	raw := func(header string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(header)) + ".." + parts[2]
	}
	with := func(name string, value any) string {
		h := header()
		h[name] = value
		return sign(t, tr, h)
	}
	without := func(name string) string {
		h := header()
		delete(h, name)
		return sign(t, tr, h)
	}
	for name, text := range map[string]string{
		"nothing": "", "two parts": parts[0] + "." + parts[2], "four parts": good + ".", "with its payload": parts[0] + ".e30." + parts[2],
		"no signature": parts[0] + "..", "a short signature": good[:len(good)-4], "a long signature": good + "AAAA", "padding": good + "==",
		"bits that are none": good[:len(good)-1] + "_", "a line end": parts[0] + "\n.." + parts[2], "too long": with("kid", strings.Repeat("a", 400)),
		"no alg": without("alg"), "no kid": without("kid"), "no pairing": without("pairing"), "no counter": without("counter"),
		"alg none": with("alg", "none"), "alg HS256": with("alg", "HS256"), "alg in other letters": with("alg", "es256"), "alg of another type": with("alg", 1),
		"crit": with("crit", []string{"counter"}), "b64": with("b64", false), "jwk": with("jwk", map[string]any{}), "jku": with("jku", "x"), "typ": with("typ", "JWT"),
		"a device id that is none": with("kid", "acme"), "a pairing that is none": with("pairing", "a"),
		"counter 0": with("counter", 0), "a negative counter": with("counter", -1), "a fraction": with("counter", 1.5), "text": with("counter", "7"),
		"a counter too large": with("counter", 1<<53), "null": with("counter", nil),
		"1e2":           raw(`{"alg":"ES256","kid":"acme-1","pairing":"` + strings.Repeat("a", 26) + `","counter":1e2}`),
		"twice":         raw(`{"alg":"ES256","alg":"ES256","kid":"acme-1","pairing":"` + strings.Repeat("a", 26) + `","counter":1}`),
		"other letters": raw(`{"Alg":"ES256","kid":"acme-1","pairing":"` + strings.Repeat("a", 26) + `","counter":1}`),
		"no object":     raw(`[]`), "not JSON": raw(`{`), "more than one": raw(`{}{}`), "not UTF-8": raw("{\"alg\":\"\xff\"}"),
	} {
		_, err := signedpayload.Parse(text)
		require.Equal(t, fault.SignatureRefused, fault.KindOf(err), name)
		require.Equal(t, signedpayload.Refused().Error(), err.Error(), name)
	}
}

// FuzzParse: what is taken has one spelling of its parts, and is small.
func FuzzParse(f *testing.F) {
	tr, key := newTracker(f)
	for _, seed := range []string{sign(f, tr, header()), "..", "", "e30..", "a.b.c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := signedpayload.Parse(text)
		if err != nil {
			require.Equal(t, fault.SignatureRefused, fault.KindOf(err))
			return
		}
		require.LessOrEqual(t, len(text), signedpayload.MaxSize)
		require.Equal(t, text, s.Text)
		require.Positive(t, s.Counter)
		_, err = pairing.ParseDeviceID(s.Device.String())
		require.NoError(t, err)
		if s.Verify(key, []byte("another payload")) {
			t.Fatal("a signature for something else")
		}
	})
}
