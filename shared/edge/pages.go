package edge

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"fitvault/shared/fault"
	"fitvault/shared/keyring"
	"fitvault/shared/vault"
)

const (
	defaultPage = 100
	maxPage     = 1000
	tokenLife   = time.Hour
)

// MaxPageText bounds the text of one page. A function may answer 6 MB, as JSON
// with this text in a string: quotes and back slashes double in that.
const MaxPageText = 5 << 19

// pageSize is the query's page_size, 1 to 1,000; 100 where it is not given.
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

// PageTokens makes and reads the page tokens of one list: bound to route, owner,
// caller, client and filters, for an hour. A token is a place in a list and
// never a permission: every page is decided anew.
type PageTokens struct {
	key     vault.PagesKey
	context []byte
	now     time.Time
}

// PagesKey hands out the key of the page tokens; keyring.Ring does.
type PagesKey interface {
	Pages(ctx context.Context) (vault.PagesKey, error)
}

// PageTokens is the tokens of a list that the request asks for; list names it
// among all lists. A key that was altered is an alarm.
func (c *Call) PageTokens(ctx context.Context, keys PagesKey, list ...string) (PageTokens, error) {
	key, err := keys.Pages(ctx)
	if errors.Is(err, keyring.ErrAltered) {
		if err := c.altered(ctx); err != nil {
			return PageTokens{}, err
		}
		return PageTokens{}, fault.New(fault.Internal, "the key of the page tokens was altered")
	}
	if err != nil {
		return PageTokens{}, err
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
		return PageTokens{}, fault.Wrap(fault.Internal, "page token cannot be bound", err)
	}
	return PageTokens{key, bound, c.guard.config.Now()}, nil
}

// Page is the head of every list: the page's size, its tokens, and whether the
// request goes on from a place, which is then read into place.
func (c *Call) Page(ctx context.Context, keys PagesKey, place any, list ...string) (size int, tokens PageTokens, some bool, err error) {
	if size, err = pageSize(c.Query()); err != nil {
		return 0, PageTokens{}, false, err
	}
	if tokens, err = c.PageTokens(ctx, keys, list...); err != nil {
		return 0, PageTokens{}, false, err
	}
	some, err = tokens.Read(c.Query(), place)
	return size, tokens, some, err
}

type sealedPlace struct {
	Until int64           `json:"until"` // seconds since 1970
	Place json.RawMessage `json:"place"`
}

// Make returns a token for a place in the list.
func (t PageTokens) Make(place any) (string, error) {
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

// Read puts the token's place into place, and reports whether there is a token.
func (t PageTokens) Read(q url.Values, place any) (bool, error) {
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
