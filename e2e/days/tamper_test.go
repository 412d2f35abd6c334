package days

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/auditlog"
	"fitvault/shared/dynamo"
)

// behind is what somebody with power over the stores sees and does.
type behind struct {
	*stack.Stack
	sql    *pgxpool.Pool
	table  *dynamodb.Client
	bucket *s3.Client
}

func newBehind(t testing.TB) *behind {
	s := stack.Open(t)
	return &behind{s, s.SQL(t, stack.Administrator), dynamodb.NewFromConfig(s.AWS()),
		s3.NewFromConfig(s.AWS(), func(o *s3.Options) { o.UsePathStyle = true })}
}

// pseudonym is a person's, as the account's document has it.
func (b *behind) pseudonym(t testing.TB, p *stack.Person) string {
	out, err := b.table.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(b.Output(t, "AccountsTable")),
		Key: map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "user#" + p.ID}, "document": &types.AttributeValueMemberS{Value: "owner"}}})
	require.NoError(t, err)
	return out.Item["pseudonym"].(*types.AttributeValueMemberS).Value
}

func (b *behind) exec(t testing.TB, statement string, arguments ...any) {
	t.Helper()
	done, err := b.sql.Exec(t.Context(), statement, arguments...)
	require.NoError(t, err)
	require.Positive(t, done.RowsAffected())
}

// alarms counts the alarm events about a person.
func (b *behind) alarms(t testing.TB, p *stack.Person) (n int) {
	pages := dynamodb.NewScanPaginator(b.table, &dynamodb.ScanInput{TableName: aws.String(b.Output(t, "AuditEventsTable")), ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		for _, item := range page.Items {
			event, err := dynamo.DecodeEvent(item)
			require.NoError(t, err)
			if event.Owner == p.ID && event.Outcome == auditlog.Alarm {
				n++
			}
		}
	}
	return n
}

// replay is the schedule's event, at once.
func (b *behind) replay(t testing.TB) {
	t.Helper()
	event := []byte(`{"source":"aws.events"}`)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		b.Endpoints.AWS+"/2015-03-31/functions/"+b.Output(t, "ProjectFunction")+"/invocations", bytes.NewReader(event))
	require.NoError(t, err)
	hash := sha256.Sum256(event)
	credentials := aws.Credentials{AccessKeyID: b.Credentials.ID, SecretAccessKey: b.Credentials.Secret}
	require.NoError(t, v4.NewSigner().SignHTTP(t.Context(), credentials, r, hex.EncodeToString(hash[:]), "lambda", b.Region, time.Now()))
	answer, err := b.Client().Do(r)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, "null", string(bytes.TrimSpace(text)))
	require.Empty(t, answer.Header.Get("X-Amz-Function-Error"))
}

// failures are the ids in the bucket of failures whose content speaks of a person.
func (b *behind) failures(t testing.TB, p *stack.Person) (ids []string) {
	bucket := aws.String(b.Output(t, "FailuresBucket"))
	out, err := b.bucket.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket})
	require.NoError(t, err)
	for _, o := range out.Contents {
		object, err := b.bucket.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: o.Key})
		if err != nil { // another test's, mended meanwhile
			continue
		}
		var content bytes.Buffer
		_, err = content.ReadFrom(object.Body)
		require.NoError(t, err)
		if strings.Contains(content.String(), p.ID) {
			ids = append(ids, *o.Key)
		}
	}
	return ids
}

func askDays(t testing.TB, p *stack.Person) stack.Answer {
	return p.Do(t, http.MethodGet, "/users/me/days?from=2026-05-01&to=2026-05-10", nil)
}

// TestTamperedRows: rows moved between owners, parts and versions show nothing,
// and raise an alarm.
func TestTamperedRows(t *testing.T) {
	b := newBehind(t)
	for name, tamper := range map[string]func(t *testing.T, ada, ben string, again func()){
		"another owner's": func(t *testing.T, ada, ben string, _ func()) {
			b.exec(t, `UPDATE fitvault.parts a SET sealed = b.sealed, version = b.version FROM fitvault.parts b
				WHERE a.pseudonym = $1 AND b.pseudonym = $2 AND a.part = b.part`, ada, ben)
		},
		"another part's": func(t *testing.T, ada, _ string, _ func()) {
			b.exec(t, `UPDATE fitvault.parts a SET sealed = b.sealed, version = b.version FROM fitvault.parts b
				WHERE a.pseudonym = $1 AND b.pseudonym = $1 AND a.part = '2026-05-04' AND b.part = '2026-05-05'`, ada)
		},
		"its own past under the new number": func(t *testing.T, ada, _ string, again func()) {
			var sealed []byte
			require.NoError(t, b.sql.QueryRow(t.Context(), `SELECT sealed FROM fitvault.parts WHERE pseudonym = $1 AND part = '2026-05-04'`, ada).Scan(&sealed))
			again()
			b.exec(t, `UPDATE fitvault.parts SET sealed = $2 WHERE pseudonym = $1 AND part = '2026-05-04'`, ada, sealed)
		},
		"one bit": func(t *testing.T, ada, _ string, _ func()) {
			b.exec(t, `UPDATE fitvault.parts SET sealed = set_bit(sealed, octet_length(sealed) * 8 - 1, 1 - get_bit(sealed, octet_length(sealed) * 8 - 1))
				WHERE pseudonym = $1 AND part = '2026-05-04'`, ada)
		},
		"a row of the table's writer": func(t *testing.T, ada, _ string, _ func()) {
			b.exec(t, `INSERT INTO fitvault.parts VALUES ($1, 'recording#x', '2026-05-04', '2026-05-04', 1, 'canary')`, ada)
		},
	} {
		t.Run(name, func(t *testing.T) {
			ada, ben := b.Newcomer(t), b.Newcomer(t)
			for _, p := range []*stack.Person{ada, ben} {
				send(t, p, point("a", "heart-rate", "2.0", "2026-05-04T10:00:00Z", `{"value":60,"unit":"beats/min"}`),
					point("b", "heart-rate", "2.0", "2026-05-05T10:00:00Z", `{"value":70,"unit":"beats/min"}`))
				requireRight(t, p, "2026-05-01", "2026-05-10")
			}
			tamper(t, b.pseudonym(t, ada), b.pseudonym(t, ben), func() {
				send(t, ada, point("c", "heart-rate", "2.0", "2026-05-04T11:00:00Z", `{"value":90,"unit":"beats/min"}`))
				requireRight(t, ada, "2026-05-01", "2026-05-10")
			})
			a := askDays(t, ada)
			require.Equal(t, http.StatusInternalServerError, a.Status, string(a.Body))
			require.NotContains(t, string(a.Body), "heart-rate")
			require.Equal(t, 1, b.alarms(t, ada))
			require.Equal(t, http.StatusOK, askDays(t, ben).Status)
			require.Zero(t, b.alarms(t, ben))
		})
	}
}

// TestAlteredBlock: a block that does not open holds nobody up, raises an alarm,
// and waits in the bucket of failures; when it is mended the schedule counts its
// day.
func TestAlteredBlock(t *testing.T) {
	b := newBehind(t)
	ada, ben := b.Newcomer(t), b.Newcomer(t)
	send(t, ada, point("a", "heart-rate", "2.0", "2026-05-04T10:00:00Z", `{"value":60,"unit":"beats/min"}`))
	requireRight(t, ada, "2026-05-01", "2026-05-10")
	key := map[string]types.AttributeValue{"owner": &types.AttributeValueMemberS{Value: ada.ID}, "item": &types.AttributeValueMemberS{Value: "2026-05-04#zz"}}
	altered := map[string]types.AttributeValue{"owner": key["owner"], "item": key["item"], "sealed": &types.AttributeValueMemberB{Value: []byte("canary")}}
	table := aws.String(b.Output(t, "ReadingsTable"))
	_, err := b.table.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: table, Item: altered})
	require.NoError(t, err)
	send(t, ada, point("b", "heart-rate", "2.0", "2026-05-06T10:00:00Z", `{"value":61,"unit":"beats/min"}`))
	send(t, ben, point("a", "heart-rate", "2.0", "2026-05-04T10:00:00Z", `{"value":62,"unit":"beats/min"}`))
	requireRight(t, ben, "2026-05-01", "2026-05-10")
	var aside []string
	require.Eventually(t, func() bool { aside = b.failures(t, ada); return len(aside) == 1 }, patience, time.Second/2)
	require.Regexp(t, "^aside/[0-9a-f]{64}/[0-9a-v]{26}$", aside[0])
	require.Eventually(t, func() bool { return strings.Contains(string(askDays(t, ada).Body), "2026-05-06") }, patience, time.Second/2, "her other days go on")
	require.Positive(t, b.alarms(t, ada))
	b.replay(t)
	again := b.failures(t, ada)
	require.NotEmpty(t, again, "it stays")
	require.Equal(t, path.Dir(aside[0]), path.Dir(again[0]))

	_, err = b.table.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: table, Key: key})
	require.NoError(t, err)
	require.Eventually(t, func() bool { b.replay(t); return len(b.failures(t, ada)) == 0 }, patience, time.Second/2)
	requireRight(t, ada, "2026-05-01", "2026-05-10")
}

// TestReplay: what Lambda had to give up is counted by the schedule.
func TestReplay(t *testing.T) {
	b := newBehind(t)
	p := b.Newcomer(t)
	send(t, p, point("a", "heart-rate", "2.0", "2026-05-04T10:00:00Z", `{"value":60,"unit":"beats/min"}`),
		point("b", "heart-rate", "2.0", "2026-05-05T10:00:00Z", `{"value":70,"unit":"beats/min"}`))
	requireRight(t, p, "2026-05-01", "2026-05-10")
	b.exec(t, `DELETE FROM fitvault.parts WHERE pseudonym = $1`, b.pseudonym(t, p))
	require.JSONEq(t, `{"items":[]}`, string(askDays(t, p).Body))
	var records []any
	for i, day := range []string{"2026-05-04", "2026-05-05"} {
		records = append(records, map[string]any{"dynamodb": map[string]any{"SequenceNumber": fmt.Sprint(i + 1),
			"Keys": map[string]any{"owner": map[string]string{"S": p.ID}, "item": map[string]string{"S": day + "#a"}}}})
	}
	text, err := json.Marshal(map[string]any{"Records": records})
	require.NoError(t, err)
	object, err := json.Marshal(map[string]any{"version": "1.0", "payload": string(text)})
	require.NoError(t, err)
	_, err = b.bucket.PutObject(context.Background(), &s3.PutObjectInput{Bucket: aws.String(b.Output(t, "FailuresBucket")),
		Key: aws.String("aws/lambda/uuid/shard/2026/05/04/" + p.ID), Body: bytes.NewReader(object)})
	require.NoError(t, err)
	require.Len(t, b.failures(t, p), 1)
	b.replay(t)
	requireRight(t, p, "2026-05-01", "2026-05-10")
	require.Empty(t, b.failures(t, p))
}
