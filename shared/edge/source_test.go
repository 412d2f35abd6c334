package edge

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzSource: any text is one network, and two addresses of one are the same one.
func FuzzSource(f *testing.F) {
	f.Add("192.0.2.1")
	f.Fuzz(func(t *testing.T, text string) {
		p := sourceOf(text)
		a, err := netip.ParseAddr(text)
		require.Equal(t, err == nil, p.IsValid())
		if err == nil {
			require.True(t, p.Contains(a.Unmap().WithZone("")))
			require.Equal(t, p, sourceOf(p.Addr().String()))
			require.Contains(t, []int{32, 64}, p.Bits())
		}
	})
}
