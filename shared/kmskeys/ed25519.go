package kmskeys

import (
	"context"
	"crypto/ed25519"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// SignEd25519 returns the Ed25519 signature of a message (≤ 4,096 bytes) itself:
// ED25519_SHA_512, which is the pure form of RFC 8032, not that of a digest.
func (k Keys) SignEd25519(ctx context.Context, purpose string, message []byte) ([]byte, error) {
	arn, err := k.arn(purpose)
	if err != nil {
		return nil, err
	}
	out, err := k.Client.Sign(ctx, &kms.SignInput{
		KeyId: arn, Message: message, MessageType: types.MessageTypeRaw, SigningAlgorithm: types.SigningAlgorithmSpecEd25519Sha512})
	if err != nil {
		return nil, err
	}
	return out.Signature, nil
}

// Ed25519PublicKey returns the verifying key of such a key.
func (k Keys) Ed25519PublicKey(ctx context.Context, purpose string) (ed25519.PublicKey, error) {
	public, err := k.AnyPublicKey(ctx, purpose)
	if err != nil {
		return nil, err
	}
	key, ok := public.(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("KMS key is not an Ed25519 key")
	}
	return key, nil
}
