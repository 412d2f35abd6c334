package sequencetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/auditlog"
	"fitvault/shared/auditlog/tiles"
)

// Log is a log that sequencers have made, of ten owners.
type Log struct {
	*Memory
	Keys
	Time time.Time
}

// NewLog makes a log of a number of events, taken in three runs an hour apart.
func NewLog(t testing.TB, events int) *Log {
	t.Helper()
	return NewLogWith(t, NewKeys(t), events)
}

// NewLogWith makes a log with given keys.
func NewLogWith(t testing.TB, keys Keys, events int) *Log {
	t.Helper()
	l := &Log{Memory: NewMemory(), Keys: keys, Time: time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC)}
	for run := range 3 {
		for n := events * run / 3; n < events*(run+1)/3; n++ {
			l.Store(t, fmt.Sprint("owner-", n%10))
		}
		l.Time = l.Time.Add(time.Hour)
		l.Run(t)
	}
	return l
}

// Store stores an event of an owner, as a function would, and returns its id.
func (l *Log) Store(t testing.TB, owner string) string {
	t.Helper()
	id, err := auditlog.NewID(l.Time, rand.Reader)
	require.NoError(t, err)
	require.NoError(t, l.Memory.Write(context.Background(), auditlog.Event{ID: id, Time: l.Time, Function: "readings", Action: "readings.read", Caller: owner,
		Client: "app", Owner: owner, Outcome: auditlog.Allowed, Reasons: []string{"owner-reads"}}))
	return id
}

// Run takes what waits, a minute later.
func (l *Log) Run(t testing.TB) {
	t.Helper()
	l.Time = l.Time.Add(time.Minute)
	now := func() time.Time { return l.Time }
	_, err := NewProcess(l.Memory, l.Keys, now).Sequencer.Run(context.Background(), l.Time.Add(time.Hour))
	require.NoError(t, err)
}

// Files is the log's objects, as somebody would copy them from the bucket.
func (l *Log) Files() map[string][]byte {
	all := l.Objects()
	for path := range all {
		if strings.HasPrefix(path, tiles.StagingPrefix) {
			delete(all, path)
		}
	}
	return all
}

// Folder is a folder with the Files.
func (l *Log) Folder(t testing.TB) string {
	t.Helper()
	folder := t.TempDir()
	for path, content := range l.Files() {
		name := filepath.Join(folder, filepath.FromSlash(path))
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		require.NoError(t, os.WriteFile(name, content, 0o600))
	}
	return folder
}
