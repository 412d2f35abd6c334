package trail

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/auditlog/sequence"
)

// record is a Decrypt as AWS's documentation shows one, by a function.
const record = `{"eventVersion": "1.11", "userIdentity": {"type": "AssumedRole", "principalId": "AROAEXAMPLE:fitvault-readings",
	"arn": "arn:aws:sts::111122223333:assumed-role/readings/fitvault-readings", "accountId": "111122223333", "accessKeyId": "ASIAEXAMPLE",
	"sessionContext": {"sessionIssuer": {"type": "Role", "principalId": "AROAEXAMPLE", "arn": "arn:aws:iam::111122223333:role/readings",
	"accountId": "111122223333", "userName": "readings"}, "attributes": {"creationDate": "2026-05-04T05:00:00Z", "mfaAuthenticated": "false"}}},
	"eventTime": "2026-05-04T05:25:00Z", "eventSource": "kms.amazonaws.com", "eventName": "Decrypt", "awsRegion": "eu-central-1", "sourceIPAddress": "192.0.2.0",
	"userAgent": "aws-sdk-go-v2", "requestParameters": {"encryptionAlgorithm": "SYMMETRIC_DEFAULT", "keyId": "arn:aws:kms:eu-central-1:111122223333:key/mrk-1",
	"encryptionContext": {"deployment": "fitvault", "key": "kkkkkkkkkkkkkkkkkkkkkkkkkk", "purpose": "data"}}, "responseElements": null,
	"additionalEventData": {"keyMaterialId": "0123"}, "requestID": "12345126-30d5-4b28-98b9-9153da559963", "eventID": "abcde202-ba1a-467c-b4ba-f729d45ae521",
	"readOnly": true, "resources": [{"accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": "arn:aws:kms:eu-central-1:111122223333:key/mrk-1"}],
	"eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": "111122223333", "eventCategory": "Management"}`

var want = sequence.Use{ID: "abcde202-ba1a-467c-b4ba-f729d45ae521", Time: time.Date(2026, 5, 4, 5, 25, 0, 0, time.UTC), Operation: "Decrypt",
	Role: "arn:aws:iam::111122223333:role/readings", Deployment: "fitvault", Key: "kkkkkkkkkkkkkkkkkkkkkkkkkk", Purpose: "data"}

func TestDecode(t *testing.T) {
	for name, c := range map[string]struct {
		old, new string
		change   func(*sequence.Use)
	}{
		"as it is":            {"", "", func(*sequence.Use) {}},
		"refused":             {`"responseElements": null`, `"errorCode": "AccessDenied", "errorMessage": "canary", "responseElements": null`, func(u *sequence.Use) { u.Failed = true }},
		"by a federated user": {`{"type": "Role"`, `{"type": "IAMUser"`, func(u *sequence.Use) { u.Role = "" }},
		"by somebody's own":   {`"sessionContext"`, `"other"`, func(u *sequence.Use) { u.Role = "" }},
		"of another service":  {"kms.amazonaws.com", "lambda.amazonaws.com", func(u *sequence.Use) { u.Operation = "" }},
		"without a context":   {`"encryptionContext"`, `"other"`, func(u *sequence.Use) { u.Deployment, u.Key, u.Purpose = "", "", "" }},
		"of no parameters": {record[strings.Index(record, `"requestParameters"`):strings.Index(record, `"responseElements"`)], `"requestParameters": null, `,
			func(u *sequence.Use) { u.Deployment, u.Key, u.Purpose = "", "", "" }},
		"in another zone":     {"05:25:00Z", "06:25:00+01:00", func(*sequence.Use) {}},
		"with another's word": {`"purpose": "data"`, `"purpose": "data", "aws:x": "canary"`, func(*sequence.Use) {}},
	} {
		t.Run(name, func(t *testing.T) {
			expected := want
			c.change(&expected)
			changed := strings.Replace(record, c.old, c.new, 1)
			require.True(t, c.old == "" || changed != record)
			use, ok := decode(changed)
			require.True(t, ok)
			require.Equal(t, expected, use)
		})
	}
}

func TestWhatIsNoRecord(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":         "",
		"cut off":         record[:len(record)-1],
		"a list":          "[" + record + "]",
		"no time":         strings.Replace(record, `"eventTime"`, `"time"`, 1),
		"no id":           strings.Replace(record, `"eventID"`, `"id"`, 1),
		"no name":         strings.Replace(record, `"eventName"`, `"name"`, 1),
		"no source":       strings.Replace(record, `"eventSource"`, `"source"`, 1),
		"said twice":      strings.Replace(record, `"eventName"`, `"eventName": "DescribeKey", "eventName"`, 1),
		"a number":        strings.Replace(record, `"purpose": "data"`, `"purpose": 1`, 1),
		"bad UTF-8":       strings.Replace(record, "aws-sdk-go-v2", "\xff", 1),
		"too large":       strings.Replace(record, "aws-sdk-go-v2", strings.Repeat("x", most), 1),
		"deep":            strings.Replace(record, "null", strings.Repeat("[", most/4)+strings.Repeat("]", most/4), 1),
		"of another form": `{"eventID": {}}`,
	} {
		_, ok := decode(text)
		require.False(t, ok, name)
	}
}

// FuzzDecode: what is read is of a record, and is not more than it said.
func FuzzDecode(f *testing.F) {
	f.Add(record)
	f.Add(`{"eventID":"a","eventSource":"kms.amazonaws.com","eventName":"Decrypt","eventTime":"2026-05-04T05:25:00Z","requestParameters":null}`)
	f.Add(`{"eventID":"a","eventSource":"kms.amazonaws.com","eventName":"Decrypt","eventTime":"2026-05-04T05:25:00Z","userIdentity":{"sessionContext":{"sessionIssuer":null}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		use, ok := decode(text)
		if !ok {
			require.Zero(t, use)
			return
		}
		require.NotEmpty(t, use.ID)
		require.False(t, use.Strange)
		for _, said := range []string{use.ID, use.Operation, use.Role, use.Deployment, use.Key, use.Purpose} {
			require.LessOrEqual(t, len(said), len(text))
		}
	})
}
