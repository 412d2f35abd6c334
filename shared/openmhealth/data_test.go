package openmhealth

import (
	"os"
	"path/filepath"
	"testing"
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
