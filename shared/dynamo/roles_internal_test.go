package dynamo

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
)

// FuzzDecodeCaller: whoever can write a caller's document cannot take a function down
// with it, and what is read is what a conditional write compares.
func FuzzDecodeCaller(f *testing.F) {
	f.Add("administrator", "maker", "clinic", "identity#a", int64(1778477100))
	f.Add("auditor", "", "", "identity#a", int64(-1))
	f.Add("administrator", "auditor", "A b", "", int64(0))
	f.Add("", "", "clinic", "identity#a", int64(1<<62))
	f.Fuzz(func(t *testing.T, first, second, organisation, by string, until int64) {
		set := func(names ...string) types.AttributeValue { return &types.AttributeValueMemberSS{Value: names} }
		i := item{"roles": set(first), "organisations": set(organisation), "proposal": &types.AttributeValueMemberM{Value: item{
			"by": text(by), "until": number(until), "organisations": set(organisation)}}}
		if second != "" {
			i["roles"] = set(first, second)
		}
		if first == "" {
			delete(i, "roles")
		}
		caller, err := decodeCaller(i)
		if err != nil {
			require.Equal(t, fault.Internal, fault.KindOf(err))
			return
		}
		again, err := decodeCaller(encodeMemberships(caller))
		require.NoError(t, err)
		require.Equal(t, caller, again)
	})
}
