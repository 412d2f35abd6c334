package dynamo

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	"fitvault/shared/auditlog"
	"fitvault/shared/auditlog/auditlogtest"
)

// ofARequest is the event of a batch, as ingest writes it: ids as they are made.
func ofARequest(t *testing.T) auditlog.Event {
	e := auditlogtest.Event(t)
	e.Function, e.Action, e.Kind, e.Recording, e.Consent = "ingest", "readings.write", "", "", nil
	e.Caller, e.Owner = "snzsu5uyi2plstsqqzdy6jfzp4", "snzsu5uyi2plstsqqzdy6jfzp4"
	e.Manifest, e.Reasons, e.Records = strings.Repeat("0af9", 16), []string{"owner-writes-with-consent"}, 1000
	return e
}

// TestEventComesBack: whatever the ids look like, what is read is what was written.
func TestEventComesBack(t *testing.T) {
	zoned := time.FixedZone("", 3600)
	for name, change := range map[string]func(*auditlog.Event){
		"of a batch":               func(*auditlog.Event) {},
		"a caller without account": func(e *auditlog.Event) { e.Caller, e.Owner = "identity#snzsu5uyi2plstsqqzdy6jfzp4", "" },
		"nobody":                   func(e *auditlog.Event) { e.Caller, e.Client, e.Manifest, e.Reasons, e.Records = "", "", "", nil, 0 },
		"an id with another end":   func(e *auditlog.Event) { e.Owner = "snzsu5uyi2plstsqqzdy6jfzp5" },
		"a manifest in capitals":   func(e *auditlog.Event) { e.Manifest = strings.ToUpper(e.Manifest) },
		"a request without dashes": func(e *auditlog.Event) { e.Request = strings.ReplaceAll(e.Request, "-", "") },
		"short ids":                func(e *auditlog.Event) { e.Owner, e.Manifest, e.Request = "aa", "00", "ff" },
		"line ends in an id":       func(e *auditlog.Event) { e.Owner = "snzsu5uyi2pl\nstsqqzdy6jfzp4" },
		"a time of its own":        func(e *auditlog.Event) { e.Time = e.Time.Add(time.Second) },
		"a time in a zone":         func(e *auditlog.Event) { e.Time = e.Time.In(zoned) },
		"a recording, a consent": func(e *auditlog.Event) {
			e.Recording, e.Consent = e.Owner, &auditlog.Consent{Purpose: "collection", Version: "1"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := ofARequest(t)
			change(&e)
			got, err := DecodeEvent(encodeEvent(e))
			require.NoError(t, err)
			require.True(t, e.Time.Equal(got.Time))
			got.Time = e.Time
			require.True(t, same(e, got))
		})
	}
	t.Run("to the millisecond", func(t *testing.T) {
		e := ofARequest(t)
		e.Time = e.Time.Add(999 * time.Microsecond)
		got, err := DecodeEvent(encodeEvent(e))
		require.NoError(t, err)
		require.Equal(t, e.Time.Truncate(time.Millisecond), got.Time)
	})
}

// TestEventIsSmall: what can be said in bytes or told from the id takes no text.
func TestEventIsSmall(t *testing.T) {
	i := encodeEvent(ofARequest(t))
	for _, name := range []string{"caller", "owner", "request"} {
		require.Len(t, getBytes(i, name), 16, name)
	}
	require.Len(t, getBytes(i, "manifest"), 32)
	require.NotContains(t, i, "time")
	require.NotContains(t, i, "kind")
}

func TestStrangeEvents(t *testing.T) {
	list := func(v ...types.AttributeValue) types.AttributeValue { return &types.AttributeValueMemberL{Value: v} }
	for name, change := range map[string]item{
		"an owner that is no key":    {"owner": text(strings.Repeat("x", 3000))},
		"more than the log takes":    {"kind": text(strings.Repeat("x", 70_000))},
		"a year of five digits":      {"time": text("9999-12-31T23:59:59-23:59")},
		"no id":                      {"id": text("")},
		"an id of another form":      {"id": text("canary")},
		"a time that is none":        {"time": text("canary")},
		"no outcome":                 {"outcome": text("")},
		"records in text":            {"records": text("canary")},
		"rejected in text":           {"rejected": text("canary")},
		"a reason that is no text":   {"reasons": list(number(1))},
		"a consent without its word": {"consent": &types.AttributeValueMemberM{Value: item{}}},
	} {
		t.Run(name, func(t *testing.T) {
			i := encodeEvent(ofARequest(t))
			for attribute, value := range change {
				i[attribute] = value
			}
			_, err := DecodeEvent(i)
			require.ErrorIs(t, err, errShape)
		})
	}
}

// same compares members; a failure's text shows none of them (auditlog.Event prints nothing).
func same(a, b auditlog.Event) bool {
	type plain struct {
		ID, Request, Function, Action, Caller, Client, Owner, Outcome, Kind, Manifest, Recording string
		Time                                                                                     time.Time
		Reasons                                                                                  []string
		Records                                                                                  int
		Consent                                                                                  *auditlog.Consent
	}
	of := func(e auditlog.Event) string {
		b, _ := json.Marshal(plain{e.ID, e.Request, e.Function, e.Action, e.Caller, e.Client, e.Owner, string(e.Outcome), e.Kind,
			e.Manifest, e.Recording, e.Time, e.Reasons, e.Records, e.Consent})
		return string(b)
	}
	return of(a) == of(b)
}
