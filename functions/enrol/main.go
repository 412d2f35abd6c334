// Command enrol keeps consents. The first consent to collect makes the account
// and the owner's key pair; enrol can use neither half of it.
package main

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"fitvault/shared/boot"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge"
	"fitvault/shared/keyring"
)

func main() {
	aws := boot.Load(context.Background())
	tables := aws.Tables(dynamo.Tables{Accounts: boot.Env("ACCOUNTS_TABLE"), Keys: boot.Env("KEYS_TABLE"), AuditEvents: boot.Env("AUDIT_EVENTS_TABLE")})
	h := handler{
		deployment: boot.Env("DEPLOYMENT"),
		accounts:   tables,
		keys: aws.Keys(map[string]string{
			keyring.PurposeData:      boot.Env("DATA_KEY_ARN"),
			keyring.PurposeEnrolment: boot.Env("ENROLMENT_KEY_ARN"),
		}),
		now:  time.Now,
		rand: rand.Reader,
	}
	lambda.Start(edge.New(aws.Edge("enrol", tables), h.routes()...).Handle)
}
