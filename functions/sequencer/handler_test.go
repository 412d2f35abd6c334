package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/stretchr/testify/require"

	"fitvault/shared/auditlog"
	"fitvault/shared/auditlog/record"
	"fitvault/shared/auditlog/sequence"
	"fitvault/shared/auditlog/sequence/sequencetest"
	"fitvault/shared/auditlog/tiles"
	"fitvault/shared/auditlog/verify"
	"fitvault/shared/fault"
)

// world is a sequencer over fakes, with the log's key.
type world struct {
	*sequencetest.Memory
	handler handler
	log     bytes.Buffer
	now     time.Time
	service record.ServiceKey
	private ed25519.PrivateKey
	down    error // of keys
	deaf    error // of KMS
}

func newWorld(t *testing.T) *world {
	w := &world{Memory: sequencetest.NewMemory(), now: time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC), service: sequencetest.NewKeys(t).Service}
	var err error
	_, w.private, err = ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	w.handler = handler{log: slog.New(slog.NewJSONHandler(&w.log, nil)), keys: w, kms: w, sequencer: sequence.Sequencer{Heads: w, Objects: w, Events: w, Subjects: w, Alarms: w, Changes: w, Manifests: w, Places: w, Uses: w, Owners: w, Compared: w, Deployment: "test", Users: map[string]sequence.User{"role/readings": {Operation: "Decrypt", Function: "readings"}},
		Origin: sequencetest.Origin, Now: func() time.Time { return w.now }, Rand: rand.Reader}}
	return w
}

func (w *world) Audit(context.Context) (record.ServiceKey, error) { return w.service, w.down }

func (w *world) SignEd25519(_ context.Context, _ string, message []byte) ([]byte, error) {
	return ed25519.Sign(w.private, message), w.deaf
}

func (w *world) Ed25519PublicKey(context.Context, string) (ed25519.PublicKey, error) {
	return w.private.Public().(ed25519.PublicKey), w.deaf
}

func (w *world) record(t *testing.T) (m map[string]any) {
	require.NoError(t, json.Unmarshal(w.log.Bytes(), &m))
	w.log.Reset()
	return m
}

func (w *world) store(t *testing.T) {
	id, err := auditlog.NewID(w.now, rand.Reader)
	require.NoError(t, err)
	require.NoError(t, w.Write(t.Context(), auditlog.Event{ID: id, Time: w.now, Owner: "canary", Outcome: auditlog.Allowed}))
}

func TestRecordedEvents(t *testing.T) {
	w := newWorld(t)
	files, err := filepath.Glob("../../events/sequencer-*.json")
	require.NoError(t, err)
	require.Len(t, files, 2)
	for _, file := range files {
		event, err := os.ReadFile(file)
		require.NoError(t, err)
		w.store(t)
		w.now = w.now.Add(time.Minute)
		_, err = lambda.NewHandler(w.handler.run).Invoke(t.Context(), event)
		require.NoError(t, err)
		require.NotContains(t, w.log.String(), "canary")
		record := w.record(t)
		require.Equal(t, false, record["alarm"])
		require.EqualValues(t, 1, record["succeeded"])
		require.Equal(t, map[string]any{"take": "sequencer", "reconcile": "reconciler"}[record["task"].(string)], record["function"],
			"the metric is counted by it: the one must not pass for the other, or its alarm never rings")
	}
	verifier, err := tiles.NewVerifier(sequencetest.Origin, w.private.Public().(ed25519.PublicKey))
	require.NoError(t, err)
	_, err = verify.Log(os.DirFS((&sequencetest.Log{Memory: w.Memory}).Folder(t)), verifier)
	require.NoError(t, err)
}

func TestWhatFailsIsTold(t *testing.T) {
	w := newWorld(t)
	run := func(name string) error { return w.handler.run(t.Context(), task{Task: name}) }
	require.Equal(t, fault.BadRequest, fault.KindOf(run("quickly")))
	require.Equal(t, "ERROR", w.record(t)["level"])
	w.down = fault.New(fault.Unavailable, "down")
	require.Equal(t, fault.Unavailable, fault.KindOf(run("take")))
	w.log.Reset()
	w.down, w.deaf = nil, errors.New("canary")
	require.Equal(t, fault.Unavailable, fault.KindOf(run("take")))
	require.NotContains(t, w.log.String(), "canary")
	w.log.Reset()
	w.deaf = nil
	require.NoError(t, run("take"))
	w.log.Reset()
	w.handler.sequencer.Origin = "two words"
	require.Equal(t, fault.Internal, fault.KindOf(run("take")))
	w.log.Reset()
	w.handler.sequencer.Origin = sequencetest.Origin

	w.SetObject(tiles.CheckpointPath, []byte("another"))
	require.ErrorIs(t, run("take"), sequence.ErrAltered)
	record := w.record(t)
	require.Equal(t, true, record["alarm"], "somebody should look")
	require.EqualValues(t, 1, record["alarms"])
	require.NotContains(t, record, "succeeded")
}

// TestDataWithoutEvent: it is an alarm, and the record has a number and no names.
func TestDataWithoutEvent(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.handler.run(t.Context(), task{Task: "take"}))
	w.log.Reset()
	w.Change("shard", sequence.Change{Owner: "canary", Item: "canary", Time: w.now, Stored: true})
	require.NoError(t, w.handler.run(t.Context(), task{Task: "reconcile"}))
	require.NotContains(t, w.log.String(), "canary")
	record := w.record(t)
	require.Equal(t, "ERROR", record["level"])
	require.Equal(t, true, record["alarm"])
	require.EqualValues(t, 1, record["unlogged"])
	require.EqualValues(t, 1, record["alarms"])
	require.NoError(t, w.handler.run(t.Context(), task{Task: "reconcile"}))
	require.Equal(t, false, w.record(t)["alarm"])
}

// TestFindingsBeforeAFailure: what was found before something failed is not found
// again, so it is an alarm now.
func TestFindingsBeforeAFailure(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.handler.run(t.Context(), task{Task: "take"}))
	w.log.Reset()
	w.Change("shard", sequence.Change{Owner: "canary", Item: "canary", Time: w.now, Stored: true})
	w.handler.sequencer.Compared = unread{w.Memory}
	require.Equal(t, fault.Unavailable, fault.KindOf(w.handler.run(t.Context(), task{Task: "reconcile"})))
	record := w.record(t)
	require.EqualValues(t, 1, record["alarms"])
	require.EqualValues(t, 1, record["unlogged"])
	require.NotContains(t, record, "succeeded")
}

// unread does not know up to when uses were compared.
type unread struct{ *sequencetest.Memory }

func (unread) Compared(context.Context) (time.Time, error) { return time.Time{}, errors.New("down") }

// TestUsesOfTheKey: what nobody may, and what nobody has told of, is an alarm; what nobody has
// looked at is told. The record has numbers and no names.
func TestUsesOfTheKey(t *testing.T) {
	w := newWorld(t)
	run := func(task task) map[string]any {
		t.Helper()
		require.NoError(t, w.handler.run(t.Context(), task))
		require.NotContains(t, w.log.String(), "canary")
		return w.record(t)
	}
	run(task{Task: "take"})
	w.Use(sequence.Use{ID: "canary", Time: w.now, Operation: "Decrypt", Role: "canary"})
	w.Use(sequence.Use{ID: "canary", Time: w.now, Operation: "Decrypt", Role: "role/readings", Deployment: "test", Purpose: "data", Key: "kkkkkkkkkkkkkkkkkkkkkkkkkk"})
	w.Use(sequence.Use{ID: "canary", Time: w.now, Operation: "Decrypt", Role: "canary", Failed: true})
	at := w.now
	w.now = w.now.Add(time.Hour)
	run(task{Task: "take"})
	record := run(task{Task: "uses", From: at.Add(-time.Minute), To: at.Add(time.Minute)})
	require.Equal(t, "reconciler", record["function"])
	require.Equal(t, true, record["alarm"])
	require.NotContains(t, record, "succeeded", "the schedule has not come by that")
	for range 2 {
		require.EqualValues(t, 3, record["uses"])
		require.EqualValues(t, 1, record["used_by_other"])
		require.EqualValues(t, 1, record["used_unlogged"])
		require.EqualValues(t, 1, record["refused"])
		require.EqualValues(t, 1, record["alarms"])
		require.EqualValues(t, 0, record["uses_unseen_seconds"])
		record = run(task{Task: "reconcile"})
	}
	require.Equal(t, false, record["alarm"])
	require.EqualValues(t, 1, record["succeeded"])

	require.Equal(t, fault.BadRequest, fault.KindOf(w.handler.run(t.Context(), task{Task: "uses"})))
	w.log.Reset()
	w.now = w.now.Add(40 * 24 * time.Hour)
	run(task{Task: "take"})
	record = run(task{Task: "reconcile"})
	require.Positive(t, record["uses_unseen_seconds"], "what nobody will look at")
	record = run(task{Task: "reconcile"})
	require.Positive(t, record["uses_unseen_seconds"], "what is behind by days")
	for record["uses_unseen_seconds"] != 0. {
		require.Equal(t, false, record["alarm"])
		record = run(task{Task: "reconcile"})
	}
	require.LessOrEqual(t, record["uses_behind_seconds"], (6 * time.Hour).Seconds())
	require.EqualValues(t, 1, record["succeeded"])
}

// TestAlteredKey: an owner's key of the log that somebody has put in another's place.
func TestAlteredKey(t *testing.T) {
	w := newWorld(t)
	w.store(t)
	w.now = w.now.Add(time.Minute)
	w.handler.sequencer.Subjects = othersKeys{w.Memory}
	require.Equal(t, fault.Internal, fault.KindOf(w.handler.run(t.Context(), task{Task: "take"})))
	record := w.record(t)
	require.Equal(t, true, record["alarm"], "the log stands until somebody looks")
	require.EqualValues(t, 1, record["alarms"])
	all := w.Stored()
	require.True(t, slices.ContainsFunc(all, func(s sequence.Stored) bool { return s.Event.Kind == auditlog.KeyAltered }))
}

// othersKeys gives everybody a key that is not his.
type othersKeys struct{ *sequencetest.Memory }

func (o othersKeys) Subject(context.Context, string, func() (record.Pseudonym, []byte, error)) (record.Pseudonym, []byte, error) {
	return record.Pseudonym{}, make([]byte, 60), nil
}

func TestAnotherWasFirst(t *testing.T) {
	w := newWorld(t)
	w.handler.sequencer.Heads = moved{w.Memory}
	require.NoError(t, w.handler.run(t.Context(), task{Task: "take"}))
	require.NotContains(t, w.record(t), "succeeded", "another was first, and says what came of it")
}

// moved is heads that another sequencer always moves first.
type moved struct{ *sequencetest.Memory }

func (moved) Move(context.Context, sequence.Head, sequence.Head) error { return sequence.ErrMoved }
