package tiles

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// ErrCheckpoint is returned for what is no checkpoint that the log's key has signed.
var ErrCheckpoint = errors.New("not a checkpoint of this log")

// Checkpoint says which tree a log of this origin had (tlog-checkpoint).
type Checkpoint struct {
	Origin string
	Size   int64
	Root   tlog.Hash
}

// Text is the signed text: three lines.
func (c Checkpoint) Text() string {
	return c.Origin + "\n" + strconv.FormatInt(c.Size, 10) + "\n" + base64.StdEncoding.EncodeToString(c.Root[:]) + "\n"
}

// Sign is the checkpoint as a signed note. Others, such as witnesses, may add lines.
func (c Checkpoint) Sign(signer note.Signer) ([]byte, error) {
	return note.Sign(&note.Note{Text: c.Text()}, signer)
}

// OpenCheckpoint returns what a note says, if the log's key has signed it; its
// name is the origin. Signatures of others may stand beside, and mean nothing
// here. A signature has one spelling: base64 has bits to spare at its end.
func OpenCheckpoint(signed []byte, log note.Verifier) (Checkpoint, error) {
	n, err := note.Open(signed, note.VerifierList(log))
	if err != nil {
		return Checkpoint{}, ErrCheckpoint
	}
	for _, s := range append(n.Sigs, n.UnverifiedSigs...) {
		if _, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil {
			return Checkpoint{}, ErrCheckpoint
		}
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 { // the last is empty
		return Checkpoint{}, ErrCheckpoint
	}
	size, err1 := strconv.ParseInt(lines[1], 10, 64)
	root, err2 := tlog.ParseHash(lines[2])
	c := Checkpoint{Origin: lines[0], Size: size, Root: root}
	if err1 != nil || err2 != nil || size < 0 || c.Text() != n.Text || c.Origin != log.Name() {
		return Checkpoint{}, ErrCheckpoint
	}
	return c, nil
}

// NewVerifier is the verifier of a log's Ed25519 key; the log's name is its origin.
func NewVerifier(origin string, public ed25519.PublicKey) (note.Verifier, error) {
	vkey, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		return nil, err
	}
	return note.NewVerifier(vkey)
}

// signer signs notes with a key that is held elsewhere.
type signer struct {
	note.Verifier
	sign func(text []byte) ([]byte, error)
}

func (s signer) Sign(text []byte) ([]byte, error) { return s.sign(text) }

// NewSigner signs notes with a key that is held elsewhere. What comes back is
// checked: a note that does not open would stop the log.
func NewSigner(log note.Verifier, sign func(text []byte) ([]byte, error)) note.Signer {
	return signer{log, func(text []byte) ([]byte, error) {
		signature, err := sign(text)
		if err == nil && !log.Verify(text, signature) {
			err = errors.New("the log's key has signed something else")
		}
		return signature, err
	}}
}
