package bench

import (
	"context"
	"errors"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"
)

// Meter asks DynamoDB what each call took, and weighs the items that are put.
type Meter struct {
	mu    sync.Mutex
	calls []Call
}

// Call is one call of DynamoDB.
type Call struct {
	Operation string // PutItem, UpdateItem, GetItem or Query
	Table     string
	Units     float64 // capacity that DynamoDB says it took
	Bytes     int     // of the item that was put, by AWS's rule for sizes
}

// Calls is the calls since the last time, and forgets them.
func (m *Meter) Calls() []Call {
	m.mu.Lock()
	defer m.mu.Unlock()
	calls := m.calls
	m.calls = nil
	return calls
}

// Client is a client of DynamoDB with the meter on it.
func (m *Meter) Client(config aws.Config) *dynamodb.Client {
	ask := middleware.InitializeMiddlewareFunc("capacity", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		switch p := in.Parameters.(type) {
		case *dynamodb.PutItemInput:
			p.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
		case *dynamodb.UpdateItemInput:
			p.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
		case *dynamodb.GetItemInput:
			p.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
		case *dynamodb.QueryInput:
			p.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
		}
		out, metadata, err := next.HandleInitialize(ctx, in)
		var failed *types.ConditionalCheckFailedException
		switch {
		case err == nil:
			m.note(in.Parameters, out.Result)
		case errors.As(err, &failed): // it is billed as if it had been written, and does not say so
			m.refused(in.Parameters, failed.Item)
		}
		return out, metadata, err
	})
	return dynamodb.NewFromConfig(config, func(o *dynamodb.Options) {
		o.APIOptions = append(o.APIOptions, func(s *middleware.Stack) error { return s.Initialize.Add(ask, middleware.After) })
	})
}

func (m *Meter) refused(in any, found map[string]types.AttributeValue) {
	if u, ok := in.(*dynamodb.UpdateItemInput); ok {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.calls = append(m.calls, Call{Operation: "UpdateItem", Table: aws.ToString(u.TableName), Units: float64(1 + ItemBytes(found)/1024)})
	}
}

func (m *Meter) note(in, out any) {
	var c Call
	var took *types.ConsumedCapacity
	switch out := out.(type) {
	case *dynamodb.PutItemOutput:
		c, took = Call{Operation: "PutItem", Bytes: ItemBytes(in.(*dynamodb.PutItemInput).Item)}, out.ConsumedCapacity
	case *dynamodb.UpdateItemOutput:
		c, took = Call{Operation: "UpdateItem"}, out.ConsumedCapacity
	case *dynamodb.GetItemOutput:
		c, took = Call{Operation: "GetItem"}, out.ConsumedCapacity
	case *dynamodb.QueryOutput:
		c, took = Call{Operation: "Query"}, out.ConsumedCapacity
	default:
		return
	}
	if took != nil {
		c.Table, c.Units = aws.ToString(took.TableName), aws.ToFloat64(took.CapacityUnits)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, c)
}

// ItemOverhead is what DynamoDB bills for an item beside its attributes, where
// storage is billed (not capacity).
const ItemOverhead = 100

// ItemBytes is the size of an item as AWS counts it ("DynamoDB Item sizes and
// formats"): names and texts in UTF-8, binaries as they are, of a number one
// byte for two digits and one more.
func ItemBytes(item map[string]types.AttributeValue) int {
	n := 0
	for name, v := range item {
		n += len(name) + valueBytes(v)
	}
	return n
}

func valueBytes(v types.AttributeValue) int {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberB:
		return len(v.Value)
	case *types.AttributeValueMemberN:
		return (len(v.Value)+1)/2 + 1
	case *types.AttributeValueMemberL: // three bytes, and one for each element
		n := 3
		for _, element := range v.Value {
			n += 1 + valueBytes(element)
		}
		return n
	default:
		panic("bench: fitvault puts no items with other attributes on the way of a request")
	}
}
