package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
	"fitvault/shared/auditlog/record"
	"fitvault/shared/auditlog/sequence"
	"fitvault/shared/auditlog/tiles"
	"fitvault/shared/edge"
	"fitvault/shared/fault"
)

const (
	scopeAudit   = "fitvault/audit.read"
	scopePrivacy = "fitvault/privacy.manage"

	// maxEntries is how many entries one answer has: one or two bundles are read for it.
	maxEntries = tiles.Width

	// maxAccesses is how many events a page of an owner has: each lies in a bundle of its own.
	maxAccesses = 50
)

// bucket reads the log's bucket. Errors: sequence.ErrNotFound, or its own.
type bucket interface {
	Get(ctx context.Context, path string) ([]byte, error)
}

// subjects finds pseudonyms, keys and leaves; what is not there was erased, and is
// sequence.ErrNotFound. Leaves is at most limit indexes before one, the newest first.
type subjects interface {
	Pseudonym(ctx context.Context, name string) (record.Pseudonym, error)
	Key(ctx context.Context, p record.Pseudonym) (name string, wrapped []byte, err error)
	Leaves(ctx context.Context, p record.Pseudonym, before int64, limit int) ([]int64, error)
}

// keys hands out what this function may use.
type keys interface {
	Audit(context.Context) (record.ServiceKey, error)
	edge.PagesKey
}

type handler struct {
	objects  bucket
	subjects subjects
	keys     keys
	log      note.Verifier
	vkey     string
}

func (h handler) routes() []edge.Route {
	staff := func(resource string, handle edge.Handler, query ...edge.Parameter) edge.Route {
		return edge.Route{Method: http.MethodGet, Resource: resource, Scope: scopeAudit, Staff: true, Action: access.AuditRead, Query: query, Handle: handle}
	}
	resolve := staff("/audit/pseudonyms/{pseudonym}", h.getPseudonym)
	resolve.Action = access.AuditResolve
	routes := []edge.Route{
		staff("/audit/checkpoint", h.getCheckpoint),
		staff("/audit/entries", h.listEntries, edge.Parameter{Name: "from"}, edge.Parameter{Name: "to"}),
		staff("/audit/proofs/inclusion", h.getInclusion, edge.Parameter{Name: "index"}, edge.Parameter{Name: "size"}),
		staff("/audit/proofs/consistency", h.getConsistency, edge.Parameter{Name: "from"}, edge.Parameter{Name: "to"}),
		resolve,
		{Method: http.MethodGet, Resource: "/users/{user}/access-log", Scope: scopePrivacy, Action: access.AccessLogRead,
			Query: []edge.Parameter{{Name: "page_size"}, {Name: "page_token"}}, Handle: h.getAccessLog},
	}
	for i := range routes {
		routes[i].Handle = watched(routes[i].Handle)
	}
	return routes
}

// watched raises an alarm where something of the log is not what was put into it: the
// sequencer looks at the log's end only, and who asks is told no more than 500.
func watched(handle edge.Handler) edge.Handler {
	return func(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
		err := handle(w, r, c)
		for _, altered := range []error{tiles.ErrAltered, tiles.ErrBundle, tiles.ErrCheckpoint, record.ErrOpen} {
			if errors.Is(err, altered) {
				return errors.Join(err, c.Audit(r.Context(), auditlog.Event{Outcome: auditlog.Alarm, Kind: sequence.LogAltered}))
			}
		}
		return err
	}
}

// newest is the newest checkpoint, as it is published, and its tree.
func (h handler) newest(ctx context.Context) (signed []byte, tree tlog.Tree, err error) {
	signed, err = h.objects.Get(ctx, tiles.CheckpointPath)
	if err != nil {
		return nil, tree, fault.Wrap(fault.Unavailable, "checkpoint cannot be read", err)
	}
	c, err := tiles.OpenCheckpoint(signed, h.log)
	if err != nil {
		return nil, tree, fault.Wrap(fault.Internal, "checkpoint was not signed by the log's key", err)
	}
	return signed, tlog.Tree{N: c.Size, Hash: c.Root}, nil
}

func (h handler) read(ctx context.Context) tiles.Read {
	return func(path string) ([]byte, error) { return h.objects.Get(ctx, path) }
}

// unread is the fault of what cannot be read of the log: altered, or not there now.
func unread(err error) error {
	if errors.Is(err, tiles.ErrAltered) || errors.Is(err, tiles.ErrBundle) {
		return fault.Wrap(fault.Internal, "the log was altered", err)
	}
	return fault.Wrap(fault.Unavailable, "the log cannot be read", err)
}

// numbers reads two numbers of a query.
func numbers(q url.Values, first, second string) (a, b int64, err error) {
	a, err1 := strconv.ParseInt(q.Get(first), 10, 64)
	b, err2 := strconv.ParseInt(q.Get(second), 10, 64)
	if err1 != nil || err2 != nil || a < 0 || b < 0 {
		return 0, 0, fault.New(fault.BadRequest, "two numbers are needed, none of them negative")
	}
	return a, b, nil
}

func (h handler) getCheckpoint(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	if err := c.Audit(r.Context(), auditlog.Event{}); err != nil {
		return err
	}
	signed, tree, err := h.newest(r.Context())
	if err != nil {
		return err
	}
	return edge.WriteJSON(w, http.StatusOK, struct {
		Checkpoint string `json:"checkpoint"`
		Key        string `json:"key"`
		Size       int64  `json:"size"`
	}{string(signed), h.vkey, tree.N})
}

// entry is an entry of the log. Event is absent where it cannot be opened any more.
type entry struct {
	Index  int64           `json:"index"`
	Entry  []byte          `json:"entry"`
	Sealed []byte          `json:"sealed"`
	Event  json.RawMessage `json:"event,omitempty"`
}

func (h handler) listEntries(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	from, to, err := numbers(c.Query(), "from", "to")
	if err != nil {
		return err
	}
	if from > to || to-from > maxEntries {
		return fault.New(fault.BadRequest, "at most 256 entries, from before to")
	}
	if err := c.Audit(r.Context(), auditlog.Event{Records: int(to - from)}); err != nil {
		return err
	}
	_, tree, err := h.newest(r.Context())
	if err != nil {
		return err
	}
	items := []entry{}
	if to = min(to, tree.N); from < to {
		members, err := tiles.Range(tree, h.read(r.Context()), from, to)
		if err != nil {
			return unread(err)
		}
		opener, err := h.opener(r.Context())
		if err != nil {
			return err
		}
		for _, m := range members {
			opened, _, err := opener.open(r.Context(), m)
			if err != nil {
				return err
			}
			items = append(items, entry{m.Index, m.Entry, m.Event, opened.Text})
		}
	}
	return edge.WriteJSON(w, http.StatusOK, struct {
		Size  int64   `json:"size"`
		Items []entry `json:"items"`
	}{tree.N, items})
}

// inclusion is a proof of RFC 6962, 2.1.1; hashes are in base64.
type inclusion struct {
	Index  int64    `json:"index"`
	Size   int64    `json:"size"`
	Leaf   string   `json:"leaf"`
	Hashes []string `json:"hashes"`
}

func texts(hashes []tlog.Hash) []string {
	all := make([]string, len(hashes))
	for i, h := range hashes {
		all[i] = base64.StdEncoding.EncodeToString(h[:])
	}
	return all
}

func (h handler) include(ctx context.Context, tree tlog.Tree, index, size int64) (inclusion, error) {
	reader := tiles.Reader(tree, h.read(ctx))
	leaf, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
	if err != nil {
		return inclusion{}, unread(err)
	}
	proof, err := tlog.ProveRecord(size, index, reader)
	if err != nil {
		return inclusion{}, unread(err)
	}
	return inclusion{index, size, texts(leaf)[0], texts(proof)}, nil
}

// asked is how a question for a proof begins: two numbers of its query, its event, and
// the newest tree.
func (h handler) asked(ctx context.Context, c *edge.Call, first, second string) (a, b int64, tree tlog.Tree, err error) {
	if a, b, err = numbers(c.Query(), first, second); err != nil {
		return 0, 0, tree, err
	}
	if err := c.Audit(ctx, auditlog.Event{}); err != nil {
		return 0, 0, tree, err
	}
	_, tree, err = h.newest(ctx)
	return a, b, tree, err
}

func (h handler) getInclusion(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	index, size, tree, err := h.asked(r.Context(), c, "index", "size")
	if err != nil {
		return err
	}
	if index >= size || size > tree.N {
		return fault.New(fault.NotFound, "the log has no such size, or that no such entry")
	}
	proof, err := h.include(r.Context(), tree, index, size)
	if err != nil {
		return err
	}
	return edge.WriteJSON(w, http.StatusOK, proof)
}

func (h handler) getConsistency(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	from, to, tree, err := h.asked(r.Context(), c, "from", "to")
	if err != nil {
		return err
	}
	if from < 1 || from > to || to > tree.N {
		return fault.New(fault.NotFound, "the log has no such sizes")
	}
	proof, err := tlog.ProveTree(to, from, tiles.Reader(tree, h.read(r.Context())))
	if err != nil {
		return unread(err)
	}
	return edge.WriteJSON(w, http.StatusOK, struct {
		From   int64    `json:"from"`
		To     int64    `json:"to"`
		Hashes []string `json:"hashes"`
	}{from, to, texts(proof)})
}

// getPseudonym answers who a pseudonym is. The event of it is on the person's own
// account, so that he sees in his access log who asked.
func (h handler) getPseudonym(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	p, err := record.ParsePseudonym(c.Param("pseudonym"))
	if err != nil {
		return err
	}
	name, _, err := h.subjects.Key(r.Context(), p)
	if errors.Is(err, sequence.ErrNotFound) {
		return fault.New(fault.NotFound, "nobody has this pseudonym")
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, "pseudonym cannot be read", err)
	}
	e := auditlog.Event{About: name}
	if user, err := access.ParseUserID(name); err == nil {
		e = auditlog.Event{Owner: user.String()}
	}
	if err := c.Audit(r.Context(), e); err != nil {
		return err
	}
	return edge.WriteJSON(w, http.StatusOK, struct {
		Name string `json:"name"`
	}{name})
}

// accessed is one event in an owner's access log.
type accessed struct {
	Event json.RawMessage `json:"event"`
	Entry []byte          `json:"entry"`
	Mine  bool            `json:"mine"`
	Proof inclusion       `json:"proof"`
}

// place is where a page of the access log ended.
type place struct {
	Before int64 `json:"before"`
}

func (h handler) getAccessLog(w http.ResponseWriter, r *http.Request, c *edge.Call) error {
	ctx := r.Context()
	var after place
	size, tokens, some, err := c.Page(ctx, h.keys, &after, "access-log")
	if err != nil {
		return err
	}
	if err := c.Audit(ctx, auditlog.Event{}); err != nil {
		return err
	}
	signed, tree, err := h.newest(ctx)
	if err != nil {
		return err
	}
	before := tree.N
	if some {
		before = min(before, after.Before)
	}
	size = min(size, maxAccesses)
	var leaves []int64
	p, err := h.subjects.Pseudonym(ctx, c.Owner.User.String())
	if err == nil && before > 0 {
		leaves, err = h.subjects.Leaves(ctx, p, before, size)
	}
	if err != nil && !errors.Is(err, sequence.ErrNotFound) { // of somebody new nothing has been taken yet
		return fault.Wrap(fault.Unavailable, "leaves cannot be read", err)
	}
	page := struct {
		Checkpoint string     `json:"checkpoint"`
		Items      []accessed `json:"items"`
		Next       string     `json:"next_page_token,omitempty"`
	}{Checkpoint: string(signed), Items: []accessed{}}
	opener, err := h.opener(ctx)
	if err != nil {
		return err
	}
	for _, index := range leaves {
		members, err := tiles.Range(tree, opener.read, index, index+1)
		if err != nil {
			return unread(err)
		}
		opened, ok, err := opener.open(ctx, members[0])
		if err != nil {
			return err
		}
		if !ok { // he is being erased just now
			continue
		}
		proof, err := h.include(ctx, tree, index, tree.N)
		if err != nil {
			return err
		}
		page.Items = append(page.Items, accessed{opened.Text, members[0].Entry, opened.Event.Caller == p.String(), proof})
	}
	if len(leaves) == size {
		if page.Next, err = tokens.Make(place{leaves[size-1]}); err != nil {
			return err
		}
	}
	return edge.WriteJSON(w, http.StatusOK, page)
}

// opener opens events for one request; it reads each object and each key once.
type opener struct {
	handler
	key     record.ServiceKey
	known   map[record.Pseudonym]*record.Subject // nil: erased
	objects map[string][]byte
	ctx     context.Context //nolint:containedctx // it lives as long as the request
}

func (h handler) opener(ctx context.Context) (*opener, error) {
	key, err := h.keys.Audit(ctx)
	if err != nil {
		return nil, err
	}
	return &opener{handler: h, key: key, known: map[record.Pseudonym]*record.Subject{}, objects: map[string][]byte{}, ctx: ctx}, nil
}

func (o *opener) read(path string) ([]byte, error) {
	if b, ok := o.objects[path]; ok {
		return b, nil
	}
	b, err := o.handler.objects.Get(o.ctx, path)
	if err == nil {
		o.objects[path] = b
	}
	return b, err
}

// open opens an event; false where its subject has been erased.
func (o *opener) open(ctx context.Context, m tiles.Member) (record.Opened, bool, error) {
	p, err1 := record.SubjectOfRecord(m.Event)
	commitment, err2 := tiles.Commitment(m.Entry)
	if err1 != nil || err2 != nil {
		return record.Opened{}, false, fault.Wrap(fault.Internal, "an entry is of no known form", errors.Join(err1, err2))
	}
	subject, known := o.known[p]
	if !known {
		name, wrapped, err := o.subjects.Key(ctx, p)
		if err != nil && !errors.Is(err, sequence.ErrNotFound) {
			return record.Opened{}, false, fault.Wrap(fault.Unavailable, "a subject's key cannot be read", err)
		}
		if err == nil {
			s, err := o.key.Subject(name, p, wrapped)
			if err != nil {
				return record.Opened{}, false, fault.Wrap(fault.Internal, "a subject's key was altered", err)
			}
			subject = &s
		}
		o.known[p] = subject
	}
	if subject == nil {
		return record.Opened{}, false, nil
	}
	opened, err := subject.Open(m.Event, commitment)
	if err != nil {
		return record.Opened{}, false, fault.Wrap(fault.Internal, "an event of the log does not open", err)
	}
	return opened, true, nil
}
