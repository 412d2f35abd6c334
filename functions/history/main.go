// Command history answers what a person's civil days hold in numbers, from the
// parts that project keeps in the database.
package main

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"fitvault/shared/boot"
	"fitvault/shared/boot/database"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge"
	"fitvault/shared/keyring"
)

// holdKeys is how long an owner's private key may stay in memory (design.md, "Sealing").
const holdKeys = time.Minute

func main() {
	aws := boot.Load(context.Background())
	tables := aws.Tables(dynamo.Tables{Accounts: boot.Env("ACCOUNTS_TABLE"), Keys: boot.Env("KEYS_TABLE"), AuditEvents: boot.Env("AUDIT_EVENTS_TABLE")})
	kms := aws.Keys(map[string]string{
		keyring.PurposeData:   boot.Env("DATA_KEY_ARN"),
		keyring.PurposePages:  boot.Env("SERVICE_KEY_ARN"),
		keyring.PurposeWriter: boot.Env("WRITER_KEY_ARN"),
	})
	ring := boot.Ring(boot.Env("DEPLOYMENT"), tables, kms, holdKeys)
	h := handler{deployment: ring.Deployment, parts: database.Open(aws), keys: ring}
	lambda.Start(edge.New(aws.Edge("history", tables), h.routes()...).Handle)
}
