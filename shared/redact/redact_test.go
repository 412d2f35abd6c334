package redact_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"fitvault/shared/redact"
)

const canary = "canary-71.236548917"

// reading is what a domain type looks like.
type reading struct {
	redact.Mark
	Note  string
	Value float64
	inner []byte
}

// holder is a type that somebody forgot to mark.
type holder struct {
	Reading reading
	Pointer *reading
	List    []reading
	Map     map[string]reading
}

func health() reading {
	return reading{Note: canary, Value: 71.236548917, inner: []byte(canary)}
}

func hold() holder {
	r := health()
	return holder{r, &r, []reading{r}, map[string]reading{"a": r}}
}

// forms is how the canary could show: as text, hex, and a list of numbers.
var forms = []string{
	"canary", "71.2365",
	hex.EncodeToString([]byte("canary")), strings.ToUpper(hex.EncodeToString([]byte("canary"))),
	strings.Trim(fmt.Sprint([]byte("canary")), "[]"), "0x63, 0x61, 0x6e",
}

func requireRedacted(t *testing.T, out string) {
	t.Helper()
	for _, form := range forms {
		require.NotContains(t, out, form)
	}
}

func TestEveryVerb(t *testing.T) {
	r := health()
	marked := map[string]any{
		"value": r, "pointer": &r,
	}
	for name, value := range marked {
		for _, verb := range "vTtbcdoOqxXUeEfFgGs" {
			for _, flags := range []string{"", "+", "#", "-", " ", "0", "30", ".2", "+#"} {
				out := fmt.Sprintf("%"+flags+string(verb), value)
				requireRedacted(t, out)
				if verb != 'T' {
					require.Equal(t, redact.Text, out, "%s %%%s%c", name, flags, verb)
				}
			}
		}
	}
}

func TestEveryPlace(t *testing.T) {
	h, r := hold(), health()
	places := map[string]any{
		"struct": h, "pointer to struct": &h, "list": []any{r, &r, h}, "map": map[string]any{"a": r},
		"interface": any(r), "array": [1]reading{r}, "channel's struct": struct{ R any }{r},
	}
	for name, value := range places {
		t.Run(name, func(t *testing.T) {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
				requireRedacted(t, fmt.Sprintf(verb, value))
			}
			requireRedacted(t, fmt.Sprint(value))
			requireRedacted(t, fmt.Errorf("wrapped: %v %w", value, errors.New("x")).Error())

			var out bytes.Buffer
			slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "a", value, slog.Group("g", "b", value))
			slog.New(slog.NewTextHandler(&out, nil)).Info("m", "a", value, slog.Group("g", "b", value))
			requireRedacted(t, out.String())

			for _, marshal := range []func(any) ([]byte, error){
				json.Marshal, xml.Marshal, func(v any) ([]byte, error) { return jsonv2.Marshal(v) },
			} {
				text, _ := marshal(value)
				requireRedacted(t, string(text))
			}
		})
	}
}

func TestJSONIsOneString(t *testing.T) {
	text, err := json.Marshal(map[string]any{"r": health()})
	require.NoError(t, err)
	require.JSONEq(t, `{"r": "[redacted]"}`, string(text))
}

func TestSlogIsOneString(t *testing.T) {
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "r", health())
	require.Contains(t, out.String(), `"r":"[redacted]"`)
}

// The test itself must be able to see a canary.
func TestFormsAreFound(t *testing.T) {
	type bare struct{ inner []byte }
	seen := fmt.Sprintf("%v %x %X %s %#v", bare{[]byte(canary)}, canary, canary, canary, bare{[]byte(canary)})
	for _, form := range forms {
		require.Contains(t, seen, form)
	}
}
