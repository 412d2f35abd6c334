// Package kmskeys is KMS: wrapping, unwrapping, signing. It decides nothing.
package kmskeys

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"fitvault/shared/keyring"
	"fitvault/shared/sealedupload"
)

// Keys uses the KMS keys of this deployment, named by ARN for each purpose.
type Keys struct {
	Client *kms.Client
	ARNs   map[string]string // purpose → key ARN
}

var errPurpose = errors.New("no KMS key is configured for this purpose")

func (k Keys) arn(purpose string) (*string, error) {
	if a := k.ARNs[purpose]; a != "" {
		return aws.String(a), nil
	}
	return nil, errPurpose
}

// Unwrap implements keyring.Unwrapper: it decrypts only with the key of the
// purpose and under the same encryption context.
func (k Keys) Unwrap(ctx context.Context, purpose string, encryptionContext map[string]string, blob []byte) ([]byte, error) {
	arn, err := k.arn(purpose)
	if err != nil {
		return nil, err
	}
	out, err := k.Client.Decrypt(ctx, &kms.DecryptInput{KeyId: arn, CiphertextBlob: blob, EncryptionContext: encryptionContext})
	var invalid *types.InvalidCiphertextException
	var incorrect *types.IncorrectKeyException
	if errors.As(err, &invalid) || errors.As(err, &incorrect) {
		return nil, keyring.ErrAltered
	}
	if err != nil {
		return nil, err
	}
	return out.Plaintext, nil
}

// NewKey returns 32 random bytes, wrapped; nobody sees them unwrapped.
func (k Keys) NewKey(ctx context.Context, purpose string, encryptionContext map[string]string) ([]byte, error) {
	arn, err := k.arn(purpose)
	if err != nil {
		return nil, err
	}
	out, err := k.Client.GenerateDataKeyWithoutPlaintext(ctx, &kms.GenerateDataKeyWithoutPlaintextInput{
		KeyId: arn, KeySpec: types.DataKeySpecAes256, EncryptionContext: encryptionContext})
	if err != nil {
		return nil, err
	}
	return out.CiphertextBlob, nil
}

// NewPair returns a new P-256 pair: the public key (SPKI DER) and the private
// key (PKCS #8 DER), wrapped; nobody sees it unwrapped.
func (k Keys) NewPair(ctx context.Context, purpose string, encryptionContext map[string]string) (public, wrapped []byte, err error) {
	arn, err := k.arn(purpose)
	if err != nil {
		return nil, nil, err
	}
	out, err := k.Client.GenerateDataKeyPairWithoutPlaintext(ctx, &kms.GenerateDataKeyPairWithoutPlaintextInput{
		KeyId: arn, KeyPairSpec: types.DataKeyPairSpecEccNistP256, EncryptionContext: encryptionContext})
	if err != nil {
		return nil, nil, err
	}
	return out.PublicKey, out.PrivateKeyCiphertextBlob, nil
}

// Sign returns an ASN.1 ECDSA signature of the SHA-256 of message (≤ 4,096 bytes).
func (k Keys) Sign(ctx context.Context, purpose string, message []byte) ([]byte, error) {
	arn, err := k.arn(purpose)
	if err != nil {
		return nil, err
	}
	out, err := k.Client.Sign(ctx, &kms.SignInput{
		KeyId: arn, Message: message, MessageType: types.MessageTypeRaw, SigningAlgorithm: types.SigningAlgorithmSpecEcdsaSha256})
	if err != nil {
		return nil, err
	}
	return out.Signature, nil
}

// Signer signs with the key of one purpose, as Sign does.
func (k Keys) Signer(purpose string) Signer { return Signer{k, purpose} }

// Signer implements pairing.Signer.
type Signer struct {
	keys    Keys
	purpose string
}

func (s Signer) Sign(ctx context.Context, message []byte) ([]byte, error) {
	return s.keys.Sign(ctx, s.purpose, message)
}

// PublicKey returns the P-256 verifying key of a signing key.
func (k Keys) PublicKey(ctx context.Context, purpose string) (*ecdsa.PublicKey, error) {
	public, err := k.AnyPublicKey(ctx, purpose)
	if err != nil {
		return nil, err
	}
	key, ok := public.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("KMS key is not an ECDSA P-256 key")
	}
	return key, nil
}

// AnyPublicKey returns the public half of a pair: an *rsa.PublicKey or an *ecdsa.PublicKey.
func (k Keys) AnyPublicKey(ctx context.Context, purpose string) (any, error) {
	arn, err := k.arn(purpose)
	if err != nil {
		return nil, err
	}
	out, err := k.Client.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: arn})
	if err != nil {
		return nil, err
	}
	return x509.ParsePKIXPublicKey(out.PublicKey)
}

// UnwrapContentKey implements sealedupload.Unwrapper with the key of
// keyring.PurposeUpload. KMS is told the algorithm: it takes no other.
func (k Keys) UnwrapContentKey(ctx context.Context, encrypted []byte) ([]byte, error) {
	arn, err := k.arn(keyring.PurposeUpload)
	if err != nil {
		return nil, err
	}
	out, err := k.Client.Decrypt(ctx, &kms.DecryptInput{KeyId: arn, CiphertextBlob: encrypted, EncryptionAlgorithm: types.EncryptionAlgorithmSpecRsaesOaepSha256})
	var invalid *types.InvalidCiphertextException
	var incorrect *types.IncorrectKeyException
	if errors.As(err, &invalid) || errors.As(err, &incorrect) {
		return nil, sealedupload.ErrNotWrapped
	}
	if err != nil {
		return nil, err
	}
	return out.Plaintext, nil
}
