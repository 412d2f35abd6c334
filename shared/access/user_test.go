package access_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/fault"
)

func TestUserID(t *testing.T) {
	id, err := access.NewUserID(bytes.NewReader([]byte("0123456789abcdef")))
	require.NoError(t, err)
	require.Equal(t, "gaytemzugu3doobzmfrggzdfmy", id.String())
	again, err := access.ParseUserID(id.String())
	require.NoError(t, err)
	require.Equal(t, id, again)
	require.False(t, id.IsZero())
	require.True(t, access.UserID{}.IsZero())
	require.Empty(t, access.UserID{}.String())

	other, err := access.NewUserID(rand.Reader)
	require.NoError(t, err)
	require.NotEqual(t, id, other)

	_, err = access.NewUserID(iotest.ErrReader(errors.New("no entropy")))
	require.Equal(t, fault.Internal, fault.KindOf(err))
	_, err = access.NewUserID(strings.NewReader("too short"))
	require.Error(t, err)
}

func TestParseUserIDRefuses(t *testing.T) {
	for name, s := range map[string]string{
		"nothing":            "",
		"me":                 "me",
		"short":              "gaytemzugu3doobzmfrggzdfm",
		"long":               "gaytemzugu3doobzmfrggzdfmya",
		"upper case":         "GAYTEMZUGUZDOOBZMFRGGZDFMY",
		"one upper case":     "gayteMzugu3doobzmfrggzdfmy",
		"digit outside":      "gaytemzugu3doobzmfrggzdfm1",
		"spare bits":         "gaytemzugu3doobzmfrggzdfmz",
		"second name":        "gaytemzugu3doobzmfrggzdfm2",
		"line end":           "gaytemzugu3doobzmfrggzdfmy\n",
		"line end inside":    "gaytemzugu3do\nobzmfrggzdfmy",
		"carriage returns":   "gaytemzugu3do\r\r\nobzmfrggzdfmy",
		"padding":            "gaytemzugu3doobzmfrggzdf==",
		"slash":              "gaytemzugu3doobzmfrggzdf/y",
		"encoded":            "gaytemzugu3doobzmfrggzd%66",
		"NUL":                "gaytemzugu3doobzmfrggzdfm\x00",
		"not UTF-8":          "gaytemzugu3doobzmfrggzdfm\xff",
		"full-width letters": "ｇaytemzugu3doobzmfrggzdfmy",
		"very long":          strings.Repeat("a", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := access.ParseUserID(s)
			require.Equal(t, fault.NotFound, fault.KindOf(err))
			require.True(t, got.IsZero())
		})
	}
}

func TestNewPseudonym(t *testing.T) {
	got, err := access.NewPseudonym(strings.NewReader("0123456789abcdef"))
	require.NoError(t, err)
	require.Equal(t, "30313233-3435-3637-3839-616263646566", got)
	_, err = access.NewPseudonym(strings.NewReader("0123456789abcde"))
	require.Equal(t, fault.Internal, fault.KindOf(err))
}

func FuzzParseUserID(f *testing.F) {
	for _, s := range []string{"gayteMzugu3doobzmfrggzdfmy", "gaytemzugu3doobzmfrggzdfmy", "me", "", "gaytemzugu3doobzmfrggzdfmz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := access.ParseUserID(s)
		if err != nil {
			require.True(t, id.IsZero())
			return
		}
		require.Equal(t, s, id.String(), "an id has one spelling")
		require.Regexp(t, `^[a-z2-7]{26}$`, s)
	})
}
