package dynamo

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"fitvault/shared/intake"
)

// Manifests implements intake.Manifests on the Requests table. An expired
// manifest counts as none, whether DynamoDB has swept it yet or not.
type Manifests struct {
	Tables
	Now func() time.Time
}

// Claim implements intake.Manifests with one conditional write.
func (m Manifests) Claim(ctx context.Context, manifest intake.Manifest) (intake.Manifest, error) {
	encoded, err := json.Marshal(manifest)
	if err != nil {
		return intake.Manifest{}, err
	}
	_, err = m.Client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: aws.String(m.Requests),
		Item: item{"key": text(manifest.Key), "body": bytes(manifest.Body), "manifest": text(string(encoded)),
			"expires": number(manifest.Expires.Unix())},
		ConditionExpression:                 aws.String("attribute_not_exists(#k) OR #e <= :now"),
		ExpressionAttributeNames:            map[string]string{"#k": "key", "#e": "expires"},
		ExpressionAttributeValues:           item{":now": number(m.Now().Unix())},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if err == nil {
		return manifest, nil
	}
	var held *types.ConditionalCheckFailedException
	if !errors.As(err, &held) {
		return intake.Manifest{}, err
	}
	return decodeManifest(manifest.Key, held.Item)
}

// Find implements intake.Manifests.
func (m Manifests) Find(ctx context.Context, key string) (intake.Manifest, bool, error) {
	out, err := m.Client.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(m.Requests), ConsistentRead: aws.Bool(true),
		Key: item{"key": text(key)}})
	if err != nil || out.Item == nil {
		return intake.Manifest{}, false, err
	}
	held, err := decodeManifest(key, out.Item)
	if err != nil || !held.Expires.After(m.Now()) {
		return intake.Manifest{}, false, err
	}
	return held, true, nil
}

func decodeManifest(key string, i item) (intake.Manifest, error) {
	var m intake.Manifest
	expires, ok := getNumber(i, "expires")
	if !ok || json.Unmarshal([]byte(getText(i, "manifest")), &m) != nil {
		return intake.Manifest{}, errShape
	}
	m.Key, m.Body, m.Expires = key, getBytes(i, "body"), time.Unix(expires, 0).UTC()
	return m, nil
}

// Items implements sequence.Manifests: of a manifest that has expired too, until
// DynamoDB has swept it. It asks for no more than that.
func (t Tables) Items(ctx context.Context, manifests []string) (map[string][]string, error) {
	var mu sync.Mutex
	found := map[string][]string{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, key := range manifests {
		group.Go(func() error {
			out, err := t.Client.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(t.Requests), ConsistentRead: aws.Bool(true), Key: item{"key": text(key)},
				ProjectionExpression: aws.String("#m"), ExpressionAttributeNames: map[string]string{"#m": "manifest"}})
			if err != nil || out.Item == nil {
				return err
			}
			var m intake.Manifest
			if json.Unmarshal([]byte(getText(out.Item, "manifest")), &m) != nil {
				return nil // whoever wrote that, it lets nothing be stored
			}
			var items []string
			for _, b := range m.Blocks {
				items = append(items, intake.BlockItem(b.Day, b.ID))
			}
			if m.Recording != nil {
				items = append(items, intake.RecordItem(m.Recording.ID))
			}
			mu.Lock()
			defer mu.Unlock()
			found[key] = items
			return nil
		})
	}
	return found, group.Wait()
}
