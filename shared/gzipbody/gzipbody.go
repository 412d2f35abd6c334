// Package gzipbody reads bodies that were sent compressed (RFC 1952). A body is
// exactly one gzip member: what several members, or bytes behind the last one,
// might mean is nobody's to guess. It decompresses as it is read, so a body that
// would become large costs no more than the limit.
package gzipbody

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"

	"fitvault/shared/fault"
)

// Suffix marks a media type whose body is compressed (wire.md, "media types").
const Suffix = "+gzip"

// NewReader reads what a body was compressed from, at most limit bytes. Its
// errors are faults: bad-request for what is no gzip, is cut off, or does not
// match its checksum, which is known only at the end; too-large over the limit.
func NewReader(body []byte, limit int) io.Reader {
	r := &reader{body: bytes.NewReader(body), left: limit}
	r.gzip, r.failed = gzip.NewReader(r.body)
	if r.failed != nil {
		r.failed = errBroken
		return r
	}
	r.gzip.Multistream(false)
	return r
}

var (
	errBroken = fault.New(fault.BadRequest, "body is not one gzip member")
	errLarge  = fault.New(fault.TooLarge, "body is too large when decompressed")
)

type reader struct {
	body   *bytes.Reader
	gzip   *gzip.Reader
	left   int
	failed error
}

func (r *reader) Read(p []byte) (int, error) {
	if r.failed != nil {
		return 0, r.failed
	}
	n, err := r.gzip.Read(p)
	r.left -= n
	switch {
	case r.left < 0:
		n, r.failed = 0, errLarge
	case err == nil:
	case !errors.Is(err, io.EOF), r.body.Len() > 0:
		n, r.failed = 0, errBroken
	default:
		r.failed = io.EOF
	}
	return n, r.failed
}

// Decompress returns the whole of a body of at most limit bytes.
func Decompress(body []byte, limit int) ([]byte, error) {
	return io.ReadAll(NewReader(body, limit))
}
