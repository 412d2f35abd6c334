// Package browser is a browser as far as the consent page needs one: it runs the page's
// real script, keeps a tab's storage by origin, and holds fetches to the page's own
// Content-Security-Policy and to CORS. It is no proof of what browsers do with the rest
// of the policy.
package browser

import (
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dop251/goja"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
)

//go:embed dom.js
var dom string

// Tab is one tab. What its page's script keeps stays over its pages, by origin.
type Tab struct {
	t       testing.TB
	client  *http.Client // follows no redirect
	storage map[string]map[string]string

	Address string      // of the page that is shown, as its script has renamed it
	Next    string      // where the script leads, "" as long as it does not; it is not followed
	Header  http.Header // of the page
	Fetched []string    // "METHOD address" of each fetch of this page
	policy  map[string][]string
	vm      *goja.Runtime
}

// New opens an empty tab.
func New(t testing.TB, client *http.Client) *Tab {
	return &Tab{t: t, client: client, storage: map[string]map[string]string{}}
}

// Open shows a page of ours and runs its script.
func (b *Tab) Open(address string) {
	b.t.Helper()
	b.Address, b.Next, b.Fetched = address, "", nil
	answer, body := b.get(address)
	b.Header, b.policy = answer.Header, map[string][]string{}
	for directive := range strings.SplitSeq(answer.Header.Get("Content-Security-Policy"), ";") {
		if words := strings.Fields(directive); len(words) > 0 {
			b.policy[words[0]] = words[1:]
		}
	}
	require.Equal(b.t, []string{"'none'"}, b.policy["default-src"])
	root, err := html.Parse(strings.NewReader(body))
	require.NoError(b.t, err)

	b.vm = goja.New()
	u := b.url()
	require.NoError(b.t, b.vm.Set("browser", map[string]any{"navigate": b.navigate, "rename": b.rename, "kept": b.kept, "keep": b.keep, "forget": b.forget,
		"random": b.random, "digest": b.digest, "btoa": btoa, "atob": atob, "send": b.send}))
	b.run(dom)
	search := ""
	if u.RawQuery != "" {
		search = "?" + u.RawQuery
	}
	for name, value := range map[string]string{"origin": origin(u), "pathname": u.Path, "search": search} {
		b.run(fmt.Sprintf("location[%q] = %q", name, value))
	}
	var scripts []string
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			if script := b.element(n); script != "" {
				scripts = append(scripts, script)
			}
		}
	}
	for _, script := range scripts {
		from, err := u.Parse(script)
		require.NoError(b.t, err)
		require.True(b.t, b.permitted("script-src", from), "the page's own policy blocks %s", from)
		_, text := b.get(from.String())
		b.run(text)
	}
}

var dash = regexp.MustCompile(`-[a-z]`)

// element makes what the script can see of an element; the address of a script, "" of others.
func (b *Tab) element(n *html.Node) (script string) {
	attributes := map[string]string{}
	for _, a := range n.Attr {
		require.False(b.t, strings.HasPrefix(a.Key, "on") || a.Key == "style", "script or style in the text")
		attributes[a.Key] = a.Val
		if name, data := strings.CutPrefix(a.Key, "data-"); data {
			name = dash.ReplaceAllStringFunc(name, func(s string) string { return strings.ToUpper(s[1:]) })
			b.run(fmt.Sprintf("document.documentElement.dataset[%q] = %q", name, a.Val))
		}
	}
	if id, ok := attributes["id"]; ok {
		_, hidden := attributes["hidden"]
		b.run(fmt.Sprintf("elements[%q] = Object.assign(new Element(%q), {hidden: %v})", id, n.Data, hidden))
	}
	if n.Data != "script" {
		return ""
	}
	require.Nil(b.t, n.FirstChild, "script in the text")
	return attributes["src"]
}

// Text is what an element shows.
func (b *Tab) Text(id string) string {
	return b.run(fmt.Sprintf("elements[%q].textContent", id)).String()
}

// Hidden reports whether an element is not shown.
func (b *Tab) Hidden(id string) bool {
	return b.run(fmt.Sprintf("elements[%q].hidden", id)).ToBoolean()
}

// Click presses a button.
func (b *Tab) Click(id string) { b.run(fmt.Sprintf("elements[%q].click()", id)) }

// Boxes is the values of the boxes in an element that are ticked.
func (b *Tab) Boxes(id string) []string {
	text := b.run(fmt.Sprintf("elements[%q].boxes().filter((b) => b.checked).map((b) => b.value).join(' ')", id)).String()
	return strings.Fields(text)
}

// Tick changes the box of a value.
func (b *Tab) Tick(id, value string) {
	b.run(fmt.Sprintf("elements[%q].boxes().find((b) => b.value === %q).click()", id, value))
}

// Stored is all that the tab keeps.
func (b *Tab) Stored() string { return fmt.Sprint(b.storage) }

func (b *Tab) run(script string) goja.Value {
	b.t.Helper()
	value, err := b.vm.RunString(script)
	require.NoError(b.t, err)
	return value
}

func (b *Tab) url() *url.URL {
	u, err := url.Parse(b.Address)
	require.NoError(b.t, err)
	return u
}

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

// permitted reports whether the page's policy lets it load from an address.
func (b *Tab) permitted(directive string, u *url.URL) bool {
	return slices.Contains(b.policy[directive], origin(u)) || origin(u) == origin(b.url()) && slices.Contains(b.policy[directive], "'self'")
}

func (b *Tab) get(address string) (*http.Response, string) {
	b.t.Helper()
	answer, err := b.client.Get(address)
	require.NoError(b.t, err)
	defer func() { _ = answer.Body.Close() }()
	require.Equal(b.t, http.StatusOK, answer.StatusCode)
	text, err := io.ReadAll(answer.Body)
	require.NoError(b.t, err)
	return answer, string(text)
}

func (b *Tab) navigate(address string) {
	require.Empty(b.t, b.Next, "it leads somewhere twice")
	b.Next = address
}

func (b *Tab) rename(address string) {
	u, err := b.url().Parse(address)
	require.NoError(b.t, err)
	b.Address = u.String()
}

func (b *Tab) own() map[string]string {
	o := origin(b.url())
	if b.storage[o] == nil {
		b.storage[o] = map[string]string{}
	}
	return b.storage[o]
}

func (b *Tab) keep(name, value string) { b.own()[name] = value }

func (b *Tab) forget(name string) { delete(b.own(), name) }

func (b *Tab) kept(name string) any {
	if value, ok := b.own()[name]; ok {
		return value
	}
	return nil
}

func (b *Tab) random(n int) goja.ArrayBuffer {
	bytes := make([]byte, n)
	_, _ = rand.Read(bytes)
	return b.vm.NewArrayBuffer(bytes)
}

func (b *Tab) digest(name string, bytes goja.ArrayBuffer) (goja.ArrayBuffer, error) {
	if name != "SHA-256" {
		return goja.ArrayBuffer{}, errors.New("another digest")
	}
	sum := sha256.Sum256(bytes.Bytes())
	return b.vm.NewArrayBuffer(sum[:]), nil
}

// btoa and atob are of text whose characters are bytes.
func btoa(text string) (string, error) {
	var bytes []byte
	for _, r := range text {
		if r > 0xff {
			return "", errors.New("not a byte")
		}
		bytes = append(bytes, byte(r))
	}
	return base64.StdEncoding.EncodeToString(bytes), nil
}

func atob(text string) (string, error) {
	bytes, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	var out strings.Builder
	for _, c := range bytes {
		out.WriteRune(rune(c))
	}
	return out.String(), err
}

// send is a fetch. What the policy or CORS does not allow fails as it does in a browser.
func (b *Tab) send(address, method string, headers map[string]string, body string, bare, straight bool) (map[string]any, error) {
	u, err := url.Parse(address)
	if err != nil || !b.permitted("connect-src", u) {
		return nil, errors.New("the page's policy does not allow it")
	}
	if !bare || !straight {
		return nil, errors.New("with credentials, or over redirects")
	}
	b.Fetched = append(b.Fetched, method+" "+address)
	r, err := http.NewRequestWithContext(b.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Origin", origin(b.url()))
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	answer, err := b.client.Do(r)
	if err != nil {
		return nil, errors.New("not reached")
	}
	defer func() { _ = answer.Body.Close() }()
	cross := origin(u) != origin(b.url())
	if answer.StatusCode/100 == 3 || cross && answer.Header.Get("Access-Control-Allow-Origin") != "*" {
		return nil, errors.New("a redirect, or an answer that the page may not read")
	}
	text, err := io.ReadAll(answer.Body)
	return map[string]any{"status": answer.StatusCode, "text": string(text)}, err
}
