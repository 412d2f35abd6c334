// Command demo shows fitvault's main job on the local stack, from a user's side
// and then from an operator's. `make run` runs it after `make up`.
package main

import (
	"context"
	"crypto/rand"
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

With others, through the API:
  4. a tracker (a simulated one) is paired by QR code; what it has signed is taken, what was altered is not
  5. ben, a caregiver, sees ada's steps and not her sleep
  6. another app signs ada in by code + PKCE, and sees her steps once she lets it
  7. all of it is withdrawn, and each is refused at once

As the operator, past the API:
  8. what the database holds of ada's data: sealed bytes
  9. the audit events that all of this left

Running it again is safe: with the same Idempotency-Key the same document is kept once, a
tracker is a new one each time, and what a stopped run has let in is taken back: grants to
ben, the app, trackers of the maker "demo". What stays is consents and data.
It writes nothing but through the API, and ends with a status other than 0 where a step fails.

Flags:
`

const paddling = "testdata/tcx/tcxreader-sup_activity_1.tcx" // on a stand-up paddle board, with heart rate

var (
	//go:embed readings.json
	morning []byte
	//go:embed evening.json
	evening []byte // steps and sleep, of a tracker
)

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
	ada := newAPI(st)
	d := demo{
		screen:        s,
		stack:         st,
		api:           ada,
		operator:      newOperator(st),
		recording:     recording,
		points:        morning,
		now:           time.Now,
		rand:          rand.Reader,
		caregiver:     ada.as(st.Users[caregiver].Token, st.APIKey),
		administrator: ada.as(st.Users[administrator].Token, st.Clients[staffClient].APIKey),
		maker:         ada.as(st.Users[maker].Token, st.Clients[staffClient].APIKey),
		signedPoints:  evening,
		known:         st.names(),
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
