package attack

import "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

// text is an attribute that is a string, or "".
func text(v types.AttributeValue) string {
	if s, ok := v.(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}
