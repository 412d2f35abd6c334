package apps_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"fitvault/shared/access"
	"fitvault/shared/apps"
	"fitvault/shared/fault"
)

func TestParse(t *testing.T) {
	redirects, scopes := []string{"https://b.example/", "https://a.example/callback", "https://b.example/"}, []string{"fitvault/readings.write", "fitvault/readings.read"}
	w, err := apps.Parse(" Café ", "third-party", "partner", redirects, scopes)
	require.NoError(t, err)
	require.Equal(t, "Café", w.Name.String(), "NFC, without spaces around")
	require.Equal(t, access.ThirdPartyApp, w.Kind)
	require.Equal(t, []string{"https://a.example/callback", "https://b.example/"}, w.RedirectURIs)
	require.Equal(t, []string{"fitvault/readings.read", "fitvault/readings.write"}, w.Scopes)
	_, err = apps.Parse("Klinik", "system", "partner", nil, apps.Scopes)
	require.NoError(t, err)

	for name, test := range map[string]struct {
		name, kind, plan  string
		redirects, scopes []string
		want              fault.Item
	}{
		"no name":               {"", "third-party", "partner", redirects, scopes, fault.Item{Pointer: "/name", Rule: "name"}},
		"a name turned round":   {"a\u202eb", "third-party", "partner", redirects, scopes, fault.Item{Pointer: "/name", Rule: "name"}},
		"a name of two lines":   {"a\nb", "third-party", "partner", redirects, scopes, fault.Item{Pointer: "/name", Rule: "name"}},
		"our own kind":          {"a", "own", "partner", redirects, scopes, fault.Item{Pointer: "/kind", Rule: "enum"}},
		"staff's kind":          {"a", "staff", "partner", redirects, scopes, fault.Item{Pointer: "/kind", Rule: "enum"}},
		"our plan":              {"a", "third-party", "app", redirects, scopes, fault.Item{Pointer: "/plan", Rule: "enum"}},
		"no redirect":           {"a", "third-party", "partner", nil, scopes, fault.Item{Pointer: "/redirect_uris", Rule: "https-exact"}},
		"a system with one":     {"a", "system", "partner", redirects, scopes, fault.Item{Pointer: "/redirect_uris", Rule: "none"}},
		"too many":              {"a", "third-party", "partner", strings.Split(strings.Repeat("https://a.example/a,", 3)+"https://a.example/b,https://a.example/c,https://a.example/d,https://a.example/e,https://a.example/f,https://a.example/g,https://a.example/h,https://a.example/i", ","), scopes, fault.Item{Pointer: "/redirect_uris", Rule: "https-exact"}},
		"no scope":              {"a", "third-party", "partner", redirects, nil, fault.Item{Pointer: "/scopes", Rule: "enum"}},
		"a scope of the owner":  {"a", "third-party", "partner", redirects, []string{"fitvault/readings.read", "fitvault/sharing.manage"}, fault.Item{Pointer: "/scopes", Rule: "enum"}},
		"a scope of staff":      {"a", "system", "partner", nil, []string{"fitvault/admin"}, fault.Item{Pointer: "/scopes", Rule: "enum"}},
		"the administrators'":   {"a", "third-party", "partner", redirects, []string{"aws.cognito.signin.user.admin"}, fault.Item{Pointer: "/scopes", Rule: "enum"}},
		"privacy":               {"a", "third-party", "partner", redirects, []string{"fitvault/privacy.manage"}, fault.Item{Pointer: "/scopes", Rule: "enum"}},
		"devices":               {"a", "third-party", "partner", redirects, []string{"fitvault/devices.manage"}, fault.Item{Pointer: "/scopes", Rule: "enum"}},
		"a scope without owner": {"a", "third-party", "partner", redirects, []string{"readings.read"}, fault.Item{Pointer: "/scopes", Rule: "enum"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := apps.Parse(test.name, test.kind, test.plan, test.redirects, test.scopes)
			require.Equal(t, fault.Invalid, fault.KindOf(err))
			require.Equal(t, []fault.Item{test.want}, fault.ItemsOf(err))
		})
	}
}

func TestRedirectURIs(t *testing.T) {
	for _, good := range []string{"https://a.example/", "https://a.example/callback", "https://a-b.example:8443/x/y_z~/", "https://a.example/.well"} {
		require.True(t, apps.ValidRedirectURI(good), good)
	}
	for _, bad := range []string{"", "https://a.example", "http://a.example/", "https://localhost/", "HTTPS://a.example/", "https://A.example/", "https://*.example/", "https://a.example/*",
		"https://a.example/#x", "https://a.example/#", "https://a.example/?x=y", "https://a.example/?", "https://u@a.example/", "https://u:p@a.example/", "https://a.example/../b", "https://a.example/b/..",
		"https://a.example//b", "https://a.example/./", "https://a.example/%2e%2e/", "https://a.example\\@b.example/", "https://a.example/ ", " https://a.example/", "https://a.example/\n",
		"https://a.example:0/", "https://a.example:/", "https://a.example:123456/", "https://a..example/", "https://.example/", "https://example./", "https://[::1]/", "javascript:alert(1)", "custom://a.example/",
		"//a.example/", "https:///a", "https://a.example/é", "https://a.example/" + strings.Repeat("a", 512)} {
		require.False(t, apps.ValidRedirectURI(bad), bad)
	}
}

func TestNewKey(t *testing.T) {
	key, err := apps.NewKey(bytes.NewReader(make([]byte, 32)))
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("A", 43), key)
	_, err = apps.NewKey(iotest.ErrReader(errors.New("none")))
	require.Error(t, err)
}

// FuzzValidRedirectURI: what is taken is the address that a browser goes to, and no other.
func FuzzValidRedirectURI(f *testing.F) {
	for _, seed := range []string{"https://a.example/callback", "https://a.example/../b", "https://a.example:8443/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if apps.ValidRedirectURI(s) {
			require.True(t, strings.HasPrefix(s, "https://"))
			require.NotContains(t, s, "..")
			for _, r := range s {
				require.NotContains(t, "*#?@\\% \"'<>", string(r))
			}
		}
	})
}
