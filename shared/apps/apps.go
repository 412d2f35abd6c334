// Package apps is what administrators register: programs of others that people may
// let in, and systems that no person is signed in to. It says what they may be
// registered with, and what is kept of them (requirements R2, R5). Our own apps, and
// the staff's, are the deployment's, and come in by its operator only.
package apps

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/fault"
	"fitvault/shared/redact"
	"fitvault/shared/usertext"
)

// Bounds. The gateway has a quota of API keys, and a list of apps is one answer.
const (
	MaxApps         = 200
	MaxKeys         = 2 // the one in use, and the one that takes its place
	maxRedirectURIs = 8
	maxRedirectURI  = 512
)

// PartnerPlan is the one usage plan that apps of others come under.
const PartnerPlan = "partner"

// Scopes is all that an app of others may ever ask for: never to share, to pair, to
// export or erase, which its owner does himself, with an app of ours.
var Scopes = []string{"fitvault/firmware.read", "fitvault/readings.read", "fitvault/readings.write"}

// Wanted is what an app is to be registered with.
type Wanted struct {
	redact.Mark
	Name         usertext.Name
	Kind         access.AppKind // ThirdPartyApp or SystemApp
	RedirectURIs []string       // sorted; none of a system
	Scopes       []string       // sorted; at least one
}

// Key is one API key of an app; of the key itself the hash only.
type Key struct {
	ID      string // the gateway's
	Digest  [sha256.Size]byte
	Retired bool // no request with it is answered; the gateway may still know it
}

// App is what is kept of an app.
type App struct {
	redact.Mark
	Client       string
	Name         string
	Kind         access.AppKind
	State        access.State
	Scopes       []string // sorted
	RedirectURIs []string // sorted
	Keys         []Key    // by id; none of an app that the operator has let in
	Registered   time.Time
}

// Request names a registration, so that the same one is not done twice.
type Request struct {
	ID   string            // of the Idempotency-Key, or else of the body
	Body [sha256.Size]byte // hash of what was asked for
}

// ErrConflict is returned where what is stored does not let something be done (any more).
var ErrConflict = errors.New("the app has changed meanwhile")

// Store keeps apps. Each change is one atomic write, and what it changes decides
// the first request that starts after it. ErrConflict where its condition fails.
type Store interface {
	// Requests is every registration that was done, with its client by Request.ID.
	Requests(context.Context) (map[string]Done, error)
	// Apps is the apps of these clients, by client; those that are not there are left out.
	Apps(ctx context.Context, clients []string) ([]App, error)
	// Register stores a new app and its request, both or neither; ErrConflict where one of them is there.
	Register(context.Context, Request, App) error
	// SetState switches an app of others; ErrConflict where there is none.
	SetState(ctx context.Context, client string, state access.State) error
	// AddKey adds a key; ErrConflict where there are MaxKeys, retired ones too, or the app's keys are its operator's.
	AddKey(ctx context.Context, client string, key Key) error
	// RetireKey retires a key; ErrConflict where it is none of the app's, or the last that is not retired.
	RetireKey(ctx context.Context, client string, key Key) error
	// ForgetKey forgets a key that is retired; ErrConflict where it is not.
	ForgetKey(ctx context.Context, client string, key Key) error
}

// Done is one registration that was done.
type Done struct {
	Client string
	Body   [sha256.Size]byte
}

// Clients makes OAuth clients in the pool of people. A client opens nothing without
// an app's document.
type Clients interface {
	// Create makes a client that signs people in by code and PKCE, or a system that has
	// a secret and client credentials; label is what the pool calls it.
	Create(ctx context.Context, label string, w Wanted) (client, secret string, err error)
	// Delete removes a client; nil where there is none.
	Delete(ctx context.Context, client string) error
}

// Keys makes API keys at the gateway, in the usage plan of apps of others.
type Keys interface {
	// Create lets a key into the plan, or leaves nothing.
	Create(ctx context.Context, label, value string) (id string, err error)
	// Delete removes a key; nil where there is none.
	Delete(ctx context.Context, id string) error
}

// Digest is what is kept of a key.
func Digest(value string) [sha256.Size]byte { return sha256.Sum256([]byte(value)) }

// NewKey makes the value of an API key: 256 random bits.
func NewKey(rand io.Reader) (string, error) {
	var b [32]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return "", fault.Wrap(fault.Internal, "no randomness for an API key", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// Parse checks what an app is to be registered with. A fault.Invalid names each member that is wrong.
func Parse(name, kind, plan string, redirectURIs, scopes []string) (Wanted, error) {
	var items []fault.Item
	wrong := func(pointer, rule string) { items = append(items, fault.Item{Pointer: pointer, Rule: rule}) }
	w := Wanted{Kind: access.AppKind(kind), RedirectURIs: sorted(redirectURIs), Scopes: sorted(scopes)}
	var err error
	if w.Name, err = usertext.ParseName(name); err != nil {
		wrong("/name", "name")
	}
	if plan != PartnerPlan {
		wrong("/plan", "enum")
	}
	switch w.Kind {
	case access.ThirdPartyApp:
		if len(w.RedirectURIs) == 0 || len(w.RedirectURIs) > maxRedirectURIs || !all(w.RedirectURIs, ValidRedirectURI) {
			wrong("/redirect_uris", "https-exact")
		}
	case access.SystemApp:
		if len(w.RedirectURIs) > 0 {
			wrong("/redirect_uris", "none")
		}
	default:
		wrong("/kind", "enum")
	}
	if len(w.Scopes) == 0 || !all(w.Scopes, func(s string) bool { return slices.Contains(Scopes, s) }) {
		wrong("/scopes", "enum")
	}
	if len(items) > 0 {
		return Wanted{}, &fault.Error{Kind: fault.Invalid, Text: "app to be registered", Items: items}
	}
	return w, nil
}

func sorted(list []string) []string {
	list = slices.Sorted(slices.Values(list))
	return slices.Compact(list)
}

func all(list []string, valid func(string) bool) bool {
	return !slices.ContainsFunc(list, func(s string) bool { return !valid(s) })
}

// redirectGrammar has no user, query, fragment, escape or wildcard: the pool
// compares whole texts, and so does whoever reads the list.
var redirectGrammar = regexp.MustCompile(`^https://[a-z0-9-]+(\.[a-z0-9-]+)+(:[1-9][0-9]{0,4})?/[A-Za-z0-9._~/-]*$`)

// ValidRedirectURI reports whether a code may be sent to an address after sign-in.
func ValidRedirectURI(s string) bool {
	if len(s) > maxRedirectURI || !redirectGrammar.MatchString(s) {
		return false
	}
	u, err := url.Parse(s)
	if err != nil || u.String() != s || strings.Contains(u.Path, "//") || strings.Contains(u.Path, "..") {
		return false
	}
	clean := path.Clean(u.Path)
	return u.Path == clean || u.Path == clean+"/"
}
