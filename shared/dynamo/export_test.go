package dynamo

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"fitvault/shared/limit"
)

// Hear lets a clock hear a date, and reports whether it was one.
func Hear(c *Clock, date string, sent, received time.Time) bool {
	c.hear(date, sent, received)
	return c.heard
}

// Heard reports whether a clock has heard an answer.
func Heard(c *Clock) bool { return c.heard }

// Seen is how many states a limiter has in memory.
func Seen(l *Limiter) int { return len(l.seen) }

// Update is the write of a charge that a state admits.
func Update(l *Limiter, c limit.Charge, state limit.State, now time.Time) *dynamodb.UpdateItemInput {
	next, _ := limit.Decide(c, state, now)
	return l.update(c, state, next, now, now)
}
