package bench_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"iter"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"fitvault/bench"
	"fitvault/shared/auditlog"
	"fitvault/shared/auditlog/record"
	"fitvault/shared/auditlog/sequence"
	"fitvault/shared/auditlog/sequence/sequencetest"
	"fitvault/shared/auditlog/tiles"
	"fitvault/shared/auditlog/verify"
)

const (
	auditEvents = 1_000_000
	auditOwners = 10_000
	auditRun    = 4096 // events that a run finds
)

// waiting is the events of one run: made when they are asked for, gone when they are marked.
type waiting struct {
	events []sequence.Stored
	marks  int
}

func (w *waiting) Between(context.Context, time.Time, time.Time) iter.Seq2[sequence.Stored, error] {
	return func(yield func(sequence.Stored, error) bool) {
		for _, e := range w.events {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (w *waiting) Mark(_ context.Context, marks []sequence.Mark) error {
	w.events, w.marks = nil, w.marks+len(marks)
	return nil
}

// bucket is the log's objects without what was staged, which the bucket's lifecycle
// removes, and without partial tiles that a wider one has replaced.
type bucket struct {
	*sequencetest.Memory
	files  fstest.MapFS
	staged string
}

func (b *bucket) Get(_ context.Context, path string) ([]byte, error) {
	if f, ok := b.files[path]; ok {
		return f.Data, nil
	}
	return nil, sequence.ErrNotFound
}

func (b *bucket) Put(_ context.Context, path string, content []byte) error {
	if strings.HasPrefix(path, tiles.StagingPrefix) {
		delete(b.files, b.staged)
		b.staged = path
	}
	if _, there := b.files[path]; !there {
		b.files[path] = &fstest.MapFile{Data: content}
	}
	return nil
}

func (b *bucket) Lock(ctx context.Context, path string, content []byte) error {
	return b.Put(ctx, path, content)
}

func (b *bucket) Swap(_ context.Context, path string, _, next []byte) error {
	b.files[path] = &fstest.MapFile{Data: next}
	return nil
}

// BenchmarkAuditLog: a million events, of which nine in ten are somebody's syncs and one a
// caregiver's look, sequenced in runs of 4,096; then the whole log verified, and a
// thousand events proved from its tiles. Against the events as JSON, hashed one by
// one, and against nothing but hashing the log's objects.
func BenchmarkAuditLog(b *testing.B) {
	keys, memory := sequencetest.NewKeys(b), sequencetest.NewMemory()
	log, table := &bucket{Memory: memory, files: fstest.MapFS{}}, &waiting{}
	now := time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC)
	s := sequence.Sequencer{Heads: memory, Objects: log, Events: table, Subjects: memory, Alarms: memory, Key: keys.Service,
		Origin: sequencetest.Origin, Signer: keys.Signer, Verifier: keys.Verifier, Now: func() time.Time { return now }, Rand: rand.Reader}
	event := func(i int) sequence.Stored {
		at := now.Add(-time.Duration(i%1000) * time.Millisecond)
		id, err := auditlog.NewID(at, rand.Reader)
		require.NoError(b, err)
		owner := fmt.Sprintf("%026d", i%auditOwners)
		e := auditlog.Event{ID: id, Time: at, Request: fmt.Sprintf("%036d", i), Function: "ingest", Action: "readings.write", Caller: owner, Client: "fitvault-app",
			Owner: owner, Outcome: auditlog.Allowed, Reasons: []string{"owner-writes-with-consent"}, Records: 195, Manifest: fmt.Sprintf("%064d", i)}
		if i%10 == 0 {
			e.Function, e.Action, e.Reasons, e.Manifest = "readings", "readings.read", []string{"caregiver-reads"}, ""
			e.Caller = fmt.Sprintf("%026d", i%97)
		}
		return sequence.Stored{Key: sequence.Key{Shard: auditlog.Shard(id, at), ID: id}, Event: e}
	}
	var sequencing, plain time.Duration
	var plainBytes int
	for i := 0; i < auditEvents; now = now.Add(5 * time.Minute) {
		for range min(auditRun, auditEvents-i) {
			table.events = append(table.events, event(i))
			i++
		}
		of := table.events
		sequencing += bench.CPU(func() {
			_, err := s.Run(b.Context(), now)
			require.NoError(b, err)
		})
		plain += bench.CPU(func() {
			for _, e := range of {
				text := record.Canonical(e.Event)
				_ = sha256.Sum256(text)
				plainBytes += len(text)
			}
		})
	}
	require.Equal(b, auditEvents, table.marks)
	delete(log.files, log.staged)
	stored := 0
	for _, f := range log.files {
		stored += len(f.Data)
	}

	var report verify.Report
	checked := bench.CPU(func() {
		var err error
		report, err = verify.Log(log.files, keys.Verifier)
		require.NoError(b, err)
	})
	hashed := bench.CPU(func() {
		for _, f := range log.files {
			_ = sha256.Sum256(f.Data)
		}
	})
	require.Empty(b, report.Findings)
	require.EqualValues(b, auditEvents, report.Tree.N)

	reads := 0
	reader := tiles.Reader(report.Tree, func(path string) ([]byte, error) {
		reads++
		return fs.ReadFile(log.files, path)
	})
	const proofs = 1000
	proved := bench.CPU(func() {
		for i := range int64(proofs) {
			_, err := tlog.ProveRecord(report.Tree.N, i*auditEvents/proofs, reader)
			require.NoError(b, err)
		}
	})
	each := func(took time.Duration, of float64) float64 { return float64(took.Nanoseconds()) / 1e3 / of }
	bench.Report(b, map[string]float64{
		"stored-B": float64(stored) / auditEvents, "plain-B": float64(plainBytes) / auditEvents,
		"sequencing-µs": each(sequencing, auditEvents), "plain-µs": each(plain, auditEvents),
		"verifying-µs": each(checked, auditEvents), "hashing-µs": each(hashed, auditEvents),
		"proof-µs": each(proved, proofs), "proof-reads": float64(reads) / proofs,
	})
}
