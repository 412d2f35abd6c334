package attack

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/attack/bootstrap"
	"fitvault/e2e/stack"
	"fitvault/shared/fault"
)

// TestLimits: a person who asks for more than his limits is told when to come back,
// by each process of a function alike, and gets in when he does; others notice
// nothing. The deployed limits are higher than a test can reach, so these are
// processes of the deployed code with lower ones, on the deployed table.
func TestLimits(t *testing.T) {
	s := stack.Open(t)
	code := bootstrap.Deployed(t, s, s.Output(t, "EnrolFunction")).With("USER_LIMIT", "30").With("DEVICE_LIMIT", "20").With("ADDRESS_LIMIT", "10")
	var processes []*bootstrap.Process
	for range 2 {
		p, err := code.Start(t, s.Endpoints.AWS)
		require.NoError(t, err)
		processes = append(processes, p)
	}
	n := 0
	send := func(e events.APIGatewayProxyRequest) stack.Answer {
		n++
		a, err := processes[n%2].Invoke(e, patience)
		require.NoError(t, err)
		return a
	}
	guest, other := s.Newcomer(t), s.Newcomer(t)
	ask := func(p *stack.Person) stack.Answer {
		return send(request{method: http.MethodGet, resource: standing}.event(p))
	}
	left := func(a stack.Answer, bucket string) (left int) {
		_, after, found := strings.Cut(a.Header.Get("RateLimit"), fmt.Sprintf("%q;r=", bucket))
		require.True(t, found)
		text, _, _ := strings.Cut(after, ";")
		left, err := strconv.Atoi(text)
		require.NoError(t, err)
		return left
	}

	began, answered := time.Now(), 0
	a := ask(guest)
	require.Equal(t, `"user";q=30;w=60, "device";q=20;w=60`, a.Header.Get("RateLimit-Policy"))
	for ; a.Status == http.StatusOK; a = ask(guest) {
		answered++
		require.LessOrEqual(t, left(a, "device"), 20-answered+int(time.Since(began).Seconds()/3)+1)
		require.Less(t, answered, 60, "nobody counts")
	}
	allowed := 20 + time.Since(began).Seconds()/3
	require.InDelta(t, allowed, answered, 1)
	a.RequireProblem(t, fault.TooMany)
	require.Zero(t, left(a, "device"))
	require.Positive(t, left(a, "user"))
	after, err := strconv.Atoi(a.Header.Get("Retry-After"))
	require.NoError(t, err)
	require.InDelta(t, 2, after, 1, "one request comes back every three seconds")
	require.Equal(t, http.StatusOK, ask(other).Status)
	require.Equal(t, http.StatusOK, ask(other).Status, "by the other process")

	time.Sleep(time.Duration(after) * time.Second)
	require.Equal(t, http.StatusOK, ask(guest).Status, "who waits as he is told gets in")
	require.Equal(t, http.StatusOK, guest.Do(t, http.MethodGet, "/users/me/consents", nil).Status, "through the gateway, whose limits are others")

	// Failures to be anybody, from one address; others there go on.
	stranger := request{method: http.MethodGet, resource: standing}.event(other)
	stranger.Headers["Authorization"], stranger.MultiValueHeaders["Authorization"] = "Bearer x", []string{"Bearer x"}
	n64 := time.Now().UnixNano() // a network that no earlier run was
	stranger.RequestContext.Identity.SourceIP = fmt.Sprintf("2001:db8:%x:%x::1", n64>>16&0xffff, n64&0xffff)
	failures := 0
	for a = send(stranger); a.Status == http.StatusUnauthorized; a = send(stranger) {
		failures++
		require.Less(t, failures, 30, "nobody counts")
	}
	require.InDelta(t, 10, failures, 2)
	a.RequireProblem(t, fault.TooMany)
	require.Empty(t, a.Header.Get("RateLimit"))
	good := request{method: http.MethodGet, resource: standing}.event(other)
	good.RequestContext.Identity.SourceIP = stranger.RequestContext.Identity.SourceIP
	require.Equal(t, http.StatusOK, send(good).Status)
	for _, p := range processes {
		require.NotContains(t, p.Output(), "2001:db8")
		require.NotContains(t, p.Output(), "uncounted")
	}
}

// TestAppsLimit: people of one app may ask for so much together, whichever process they
// ask; other apps notice nothing. The app is the test's own, as its bucket is.
func TestAppsLimit(t *testing.T) {
	s := stack.Open(t)
	client, key := "attack"+strings.ToLower(rand.Text()), rand.Text()+rand.Text()
	letIn(t, s, client, key)
	code := bootstrap.Deployed(t, s, s.Output(t, "EnrolFunction")).With("CLIENT_LIMIT", "60")
	var processes []*bootstrap.Process
	for range 2 {
		p, err := code.Start(t, s.Endpoints.AWS)
		require.NoError(t, err)
		processes = append(processes, p)
	}
	var people []*stack.Person
	for range 4 {
		people = append(people, s.As(t, key, map[string]any{"sub": rand.Text(), "client_id": client}))
	}
	n := 0
	ask := func() stack.Answer {
		n++
		e := request{method: http.MethodGet, resource: consents}.event(people[n/2%4])
		a, err := processes[n%2].Invoke(e, patience)
		require.NoError(t, err)
		return a
	}
	began, answered := time.Now(), 0
	last := began // when the one that was refused began
	a := ask()
	for ; a.Status == http.StatusOK; a = ask() {
		answered, last = answered+1, time.Now()
		require.Less(t, answered, 200, "nobody counts")
	}
	require.LessOrEqual(t, float64(answered), 61+time.Since(began).Seconds())
	require.GreaterOrEqual(t, float64(answered), 58+last.Sub(began).Seconds(), "a clock may be a second behind")
	a.RequireProblem(t, fault.TooMany, client, key)
	require.Equal(t, `"user";q=100000;w=60, "device";q=100000;w=60`, a.Header.Get("RateLimit-Policy"))
	after, err := strconv.Atoi(a.Header.Get("Retry-After"))
	require.NoError(t, err)
	require.InDelta(t, 5, after, 4)
	a, err = processes[0].Invoke(request{method: http.MethodGet, resource: consents}.event(s.Newcomer(t)), patience)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, a.Status, "another app")
	time.Sleep(time.Duration(after) * time.Second)
	require.Equal(t, http.StatusOK, ask().Status, "who waits as he is told gets in")
}

// TestDeployedFieldsOfLimits: what the deployed functions say through the gateway.
func TestDeployedFieldsOfLimits(t *testing.T) {
	p := stack.Open(t).Newcomer(t)
	a := p.Do(t, http.MethodGet, "/users/me/consents", nil)
	require.Equal(t, `"user";q=100000;w=60, "device";q=100000;w=60`, a.Header.Get("RateLimit-Policy"))
	require.Regexp(t, `^"user";r=99\d+;t=\d, "device";r=99\d+;t=\d$`, a.Header.Get("RateLimit"))
}
