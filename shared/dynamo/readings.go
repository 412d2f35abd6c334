package dynamo

import (
	"context"
	"iter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// PutOnce implements intake.Blocks.
func (t Tables) PutOnce(ctx context.Context, owner, name string, sealed []byte, arrived time.Time) error {
	_, err := t.Client.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(t.Readings),
		ConditionExpression: aws.String("attribute_not_exists(#o)"), ExpressionAttributeNames: map[string]string{"#o": "owner"},
		Item: item{"owner": text(owner), "item": text(name), "sealed": bytes(sealed), "arrived": number(arrived.UnixMilli())}})
	if conflicted(err) {
		return nil
	}
	return err
}

// Sealed is one piece of the Readings table.
type Sealed struct {
	Item    string // sort key
	Blob    []byte
	Arrived time.Time // as the table says, whoever wrote it; zero where it does not
}

// Get returns one sealed piece, or false.
func (t Tables) Get(ctx context.Context, owner, name string) ([]byte, bool, error) {
	out, err := t.Client.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(t.Readings), ConsistentRead: aws.Bool(true),
		Key: item{"owner": text(owner), "item": text(name)}})
	if err != nil || out.Item == nil {
		return nil, false, err
	}
	return getBytes(out.Item, "sealed"), true, nil
}

// Between yields an owner's sealed pieces with first ≤ item < end, in order, a
// page of DynamoDB at a time. After an error it ends.
func (t Tables) Between(ctx context.Context, owner, first, end string) iter.Seq2[Sealed, error] {
	return func(yield func(Sealed, error) bool) {
		if first >= end { // DynamoDB refuses bounds in the wrong order
			return
		}
		in := &dynamodb.QueryInput{TableName: aws.String(t.Readings), ConsistentRead: aws.Bool(true),
			KeyConditionExpression:    aws.String("#o = :owner AND #i BETWEEN :first AND :end"),
			ExpressionAttributeNames:  map[string]string{"#o": "owner", "#i": "item"},
			ExpressionAttributeValues: item{":owner": text(owner), ":first": text(first), ":end": text(end)}}
		pages := dynamodb.NewQueryPaginator(t.Client, in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(Sealed{}, err)
				return
			}
			for _, i := range page.Items {
				s := Sealed{Item: getText(i, "item"), Blob: getBytes(i, "sealed")}
				if ms, ok := getNumber(i, "arrived"); ok {
					s.Arrived = time.UnixMilli(ms).UTC()
				}
				if s.Item < end && !yield(s, nil) {
					return
				}
			}
		}
	}
}
