package openmhealth

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Most cases stand in mutate_test.go, where Python decides, by its package
// rfc3987 or rfc3987-syntax. Where these err, RFC 3986 and 3987 decide, here.
func TestIdentifiers(t *testing.T) {
	for s, want := range map[string]struct{ uri, iri bool }{
		"urn:a":                 {true, true},
		"urn:é":                 {false, true},
		"a b:c":                 {false, false},
		"http://[::1]:80/a?b#c": {true, true},
		"http://[v1.a:b]/":      {true, true},
		"http://[::1%25eth0]/":  {false, false},
		"http://[1.2.3.4]/":     {false, false},
		"http://[]/":            {false, false},
		"http://[::01.2.3.4]/":  {false, false}, // RFC 3986: no leading zeros; rfc3987 takes it
		"http://a/?\ue000":      {false, true},
		"http://a/\ue000":       {false, false},
		"http://a/b\n":          {false, false}, // rfc3987 and rfc3986-validator: a URI
		"http://a/%zz":          {false, false},
		"../relative":           {false, false},
		"":                      {false, false},
	} {
		require.Equal(t, want.uri, uri.match(s), s)
		require.Equal(t, want.iri, iri.match(s), s)
	}
	for _, f := range formats {
		require.NoError(t, f.Validate(7), "only strings have formats")
		require.ErrorIs(t, f.Validate("no such"), errFormat)
	}
}

func FuzzIdentifier(f *testing.F) {
	for _, seed := range []string{"urn:a", "http://u@[::1]:80/a%20?b#c", "http://é/😀", "a:/", "http://[v1.x]", "http://[::1%25a]/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if uri.match(s) {
			require.True(t, iri.match(s), "every URI is an IRI")
			for _, r := range s {
				require.True(t, r > ' ' && r < 0x7f)
			}
		}
	})
}
