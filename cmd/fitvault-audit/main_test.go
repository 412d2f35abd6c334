package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/auditlog/sequence/sequencetest"
	"fitvault/shared/auditlog/tiles"
)

func ran(args ...string) (status int, out, problems string) {
	var o, p bytes.Buffer
	status = run(args, &o, &p)
	return status, o.String(), p.String()
}

func TestCommand(t *testing.T) {
	log := sequencetest.NewLog(t, 300)
	folder := log.Folder(t)
	status, out, problems := ran("-key", log.VKey, folder)
	require.Equal(t, 0, status, out+problems)
	require.Contains(t, out, "as it must be: 300 entries")
	require.Empty(t, problems)

	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte(log.VKey+"\n"), 0o600))
	kept := filepath.Join(t.TempDir(), "checkpoint")
	require.NoError(t, os.WriteFile(kept, log.Objects()[tiles.CheckpointPath], 0o600))
	status, out, _ = ran("-key", file, "-kept", kept, "-kept", kept, folder)
	require.Equal(t, 0, status, out)

	t.Run("a finding", func(t *testing.T) {
		damaged := log.Folder(t)
		name := filepath.Join(damaged, "tile", "0", "000")
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		b[7] ^= 1
		require.NoError(t, os.WriteFile(name, b, 0o600))
		status, out, _ := ran("-key", log.VKey, damaged)
		require.Equal(t, 1, status)
		require.Contains(t, out, "tile/0/000: is not what the entries make of it\nNOT AS IT MUST BE: 1 findings")
	})
	t.Run("a checkpoint that was kept, of a log that was made anew", func(t *testing.T) {
		other := sequencetest.NewLogWith(t, log.Keys, 300)
		status, out, _ := ran("-key", log.VKey, "-kept", kept, other.Folder(t))
		require.Equal(t, 1, status)
		require.Contains(t, out, "two logs were signed")
	})
}

func TestWhatCannotBeChecked(t *testing.T) {
	log := sequencetest.NewLog(t, 1)
	folder := log.Folder(t)
	for name, args := range map[string][]string{
		"nothing":                        {},
		"no folder":                      {"-key", log.VKey},
		"no key":                         {folder},
		"two folders":                    {"-key", log.VKey, folder, folder},
		"a key that is not":              {"-key", "key", folder},
		"not a folder":                   {"-key", log.VKey, folder + "/checkpoint"},
		"a kept file that is not there":  {"-key", log.VKey, "-kept", folder + "/x", folder},
		"an unknown flag":                {"-quick", folder},
		"a public key that is not there": {"-origin", "o", "-public", folder + "/x"},
		"a public key that is none":      {"-origin", "o", "-public", folder + "/checkpoint"},
	} {
		status, out, problems := ran(args...)
		require.Equal(t, 2, status, name)
		require.Empty(t, out, name)
		require.NotEmpty(t, problems, name)
	}
	status, _, taught := ran("-help")
	require.Equal(t, 0, status)
	require.Equal(t, help, taught)
}

func TestKeyOfKMS(t *testing.T) {
	keys := sequencetest.NewKeys(t)
	file := filepath.Join(t.TempDir(), "public.der")
	write := func(key any) {
		der, err := x509.MarshalPKIXPublicKey(key)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, der, 0o600))
	}
	write(keys.Public)
	status, out, _ := ran("-origin", sequencetest.Origin, "-public", file)
	require.Equal(t, 0, status)
	require.Equal(t, keys.VKey, strings.TrimSpace(out))

	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	write(&p256.PublicKey)
	status, _, problems := ran("-origin", sequencetest.Origin, "-public", file)
	require.Equal(t, 2, status)
	require.Contains(t, problems, "no Ed25519 key")
}
