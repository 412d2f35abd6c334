package vault_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/redact"
	"fitvault/shared/vault"
)

func TestGoldenStatementIsEnrolled(t *testing.T) {
	g := readGolden(t)
	s := vault.Statement{
		Deployment: "fitvault", Owner: g.Pieces[0].Place.Owner, KeyID: g.KeyID,
		Public: g.PublicKey, At: time.Unix(g.At, 999_999_999).In(time.FixedZone("", 7200)),
	}
	require.Equal(t, []byte(g.Statement), s.Bytes(), "whole seconds, whatever the zone")
	enrol, err := x509.ParsePKIXPublicKey(g.EnrolPublicKey)
	require.NoError(t, err)
	data, err := vault.Enrolled(s, g.Signature, enrol.(*ecdsa.PublicKey))
	require.NoError(t, err)

	writer, err := vault.NewWriterKey(g.WriterKeyID, g.WriterKey)
	require.NoError(t, err)
	sealer, err := vault.NewSealer(data, writer)
	require.NoError(t, err)
	sealed, err := sealer.Seal(g.Pieces[0].Place, []byte("71"))
	require.NoError(t, err)
	opened, err := g.opener(t).Open(sealed, g.Pieces[0].Place)
	require.NoError(t, err)
	require.Equal(t, "71", string(opened))
}

// Each of these is what somebody who can write the key table would try.
func TestEnrolledRefusesWhatWasNotSigned(t *testing.T) {
	w := newWorld(t)
	attacker := newKey(t, elliptic.P256())
	for name, change := range map[string]func(*vault.Statement){
		"swapped public key":  func(s *vault.Statement) { s.Public = publicDER(t, &attacker.PublicKey) },
		"another owner":       func(s *vault.Statement) { s.Owner = "ben" },
		"another deployment":  func(s *vault.Statement) { s.Deployment = "other" },
		"another key id":      func(s *vault.Statement) { s.KeyID = "key-2" },
		"another time":        func(s *vault.Statement) { s.At = s.At.Add(time.Second) },
		"text moved by a bit": func(s *vault.Statement) { s.Deployment, s.Owner = "fitvaul", "tada" },
		"bytes appended":      func(s *vault.Statement) { s.Public = append(bytes.Clone(s.Public), 0) },
		"no public key":       func(s *vault.Statement) { s.Public = nil },
	} {
		t.Run(name, func(t *testing.T) {
			s := w.statement
			change(&s)
			data, err := vault.Enrolled(s, w.signature, &w.enrol.PublicKey)
			require.Equal(t, vault.ErrNotEnrolled, err)
			_, err = vault.NewSealer(data, w.writer)
			require.Equal(t, vault.ErrKey, err, "what comes with the error is no key")
		})
	}
	swapped := w.statement
	swapped.Public = publicDER(t, &attacker.PublicKey)
	for name, signature := range map[string][]byte{
		"signed by the attacker": sign(t, attacker, swapped.Bytes()),
		"signed without label":   sign(t, w.enrol, swapped.Bytes()[4+len("fitvault/v1/enrolment"):]),
		"no signature":           nil,
		"not a signature":        []byte("signature"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := vault.Enrolled(swapped, signature, &w.enrol.PublicKey)
			require.Equal(t, vault.ErrNotEnrolled, err)
		})
	}
}

func TestEnrolledRefusesEverySingleBitFlip(t *testing.T) {
	w := newWorld(t)
	for i := range len(w.signature) * 8 {
		flipped := bytes.Clone(w.signature)
		flipped[i/8] ^= 1 << (i % 8)
		_, err := vault.Enrolled(w.statement, flipped, &w.enrol.PublicKey)
		require.Equal(t, vault.ErrNotEnrolled, err, "bit %d of the signature", i)
	}
	for i := range len(w.statement.Public) * 8 {
		s := w.statement
		s.Public = bytes.Clone(s.Public)
		s.Public[i/8] ^= 1 << (i % 8)
		_, err := vault.Enrolled(s, w.signature, &w.enrol.PublicKey)
		require.Equal(t, vault.ErrNotEnrolled, err, "bit %d of the public key", i)
	}
}

func TestEnrolledRefusesUnusableKeys(t *testing.T) {
	w := newWorld(t)
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	offCurve := bytes.Clone(w.statement.Public)
	offCurve[len(offCurve)-1] ^= 1
	p384 := newKey(t, elliptic.P384())
	for name, change := range map[string]func(*vault.Statement){
		"no owner":            func(s *vault.Statement) { s.Owner = "" },
		"no deployment":       func(s *vault.Statement) { s.Deployment = "" },
		"no key id":           func(s *vault.Statement) { s.KeyID = "" },
		"long key id":         func(s *vault.Statement) { s.KeyID = strings.Repeat("k", 65) },
		"line end in key id":  func(s *vault.Statement) { s.KeyID = "key\n1" },
		"not DER":             func(s *vault.Statement) { s.Public = []byte("key") },
		"trailing data":       func(s *vault.Statement) { s.Public = append(bytes.Clone(s.Public), 0) },
		"point off the curve": func(s *vault.Statement) { s.Public = offCurve },
		"P-384":               func(s *vault.Statement) { s.Public = publicDER(t, &p384.PublicKey) },
		"Ed25519":             func(s *vault.Statement) { s.Public = publicDER(t, edwards) },
	} {
		t.Run(name, func(t *testing.T) {
			s := w.statement
			change(&s)
			_, err := vault.Enrolled(s, sign(t, w.enrol, s.Bytes()), &w.enrol.PublicKey)
			require.Equal(t, vault.ErrKey, err)
		})
	}
	t.Run("enrol's key missing", func(t *testing.T) {
		_, err := vault.Enrolled(w.statement, w.signature, nil)
		require.Equal(t, vault.ErrKey, err)
	})
	t.Run("enrol's key on P-384", func(t *testing.T) {
		_, err := vault.Enrolled(w.statement, sign(t, p384, w.statement.Bytes()), &p384.PublicKey)
		require.Equal(t, vault.ErrKey, err)
	})
}

func TestParsePrivateKeyRefuses(t *testing.T) {
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	good := privateDER(t, newKey(t, elliptic.P256()))
	for name, test := range map[string]struct {
		id  string
		der []byte
	}{
		"nothing": {"key-1", nil},
		"not DER": {"key-1", []byte("private")},
		"P-384":   {"key-1", privateDER(t, newKey(t, elliptic.P384()))},
		"Ed25519": {"key-1", privateDER(t, edwards)},
		"no id":   {"", good},
		"bad id":  {"key/1", good},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := vault.ParsePrivateKey(test.id, test.der)
			require.Equal(t, vault.ErrKey, err)
		})
	}
}

func TestServiceKeysRefuseOtherSizes(t *testing.T) {
	for _, n := range []int{0, 16, 31, 33} {
		_, err := vault.NewWriterKey("id", make([]byte, n))
		require.Equal(t, vault.ErrKey, err)
		_, err = vault.NewRequestsKey("id", make([]byte, n))
		require.Equal(t, vault.ErrKey, err)
		_, err = vault.NewPagesKey(make([]byte, n))
		require.Equal(t, vault.ErrKey, err)
	}
	_, err := vault.NewWriterKey("not an id", make([]byte, 32))
	require.Equal(t, vault.ErrKey, err)
	_, err = vault.NewRequestsKey("", make([]byte, 32))
	require.Equal(t, vault.ErrKey, err)
}

func TestWriterKeyKeepsItsOwnCopy(t *testing.T) {
	w := newWorld(t)
	buffer := random(32)
	writer, err := vault.NewWriterKey("writer-1", buffer)
	require.NoError(t, err)
	sealer, err := vault.NewSealer(w.data, writer)
	require.NoError(t, err)
	clear(buffer) // a caller may wipe what KMS returned
	sealed, err := sealer.Seal(place, []byte("71"))
	require.NoError(t, err)
	_, err = vault.NewOpener([]vault.PrivateKey{w.private}, []vault.WriterKey{writer}).Open(sealed, place)
	require.NoError(t, err)
}

// The FIPS run of these tests is worth nothing where the module is not in it.
func TestFIPSModuleIsThereWhenAskedFor(t *testing.T) {
	if !strings.Contains(os.Getenv("GODEBUG"), "fips140=only") {
		t.Skip("not the FIPS run")
	}
	require.True(t, fips140.Enabled())
	require.Equal(t, "v1.0.0", fips140.Version())
}

// A key must not be printed by anything, not even from a field of a struct that
// knows nothing of redaction.
func TestKeysPrintAsRedacted(t *testing.T) {
	g := readGolden(t)
	w := newWorld(t)
	writer, err := vault.NewWriterKey(g.WriterKeyID, g.WriterKey)
	require.NoError(t, err)
	private, err := vault.ParsePrivateKey(g.KeyID, g.PrivateKey)
	require.NoError(t, err)
	requests, err := vault.NewRequestsKey("requests-1", g.ServiceKey)
	require.NoError(t, err)
	pages, err := vault.NewPagesKey(g.ServiceKey)
	require.NoError(t, err)

	for name, key := range map[string]any{
		"DataKey": w.data, "*DataKey": &w.data, "WriterKey": writer, "*WriterKey": &writer,
		"PrivateKey": private, "*PrivateKey": &private, "RequestsKey": requests, "PagesKey": pages,
		"Sealer": w.sealer(t), "Opener": g.opener(t),
	} {
		t.Run(name, func(t *testing.T) {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
				require.Equal(t, redact.Text, fmt.Sprintf(verb, key), verb)
			}
			text, err := json.Marshal(key)
			require.NoError(t, err)
			require.Equal(t, `"`+redact.Text+`"`, string(text))
			var log bytes.Buffer
			slog.New(slog.NewJSONHandler(&log, nil)).Info("key", "key", key)
			slog.New(slog.NewTextHandler(&log, nil)).Info("key", "key", key)
			require.Equal(t, 2, strings.Count(log.String(), redact.Text))
		})
	}

	holder := struct {
		writer   vault.WriterKey
		private  vault.PrivateKey
		requests vault.RequestsKey
		pages    vault.PagesKey
		opener   *vault.Opener
	}{writer, private, requests, pages, g.opener(t)}
	inner := []byte(g.PrivateKey)[36:68] // the scalar, by RFC 5915
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%d"} {
		for _, secret := range [][]byte{g.WriterKey, inner, g.ServiceKey} {
			printed := fmt.Sprintf(verb, holder)
			for _, form := range []string{string(secret[:6]), fmt.Sprintf("%x", secret[:6]), fmt.Sprintf("%X", secret[:6]),
				strings.Trim(fmt.Sprint(secret[:6]), "[]"), strings.Trim(fmt.Sprintf("%#v", secret[:6]), "[]byte{}")} {
				require.NotContains(t, printed, form, verb)
			}
		}
	}
}
