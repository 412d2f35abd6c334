package days

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
)

// zones are offsets far apart: the UTC day is the civil day before, the same, or
// the one after.
var zones = []*time.Location{time.UTC, time.FixedZone("", 14*3600), time.FixedZone("", -12*3600), time.FixedZone("", 2*3600), time.FixedZone("", -5*3600-1800)}

// some makes n points of several types, units and offsets within a week.
func some(rng *rand.Rand, prefix string, n int) (points []string) {
	for i := range n {
		at := time.Date(2026, 5, 1+rng.IntN(7), 0, 0, rng.IntN(86_400), 0, time.UTC).In(zones[rng.IntN(len(zones))]).Format(time.RFC3339)
		id := fmt.Sprint(prefix, i)
		switch rng.IntN(5) {
		case 0:
			points = append(points, point(id, "body-weight", "2.0", at, fmt.Sprintf(`{"value":%d.%02d,"unit":"kg"}`, 60+rng.IntN(20), rng.IntN(100))))
		case 1:
			points = append(points, point(id, "body-weight", "2.0", at, fmt.Sprintf(`{"value":%d,"unit":"lb"}`, 150+rng.IntN(20))))
		case 2:
			points = append(points, point(id, "step-count", "2.0", at, fmt.Sprint(rng.IntN(2000))))
		case 3:
			points = append(points, point(id, "sleep-duration", "2.0", at, fmt.Sprintf(`{"value":%d.1,"unit":"h"}`, rng.IntN(10))))
		default:
			points = append(points, point(id, "heart-rate", "2.0", at, fmt.Sprintf(`{"value":%d,"unit":"beats/min"}`, 50+rng.IntN(100))))
		}
	}
	return points
}

// TestDaysAreARecount: several types, units and offsets, midnights crossed, two
// clients, corrections, copies and recordings.
func TestDaysAreARecount(t *testing.T) {
	s := stack.Open(t)
	s.UseDatabase(t)
	p := s.Newcomer(t)
	rng := rand.New(rand.NewPCG(4, 5))
	first := some(rng, "a", 300)
	send(t, p, first...)
	record(t, p, "2026-05-04T05:25:00Z", "2026-05-04T05:26:00Z", "2026-05-04T05:27:00Z")
	record(t, p, "2026-05-04T15:25:00Z")
	record(t, p, "2026-05-04T23:59:00Z", "2026-05-05T00:01:00Z") // across midnight
	t.Logf("right after %v", requireRight(t, p, "2026-04-29", "2026-05-10"))

	send(t, p, some(rng, "b", 100)...)
	send(t, p, first[:50]...) // again, with other keys: the same records
	corrections := []string{
		point("a0", "heart-rate", "2.0", "2026-05-04T10:00:00Z", `{"value":199,"unit":"beats/min"}`),
		point("same", "heart-rate", "2.0", "2026-05-04T23:59:59-12:00", `{"value":71,"unit":"beats/min"}`),
	}
	send(t, p, corrections...)
	send(t, p.By(t, "partner"), point("same", "heart-rate", "2.0", "2026-05-04T23:59:59-12:00", `{"value":72,"unit":"beats/min"}`),
		point("theirs", "heart-rate", "2.0", "2026-05-05T00:00:00+14:00", `{"value":60,"unit":"beats/min"}`))
	t.Logf("right after %v", requireRight(t, p, "2026-04-29", "2026-05-10"))
}

// TestDatabaseDown: intake and raw reads go on, days answer 503 meanwhile, and
// are right soon after.
func TestDatabaseDown(t *testing.T) {
	s := stack.Open(t)
	p := s.Newcomer(t)
	rng := rand.New(rand.NewPCG(6, 7))
	send(t, p, some(rng, "a", 20)...)
	requireRight(t, p, "2026-04-29", "2026-05-10")

	start := s.StopDatabase(t)
	for i := range 5 {
		send(t, p, some(rng, fmt.Sprint("b", i), 20)...)
		a := p.Do(t, http.MethodGet, "/users/me/readings", nil)
		require.Equal(t, http.StatusOK, a.Status)
	}
	record(t, p, "2026-05-04T05:25:00Z")
	a := p.Do(t, http.MethodGet, "/users/me/days?from=2026-05-01&to=2026-05-10", nil)
	require.Equal(t, http.StatusServiceUnavailable, a.Status, string(a.Body))
	require.Regexp(t, `^[2-9]$`, a.Header.Get("Retry-After"))
	require.Equal(t, "application/problem+json", a.Header.Get("Content-Type"))
	start()
	t.Logf("right %v after the database came back", requireRight(t, p, "2026-04-29", "2026-05-10"))
}
