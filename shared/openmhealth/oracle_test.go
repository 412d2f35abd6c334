package openmhealth_test

import (
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"fitvault/e2e/oracle"
	"fitvault/shared/openmhealth"
	"fitvault/shared/openmhealth/generate"
	"fitvault/shared/reading"
)

const owner = "aaaabbbbccccddddeeeeffffgg"

// decide is Decode's opinion of one data point, and its whole result.
func decide(t *testing.T, point string) (oracle.Point, openmhealth.Result) {
	t.Helper()
	batch, err := openmhealth.Decode([]byte("["+point+"]"), owner, openmhealth.Intake)
	records, results := batch.Records, batch.Results
	require.Len(t, results, 1, "%s: %v", point, err)
	if err == nil {
		start := records[0].Start
		nanos := new(big.Int).Mul(big.NewInt(start.Unix()), big.NewInt(1e9))
		nanos.Add(nanos, big.NewInt(int64(start.Nanosecond())))
		return oracle.Point{ID: results[0].ID, Start: nanos.String()}, results[0]
	}
	rule := results[0].Rule
	switch rule {
	case "type", "required", "enum", "format", "pattern", "oneOf", "anyOf":
		rule = "schema"
	}
	return oracle.Point{Rule: rule}, results[0]
}

// corpus is the published test bodies of served types, each in a header of its
// schema, and what its folder's name says.
func corpus(t *testing.T) (points []reading.Value, pass []bool) {
	files, err := filepath.Glob(filepath.Join(openmhealth.Data(t, "omh-test-data"), "*", "*", "should*", "*.json"))
	require.NoError(t, err)
	for _, file := range files {
		parts := strings.Split(filepath.ToSlash(file), "/")
		parts = parts[len(parts)-4:]
		s := openmhealth.Schema{Type: reading.Type{Namespace: "omh", Name: parts[0]}, Version: parts[1]}
		if !slices.Contains(openmhealth.Served, s) {
			continue
		}
		body, err := os.ReadFile(file)
		require.NoError(t, err)
		points = append(points, parsed(t, `{"header":{"uuid":"0b3c6f0e-5a5b-4c8e-9d2f-0a1b2c3d4e5f","schema_id":{"namespace":"omh","name":"`+s.Name+
			`","version":"`+s.Version+`"},"source_creation_date_time":"2026-05-04T07:25:00+02:00","modality":"sensed"},"body":`+string(body)+`}`))
		pass = append(pass, parts[2] == "shouldPass")
	}
	require.NotEmpty(t, points)
	return points, pass
}

func parsed(t *testing.T, text string) reading.Value {
	t.Helper()
	v, err := reading.Decode(jsontext.NewDecoder(strings.NewReader(text)), 64)
	require.NoError(t, err)
	return v
}

func TestPublishedBodiesInDataPoints(t *testing.T) {
	points, pass := corpus(t)
	for i, p := range points {
		got, result := decide(t, string(p.AppendJSON(nil)))
		require.Equal(t, pass[i], got.Rule == "", "%s: %v", p.AppendJSON(nil), result)
	}
}

// Every published body and some generated points of every served schema, and
// all of these with one change at one place: members dropped, invented and
// misplaced, other kinds, units, times, numbers. Decode and Python must agree
// on the verdict, the rule, the id and the start.
//
// There are some 240,000 changes, and they have all been tried; a run takes one
// in oneIn of them.
const oneIn = 50

func TestPythonAgrees(t *testing.T) {
	points, _ := corpus(t)
	rng := rand.New(rand.NewPCG(3, 0))
	for _, s := range openmhealth.Served {
		for range 2 {
			points = append(points, generate.Point(rng, s, owner))
		}
	}
	var texts []string
	seen := map[string]bool{}
	for _, p := range points {
		texts = append(texts, string(p.AppendJSON(nil)))
		for _, changed := range generate.Mutations(p, owner) {
			text := string(changed.AppendJSON(nil))
			if !seen[text] && rng.IntN(oneIn) == 0 {
				seen[text] = true
				texts = append(texts, text)
			}
		}
	}
	texts = append(texts, spelled()...)
	accepted := 0
	for i, want := range oracle.Points(t, owner, texts) {
		got, result := decide(t, texts[i])
		require.Equal(t, want, got, "%s: %v", texts[i], result)
		openmhealth.RequireKnownPointer(t, result.Pointer)
		if got.Rule == "" {
			accepted++
		}
	}
	t.Logf("%d cases, %d accepted", len(texts), accepted)
	require.Greater(t, accepted, len(texts)/20)
	require.Less(t, accepted, len(texts)/2)
}
