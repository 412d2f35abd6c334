package usertext_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"

	"fitvault/shared/fault"
	"fitvault/shared/usertext"
)

func TestParseName(t *testing.T) {
	for given, want := range map[string]string{
		"Ada's band":                  "Ada's band",
		"  left wrist ":               "left wrist",
		"Zoe\u0308":                   "Zoë", // composed
		"\u1100\u1161":                "가",
		"心拍計 2":                       "心拍計 2",
		"می\u200cخواهم":               "می\u200cخواهم",
		"👩\u200d🦽":                    "👩\u200d🦽",
		"<script>":                    "<script>", // text: who shows it escapes it
		strings.Repeat("ä", 64):       strings.Repeat("ä", 64),
		strings.Repeat("a\u0308", 64): strings.Repeat("ä", 64),
	} {
		name, err := usertext.ParseName(given)
		require.NoError(t, err, "%q", given)
		require.Equal(t, want, name.String())
	}
}

func TestRefused(t *testing.T) {
	for _, given := range []string{
		"", " ", "\u00a0\u2003", "\u0308", "\u200d",
		strings.Repeat("a", 65), strings.Repeat("a", 1<<20),
		"a\nb", "a\x00", "a\tb", "a\x7f", "a\u0085b", "a\u2028b", "a\u2029b",
		"a\u202eb", "a\u202ab", "a\u2066b", "a\u2069", "a\u200eb", "a\u200fb", "a\u061cb",
		"a\ufeffb", "a\u200bb", "a\u00adb", "a\U000e0041", "a\ue000", "a\U0010ffff", "a\ufffd", "a\xff", "\xed\xa0\x80",
		"\u3164", "\u115f", "\u1160", "\uffa0", "\u2800", "a\u3164b", "a\u034fb", "a\u2800", // letters and symbols that are not seen
	} {
		_, err := usertext.ParseName(given)
		require.Equal(t, fault.Invalid, fault.KindOf(err), "%q", given)
	}
}

// FuzzParseName: what is taken is normal, short, and stays what it is.
func FuzzParseName(f *testing.F) {
	for _, seed := range []string{"Ada's band", "Zoe\u0308", "a\u202eb", "\xff", strings.Repeat("a", 65), "\u0344\u0344"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := usertext.ParseName(s)
		if err != nil {
			require.Empty(t, name.String())
			return
		}
		text := name.String()
		require.True(t, norm.NFC.IsNormalString(text))
		require.NotEmpty(t, text)
		require.LessOrEqual(t, utf8.RuneCountInString(text), usertext.MaxName)
		require.False(t, strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }))
		again, err := usertext.ParseName(text)
		require.NoError(t, err)
		require.Equal(t, name, again)
	})
}
