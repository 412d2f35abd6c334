// Command sharing is how an owner lets others in and shuts them out: grants and
// invitations, apps, sessions, and what he demands of uploads. It opens no reading,
// and may use no key.
package main

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"fitvault/shared/boot"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge"
)

func main() {
	aws := boot.Load(context.Background())
	tables := aws.Tables(dynamo.Tables{Accounts: boot.Env("ACCOUNTS_TABLE"), AuditEvents: boot.Env("AUDIT_EVENTS_TABLE")})
	h := handler{store: tables, now: time.Now, rand: rand.Reader}
	lambda.Start(edge.New(aws.Edge("sharing", tables), h.routes()...).Handle)
}
