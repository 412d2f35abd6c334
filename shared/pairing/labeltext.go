package pairing

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"fitvault/shared/fault"
	"fitvault/shared/redact"
)

// Label is what a tracker's QR code says.
type Label struct {
	redact.Mark
	Device  DeviceID
	KeyHash [sha256.Size]byte
	Code    Code
}

const (
	scheme   = "fitvault-pair"
	version  = "1"
	maxLabel = 160
)

// Text is the label in one short text: scheme, version, id, hash of the key and
// code, with ":" between them.
func (l Label) Text() string {
	return strings.Join([]string{scheme, version, l.Device.String(), base64.RawURLEncoding.EncodeToString(l.KeyHash[:]), l.Code.Text()}, ":")
}

// ParseLabel takes exactly what Text writes.
func ParseLabel(s string) (Label, error) {
	refused := fault.New(fault.Invalid, "not a tracker's QR code")
	parts := strings.Split(s, ":")
	if len(s) > maxLabel || len(parts) != 5 || parts[0] != scheme || parts[1] != version {
		return Label{}, refused
	}
	id, err := ParseDeviceID(parts[2])
	if err != nil {
		return Label{}, refused
	}
	hash, err := base64.RawURLEncoding.Strict().DecodeString(parts[3])
	if err != nil || len(hash) != sha256.Size {
		return Label{}, refused
	}
	code, err := ParseCode(parts[4])
	if err != nil {
		return Label{}, refused
	}
	l := Label{Device: id, KeyHash: [sha256.Size]byte(hash), Code: code}
	if l.Text() != s { // base64 skips line ends
		return Label{}, refused
	}
	return l, nil
}
