// Package auditlog tests the audit log on the deployed stack: what people did is
// in it, an auditor sees it without names, an owner sees what concerns him, and a
// copy of the bucket verifies without anything of fitvault's.
package auditlog

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"fitvault/e2e/stack"
	"fitvault/shared/auditlog/tiles"
	"fitvault/shared/auditlog/verify"
	"fitvault/shared/fault"
)

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
	log := s.LogVerifier(t)
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
	s.TakeUntil(t, func() bool {
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
		s.TakeUntil(t, func() bool { // the owner sees that it was asked
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
		report, err := verify.Log(os.DirFS(s.CopyLog(t)), log, verify.Kept{Name: "of the access log", Signed: []byte(events.Checkpoint)})
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
		s.TakeUntil(t, func() bool {
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
		report, err := verify.Log(os.DirFS(s.CopyLog(t)), log)
		require.NoError(t, err)
		for _, f := range report.Findings {
			require.Equal(t, "is beyond the newest checkpoint", f.What, f.Path)
		}
	})
}

func number(n uint64) string { b, _ := json.Marshal(n); return string(b) }
