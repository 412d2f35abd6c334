package receipt_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/oracle"
	"fitvault/shared/fault"
	"fitvault/shared/keyring"
	"fitvault/shared/keyring/keyringtest"
	"fitvault/shared/receipt"
)

var given = receipt.Receipt{
	Issuer: "fitvault", Owner: "gaytemzugu3doobzmfrggzdfmy", ID: "mfrggzdfmztwq2lknnwg23tpoa", IssuedAt: time.Date(2026, 5, 4, 5, 25, 0, 999, time.UTC),
	Purpose: "collection", Version: "1", Digest: strings.Repeat("0f", 32), Locale: "de", Given: true, How: "some-client",
}

// claimed is what must stand in that receipt, as JSON reads it.
var claimed = map[string]any{
	"iss": "fitvault", "sub": "gaytemzugu3doobzmfrggzdfmy", "jti": "mfrggzdfmztwq2lknnwg23tpoa", "iat": 1777872300.0,
	"purpose": "collection", "version": "1", "digest": strings.Repeat("0f", 32), "locale": "de", "given": true, "how": "some-client",
}

func sign(t *testing.T, kms receipt.Keys, r receipt.Receipt) (string, *ecdsa.PublicKey) {
	t.Helper()
	signed, err := (&receipt.Signer{Keys: kms}).Sign(t.Context(), r)
	require.NoError(t, err)
	key, err := kms.PublicKey(t.Context(), keyring.PurposeReceipts)
	require.NoError(t, err)
	return signed, key
}

// verify is golang-jwt's word for a receipt.
func verify(signed string, key *ecdsa.PublicKey) (map[string]any, map[string]any, error) {
	claims := jwt.MapClaims{}
	token, err := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithStrictDecoding()).
		ParseWithClaims(signed, claims, func(*jwt.Token) (any, error) { return key, nil })
	if err != nil {
		return nil, nil, err
	}
	return token.Header, claims, nil
}

// altered is a receipt with each of its characters in turn replaced by another
// that a decoder does not take for the same.
func altered(signed string) (all []string) {
	for i := range signed {
		other := byte('A')
		if signed[i] >= 'A' && signed[i] <= 'Z' { // A to Z and a to z differ in the highest of their six bits
			other = 'z'
		}
		all = append(all, signed[:i]+string(other)+signed[i+1:])
	}
	return all
}

// TestReceiptVerifies: by two programs of other people, and altered by neither.
func TestReceiptVerifies(t *testing.T) {
	signed, key := sign(t, keyringtest.NewKMS(), given)
	thumbprint, err := receipt.Thumbprint(key)
	require.NoError(t, err)
	require.Less(t, len(signed), 1<<10)
	_, stranger := sign(t, keyringtest.NewKMS(), given)

	t.Run("golang-jwt", func(t *testing.T) {
		header, claims, err := verify(signed, key)
		require.NoError(t, err)
		require.Equal(t, map[string]any{"alg": "ES256", "kid": thumbprint, "typ": "consent-receipt+jwt"}, header)
		require.Equal(t, claimed, claims)
		for i, other := range altered(signed) {
			_, _, err := verify(other, key)
			require.Error(t, err, "character %d", i)
		}
		_, _, err = verify(signed, stranger)
		require.Error(t, err)
	})
	t.Run("joserfc", func(t *testing.T) {
		said := oracle.Receipts(t, key, append([]string{signed}, altered(signed)...))
		require.Equal(t, oracle.Receipt{Valid: true, Thumbprint: thumbprint, Claims: claimed,
			Header: map[string]any{"alg": "ES256", "kid": thumbprint, "typ": "consent-receipt+jwt"}}, said[0])
		for i, other := range said[1:] {
			require.False(t, other.Valid, "character %d", i)
		}
		require.False(t, oracle.Receipts(t, stranger, []string{signed})[0].Valid)
	})
}

// TestEveryMemberIsSigned: no two receipts that say something else are the same.
func TestEveryMemberIsSigned(t *testing.T) {
	kms := keyringtest.NewKMS()
	payload := func(change func(*receipt.Receipt)) string {
		r := given
		change(&r)
		signed, _ := sign(t, kms, r)
		return strings.Split(signed, ".")[1]
	}
	seen := map[string]bool{}
	for _, change := range []func(*receipt.Receipt){
		func(*receipt.Receipt) {},
		func(r *receipt.Receipt) { r.Issuer = "x" }, func(r *receipt.Receipt) { r.Owner = "x" }, func(r *receipt.Receipt) { r.ID = "x" },
		func(r *receipt.Receipt) { r.IssuedAt = r.IssuedAt.Add(time.Second) }, func(r *receipt.Receipt) { r.Purpose = "x" },
		func(r *receipt.Receipt) { r.Version = "x" }, func(r *receipt.Receipt) { r.Digest = "" }, func(r *receipt.Receipt) { r.Locale = "" },
		func(r *receipt.Receipt) { r.Given = false }, func(r *receipt.Receipt) { r.How = "x" },
	} {
		seen[payload(change)] = true
	}
	require.Len(t, seen, 11)
	body, err := base64.RawURLEncoding.DecodeString(payload(func(r *receipt.Receipt) { r.Given = false }))
	require.NoError(t, err)
	require.Contains(t, string(body), `"given":false`, "said, not left out")
}

func TestReceiptsPrintNothing(t *testing.T) {
	require.Equal(t, "[redacted]", fmt.Sprintf("%+v", given))
}

// broken is a KMS of which parts are replaced.
type broken struct {
	*keyringtest.KMS
	signature []byte
	key       *ecdsa.PublicKey
}

func (b broken) Sign(ctx context.Context, purpose string, message []byte) ([]byte, error) {
	if b.signature != nil {
		return b.signature, nil
	}
	return b.KMS.Sign(ctx, purpose, message)
}

func (b broken) PublicKey(ctx context.Context, purpose string) (*ecdsa.PublicKey, error) {
	if b.key != nil {
		return b.key, nil
	}
	return b.KMS.PublicKey(ctx, purpose)
}

func TestSignFails(t *testing.T) {
	failing := func(call string) broken {
		kms := keyringtest.NewKMS()
		kms.Hook = func(c string) error {
			if c == call {
				return keyringtest.ErrDown
			}
			return nil
		}
		return broken{KMS: kms}
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	wide, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	for name, test := range map[string]struct {
		kms  broken
		kind fault.Kind
	}{
		"KMS does not show the key":      {failing("public key"), fault.Unavailable},
		"KMS does not sign":              {failing("sign receipts"), fault.Unavailable},
		"a key of another curve":         {broken{KMS: keyringtest.NewKMS(), key: &wide.PublicKey}, fault.Internal},
		"a signature of another key":     {broken{KMS: keyringtest.NewKMS(), key: &other.PublicKey}, fault.Internal},
		"a signature that is none":       {broken{KMS: keyringtest.NewKMS(), signature: []byte("canary")}, fault.Internal},
		"an empty signature":             {broken{KMS: keyringtest.NewKMS(), signature: []byte{}}, fault.Internal},
		"a signature of another message": {broken{KMS: keyringtest.NewKMS(), signature: der(t, big.NewInt(1), big.NewInt(1))}, fault.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			signed, err := (&receipt.Signer{Keys: test.kms}).Sign(t.Context(), given)
			require.Equal(t, test.kind, fault.KindOf(err))
			require.NotContains(t, err.Error(), "canary")
			require.Empty(t, signed)
		})
	}
	t.Run("and can sign the next time", func(t *testing.T) {
		kms := keyringtest.NewKMS()
		down := true
		kms.Hook = func(string) error {
			if down {
				return keyringtest.ErrDown
			}
			return nil
		}
		signer := receipt.Signer{Keys: kms}
		_, err := signer.Sign(t.Context(), given)
		require.Error(t, err)
		down = false
		_, err = signer.Sign(t.Context(), given)
		require.NoError(t, err)
	})
}

// TestTheKeyIsAskedForOnce also of many receipts at once.
func TestTheKeyIsAskedForOnce(t *testing.T) {
	kms := keyringtest.NewKMS()
	var mu sync.Mutex
	asked := map[string]int{}
	kms.Hook = func(call string) error {
		mu.Lock()
		defer mu.Unlock()
		asked[call]++
		return nil
	}
	signer := receipt.Signer{Keys: kms}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { _, _ = signer.Sign(t.Context(), given) })
	}
	all.Wait()
	require.Equal(t, map[string]int{"public key": 1, "sign receipts": 8}, asked)
}

func der(t testing.TB, r, s *big.Int) []byte {
	t.Helper()
	b, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	require.NoError(t, err)
	return b
}

func TestRaw(t *testing.T) {
	most := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
	one := big.NewInt(1)
	raw, err := receipt.Raw(der(t, one, most))
	require.NoError(t, err)
	require.Equal(t, append(append(make([]byte, 31), 1), most.Bytes()...), raw, "short numbers are filled up, long ones have no sign byte")

	good := der(t, most, one)
	for name, bad := range map[string][]byte{
		"nothing":            nil,
		"zero":               der(t, big.NewInt(0), one),
		"a zero S":           der(t, one, big.NewInt(0)),
		"a negative number":  der(t, big.NewInt(-1), one),
		"a negative S":       der(t, one, big.NewInt(-1)),
		"a number too large": der(t, new(big.Int).Add(most, one), one),
		"an S too large":     der(t, one, new(big.Int).Lsh(most, 512)),
		"something behind":   append(append([]byte{}, good...), 0),
		"cut off":            good[:len(good)-1],
		"a third number":     {0x30, 9, 2, 1, 1, 2, 1, 1, 2, 1, 1},
		"one number":         {0x30, 3, 2, 1, 1},
		"a long form length": {0x30, 0x81, 6, 2, 1, 1, 2, 1, 1},
		"a padded number":    {0x30, 7, 2, 2, 0, 1, 2, 1, 1},
		"an octet string":    {0x04, 6, 2, 1, 1, 2, 1, 1},
		"already raw":        make([]byte, 64),
	} {
		t.Run(name, func(t *testing.T) {
			raw, err := receipt.Raw(bad)
			require.Equal(t, fault.Internal, fault.KindOf(err))
			require.Nil(t, raw)
		})
	}
}

// TestThumbprint: that of RFC 7515's key for ES256, as other programs print it.
func TestThumbprint(t *testing.T) {
	point := []byte{4}
	for _, coordinate := range []string{"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"} {
		b, err := base64.RawURLEncoding.DecodeString(coordinate)
		require.NoError(t, err)
		point = append(point, b...)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	require.NoError(t, err)
	thumbprint, err := receipt.Thumbprint(key)
	require.NoError(t, err)
	require.Equal(t, "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U", thumbprint)
	wide, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	_, err = receipt.Thumbprint(&wide.PublicKey)
	require.Equal(t, fault.Internal, fault.KindOf(err))
}

// FuzzRaw: what comes out goes back into the same bytes.
func FuzzRaw(f *testing.F) {
	f.Add(der(f, big.NewInt(1), big.NewInt(255)))
	f.Add([]byte{0x30, 0x81, 6, 2, 1, 1, 2, 1, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		raw, err := receipt.Raw(in)
		if err != nil {
			require.Nil(t, raw)
			return
		}
		require.Len(t, raw, 64)
		require.Equal(t, der(t, new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])), in)
	})
}
