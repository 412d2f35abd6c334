package attack

import (
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"fitvault/e2e/attack/bootstrap"
	"fitvault/e2e/stack"
)

// fleet is some processes of each function, as Lambda has execution environments: one
// event each at a time, and a new one where one has ended. From time to time it puts one
// to sleep, so that its successor asks KMS and SSM again.
type fleet struct {
	endpoint string
	within   time.Duration // that an invocation may take
	recycled int           // events, after which a process is replaced; 0: never
	idle     map[string]chan *place
}

type place struct {
	code    bootstrap.Code
	process *bootstrap.Process
	events  int
}

// station makes room for n processes of a function.
func (f *fleet) station(function string, code bootstrap.Code, n int) {
	if f.idle == nil {
		f.idle = map[string]chan *place{}
	}
	code.Timeout = f.within // to start, too
	f.idle[function] = make(chan *place, n)
	for range n {
		f.idle[function] <- &place{code: code}
	}
}

// invoke waits for a process and hands it the event. Errors: those of Start and Invoke.
func (f *fleet) invoke(t *testing.T, function string, e events.APIGatewayProxyRequest) (stack.Answer, error) {
	at := <-f.idle[function]
	defer func() { f.idle[function] <- at }()
	if at.process != nil && f.recycled > 0 && at.events >= f.recycled {
		at.process.Kill()
	}
	if at.process == nil || !at.process.Alive() {
		started, err := at.code.Start(t, f.endpoint)
		if err != nil {
			at.process = nil
			return stack.Answer{}, err
		}
		at.process, at.events = started, 0
	}
	at.events++
	return at.process.Invoke(e, f.within)
}
