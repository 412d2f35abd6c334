package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"regexp"
	"slices"
	"time"

	"fitvault/shared/consent"
	"fitvault/shared/fault"
	"fitvault/shared/redact"
)

// Names of the documents in the Accounts table: the range key `document`.
const (
	CallerDocument = "caller"
	OwnerDocument  = "owner"
	AppDocument    = "app"
)

// Ended is the State of a session that its person has ended.
const Ended State = "ended"

// State says whether an account, an app or a session may be used at all.
type State string

const (
	Active State = "active"
	Off    State = "off" // an app only: the kill switch
)

// Purpose is what a person consents to.
type Purpose = consent.Purpose

// The purposes of consent; the first consent to any of them creates the account.
const (
	Collection = consent.Collection
	Sharing    = consent.Sharing
	Research   = consent.Research
)

// Consent is what a person last said about a purpose.
type Consent struct {
	Version string    // of the text that was shown
	Given   bool      // false: withdrawn
	Time    time.Time // of the statement
	Locale  string    // of the text; "" of a consent that was stored before texts had one
	How     string    // client id of the app by which it was said; "" as above
}

// Caller maps an issuer's subject to a person (id IdentityKey, document "caller").
type Caller struct {
	redact.Mark
	User          UserID
	Roles         []Role    // of the staff; sorted
	Organisations []string  // whose member the person is: what they were granted, he has; sorted
	Proposal      *Proposal // Proposed is the one that counts; nil where there is none
	// SessionsFrom ends every session that was begun until then, in whole seconds. Of the
	// staff, whose sessions others must be able to end; zero where none was ended.
	SessionsFrom time.Time
}

// Session is one sign-in of a person with one app (id SessionsKey, document
// SessionName). It is stored at its first use, because the pool lists none.
type Session struct {
	redact.Mark
	Client   string
	State    State // Active or Ended
	SignedIn time.Time
	Expires  time.Time // when no token of it can be good any more
}

// Owner is the policy of a person's account (id OwnerKey, document "owner").
// Without a stored document it is Owner{User: id}: known by name, no state.
type Owner struct {
	redact.Mark
	User     UserID
	State    State
	DataKey  string // id of the current data key pair
	Consents map[Purpose]Consent

	Grants   map[string]Grant   // by id
	Apps     map[string]Permit  // by client: the apps that the owner has authorised
	Trackers map[string]Tracker // by device id
	Settings Settings

	// Pseudonym is the owner's name in the database: random, a UUID's text, kept
	// nowhere else and destroyed with the account. "" of an account that was made
	// before there was a database, until its owner's next word on a consent.
	Pseudonym string
}

// Consented reports whether the person's last word on a purpose is yes, to a
// text that still counts.
func (o Owner) Consented(p Purpose, now time.Time) bool {
	c := o.Consents[p]
	return c.Given && consent.Accepted(p, c.Version, now)
}

// App is a registered OAuth client (id AppKey, document "app").
type App struct {
	redact.Mark
	Client  string
	State   State
	Kind    AppKind
	Name    string              // as people are shown it; may be empty
	Scopes  []string            // what its tokens may be used for, in full ("fitvault/readings.read")
	APIKeys [][sha256.Size]byte // SHA-256 of each of its API keys; several while keys are exchanged
}

// AppKind says on whose word an app acts.
type AppKind string

const (
	OwnApp        AppKind = "own"         // ours: the person who is signed in is enough
	ThirdPartyApp AppKind = "third-party" // the owner of the data must have authorised it as well
	SystemApp     AppKind = "system"      // no person is signed in; the owner must have authorised it
	StaffApp      AppKind = "staff"       // of the staff's pool
)

// Keys names the documents that one decision needs. A zero member is not read.
type Keys struct {
	redact.Mark
	Issuer, Subject string // the caller's; both or neither
	User            UserID // the owner's
	Client          string // the app's
	Session         string // the caller's, with Issuer and Subject
}

// Documents are the documents that were found; nil where there is none.
type Documents struct {
	Caller  *Caller
	Owner   *Owner
	App     *App
	Session *Session
}

// IdentityPrefix is how the ids of callers' documents begin.
const IdentityPrefix = "identity#"

// IdentityKey is the `id` of a caller's document: "identity#" and the
// base64url SHA-256 of issuer and subject, each with its length in front, so
// that no two pairs run together.
func IdentityKey(issuer, subject string) string { return IdentityPrefix + hashed(issuer, subject) }

// SessionsKey is the `id` of the sessions of an identity.
func SessionsKey(issuer, subject string) string { return "session#" + hashed(issuer, subject) }

// SessionName is the `document` of a session, and its name in the API: the hash
// of the token's origin_jti, which itself is nobody's to know.
func SessionName(originJTI string) string { return hashed(originJTI) }

func hashed(parts ...string) string {
	h := sha256.New()
	for _, s := range parts {
		_ = binary.Write(h, binary.BigEndian, uint64(len(s)))
		h.Write([]byte(s))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// OwnerKey is the `id` of an owner's document.
func OwnerKey(user UserID) string { return "user#" + user.String() }

// AppKey is the `id` of an app's document.
func AppKey(client string) string { return "app#" + client }

// Names are bounded by a comparison: a repetition of up to 128 is compiled 128
// times, at each start of each function.
const maxName = 128 // bytes

var (
	clientGrammar = regexp.MustCompile(`^[A-Za-z0-9_+-]+$`)
	scopeGrammar  = regexp.MustCompile(`^[!#-\[\]-~]+$`) // RFC 6749, scope-token
)

// ValidClient reports whether s can be a client id of a user pool.
func ValidClient(s string) bool { return len(s) <= maxName && clientGrammar.MatchString(s) }

// DecodeApp makes an App of its stored attributes `state`, `kind`, `scopes` and
// `api_keys` (lower-case hex SHA-256). A document that breaks its own grammar
// is an Internal fault: it opens nothing.
func DecodeApp(client, state, kind string, scopes, apiKeys []string) (App, error) {
	app := App{Client: client, State: State(state), Kind: AppKind(kind), Scopes: slices.Clone(scopes)}
	if !ValidClient(client) || (app.State != Active && app.State != Off) {
		return App{}, fault.New(fault.Internal, "app document: client or state")
	}
	if !slices.Contains([]AppKind{OwnApp, ThirdPartyApp, SystemApp, StaffApp}, app.Kind) {
		return App{}, fault.New(fault.Internal, "app document: kind")
	}
	for _, s := range scopes {
		if len(s) > maxName || !scopeGrammar.MatchString(s) {
			return App{}, fault.New(fault.Internal, "app document: scope")
		}
	}
	for _, k := range apiKeys {
		digest, err := hex.DecodeString(k)
		if err != nil || len(digest) != sha256.Size || hex.EncodeToString(digest) != k {
			return App{}, fault.New(fault.Internal, "app document: API key digest")
		}
		app.APIKeys = append(app.APIKeys, [sha256.Size]byte(digest))
	}
	return app, nil
}

// HasAPIKey reports whether key is one of the app's. All digests are compared,
// each in constant time: the answer's time tells nothing about a digest.
func (a App) HasAPIKey(key string) bool {
	digest, found := sha256.Sum256([]byte(key)), 0
	for _, k := range a.APIKeys {
		found |= subtle.ConstantTimeCompare(digest[:], k[:])
	}
	return found == 1
}
