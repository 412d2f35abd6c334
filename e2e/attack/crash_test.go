package attack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/attack/bootstrap"
	"fitvault/e2e/attack/faults"
	"fitvault/e2e/stack"
)

const patience = 20 * time.Second

// boundary is a place where a function can die: before its n-th write reaches
// AWS, or after AWS has answered it.
type boundary struct {
	write int
	after bool
}

func (b boundary) String() string {
	if b.after {
		return fmt.Sprintf("after write %d", b.write)
	}
	return fmt.Sprintf("before write %d", b.write)
}

// mortal is a proxy that notes each write and kills the process at a boundary.
type mortal struct {
	*faults.Proxy
	mu     sync.Mutex
	victim *bootstrap.Process // nil: nobody is killed
	at     boundary
	writes []string
}

func newMortal(t *testing.T, s *stack.Stack) *mortal {
	m := &mortal{}
	m.Proxy = faults.New(t, s.Endpoints.AWS, s.Outputs, m.decide)
	return m
}

// aim makes a process the victim, or nobody, and forgets what was noted.
func (m *mortal) aim(victim *bootstrap.Process, at boundary) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.victim, m.at, m.writes = victim, at, nil
}

func (m *mortal) noted() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.writes)
}

func (m *mortal) decide(c faults.Call) faults.Fate {
	m.mu.Lock()
	defer m.mu.Unlock()
	again := c.Name == lease && slices.Contains(m.writes, lease) // others of the app were faster
	if !c.Write || again {
		return faults.Fate{}
	}
	m.writes = append(m.writes, c.Name)
	if m.victim == nil || len(m.writes)-1 != m.at.write {
		return faults.Fate{}
	}
	if m.at.after {
		return faults.Fate{After: m.victim.Kill, Cut: true}
	}
	return faults.Fate{Before: m.victim.Kill, Lost: true}
}

// sending is one kind of request that stores something, by number: no two share
// a day, so what came of each can be read back by itself.
type sending struct {
	name   string
	long   bool     // left out of the short form
	writes []string // that it takes, in the order of design.md
	make   func(n int) request
	// answered requires the answer that the deployed rules give.
	answered func(t *testing.T, n int, a stack.Answer)
	// refused requires that newer rules, below, give another.
	refused func(t *testing.T, n int, a stack.Answer)
	// stored requires that it is there exactly once.
	stored func(t *testing.T, s *stack.Stack, p *stack.Person, n int)
}

// daysOf is how many days each request of readings is about.
const daysOf = 3

var sendings = []sending{
	{
		name:   "readings",
		writes: []string{charge, lease, "PutItem RequestsTable", "PutItem AuditEventsTable", "PutItem ReadingsTable", "PutItem ReadingsTable", "PutItem ReadingsTable"},
		make: func(n int) request {
			var points []string
			for i := range daysOf {
				points = append(points, heartRate(newUUID(1, n*10+i), day(n*daysOf+i), "71.5", "beats/min"))
			}
			points = slices.Insert(points, 1, heartRate(newUUID(1, n*10+9), day(n*daysOf), "72.5", "bpm"))
			return post(readings, mediaJSON, batch(points...)).with("Idempotency-Key", fmt.Sprint("crash ", n))
		},
		answered: func(t *testing.T, n int, a stack.Answer) {
			require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
			id := func(i int) string { return newUUID(1, n*10+i) }
			require.JSONEq(t, `{"results":[{"index":0,"status":"accepted","id":"`+id(0)+`"},
				{"index":1,"status":"invalid","pointer":"/body/heart_rate/unit","rule":"enum"},
				{"index":2,"status":"accepted","id":"`+id(1)+`"},{"index":3,"status":"accepted","id":"`+id(2)+`"}]}`, string(a.Body))
		},
		refused: func(t *testing.T, n int, a stack.Answer) {
			require.JSONEq(t, `{"results":[{"index":0,"status":"invalid","pointer":"/body/heart_rate/unit","rule":"enum"},
				{"index":1,"status":"accepted","id":"`+newUUID(1, n*10+9)+`"},
				{"index":2,"status":"invalid","pointer":"/body/heart_rate/unit","rule":"enum"},
				{"index":3,"status":"invalid","pointer":"/body/heart_rate/unit","rule":"enum"}]}`, string(a.Body))
		},
		stored: func(t *testing.T, s *stack.Stack, p *stack.Person, n int) {
			count, _ := readBack(t, p, between(n*daysOf, (n+1)*daysOf))
			require.Equal(t, map[string]int{newUUID(1, n*10): 1, newUUID(1, n*10+1): 1, newUUID(1, n*10+2): 1}, count)
			blocks := map[string]int{}
			for _, item := range s.Items(t, s.Output(t, "ReadingsTable"), "owner", p.ID) {
				day, _, _ := strings.Cut(text(item["item"]), "#")
				blocks[day]++
			}
			for i := range daysOf {
				require.Equal(t, 1, blocks[day(n*daysOf+i).Format(time.DateOnly)])
			}
		},
	},
	{
		name:   "a data series",
		long:   true, // it goes the way of other readings
		writes: []string{charge, lease, "PutItem RequestsTable", "PutItem AuditEventsTable", "PutItem ReadingsTable", "PutItem ReadingsTable", "PutItem ReadingsTable"},
		make: func(n int) request {
			var points []string
			for i := range daysOf {
				points = append(points, heartRate(newUUID(1, n*10), day(n*daysOf+i), "71.5", "beats/min"))
			}
			points = slices.Insert(points, 1, heartRate(newUUID(1, n*10), day(n*daysOf), "72.5", "bpm"))
			return post(readings, mediaJSON, series(points...)).with("Idempotency-Key", fmt.Sprint("crash ", n))
		},
		answered: func(t *testing.T, n int, a stack.Answer) {
			require.Equal(t, http.StatusOK, a.Status, "%s", a.Body)
			id := newUUID(1, n*10)
			require.JSONEq(t, `{"results":[{"index":0,"status":"accepted","id":"`+id+`"},
				{"index":1,"status":"invalid","pointer":"/body/heart_rate/unit","rule":"enum"},
				{"index":2,"status":"accepted","id":"`+id+`"},{"index":3,"status":"accepted","id":"`+id+`"}]}`, string(a.Body))
		},
		refused: func(t *testing.T, n int, a stack.Answer) {
			require.Equal(t, 3, strings.Count(string(a.Body), `"invalid"`), "%s", a.Body)
		},
		stored: func(t *testing.T, s *stack.Stack, p *stack.Person, n int) {
			count, _ := readBack(t, p, between(n*daysOf, (n+1)*daysOf))
			require.Equal(t, map[string]int{newUUID(1, n*10): daysOf}, count)
		},
	},
	{
		name:   "a recording",
		writes: []string{charge, lease, "PutItem RequestsTable", "PutItem AuditEventsTable", "PutObject DocumentsBucket", "PutItem ReadingsTable, index entry"},
		make: func(n int) request {
			return post(recordings, mediaTCX, ride(day(n), "Biking", "")).with("Idempotency-Key", fmt.Sprint("crash ", n))
		},
		answered: func(t *testing.T, n int, a stack.Answer) {
			require.Equal(t, http.StatusCreated, a.Status, "%s", a.Body)
			var created struct{ Sport, Start string }
			a.JSON(t, &created)
			require.Equal(t, "Biking", created.Sport)
			require.Equal(t, day(n).Format(time.RFC3339), created.Start)
		},
		refused: func(t *testing.T, _ int, a stack.Answer) { require.Equal(t, http.StatusUnprocessableEntity, a.Status) },
		stored: func(t *testing.T, s *stack.Stack, p *stack.Person, n int) {
			a := p.Do(t, http.MethodGet, "/users/me/recordings?page_size=1000", nil)
			var page struct{ Items []struct{ ID, Start string } }
			a.JSON(t, &page)
			var found []string
			for _, item := range page.Items {
				if item.Start == day(n).Format(time.RFC3339) {
					found = append(found, item.ID)
				}
			}
			require.Len(t, found, 1)
			original := p.Do(t, http.MethodGet, "/users/me/recordings/"+found[0], nil, "Accept", mediaTCX)
			require.Equal(t, string(ride(day(n), "Biking", "")), string(original.Body))
		},
	},
}

// What the limiter writes before anything is decided: of the caller and, by a process that
// holds no lease yet, of his app.
const (
	charge = "UpdateItem RequestsTable"
	lease  = charge + ", lease"
)

// TestKilledAtEachWrite: wherever ingest is killed while it takes a request in,
// the same request again is answered as if nothing had been, by the rules that
// decided it first, and each of its records is there exactly once.
func TestKilledAtEachWrite(t *testing.T) {
	s := stack.Open(t)
	deployed := bootstrap.Deployed(t, s, s.Output(t, "IngestFunction"))
	newer := deployed
	newer.Program = withNewerRules(t)
	m := newMortal(t, s)
	p := s.Newcomer(t)
	start := func(t *testing.T, c bootstrap.Code) *bootstrap.Process {
		started, err := c.Start(t, m.URL)
		require.NoError(t, err)
		return started
	}
	invoke := func(t *testing.T, to *bootstrap.Process, e events.APIGatewayProxyRequest) stack.Answer {
		a, err := to.Invoke(e, patience)
		require.NoError(t, err, "%s", to.Output())
		return a
	}
	heirs := []*bootstrap.Process{start(t, deployed), start(t, newer)} // they take over from those that are killed
	n := 0
	for _, sending := range sendings {
		if sending.long && !whole {
			continue
		}
		t.Run(sending.name, func(t *testing.T) {
			// What it takes when nothing happens, and that newer rules would decide otherwise.
			n++
			m.aim(nil, boundary{})
			sending.answered(t, n, invoke(t, start(t, deployed), sending.make(n).event(p)))
			require.Equal(t, sending.writes, m.noted())
			sending.stored(t, s, p, n)
			n++
			sending.refused(t, n, invoke(t, heirs[1], sending.make(n).event(p)))

			var boundaries []boundary
			for i := range sending.writes {
				boundaries = append(boundaries, boundary{i, false}, boundary{i, true})
			}
			for _, at := range boundaries {
				for rules, heir := range heirs {
					switch decided := at.write > 2 || at == (boundary{2, true}); { // by the manifest, after both charges
					case rules == 1 && !decided:
						continue // there is nothing that newer rules could overturn
					case rules == 0 && decided && !whole:
						continue // who passes with newer rules passes with the same
					}
					n++
					name := at.String() + ", " + sending.writes[at.write] + []string{"", ", then newer rules"}[rules]
					t.Run(name, func(t *testing.T) {
						e := sending.make(n).event(p)
						victim := start(t, deployed)
						m.aim(victim, at)
						_, err := victim.Invoke(e, patience)
						require.ErrorIs(t, err, bootstrap.ErrEnded)

						m.aim(nil, boundary{})
						first := invoke(t, heir, e)
						sending.answered(t, n, first)
						require.Equal(t, string(first.Body), string(invoke(t, heir, e).Body))
						sending.stored(t, s, p, n)
					})
				}
			}
		})
	}
}

// withNewerRules builds ingest as a later release might be: another rule set, in
// which what was good is invalid and the other way round. The sources stay as
// they are; the compiler is shown others in their place.
func withNewerRules(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	replace := map[string]string{}
	for file, change := range map[string][2]string{
		"shared/intake/intake.go":                            {`const Rules = "`, `const Rules = "newer than `},
		"shared/openmhealth/schemas/omh/heart-rate-2.0.json": {`"beats/min"`, `"bpm"`},
		"shared/tcx/xsd/TrainingCenterDatabasev2.xsd":        {`"Biking"`, `"Cycling"`},
	} {
		file = filepath.Join(root, file)
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(source), change[0])
		replace[file] = filepath.Join(t.TempDir(), filepath.Base(file))
		require.NoError(t, os.WriteFile(replace[file], []byte(strings.ReplaceAll(string(source), change[0], change[1])), 0o600))
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "overlay.json")
	require.NoError(t, os.WriteFile(file, overlay, 0o600))
	program := filepath.Join(t.TempDir(), "bootstrap")
	build := exec.CommandContext(t.Context(), "go", "build", "-overlay", file, "-trimpath", "-buildvcs=false", "-ldflags=-s", "-tags", "lambda.norpc", "-o", program, "./functions/ingest")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFIPS140=v1.0.0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}
