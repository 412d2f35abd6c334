// Package objects is S3: sealed documents under random ids.
package objects

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// ErrNotFound is returned for an object that does not exist.
var ErrNotFound = errors.New("no such object")

// Bucket holds sealed documents of at most Limit bytes.
type Bucket struct {
	Client *s3.Client
	Name   string
	Limit  int64
}

// Put stores an object once: an object that is there already stays as it is,
// which makes a retry harmless.
func (b Bucket) Put(ctx context.Context, id string, sealed []byte) error {
	_, err := b.Client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: aws.String(b.Name), Key: aws.String(id), Body: bytes.NewReader(sealed), IfNoneMatch: aws.String("*"),
		ContentType: aws.String("application/octet-stream"), ChecksumAlgorithm: types.ChecksumAlgorithmSha256}, retryConflicts)
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "PreconditionFailed" {
		return nil
	}
	return err
}

// retryConflicts tries again where another put of the same object is under way,
// as S3 asks of conditional writes.
func retryConflicts(o *s3.Options) {
	o.Retryer = retry.AddWithErrorCodes(o.Retryer, "ConditionalRequestConflict")
}

// List returns the ids of at most 1,000 objects with a prefix, those that come
// after one, in order.
func (b Bucket) List(ctx context.Context, prefix, after string) ([]string, error) {
	in := &s3.ListObjectsV2Input{Bucket: aws.String(b.Name), Prefix: aws.String(prefix)}
	if after != "" {
		in.StartAfter = aws.String(after)
	}
	out, err := b.Client.ListObjectsV2(ctx, in)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(out.Contents))
	for i, o := range out.Contents {
		ids[i] = aws.ToString(o.Key)
	}
	return ids, nil
}

// Delete deletes an object; that there is none is no error.
func (b Bucket) Delete(ctx context.Context, id string) error {
	_, err := b.Client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(b.Name), Key: aws.String(id)})
	return err
}

// Get returns an object. Errors: ErrNotFound, or S3's own. Without the right to
// list the bucket S3 tells a missing object as one that may not be read.
func (b Bucket) Get(ctx context.Context, id string) ([]byte, error) {
	out, err := b.Client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(b.Name), Key: aws.String(id)})
	var api smithy.APIError
	if errors.As(err, &api) && (api.ErrorCode() == "NoSuchKey" || api.ErrorCode() == "AccessDenied") {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Body.Close() }()
	sealed, err := io.ReadAll(io.LimitReader(out.Body, b.Limit+1))
	if err == nil && int64(len(sealed)) > b.Limit {
		return nil, errTooLarge
	}
	return sealed, err
}
