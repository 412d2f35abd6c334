package objects_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
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

	for _, missing := range []answer{{status: 404, code: "NoSuchKey"}, {status: 403, code: "AccessDenied"}} {
		_, err = stubbed(missing).Get(t.Context(), "id")
		require.Equal(t, objects.ErrNotFound, err, "who may not list the bucket is told no more of a missing object")
	}
	for name, a := range map[string]answer{
		"no such bucket": {status: 404, code: "NoSuchBucket"},
		"not signed":     {status: 403, code: "SignatureDoesNotMatch"},
		"too busy":       {status: 503, code: "SlowDown"},
		"no connection":  {err: errors.New("no connection")},
		"cut off":        {status: 200, body: broken{}},
	} {
		_, err := stubbed(a).Get(t.Context(), "id")
		require.Error(t, err, name)
		require.NotErrorIs(t, err, objects.ErrNotFound, name)
	}
}

func TestList(t *testing.T) {
	const page = `<ListBucketResult><Contents><Key>aws/a</Key></Contents><Contents><Key>aws/b</Key></Contents></ListBucketResult>`
	ids, err := stubbed(answer{status: 200, body: strings.NewReader(page)}).List(t.Context(), "aws/", "")
	require.NoError(t, err)
	require.Equal(t, []string{"aws/a", "aws/b"}, ids)
	for name, a := range map[string]answer{
		"not allowed": {status: 403, code: "AccessDenied"}, "too busy": {status: 503, code: "SlowDown"}, "no connection": {err: errors.New("no connection")},
	} {
		_, err := stubbed(a).List(t.Context(), "aws/", "aws/a")
		require.Error(t, err, name)
		require.Error(t, stubbed(a).Delete(t.Context(), "id"), name)
	}
}

// answers is what S3 says to one request after the other.
type answers []answer

func (a *answers) Do(r *http.Request) (*http.Response, error) {
	next := (*a)[0]
	*a = (*a)[1:]
	return next.Do(r)
}

// TestPutTriesAgain: while another put of the same object is under way S3 asks
// to try again, whichever of the two will stay.
func TestPutTriesAgain(t *testing.T) {
	conflict := answer{status: 409, code: "ConditionalRequestConflict"}
	for name, last := range map[string]answer{
		"the other failed": {status: 200, body: strings.NewReader("")},
		"the other stays":  {status: 412, code: "PreconditionFailed"},
	} {
		t.Run(name, func(t *testing.T) {
			s3s := answers{conflict, last}
			b := stubbed(last)
			b.Client = s3.New(b.Client.Options(), func(o *s3.Options) {
				o.HTTPClient = &s3s
				o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
					o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
				})
			})
			require.NoError(t, b.Put(t.Context(), "id", []byte("sealed")))
			require.Empty(t, s3s)
		})
	}
}
