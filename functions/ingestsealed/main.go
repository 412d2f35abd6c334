// Command ingestsealed takes in readings and recordings that clients have encrypted
// for the service. KMS opens them; beside that it can what ingest can, and open
// nothing that is stored.
package main

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"fitvault/shared/boot"
	"fitvault/shared/boot/intakes"
	"fitvault/shared/edge"
	"fitvault/shared/jwks"
	"fitvault/shared/keyring"
	"fitvault/shared/sealedupload"
)

func main() {
	ctx := context.Background()
	aws := boot.Load(ctx)
	in, tables := intakes.New(ctx, aws)
	kms := aws.Keys(map[string]string{keyring.PurposeUpload: boot.Env("UPLOAD_KEY_ARN")})
	public, err := kms.AnyPublicKey(ctx, keyring.PurposeUpload)
	if err != nil {
		boot.Fail(err)
	}
	key, err := jwks.Of(public)
	if err != nil {
		boot.Fail(err)
	}
	opener := sealedupload.Opener{KeyID: key.Kid, Key: kms, Now: time.Now, Rand: rand.Reader}
	lambda.Start(edge.New(aws.Edge("ingestsealed", tables), handler{in, opener}.routes()...))
}
