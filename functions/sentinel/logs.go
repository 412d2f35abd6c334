package main

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"time"

	"fitvault/shared/fault"
	"fitvault/shared/gzipbody"
	"fitvault/shared/sentinel"
)

// maxLog is more than CloudWatch Logs sends at once, unpacked.
const maxLog = 16 << 20

// group is the name of a log group: of the gateway, or of a function.
var group = regexp.MustCompile(`^/[a-z][a-z0-9-]{2,31}/([a-z]{2,20})$`)

// The last parts of the names of groups that no function writes: the gateway's, and those
// of the user pools of people and of staff.
const (
	gatewaysGroup = "api"
	peoplesGroup  = "people"
	staffsGroup   = "staff"
)

// keyID is what API Gateway calls an API key, or "-" where there was none.
var keyID = regexp.MustCompile(`^([a-z0-9]{4,64}|-)$`)

// decodeLog reads what CloudWatch Logs sends a subscriber ("Subscription filters", CloudWatch
// Logs User Guide). The subscription's filter has chosen: of the gateway what it refused
// by itself, of functions that run by a schedule what is an error, of user pools what
// decodeActivity is about. Refusals of one batch are
// one event for each app, named by the first of them: a batch that is delivered again is the same.
func decodeLog(ctx context.Context, raw []byte, p pools) (events []sentinel.Event, strange int, err error) {
	var packed struct {
		Data []byte `json:"data"`
	}
	if json.Unmarshal(raw, &packed) != nil {
		return nil, 0, errLog
	}
	text, err := gzipbody.Decompress(packed.Data, maxLog)
	if err != nil {
		return nil, 0, errLog
	}
	return decodeBatch(ctx, text, p)
}

// decodeBatch reads what was packed.
func decodeBatch(ctx context.Context, text []byte, p pools) (events []sentinel.Event, strange int, err error) {
	var batch struct {
		MessageType string `json:"messageType"`
		LogGroup    string `json:"logGroup"`
		LogEvents   []struct {
			ID        string `json:"id"`
			Timestamp int64  `json:"timestamp"`
			Message   string `json:"message"`
		} `json:"logEvents"`
	}
	if json.Unmarshal(text, &batch) != nil {
		return nil, 0, errLog
	}
	if batch.MessageType == "CONTROL_MESSAGE" { // to see whether somebody is there
		return nil, 0, nil
	}
	of := group.FindStringSubmatch(batch.LogGroup)
	if of == nil {
		return nil, 0, errLog
	}
	var issuer string
	var key []byte
	pool := of[1] == peoplesGroup || of[1] == staffsGroup
	if pool {
		if issuer = p.issuers[of[1]]; issuer == "" {
			return nil, 0, errLog
		}
		if key, err = p.key.Key(ctx); err != nil {
			return nil, 0, err
		}
	}
	for _, record := range batch.LogEvents {
		e := sentinel.Event{}
		if e.ID, e.Time = record.ID, time.UnixMilli(record.Timestamp).UTC(); e.ID == "" || len(e.ID) > 64 {
			strange++
			continue
		}
		if pool {
			tried, ok := decodeActivity([]byte(record.Message), issuer, key)
			if !ok {
				strange++
			} else if tried.Attempt != "" {
				tried.ID, tried.Time = e.ID, e.Time
				events = append(events, tried)
			}
			continue
		}
		if of[1] != gatewaysGroup {
			e.Failed = of[1]
			events = append(events, e)
			continue
		}
		var refused struct {
			Key string `json:"key"`
		}
		if json.Unmarshal([]byte(record.Message), &refused) != nil || !keyID.MatchString(refused.Key) {
			strange++
			continue
		}
		if i := slices.IndexFunc(events, func(e sentinel.Event) bool { return e.Gateway.Key == refused.Key }); i >= 0 {
			events[i].Gateway.Count++
			continue
		}
		e.Gateway = &sentinel.Gateway{Key: refused.Key, Count: 1}
		events = append(events, e)
	}
	return events, strange, nil
}

var errLog = fault.New(fault.Internal, "not a batch of a log")
