// Package intakes puts intake together with the stores and keys of the
// deployment, for each function that takes readings in. It is apart from boot, so
// that the others carry no schemas.
package intakes

import (
	"context"
	"crypto/rand"
	"time"

	"fitvault/shared/boot"
	"fitvault/shared/dynamo"
	"fitvault/shared/intake"
	"fitvault/shared/keyring"
)

// holdKeys is how long the requests key and the writer key stay unwrapped in
// memory. Neither opens anything without an owner's private key.
const holdKeys = 15 * time.Minute

// New makes an intake that can seal and store, and open nothing that is stored;
// and its tables. It ends the process where a setting or enrol's public key is
// missing.
func New(ctx context.Context, aws boot.AWS) (*intake.Intake, dynamo.Tables) {
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
	return &intake.Intake{
		Deployment: ring.Deployment,
		Manifests:  dynamo.Manifests{Tables: tables, Now: time.Now},
		Blocks:     tables,
		Counters:   tables,
		Documents:  aws.Bucket(boot.Env("DOCUMENTS_BUCKET"), intake.MaxDocument),
		Keys:       ring,
		Now:        time.Now,
		Rand:       rand.Reader,
	}, tables
}
