package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/block"
	"fitvault/shared/days"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/intake"
	"fitvault/shared/intake/intaketest"
	"fitvault/shared/keyring/keyringtest"
	"fitvault/shared/objects"
	"fitvault/shared/opening"
	"fitvault/shared/postgres/postgrestest"
	"fitvault/shared/reading"
	"fitvault/shared/segment"
	"fitvault/shared/stream"
)

const deployment = "fitvault"

// world is project over fakes, and an intake that fills them. Ada and Ben have
// pseudonyms.
type world struct {
	*edgetest.World
	projector *projector
	intake    *intake.Intake
	keys      *keyringtest.Service
	blocks    intaketest.Blocks
	parts     postgrestest.Memory
	failures  bucket
	log       lockedBuffer
}

func newWorld(t testing.TB) *world {
	w := &world{World: edgetest.New(t)}
	w.keys = keyringtest.NewService(t, deployment, w.Time)
	for id, subject := range map[access.UserID]string{w.Ada: "ada", w.Ben: "ben"} {
		w.keys.Enrol(t, id.String(), "key-of-"+subject, w.Time, nil)
		w.change(id, func(o *access.Owner) { o.Pseudonym = postgrestest.NewPseudonym() })
	}
	w.intake = &intake.Intake{Deployment: deployment, Manifests: &intaketest.Manifests{Now: w.Now}, Blocks: &w.blocks, Documents: &intaketest.Documents{},
		Keys: w.keys.Ring(t, w.Now), Now: w.Now, Rand: rand.Reader}
	w.projector = &projector{deployment: deployment, accounts: &w.Accounts, blocks: stored{&w.blocks}, parts: &w.parts, failures: &w.failures,
		keys: func() keys { return w.keys.Ring(t, w.Now) }, audit: &w.Audit, log: slog.New(slog.NewJSONHandler(&w.log, nil)), now: w.Now, rand: rand.Reader}
	return w
}

// owner is an owner's document.
func (w *world) owner(id access.UserID) access.Owner {
	documents, err := w.Accounts.Read(context.Background(), access.Keys{User: id})
	if err != nil || documents.Owner == nil {
		panic("no such owner")
	}
	return *documents.Owner
}

func (w *world) change(id access.UserID, change func(*access.Owner)) {
	o := w.owner(id)
	change(&o)
	w.Accounts.Put(access.Documents{Owner: &o})
}

// stored is the fake in the adapter's terms.
type stored struct{ *intaketest.Blocks }

func (s stored) Between(ctx context.Context, owner, first, end string) iter.Seq2[dynamo.Sealed, error] {
	return func(yield func(dynamo.Sealed, error) bool) {
		for p, err := range s.Blocks.Between(ctx, owner, first, end) {
			if !yield(dynamo.Sealed(p), err) {
				return
			}
		}
	}
}

// bucket is a bucket in memory.
type bucket struct {
	mu      sync.Mutex
	happen  func(call, id string) // before a call, outside of the lock
	objects map[string][]byte
	fail    func(call string) error
	page    int // of a list; 0: 1,000
}

func (b *bucket) lock(call string) error {
	b.mu.Lock()
	if b.fail != nil {
		return b.fail(call)
	}
	return nil
}

func (b *bucket) List(_ context.Context, prefix, after string) (ids []string, err error) {
	err = b.lock("list")
	defer b.mu.Unlock()
	for id := range b.objects {
		if err == nil && strings.HasPrefix(id, prefix) && id > after {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	if b.page > 0 && len(ids) > b.page {
		ids = ids[:b.page]
	}
	return ids, err
}

// meanwhile lets something happen first.
func (b *bucket) meanwhile(call, id string) {
	if b.happen != nil {
		b.happen(call, id)
	}
}

func (b *bucket) Get(_ context.Context, id string) ([]byte, error) {
	b.meanwhile("get", id)
	err := b.lock("get")
	defer b.mu.Unlock()
	content, ok := b.objects[id]
	if err == nil && !ok {
		err = objects.ErrNotFound
	}
	return content, err
}

func (b *bucket) Put(_ context.Context, id string, content []byte) error {
	b.meanwhile("put", id)
	err := b.lock("put")
	defer b.mu.Unlock()
	if _, ok := b.objects[id]; err == nil && !ok {
		b.set(id, content)
	}
	return err
}

func (b *bucket) set(id string, content []byte) {
	if b.objects == nil {
		b.objects = map[string][]byte{}
	}
	b.objects[id] = content
}

func (b *bucket) Delete(_ context.Context, id string) error {
	b.meanwhile("delete", id)
	err := b.lock("delete")
	defer b.mu.Unlock()
	if err == nil {
		delete(b.objects, id)
	}
	return err
}

func (b *bucket) ids() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	ids := []string{}
	for id := range b.objects {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// units are what the objects with these ids belong to, each once.
func units(ids []string) (all []string) {
	for _, id := range ids {
		if u := unit(id); !slices.Contains(all, u) {
			all = append(all, u)
		}
	}
	return all
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// send takes data points in for an owner, by the app unless a client is given.
func (w *world) send(t testing.TB, owner access.UserID, points ...string) {
	w.sendBy(t, owner, edgetest.Client, block.RankOwner, points...)
}

func (w *world) sendBy(t testing.TB, owner access.UserID, client string, rank block.Rank, points ...string) {
	_, err := w.intake.Readings(t.Context(), w.request(owner, client, rank, "["+strings.Join(points, ",")+"]"))
	require.NoError(t, err)
}

func (w *world) request(owner access.UserID, client string, rank block.Rank, body string) intake.Request {
	return intake.Request{Owner: owner.String(), DataKey: w.owner(owner).DataKey, Client: client, Rank: rank, IdempotencyKey: rand.Text(), Body: []byte(body), MediaType: intake.MediaTCX,
		Record: func(context.Context, string, int, int) error { return nil }}
}

// records is a stream's record of each item that an owner has.
func (w *world) records(owners ...access.UserID) (records []string) {
	for _, owner := range owners {
		for _, p := range w.blocks.Of(owner.String()) {
			records = append(records, record(100+len(records), owner.String(), p.Item))
		}
	}
	return records
}

func record(number int, owner, item string) string {
	return fmt.Sprintf(`{"eventSource":"aws:dynamodb","dynamodb":{"Keys":{"item":{"S":%q},"owner":{"S":%q}},"SequenceNumber":"%d"}}`, item, owner, number)
}

func event(records ...string) json.RawMessage {
	return json.RawMessage(`{"Records":[` + strings.Join(records, ",") + `]}`)
}

const requestID = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"

func invoked(ctx context.Context) context.Context {
	return lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: requestID})
}

// deliver hands a batch over, and returns the records to be tried again.
func (w *world) deliver(t testing.TB, records ...string) (again []string) {
	answer, err := w.projector.handle(invoked(t.Context()), event(records...))
	require.NoError(t, err)
	for _, f := range answer.(stream.Answer).Failures {
		again = append(again, f.Number)
	}
	return again
}

// replay is the schedule's event.
func (w *world) replay(t testing.TB) error {
	answer, err := w.projector.handle(invoked(t.Context()), json.RawMessage(`{"source":"aws.events","detail-type":"Scheduled Event"}`))
	require.Nil(t, answer)
	return err
}

// days is an owner's days as history would see them.
func (w *world) days(t testing.TB, owner access.UserID) string {
	parts, err := w.parts.Between(t.Context(), w.owner(owner).Pseudonym, "0001-01-01", "9999-12-31")
	require.NoError(t, err)
	opener := opening.New(w.keys.Ring(t, w.Now), owner.String(), func(context.Context) error { return errors.New("altered") })
	var all days.Tally
	for _, p := range parts {
		plain, err := opener.Open(t.Context(), p.Sealed, days.Place(deployment, owner.String(), p.Part, p.Version))
		require.NoError(t, err)
		part, err := days.Decode(plain)
		require.NoError(t, err)
		for _, s := range part {
			require.LessOrEqual(t, p.First, s.Day.String())
			require.GreaterOrEqual(t, p.Last, s.Day.String())
		}
		all.AddPart(part)
	}
	return show(all.Part())
}

func show(p days.Part) string {
	lines := []string{}
	for _, s := range p {
		lines = append(lines, string(s.AppendJSON(nil)))
	}
	return strings.Join(lines, "\n")
}

// alarms is the alarm events about an owner.
func (w *world) alarms(owner access.UserID) (n int) {
	for _, e := range w.Audit.Events() {
		if e.Outcome == auditlog.Alarm && e.Owner == owner.String() {
			n++
		}
	}
	return n
}

// point is a heart rate.
func point(id, start, value string) string { return pointOf(id, start, value, "2.0") }

func pointOf(id, start, value, version string) string {
	return fmt.Sprintf(`{"header":{"id":%q,"creation_date_time":"2026-05-04T07:25:00+02:00","schema_id":{"namespace":"omh","name":"heart-rate","version":%q}},`+
		`"body":{"heart_rate":{"value":%s,"unit":"beats/min"},"effective_time_frame":{"date_time":%q}}}`, id, version, value, start)
}

// rates is the line of a day's heart rates.
func rates(day string, count int, least, greatest, mean, sum string) string {
	return fmt.Sprintf(`{"day":%q,"type":"omh:heart-rate","unit":"beats/min","count":%d,"min":%s,"max":%s,"mean":%s,"sum":%s}`, day, count, least, greatest, mean, sum)
}

// run is a recording of two trackpoints.
func run(start, end string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>
<TrainingCenterDatabase xmlns="http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2"><Activities><Activity Sport="Running">
<Id>` + start + `</Id><Lap StartTime="` + start + `"><TotalTimeSeconds>60</TotalTimeSeconds><DistanceMeters>200</DistanceMeters>
<Calories>10</Calories><Intensity>Active</Intensity><TriggerMethod>Manual</TriggerMethod><Track>
<Trackpoint><Time>` + start + `</Time></Trackpoint><Trackpoint><Time>` + end + `</Time></Trackpoint>
</Track></Lap></Activity></Activities></TrainingCenterDatabase>`
}

// seal puts a block into the table that intake did not make.
func (w *world) seal(t testing.TB, day, id string, plaintext []byte) {
	owner := w.Ada.String()
	w.blocks.Put(owner, intake.BlockItem(day, id), w.keys.Seal(t, w.Now, owner, "key-of-ada", intake.BlockPlace(deployment, owner, day, id), plaintext))
}

// blockOf is a block's plaintext.
func blockOf(t testing.TB, points ...string) []byte {
	var batch []reading.Value
	for _, p := range points {
		v, err := reading.Decode(jsontext.NewDecoder(strings.NewReader(p)), 64)
		require.NoError(t, err)
		batch = append(batch, v)
	}
	packed, err := segment.Encode(batch)
	require.NoError(t, err)
	plain, err := block.Encode(block.Header{Client: edgetest.Client, Rank: block.RankOwner}, packed)
	require.NoError(t, err)
	return plain
}
