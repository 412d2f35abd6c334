package dynamo

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"fitvault/shared/access"
	"fitvault/shared/fault"
	"fitvault/shared/sharing"
)

// This file is sharing.Store, on the Accounts table. Maps in an owner's document are
// changed at one path each and on a condition, never read and written back: of two
// changes at once none undoes the other.

const (
	invitationDocument = "invitation"
	maxSessionsRead    = 1000 // of one identity; they expire a month after their sign-in
)

func invitationKey(selector string) item {
	return item{"id": text(sharing.InvitationKey(selector)), "document": text(invitationDocument)}
}

// AddGrant is one transaction: an account that is full gets no invitation either. Both
// are made again where the very same are there: who asks again because an answer was
// lost would else be told that there is no room.
func (t Tables) AddGrant(ctx context.Context, id string, g access.Grant, selector string, i sharing.Invitation) error {
	if err := t.ensureMap(ctx, i.Owner, "grants"); err != nil {
		return err
	}
	invitation := invitationKey(selector)
	invitation["owner"], invitation["grant"], invitation["verifier"] = text(i.Owner.String()), text(i.Grant), bytes(i.Verifier[:])
	invitation["tries"], invitation["expires"] = number(0), number(i.Expires.Unix())
	permit := encodePermit(g.Permit)
	permit["invitation"] = number(i.Expires.Unix())
	return t.inOne(ctx, sharing.ErrFull, // also of a selector of 80 random bits that is taken
		types.TransactWriteItem{Put: &types.Put{TableName: aws.String(t.Accounts), Item: invitation,
			ConditionExpression:       aws.String("attribute_not_exists(id) OR verifier = :verifier AND tries = :none"),
			ExpressionAttributeValues: item{":verifier": invitation["verifier"], ":none": number(0)}}},
		t.update(t.Accounts, ownerKey(i.Owner), "SET grants.#id = :grant", "#s = :active AND (size(grants) < :most AND attribute_not_exists(grants.#id) OR grants.#id = :grant)",
			map[string]string{"#id": id, "#s": "state"},
			item{":grant": &types.AttributeValueMemberM{Value: permit}, ":active": text(string(access.Active)), ":most": number(access.MaxGrants)}))
}

// inOne is a transaction; lost is what is returned where one of its conditions does not hold.
func (t Tables) inOne(ctx context.Context, lost error, steps ...types.TransactWriteItem) error {
	done, err := t.transact(ctx, steps...)
	if err == nil && !done {
		return lost
	}
	return err
}

// ensureMap gives a document of before there was such a map an empty one, which a path
// needs to lead into. One that has it, or is not active, stays as it is.
func (t Tables) ensureMap(ctx context.Context, owner access.UserID, name string) error {
	err := t.change(ctx, ownerKey(owner), "SET #m = :none", "#s = :active AND attribute_not_exists(#m)", map[string]string{"#m": name, "#s": "state"},
		item{":none": &types.AttributeValueMemberM{Value: item{}}, ":active": text(string(access.Active))}, nil)
	return err
}

// change updates one item on a condition; lost is what is returned where it does not hold.
func (t Tables) change(ctx context.Context, key item, update, condition string, names map[string]string, values item, lost error) error {
	in := &dynamodb.UpdateItemInput{TableName: aws.String(t.Accounts), Key: key, UpdateExpression: aws.String(update),
		ConditionExpression: aws.String(condition), ExpressionAttributeNames: names, ExpressionAttributeValues: values}
	if len(values) == 0 {
		in.ExpressionAttributeValues = nil
	}
	return unlessLost(contend(ctx, func() error {
		_, err := t.Client.UpdateItem(ctx, in)
		return err
	}), lost)
}

// unlessLost is lost where a condition did not hold.
func unlessLost(err, lost error) error {
	if failedCondition(err) {
		return lost
	}
	return err
}

// RemoveGrant reads who has the grant, and removes it from both on the condition that he
// has it still. It may have been accepted in between, once; then it is that one's.
func (t Tables) RemoveGrant(ctx context.Context, owner access.UserID, id string) error {
	for range 3 { // not accepted, accepted, gone
		found, err := t.Owners(ctx, []access.UserID{owner})
		if err != nil {
			return err
		}
		g, ok := found[owner].Grants[id]
		if !ok {
			return sharing.ErrNone
		}
		names, remove := map[string]string{"#id": id, "#to": "to"}, "REMOVE grants.#id"
		steps := []types.TransactWriteItem{t.update(t.Accounts, ownerKey(owner), remove, "attribute_exists(grants.#id) AND attribute_not_exists(grants.#id.#to)", names, nil)}
		if g.To != "" {
			steps = []types.TransactWriteItem{
				t.update(t.Accounts, ownerKey(owner), remove, "grants.#id.#to = :to", names, item{":to": text(g.To)}),
				{Delete: &types.Delete{TableName: aws.String(t.Accounts), Key: sharedKey(g.To, owner, id)}},
			}
		}
		if done, err := t.transact(ctx, steps...); done || err != nil {
			return err
		}
	}
	return fault.New(fault.Unavailable, "grant has changed again and again")
}

func sharedKey(to string, owner access.UserID, grant string) item {
	return item{"id": text(sharing.SharedKey(to)), "document": text(owner.String() + "#" + grant)}
}

func (t Tables) RemoveApp(ctx context.Context, owner access.UserID, client string) error {
	return t.change(ctx, ownerKey(owner), "REMOVE apps.#id", "attribute_exists(apps.#id)", map[string]string{"#id": client}, nil, sharing.ErrNone)
}

func (t Tables) Try(ctx context.Context, selector string, now time.Time) (sharing.Invitation, error) {
	out, err := t.Client.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: aws.String(t.Accounts), Key: invitationKey(selector),
		UpdateExpression:          aws.String("ADD tries :one"),
		ConditionExpression:       aws.String("attribute_exists(id) AND tries < :most AND expires > :now AND attribute_not_exists(accepted)"),
		ExpressionAttributeValues: item{":one": number(1), ":most": number(sharing.MaxTries), ":now": number(now.Unix())},
		ReturnValues:              types.ReturnValueAllNew})
	if err != nil {
		return sharing.Invitation{}, unlessLost(err, sharing.ErrNone)
	}
	owner, err := access.ParseUserID(getText(out.Attributes, "owner"))
	verifier := getBytes(out.Attributes, "verifier")
	expires, ok := getNumber(out.Attributes, "expires")
	i := sharing.Invitation{Owner: owner, Grant: getText(out.Attributes, "grant"), Expires: time.Unix(expires, 0).UTC()}
	if err != nil || !ok || len(verifier) != sha256.Size || i.Grant == "" {
		return sharing.Invitation{}, errShape
	}
	i.Verifier = [sha256.Size]byte(verifier)
	return i, nil
}

func (t Tables) Accept(ctx context.Context, selector string, i sharing.Invitation, to string, until, now time.Time) error {
	entry := sharedKey(to, i.Owner, i.Grant)
	entry["expires"] = number(until.Unix()) // then it may go by itself
	return t.inOne(ctx, sharing.ErrNone,
		t.update(t.Accounts, invitationKey(selector), "SET accepted = :yes", "attribute_exists(id) AND attribute_not_exists(accepted)", nil,
			item{":yes": &types.AttributeValueMemberBOOL{Value: true}}),
		t.update(t.Accounts, ownerKey(i.Owner), "SET grants.#g.#to = :to REMOVE grants.#g.invitation",
			"#s = :active AND attribute_exists(grants.#g) AND attribute_not_exists(grants.#g.#to) AND grants.#g.#until > :now",
			map[string]string{"#g": i.Grant, "#to": "to", "#until": "until", "#s": "state"},
			item{":to": text(to), ":active": text(string(access.Active)), ":now": number(now.Unix())}),
		types.TransactWriteItem{Put: &types.Put{TableName: aws.String(t.Accounts), Item: entry}},
	)
}

// SharedWith leaves out what has ended and was not swept yet.
func (t Tables) SharedWith(ctx context.Context, to string, most int, now time.Time) (all []sharing.Shared, err error) {
	pages := dynamodb.NewQueryPaginator(t.Client, &dynamodb.QueryInput{TableName: aws.String(t.Accounts), ConsistentRead: aws.Bool(true),
		KeyConditionExpression: aws.String("id = :id"), FilterExpression: aws.String("expires > :now"),
		ExpressionAttributeValues: item{":id": text(sharing.SharedKey(to)), ":now": number(now.Unix())}})
	for pages.HasMorePages() && len(all) < most {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, i := range page.Items {
			owner, grant, _ := strings.Cut(getText(i, "document"), "#")
			id, err := access.ParseUserID(owner)
			if err != nil || grant == "" {
				return nil, errShape
			}
			all = append(all, sharing.Shared{Owner: id, Grant: grant})
		}
	}
	return all[:min(most, len(all))], nil
}

func (t Tables) Owners(ctx context.Context, ids []access.UserID) (map[access.UserID]access.Owner, error) {
	found := map[access.UserID]access.Owner{}
	for some := range slices.Chunk(ids, 100) { // as many as one request takes
		keys := make([]item, len(some))
		for n, id := range some {
			keys[n] = ownerKey(id)
		}
		for len(keys) > 0 {
			out, err := t.Client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
				t.Accounts: {ConsistentRead: aws.Bool(true), Keys: keys}}})
			if err != nil {
				return nil, err
			}
			for _, i := range out.Responses[t.Accounts] {
				id, err := access.ParseUserID(strings.TrimPrefix(getText(i, "id"), access.OwnerKey(access.UserID{})))
				if err != nil {
					return nil, errShape
				}
				if found[id], err = decodeOwner(id, i); err != nil {
					return nil, err
				}
			}
			rest := out.UnprocessedKeys[t.Accounts].Keys
			if len(rest) >= len(keys) {
				return nil, errors.New("documents were not read")
			}
			keys = rest
		}
	}
	return found, nil
}

func (t Tables) PutApp(ctx context.Context, owner access.UserID, client string, p access.Permit) error {
	if err := t.ensureMap(ctx, owner, "apps"); err != nil {
		return err
	}
	return t.change(ctx, ownerKey(owner), "SET apps.#id = :permit", "#s = :active AND (attribute_exists(apps.#id) OR size(apps) < :most)",
		map[string]string{"#id": client, "#s": "state"},
		item{":permit": &types.AttributeValueMemberM{Value: encodePermit(p)}, ":active": text(string(access.Active)), ":most": number(access.MaxApps)}, sharing.ErrFull)
}

func (t Tables) App(ctx context.Context, client string) (*access.App, error) {
	found, err := t.Read(ctx, access.Keys{Client: client})
	return found.App, err
}

func (t Tables) Sessions(ctx context.Context, issuer, subject string, now time.Time) (all []sharing.SessionEntry, err error) {
	pages := dynamodb.NewQueryPaginator(t.Client, &dynamodb.QueryInput{TableName: aws.String(t.Accounts), ConsistentRead: aws.Bool(true),
		KeyConditionExpression: aws.String("id = :id"), ExpressionAttributeValues: item{":id": text(access.SessionsKey(issuer, subject))}})
	for read := 0; pages.HasMorePages() && read < maxSessionsRead; {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		read += len(page.Items)
		for _, i := range page.Items {
			s, err := decodeSession(i)
			if err != nil {
				return nil, err
			}
			if s.State == access.Active && s.Expires.After(now) {
				all = append(all, sharing.SessionEntry{Name: getText(i, "document"), Session: s})
			}
		}
	}
	sharing.SortSessions(all)
	return all[:min(sharing.MaxSessions, len(all))], nil
}

func (t Tables) EndSession(ctx context.Context, issuer, subject, name string) error {
	return t.change(ctx, item{"id": text(access.SessionsKey(issuer, subject)), "document": text(name)}, "SET #s = :ended", "attribute_exists(id)",
		map[string]string{"#s": "state"}, item{":ended": text(string(access.Ended))}, sharing.ErrNone)
}

func (t Tables) PutSettings(ctx context.Context, owner access.UserID, s access.Settings) error {
	settings := item{"signed": &types.AttributeValueMemberBOOL{Value: s.Signed}}
	if len(s.Sealed) > 0 { // there are no empty sets
		settings["sealed"] = encodeTypes(s.Sealed)
	}
	return t.change(ctx, ownerKey(owner), "SET settings = :settings", "#s = :active", map[string]string{"#s": "state"},
		item{":settings": &types.AttributeValueMemberM{Value: settings}, ":active": text(string(access.Active))}, sharing.ErrNone)
}
