// Package signedpayload reads and checks what a paired tracker says about a batch
// of readings: a detached JWS (RFC 7515, appendix F) over the batch's bytes, made
// when the tracker had the data, however late a phone sends it (wire.md,
// "Pairing", 6).
package signedpayload

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"

	"fitvault/shared/fault"
	"fitvault/shared/pairing"
	"fitvault/shared/redact"
)

// MaxSize bounds a signature, in bytes; a good one has about 330.
const MaxSize = 512

// maxCounter is the last counter that every JSON reader keeps exactly.
const maxCounter = 1<<53 - 1

const signatureSize = 64

// Signature is a tracker's word, read and not yet checked.
type Signature struct {
	redact.Mark
	Device  pairing.DeviceID
	Pairing pairing.ID
	Counter int64  // 1 to 2^53 - 1; rises with each batch of a pairing
	Text    string // as it came

	protected string
	bytes     []byte
}

// encoding has one spelling for each text.
var encoding = base64.RawURLEncoding.Strict()

// Parse takes a detached JWS with exactly this protected header, in any order:
// alg "ES256", kid (device id), pairing, counter. An unknown member, crit among
// them, is a refusal, as is anything after or between. Every failure is the same.
func Parse(s string) (Signature, error) {
	refused := Refused()
	parts := strings.Split(s, ".")
	if len(s) > MaxSize || strings.ContainsAny(s, "\r\n") || len(parts) != 3 || parts[1] != "" {
		return Signature{}, refused
	}
	text, err := encoding.DecodeString(parts[0])
	if err != nil {
		return Signature{}, refused
	}
	var header struct {
		Alg     string `json:"alg"`
		Kid     string `json:"kid"`
		Pairing string `json:"pairing"`
		Counter int64  `json:"counter"`
	}
	// It also refuses a member twice, other letters, and numbers that are not whole.
	if err := jsonv2.Unmarshal(text, &header, jsonv2.RejectUnknownMembers(true)); err != nil ||
		header.Alg != "ES256" || header.Counter < 1 || header.Counter > maxCounter {
		return Signature{}, refused
	}
	signature := Signature{Counter: header.Counter, Text: s, protected: parts[0]}
	if signature.Device, err = pairing.ParseDeviceID(header.Kid); err != nil {
		return Signature{}, refused
	}
	if signature.Pairing, err = pairing.ParseID(header.Pairing); err != nil {
		return Signature{}, refused
	}
	if signature.bytes, err = encoding.DecodeString(parts[2]); err != nil || len(signature.bytes) != signatureSize {
		return Signature{}, refused
	}
	return signature, nil
}

// Verify reports whether the holder of key signed payload under this header.
func (s Signature) Verify(key pairing.Key, payload []byte) bool {
	h := sha256.New()
	h.Write([]byte(s.protected + "."))
	e := base64.NewEncoder(base64.RawURLEncoding, h)
	_, _ = e.Write(payload) // a hash takes everything
	_ = e.Close()
	return key.VerifyRaw([sha256.Size]byte(h.Sum(nil)), s.bytes)
}

// Refused is the one answer to a signature that is not good, whatever the reason:
// whose tracker it is, and whether there is one, is not for the sender to learn.
func Refused() error { return fault.New(fault.SignatureRefused, "tracker signature is not good here") }
