package boot

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/stretchr/testify/require"
)

// asking is a client of a service that answers every request by h.
func asking(t *testing.T, within time.Duration, h http.HandlerFunc) (ask func(context.Context) error, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		h(w, r)
	}))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	for name, value := range map[string]string{"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "a secret of some length",
		"AWS_ENDPOINT_URL": server.URL} {
		t.Setenv(name, value)
	}
	loaded := Load(t.Context()).Config()
	require.NotNil(t, loaded.Retryer)
	loaded.HTTPClient = transport(within)
	client := ssm.NewFromConfig(loaded)
	return func(ctx context.Context) error {
		_, err := client.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String("/p")})
		return err
	}, asked
}

// TestAPeerThatSaysNothing holds a call for three attempts and no longer, and for less
// where its caller has less time.
func TestAPeerThatSaysNothing(t *testing.T) {
	over := make(chan struct{})
	ask, asked := asking(t, 100*time.Millisecond, func(http.ResponseWriter, *http.Request) { <-over })
	t.Cleanup(func() { close(over) }) // before the server ends, which waits for its handlers
	began := time.Now()
	require.Error(t, ask(t.Context()))
	require.EqualValues(t, attempts, asked.Load())
	require.Less(t, time.Since(began), 3*time.Second)

	asked.Store(0)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, ask(ctx), context.DeadlineExceeded)
	require.LessOrEqual(t, asked.Load(), int64(1))
}

// TestRetriesHaveABudget: a service that is down is asked hardly more often than
// it would be without retries.
func TestRetriesHaveABudget(t *testing.T) {
	ask, asked := asking(t, time.Second, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	const calls, cost = 30, 5
	for range calls {
		require.Error(t, ask(t.Context()))
	}
	require.EqualValues(t, calls+retryTokens/cost, asked.Load())
	var spent ratelimit.QuotaExceededError
	require.ErrorAs(t, ask(t.Context()), &spent)
}

// TestAttemptsOfTheEnvironment: a test's process may see every failure (e2e/attack).
func TestAttemptsOfTheEnvironment(t *testing.T) {
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	ask, asked := asking(t, time.Second, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	require.Error(t, ask(t.Context()))
	require.EqualValues(t, 1, asked.Load())
}

func TestDelay(t *testing.T) {
	require.Zero(t, delay(1, 0))
	for n, longest := range map[int]time.Duration{1: 100 * time.Millisecond, 2: 200 * time.Millisecond, 3: 400 * time.Millisecond, 5: time.Second, 99: time.Second} {
		require.Equal(t, longest/2, delay(n, 0.5), n)
		require.Less(t, delay(n, 0.999), longest, n)
	}
}

func TestBoundsOfConnections(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-central-1")
	client, ours := Load(t.Context()).Config().HTTPClient.(*awshttp.BuildableClient)
	require.True(t, ours)
	require.Equal(t, attemptWithin, client.GetTimeout())
	require.Equal(t, connectWithin, client.GetDialer().Timeout)
}
