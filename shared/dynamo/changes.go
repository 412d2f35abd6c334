package dynamo

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"fitvault/shared/auditlog/sequence"
)

// Changes is the stream of the Readings table, which has keys only: nobody sees by it
// what is stored. Lambda feeds project from it; more than two readers it does not bear.
type Changes struct {
	Client *dynamodbstreams.Client
	ARN    string // of the stream
}

const (
	// perCall is how many records one answer of the stream has at most.
	perCall = 1000

	// quiet is how many empty answers end the reading of an open shard. They can come
	// before records as well (DynamoDB API, GetRecords), and nothing tells the two apart.
	// A closed one is read until it says that it has ended, or for so long that it never will.
	quiet, silent = 5, 1000
)

// Shards implements sequence.Changes.
func (c Changes) Shards(ctx context.Context) (shards []sequence.Shard, err error) {
	in := &dynamodbstreams.DescribeStreamInput{StreamArn: aws.String(c.ARN)}
	for {
		out, err := c.Client.DescribeStream(ctx, in)
		if err != nil {
			return nil, notKept(err)
		}
		d := out.StreamDescription
		if d == nil {
			return nil, errShape
		}
		if d.StreamStatus == types.StreamStatusDisabled || d.StreamStatus == types.StreamStatusDisabling {
			return nil, sequence.ErrNotFound
		}
		for _, s := range d.Shards {
			shards = append(shards, sequence.Shard{Name: aws.ToString(s.ShardId), Closed: s.SequenceNumberRange != nil && s.SequenceNumberRange.EndingSequenceNumber != nil})
		}
		if aws.ToString(d.LastEvaluatedShardId) == "" {
			return shards, nil
		}
		in.ExclusiveStartShardId = d.LastEvaluatedShardId
	}
}

// Since implements sequence.Changes.
func (c Changes) Since(ctx context.Context, shard sequence.Shard, position string, limit int) (changes []sequence.Change, ended bool, err error) {
	in := &dynamodbstreams.GetShardIteratorInput{StreamArn: aws.String(c.ARN), ShardId: aws.String(shard.Name), ShardIteratorType: types.ShardIteratorTypeTrimHorizon}
	if position != "" {
		in.ShardIteratorType, in.SequenceNumber = types.ShardIteratorTypeAfterSequenceNumber, aws.String(position)
	}
	begun, err := c.Client.GetShardIterator(ctx, in)
	if err != nil {
		return nil, false, notKept(err)
	}
	iterator, enough := begun.ShardIterator, quiet
	if shard.Closed {
		enough = silent
	}
	for empty := 0; len(changes) < limit && empty < enough; {
		out, err := c.Client.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: iterator,
			Limit: aws.Int32(int32(min(perCall, limit-len(changes))))}) //nolint:gosec // at most perCall
		if err != nil {
			return nil, false, notKept(err)
		}
		if empty++; len(out.Records) > 0 {
			empty = 0
		}
		for _, r := range out.Records {
			change, err := changeOf(r)
			if err != nil {
				return nil, false, err
			}
			changes = append(changes, change)
		}
		if iterator = out.NextShardIterator; iterator == nil {
			return changes, true, nil
		}
	}
	return changes, false, nil
}

func changeOf(r types.Record) (sequence.Change, error) {
	d := r.Dynamodb
	if d == nil || d.SequenceNumber == nil || d.ApproximateCreationDateTime == nil {
		return sequence.Change{}, errShape
	}
	key := func(name string) string {
		if v, ok := d.Keys[name].(*types.AttributeValueMemberS); ok {
			return v.Value
		}
		return ""
	}
	return sequence.Change{Owner: key("owner"), Item: key("item"), Time: d.ApproximateCreationDateTime.UTC(),
		Stored: r.EventName == types.OperationTypeInsert, Position: *d.SequenceNumber}, nil
}

// notKept is sequence.ErrNotFound of a stream, a shard or a position that is not there any more.
func notKept(err error) error {
	var gone *types.ResourceNotFoundException
	var trimmed *types.TrimmedDataAccessException
	if errors.As(err, &gone) || errors.As(err, &trimmed) {
		return sequence.ErrNotFound
	}
	return err
}
