// Command enrol keeps consents, and signs a receipt of each. The first consent
// makes the account and the owner's key pair; enrol can use neither half of it.
package main

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"fitvault/shared/boot"
	"fitvault/shared/consent"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge"
	"fitvault/shared/keyring"
	"fitvault/shared/receipt"
)

func main() {
	aws := boot.Load(context.Background())
	tables := aws.Tables(dynamo.Tables{Accounts: boot.Env("ACCOUNTS_TABLE"), Keys: boot.Env("KEYS_TABLE"), AuditEvents: boot.Env("AUDIT_EVENTS_TABLE")})
	kms := aws.Keys(map[string]string{
		keyring.PurposeData:      boot.Env("DATA_KEY_ARN"),
		keyring.PurposeEnrolment: boot.Env("ENROLMENT_KEY_ARN"),
		keyring.PurposeReceipts:  boot.Env("RECEIPT_KEY_ARN"),
	})
	h := handler{
		deployment: boot.Env("DEPLOYMENT"),
		texts:      consent.Published,
		accounts:   tables,
		keys:       kms,
		receipts:   &receipt.Signer{Keys: kms},
		now:        time.Now,
		rand:       rand.Reader,
	}
	lambda.Start(edge.New(aws.Edge("enrol", tables), h.routes()...).Handle)
}
