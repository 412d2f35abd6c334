package record

import (
	"crypto/sha256"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"time"

	"fitvault/shared/auditlog"
	"fitvault/shared/fault"
	"fitvault/shared/redact"
)

// plain is an event's members in JSON, in this order, those that are empty left out.
type plain struct {
	Salt      []byte            `json:"salt,omitempty"`
	ID        string            `json:"id"`
	Time      time.Time         `json:"time"`
	Request   string            `json:"request,omitempty"`
	Function  string            `json:"function,omitempty"`
	Action    string            `json:"action,omitempty"`
	Caller    string            `json:"caller,omitempty"`
	Client    string            `json:"client,omitempty"`
	Owner     string            `json:"owner,omitempty"`
	Outcome   auditlog.Outcome  `json:"outcome"`
	Kind      string            `json:"kind,omitempty"`
	Reasons   []string          `json:"reasons,omitempty"`
	Records   int               `json:"records,omitempty"`
	Manifest  string            `json:"manifest,omitempty"`
	Recording string            `json:"recording,omitempty"`
	Device    string            `json:"device,omitempty"`
	Pairing   string            `json:"pairing,omitempty"`
	Consent   *auditlog.Consent `json:"consent,omitempty"`
	About     string            `json:"about,omitempty"`
	Changes   []string          `json:"changes,omitempty"`
	Sharing   *auditlog.Sharing `json:"sharing,omitempty"`
}

func members(e auditlog.Event) plain {
	return plain{ID: e.ID, Time: e.Time.UTC().Truncate(time.Millisecond), Request: e.Request, Function: e.Function, Action: e.Action, Caller: e.Caller,
		Client: e.Client, Owner: e.Owner, Outcome: e.Outcome, Kind: e.Kind, Reasons: e.Reasons, Records: e.Records, Manifest: e.Manifest,
		Recording: e.Recording, Device: e.Device, Pairing: e.Pairing, Consent: e.Consent, About: e.About, Changes: e.Changes, Sharing: e.Sharing}
}

// Canonical is an event as it is stored, in bytes that are the same each time:
// what a mark is over.
func Canonical(e auditlog.Event) []byte {
	b, err := json.Marshal(members(e))
	if err != nil {
		panic("an event that is no JSON") // it holds texts, numbers and a time of this century
	}
	return b
}

const (
	// MaxEvent is how many bytes an event's Canonical has at most. Ours have less than 2 KB;
	// 4096 of these, staged as one object, are still one that is read back.
	MaxEvent = 8 << 10

	maxName = 128 // bytes of what names somebody or something; DynamoDB's keys have 2 KB
)

// Fits reports whether the log can take an event, and a finding that names whom it names.
// No function writes another: one that does not fit would stop whoever works through
// events, for good.
func Fits(e auditlog.Event) bool {
	names := append(People(e), e.ID, e.Client, e.Device, e.Pairing)
	if slices.ContainsFunc(names, func(name string) bool { return len(name) > maxName }) {
		return false
	}
	b, err := json.Marshal(members(e))
	return err == nil && len(b) <= MaxEvent
}

// SubjectOf is the name of the subject that an event concerns, whose key it is
// sealed under: the account's owner; where there is none the caller; else the
// service itself.
func SubjectOf(e auditlog.Event) string {
	switch {
	case e.Owner != "":
		return e.Owner
	case e.Caller != "":
		return e.Caller
	}
	return Service
}

// Service is the subject of what concerns nobody.
const Service = "service"

// People is the names of all whom an event names, each once, its subject first.
func People(e auditlog.Event) []string {
	names := []string{SubjectOf(e)}
	for _, name := range []string{e.Caller, grantee(e), about(e)} {
		if name != "" && name != names[0] {
			names = append(names, name)
		}
	}
	return names
}

// grantee is the person whom an owner lets in; an organisation is no person.
func grantee(e auditlog.Event) string {
	if e.Sharing == nil || strings.Contains(e.Sharing.Grantee, "#") {
		return ""
	}
	return e.Sharing.Grantee
}

// about is the person whom the staff's work is about; an app is no person.
func about(e auditlog.Event) string {
	if strings.HasPrefix(e.About, "identity#") {
		return e.About
	}
	return ""
}

const (
	version  = 1
	saltSize = 32
)

// Sealed is an event ready for the log.
type Sealed struct {
	Commitment [sha256.Size]byte
	Record     []byte // version ‖ pseudonym of the subject ‖ nonce, ciphertext and tag
}

// Seal puts pseudonyms for all people into an event, and seals it for its
// subject. subjects has all of People.
func Seal(e auditlog.Event, subjects map[string]Subject, rand io.Reader) (Sealed, error) {
	m := members(e)
	m.Salt = make([]byte, saltSize)
	if _, err := io.ReadFull(rand, m.Salt); err != nil {
		return Sealed{}, fault.Wrap(fault.Internal, "no randomness for a salt", err)
	}
	name := func(of string) string {
		if of == "" {
			return ""
		}
		return subjects[of].Pseudonym.String()
	}
	m.Caller, m.Owner = name(e.Caller), name(e.Owner)
	if person := about(e); person != "" {
		m.About = name(person)
	}
	if person := grantee(e); person != "" {
		sharing := *e.Sharing
		sharing.Grantee = name(person)
		m.Sharing = &sharing
	}
	text, err := json.Marshal(m)
	if err != nil {
		return Sealed{}, fault.Wrap(fault.Internal, "event cannot be written", err)
	}
	subject := subjects[SubjectOf(e)]
	if subject.key == nil {
		return Sealed{}, ErrKey
	}
	header := append([]byte{version}, subject.Pseudonym[:]...)
	return Sealed{commit(text), gcm(subject.key()).Seal(header, nil, text, header)}, nil
}

// commit hides what it is over: the text begins with 32 random bytes.
func commit(text []byte) [sha256.Size]byte {
	return sha256.Sum256(append([]byte("fitvault/v1/audit-event\x00"), text...))
}

// SubjectOfRecord is the pseudonym under whose key a record is sealed.
func SubjectOfRecord(sealed []byte) (Pseudonym, error) {
	if len(sealed) < 1+len(Pseudonym{}) || sealed[0] != version {
		return Pseudonym{}, ErrOpen
	}
	return Pseudonym(sealed[1 : 1+len(Pseudonym{})]), nil
}

// Opened is an event as the log keeps it: people are pseudonyms.
type Opened struct {
	redact.Mark
	Event auditlog.Event
	Text  []byte // JSON, as it was committed to
}

// Open opens a record, which must be what the entry commits to.
func (s Subject) Open(sealed []byte, commitment [sha256.Size]byte) (Opened, error) {
	p, err := SubjectOfRecord(sealed)
	if err != nil || p != s.Pseudonym || s.key == nil {
		return Opened{}, ErrOpen
	}
	header := sealed[:1+len(p)]
	text, err := gcm(s.key()).Open(nil, nil, sealed[len(header):], header)
	if err != nil || commit(text) != commitment {
		return Opened{}, ErrOpen
	}
	var m plain
	if json.Unmarshal(text, &m) != nil {
		return Opened{}, ErrOpen
	}
	return Opened{Text: text, Event: auditlog.Event{ID: m.ID, Time: m.Time, Request: m.Request, Function: m.Function, Action: m.Action, Caller: m.Caller,
		Client: m.Client, Owner: m.Owner, Outcome: m.Outcome, Kind: m.Kind, Reasons: m.Reasons, Records: m.Records, Manifest: m.Manifest,
		Recording: m.Recording, Device: m.Device, Pairing: m.Pairing, Consent: m.Consent, About: m.About, Changes: m.Changes, Sharing: m.Sharing}}, nil
}
