package tcx_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"fitvault/e2e/oracle"
	x "fitvault/e2e/oracle/xmlcases"
	"fitvault/shared/fault"
)

// corpus is the real recordings of data/tcx with libxml2's verdict and
// xml.etree's count, as e2e/oracle/xml_verdicts.py gives them. There is no
// exception among them: what is refused breaks the schemas, and most makers do.
var corpus = []struct {
	file        string
	kind        fault.Kind // "" is accepted
	trackpoints int
	why         string // what is wrong with the document
}{
	{"rowingdata-2x2km.tcx", fault.Invalid, 0, "Creator below the root"},
	{"rowingdata-3x250m.tcx", fault.Invalid, 0, "Creator below the root"},
	{"rowingdata-invalidchar.tcx", fault.BadRequest, 0, "NUL"},
	{"rowingdata-painsled.tcx", fault.Invalid, 0, "Id is no dateTime, and more"},
	{"rowingdata-recover.tcx", fault.BadRequest, 0, "prefix xsi is not declared"},
	{"rowingdata-rowinginmotionexample.tcx", fault.Invalid, 0, "Cadence -1"},
	{"rowingdata-strava_export.tcx", fault.Invalid, 0, "Creator below the root"},
	{"rowingdata-test.tcx", fault.Invalid, 0, "Creator below the root"},
	{"rowingdata-testtcx_210614.tcx", fault.Invalid, 0, "Sport Rowing, and more"},
	{"saf-2.tcx", "", 2697, ""},
	{"saf-cross-country-skiing_activity_1.tcx", "", 486, ""},
	{"saf-dead_end.tcx", fault.Invalid, 0, "BeginPosition in the Lap of an Activity, and more"},
	{"saf-pool_swim-activity_1.tcx", "", 32, ""},
	{"saf-swimming_activity_1.tcx", "", 1317, ""},
	{"saf-walking_activity_1.tcx", "", 660, ""},
	{"tcxparser-no_hr.tcx", fault.Invalid, 0, "Notes before the laps"},
	{"tcxparser-test.tcx", fault.Invalid, 0, "Notes before the laps"},
	{"tcxreader-mapmyride_biking.tcx", fault.Invalid, 0, "Calories is no whole number, and more"},
	{"tcxreader-sup_activity_1.tcx", "", 111, ""},
}

// folders that may hold recordings: all of them beside the repository, a few in it.
var folders = []string{filepath.Join("..", "..", "..", "shared", "data", "tcx"), filepath.Join("..", "..", "testdata", "tcx")}

// recordings returns the documents of the corpus by name, as far as they are here.
func recordings(t *testing.T) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	for _, c := range corpus {
		for _, folder := range folders {
			if document, err := os.ReadFile(filepath.Join(folder, c.file)); err == nil {
				found[c.file] = document
				break
			}
		}
	}
	return found
}

func TestCorpus(t *testing.T) {
	documents := recordings(t)
	for _, c := range corpus {
		document, ok := documents[c.file]
		if !ok {
			continue
		}
		parsed, err := parse(string(document))
		if c.kind != "" {
			require.Error(t, err, c.file)
			require.Equal(t, c.kind, fault.KindOf(err), c.file)
			continue
		}
		require.NoError(t, err, c.file)
		require.Len(t, parsed.Trackpoints, c.trackpoints, c.file)
		require.Equal(t, parsed.Trackpoints[0].Time, parsed.Start, c.file)
	}
	if missing := len(corpus) - len(documents); missing > 0 {
		x.Absent(t, "shared data absent: %d cases left out", missing)
	}
}

// The table above is what libxml2 and xml.etree say, and nothing in the folder
// is missing from it.
func TestCorpusAgainstOracle(t *testing.T) {
	names, err := filepath.Glob(filepath.Join(folders[0], "*.tcx"))
	require.NoError(t, err)
	if len(names) == 0 {
		x.Absent(t, "shared data absent: %d cases left out", len(corpus))
	}
	require.Len(t, names, len(corpus))
	documents := recordings(t)
	var list [][]byte
	for _, c := range corpus {
		list = append(list, documents[c.file])
	}
	for i, theirs := range oracle.Documents(t, "tcx", list) {
		require.Equal(t, corpus[i].kind, x.Expected(theirs), corpus[i].file)
		differs, _ := format.Difference(list[i], theirs)
		require.Empty(t, differs, corpus[i].file)
	}
}
