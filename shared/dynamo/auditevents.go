package dynamo

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"fitvault/shared/auditlog"
	"fitvault/shared/auditlog/record"
	"fitvault/shared/fault"
)

// Write implements auditlog.Writer on the AuditEvents table.
func (t Tables) Write(ctx context.Context, e auditlog.Event) error {
	if !record.Fits(e) {
		return fault.New(fault.Internal, "audit event does not fit the log")
	}
	_, err := t.Client.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(t.AuditEvents),
		ConditionExpression: aws.String("attribute_not_exists(#i)"), ExpressionAttributeNames: map[string]string{"#i": "id"},
		Item: encodeEvent(e)})
	if err != nil && !conflicted(err) {
		return fault.Wrap(fault.Unavailable, "audit event cannot be written", err)
	}
	return nil
}

// encodeEvent is the item of an event: an attribute for each member that is not
// empty. There is one item for each request, so it is kept small: ids are
// binary, and the time is the one in ID, unless that says another.
func encodeEvent(e auditlog.Event) item {
	i := item{"shard": text(auditlog.Shard(e.ID, e.Time)), "id": text(e.ID), "outcome": text(string(e.Outcome))}
	if at, ok := auditlog.TimeOf(e.ID); !ok || !at.Equal(e.Time.Truncate(time.Millisecond)) {
		i["time"] = text(e.Time.UTC().Format(time.RFC3339Nano))
	}
	for name, value := range map[string]string{"function": e.Function, "action": e.Action, "client": e.Client, "kind": e.Kind, "device": e.Device, "pairing": e.Pairing,
		"charged": e.Charged.Key, "sign-in": e.Charged.Device, "address": e.Charged.Address} {
		if value != "" {
			i[name] = text(value)
		}
	}
	for name, id := range map[string]string{"caller": e.Caller, "owner": e.Owner, "recording": e.Recording} {
		if id != "" {
			i[name] = userID.value(id)
		}
	}
	if e.Request != "" {
		i["request"] = uuid.value(e.Request)
	}
	if e.Manifest != "" {
		i["manifest"] = manifestID.value(e.Manifest)
	}
	for name, n := range map[string]int{"records": e.Records, "rejected": e.Rejected} {
		if n != 0 {
			i[name] = number(int64(n))
		}
	}
	if len(e.Reasons) > 0 {
		i["reasons"] = texts(e.Reasons)
	}
	if e.About != "" {
		i["about"] = text(e.About)
	}
	if len(e.Changes) > 0 {
		i["changes"] = texts(e.Changes)
	}
	if c := e.Consent; c != nil {
		said := item{"given": &types.AttributeValueMemberBOOL{Value: c.Given}}
		for name, value := range map[string]string{"purpose": c.Purpose, "version": c.Version, "locale": c.Locale, "how": c.How, "before": c.Before} {
			if value != "" {
				said[name] = text(value)
			}
		}
		i["consent"] = &types.AttributeValueMemberM{Value: said}
	}
	if c := e.Sharing; c != nil {
		changed := item{}
		for name, value := range map[string]string{"grant": c.Grant, "grantee": c.Grantee, "app": c.App, "session": c.Session, "permit": c.Permit, "demands": c.Demands} {
			if value != "" {
				changed[name] = text(value)
			}
		}
		i["sharing"] = &types.AttributeValueMemberM{Value: changed}
	}
	return i
}

func texts(list []string) types.AttributeValue {
	values := make([]types.AttributeValue, len(list))
	for n, s := range list {
		values[n] = text(s)
	}
	return &types.AttributeValueMemberL{Value: values}
}

func getTexts(i item, name string) (list []string, err error) {
	values, _ := i[name].(*types.AttributeValueMemberL)
	if values == nil {
		return nil, nil
	}
	for _, v := range values.Value {
		s, ok := v.(*types.AttributeValueMemberS)
		if !ok {
			return nil, errShape
		}
		list = append(list, s.Value)
	}
	return list, nil
}

// DecodeEvent reads an item of the AuditEvents table, for who reads the trail: of
// functions the sequencer and the sentinel. What the log could not take is no event.
func DecodeEvent(i map[string]types.AttributeValue) (auditlog.Event, error) {
	e := auditlog.Event{ID: getText(i, "id"), Request: uuid.get(i, "request"), Function: getText(i, "function"), Action: getText(i, "action"),
		Caller: userID.get(i, "caller"), Client: getText(i, "client"), Owner: userID.get(i, "owner"), Outcome: auditlog.Outcome(getText(i, "outcome")),
		Kind: getText(i, "kind"), Device: getText(i, "device"), Pairing: getText(i, "pairing"), Manifest: manifestID.get(i, "manifest"), Recording: userID.get(i, "recording"),
		Charged: auditlog.Charged{Key: getText(i, "charged"), Device: getText(i, "sign-in"), Address: getText(i, "address")}}
	at, ok := auditlog.TimeOf(e.ID)
	if stored := getText(i, "time"); stored != "" {
		parsed, err := time.Parse(time.RFC3339Nano, stored)
		at, ok = parsed.UTC(), err == nil
	}
	if !ok || e.Outcome == "" {
		return auditlog.Event{}, errShape
	}
	e.Time = at
	for name, to := range map[string]*int{"records": &e.Records, "rejected": &e.Rejected} {
		if _, there := i[name]; there {
			n, ok := getNumber(i, name)
			if !ok {
				return auditlog.Event{}, errShape
			}
			*to = int(n)
		}
	}
	var err1, err2 error
	e.About = getText(i, "about")
	e.Reasons, err1 = getTexts(i, "reasons")
	e.Changes, err2 = getTexts(i, "changes")
	if err1 != nil || err2 != nil {
		return auditlog.Event{}, errShape
	}
	if c, there := i["consent"].(*types.AttributeValueMemberM); there {
		given, ok := c.Value["given"].(*types.AttributeValueMemberBOOL)
		if !ok {
			return auditlog.Event{}, errShape
		}
		e.Consent = &auditlog.Consent{Purpose: getText(c.Value, "purpose"), Version: getText(c.Value, "version"), Given: given.Value,
			Locale: getText(c.Value, "locale"), How: getText(c.Value, "how"), Before: getText(c.Value, "before")}
	}
	if c, there := i["sharing"].(*types.AttributeValueMemberM); there {
		e.Sharing = &auditlog.Sharing{Grant: getText(c.Value, "grant"), Grantee: getText(c.Value, "grantee"), App: getText(c.Value, "app"),
			Session: getText(c.Value, "session"), Permit: getText(c.Value, "permit"), Demands: getText(c.Value, "demands")}
	}
	if !record.Fits(e) {
		return auditlog.Event{}, errShape
	}
	return e, nil
}
