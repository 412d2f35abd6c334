// Package sealedupload opens uploads that a client has encrypted for the service:
// compact JWE (RFC 7516), exactly RSA-OAEP-256 with A256GCM to the upload key, of
// which only KMS has the private half.
//
// The protected header says whose the upload is: for which owner, of which client,
// for which route of which deployment, until when. All of it is checked before KMS
// is called, and authenticated by the encryption after: a JWE that is copied into
// another account, or another app, opens nothing. Whatever is wrong, the answer is
// the same.
//
// The parser is our own because general ones take more than this profile: other
// algorithms, compression, keys and critical members in the header (RFC 8725).
package sealedupload

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"io"
	"time"

	"github.com/go-json-experiment/json"

	"fitvault/shared/fault"
	"fitvault/shared/redact"
)

// MediaType is that of a sealed upload.
const MediaType = "application/jose"

// Lifetime is the longest from iat to exp, and Skew how far a client's clock may
// be ahead. A client seals when it sends: what waits on a phone is sealed later.
const (
	Lifetime = 15 * time.Minute
	Skew     = time.Minute
)

// The parts' lengths in bytes. The encrypted key is as long as the modulus of
// RSA-3072; the nonce, the tag and the content key are those of AES-256-GCM.
const (
	maxHeader    = 768
	encryptedKey = 384
	nonce        = 12
	tag          = 16
	contentKey   = 32
)

// encoding is base64url without padding, whose unused bits must be zero. It
// passes over line ends, so lengths are compared: a text has one spelling.
var encoding = base64.RawURLEncoding.Strict()

// Size is the most bytes of a sealed upload whose body has n bytes.
func Size(n int) int {
	size := 4 // dots
	for _, part := range []int{maxHeader, encryptedKey, nonce, n, tag} {
		size += encoding.EncodedLen(part)
	}
	return size
}

// ErrNotWrapped is returned by an Unwrapper for what the upload key did not wrap.
var ErrNotWrapped = errors.New("not wrapped to the upload key")

// Unwrapper decrypts a content key with the private half of the upload key by
// RSAES-OAEP with SHA-256 and an empty label. Errors: ErrNotWrapped, or the key
// store's own failure.
type Unwrapper interface {
	UnwrapContentKey(ctx context.Context, encrypted []byte) ([]byte, error)
}

// Binding is what the request says that the header must say too.
type Binding struct {
	redact.Mark
	Audience string   // Audience(deployment, what)
	Owner    string   // the account in the path
	Client   string   // the token's
	Types    []string // media types that the body may have
}

// Audience is the aud of a route: what is "readings" or "recordings".
func Audience(deployment, what string) string { return deployment + "/" + what }

// Opener is safe for concurrent use.
type Opener struct {
	KeyID string // of the upload key: its RFC 7638 thumbprint
	Key   Unwrapper
	Now   func() time.Time
	Rand  io.Reader
}

// header is the protected header: exactly these members, none twice.
type header struct {
	Algorithm  string `json:"alg"`
	Encryption string `json:"enc"`
	KeyID      string `json:"kid"`
	Type       string `json:"cty"`
	Audience   string `json:"aud"`
	Owner      string `json:"sub"`
	Client     string `json:"client_id"`
	Issued     int64  `json:"iat"` // seconds since 1970
	Expires    int64  `json:"exp"`
}

// Open returns the body of a sealed upload and its media type. The errors are
// fault.BadRequest, the same one whatever is wrong with the upload, and
// fault.Unavailable where the key cannot be used now. KMS is called for an upload
// that says all it must, and for no other.
func (o Opener) Open(ctx context.Context, compact []byte, b Binding) (body []byte, mediaType string, err error) {
	refused := fault.New(fault.BadRequest, "sealed upload cannot be opened")
	m, ok := parse(compact)
	if !ok || !o.admits(m.header, b) {
		return nil, "", refused
	}
	key, err := o.Key.UnwrapContentKey(ctx, m.key)
	switch {
	case errors.Is(err, ErrNotWrapped), err == nil && len(key) != contentKey:
		// With a random key it goes on and fails as late as with an altered text:
		// nobody learns which of the two was wrong (RFC 7516, section 11.5).
		key = make([]byte, contentKey)
		if _, err := io.ReadFull(o.Rand, key); err != nil {
			return nil, "", fault.Wrap(fault.Internal, "no randomness for a key", err)
		}
	case err != nil:
		return nil, "", fault.Wrap(fault.Unavailable, "content key cannot be decrypted", err)
	}
	body, ok = m.decrypt(key)
	if !ok || !o.admits(m.header, b) { // once more: time has passed, and now it is authentic
		return nil, "", refused
	}
	return body, m.header.Type, nil
}

// admits reports whether a header is this profile's, and this request's.
func (o Opener) admits(h header, b Binding) bool {
	typed := false
	for _, t := range b.Types {
		typed = typed || h.Type == t
	}
	now := o.Now()
	return typed && h.Algorithm == "RSA-OAEP-256" && h.Encryption == "A256GCM" && h.KeyID == o.KeyID &&
		b.Audience != "" && h.Audience == b.Audience && b.Owner != "" && h.Owner == b.Owner && b.Client != "" && h.Client == b.Client &&
		0 < h.Issued && h.Issued <= now.Add(Skew).Unix() && h.Issued < h.Expires && // so that the difference is no overflow
		h.Expires-h.Issued <= int64(Lifetime/time.Second) && now.Unix() < h.Expires
}

// message is a JWE of the right form.
type message struct {
	header    header
	protected []byte // the header as it came: what the encryption authenticates
	key       []byte
	text      []byte // nonce, ciphertext and tag
}

// parse reads a compact JWE; all lengths are right in what it returns. Nothing is
// decoded before the lengths have been looked at.
func parse(compact []byte) (m message, ok bool) {
	if bytes.Count(compact, []byte{'.'}) != 4 {
		return m, false
	}
	parts := bytes.Split(compact, []byte{'.'})
	m.protected = parts[0]
	if len(parts[0]) > encoding.EncodedLen(maxHeader) || len(parts[1]) != encoding.EncodedLen(encryptedKey) ||
		len(parts[2]) != encoding.EncodedLen(nonce) || len(parts[4]) != encoding.EncodedLen(tag) {
		return m, false
	}
	raw, ok := appendDecoded(nil, parts[0])
	if !ok || json.Unmarshal(raw, &m.header, json.RejectUnknownMembers(true)) != nil { // names twice, and bad UTF-8, are refused too
		return m, false
	}
	if m.key, ok = appendDecoded(nil, parts[1]); !ok {
		return m, false
	}
	m.text = make([]byte, 0, nonce+encoding.DecodedLen(len(parts[3]))+tag)
	for _, part := range parts[2:] {
		if m.text, ok = appendDecoded(m.text, part); !ok {
			return m, false
		}
	}
	return m, true
}

func appendDecoded(to, part []byte) ([]byte, bool) {
	before := len(to)
	to, err := encoding.AppendDecode(to, part)
	return to, err == nil && encoding.EncodedLen(len(to)-before) == len(part)
}

// decrypt opens the text where it stands. The form of crypto/cipher that takes the
// nonce from before the text is the one that the FIPS module allows.
func (m message) decrypt(key []byte) ([]byte, bool) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, false
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, false
	}
	body, err := aead.Open(m.text[:0], nil, m.text, m.protected)
	return body, err == nil
}
