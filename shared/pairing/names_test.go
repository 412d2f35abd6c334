package pairing_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
	"fitvault/shared/pairing"
	"fitvault/shared/pairing/pairingtest"
)

func TestDeviceIDs(t *testing.T) {
	for _, s := range []string{"acme-1", "ab-x", "acme2-" + strings.Repeat("A", 47), "abcdefghijklmnop-" + strings.Repeat("z", 47), "acme-a-b_c"} {
		id, err := pairing.ParseDeviceID(s)
		require.NoError(t, err, s)
		require.Equal(t, s, id.String())
		require.Equal(t, strings.SplitN(s, "-", 2)[0], id.Maker())
		require.Regexp(t, `^[A-Za-z0-9_-]{1,64}$`, s, "it is one path segment at the edge")
	}
	for _, s := range []string{"", "acme", "acme-", "-1", "a-1", "Acme-1", "1cme-1", "acme-" + strings.Repeat("A", 48), "abcdefghijklmnopq-1", "acme-1\n", "acme-é", "acme-1/2", "acme-..", "acme-%41"} {
		_, err := pairing.ParseDeviceID(s)
		require.Equal(t, fault.Invalid, fault.KindOf(err), "%q", s)
	}
}

func TestModels(t *testing.T) {
	for s, good := range map[string]bool{"band-2": true, "B": true, "a.b_c": true, "": false, "-a": false, "a b": false, strings.Repeat("a", 33): false, "a\n": false} {
		m, err := pairing.ParseModel(s)
		require.Equal(t, good, err == nil, "%q", s)
		if good {
			require.Equal(t, s, m.String())
		}
	}
}

func TestIDsAndCodes(t *testing.T) {
	id, err := pairing.NewID(rand.Reader)
	require.NoError(t, err)
	again, err := pairing.ParseID(id.String())
	require.NoError(t, err)
	require.Equal(t, id, again)
	code, err := pairing.NewCode(rand.Reader)
	require.NoError(t, err)
	parsed, err := pairing.ParseCode(code.Text())
	require.NoError(t, err)
	require.Equal(t, code, parsed)
	require.Equal(t, code.Hash(), parsed.Hash())
	require.Equal(t, "[redacted]", fmt.Sprint(code))
	for _, s := range []string{"", id.String() + "a", id.String()[1:], strings.ToUpper(code.Text()), strings.Repeat("a", 25) + "b", strings.Repeat("1", 26), strings.Repeat("a", 25) + "\n"} {
		_, err := pairing.ParseID(s)
		require.Equal(t, fault.NotFound, fault.KindOf(err), "%q", s)
		_, err = pairing.ParseCode(s)
		require.Equal(t, fault.Invalid, fault.KindOf(err), "%q", s)
	}
	_, err = pairing.NewID(iotest.ErrReader(pairingtest.ErrDown))
	require.Equal(t, fault.Internal, fault.KindOf(err))
	_, err = pairing.NewCode(iotest.ErrReader(pairingtest.ErrDown))
	require.Equal(t, fault.Internal, fault.KindOf(err))
}

func TestKeys(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	k, err := pairing.NewKey(&private.PublicKey)
	require.NoError(t, err)
	point, err := private.PublicKey.Bytes()
	require.NoError(t, err)
	x, y := elliptic.UnmarshalCompressed(elliptic.P256(), k.Bytes())
	require.Equal(t, point, append(append([]byte{4}, x.FillBytes(make([]byte, 32))...), y.FillBytes(make([]byte, 32))...), "as crypto/elliptic reads it")
	parsed, err := pairing.ParseKey(k.Bytes())
	require.NoError(t, err)
	require.Equal(t, k, parsed)
	require.Equal(t, sha256.Sum256(k.Bytes()), k.Hash())

	for name, b := range map[string][]byte{
		"nothing": nil, "short": k.Bytes()[:32], "long": append(k.Bytes()[:33:33], 0), "another form": append([]byte{4}, k.Bytes()[1:]...),
		"not a field element": append([]byte{2}, []byte(strings.Repeat("\xff", 32))...), "zero": make([]byte, 33),
	} {
		_, err := pairing.ParseKey(b)
		require.Equal(t, fault.Invalid, fault.KindOf(err), name)
	}
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	_, err = pairing.NewKey(&other.PublicKey)
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	require.False(t, pairing.Key{}.VerifyRaw([32]byte{}, make([]byte, 64)), "no key")
	require.False(t, k.VerifyRaw([32]byte{}, make([]byte, 64)))
	require.False(t, k.VerifyRaw([32]byte{}, nil))
}

func TestLabel(t *testing.T) {
	w := newWorld(t)
	text := w.made(t, "1").Label()
	l, err := pairing.ParseLabel(text)
	require.NoError(t, err)
	require.Equal(t, text, l.Text())
	require.Equal(t, "acme-1", l.Device.String())
	require.Equal(t, "[redacted]", fmt.Sprint(l))
	parts := strings.Split(text, ":")
	for name, s := range map[string]string{
		"nothing": "", "another scheme": "https" + text[len(parts[0]):], "another version": strings.Replace(text, ":1:", ":2:", 1),
		"no device": strings.Replace(text, "acme-1", "", 1), "a short hash": strings.Replace(text, parts[3], parts[3][:42], 1),
		"a hash with a line end": strings.Replace(text, parts[3], parts[3]+"\n", 1), "a padded hash": strings.Replace(text, parts[3], parts[3]+"=", 1),
		"no code": text[:len(text)-27], "a long code": text + "a", "more": text + ":x", "long": text + strings.Repeat(":", 200),
	} {
		_, err := pairing.ParseLabel(s)
		require.Equal(t, fault.Invalid, fault.KindOf(err), name)
	}
}

// FuzzParseLabel: what is taken has one spelling.
func FuzzParseLabel(f *testing.F) {
	hash := strings.Repeat("A", 43)
	for _, seed := range []string{"", "fitvault-pair:1:acme-1:" + hash + ":" + strings.Repeat("a", 26), "fitvault-pair:1:acme-1:" + hash + "\n:" + strings.Repeat("a", 26), "fitvault-pair:1:::", "::::"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := pairing.ParseLabel(s)
		if err != nil {
			require.Equal(t, fault.Invalid, fault.KindOf(err))
			return
		}
		require.Equal(t, s, l.Text())
		id, err := pairing.ParseDeviceID(l.Device.String())
		require.NoError(t, err)
		require.Equal(t, l.Device, id)
	})
}
