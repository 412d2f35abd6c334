package dynamo

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go/middleware"
	smithytime "github.com/aws/smithy-go/time"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Clock tells DynamoDB's time, which all containers have in common, from the own
// clock and what each answer says of it.
//
// An answer's Date is cut to whole seconds, and was written between the request and
// the answer. So each answer bounds how far the own clock is behind: from below by
// date − received, from above by date + 1 s − sent. A clock that keeps within all
// bounds heard is right. One that does not is set to the lower bound: never ahead of
// DynamoDB's time, behind it by less than a second and a way back after the first
// answer, and by less with each one. Before any answer it is the own clock.
type Clock struct {
	Own func() time.Time

	mu        sync.Mutex
	heard     bool
	low, high time.Duration // DynamoDB's time − the own
}

// Now is DynamoDB's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.low <= 0 && c.high >= 0 {
		return c.Own()
	}
	return c.Own().Add(c.low)
}

// Listen is an option of the client whose answers the clock hears.
func (c *Clock) Listen(o *dynamodb.Options) {
	o.APIOptions = append(o.APIOptions, func(s *middleware.Stack) error {
		return s.Deserialize.Add(middleware.DeserializeMiddlewareFunc("fitvaultClock",
			func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
				sent := c.Own()
				out, metadata, err := next.HandleDeserialize(ctx, in)
				if response, ok := out.RawResponse.(*smithyhttp.Response); ok && response != nil {
					c.hear(response.Header.Get("Date"), sent, c.Own())
				}
				return out, metadata, err
			}), middleware.After) // nearest to the wire: refusals are heard too
	})
}

// hear takes in what an answer says; what is no date says nothing.
func (c *Clock) hear(date string, sent, received time.Time) {
	said, err := smithytime.ParseHTTPDate(date)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	low, high := said.Sub(received), said.Add(time.Second).Sub(sent)
	if c.heard {
		low, high = max(low, c.low), min(high, c.high)
	}
	if low > high { // the own clock was set, or goes wrong: what was heard before is no good
		low, high = said.Sub(received), said.Add(time.Second).Sub(sent)
	}
	c.heard, c.low, c.high = true, low, high
}
