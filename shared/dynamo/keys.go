package dynamo

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"fitvault/shared/keyring"
	"fitvault/shared/vault"
)

func (t Tables) key(ctx context.Context, owner, name string) (item, error) {
	out, err := t.Client.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(t.Keys), ConsistentRead: aws.Bool(true),
		Key: item{"owner": text(owner), "key": text(name)}})
	if err != nil {
		return nil, err
	}
	if out.Item == nil {
		return nil, keyring.ErrNoKey
	}
	return out.Item, nil
}

// ServiceKey implements keyring.Store.
func (t Tables) ServiceKey(ctx context.Context, name string) (keyring.Wrapped, error) {
	i, err := t.key(ctx, keyring.Service, name)
	if err != nil {
		return keyring.Wrapped{}, err
	}
	return keyring.Wrapped{ID: getText(i, "id"), Blob: getBytes(i, "wrapped")}, nil
}

// OwnerKey implements keyring.Store. What it returns is what the table says:
// the caller checks enrol's signature.
func (t Tables) OwnerKey(ctx context.Context, owner, keyID string) (keyring.Enrolled, error) {
	i, err := t.key(ctx, owner, keyID)
	if err != nil {
		return keyring.Enrolled{}, err
	}
	at, ok := getNumber(i, "signed_at")
	if !ok {
		return keyring.Enrolled{}, keyring.ErrAltered
	}
	return keyring.Enrolled{
		Statement: vault.Statement{Deployment: getText(i, "deployment"), Owner: owner, KeyID: keyID,
			Public: getBytes(i, "public"), At: time.Unix(at, 0).UTC()},
		Signature: getBytes(i, "signature"),
		Wrapped:   getBytes(i, "wrapped"),
	}, nil
}

// KeyIDs implements sequence.Owners. It asks for the keys of items alone: which ids there
// are, and nothing of the keys that they name.
func (t Tables) KeyIDs(ctx context.Context, owners []string) (map[string][]string, error) {
	var mu sync.Mutex
	found := map[string][]string{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, owner := range owners {
		group.Go(func() error {
			pages := dynamodb.NewQueryPaginator(t.Client, &dynamodb.QueryInput{TableName: aws.String(t.Keys),
				KeyConditionExpression: aws.String("#o = :o"), ExpressionAttributeValues: item{":o": text(owner)},
				Select: types.SelectSpecificAttributes, ProjectionExpression: aws.String("#o, #k"), ExpressionAttributeNames: map[string]string{"#o": "owner", "#k": "key"}})
			for pages.HasMorePages() {
				out, err := pages.NextPage(ctx)
				if err != nil {
					return err
				}
				mu.Lock()
				for _, i := range out.Items {
					found[owner] = append(found[owner], getText(i, "key"))
				}
				mu.Unlock()
			}
			return nil
		})
	}
	return found, group.Wait()
}

// PutServiceKey stores a service key unless its name is taken, and reports
// whether it did.
func (t Tables) PutServiceKey(ctx context.Context, name string, w keyring.Wrapped) (bool, error) {
	_, err := t.Client.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(t.Keys),
		ConditionExpression: aws.String("attribute_not_exists(#k)"), ExpressionAttributeNames: map[string]string{"#k": "key"},
		Item: item{"owner": text(keyring.Service), "key": text(name), "id": text(w.ID), "wrapped": bytes(w.Blob)}})
	if conflicted(err) {
		return false, nil
	}
	return err == nil, err
}
