package dynamo

import (
	"encoding/json"
	"maps"
	"reflect"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"fitvault/shared/auditlog"
	"fitvault/shared/fault"
	"fitvault/shared/redact"
)

// AuditBatch is what a batch of the stream of AuditEvents says.
type AuditBatch struct {
	redact.Mark
	Stored []auditlog.Event // that are new
	Gaps   []auditlog.Event // that were changed, or removed, in a way that nobody does
	// Strange counts the records of what is no event. Nothing can be made of them, ever.
	Strange int
}

// image is an item as the stream has it.
type image map[string]value

// value is an attribute: one member, named for its type. (The types of aws-lambda-go
// panic where an attribute is of another type than it is asked for.)
type value struct {
	S    *string  `json:"S"`
	N    *string  `json:"N"`
	B    []byte   `json:"B"`
	BOOL *bool    `json:"BOOL"`
	L    *[]value `json:"L"`
	M    *image   `json:"M"`
}

func (i image) item() item {
	all := item{}
	for name, v := range i {
		if a := v.attribute(); a != nil {
			all[name] = a
		}
	}
	return all
}

// attribute is nil of a type that no event has.
func (v value) attribute() types.AttributeValue {
	switch {
	case v.S != nil:
		return text(*v.S)
	case v.N != nil:
		return &types.AttributeValueMemberN{Value: *v.N}
	case v.B != nil:
		return bytes(v.B)
	case v.BOOL != nil:
		return &types.AttributeValueMemberBOOL{Value: *v.BOOL}
	case v.L != nil:
		l := &types.AttributeValueMemberL{}
		for _, e := range *v.L {
			l.Value = append(l.Value, e.attribute())
		}
		return l
	case v.M != nil:
		return &types.AttributeValueMemberM{Value: v.M.item()}
	}
	return nil
}

// timeToLive is who removes what has expired, as the stream names it (DynamoDB
// Developer Guide, "DynamoDB Streams and Time to Live").
const timeToLive = "dynamodb.amazonaws.com"

// DecodeAuditStream reads a batch of the stream, which has images old and new. An event
// that is none is fault.Internal. Marks of the log are no change of an event, and one
// that has its mark may expire when it is old.
func DecodeAuditStream(raw []byte) (b AuditBatch, err error) {
	var e struct {
		Records []struct {
			EventName    string `json:"eventName"`
			UserIdentity struct {
				PrincipalID string `json:"principalId"`
			} `json:"userIdentity"`
			DynamoDB struct {
				OldImage image `json:"OldImage"`
				NewImage image `json:"NewImage"`
			} `json:"dynamodb"`
		} `json:"Records"`
	}
	if json.Unmarshal(raw, &e) != nil || len(e.Records) == 0 {
		return AuditBatch{}, fault.New(fault.Internal, "not a batch of the stream of audit events")
	}
	for _, r := range e.Records {
		was, is := r.DynamoDB.OldImage.item(), r.DynamoDB.NewImage.item()
		switch r.EventName {
		case "INSERT":
			b.add(&b.Stored, is)
		case "MODIFY":
			if !sameEvent(was, is) {
				b.add(&b.Gaps, was)
			}
		case "REMOVE":
			if r.UserIdentity.PrincipalID != timeToLive || !outlived(was) {
				b.add(&b.Gaps, was)
			}
		default:
			b.Strange++
		}
	}
	return b, nil
}

// outlived reports whether a marked event was to expire after as long as those of the log
// stand. Whether a mark is good cannot be told here: who makes one up, so that DynamoDB
// takes the event away before the sequencer has seen it, must not be believed.
func outlived(i item) bool {
	_, marked := i["leaf"]
	expires, ok1 := getNumber(i, "expires")
	at, ok2 := auditlog.TimeOf(getText(i, "id"))
	return marked && ok1 && ok2 && time.Unix(expires, 0).Sub(at) > keepTaken-time.Hour // for clocks that differ
}

// maxCharged is more than the longest name of a bucket that edge writes: no item has a key
// of any length, and what cannot be held would come again for an hour, with its whole batch.
const maxCharged = 128

func (b *AuditBatch) add(to *[]auditlog.Event, i item) {
	e, err := DecodeEvent(i)
	for _, name := range []string{e.Charged.Key, e.Charged.Device, e.Charged.Address} {
		if len(name) > maxCharged {
			err = errShape
		}
	}
	if err != nil || e.ID == "" || e.Time.Before(time.Unix(0, 0)) {
		b.Strange++
		return
	}
	*to = append(*to, e)
}

// sameEvent compares two images but for the log's marks, and what goes when they come.
func sameEvent(a, b item) bool {
	bare := func(i item) item {
		i = maps.Clone(i)
		for _, mark := range []string{"leaf", "mark", "expires", "charged", "sign-in", "address", "rejected"} {
			delete(i, mark)
		}
		return i
	}
	return reflect.DeepEqual(bare(a), bare(b))
}
