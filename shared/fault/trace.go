package fault

import (
	"fmt"
	"regexp"
)

// codeGrammar is what an AWS error code looks like; the service sends it, so
// it is not taken on trust.
var codeGrammar = regexp.MustCompile(`^[A-Za-z0-9.]+$`)

// callGrammar is what the SDK's names of a service and its operation look like.
var callGrammar = regexp.MustCompile(`^[A-Za-z0-9]+( [A-Za-z0-9]+)+$`)

const maxCode = 64 // bytes, of both; in the expression it would be compiled so often, at each start

// maxTrace bounds a trace: a chain is as long as whoever wraps makes it.
const maxTrace = 16

// Trace renders an error and its causes for the protected log without any
// value: a fault by its constant text, an AWS error by its code, a failed call by
// service and operation, and of any other error, whose text may hold anything, only the type's name.
func Trace(err error) []string { return trace(nil, err) }

func trace(lines []string, err error) []string {
	if err == nil || len(lines) >= maxTrace {
		return lines
	}
	switch e := err.(type) {
	case *Error:
		lines = append(lines, e.Error())
	case interface{ ErrorCode() string }:
		code := e.ErrorCode()
		if len(code) > maxCode || !codeGrammar.MatchString(code) {
			code = "unreadable code"
		}
		lines = append(lines, fmt.Sprintf("%T: %s", err, code))
	case interface {
		Service() string
		Operation() string
	}:
		call := e.Service() + " " + e.Operation()
		if len(call) > maxCode || !callGrammar.MatchString(call) {
			call = "unreadable call"
		}
		lines = append(lines, fmt.Sprintf("%T: %s", err, call))
	default:
		lines = append(lines, fmt.Sprintf("%T", err))
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return trace(lines, e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, cause := range e.Unwrap() {
			lines = trace(lines, cause)
		}
	}
	return lines
}
