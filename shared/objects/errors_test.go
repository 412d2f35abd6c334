package objects_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"fitvault/shared/objects"
)

// answer is what S3 says to every request.
type answer struct {
	status int
	code   string // of an error
	body   io.Reader
	err    error
	seen   *http.Header
}

func (a answer) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil { // the SDK makes its checksum while this is read
		_, _ = io.Copy(io.Discard, r.Body)
	}
	if a.err != nil {
		return nil, a.err
	}
	if a.seen != nil {
		*a.seen = r.Header
	}
	if a.body == nil {
		a.body = strings.NewReader(`<Error><Code>` + a.code + `</Code><Message>canary</Message></Error>`)
	}
	return &http.Response{StatusCode: a.status, Header: http.Header{}, Body: io.NopCloser(a.body), Request: r}, nil
}

func stubbed(a answer) objects.Bucket {
	return objects.Bucket{Name: "bucket", Limit: 100, Client: s3.New(s3.Options{Region: "eu-central-1", HTTPClient: a, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("an id", "a secret of some length", "")})}
}

func TestPut(t *testing.T) {
	var sent http.Header
	require.NoError(t, stubbed(answer{status: 200, body: strings.NewReader(""), seen: &sent}).Put(t.Context(), "id", []byte("sealed")))
	require.Equal(t, "*", sent.Get("If-None-Match"))
	require.NotEmpty(t, sent.Get("X-Amz-Checksum-Sha256")+sent.Get("X-Amz-Trailer"))

	require.NoError(t, stubbed(answer{status: 412, code: "PreconditionFailed"}).Put(t.Context(), "id", nil), "it is there already")
	for name, a := range map[string]answer{
		"another upload of it is under way, and may fail": {status: 409, code: "ConditionalRequestConflict"},
		"not allowed":   {status: 403, code: "AccessDenied"},
		"too busy":      {status: 503, code: "SlowDown"},
		"no connection": {err: errors.New("no connection")},
	} {
		require.Error(t, stubbed(a).Put(t.Context(), "id", nil), name)
	}
}

// broken is an answer that ends too early.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestGet(t *testing.T) {
	found, err := stubbed(answer{status: 200, body: strings.NewReader("sealed")}).Get(t.Context(), "id")
	require.NoError(t, err)
	require.Equal(t, "sealed", string(found))

	_, err = stubbed(answer{status: 404, code: "NoSuchKey"}).Get(t.Context(), "id")
	require.Equal(t, objects.ErrNotFound, err)
	for name, a := range map[string]answer{
		"no such bucket": {status: 404, code: "NoSuchBucket"},
		"not allowed":    {status: 403, code: "AccessDenied"},
		"too busy":       {status: 503, code: "SlowDown"},
		"no connection":  {err: errors.New("no connection")},
		"cut off":        {status: 200, body: broken{}},
	} {
		_, err := stubbed(a).Get(t.Context(), "id")
		require.Error(t, err, name)
		require.NotErrorIs(t, err, objects.ErrNotFound, name)
	}
}
