package stack

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"
)

// Everything is all that the local AWS keeps, by place: each item of each table,
// each table of the database, each version of each object, each parameter,
// queued message, log and setting.
// Of objects, those versions are left out that are in known, an earlier look;
// the log groups are shown from began.
func (s *Stack) Everything(t testing.TB, began time.Time, known map[string][]byte) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	s.fromTables(t, found)
	s.fromDatabase(t, found)
	s.fromBuckets(t, found, known)
	s.fromParameters(t, found)
	s.fromQueues(t, found)
	s.fromLogs(t, began, found)
	_, settings := s.Request(t, http.MethodGet, "lambda", "/2015-03-31/functions/", "", nil)
	found["lambda settings"] = settings
	return found
}

// Added is what of now was not there before: the whole content of a new or
// changed place, and of a log what was added.
func Added(before, now map[string][]byte) map[string][]byte {
	fresh := map[string][]byte{}
	for place, content := range now {
		old, ok := before[place]
		switch {
		case !ok:
			fresh[place] = content
		case bytes.HasPrefix(content, old):
			if len(content) > len(old) {
				fresh[place] = content[max(0, len(old)-200):] // whatever straddles the end of the old
			}
		default:
			fresh[place] = content
		}
	}
	return fresh
}

func (s *Stack) fromTables(t testing.TB, found map[string][]byte) {
	client := dynamodb.NewFromConfig(s.AWS())
	for pages := dynamodb.NewListTablesPaginator(client, nil); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		for _, table := range page.TableNames {
			for _, item := range s.Items(t, table, "", "") {
				content := flat(&types.AttributeValueMemberM{Value: item})
				found[fmt.Sprintf("table %s, item %x", table, sha256.Sum256(content))] = content
			}
		}
	}
}

// fromDatabase takes each table as a dump of it, without the mark of its end, so
// that new rows are what was added.
func (s *Stack) fromDatabase(t testing.TB, found map[string][]byte) {
	for table, content := range s.Dump(t) {
		found["database "+table] = bytes.TrimSuffix(content, []byte{0xff, 0xff})
	}
}

// flat is an attribute's names and values one after the other, bytes as such.
func flat(v types.AttributeValue) []byte {
	var b bytes.Buffer
	add := func(content []byte) { b.Write(content); b.WriteByte(0) }
	switch v := v.(type) {
	case *types.AttributeValueMemberM:
		for _, name := range slices.Sorted(maps.Keys(v.Value)) {
			add([]byte(name))
			add(flat(v.Value[name]))
		}
	case *types.AttributeValueMemberL:
		for _, element := range v.Value {
			add(flat(element))
		}
	case *types.AttributeValueMemberS:
		add([]byte(v.Value))
	case *types.AttributeValueMemberN:
		add([]byte(v.Value))
	case *types.AttributeValueMemberB:
		add(v.Value)
	case *types.AttributeValueMemberSS:
		for _, text := range v.Value {
			add([]byte(text))
		}
	case *types.AttributeValueMemberNS:
		for _, number := range v.Value {
			add([]byte(number))
		}
	case *types.AttributeValueMemberBS:
		for _, content := range v.Value {
			add(content)
		}
	}
	return b.Bytes()
}

func (s *Stack) fromBuckets(t testing.TB, found, known map[string][]byte) {
	client := s.Buckets()
	buckets, err := client.ListBuckets(t.Context(), nil)
	require.NoError(t, err)
	for _, bucket := range buckets.Buckets {
		for pages := s3.NewListObjectVersionsPaginator(client, &s3.ListObjectVersionsInput{Bucket: bucket.Name}); pages.HasMorePages(); {
			page, err := pages.NextPage(t.Context())
			require.NoError(t, err)
			for _, v := range page.Versions {
				place := fmt.Sprintf("bucket %s, object %s, version %s of %s", *bucket.Name, *v.Key, aws.ToString(v.VersionId), v.LastModified)
				if known == nil { // the first look: a version does not change, so its name will do
					found[place] = nil
					continue
				}
				if _, ok := known[place]; ok {
					continue
				}
				in := &s3.GetObjectInput{Bucket: bucket.Name, Key: v.Key, VersionId: v.VersionId}
				if aws.ToString(v.VersionId) == "null" { // a bucket without versions
					in.VersionId = nil
				}
				object, err := client.GetObject(t.Context(), in)
				if gone(err) {
					continue
				}
				require.NoError(t, err)
				content, err := io.ReadAll(object.Body)
				require.NoError(t, err)
				require.NoError(t, object.Body.Close())
				about, err := json.Marshal([]any{v.Key, object.Metadata, object.ContentType})
				require.NoError(t, err)
				found[place] = append(append(content, 0), about...)
			}
		}
	}
}

// gone says that another test, which runs at the same time, has removed what it
// had put there.
func gone(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && slices.Contains([]string{"NoSuchKey", "NoSuchVersion", "ParameterNotFound"}, api.ErrorCode())
}

func (s *Stack) fromParameters(t testing.TB, found map[string][]byte) {
	client := ssm.NewFromConfig(s.AWS())
	for pages := ssm.NewDescribeParametersPaginator(client, nil); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		for _, p := range page.Parameters {
			got, err := client.GetParameter(t.Context(), &ssm.GetParameterInput{Name: p.Name, WithDecryption: aws.Bool(true)})
			if gone(err) {
				continue
			}
			require.NoError(t, err)
			found["parameter "+*p.Name] = []byte(*got.Parameter.Value)
		}
	}
}

// fromQueues looks at the messages of all queues and leaves them there.
func (s *Stack) fromQueues(t testing.TB, found map[string][]byte) {
	type body = map[string]any
	queues := Operation[struct{ QueueUrls []string }](t, s, "sqs", "AmazonSQS.ListQueues", body{})
	for _, queue := range queues.QueueUrls {
		for range 20 { // at most ten messages each time, in no order
			got := Operation[struct {
				Messages []struct{ MessageId, Body string }
			}](t, s, "sqs", "AmazonSQS.ReceiveMessage", body{"QueueUrl": queue, "MaxNumberOfMessages": 10, "VisibilityTimeout": 0})
			if len(got.Messages) == 0 {
				break
			}
			for _, m := range got.Messages {
				found["queue "+queue+", message "+m.MessageId] = []byte(m.Body)
			}
		}
	}
}

// fromLogs takes the files that the stack and its functions write, and what has
// arrived in CloudWatch Logs.
func (s *Stack) fromLogs(t testing.TB, began time.Time, found map[string][]byte) {
	require.NoError(t, filepath.WalkDir(filepath.Join(s.root, ".local", "logs"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		found["file "+filepath.Base(path)] = content
		return err
	}))
	type body = map[string]any
	groups := Operation[struct {
		LogGroups []struct{ LogGroupName string }
	}](t, s, "logs", "Logs_20140328.DescribeLogGroups", body{})
	for _, group := range groups.LogGroups {
		var text bytes.Buffer
		in := body{"logGroupName": group.LogGroupName, "startTime": began.UnixMilli()}
		for range 1000 {
			page := Operation[struct {
				Events    []struct{ Message string }
				NextToken string
			}](t, s, "logs", "Logs_20140328.FilterLogEvents", in)
			for _, e := range page.Events {
				text.WriteString(e.Message + "\n")
			}
			if page.NextToken == "" {
				break
			}
			in["nextToken"] = page.NextToken
		}
		found["log group "+group.LogGroupName] = text.Bytes()
	}
}
