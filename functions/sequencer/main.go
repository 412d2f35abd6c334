// Command sequencer puts stored audit events into the log: every five minutes
// what is new, every hour what was missed; then it compares what was done to owners'
// data, and who used the key that opens it, with the log. It alone writes the log, and
// answers nobody.
package main

import (
	"context"
	"crypto/rand"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"fitvault/shared/auditlog/sequence"
	"fitvault/shared/boot"
	"fitvault/shared/dynamo"
	"fitvault/shared/keyring"
	"fitvault/shared/objects"
)

func main() {
	aws := boot.Load(context.Background())
	tables := aws.Tables(dynamo.Tables{Keys: boot.Env("KEYS_TABLE"), AuditEvents: boot.Env("AUDIT_EVENTS_TABLE"), AuditState: boot.Env("AUDIT_STATE_TABLE"),
		Requests: boot.Env("REQUESTS_TABLE")})
	kms := aws.Keys(map[string]string{keyring.PurposeAudit: boot.Env("SERVICE_KEY_ARN"), keyring.PurposeLog: boot.Env("LOG_KEY_ARN")})
	days, err := strconv.Atoi(boot.Env("KEEP_DAYS"))
	if err != nil || days < 1 {
		boot.Fail(errDays)
	}
	state := dynamo.AuditState{Tables: tables}
	deployment := boot.Env("DEPLOYMENT")
	h := handler{log: boot.Log(), keys: boot.Ring(deployment, tables, kms, time.Minute), kms: kms, sequencer: sequence.Sequencer{
		Heads: state, Subjects: state, Events: dynamo.StoredEvents{Tables: tables, Now: time.Now}, Alarms: tables,
		Changes: aws.Changes(boot.Env("READINGS_STREAM_ARN")), Manifests: tables, Places: state,
		Uses: aws.Trail(boot.Env("DATA_KEY_ARN")), Owners: tables, Compared: state, Deployment: deployment, Users: users(),
		Objects: objects.Log{Bucket: aws.Bucket(boot.Env("AUDIT_LOG_BUCKET"), maxObject), Keep: time.Duration(days) * 24 * time.Hour, Now: time.Now},
		Origin:  boot.Env("LOG_ORIGIN"), Now: time.Now, Rand: rand.Reader}}
	lambda.Start(h.run)
}

// users is who may do what with the key that wraps the owners' private keys. Those that
// open write an event before each opening, to which they are held; who makes pairs
// opens nothing.
func users() map[string]sequence.User {
	return map[string]sequence.User{
		boot.Env("READINGS_ROLE_ARN"): {Operation: "Decrypt", Function: "readings"},
		boot.Env("HISTORY_ROLE_ARN"):  {Operation: "Decrypt", Function: "history"},
		boot.Env("PROJECT_ROLE_ARN"):  {Operation: "Decrypt", Function: "project"},
		boot.Env("ENROL_ROLE_ARN"):    {Operation: "GenerateDataKeyPairWithoutPlaintext"},
	}
}
