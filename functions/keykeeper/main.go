// Command keykeeper keeps the keys that the other functions read: each user
// pool's token keys in an SSM parameter, the day's key that addresses are named by
// in another, and the service keys, made wrapped, in the Keys table. It runs after each deployment and every hour.
package main

import (
	"context"
	"crypto/rand"
	"net/http"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"fitvault/shared/boot"
	"fitvault/shared/dynamo"
	"fitvault/shared/keyring"
)

func main() {
	aws := boot.Load(context.Background())
	k := keeper{
		deployment: boot.Env("DEPLOYMENT"),
		pools: []pool{
			{boot.Env("TOKEN_KEYS_URL"), aws.Parameter(boot.Env("TOKEN_KEYS_PARAMETER"))},
			{boot.Env("STAFF_TOKEN_KEYS_URL"), aws.Parameter(boot.Env("STAFF_TOKEN_KEYS_PARAMETER"))},
		},
		addresses: aws.Parameter(boot.Env("ADDRESS_KEY_PARAMETER")),
		http:      &http.Client{Timeout: 5 * time.Second, CheckRedirect: refuseRedirect},
		store:     aws.Tables(dynamo.Tables{Keys: boot.Env("KEYS_TABLE")}),
		kms: aws.Keys(map[string]string{
			keyring.PurposeRequests: boot.Env("SERVICE_KEY_ARN"),
			keyring.PurposePages:    boot.Env("SERVICE_KEY_ARN"),
			keyring.PurposeAudit:    boot.Env("SERVICE_KEY_ARN"),
			keyring.PurposeWriter:   boot.Env("WRITER_KEY_ARN"),
		}),
		log:  boot.Log(),
		now:  time.Now,
		rand: rand.Reader,
	}
	lambda.Start(k.run)
}
