package boot

import (
	"math/rand/v2"
	"net"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// How long a call of AWS is waited for, and how often it is made again
// (docs/adr/0034-load.md). The whole of a request is bounded by its context:
// shared/edge ends it before Lambda would.
const (
	connectWithin = 2 * time.Second
	attemptWithin = 5 * time.Second // with the body of the answer; the slowest that is well is an object of 4.5 MB
	attempts      = 3
	// firstDelay doubles with each attempt. The SDK's own first delay is up to two
	// seconds: a caller waits for this one.
	firstDelay = 50 * time.Millisecond
	maxDelay   = time.Second
	// A retry takes 5 of a client's tokens, after a timeout 10; a first attempt that
	// succeeds gives one back. So a process makes 20 retries at once, and then one for five
	// calls that are well. The SDK's 500 are of servers; of us there are many small processes, which
	// would together make three of every call to a service that is down.
	retryTokens = 100
)

// transport is the HTTP client of all services. The SDK's has no bound on an attempt: a
// peer that went away without a word would hold a call until Lambda ends the process.
func transport(within time.Duration) *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithTimeout(within).
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = connectWithin })
}

// retryer is the SDK's standard one with a smaller budget, for each client its own: a
// service that is down takes nothing from the calls of another.
func retryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = attempts
		o.RateLimiter = ratelimit.NewTokenRateLimit(retryTokens)
		o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) { return delay(attempt, rand.Float64()), nil })
	})
}

// delay is how long to wait after the n-th attempt, from 1: all of it is jitter, so that
// those who failed together do not come back together. share is 0 ≤ share < 1.
func delay(n int, share float64) time.Duration {
	longest := maxDelay
	if n < 8 {
		longest = min(maxDelay, firstDelay<<n)
	}
	return time.Duration(share * float64(longest))
}
