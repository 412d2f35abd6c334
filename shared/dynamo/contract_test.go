package dynamo_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"iter"
	"maps"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/access"
	"fitvault/shared/apps"
	"fitvault/shared/apps/appstest"
	"fitvault/shared/auditlog"
	"fitvault/shared/auditlog/auditlogtest"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge/edgetest"
	"fitvault/shared/intake"
	"fitvault/shared/intake/intaketest"
	"fitvault/shared/keyring/keyringtest"
	"fitvault/shared/pairing/pairingtest"
	"fitvault/shared/sharing/sharingtest"
)

// deployed is the tables of the local stack. Tests use random keys, and leave
// behind what they stored.
func deployed(t *testing.T) dynamo.Tables {
	s := stack.Open(t)
	return dynamo.Tables{
		Client:      dynamodb.NewFromConfig(s.AWS()),
		Accounts:    s.Output(t, "AccountsTable"),
		Keys:        s.Output(t, "KeysTable"),
		Readings:    s.Output(t, "ReadingsTable"),
		Requests:    s.Output(t, "RequestsTable"),
		AuditEvents: s.Output(t, "AuditEventsTable"),
	}
}

func TestManifestsContract(t *testing.T) {
	tables := deployed(t)
	intaketest.ManifestsContract(t, func(now func() time.Time) intake.Manifests { return dynamo.Manifests{Tables: tables, Now: now} })
}

func TestCountersContract(t *testing.T) { intaketest.CountersContract(t, deployed(t)) }

func TestPairingContract(t *testing.T) {
	tables := deployed(t)
	read := func(t *testing.T, owner access.UserID) *access.Owner {
		docs, err := tables.Read(t.Context(), access.Keys{User: owner})
		require.NoError(t, err)
		return docs.Owner
	}
	store := func(t *testing.T, owner access.UserID, state string, more map[string]any) {
		i := map[string]any{"id": access.OwnerKey(owner), "document": "owner", "state": state, "data_key": "k", "consents": map[string]any{}}
		maps.Copy(i, more)
		put(t, tables, tables.Accounts, i)
	}
	with := true // the map of trackers, which documents of before do not have
	pairingtest.Contract(t, tables, func(t *testing.T) access.UserID {
		owner, err := access.NewUserID(rand.Reader)
		require.NoError(t, err)
		more := map[string]any{}
		if with = !with; with {
			more["trackers"] = map[string]any{}
		}
		store(t, owner, "active", more)
		return owner
	}, func(t *testing.T, owner access.UserID) map[string]access.Tracker { return read(t, owner).Trackers },
		func(t *testing.T, owner access.UserID) { store(t, owner, "closing", nil) })
}

// pieces is the readers' side of the Readings table.
type pieces struct{ dynamo.Tables }

func (p pieces) Between(ctx context.Context, owner, first, end string) iter.Seq2[intaketest.Piece, error] {
	return func(yield func(intaketest.Piece, error) bool) {
		for s, err := range p.Tables.Between(ctx, owner, first, end) {
			if !yield(intaketest.Piece(s), err) {
				return
			}
		}
	}
}

func TestReadingsContract(t *testing.T) {
	tables := deployed(t)
	intaketest.BlocksContract(t, tables, pieces{tables})
}

func TestKeysContract(t *testing.T) { keyringtest.StoreContract(t, deployed(t)) }

func TestAccountsContract(t *testing.T) {
	tables := deployed(t)
	keyringtest.AccountsContract(t, tables, tables, dynamo.ErrConflict)
}

func TestDocumentsContract(t *testing.T) {
	tables := deployed(t)
	edgetest.Documents(t, tables, func(t *testing.T, issuer, subject string, d access.Documents) {
		if d.Caller != nil {
			put(t, tables, tables.Accounts, map[string]any{"id": access.IdentityKey(issuer, subject), "document": "caller", "user": d.Caller.User.String(),
				"roles": []string{"maker", "administrator"}, "organisations": d.Caller.Organisations})
		}
		if d.Owner != nil {
			consents := map[string]any{}
			for purpose, c := range d.Owner.Consents {
				consents[string(purpose)] = map[string]any{"version": c.Version, "given": c.Given, "time": int(c.Time.UnixNano()), "locale": c.Locale, "how": c.How}
			}
			put(t, tables, tables.Accounts, map[string]any{"id": access.OwnerKey(d.Owner.User), "document": "owner",
				"state": string(d.Owner.State), "data_key": d.Owner.DataKey, "consents": consents,
				"grants": map[string]any{"g1": permitted(d.Owner.Grants["g1"].Permit, d.Owner.Grants["g1"].To), "g2": permitted(d.Owner.Grants["g2"].Permit, "")},
				"apps":   map[string]any{"client": permitted(d.Owner.Apps["client"], "")},
				"trackers": map[string]any{"acme-1": map[string]any{"pairing": "p", "key": make([]byte, 33), "name": "wrist", "state": "active",
					"since": int(d.Owner.Trackers["acme-1"].Since.Unix())}},
				"settings": map[string]any{"signed": true, "sealed": []string{"fitvault:recording"}}})
		}
		if d.App != nil {
			var keys []string
			for _, k := range d.App.APIKeys {
				keys = append(keys, hex.EncodeToString(k[:]))
			}
			put(t, tables, tables.Accounts, map[string]any{"id": access.AppKey(d.App.Client), "document": "app",
				"state": string(d.App.State), "kind": string(d.App.Kind), "scopes": d.App.Scopes, "api_keys": keys})
		}
	})
}

func TestRegistryContract(t *testing.T) {
	tables := deployed(t)
	appstest.StoreContract(t, dynamo.Registry{Tables: tables}, func(t *testing.T, app apps.App) {
		put(t, tables, tables.Accounts, map[string]any{"id": access.AppKey(app.Client), "document": "app", "state": string(app.State), "kind": string(app.Kind),
			"scopes": app.Scopes, "api_keys": []string{hex.EncodeToString(make([]byte, 32))}})
	})
}

func TestMembershipsContract(t *testing.T) {
	tables := deployed(t)
	edgetest.Memberships(t, tables, dynamo.ErrConflict, func(t *testing.T, issuer, subject string, c access.Caller) {
		put(t, tables, tables.Accounts, map[string]any{"id": access.IdentityKey(issuer, subject), "document": "caller", "user": c.User.String()})
		require.NoError(t, tables.PutMemberships(t.Context(), issuer, subject, access.Caller{User: c.User}, c))
	})
}

func TestSessionsContract(t *testing.T) {
	tables := deployed(t)
	edgetest.Sessions(t, tables, func(t *testing.T, issuer, subject, name string, s access.Session) {
		put(t, tables, tables.Accounts, map[string]any{"id": access.SessionsKey(issuer, subject), "document": name,
			"client": s.Client, "state": string(s.State), "signed_in": int(s.SignedIn.Unix()), "expires": int(s.Expires.Unix())})
	})
}

func TestSharingContract(t *testing.T) {
	tables := deployed(t)
	sharingtest.Contract(t, tables, func(t *testing.T, o access.Owner) {
		consents, grants := map[string]any{}, map[string]any{}
		for purpose, c := range o.Consents {
			consents[string(purpose)] = map[string]any{"version": c.Version, "given": c.Given, "time": int(c.Time.UnixNano())}
		}
		for id, g := range o.Grants {
			grants[id] = permitted(g.Permit, g.To)
		}
		i := map[string]any{"id": access.OwnerKey(o.User), "document": "owner", "state": string(o.State), "data_key": o.DataKey, "consents": consents}
		if len(grants) > 0 { // a document of before there were grants has no such map
			i["grants"] = grants
		}
		put(t, tables, tables.Accounts, i)
	})
}

func permitted(p access.Permit, to string) map[string]any {
	var of []string
	for _, t := range p.Types {
		of = append(of, t.String())
	}
	m := map[string]any{"types": of, "read": p.Read, "write": p.Write, "use": string(p.Use), "from": int(p.From.Unix()), "until": int(p.Until.Unix())}
	if to != "" {
		m["to"] = to
	}
	return m
}

// put writes an item as the documents are described, not as the adapter writes it.
func put(t *testing.T, tables dynamo.Tables, table string, i map[string]any) {
	t.Helper()
	_, err := tables.Client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(table), Item: attributes(i)})
	require.NoError(t, err)
}

func attributes(i map[string]any) map[string]types.AttributeValue {
	all := map[string]types.AttributeValue{}
	for name, v := range i {
		switch v := v.(type) {
		case string:
			all[name] = &types.AttributeValueMemberS{Value: v}
		case bool:
			all[name] = &types.AttributeValueMemberBOOL{Value: v}
		case int:
			all[name] = &types.AttributeValueMemberN{Value: strconv.Itoa(v)}
		case []byte:
			all[name] = &types.AttributeValueMemberB{Value: v}
		case []string:
			all[name] = &types.AttributeValueMemberSS{Value: v}
		case map[string]any:
			all[name] = &types.AttributeValueMemberM{Value: attributes(v)}
		}
	}
	return all
}

func TestAuditEventsContract(t *testing.T) {
	tables := deployed(t)
	auditlogtest.Writer(t, tables, func(t *testing.T, id string, at time.Time) []auditlog.Event {
		out, err := tables.Client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String(tables.AuditEvents), ConsistentRead: aws.Bool(true),
			Key: attributes(map[string]any{"shard": auditlog.Shard(id, at), "id": id})})
		require.NoError(t, err)
		if out.Item == nil {
			return nil
		}
		stored, err := dynamo.DecodeEvent(out.Item)
		require.NoError(t, err)
		require.Equal(t, id, stored.ID)
		return []auditlog.Event{stored}
	})
}
