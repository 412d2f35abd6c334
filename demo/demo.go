package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"fitvault/shared/intake"
	"fitvault/shared/openmhealth"
	"fitvault/shared/pairing"
	"fitvault/shared/pairing/tracker"
	"fitvault/shared/reading"
	"fitvault/shared/redact"
)

const (
	pageSize = 20   // of data points; small enough to show that they come in pages
	maxPage  = 1000 // the API's

	tidying = 5 * time.Second // for taking back, after a failure
)

// demo is one run: what it sends, and what it has learnt so far.
type demo struct {
	redact.Mark
	*screen
	stack     stack
	api       *api
	operator  operator
	recording []byte // TCX
	points    []byte // JSON array of data points
	now       func() time.Time
	rand      io.Reader

	caregiver, administrator, maker *api   // with their own tokens
	signedPoints                    []byte // JSON array of data points that the tracker signs

	user        string            // ada's id in fitvault
	known       map[string]string // ids of callers → names
	sent        []reading.Reading // the data points, by start
	read        []reading.Reading // the same, as read back
	signed      []reading.Reading // those of the tracker
	entry       entry
	trackpoints []trackpoint

	tracker   *tracker.Tracker
	label     pairing.Label
	code      string // its QR code
	signature string // of signedPoints
	grant     string // ben's
	app       *api   // the other app, with a token of ada's
}

// entry is a recording in the list of recordings (openapi.yaml, RecordingEntry).
type entry struct {
	redact.Mark
	ID          string    `json:"id"`
	Sport       string    `json:"sport"`
	Start       time.Time `json:"start"`
	End         time.Time `json:"end"`
	Trackpoints int       `json:"trackpoints"`
	Size        int       `json:"size"`
	MediaType   string    `json:"media_type"`
}

// trackpoint is the part of one that the chart needs.
type trackpoint struct {
	redact.Mark
	Time      time.Time `json:"time"`
	HeartRate *float64  `json:"heart_rate"` // beats/min
}

func (d *demo) run(ctx context.Context) error {
	began := d.now()
	var err error
	if d.sent, err = readings(d.points); err != nil {
		return err
	}
	if d.signed, err = readings(d.signedPoints); err != nil {
		return err
	}
	d.heading("The owner, through the API")
	if err := d.steps(ctx,
		step{"signed in", d.signedIn},
		step{"consent", d.consent},
		step{"recording sent", d.sendRecording},
		step{"data points sent", d.sendPoints},
		step{"data points read", d.readPoints},
		step{"recording read", d.readRecording},
	); err != nil {
		return err
	}
	d.heading("Data points of " + d.read[0].Start.Format("2 January 2006"))
	d.block(pointsTable(d.read))
	d.heading("The recording")
	d.block(entryTable(d.entry))
	d.heading("Its heart rate, beats/min")
	d.block(heartRateChart(d.trackpoints, d.colour))

	if err := d.showOthers(ctx); err != nil {
		return err
	}

	d.heading("The operator, past the API")
	if err := d.lookBehind(ctx, began); err != nil {
		return err
	}
	d.say("\nAll of it took %.1f s. It may be run again; make down stops the stack.", d.now().Sub(began).Seconds())
	return nil
}

// showOthers is the part about a tracker, a caregiver and another app. Whatever stops
// it, what it has let in is taken back.
func (d *demo) showOthers(ctx context.Context) error {
	if err := d.prepare(ctx); err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{d.showTracker, d.showCaregiver, d.showApp, d.showWithdrawal} {
		if err := part(ctx); err != nil {
			late, stop := context.WithTimeout(context.WithoutCancel(ctx), tidying)
			defer stop()
			if _, left := d.leftOver(late); left != nil {
				d.say("  Not everything that was let in could be taken back: run it again, or wait an hour.")
			}
			return err
		}
	}
	return nil
}

// step is one thing that is done, and what came of it.
type step struct {
	name string
	do   func(context.Context) (string, error)
}

// steps does one after the other, until one fails.
func (d *demo) steps(ctx context.Context, all ...step) error {
	for _, s := range all {
		if err := d.step(s.name, func() (string, error) { return s.do(ctx) }); err != nil {
			return err
		}
	}
	return nil
}

// readings reads a JSON array of data points, and orders them as the API does.
func readings(body []byte) ([]reading.Reading, error) {
	limits := openmhealth.Intake
	limits.Bytes = maxAnswer // a page of the API may be larger than what one may send
	points, err := openmhealth.Points(body, limits)
	if err != nil {
		return nil, unexpected("data points that cannot be read")
	}
	all := make([]reading.Reading, len(points))
	for i, p := range points {
		if all[i], err = reading.FromPoint(p); err != nil {
			return nil, unexpected("data points that cannot be read")
		}
	}
	slices.SortStableFunc(all, func(a, b reading.Reading) int { return a.Start.Compare(b.Start) })
	return all, nil
}

func (d *demo) signedIn(context.Context) (string, error) {
	left, err := d.stack.tokenLife(d.now())
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, by code + PKCE; token good for %d min", d.stack.Users[owner].Name, int(left.Minutes())), nil
}

func (d *demo) consent(ctx context.Context) (string, error) {
	answer, err := d.api.call(ctx, http.MethodPut, "/users/me/consents/collection",
		map[string]string{"Content-Type": "application/json"}, []byte(`{"version": "1", "given": true}`))
	if err != nil {
		return "", err
	}
	var consent struct {
		User  string `json:"user"`
		Given bool   `json:"given"`
	}
	if json.Unmarshal(answer, &consent) != nil || consent.User == "" || !consent.Given {
		return "", unexpected("consent was not kept")
	}
	d.user = consent.User
	d.known[d.user] = owner
	return "to collect, given; account " + d.user, nil
}

// idempotencyKey is the same for the same body, so that running the demo again
// is a retry, and another document is not taken for one.
func idempotencyKey(body []byte) string {
	digest := sha256.Sum256(body)
	return "demo-" + hex.EncodeToString(digest[:8])
}

func (d *demo) sendRecording(ctx context.Context) (string, error) {
	answer, err := d.api.call(ctx, http.MethodPost, "/users/me/recordings",
		map[string]string{"Content-Type": intake.MediaTCX, "Idempotency-Key": idempotencyKey(d.recording)}, d.recording)
	if err != nil {
		return "", err
	}
	if json.Unmarshal(answer, &d.entry) != nil || d.entry.ID == "" {
		return "", unexpected("a recording without an id")
	}
	return fmt.Sprintf("%s bytes of TCX, %d trackpoints", grouped(len(d.recording)), d.entry.Trackpoints), nil
}

func (d *demo) sendPoints(ctx context.Context) (string, error) {
	answer, err := d.api.call(ctx, http.MethodPost, "/users/me/readings",
		map[string]string{"Content-Type": "application/json", "Idempotency-Key": idempotencyKey(d.points)}, d.points)
	if err != nil {
		return "", err
	}
	if err := allAccepted(answer, len(d.sent)); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d in one batch, all accepted", len(d.sent)), nil
}

func (d *demo) readPoints(ctx context.Context) (_ string, err error) {
	var pages int
	if d.read, pages, err = d.readBack(ctx, d.api, "me", d.sent); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d on %d pages, each equal to what was sent", len(d.read), pages), nil
}

// readBack has somebody read a user's data of the types and the time of what was
// sent, and compares. Others may have sent data too: only what was sent here is looked
// at, and returned with the number of pages.
func (d *demo) readBack(ctx context.Context, a *api, user string, sent []reading.Reading) (read []reading.Reading, pages int, _ error) {
	query := url.Values{
		"from":      {sent[0].Start.Format(time.RFC3339Nano)},
		"to":        {sent[len(sent)-1].Start.Add(time.Nanosecond).Format(time.RFC3339Nano)},
		"page_size": {strconv.Itoa(pageSize)},
	}
	for _, s := range sent {
		if of := s.Type.String(); !slices.Contains(query["type"], of) {
			query.Add("type", of)
		}
	}
	back := map[string]reading.Reading{}
	pages, err := a.pages(ctx, "/users/"+url.PathEscape(user)+"/readings", query, func(page []byte) error {
		var list struct {
			Items json.RawMessage `json:"items"`
		}
		if json.Unmarshal(page, &list) != nil || len(list.Items) == 0 {
			return unexpected("a page without items")
		}
		items, err := readings(list.Items)
		for _, r := range items {
			back[r.ID] = r
		}
		return err
	})
	if err != nil {
		return nil, pages, err
	}
	for _, s := range sent {
		r, ok := back[s.ID]
		if !ok {
			return nil, pages, unexpected("a data point that was sent is missing")
		}
		if !r.Point.Equal(s.Point) {
			return nil, pages, unexpected("a data point is not what was sent")
		}
		read = append(read, r)
	}
	return read, pages, nil
}

func (d *demo) readRecording(ctx context.Context) (string, error) {
	if err := d.findEntry(ctx); err != nil {
		return "", err
	}
	path := "/users/me/recordings/" + url.PathEscape(d.entry.ID)
	original, err := d.api.call(ctx, http.MethodGet, path, map[string]string{"Accept": intake.MediaTCX}, nil)
	if err != nil {
		return "", err
	}
	if !bytes.Equal(original, d.recording) {
		return "", unexpected("the original is not what was sent")
	}
	d.trackpoints = nil
	half := min((d.entry.Trackpoints+1)/2, maxPage) // to show that they come in pages
	pages, err := d.api.pages(ctx, path, url.Values{"page_size": {strconv.Itoa(half)}}, func(page []byte) error {
		var p struct {
			Trackpoints []trackpoint `json:"trackpoints"`
		}
		if json.Unmarshal(page, &p) != nil {
			return unexpected("trackpoints that cannot be read")
		}
		d.trackpoints = append(d.trackpoints, p.Trackpoints...)
		return nil
	})
	if err != nil {
		return "", err
	}
	if len(d.trackpoints) != d.entry.Trackpoints {
		return "", unexpected("not as many trackpoints as the entry says")
	}
	return fmt.Sprintf("original byte for byte; trackpoints on %d pages", pages), nil
}

// findEntry looks for the recording in the list, where its whole entry stands.
func (d *demo) findEntry(ctx context.Context) error {
	found := false
	_, err := d.api.pages(ctx, "/users/me/recordings", url.Values{}, func(page []byte) error {
		var list struct {
			Items []entry `json:"items"`
		}
		if json.Unmarshal(page, &list) != nil {
			return unexpected("a page without items")
		}
		for _, e := range list.Items {
			if e.ID == d.entry.ID {
				d.entry, found = e, true
			}
		}
		return nil
	})
	if err == nil && !found {
		return unexpected("the recording is not in the list")
	}
	return err
}
