package kmskeys_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms"

	"fitvault/e2e/stack"
	"fitvault/shared/keyring"
	"fitvault/shared/keyring/keyringtest"
	"fitvault/shared/kmskeys"
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
