package dynamo_test

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/dynamo"
	"fitvault/shared/fault"
	"fitvault/shared/sentinel"
	"fitvault/shared/sentinel/sentineltest"
)

func TestWatchedContract(t *testing.T) {
	sentineltest.Contract(t, dynamo.Watched{Tables: deployed(t), Now: time.Now})
}

func TestOwnersContract(t *testing.T) {
	tables := deployed(t)
	sentineltest.AccountsContract(t, tables, func(t *testing.T, identity, user string) {
		caller := map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: identity}, "document": &types.AttributeValueMemberS{Value: access.CallerDocument}}
		if user != "" {
			caller["user"] = &types.AttributeValueMemberS{Value: user}
		}
		_, err := tables.Client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(tables.Accounts), Item: caller})
		require.NoError(t, err)
	})
}

// TestOwnerOf: one attribute is asked for, and what is no user's id is no owner.
func TestOwnerOf(t *testing.T) {
	user, err := access.NewUserID(rand.Reader)
	require.NoError(t, err)
	for name, test := range map[string]struct {
		answer answer
		owner  string
		kind   fault.Kind
	}{
		"a person":      {answer{status: 200, body: `{"Item":{"user":{"S":"` + user.String() + `"}}}`}, user.String(), ""},
		"nobody":        {answer{status: 200, body: `{}`}, "", ""},
		"the staff":     {answer{status: 200, body: `{"Item":{"id":{"S":"identity#a"}}}`}, "", ""},
		"no id":         {answer{status: 200, body: `{"Item":{"user":{"S":"canary"}}}`}, "", fault.Internal},
		"throttled":     {answer{status: 400, body: throttled}, "", fault.Unavailable},
		"no connection": {answer{err: errors.New("canary")}, "", fault.Unavailable},
	} {
		owner, err := stubbed(test.answer).OwnerOf(t.Context(), "identity#a")
		require.Equal(t, test.owner, owner, name)
		if test.kind == "" {
			require.NoError(t, err, name)
			continue
		}
		require.Equal(t, test.kind, fault.KindOf(err), name)
		require.NotContains(t, err.Error(), "canary")
	}
	w := &wire{t: t}
	_, err = w.tables().OwnerOf(t.Context(), "identity#a")
	require.NoError(t, err)
	require.Equal(t, "#i, #d, #u", w.requests[0]["ProjectionExpression"])
}

// TestWatchedFails: what does not answer is no count, and its text goes no further.
func TestWatchedFails(t *testing.T) {
	things := []sentinel.Thing{{Weight: 1}}
	for name, a := range map[string]answer{
		"throttled":     {status: 400, body: throttled},
		"no connection": {err: errors.New("canary")},
	} {
		w := dynamo.Watched{Tables: stubbed(a), Now: time.Now}
		_, err1 := w.Add(t.Context(), "k", things, 1, time.Hour)
		_, err2 := w.Note(t.Context(), "k", "id")
		err3 := w.Told(t.Context(), "k", "t")
		err4 := (&dynamo.Limiter{Tables: w.Tables, Clock: &dynamo.Clock{Own: time.Now}}).Hold(t.Context(), "k", []string{"device"}, time.Minute)
		for _, err := range []error{err1, err2, err3, err4} {
			require.Equal(t, fault.Unavailable, fault.KindOf(err), name)
			require.NotContains(t, err.Error(), "canary")
		}
	}
	for name, body := range map[string]string{
		"nothing":         `{}`,
		"no set":          `{"Attributes":{"seen":{"S":"x"}}}`,
		"a name too long": `{"Attributes":{"seen":{"BS":["AAAAAAAAAAAAAAAA"]}}}`,
	} {
		_, err := dynamo.Watched{Tables: stubbed(answer{status: 200, body: body}), Now: time.Now}.Add(t.Context(), "k", things, 1, time.Hour)
		require.Error(t, err, name)
	}
	require.NoError(t, (&dynamo.Limiter{Tables: stubbed(answer{status: 400, body: failed}), Clock: &dynamo.Clock{Own: time.Now}}).Hold(t.Context(), "k", []string{"device"}, time.Minute),
		"it is held for longer")
}
