package fault

import (
	"fmt"
	"runtime"
	"strings"
)

// Recovered calls f, and turns a panic into an error that names its type and the
// code that it came from, never its value: that may hold anything.
func Recovered(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = New(Internal, fmt.Sprintf("panic of %T in %s", p, callers()))
		}
	}()
	return f()
}

// callers names the innermost functions of the panicking code.
func callers() string {
	var counters [32]uintptr
	n := runtime.Callers(3, counters[:]) // past Callers, callers and the deferred function
	frames := runtime.CallersFrames(counters[:n])
	var names []string
	for len(names) < 8 {
		frame, more := frames.Next()
		if !strings.HasPrefix(frame.Function, "runtime.") && frame.Function != "" {
			names = append(names, fmt.Sprintf("%s:%d", frame.Function, frame.Line))
		}
		if !more {
			break
		}
	}
	return strings.Join(names, " < ")
}
