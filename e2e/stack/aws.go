package stack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"
)

// Request signs and sends one request to the local AWS as the operator: for the
// services whose client is no dependency of fitvault. It serves cleaning up, too.
func (s *Stack) Request(t testing.TB, method, service, path, target string, body []byte) (http.Header, []byte) {
	t.Helper()
	header, answer, err := s.request(context.WithoutCancel(t.Context()), method, service, path, target, body)
	require.NoError(t, err)
	return header, answer
}

func (s *Stack) request(ctx context.Context, method, service, path, target string, body []byte) (http.Header, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.Endpoints.AWS+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	if target != "" {
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("X-Amz-Target", target)
	}
	operator, err := s.AWS().Credentials.Retrieve(ctx)
	if err != nil {
		return nil, nil, err
	}
	digest := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, operator, r, hex.EncodeToString(digest[:]), service, s.Region, time.Now()); err != nil {
		return nil, nil, err
	}
	client := *s.Client()
	client.Timeout = 5 * time.Minute // a function that is invoked may take its time: the sequencer 4 minutes
	response, err := client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= 300 {
		err = fmt.Errorf("%s %s%s: status %d: %s", method, service, path, response.StatusCode, answer)
	}
	return response.Header, answer, err
}

// Operation is Request for the services that speak JSON by X-Amz-Target.
func Operation[Out any](t testing.TB, s *Stack, service, target string, in any) (out Out) {
	t.Helper()
	body, err := json.Marshal(in)
	require.NoError(t, err)
	_, answer := s.Request(t, http.MethodPost, service, "/", target, body)
	if len(answer) > 0 {
		require.NoError(t, json.Unmarshal(answer, &out))
	}
	return out
}

// Items is all items of a table, or of one partition where key is not "".
func (s *Stack) Items(t testing.TB, table, key, value string) []map[string]types.AttributeValue {
	t.Helper()
	client := dynamodb.NewFromConfig(s.AWS())
	in := &dynamodb.ScanInput{TableName: aws.String(table), ConsistentRead: aws.Bool(true)}
	if key != "" {
		in.FilterExpression = aws.String("#k = :v")
		in.ExpressionAttributeNames = map[string]string{"#k": key}
		in.ExpressionAttributeValues = map[string]types.AttributeValue{":v": &types.AttributeValueMemberS{Value: value}}
	}
	var all []map[string]types.AttributeValue
	for pages := dynamodb.NewScanPaginator(client, in); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		all = append(all, page.Items...)
	}
	return all
}

// Buckets is S3 of the local AWS.
func (s *Stack) Buckets() *s3.Client {
	return s3.NewFromConfig(s.AWS(), func(o *s3.Options) { o.UsePathStyle = true })
}

// Invoke calls a deployed function past the gateway.
func (s *Stack) Invoke(t testing.TB, function string, e events.APIGatewayProxyRequest) Answer {
	t.Helper()
	begun := time.Now()
	payload, err := json.Marshal(e)
	require.NoError(t, err)
	header, body := s.Request(t, http.MethodPost, "lambda", "/2015-03-31/functions/"+function+"/invocations", "", payload)
	require.Empty(t, header.Get("X-Amz-Function-Error"), "%s failed: %s", function, body)
	answer, err := Decode(body)
	require.NoError(t, err, "%s", body)
	remember("invoke "+e.HTTPMethod+" "+e.Resource, answer.Status, answer.Header, begun)
	return answer
}

// Decode reads what a function behind the API has answered.
func Decode(body []byte) (Answer, error) {
	var answer events.APIGatewayProxyResponse
	if err := json.Unmarshal(body, &answer); err != nil {
		return Answer{}, err
	}
	text := []byte(answer.Body)
	if answer.IsBase64Encoded {
		var err error
		if text, err = base64.StdEncoding.DecodeString(answer.Body); err != nil {
			return Answer{}, err
		}
	}
	return Answer{Status: answer.StatusCode, Header: answer.MultiValueHeaders, Body: text}, nil
}
