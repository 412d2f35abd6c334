package dynamo

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"fitvault/shared/auditlog"
	"fitvault/shared/auditlog/record"
	"fitvault/shared/auditlog/sequence"
)

// AuditState is the table of what the audit log has beside its bucket: the head;
// of each subject the pseudonym and the wrapped key, found by the name and by the
// pseudonym; and which leaves concern whom. A subject who is erased has neither.
//
//	head                    head            size, root, taken, published
//	read                    read            how far each shard of the stream of Readings was compared
//	uses                    uses            up to when the uses of the owners' key were compared
//	subject#NAME            key             pseudonym
//	pseudonym#PSEUDONYM     key             name, wrapped
//	pseudonym#PSEUDONYM     leaf#INDEX      –
type AuditState struct{ Tables }

const (
	headID          = "head"
	readDocument    = "read"
	usesDocument    = "uses"
	keyDocument     = "key"
	subjectPrefix   = "subject#"
	pseudonymPrefix = "pseudonym#"
	leafPrefix      = "leaf#"
)

func (t AuditState) state(ctx context.Context, id, document string) (item, error) {
	out, err := t.Client.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(t.Tables.AuditState), ConsistentRead: aws.Bool(true),
		Key: item{"id": text(id), "document": text(document)}})
	if err != nil {
		return nil, err
	}
	return out.Item, nil
}

// Head implements sequence.Heads.
func (t AuditState) Head(ctx context.Context) (sequence.Head, error) {
	i, err := t.state(ctx, headID, headID)
	if err != nil || i == nil {
		return sequence.Head{}, err
	}
	size, ok1 := getNumber(i, "size")
	taken, ok2 := getNumber(i, "taken")
	published, ok3 := getNumber(i, "published")
	root := getBytes(i, "root")
	if !ok1 || !ok2 || !ok3 || len(root) != tlog.HashSize || size < 0 {
		return sequence.Head{}, errShape
	}
	return sequence.Head{Tree: tlog.Tree{N: size, Hash: tlog.Hash(root)}, Taken: time.UnixMilli(taken).UTC(), Published: published}, nil
}

// Move implements sequence.Heads by one conditional write.
func (t AuditState) Move(ctx context.Context, old, next sequence.Head) error {
	in := &dynamodb.PutItemInput{TableName: aws.String(t.Tables.AuditState), ConditionExpression: aws.String("attribute_not_exists(id)"),
		Item: item{"id": text(headID), "document": text(headID), "size": number(next.Tree.N), "root": bytes(next.Tree.Hash[:]),
			"taken": number(next.Taken.UnixMilli()), "published": number(next.Published)}}
	if !old.Taken.IsZero() {
		in.ConditionExpression = aws.String("#s = :size AND #r = :root AND #t = :taken AND #p = :published")
		in.ExpressionAttributeNames = map[string]string{"#s": "size", "#r": "root", "#t": "taken", "#p": "published"}
		in.ExpressionAttributeValues = item{":size": number(old.Tree.N), ":root": bytes(old.Tree.Hash[:]), ":taken": number(old.Taken.UnixMilli()), ":published": number(old.Published)}
	}
	_, err := t.Client.PutItem(ctx, in)
	if conflicted(err) {
		return t.movedTo(ctx, next)
	}
	return err
}

// movedTo tells a move that was made, and whose answer was lost before the client
// tried it again, from another sequencer's.
func (t AuditState) movedTo(ctx context.Context, next sequence.Head) error {
	if now, err := t.Head(ctx); err == nil && now.Tree == next.Tree && now.Published == next.Published && now.Taken.Equal(next.Taken) {
		return nil
	}
	return sequence.ErrMoved
}

// Subject implements sequence.Subjects.
func (t AuditState) Subject(ctx context.Context, name string, fresh func() (record.Pseudonym, []byte, error)) (record.Pseudonym, []byte, error) {
	p, wrapped, err := t.subject(ctx, name)
	if !errors.Is(err, sequence.ErrNotFound) {
		return p, wrapped, err
	}
	if p, wrapped, err = fresh(); err != nil {
		return p, nil, err
	}
	absent := aws.String("attribute_not_exists(id)")
	_, err = t.Client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
		{Put: &types.Put{TableName: aws.String(t.Tables.AuditState), ConditionExpression: absent,
			Item: item{"id": text(subjectPrefix + name), "document": text(keyDocument), "pseudonym": text(p.String())}}},
		{Put: &types.Put{TableName: aws.String(t.Tables.AuditState), ConditionExpression: absent,
			Item: item{"id": text(pseudonymPrefix + p.String()), "document": text(keyDocument), "name": text(name), "wrapped": bytes(wrapped)}}},
	}})
	if conflicted(err) { // another sequencer's is stored, or this one's is and its answer was lost
		return t.subject(ctx, name)
	}
	return p, wrapped, err
}

func (t AuditState) subject(ctx context.Context, name string) (p record.Pseudonym, wrapped []byte, err error) {
	i, err := t.state(ctx, subjectPrefix+name, keyDocument)
	if err != nil {
		return p, nil, err
	}
	if i == nil {
		return p, nil, sequence.ErrNotFound
	}
	if p, err = record.ParsePseudonym(getText(i, "pseudonym")); err != nil {
		return p, nil, errShape
	}
	_, wrapped, err = t.Key(ctx, p)
	return p, wrapped, err
}

// Pseudonym is a subject's; sequence.ErrNotFound of whom no event concerns.
func (t AuditState) Pseudonym(ctx context.Context, name string) (record.Pseudonym, error) {
	p, _, err := t.subject(ctx, name)
	return p, err
}

// Key implements sequence.Subjects.
func (t AuditState) Key(ctx context.Context, p record.Pseudonym) (name string, wrapped []byte, err error) {
	i, err := t.state(ctx, pseudonymPrefix+p.String(), keyDocument)
	if err != nil {
		return "", nil, err
	}
	if i == nil {
		return "", nil, sequence.ErrNotFound
	}
	return getText(i, "name"), getBytes(i, "wrapped"), nil
}

func leafDocument(index int64) string { return fmt.Sprintf("%s%020d", leafPrefix, index) }

// atOnce is how many requests of one run are under way.
const atOnce = 16

// Index implements sequence.Subjects. Of somebody who is erased just then a note
// may be left: leaves' numbers under a pseudonym that is nobody's.
func (t AuditState) Index(ctx context.Context, leaves map[record.Pseudonym][]int64) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for p, indexes := range leaves {
		if _, _, err := t.Key(ctx, p); errors.Is(err, sequence.ErrNotFound) {
			continue
		} else if err != nil {
			return errors.Join(err, group.Wait())
		}
		for _, index := range indexes {
			group.Go(func() error {
				_, err := t.Client.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(t.Tables.AuditState),
					Item: item{"id": text(pseudonymPrefix + p.String()), "document": text(leafDocument(index))}})
				return err
			})
		}
	}
	return group.Wait()
}

// Leaves is the indexes of at most limit leaves that concern a subject, those
// before one, the newest first.
func (t AuditState) Leaves(ctx context.Context, p record.Pseudonym, before int64, limit int) (all []int64, err error) {
	out, err := t.Client.Query(ctx, &dynamodb.QueryInput{TableName: aws.String(t.Tables.AuditState), ConsistentRead: aws.Bool(true), ScanIndexForward: aws.Bool(false),
		Limit: aws.Int32(int32(limit)), KeyConditionExpression: aws.String("#i = :id AND #d BETWEEN :first AND :last"), //nolint:gosec // a page's size
		ExpressionAttributeNames:  map[string]string{"#i": "id", "#d": "document"},
		ExpressionAttributeValues: item{":id": text(pseudonymPrefix + p.String()), ":first": text(leafPrefix), ":last": text(leafDocument(before - 1))}})
	if err != nil {
		return nil, err
	}
	for _, i := range out.Items {
		index, err := strconv.ParseInt(strings.TrimPrefix(getText(i, "document"), leafPrefix), 10, 64)
		if err != nil {
			return nil, errShape
		}
		all = append(all, index)
	}
	return all, nil
}

// ended stands in the place of time and position where a shard was read to its end.
const ended = "ended"

// Places implements sequence.Places.
func (t AuditState) Places(ctx context.Context) (map[string]sequence.Place, error) {
	i, err := t.state(ctx, readDocument, readDocument)
	if err != nil || i == nil {
		return nil, err
	}
	shards, ok := i["shards"].(*types.AttributeValueMemberM)
	if !ok {
		return nil, errShape
	}
	places := map[string]sequence.Place{}
	for shard := range shards.Value {
		what := getText(shards.Value, shard)
		if what == ended {
			places[shard] = sequence.Place{Ended: true}
			continue
		}
		seen, after, _ := strings.Cut(what, " ")
		at, err := strconv.ParseInt(seen, 10, 64)
		if err != nil {
			return nil, errShape
		}
		places[shard] = sequence.Place{After: after, Seen: time.Unix(at, 0).UTC()}
	}
	return places, nil
}

// Keep implements sequence.Places. Of the shards of a day an item has room for some
// thousands.
func (t AuditState) Keep(ctx context.Context, places map[string]sequence.Place) error {
	shards := item{}
	for shard, place := range places {
		what := fmt.Sprintf("%d %s", place.Seen.Unix(), place.After)
		if place.Ended {
			what = ended
		}
		shards[shard] = text(what)
	}
	_, err := t.Client.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(t.Tables.AuditState),
		Item: item{"id": text(readDocument), "document": text(readDocument), "shards": &types.AttributeValueMemberM{Value: shards}}})
	return err
}

// Compared implements sequence.Compared.
func (t AuditState) Compared(ctx context.Context) (time.Time, error) {
	i, err := t.state(ctx, usesDocument, usesDocument)
	if err != nil || i == nil {
		return time.Time{}, err
	}
	at, ok := getNumber(i, "compared")
	if !ok {
		return time.Time{}, errShape
	}
	return time.Unix(at, 0).UTC(), nil
}

// KeepCompared implements sequence.Compared.
func (t AuditState) KeepCompared(ctx context.Context, upTo time.Time) error {
	_, err := t.Client.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(t.Tables.AuditState),
		Item: item{"id": text(usesDocument), "document": text(usesDocument), "compared": number(upTo.Unix())}})
	return err
}

// StoredEvents is the AuditEvents table as a sequencer reads it.
type StoredEvents struct {
	Tables
	Now func() time.Time
}

// keepTaken is how long an event stays after it was taken (design.md, "Tables and
// buckets"). One that was not taken stays.
const keepTaken = 35 * 24 * time.Hour

// shards is how many partitions a day has (auditlog.Shard).
const shards = 256

// Between implements sequence.Events. Partitions are read side by side, page by page:
// what is held is no more than their pages.
func (t StoredEvents) Between(ctx context.Context, from, to time.Time) iter.Seq2[sequence.Stored, error] {
	return func(yield func(sequence.Stored, error) bool) {
		ctx, stop := context.WithCancel(ctx)
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(atOnce)
		pages := make(chan []sequence.Stored)
		var failure error // until pages is closed
		go func() {
			first, last := auditlog.LeastID(from), auditlog.LeastID(to)
			for day := from.UTC().Truncate(24 * time.Hour); day.Before(to); day = day.Add(24 * time.Hour) {
				for shard := range shards {
					group.Go(func() error {
						return t.shard(ctx, fmt.Sprintf("%s#%02x", day.Format(time.DateOnly), shard), first, last, pages)
					})
				}
			}
			failure = group.Wait()
			close(pages)
		}()
		defer func() { // who has enough waits for what is under way
			stop()
			for range pages { //nolint:revive // nobody wants them
			}
		}()
		for page := range pages {
			for _, s := range page {
				if !yield(s, nil) {
					return
				}
			}
		}
		if failure != nil {
			yield(sequence.Stored{}, failure)
		}
	}
}

func (t StoredEvents) shard(ctx context.Context, shard, first, last string, to chan<- []sequence.Stored) error {
	if first >= last {
		return nil
	}
	pages := dynamodb.NewQueryPaginator(t.Client, &dynamodb.QueryInput{TableName: aws.String(t.AuditEvents), ConsistentRead: aws.Bool(true),
		KeyConditionExpression:    aws.String("#s = :shard AND #i BETWEEN :first AND :last"),
		ExpressionAttributeNames:  map[string]string{"#s": "shard", "#i": "id"},
		ExpressionAttributeValues: item{":shard": text(shard), ":first": text(first), ":last": text(last)}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		var found []sequence.Stored
		for _, i := range page.Items {
			if getText(i, "id") < last {
				found = append(found, decodeStored(i))
			}
		}
		select {
		case to <- found:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// decodeStored is an item of the AuditEvents table as it is: what is no event, or
// an event in another's place, is Strange.
func decodeStored(i item) sequence.Stored {
	s := sequence.Stored{Key: sequence.Key{Shard: getText(i, "shard"), ID: getText(i, "id")}}
	var err error
	if s.Event, err = DecodeEvent(i); err != nil || auditlog.Shard(s.ID, s.Event.Time) != s.Shard {
		at, _ := auditlog.TimeOf(s.ID)
		s.Strange = true
		s.Event = auditlog.Event{ID: s.ID, Time: at, Function: "sequencer", Action: "audit.write", Outcome: auditlog.Alarm, Kind: sequence.EventAltered}
	}
	if index, ok := getNumber(i, "leaf"); ok {
		s.Mark = &sequence.Mark{Key: s.Key, Index: index, Mac: slices.Clone(getBytes(i, "mark"))}
	}
	return s
}

// Mark implements sequence.Events. An event that is gone is not brought back. What only
// the sentinel asked for goes with it.
func (t StoredEvents) Mark(ctx context.Context, marks []sequence.Mark) error {
	expires := number(t.Now().Add(keepTaken).Unix())
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, m := range marks {
		group.Go(func() error {
			_, err := t.Client.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: aws.String(t.AuditEvents), Key: item{"shard": text(m.Shard), "id": text(m.ID)},
				ConditionExpression: aws.String("attribute_exists(#i)"), UpdateExpression: aws.String("SET #l = :leaf, #m = :mark, #e = :expires REMOVE #c, #s, #a, #r"),
				ExpressionAttributeNames: map[string]string{"#i": "id", "#l": "leaf", "#m": "mark", "#e": "expires",
					"#c": "charged", "#s": "sign-in", "#a": "address", "#r": "rejected"},
				ExpressionAttributeValues: item{":leaf": number(m.Index), ":mark": bytes(m.Mac), ":expires": expires}})
			if noRoom(err) { // nothing of ours is so large
				_, err = t.Client.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(t.AuditEvents),
					Item:                item{"shard": text(m.Shard), "id": text(m.ID), "leaf": number(m.Index), "mark": bytes(m.Mac), "expires": expires},
					ConditionExpression: aws.String("attribute_exists(#i)"), ExpressionAttributeNames: map[string]string{"#i": "id"}})
			}
			if conflicted(err) {
				return nil
			}
			return err
		})
	}
	return group.Wait()
}

// noRoom reports whether an item would be larger than DynamoDB's 400 KB by a write. There
// is no code for it, only words.
func noRoom(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "ValidationException" && strings.Contains(api.ErrorMessage(), "tem size")
}
