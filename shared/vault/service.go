package vault

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"

	"fitvault/shared/fault"
	"fitvault/shared/redact"
)

// ErrPageToken is the one error for a page token that does not open. It may be
// told: its kind is [fault.BadPageToken].
var ErrPageToken = fault.New(fault.BadPageToken, "page token does not open")

// maxPageToken bounds, in characters, what is decoded of a caller's page token.
const maxPageToken = 4096

// RequestsKey names manifests and compares bodies without holding either: who
// reads the table of manifests learns neither whose they are, nor whether two
// requests carried the same body. It is long-lived; its id is in each manifest.
type RequestsKey struct {
	redact.Mark
	id             string
	manifest, body secret
}

// NewRequestsKey takes an id (the grammar of [Statement]'s KeyID) and 32 random bytes.
func NewRequestsKey(id string, key []byte) (RequestsKey, error) {
	if !validID(id) || len(key) != keySize {
		return RequestsKey{}, ErrKey
	}
	return RequestsKey{id: id,
		manifest: subKey(key, "fitvault/v1/manifest-id"),
		body:     subKey(key, "fitvault/v1/body-mac"),
	}, nil
}

func (k RequestsKey) ID() string { return k.id }

// ManifestID is HMAC-SHA-256 over the length-prefixed parts, in 64 lower-case
// hexadecimal digits. Parts are owner, client, route, kind of key, key.
func (k RequestsKey) ManifestID(parts ...string) string {
	fields := make([][]byte, len(parts))
	for i, p := range parts {
		fields[i] = []byte(p)
	}
	return hex.EncodeToString(mac(k.manifest, fields...))
}

// BodyMAC is HMAC-SHA-256 over a manifest's id and a body, both
// length-prefixed: 32 bytes, to be compared with hmac.Equal. The id is in it so
// that the same body under two manifests cannot be seen to be the same.
func (k RequestsKey) BodyMAC(manifestID string, body []byte) []byte {
	return mac(k.body, []byte(manifestID), body)
}

// PagesKey seals page tokens: opaque to the caller, bound to what they were
// made for, and never a permission.
type PagesKey struct {
	redact.Mark
	key secret
}

// NewPagesKey takes 32 random bytes.
func NewPagesKey(key []byte) (PagesKey, error) {
	if len(key) != keySize {
		return PagesKey{}, ErrKey
	}
	return PagesKey{key: subKey(key, "fitvault/v1/page-token")}, nil
}

// Seal returns a page token in base64url without padding (RFC 4648, 5). The
// context (route, owner, caller, client, filters; the caller writes them
// unambiguously) is authenticated and not contained.
func (k PagesKey) Seal(plaintext, context []byte) string {
	return base64.RawURLEncoding.EncodeToString(k.cipher(context).Seal(nil, nil, plaintext, context))
}

// Open returns what was sealed into a token for the same context, or
// [ErrPageToken]. Expiry is the caller's: it belongs into the plaintext.
func (k PagesKey) Open(token string, context []byte) ([]byte, error) {
	// The decoder skips line ends; a token has one spelling only.
	if len(token) > maxPageToken || strings.ContainsAny(token, "\r\n") {
		return nil, ErrPageToken
	}
	box, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return nil, ErrPageToken
	}
	plaintext, err := k.cipher(context).Open(nil, nil, box, context)
	if err != nil {
		return nil, ErrPageToken
	}
	return plaintext, nil
}

// cipher makes the cipher of one context. Each context has a key of its own, so
// the 2^32 messages that random nonces allow count per context and not for the
// whole service.
func (k PagesKey) cipher(context []byte) cipher.AEAD {
	hash := sha256.Sum256(context)
	return randomNonceGCM(subKey(k.key(), "fitvault/v1/page-token-key"+string(hash[:]))())
}

// subKey derives a key for one purpose (RFC 5869, no salt: key is uniform).
func subKey(key []byte, label string) secret {
	return hide(must(hkdf.Key(sha256.New, key, nil, label, keySize)))
}

// mac is over the same bytes as lengthPrefixed makes, without making them: a body
// is a megabyte.
func mac(key secret, fields ...[]byte) []byte {
	h := hmac.New(sha256.New, key())
	for _, f := range fields {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(f))))
		h.Write(f)
	}
	return h.Sum(nil)
}
