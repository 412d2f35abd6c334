package segment

import (
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/reading"
)

// TestForms says of each text which form it has. What has none is kept as text,
// so a mistake here costs bytes; what would come back as other text costs data.
func TestForms(t *testing.T) {
	for text, want := range map[string]string{
		"2026-05-04T07:25:00Z":                "time",
		"2026-05-04T07:25:00+02:00":           "time",
		"2026-05-04T07:25:00-00:00":           "time",
		"2026-05-04T07:25:00+00:00":           "time",
		"2026-05-04T07:25:00.0Z":              "time",
		"2026-05-04T07:25:00.500Z":            "time",
		"2026-05-04T07:25:00.123456789-23:59": "time",
		"2024-02-29T23:59:59.999999999+23:59": "time",
		"1700-01-02T00:00:00Z":                "time",
		"2249-12-31T00:00:00Z":                "time",
		"1700-01-01T23:59:59Z":                "text",
		"2249-12-31T00:00:01Z":                "text",
		"0000-01-01T00:00:00Z":                "text",
		"9999-12-31T23:59:59Z":                "text",
		"2026-05-04T07:25:00":                 "text", // no offset
		"2026-05-04T07:25:00.Z":               "text",
		"2026-05-04T07:25:00.1234567890Z":     "text",
		"2026-05-04T07:25:00+24:00":           "text",
		"2026-05-04T07:25:00+01:60":           "text",
		"2026-05-04T07:25:00-24:00":           "text",
		"2026-05-04T07:25:00 02:00":           "text",
		"2026-05-04T07:25:00+02.00":           "text",
		"2026-05-04T07:25:00+0200":            "text",
		"2026-05-04T07:25:00+a2:00":           "text",
		"2026-05-04T07:25:00+02:0a":           "text",
		"2026-05-04T07:25:00z":                "text",
		"2026-05-04t07:25:00Z":                "text",
		"2026-05-04 07:25:00Z":                "text",
		"2026/05-04T07:25:00Z":                "text",
		"2026-05/04T07:25:00Z":                "text",
		"2026-05-04T07.25:00Z":                "text",
		"2026-05-04T07:25.00Z":                "text",
		"2026-05-04T07:25:60Z":                "text",
		"2026-05-04T07:60:00Z":                "text",
		"2026-05-04T24:00:00Z":                "text",
		"2026-02-29T07:25:00Z":                "text",
		"2026-00-04T07:25:00Z":                "text",
		"2026-13-04T07:25:00Z":                "text",
		"2026-05-00T07:25:00Z":                "text",
		"2026-05-04T-7:25:00Z":                "text",
		"2026-05-04T07:25:0aZ":                "text",
		"+026-05-04T07:25:00Z":                "text",
		"2026-05-04":                          "text",
		"":                                    "text",

		"0b3c9f0e-1a2b-4c3d-8e4f-5a6b7c8d9e0f":  "uuid",
		"00000000-0000-0000-0000-000000000000":  "uuid",
		"ffffffff-ffff-ffff-ffff-ffffffffffff":  "uuid",
		"0B3C9F0E-1A2B-4C3D-8E4F-5A6B7C8D9E0F":  "text",
		"0b3c9f0e-1a2b-4c3d-8e4f-5a6b7c8d9e0":   "text",
		"0b3c9f0e-1a2b-4c3d-8e4f-5a6b7c8d9e0f0": "text",
		"0b3c9f0e-1a2b-4c3d-8e4f-5a6b7c8d9e0g":  "text",
		"0b3c9f0e01a2b-4c3d-8e4f-5a6b7c8d9e0f":  "text",
		"0b3c9f0e-1a2b04c3d-8e4f-5a6b7c8d9e0f":  "text",
		"0b3c9f0e-1a2b-4c3d08e4f-5a6b7c8d9e0f":  "text",
		"0b3c9f0e-1a2b-4c3d-8e4f05a6b7c8d9e0f":  "text",
		"{0b3c9f0e-1a2b-4c3d-8e4f-5a6b7c8d9e}":  "text",
		"0b3c9f0e-1a2b-4c3d-8e4f-5a6b7c8d9eé":   "text",
	} {
		t.Run(text, func(t *testing.T) {
			got := "text"
			if m, ok := parseMoment(text); ok {
				got = "time"
				require.Equal(t, text, string(m.append(nil)))
				seconds, nanos := instant(m.scaled(m.scale()), m.scale())
				require.Equal(t, m.seconds, seconds)
				require.Equal(t, m.nanos, nanos)
			} else if b, ok := parseUUID(nil, text); ok {
				got = "uuid"
				require.Equal(t, text, string(appendUUID(nil, b)))
			}
			require.Equal(t, want, got)
		})
	}
}

func TestDecimals(t *testing.T) {
	for text, want := range map[string]bool{
		"0": true, "71": true, "-71": true, "71.5": true, "-0.5": true, "0.000000001": true, "-0.000000001": true,
		"999999999.999999999": true, "-999999999.999999999": true, "1000000": true,
		"1000000000": false, "0.0000000001": false, "": false, "-": false,
	} {
		d, ok := parseDecimal(text)
		require.Equal(t, want, ok, text)
		for scale := d.scale; ok && scale <= maxScale; scale++ {
			require.Equal(t, text, string(appendDecimal(nil, d.units*pow10[scale-d.scale], scale)))
		}
	}
}

func FuzzForms(f *testing.F) {
	for _, seed := range []string{"2026-05-04T07:25:00.500+02:00", "2026-05-04T07:25:00-00:00", "0b3c9f0e-1a2b-4c3d-8e4f-5a6b7c8d9e0f", "-71.5"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if m, ok := parseMoment(text); ok {
			require.Equal(t, text, string(m.append(nil)))
			require.True(t, m.valid())
		}
		if b, ok := parseUUID(nil, text); ok {
			require.Equal(t, text, string(appendUUID(nil, b)))
		}
		if canonical, err := reading.Canonical(text); err == nil {
			if d, ok := parseDecimal(canonical); ok {
				require.Equal(t, canonical, string(appendDecimal(nil, d.units, d.scale)))
			}
		}
	})
}
