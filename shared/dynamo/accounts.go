package dynamo

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"fitvault/shared/access"
	"fitvault/shared/fault"
	"fitvault/shared/keyring"
)

// ErrConflict is returned where somebody else was first.
var ErrConflict = errors.New("the account has changed meanwhile")

// Read implements edge.Documents with one BatchGetItem.
func (t Tables) Read(ctx context.Context, keys access.Keys) (access.Documents, error) {
	var wanted []item
	want := func(id, document string) { wanted = append(wanted, item{"id": text(id), "document": text(document)}) }
	if keys.Subject != "" {
		want(access.IdentityKey(keys.Issuer, keys.Subject), access.CallerDocument)
	}
	if !keys.User.IsZero() {
		want(access.OwnerKey(keys.User), access.OwnerDocument)
	}
	if keys.Client != "" {
		want(access.AppKey(keys.Client), access.AppDocument)
	}
	var docs access.Documents
	if len(wanted) == 0 {
		return docs, nil
	}
	out, err := t.Client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
		t.Accounts: {ConsistentRead: aws.Bool(true), Keys: wanted}}})
	if err != nil {
		return docs, fault.Wrap(fault.Unavailable, "documents cannot be read", err)
	}
	// Keys that DynamoDB left out for load are not documents that do not exist.
	if len(out.UnprocessedKeys) > 0 {
		return docs, fault.New(fault.Unavailable, "documents were read in part")
	}
	for _, i := range out.Responses[t.Accounts] {
		switch getText(i, "document") {
		case access.CallerDocument:
			user, err := access.ParseUserID(getText(i, "user"))
			if err != nil {
				return access.Documents{}, fault.New(fault.Internal, "caller document is not readable")
			}
			docs.Caller = &access.Caller{User: user, Organisations: getSet(i, "organisations")}
			for _, r := range getSet(i, "roles") {
				docs.Caller.Roles = append(docs.Caller.Roles, access.Role(r))
			}
		case access.OwnerDocument:
			owner, err := decodeOwner(keys.User, i)
			if err != nil {
				return access.Documents{}, err
			}
			docs.Owner = &owner
		case access.AppDocument:
			app, err := access.DecodeApp(keys.Client, getText(i, "state"), getSet(i, "scopes"), getSet(i, "api_keys"))
			if err != nil {
				return access.Documents{}, err
			}
			docs.App = &app
		}
	}
	return docs, nil
}

func decodeOwner(user access.UserID, i item) (access.Owner, error) {
	broken := fault.New(fault.Internal, "owner document is not readable")
	owner := access.Owner{User: user, State: access.State(getText(i, "state")), DataKey: getText(i, "data_key"), Pseudonym: getText(i, "pseudonym"),
		Consents: map[access.Purpose]access.Consent{}}
	consents, ok := i["consents"].(*types.AttributeValueMemberM)
	if !ok || owner.State == "" || owner.DataKey == "" {
		return access.Owner{}, broken
	}
	var err error
	if owner.Trackers, err = decodeTrackers(i["trackers"]); err != nil {
		return access.Owner{}, err
	}
	if settings, ok := i["settings"].(*types.AttributeValueMemberM); ok {
		signed, _ := settings.Value["signed"].(*types.AttributeValueMemberBOOL)
		owner.Settings.Signed = signed != nil && signed.Value
	}
	for purpose, v := range consents.Value {
		c, ok := v.(*types.AttributeValueMemberM)
		if !ok {
			return access.Owner{}, broken
		}
		given, ok1 := c.Value["given"].(*types.AttributeValueMemberBOOL)
		nanos, ok2 := getNumber(c.Value, "time")
		if !ok1 || !ok2 {
			return access.Owner{}, broken
		}
		owner.Consents[access.Purpose(purpose)] = access.Consent{Version: getText(c.Value, "version"), Given: given.Value, Time: time.Unix(0, nanos).UTC()}
	}
	return owner, nil
}

func encodeConsent(c access.Consent) types.AttributeValue {
	return &types.AttributeValueMemberM{Value: item{
		"version": text(c.Version),
		"given":   &types.AttributeValueMemberBOOL{Value: c.Given},
		"time":    number(c.Time.UnixNano()),
	}}
}

// CreateAccount stores a new account whole or not at all: the mapping from the
// identity, the owner's policy and his key pair. ErrConflict where the identity
// has an account already.
func (t Tables) CreateAccount(ctx context.Context, identity string, owner access.Owner, key keyring.Enrolled) error {
	consents := item{}
	for purpose, c := range owner.Consents {
		consents[string(purpose)] = encodeConsent(c)
	}
	put := func(table string, i item, unlessExists string) types.TransactWriteItem {
		return types.TransactWriteItem{Put: &types.Put{TableName: aws.String(table), Item: i,
			ConditionExpression: aws.String("attribute_not_exists(#k)"), ExpressionAttributeNames: map[string]string{"#k": unlessExists}}}
	}
	policy := item{"id": text(access.OwnerKey(owner.User)), "document": text(access.OwnerDocument), "state": text(string(owner.State)),
		"data_key": text(owner.DataKey), "consents": &types.AttributeValueMemberM{Value: consents}}
	if owner.Pseudonym != "" { // an empty one would be one
		policy["pseudonym"] = text(owner.Pseudonym)
	}
	_, err := t.Client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
		put(t.Accounts, item{"id": text(identity), "document": text(access.CallerDocument), "user": text(owner.User.String())}, "id"),
		put(t.Accounts, policy, "id"),
		put(t.Keys, item{"owner": text(owner.User.String()), "key": text(owner.DataKey),
			"public": bytes(key.Statement.Public), "deployment": text(key.Statement.Deployment),
			"signed_at": number(key.Statement.At.Unix()),
			"signature": bytes(key.Signature), "wrapped": bytes(key.Wrapped)}, "owner"),
	}})
	if conflicted(err) {
		return ErrConflict
	}
	return err
}

// PutConsent replaces an active account's consent by a later one. ErrConflict
// where the account is not active (any more), or its owner has said something
// later: a request that was held up on its way brings no consent back. An
// account without a pseudonym gets this one; no account ever gets another.
func (t Tables) PutConsent(ctx context.Context, user access.UserID, purpose access.Purpose, c access.Consent, pseudonym string) error {
	_, err := t.Client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                aws.String(t.Accounts),
		Key:                      item{"id": text(access.OwnerKey(user)), "document": text(access.OwnerDocument)},
		UpdateExpression:         aws.String("SET consents.#p = :c, pseudonym = if_not_exists(pseudonym, :n)"),
		ConditionExpression:      aws.String("#s = :active AND (attribute_not_exists(consents.#p) OR consents.#p.#t < :t)"),
		ExpressionAttributeNames: map[string]string{"#p": string(purpose), "#s": "state", "#t": "time"},
		ExpressionAttributeValues: item{":c": encodeConsent(c), ":t": number(c.Time.UnixNano()),
			":active": text(string(access.Active)), ":n": text(pseudonym)},
	})
	if conflicted(err) {
		return ErrConflict
	}
	return err
}
