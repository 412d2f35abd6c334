package openmhealth

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Data is the folder of a set of test data: all of it where the project's data
// are mounted, else the repository's copy. (Exported for the tests of package
// openmhealth_test.)
func Data(t *testing.T, set string) string {
	t.Helper()
	for _, root := range []string{"../../../shared/data", "../../testdata"} {
		if _, err := os.Stat(filepath.Join(root, set)); err == nil {
			return filepath.Join(root, set)
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("shared data absent: %s", set)
	}
	t.Skipf("shared data absent: all cases of %s left out", set)
	return ""
}

// RequireKnownPointer holds a pointer of a result against the promise that only
// names of the schemas, and positions in lists, leave the function.
func RequireKnownPointer(t *testing.T, pointer string) {
	t.Helper()
	require.True(t, pointer == "" || pointer[0] == '/', pointer)
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if pointer != "" && !memberNames[token] {
			require.Regexp(t, positions, pointer, "neither a name nor a position: %s", token)
		}
	}
}

// The two lists among the served types and headers.
var positions = regexp.MustCompile(`^/(header/external_datasheets|body/sleep_events)/[0-9]+(/[a-z_]+)*$`)

var memberNames = func() map[string]bool {
	names := map[string]bool{"header": true, "body": true}
	var collect func(v any)
	collect = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, x := range v {
				collect(x)
			}
		case map[string]any:
			if properties, ok := v["properties"].(map[string]any); ok {
				for name := range properties {
					names[name] = true
				}
			}
			for _, x := range v {
				collect(x)
			}
		}
	}
	err := fs.WalkDir(files, "schemas", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, p)
		if err != nil {
			return err
		}
		var document any
		defer func() { collect(document) }()
		return json.Unmarshal(text, &document)
	})
	if err != nil {
		panic(err)
	}
	return names
}()
