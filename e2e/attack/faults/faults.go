// Package faults stands between a function and the local AWS and lets calls go
// wrong: refused, cut off, or forwarded without an answer. It is a plain HTTP
// proxy on the loopback interface.
package faults

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Call is one call of AWS. Name is what is done to what, such as "PutItem
// RequestsTable" or "PutObject DocumentsBucket", after the outputs of the template.
type Call struct {
	Service string // "DynamoDB", "KMS", "S3", "SSM"
	Name    string
	Write   bool
}

// Fate is what becomes of a call.
type Fate struct {
	Lost   bool   // it never reaches AWS
	Status int    // AWS says so, and has done nothing; 0: no such answer
	Before func() // what happens before it is forwarded
	After  func() // what happens after AWS has answered
	Cut    bool   // the answer does not come back: the connection is reset
	Hang   bool   // nothing comes back, for as long as the caller waits
}

// Proxy forwards calls as decide says. Its URL is the endpoint for the function.
type Proxy struct {
	URL    string
	decide func(Call) Fate
	names  map[string]string // physical name → output
	target *url.URL
	client http.Client
}

// maxBody bounds what the proxy holds of a request.
const maxBody = 16 << 20

// New starts a proxy to target until the test ends. outputs are the deployed
// template's; decide is called for each call, from several goroutines.
func New(t testing.TB, target string, outputs map[string]string, decide func(Call) Fate) *Proxy {
	t.Helper()
	p := &Proxy{decide: decide, names: map[string]string{}, client: http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
		Timeout:       time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	for output, name := range outputs {
		if strings.HasSuffix(output, "Table") || strings.HasSuffix(output, "Bucket") {
			p.names[name] = output
		}
	}
	var err error
	p.target, err = url.Parse(target)
	require.NoError(t, err)
	server := httptest.NewServer(p)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	p.URL = server.URL
	return p
}

func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return
	}
	fate := p.decide(p.call(r, body))
	if fate.Before != nil {
		fate.Before()
	}
	switch {
	case fate.Lost:
		reset(w)
		return
	case fate.Status != 0:
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(fate.Status)
		_, _ = w.Write([]byte(`{"__type":"InternalServerError","message":"planned"}`))
		return
	}
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host, out.RequestURI = p.target.Scheme, p.target.Host, "" // Host stays: it is signed
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	response, err := p.client.Do(out)
	if err != nil {
		reset(w)
		return
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		reset(w)
		return
	}
	if fate.After != nil {
		fate.After()
	}
	switch {
	case fate.Hang:
		<-r.Context().Done()
		return
	case fate.Cut:
		reset(w)
		return
	}
	for name, values := range response.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(response.StatusCode)
	_, _ = w.Write(answer)
}

// reset drops the connection with a TCP reset, as a host that went away does.
func reset(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = connection.Close()
}

var services = map[string]string{"DynamoDB_20120810": "DynamoDB", "TrentService": "KMS", "AmazonSSM": "SSM"}

// call reads from a request what is called, as the SDK writes it.
func (p *Proxy) call(r *http.Request, body []byte) Call {
	service, operation, ok := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if !ok {
		bucket, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		name := map[string]string{http.MethodPut: "PutObject", http.MethodGet: "GetObject"}[r.Method]
		return Call{"S3", name + " " + p.names[bucket], r.Method != http.MethodGet}
	}
	var in struct {
		TableName string
		Item      struct{ Item struct{ S string } }
		Key       struct{ Key struct{ S string } }
	}
	_ = json.Unmarshal(body, &in) // other operations have other bodies
	c := Call{Service: services[service], Name: strings.TrimSpace(operation + " " + p.names[in.TableName])}
	if strings.HasPrefix(in.Item.Item.S, "recording#") {
		c.Name += ", index entry"
	}
	if strings.HasPrefix(in.Key.Key.S, "limit#client#") {
		c.Name += ", lease"
	}
	switch operation {
	case "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems":
		c.Write = true
	}
	return c
}
