package guard

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	quoted   = regexp.MustCompile("`([^`\n]+)`")
	testName = regexp.MustCompile(`^(Test|Fuzz)[A-Z]\w*$`)
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(`)
	// A path of ours: it begins in a folder of the repository, and has no placeholder.
	ourPath = regexp.MustCompile(`^(\.ci|bench|demo|docs|e2e|events|functions|guard|localstack|shared|testdata|tools)/[a-z0-9_./-]*$`)
)

// missing returns the tests and paths that text names in backticks and that are not there.
func missing(text string, tests map[string]bool, exists func(path string) bool) (names []string) {
	for _, match := range quoted.FindAllStringSubmatch(text, -1) {
		name := match[1]
		if testName.MatchString(name) && !tests[name] || ourPath.MatchString(name) && !exists(name) {
			names = append(names, name)
		}
	}
	return names
}

func TestDocumentsNameWhatIsThere(t *testing.T) {
	tests := map[string]bool{}
	var documents []string
	require.NoError(t, filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != ".." && (strings.HasPrefix(entry.Name(), ".") || path == "../docs/adr"):
			return filepath.SkipDir // decisions are of their day
		case strings.HasSuffix(path, ".md") && entry.Name() != "CHANGELOG.md":
			documents = append(documents, path)
		case strings.HasSuffix(path, "_test.go"):
			text, err := os.ReadFile(path)
			for _, match := range testFunc.FindAllSubmatch(text, -1) {
				tests[string(match[1])] = true
			}
			return err
		}
		return nil
	}))
	require.Greater(t, len(documents), 5)
	exists := func(path string) bool {
		_, err := os.Stat(filepath.Join("..", path))
		return err == nil
	}
	for _, document := range documents {
		text, err := os.ReadFile(document)
		require.NoError(t, err)
		require.Empty(t, missing(string(text), tests, exists), document)
	}
	require.Equal(t, []string{"TestOfNothing", "shared/nothing"},
		missing("`TestOfNothing` in `shared/nothing`, `TestDocumentsNameWhatIsThere` in `guard/docs_test.go`", tests, exists))
}
