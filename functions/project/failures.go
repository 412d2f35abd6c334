package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"fitvault/shared/access"
	"fitvault/shared/fault"
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

// Where the two kinds are.
const (
	lambdaPrefix = "aws/lambda/"
	asidePrefix  = "aside/"
)

// setAside keeps a part for the replay. Its id names the part without saying
// which: owner ids are random, so nobody can guess what was hashed. A part that
// fails often is kept once.
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
	id := sha256.Sum256([]byte(owner.String() + " " + part))
	if err := i.failures.Put(ctx, asidePrefix+hex.EncodeToString(id[:]), content); err != nil {
		return fault.Wrap(fault.Unavailable, "a part cannot be set aside", err)
	}
	return nil
}

// replay does what has failed again, and deletes what succeeds: so days heal by
// themselves. An object stays as long as one of its parts fails. Lambda's come
// first: most of them succeed once what was down is up.
func (p *projector) replay(ctx context.Context) error {
	i := p.begin(ctx)
	var r replayed
	var err error
	for _, prefix := range []string{lambdaPrefix, asidePrefix} {
		if err = i.replay(ctx, prefix, &r); err != nil {
			i.trouble(ctx, err)
			break
		}
	}
	i.report(ctx, "replay", r.objects, r.kept, r.strange)
	return err
}

// replayed counts objects, those that stay, and records and objects that nothing
// can be made of: those stay for somebody to look at.
type replayed struct{ objects, kept, strange int }

// replay replays the objects with a prefix. What it does not reach in its time is
// reached at the next call: each begins with the first, and what has succeeded is
// gone by then.
func (i *invocation) replay(ctx context.Context, prefix string, r *replayed) error {
	for after := ""; ; {
		ids, err := i.failures.List(ctx, prefix, after)
		if err != nil {
			return fault.Wrap(fault.Unavailable, "failures cannot be listed", err)
		}
		if len(ids) == 0 {
			return nil
		}
		for _, id := range ids {
			if !enoughTime(ctx, 2*spare) {
				return nil
			}
			r.objects++
			done, strange, err := i.again(ctx, id)
			if err != nil {
				return err
			}
			if r.strange += strange; !done {
				r.kept++
			}
		}
		after = ids[len(ids)-1]
	}
}

// again does one object's parts again, and returns whether the object is gone.
func (i *invocation) again(ctx context.Context, id string) (done bool, strange int, err error) {
	content, err := i.failures.Get(ctx, id)
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
	before := i.counts.aside.Load()
	failed := i.run(ctx, batch.Works)
	// What one of Lambda's objects set aside has an object of its own from now on.
	again := strings.HasPrefix(id, asidePrefix) && i.counts.aside.Load() > before
	if len(failed) > 0 || again || batch.Strange > 0 {
		return false, batch.Strange, nil
	}
	if err := i.failures.Delete(ctx, id); err != nil {
		return false, 0, fault.Wrap(fault.Unavailable, "a failure cannot be deleted", err)
	}
	return true, 0, nil
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
