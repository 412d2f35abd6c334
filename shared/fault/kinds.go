package fault

// kinds is the one table of what a caller is told: status code and title.
var kinds = []struct {
	kind   Kind
	status int
	title  string
}{
	{BadRequest, 400, "Bad request"},
	{BadPageToken, 400, "Bad page token"},
	{Unauthenticated, 401, "Not authenticated"},
	{Forbidden, 403, "Forbidden"},
	{ConsentRequired, 403, "Consent required"},
	{SignatureRequired, 403, "Signature required"},
	{SignatureRefused, 403, "Signature refused"},
	{NotFound, 404, "Not found"},
	{NotAcceptable, 406, "Not acceptable"},
	{Conflict, 409, "Conflict"},
	{TooLarge, 413, "Too large"},
	{UnsupportedType, 415, "Unsupported media type"},
	{Invalid, 422, "Invalid"},
	{KeyReused, 422, "Idempotency key reused"},
	{TooMany, 429, "Too many requests"},
	{Internal, 500, "Internal error"},
	{Unavailable, 503, "Unavailable"},
}

// Kinds is every kind, by status.
func Kinds() []Kind {
	all := make([]Kind, len(kinds))
	for i, k := range kinds {
		all[i] = k.kind
	}
	return all
}

// Status is the kind's HTTP status code; 500 for a kind that is not one.
func (k Kind) Status() int {
	for _, e := range kinds {
		if e.kind == k {
			return e.status
		}
	}
	return 500
}

// Title is the kind's generic title for people.
func (k Kind) Title() string {
	for _, e := range kinds {
		if e.kind == k {
			return e.title
		}
	}
	return Internal.Title()
}
