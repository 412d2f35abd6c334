package dynamo

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/pairing"
	"fitvault/shared/reading"
	"fitvault/shared/usertext"
)

// size is what DynamoDB counts of a value, in bytes; a number is at most 21.
func size(v types.AttributeValue) (n int) {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberB:
		return len(v.Value)
	case *types.AttributeValueMemberN:
		return min(len(v.Value)/2+2, 21)
	case *types.AttributeValueMemberSS:
		for _, s := range v.Value {
			n += len(s)
		}
		return n
	case *types.AttributeValueMemberM:
		n = 3
		for name, v := range v.Value {
			n += len(name) + size(v) + 1
		}
		return n
	}
	return 1
}

// TestLargestOwner: the document that is read with every request is bounded by what an
// account may have, with every name as long as it may be.
func TestLargestOwner(t *testing.T) {
	at := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	permit := func(types int) access.Permit {
		p := access.Permit{Read: true, Write: true, Use: access.Training, From: at, Until: at.Add(time.Hour)}
		for i := range types {
			p.Types = append(p.Types, reading.Type{Namespace: "ieee", Name: fmt.Sprintf("physical-activit%d", i)})
		}
		return p
	}
	object := func(i item) types.AttributeValue { return &types.AttributeValueMemberM{Value: i} }
	owner := func(typesOfGrants, typesOfApps int) types.AttributeValue {
		grants, apps, trackers, consents := item{}, item{}, item{}, item{}
		for i := range access.MaxGrants {
			g := encodePermit(permit(typesOfGrants))
			g["to"] = text(access.OrganisationPrefix + strings.Repeat("o", 41))
			grants[fmt.Sprintf("%026d", i)] = object(g)
		}
		for i := range access.MaxApps {
			apps[fmt.Sprintf("%0128d", i)] = object(encodePermit(permit(typesOfApps)))
		}
		for i := range access.MaxTrackers {
			trackers[fmt.Sprintf("%064d", i)] = encodeTracker(access.Tracker{Pairing: strings.Repeat("p", 26), Key: make([]byte, pairing.KeySize),
				Name: strings.Repeat("\U0001F3C3", usertext.MaxName), State: access.Active, Since: at})
		}
		for _, purpose := range []access.Purpose{access.Collection, access.Sharing, access.Research} {
			consents[string(purpose)] = encodeConsent(access.Consent{Version: "99", Given: true, Time: at, Locale: "en-GB", How: strings.Repeat("c", 128)})
		}
		return object(item{"id": text("user#" + strings.Repeat("u", 26)), "document": text("owner"), "state": text("active"), "data_key": text(strings.Repeat("k", 43)),
			"pseudonym": text(strings.Repeat("p", 36)), "consents": object(consents), "grants": object(grants), "apps": object(apps), "trackers": object(trackers),
			"settings": object(item{"signed": &types.AttributeValueMemberBOOL{Value: true}, "sealed": encodeTypes(permit(access.MaxTypes).Types)})})
	}
	each := access.MaxTypesInAll / (access.MaxGrants + access.MaxApps)
	require.LessOrEqual(t, size(owner(each, each)), 16<<10)
	require.LessOrEqual(t, size(owner(access.MaxTypes, access.MaxTypes)), 28<<10, "by many at once")
}
