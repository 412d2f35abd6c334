package attack

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/e2e/stack"
)

// process is one process of a deployed function: of the stack's, not of ours.
type process struct {
	pid    int
	output string // of the template that names its function
}

// processes finds the processes of the stack's functions by their environment.
func processes(t *testing.T, s *stack.Stack) (found []process) {
	t.Helper()
	local, err := filepath.Abs("../../.local")
	require.NoError(t, err)
	folders, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	for _, folder := range folders {
		environment, err := os.ReadFile(filepath.Join(folder, "environ"))
		if err != nil {
			continue // another user's, or gone by now
		}
		has := func(name, value string) bool {
			return bytes.Contains(append([]byte{0}, environment...), []byte("\x00"+name+"="+value+"\x00"))
		}
		if !has("FITVAULT_STACK", local) {
			continue
		}
		for output, name := range s.Outputs {
			if !strings.HasSuffix(output, "Function") || !has("AWS_LAMBDA_FUNCTION_NAME", name) {
				continue
			}
			pid, err := strconv.Atoi(filepath.Base(folder))
			require.NoError(t, err)
			found = append(found, process{pid, output})
		}
	}
	return found
}

// requireNoCrash requires that no process of the stack's functions has ended as Go
// programs do that must. LocalStack ends those that have had nothing to do.
func requireNoCrash(t *testing.T) {
	t.Helper()
	logs, err := filepath.Glob("../../.local/logs/functions/*.log")
	require.NoError(t, err)
	require.NotEmpty(t, logs)
	for _, log := range logs {
		text, err := os.ReadFile(log)
		require.NoError(t, err)
		for _, last := range []string{"panic: ", "fatal error: ", "[running]:"} {
			require.False(t, bytes.Contains(text, []byte(last)), "%s: %s", filepath.Base(log), last)
		}
	}
}
