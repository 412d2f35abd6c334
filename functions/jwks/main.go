// Command jwks publishes the service's public keys: to encrypt uploads to, and to
// check what the service has signed. It can read public keys, and nothing else.
package main

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"fitvault/shared/boot"
	"fitvault/shared/edge"
)

func main() {
	ctx := context.Background()
	arns, named := strings.Split(boot.Env("PUBLISHED_KEY_ARNS"), ","), map[string]string{}
	for _, arn := range arns {
		named[arn] = arn
	}
	published, err := documents(ctx, boot.Load(ctx).Keys(named), arns)
	if err != nil {
		boot.Fail(err)
	}
	lambda.Start(edge.Public{Function: "jwks", Documents: published, Log: boot.Log(), Now: time.Now, Rand: rand.Reader}.Handle)
}
