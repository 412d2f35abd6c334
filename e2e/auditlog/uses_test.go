package auditlog

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/auditlog/sequence"
	"fitvault/shared/keyring"
)

// TestKeyUsedWithoutEvent: who has the power of readings opens an owner's key past it, and
// who has another's does: no event tells of it, so the sequencer does, and of what
// people read of their own it does not.
func TestKeyUsedWithoutEvent(t *testing.T) {
	s := stack.Open(t)
	began := time.Now().Add(-time.Second)
	reader, victim := s.Newcomer(t), s.Newcomer(t)
	for _, p := range []*stack.Person{reader, victim} { // the projection opens both
		answer := p.Do(t, http.MethodPost, "/users/me/readings", []byte(`{"header":{"uuid":"00000000-0000-4000-8000-000000000001",
			"schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"},"source_creation_date_time":"2026-05-04T12:00:00Z"},
			"body":{"heart_rate":{"value":60,"unit":"beats/min"},"effective_time_frame":{"date_time":"2026-05-04T10:00:00Z"}}}`), "Content-Type", "application/json")
		require.Equal(t, http.StatusOK, answer.Status, "%s", answer.Body)
	}
	answer := reader.Do(t, http.MethodGet, "/users/me/readings?type=omh:heart-rate", nil)
	require.Equal(t, http.StatusOK, answer.Status, "%s", answer.Body)

	text := func(i map[string]types.AttributeValue, name string) string {
		v, ok := i[name].(*types.AttributeValueMemberS)
		require.True(t, ok, name)
		return v.Value
	}
	keyOf := func(p *stack.Person) map[string]types.AttributeValue {
		items := s.Items(t, s.Output(t, "KeysTable"), "owner", p.ID)
		require.Len(t, items, 1)
		return items[0]
	}
	theirs := keyOf(victim)
	id, wrapped := text(theirs, "key"), theirs["wrapped"].(*types.AttributeValueMemberB).Value
	own := text(keyOf(reader), "key")

	var function struct{ Role string }
	_, settings := s.Request(t, http.MethodGet, "lambda", "/2015-03-31/functions/"+s.Output(t, "ReadingsFunction")+"/configuration", "", nil)
	require.NoError(t, json.Unmarshal(settings, &function))
	session, err := sts.NewFromConfig(s.AWS()).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(function.Role), RoleSessionName: aws.String("stolen")})
	require.NoError(t, err)
	asReadings := s.AWS()
	asReadings.Credentials = credentials.NewStaticCredentialsProvider(aws.ToString(session.Credentials.AccessKeyId), aws.ToString(session.Credentials.SecretAccessKey), aws.ToString(session.Credentials.SessionToken))

	told := map[string]bool{}
	for until := time.Now().Add(2 * time.Minute); len(told) < 2; {
		require.True(t, time.Now().Before(until), "not found within two minutes")
		from := time.Now()
		for _, config := range []aws.Config{asReadings, s.AWS()} {
			_, err := kms.NewFromConfig(config).Decrypt(t.Context(), &kms.DecryptInput{KeyId: aws.String(s.Output(t, "DataKey")), CiphertextBlob: wrapped,
				EncryptionContext: keyring.Context("fitvault", id, keyring.PurposeData)})
			require.NoError(t, err)
		}
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // records are of whole seconds, and only past ones are looked at
		// Of many findings at once only some are named, and other tests plant too: so a short time, again and again.
		s.CompareUses(t, from, time.Now())
		events, err := s.EventsSince(t.Context(), began)
		require.NoError(t, err)
		for _, e := range events {
			if slices.Contains(e.Changes, "key="+id) {
				told[e.Kind] = true
				if e.Kind == sequence.KeyUsedUnlogged {
					require.Contains(t, e.Changes, "function=readings")
				}
			}
		}
	}
	require.Equal(t, map[string]bool{sequence.KeyUsedUnlogged: true, sequence.KeyUsedByOther: true}, told)

	s.CompareUses(t, began, time.Now())
	events, err := s.EventsSince(t.Context(), began)
	require.NoError(t, err)
	for _, e := range events {
		require.NotContains(t, e.Changes, "key="+own, "what its owner has read has its event, and so has what was projected")
		require.False(t, slices.Contains(e.Changes, "key="+id) && slices.Contains(e.Changes, "function=project"), "nor what was projected of the other")
	}
}
