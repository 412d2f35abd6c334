package pairing

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"fitvault/shared/redact"
)

// The labels of what is signed: no signature of one kind is one of another.
const (
	labelT1     = "fitvault pairing T1 v1"
	labelAnswer = "fitvault pairing answer v1"
	labelReset  = "fitvault tracker reset v1"
)

// Nonce is 32 random bytes that were never used before.
type Nonce [32]byte

// T1 is what the service says to a tracker, signed (wire.md, "Pairing", 4).
type T1 struct {
	redact.Mark
	Deployment   string
	Device       DeviceID
	KeyHash      [sha256.Size]byte // of the tracker's key
	TrackerNonce Nonce
	ServiceNonce Nonce
	Pairing      ID
	Expires      time.Time // whole seconds
}

// Bytes is T1 as it is signed: label, deployment, id, hash of the key, N_T, N_S,
// pairing and expiry (seconds since 1970, 8 bytes), each with its length before it
// in 4 bytes, big-endian.
func (t T1) Bytes() []byte {
	return lengthPrefixed([]byte(labelT1), []byte(t.Deployment), []byte(t.Device.String()), t.KeyHash[:], t.TrackerNonce[:], t.ServiceNonce[:],
		[]byte(t.Pairing.String()), binary.BigEndian.AppendUint64(nil, uint64(t.Expires.Unix())))
}

// Hash is by what a T1 is recognised: it is used once.
func (t T1) Hash() [sha256.Size]byte { return sha256.Sum256(t.Bytes()) }

// Answer is what the tracker signs: a label and T1.
func (t T1) Answer() []byte { return lengthPrefixed([]byte(labelAnswer), t.Bytes()) }

// Reset introduces a tracker that was unpaired again: it has made a new key and a
// new code, and signs both with the key that it was paired with. So a code that
// somebody has copied, or made, is worth nothing without the tracker itself.
type Reset struct {
	redact.Mark
	Key       Key
	CodeHash  [sha256.Size]byte
	Signature []byte // ASN.1 ECDSA by the old key, of the statement's SHA-256
}

// statement is what the old key signs: label, deployment, id, hash of the old key,
// the new key, hash of the new code.
func (r Reset) statement(deployment string, id DeviceID, old Key) []byte {
	hash := old.Hash()
	return lengthPrefixed([]byte(labelReset), []byte(deployment), []byte(id.String()), hash[:], r.Key.Bytes(), r.CodeHash[:])
}

func lengthPrefixed(fields ...[]byte) []byte {
	var b []byte
	for _, f := range fields {
		b = binary.BigEndian.AppendUint32(b, uint32(len(f)))
		b = append(b, f...)
	}
	return b
}
