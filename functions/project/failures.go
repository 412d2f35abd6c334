package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/fault"
	"fitvault/shared/metrics"
	"fitvault/shared/objects"
	"fitvault/shared/stream"
)

// The bucket of failures holds two kinds of objects. Lambda puts batches there
// that failed for too long, with their records. Project itself puts parts there
// that nothing but a change of what is stored can mend (an altered block): a
// record that is tried again and again would hold up all others of its shard.
//
// An object of project's is the same kind of event, with one record, whose
// sequence number is never looked at; so both are read in one way.

// Where the two kinds are, and the marks of what a replay has begun with.
const (
	lambdaPrefix = "aws/lambda/"
	asidePrefix  = "aside/"
	triedPrefix  = "tried/"
)

// setAside keeps a part for the replay: aside/<part>/<failure>. The first id names
// the part without saying which: owner ids are random, so nobody can guess what was
// hashed. Each failure has an object of its own, so that a replay which has read the
// part before it deletes only what it has seen.
func (i *invocation) setAside(ctx context.Context, owner access.UserID, part string) error {
	item := part
	if !strings.Contains(part, "#") {
		item += "#-" // any block of the day stands for all
	}
	content, err := json.Marshal(map[string]any{"payload": map[string]any{"Records": []any{map[string]any{
		"dynamodb": map[string]any{"SequenceNumber": "0", "Keys": map[string]any{
			"owner": map[string]string{"S": owner.String()}, "item": map[string]string{"S": item}}}}}}})
	if err != nil {
		return fault.Wrap(fault.Internal, "a part's name cannot be encoded", err)
	}
	unique, err := auditlog.NewID(i.now(), i.rand)
	if err != nil {
		return err
	}
	id := sha256.Sum256([]byte(owner.String() + " " + part))
	if err := i.failures.Put(ctx, asidePrefix+hex.EncodeToString(id[:])+"/"+unique, content); err != nil {
		return fault.Wrap(fault.Unavailable, "a part cannot be set aside", err)
	}
	return nil
}

// failure is what is replayed together: one object of Lambda's, or all of project's
// about one part, which say the same.
type failure struct {
	ids   []string // in order
	marks []string // that earlier replays have left: see below
}

// name is what marks call it; a change of it would only lose a mark.
func (f failure) name() string { return unit(f.ids[0]) }

// unit is what an object belongs to.
func unit(id string) string {
	if part, _, ok := strings.Cut(strings.TrimPrefix(id, asidePrefix), "/"); ok && strings.HasPrefix(id, asidePrefix) {
		return asidePrefix + part
	}
	return id
}

// A replay that is ended from outside, by memory or time, says nothing, and each
// would end in the same way with the same failure. So each marks a failure before it
// begins with it, tried/<when>/<name>, and takes the mark away afterwards. What has
// a mark comes last, when all others are done, and of these what was tried longest
// ago comes first: so one that ends the function holds nobody up for long.

func nameOf(mark string) string {
	_, name, _ := strings.Cut(strings.TrimPrefix(mark, triedPrefix), "/")
	return name
}

// stamp is the time of a mark: in the order of time, one length.
const stamp = "2006-01-02T15:04:05.000Z"

// longest is more than an invocation may take: a mark that is younger may be that
// of another replay, at work now.
const longest = 6 * time.Minute

// failed lists what there is to do: what no mark is on, Lambda's first, as most of
// it succeeds once what was down is up; then what ended earlier replays. Marks of
// what is gone are taken away.
func (i *invocation) failed(ctx context.Context) (fresh, tried []failure, err error) {
	marks, err := i.list(ctx, triedPrefix)
	if err != nil {
		return nil, nil, err
	}
	marked := map[string][]string{} // name → marks, the last one last
	for _, mark := range marks {
		marked[nameOf(mark)] = append(marked[nameOf(mark)], mark)
	}
	ended := map[string]failure{}
	for _, prefix := range []string{lambdaPrefix, asidePrefix} {
		ids, err := i.list(ctx, prefix)
		if err != nil {
			return nil, nil, err
		}
		for len(ids) > 0 {
			n := 1
			for n < len(ids) && unit(ids[n]) == unit(ids[0]) {
				n++
			}
			f := failure{ids: ids[:n:n]}
			ids = ids[n:]
			if f.marks = marked[f.name()]; f.marks == nil {
				fresh = append(fresh, f)
			} else {
				ended[f.name()] = f
			}
		}
	}
	young := triedPrefix + i.now().Add(-longest).UTC().Format(stamp)
	for _, mark := range marks {
		name := nameOf(mark)
		f, there := ended[name]
		switch of := marked[name]; {
		case mark != of[len(of)-1] || mark > young:
		case there:
			tried = append(tried, f)
		default:
			if err := i.delete(ctx, of); err != nil {
				return nil, nil, err
			}
		}
	}
	return fresh, tried, nil
}

// list returns all ids with a prefix. They are listed before anything is done: what
// fails meanwhile is for the next replay.
func (i *invocation) list(ctx context.Context, prefix string) (all []string, err error) {
	for after := ""; ; after = all[len(all)-1] {
		ids, err := i.failures.List(ctx, prefix, after)
		if err != nil {
			return nil, fault.Wrap(fault.Unavailable, "failures cannot be listed", err)
		}
		if len(ids) == 0 {
			return all, nil
		}
		all = append(all, ids...)
	}
}

func (i *invocation) delete(ctx context.Context, ids []string) error {
	for _, id := range ids {
		if err := i.failures.Delete(ctx, id); err != nil {
			return fault.Wrap(fault.Unavailable, "a failure cannot be deleted", err)
		}
	}
	return nil
}

// replay does what has failed again, and deletes what succeeds: so days heal by
// themselves.
func (p *projector) replay(ctx context.Context) error {
	i := p.begin(ctx)
	var r replayed
	fresh, tried, err := i.failed(ctx)
	if err == nil {
		err = i.replay(ctx, fresh, &r)
	}
	if err == nil && len(tried) > 0 {
		// Said before it is tried: nobody says so afterwards.
		i.log.LogAttrs(ctx, slog.LevelError, "a replay was ended", append(metrics.Attributes(i.now(), metrics.Alarms.Of(1)),
			slog.String("request", i.request), slog.String("function", "project"),
			slog.Int("failures", len(tried)), slog.Bool("alarm", true))...)
		i.report(ctx, "replay", r.objects, r.strange, metrics.FailuresKept.Of(int64(r.kept)))
		r, i = replayed{}, p.begin(ctx)
		err = i.replay(ctx, tried, &r)
	}
	var more []metrics.Value
	if err != nil {
		i.trouble(ctx, err)
	} else {
		more = append(more, metrics.Succeeded.Of(1))
	}
	i.report(ctx, "replay", r.objects, r.strange, metrics.FailuresKept.Of(int64(r.kept)), more...)
	return err
}

// replayed counts failures, those that stay, and records and objects that nothing
// can be made of: those stay for somebody to look at.
type replayed struct{ objects, kept, strange int }

// replay replays failures, each between putting its mark and taking it away. What
// it does not reach in its time is reached at the next call.
func (i *invocation) replay(ctx context.Context, failures []failure, r *replayed) error {
	for _, f := range failures {
		if !enoughTime(ctx, 2*spare) {
			return nil
		}
		r.objects++
		mark := triedPrefix + i.now().UTC().Format(stamp) + "/" + f.name()
		if err := i.failures.Put(ctx, mark, nil); err != nil {
			return fault.Wrap(fault.Unavailable, "a failure cannot be marked", err)
		}
		if err := i.delete(ctx, slices.DeleteFunc(slices.Clone(f.marks), func(old string) bool { return old == mark })); err != nil {
			return err
		}
		done, strange, err := i.again(ctx, f)
		if r.strange += strange; err == nil && !done {
			r.kept++
		}
		if err := errors.Join(err, i.delete(ctx, []string{mark})); err != nil {
			return err
		}
	}
	return nil
}

// again does a failure's parts again, and returns whether its objects are gone.
func (i *invocation) again(ctx context.Context, f failure) (done bool, strange int, err error) {
	content, err := i.failures.Get(ctx, f.ids[len(f.ids)-1])
	if errors.Is(err, objects.ErrNotFound) { // somebody else was first
		return true, 0, nil
	}
	if err != nil {
		return false, 0, fault.Wrap(fault.Unavailable, "a failure cannot be read", err)
	}
	batch, err := stream.Read(payload(content))
	if err != nil {
		i.trouble(ctx, err)
		return false, 1, nil
	}
	if len(f.marks) > 0 && partsOf(batch) > 1 && batch.Strange == 0 {
		// One of its parts ends the function. From now on each is a failure of its own.
		for _, w := range batch.Works {
			for _, part := range w.Parts {
				if err := i.setAside(ctx, w.Owner, part); err != nil {
					return false, 0, err
				}
			}
		}
		return true, 0, i.delete(ctx, f.ids)
	}
	// What was set aside (again) has an object of its own from now on.
	if failed := i.run(ctx, batch.Works); len(failed) > 0 || batch.Strange > 0 {
		return false, batch.Strange, nil
	}
	return true, 0, i.delete(ctx, f.ids)
}

func partsOf(b *stream.Batch) (n int) {
	for _, w := range b.Works {
		n += len(w.Parts)
	}
	return n
}

// payload is the stream's event in an object. Lambda writes it as a JSON text in
// a string, LocalStack as JSON.
func payload(content []byte) []byte {
	var object struct {
		Payload json.RawMessage `json:"payload"`
	}
	if json.Unmarshal(content, &object) != nil {
		return nil
	}
	var text string
	if json.Unmarshal(object.Payload, &text) == nil {
		return []byte(text)
	}
	return slices.Clone(object.Payload)
}
