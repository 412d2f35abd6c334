package dynamo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"fitvault/shared/access"
	"fitvault/shared/apps"
	"fitvault/shared/fault"
)

// Registry is the apps of others in the Accounts table. It implements apps.Store.
//
// An app is its document, which every decision reads: `api_keys` holds the hashes
// that are good, `keys` names each by the gateway's id, and those not yet gone there.
// Beside it stands an item of each registration that was done, in one partition.
type Registry struct{ Tables }

// registrations is the `id` of all registrations; `document` is the request's.
const registrations = "apps"

// batch is how many items one BatchGetItem takes.
const batch = 100

// Requests implements apps.Store.
func (r Registry) Requests(ctx context.Context) (map[string]apps.Done, error) {
	done := map[string]apps.Done{}
	for pages := dynamodb.NewQueryPaginator(r.Client, &dynamodb.QueryInput{TableName: aws.String(r.Accounts), ConsistentRead: aws.Bool(true),
		KeyConditionExpression: aws.String("id = :i"), ExpressionAttributeValues: item{":i": text(registrations)}}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fault.Wrap(fault.Unavailable, "registrations cannot be read", err)
		}
		for _, i := range page.Items {
			client, body := getText(i, "client"), getBytes(i, "body")
			if !access.ValidClient(client) || len(body) != sha256.Size {
				return nil, fault.New(fault.Internal, "registration is not readable")
			}
			done[getText(i, "document")] = apps.Done{Client: client, Body: [sha256.Size]byte(body)}
		}
	}
	return done, nil
}

// Apps implements apps.Store.
func (r Registry) Apps(ctx context.Context, clients []string) ([]apps.App, error) {
	var all []apps.App
	for some := range slices.Chunk(clients, batch) {
		var keys []item
		for _, client := range some {
			keys = append(keys, appKey(client))
		}
		out, err := r.Client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
			r.Accounts: {ConsistentRead: aws.Bool(true), Keys: keys}}})
		if err != nil {
			return nil, fault.Wrap(fault.Unavailable, "apps cannot be read", err)
		}
		if len(out.UnprocessedKeys) > 0 {
			return nil, fault.New(fault.Unavailable, "apps were read in part")
		}
		for _, i := range out.Responses[r.Accounts] {
			app, err := decodeApp(i)
			if err != nil {
				return nil, err
			}
			all = append(all, app)
		}
	}
	slices.SortFunc(all, func(a, b apps.App) int { return strings.Compare(a.Client, b.Client) })
	return all, nil
}

func appKey(client string) item {
	return item{"id": text(access.AppKey(client)), "document": text(access.AppDocument)}
}

func decodeApp(i item) (apps.App, error) {
	client, _ := strings.CutPrefix(getText(i, "id"), access.AppKey(""))
	good := getSet(i, "api_keys")
	document, err := access.DecodeApp(client, getText(i, "state"), getText(i, "kind"), getSet(i, "scopes"), good)
	if err != nil {
		return apps.App{}, err
	}
	app := apps.App{Client: client, Name: getText(i, "name"), Kind: document.Kind, State: document.State,
		Scopes: slices.Sorted(slices.Values(document.Scopes)), RedirectURIs: slices.Sorted(slices.Values(getSet(i, "redirect_uris")))}
	if seconds, ok := getNumber(i, "registered"); ok {
		app.Registered = time.Unix(seconds, 0).UTC()
	}
	named, _ := i["keys"].(*types.AttributeValueMemberM)
	if named == nil {
		return app, nil
	}
	for id, v := range named.Value {
		digest, ok := v.(*types.AttributeValueMemberB)
		if !ok || len(digest.Value) != sha256.Size {
			return apps.App{}, fault.New(fault.Internal, "app document: key")
		}
		app.Keys = append(app.Keys, apps.Key{ID: id, Digest: [sha256.Size]byte(digest.Value), Retired: !slices.Contains(good, hex.EncodeToString(digest.Value))})
	}
	slices.SortFunc(app.Keys, func(a, b apps.Key) int { return strings.Compare(a.ID, b.ID) })
	return app, nil
}

// Register implements apps.Store.
func (r Registry) Register(ctx context.Context, request apps.Request, app apps.App) error {
	keys, digests := item{}, []string{}
	for _, k := range app.Keys {
		keys[k.ID] = bytes(k.Digest[:])
		digests = append(digests, hex.EncodeToString(k.Digest[:]))
	}
	document := appKey(app.Client)
	for name, value := range map[string]types.AttributeValue{
		"state": text(string(app.State)), "kind": text(string(app.Kind)), "name": text(app.Name),
		"scopes": &types.AttributeValueMemberSS{Value: app.Scopes}, "api_keys": &types.AttributeValueMemberSS{Value: digests},
		"keys": &types.AttributeValueMemberM{Value: keys}, "registered": number(app.Registered.Unix()),
	} {
		document[name] = value
	}
	if len(app.RedirectURIs) > 0 { // DynamoDB has no empty sets
		document["redirect_uris"] = &types.AttributeValueMemberSS{Value: app.RedirectURIs}
	}
	var puts []types.TransactWriteItem
	for _, i := range []item{
		{"id": text(registrations), "document": text(request.ID), "client": text(app.Client), "body": bytes(request.Body[:])},
		document,
	} {
		puts = append(puts, types.TransactWriteItem{Put: &types.Put{TableName: aws.String(r.Accounts), Item: i,
			ConditionExpression: aws.String("attribute_not_exists(id)")}})
	}
	_, err := r.Client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: puts})
	return changed(err)
}

// SetState implements apps.Store.
func (r Registry) SetState(ctx context.Context, client string, state access.State) error {
	return r.change(ctx, client, "SET #s = :s", "#k IN (:third, :system)", map[string]string{"#s": "state", "#k": "kind"},
		item{":s": text(string(state)), ":third": text(string(access.ThirdPartyApp)), ":system": text(string(access.SystemApp))})
}

// AddKey implements apps.Store.
func (r Registry) AddKey(ctx context.Context, client string, key apps.Key) error {
	return r.change(ctx, client, "SET #k.#i = :d ADD api_keys :h", "attribute_not_exists(#k.#i) AND size(#k) < :max",
		map[string]string{"#k": "keys", "#i": key.ID},
		item{":d": bytes(key.Digest[:]), ":h": digest(key), ":max": number(apps.MaxKeys)})
}

// RetireKey implements apps.Store.
func (r Registry) RetireKey(ctx context.Context, client string, key apps.Key) error {
	return r.change(ctx, client, "DELETE api_keys :h", "#k.#i = :d AND contains(api_keys, :t) AND size(api_keys) > :one",
		map[string]string{"#k": "keys", "#i": key.ID},
		item{":d": bytes(key.Digest[:]), ":h": digest(key), ":t": text(hex.EncodeToString(key.Digest[:])), ":one": number(1)})
}

// ForgetKey implements apps.Store.
func (r Registry) ForgetKey(ctx context.Context, client string, key apps.Key) error {
	return r.change(ctx, client, "REMOVE #k.#i", "#k.#i = :d AND NOT contains(api_keys, :t)",
		map[string]string{"#k": "keys", "#i": key.ID},
		item{":d": bytes(key.Digest[:]), ":t": text(hex.EncodeToString(key.Digest[:]))})
}

func digest(k apps.Key) types.AttributeValue {
	return &types.AttributeValueMemberSS{Value: []string{hex.EncodeToString(k.Digest[:])}}
}

func (r Registry) change(ctx context.Context, client, update, condition string, names map[string]string, values item) error {
	_, err := r.Client.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: aws.String(r.Accounts), Key: appKey(client),
		UpdateExpression: aws.String(update), ConditionExpression: aws.String(condition),
		ExpressionAttributeNames: names, ExpressionAttributeValues: values})
	return changed(err)
}

func changed(err error) error {
	switch {
	case err == nil:
		return nil
	case conflicted(err):
		return apps.ErrConflict
	}
	return fault.Wrap(fault.Unavailable, "app cannot be stored", err)
}
