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
	pid     int
	started string // with the pid, what no other process will have
	output  string // of the template that names its function
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
			stat, err := os.ReadFile(filepath.Join(folder, "stat"))
			if err != nil {
				continue
			}
			fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
			pid, err := strconv.Atoi(filepath.Base(folder))
			require.NoError(t, err)
			if fields[0] != "Z" {
				found = append(found, process{pid, fields[19], output})
			}
		}
	}
	return found
}
