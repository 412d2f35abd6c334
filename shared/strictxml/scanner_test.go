package strictxml_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"fitvault/shared/fault"
	"fitvault/shared/strictxml"
)

var limits = strictxml.Limits{Bytes: 1 << 20, Depth: 32, Attributes: 16, TextBytes: 4096, Namespaces: 8, Elements: 1000}

// scan writes the tokens of a document, one a line.
func scan(in io.Reader) (lines []string, err error) {
	s := strictxml.NewScanner(in, limits)
	for {
		t, err := s.Next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			if s.Lost() {
				lines = append(lines, "lost")
			}
			return lines, err
		}
		line := fmt.Sprintf("%d %q", t.Kind, t.Raw)
		if t.Kind == strictxml.Start || t.Kind == strictxml.End {
			line += fmt.Sprintf(" {%s}%s", t.Name.Space, t.Name.Local)
		}
		for _, a := range t.Attrs {
			line += fmt.Sprintf(" {%s}%s=%q", a.Name.Space, a.Name.Local, a.Value)
		}
		lines = append(lines, line)
	}
}

func TestScanner(t *testing.T) {
	lines, err := scan(strings.NewReader("\ufeff<?xml version='1.0'?>\n<a xmlns='urn:a' xmlns:b = \"urn:b\">t&amp;<b:c d='1>' b:e=\"'\"/><![CDATA[<]]><!-- <a> --><d xmlns=''\n/></a >\n"))
	require.NoError(t, err)
	require.Equal(t, []string{
		`4 "\ufeff"`, `4 "<?xml version='1.0'?>"`, `2 "\n"`,
		`0 "<a xmlns='urn:a' xmlns:b = \"urn:b\">" {urn:a}a {` + strictxml.Xmlns + `}="urn:a" {` + strictxml.Xmlns + `}b="urn:b"`,
		`2 "t&amp;"`,
		`0 "<b:c d='1>' b:e=\"'\"/>" {urn:b}c {}d="1>" {urn:b}e="'"`, `1 "" {urn:b}c`,
		`3 "<![CDATA[<]]>"`, `4 "<!-- <a> -->"`,
		`0 "<d xmlns=''\n/>" {}d {` + strictxml.Xmlns + `}=""`, `1 "" {}d`,
		`1 "</a >" {urn:a}a`, `2 "\n"`,
	}, lines)
}

// A long comment comes in pieces, so it may be as long as the document.
func TestLongComment(t *testing.T) {
	comment := "<!--" + strings.Repeat("- ", 500_000) + "-->"
	lines, err := scan(strings.NewReader("<a>" + comment + "<b/></a>" + comment + "<?p " + comment + "?>"))
	require.NoError(t, err)
	require.Greater(t, len(lines), 30)
	require.Equal(t, `0 "<b/>" {}b`, lines[slices.Index(lines, `1 "" {}b`)-1])
	lines, err = scan(strings.NewReader("<a>" + comment[:len(comment)-1]))
	require.NoError(t, err)
	require.Equal(t, "lost", lines[len(lines)-1])
}

// However the bytes come, the tokens are the same, and together they are the document.
func TestScannerInPieces(t *testing.T) {
	for _, file := range []string{"../tcx/testdata/full.tcx", "../gpx/testdata/full.gpx"} {
		document, err := os.ReadFile(file)
		require.NoError(t, err)
		whole, err := scan(bytes.NewReader(document))
		require.NoError(t, err)
		for _, in := range []io.Reader{iotest.OneByteReader(bytes.NewReader(document)), iotest.HalfReader(bytes.NewReader(document)), iotest.DataErrReader(bytes.NewReader(document))} {
			pieces, err := scan(in)
			require.NoError(t, err)
			require.Equal(t, whole, pieces)
		}
		var all []byte
		s := strictxml.NewScanner(bytes.NewReader(document), limits)
		for {
			token, err := s.Next()
			if err != nil {
				break
			}
			all = append(all, token.Raw...)
		}
		require.Equal(t, string(document), string(all))
	}
}

func TestScannerRefuses(t *testing.T) {
	for document, want := range map[string]fault.Kind{
		"text": fault.BadRequest, "<a/>text": fault.BadRequest, "<a/>&#32;": fault.BadRequest, "<![CDATA[ ]]><a/>": fault.BadRequest,
		"<?p:i x?><a/>": fault.BadRequest, "<a xmlns='%'/>": fault.BadRequest, "<a xmlns='\u00e4'/>": fault.BadRequest, "<a xmlns='&foo;'/>": fault.BadRequest,
		"<b:a/>": fault.BadRequest, "<a b:c=''/>": fault.BadRequest,
		"<a b='" + strings.Repeat("b", 5000) + "'/>":           fault.TooLarge,
		"<a>" + strings.Repeat("b", 5000) + "</a>":             fault.TooLarge,
		"<?" + strings.Repeat("b", 50_000) + "?><a/>":          fault.TooLarge,
		"<a>" + strings.Repeat("<b/>", 1000) + "</a>":          fault.TooLarge,
		strings.Repeat("<a xmlns='urn:a' xmlns:a='urn:a'>", 5): fault.TooLarge,
		"<" + strings.Repeat("a", 5000) + "/>":                 fault.TooLarge,
	} {
		_, err := scan(strings.NewReader(document))
		require.Error(t, err, document[:min(len(document), 40)])
		require.Equal(t, want, fault.KindOf(err), document[:min(len(document), 40)])
	}
	for _, document := range []string{"<!DOCTYPE a><a/>", "<a", "<a b", "<a b=", "<a b='", "<a b='c'd='e'/>", "<a b=c/>", "<a ='c'/>", "<a></b>", "</a>", "<a><!-- ", "<a><![CDATA[", "<?a", "< a/>", "<a><", "<!-", "<a><!x></a>"} {
		lines, err := scan(strings.NewReader(document))
		require.NoError(t, err, document)
		require.Equal(t, "lost", lines[len(lines)-1], document)
	}
}

func TestUnescape(t *testing.T) {
	for text, want := range map[string]string{"": "", "a": "a", "&lt;&gt;&amp;&quot;&apos;": `<>&"'`, "&#65;&#x42;&#x1F600;": "AB\U0001F600", "a&#32;b": "a b"} {
		got, ok := strictxml.Unescape([]byte("-"), []byte(text))
		require.True(t, ok, text)
		require.Equal(t, "-"+want, string(got))
	}
	for _, text := range []string{"&", "&amp", "&nbsp;", "&#;", "&#x;", "&#xD800;", "&#x110000;", "&#-1;", "&#99999999999999999999;", "&;"} {
		_, ok := strictxml.Unescape(nil, []byte(text))
		require.False(t, ok, text)
	}
}

// Whatever comes, tokens together are the document as far as it was read.
func FuzzScanner(f *testing.F) {
	f.Fuzz(func(t *testing.T, document []byte) {
		s := strictxml.NewScanner(bytes.NewReader(document), limits)
		var all []byte
		for {
			token, err := s.Next()
			if err != nil {
				if errors.Is(err, io.EOF) {
					require.Equal(t, string(document), string(all))
				} else {
					require.Contains(t, []fault.Kind{fault.BadRequest, fault.TooLarge}, fault.KindOf(err))
				}
				return
			}
			all = append(all, token.Raw...)
		}
	})
}
