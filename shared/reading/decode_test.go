package reading

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
)

// decode reads one document; what follows the value is an error.
func decode(document []byte, maxDepth int) (Value, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(document))
	v, err := Decode(dec, maxDepth)
	if number := (*NumberError)(nil); err == nil || errors.As(err, &number) {
		if _, end := dec.ReadToken(); end != io.EOF {
			return v, errors.New("something behind the value")
		}
	}
	return v, err
}

func TestDecodeAndAppendJSON(t *testing.T) {
	for document, want := range map[string]string{
		`null`: `null`, ` true `: `true`, `false`: `false`, `-1.50e1`: `-15`, `""`: `""`, `[]`: `[]`, `{}`: `{}`,
		"[1,\n[2.0,{}],\"x\"]":                    `[1,[2,{}],"x"]`,
		`{"b":1,"a":{"c":[]}}`:                    `{"b":1,"a":{"c":[]}}`,
		`{"":"\u00e9\ud83d\ude00\u0000\"\\\/\n"}`: `{"":"é😀\u0000\"\\/\n"}`,
	} {
		v, err := decode([]byte(document), 4)
		require.NoError(t, err, document)
		require.Equal(t, want, string(v.AppendJSON(nil)), document)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, document := range []string{
		``, ` `, `nul`, `"`, `[1`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,}`, `{a:1}`, `[1 2]`, `1 2`, `[1]]`, `01`, `NaN`, `'a'`,
		"\xef\xbb\xbf{}", "\"\xff\"", `"\ud800"`, `"\udc00\ud800"`, "\"\x00\"", "{\"\xff\":1}", `{"\ud800":1}`,
		`{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `[{"a":{"b":1,"c":2,"b":3}}]`,
	} {
		_, err := decode([]byte(document), 8)
		require.Error(t, err, document)
		require.NotErrorIs(t, err, ErrDepth, document)
		require.NotErrorIs(t, err, ErrNumber, document)
	}
}

func TestDecodeDepth(t *testing.T) {
	for depth, ok := range map[int]bool{3: true, 4: false} {
		nested := strings.Repeat("[", depth) + strings.Repeat("]", depth)
		_, err := decode([]byte(nested), 3)
		if ok {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, ErrDepth)
		}
		_, err = decode([]byte(strings.Repeat(`{"a":`, depth)+"1"+strings.Repeat("}", depth)), 3)
		require.Equal(t, ok, err == nil)
	}
	_, err := decode([]byte(strings.Repeat("[", 1_000_000)), 32)
	require.ErrorIs(t, err, ErrDepth)
}

func TestDecodeNamesTheFirstBadNumberAndReadsOn(t *testing.T) {
	dec := jsontext.NewDecoder(strings.NewReader(`[{"a":[1,1e-999999999,1e99],"b":"kept"},2]`))
	_, err := dec.ReadToken()
	require.NoError(t, err)
	v, err := Decode(dec, 8)
	var number *NumberError
	require.ErrorAs(t, err, &number)
	require.ErrorIs(t, err, ErrNumber)
	require.Equal(t, jsontext.Pointer("/0/a/1"), number.Pointer)
	require.Equal(t, `{"a":[1,null,null],"b":"kept"}`, string(v.AppendJSON(nil)))
	v, err = Decode(dec, 8)
	require.NoError(t, err)
	require.Equal(t, "2", v.Text())
}

// The verdicts on cases that JSON leaves open are recorded: the golden file is
// this package's word on them.
func TestJSONTestSuite(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(data(t, "jsontestsuite"), "*.json"))
	require.NoError(t, err)
	require.Greater(t, len(files), 300)
	var open strings.Builder
	for _, file := range files {
		document, err := os.ReadFile(file)
		require.NoError(t, err)
		_, err = decode(document, 32)
		verdict := "accepted"
		switch {
		case errors.Is(err, ErrNumber):
			verdict = "JSON with a number that is not kept"
		case errors.Is(err, ErrDepth):
			verdict = "too deep"
		case err != nil:
			verdict = "not JSON"
		}
		isJSON := err == nil || errors.Is(err, ErrNumber)
		switch name := filepath.Base(file); {
		case name == "y_object_duplicated_key.json", name == "y_object_duplicated_key_and_value.json":
			require.Equal(t, "not JSON", verdict, name) // names must be distinct here
		case name[0] == 'y':
			require.True(t, isJSON, name)
		case name[0] == 'n':
			require.False(t, isJSON, name)
		default:
			open.WriteString(name + ": " + verdict + "\n")
		}
	}
	golden := filepath.Join("testdata", "jsontestsuite.golden")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(golden, []byte(open.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), open.String())
}

// data is the folder of a set of test data: all of it where the project's data
// are mounted, else the repository's copy.
func data(t *testing.T, set string) string {
	t.Helper()
	for _, root := range []string{"../../../shared/data", "../../testdata"} {
		if _, err := os.Stat(filepath.Join(root, set)); err == nil {
			return filepath.Join(root, set)
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("shared data absent: %s", set)
	}
	t.Skipf("shared data absent: all cases of %s left out", set)
	return ""
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`null`, `[1,-2.50,3e2,"x",{"a":{}}]`, `{"a":1,"a":2}`, `"\ud83d\ude00"`, `"\ud800"`, `[[[[[[[[[]]]]]]]]]`,
		`1e-999999999`, `{"b":[1e999,{"c":0.1}]}`, "\xef\xbb\xbf[]", `[1]]`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		v, err := decode(document, 8)
		if err != nil {
			return
		}
		text := v.AppendJSON(nil)
		require.True(t, jsontext.Value(text).IsValid())
		again, err := decode(text, 8)
		require.NoError(t, err)
		require.True(t, v.Equal(again))
		require.Equal(t, text, again.AppendJSON(nil))
	})
}
