package kmskeys_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/stretchr/testify/require"

	"fitvault/shared/keyring"
	"fitvault/shared/kmskeys"
	"fitvault/shared/sealedupload"
)

// answer is what KMS says to every request; asked is the last request's body.
type answer struct {
	status int
	body   string
	err    error
	asked  *string
}

func (a answer) Do(r *http.Request) (*http.Response, error) {
	if a.err != nil {
		return nil, a.err
	}
	if a.asked != nil {
		b, _ := io.ReadAll(r.Body)
		*a.asked = string(b)
	}
	return &http.Response{StatusCode: a.status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}},
		Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

func stubbed(a answer) kmskeys.Keys {
	return kmskeys.Keys{ARNs: map[string]string{"data": "arn:data"}, Client: kms.New(kms.Options{Region: "eu-central-1", HTTPClient: a, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("an id", "a secret of some length", "")})}
}

func TestKMSFails(t *testing.T) {
	for name, a := range map[string]answer{
		"refused":       {status: 400, body: `{"__type": "AccessDeniedException"}`},
		"altered":       {status: 400, body: `{"__type": "InvalidCiphertextException"}`},
		"another key's": {status: 400, body: `{"__type": "IncorrectKeyException"}`},
		"no connection": {err: errors.New("no connection")},
	} {
		k := stubbed(a)
		key, err := k.Unwrap(t.Context(), "data", nil, []byte("blob"))
		require.Error(t, err, name)
		require.Nil(t, key)
		require.Equal(t, name == "altered" || name == "another key's", errors.Is(err, keyring.ErrAltered), name)
		_, err = k.NewKey(t.Context(), "data", nil)
		require.Error(t, err, name)
		_, _, err = k.NewPair(t.Context(), "data", nil)
		require.Error(t, err, name)
		_, err = k.Sign(t.Context(), "data", []byte("message"))
		require.Error(t, err, name)
		_, err = k.PublicKey(t.Context(), "data")
		require.Error(t, err, name)
	}
}

// TestTheKeyIsNamed: a blob says itself which key wrapped it; KMS is told which
// one it must be.
func TestTheKeyIsNamed(t *testing.T) {
	var asked string
	_, err := stubbed(answer{status: 200, body: `{"Plaintext": "AAAA"}`, asked: &asked}).
		Unwrap(t.Context(), "data", map[string]string{"purpose": "data"}, []byte("blob"))
	require.NoError(t, err)
	require.JSONEq(t, `{"CiphertextBlob": "YmxvYg==", "EncryptionContext": {"purpose": "data"}, "KeyId": "arn:data"}`, asked)
}

// TestPublicKeyOfAnotherKind: what verifies owners' keys is ECDSA on P-256, or nothing.
func TestPublicKeyOfAnotherKind(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	public := func(key any) string {
		der, err := x509.MarshalPKIXPublicKey(key)
		require.NoError(t, err)
		return base64.StdEncoding.EncodeToString(der)
	}
	for _, test := range []struct {
		name, key string
		ok        bool
	}{
		{"P-256", public(&p256.PublicKey), true},
		{"P-384", public(&p384.PublicKey), false},
		{"RSA", public(&rsa2048.PublicKey), false},
		{"not a key", "AAAA", false},
	} {
		found, err := stubbed(answer{status: 200, body: `{"PublicKey": "` + test.key + `"}`}).PublicKey(t.Context(), "data")
		require.Equal(t, test.ok, err == nil, test.name)
		if test.ok {
			require.True(t, p256.PublicKey.Equal(found))
		}
	}
}

// TestUploadKeyFails: KMS is told key and algorithm, and only what it did not wrap
// is ErrNotWrapped.
func TestUploadKeyFails(t *testing.T) {
	var asked string
	with := func(a answer) kmskeys.Keys {
		k := stubbed(a)
		k.ARNs = map[string]string{keyring.PurposeUpload: "arn:upload"}
		return k
	}
	key, err := with(answer{status: 200, body: `{"Plaintext": "AAAA"}`, asked: &asked}).UnwrapContentKey(t.Context(), []byte("blob"))
	require.NoError(t, err)
	require.Equal(t, []byte{0, 0, 0}, key)
	require.JSONEq(t, `{"CiphertextBlob": "YmxvYg==", "EncryptionAlgorithm": "RSAES_OAEP_SHA_256", "KeyId": "arn:upload"}`, asked)

	for name, a := range map[string]answer{
		"refused":       {status: 400, body: `{"__type": "AccessDeniedException"}`},
		"not wrapped":   {status: 400, body: `{"__type": "InvalidCiphertextException"}`},
		"another key's": {status: 400, body: `{"__type": "IncorrectKeyException"}`},
		"no such key":   {status: 400, body: `{"__type": "NotFoundException"}`},
		"no connection": {err: errors.New("no connection")},
	} {
		key, err := with(a).UnwrapContentKey(t.Context(), []byte("blob"))
		require.Error(t, err, name)
		require.Nil(t, key)
		require.Equal(t, name == "not wrapped" || name == "another key's", errors.Is(err, sealedupload.ErrNotWrapped), name)
	}
	_, err = stubbed(answer{status: 200, body: `{}`}).UnwrapContentKey(t.Context(), nil)
	require.Error(t, err, "no key is configured")
}
