package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/days"
	"fitvault/shared/edge"
	"fitvault/shared/fault"
	"fitvault/shared/opening"
	"fitvault/shared/openmhealth"
	"fitvault/shared/postgres"
	"fitvault/shared/reading"
)

const (
	scopeRead = "fitvault/readings.read"
	resource  = "/users/{user}/days"

	// maxSpan is the most days that one list may be of: each opens a part or more.
	maxSpan = 366
)

// parts reads the parts that may touch the civil days from first to last, both
// included. Faults: Unavailable, TooLarge, Internal.
type parts interface {
	Between(ctx context.Context, pseudonym, first, last string) ([]postgres.Part, error)
}

// keys hands out what readers may use.
type keys interface {
	opening.Keys
	edge.PagesKey
}

type handler struct {
	deployment string
	parts      parts
	keys       keys
}

func (h handler) routes() []edge.Route {
	return []edge.Route{{Method: http.MethodGet, Resource: resource, Scope: scopeRead, Action: access.DaysRead,
		Query: []edge.Parameter{{Name: "type", Repeat: true}, {Name: "from"}, {Name: "to"}, {Name: "page_size"}, {Name: "page_token"}}, Handle: h.getDays}}
}

// filter is what is asked for.
type filter struct {
	types    map[reading.Type]bool // none: all
	from, to days.Day              // from ≤ day < to
}

func newFilter(q url.Values) (filter, error) {
	f := filter{types: map[reading.Type]bool{}}
	for _, s := range q["type"] {
		t, err := reading.ParseType(s)
		if err != nil || t != days.Trackpoint && !openmhealth.Serves(t) {
			return filter{}, fault.New(fault.BadRequest, "type is not a counted namespace:name")
		}
		f.types[t] = true
	}
	var err1, err2 error
	f.from, err1 = days.ParseDay(q.Get("from"))
	f.to, err2 = days.ParseDay(q.Get("to"))
	if err1 != nil || err2 != nil || f.to < f.from || f.to-f.from > maxSpan {
		return filter{}, fault.New(fault.BadRequest, "from and to are civil days, at most 366 of them")
	}
	return f, nil
}

func (f filter) keep(k days.Key) bool {
	return (len(f.types) == 0 || f.types[k.Type]) && k.Day >= f.from && k.Day < f.to
}

// place is where a page ended.
type place struct {
	Day       days.Day `json:"day"`
	Namespace string   `json:"namespace"`
	Name      string   `json:"name"`
	Unit      string   `json:"unit"`
}

func (p place) key() days.Key {
	return days.Key{Day: p.Day, Type: reading.Type{Namespace: p.Namespace, Name: p.Name}, Unit: p.Unit}
}

// getDays answers the statistics of each day and type, by day, then type, then
// unit.
func (h handler) getDays(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	f, err := newFilter(c.Query())
	if err != nil {
		return err
	}
	if f.types, err = c.Decision.Restrict(f.types); err != nil {
		return err
	}
	var after place
	size, tokens, some, err := c.Page(r.Context(), h.keys, &after, "days")
	if err != nil {
		return err
	}
	if err := c.Audit(r.Context(), auditlog.Event{}); err != nil {
		return err
	}
	if some {
		f.from = after.Day
	}
	stats, err := h.stats(r.Context(), c, f)
	if err != nil {
		return err
	}
	if some {
		stats = slices.DeleteFunc(stats, func(s days.Stat) bool { return s.Compare(after.key()) <= 0 })
	}
	var next string
	if len(stats) > size {
		stats = stats[:size]
		last := stats[size-1]
		if next, err = tokens.Make(place{last.Day, last.Type.Namespace, last.Type.Name, last.Unit}); err != nil {
			return err
		}
	}
	items := make([]json.RawMessage, len(stats))
	for i, s := range stats {
		items[i] = s.AppendJSON(nil)
	}
	return edge.WriteJSON(w, http.StatusOK, struct {
		Items []json.RawMessage `json:"items"`
		Next  string            `json:"next_page_token,omitempty"`
	}{items, next})
}

// stats adds up what the parts hold of the days and types that are asked for.
func (h handler) stats(ctx context.Context, c *edge.Call, f filter) (days.Part, error) {
	// An account without a pseudonym is older than the database, and not in it.
	if f.from == f.to || c.Owner.Pseudonym == "" {
		return nil, nil
	}
	rows, err := h.parts.Between(ctx, c.Owner.Pseudonym, f.from.String(), (f.to - 1).String())
	if err != nil {
		return nil, err
	}
	opener := c.Opener(h.keys)
	var tally days.Tally
	for _, row := range rows {
		plain, err := opener.Open(ctx, row.Sealed, days.Place(h.deployment, c.Owner.User.String(), row.Part, row.Version))
		if err != nil {
			return nil, err
		}
		part, err := days.Decode(plain)
		if err != nil {
			return nil, opener.Broken(ctx)
		}
		tally.AddPart(slices.DeleteFunc(part, func(s days.Stat) bool { return !f.keep(s.Key) }))
	}
	return tally.Part(), nil
}
