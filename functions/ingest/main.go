// Command ingest takes readings and recordings in. It can seal and store; it
// can open nothing that is stored.
package main

import (
	"context"
	"errors"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"fitvault/shared/boot"
	"fitvault/shared/boot/intakes"
	"fitvault/shared/edge"
	"fitvault/shared/intake"
)

func main() {
	ctx := context.Background()
	aws := boot.Load(ctx)
	in, tables := intakes.New(ctx, aws)
	var err error
	if in.SealedOnly, err = intake.ParseSealedOnly(os.Getenv("SEALED_TYPES")); err != nil { // most demand none
		boot.Fail(errors.New("setting SEALED_TYPES names no type"))
	}
	lambda.Start(edge.New(aws.Edge("ingest", tables), handler{intake: in}.routes()...))
}
