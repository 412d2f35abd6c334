package dynamo

import "time"

// Hear lets a clock hear a date, and reports whether it was one.
func Hear(c *Clock, date string, sent, received time.Time) bool {
	c.hear(date, sent, received)
	return c.heard
}

// Heard reports whether a clock has heard an answer.
func Heard(c *Clock) bool { return c.heard }

// Seen is how many states a limiter has in memory.
func Seen(l *Limiter) int { return len(l.seen) }
