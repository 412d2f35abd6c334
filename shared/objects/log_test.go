package objects_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/auditlog/sequence"
	"fitvault/shared/auditlog/sequence/sequencetest"
	"fitvault/shared/objects"
)

// TestLogContract uses a bucket of its own: what is locked in the deployed one
// would stay.
func TestLogContract(t *testing.T) {
	client := stack.Open(t).Buckets()
	name := "test-" + strings.ToLower(rand.Text())
	_, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(name), ObjectLockEnabledForBucket: aws.Bool(true),
		CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraintEuCentral1}})
	require.NoError(t, err)
	now := time.Now()
	l := objects.Log{Bucket: objects.Bucket{Client: client, Name: name, Limit: 1 << 10}, Keep: time.Hour, Now: func() time.Time { return now }}
	sequencetest.ObjectsContract(t, l, "log/")

	head, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(name), Key: aws.String("log/lock/x001/067.p/8")})
	require.NoError(t, err)
	require.Equal(t, types.ObjectLockModeCompliance, head.ObjectLockMode)
	require.WithinDuration(t, now.Add(time.Hour), *head.ObjectLockRetainUntilDate, time.Second)
	_, err = client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(name), Key: aws.String("log/lock/x001/067.p/8"), VersionId: head.VersionId,
		BypassGovernanceRetention: aws.Bool(true)})
	require.Error(t, err, "nobody deletes what is locked")

	require.NoError(t, l.Put(t.Context(), "large", make([]byte, 1<<10+1)))
	_, err = l.Get(t.Context(), "large")
	require.ErrorContains(t, err, "larger than any that was stored")
}

func TestLogFails(t *testing.T) {
	for name, a := range map[string]answer{
		"not allowed": {status: 403, code: "AccessDenied"}, "too busy": {status: 503, code: "SlowDown"}, "no connection": {err: errors.New("no connection")},
	} {
		l := objects.Log{Bucket: stubbed(a), Now: time.Now}
		_, err := l.Get(t.Context(), "x")
		require.Error(t, err, name)
		require.NotErrorIs(t, err, sequence.ErrNotFound, name)
		require.Error(t, l.Lock(t.Context(), "x", nil), name)
		for _, old := range [][]byte{nil, []byte("a")} {
			err = l.Swap(t.Context(), "x", old, []byte("b"))
			require.Error(t, err, name)
			require.NotErrorIs(t, err, sequence.ErrMoved, name)
		}
	}
	_, err := objects.Log{Bucket: stubbed(answer{status: 200, body: broken{}})}.Get(t.Context(), "x")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// TestSwapWhoseAnswerWasLost: the client has tried again, and found its own.
func TestSwapWhoseAnswerWasLost(t *testing.T) {
	s3s := answers{{status: 412, code: "PreconditionFailed"}, {status: 200, body: strings.NewReader("mine")}}
	l := objects.Log{Bucket: stubbed(answer{})}
	l.Client = s3.New(l.Client.Options(), func(o *s3.Options) { o.HTTPClient = &s3s })
	require.NoError(t, l.Swap(context.Background(), "checkpoint", nil, []byte("mine")))
	require.Empty(t, s3s)
}
