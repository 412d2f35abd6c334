package dynamo

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

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
