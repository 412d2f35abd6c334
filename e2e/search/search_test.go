package search

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	note    = Text("note", "canary-0f3-note")
	value   = Number("value", "71.236548917")
	another = Number("another", "36.417203958")
	all     = []Canary{note, value, another}
	plants  = Plants("canary-0f3-note", "71.236548917")
)

// noise is random bytes, the same each time.
func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func forms(hits []Hit) (found []string) {
	for _, h := range hits {
		found = append(found, h.Form)
	}
	return found
}

// TestEveryForm: there is a plant of every form that is looked for, but for
// floats of four bytes, which TestShort has, and for three texts of a number,
// which are made as the others are.
func TestEveryForm(t *testing.T) {
	var planted []string
	for _, p := range plants {
		planted = append(planted, p.Form)
	}
	for _, f := range slices.Concat(note.forms, value.forms) {
		if len(f.text) >= enough && f.name[:4] != "digi" && f.name[:4] != "expo" {
			require.Contains(t, planted, f.name)
		}
	}
}

// TestDeep: every plant is found wherever it stands.
func TestDeep(t *testing.T) {
	for _, p := range plants {
		t.Run(p.Name, func(t *testing.T) {
			for before := range 3 { // base64 begins at any place; what precedes it is no base64
				piece := slices.Concat(noise(1, 300), []byte("=:=:="[:before+1]), p.Piece, []byte("="), noise(2, 300))
				require.Contains(t, forms(Deep(piece, all...)), p.Form)
			}
		})
	}
}

// TestPlain: it finds what was not encoded, and nothing else.
func TestPlain(t *testing.T) {
	for _, p := range plants {
		hits := Plain(slices.Concat(noise(3, 1000), p.Piece, noise(4, 1000)), all...)
		if p.Name == p.Form {
			require.Contains(t, forms(hits), p.Form)
		}
	}
	require.Empty(t, Plain(rawDeflate([]byte("canary-0f3-note")), all...))
}

func TestCharactersOfTheAlphabetRightBefore(t *testing.T) {
	float := binary.LittleEndian.AppendUint64(nil, math.Float64bits(71.236548917))
	for before := range 4 {
		piece := "abcd"[:before] + base64.StdEncoding.EncodeToString(float)
		require.Contains(t, forms(Deep([]byte(piece), all...)), "float64 little-endian")
		piece = "abcd"[:before] + hex.EncodeToString(float)
		require.Contains(t, forms(Deep([]byte(piece), all...)), "float64 little-endian")
	}
}

// TestShort: four bytes count where two canaries stand together in that form.
func TestShort(t *testing.T) {
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		one := order.AppendUint32(nil, math.Float32bits(71.236548917))
		two := order.AppendUint32(one, math.Float32bits(36.417203958))
		require.Empty(t, Plain(one, all...))
		require.Len(t, Plain(two, all...), 2)
	}
}

// TestNothing: noise holds nothing, and neither does text of others.
func TestNothing(t *testing.T) {
	require.Empty(t, Deep(noise(1, 100<<10), all...))
	require.Empty(t, Deep([]byte(`{"note":"another note","value":71.236548918,"digest":"63616e6172792d3066332d6e6f7464"}`), all...))
	require.Empty(t, Deep(nil, all...))
}

func TestCanariesThatWouldBeFoundByChance(t *testing.T) {
	require.Panics(t, func() { Text("short", "canary1") })
	for _, decimal := range []string{"", "71", "71236548917", "7.1", "0.71236548917", "1.2.36548917", "71.2365489171234567890", "-71.236548917"} {
		require.Panics(t, func() { Number("bad", decimal) }, decimal)
	}
}

func BenchmarkDeepOfNoise(b *testing.B) {
	piece := noise(2, 64<<10)
	b.SetBytes(int64(len(piece)))
	for b.Loop() {
		Deep(piece, all...)
	}
}
