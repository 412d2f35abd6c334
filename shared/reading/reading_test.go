package reading

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestType(t *testing.T) {
	for text, want := range map[string]Type{
		"omh:heart-rate": {"omh", "heart-rate"}, "ieee:physical-activity": {"ieee", "physical-activity"}, "a:b2": {"a", "b2"},
		strings.Repeat("a", 64) + ":b": {strings.Repeat("a", 64), "b"},
	} {
		got, err := ParseType(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, text, got.String())
	}
	for _, text := range []string{
		"", ":", "omh", "omh:", ":heart-rate", "omh:heart:rate", "OMH:heart-rate", "omh:heart_rate", "omh:-a", "1:a", " omh:a", "omh:a\n", "omh:ä",
		"omh:" + strings.Repeat("a", 65), strings.Repeat("a", 65) + ":b",
	} {
		_, err := ParseType(text)
		require.ErrorIs(t, err, ErrType, text)
	}
}

func FuzzParseType(f *testing.F) {
	for _, seed := range []string{"omh:heart-rate", "ieee:sleep-episode", "omh", "a:b:c", "omh:a\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := ParseType(text); err == nil {
			require.Equal(t, text, got.String())
			require.LessOrEqual(t, len(text), 129)
		}
	})
}

func TestFromPoint(t *testing.T) {
	for _, c := range []struct{ header, id, start string }{
		{`{"uuid":"u-1","source_creation_date_time":"2026-05-04T07:25:00Z","schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"}}`, "u-1", "2026-05-04T07:25:00Z"},
		{`{"id":"anything 😀","creation_date_time":"2026-05-04T07:25:00+02:00","schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"}}`, "anything 😀", "2026-05-04T07:25:00+02:00"},
	} {
		p, err := decode([]byte(`{"header":`+c.header+`,"body":{}}`), 8)
		require.NoError(t, err)
		r, err := FromPoint(p)
		require.NoError(t, err)
		require.Equal(t, Type{"omh", "heart-rate"}, r.Type)
		require.Equal(t, "2.0", r.Version)
		require.Equal(t, c.id, r.ID)
		require.Equal(t, c.start, r.Start.Format(time.RFC3339Nano))
		require.True(t, p.Equal(r.Point))
	}
	for _, header := range []string{
		`null`, `{}`,
		`{"uuid":"u-1","source_creation_date_time":"2026-05-04T07:25:00Z"}`,
		`{"uuid":"u-1","source_creation_date_time":"2026-05-04T07:25:00Z","schema_id":{"namespace":"omh","name":"heart-rate"}}`,
		`{"uuid":"u-1","source_creation_date_time":"2026-05-04T07:25:00Z","schema_id":{"namespace":"omh","name":7,"version":"2.0"}}`,
		`{"uuid":"u-1","source_creation_date_time":"yesterday","schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"}}`,
		`{"uuid":"u-1","creation_date_time":"2026-05-04T07:25:00Z","schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"}}`,
		`{"uuid":7,"source_creation_date_time":"2026-05-04T07:25:00Z","schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"}}`,
	} {
		p, err := decode([]byte(`{"header":`+header+`,"body":{}}`), 8)
		require.NoError(t, err)
		_, err = FromPoint(p)
		require.Equal(t, &PointError{Pointer: "/header", Rule: RuleHeader}, err, header)
	}
}
