package tcx_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
	"fitvault/shared/tcx"
)

// opinion is what e2e/oracle/tcx_verdicts.py says of one document.
type opinion struct {
	WellFormed  bool   `json:"well_formed"`
	Valid       bool   `json:"valid"`
	Trackpoints int    `json:"trackpoints"`
	Why         string `json:"why"`
}

// kind is the refusal that follows from an opinion by wire.md, "" for none.
func (o opinion) kind() fault.Kind {
	switch {
	case !o.WellFormed:
		return fault.BadRequest
	case !o.Valid:
		return fault.Invalid
	}
	return ""
}

// absent fails in CI, where nothing may be left out, and skips elsewhere.
func absent(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		require.FailNowf(t, "left out in CI", format, args...)
	}
	t.Skipf(format, args...)
}

// ask gets libxml2's opinions of documents, in their order. ORACLE_PYTHON names
// another interpreter than that of make test.
func ask(t *testing.T, documents [][]byte) []opinion {
	t.Helper()
	python := os.Getenv("ORACLE_PYTHON")
	if python == "" {
		python = filepath.Join("..", "..", ".local", "venvs", "test", "bin", "python")
	}
	if _, err := os.Stat(python); err != nil {
		absent(t, "no interpreter with lxml: %d cases left out", len(documents))
	}
	script := filepath.Join("..", "..", "e2e", "oracle", "tcx_verdicts.py")
	oracle := exec.CommandContext(t.Context(), python, script, "xsd")
	oracle.Stderr = os.Stderr
	in, err := oracle.StdinPipe()
	require.NoError(t, err)
	out, err := oracle.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, oracle.Start())

	var sending sync.WaitGroup
	sending.Go(func() {
		defer in.Close()
		for _, d := range documents {
			if _, err := io.WriteString(in, base64.StdEncoding.EncodeToString(d)+"\n"); err != nil {
				return // the oracle's exit tells why
			}
		}
	})
	opinions := make([]opinion, 0, len(documents))
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var o opinion
		require.NoError(t, json.Unmarshal(lines.Bytes(), &o))
		opinions = append(opinions, o)
	}
	sending.Wait()
	require.NoError(t, oracle.Wait())
	require.Len(t, opinions, len(documents))
	return opinions
}

// difference says how our verdict differs from libxml2's, "" if it does not.
func difference(document []byte, theirs opinion) string {
	ours, err := tcx.Parse(document, tcx.DefaultLimits)
	var kind fault.Kind
	if err != nil {
		kind = fault.KindOf(err)
	}
	switch {
	case kind != theirs.kind():
		return fmt.Sprintf("ours %q %v, theirs %q: %s", kind, fault.ItemsOf(err), theirs.kind(), theirs.Why)
	case err == nil && theirs.Trackpoints >= 0 && len(ours.Trackpoints) != theirs.Trackpoints:
		return fmt.Sprintf("ours %d trackpoints, theirs %d", len(ours.Trackpoints), theirs.Trackpoints)
	}
	return ""
}
