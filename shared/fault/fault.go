// Package fault gives every error that a caller may see a kind. A kind is all
// that leaves the function: the edge renders it as an RFC 9457 problem, and
// the text of the error stays in the protected log.
package fault

import "errors"

// Kind is the cause of a failure, one status code each (wire.md, "errors").
type Kind string

const (
	BadRequest        Kind = "bad-request"            // 400: not readable at all
	BadPageToken      Kind = "bad-page-token"         // 400
	Unauthenticated   Kind = "unauthenticated"        // 401: not known
	Forbidden         Kind = "forbidden"              // 403: known, but may not
	ConsentRequired   Kind = "consent-required"       // 403: the owner's consent is missing
	SignatureRequired Kind = "signature-required"     // 403: the owner takes only what a paired tracker has signed
	SignatureRefused  Kind = "signature-refused"      // 403: a tracker's signature is not good for this
	NotFound          Kind = "not-found"              // 404: also another person's thing
	NotAcceptable     Kind = "not-acceptable"         // 406
	Conflict          Kind = "conflict"               // 409
	TooLarge          Kind = "too-large"              // 413
	UnsupportedType   Kind = "unsupported-media-type" // 415
	Invalid           Kind = "invalid"                // 422: well-formed, but against the schema or rules
	KeyReused         Kind = "idempotency-key-reused" // 422: the same key with another body
	TooMany           Kind = "too-many-requests"      // 429
	Internal          Kind = "internal"               // 500
	Unavailable       Kind = "unavailable"            // 503: try again later
)

// Item is one entry of a problem's `errors` member. Pointer is a JSON pointer
// made only of member names that a published schema names and of list
// positions; Rule is the constant name of a rule. Neither repeats input.
type Item struct {
	Pointer string `json:"pointer"`
	Rule    string `json:"rule"`
}

// Error is a failure with its kind. Text is a constant: it never holds a value
// from a request or from storage.
type Error struct {
	Kind  Kind
	Text  string
	Items []Item
	Cause error // for the protected log only
}

// New returns an error of a kind with a constant text.
func New(kind Kind, text string) *Error { return &Error{Kind: kind, Text: text} }

// Wrap returns an error of a kind with a constant text and its cause.
func Wrap(kind Kind, text string, cause error) *Error {
	return &Error{Kind: kind, Text: text, Cause: cause}
}

// OfService is Unavailable for a call to a service that failed. Of the service's
// error only the code is kept: its message may repeat what was sent.
func OfService(text string, err error) *Error {
	var refusal interface {
		error
		ErrorCode() string
	}
	if errors.As(err, &refusal) {
		err = serviceCode(refusal.ErrorCode())
	}
	return Wrap(Unavailable, text, err)
}

// serviceCode is a service's word for what went wrong; Trace shows it.
type serviceCode string

func (c serviceCode) Error() string     { return string(c) }
func (c serviceCode) ErrorCode() string { return string(c) }

func (e *Error) Error() string { return string(e.Kind) + ": " + e.Text }
func (e *Error) Unwrap() error { return e.Cause }

// KindOf returns the kind of the outermost fault in err's chain; an error
// without one is Internal, because nobody has said that it may be told.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// ItemsOf returns the items of the outermost fault in err's chain.
func ItemsOf(err error) []Item {
	var e *Error
	if errors.As(err, &e) {
		return e.Items
	}
	return nil
}

// Database is the service whose errors shared/postgres returns.
const Database = "database"

// Service names the service that err came from, as its adapter's library says
// ("KMS", "DynamoDB") or the adapter does; "" where nothing in the chain says so.
func Service(err error) string {
	var of interface{ Service() string }
	if errors.As(err, &of) {
		return of.Service()
	}
	return ""
}
