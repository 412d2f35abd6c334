// Command demo shows fitvault's main job on the local stack, from a user's side
// and then from an operator's. `make run` runs it after `make up`.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

const help = `demo shows what fitvault does, on the local stack (make up, or make run for both).

As the owner ada, through the API:
  1. consent to collection: it makes her account and her key pair
  2. a TCX recording of a device, and a morning's data points, are sent
  3. both are read back, and compared with what was sent

As the operator, past the API:
  4. what the database holds of them: sealed bytes
  5. the audit events that all of this left

Running it again is safe: with the same Idempotency-Key the same document is kept once.
It writes nothing but through the API, and ends with a status other than 0 where a step fails.

Flags:
`

const paddling = "testdata/tcx/tcxreader-sup_activity_1.tcx" // on a stand-up paddle board, with heart rate

//go:embed readings.json
var morning []byte

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], newScreen(os.Stdout)); err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, s *screen) error {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // errors are told once, by main
	stackFile := flags.String("stack", ".local/stack.json", "the `file` that make up writes: where the stack is, who its people are")
	document := flags.String("recording", paddling, "the TCX `file` to send; try one of your own")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(s.out, help)
		flags.SetOutput(s.out)
		flags.PrintDefaults()
		return nil
	}
	if err != nil || flags.NArg() > 0 {
		return advice{"these arguments are not known", "go run ./demo --help says what there is", err}
	}

	st, err := readStack(*stackFile)
	if err != nil {
		return err
	}
	recording, err := os.ReadFile(*document)
	if err != nil {
		return advice{"the recording cannot be read", "run it from the checkout's root, or name a file: go run ./demo --recording FILE", err}
	}
	d := demo{
		screen:    s,
		stack:     st,
		api:       newAPI(st),
		operator:  newOperator(st),
		recording: recording,
		points:    morning,
		now:       time.Now,
	}
	return d.run(ctx)
}

// advice is an error that says what to do next. Its cause is told only where it
// is about files and sockets of this machine: an answer of the API may be about
// somebody's health.
type advice struct {
	what, next string
	cause      error
}

// deployAgain is the advice where the stack is not what this checkout would make.
const deployAgain = "is the stack of this checkout? make up deploys it again where it is not"

func (a advice) Error() string {
	text := a.what
	if a.cause != nil {
		text += " (" + a.cause.Error() + ")"
	}
	if a.next != "" {
		text += "\n  " + a.next
	}
	return text
}
