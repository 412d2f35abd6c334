package auditlog_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"fitvault/shared/auditlog"
	"fitvault/shared/auditlog/auditlogtest"
	"fitvault/shared/fault"
)

func TestMemory(t *testing.T) {
	var m auditlog.Memory
	auditlogtest.Writer(t, &m, func(_ *testing.T, id string, _ time.Time) (found []auditlog.Event) {
		for _, e := range m.Events() {
			if e.ID == id {
				found = append(found, e)
			}
		}
		return found
	})
}

func TestMemoryFailsOnDemand(t *testing.T) {
	var m auditlog.Memory
	e := auditlogtest.Event(t)
	m.Fail(errors.New("down"))
	require.EqualError(t, m.Write(t.Context(), e), "down")
	require.Empty(t, m.Events())
	m.Fail(nil)
	require.NoError(t, m.Write(t.Context(), e))
	require.Len(t, m.Events(), 1)
}

func TestNewID(t *testing.T) {
	id, err := auditlog.NewID(time.UnixMilli(0x0123456789ab), bytes.NewReader(bytes.Repeat([]byte{0xff}, 10)))
	require.NoError(t, err)
	require.Equal(t, "04hkaps9lfvvvvvvvvvvvvvvvs", id)
	require.Regexp(t, regexp.MustCompile(`^[0-9a-v]{26}$`), id)

	_, err = auditlog.NewID(time.UnixMilli(1), iotest.ErrReader(errors.New("no entropy")))
	require.Equal(t, fault.Internal, fault.KindOf(err))
	_, err = auditlog.NewID(time.UnixMilli(1), bytes.NewReader(make([]byte, 9)))
	require.Error(t, err, "ten bytes are needed")
}

func TestIDsSortByTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		early := rapid.Int64Range(0, 1<<48-2).Draw(t, "early")
		late := rapid.Int64Range(early+1, 1<<48-1).Draw(t, "late")
		a, err := auditlog.NewID(time.UnixMilli(early), rand.Reader)
		require.NoError(t, err)
		b, err := auditlog.NewID(time.UnixMilli(late), rand.Reader)
		require.NoError(t, err)
		require.Less(t, a, b)
	})
}

func TestLeastID(t *testing.T) {
	at := time.UnixMilli(1780293600123)
	least := auditlog.LeastID(at)
	id, err := auditlog.NewID(at, rand.Reader)
	require.NoError(t, err)
	require.Less(t, least, id)
	require.Len(t, least, len(id))
	of, ok := auditlog.TimeOf(least)
	require.True(t, ok)
	require.True(t, of.Equal(at))
	before, err := auditlog.NewID(at.Add(-time.Millisecond), rand.Reader)
	require.NoError(t, err)
	require.Less(t, before, least)
}

func TestShard(t *testing.T) {
	east := time.FixedZone("", 14*3600)
	at := time.Date(2026, 5, 4, 3, 0, 0, 0, east)
	require.Equal(t, "2026-05-03#ba", auditlog.Shard("abc", at), "the UTC day; SHA-256 of abc starts with ba")
	require.Equal(t, auditlog.Shard("abc", at), auditlog.Shard("abc", at.UTC()))
}

func TestEventPrintsNothing(t *testing.T) {
	e := auditlogtest.Event(t)
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "event", e, "pointer", &e)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "event", e, "pointer", &e)
	fmt.Fprintf(&out, "%v %+v %#v %s %q %d %x", e, e, e, e, e, e, e)
	for _, value := range []string{e.ID, e.Request, "caller", "owner", "manifest"} {
		require.NotContains(t, strings.ReplaceAll(out.String(), "pointer", ""), value)
	}
}

func TestTimeOf(t *testing.T) {
	at := time.Date(2026, 5, 4, 5, 25, 0, 123_999_999, time.UTC)
	id, err := auditlog.NewID(at, rand.Reader)
	require.NoError(t, err)
	got, ok := auditlog.TimeOf(id)
	require.True(t, ok)
	require.Equal(t, at.Truncate(time.Millisecond), got)
	for _, other := range []string{"", "id", id[1:], id + "0", strings.ToUpper(id)} {
		_, ok := auditlog.TimeOf(other)
		require.False(t, ok, other)
	}
}
