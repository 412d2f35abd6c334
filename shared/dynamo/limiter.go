package dynamo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"fitvault/shared/fault"
	"fitvault/shared/limit"
)

// Limiter implements limit.Limiter on the Requests table: an item "limit#" and the
// charge's key, with an attribute for each bucket and its time to live.
//
// A charge is one conditional write. DynamoDB has no maximum, so the write says of
// each bucket whether it is full ("at most now", set it to now and the cost) or not
// ("after now, and not too far after", add the cost): what containers add at once
// adds up and does not conflict. The times only rise, so what a container saw last is
// still good where it says "not full", and where it says "too far after" the charge is
// refused unasked: a caller who does not stop costs nothing. Where it says "full",
// another container may have been here since: a read, at a fifth of a write's price,
// tells. What happens between read and write fails the write's condition, which
// brings the item as it is, and is said again.
type Limiter struct {
	Tables
	Clock *Clock // the containers' own clocks differ

	mu   sync.Mutex
	seen map[string]limit.State
}

const (
	maxSeen      = 4096             // states in memory, some 200 bytes each
	chargeTries  = 12               // each sees the item newer than the one before it
	chargePause  = time.Millisecond // grows with each try, to some 20 ms: where many containers charge one caller they spread
	maxBuckets   = 9                // of an item, before full ones are cleared away: it must stay within a write unit
	maxCleared   = 40               // at once: an expression has 4 KB, or DynamoDB refuses the charge
	limiterLives = time.Hour        // longer than any bucket takes to be full
)

var errContended = fault.New(fault.Unavailable, "buckets change faster than they can be charged")

// Take implements limit.Limiter.
func (l *Limiter) Take(ctx context.Context, c limit.Charge) (limit.Verdict, error) {
	if err := ctx.Err(); err != nil { // also where nothing is asked
		return limit.Verdict{}, fault.Wrap(fault.Unavailable, "no time left to charge", err)
	}
	if l.perhapsFull(c) {
		if err := l.read(ctx, c.Key); err != nil {
			return limit.Verdict{}, fault.Wrap(fault.Unavailable, "buckets cannot be read", err)
		}
	}
	for try := range chargeTries {
		if !pause(ctx, try) {
			return limit.Verdict{}, fault.Wrap(fault.Unavailable, "no time left to charge", ctx.Err())
		}
		now, state := l.Clock.Now(), l.last(c.Key)
		from, begun := begin(c, state, now, ahead(try))
		next, verdict := limit.Decide(c, begun, now)
		if !verdict.Admitted {
			return verdict, nil
		}
		out, err := l.Client.UpdateItem(ctx, l.update(c, state, next, now, from))
		var failed *types.ConditionalCheckFailedException
		switch {
		case err == nil:
			state := l.remember(c.Key, out.Attributes)
			return limit.Verdict{Admitted: true, Buckets: limit.Buckets(c.Lines, state, now)}, nil
		case errors.As(err, &failed):
			l.remember(c.Key, failed.Item)
		default:
			return limit.Verdict{}, fault.Wrap(fault.Unavailable, "buckets cannot be charged", err)
		}
	}
	return limit.Verdict{}, errContended
}

// pause waits before a try that is not the first or second; false where there is no
// time left.
func pause(ctx context.Context, try int) bool {
	if try < 2 {
		return true
	}
	wait := time.NewTimer(rand.N(chargePause << min(try-1, 5))) //nolint:gosec // spreads, and hides nothing
	defer wait.Stop()
	select {
	case <-wait.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Hold implements limit.Holder: a write for each bucket, which says "unless it is held
// for longer". So two of them, or one and a charge, leave the later time.
func (l *Limiter) Hold(ctx context.Context, key string, ids []string, d time.Duration) error {
	for _, id := range ids {
		now := l.Clock.Now()
		_, err := l.Client.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: aws.String(l.Requests), Key: limitKey(key),
			ConditionExpression: aws.String("attribute_not_exists(#b) OR #b < :full"), UpdateExpression: aws.String("SET #b = :full, #e = :e"),
			ExpressionAttributeNames:  map[string]string{"#b": bucketPrefix + id, "#e": "expires"},
			ExpressionAttributeValues: item{":full": number(limit.Held(now, d)), ":e": number(now.Add(limiterLives).Unix())}})
		if err != nil && !conflicted(err) {
			return fault.Wrap(fault.Unavailable, "a bucket cannot be held", err)
		}
	}
	return nil
}

// ahead is how much later a full bucket is charged from at a try. Where a bucket fills
// faster than a call takes, each of many containers would find it full and changed again;
// from one charge that lies ahead on, they find it not full, and add. The caller pays for
// it with a part of the window that is too small to notice.
func ahead(try int) time.Duration {
	if try < 2 {
		return 0
	}
	return 5 * time.Millisecond << min(try-2, 5)
}

// begin is the time from which a charge's full buckets are charged, and the state in which
// they are full from then on. Where a quota is too small for that it is now.
func begin(c limit.Charge, state limit.State, now time.Time, ahead time.Duration) (time.Time, limit.State) {
	if ahead == 0 {
		return now, state
	}
	from, begun := now.Add(ahead), maps.Clone(state)
	if begun == nil {
		begun = limit.State{}
	}
	for _, line := range c.Lines {
		if begun[line.ID] <= now.UnixMicro() {
			begun[line.ID] = from.UnixMicro()
		}
	}
	if _, verdict := limit.Decide(c, begun, now); !verdict.Admitted {
		return now, state
	}
	return from, begun
}

// perhapsFull reports whether a bucket was full, or not known, when it was seen last.
func (l *Limiter) perhapsFull(c limit.Charge) bool {
	now, state := l.Clock.Now().UnixMicro(), l.last(c.Key)
	return slices.ContainsFunc(c.Lines, func(line limit.Line) bool { return state[line.ID] <= now })
}

// read takes the item as it is. A container's first charge is made after one, so it is
// never made by the container's own clock alone.
func (l *Limiter) read(ctx context.Context, key string) error {
	out, err := l.Client.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(l.Requests), ConsistentRead: aws.Bool(true), Key: limitKey(key)})
	if err != nil {
		return err
	}
	l.remember(key, out.Item)
	return nil
}

func limitKey(key string) item { return item{"key": text("limit#" + key)} }

// update is the write of a charge that state admits at now, full buckets charged from from on.
func (l *Limiter) update(c limit.Charge, state, next limit.State, now, from time.Time) *dynamodb.UpdateItemInput {
	names := map[string]string{"#e": "expires"}
	values := item{":e": number(now.Add(limiterLives).Unix())}
	sets, removes, conditions := []string{"#e = :e"}, []string{}, []string{}
	for i, line := range c.Lines {
		name, cost := fmt.Sprintf("#b%d", i), fmt.Sprintf(":c%d", i)
		names[name] = bucketPrefix + line.ID
		if full := state[line.ID]; full <= now.UnixMicro() {
			sets = append(sets, name+" = "+cost)
			values[cost] = number(next[line.ID])
			// What is set is never less than what it replaces and the charge.
			values[":from"] = number(from.UnixMicro())
			conditions = append(conditions, "(attribute_not_exists("+name+") OR "+name+" <= :from)")
			continue
		}
		values[":now"] = number(now.UnixMicro())
		sets = append(sets, name+" = "+name+" + "+cost)
		values[cost] = number(next[line.ID] - state[line.ID])
		condition := name + " > :now"
		if !c.Owed {
			most := fmt.Sprintf(":m%d", i)
			values[most] = number(now.Add(limit.Window).UnixMicro() - (next[line.ID] - state[line.ID]))
			condition += " AND " + name + " <= " + most
		}
		conditions = append(conditions, condition)
	}
	if len(state) > maxBuckets {
		for _, id := range slices.Sorted(maps.Keys(state)) {
			if name := fmt.Sprintf("#r%d", len(removes)); len(removes) < maxCleared && next[id] == 0 && state[id] <= now.UnixMicro() {
				names[name] = bucketPrefix + id
				removes = append(removes, name)
				values[":now"] = number(now.UnixMicro())
				conditions = append(conditions, "(attribute_not_exists("+name+") OR "+name+" <= :now)")
			}
		}
	}
	expression := "SET " + strings.Join(sets, ", ")
	if len(removes) > 0 {
		expression += " REMOVE " + strings.Join(removes, ", ")
	}
	return &dynamodb.UpdateItemInput{TableName: aws.String(l.Requests), Key: limitKey(c.Key),
		UpdateExpression: aws.String(expression), ConditionExpression: aws.String(strings.Join(conditions, " AND ")),
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
		ReturnValues:                        types.ReturnValueAllNew,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
}

// bucketPrefix keeps buckets apart from the item's other attributes.
const bucketPrefix = "b-"

func (l *Limiter) last(key string) limit.State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen[key]
}

// remember keeps what an item says, which was true at some time: where it is older
// than what is known already, less is refused unasked. What is no time is no bucket.
func (l *Limiter) remember(key string, i item) limit.State {
	state := limit.State{}
	for name := range i {
		if id, ok := strings.CutPrefix(name, bucketPrefix); ok {
			if full, ok := getNumber(i, name); ok {
				state[id] = full
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil || len(l.seen) >= maxSeen {
		l.seen = map[string]limit.State{}
	}
	l.seen[key] = state
	return state
}
