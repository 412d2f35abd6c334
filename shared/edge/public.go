package edge

import (
	"context"
	"encoding/json"
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
	Body     []byte
	Type     string            // media type; JSON where it is empty
	Headers  map[string]string // beside those that every answer has
	MaxAge   time.Duration     // how long it may be kept; 0 is not at all
}

// Inquiry is a route of GET that needs no credentials either, and whose answer
// depends on the query alone. What it answers is not kept.
type Inquiry struct {
	Resource string
	Answer   func(ctx context.Context, query map[string][]string) (any, error) // as JSON
}

// Public serves documents and answers inquiries, with the headers, problems and log
// records of a Guard. It has no part of a Guard that could read an account, so that
// no route with credentials can come to be served without them.
type Public struct {
	Function  string
	Documents []Document
	Inquiries []Inquiry
	Log       *slog.Logger
	Now       func() time.Time
	Rand      io.Reader
}

// Handle answers one event of API Gateway's Lambda proxy integration. The error is
// always nil.
func (p Public) Handle(ctx context.Context, event events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	g := &Guard{config: Config{Function: p.Function, Log: p.Log, Now: p.Now, Rand: p.Rand}}
	start := p.Now()
	ctx, done := leaveTime(ctx)
	defer done()
	c := &Call{guard: g, RequestID: g.requestID(event.RequestContext.RequestID)}
	var answer events.APIGatewayProxyResponse
	err := fault.Recovered(func() (err error) {
		answer, err = p.serve(ctx, event, c)
		return err
	})
	if err = late(err); err != nil {
		answer = g.problem(err, c.RequestID)
	}
	age := answer.MultiValueHeaders["Cache-Control"]
	seal(&answer, c.RequestID)
	if age != nil {
		answer.MultiValueHeaders["Cache-Control"] = age
	}
	g.log(ctx, record{call: c, err: err, status: answer.StatusCode, bytes: len(event.Body), duration: p.Now().Sub(start)})
	return answer, nil
}

func (p Public) serve(ctx context.Context, event events.APIGatewayProxyRequest, c *Call) (events.APIGatewayProxyResponse, error) {
	if event.HTTPMethod == http.MethodGet {
		for _, d := range p.Documents {
			if event.Resource == d.Resource {
				c.route = &route{Route: Route{Method: http.MethodGet, Resource: d.Resource}}
				return d.answer(), nil
			}
		}
		for _, i := range p.Inquiries {
			if event.Resource == i.Resource {
				c.route = &route{Route: Route{Method: http.MethodGet, Resource: i.Resource}}
				return i.answer(ctx, event)
			}
		}
	}
	return events.APIGatewayProxyResponse{}, fault.New(fault.NotFound, "no such route")
}

func (d Document) answer() events.APIGatewayProxyResponse {
	h := http.Header{"Content-Type": {"application/json"}}
	if d.Type != "" {
		h.Set("Content-Type", d.Type)
	}
	for name, value := range d.Headers {
		h.Set(name, value)
	}
	if d.MaxAge > 0 {
		h.Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(d.MaxAge.Seconds())))
	}
	return events.APIGatewayProxyResponse{StatusCode: http.StatusOK, Body: string(d.Body), MultiValueHeaders: h}
}

func (i Inquiry) answer(ctx context.Context, event events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	said, err := i.Answer(ctx, event.MultiValueQueryStringParameters)
	if err != nil {
		return events.APIGatewayProxyResponse{}, err
	}
	body, err := json.Marshal(said)
	if err != nil {
		return events.APIGatewayProxyResponse{}, fault.Wrap(fault.Internal, "answer cannot be encoded", err)
	}
	return events.APIGatewayProxyResponse{StatusCode: http.StatusOK, Body: string(body), MultiValueHeaders: http.Header{"Content-Type": {"application/json"}}}, nil
}
