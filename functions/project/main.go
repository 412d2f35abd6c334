// Command project keeps the numbers of owners' days: told by the stream of
// Readings what has changed, it makes the parts of days again that are concerned,
// seals them for their owner and puts them into the database. Every 15 minutes it
// tries again what has failed.
package main

import (
	"context"
	"crypto/rand"
	"runtime/debug"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"fitvault/shared/boot"
	"fitvault/shared/boot/database"
	"fitvault/shared/dynamo"
	"fitvault/shared/keyring"
)

// holdKeys is longer than an invocation may take, so each key is unwrapped once
// in it. The keyring, and with it the owners' keys, ends with the invocation.
const holdKeys = time.Hour

// maxFailure is the largest object of the bucket of failures: Lambda's 6 MB of an
// event, as text in a string.
const maxFailure = 16 << 20

// softLimit leaves room in the function's 1769 MB for what Go's heap is not. Beyond
// it the garbage collector works harder, instead of letting the heap double.
const softLimit = 1400 << 20

func main() {
	debug.SetMemoryLimit(softLimit)
	ctx := context.Background()
	aws := boot.Load(ctx)
	tables := aws.Tables(dynamo.Tables{Accounts: boot.Env("ACCOUNTS_TABLE"), Keys: boot.Env("KEYS_TABLE"), Readings: boot.Env("READINGS_TABLE"),
		AuditEvents: boot.Env("AUDIT_EVENTS_TABLE")})
	kms := aws.Keys(map[string]string{
		keyring.PurposeData:      boot.Env("DATA_KEY_ARN"),
		keyring.PurposeWriter:    boot.Env("WRITER_KEY_ARN"),
		keyring.PurposeEnrolment: boot.Env("ENROLMENT_KEY_ARN"),
	})
	verify, err := kms.PublicKey(ctx, keyring.PurposeEnrolment)
	if err != nil {
		boot.Fail(err)
	}
	deployment := boot.Env("DEPLOYMENT")
	p := &projector{
		deployment: deployment,
		accounts:   tables,
		blocks:     tables,
		parts:      database.Open(aws),
		failures:   aws.Bucket(boot.Env("FAILURES_BUCKET"), maxFailure),
		keys: func() keys {
			ring := boot.Ring(deployment, tables, kms, holdKeys)
			ring.Verify = verify
			return ring
		},
		audit: tables,
		log:   boot.Log(),
		now:   time.Now,
		rand:  rand.Reader,
	}
	lambda.Start(p.handle)
}
