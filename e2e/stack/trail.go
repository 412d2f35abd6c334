package stack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fitvault/shared/access"
	"fitvault/shared/auditlog"
)

// answered is what a package's tests asked the API for, by the id of the request.
var answered = struct {
	sync.Mutex
	byRequest map[string]asked
}{byRequest: map[string]asked{}}

// asked is one answered request.
type asked struct {
	what    string // method, path and status
	status  int
	known   bool // its caller was: he is told how his limits stand, or was let through uncounted (ADR 31)
	begun   time.Time
	settled time.Time
}

func remember(what string, status int, h http.Header, begun time.Time) {
	id := h.Get("X-Request-Id")
	if id == "" {
		return // the gateway's own answer
	}
	answered.Lock()
	defer answered.Unlock()
	answered.byRequest[id] = asked{what: fmt.Sprint(what, " ", status), status: status, known: h.Get("RateLimit") != "" || uncounted(what, status), begun: begun, settled: time.Now()}
}

// uncounted reports whether a request may have been let through by a limiter that was too
// slow: nobody gets an upload in without being known.
func uncounted(what string, status int) bool {
	return status < 300 && strings.HasPrefix(what, "POST ") && (strings.HasSuffix(what, "/readings") || strings.HasSuffix(what, "/recordings"))
}

// noting notes what goes to the API.
type noting struct {
	api  string
	next http.RoundTripper
}

func (n noting) RoundTrip(r *http.Request) (*http.Response, error) {
	begun := time.Now()
	a, err := n.next.RoundTrip(r)
	if err == nil && strings.HasPrefix(r.URL.String(), n.api) {
		remember(r.Method+" "+r.URL.Path, a.StatusCode, a.Header, begun)
	}
	return a, err
}

// Main runs a package's tests, and then holds the trail to what they did: each
// access is in it exactly once, with who, by which app, what, when and with what
// outcome, and then in the log exactly once; of the people whom the tests made there is nothing else.
func Main(m *testing.M) {
	code := m.Run()
	if code == 0 && len(answered.byRequest) > 0 {
		if err := trail(context.Background()); err != nil {
			fmt.Println("--- FAIL: the audit trail after all tests:", err)
			code = 1
		}
	}
	os.Exit(code)
}

func trail(ctx context.Context) error {
	folder, err := checkout()
	if err != nil {
		return err
	}
	s, err := read(folder)
	if err != nil {
		return err
	}
	began := time.Now()
	for _, a := range answered.byRequest {
		if a.begun.Before(began) {
			began = a.begun
		}
	}
	events, err := s.EventsSince(ctx, began)
	if err != nil {
		return err
	}
	if err := fits(events); err != nil {
		return err
	}
	return s.sequenced(ctx, began)
}

// itself is the functions that look at somebody's data, or write to him, unasked.
var itself = map[string]bool{"project": true, "sentinel": true}

// inSteps is actions of several effects, each of which has its event before it: an app
// and its keys; a try of a code, and what it opened on somebody's account.
var inSteps = map[access.Action]bool{access.AppsManage: true, access.InvitationsAccept: true}

// fits holds events to what was asked for.
func fits(events []StoredEvent) error {
	byRequest, people := map[string][]StoredEvent{}, map[string]bool{}
	for _, e := range events {
		if e.Outcome != auditlog.Alarm { // beside the event of the access
			byRequest[e.Request] = append(byRequest[e.Request], e)
		}
		if _, ours := answered.byRequest[e.Request]; ours && slices.Contains(e.Reasons, "newcomer-consents") && e.Owner != "" {
			people[e.Owner] = true
		}
	}
	var wrong []error
	for id, a := range answered.byRequest {
		found := byRequest[id]
		switch {
		case a.status >= 500 && len(found) <= 1: // what failed may have been written before
			continue
		case len(found) > 1 && inSteps[access.Action(found[0].Action)]:
		case a.known && a.status != http.StatusTooManyRequests && len(found) != 1, !a.known && len(found) != 0:
			wrong = append(wrong, fmt.Errorf("%s has %d events", a.what, len(found)))
			continue
		}
		for _, e := range found {
			late := e.Time.Before(a.begun.Truncate(time.Millisecond)) || e.Time.After(a.settled)
			if e.Caller == "" || e.Client == "" || e.Action == "" || e.Function == "" || late || a.status < 300 && e.Outcome != auditlog.Allowed {
				wrong = append(wrong, fmt.Errorf("%s: its event lacks who, what, when or the outcome", a.what))
			}
		}
	}
	for _, e := range events {
		if _, ours := answered.byRequest[e.Request]; !ours && !itself[e.Function] && (people[e.Owner] || people[e.Caller]) {
			wrong = append(wrong, fmt.Errorf("an event of %s %s that no request made", e.Function, e.Action))
		}
	}
	if len(wrong) > 20 {
		wrong = append(wrong[:20], errors.New("and more"))
	}
	return errors.Join(wrong...)
}

// sequenced has the sequencer take what waits, and looks whether each event has a
// leaf of its own.
func (s *Stack) sequenced(ctx context.Context, began time.Time) error {
	for until := time.Now().Add(3 * time.Minute); ; {
		if err := s.take(ctx); err != nil {
			return err
		}
		events, err := s.EventsSince(ctx, began)
		if err != nil {
			return err
		}
		leaves, waiting := map[string]bool{}, 0
		for _, e := range events {
			if e.Leaf == "" {
				if _, ours := answered.byRequest[e.Request]; ours {
					waiting++
				}
				continue
			}
			if leaves[e.Leaf] {
				return fmt.Errorf("two events have the leaf %s", e.Leaf)
			}
			leaves[e.Leaf] = true
		}
		if waiting == 0 {
			return nil
		}
		if time.Now().After(until) {
			return fmt.Errorf("%d events are not in the log after three minutes", waiting)
		}
	}
}
