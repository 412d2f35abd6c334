package attack

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/attack/bootstrap"
	"fitvault/e2e/attack/faults"
	"fitvault/e2e/stack"
	"fitvault/shared/auditlog"
	"fitvault/shared/dynamo"
	"fitvault/shared/fault"
	"fitvault/shared/sealedupload/sealeduploadtest"
)

const (
	sealedReadings = "/users/{user}/readings/sealed"
	grants         = "/users/{user}/grants"
	oneGrant       = "/users/{user}/grants/{id}"
	mediaJOSE      = "application/jose"
)

// storm is bad weather at every dependency: below HTTP by toxiproxy, changing all the
// time, and call by call by our own proxy, which alone can tell that a call was done.
type storm struct {
	lines map[string]*faults.Line

	mu       sync.Mutex
	rng      *mathrand.Rand
	calls    int
	happened map[string]int // dependency and way → how often
}

// ways are by name what the network does; two thirds of the time nothing.
var ways = map[string]*faults.Weather{"slow": &faults.Slow, "reset": &faults.Reset, "unsent": &faults.Unsent, "deaf": &faults.Deaf, "mute": &faults.Mute, "torn": &faults.Torn}

// decide is the fate of one call of AWS: one in ten goes wrong.
func (s *storm) decide(c faults.Call) (fate faults.Fate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls++; s.rng.IntN(10) > 0 {
		return fate
	}
	way := ""
	switch s.rng.IntN(3) {
	case 0:
		way, fate.Status = "answered 500", http.StatusInternalServerError
	case 1:
		way, fate.Lost = "reset before", true
	default:
		way, fate.Cut = "reset after it was done", true
	}
	s.happened[c.Service+" "+way]++
	return fate
}

// blow changes the weather at one dependency until ctx ends, and leaves it fine. Some
// weather lasts longer than a function waits for an attempt.
func (s *storm) blow(ctx context.Context, t *testing.T, name string) {
	line, kinds := s.lines[name], slices.Sorted(maps.Keys(ways))
	defer line.Set(t, nil)
	for {
		s.mu.Lock()
		kind, fine := kinds[s.rng.IntN(len(kinds))], s.rng.IntN(3) > 0
		lasting := time.Duration(100+s.rng.IntN(400)) * time.Millisecond
		if !fine {
			s.happened[name+" "+kind]++
			if s.rng.IntN(30) == 0 {
				lasting = 6 * time.Second
			}
		}
		s.mu.Unlock()
		weather := ways[kind]
		if fine {
			weather = nil
		}
		line.Set(t, weather)
		select {
		case <-ctx.Done():
			return
		case <-time.After(lasting):
		}
	}
}

// witness is one person with a client that sends what it is told, and remembers what
// it was answered.
type witness struct {
	*stack.Person
	fleet  *fleet
	number int
	rng    *mathrand.Rand
	key    *rsa.PublicKey // for sealed uploads
	client string
	sent   *atomic.Int64

	n            int                // of what it has begun
	acknowledged map[string]float64 // id of a reading → its value
	abandoned    map[string]float64
	rides        map[string]string // start of an acknowledged recording → its id
	lostRides    map[string]bool   // starts of those that were abandoned
	research     bool              // what was said last, and acknowledged
	grants       map[string]bool   // acknowledged, and not taken back
	withdrawn    map[string]bool
	doubtful     int               // grants that may have been made
	shown        map[string]string // request id of each 2xx answer → action of its event
	answers      map[string]int
}

const (
	tries   = 60
	abandon = 10                     // each tenth upload is sent once
	pause   = 200 * time.Millisecond // of who was told to come back later; a test has less patience than Retry-After asks for
)

var errNeverAnswered = errors.New("not acknowledged in all its tries")

// until sends a request until good says that it is done, at most as often as it may; done
// says whether it is. Each refusal must be one that may be.
func (w *witness) until(t *testing.T, function, action string, e events.APIGatewayProxyRequest, most int, good func(stack.Answer) (bool, error)) (done bool, err error) {
	for range most {
		e.RequestContext.RequestID = newRequestID()
		w.sent.Add(1)
		a, err := w.fleet.invoke(t, function, e)
		if err != nil {
			w.answers[err.Error()]++
			continue
		}
		w.answers[fmt.Sprint(function, " ", a.Status)]++
		if a.Status < 300 {
			w.shown[e.RequestContext.RequestID] = action
		}
		if ok, err := good(a); ok || err != nil {
			return ok, err
		}
		if a.Status != http.StatusServiceUnavailable {
			return false, fmt.Errorf("%s of %s answered %d", action, function, a.Status)
		}
		if err := refusal(a, e); err != nil {
			return false, err
		}
		time.Sleep(pause)
	}
	return false, nil
}

// newRequestID is one as the gateway gives.
func newRequestID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// refusal is an error where an answer is not the problem that says: come back later. It
// is what RequireProblem asserts, which may not be called from here.
func refusal(a stack.Answer, e events.APIGatewayProxyRequest) error {
	want := fmt.Sprintf(`{"type":"https://fitvault.example/problems/unavailable","title":"Unavailable","status":503,"instance":%q}`, e.RequestContext.RequestID)
	after, err := strconv.Atoi(a.Header.Get("Retry-After"))
	if string(a.Body) != want || a.Header.Get("Content-Type") != "application/problem+json" || err != nil || after < 1 || after > 60 {
		return errors.New("a refusal is not of the one form, or shows more")
	}
	return nil
}

// step does one thing of those that people do.
func (w *witness) step(t *testing.T) error {
	w.n++
	switch r := w.rng.IntN(100); {
	case r < 28:
		return w.upload(t, false)
	case r < 34:
		return w.upload(t, true)
	case r < 46:
		return w.ride(t)
	case r < 62:
		return w.readAll(t)
	case r < 70:
		return w.listRides(t)
	case r < 78:
		return w.readRide(t)
	case r < 90:
		return w.readDays(t)
	case r < 95:
		return w.consent(t)
	default:
		return w.share(t)
	}
}

func status(want int) func(stack.Answer) (bool, error) {
	return func(a stack.Answer) (bool, error) { return a.Status == want, nil }
}

func (w *witness) most() int {
	if w.n%abandon == 0 {
		return 1
	}
	return tries
}

func (w *witness) upload(t *testing.T, sealed bool) error {
	points, texts := map[string]float64{}, []string(nil)
	for i := range 1 + w.n%4 {
		id, value := newUUID(0x100+w.number, w.n*10+i), float64(40+(w.number*7+w.n*3+i)%150)
		points[id] = value
		texts = append(texts, heartRate(id, day((w.n+i*5)%30).Add(time.Duration(w.n)*time.Second), fmt.Sprint(value), "beats/min"))
	}
	function, r := "IngestFunction", post(readings, mediaJSON, batch(texts...))
	if sealed {
		header := sealeduploadtest.Header(w.key, "fitvault/readings", w.ID, w.client, mediaJSON, time.Now())
		function, r = "IngestsealedFunction", post(sealedReadings, mediaJOSE, []byte(sealeduploadtest.Seal(w.key, header, batch(texts...))))
	}
	e := r.with("Idempotency-Key", fmt.Sprint("faults ", w.number, " ", w.n)).event(w.Person)
	done, err := w.until(t, function, "readings.write", e, w.most(), func(a stack.Answer) (bool, error) {
		if a.Status != http.StatusOK {
			return false, nil
		}
		var answer struct{ Results []struct{ Status, ID string } }
		if err := json.Unmarshal(a.Body, &answer); err != nil {
			return false, err
		}
		for _, r := range answer.Results {
			if _, sent := points[r.ID]; r.Status != "accepted" || !sent {
				return false, errors.New("acknowledged otherwise than asked")
			}
		}
		return len(answer.Results) == len(points), nil
	})
	kept := w.acknowledged
	if !done {
		if kept = w.abandoned; err == nil && w.most() == tries {
			err = errNeverAnswered
		}
	}
	maps.Copy(kept, points)
	return err
}

func (w *witness) ride(t *testing.T) error {
	at := day(w.n % 30).Add(time.Duration(w.n) * time.Second)
	e := post(recordings, mediaTCX, ride(at, "Biking", "")).with("Idempotency-Key", fmt.Sprint("faults ", w.number, " ", w.n)).event(w.Person)
	start := at.Format(time.RFC3339)
	done, err := w.until(t, "IngestFunction", "recordings.write", e, w.most(), func(a stack.Answer) (bool, error) {
		if a.Status != http.StatusCreated {
			return false, nil
		}
		var created struct{ ID, Start string }
		err := json.Unmarshal(a.Body, &created)
		if err == nil && (created.Start != start || created.ID == "") {
			err = errors.New("acknowledged otherwise than asked")
		}
		w.rides[start] = created.ID
		return true, err
	})
	if !done {
		if w.lostRides[start] = true; err == nil && w.most() == tries {
			err = errNeverAnswered
		}
	}
	return err
}

// readAll reads all readings on one page or more: what is answered with 200 is whole.
func (w *witness) readAll(t *testing.T) error {
	count, next := map[string]int{}, ""
	for {
		var page struct {
			Items []struct{ Header struct{ UUID string } }
			Next  string `json:"next_page_token"`
		}
		e := get(readings, "page_size=500"+next).event(w.Person)
		done, err := w.until(t, "ReadingsFunction", "readings.read", e, tries, func(a stack.Answer) (bool, error) {
			if a.Status != http.StatusOK {
				return false, nil
			}
			return true, json.Unmarshal(a.Body, &page)
		})
		if err != nil || !done {
			return errors.Join(err, map[bool]error{false: errNeverAnswered}[done])
		}
		for _, item := range page.Items {
			count[item.Header.UUID]++
		}
		if page.Next == "" {
			break
		}
		next = "&page_token=" + url.QueryEscape(page.Next)
	}
	return w.whole(count)
}

// whole is an error where readings are not there once that were acknowledged, or others
// are there that nobody sent.
func (w *witness) whole(count map[string]int) error {
	for id := range w.acknowledged {
		if count[id] != 1 {
			return fmt.Errorf("an acknowledged reading is there %d times", count[id])
		}
	}
	for id, n := range count {
		_, acknowledged := w.acknowledged[id]
		if _, abandoned := w.abandoned[id]; n != 1 || !acknowledged && !abandoned {
			return fmt.Errorf("a reading that was not acknowledged is there %d times", n)
		}
	}
	return nil
}

func (w *witness) listRides(t *testing.T) error {
	done, err := w.until(t, "ReadingsFunction", "recordings.read", get(recordings, "page_size=1000").event(w.Person), tries, func(a stack.Answer) (bool, error) {
		if a.Status != http.StatusOK {
			return false, nil
		}
		return true, w.ridesIn(a)
	})
	if err == nil && !done {
		err = errNeverAnswered
	}
	return err
}

// ridesIn is an error where a list of recordings is not what was sent.
func (w *witness) ridesIn(a stack.Answer) error {
	var page struct{ Items []struct{ ID, Start string } }
	if err := json.Unmarshal(a.Body, &page); err != nil {
		return err
	}
	count := map[string]int{}
	for _, item := range page.Items {
		count[item.Start]++
		if id := w.rides[item.Start]; id != item.ID && !w.lostRides[item.Start] {
			return errors.New("a recording that nobody was told of")
		}
	}
	for start := range w.rides {
		if count[start] != 1 {
			return fmt.Errorf("an acknowledged recording is there %d times", count[start])
		}
	}
	for _, n := range count {
		if n > 1 {
			return errors.New("a recording is there twice")
		}
	}
	return nil
}

func (w *witness) readRide(t *testing.T) error {
	for start, id := range w.rides {
		at, err := time.Parse(time.RFC3339, start)
		if err != nil {
			return err
		}
		e := request{method: http.MethodGet, resource: recorded, id: id}.with("Accept", mediaTCX).event(w.Person)
		done, err := w.until(t, "ReadingsFunction", "recordings.read", e, tries, func(a stack.Answer) (bool, error) {
			if a.Status == http.StatusOK && string(a.Body) != string(ride(at, "Biking", "")) {
				return false, errors.New("a recording is not what was sent")
			}
			return a.Status == http.StatusOK, nil
		})
		if err == nil && !done {
			err = errNeverAnswered
		}
		return err
	}
	return nil
}

func (w *witness) readDays(t *testing.T) error {
	done, err := w.until(t, "HistoryFunction", "days.read", get(days, "from=2026-03-01&to=2026-03-31").event(w.Person), tries, status(http.StatusOK))
	if err == nil && !done {
		err = errNeverAnswered
	}
	return err
}

func (w *witness) consent(t *testing.T) error {
	r := request{method: http.MethodPut, resource: consents, media: mediaJSON, body: fmt.Appendf(nil, `{"version":"1","given":%t}`, !w.research)}
	e := r.event(w.Person)
	e.PathParameters["purpose"] = "research"
	done, err := w.until(t, "EnrolFunction", "consents.write", e, tries, status(http.StatusOK))
	if err == nil && !done {
		err = errNeverAnswered
	}
	w.research = !w.research
	return err
}

// share gives a grant, or takes one back.
func (w *witness) share(t *testing.T) error {
	for id := range w.grants {
		if len(w.grants)+w.doubtful < 8 {
			break
		}
		e := request{method: http.MethodDelete, resource: oneGrant, id: id}.event(w.Person)
		done, err := w.until(t, "SharingFunction", "sharing.withdraw", e, tries, func(a stack.Answer) (bool, error) {
			return a.Status == http.StatusNoContent || a.Status == http.StatusNotFound, nil // there is none: it was done, and the answer lost
		})
		if err == nil && !done {
			err = errNeverAnswered
		}
		delete(w.grants, id)
		w.withdrawn[id] = true
		return err
	}
	if w.doubtful > 8 {
		return nil // there is no room for more
	}
	permit := `{"types":["omh:heart-rate"],"access":["read"],"purpose":"family","until":"` + time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339) + `"}`
	e := post(grants, mediaJSON, []byte(permit)).event(w.Person)
	done, err := w.until(t, "SharingFunction", "sharing.give", e, 1, func(a stack.Answer) (bool, error) {
		var made struct{ ID string }
		if a.Status != http.StatusCreated {
			return false, nil
		}
		err := json.Unmarshal(a.Body, &made)
		w.grants[made.ID] = true
		return true, err
	})
	if !done {
		w.doubtful++ // it has no idempotency key: who hears nothing looks into the list
	}
	return err
}

// TestFaults: while every dependency fails in every way, people send, read and share.
// What was acknowledged is there once, what was shown has its one event, no answer
// shows more than the one form of a refusal.
func TestFaults(t *testing.T) {
	if !whole {
		t.Skip("it takes minutes, and all of a small machine: make attack")
	}
	s := stack.Open(t)
	s.UseDatabase(t)
	st := &storm{lines: map[string]*faults.Line{}, rng: mathrand.New(mathrand.NewPCG(34, uint64(time.Now().UnixNano()))), happened: map[string]int{}}
	proxy := faults.New(t, s.Endpoints.AWS, s.Outputs, st.decide)
	upstream, err := url.Parse(proxy.URL)
	require.NoError(t, err)
	settings := map[string]string{}
	for name, variable := range map[string]string{"DynamoDB": "DYNAMODB", "KMS": "KMS", "S3": "S3", "SSM": "SSM"} {
		st.lines[name] = faults.NewLine(t, name, upstream.Host)
		settings["AWS_ENDPOINT_URL_"+variable] = "http://" + st.lines[name].Address
	}
	st.lines["PostgreSQL"] = faults.NewLine(t, "PostgreSQL", fmt.Sprintf("%s:%d", s.Database.Host, s.Database.Port))
	_, settings["DATABASE_PORT"], err = net.SplitHostPort(st.lines["PostgreSQL"].Address)
	require.NoError(t, err)

	f := &fleet{endpoint: "http://127.0.0.1:1", within: 12 * time.Second, recycled: 40} // no service but those four
	for function, n := range map[string]int{"IngestFunction": 4, "IngestsealedFunction": 2, "ReadingsFunction": 4, "HistoryFunction": 2, "EnrolFunction": 1, "SharingFunction": 1} {
		code := bootstrap.Deployed(t, s, s.Output(t, function))
		for name, value := range settings {
			code = code.With(name, value)
		}
		f.station(function, code, n*size(1, 2))
	}

	var sent atomic.Int64
	key := uploadKey(t, s)
	witnesses := make([]*witness, size(4, 24))
	for i := range witnesses {
		p := s.Newcomer(t)
		require.Equal(t, http.StatusOK, p.Do(t, http.MethodPut, "/users/me/consents/sharing", []byte(`{"version":"1","given":true}`), "Content-Type", mediaJSON).Status)
		witnesses[i] = &witness{Person: p, fleet: f, number: i, rng: mathrand.New(mathrand.NewPCG(35, uint64(i))), key: key, client: s.Clients["app"].ID, sent: &sent,
			acknowledged: map[string]float64{}, abandoned: map[string]float64{}, rides: map[string]string{}, lostRides: map[string]bool{},
			grants: map[string]bool{}, withdrawn: map[string]bool{}, shown: map[string]string{}, answers: map[string]int{}}
	}

	ctx, calm := context.WithCancel(t.Context())
	var weather, wait sync.WaitGroup
	for name := range st.lines {
		weather.Go(func() { st.blow(ctx, t, name) })
	}
	errs := make([]error, len(witnesses))
	for i, w := range witnesses {
		wait.Go(func() {
			for errs[i] == nil && sent.Load() < int64(size(100, 10_000)) {
				errs[i] = w.step(t)
			}
		})
	}
	wait.Wait()
	calm()
	weather.Wait()

	answers := map[string]int{}
	for _, w := range witnesses {
		for answer, n := range w.answers {
			answers[answer] += n
		}
	}
	t.Logf("%d requests, %d calls; what happened to them: %v", sent.Load(), st.calls, st.happened)
	t.Logf("answers: %v", answers)
	for i := range witnesses {
		require.NoError(t, errs[i])
	}
	for name := range st.lines {
		require.NotZero(t, sum(st.happened, name), "nothing happened at %s", name)
	}

	events := allowedEvents(t, s)
	for _, w := range witnesses {
		w.settled(t, events)
	}
}

// settled requires, when all is well again, what was promised during the storm.
func (w *witness) settled(t *testing.T, of map[string][]auditlog.Event) {
	count, value := readBack(t, w.Person, "")
	require.NoError(t, w.whole(count))
	for _, sent := range []map[string]float64{w.acknowledged, w.abandoned} {
		for id, v := range sent {
			if count[id] > 0 {
				require.Equal(t, v, value[id])
			}
		}
	}
	list := w.Do(t, http.MethodGet, "/users/me/recordings?page_size=1000", nil)
	require.NoError(t, w.ridesIn(list))
	var rides struct{ Items []json.RawMessage }
	list.JSON(t, &rides)
	w.counted(t, map[string]int{"omh:heart-rate": len(count), "fitvault:trackpoint": len(rides.Items)}) // a ride has one

	var said struct{ Given bool }
	a := w.Do(t, http.MethodGet, "/users/me/consents/research", nil)
	if a.Status == http.StatusOK {
		a.JSON(t, &said)
	} else {
		a.RequireProblem(t, fault.NotFound)
	}
	require.Equal(t, w.research, said.Given)

	var listed struct{ Items []struct{ ID string } }
	w.Do(t, http.MethodGet, "/users/me/grants", nil).JSON(t, &listed)
	known := 0
	for _, g := range listed.Items {
		require.False(t, w.withdrawn[g.ID], "a grant that was taken back")
		if w.grants[g.ID] {
			known++
		}
	}
	require.Equal(t, len(w.grants), known, "acknowledged grants")
	require.LessOrEqual(t, len(listed.Items)-known, w.doubtful)

	for id, action := range w.shown {
		require.Len(t, of[id], 1, "%s was answered", action)
		require.Equal(t, action, of[id][0].Action)
		require.Equal(t, w.ID, of[id][0].Owner)
	}
}

// counted requires that days say soon that there are so many of each type: none is missing
// there either, and none counted twice.
func (w *witness) counted(t *testing.T, want map[string]int) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		got, query := map[string]int{}, "&page_size=31"
		for query != "" {
			a, err := w.Try(t, http.MethodGet, "/users/me/days?from=2026-03-01&to=2026-03-31"+query, nil)
			require.NoError(c, err)
			require.Equal(c, http.StatusOK, a.Status)
			var page struct {
				Items []struct {
					Type  string
					Count int
				}
				Next string `json:"next_page_token"`
			}
			require.NoError(c, json.Unmarshal(a.Body, &page))
			for _, item := range page.Items {
				got[item.Type] += item.Count
			}
			if query = ""; page.Next != "" {
				query = "&page_size=31&page_token=" + page.Next
			}
		}
		for kind, n := range want {
			require.Equal(c, n, got[kind])
		}
	}, 2*time.Minute, time.Second)
}

// allowedEvents are the audit events of requests that were let in, by request. A fault must
// not look as if somebody had altered something: there is no alarm.
func allowedEvents(t *testing.T, s *stack.Stack) map[string][]auditlog.Event {
	t.Helper()
	all := map[string][]auditlog.Event{}
	for _, item := range s.Items(t, s.Output(t, "AuditEventsTable"), "", "") {
		if _, ok := item["request"].(*types.AttributeValueMemberB); !ok {
			continue
		}
		e, err := dynamo.DecodeEvent(item)
		require.NoError(t, err)
		if e.Outcome != auditlog.Refused {
			all[e.Request] = append(all[e.Request], e)
		}
	}
	return all
}

// uploadKey is the key that uploads are sealed to, as the service publishes it.
func uploadKey(t *testing.T, s *stack.Stack) *rsa.PublicKey {
	t.Helper()
	response, err := s.Client().Get(s.API + "/.well-known/jwks.json")
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	var set jose.JSONWebKeySet
	require.NoError(t, json.NewDecoder(response.Body).Decode(&set))
	for _, k := range set.Keys {
		if public, ok := k.Key.(*rsa.PublicKey); ok && k.Use == "enc" {
			return public
		}
	}
	t.Fatal("no key for uploads is published")
	return nil
}
