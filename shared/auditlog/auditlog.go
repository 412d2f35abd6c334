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

// Kinds of alarms over what is not what was stored: somebody else has written a
// table or a bucket. A key that a piece names and that is not there, or is not a
// key, is the piece's alarm: readers cannot tell which of the two was altered.
const (
	PieceAltered = "sealed-piece-altered" // a sealed piece, or a key that opens it
	KeyAltered   = "stored-key-altered"   // a key that something is to be sealed with
)

// Authenticate is the action of who was nobody known. No policy names it.
const Authenticate = "authenticate"

// Event is one entry. It prints as [redacted]: ids stay out of operational logs.
type Event struct {
	redact.Mark
	ID        string    // NewID: time-ordered, unique
	Time      time.Time // kept to the millisecond
	Request   string    // request id, as the caller got it
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
	Device    string   // the tracker's id
	Pairing   string   // the name of a pairing
	Consent   *Consent // what was said, of an event that changes a consent
	About     string   // what the staff's work is about: an OAuth client, the id of an identity's document; of a finding an API key's id, or a function, or a record of CloudTrail
	Changes   []string // what becomes of it, in constant words and names of our own: "state=off", "role=auditor"
	Sharing   *Sharing // of an event that changes who may do what

	Charged  Charged // not in the log, nor is
	Rejected int     // of an upload, the records of it that were refused
}

// Charged is whom a request was counted against, in the names that limits have: so who
// reads events as they come can slow down whoever makes too many of them. It stands
// beside an event until that is in the log, and never gets there.
type Charged struct {
	Key     string // limit.Charge's: the caller's identity
	Device  string // the bucket of his sign-in; "" of a system, which has none
	Address string // of a refusal: the day's name of the address that it came from
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
	Locale  string `json:"locale"`  // of the text
	How     string `json:"how"`     // client id of the app by which it was said

	Before string `json:"before,omitempty"` // the version that stood, where it was another
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
	b := stamp(now)
	if _, err := io.ReadFull(rand, b[6:]); err != nil {
		return "", fault.Wrap(fault.Internal, "no randomness for an event id", err)
	}
	return ids.EncodeToString(b[:]), nil
}

// LeastID is an id before all that NewID makes of a time.
func LeastID(at time.Time) string {
	b := stamp(at)
	return ids.EncodeToString(b[:])
}

func stamp(at time.Time) (b [16]byte) {
	binary.BigEndian.PutUint64(b[:8], uint64(at.UnixMilli())<<16)
	return b
}

// TimeOf is the time in an id that NewID has made, to the millisecond, in UTC.
func TimeOf(id string) (time.Time, bool) {
	b, err := ids.DecodeString(id)
	if err != nil || len(b) != 16 {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(b) >> 16)).UTC(), true
}

// Shard is the partition of an event: its UTC day, "#", and two hex digits of
// its id's SHA-256, so that a day's events spread over 256 partitions.
func Shard(id string, at time.Time) string {
	digest := sha256.Sum256([]byte(id))
	return at.UTC().Format(time.DateOnly) + "#" + hex.EncodeToString(digest[:1])
}
