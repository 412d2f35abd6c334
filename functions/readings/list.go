package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strings"
	"time"

	"fitvault/shared/auditlog"
	"fitvault/shared/block"
	"fitvault/shared/dynamo"
	"fitvault/shared/edge"
	"fitvault/shared/fault"
	"fitvault/shared/intake"
	"fitvault/shared/openmhealth"
	"fitvault/shared/reading"
)

// maxOpened bounds the work of one request, in readings opened. A block costs as
// much as blockCost of them, most of it the owner's private key at work, and so
// do textCost bytes of packed text as one. A list over years comes in more
// pages, some of which may be short. Sealed bytes would not do as a measure: a
// block may compress some hundred times.
const (
	maxOpened = 50_000
	blockCost = 32
	textCost  = 512
)

// One day is opened whole. Ten signals every second for a day are less; more is
// no tracker's day, and a function's memory is bounded too.
var (
	maxDay      = 1_000_000 // as maxOpened counts
	maxDayBytes = 256 << 20 // sealed
)

// filter is what GET readings asks for.
type filter struct {
	types    map[reading.Type]bool // none: all
	from, to time.Time             // from ≤ start < to
	since    time.Time             // arrived then or later; zero: whenever
}

// forever is after the start of every reading; the zero time is before none.
var forever = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)

func newFilter(q url.Values) (filter, error) {
	f := filter{types: map[reading.Type]bool{}, to: forever}
	for _, s := range q["type"] {
		t, err := reading.ParseType(s)
		if err != nil || !openmhealth.Serves(t) {
			return filter{}, fault.New(fault.BadRequest, "type is not a served namespace:name")
		}
		f.types[t] = true
	}
	for name, at := range map[string]*time.Time{"from": &f.from, "to": &f.to, "since": &f.since} {
		if err := queryTime(q, name, at); err != nil {
			return filter{}, err
		}
	}
	return f, nil
}

// old reports whether what arrived then is left out. A time that is not known is not old.
func (f filter) old(arrived time.Time) bool {
	return !arrived.IsZero() && arrived.Before(f.since)
}

func (f filter) keep(r reading.Reading) bool {
	return (len(f.types) == 0 || f.types[r.Type]) && !r.Start.Before(f.from) && r.Start.Before(f.to)
}

// days are the sort keys between which the blocks of the filter's days lie.
func (f filter) days() (first, end string) {
	first = f.from.UTC().Format(time.DateOnly)
	if f.to.UTC().Year() > 9999 { // the year's fifth digit would sort it before the others
		return first, "a" // after every YYYY-MM-DD#; recording# comes later
	}
	return first, f.to.UTC().Format(time.DateOnly) + "$" // the character after "#"
}

// place is where a reading stands in the order of the list: by start, then id,
// then where it is stored, which tells apart two with the same id.
type place struct {
	Start time.Time `json:"start"`
	ID    string    `json:"id"`
	Item  string    `json:"item"`
	Index int       `json:"index"`
}

func (p place) before(o place) bool {
	if !p.Start.Equal(o.Start) {
		return p.Start.Before(o.Start)
	}
	if p.ID != o.ID {
		return p.ID < o.ID
	}
	if p.Item != o.Item {
		return p.Item < o.Item
	}
	return p.Index < o.Index
}

type listed struct {
	place place
	text  []byte
}

func (h handler) getReadings(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	f, err := newFilter(c.Query())
	if err != nil {
		return err
	}
	if f.types, err = c.Decision.Restrict(f.types); err != nil {
		return err
	}
	var from struct {
		After *place    `json:"after,omitempty"` // the last reading shown
		Day   string    `json:"day,omitempty"`   // or the day to go on with
		AsOf  time.Time `json:"as_of"`
	}
	from.AsOf = h.asOf()
	size, tokens, _, err := c.Page(r.Context(), h.keys, &from, "readings")
	if err != nil {
		return err
	}
	if err := c.Audit(r.Context(), auditlog.Event{}); err != nil {
		return err
	}
	first, end := f.days()
	if from.After != nil {
		first = from.After.Start.UTC().Format(time.DateOnly)
	}
	if from.Day != "" {
		first = from.Day
	}
	l := &list{size: size, filter: f, after: from.After}
	resume, err := h.collect(r.Context(), c, l, first, end)
	if err != nil {
		return err
	}
	shown := l.cut()
	var next string
	switch {
	case len(shown) < len(l.page):
		from.After, from.Day = &shown[len(shown)-1].place, ""
		next, err = tokens.Make(from)
	case resume != "":
		from.After, from.Day = nil, resume
		next, err = tokens.Make(from)
	}
	if err != nil {
		return err
	}
	items := make([]json.RawMessage, len(shown))
	for i, s := range shown {
		items[i] = s.text
	}
	return writePage(w, items, next, from.AsOf)
}

// list gathers one page, and one reading more where there is one, which says
// that the page is not the last.
type list struct {
	size   int
	filter filter
	after  *place
	page   []listed // whole days, in order
	today  []listed // the day that is being read
	bytes  int      // of today's text
}

func (l *list) add(r reading.Reading, item string, index int) {
	p := place{r.Start, r.ID, item, index}
	if !l.filter.keep(r) || l.after != nil && !l.after.before(p) {
		return
	}
	text := r.Point.AppendJSON(nil)
	l.today, l.bytes = append(l.today, listed{p, text}), l.bytes+len(text)
	// A day may hold more than memory: what cannot get onto this page goes at once.
	if len(l.today) > 4*l.size || l.bytes > 4*edge.MaxPageText {
		l.sortToday()
	}
}

func (l *list) sortToday() {
	sort.Slice(l.today, func(i, j int) bool { return l.today[i].place.before(l.today[j].place) })
	l.bytes = 0
	for i, s := range l.today {
		if i > l.size || l.bytes > edge.MaxPageText {
			clear(l.today[i:])
			l.today = l.today[:i]
			return
		}
		l.bytes += len(s.text)
	}
}

// endDay moves the day onto the page, and reports whether the page is full.
func (l *list) endDay() bool {
	l.sortToday()
	l.page = append(l.page, l.today...)
	l.today, l.bytes = nil, 0
	return len(l.cut()) < len(l.page)
}

// cut returns what fits one answer: at most size readings and edge.MaxPageText of
// text, but one at least.
func (l *list) cut() []listed {
	total := 0
	for i, s := range l.page {
		if total += len(s.text); i == l.size || i > 0 && total > edge.MaxPageText {
			return l.page[:i]
		}
	}
	return l.page
}

// collect fills the list with the blocks between first and end, whole days at a
// time. Where it has opened enough for one request it stops before a day and
// returns that day.
func (h handler) collect(ctx context.Context, c *edge.Call, l *list, first, end string) (resume string, err error) {
	var (
		d      = day{opener: h.opener(c)}
		opened = 0
	)
	for sealed, err := range h.blocks.Between(ctx, c.Owner.User.String(), first, end) {
		if err != nil {
			return "", fault.Wrap(fault.Unavailable, "blocks cannot be read", err)
		}
		date, _, ok := strings.Cut(sealed.Item, "#")
		if !ok {
			return "", d.Broken(ctx)
		}
		if date != d.date {
			n, err := d.list(ctx, l)
			if err != nil {
				return "", err
			}
			if l.endDay() {
				return "", nil
			}
			if opened += n; opened > maxOpened {
				return date, nil
			}
			d.date = date
		}
		if d.bytes += len(sealed.Blob); d.bytes > maxDayBytes {
			return "", errDay
		}
		d.blocks = append(d.blocks, sealed)
	}
	if _, err := d.list(ctx, l); err != nil {
		return "", err
	}
	l.endDay()
	return "", nil
}

// day is the sealed blocks of one UTC day. They are opened together, because
// which of several copies of a record counts is only known at the end.
type day struct {
	*opener
	date   string
	blocks []dynamo.Sealed
	bytes  int
}

var errDay = fault.New(fault.TooLarge, "a day holds more than one request can open")

// list moves the day's readings to l and empties the day. It returns the work
// that this was, as maxOpened counts it.
func (d *day) list(ctx context.Context, l *list) (work int, err error) {
	blocks := d.blocks
	d.blocks, d.bytes = nil, 0
	if !slices.ContainsFunc(blocks, func(s dynamo.Sealed) bool { return !l.filter.old(s.Arrived) }) {
		return len(blocks), nil
	}
	var opened block.Day
	// What is too old only says which copies count.
	asked := func(b block.Header) bool { return !l.filter.old(b.Arrived) }
	for _, sealed := range blocks {
		_, id, _ := strings.Cut(sealed.Item, "#")
		plain, err := d.Open(ctx, sealed.Blob, intake.BlockPlace(d.deployment, d.owner, d.date, id))
		if err != nil {
			return 0, err
		}
		n, err := opened.Add(sealed.Item, plain, asked)
		if err != nil {
			return 0, d.Broken(ctx)
		}
		if work += blockCost + n + len(plain)/textCost; work > maxDay {
			return 0, errDay
		}
	}
	if err := opened.Each(l.add); err != nil {
		return 0, d.Broken(ctx)
	}
	return work, nil
}

// writePage answers {"items": […], "as_of": "…", "next_page_token": "…"}; no token
// on the last page.
func writePage(w http.ResponseWriter, items []json.RawMessage, next string, asOf time.Time) error {
	return edge.WriteJSON(w, http.StatusOK, struct {
		Items []json.RawMessage `json:"items"`
		AsOf  time.Time         `json:"as_of"`
		Next  string            `json:"next_page_token,omitempty"`
	}{items, asOf, next})
}
