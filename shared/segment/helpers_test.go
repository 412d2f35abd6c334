package segment_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"fitvault/shared/reading"
)

// parse reads one JSON text.
func parse(t testing.TB, text string) reading.Value {
	t.Helper()
	v, err := reading.Decode(jsontext.NewDecoder(bytes.NewReader([]byte(text))), 1000)
	require.NoError(t, err, text)
	return v
}

func parseAll(t testing.TB, texts ...string) []reading.Value {
	t.Helper()
	values := make([]reading.Value, len(texts))
	for i, text := range texts {
		values[i] = parse(t, text)
	}
	return values
}

// requireSame is stricter than reading.Value.Equal: members in the same order too.
func requireSame(t require.TestingT, want, got []reading.Value) {
	if same(want, got) {
		return
	}
	require.Equal(t, text(want), text(got))
	require.Fail(t, "values differ where their text does not")
}

func same(a, b []reading.Value) bool {
	if len(a) != len(b) {
		return false
	}
	for i, v := range a {
		w := b[i]
		if v.Kind() != w.Kind() || v.Text() != w.Text() || len(v.Names()) != len(w.Names()) || !same(v.List(), w.List()) {
			return false
		}
		for j, name := range v.Names() {
			if name != w.Names()[j] {
				return false
			}
		}
	}
	return true
}

func text(values []reading.Value) string { return string(reading.ArrayValue(values).AppendJSON(nil)) }

// heartRates makes data points as a tracker would: one every five seconds, a
// rate that wanders, and a header with the id that id returns.
func heartRates(t testing.TB, n int, id func() string) []reading.Value {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	at, rate := time.Date(2026, 5, 4, 7, 25, 0, 0, time.FixedZone("", 2*3600)), 71
	points := make([]reading.Value, n)
	for i := range points {
		at = at.Add(5 * time.Second)
		rate = min(max(rate+random.IntN(7)-3, 50), 180)
		when := at.Format(time.RFC3339)
		points[i] = parse(t, `{"header": {"uuid": "`+id()+`",
			"schema_id": {"namespace": "omh", "name": "heart-rate", "version": "2.0"},
			"source_creation_date_time": "`+when+`", "modality": "sensed"},
			"body": {"heart_rate": {"value": `+strconv.Itoa(rate)+`, "unit": "beats/min"},
			"effective_time_frame": {"date_time": "`+when+`"}}}`)
	}
	return points
}

// randomUUIDs returns version 4 UUIDs (RFC 9562), the same ones in every run.
func randomUUIDs() func() string {
	random := rand.NewChaCha8([32]byte{})
	return func() string {
		var b [16]byte
		_, _ = random.Read(b[:]) // never fails
		b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
		s := hex.EncodeToString(b[:])
		return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
	}
}

// goldenBlock is one entry of testdata/golden.json.
type goldenBlock struct {
	Name      string          `json:"name"`
	Documents json.RawMessage `json:"documents"`
	Block     string          `json:"block"`
}

func (g goldenBlock) block(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(g.Block)
	require.NoError(t, err)
	return b
}

func readGolden(t testing.TB) []goldenBlock {
	t.Helper()
	b, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	var blocks []goldenBlock
	require.NoError(t, json.Unmarshal(b, &blocks))
	require.NotEmpty(t, blocks)
	return blocks
}
