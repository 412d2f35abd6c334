package edge

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"

	"github.com/aws/aws-lambda-go/events"

	"fitvault/shared/fault"
)

// ProblemTypes is the start of every problem's type; the kind follows.
const ProblemTypes = "https://fitvault.example/problems/"

// A caller of what is unavailable is to come back in soonest seconds and up to spread
// more: those who were refused together should not come back together.
const soonest, spread = 2, 8

// retryAfter is how many seconds a caller should wait; "" where waiting is of no use. Who
// is beyond his limits is told the exact time instead (tell).
func (g *Guard) retryAfter(kind fault.Kind) string {
	switch kind {
	case fault.TooMany:
		return "1"
	case fault.Unavailable:
		return strconv.Itoa(soonest + g.chance())
	}
	return ""
}

// chance is from 0 to less than spread.
func (g *Guard) chance() int {
	var chance [1]byte
	_, _ = io.ReadFull(g.config.Rand, chance[:]) // without it all wait for the same time
	return int(chance[0]) % spread
}

// problem renders an error as RFC 9457 says: the one place where an error
// becomes an answer. Only its kind and its items leave.
func (g *Guard) problem(err error, requestID string) events.APIGatewayProxyResponse {
	kind := fault.KindOf(err)
	if kind.Status() == http.StatusInternalServerError {
		kind = fault.Internal // also what is no kind at all
	}
	body, failure := json.Marshal(struct {
		Type     string       `json:"type"`
		Title    string       `json:"title"`
		Status   int          `json:"status"`
		Instance string       `json:"instance"`
		Errors   []fault.Item `json:"errors,omitempty"`
	}{ProblemTypes + string(kind), kind.Title(), kind.Status(), requestID, fault.ItemsOf(err)})
	if failure != nil {
		body = nil // strings and numbers only: cannot happen
	}
	h := http.Header{"Content-Type": {"application/problem+json"}}
	if seconds := g.retryAfter(kind); seconds != "" {
		h.Set("Retry-After", seconds)
	}
	return events.APIGatewayProxyResponse{StatusCode: kind.Status(), MultiValueHeaders: h, Body: string(body)}
}

// exposed is what a web app may read of an answer besides its body and type.
const exposed = "Location, Retry-After, X-Request-Id, RateLimit, RateLimit-Policy"

// allowOrigin lets a registered web origin read the answer, and no other. The
// caller proves himself by headers that a browser never adds by itself, so
// credentials of the browser's own are never allowed.
func (g *Guard) allowOrigin(answer *events.APIGatewayProxyResponse, h headers) {
	if len(g.config.Origins) == 0 {
		return
	}
	answered := http.Header(answer.MultiValueHeaders)
	answered.Add("Vary", "Origin")
	if origin, ok := h.single("Origin"); ok && origin != "" && slices.Contains(g.config.Origins, origin) {
		answered.Set("Access-Control-Allow-Origin", origin)
		answered.Set("Access-Control-Expose-Headers", exposed)
	}
}

// seal sets the headers that every answer has.
func seal(answer *events.APIGatewayProxyResponse, requestID string) {
	h := http.Header(answer.MultiValueHeaders)
	h.Set("Cache-Control", "no-store")
	h.Set("Strict-Transport-Security", "max-age=31536000")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Request-Id", requestID)
}
