package attack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
)

// TestContract lets schemathesis try the deployed API against openapi.yaml with
// all of its checks, as an owner and as nobody. What it may complain of is in
// contract/hooks.py and in README.md.
func TestContract(t *testing.T) {
	s := stack.Open(t)
	if !whole {
		t.Skip("minutes: make attack")
	}
	python, err := filepath.Abs("../../.local/venvs/attack/bin/python")
	require.NoError(t, err)
	for _, who := range []struct {
		name, environment string
		budget            time.Duration
	}{
		{"an owner", "OWNER=1", 400 * time.Second},
		{"nobody", "ANONYMOUS=1", 60 * time.Second},
	} {
		t.Run(who.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), who.budget+time.Minute)
			defer cancel()
			command := exec.CommandContext(ctx, python, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run", "../../../openapi.yaml",
				"--url", s.API, "--max-time", fmt.Sprint(int(who.budget.Seconds())), "--no-color")
			command.Dir = "contract"
			command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir(), "PYTHONPATH=.", "PYTHONDONTWRITEBYTECODE=1", "NO_PROXY=*", "COLUMNS=160", who.environment}
			out, err := command.CombinedOutput()
			require.NoError(t, err, "%s", out)
			t.Logf("%s", out[max(0, len(out)-800):])
		})
	}
}
