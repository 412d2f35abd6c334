package vault

import (
	"encoding/binary"
	"errors"
)

// ErrOpen is the one error for a sealed piece that does not open: malformed,
// altered, moved, forged, or sealed to keys that the opener was not given.
var ErrOpen = errors.New("vault: sealed piece does not open")

const (
	version1 = 1
	suite1   = 1

	encapsulationSize = 65 // uncompressed P-256 point
	maxID             = 64 // bytes of a key id
)

// Place is where a sealed piece lives. It is authenticated with the piece and
// never stored in it. Two pieces that may not be exchanged for one another must
// differ in their places.
type Place struct {
	Deployment string // the deployment's name
	Table      string // the store by its role ("readings"), so that a restored copy under another name still opens
	Owner      string // user id
	Day        string // UTC day, YYYY-MM-DD, or "" for what has no day
	ID         string // what the store calls the piece
}

// Header is what a sealed piece says of itself in the clear. It serves to look
// up keys and for nothing else: until [Opener.Open] has returned, whoever can
// write the store may have made it up.
type Header struct {
	Version, Suite     byte
	KeyID, WriterKeyID string
}

// Inspect returns the header of a sealed piece, or [ErrOpen] where there is none
// of a known version and suite. Key ids that it returns keep to the grammar of
// [Statement]'s KeyID.
func Inspect(sealed []byte) (Header, error) {
	h, _, _, err := split(sealed)
	return h, err
}

// split takes a sealed piece apart: header, encapsulation, and the rest, which
// is nonce, ciphertext and tag.
func split(sealed []byte) (h Header, encapsulation, box []byte, err error) {
	if len(sealed) < 2 || sealed[0] != version1 || sealed[1] != suite1 {
		return Header{}, nil, nil, ErrOpen
	}
	h = Header{Version: sealed[0], Suite: sealed[1]}
	rest := sealed[2:]
	for _, id := range []*string{&h.KeyID, &h.WriterKeyID} {
		if len(rest) == 0 || len(rest)-1 < int(rest[0]) {
			return Header{}, nil, nil, ErrOpen
		}
		n := int(rest[0])
		*id, rest = string(rest[1:1+n]), rest[1+n:]
		if !validID(*id) {
			return Header{}, nil, nil, ErrOpen
		}
	}
	if len(rest) < encapsulationSize {
		return Header{}, nil, nil, ErrOpen
	}
	return h, rest[:encapsulationSize], rest[encapsulationSize:], nil
}

// stored is the part of the header that is stored; split reads it back.
func (h Header) stored(encapsulation []byte) []byte {
	b := []byte{h.Version, h.Suite}
	b = append(append(b, byte(len(h.KeyID))), h.KeyID...)
	b = append(append(b, byte(len(h.WriterKeyID))), h.WriterKeyID...)
	return append(b, encapsulation...)
}

// authenticated is the whole header: what is stored and what the place says.
func (h Header) authenticated(p Place, encapsulation []byte) []byte {
	return lengthPrefixed([]byte{h.Version}, []byte{h.Suite},
		[]byte(p.Deployment), []byte(p.Table), []byte(p.Owner), []byte(h.KeyID),
		encapsulation, []byte(h.WriterKeyID), []byte(p.Day), []byte(p.ID))
}

// lengthPrefixed writes fields so that no two lists of fields give the same bytes.
func lengthPrefixed(fields ...[]byte) []byte {
	var b []byte
	for _, f := range fields {
		b = binary.BigEndian.AppendUint32(b, uint32(len(f)))
		b = append(b, f...)
	}
	return b
}

// validID holds key ids to a grammar, because they come out of a store that
// others may write and go into look-ups.
func validID(id string) bool {
	if id == "" || len(id) > maxID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '#' && c != '-' {
			return false
		}
	}
	return true
}
