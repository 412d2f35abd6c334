// Command ingest takes readings and recordings in. It can seal and store; it
// can open nothing that is stored.
package main

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"fitvault/shared/boot"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge"
	"fitvault/shared/intake"
	"fitvault/shared/keyring"
)

// holdKeys is how long the requests key and the writer key stay unwrapped in
// memory. Neither opens anything without an owner's private key.
const holdKeys = 15 * time.Minute

func main() {
	ctx := context.Background()
	aws := boot.Load(ctx)
	tables := aws.Tables(dynamo.Tables{Accounts: boot.Env("ACCOUNTS_TABLE"), Keys: boot.Env("KEYS_TABLE"), Readings: boot.Env("READINGS_TABLE"),
		Requests: boot.Env("REQUESTS_TABLE"), AuditEvents: boot.Env("AUDIT_EVENTS_TABLE")})
	kms := aws.Keys(map[string]string{
		keyring.PurposeRequests:  boot.Env("SERVICE_KEY_ARN"),
		keyring.PurposeWriter:    boot.Env("WRITER_KEY_ARN"),
		keyring.PurposeEnrolment: boot.Env("ENROLMENT_KEY_ARN"),
	})
	verify, err := kms.PublicKey(ctx, keyring.PurposeEnrolment)
	if err != nil {
		boot.Fail(err)
	}
	ring := boot.Ring(boot.Env("DEPLOYMENT"), tables, kms, holdKeys)
	ring.Verify = verify
	h := handler{intake: &intake.Intake{
		Deployment: ring.Deployment,
		Manifests:  dynamo.Manifests{Tables: tables, Now: time.Now},
		Blocks:     tables,
		Counters:   tables,
		Documents:  aws.Bucket(boot.Env("DOCUMENTS_BUCKET"), intake.MaxDocument),
		Keys:       ring,
		Now:        time.Now,
		Rand:       rand.Reader,
	}}
	lambda.Start(edge.New(aws.Edge("ingest", tables), h.routes()...))
}
