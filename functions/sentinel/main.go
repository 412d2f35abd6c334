// Command sentinel watches what happens, as it happens: audit events by the stream of
// their table, and from logs what reaches no function: what the gateway refuses, and user
// pools. What it finds it slows down, and says so. It answers nobody, and reads nobody's data.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"fitvault/shared/boot"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge"
	"fitvault/shared/sentinel"
)

func main() {
	aws := boot.Load(context.Background())
	tables := aws.Tables(dynamo.Tables{Requests: boot.Env("REQUESTS_TABLE"), AuditEvents: boot.Env("AUDIT_EVENTS_TABLE"), Accounts: os.Getenv("ACCOUNTS_TABLE")})
	factor, err := strconv.Atoi(boot.Env("SENTINEL_FACTOR"))
	if err != nil || factor < 1 {
		boot.Fail(errors.New("setting SENTINEL_FACTOR is no number"))
	}
	// Accounts and issuers are set where the events of user pools are kept, and needed for those alone.
	p := pools{issuers: map[string]string{peoplesGroup: os.Getenv("TOKEN_ISSUER"), staffsGroup: os.Getenv("STAFF_TOKEN_ISSUER")},
		key: edge.NewStoredAddressKey(aws.Parameter(boot.Env("ADDRESS_KEY_PARAMETER")), time.Now)}
	h := handler{log: boot.Log(), now: time.Now, pools: p, sentinel: sentinel.Sentinel{Counters: dynamo.Watched{Tables: tables, Now: time.Now},
		Accounts: tables, Limiter: aws.Limiter(tables), Audit: tables, Factor: factor, Now: time.Now, Rand: rand.Reader}}
	lambda.Start(h.handle)
}
