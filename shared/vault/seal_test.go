package vault_test

import (
	"bytes"
	"crypto/elliptic"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"fitvault/shared/vault"
)

func TestGoldenPiecesOpen(t *testing.T) {
	g := readGolden(t)
	for _, piece := range g.Pieces {
		t.Run(piece.Place.ID, func(t *testing.T) {
			h, err := vault.Inspect(piece.Sealed)
			require.NoError(t, err)
			require.Equal(t, vault.Header{Version: 1, Suite: 1, KeyID: g.KeyID, WriterKeyID: g.WriterKeyID}, h)
			plaintext, err := g.opener(t).Open(piece.Sealed, piece.Place)
			require.NoError(t, err)
			require.True(t, bytes.Equal(piece.Plaintext, plaintext))
		})
	}
}

func TestSealAndOpen(t *testing.T) {
	w := newWorld(t)
	sealer, opener := w.sealer(t), w.opener()
	rapid.Check(t, func(t *rapid.T) {
		plaintext := rapid.SliceOf(rapid.Byte()).Draw(t, "plaintext")
		p := place
		p.Table = rapid.StringN(1, -1, -1).Draw(t, "table")
		p.Day = rapid.String().Draw(t, "day")
		p.ID = rapid.StringN(1, -1, -1).Draw(t, "id")

		sealed, err := sealer.Seal(p, plaintext)
		require.NoError(t, err)
		require.Len(t, sealed, len(plaintext)+2+1+len("key-1")+1+len("writer-1")+65+12+16)
		opened, err := opener.Open(sealed, p)
		require.NoError(t, err)
		require.True(t, bytes.Equal(plaintext, opened))
	})
}

func TestLargePieceRoundTrip(t *testing.T) {
	w := newWorld(t)
	document := random(4_500_000)
	sealed, err := w.sealer(t).Seal(place, document)
	require.NoError(t, err)
	opened, err := w.opener().Open(sealed, place)
	require.NoError(t, err)
	require.True(t, bytes.Equal(document, opened))
}

func TestSealingTwiceGivesTwoPiecesThatBothOpen(t *testing.T) {
	w := newWorld(t)
	one, other := w.sealer(t), w.sealer(t)
	seen := map[string]bool{}
	opener := w.opener()
	for _, s := range []*vault.Sealer{one, one, other} {
		sealed, err := s.Seal(place, []byte("71"))
		require.NoError(t, err)
		require.False(t, seen[string(sealed)])
		seen[string(sealed)] = true
		opened, err := opener.Open(sealed, place)
		require.NoError(t, err)
		require.Equal(t, "71", string(opened))
	}
}

func TestPlaintextIsNotInThePiece(t *testing.T) {
	canary := []byte("canary 71.236548917")
	sealed, err := newWorld(t).sealer(t).Seal(place, canary)
	require.NoError(t, err)
	require.False(t, bytes.Contains(sealed, canary[:7]))
	for _, field := range []string{place.Deployment, place.Table, place.Owner, place.Day, place.ID} {
		require.False(t, bytes.Contains(sealed, []byte(field)), "the place is authenticated, not stored")
	}
}

func TestEverySingleBitFlipFails(t *testing.T) {
	w := newWorld(t)
	sealed, err := w.sealer(t).Seal(place, []byte(`{"heart_rate":71.236548917}`))
	require.NoError(t, err)
	opener := w.opener()
	for i := range len(sealed) * 8 {
		flipped := bytes.Clone(sealed)
		flipped[i/8] ^= 1 << (i % 8)
		opened, err := opener.Open(flipped, place)
		require.Equal(t, vault.ErrOpen, err, "bit %d", i)
		require.Nil(t, opened)
	}
	_, err = opener.Open(sealed, place)
	require.NoError(t, err, "the piece itself still opens, so what failed was the flip")
}

func TestEveryOtherLengthFails(t *testing.T) {
	w := newWorld(t)
	sealed, err := w.sealer(t).Seal(place, []byte("71"))
	require.NoError(t, err)
	opener := w.opener()
	for n := range len(sealed) {
		_, err := opener.Open(sealed[:n], place)
		require.Equal(t, vault.ErrOpen, err, "cut to %d bytes", n)
	}
	_, err = opener.Open(append(bytes.Clone(sealed), 0), place)
	require.Equal(t, vault.ErrOpen, err)
}

func TestPieceOpensNowhereElse(t *testing.T) {
	w := newWorld(t)
	sealed, err := w.sealer(t).Seal(place, []byte("71"))
	require.NoError(t, err)
	for name, move := range map[string]func(*vault.Place){
		"deployment":          func(p *vault.Place) { p.Deployment = "other" },
		"table":               func(p *vault.Place) { p.Table = "Documents" },
		"owner":               func(p *vault.Place) { p.Owner = "ben" },
		"day":                 func(p *vault.Place) { p.Day = "2026-05-05" },
		"no day":              func(p *vault.Place) { p.Day = "" },
		"id":                  func(p *vault.Place) { p.ID = "block-2" },
		"text moved by a bit": func(p *vault.Place) { p.Day, p.ID = "2026-05-04b", "lock-1" },
		"fields exchanged":    func(p *vault.Place) { p.Day, p.ID = p.ID, p.Day },
	} {
		t.Run(name, func(t *testing.T) {
			p := place
			move(&p)
			_, err := w.opener().Open(sealed, p)
			require.Equal(t, vault.ErrOpen, err)
		})
	}
}

func TestPartsOfTwoPiecesDoNotMix(t *testing.T) {
	w := newWorld(t)
	seal := func(s *vault.Sealer) []byte {
		sealed, err := s.Seal(place, []byte("71"))
		require.NoError(t, err)
		return sealed
	}
	a, b := seal(w.sealer(t)), seal(w.sealer(t))
	cut := len(a) - len("71") - 28 // behind the encapsulation
	_, err := w.opener().Open(append(bytes.Clone(a[:cut]), b[cut:]...), place)
	require.Equal(t, vault.ErrOpen, err)
}

func TestOpenNeedsBothKeys(t *testing.T) {
	w, stranger := newWorld(t), newWorld(t) // the stranger's keys have the same ids
	sealed, err := w.sealer(t).Seal(place, []byte("71"))
	require.NoError(t, err)
	for name, opener := range map[string]*vault.Opener{
		"wrong private key":           vault.NewOpener([]vault.PrivateKey{stranger.private}, []vault.WriterKey{w.writer}),
		"wrong writer key":            vault.NewOpener([]vault.PrivateKey{w.private}, []vault.WriterKey{stranger.writer}),
		"no private key":              vault.NewOpener(nil, []vault.WriterKey{w.writer}),
		"no writer key":               vault.NewOpener([]vault.PrivateKey{w.private}, nil),
		"zero keys":                   vault.NewOpener(make([]vault.PrivateKey, 1), make([]vault.WriterKey, 1)),
		"writer key of another month": vault.NewOpener([]vault.PrivateKey{w.private}, []vault.WriterKey{newWriter(t, "writer-2")}),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := opener.Open(sealed, place)
			require.Equal(t, vault.ErrOpen, err)
		})
	}
}

// Who can write the table knows the public key, its enrolment and every id, and
// can run this very code. Without the writer key none of it helps.
func TestPieceForgedWithoutTheWriterKeyIsRefused(t *testing.T) {
	w := newWorld(t)
	for name, guess := range map[string][]byte{"random": random(32), "zero": make([]byte, 32)} {
		t.Run(name, func(t *testing.T) {
			writer, err := vault.NewWriterKey("writer-1", guess)
			require.NoError(t, err)
			forger, err := vault.NewSealer(w.data, writer)
			require.NoError(t, err)
			forged, err := forger.Seal(place, []byte("71"))
			require.NoError(t, err)
			_, err = w.opener().Open(forged, place)
			require.Equal(t, vault.ErrOpen, err)
		})
	}
}

func TestOneOpenerServesSeveralKeys(t *testing.T) {
	w := newWorld(t)
	rotated := newKey(t, elliptic.P256())
	statement := w.statement
	statement.KeyID, statement.Public = "key-2", publicDER(t, &rotated.PublicKey)
	data, err := vault.Enrolled(statement, sign(t, w.enrol, statement.Bytes()), &w.enrol.PublicKey)
	require.NoError(t, err)
	private, err := vault.ParsePrivateKey("key-2", privateDER(t, rotated))
	require.NoError(t, err)
	june := newWriter(t, "writer-2")
	opener := vault.NewOpener([]vault.PrivateKey{w.private, private}, []vault.WriterKey{w.writer, june})

	for _, key := range []vault.DataKey{w.data, data} {
		for _, writer := range []vault.WriterKey{w.writer, june} {
			s, err := vault.NewSealer(key, writer)
			require.NoError(t, err)
			sealed, err := s.Seal(place, []byte("71"))
			require.NoError(t, err)
			opened, err := opener.Open(sealed, place)
			require.NoError(t, err)
			require.Equal(t, "71", string(opened))
		}
	}
}

func TestSealerRefuses(t *testing.T) {
	w := newWorld(t)
	_, err := vault.NewSealer(vault.DataKey{}, w.writer)
	require.Equal(t, vault.ErrKey, err, "a key that nobody enrolled")
	_, err = vault.NewSealer(w.data, vault.WriterKey{})
	require.Equal(t, vault.ErrKey, err)

	s := w.sealer(t)
	for name, change := range map[string]func(*vault.Place){
		"another owner":      func(p *vault.Place) { p.Owner = "ben" },
		"another deployment": func(p *vault.Place) { p.Deployment = "other" },
		"no table":           func(p *vault.Place) { p.Table = "" },
		"no id":              func(p *vault.Place) { p.ID = "" },
	} {
		t.Run(name, func(t *testing.T) {
			p := place
			change(&p)
			sealed, err := s.Seal(p, []byte("71"))
			require.Equal(t, vault.ErrPlace, err)
			require.Nil(t, sealed)
		})
	}
}

func TestConcurrentUse(t *testing.T) {
	w := newWorld(t)
	sealer, opener := w.sealer(t), w.opener()
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			p := place
			p.ID = fmt.Sprint(i)
			for range 20 {
				sealed, err := sealer.Seal(p, []byte(p.ID))
				if err != nil {
					t.Error(err)
					return
				}
				if opened, err := opener.Open(sealed, p); err != nil || string(opened) != p.ID {
					t.Error("opened something else", err)
				}
			}
		})
	}
	group.Wait()
}

func TestInspectRefuses(t *testing.T) {
	encapsulation := string(make([]byte, 65))
	for name, sealed := range map[string]string{
		"nothing":               "",
		"version only":          "\x01",
		"version 0":             "\x00\x01\x01k\x01w" + encapsulation,
		"version 2":             "\x02\x01\x01k\x01w" + encapsulation,
		"suite 0":               "\x01\x00\x01k\x01w" + encapsulation,
		"suite 2":               "\x01\x02\x01k\x01w" + encapsulation,
		"no key id":             "\x01\x01",
		"empty key id":          "\x01\x01\x00\x01w" + encapsulation,
		"empty writer key id":   "\x01\x01\x01k\x00" + encapsulation,
		"key id cut":            "\x01\x01\x05k",
		"key id too long":       "\x01\x01\x41" + string(bytes.Repeat([]byte("k"), 65)) + "\x01w" + encapsulation,
		"space in key id":       "\x01\x01\x01 \x01w" + encapsulation,
		"line end in writer id": "\x01\x01\x01k\x01\n" + encapsulation,
		"not ASCII":             "\x01\x01\x01\xff\x01w" + encapsulation,
		"encapsulation cut":     "\x01\x01\x01k\x01w" + encapsulation[1:],
	} {
		t.Run(name, func(t *testing.T) {
			h, err := vault.Inspect([]byte(sealed))
			require.Equal(t, vault.ErrOpen, err)
			require.Zero(t, h)
		})
	}
	h, err := vault.Inspect([]byte("\x01\x01\x01k\x01w" + encapsulation))
	require.NoError(t, err)
	require.Equal(t, vault.Header{Version: 1, Suite: 1, KeyID: "k", WriterKeyID: "w"}, h)
}

func FuzzInspect(f *testing.F) {
	for _, piece := range readGolden(f).Pieces {
		f.Add([]byte(piece.Sealed))
	}
	f.Fuzz(func(t *testing.T, sealed []byte) {
		h, err := vault.Inspect(sealed)
		if err != nil {
			require.Equal(t, vault.ErrOpen, err)
			return
		}
		for _, id := range []string{h.KeyID, h.WriterKeyID} {
			require.Regexp(t, `^[A-Za-z0-9._#-]{1,64}$`, id)
		}
	})
}

// The property is the point: nothing but the golden pieces opens.
func FuzzOpen(f *testing.F) {
	g := readGolden(f)
	for _, piece := range g.Pieces {
		f.Add([]byte(piece.Sealed))
	}
	opener := g.opener(f)
	f.Fuzz(func(t *testing.T, sealed []byte) {
		for _, piece := range g.Pieces {
			opened, err := opener.Open(sealed, piece.Place)
			if bytes.Equal(sealed, piece.Sealed) {
				require.NoError(t, err)
				require.True(t, bytes.Equal(piece.Plaintext, opened))
			} else {
				require.Equal(t, vault.ErrOpen, err)
			}
		}
	})
}

func BenchmarkNewSealer(b *testing.B) {
	w := newWorld(b)
	for b.Loop() {
		_, _ = vault.NewSealer(w.data, w.writer)
	}
}

func BenchmarkSealKilobyte(b *testing.B) {
	s, plaintext := newWorld(b).sealer(b), make([]byte, 1024)
	b.SetBytes(1024)
	for b.Loop() {
		_, _ = s.Seal(place, plaintext)
	}
}

func BenchmarkOpenKilobyte(b *testing.B) {
	w := newWorld(b)
	sealed, err := w.sealer(b).Seal(place, make([]byte, 1024))
	require.NoError(b, err)
	opener := w.opener()
	b.SetBytes(1024)
	for b.Loop() {
		_, _ = opener.Open(sealed, place)
	}
}
