package consent_test

import (
	"bufio"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"fitvault/shared/consent"
	"fitvault/shared/fault"
)

// TestPublishedTextsNeverChange: testdata/digests.txt is `sha256sum` of every text
// that was ever published. A line is added with a new version; none is changed.
func TestPublishedTextsNeverChange(t *testing.T) {
	f, err := os.Open("testdata/digests.txt")
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	golden := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		digest, name, ok := strings.Cut(lines.Text(), "  texts/")
		require.True(t, ok)
		golden[name] = digest
	}
	found := 0
	require.NoError(t, fs.WalkDir(os.DirFS("texts"), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		found++
		purpose, name, _ := strings.Cut(path, "/")
		version, rest, _ := strings.Cut(name, ".")
		locale := strings.TrimSuffix(rest, ".md")
		require.Equal(t, golden[path], consent.Published.Digest(consent.Purpose(purpose), version, consent.Locale(locale)),
			"%s is not the text that was published: make a new version", path)
		return nil
	}))
	require.Len(t, golden, found, "a text that was published is gone")
}

func TestTextsAreReadable(t *testing.T) {
	for _, p := range consent.Purposes {
		version, ok := consent.Published.Current(p, time.Now())
		require.True(t, ok)
		for _, l := range consent.Locales {
			text, ok := consent.Published.Text(p, version.Name, l)
			require.True(t, ok)
			require.True(t, strings.HasPrefix(text, "# "))
			require.Less(t, len(strings.Fields(text)), 300, "short enough that people read it")
			word := map[consent.Locale]string{consent.English: "Version ", consent.German: "Fassung "}[l]
			require.Contains(t, text, word+version.Name+".")
			for line := range strings.Lines(text) {
				require.LessOrEqual(t, len([]rune(line)), 121)
			}
		}
	}
}

func day(d int) time.Time { return time.Date(2026, 5, d, 0, 0, 0, 0, time.UTC) }

func files(names ...string) fstest.MapFS {
	f := fstest.MapFS{}
	for _, name := range names {
		for _, l := range consent.Locales {
			f[name+"."+string(l)+".md"] = &fstest.MapFile{Data: []byte(name + " in " + string(l))}
		}
	}
	return f
}

func one(from int) []consent.Version { return []consent.Version{{Name: "1", From: day(from)}} }

// three is an index in which the text on collecting has come three times.
func three(t *testing.T) consent.Texts {
	texts, err := consent.New(files("collection/1", "collection/2", "collection/3", "sharing/1", "research/1"), map[consent.Purpose][]consent.Version{
		consent.Collection: {
			{Name: "1", From: day(2), Until: day(12)},
			{Name: "2", From: day(10)}, // counts no longer than it is the current one
			{Name: "3", From: day(20)},
		},
		consent.Sharing: one(2), consent.Research: one(2),
	})
	require.NoError(t, err)
	return texts
}

func TestANewVersionAsksAgain(t *testing.T) {
	texts := three(t)
	for _, test := range []struct {
		at       time.Time
		current  string
		accepted []string
	}{
		{day(2).Add(-1), "", nil},
		{day(2), "1", []string{"1"}},
		{day(10).Add(-1), "1", []string{"1"}},
		{day(10), "2", []string{"1", "2"}},
		{day(12).Add(-1), "2", []string{"1", "2"}},
		{day(12), "2", []string{"2"}},
		{day(20).Add(-1), "2", []string{"2"}},
		{day(20), "3", []string{"3"}},
		{day(20).AddDate(100, 0, 0), "3", []string{"3"}},
	} {
		current, ok := texts.Current(consent.Collection, test.at)
		require.Equal(t, test.current != "", ok, test.at)
		require.Equal(t, test.current, current.Name, test.at)
		for _, version := range []string{"", "0", "1", "2", "3", "4"} {
			require.Equal(t, slices.Contains(test.accepted, version), texts.Accepted(consent.Collection, version, test.at), "%s at %s", version, test.at)
		}
	}
	require.True(t, texts.Accepted(consent.Sharing, "1", day(30)), "of another purpose")
	require.False(t, texts.Accepted("marketing", "1", day(30)))
	require.False(t, consent.Texts{}.Accepted(consent.Collection, "1", day(30)))
}

func TestTextAndDigest(t *testing.T) {
	texts := three(t)
	text, ok := texts.Text(consent.Collection, "2", consent.German)
	require.True(t, ok)
	require.Equal(t, "collection/2 in de", text)
	require.Regexp(t, "^[0-9a-f]{64}$", texts.Digest(consent.Collection, "2", consent.German))
	require.NotEqual(t, texts.Digest(consent.Collection, "2", consent.English), texts.Digest(consent.Collection, "2", consent.German))
	for _, none := range [][3]string{{"collection", "4", "de"}, {"marketing", "1", "de"}, {"collection", "1", "fr"}, {"collection", "", ""}} {
		_, ok := texts.Text(consent.Purpose(none[0]), none[1], consent.Locale(none[2]))
		require.False(t, ok)
		require.Empty(t, texts.Digest(consent.Purpose(none[0]), none[1], consent.Locale(none[2])))
	}
	v, ok := texts.Version(consent.Collection, "1")
	require.True(t, ok)
	require.Equal(t, day(12), v.Until)
	_, ok = texts.Version(consent.Collection, "4")
	require.False(t, ok)
}

func TestNewRefuses(t *testing.T) {
	type index = map[consent.Purpose][]consent.Version
	all := files("collection/1", "sharing/1", "research/1")
	with := func(versions ...consent.Version) index {
		return index{consent.Collection: versions, consent.Sharing: one(2), consent.Research: one(2)}
	}
	two := files("collection/1", "collection/2", "sharing/1", "research/1")
	spoilt := func(text string) fstest.MapFS {
		f := files("collection/1", "sharing/1", "research/1")
		f["sharing/1.de.md"] = &fstest.MapFile{Data: []byte(text)}
		return f
	}
	_, err := consent.New(all, with(one(2)...))
	require.NoError(t, err)
	v := func(name string, from, until time.Time) consent.Version {
		return consent.Version{Name: name, From: from, Until: until}
	}
	never := time.Time{}
	for name, test := range map[string]struct {
		files fs.FS
		index index
	}{
		"a purpose without a version":         {all, index{consent.Collection: one(2), consent.Sharing: one(2)}},
		"a purpose that is none":              {all, index{consent.Collection: one(2), consent.Sharing: one(2), consent.Research: one(2), "marketing": one(2)}},
		"a version without a name":            {all, with(v("", day(2), never))},
		"a version that is a path":            {all, with(v("../1", day(2), never))},
		"a version without a day":             {all, with(v("1", never, never))},
		"a version twice":                     {two, with(v("1", day(2), never), v("1", day(3), never))},
		"versions out of order":               {two, with(v("1", day(3), never), v("2", day(2), never))},
		"two versions of one day":             {two, with(v("1", day(2), never), v("2", day(2), never))},
		"an end of the last":                  {all, with(v("1", day(2), day(9)))},
		"an end before the next begins":       {two, with(v("1", day(2), day(3)), v("2", day(4), never))},
		"a version without texts":             {all, with(v("1", day(2), never), v("2", day(4), never))},
		"a text that is in one language only": {fstest.MapFS{"collection/1.en.md": all["collection/1.en.md"]}, with(one(2)...)},
		"a text that the index does not name": {two, with(one(2)...)},
		"an empty text":                       {spoilt(""), with(one(2)...)},
		"a text that is not UTF-8":            {spoilt("\xff"), with(one(2)...)},
		"files that are not there at all":     {fstest.MapFS{}, with(one(2)...)},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := consent.New(test.files, test.index)
			require.Error(t, err)
		})
	}
}

func TestAccepted(t *testing.T) {
	for _, p := range consent.Purposes {
		require.True(t, consent.Accepted(p, "1", time.Now()))
		require.False(t, consent.Accepted(p, "1", time.Date(2025, 12, 31, 23, 59, 59, 0, time.UTC)))
		require.False(t, consent.Accepted(p, "0", time.Now()))
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"collection", "sharing", "research", "Collection", "collection ", "en", "de", "de-DE", "", "../collection"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := consent.ParsePurpose(s)
		if err != nil {
			require.Equal(t, fault.NotFound, fault.KindOf(err))
			require.Empty(t, p)
		} else {
			require.Contains(t, consent.Purposes, consent.Purpose(s))
			require.Equal(t, s, string(p))
		}
		l, ok := consent.ParseLocale(s)
		require.Equal(t, ok, s == "en" || s == "de")
		require.True(t, !ok && l == "" || ok && string(l) == s)
	})
}
