// Package receipt makes the signed receipt of what a person said about a
// purpose: a JSON Web Signature that the person can keep, and that anybody can
// check with a program of his own against the published key (requirement R23).
package receipt

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"sync"
	"time"

	"fitvault/shared/fault"
	"fitvault/shared/keyring"
	"fitvault/shared/redact"
)

// Type is the `typ` of a receipt (RFC 8725, section 3.11): nothing else that this
// service signs passes for one.
const Type = "consent-receipt+jwt"

// Receipt is what a receipt says.
type Receipt struct {
	redact.Mark
	Issuer   string // the deployment
	Owner    string // user id
	ID       string // of this receipt; random
	IssuedAt time.Time
	Purpose  string
	Version  string // of the text
	Digest   string // SHA-256 of the text, lower-case hex; "" of a text that is not known any more
	Locale   string // of the text; "" where it was not kept
	Given    bool   // false: withdrawn
	How      string // client id of the app by which it was said
}

// claims is a Receipt as it is signed: names of RFC 7519, section 4.1, and our own.
type claims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	ID       string `json:"jti"`
	IssuedAt int64  `json:"iat"`
	Purpose  string `json:"purpose"`
	Version  string `json:"version"`
	Digest   string `json:"digest,omitempty"`
	Locale   string `json:"locale,omitempty"`
	Given    bool   `json:"given"`
	How      string `json:"how"`
}

type header struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
	Type      string `json:"typ"`
}

// Keys signs with the key of a purpose: an ASN.1 ECDSA P-256 signature of the
// SHA-256 of a message of at most 4,096 bytes.
type Keys interface {
	Sign(ctx context.Context, purpose string, message []byte) ([]byte, error)
	PublicKey(ctx context.Context, purpose string) (*ecdsa.PublicKey, error)
}

// Signer signs receipts with the key keyring.PurposeReceipts. It asks for the
// public half once, at the first receipt. Safe for concurrent use.
type Signer struct {
	Keys Keys

	mu  sync.Mutex
	key *ecdsa.PublicKey
}

// Sign returns a receipt as a compact JWS (RFC 7515), ES256. A failure of KMS is
// fault.Unavailable; a signature that the public key does not verify goes nowhere
// and is fault.Internal.
func (s *Signer) Sign(ctx context.Context, r Receipt) (string, error) {
	key, err := s.public(ctx)
	if err != nil {
		return "", fault.Wrap(fault.Unavailable, "receipt key cannot be read", err)
	}
	kid, err := Thumbprint(key)
	if err != nil {
		return "", err
	}
	head, err := part(header{Algorithm: "ES256", KeyID: kid, Type: Type})
	if err != nil {
		return "", err
	}
	body, err := part(claims{Issuer: r.Issuer, Subject: r.Owner, ID: r.ID, IssuedAt: r.IssuedAt.Unix(),
		Purpose: r.Purpose, Version: r.Version, Digest: r.Digest, Locale: r.Locale, Given: r.Given, How: r.How})
	if err != nil {
		return "", err
	}
	signed := head + "." + body
	der, err := s.Keys.Sign(ctx, keyring.PurposeReceipts, []byte(signed))
	if err != nil {
		return "", fault.Wrap(fault.Unavailable, "receipt cannot be signed", err)
	}
	digest := sha256.Sum256([]byte(signed))
	signature, err := Raw(der)
	if err != nil || !ecdsa.VerifyASN1(key, digest[:], der) {
		return "", fault.New(fault.Internal, "receipt's signature is none of the receipt key")
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

func (s *Signer) public(ctx context.Context) (*ecdsa.PublicKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key == nil {
		key, err := s.Keys.PublicKey(ctx, keyring.PurposeReceipts)
		if err != nil {
			return nil, err
		}
		s.key = key
	}
	return s.key, nil
}

func part(v any) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", fault.Wrap(fault.Internal, "receipt cannot be encoded", err)
	}
	return base64.RawURLEncoding.EncodeToString(text), nil
}
