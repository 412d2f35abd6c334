package guard

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// parses is how functions are named that make something of bytes or text.
var parses = regexp.MustCompile(`^(?i:parse|decode|unmarshal|open|inspect|canonical|negotiate)|^Read$`)

// fed are the types of a parameter that an attacker may have written.
var fed = map[string]bool{"[]byte": true, "string": true, "io.Reader": true, "*jsontext.Decoder": true}

// handsOn are functions that read nothing by themselves, and who does.
var handsOn = map[string]string{"shared/opening.Open": "vault.Inspect and vault.Open"}

// forTests are packages that only tests import; what they read, tests have written.
var forTests = regexp.MustCompile(`test$|^shared/openmhealth/generate$`)

// unfuzzed returns each package that has a parser and no fuzz target, and each
// fuzz target without a corpus. sources is the text of Go files by path, corpora the folders
// that hold one.
func unfuzzed(sources map[string]string, corpora map[string]bool) (wrong []string) {
	parser, fuzzed := map[string]string{}, map[string]bool{}
	for path, source := range sources {
		folder := filepath.Dir(path)
		for _, f := range functionsOf(path, source) {
			switch {
			case strings.HasSuffix(path, "_test.go"):
				if !strings.HasPrefix(f.Name.Name, "Fuzz") {
					continue
				}
				fuzzed[folder] = true
				if !corpora[filepath.Join(folder, "testdata/fuzz", f.Name.Name)] {
					wrong = append(wrong, folder+" has no corpus for "+f.Name.Name)
				}
			case parses.MatchString(f.Name.Name) && isFed(f) && !forTests.MatchString(folder) && handsOn[folder+"."+f.Name.Name] == "":
				parser[folder] = f.Name.Name
			}
		}
	}
	for folder, name := range parser {
		if !fuzzed[folder] {
			wrong = append(wrong, fmt.Sprintf("%s has the parser %s and no fuzz target", folder, name))
		}
	}
	sort.Strings(wrong)
	return wrong
}

func functionsOf(path, source string) (all []*ast.FuncDecl) {
	file, err := parser.ParseFile(token.NewFileSet(), path, source, 0)
	if err != nil {
		panic(err) // it compiles
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			all = append(all, f)
		}
	}
	return all
}

func isFed(f *ast.FuncDecl) bool {
	for _, p := range f.Type.Params.List {
		if fed[typeName(p.Type)] {
			return true
		}
	}
	return false
}

// typeName is a parameter's type as it is written, where it is one of those in fed.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.ArrayType:
		return "[]" + typeName(e.Elt)
	case *ast.StarExpr:
		return "*" + typeName(e.X)
	case *ast.SelectorExpr:
		return typeName(e.X) + "." + e.Sel.Name
	}
	return ""
}

func TestEveryParserIsFuzzed(t *testing.T) {
	sources, corpora := map[string]string{}, map[string]bool{}
	for _, top := range []string{"shared", "functions"} {
		root := os.DirFS("..")
		require.NoError(t, fs.WalkDir(root, top, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && filepath.Base(filepath.Dir(path)) == "fuzz":
				files, err := fs.ReadDir(root, path)
				corpora[path] = len(files) > 0
				return err
			case strings.HasSuffix(path, ".go"):
				text, err := fs.ReadFile(root, path)
				sources[path] = string(text)
				return err
			}
			return nil
		}))
	}
	require.Greater(t, len(corpora), 20)
	require.Empty(t, unfuzzed(sources, corpora))
}

func TestEveryParserIsFuzzedFindsPlantedViolations(t *testing.T) {
	sources := map[string]string{"shared/a/a.go": "package a\nfunc parseLine(s string) {}", "shared/b/b.go": "package b\nfunc Decode(b []byte) {}\nfunc other(r io.Reader) {}",
		"shared/b/b_test.go": "package b\nfunc FuzzDecode(f *testing.F) {}"}
	require.Equal(t, []string{"shared/a has the parser parseLine and no fuzz target", "shared/b has no corpus for FuzzDecode"}, unfuzzed(sources, nil))
	require.Empty(t, unfuzzed(map[string]string{"shared/b/b.go": sources["shared/b/b.go"], "shared/b/b_test.go": sources["shared/b/b_test.go"]}, map[string]bool{"shared/b/testdata/fuzz/FuzzDecode": true}))
}
