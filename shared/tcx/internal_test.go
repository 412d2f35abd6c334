package tcx

import (
	"errors"
	"io"
	"testing"

	"github.com/jacoelho/xsd/xsderrors"
	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
)

// A validator that fails without a verdict is our failure, never a pass.
func TestNoVerdict(t *testing.T) {
	require.Empty(t, complaints(errors.New("of another kind")))
	require.True(t, lost(errLost))
	for _, code := range []xsderrors.Code{errLost.Code, xsderrors.CodeValidationCanceled, xsderrors.CodeValidationSession, "of a later version"} {
		err := refusal([]byte("<a/>"), []*xsderrors.Error{{Code: code}})
		require.Equal(t, fault.Internal, fault.KindOf(err), code)
	}
}

// encoding/xml prefers ReadByte; Read must give the same.
func TestASCIIReader(t *testing.T) {
	text, err := io.ReadAll(&asciiReader{rest: []byte("<\u00e4/>")})
	require.NoError(t, err)
	require.Equal(t, "<QQ/>", string(text))
}

// "QQ" stands for a character that is not ASCII, so no name may hold it.
func TestVocabulary(t *testing.T) {
	require.Len(t, known(), 102)
	require.True(t, known()[tcxName("Trackpoint")])
	require.False(t, known()[tcxName("Time")])
	for name := range known() {
		require.NotContains(t, name.Space+name.Local, "QQ")
	}
	for from := range steps {
		require.Contains(t, known(), from.name)
	}
}
