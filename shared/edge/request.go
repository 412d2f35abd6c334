package edge

import (
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"fitvault/shared/fault"
)

// Bounds on the parts of a request that are small by nature.
const (
	maxAPIKey     = 128  // bytes; API Gateway's own limit
	maxHeader     = 1024 // bytes of a header that a handler sees
	maxQueryValue = 4096 // bytes; a page token is the longest
	maxQuery      = 64   // values of one parameter
	maxParameter  = 64   // bytes of a path parameter
)

// Where a length is bounded it is compared, not a part of the expression: a
// repetition of up to 255 is compiled 255 times, at each start of each function.
var (
	requestIDGrammar = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	parameterGrammar = regexp.MustCompile(`^[A-Za-z0-9_-]+$`) // to maxParameter
	traceGrammar     = regexp.MustCompile(`^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$`)
	headerGrammar    = regexp.MustCompile(`^[ -~]*$`)
)

// requestID keeps the gateway's request id, a UUID; whoever invokes past the
// gateway and sends anything else gets a fresh one.
func (g *Guard) requestID(given string) string {
	if requestIDGrammar.MatchString(given) {
		return given
	}
	var b [16]byte
	_, _ = io.ReadFull(g.config.Rand, b[:]) // a request id is no secret: zeros are better than no answer
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// headers are a request's headers by canonical name. API Gateway sends each
// header twice, and a direct invocation may say different things in the two:
// every value that differs counts, so that nobody can show one value to a
// check and another to what comes after.
type headers map[string][]string

func headersOf(event events.APIGatewayProxyRequest) headers {
	h := headers{}
	for name, values := range event.MultiValueHeaders {
		name = textproto.CanonicalMIMEHeaderKey(name)
		h[name] = append(h[name], values...)
	}
	for name, value := range event.Headers {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if !slices.Contains(h[name], value) {
			h[name] = append(h[name], value)
		}
	}
	return h
}

// single is a header that must have exactly one value.
func (h headers) single(name string) (string, bool) {
	if len(h[name]) != 1 {
		return "", false
	}
	return h[name][0], true
}

// trace is the trace id of a traceparent header (W3C Trace Context, 3.2), ""
// where there is none: 32 hexadecimal digits, the one thing of a request that
// the log keeps.
func (h headers) trace() string {
	parent, _ := h.single("Traceparent")
	if m := traceGrammar.FindStringSubmatch(parent); m != nil {
		return m[1]
	}
	return ""
}

// joined is a header that is a list (RFC 9110, section 5.3).
func (h headers) joined(name string) string { return strings.Join(h[name], ", ") }

// forHandler is what a handler sees: credentials and everything that is not in
// the contract stay outside.
func (h headers) forHandler() map[string][]string {
	seen := map[string][]string{}
	for _, name := range []string{"Accept", "Content-Type", "Idempotency-Key", "Tracker-Signature"} {
		if len(h[name]) > 0 {
			seen[name] = []string{h.joined(name)}
		}
	}
	return seen
}

// pathParameter is a percent-decoded path parameter of the grammar that every
// name in a path has; slashes, dots and NUL are not in it.
func pathParameter(parameters map[string]string, name string) (string, bool) {
	value, err := url.PathUnescape(parameters[name])
	if err != nil || len(value) > maxParameter || !parameterGrammar.MatchString(value) {
		return "", false
	}
	return value, true
}

// decode reads path, query, headers and body of an admitted request, once,
// into what the handler gets.
func (c *Call) decode(h headers, event events.APIGatewayProxyRequest) error {
	c.parameters = map[string]string{}
	for _, name := range c.route.parameters {
		value, ok := pathParameter(event.PathParameters, name)
		if !ok {
			return fault.New(fault.NotFound, "path parameter against its grammar")
		}
		c.parameters[name] = value
	}
	if err := c.decodeQuery(event); err != nil {
		return err
	}
	for name, values := range h.forHandler() {
		if len(values[0]) > maxHeader || !headerGrammar.MatchString(values[0]) {
			return fault.New(fault.BadRequest, "header too long or not printable")
		}
		if name != "Accept" && len(h[name]) > 1 {
			return fault.New(fault.BadRequest, "header given several times")
		}
	}
	if err := c.decodeBody(event); err != nil {
		return err
	}
	return c.decodeType(h)
}

func (c *Call) decodeQuery(event events.APIGatewayProxyRequest) error {
	c.query = url.Values(event.MultiValueQueryStringParameters)
	if len(c.query) == 0 {
		c.query = url.Values{}
		for name, value := range event.QueryStringParameters {
			c.query.Set(name, value)
		}
	}
	for name, values := range c.query {
		i := slices.IndexFunc(c.route.Query, func(p Parameter) bool { return p.Name == name })
		if i < 0 {
			return fault.New(fault.BadRequest, "unknown query parameter")
		}
		if len(values) != 1 && !c.route.Query[i].Repeat {
			return fault.New(fault.BadRequest, "query parameter given several times")
		}
		if len(values) > maxQuery {
			return fault.New(fault.BadRequest, "too many query parameters")
		}
		for _, value := range values {
			if len(value) > maxQueryValue || !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
				return fault.New(fault.BadRequest, "query parameter too long or not text")
			}
		}
	}
	return nil
}

func (c *Call) decodeBody(event events.APIGatewayProxyRequest) error {
	tooLarge := fault.New(fault.TooLarge, "body too large")
	if !event.IsBase64Encoded {
		if len(c.body) > c.route.MaxBody {
			return tooLarge
		}
		return nil
	}
	if len(c.body) > base64.StdEncoding.EncodedLen(c.route.MaxBody) { // before a byte is decoded
		return tooLarge
	}
	// In its own place: what is written is always behind what is read.
	n, err := base64.StdEncoding.Strict().Decode(c.body, c.body)
	if err != nil {
		return fault.New(fault.BadRequest, "body is not base64")
	}
	if n > c.route.MaxBody {
		return tooLarge
	}
	c.body = c.body[:n]
	return nil
}

// decodeType takes one of the route's media types, in UTF-8. A compressed body
// has a media type of its own, never a content encoding, which the gateway
// might undo or not (design.md, "Facts of AWS that bite").
func (c *Call) decodeType(h headers) error {
	if len(c.route.Types) == 0 {
		return nil
	}
	unsupported := fault.New(fault.UnsupportedType, "content type, charset or encoding of the body")
	value, _ := h.single("Content-Type")
	sent, parameters, err := mime.ParseMediaType(value)
	if err != nil || !slices.Contains(c.route.Types, sent) || len(h["Content-Encoding"]) > 0 {
		return unsupported
	}
	for name, value := range parameters {
		if name != "charset" || !strings.EqualFold(value, "utf-8") {
			return unsupported
		}
	}
	c.ContentType = sent
	return nil
}

func toBase64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
