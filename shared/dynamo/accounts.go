package dynamo

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"fitvault/shared/access"
	"fitvault/shared/fault"
	"fitvault/shared/keyring"
	"fitvault/shared/reading"
)

// ErrConflict is returned where somebody else was first.
var ErrConflict = errors.New("the account has changed meanwhile")

// Read implements edge.Documents with one BatchGetItem.
func (t Tables) Read(ctx context.Context, keys access.Keys) (access.Documents, error) {
	var wanted []item
	want := func(id, document string) { wanted = append(wanted, item{"id": text(id), "document": text(document)}) }
	if keys.Subject != "" {
		want(access.IdentityKey(keys.Issuer, keys.Subject), access.CallerDocument)
		if keys.Session != "" {
			want(access.SessionsKey(keys.Issuer, keys.Subject), keys.Session)
		}
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
			caller, err := decodeCaller(i)
			if err != nil {
				return access.Documents{}, err
			}
			docs.Caller = &caller
		case access.OwnerDocument:
			owner, err := decodeOwner(keys.User, i)
			if err != nil {
				return access.Documents{}, err
			}
			docs.Owner = &owner
		case access.AppDocument:
			app, err := access.DecodeApp(keys.Client, getText(i, "state"), getText(i, "kind"), getSet(i, "scopes"), getSet(i, "api_keys"))
			if err != nil {
				return access.Documents{}, err
			}
			app.Name = getText(i, "name")
			docs.App = &app
		case keys.Session:
			session, err := decodeSession(i)
			if err != nil {
				return access.Documents{}, err
			}
			docs.Session = &session
		}
	}
	return docs, nil
}

func decodeCaller(i item) (caller access.Caller, err error) {
	broken := fault.New(fault.Internal, "caller document is not readable")
	if _, person := i["user"]; person { // a member of the staff is no user
		if caller.User, err = access.ParseUserID(getText(i, "user")); err != nil {
			return access.Caller{}, broken
		}
	}
	if caller.Roles, caller.Organisations, err = decodeSets(i); err != nil {
		return access.Caller{}, broken
	}
	if caller.Proposal, err = decodeProposal(i["proposal"]); err != nil {
		return access.Caller{}, broken
	}
	if _, ended := i[sessionsFrom]; ended { // what cannot be read must not pass for none
		seconds, ok := getNumber(i, sessionsFrom)
		if !ok {
			return access.Caller{}, broken
		}
		caller.SessionsFrom = time.Unix(seconds, 0).UTC()
	}
	return caller, nil
}

func decodeSession(i item) (access.Session, error) {
	s := access.Session{Client: getText(i, "client"), State: access.State(getText(i, "state"))}
	signedIn, ok1 := getNumber(i, "signed_in")
	expires, ok2 := getNumber(i, "expires")
	if !ok1 || !ok2 || s.Client == "" || s.State != access.Active && s.State != access.Ended {
		return access.Session{}, fault.New(fault.Internal, "session is not readable")
	}
	s.SignedIn, s.Expires = time.Unix(signedIn, 0).UTC(), time.Unix(expires, 0).UTC()
	return s, nil
}

// BeginSession stores a session at its first use. Of any number at once one is
// stored; one that is there already stays, and is returned.
func (t Tables) BeginSession(ctx context.Context, issuer, subject, name string, s access.Session) (access.Session, error) {
	_, err := t.Client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: aws.String(t.Accounts),
		Item: item{"id": text(access.SessionsKey(issuer, subject)), "document": text(name), "client": text(s.Client), "state": text(string(s.State)),
			"signed_in": number(s.SignedIn.Unix()), "expires": number(s.Expires.Unix())},
		ConditionExpression: aws.String("attribute_not_exists(id)"),
	})
	if conflicted(err) {
		found, err := t.Read(ctx, access.Keys{Issuer: issuer, Subject: subject, Session: name})
		if err != nil || found.Session == nil {
			return access.Session{}, fault.Wrap(fault.Unavailable, "session cannot be read", err)
		}
		return *found.Session, nil
	}
	if err != nil {
		return access.Session{}, fault.Wrap(fault.Unavailable, "session cannot be stored", err)
	}
	return s, nil
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
		owner.Consents[access.Purpose(purpose)] = access.Consent{Version: getText(c.Value, "version"), Given: given.Value, Time: time.Unix(0, nanos).UTC(),
			Locale: getText(c.Value, "locale"), How: getText(c.Value, "how")}
	}
	var err1, err2 error
	owner.Grants, err1 = decodeMap(i, "grants", func(m item) (access.Grant, error) {
		p, err := decodePermit(m)
		g := access.Grant{Permit: p, To: getText(m, "to")}
		if invitation, ok := getNumber(m, "invitation"); ok && g.To == "" {
			g.Invitation = time.Unix(invitation, 0).UTC()
		}
		return g, err
	})
	owner.Apps, err2 = decodeMap(i, "apps", decodePermit)
	var readable bool
	if owner.Settings, readable = decodeSettings(i["settings"]); !readable || errors.Join(err1, err2) != nil {
		return access.Owner{}, broken
	}
	return owner, nil
}

// decodeMap reads a map of maps; nil where there is none, or nothing in it.
func decodeMap[V any](i item, name string, decode func(item) (V, error)) (map[string]V, error) {
	all, ok := i[name].(*types.AttributeValueMemberM)
	if !ok && i[name] != nil {
		return nil, errShape
	}
	if !ok || len(all.Value) == 0 {
		return nil, nil
	}
	decoded := make(map[string]V, len(all.Value))
	for key, v := range all.Value {
		m, ok := v.(*types.AttributeValueMemberM)
		if !ok {
			return nil, errShape
		}
		var err error
		if decoded[key], err = decode(m.Value); err != nil {
			return nil, err
		}
	}
	return decoded, nil
}

// decodeTypes reads a set of types, sorted; nil where there is none.
func decodeTypes(i item, name string) ([]reading.Type, error) {
	return parseTypes(getSet(i, name))
}

func parseTypes(set []string) (all []reading.Type, err error) {
	for _, s := range slices.Sorted(slices.Values(set)) {
		t, err := reading.ParseType(s)
		if err != nil {
			return nil, errShape
		}
		all = append(all, t)
	}
	return all, nil
}

func encodeTypes(all []reading.Type) types.AttributeValue {
	set := make([]string, len(all))
	for i, t := range all {
		set[i] = t.String()
	}
	return &types.AttributeValueMemberSS{Value: set}
}

func encodePermit(p access.Permit) item {
	return item{"types": encodeTypes(p.Types), "read": &types.AttributeValueMemberBOOL{Value: p.Read}, "write": &types.AttributeValueMemberBOOL{Value: p.Write},
		"use": text(string(p.Use)), "from": number(p.From.Unix()), "until": number(p.Until.Unix())}
}

func decodePermit(m item) (access.Permit, error) {
	read, ok1 := m["read"].(*types.AttributeValueMemberBOOL)
	write, ok2 := m["write"].(*types.AttributeValueMemberBOOL)
	from, ok3 := getNumber(m, "from")
	until, ok4 := getNumber(m, "until")
	of, err := decodeTypes(m, "types")
	if !ok1 || !ok2 || !ok3 || !ok4 || err != nil {
		return access.Permit{}, errShape
	}
	return access.NewPermit(access.Permit{Types: of, Read: read.Value, Write: write.Value, Use: access.Use(getText(m, "use")),
		From: time.Unix(from, 0), Until: time.Unix(until, 0)})
}

// decodeSettings reads what an owner demands. An account without settings demands
// nothing; what cannot be read must not pass for that.
func decodeSettings(v types.AttributeValue) (settings access.Settings, ok bool) {
	if v == nil {
		return settings, true
	}
	m, ok := v.(*types.AttributeValueMemberM)
	if !ok {
		return settings, false
	}
	for name, v := range m.Value {
		switch v := v.(type) {
		case *types.AttributeValueMemberBOOL:
			if name != "signed" {
				return settings, false
			}
			settings.Signed = v.Value
		case *types.AttributeValueMemberSS:
			if name != "sealed" {
				return settings, false
			}
			var err error
			if settings.Sealed, err = parseTypes(v.Value); err != nil {
				return settings, false
			}
		default:
			return settings, false
		}
	}
	return settings, true
}

func encodeConsent(c access.Consent) types.AttributeValue {
	return &types.AttributeValueMemberM{Value: item{
		"version": text(c.Version),
		"given":   &types.AttributeValueMemberBOOL{Value: c.Given},
		"time":    number(c.Time.UnixNano()),
		"locale":  text(c.Locale),
		"how":     text(c.How),
	}}
}

// CreateAccount stores a new account whole or not at all: the mapping from the
// identity, the owner's policy, his key pair and the receipts of his consents.
// ErrConflict where the identity has an account already.
func (t Tables) CreateAccount(ctx context.Context, identity string, owner access.Owner, key keyring.Enrolled, receipts map[access.Purpose]string) error {
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
	items := []types.TransactWriteItem{
		put(t.Accounts, item{"id": text(identity), "document": text(access.CallerDocument), "user": text(owner.User.String())}, "id"),
		put(t.Accounts, policy, "id"),
		put(t.Keys, item{"owner": text(owner.User.String()), "key": text(owner.DataKey),
			"public": bytes(key.Statement.Public), "deployment": text(key.Statement.Deployment),
			"signed_at": number(key.Statement.At.Unix()),
			"signature": bytes(key.Signature), "wrapped": bytes(key.Wrapped)}, "owner"),
	}
	for purpose, receipt := range receipts {
		items = append(items, put(t.Accounts, receiptItem(owner.User, purpose, owner.Consents[purpose].Time, receipt), "id"))
	}
	_, err := t.Client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
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

func receiptKey(user access.UserID, purpose access.Purpose) item {
	return item{"id": text(access.OwnerKey(user)), "document": text("receipt#" + string(purpose))}
}

func receiptItem(user access.UserID, purpose access.Purpose, at time.Time, receipt string) item {
	i := receiptKey(user, purpose)
	i["time"], i["receipt"] = number(at.UnixNano()), text(receipt)
	return i
}

// PutReceipt keeps the receipt of what was said at a moment, beside the owner's
// document, unless there is one of something said later.
func (t Tables) PutReceipt(ctx context.Context, user access.UserID, purpose access.Purpose, at time.Time, receipt string) error {
	_, err := t.Client.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(t.Accounts), Item: receiptItem(user, purpose, at, receipt),
		ConditionExpression:       aws.String("attribute_not_exists(#t) OR #t < :t"),
		ExpressionAttributeNames:  map[string]string{"#t": "time"},
		ExpressionAttributeValues: item{":t": number(at.UnixNano())}})
	if conflicted(err) {
		return nil
	}
	return err
}

// Receipt is the receipt of what was said at a moment; "" where there is none, or
// one of another moment: what was said is stored before its receipt.
func (t Tables) Receipt(ctx context.Context, user access.UserID, purpose access.Purpose, at time.Time) (string, error) {
	// A batch of one: enrol's role has no other read of this table.
	out, err := t.Client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
		t.Accounts: {ConsistentRead: aws.Bool(true), Keys: []item{receiptKey(user, purpose)}}}})
	if err != nil {
		return "", err
	}
	if len(out.UnprocessedKeys) > 0 {
		return "", errors.New("a receipt was not read")
	}
	for _, i := range out.Responses[t.Accounts] {
		if nanos, ok := getNumber(i, "time"); ok && nanos == at.UnixNano() {
			return getText(i, "receipt"), nil
		}
	}
	return "", nil
}
