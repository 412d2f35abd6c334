// Package consent holds what people are asked to agree to: one text for each
// purpose, version and language, as files under texts/ (requirement R23). A text
// that has been published never changes; what is to be said otherwise is a new
// version, and asks again.
package consent

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"fitvault/shared/fault"
)

// Purpose is what a person consents to.
type Purpose string

// The first consent to any of these creates the account.
const (
	Collection Purpose = "collection" // intake; without it nothing is taken in
	Sharing    Purpose = "sharing"    // grants, invitations and apps; without it they are silent
	Research   Purpose = "research"   // grants and apps for that purpose, beside Sharing
)

// Purposes is every purpose, in the order in which a person is asked.
var Purposes = []Purpose{Collection, Sharing, Research}

// ParsePurpose takes a purpose by its name; any other is NotFound.
func ParsePurpose(s string) (Purpose, error) {
	if p := Purpose(s); slices.Contains(Purposes, p) {
		return p, nil
	}
	return "", fault.New(fault.NotFound, "not a purpose")
}

// Locale is a language that every text is in (BCP 47).
type Locale string

const (
	English Locale = "en" // where nobody says which
	German  Locale = "de"
)

// Locales is every language.
var Locales = []Locale{English, German}

// ParseLocale takes a language by its tag.
func ParseLocale(s string) (Locale, bool) {
	if l := Locale(s); slices.Contains(Locales, l) {
		return l, true
	}
	return "", false
}

// Version is one wording of a purpose, in all languages.
type Version struct {
	Name  string    // "1", "2", …
	From  time.Time // from when on it is the one that is asked for
	Until time.Time // once another has come after it: until when it counts for those who agreed to it
}

// Texts is a set of texts. The zero Texts has none.
type Texts struct {
	versions map[Purpose][]Version
	texts    map[string]string // by file name
}

var versionName = regexp.MustCompile(`^[1-9][0-9]{0,3}$`)

// New reads the texts of an index: files PURPOSE/VERSION.LOCALE.md, all that it
// names in all languages and no others. Versions stand in the order of From; only
// one that another comes after may have an Until, and not one before that.
func New(files fs.FS, index map[Purpose][]Version) (Texts, error) {
	t := Texts{versions: index, texts: map[string]string{}}
	for _, p := range Purposes {
		if len(index[p]) == 0 {
			return Texts{}, errors.New("consent: a purpose without a version")
		}
	}
	for purpose, versions := range index {
		if _, err := ParsePurpose(string(purpose)); err != nil {
			return Texts{}, err
		}
		var names []string
		for i, v := range versions {
			last := i == len(versions)-1
			if !versionName.MatchString(v.Name) || slices.Contains(names, v.Name) || v.From.IsZero() ||
				i > 0 && !v.From.After(versions[i-1].From) ||
				!v.Until.IsZero() && (last || v.Until.Before(versions[i+1].From)) {
				return Texts{}, errors.New("consent: a version's name, order or dates")
			}
			names = append(names, v.Name)
			for _, l := range Locales {
				text, err := fs.ReadFile(files, file(purpose, v.Name, l))
				if err != nil || len(text) == 0 || !utf8.Valid(text) {
					return Texts{}, errors.New("consent: a text is missing or not UTF-8")
				}
				t.texts[file(purpose, v.Name, l)] = string(text)
			}
		}
	}
	return t, fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if _, known := t.texts[path]; err == nil && !d.IsDir() && !known {
			return errors.New("consent: a text that the index does not name")
		}
		return err
	})
}

func file(p Purpose, version string, l Locale) string {
	return strings.Join([]string{string(p), "/", version, ".", string(l), ".md"}, "")
}

// Current is the version that may be agreed to; false before there is one.
func (t Texts) Current(p Purpose, now time.Time) (Version, bool) {
	for _, v := range slices.Backward(t.versions[p]) {
		if !now.Before(v.From) {
			return v, true
		}
	}
	return Version{}, false
}

// Accepted reports whether who agreed to a version has still agreed: it is the
// current one, or one that counts for a while after it.
func (t Texts) Accepted(p Purpose, version string, now time.Time) bool {
	current, ok := t.Current(p, now)
	if !ok || version == current.Name {
		return ok
	}
	v, ok := t.Version(p, version)
	return ok && v.From.Before(current.From) && now.Before(v.Until)
}

// Version finds a version by its name, past, current or to come.
func (t Texts) Version(p Purpose, name string) (Version, bool) {
	i := slices.IndexFunc(t.versions[p], func(v Version) bool { return v.Name == name })
	if i < 0 {
		return Version{}, false
	}
	return t.versions[p][i], true
}

// Text is what is shown, in Markdown; false where there is no such text.
func (t Texts) Text(p Purpose, version string, l Locale) (string, bool) {
	text, ok := t.texts[file(p, version, l)]
	return text, ok
}

// Digest is the SHA-256 of a text in lower-case hex, as `sha256sum` says it of
// the file; "" where there is no such text.
func (t Texts) Digest(p Purpose, version string, l Locale) string {
	text, ok := t.Text(p, version, l)
	if !ok {
		return ""
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

//go:embed texts
var embedded embed.FS

// Published is the texts of this product.
var Published = load()

// load stops a function whose texts are not whole before it serves anything.
func load() Texts {
	files, err := fs.Sub(embedded, "texts")
	if err != nil {
		panic(err)
	}
	t, err := New(files, index)
	if err != nil {
		panic(err)
	}
	return t
}

// Accepted is Published.Accepted: what every decision asks.
func Accepted(p Purpose, version string, now time.Time) bool {
	return Published.Accepted(p, version, now)
}
