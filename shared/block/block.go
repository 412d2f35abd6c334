// Package block is what a sealed block holds: who brought its readings and when,
// then the readings, packed by package segment. It also says which of several
// copies of one record counts.
package block

import (
	"encoding/binary"
	"errors"
	"time"

	"fitvault/shared/reading"
	"fitvault/shared/redact"
	"fitvault/shared/segment"
)

// Rank says how much a source is believed where several tell of the same
// record: the higher counts (wire.md, "same record twice").
type Rank uint8

const (
	RankApp     Rank = 1 // an app that is not ours, or somebody whom the owner has let in
	RankOwner   Rank = 2 // the owner, by an app of ours
	RankTracker Rank = 3 // signed by a tracker that the owner has paired
)

// Header is what holds for every reading of a block.
type Header struct {
	redact.Mark
	Client  string    // that sent them, as its token says
	Rank    Rank      // of that source
	Arrived time.Time // when the block was stored, in whole milliseconds
	Series  bool      // they came as bodies of one data series, under one header
	// Signature is the tracker's word for the batch that they came in, as intake has
	// checked it: a detached JWS, which names tracker, pairing and counter. "" of
	// readings that no tracker has signed.
	Signature string
}

// Block is an opened block.
type Block struct {
	Header
	Points []reading.Value
}

// ErrBlock is returned for bytes that [Encode] does not write.
var ErrBlock = errors.New("block: not a block")

const (
	version1     = 1
	version2     = 2    // has a signature after the client
	series       = 0x80 // in the byte of the rank
	maxClient    = 255
	maxSignature = 512
	fixed        = 1 + 1 + 8 + 1 // version, rank, arrival, length of the client
)

// Encode puts a header before packed, which is of segment.Encode. It returns
// [ErrBlock] for a client of more than 255 bytes, a rank that is none, or a
// signature of more than 512 bytes or for another rank than a tracker's.
func Encode(h Header, packed []byte) ([]byte, error) {
	if len(h.Client) > maxClient || h.Rank < RankApp || h.Rank > RankTracker ||
		len(h.Signature) > maxSignature || h.Signature != "" && h.Rank != RankTracker {
		return nil, ErrBlock
	}
	b := make([]byte, 0, fixed+len(h.Client)+2+len(h.Signature)+len(packed))
	rank := byte(h.Rank)
	if h.Series {
		rank |= series
	}
	version := byte(version1)
	if h.Signature != "" {
		version = version2
	}
	b = append(b, version, rank)
	b = binary.BigEndian.AppendUint64(b, uint64(h.Arrived.UnixMilli()))
	b = append(append(b, byte(len(h.Client))), h.Client...)
	if h.Signature != "" {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(h.Signature))), h.Signature...)
	}
	return append(b, packed...), nil
}

// Decode takes an opened block apart. It returns [ErrBlock] for bytes that
// Encode does not write, and the errors of segment.Decode.
func Decode(b []byte, limits segment.Limits) (Block, error) {
	if len(b) < fixed || b[0] != version1 && b[0] != version2 || len(b) < fixed+int(b[fixed-1]) {
		return Block{}, ErrBlock
	}
	rank := Rank(b[1] &^ series)
	if rank < RankApp || rank > RankTracker {
		return Block{}, ErrBlock
	}
	end := fixed + int(b[fixed-1])
	client, signature := string(b[fixed:end]), ""
	if b[0] == version2 {
		if len(b) < end+2 {
			return Block{}, ErrBlock
		}
		begin := end + 2
		end = begin + int(binary.BigEndian.Uint16(b[end:]))
		if len(b) < end || end == begin || end-begin > maxSignature || rank != RankTracker {
			return Block{}, ErrBlock
		}
		signature = string(b[begin:end])
	}
	points, err := segment.Decode(b[end:], limits)
	if err != nil {
		return Block{}, err
	}
	return Block{Points: points, Header: Header{
		Client:    client,
		Rank:      rank,
		Arrived:   time.UnixMilli(int64(binary.BigEndian.Uint64(b[2:]))).UTC(),
		Series:    b[1]&series != 0,
		Signature: signature,
	}}, nil
}
