package kmskeys_test

import (
	"crypto/rsa"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
	"fitvault/shared/keyring"
	"fitvault/shared/keyring/keyringtest"
	"fitvault/shared/kmskeys"
	"fitvault/shared/sealedupload/sealeduploadtest"
)

// TestContract uses the deployed keys of the local stack.
func TestContract(t *testing.T) {
	s := stack.Open(t)
	keyringtest.KMSContract(t, kmskeys.Keys{Client: kms.NewFromConfig(s.AWS()), ARNs: map[string]string{
		keyring.PurposeData:      s.Output(t, "DataKey"),
		keyring.PurposeWriter:    s.Output(t, "WriterKey"),
		keyring.PurposeEnrolment: s.Output(t, "EnrolmentKey"),
		keyring.PurposeReceipts:  s.Output(t, "ReceiptKey"),
	}})
}

// TestUploadKey: what is encrypted to the upload key opens, and nothing else.
func TestUploadKey(t *testing.T) {
	s := stack.Open(t)
	keys := kmskeys.Keys{Client: kms.NewFromConfig(s.AWS()), ARNs: map[string]string{keyring.PurposeUpload: s.Output(t, "UploadKey")}}
	public, err := keys.AnyPublicKey(t.Context(), keyring.PurposeUpload)
	require.NoError(t, err)
	sealeduploadtest.UnwrapperContract(t, keys, public.(*rsa.PublicKey))
}
