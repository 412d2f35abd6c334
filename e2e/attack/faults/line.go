package faults

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// Weather is what a Line does to connections: a toxic of toxiproxy, whose names and
// attributes these are.
type Weather struct {
	Type       string         `json:"type"`
	Stream     string         `json:"stream"`   // "upstream" to the dependency, "downstream" back from it
	Toxicity   float64        `json:"toxicity"` // share of the connections
	Attributes map[string]any `json:"attributes"`
}

// The ways in which a network fails. What a Proxy can do it does call by call; these
// are below HTTP, and all that there is for PostgreSQL.
var (
	Slow = Weather{"latency", "downstream", 1, map[string]any{"latency": 60, "jitter": 50}} // ms
	// Reset closes a connection as soon as the dependency answers: after it was done.
	Reset = Weather{"reset_peer", "downstream", 0.6, map[string]any{"timeout": 0}} // ms
	// Unsent resets it before anything has reached the dependency.
	Unsent = Weather{"reset_peer", "upstream", 0.6, map[string]any{"timeout": 0}}
	// Deaf and Mute are the two halves of a connection that nobody has closed: what is
	// sent is lost, or what is answered. They last for as long as the weather does.
	Deaf = Weather{"timeout", "upstream", 0.6, map[string]any{"timeout": 0}}
	Mute = Weather{"timeout", "downstream", 0.6, map[string]any{"timeout": 0}}
	// Torn ends a connection in the middle of an answer.
	Torn = Weather{"limit_data", "downstream", 0.6, map[string]any{"bytes": 700}}
)

// Line is the way to one dependency, through toxiproxy in this process.
type Line struct {
	Address string // host:port, for the function
	proxy   *toxiproxy.Proxy
}

// NewLine leads to an address on the loopback interface until the test ends.
func NewLine(t testing.TB, name, upstream string) *Line {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, name, "127.0.0.1:0", upstream)
	require.NoError(t, proxy.Start())
	t.Cleanup(proxy.Stop)
	return &Line{proxy.Listen, proxy}
}

// Set makes the weather; nil is a fine day. Connections that were in the weather before and
// lost something of theirs are closed.
func (l *Line) Set(t testing.TB, w *Weather) {
	t.Helper()
	l.proxy.Toxics.ResetToxics(t.Context())
	if w == nil {
		return
	}
	text, err := json.Marshal(w)
	require.NoError(t, err)
	_, err = l.proxy.Toxics.AddToxicJson(bytes.NewReader(text))
	require.NoError(t, err)
}
