package dynamo

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"fitvault/shared/access"
	"fitvault/shared/fault"
	"fitvault/shared/sentinel"
)

// Watched implements sentinel.Counters on the Requests table: an item "sentinel#" and
// the counter's key. What was seen is a set, to which a name is added that is in it
// already as one that is not: so what is delivered twice counts once, and what
// containers add at once adds up.
type Watched struct {
	Tables
	Now func() time.Time
}

func watchedKey(key string) item { return item{"key": text("sentinel#" + key)} }

// Add implements sentinel.Counters: one write. A full counter fails its condition, which
// brings it as it is.
func (w Watched) Add(ctx context.Context, key string, things []sentinel.Thing, most int, life time.Duration) (sentinel.Counter, error) {
	names := make([][]byte, 0, len(things))
	seen := map[sentinel.Thing]bool{} // a set has none twice
	for _, t := range things {
		if !seen[t] {
			seen[t] = true
			names = append(names, encodeThing(t))
		}
	}
	out, err := w.Client.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: aws.String(w.Requests), Key: watchedKey(key),
		ConditionExpression:      aws.String("attribute_not_exists(#s) OR size(#s) < :most"),
		UpdateExpression:         aws.String("ADD #s :s SET #e = :e"),
		ExpressionAttributeNames: map[string]string{"#s": "seen", "#e": "expires"},
		ExpressionAttributeValues: item{":s": &types.AttributeValueMemberBS{Value: names}, ":most": number(int64(most)),
			":e": number(w.Now().Add(life).Unix())},
		ReturnValues:                        types.ReturnValueAllNew,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld})
	var full *types.ConditionalCheckFailedException
	switch {
	case err == nil:
		return decodeWatched(out.Attributes)
	case errors.As(err, &full):
		return decodeWatched(full.Item)
	}
	return sentinel.Counter{}, fault.Wrap(fault.Unavailable, "a counter cannot be written", err)
}

// encodeThing leaves out a weight of 1, which most have.
func encodeThing(t sentinel.Thing) []byte {
	if t.Weight == 1 {
		return t.Name[:]
	}
	return binary.BigEndian.AppendUint16(t.Name[:], t.Weight)
}

func decodeWatched(i item) (c sentinel.Counter, err error) {
	set, _ := i["seen"].(*types.AttributeValueMemberBS)
	if set == nil {
		return c, errShape
	}
	for _, b := range set.Value {
		switch len(b) {
		case 8:
			c.Sum++
		case 10:
			c.Sum += int(binary.BigEndian.Uint16(b[8:]))
		default:
			return sentinel.Counter{}, errShape
		}
	}
	c.Told = getSet(i, "told")
	return c, nil
}

// Note implements sentinel.Counters.
func (w Watched) Note(ctx context.Context, key, id string) (string, error) {
	out, err := w.Client.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: aws.String(w.Requests), Key: watchedKey(key),
		ConditionExpression: aws.String("attribute_exists(#s)"), UpdateExpression: aws.String("SET #i = if_not_exists(#i, :i)"),
		ExpressionAttributeNames: map[string]string{"#s": "seen", "#i": "finding"}, ExpressionAttributeValues: item{":i": text(id)},
		ReturnValues: types.ReturnValueUpdatedNew})
	if err != nil {
		return "", fault.Wrap(fault.Unavailable, "a finding cannot be written", err)
	}
	return getText(out.Attributes, "finding"), nil
}

// Told implements sentinel.Counters.
func (w Watched) Told(ctx context.Context, key, target string) error {
	_, err := w.Client.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: aws.String(w.Requests), Key: watchedKey(key),
		ConditionExpression: aws.String("attribute_exists(#s)"), UpdateExpression: aws.String("ADD #t :t"),
		ExpressionAttributeNames:  map[string]string{"#s": "seen", "#t": "told"},
		ExpressionAttributeValues: item{":t": &types.AttributeValueMemberSS{Value: []string{target}}}})
	if err != nil {
		return fault.Wrap(fault.Unavailable, "a finding cannot be written", err)
	}
	return nil
}

// OwnerOf implements sentinel.Accounts: of the identity's document it reads whose account
// it is and nothing else, which is all that the sentinel's role may.
func (t Tables) OwnerOf(ctx context.Context, identity string) (string, error) {
	out, err := t.Client.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(t.Accounts), ConsistentRead: aws.Bool(true),
		Key:                      item{"id": text(identity), "document": text(access.CallerDocument)},
		ProjectionExpression:     aws.String("#i, #d, #u"),
		ExpressionAttributeNames: map[string]string{"#i": "id", "#d": "document", "#u": "user"}})
	if err != nil {
		return "", fault.Wrap(fault.Unavailable, "an identity cannot be read", err)
	}
	if _, person := out.Item["user"]; !person { // nobody, or a member of the staff
		return "", nil
	}
	user, err := access.ParseUserID(getText(out.Item, "user"))
	if err != nil {
		return "", errShape
	}
	return user.String(), nil
}
