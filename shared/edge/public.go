package edge

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"fitvault/shared/fault"
)

// Document is an answer that is the same for everybody and tells nothing about
// anybody: it needs no credentials, and of a request only the route is looked at.
type Document struct {
	Resource string // the route's, of GET
	Body     []byte // JSON
	MaxAge   time.Duration
}

// Public serves documents, with the headers, problems and log records of a Guard.
// It has no part of a Guard that could read an account, so that no route with
// credentials can come to be served without them.
type Public struct {
	Function  string
	Documents []Document
	Log       *slog.Logger
	Now       func() time.Time
	Rand      io.Reader
}

// Handle answers one event of API Gateway's Lambda proxy integration. The error is
// always nil.
func (p Public) Handle(ctx context.Context, event events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	g := &Guard{config: Config{Function: p.Function, Log: p.Log, Now: p.Now, Rand: p.Rand}}
	start := p.Now()
	c := &Call{guard: g, RequestID: g.requestID(event.RequestContext.RequestID)}
	err := error(fault.New(fault.NotFound, "no such route"))
	answer := problem(err, c.RequestID)
	seal(&answer, c.RequestID)
	for _, d := range p.Documents {
		if event.HTTPMethod != http.MethodGet || event.Resource != d.Resource {
			continue
		}
		c.route, err = &route{Route: Route{Method: http.MethodGet, Resource: d.Resource}}, nil
		answer = events.APIGatewayProxyResponse{StatusCode: http.StatusOK, Body: string(d.Body), MultiValueHeaders: http.Header{"Content-Type": {"application/json"}}}
		seal(&answer, c.RequestID)
		http.Header(answer.MultiValueHeaders).Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(d.MaxAge.Seconds())))
	}
	g.log(ctx, record{call: c, err: err, status: answer.StatusCode, bytes: len(event.Body), duration: p.Now().Sub(start)})
	return answer, nil
}
