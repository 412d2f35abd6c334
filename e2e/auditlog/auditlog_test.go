// Package auditlog tests the audit log on the deployed stack: what people did is
// in it, an auditor sees it without names, an owner sees what concerns him, and a
// copy of the bucket verifies without anything of fitvault's.
package auditlog

import (
	"encoding/base64"
	"encoding/json"
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
	"github.com/stretchr/testify/require"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"fitvault/e2e/stack"
	"fitvault/shared/auditlog/tiles"
	"fitvault/shared/auditlog/verify"
	"fitvault/shared/fault"
	"fitvault/shared/keyring"
	"fitvault/shared/kmskeys"
)

// take has the sequencer take what waits, until what was expected is seen: where the
// schedule's run is at work, that one may be first, and have begun too early.
func take(t *testing.T, s *stack.Stack, seen func() bool) {
	t.Helper()
	for until := time.Now().Add(5 * time.Minute); ; {
		header, body := s.Request(t, http.MethodPost, "lambda", "/2015-03-31/functions/"+s.Output(t, "SequencerFunction")+"/invocations", "", []byte(`{"task":"take"}`))
		require.Empty(t, header.Get("X-Amz-Function-Error"), "%s", body)
		if seen() {
			return
		}
		require.True(t, time.Now().Before(until), "not in the log after five minutes")
	}
}

// verifier is the log's key, as KMS gives it.
func verifier(t *testing.T, s *stack.Stack) note.Verifier {
	t.Helper()
	public, err := kmskeys.Keys{Client: kms.NewFromConfig(s.AWS()), ARNs: map[string]string{keyring.PurposeLog: s.Output(t, "LogKey")}}.Ed25519PublicKey(t.Context(), keyring.PurposeLog)
	require.NoError(t, err)
	v, err := tiles.NewVerifier("fitvault.example/audit/fitvault", public)
	require.NoError(t, err)
	return v
}

// copied is a copy of the bucket, as `aws s3 sync` makes it.
func copied(t *testing.T, s *stack.Stack) string {
	t.Helper()
	folder, client, bucket := t.TempDir(), s.Buckets(), s.Output(t, "AuditLogBucket")
	for pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: aws.String(bucket)}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		for _, o := range page.Contents {
			if strings.HasPrefix(*o.Key, tiles.StagingPrefix) {
				continue
			}
			out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: o.Key})
			require.NoError(t, err)
			content, err := io.ReadAll(out.Body)
			require.NoError(t, err)
			require.NoError(t, out.Body.Close())
			name := filepath.Join(folder, filepath.FromSlash(*o.Key))
			require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
			require.NoError(t, os.WriteFile(name, content, 0o600))
		}
	}
	return folder
}

type access struct {
	Checkpoint string
	Items      []struct {
		Event struct {
			ID, Action, Caller, Owner, Outcome string
			Time                               time.Time
			Reasons                            []string
		}
		Entry []byte
		Mine  bool
		Proof struct {
			Index, Size uint64
			Leaf        string
			Hashes      []string
		}
	}
}

func TestTheLog(t *testing.T) {
	s := stack.Open(t)
	log := verifier(t, s)
	owner := s.Newcomer(t)
	require.Equal(t, http.StatusOK, owner.Do(t, http.MethodGet, "/users/me/readings", nil).Status)
	ina := s.Caller(s.Token(t, "ina", "staff"), s.Clients["staff"].APIKey)

	accessLog := func() (a access) {
		answer := owner.Do(t, http.MethodGet, "/users/me/access-log", nil)
		require.Equal(t, http.StatusOK, answer.Status, "%s", answer.Body)
		answer.JSON(t, &a)
		return a
	}
	var events access
	take(t, s, func() bool {
		events = accessLog()
		return len(events.Items) >= 2
	})
	c, err := tiles.OpenCheckpoint([]byte(events.Checkpoint), log)
	require.NoError(t, err)
	actions := map[string]int{}
	for _, item := range events.Items {
		actions[item.Event.Action]++
		require.NotContains(t, item.Event.Caller+item.Event.Owner, owner.ID)
		var hashes [][]byte
		for _, h := range item.Proof.Hashes {
			b, err := base64.StdEncoding.DecodeString(h)
			require.NoError(t, err)
			hashes = append(hashes, b)
		}
		require.NoError(t, proof.VerifyInclusion(rfc6962.DefaultHasher, item.Proof.Index, item.Proof.Size, rfc6962.DefaultHasher.HashLeaf(item.Entry), hashes, c.Root[:]))
	}
	require.Equal(t, 1, actions["readings.read"], "once, and only once")
	require.Equal(t, 1, actions["consents.write"])

	t.Run("an auditor sees entries, and asks who somebody is", func(t *testing.T) {
		var page struct {
			Items []struct{ Event json.RawMessage }
		}
		newest := events.Items[0]
		answer := ina.Do(t, http.MethodGet, "/audit/entries?from="+number(newest.Proof.Index)+"&to="+number(newest.Proof.Index+1), nil)
		require.Equal(t, http.StatusOK, answer.Status, "%s", answer.Body)
		answer.JSON(t, &page)
		require.Contains(t, string(page.Items[0].Event), newest.Event.ID)
		require.NotContains(t, string(answer.Body), owner.ID)

		var who struct{ Name string }
		ina.Do(t, http.MethodGet, "/audit/pseudonyms/"+newest.Event.Owner, nil).JSON(t, &who)
		require.Equal(t, owner.ID, who.Name)
		take(t, s, func() bool { // the owner sees that it was asked
			asked := 0
			for _, item := range accessLog().Items {
				if item.Event.Action == "audit.resolve" && !item.Mine {
					asked++
				}
			}
			return asked == 1
		})
		owner.Do(t, http.MethodGet, "/audit/checkpoint", nil).RequireProblem(t, fault.Unauthenticated)
		s.Newcomer(t).Do(t, http.MethodGet, "/users/"+owner.ID+"/access-log", nil).RequireProblem(t, fault.NotFound)
	})
	t.Run("a copy of the bucket verifies, and what was signed before is of the same tree", func(t *testing.T) {
		report, err := verify.Log(os.DirFS(copied(t, s)), log, verify.Kept{Name: "of the access log", Signed: []byte(events.Checkpoint)})
		require.NoError(t, err)
		for _, f := range report.Findings { // the schedule's run may have gone on while it was copied
			require.Equal(t, "is beyond the newest checkpoint", f.What, f.Path)
		}
		require.GreaterOrEqual(t, report.Tree.N, c.Size)
	})
	t.Run("of somebody whose key is destroyed nothing can be read, and the log verifies", func(t *testing.T) {
		gone := s.Newcomer(t)
		client, table := dynamodb.NewFromConfig(s.AWS()), s.Output(t, "AuditStateTable")
		var p string
		take(t, s, func() bool {
			for _, i := range s.Items(t, table, "id", "subject#"+gone.ID) {
				p = i["pseudonym"].(*types.AttributeValueMemberS).Value
			}
			return p != ""
		})
		for _, id := range []string{"subject#" + gone.ID, "pseudonym#" + p} {
			for _, i := range s.Items(t, table, "id", id) {
				_, err := client.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String(table), Key: map[string]types.AttributeValue{"id": i["id"], "document": i["document"]}})
				require.NoError(t, err)
			}
		}
		var none access
		gone.Do(t, http.MethodGet, "/users/me/access-log", nil).JSON(t, &none)
		require.Empty(t, none.Items)
		ina.Do(t, http.MethodGet, "/audit/pseudonyms/"+p, nil).RequireProblem(t, fault.NotFound)
		report, err := verify.Log(os.DirFS(copied(t, s)), log)
		require.NoError(t, err)
		for _, f := range report.Findings {
			require.Equal(t, "is beyond the newest checkpoint", f.What, f.Path)
		}
	})
}

func number(n uint64) string { b, _ := json.Marshal(n); return string(b) }
