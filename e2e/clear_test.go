package e2e

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/search"
	"fitvault/e2e/stack"
	"fitvault/shared/openmhealth/generate"
	"fitvault/shared/reading"
	"fitvault/shared/segment"
)

// TestNothingInTheClear sends notes and values in every member that may hold
// them, in documents, in what is refused and in what surrounds a request, reads
// them back, and then finds them nowhere: not in a table, an object, a
// parameter, a queue, a setting or a log. Controls beside them are found.
func TestNothingInTheClear(t *testing.T) {
	s := stack.Open(t)
	c := newCanaries(t)
	began := time.Now()
	before := s.Everything(t, began, nil)
	owner := s.Newcomer(t)
	points := c.points(t, owner.ID)
	sendAll(t, owner, c, points)
	readAll(t, owner, c)
	controls := plantControls(t, s, c, points)

	found := map[string][]string{} // control → the forms in which it was found
	size := 0
	fresh := stack.Added(before, s.Everything(t, began, before))
	for _, place := range slices.Sorted(maps.Keys(fresh)) {
		size += len(fresh[place])
		hits := search.Deep(fresh[place], c.sought()...)
		name := controlName(place, fresh[place])
		if strings.HasPrefix(place, "database ") {
			require.NotContains(t, string(fresh[place]), owner.ID, "%s", place)
		}
		if name == "" {
			require.Empty(t, hits, "%s", place)
			continue
		}
		for _, hit := range hits {
			found[name] = append(found[name], hit.Form)
		}
	}
	for name, form := range controls {
		require.Contains(t, found[name], form, "the control %s was not found", name)
	}
	t.Logf("%d new places, %d bytes, %d controls", len(fresh), size, len(controls))
	for _, kind := range []string{"table " + s.Output(t, "ReadingsTable"), "table " + s.Output(t, "RequestsTable"), "table " + s.Output(t, "AuditEventsTable"),
		"bucket " + s.Output(t, "DocumentsBucket"), "file localstack.log", "table " + s.Output(t, "KeysTable"), "table " + s.Output(t, "AccountsTable")} {
		require.True(t, slices.ContainsFunc(slices.Collect(maps.Keys(fresh)), func(place string) bool { return strings.HasPrefix(place, kind) }),
			"the search has not looked into %s", kind)
	}
}

// sendAll sends canaries in all ways: accepted, refused, and beside the body.
func sendAll(t *testing.T, p *stack.Person, c canaries, points []reading.Value) {
	t.Helper()
	const json, readings, recordings = "application/json", "/users/me/readings", "/users/me/recordings"
	post := func(status int, path, media, body string, headers ...string) {
		t.Helper()
		answer := p.Do(t, http.MethodPost, path, []byte(body), append(headers, "Content-Type", media, "User-Agent", c.note, "traceparent", c.note)...)
		require.Equal(t, status, answer.Status, "%s", answer.Body)
	}
	for first := 0; first < len(points); first += 50 {
		body, key := string(generate.JSON(points[first:min(first+50, len(points))])), fmt.Sprint(c.note, first)
		post(http.StatusOK, readings, json, body, "Idempotency-Key", key)
		post(http.StatusOK, readings, json, body, "Idempotency-Key", key) // a retry
	}
	for _, day := range []string{"2026-05-04", "2026-05-05"} {
		post(http.StatusCreated, recordings, tcxType, c.recording(day))
	}

	good := heartRate("2026-05-06T07:25:00Z", c.values[0])
	post(422, readings, json, strings.Replace(good, `"modality"`, `"`+c.note+`":"`+c.note+`","modality"`, 1))
	post(422, readings, json, strings.Replace(good, `beats/min`, c.note, 1))
	post(422, readings, json, strings.Replace(good, `"heart-rate"`, `"`+c.note+`"`, 1))
	post(400, readings, json, good+c.note)
	post(400, readings, json, strings.Replace(good, `"value"`, `"unit":"`+c.note+`","value"`, 1))
	post(415, readings, "application/"+c.note, good)
	post(400, readings, json, good, "Idempotency-Key", c.note+"\u00e9")
	post(422, recordings, tcxType, strings.Replace(c.recording("2026-05-07"), "<Calories>7", "<"+c.note+">"+c.values[0]+"</"+c.note+"><Calories>7", 1))
	post(422, recordings, tcxType, strings.Replace(c.recording("2026-05-07"), "<Calories>7", "<Calories>"+c.values[0], 1))
	post(400, recordings, tcxType, c.recording("2026-05-07")+"<"+c.note+">")
	post(400, recordings, tcxType, `<!DOCTYPE x [<!ENTITY e "`+c.note+`">]>`+c.recording("2026-05-07"))
	answer := p.Do(t, http.MethodPut, "/users/me/consents/collection", []byte(`{"version":"`+c.note+`","given":true}`), "Content-Type", json)
	require.Equal(t, 422, answer.Status)

	stranger := *p
	stranger.Token, stranger.Key = c.note+"."+c.note+"."+c.note, c.note
	require.Equal(t, 401, stranger.Do(t, http.MethodPost, readings, []byte(good), "Content-Type", json).Status)
	stranger.Token = p.Token
	require.Equal(t, 403, stranger.Do(t, http.MethodPost, readings, []byte(good), "Content-Type", json).Status)
}

// readAll reads everything back, in several pages, and sees that the canaries
// were kept at all.
func readAll(t *testing.T, p *stack.Person, c canaries) {
	t.Helper()
	get := func(path string, headers ...string) (body, next string) {
		t.Helper()
		answer := p.Do(t, http.MethodGet, path, nil, headers...)
		require.Equal(t, http.StatusOK, answer.Status, "%s", answer.Body)
		if strings.HasPrefix(answer.Header.Get("Content-Type"), "application/json") {
			var page struct {
				Next string `json:"next_page_token"`
			}
			answer.JSON(t, &page)
			next = page.Next
		}
		return string(answer.Body), next
	}
	var all strings.Builder
	query := url.Values{"page_size": {"40"}}
	for range 100 {
		body, next := get("/users/me/readings?" + query.Encode())
		all.WriteString(body)
		if next == "" {
			break
		}
		query.Set("page_token", next)
	}
	for _, canary := range append(slices.Clone(c.values), c.note) {
		require.Contains(t, all.String(), canary)
	}
	answer := p.Do(t, http.MethodGet, "/users/me/recordings", nil)
	var list struct{ Items []struct{ ID string } }
	answer.JSON(t, &list)
	require.Len(t, list.Items, 2)
	for _, item := range list.Items {
		body, _ := get("/users/me/recordings/" + item.ID)
		require.Contains(t, body, c.values[0])
		original, _ := get("/users/me/recordings/"+item.ID, "Accept", tcxType)
		require.Contains(t, original, c.note)
	}
	for _, bad := range []string{"?page_token=", "?from=", "?type=", "?"} {
		require.Equal(t, 400, p.Do(t, http.MethodGet, "/users/me/readings"+bad+"canary=1", nil).Status)
	}
}

// scratch is the name of all places for controls; a run that was cut off has left another.
var scratch = "fitvault-e2e-controls-" + strings.ToLower(rand.Text())

// controlName is the name of the control at a place, "" where there is none.
func controlName(place string, content []byte) string {
	if !strings.Contains(place, scratch) {
		return ""
	}
	_, rest, _ := strings.Cut(string(content), "control:")
	name, _, ok := strings.Cut(rest, ";")
	if !ok {
		return place
	}
	return strings.Fields(place)[0] + " " + name
}

// plantControls puts every plant of the canaries into a table and a bucket, and
// one each into a parameter, a queue and a log group. It returns the form in
// which each must be found, by the control's name.
func plantControls(t *testing.T, s *stack.Stack, c canaries, points []reading.Value) map[string]string {
	t.Helper()
	ctx := t.Context()
	db, buckets, parameters := dynamodb.NewFromConfig(s.AWS()), bucketsOf(s), ssm.NewFromConfig(s.AWS())
	table, bucket := newScratchTable(t, db), newScratchBucket(t, buckets)
	controls := map[string]string{}

	plants := search.Plants(c.note, c.values[0])
	// What a block holds before it is sealed, as the codec writes it: the first of
	// some numbers, and differences.
	var column []reading.Value
	for _, last := range []string{"7", "7", "8"} {
		number, err := reading.NumberValue(strings.TrimSuffix(c.values[0], "7") + last)
		require.NoError(t, err)
		column = append(column, number)
	}
	packed, err := segment.Encode(column)
	require.NoError(t, err)
	plants = append(plants, search.Plant{Name: "segment with a value", Form: "zigzag varint", Piece: packed})
	all, err := segment.Encode(points)
	require.NoError(t, err)
	plants = append(plants, search.Plant{Name: "segment with a note", Form: "text", Piece: all})

	var puts []types.WriteRequest
	for i, p := range plants {
		name := fmt.Sprintf("%s (%d)", p.Name, i)
		plant := &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{"plant": &types.AttributeValueMemberB{Value: p.Piece}}}
		puts = append(puts, types.WriteRequest{PutRequest: &types.PutRequest{Item: map[string]types.AttributeValue{
			"id":     &types.AttributeValueMemberS{Value: "control:" + name + ";"},
			"nested": &types.AttributeValueMemberL{Value: []types.AttributeValue{plant}}}}})
		controls["table "+name] = p.Form
		if p.Name != p.Form { // objects take longer: those that were not encoded will do
			continue
		}
		put := func(content string) {
			_, err = buckets.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(fmt.Sprint(i)), Body: strings.NewReader(content)})
			require.NoError(t, err)
		}
		put("control:" + name + ";" + string(p.Piece))
		if i%2 == 0 { // an older version is looked into as well
			put("control:newer;")
		}
		controls["bucket "+name] = p.Form
	}
	for batch := range slices.Chunk(puts, 25) {
		_, err := db.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{table: batch}})
		require.NoError(t, err)
	}

	text := "control:" + scratch + ";" + c.note
	row := newScratchDatabaseTable(t, s)
	_, err = row.Exec(ctx, fmt.Sprintf(`INSERT INTO "%s".control VALUES ($1)`, scratch), []byte(text))
	require.NoError(t, err)
	controls["database "+scratch] = "text"

	_, err = parameters.PutParameter(ctx, &ssm.PutParameterInput{Name: aws.String("/" + scratch), Type: ssmtypes.ParameterTypeString, Value: aws.String(text), Overwrite: aws.Bool(true)})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := parameters.DeleteParameter(context.Background(), &ssm.DeleteParameterInput{Name: aws.String("/" + scratch)})
		require.NoError(t, err)
	})
	controls["parameter "+scratch] = "text"

	type body = map[string]any
	queue := operation[struct{ QueueUrl string }](t, s, "sqs", "AmazonSQS.CreateQueue", body{"QueueName": scratch}).QueueUrl
	t.Cleanup(func() { operation[body](t, s, "sqs", "AmazonSQS.DeleteQueue", body{"QueueUrl": queue}) })
	operation[body](t, s, "sqs", "AmazonSQS.SendMessage", body{"QueueUrl": queue, "MessageBody": text})
	controls["queue "+scratch] = "text"

	const logs = "Logs_20140328."
	group := body{"logGroupName": scratch, "logStreamName": "one"}
	operation[body](t, s, "logs", logs+"CreateLogGroup", body{"logGroupName": scratch})
	t.Cleanup(func() { operation[body](t, s, "logs", logs+"DeleteLogGroup", body{"logGroupName": scratch}) })
	operation[body](t, s, "logs", logs+"CreateLogStream", group)
	group["logEvents"] = []body{{"timestamp": time.Now().UnixMilli(), "message": text}}
	operation[body](t, s, "logs", logs+"PutLogEvents", group)
	controls["log "+scratch] = "text"

	file := "../.local/logs/" + scratch + ".log"
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	t.Cleanup(func() { require.NoError(t, os.Remove(file)) })
	controls["file "+scratch] = "text"
	return controls
}

// newScratchDatabaseTable makes a table of the database with one column of
// bytes, in a schema apart, where no test of the roles meets it.
func newScratchDatabaseTable(t *testing.T, s *stack.Stack) *pgxpool.Pool {
	t.Helper()
	administrator := s.SQL(t, stack.Administrator)
	_, err := administrator.Exec(t.Context(), fmt.Sprintf(`CREATE SCHEMA "%[1]s" CREATE TABLE control (content bytea)`, scratch))
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := administrator.Exec(context.Background(), fmt.Sprintf(`DROP SCHEMA "%s" CASCADE`, scratch))
		require.NoError(t, err)
	})
	return administrator
}

func newScratchTable(t *testing.T, db *dynamodb.Client) string {
	t.Helper()
	name := aws.String(scratch)
	_, err := db.CreateTable(t.Context(), &dynamodb.CreateTableInput{TableName: name, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}}})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := db.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: name})
		require.NoError(t, err)
	})
	return scratch
}

// newScratchBucket makes a bucket with versions.
func newScratchBucket(t *testing.T, buckets *s3.Client) string {
	t.Helper()
	name := aws.String(scratch)
	_, err := buckets.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: name,
		CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraintEuCentral1}})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx := context.Background()
		versions, err := buckets.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: name})
		require.NoError(t, err)
		for _, v := range versions.Versions {
			_, err := buckets.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: name, Key: v.Key, VersionId: v.VersionId})
			require.NoError(t, err)
		}
		_, err = buckets.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: name})
		require.NoError(t, err)
	})
	_, err = buckets.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: name,
		VersioningConfiguration: &s3types.VersioningConfiguration{Status: s3types.BucketVersioningStatusEnabled}})
	require.NoError(t, err)
	return scratch
}
