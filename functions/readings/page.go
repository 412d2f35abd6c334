package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"fitvault/shared/edge"
	"fitvault/shared/fault"
	"fitvault/shared/keyring"
	"fitvault/shared/reading"
	"fitvault/shared/vault"
)

const (
	defaultPage = 100
	maxPage     = 1000
	tokenLife   = time.Hour
	// maxAnswer bounds the text of one page. A function may answer 6 MB, as JSON
	// with this text in a string: quotes and back slashes double in that.
	maxAnswer = 5 << 19
)

// pageSize is the query's page_size, 1 to 1,000.
func pageSize(q url.Values) (int, error) {
	if !q.Has("page_size") {
		return defaultPage, nil
	}
	n, err := strconv.Atoi(q.Get("page_size"))
	if err != nil || n < 1 || n > maxPage {
		return 0, fault.New(fault.BadRequest, "page_size is not 1 to 1000")
	}
	return n, nil
}

// queryTime puts a query's time into at, where there is one.
func queryTime(q url.Values, name string, at *time.Time) error {
	if !q.Has(name) {
		return nil
	}
	t, err := reading.ParseTime(q.Get(name))
	if err != nil {
		return fault.New(fault.BadRequest, "from, to and since are RFC 3339 times with offset")
	}
	*at = t
	return nil
}

// The as_of of a list is what a client that has read a list to its end gives as since to learn
// what has changed. It lies before the first page by more than intake may take
// from looking at the clock until what it stores can be read: something may be
// told twice, but nothing is missed.
const asOfMargin = time.Minute

func (h handler) asOf() time.Time { return h.now().Add(-asOfMargin).UTC().Truncate(time.Millisecond) }

// tokens makes and reads the page tokens of one list: bound to route, owner,
// caller, client and filters, for an hour. A token is a place in a list and
// never a permission: every page is decided anew.
type tokens struct {
	key     vault.PagesKey
	context []byte
	now     time.Time
}

func (h handler) tokens(ctx context.Context, c *edge.Call, list ...string) (tokens, error) {
	key, err := h.keys.Pages(ctx)
	if errors.Is(err, keyring.ErrAltered) {
		return tokens{}, h.opener(c).broken(ctx)
	}
	if err != nil {
		return tokens{}, err
	}
	filters := url.Values{}
	for name, values := range c.Query() {
		if !strings.HasPrefix(name, "page_") {
			filters[name] = values
		}
	}
	// JSON keeps the parts apart whatever they contain.
	bound, err := json.Marshal([]any{list, c.Owner.User.String(), c.Principal.User.String(), c.Principal.Client, filters.Encode()})
	if err != nil {
		return tokens{}, fault.Wrap(fault.Internal, "page token cannot be bound", err)
	}
	return tokens{key, bound, h.now()}, nil
}

type sealedPlace struct {
	Until int64           `json:"until"` // seconds since 1970
	Place json.RawMessage `json:"place"`
}

// make returns a token for a place in the list.
func (t tokens) make(place any) (string, error) {
	p, err := json.Marshal(place)
	if err != nil {
		return "", fault.Wrap(fault.Internal, "page token cannot be encoded", err)
	}
	b, err := json.Marshal(sealedPlace{t.now.Add(tokenLife).Unix(), p})
	if err != nil {
		return "", fault.Wrap(fault.Internal, "page token cannot be encoded", err)
	}
	return t.key.Seal(b, t.context), nil
}

// read puts the token's place into place, and reports whether there is a token.
func (t tokens) read(q url.Values, place any) (bool, error) {
	if !q.Has("page_token") {
		return false, nil
	}
	bad := fault.New(fault.BadPageToken, "page token is not of this list, or too old")
	b, err := t.key.Open(q.Get("page_token"), t.context)
	if err != nil {
		return false, bad
	}
	var s sealedPlace
	if json.Unmarshal(b, &s) != nil || t.now.Unix() >= s.Until || json.Unmarshal(s.Place, place) != nil {
		return false, bad
	}
	return true, nil
}
