// Command ingest takes readings and recordings in. It can seal and store; it
// can open nothing that is stored.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"

	"fitvault/shared/boot"
	"fitvault/shared/boot/intakes"
	"fitvault/shared/edge"
)

func main() {
	ctx := context.Background()
	aws := boot.Load(ctx)
	in, tables := intakes.New(ctx, aws)
	lambda.Start(edge.New(aws.Edge("ingest", tables), handler{intake: in}.routes()...))
}
