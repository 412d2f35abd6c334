package openmhealth

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

// published is the path of each published schema, by folder/name.
func published(t *testing.T) map[string]string {
	paths := map[string]string{}
	for _, publisher := range []string{"omh", "ieee"} {
		err := filepath.WalkDir(filepath.Join(Data(t, "schemas"), publisher), func(p string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				paths[publisher+"/"+d.Name()] = p
			}
			return err
		})
		require.NoError(t, err)
	}
	return paths
}

func TestEveryNumberedVersionIsServed(t *testing.T) {
	types := map[string][]string{
		"omh": {
			"body-temperature", "body-weight", "calories-burned", "heart-rate", "oxygen-saturation", "physical-activity",
			"respiratory-rate", "rr-interval", "sleep-duration", "sleep-episode", "step-count", "total-sleep-time",
		},
		"ieee": {"body-weight", "physical-activity", "sleep-episode", "total-sleep-time"},
	}
	numbered := regexp.MustCompile(`^(omh|ieee)/([a-z-]+)-([0-9]+\.[0-9]+)\.json$`)
	var want []Schema
	for name := range published(t) {
		if m := numbered.FindStringSubmatch(name); m != nil && slices.Contains(types[m[1]], m[2]) {
			want = append(want, schema(m[1], m[2], m[3]))
		}
	}
	require.ElementsMatch(t, want, Served)
}

// The embedded files are the published ones, and those only that served types
// and headers reach.
func TestEmbeddedSchemas(t *testing.T) {
	loaded := map[string]bool{}
	c := newCompiler(loader(func(url string) (any, error) {
		for folder, base := range folders {
			if name, ok := strings.CutPrefix(url, base); ok {
				loaded[folder+"/"+name] = true
			}
		}
		return embedded{}.Load(url)
	}))
	for _, s := range append(slices.Clone(Served), HeaderIEEE, HeaderOMH) {
		_, err := c.Compile(s.url())
		require.NoError(t, err)
	}
	paths := published(t)
	var there []string
	require.NoError(t, fs.WalkDir(files, "schemas", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name := strings.TrimPrefix(p, "schemas/")
		there = append(there, name)
		ours, err := fs.ReadFile(files, p)
		require.NoError(t, err)
		theirs, err := os.ReadFile(paths[name])
		require.NoError(t, err, name)
		require.Equal(t, string(theirs), string(ours), name)
		return nil
	}))
	require.ElementsMatch(t, slices.Collect(maps.Keys(loaded)), there)
}

type loader func(url string) (any, error)

func (l loader) Load(url string) (any, error) { return l(url) }

func TestLoadFindsNothingElse(t *testing.T) {
	for _, url := range []string{
		"file:///etc/passwd", "https://example.org/a.json", "https://w3id.org/openmhealth/schemas/omh/none-1.0.json",
		"https://w3id.org/openmhealth/schemas/omh/../ieee/header-1.0.json", "https://w3id.org/openmhealth/schemas/omh/",
	} {
		_, err := embedded{}.Load(url)
		require.Error(t, err, url)
	}
	require.Panics(t, func() { schema("omh", "none", "1.0").Compile() })
	require.Panics(t, func() { schema("other", "heart-rate", "1.0").Compile() })
}

// unknownMember, and package generate, know these keywords. A schema with
// another one needs more than a line in Served.
func TestServedSchemasUseNoOtherKeywords(t *testing.T) {
	assertions := []string{"$ref", "allOf", "anyOf", "enum", "format", "items", "oneOf", "pattern", "properties", "required", "type"}
	annotations := []string{"$id", "$schema", "definition", "definitions", "deprecation", "description", "references", "title"}
	var keywords func(t *testing.T, file string, v any)
	keywords = func(t *testing.T, file string, v any) {
		switch v := v.(type) {
		case []any:
			for _, x := range v {
				keywords(t, file, x)
			}
		case map[string]any:
			for keyword, x := range v {
				require.Contains(t, append(assertions, annotations...), keyword, file)
				switch keyword {
				case "properties", "definitions":
					for name, sub := range x.(map[string]any) {
						require.Regexp(t, `^[a-z_A-Z-]+$`, name, "a pointer needs no escapes")
						keywords(t, file, sub)
					}
				case "items", "allOf", "anyOf", "oneOf":
					keywords(t, file, x)
				case "enum":
					for _, value := range x.([]any) {
						require.IsType(t, "", value, file)
					}
				case "pattern":
					require.Equal(t, "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", x, file)
				case "format":
					require.Contains(t, []any{"date-time", "iri", "uri", "uuid"}, x, file)
				}
			}
		}
	}
	require.NoError(t, fs.WalkDir(files, "schemas", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, p)
		require.NoError(t, err)
		var document any
		require.NoError(t, json.Unmarshal(text, &document))
		keywords(t, p, document)
		return nil
	}))
}

// Each published test body gets the verdict that its folder's name says: the
// components here, by their schemas; the bodies also as what they are, whole
// data points, in corpus_test.go.
func TestPublishedTestData(t *testing.T) {
	paths := published(t)
	c := newCompiler(loader(func(url string) (any, error) {
		for folder, base := range folders {
			if name, ok := strings.CutPrefix(url, base); ok {
				f, err := os.Open(paths[path.Join(folder, name)])
				if err != nil {
					return nil, err
				}
				defer f.Close()
				return jsonschema.UnmarshalJSON(f)
			}
		}
		return nil, fs.ErrNotExist
	}))
	bodies, err := filepath.Glob(filepath.Join(Data(t, "omh-test-data"), "*", "*", "should*", "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, bodies)
	for _, body := range bodies {
		parts := strings.Split(filepath.ToSlash(body), "/")
		parts = parts[len(parts)-4:]
		compiled, err := c.Compile(folders["omh"] + parts[0] + "-" + parts[1] + ".json")
		require.NoError(t, err)
		text, err := os.ReadFile(body)
		require.NoError(t, err)
		failed := check(compiled, value(t, string(text)), "")
		require.Equal(t, parts[2] == "shouldPass", failed == nil, "%s: %v", strings.Join(parts, "/"), failed)
	}
}
