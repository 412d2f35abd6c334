package consent

import "time"

// index is which texts there are and when each is asked for. A new version is a
// line at the end of its purpose, files of its own, and the `Until` of the one
// before it: the day from which those who agreed to that are asked before
// anything more is done. Lines and texts that were published stay as they are.
var index = map[Purpose][]Version{
	Collection: {{Name: "1", From: day(2026, 1, 1)}},
	Sharing:    {{Name: "1", From: day(2026, 1, 1)}},
	Research:   {{Name: "1", From: day(2026, 1, 1)}},
}

func day(year int, month time.Month, day int) time.Time {
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}
