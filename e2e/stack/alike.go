package stack

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
)

// rounds is how often a caller of RequireAlike sends each request before he is another
// one: who is refused is soon told to wait, or has used up his tries of a tracker.
const rounds = 5

// RequireAlike requires that requests are refused with the same NotFound: status,
// headers, body and sizes. Where it is timed, and in full (make attack), each is sent
// 1,000 times, and the times must be the same within the noise, too: sent in turns, so
// that the machine's moods are everybody's, their medians may differ by half of what the
// middle half of the first one's spreads over. The first is what the others are held against.
func RequireAlike(t *testing.T, timed bool, caller func() *Person, first string, requests map[string]func(*Person) Answer) {
	t.Helper()
	form := func(a Answer) string {
		id := a.RequireProblem(t, fault.NotFound)
		var names []string
		for name, values := range a.Header {
			if name != "Date" && name != "Ratelimit" { // how often he has asked
				names = append(names, fmt.Sprint(name, len(strings.Join(values, ""))))
			}
		}
		slices.Sort(names)
		return fmt.Sprint(a.Status, strings.ReplaceAll(string(a.Body), id, ""), len(a.Body), names)
	}
	one := caller()
	want := form(requests[first](one))
	for name, send := range requests {
		require.Equal(t, want, form(send(one)), name)
	}
	if !timed {
		return
	}
	if !Whole {
		t.Skip("the times of 1,000 tries are part of make attack")
	}
	times := map[string][]time.Duration{}
	for n := range 1000 {
		if n%rounds == 0 {
			one = caller()
		}
		for name, send := range requests {
			began := time.Now()
			a := send(one)
			times[name] = append(times[name], time.Since(began))
			require.Equal(t, want, form(a), name)
		}
	}
	quarter := func(name string, n int) time.Duration { return times[name][len(times[name])*n/4] }
	for name := range times {
		slices.Sort(times[name])
	}
	noise := quarter(first, 3) - quarter(first, 1)
	for name := range times {
		difference := quarter(name, 2) - quarter(first, 2)
		t.Logf("%s: median %v, %v from that of %s, whose middle half spreads over %v", name, quarter(name, 2), difference, first, noise)
		require.Less(t, difference.Abs(), noise/2, name)
	}
}
