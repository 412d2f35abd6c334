package tiles

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
)

// ErrBundle is returned for what is no bundle: cut off, or with too many members.
var ErrBundle = errors.New("not a bundle")

// AppendMember adds a member to a bundle: its length in two bytes, big-endian,
// and its bytes (tlog-tiles, "Log Entries").
func AppendMember(bundle, member []byte) ([]byte, error) {
	if len(member) > math.MaxUint16 {
		return nil, ErrBundle
	}
	return append(binary.BigEndian.AppendUint16(bundle, uint16(len(member))), member...), nil
}

// Members takes a bundle apart.
func Members(bundle []byte) (all [][]byte, err error) {
	for len(bundle) > 0 {
		if len(bundle) < 2 || len(all) == Width {
			return nil, ErrBundle
		}
		n := int(binary.BigEndian.Uint16(bundle))
		if len(bundle)-2 < n {
			return nil, ErrBundle
		}
		all, bundle = append(all, bundle[2:2+n:2+n]), bundle[2+n:]
	}
	return all, nil
}

const entryVersion = 1

// EntrySize is the size of every entry in bytes.
const EntrySize = 1 + 2*sha256.Size

// Entry is what stands in the log for an event: a salted commitment to what the
// event says, and the hash of the event as it lies beside, sealed. Neither says
// anything about anybody once the event's salt and key are gone, so an entry can
// stay for ever.
//
//	1 byte version (1) ‖ commitment ‖ SHA-256(sealed event)
func Entry(commitment [sha256.Size]byte, event []byte) []byte {
	hash := sha256.Sum256(event)
	return append(append([]byte{entryVersion}, commitment[:]...), hash[:]...)
}

// Beside reports whether a sealed event is the one that an entry stands for.
func Beside(entry, event []byte) bool {
	hash := sha256.Sum256(event)
	return len(entry) == EntrySize && entry[0] == entryVersion && bytes.Equal(entry[1+sha256.Size:], hash[:])
}

// Commitment is what an entry commits to.
func Commitment(entry []byte) (c [sha256.Size]byte, err error) {
	if len(entry) != EntrySize || entry[0] != entryVersion {
		return c, ErrBundle
	}
	copy(c[:], entry[1:])
	return c, nil
}
