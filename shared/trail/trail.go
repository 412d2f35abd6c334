// Package trail is CloudTrail's event history: who used a KMS key. An account has it
// without a trail, for 90 days (AWS CloudTrail User Guide, "Working with CloudTrail
// event history").
package trail

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/go-json-experiment/json"

	"fitvault/shared/auditlog/sequence"
)

const (
	// perPage is the most that one answer has, and pause what lies between two requests:
	// an account may make two a second in a region (CloudTrail API Reference, LookupEvents),
	// and people look too.
	perPage = 50
	pause   = 500 * time.Millisecond

	// most is more than any record has ("CloudTrail record contents": 256 KB).
	most = 256 << 10
)

// History is what was recorded of one key.
type History struct {
	Client *cloudtrail.Client
	Key    string // ARN
	Pause  func(ctx context.Context, d time.Duration) error
}

// Page implements sequence.Uses.
func (h History) Page(ctx context.Context, from, to time.Time, token string) (uses []sequence.Use, next string, err error) {
	if err := h.Pause(ctx, pause); err != nil {
		return nil, "", err
	}
	in := &cloudtrail.LookupEventsInput{MaxResults: aws.Int32(perPage), StartTime: aws.Time(from), EndTime: aws.Time(to.Add(-time.Second)), // both are part of it
		LookupAttributes: []types.LookupAttribute{{AttributeKey: types.LookupAttributeKeyResourceName, AttributeValue: aws.String(h.Key)}}}
	if token != "" {
		in.NextToken = aws.String(token)
	}
	out, err := h.Client.LookupEvents(ctx, in)
	if err != nil {
		return nil, "", err
	}
	for _, e := range out.Events {
		use, ok := decode(aws.ToString(e.CloudTrailEvent))
		if !ok {
			use = sequence.Use{ID: aws.ToString(e.EventId), Time: aws.ToTime(e.EventTime), Strange: true}
		}
		uses = append(uses, use)
	}
	return uses, aws.ToString(out.NextToken), nil
}

// decode reads a record of KMS (AWS KMS Developer Guide, "Examples of AWS KMS log
// entries"; CloudTrail User Guide, "userIdentity element"). false is of what is none.
// Who calls KMS puts what he likes into the members that are not read here.
func decode(record string) (sequence.Use, bool) {
	if len(record) > most {
		return sequence.Use{}, false
	}
	var r struct {
		ID        string `json:"eventID"`
		Source    string `json:"eventSource"`
		Name      string `json:"eventName"`
		Time      string `json:"eventTime"`
		ErrorCode string `json:"errorCode"`
		Identity  struct {
			Session struct {
				Issuer struct {
					Type string `json:"type"`
					ARN  string `json:"arn"`
				} `json:"sessionIssuer"`
			} `json:"sessionContext"`
		} `json:"userIdentity"`
		Request struct {
			Context struct {
				Deployment string `json:"deployment"`
				Key        string `json:"key"`
				Purpose    string `json:"purpose"`
			} `json:"encryptionContext"`
		} `json:"requestParameters"`
	}
	if json.Unmarshal([]byte(record), &r) != nil {
		return sequence.Use{}, false
	}
	at, err := time.Parse(time.RFC3339, r.Time)
	if err != nil || r.ID == "" || r.Name == "" || r.Source == "" {
		return sequence.Use{}, false
	}
	c := r.Request.Context
	use := sequence.Use{ID: r.ID, Time: at.UTC(), Failed: r.ErrorCode != "", Deployment: c.Deployment, Key: c.Key, Purpose: c.Purpose}
	if r.Source == "kms.amazonaws.com" {
		use.Operation = r.Name
	}
	if issuer := r.Identity.Session.Issuer; issuer.Type == "Role" {
		use.Role = issuer.ARN
	}
	return use, true
}
