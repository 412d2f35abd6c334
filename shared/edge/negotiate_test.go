package edge_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/shared/edge"
	"fitvault/shared/fault"
)

func TestNegotiate(t *testing.T) {
	for _, test := range []struct{ accept, want string }{
		{"", jsonType},
		{"*/*", jsonType},
		{"application/*", jsonType},
		{"application/json", jsonType},
		{"Application/JSON", jsonType},
		{"application/json;q=0.1", jsonType},
		{tcx, tcx},
		{tcx + ", application/json", tcx},
		{"application/json, " + tcx, jsonType},
		{"application/json;q=0.5, " + tcx, tcx},
		{"application/json;q=0.5," + tcx + ";q=0.6", tcx},
		{"*/*;q=0.1, " + tcx, tcx},
		{"application/*;q=0.9, " + tcx + ";q=0.8", jsonType},
		{"application/json;q=0, */*", tcx},
		{"text/html, */*;q=0.001", jsonType},
		{"text/*, application/json;q=1.000", jsonType},

		{"text/html", ""},
		{"text/*", ""},
		{"application/json;q=0", ""},
		{"*/*;q=0", ""},
		{"application/json;version=2", ""},
		{"application/problem+json", ""},
		{"application/gpx+xml", ""},
		{"x", ""},
		{"*", ""},
		{"/", ""},
		{",", ""},
		{";", ""},
		{"*/json", ""},
		{"application/json;q=2", ""},
		{"application/json;q=-1", ""},
		{"application/json;q=0.1234", ""},
		{"application/json;q=NaN", ""},
		{"application/json text/html", ""},
		{`application/json;a="`, ""},
		{strings.Repeat("a/b,", 300), ""},
	} {
		t.Run(test.accept, func(t *testing.T) {
			got, err := edge.Negotiate(test.accept, jsonType, tcx)
			if test.want == "" {
				require.Equal(t, fault.NotAcceptable, fault.KindOf(err))
				require.Error(t, err)
				require.Empty(t, got)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func FuzzNegotiate(f *testing.F) {
	for _, accept := range []string{"", "*/*", tcx + ";q=0.5, application/json", `a/b;c="\"";q=1;d`, "application/json;q=0"} {
		f.Add(accept)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		got, err := edge.Negotiate(accept, jsonType, tcx)
		if err != nil {
			require.Equal(t, fault.NotAcceptable, fault.KindOf(err))
			return
		}
		require.Contains(t, []string{jsonType, tcx}, got)
	})
}
