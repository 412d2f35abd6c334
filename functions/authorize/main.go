// Command authorize serves the page on which a person lets an app of others in
// (ADR 26). It can read the documents of apps, and nothing else: what the page changes,
// it changes with the person's own token, by PUT /users/me/apps/{client}.
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
	ctx := context.Background()
	aws := boot.Load(ctx)
	key, err := aws.Parameter(boot.Env("PAGE_KEY_PARAMETER")).Value(ctx)
	if err != nil {
		boot.Fail(err)
	}
	served, err := page{Client: boot.Env("PAGE_CLIENT"), Key: key, SignIn: boot.Env("SIGN_IN_URL")}.documents()
	if err != nil {
		boot.Fail(err)
	}
	i := inquiry{apps: dynamo.Registry{Tables: aws.Tables(dynamo.Tables{Accounts: boot.Env("ACCOUNTS_TABLE")})}, signIn: boot.Env("SIGN_IN_URL"), now: time.Now}
	public := edge.Public{Function: "authorize", Documents: served, Inquiries: []edge.Inquiry{i.route()}, Log: boot.Log(), Now: time.Now, Rand: rand.Reader}
	lambda.Start(public.Handle)
}
