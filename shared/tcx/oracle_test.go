package tcx_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/e2e/oracle"
	"fitvault/shared/fault"
	"fitvault/shared/tcx"
)

// expected is the refusal that follows from libxml2's opinion by wire.md, "" for none.
func expected(o oracle.Document) fault.Kind {
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

// difference says how our verdict differs from libxml2's, "" if it does not.
func difference(document []byte, theirs oracle.Document) string {
	ours, err := tcx.Parse(document, tcx.DefaultLimits)
	var kind fault.Kind
	if err != nil {
		kind = fault.KindOf(err)
	}
	switch {
	case kind != expected(theirs):
		return fmt.Sprintf("ours %q %v, theirs %q: %s", kind, fault.ItemsOf(err), expected(theirs), theirs.Why)
	case err == nil && theirs.Trackpoints >= 0 && len(ours.Trackpoints) != theirs.Trackpoints:
		return fmt.Sprintf("ours %d trackpoints, theirs %d", len(ours.Trackpoints), theirs.Trackpoints)
	}
	return ""
}
