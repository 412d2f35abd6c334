// Package dynamo is DynamoDB: the tables of template.yaml, one file for each.
// Every read is strongly consistent. No error of DynamoDB leaves here with an
// item in it: the SDK's conditional failures are taken apart and dropped.
package dynamo

import (
	"errors"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Tables names the tables; a function names those that its role allows.
type Tables struct {
	Client                                                      *dynamodb.Client
	Accounts, Keys, Readings, Requests, AuditEvents, AuditState string
}

var errShape = errors.New("item does not have the shape that this version writes")

func text(s string) types.AttributeValue  { return &types.AttributeValueMemberS{Value: s} }
func bytes(b []byte) types.AttributeValue { return &types.AttributeValueMemberB{Value: b} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

type item = map[string]types.AttributeValue

// getText, getBytes, getNumber and getSet return an attribute of the right type, or nothing.
func getText(i item, name string) string {
	if v, ok := i[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

func getBytes(i item, name string) []byte {
	if v, ok := i[name].(*types.AttributeValueMemberB); ok {
		return v.Value
	}
	return nil
}

func getNumber(i item, name string) (int64, bool) {
	v, ok := i[name].(*types.AttributeValueMemberN)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(v.Value, 10, 64)
	return n, err == nil
}

func getSet(i item, name string) []string {
	if v, ok := i[name].(*types.AttributeValueMemberSS); ok {
		return v.Value
	}
	return nil
}

// conflicted reports whether a condition failed. The exception itself may carry
// the item that was found, so it goes no further.
func conflicted(err error) bool {
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return true
	}
	var cancelled *types.TransactionCanceledException
	if errors.As(err, &cancelled) {
		for _, r := range cancelled.CancellationReasons {
			if c := aws.ToString(r.Code); c == "ConditionalCheckFailed" || c == "TransactionConflict" {
				return true
			}
		}
	}
	return false
}
