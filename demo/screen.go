package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// screen is where the demo tells its story.
type screen struct {
	out      io.Writer
	terminal bool // a line may be written over
	colour   bool
	now      func() time.Time
}

// newScreen writes to f, in colour on a terminal, unless NO_COLOR is set (no-color.org).
func newScreen(f *os.File) *screen {
	info, err := f.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	return &screen{out: f, terminal: terminal, colour: terminal && os.Getenv("NO_COLOR") == "", now: time.Now}
}

// Select graphic rendition parameters (ECMA-48, 8.3.117).
const (
	bold  = "1"
	faint = "2"
	red   = "31"
	green = "32"
)

func (s *screen) paint(rendition, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + rendition + "m" + text + "\x1b[0m"
}

func (s *screen) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// heading begins a part; note explains one.
func (s *screen) heading(text string) { s.say("\n%s", s.paint(bold, text)) }
func (s *screen) note(text string)    { s.say("%s", s.paint(faint, text)) }

// block writes text, indented by two.
func (s *screen) block(text string) {
	for line := range strings.Lines(text) {
		s.say("  %s", strings.TrimRight(line, " \n"))
	}
}

// step does one thing and leaves a line: what it was, what came of it, the
// seconds it took. On a terminal its name stands there while it goes on.
func (s *screen) step(name string, do func() (result string, err error)) error {
	began := s.now()
	if s.terminal {
		fmt.Fprintf(s.out, "  … %s", name)
	}
	result, err := do()
	if s.terminal {
		fmt.Fprint(s.out, "\r\x1b[K")
	}
	sign := s.paint(green, "✓")
	if err != nil {
		sign, result = s.paint(red, "✗"), "" // what was to come of it did not
	}
	s.say("  %s %-20s %-56s %6.1f s", sign, name, result, s.now().Sub(began).Seconds())
	return err
}
