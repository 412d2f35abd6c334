package objects

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"fitvault/shared/auditlog/sequence"
)

// Log is the audit log's bucket. What is locked can be neither overwritten nor
// deleted until Keep has passed, by nobody.
type Log struct {
	Bucket
	Keep time.Duration
	Now  func() time.Time
}

// Get implements sequence.Objects. Whoever uses it may list the bucket: what may
// not be read is told from what is not there.
func (l Log) Get(ctx context.Context, path string) ([]byte, error) {
	content, _, err := l.get(ctx, path)
	return content, err
}

func (l Log) get(ctx context.Context, path string) (content []byte, etag *string, err error) {
	out, err := l.Client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(l.Name), Key: aws.String(path)})
	if code(err) == "NoSuchKey" {
		return nil, nil, sequence.ErrNotFound
	}
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = out.Body.Close() }()
	content, err = io.ReadAll(io.LimitReader(out.Body, l.Limit+1))
	if err == nil && int64(len(content)) > l.Limit {
		return nil, nil, errTooLarge
	}
	return content, out.ETag, err
}

var errTooLarge = errors.New("object is larger than any that was stored")

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func (l Log) put(path string, content []byte) *s3.PutObjectInput {
	return &s3.PutObjectInput{Bucket: aws.String(l.Name), Key: aws.String(path), Body: bytes.NewReader(content),
		ContentType: aws.String("application/octet-stream"), ChecksumAlgorithm: types.ChecksumAlgorithmSha256}
}

// Lock implements sequence.Objects.
func (l Log) Lock(ctx context.Context, path string, content []byte) error {
	in := l.put(path, content)
	in.IfNoneMatch = aws.String("*")
	in.ObjectLockMode, in.ObjectLockRetainUntilDate = types.ObjectLockModeCompliance, aws.Time(l.Now().Add(l.Keep))
	_, err := l.Client.PutObject(ctx, in, retryConflicts)
	if code(err) == "PreconditionFailed" {
		return nil
	}
	return err
}

// Swap implements sequence.Objects by S3's conditional writes.
func (l Log) Swap(ctx context.Context, path string, old, next []byte) error {
	in := l.put(path, next)
	in.IfNoneMatch = aws.String("*")
	if old != nil {
		now, etag, err := l.get(ctx, path)
		if err == nil && !bytes.Equal(now, old) || errors.Is(err, sequence.ErrNotFound) {
			return sequence.ErrMoved
		}
		if err != nil {
			return err
		}
		in.IfNoneMatch, in.IfMatch = nil, etag
	}
	_, err := l.Client.PutObject(ctx, in, retryConflicts)
	if c := code(err); c != "PreconditionFailed" && c != "NoSuchKey" {
		return err
	}
	// It is this very content where it was stored, and the answer was lost before the client tried again.
	if now, err := l.Get(ctx, path); err == nil && bytes.Equal(now, next) {
		return nil
	}
	return sequence.ErrMoved
}
