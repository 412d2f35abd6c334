package guard

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/licensecheck"
	"github.com/stretchr/testify/require"
)

// mayShip is the licences under which a module may be part of a function.
var mayShip = map[string]bool{"Apache-2.0": true, "BSD-2-Clause": true, "BSD-3-Clause": true, "MIT": true, "ISC": true, "Unlicense": true}

// unlicensed says why a licence text does not do, or "".
func unlicensed(text []byte) string {
	found := licensecheck.Scan(text)
	if found.Percent < 75 {
		return "not a licence that is known"
	}
	for _, m := range found.Match {
		if !mayShip[m.ID] {
			return m.ID
		}
	}
	return ""
}

// TestLicences: everything that is linked into a function may be shipped under
// Apache-2.0.
func TestLicences(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Dir}}{{end}}{{end}}", "fitvault/functions/...").Output()
	require.NoError(t, err)
	modules := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if path, dir, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			modules[path] = dir
		}
	}
	require.Greater(t, len(modules), 10)
	for path, dir := range modules {
		var texts []string
		for _, pattern := range []string{"LICEN[SC]E*", "UNLICENSE*", "COPYING*"} {
			found, err := filepath.Glob(filepath.Join(dir, pattern))
			require.NoError(t, err)
			texts = append(texts, found...)
		}
		require.NotEmpty(t, texts, path)
		text, err := os.ReadFile(texts[0])
		require.NoError(t, err)
		require.Empty(t, unlicensed(text), path)
	}
	require.Equal(t, "not a licence that is known", unlicensed([]byte("All rights reserved.")))
}
