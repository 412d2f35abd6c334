// Package auditlog says what an audit event is: who did what, to whom, why and
// with what decision. An event is written before its effect, so an effect
// without its event cannot exist and an event without its effect is an attempt
// (design.md, "How a reading travels"). Events hold no health values.
package auditlog

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"io"
	"time"

	"fitvault/shared/fault"
	"fitvault/shared/redact"
)

// Outcome is how a request ended as far as permission goes.
type Outcome string

const (
	Allowed Outcome = "allowed"
	Refused Outcome = "refused" // a known caller was refused
	Alarm   Outcome = "alarm"   // something that must not happen did; somebody should look
)

// Altered is the Kind of an alarm over a sealed piece or a key that is not the one
// that was stored.
const Altered = "sealed-piece-altered"

// Event is one entry. It prints as [redacted]: ids stay out of operational logs.
type Event struct {
	redact.Mark
	ID        string // NewID: time-ordered, unique
	Time      time.Time
	Request   string // request id, as the caller got it
	Function  string
	Action    string // access.Action
	Caller    string // user id; before enrolment the id of the identity's document
	Client    string // OAuth client
	Owner     string // user id of the account concerned, "" where there is none yet
	Outcome   Outcome
	Kind      string   // fault.Kind of a refusal or an alarm
	Reasons   []string // ids of the policies that decided
	Records   int      // readings or trackpoints concerned
	Manifest  string
	Recording string
	Consent   *Consent // what was said, of an event that changes a consent
	Sharing   *Sharing // of an event that changes who may do what
}

// Sharing is whom an owner lets in or shuts out, and to what; only what the event is about.
type Sharing struct {
	Grant   string `json:"grant,omitempty"`
	Grantee string `json:"grantee,omitempty"` // a user's id, or "organisation#" and its name
	App     string `json:"app,omitempty"`     // client
	Session string `json:"session,omitempty"`
	Permit  string `json:"permit,omitempty"`  // access.Permit.Summary
	Demands string `json:"demands,omitempty"` // access.Settings.Summary
}

// Consent is what a person said about a purpose: the trail is its only history.
type Consent struct {
	Purpose string `json:"purpose"`
	Version string `json:"version"` // of the text
	Given   bool   `json:"given"`   // false: withdrawn
}

// Writer keeps events.
//
// Write returns nil only after the event is durable. An event whose ID exists
// already is not overwritten: writing the same event twice is one event. Any
// error means that the event may be missing, so the effect must not happen.
type Writer interface {
	Write(context.Context, Event) error
}

var ids = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// NewID makes an id of 26 characters that sorts by time: 48 bits of
// milliseconds since 1970 and 80 random bits, in base32hex, lower case.
func NewID(now time.Time, rand io.Reader) (string, error) {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli())<<16)
	if _, err := io.ReadFull(rand, b[6:]); err != nil {
		return "", fault.Wrap(fault.Internal, "no randomness for an event id", err)
	}
	return ids.EncodeToString(b[:]), nil
}

// Shard is the partition of an event: its UTC day, "#", and two hex digits of
// its id's SHA-256, so that a day's events spread over 256 partitions.
func Shard(id string, at time.Time) string {
	digest := sha256.Sum256([]byte(id))
	return at.UTC().Format(time.DateOnly) + "#" + hex.EncodeToString(digest[:1])
}
