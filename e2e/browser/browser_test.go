package browser

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWhatIsForbiddenFails: a script that does what a browser would not let it do is
// seen to fail, so that the consent page's tests mean something.
func TestWhatIsForbiddenFails(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/read" {
			w.Header().Set("Access-Control-Allow-Origin", "*")
		}
		if r.URL.Path == "/away" {
			w.Header().Set("Location", "/read")
			w.WriteHeader(http.StatusFound)
		}
	}))
	defer elsewhere.Close()
	const fetches = `fetch(document.documentElement.dataset.other + '/read', {credentials: 'omit', redirect: 'error'})`
	for name, test := range map[string]struct{ connect, script, shows string }{
		"a fetch":                      {elsewhere.URL, fetches, "done"},
		"against the policy":           {"'self'", fetches, "failed"},
		"with credentials":             {elsewhere.URL, `fetch(document.documentElement.dataset.other + '/read', {redirect: 'error'})`, "failed"},
		"without leave of the other":   {elsewhere.URL, `fetch(document.documentElement.dataset.other + '/', {credentials: 'omit', redirect: 'error'})`, "failed"},
		"led away":                     {elsewhere.URL, `fetch(document.documentElement.dataset.other + '/away', {credentials: 'omit', redirect: 'error'})`, "failed"},
		"markup made of text":          {elsewhere.URL, `(async () => { element.innerHTML = '<b>'; })()`, "failed"},
		"a digest that is not SHA-256": {elsewhere.URL, `crypto.subtle.digest('SHA-1', new Uint8Array(1))`, "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			own := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; connect-src "+test.connect)
				if r.URL.Path == "/script.js" {
					_, _ = io.WriteString(w, `const element = document.getElementById('says'); `+test.script+
						`.then(() => { element.textContent = 'done'; }, () => { element.textContent = 'failed'; });`)
					return
				}
				_, _ = io.WriteString(w, `<!doctype html><html data-other="`+elsewhere.URL+`"><p id="says"></p><script defer src="script.js"></script>`)
			}))
			defer own.Close()
			tab := New(t, &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }})
			tab.Open(own.URL + "/")
			require.Equal(t, test.shows, tab.Text("says"))
		})
	}
}

func TestWhatATabKeepsIsOfItsOrigin(t *testing.T) {
	tab := New(t, http.DefaultClient)
	tab.Address = "https://a.example/x"
	tab.keep("name", "value")
	tab.Address = "https://b.example/x"
	require.Nil(t, tab.kept("name"))
	tab.Address = "https://a.example/y"
	require.Equal(t, "value", tab.kept("name"))
}
