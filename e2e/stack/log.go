package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/mod/sumdb/note"

	"fitvault/shared/auditlog"
	"fitvault/shared/auditlog/tiles"
	"fitvault/shared/dynamo"
	"fitvault/shared/keyring"
	"fitvault/shared/kmskeys"
)

// StoredEvent is an audit event as it stands in the table.
type StoredEvent struct {
	auditlog.Event
	Leaf string // "" where it is not in the log yet
}

// EventsSince is the audit events since a time, in no order.
func (s *Stack) EventsSince(ctx context.Context, began time.Time) (all []StoredEvent, err error) {
	pages := dynamodb.NewScanPaginator(dynamodb.NewFromConfig(s.AWS()), &dynamodb.ScanInput{
		TableName: aws.String(s.Outputs["AuditEventsTable"]), ConsistentRead: aws.Bool(true),
		FilterExpression: aws.String("#i >= :least"), ExpressionAttributeNames: map[string]string{"#i": "id"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":least": &types.AttributeValueMemberS{Value: auditlog.LeastID(began)}}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, i := range page.Items {
			e, err := dynamo.DecodeEvent(i)
			if err != nil {
				return nil, err
			}
			one := StoredEvent{Event: e}
			if leaf, ok := i["leaf"].(*types.AttributeValueMemberN); ok {
				one.Leaf = leaf.Value
			}
			all = append(all, one)
		}
	}
	return all, nil
}

// take has the sequencer take what waits. Where the schedule's run is at work that one
// may be first, and have begun too early: whoever waits for an event takes until he sees it.
func (s *Stack) take(ctx context.Context) error { return s.sequence(ctx, `{"task":"take"}`) }

func (s *Stack) sequence(ctx context.Context, task string) error {
	header, _, err := s.request(ctx, http.MethodPost, "lambda", "/2015-03-31/functions/"+s.Outputs["SequencerFunction"]+"/invocations", "", []byte(task))
	if err == nil && header.Get("X-Amz-Function-Error") != "" {
		err = errors.New("the sequencer failed")
	}
	return err
}

// Reconcile has the sequencer take what waits, and compare what was stored with the log.
// Where the schedule's run is at work that one may be first: whoever waits for a
// finding tries again.
func (s *Stack) Reconcile(t testing.TB) {
	t.Helper()
	for _, task := range []string{`{"task":"take"}`, `{"task":"reconcile"}`} {
		if err := s.sequence(t.Context(), task); err != nil {
			t.Fatal(err)
		}
	}
}

// CompareUses has the sequencer compare who used the owners' key from a time to another,
// which need not be past for long.
func (s *Stack) CompareUses(t testing.TB, from, to time.Time) {
	t.Helper()
	err := s.sequence(t.Context(), fmt.Sprintf(`{"task":"uses","from":%q,"to":%q}`, from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339)))
	if err != nil {
		t.Fatal(err)
	}
}

// TakeUntil has the sequencer take what waits, until what is expected is seen.
func (s *Stack) TakeUntil(t testing.TB, seen func() bool) {
	t.Helper()
	for until := time.Now().Add(5 * time.Minute); ; {
		if err := s.take(t.Context()); err != nil {
			t.Fatal(err)
		}
		if seen() {
			return
		}
		if time.Now().After(until) {
			t.Fatal("not in the log after five minutes")
		}
	}
}

// LogVerifier is the audit log's key, as KMS gives it.
func (s *Stack) LogVerifier(t testing.TB) note.Verifier {
	t.Helper()
	keys := kmskeys.Keys{Client: kms.NewFromConfig(s.AWS()), ARNs: map[string]string{keyring.PurposeLog: s.Output(t, "LogKey")}}
	public, err := keys.Ed25519PublicKey(t.Context(), keyring.PurposeLog)
	if err != nil {
		t.Fatal(err)
	}
	v, err := tiles.NewVerifier("fitvault.example/audit/fitvault", public)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Checkpoint is the log's newest checkpoint, as its bucket has it.
func (s *Stack) Checkpoint(ctx context.Context) ([]byte, error) {
	return s.logObject(ctx, tiles.CheckpointPath)
}

func (s *Stack) logObject(ctx context.Context, path string) ([]byte, error) {
	out, err := s.Buckets().GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(s.Outputs["AuditLogBucket"]), Key: aws.String(path)})
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Body.Close() }()
	return io.ReadAll(out.Body)
}

// CopyLog copies the log's bucket, as `aws s3 sync` does, and is the copy's folder. The
// checkpoint comes first: what is published meanwhile is beyond it.
func (s *Stack) CopyLog(t testing.TB) string {
	t.Helper()
	folder := t.TempDir()
	keep := func(path string) error {
		content, err := s.logObject(t.Context(), path)
		if err != nil {
			return err
		}
		name := filepath.Join(folder, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		return os.WriteFile(name, content, 0o600)
	}
	if err := keep(tiles.CheckpointPath); err != nil {
		t.Fatal(err)
	}
	for pages := s3.NewListObjectsV2Paginator(s.Buckets(), &s3.ListObjectsV2Input{Bucket: aws.String(s.Output(t, "AuditLogBucket"))}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			if strings.HasPrefix(*o.Key, tiles.StagingPrefix) || *o.Key == tiles.CheckpointPath {
				continue
			}
			if err := keep(*o.Key); err != nil {
				t.Fatal(err)
			}
		}
	}
	return folder
}
