package openmhealth_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"fitvault/shared/openmhealth"
	"fitvault/shared/openmhealth/generate"
	"fitvault/shared/reading"
)

func measuredOf(t *testing.T, typeName, body string) (number, unit string, ok bool) {
	t.Helper()
	point, err := reading.Decode(jsontext.NewDecoder(strings.NewReader(`{"header":{},"body":`+body+`}`)), 32)
	require.NoError(t, err)
	return openmhealth.Measured(reading.Reading{Type: reading.Type{Namespace: "omh", Name: typeName}, Point: point})
}

func TestMeasured(t *testing.T) {
	for _, test := range []struct{ name, body, number, unit string }{
		{"heart-rate", `{"heart_rate":{"value":71.50,"unit":"beats/min"}}`, "71.5", "beats/min"},
		{"step-count", `{"step_count":1200}`, "1200", "steps"},
		{"step-count", `{"step_count":{"value":1200,"unit":"steps"}}`, "1200", "steps"},
		{"body-weight", `{"body_weight":{"value":154,"unit":"lb"}}`, "154", "lb"},
		{"calories-burned", `{"kcal_burned":{"value":160,"unit":"kcal"}}`, "160", "kcal"},
	} {
		number, unit, ok := measuredOf(t, test.name, test.body)
		require.True(t, ok, test.name)
		require.Equal(t, test.number, number)
		require.Equal(t, test.unit, unit)
	}
	for name, body := range map[string]string{
		"physical-activity": `{"activity_name":"walking"}`,
		"heart-rate":        `{"heart_rate":{"value":"71","unit":"beats/min"}}`,
		"body-weight":       `{"body_weight":{"value":71}}`,
		"rr-interval":       `{}`,
	} {
		_, _, ok := measuredOf(t, name, body)
		require.False(t, ok, name)
	}
}

// TestMeasuredOfWhatIsServed: every point of a served type has its number, with
// a unit out of a short list; the types that have none are these two.
func TestMeasuredOfWhatIsServed(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 4))
	units := map[string]bool{}
	for _, s := range openmhealth.Served {
		for range 50 {
			r, err := reading.FromPoint(generate.Point(rng, s, "aaaabbbbccccddddeeeeffffgg"))
			require.NoError(t, err)
			_, unit, ok := openmhealth.Measured(r)
			require.Equal(t, s.Name != "physical-activity" && s.Name != "sleep-episode", ok, s)
			units[unit] = true
		}
	}
	require.Less(t, len(units), 40, "a unit that a sender may choose freely")
}
