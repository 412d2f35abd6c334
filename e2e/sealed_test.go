package e2e

import (
	"crypto/ecdsa"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/dynamo"
	"fitvault/shared/keyring"
	"fitvault/shared/kmskeys"
	"fitvault/shared/vault"
)

// deployment is the template's parameter of that name.
const deployment = "fitvault"

// behind is the tables and keys of the stack, as somebody has them who may do
// everything: what no function may.
type behind struct {
	dynamo.Tables
	*keyring.Ring
	verify *ecdsa.PublicKey // of enrol's signatures
}

func newBehind(t *testing.T, s *stack.Stack) behind {
	t.Helper()
	tables := dynamo.Tables{Client: dynamodb.NewFromConfig(s.AWS()), Accounts: s.Output(t, "AccountsTable"), Keys: s.Output(t, "KeysTable"),
		Readings: s.Output(t, "ReadingsTable"), Requests: s.Output(t, "RequestsTable"), AuditEvents: s.Output(t, "AuditEventsTable")}
	keys := kmskeys.Keys{Client: kms.NewFromConfig(s.AWS()), ARNs: map[string]string{
		keyring.PurposeData: s.Output(t, "DataKey"), keyring.PurposeWriter: s.Output(t, "WriterKey"),
		keyring.PurposeRequests: s.Output(t, "ServiceKey"), keyring.PurposeEnrolment: s.Output(t, "EnrolmentKey")}}
	verify, err := keys.PublicKey(t.Context(), keyring.PurposeEnrolment)
	require.NoError(t, err)
	return behind{tables, &keyring.Ring{Deployment: deployment, Store: tables, KMS: keys, Verify: verify, Hold: time.Minute, Now: time.Now}, verify}
}

// blocks is an owner's sealed pieces, by sort key.
func (b behind) blocks(t *testing.T, owner string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for sealed, err := range b.Between(t.Context(), owner, "0", "~") {
		require.NoError(t, err)
		all[sealed.Item] = sealed.Blob
	}
	return all
}

// overwrite puts a piece where somebody who can write the table would.
func (b behind) overwrite(t *testing.T, owner, item string, sealed []byte) {
	t.Helper()
	_, err := b.Client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(b.Readings), Item: map[string]types.AttributeValue{
		"owner": &types.AttributeValueMemberS{Value: owner}, "item": &types.AttributeValueMemberS{Value: item},
		"sealed": &types.AttributeValueMemberB{Value: sealed}}})
	require.NoError(t, err)
}

func (b behind) remove(t *testing.T, owner, item string) {
	t.Helper()
	_, err := b.Client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String(b.Readings), Key: map[string]types.AttributeValue{
		"owner": &types.AttributeValueMemberS{Value: owner}, "item": &types.AttributeValueMemberS{Value: item}}})
	require.NoError(t, err)
}

// opener opens what an owner's piece of this header needs.
func (b behind) opener(t *testing.T, owner string, h vault.Header) *vault.Opener {
	t.Helper()
	private, err := b.Private(t.Context(), owner, h.KeyID)
	require.NoError(t, err)
	writer, err := b.Writer(t.Context(), h.WriterKeyID)
	require.NoError(t, err)
	return vault.NewOpener([]vault.PrivateKey{private}, []vault.WriterKey{writer})
}

// dataKey is an owner's enrolled public key, and its id.
func (b behind) dataKey(t *testing.T, owner string) (vault.DataKey, string) {
	t.Helper()
	id := b.dataKeyID(t, owner)
	enrolled, err := b.OwnerKey(t.Context(), owner, id)
	require.NoError(t, err)
	key, err := vault.Enrolled(enrolled.Statement, enrolled.Signature, b.verify)
	require.NoError(t, err)
	return key, id
}

func (b behind) dataKeyID(t *testing.T, owner string) string {
	t.Helper()
	found, err := b.Client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(b.Accounts), Key: map[string]types.AttributeValue{
		"id": &types.AttributeValueMemberS{Value: "user#" + owner}, "document": &types.AttributeValueMemberS{Value: "owner"}}})
	require.NoError(t, err)
	return found.Item["data_key"].(*types.AttributeValueMemberS).Value
}

// post sends one heart rate, which becomes one block.
func post(t *testing.T, p *stack.Person, at, value string) {
	t.Helper()
	answer := p.Do(t, http.MethodPost, "/users/me/readings", []byte(heartRate(at, value)), "Content-Type", "application/json")
	require.Equal(t, http.StatusOK, answer.Status, "%s", answer.Body)
}

// day asks for the readings of one UTC day.
func day(t *testing.T, p *stack.Person, date string) stack.Answer {
	t.Helper()
	return p.Do(t, http.MethodGet, "/users/me/readings?from="+date+"T00:00:00Z&to="+date+"T23:59:59Z", nil)
}
