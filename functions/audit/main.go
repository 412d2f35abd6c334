// Command audit shows the audit log: to auditors its checkpoint, entries and
// proofs, and who a pseudonym is; to owners what was done with their accounts.
package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"golang.org/x/mod/sumdb/note"

	"fitvault/shared/auditlog/tiles"
	"fitvault/shared/boot"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge"
	"fitvault/shared/keyring"
	"fitvault/shared/objects"
)

const (
	holdKeys = time.Minute

	// maxObject is more than the largest bundle of 256 events.
	maxObject = 32 << 20
)

func main() {
	ctx := context.Background()
	aws := boot.Load(ctx)
	tables := aws.Tables(dynamo.Tables{Accounts: boot.Env("ACCOUNTS_TABLE"), Keys: boot.Env("KEYS_TABLE"), AuditEvents: boot.Env("AUDIT_EVENTS_TABLE"), AuditState: boot.Env("AUDIT_STATE_TABLE")})
	kms := aws.Keys(map[string]string{keyring.PurposeAudit: boot.Env("SERVICE_KEY_ARN"), keyring.PurposePages: boot.Env("SERVICE_KEY_ARN"), keyring.PurposeLog: boot.Env("LOG_KEY_ARN")})
	public, err := kms.Ed25519PublicKey(ctx, keyring.PurposeLog)
	if err != nil {
		boot.Fail(err)
	}
	h := handler{subjects: dynamo.AuditState{Tables: tables}, keys: boot.Ring(boot.Env("DEPLOYMENT"), tables, kms, holdKeys),
		objects: objects.Log{Bucket: aws.Bucket(boot.Env("AUDIT_LOG_BUCKET"), maxObject), Now: time.Now}}
	if h.log, err = tiles.NewVerifier(boot.Env("LOG_ORIGIN"), public); err != nil {
		boot.Fail(err)
	}
	if h.vkey, err = note.NewEd25519VerifierKey(boot.Env("LOG_ORIGIN"), public); err != nil {
		boot.Fail(err)
	}
	lambda.Start(edge.New(aws.Edge("audit", tables), h.routes()...).Handle)
}
