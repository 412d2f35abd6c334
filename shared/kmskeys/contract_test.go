package kmskeys_test

import (
	"crypto/ed25519"
	"crypto/rsa"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
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

// TestLogKey: the deployed key signs notes as Ed25519 itself does, and by no other
// algorithm.
func TestLogKey(t *testing.T) {
	s := stack.Open(t)
	keys := kmskeys.Keys{Client: kms.NewFromConfig(s.AWS()), ARNs: map[string]string{keyring.PurposeLog: s.Output(t, "LogKey"), keyring.PurposeEnrolment: s.Output(t, "EnrolmentKey")}}
	public, err := keys.Ed25519PublicKey(t.Context(), keyring.PurposeLog)
	require.NoError(t, err)
	signature, err := keys.SignEd25519(t.Context(), keyring.PurposeLog, []byte("message"))
	require.NoError(t, err)
	require.True(t, ed25519.Verify(public, []byte("message"), signature))
	_, err = keys.Sign(t.Context(), keyring.PurposeLog, []byte("message"))
	require.Error(t, err, "ECDSA by an Ed25519 key")
	_, err = keys.SignEd25519(t.Context(), keyring.PurposeEnrolment, []byte("message"))
	require.Error(t, err, "Ed25519 by an ECDSA key")
	_, err = keys.Ed25519PublicKey(t.Context(), keyring.PurposeEnrolment)
	require.Error(t, err)
	for _, purpose := range []string{keyring.PurposeData} {
		_, err = keys.SignEd25519(t.Context(), purpose, nil)
		require.Error(t, err, "no key of this purpose")
		_, err = keys.Ed25519PublicKey(t.Context(), purpose)
		require.Error(t, err)
	}
	_, err = kms.NewFromConfig(s.AWS()).Sign(t.Context(), &kms.SignInput{KeyId: aws.String(s.Output(t, "LogKey")), Message: make([]byte, 64), MessageType: types.MessageTypeDigest,
		SigningAlgorithm: types.SigningAlgorithmSpecEd25519Sha512})
	require.Error(t, err, "of a digest: that is another algorithm")
}
