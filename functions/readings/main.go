// Command readings answers reads: readings, the list of recordings, and a
// recording. Of the functions that can open what is stored (history and project
// are the others) it alone shows readings.
package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"fitvault/shared/boot"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge"
	"fitvault/shared/intake"
	"fitvault/shared/keyring"
)

// holdKeys is how long an owner's private key may stay in memory (design.md, "Sealing").
const holdKeys = time.Minute

// sealedDocument is the largest sealed document: the original and its seal.
const sealedDocument = intake.MaxDocument + 1<<10

func main() {
	aws := boot.Load(context.Background())
	tables := aws.Tables(dynamo.Tables{Accounts: boot.Env("ACCOUNTS_TABLE"), Keys: boot.Env("KEYS_TABLE"), Readings: boot.Env("READINGS_TABLE"),
		AuditEvents: boot.Env("AUDIT_EVENTS_TABLE")})
	kms := aws.Keys(map[string]string{
		keyring.PurposeData:   boot.Env("DATA_KEY_ARN"),
		keyring.PurposePages:  boot.Env("SERVICE_KEY_ARN"),
		keyring.PurposeWriter: boot.Env("WRITER_KEY_ARN"),
	})
	ring := boot.Ring(boot.Env("DEPLOYMENT"), tables, kms, holdKeys)
	h := handler{
		deployment: ring.Deployment,
		blocks:     tables,
		documents:  aws.Bucket(boot.Env("DOCUMENTS_BUCKET"), sealedDocument),
		keys:       ring,
		now:        time.Now,
	}
	lambda.Start(edge.New(aws.Edge("readings", tables), h.routes()...).Handle)
}
