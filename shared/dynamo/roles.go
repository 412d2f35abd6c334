package dynamo

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"fitvault/shared/access"
	"fitvault/shared/fault"
)

// PutMemberships replaces an identity's roles, organisations and proposal, as long as
// he has what he had, else ErrConflict: who decided on something else has not decided
// on this. Before is zero where there is no document.
//
// Whose account it is (attribute `user`) is not a part of the condition: a role that may
// name an attribute in a condition may change it too, and this one must not. It is set
// where there is no document, and never changes.
func (t Tables) PutMemberships(ctx context.Context, issuer, subject string, before, after access.Caller) error {
	condition, names, values := []string{}, map[string]string{}, item{}
	if !before.User.IsZero() { // who has an account has a document
		condition = append(condition, "attribute_exists(id)")
	}
	was, becomes := encodeMemberships(before), encodeMemberships(after)
	var set, remove []string
	for _, name := range []string{"roles", "organisations", "proposal"} {
		names["#"+name] = name
		if old, held := was[name]; held {
			condition, values[":was_"+name] = append(condition, "#"+name+" = :was_"+name), old
		} else {
			condition = append(condition, "attribute_not_exists(#"+name+")")
		}
		if fresh, holds := becomes[name]; holds {
			set, values[":"+name] = append(set, "#"+name+" = :"+name), fresh
		} else {
			remove = append(remove, "#"+name)
		}
	}
	if after.SessionsFrom.After(before.SessionsFrom) {
		names["#from"], values[":from"] = sessionsFrom, number(after.SessionsFrom.Unix())
		set, condition = append(set, "#from = :from"), append(condition, sessionsFromRises)
	}
	var update []string
	if len(set) > 0 {
		update = append(update, "SET "+strings.Join(set, ", "))
	}
	if len(remove) > 0 {
		update = append(update, "REMOVE "+strings.Join(remove, ", "))
	}
	in := &dynamodb.UpdateItemInput{
		TableName:                aws.String(t.Accounts),
		Key:                      item{"id": text(access.IdentityKey(issuer, subject)), "document": text(access.CallerDocument)},
		UpdateExpression:         aws.String(strings.Join(update, " ")),
		ConditionExpression:      aws.String(strings.Join(condition, " AND ")),
		ExpressionAttributeNames: names,
	}
	if len(values) > 0 {
		in.ExpressionAttributeValues = values
	}
	switch _, err := t.Client.UpdateItem(ctx, in); {
	case err == nil:
		return nil
	case conflicted(err):
		return ErrConflict
	default:
		return fault.Wrap(fault.Unavailable, "roles cannot be stored", err)
	}
}

const (
	sessionsFrom      = "sessions_from"
	sessionsFromRises = "(attribute_not_exists(#from) OR #from <= :from)"
)

// EndSessions ends all sessions of an identity that were begun until a time, from his next
// request on; ErrConflict where that was said of a later time, or there is no document.
func (t Tables) EndSessions(ctx context.Context, issuer, subject string, until time.Time) error {
	_, err := t.Client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 aws.String(t.Accounts),
		Key:                       item{"id": text(access.IdentityKey(issuer, subject)), "document": text(access.CallerDocument)},
		UpdateExpression:          aws.String("SET #from = :from"),
		ConditionExpression:       aws.String("attribute_exists(id) AND " + sessionsFromRises),
		ExpressionAttributeNames:  map[string]string{"#from": sessionsFrom},
		ExpressionAttributeValues: item{":from": number(until.Unix())},
	})
	switch {
	case err == nil:
		return nil
	case conflicted(err):
		return ErrConflict
	default:
		return fault.Wrap(fault.Unavailable, "end of sessions cannot be stored", err)
	}
}

func encodeMemberships(c access.Caller) item {
	i := encodeSets(c.Roles, c.Organisations)
	if p := c.Proposal; p != nil {
		m := encodeSets(p.Roles, p.Organisations)
		m["by"], m["until"] = text(p.By), number(p.Until.Unix())
		i["proposal"] = &types.AttributeValueMemberM{Value: m}
	}
	return i
}

func encodeSets(roles []access.Role, organisations []string) item {
	i := item{}
	if len(roles) > 0 { // DynamoDB has no empty sets
		names := make([]string, len(roles))
		for j, r := range roles {
			names[j] = string(r)
		}
		i["roles"] = &types.AttributeValueMemberSS{Value: names}
	}
	if len(organisations) > 0 {
		i["organisations"] = &types.AttributeValueMemberSS{Value: organisations}
	}
	return i
}

// decodeSets reads roles and organisations, each sorted.
func decodeSets(i item) (roles []access.Role, organisations []string, err error) {
	for _, role := range getSet(i, "roles") {
		roles = append(roles, access.Role(role))
	}
	organisations = getSet(i, "organisations")
	slices.Sort(roles)
	slices.Sort(organisations)
	if slices.ContainsFunc(organisations, func(name string) bool { return !access.ValidOrganisation(name) }) || access.CheckRoles(roles) != nil {
		return nil, nil, errShape
	}
	return roles, organisations, nil
}

// decodeProposal reads what one administrator has asked for; nil where there is nothing.
func decodeProposal(v types.AttributeValue) (*access.Proposal, error) {
	if v == nil {
		return nil, nil
	}
	m, ok := v.(*types.AttributeValueMemberM)
	if !ok {
		return nil, errShape
	}
	roles, organisations, err := decodeSets(m.Value)
	until, dated := getNumber(m.Value, "until")
	by := getText(m.Value, "by")
	if err != nil || !dated || by == "" || len(roles)+len(organisations) == 0 {
		return nil, errShape
	}
	return &access.Proposal{Roles: roles, Organisations: organisations, By: by, Until: time.Unix(until, 0).UTC()}, nil
}
