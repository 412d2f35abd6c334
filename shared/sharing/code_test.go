package sharing_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/fault"
	"fitvault/shared/sharing"
)

func TestCode(t *testing.T) {
	code, err := sharing.NewCode(bytes.NewReader(bytes.Repeat([]byte{0}, 26)))
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("a", sharing.CodeLength), code.Text())
	code, err = sharing.NewCode(rand.Reader)
	require.NoError(t, err)
	require.Regexp(t, `^[a-z2-7]{42}$`, code.Text())
	require.Equal(t, code.Text()[:16], code.Selector())
	require.Equal(t, code, sharing.ParseCode(code.Text()))
	require.True(t, sharing.ParseCode(code.Text()).Matches(code.Hash()))
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", code, code, &code), code.Selector())

	other, err := sharing.NewCode(rand.Reader)
	require.NoError(t, err)
	require.False(t, other.Matches(code.Hash()))
	require.False(t, sharing.ParseCode(code.Selector()+other.Text()[16:]).Matches(code.Hash()))
	require.False(t, code.Matches([32]byte{}), "nothing stored matches nothing")
}

// TestNoCode: what has not the form of a code is one that finds nothing.
func TestNoCode(t *testing.T) {
	good := strings.Repeat("a", sharing.CodeLength)
	for _, s := range []string{"", "a", good[1:], good + "a", strings.ToUpper(good), "1" + good[1:], good[1:] + "1", good[1:] + "b", "\n" + good[1:], strings.Repeat("0", sharing.CodeLength)} {
		code := sharing.ParseCode(s)
		require.Equal(t, strings.Repeat("0", 16), code.Selector(), "%q", s)
	}
}

func TestNoRandomness(t *testing.T) {
	_, err := sharing.NewCode(iotest.ErrReader(errors.New("no entropy")))
	require.Equal(t, fault.Internal, fault.KindOf(err))
	_, err = sharing.NewID(strings.NewReader("too few"))
	require.Equal(t, fault.Internal, fault.KindOf(err))
}

func TestKeys(t *testing.T) {
	user, err := access.NewUserID(rand.Reader)
	require.NoError(t, err)
	require.Equal(t, "shared#"+user.String(), sharing.SharedKey(user.String()))
	require.Equal(t, "shared#organisation#clinic", sharing.SharedKey(access.OrganisationPrefix+"clinic"))
	require.Equal(t, "invitation#s", sharing.InvitationKey("s"))
}

func TestSortSessions(t *testing.T) {
	at := time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC)
	entry := func(name string, minutes time.Duration) sharing.SessionEntry {
		return sharing.SessionEntry{Name: name, Session: access.Session{SignedIn: at.Add(minutes * time.Minute)}}
	}
	all := []sharing.SessionEntry{entry("b", 1), entry("a", 1), entry("c", 2)}
	sharing.SortSessions(all)
	require.Equal(t, []sharing.SessionEntry{entry("c", 2), entry("a", 1), entry("b", 1)}, all)
}

// FuzzParseCode: only what NewCode makes is a code, in one spelling; nothing else finds anything.
func FuzzParseCode(f *testing.F) {
	for _, seed := range []string{"", strings.Repeat("a", 42), strings.Repeat("a", 41) + "b", strings.Repeat("0", 42), strings.Repeat("A", 42)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		code := sharing.ParseCode(s)
		require.Len(t, code.Selector(), 16)
		if code.Selector() != strings.Repeat("0", 16) {
			require.Equal(t, s, code.Text())
			require.Regexp(t, `^[a-z2-7]{42}$`, s)
		}
	})
}
