package dynamo

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"fitvault/shared/access"
	"fitvault/shared/fault"
)

// PutMemberships replaces an identity's roles and organisations, both whole, in one
// write. A person must have an account, else ErrConflict; a member of the staff gets
// a document where he has none, and never that of somebody with an account.
func (t Tables) PutMemberships(ctx context.Context, issuer, subject string, person bool, roles []access.Role, organisations []string) error {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	values := item{}
	var set, remove []string
	for name, list := range map[string][]string{"#r": names, "#o": organisations} {
		if len(list) == 0 { // DynamoDB has no empty sets
			remove = append(remove, name)
			continue
		}
		value := ":" + name[1:]
		set, values[value] = append(set, name+" = "+value), &types.AttributeValueMemberSS{Value: list}
	}
	var update []string
	if len(set) > 0 {
		update = append(update, "SET "+strings.Join(set, ", "))
	}
	if len(remove) > 0 {
		update = append(update, "REMOVE "+strings.Join(remove, ", "))
	}
	condition := "attribute_not_exists(#u)"
	if person {
		condition = "attribute_exists(#u)"
	}
	in := &dynamodb.UpdateItemInput{
		TableName:                aws.String(t.Accounts),
		Key:                      item{"id": text(access.IdentityKey(issuer, subject)), "document": text(access.CallerDocument)},
		UpdateExpression:         aws.String(strings.Join(update, " ")),
		ConditionExpression:      aws.String(condition),
		ExpressionAttributeNames: map[string]string{"#r": "roles", "#o": "organisations", "#u": "user"},
	}
	if len(values) > 0 {
		in.ExpressionAttributeValues = values
	}
	switch _, err := t.Client.UpdateItem(ctx, in); {
	case err == nil:
		return nil
	case conflicted(err):
		return ErrConflict
	default:
		return fault.Wrap(fault.Unavailable, "roles cannot be stored", err)
	}
}
