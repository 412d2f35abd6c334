package dynamo

import (
	"context"
	"encoding/json"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"fitvault/shared/auditlog"
	"fitvault/shared/fault"
)

// Write implements auditlog.Writer on the AuditEvents table.
func (t Tables) Write(ctx context.Context, e auditlog.Event) error {
	encoded, err := json.Marshal(storedEvent{
		ID: e.ID, Time: e.Time.UTC(), Request: e.Request, Function: e.Function, Action: e.Action, Caller: e.Caller, Client: e.Client,
		Owner: e.Owner, Outcome: string(e.Outcome), Kind: e.Kind, Reasons: e.Reasons, Records: e.Records, Manifest: e.Manifest, Recording: e.Recording, Consent: e.Consent,
		Sharing: e.Sharing})
	if err != nil {
		return err
	}
	_, err = t.Client.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(t.AuditEvents),
		ConditionExpression: aws.String("attribute_not_exists(#i)"), ExpressionAttributeNames: map[string]string{"#i": "id"},
		Item: item{"shard": text(auditlog.Shard(e.ID, e.Time)), "id": text(e.ID), "event": text(string(encoded))}})
	if err != nil && !conflicted(err) {
		return fault.Wrap(fault.Unavailable, "audit event cannot be written", err)
	}
	return nil
}

// storedEvent is the event's text in the table. The type auditlog.Event itself
// prints as [redacted], so that it cannot slip into a log.
type storedEvent struct {
	ID        string    `json:"id"`
	Time      time.Time `json:"time"`
	Request   string    `json:"request"`
	Function  string    `json:"function"`
	Action    string    `json:"action"`
	Caller    string    `json:"caller,omitempty"`
	Client    string    `json:"client,omitempty"`
	Owner     string    `json:"owner,omitempty"`
	Outcome   string    `json:"outcome"`
	Kind      string    `json:"kind,omitempty"`
	Reasons   []string  `json:"reasons,omitempty"`
	Records   int       `json:"records,omitempty"`
	Manifest  string    `json:"manifest,omitempty"`
	Recording string    `json:"recording,omitempty"`

	Consent *auditlog.Consent `json:"consent,omitempty"`
	Sharing *auditlog.Sharing `json:"sharing,omitempty"`
}
