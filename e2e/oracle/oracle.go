// Package oracle asks other people's programs for a second opinion: Python's
// jsonschema of data points, libxml2 and xml.etree of TCX and GPX documents, joserfc
// of consent receipts. A test that asks is left out where the Python of `make setup`
// is absent, and fails where it must not be: with CI=true. ORACLE_PYTHON names
// another interpreter.
package oracle

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// Point is what schema_verdicts.py says of one data point: its id and start, or
// the rule that it breaks ("schema" for all of the schemas').
type Point struct {
	ID    string `json:"id"`
	Start string `json:"start"` // nanoseconds since 1970
	Rule  string `json:"rule"`
}

// Points asks for data points of an owner, in their order.
func Points(t *testing.T, owner string, points []string) []Point {
	t.Helper()
	var in bytes.Buffer
	lines := json.NewEncoder(&in)
	for _, p := range points {
		if err := lines.Encode(map[string]string{"owner": owner, "point": p}); err != nil {
			t.Fatal(err)
		}
	}
	return ask[Point](t, "schema_verdicts.py", schemas(), &in, len(points))
}

// Document is what xml_verdicts.py says of one document.
type Document struct {
	WellFormed  bool   `json:"well_formed"`
	Valid       bool   `json:"valid"`
	Trackpoints int    `json:"trackpoints"` // -1 where xml.etree cannot parse it
	Why         string `json:"why"`
}

// Documents asks for documents of a format, "tcx" or "gpx", in their order.
func Documents(t *testing.T, format string, documents [][]byte) []Document {
	t.Helper()
	var in bytes.Buffer
	for _, d := range documents {
		in.WriteString(base64.StdEncoding.EncodeToString(d) + "\n")
	}
	return ask[Document](t, "xml_verdicts.py", filepath.Join(root(), "shared", format, "xsd"), &in, len(documents))
}

// Receipt is what receipt_verdicts.py says of one consent receipt.
type Receipt struct {
	Valid      bool           `json:"valid"`
	Thumbprint string         `json:"thumbprint"` // of the key, RFC 7638
	Header     map[string]any `json:"header"`
	Claims     map[string]any `json:"claims"`
}

// Receipts asks joserfc for receipts under a key, in their order.
func Receipts(t *testing.T, key *ecdsa.PublicKey, receipts []string) []Receipt {
	t.Helper()
	point, err := key.Bytes() // 4, X, Y
	if err != nil {
		t.Fatal(err)
	}
	jwk := map[string]string{"kty": "EC", "crv": "P-256",
		"x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:])}
	var in bytes.Buffer
	lines := json.NewEncoder(&in)
	for _, r := range receipts {
		if err := lines.Encode(map[string]any{"jwk": jwk, "receipt": r}); err != nil {
			t.Fatal(err)
		}
	}
	return ask[Receipt](t, "receipt_verdicts.py", "", &in, len(receipts))
}

// ask runs a script and reads one JSON object for each of n questions.
func ask[T any](t *testing.T, script, argument string, in *bytes.Buffer, n int) []T {
	t.Helper()
	python := os.Getenv("ORACLE_PYTHON")
	if python == "" {
		python = filepath.Join(root(), ".local", "venvs", "test", "bin", "python")
	}
	if _, err := os.Stat(python); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no Python for the oracles: neither .local/venvs/test nor ORACLE_PYTHON")
		}
		t.Skipf("no Python for the oracles (make setup): %d cases left out", n)
	}
	command := exec.CommandContext(t.Context(), python, filepath.Join(root(), "e2e", "oracle", script), argument)
	command.Stdin, command.Stderr = in, os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	said := make([]T, 0, n)
	for answers := json.NewDecoder(bytes.NewReader(out)); answers.More(); {
		var one T
		if err := answers.Decode(&one); err != nil {
			t.Fatalf("%s: %v", script, err)
		}
		said = append(said, one)
	}
	if len(said) != n {
		t.Fatalf("%s: %d answers to %d questions", script, len(said), n)
	}
	return said
}

// root is the checkout.
func root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// schemas is the published schemas: the project's data, else the repository's copy.
func schemas() string {
	for _, folder := range []string{filepath.Join(root(), "..", "shared", "data", "schemas"), filepath.Join(root(), "testdata", "schemas")} {
		if _, err := os.Stat(folder); err == nil {
			return folder
		}
	}
	return ""
}
