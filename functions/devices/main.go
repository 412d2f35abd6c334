// Command devices registers trackers, pairs them with accounts, and keeps what
// their owners say of them. It can open and seal nothing.
package main

import (
	"context"
	"crypto/rand"
	"encoding/pem"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"fitvault/shared/boot"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge"
	"fitvault/shared/fault"
	"fitvault/shared/keyring"
	"fitvault/shared/pairing"
)

func main() {
	aws := boot.Load(context.Background())
	tables := aws.Tables(dynamo.Tables{Accounts: boot.Env("ACCOUNTS_TABLE"), Requests: boot.Env("REQUESTS_TABLE"), AuditEvents: boot.Env("AUDIT_EVENTS_TABLE")})
	kms := aws.Keys(map[string]string{keyring.PurposePairing: boot.Env("PAIRING_KEY_ARN")})
	certificate := aws.Parameter(boot.Env("PAIRING_CERTIFICATE_PARAMETER"))
	h := handler{trackers: tables, pairing: &pairing.Service{
		Deployment: boot.Env("DEPLOYMENT"),
		Store:      tables,
		Signer:     kms.Signer(keyring.PurposePairing),
		// Read for each pairing: there are few, and a renewed one counts at once.
		Certificate: func(ctx context.Context) ([]byte, error) {
			text, err := certificate.Value(ctx)
			if err != nil {
				return nil, err
			}
			return fromPEM(text)
		},
		Now:  time.Now,
		Rand: rand.Reader,
	}}
	lambda.Start(edge.New(aws.Edge("devices", tables), h.routes()...).Handle)
}

// fromPEM takes one certificate, and nothing else.
func fromPEM(text string) ([]byte, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || len(rest) > 0 {
		return nil, fault.New(fault.Unavailable, "parameter is not one certificate")
	}
	return block.Bytes, nil
}
