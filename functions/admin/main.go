// Command admin is the administrators': it registers apps of others, and says who of
// the staff is what, and who is a member of which organisation. It can read no
// reading, no owner's document and no key.
package main

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"fitvault/shared/boot"
	"fitvault/shared/cognito"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge"
	"fitvault/shared/gatewaykeys"
)

func main() {
	aws := boot.Load(context.Background())
	tables := aws.Tables(dynamo.Tables{Accounts: boot.Env("ACCOUNTS_TABLE"), AuditEvents: boot.Env("AUDIT_EVENTS_TABLE")})
	plan, err := aws.Parameter(boot.Env("PARTNER_PLAN_PARAMETER")).Value(context.Background())
	if err != nil {
		boot.Fail(err)
	}
	pool := boot.Env("USER_POOL") // the id, or the ARN of one that the deployment did not make
	h := handler{
		people:      boot.Env("PEOPLE_ISSUER"),
		staff:       boot.Env("STAFF_TOKEN_ISSUER"),
		apps:        dynamo.Registry{Tables: tables},
		clients:     cognito.New(aws.Config(), pool[strings.LastIndex(pool, "/")+1:]),
		keys:        gatewaykeys.New(aws.Config(), plan),
		memberships: tables,
		now:         time.Now,
		rand:        rand.Reader,
	}
	lambda.Start(edge.New(aws.Edge("admin", tables), h.routes()...).Handle)
}
